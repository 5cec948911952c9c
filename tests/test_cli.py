"""The doors: what every command prints, where, and with which exit code."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from toy import metrics

import jaxact
from jaxact.cli import COMMANDS, main
from jaxact.training import evaluate, load_dataset, load_trained
from jaxact.training.inference import load_image

pytestmark = pytest.mark.usefixtures("training_compiled_fast")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "digits"
    code = main(
        ["train", "--epochs", "3", "--batch-size", "32", "--pixels", "unit", "--out", str(folder), "--quiet"]
    )
    assert code == 0
    return folder


def process(*args, **options):
    command = [sys.executable, "-m", "jaxact", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


# --- help and mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command, call):
    code, out, err = call(*command.split(), "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: jaxact {command}")
    assert command in call("--help")[1]


def test_overview(call):
    assert call("--version") == (0, f"jaxact {jaxact.__version__}\n", "")
    code, out, err = call()
    assert (code, out) == (2, "")
    assert err == call("-h")[1]


WRONG = [  # arguments, words of the line on stderr
    (["trian"], ["unknown command 'trian'", "did you mean train?"]),
    (["frobnicate"], ["unknown command", "the commands are train, evaluate"]),
    (["data"], ["info or prepare"]),
    (["data", "inf"], ["info or prepare"]),
    (["show"], ["name", "jaxact show --help"]),
    (["show", "rleu"], ["unknown activation 'rleu'", "did you mean relu"]),
    (["show", "relu", "--at", "x"], ["--at", "'x'"]),
    (["show", "leaky_relu(nonsense=1)"], ["nonsense"]),
    (["show", "__import__('os')"], ["__import__"]),
    (["plot"], ["at least one activation"]),
    (["plot", "relu", "--order", "5"], ["order must be", "got 5"]),
    (["plot", "relu", "--order", "-1"], ["order must be", "got -1"]),
    (["plot", "relu", "--out", "curves.gif"], ["curves.gif must end in .png, .svg or .pdf"]),
    (["plot", "relu", "--out", "curves"], ["must end in .png"]),
    (["plot", "relu", "--out", "/dev/null/curves.png"], ["/dev/null: File exists"]),
    (["plot", "relu", "--range", "1", "1"], ["--range", "1 1"]),
    (["plot", "relu", "--range", "0", "inf"], ["--range", "inf"]),
    (["list", "--nonsense"], ["--nonsense", "jaxact list --help"]),
    (["list", "extra"], ["extra"]),
    (["train", "--epoch", "3"], ["--epoch"]),
    (["train", "--diagnose", "--threshold", "dead=2"], ["--threshold dead must be a share"]),
    (["train", "--threshold", "dead=0.1"], ["give diagnose too"]),
    (["train", "--epochs", "three"], ["--epochs", "'three'"]),
    (["train", "--epochs", "0"], ["epochs must be a whole number from 1"]),
    (["train", "--seed", str(10**400)], ["seed must be"]),
    (["train", "--learning-rate", "nan"], ["learning_rate must be a number"]),
    (["train", "--optimizer", "adm"], ["--optimizer", "adm"]),
    (["train", "--activation", "gelo"], ["unknown activation 'gelo'", "did you mean gelu"]),
    (["train", "--momentum", "0.9"], ["momentum=0.9 does not go with adam"]),
    (["train", "--dataset", "nonsense"], ["unknown data set 'nonsense'"]),
    (["train", "--dataset", "cifar100", "--data-dir", "."], ["jaxact data prepare cifar100"]),
    (["train", "--resume", "nowhere"], ["nowhere is not a run folder"]),
    (["train", "--out", "/dev/null/run", "--quiet"], ["/dev/null", "Not a directory"]),
    (["evaluate"], ["RUN"]),
    (["evaluate", "nowhere"], ["nowhere is not a run folder"]),
    (["evaluate", "/dev/null"], ["/dev/null/config.json cannot be read"]),
    (["predict", "nowhere", "image.png"], ["nowhere is not a run folder"]),
    (["data", "info", "nonsense"], ["unknown data set 'nonsense'"]),
    (["data", "info", "digits", "--out", "sheet.bmp"], ["sheet.bmp must end in"]),
    (["data", "prepare", "digits"], ["'digits'", "no preparing"]),
]


def is_one_line(result, words):
    code, out, err = result
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("jaxact: ")
    assert "Traceback" not in line
    for word in words:
        assert word in line


@pytest.mark.parametrize(("args", "words"), WRONG, ids=lambda value: " ".join(value)[:60])
def test_mistake_is_one_line(args, words, call, tmp_path):
    is_one_line(call(*args), words)
    assert not list(tmp_path.iterdir())


def test_mistakes_with_a_run(run, call, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    is_one_line(call("predict", run), ["at least one image"])
    is_one_line(call("predict", run, "none.png"), ["there is no image none.png"])
    is_one_line(call("predict", run, "text.png"), ["text.png cannot be read as an image"])
    is_one_line(call("predict", run, tmp_path), ["cannot be read as an image"])
    is_one_line(call("predict", run, "text.png", "--top", "0"), ["top must be at least 1"])
    is_one_line(call("evaluate", run, "--out", "confusion.jpg"), ["confusion.jpg must end in"])
    is_one_line(call("train", "--out", run), ["holds a run already", f"--resume {run}"])
    is_one_line(call("train", "--resume", run, "--seed", "5"), ["--seed 5 cannot be changed"])
    is_one_line(call("train", "--resume", run, "--epochs", "2"), ["--epochs 2 cannot replace 3"])
    is_one_line(call("train", "--resume", run, "--out", "other"), ["--out other cannot be changed"])


CONFIGS = [
    "",
    "{",
    "[]",
    "{}",
    '{"options": [], "data": {}}',
    '{"options": {"activation": 3}, "data": {}}',
    "\xff",
]


@pytest.mark.parametrize("text", [*CONFIGS, '{"options": {"activation": "relu", "new": 1}, "data": {}}'])
def test_folder_of_something_else(text, call, tmp_path):
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    for args in (["evaluate", "."], ["train", "--resume", "."]):
        is_one_line(call(*args), ["config.json"])


# --- list, show, plot -------------------------------------------------------------------------------------


def test_list(call):
    code, out, err = call("list")
    assert (code, err) == (0, "")
    assert out.startswith(f"{len(jaxact.ACTIVATIONS)} activations\n")
    assert set(jaxact.ACTIVATIONS) <= {line.split()[0] for line in out.splitlines() if line.strip()}
    code, out, err = call("list", "--json")
    assert (code, err) == (0, "")
    assert [json.loads(line)["name"] for line in out.splitlines()] == list(jaxact.ACTIVATIONS)


@pytest.mark.parametrize("name", [*jaxact.ACTIVATIONS, "leaky_relu(negative_slope=0.2)", "Swish"])
def test_show(name, call):
    code, out, err = call("show", name, "--at", "-1", "0.5", "--json")
    assert (code, err) == (0, "")
    shown = json.loads(out)
    np.testing.assert_allclose(np.float32(shown["f"]), jaxact.get(name)(np.float32([-1, 0.5])), rtol=1e-6)
    assert [len(shown[key]) for key in ("x", "df", "d2f")] == [2, 2, 2]


@pytest.mark.parametrize("name", ["relu", "leaky_relu(negative_slope=0.2)", "Swish"])
def test_show_as_a_table(name, call):
    code, out, err = call("show", name)
    assert (code, err) == (0, "")
    assert jaxact.serialize(jaxact.get(name)) in out
    assert "formula" in out


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("PDF", b"%PDF")])
def test_plot(suffix, start, call, tmp_path):
    args = (
        "plot",
        "relu",
        "leaky_relu(negative_slope=0.2)",
        "--order",
        "0",
        "1",
        "2",
        "--out",
        f"new/curves.{suffix}",
    )
    assert call(*args) == (0, f"new/curves.{suffix}\n", "")
    assert (tmp_path / "new" / f"curves.{suffix}").read_bytes().startswith(start)
    assert len(list((tmp_path / "new").iterdir())) == 1


# --- data, train, evaluate, predict -----------------------------------------------------------------------


def test_data_info(call, tmp_path):
    code, out, err = call("data", "info", "digits")
    assert (code, err) == (0, "")
    assert "1437" in out
    assert "360" in out
    assert (tmp_path / "digits.png").exists()
    code, out, _ = call("data", "info", "digits", "--json", "--out", "sheet.svg")
    info = json.loads(out)
    assert sum(train for train, _ in info["classes"].values()) == 1437
    assert (info["image_shape"], info["picture"]) == ([32, 32, 3], "sheet.svg")


def test_train_prints_layers_and_epochs(call, tmp_path):
    args = ["train", "--epochs", "3", "--batch-size", "32", "--pixels", "unit"]
    code, out, err = call(*args)
    assert (code, err) == (0, "")  # no bar, since this is no terminal
    for text in ("(32, 32, 6)", "645,204", "697,046", "relu on digits: 1,437 training and 360 validation images"):
        assert text in out
    assert [line.split()[1] for line in out.splitlines() if line.startswith("epoch")] == ["1", "2", "3"]
    assert out.endswith("run folder: runs/digits-relu-1\n")
    code, out, err = call(*args, "--json")
    assert (code, err) == (0, "")
    assert [json.loads(line) for line in out.splitlines()] == metrics(tmp_path / "runs" / "digits-relu-2")
    assert call("train", "--resume", "runs/digits-relu-2", "--quiet") == (0, "", "")


def test_training_that_diverges(call):
    args = ["--optimizer", "sgd", "--learning-rate", "1e6", "--epochs", "1", "--quiet", "--out", "run"]
    code, out, err = call("train", *args)
    assert (code, out) == (1, "")
    (line,) = err.splitlines()
    assert line.startswith("jaxact: the loss is not finite in epoch 1, step ")
    assert "try a smaller --learning-rate than 1e+06" in line
    is_one_line(call("evaluate", "run"), ["has no checkpoint yet"])


def test_evaluate(run, call):
    result, last = evaluate(load_trained(run)), metrics(run)[-1]
    assert result.accuracy == last["val_accuracy"]
    assert result.accuracy > 0.5
    assert result.loss == pytest.approx(last["val_loss"], rel=1e-5)
    test_labels = load_dataset("digits").test_labels
    np.testing.assert_array_equal(result.confusion.sum(axis=1), np.bincount(test_labels))
    code, out, err = call("evaluate", run)
    assert (code, err) == (0, "")
    assert f"epoch 3: loss {result.loss:.4f}, accuracy {result.accuracy:.4f}" in out
    assert (run / "confusion.png").read_bytes().startswith(b"\x89PNG")
    code, out, _ = call("evaluate", run, "--json", "--out", "c.pdf")
    printed = json.loads(out)
    assert printed["confusion"] == result.confusion.tolist()
    assert printed["class_accuracy"]["3"] == result.class_accuracy[3]


def test_predict(run, call, tmp_path):
    data, trained = load_dataset("digits"), load_trained(run)
    found = np.asarray(trained.logits(data.test_images[:5])).argmax(axis=-1)
    for i in range(5):
        Image.fromarray(data.test_images[i]).save(tmp_path / f"{i}.png")
    names = [f"{i}.png" for i in range(5)]
    code, out, err = call("predict", run, *names, "--json", "--top", "10")
    assert (code, err) == (0, "")
    for name, line, digit in zip(names, out.splitlines(), found, strict=True):
        printed = json.loads(line)
        probabilities = [c["probability"] for c in printed["classes"]]
        assert (printed["image"], printed["classes"][0]["class"]) == (name, str(digit))
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
        assert probabilities == sorted(probabilities, reverse=True)
    code, out, err = call("predict", run, "0.png")
    assert (code, err) == (0, "")
    assert out.startswith(f"0.png: {found[0]} ")
    assert out.count(",") == 2


def half(mode, left, right, size=(40, 20)):
    """An image whose left half has one value and whose right half another."""
    image = Image.new(mode, size, right)
    image.paste(left, (0, 0, size[0] // 2, size[1]))
    return image


def rotated(path):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    half("RGB", "white", "black").save(path, exif=exif, quality=100)


def clear(path):
    image = half("P", 0, 1)
    image.putpalette([0, 0, 0, 255, 255, 255])
    image.save(path, transparency=0)


IMAGES = {  # file -> how to write it, grey of the left and of the right half
    "one.png": (lambda p: Image.new("RGB", (1, 1), (50, 50, 50)).save(p), 50, 50),
    "large.png": (lambda p: half("RGB", "black", "white", (500, 300)).save(p), 0, 255),
    "tall.jpg": (lambda p: half("L", 0, 255, (40, 200)).save(p, quality=100), 0, 255),
    "grey.png": (lambda p: half("L", 10, 200).save(p), 10, 200),
    "bits.png": (lambda p: half("1", 0, 1).save(p), 0, 255),
    "16 bit.png": (lambda p: half("I;16", 0, 257 * 128).save(p), 0, 128),
    "32 bit.tif": (lambda p: half("I", 0, 65535).save(p), 0, 255),
    "float.tif": (lambda p: half("F", 0.0, 2.0).save(p), 0, 255),
    "alpha.png": (lambda p: half("RGBA", (0, 0, 0, 0), (0, 0, 0, 255)).save(p), 255, 0),
    "grey alpha.png": (lambda p: half("LA", (0, 0), (0, 255)).save(p), 255, 0),
    "palette.png": (clear, 255, 255),
    "ink.jpg": (lambda p: half("CMYK", (0, 0, 0, 255), (0, 0, 0, 0)).save(p, quality=100), 0, 255),
    "moving.gif": (lambda p: half("L", 0, 255).save(p, save_all=True, append_images=[half("L", 9, 9)]), 0, 255),
    "rotated.jpg": (rotated, 0, 255),
}


def test_images_of_every_kind(run, call, tmp_path):
    for name, (write, left, right) in IMAGES.items():
        write(tmp_path / name)
        pixels = load_image(tmp_path / name)
        assert (pixels.shape, pixels.dtype) == ((32, 32, 3), np.uint8)
        for part, value in ((pixels[:, :12], left), (pixels[:, 20:], right)):
            assert np.abs(part.astype(int) - value).max() <= 8, name
    code, out, err = call("predict", run, *IMAGES)
    assert (code, err) == (0, "")
    assert [line.split(":")[0] for line in out.splitlines()] == list(IMAGES)


# --- processes --------------------------------------------------------------------------------------------


def test_reader_that_leaves():
    command = f"{sys.executable} -m jaxact list --json | head -1; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) == 1
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-m", "jaxact", "list"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (result.returncode, result.stderr) == (0, "")


def test_light_commands_start_light():
    code = "import sys; from jaxact.cli import main; main(['list']); print(*sys.modules, sep='\\n')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.splitlines())
    assert "jaxact.cli.catalog" in loaded
    assert not loaded & {"flax", "optax", "orbax", "matplotlib", "tensorflow_datasets", "sklearn", "PIL"}


def test_module_and_exit_code(tmp_path):
    result = process("show", "nonsense", cwd=tmp_path)
    is_one_line((result.returncode, result.stdout, result.stderr), ["unknown activation 'nonsense'"])


def test_training_is_silent_on_stderr(tmp_path):
    result = process("train", "--epochs", "1", "--batch-size", "32", "--pixels", "unit", "--json", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["epoch"] == 1


def test_show_gives_the_parameters_in_use(call):
    _, out, _ = call("show", "leaky_relu(0.3)", "--at", "-1", "--json")
    shown = json.loads(out)
    assert shown["parameters"] == {"negative_slope": 0.3}
    assert shown["f"] == pytest.approx([-0.3])
    assert "are those of the default parameters" in call("show", "leaky_relu(0.3)")[1]
    assert "are those of the default parameters" not in call("show", "LeakyReLU")[1]
