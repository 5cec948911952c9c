"""Laws of sweeps: each network is the one that is trained alone, whatever is trained beside it, and where."""

import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from test_resume import KilledError, at_call, half_a_save, kill
from toy import toy

import jaxact
from jaxact import InputError, plotting
from jaxact.cli import main
from jaxact.cli.sweep import Sweep, _split
from jaxact.training import Interrupted, SweepConfig, TrainConfig, fit, run_sweep, summarize, sweep
from jaxact.training.config import SharedOptions, make_optimizer, names_of
from jaxact.training.devices import MODEL, make_mesh
from jaxact.training.programs import Data
from jaxact.training.sweep_config import find_gains, initial_model
from jaxact.training.sweep_folder import SweepFolder
from jaxact.training.sweep_group import _group_programs as kept
from jaxact.training.sweep_group import deal, group_programs
from jaxact.training.sweep_summary import fate

pytestmark = pytest.mark.usefixtures("training_compiled_fast")

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")
ONE = TrainConfig(epochs=2, batch_size=32, pixels="unit", augment=True)  # seven steps an epoch
TOY = SweepConfig(["tanh"], seeds=[3, 0], learning_rates=[1e-3, 3e-3], initializers=["gain"], train=ONE)
ALL = 4 * 2 * 7  # networks, epochs, steps


def timeless(rows):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def written(folder):
    text = (folder / "results.jsonl").read_text()
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def data():
    return toy()


@pytest.fixture(scope="module")
def straight(data, tmp_path_factory):
    """The sweep that nothing interrupts."""
    reported = []
    config = dataclasses.replace(TOY, out=tmp_path_factory.mktemp("sweep") / "straight")
    result = run_sweep(config, dataset=data, report=reported.append)
    assert reported == result.rows == written(result.folder)
    return result


# --- the networks -----------------------------------------------------------------------------------------


def test_each_network_is_the_one_that_is_trained_alone(data):
    """To the bit, where the networks take turns."""
    config = SweepConfig(["relu"], seeds=2, learning_rates=[1e-3, 1e-2], train=ONE)
    rows = run_sweep(config, dataset=data).rows
    assert len(rows) == 8
    for seed, rate in ((0, 1e-3), (1, 1e-2)):
        alone = fit(dataclasses.replace(ONE, activation="relu", seed=seed, learning_rate=rate), dataset=data)
        mine = [row for row in rows if (row["seed"], row["learning_rate"]) == (seed, rate)]
        for a, b in zip(mine, alone.history, strict=True):
            assert {key: a[key] for key in METRICS} == {key: b[key] for key in METRICS}


CHANGES = {  # what may not change a row
    "groups of one": {"group": 1},
    "groups of three": {"group": 3},
    "another order of the seeds": {"seeds": [0, 3]},
}


@pytest.mark.parametrize("what", CHANGES)
def test_company_changes_nothing(what, straight, data):
    rows = run_sweep(dataclasses.replace(TOY, **CHANGES[what]), dataset=data).rows

    def key(row):
        return [row[name] for name in ("learning_rate", "seed", "epoch")]

    assert sorted(timeless(rows), key=key) == sorted(timeless(straight.rows), key=key)


def test_programs_are_shared_by_sweeps_that_compile_the_same(straight, data):
    before = kept.cache_info().hits
    one = dataclasses.replace(TOY, seeds=[7], group=4, learning_rates=[1e-2], initializers=["glorot_uniform"])
    run_sweep(one, dataset=data)
    again = run_sweep(TOY, dataset=data)
    assert timeless(again.rows) == timeless(straight.rows)
    assert kept.cache_info().hits > before
    about = Data("toy", 10, 200, 50, (0.0,) * 3, (1.0,) * 3)
    mesh = make_mesh(1, axis=MODEL)

    def programs(config, label="tanh", size=2):
        return group_programs(config, label, about, mesh, size)

    first = programs(TOY)
    assert programs(dataclasses.replace(TOY, seeds=3, group=1)) is first
    shared = dataclasses.replace(TOY, order="shared")
    assert len({id(programs(c)) for c in (TOY, shared)} | {id(programs(TOY, size=1))}) == 3


def test_labels_may_be_of_any_integer_dtype(straight, data):
    narrow = data._replace(
        train_labels=data.train_labels.astype(np.uint8), test_labels=data.test_labels.astype(np.int64)
    )
    assert timeless(run_sweep(TOY, dataset=narrow).rows) == timeless(straight.rows)


def test_at_once_is_in_turn(straight, data):
    """To rounding, which Adam amplifies."""
    rows = run_sweep(dataclasses.replace(TOY, method="vmap"), dataset=data).rows
    for a, b in zip(rows, straight.rows, strict=True):
        assert [a[key] for key in METRICS] == pytest.approx([b[key] for key in METRICS], rel=2e-2, abs=0.03)
    first, alone = ([row["loss"] for row in found if row["epoch"] == 1] for found in (rows, straight.rows))
    np.testing.assert_allclose(first, alone, rtol=1e-4)


@pytest.mark.parametrize("method", ["map", "vmap"])
def test_shared_order(method, straight, data):
    """The network of the first seed is what it was; the others have its batches."""
    rows = run_sweep(dataclasses.replace(TOY, order="shared", method=method), dataset=data).rows
    for a, b in zip(rows, straight.rows, strict=True):
        if a["epoch"] == 1:
            same = a["loss"] == pytest.approx(b["loss"], rel=1e-4)
            assert same == (a["seed"] == 3)


@pytest.mark.parametrize("count", [1, 3, 4, 9])
@pytest.mark.parametrize("devices", [1, 2, 4])
def test_every_network_has_a_place_of_its_own(count, devices):
    size = -(-9 // devices)
    counts, places = deal(count, devices, size)
    assert counts.sum() == count == len(set(places))
    assert counts.max() - counts.min() <= 1
    assert [((places // size) == device).sum() for device in range(devices)] == counts.tolist()
    assert (places % size < counts[places // size]).all()  # a device computes its first places


PROCESS = """
import dataclasses, json, sys
import jax
jax.config.update("jax_num_cpu_devices", 4)
sys.path.insert(0, sys.argv[1])
from test_sweep import TOY, timeless
from toy import toy
from jaxact.training import run_sweep
assert jax.device_count() == 4
for devices in (None, 3, 1):
    config = dataclasses.replace(TOY, devices=devices)
    result = run_sweep(config, dataset=toy(), note=lambda line: print(line, file=sys.stderr))
    print(json.dumps(timeless(result.rows)))
"""


def test_several_devices_are_one_to_the_bit(straight):
    """In a process of as many threads; where there are fewer, sums of XLA's products are split in another way."""
    command = [sys.executable, "-c", PROCESS, str(Path(__file__).parent)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    for devices, line in zip((4, 3, 1), run.stderr.splitlines(), strict=True):
        assert line.startswith(f"tanh: 4 networks in groups of 4, devices: {devices}, memory: 0.")
    four, three, one = (json.loads(line) for line in run.stdout.splitlines())
    assert four == one
    assert three == one
    for a, b in zip(one, straight.rows, strict=True):
        if a["epoch"] == 1:
            assert [a[key] for key in METRICS] == pytest.approx([b[key] for key in METRICS], rel=1e-4)


def test_one_that_diverges_disturbs_no_other(data):
    """It says so from its epoch on, and its group goes on."""
    well, ill = (
        run_sweep(SweepConfig(["relu"], seeds=2, learning_rates=rates, train=ONE), dataset=data).rows
        for rates in ([1e-3, 1e-2], [1e-3, 1e6])
    )
    bad = [row for row in ill if row["learning_rate"] == 1e6]
    assert [row["diverged"] for row in bad] == [True] * 4
    assert all(row[key] is None for row in bad for key in METRICS)
    good = [[row for row in timeless(rows) if row["learning_rate"] == 1e-3] for rows in (well, ill)]
    assert good[0] == good[1]
    assert not any(row["diverged"] for row in good[0])
    last = summarize(ill)[-1]
    assert (last.setting.learning_rate, last.networks, last.diverged) == (1e6, 2, 2)
    assert np.isnan(last.last("val_loss")).all()


@pytest.mark.parametrize("schedule", ["constant", "cosine", "warmup_cosine", "linear", "exponential"])
def test_a_traced_learning_rate_is_a_given_one(schedule):
    config = TrainConfig(schedule=schedule, learning_rate=0.03, optimizer="adamw", weight_decay=0.1)
    params = {"w": jnp.linspace(-1, 1, 5)}

    def update(rate):
        optimizer = make_optimizer(config, 40, learning_rate=rate)
        state = optax.tree.set(optimizer.init(params), count=jnp.int32(17))
        return optimizer.update({"w": jnp.ones(5)}, state, params)[0]["w"]

    np.testing.assert_allclose(jax.jit(update)(jnp.float32(0.03)), update(None), rtol=1e-6)


def test_gains(data):
    """The first kernel, which sees pixels, stays as it is; the variance of the others is gain² / fan-in."""
    possible, remarks = find_gains(SweepConfig(["gelu", "log1mexp"], initializers=["glorot_uniform", "gain"]))
    assert list(possible["gelu"]) == ["glorot_uniform", "gain"]
    assert list(possible["log1mexp"]) == ["glorot_uniform"]
    (remark,) = remarks
    assert remark.startswith("log1mexp has no gain (")
    plain, other = (initial_model(TrainConfig(activation="gelu"), 10, init) for init in possible["gelu"].values())
    np.testing.assert_array_equal(plain.conv1.kernel[...], other.conv1.kernel[...])
    for layer in (other.conv2, other.conv3, other.dense1):
        kernel = layer.kernel[...]
        fan_in = kernel.size // kernel.shape[-1]
        assert kernel.std() * fan_in**0.5 == pytest.approx(jaxact.gain(jaxact.gelu), rel=0.05)
    with pytest.raises(InputError, match=r"log1mexp has no gain .*; give it --initializers glorot_uniform"):
        find_gains(SweepConfig(["log1mexp"], initializers=["gain"]))


def test_groups_are_sized_to_fit(straight, data, monkeypatch):
    """Into half of what is free; the number that was asked for is taken all the same."""
    lines = []
    run_sweep(dataclasses.replace(TOY, group=4), dataset=data, note=lines.append)
    needed = float(lines[0].split("memory: ")[1].split()[0]) * 1e9
    monkeypatch.setattr(sweep, "free_memory", lambda: int(1.8 * needed))
    rows = run_sweep(TOY, dataset=data, note=lines.append).rows
    run_sweep(dataclasses.replace(TOY, group=4), dataset=data, note=lines.append)
    sizes = [int(line.split("groups of ")[1].split(",")[0]) for line in lines]
    assert (sizes[0], sizes[2]) == (4, 4)
    assert sizes[1] < 4
    assert lines[1].endswith(f" of {1.8 * needed / 1e9:.1f} GB free")
    assert sorted(map(str, timeless(rows))) == sorted(map(str, timeless(straight.rows)))


# --- interruptions ----------------------------------------------------------------------------------------


def at_step(monkeypatch, number, act):
    """Acts when so many steps of all networks are done."""

    class Bar(sweep.tqdm):
        def update(self, n=1):
            before = sum(done)
            done.append(n)
            if before < number <= before + n:
                act()
            return super().update(n)

    done = []
    monkeypatch.setattr(sweep, "tqdm", Bar)
    return done


def interrupt():
    os.kill(os.getpid(), signal.SIGTERM)


def in_writing(number):
    return lambda m: at_call(m, SweepFolder, "write_rows", number, lambda *_: kill())


KILLS = {  # what happens -> how, steps of all networks that need not be done again
    "in the first epoch": (lambda m: at_step(m, 3, kill), 0),
    "in the second epoch": (lambda m: at_step(m, 16, kill), 14),
    "in the second group": (lambda m: at_step(m, 45, kill), 42),
    "in a save": (lambda m: at_call(m, ocp.CheckpointManager, "save", 1, half_a_save), 0),
    "before the first rows": (in_writing(2), 14),
    "before the last rows of a group": (in_writing(3), 14),
    "before a group is forgotten": (lambda m: at_call(m, SweepFolder, "forget", 1, lambda *_: kill()), 28),
    "in drawing": (lambda m: at_call(m, sweep, "write_summary", 1, lambda *_: kill()), 56),
    "by a signal at once": (lambda m: at_call(m, sweep, "group_programs", 1, lambda *_: interrupt()), 0),
    "by a signal in an epoch": (lambda m: at_step(m, 3, interrupt), 8),
    "by a signal between groups": (lambda m: at_step(m, 28, interrupt), 28),
}


@pytest.fixture(scope="module")
def in_pairs(data, tmp_path_factory):
    config = dataclasses.replace(TOY, group=2, out=tmp_path_factory.mktemp("sweep") / "pairs")
    return run_sweep(config, dataset=data)


@pytest.mark.parametrize("what", KILLS)
def test_resumed_does_what_is_missing(what, in_pairs, data, tmp_path, monkeypatch):
    prepare, kept = KILLS[what]
    with monkeypatch.context() as patch:
        prepare(patch)
        with pytest.raises((KilledError, Interrupted)):
            run_sweep(dataclasses.replace(TOY, group=2, out=tmp_path), dataset=data)
    if (tmp_path / "results.jsonl").exists():
        left = written(tmp_path)
        assert timeless(left) == timeless(in_pairs.rows[: len(left)])
    with monkeypatch.context() as patch:
        done = at_step(patch, -1, kill)
        result = run_sweep(resume=tmp_path, dataset=data)
    assert timeless(result.rows) == timeless(in_pairs.rows)
    assert result.rows == written(tmp_path)
    assert sum(done) == ALL - kept
    names = {path.name for path in in_pairs.folder.iterdir()}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert names == {"lock", "sweep.json", "results.jsonl", "summary.csv", "summary.png", "checkpoints"}
    assert not list((tmp_path / "checkpoints").iterdir())


REFUSED = {
    "other seeds": ({"seeds": 5}, "seeds .* cannot be changed in a resumed sweep"),
    "another method": ({"method": "vmap"}, "method vmap cannot be changed in a resumed sweep, which has auto"),
    "more epochs": ({"train": dataclasses.replace(ONE, epochs=3)}, "epochs 3 cannot be changed"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_other_options_are_refused(what, straight, data):
    options, words = REFUSED[what]
    before = {path: path.read_bytes() for path in straight.folder.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=words):
        run_sweep(dataclasses.replace(TOY, **options), resume=straight.folder, dataset=data)
    with pytest.raises(InputError, match="holds a sweep already; go on with `jaxact sweep --resume"):
        run_sweep(dataclasses.replace(TOY, out=straight.folder), dataset=data)
    with pytest.raises(InputError, match="was trained on other images, the data set has 100"):
        run_sweep(resume=straight.folder, dataset=toy(100))
    assert before == {path: path.read_bytes() for path in straight.folder.rglob("*") if path.is_file()}


def test_damaged_results(data, tmp_path):
    (tmp_path / "results.jsonl").write_text('{"activation": "tanh"')
    with pytest.raises(InputError, match=r"results.jsonl is damaged in line 1; delete that line"):
        run_sweep(dataclasses.replace(TOY, out=tmp_path), dataset=data)
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(InputError, match=r"sweep.json cannot be read"):
        run_sweep(resume=tmp_path, dataset=data)


def test_a_lost_line_costs_its_group_alone(in_pairs, data, tmp_path, monkeypatch):
    """The rows of later groups stay, also in the file while the first is trained again."""
    shutil.copytree(in_pairs.folder, tmp_path / "sweep")
    path = tmp_path / "sweep" / "results.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    with monkeypatch.context() as patch:
        at_step(patch, 16, interrupt)
        with pytest.raises(Interrupted):
            run_sweep(resume=path.parent, dataset=data)
    assert len(written(path.parent)) == 2 + 4
    with monkeypatch.context() as patch:
        done = at_step(patch, -1, kill)
        assert timeless(run_sweep(resume=path.parent, dataset=data).rows) == timeless(in_pairs.rows)
    assert 0 < sum(done) < 14


# --- options ----------------------------------------------------------------------------------------------

WRONG = [  # options, words of the message
    ({"activations": "relu"}, ["activations must be a list", "'relu'"]),
    ({"activations": []}, ["activations must be a list of at least one"]),
    ({"activations": ["rleu"]}, ["'rleu'", "did you mean relu"]),
    ({"seeds": 0}, ["seeds must be a number from 1", "got 0"]),
    ({"seeds": True}, ["seeds", "True"]),
    ({"seeds": [-1]}, ["seed must be a whole number", "got -1"]),
    ({"learning_rates": 1e-3}, ["learning_rates must be a list", "0.001"]),
    ({"learning_rates": [0.0]}, ["learning_rate must be a number", "got 0"]),
    ({"initializers": ["he"]}, ["initializers 'he' is unknown", "glorot_uniform, gain"]),
    ({"order": "random"}, ["order 'random' is unknown", "seed, shared"]),
    ({"method": "scan"}, ["method 'scan' is unknown"]),
    ({"group": 0}, ["group must be a whole number from 1", "got 0"]),
    ({"devices": 1.5}, ["devices must be a whole number", "1.5"]),
    ({"out": 3}, ["out must be text"]),
    ({"train": None}, ["train must be a TrainConfig"]),
    ({"train": TrainConfig(seed=1)}, ["train.seed must keep its default, got 1"]),
    ({"train": TrainConfig(out="x")}, ["train.out must keep its default"]),
]


@pytest.mark.parametrize(("options", "words"), WRONG, ids=str)
def test_wrong_option_is_one_line(options, words):
    with pytest.raises(InputError) as caught:
        SweepConfig(**options)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_more_devices_than_there_are(data):
    with pytest.raises(
        InputError, match=f"devices must be from 1 to {jax.device_count()}, which JAX sees, got 99"
    ):
        run_sweep(dataclasses.replace(TOY, devices=99), dataset=data)


def test_config_is_what_its_dict_says():
    config = SweepConfig(["LeakyReLU(negative_slope=0.2)", "relu", "ReLU"], seeds=2, learning_rates=[1, 1.0])
    assert list(config.functions()) == ["leaky_relu(negative_slope=0.2)", "relu"]
    assert (config.seeds, config.learning_rates) == ((0, 1), (1.0,))
    again = SweepConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again.to_dict() == config.to_dict()
    assert len(SweepConfig("all").functions()) == len(jaxact.ACTIVATIONS)


# --- the summary ------------------------------------------------------------------------------------------


def test_summary(straight):
    summaries = summarize(straight.rows)
    with (straight.folder / "summary.csv").open() as file:
        table = list(csv.DictReader(file))
    for summary, line in zip(summaries, table, strict=True):
        rate = summary.setting.learning_rate
        for key in METRICS:
            values = [row[key] for row in straight.rows if row["learning_rate"] == rate and row["epoch"] == 2]
            expected = np.mean(values), np.std(values, ddof=1)
            np.testing.assert_allclose(summary.last(key), expected, rtol=1e-12)
            assert (float(line[f"{key}_mean"]), float(line[f"{key}_std"])) == summary.last(key)
        assert (line["activation"], float(line["learning_rate"]), line["networks"]) == ("tanh", rate, "2")
    ranked = [summary.last("val_accuracy")[0] for summary in summaries]
    assert ranked == sorted(ranked, reverse=True)
    assert (straight.folder / "summary.png").read_bytes().startswith(b"\x89PNG")


FATES = [  # accuracies while training, validation accuracies, what that is
    ((0.2, 0.4), (0.3, 0.5), "trains"),
    ((0.13,), (0.23,), "slow"),  # the mean over its first epoch looks like a guess
    ((0.15, 0.16), (0.4, 0.2), "slow"),
    ((0.1, 0.11), (0.1, 0.1), "stuck"),
    ((0.4, 0.1), (0.5, 0.1), "dies"),
    ((0.4, None), (0.5, None), "diverges"),
]


@pytest.mark.parametrize(("training", "validation", "expected"), FATES)
def test_fate(training, validation, expected):
    history = [
        {"accuracy": a, "val_accuracy": b, "diverged": a is None}
        for a, b in zip(training, validation, strict=True)
    ]
    assert fate(history, 0.1) == expected


def test_the_figure_colours_the_best():
    x = np.linspace(0, 1, 4)
    bands = [plotting.Band(f"f{i}", 2 - x, 0.1 * x, x / (i + 1), 0.1 * x) for i in range(11)]
    bands[9].loss[0] = 1e6
    figure = plotting.sweep_figure(bands, title="title")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*(f"f{i}" for i in range(7)), "4 more"]
    loss, accuracy = figure.axes
    assert len(accuracy.lines) == 11
    assert loss.get_ylim()[1] < 10


# --- the command ------------------------------------------------------------------------------------------

COMMAND = ["sweep", "--activations", "leaky_relu(negative_slope=0.2)", "--seeds", "2", "--epochs", "1"]
COMMAND += ["--batch-size", "512", "--pixels", "unit"]


def test_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*COMMAND, "--json"]) == 0
    folder = tmp_path / "runs" / "digits-sweep-1"
    out, err = capsys.readouterr()
    assert err == ""
    assert [json.loads(line) for line in out.splitlines()] == written(folder)
    assert main(["sweep", "--resume", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = [line.split() for line in out.splitlines() if line.strip(" ─-")]
    assert " ".join(lines[0]) == "mean ± standard deviation over seeds after 1 epoch"
    columns = "rank activation initializer learning_rate networks val_accuracy val_loss accuracy"
    assert lines[1] == columns.split()
    assert lines[2][:5] == ["1", "leaky_relu(negative_slope=0.2)", "glorot_uniform", "0.001", "2"]
    assert lines[3] == ["folder", "of", "the", "sweep:", str(folder)]


def test_interrupted_command(tmp_path, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        at_step(patch, 1, interrupt)
        assert main([*COMMAND, "--epochs", "2", "--quiet", "--out", str(tmp_path / "a sweep")]) == 130
    out, err = capsys.readouterr()
    resume = f"jaxact sweep --resume '{tmp_path}/a sweep'"
    assert (out, err) == ("", f"jaxact: interrupted; all is saved, go on with: {resume}\n")
    assert main(["sweep", "--resume", str(tmp_path / "a sweep"), "--quiet"]) == 0
    assert len(written(tmp_path / "a sweep")) == 4


def test_command_in_which_all_diverge(tmp_path, capsys):
    assert main([*COMMAND, "--learning-rates", "1e6", "--out", str(tmp_path), "--quiet"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "jaxact: all networks diverged; try smaller --learning-rates, or --pixels unit\n"
    assert [row["diverged"] for row in written(tmp_path)] == [True] * 2


WRONG_COMMANDS = [
    (["--activations", "rleu"], ["'rleu'", "did you mean relu"]),
    (["--seeds", "x"], ["--seeds must be whole numbers with commas between them, got 'x'"]),
    (["--learning-rates", "1e-3,"], ["--learning-rates must be numbers", "'1e-3,'"]),
    (["--initializers", "he"], ["initializers 'he' is unknown"]),
    (["--epochs", "0"], ["epochs must be a whole number"]),
    (["--resume", "nowhere"], ["nowhere is not the folder of a sweep"]),
    (["--dataset", "nonsense"], ["unknown data set 'nonsense'"]),
]


@pytest.mark.parametrize(("args", "words"), WRONG_COMMANDS, ids=lambda value: " ".join(value)[:60])
def test_wrong_command_is_one_line(args, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", *args]) == 2
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert out == ""
    for word in words:
        assert word in line
    assert not list(tmp_path.iterdir())


def test_commas_in_parentheses_separate_nothing():
    assert _split("activations", "relu, elu(alpha=1,x=2),tanh", str) == ["relu", "elu(alpha=1,x=2)", "tanh"]


def test_a_sweep_has_the_options_of_a_run():
    """Those of its networks in common, each with the run's default; the others are lists, or its own."""
    run, here = ({f.name: f.default for f in dataclasses.fields(kind)} for kind in (TrainConfig, Sweep))
    shared = names_of(SharedOptions)
    assert {name: here[name] for name in shared} == {name: run[name] for name in shared}
    assert set(run) - set(here) == {"activation", "learning_rate", "seed", "diagnose", "threshold"}
