"""The doors of the diagnosis: what they print and write for runs and for models of others, and mistakes."""

import json
import re
import types
from html.parser import HTMLParser

import jax
import numpy as np
import pytest
from toy import toy

import jaxact
from jaxact.cli.diagnosis import _tell_updates
from jaxact.diagnosis import ParameterRecord
from jaxact.training import TrainConfig, fit, load_trained, sample_batches
from jaxact.training.run import Run

pytestmark = pytest.mark.usefixtures("training_compiled_fast")

MODULE = """
import jax, jax.numpy as jnp
import jaxact
from flax import linen as nn
from flax import nnx

class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(10)(jnp.tanh(nn.Dense(20, name="first")(x)))

def linen():
    return Net(), Net().init(jax.random.key(0), jnp.zeros((1, 8)))

def of_nnx():
    rngs = nnx.Rngs(0)
    return nnx.Sequential(nnx.Linear(8, 20, rngs=rngs), jaxact.gelu, nnx.Linear(20, 10, rngs=rngs))

def pure():
    def loss(params, batch):
        return jnp.mean(jax.nn.relu(batch["inputs" if isinstance(batch, dict) else 0] @ params["w"]) @ params["v"])
    return loss, {"w": jnp.ones((8, 4)), "v": jnp.ones((4, 1))}

def broken():
    raise RuntimeError("no weights here")

def needs(what):
    return what

text = "no model"
"""


@pytest.fixture
def call(call, tmp_path):
    """Runs a command in a folder with models and batches; returns its exit code, stdout and stderr."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(16, 8)), rng.integers(0, 10, 16)
    (tmp_path / "theirs.py").write_text(MODULE)
    (tmp_path / "faulty.py").write_text("import nothing_of_that_name")
    np.savez(tmp_path / "xy.npz", x=x, y=y)
    np.savez(tmp_path / "long.npz", inputs=x, labels=y)
    np.savez(tmp_path / "wide.npz", x=rng.normal(size=(16, 9)), y=y)
    np.savez(tmp_path / "uneven.npz", x=x, y=y[:3])
    np.savez(tmp_path / "other.npz", images=x)
    np.savez(tmp_path / "objects.npz", x=np.array([None, {}], object), y=y)
    np.save(tmp_path / "alone.npy", x)
    (tmp_path / "text.npz").write_text("nothing")
    return call


class Page(HTMLParser):
    """A page whose elements are closed in order, what it loads, its ids, and its text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.loads, self.ids, self.text, self.pictures = [], [], [], [], 0
        self.feed(text)
        self.close()
        assert not self.open
        assert len(set(self.ids)) == len(self.ids)
        assert all(source.startswith("data:image/svg+xml;base64,") for source in self.loads)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in ("meta", "img"):
            self.open.append(tag)
        assert tag not in ("script", "link", "iframe", "object")
        self.loads += [attrs[key] for key in ("src", "srcset", "data") if key in attrs]
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.pictures += tag == "img" and bool(attrs["alt"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text.append(data)


def read(path):
    text = path.read_text()
    assert "url(" not in text
    assert "@import" not in text
    return Page(text)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of one epoch on a toy set, which the command finds under the name of digits."""
    folder = tmp_path_factory.mktemp("runs") / "a <b>"
    fit(TrainConfig(epochs=2, batch_size=50, activation="tanh", pixels="unit", out=folder), dataset=DATA)
    return folder


DATA = toy(name="digits")


@pytest.fixture
def no_data(monkeypatch):
    """The toy set in the place of the one that options of the run name."""
    monkeypatch.setattr("jaxact.training.inference.load_dataset", lambda *args, **options: DATA)


@pytest.mark.parametrize(
    ("factory", "batch", "name"),
    [("linen", "xy", "tanh"), ("of_nnx", "long", "gelu"), ("pure", "xy", "relu")],
)
def test_models_of_others(factory, batch, name, call):
    code, out, err = call("diagnose", "--model", f"theirs:{factory}", "--batch", f"{batch}.npz", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert [site["name"] for site in found["sites"]] == [name]
    assert found["examples"] == 16


def test_page_and_figure(call, tmp_path):
    code, out, err = call(
        *(
            "diagnose",
            "--model",
            "theirs:linen",
            "--batch",
            "xy.npz",
            "--html",
            "new/page.html",
            "--figure",
            "x.png",
        )
    )
    assert (code, err) == (0, "")
    assert "first" in out
    assert "theirs:linen: loss " in out
    assert out.splitlines()[-2:] == ["new/page.html", "x.png"]
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    page = read(tmp_path / "new/page.html")
    words = " ".join(page.text)
    assert page.pictures == 3
    for word in ("theirs:linen", "theirs.py:10", "Sites", "Parameters", "first.kernel", "8×20", "16 examples"):
        assert word in words
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new/page.html"]


def test_page_escapes_and_tells_everything(tmp_path):
    def network(params, batch):
        hidden = jax.nn.relu(batch[0] @ params["<w>"])
        return jax.nn.softplus(hidden @ params["v"]).mean()

    params = {"<w>": jax.numpy.ones((3, 4)), "v": jax.numpy.ones((4, 1))}
    diagnosis = jaxact.diagnose((network, params), (jax.numpy.ones((2, 3)),))
    text = diagnosis.save_html(tmp_path / "page.html", title="a & <b>").read_text()
    assert "<w>" not in text
    words = " ".join(read(tmp_path / "page.html").text)
    assert "a & <b>" in words
    assert "part of the loss" in words
    with pytest.raises(jaxact.InputError, match="a folder"):
        diagnosis.save_html(tmp_path)


def test_run(run, no_data, call):
    strict = ("--threshold", "vanishing=1", "--threshold", "exploding=1.000001")
    code, out, err = call("diagnose", run, "--examples", "40", "--json", *strict)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert "healthy" not in [verdict["kind"] for verdict in found["verdicts"]]
    trained = load_trained(run)
    assert trained.optimizer[1][0].count == 8  # Adam's, after two epochs of four steps
    for record in found["parameters"]:
        fresh = 1e-3 * np.prod(record["shape"]) ** 0.5 / record["norm"]  # its first update
        assert 0 < record["update"] < 2 * fresh
        assert record["update"] != pytest.approx(fresh, rel=1e-3)
    assert [site["layer"] for site in found["sites"]] == [
        f"{layer}.kernel" for layer in ("conv1", "conv2", "conv3", "dense1")
    ]
    assert {site["name"] for site in found["sites"]} == {"tanh"}
    assert found["examples"] == 40
    images, _ = sample_batches(load_trained(run), 40)[0]
    assert found["inputs"]["mean"] == pytest.approx(float(images.mean()), rel=1e-4)
    assert float(images.max()) <= 1


def test_updates_are_told_by_their_extremes(capsys):
    records = [ParameterRecord(path, shape, 1.0, 1.0, x) for path, shape, x in (
        ("a.kernel", (2, 3), 0.001), ("a.bias", (3,), 9.0), ("b.kernel", (3, 3), 0.02),
    )]  # fmt: skip
    for some, text in ((records, "next update by weights: from 0.001 (a.kernel) to 0.02 (b.kernel)\n"), ([], "")):
        _tell_updates(types.SimpleNamespace(parameters=some))
        assert capsys.readouterr().out == text


def test_examples_in_batches_of_one_size(run, no_data, monkeypatch):
    monkeypatch.setattr("jaxact.training.inference._BATCH", 30)
    batches = sample_batches(load_trained(run), 100)
    assert [len(labels) for _, labels in batches] == [25] * 4
    with pytest.raises(jaxact.InputError, match="examples must be from 1 to 200, got 201"):
        sample_batches(load_trained(run), 201)


def test_report_of_a_trained_run(run, no_data, call, tmp_path):
    code, out, err = call("report", run, "--examples", "40", "--out", "report.html")
    assert (code, out, err) == (0, "report.html\n", "")
    page = read(tmp_path / "report.html")
    words = re.sub(r"\s+", " ", " ".join(page.text))
    assert page.pictures == 6
    assert {"curves", "diagnosis", "flat", "options"} <= set(page.ids)
    for word in (
        "a <b>, epoch 2",
        "validation accuracy",
        "saturated",
        "-2.99322",
        "learning_rate",
        "0.001",
        "jaxlib",
    ):
        assert word in words, word


def test_report_of_a_starting_run(run, no_data, call, tmp_path):
    started = Run(
        tmp_path / "start", TrainConfig(activation="exp"), DATA.classes, (0.0,) * 3, (0.001,) * 3, (200, 51)
    )
    with started.locked():
        started.create()
    code, out, err = call("report", "start", "--examples", "20")
    assert (code, out, err) == (0, "start/report.html\n", "")
    page = read(tmp_path / "start/report.html")
    words = " ".join(page.text)
    assert "start, epoch 0" in words
    assert "No epoch is done" in words
    assert "must have a bounded slope" in words  # exp is flat nowhere that could be told
    assert "curves" not in page.ids


MODEL, XY = ("--model", "theirs:linen"), ("--batch", "xy.npz")
WRONG = [
    ((), "run folder, or --model"),
    (("nowhere",), "nowhere is not a run folder"),
    (("nowhere", *MODEL, *XY), "run folder, or --model"),
    (MODEL, "go together"),
    (("nowhere", *XY), "go together"),
    (("nowhere", "--examples", "0"), "--examples must be at least 1"),
    (("nowhere", "--threshold", "deed=0.1"), "--threshold must be NAME=VALUE with a name of dead, firing,"),
    (("nowhere", "--threshold", "dead"), "--threshold dead must be a number, as in dead=0.5, got ''"),
    (("nowhere", "--threshold", "dead=most"), "--threshold dead must be a number"),
    (("nowhere", "--threshold", "input=9", "--threshold", "dead=2"), "--threshold dead must be a share"),
    (("nowhere", "--threshold", "input=nan"), "--threshold input must be a factor"),
    ((*MODEL, *XY, "--figure", "x.bmp"), ".png, .svg or .pdf"),
    ((*MODEL, *XY, "--html", "."), "--html must name a file"),
    (("--model", "theirs", *XY), "package.module:factory, got 'theirs'"),
    (("--model", "theirs:li nen", *XY), "package.module:factory"),
    (("--model", "absent.module:f", *XY), "absent.module cannot be imported (ModuleNotFoundError"),
    (("--model", "faulty:f", *XY), "nothing_of_that_name"),
    (("--model", "theirs:nobody", *XY), "theirs has no nobody"),
    (("--model", "theirs:text", *XY), "must be a function without arguments"),
    (("--model", "theirs:needs", *XY), "needs() failed (TypeError"),
    (("--model", "theirs:broken", *XY), "no weights here"),
    ((*MODEL, "--batch", "absent.npz"), "there is no file absent.npz"),
    ((*MODEL, "--batch", "text.npz"), "no .npz file"),
    ((*MODEL, "--batch", "objects.npz"), "no .npz file"),
    ((*MODEL, "--batch", "alone.npy"), "no .npz file"),
    ((*MODEL, "--batch", "."), "no .npz file"),
    ((*MODEL, "--batch", "other.npz"), "x and y, or inputs and labels, got images"),
    ((*MODEL, "--batch", "uneven.npz"), "x [16, 8], y [3]"),
    ((*MODEL, "--batch", "wide.npz"), "cannot be run on the batch"),
]


@pytest.mark.parametrize(("args", "words"), WRONG, ids=str)
def test_mistake_is_one_line(args, words, call):
    code, out, err = call("diagnose", *args)
    assert (code, out) == (2, "")
    assert err.startswith("jaxact: ")
    assert err.count("\n") == 1
    assert words in err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "required"),
        (("nowhere", "--threshold", "dead=2"), "--threshold dead must be a share"),
        (("nowhere",), "not a run folder"),
        (("nowhere", "--out", "."), "must name a file"),
    ],
)
def test_mistakes_with_reports(args, words, call):
    code, out, err = call("report", *args)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert words in err
