"""A run that was interrupted, in whichever way, ends with the bits of the run that was not."""

import dataclasses
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import orbax.checkpoint as ocp
import pytest
from toy import bits, metrics, timeless, toy

from jaxact import InputError
from jaxact.cli import main
from jaxact.training import Interrupted, TrainConfig, fit, load_trained, loop
from jaxact.training.run import Run, load_run

pytestmark = pytest.mark.usefixtures("training_compiled_fast")

TOY = TrainConfig(epochs=3, batch_size=32, pixels="unit", augment=True, activation="tanh")  # seven steps an epoch
STEPS = 7


class KilledError(BaseException):
    """What no handler of the library may catch, as it could not catch SIGKILL."""


@pytest.fixture(scope="module")
def data():
    return toy()


@pytest.fixture(scope="module")
def straight(data, tmp_path_factory):
    """The run that nothing interrupts."""
    return fit(dataclasses.replace(TOY, out=tmp_path_factory.mktemp("run") / "straight"), dataset=data)


@pytest.fixture
def check(straight, data):
    """Resumes a run and compares it with the straight one."""

    def check(folder, **options):
        left = metrics(folder) if (folder / "metrics.jsonl").exists() else []
        assert timeless(left) == timeless(straight.history[: len(left)])
        result = fit(resume=folder, dataset=data, **options)
        assert bits(result.model) == bits(straight.model)
        assert timeless(result.history) == timeless(straight.history)
        assert metrics(folder) == result.history
        assert bits(load_trained(folder).model) == bits(straight.model)
        assert (folder / "curves.png").exists()
        assert not list((folder / "checkpoints").glob("*tmp*"))

    return check


def steps_of(folder):
    return sorted(int(path.name) for path in (folder / "checkpoints").iterdir() if path.name.isdigit())


# --- interruptions ----------------------------------------------------------------------------------------


def at_step(monkeypatch, number, act):
    """Acts when so many steps are done; the loop looks up after each."""

    class Bar(loop.tqdm):
        def update(self, n=1):
            done.append(n)
            if sum(done) == number:
                act()
            return super().update(n)

    done = []
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_UPDATES", 0)
    monkeypatch.setattr(loop, "tqdm", Bar)


def kill():
    raise KilledError


def at_call(monkeypatch, owner, name, number, act):
    """Acts at the call of that number, before it does anything."""

    def wrapped(*args, **kwargs):
        calls.append(1)
        if len(calls) == number:
            act(*args)
        return original(*args, **kwargs)

    calls, original = [], getattr(owner, name)
    monkeypatch.setattr(owner, name, wrapped)


def half_a_save(manager, step, **kwargs):
    folder = Path(manager.directory) / f"{step}.orbax-checkpoint-tmp" / "state"
    folder.mkdir(parents=True)
    (folder / "manifest.ocdbt").write_bytes(b"half")
    raise KilledError


KILLS = {  # what happens -> how, steps of the checkpoints that are left
    "in the first epoch": (lambda m: at_step(m, 3, kill), []),
    "in the second epoch": (lambda m: at_step(m, 10, kill), [7]),
    "in the first save": (lambda m: at_call(m, ocp.CheckpointManager, "save", 1, half_a_save), []),
    "in the second save": (lambda m: at_call(m, ocp.CheckpointManager, "save", 2, half_a_save), [7]),
    "before the metrics are written": (lambda m: at_call(m, Run, "write_metrics", 3, lambda *_: kill()), [7, 14]),
    "in drawing": (lambda m: at_call(m, Run, "draw_curves", 1, lambda *_: kill()), [7, 14, 21]),
}


@pytest.mark.parametrize("what", KILLS)
def test_killed(what, data, check, tmp_path, monkeypatch):
    prepare, left = KILLS[what]
    with monkeypatch.context() as patch:
        prepare(patch)
        with pytest.raises(KilledError):
            fit(dataclasses.replace(TOY, out=tmp_path), dataset=data)
    if left:
        assert steps_of(tmp_path) == left
    check(tmp_path)


@pytest.mark.parametrize(
    ("step", "number"), [(0, signal.SIGTERM), (3, signal.SIGINT), (7, signal.SIGTERM), (10, signal.SIGINT)]
)
def test_signal(step, number, data, check, tmp_path, monkeypatch):
    """The state of the very step is kept, so no work is lost."""

    def send(*_):
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        at_step(patch, step, send)
        with pytest.raises(Interrupted):
            fit(dataclasses.replace(TOY, out=tmp_path), dataset=data, started=None if step else send)
    assert signal.getsignal(number) is before
    assert steps_of(tmp_path)[-1] == step
    assert len(metrics(tmp_path)) == step // STEPS
    taken = []
    with monkeypatch.context() as patch:
        at_step(patch, 1, lambda: taken.append(steps_of(tmp_path)[-1]))
        check(tmp_path)
    assert taken == [step]


def test_interrupted_again_and_again(data, check, tmp_path, monkeypatch):
    config = dataclasses.replace(TOY, out=tmp_path)
    for i, step in enumerate((2, 3, 4, 3, 1)):
        with monkeypatch.context() as patch:
            at_step(patch, step, lambda: os.kill(os.getpid(), signal.SIGTERM))
            with pytest.raises(Interrupted):
                fit(config, resume=tmp_path if i else None, dataset=data)
    assert steps_of(tmp_path) == [9, 12, 13]
    check(tmp_path)


# --- damage -----------------------------------------------------------------------------------------------


def largest(folder):
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def flip(folder):
    path = largest(folder)
    blob = bytearray(path.read_bytes())
    blob[len(blob) // 2] ^= 1
    path.write_bytes(blob)


def empty(folder):
    shutil.rmtree(folder)
    folder.mkdir()


DAMAGE = {
    "flipped": flip,
    "truncated": lambda folder: os.truncate(largest(folder), largest(folder).stat().st_size // 2),
    "deleted": lambda folder: largest(folder).unlink(),
    "emptied": empty,
    "record": lambda folder: (folder / "record" / "metadata").write_text("{"),
    "record of another": lambda folder: (folder / "record" / "metadata").write_text(
        '{"digest": "", "history": []}'
    ),
    "manifest": lambda folder: (folder / "state" / "manifest.ocdbt").unlink(),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damaged_newest_falls_back(what, straight, check, tmp_path, capfd):
    folder = tmp_path / "run"
    shutil.copytree(straight.folder, folder)
    DAMAGE[what](folder / "checkpoints" / "21")
    assert load_trained(folder).epoch == 2
    assert steps_of(folder) == [7, 14, 21]  # who only reads changes nothing
    capfd.readouterr()
    check(folder)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"jaxact: checkpoint {folder}/checkpoints/21 is damaged (")
    assert line.endswith("); taking the one before")
    assert steps_of(folder) == [7, 14, 21]


def test_all_damaged_changes_nothing(straight, data, tmp_path, capfd):
    folder = tmp_path / "run"
    shutil.copytree(straight.folder, folder)
    steps = steps_of(folder)
    for step in steps:
        flip(folder / "checkpoints" / str(step))
    metrics = (folder / "metrics.jsonl").read_bytes()
    for use in (load_trained, lambda folder: fit(resume=folder, dataset=data)):
        with pytest.raises(InputError, match="no other is left; nothing was changed"):
            use(folder)
        assert len(capfd.readouterr().err.splitlines()) == len(steps) - 1
    assert (folder / "metrics.jsonl").read_bytes() == metrics
    assert steps_of(folder) == steps


def test_one_process_a_folder(straight, data, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(straight.folder, folder)
    with load_run(folder).locked(), pytest.raises(InputError, match="another process is training in"):
        fit(resume=folder, dataset=data)
    fit(resume=folder, dataset=data)  # the lock is gone


@pytest.mark.parametrize("limit", [1_000, 200_000])
def test_full_disk(limit, data, check, tmp_path, capfd):
    """A limit on the size of files stands for it: every write above it fails."""

    def fill(*_):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OSError, match=r"File too large|cannot save") as caught:
            fit(dataclasses.replace(TOY, out=tmp_path), dataset=data, report=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""
    assert load_trained(tmp_path).epoch == 1
    check(tmp_path)


# --- options of a resumed run -----------------------------------------------------------------------------


def test_finished_run_stays(straight, data, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(straight.folder, folder)
    result = fit(resume=folder, dataset=data, report=lambda row: pytest.fail("trained again"))
    assert result.history == straight.history
    assert bits(result.model) == bits(straight.model)
    assert {p.name for p in folder.iterdir()} == {p.name for p in straight.folder.iterdir()}


def test_more_epochs_extend(straight, data, tmp_path, monkeypatch):
    """Also where the longer run is interrupted: its length is kept."""
    short, long = tmp_path / "short", dataclasses.replace(TOY, epochs=4)
    shutil.copytree(straight.folder, short)
    with monkeypatch.context() as patch:
        at_step(patch, 2, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(Interrupted):
            fit(long, resume=short, dataset=data)
    extended, expected = fit(resume=short, dataset=data), fit(long, dataset=data)
    assert bits(extended.model) == bits(expected.model)
    assert timeless(extended.history) == timeless(expected.history)
    assert json.loads((short / "config.json").read_text())["options"]["epochs"] == 4
    assert load_trained(short).epoch == 4


REFUSED = [
    ({"epochs": 2}, "--epochs 2 cannot replace 3"),
    ({"batch_size": 16}, "--batch-size 16 cannot be changed in a resumed run, which has 32"),
    ({"activation": "relu"}, "--activation relu cannot be changed in a resumed run, which has tanh"),
    ({"learning_rate": 0.01}, "--learning-rate 0.01"),
    ({"seed": 1}, "--seed 1"),
    ({"augment": False}, "--augment False"),
    ({"out": "elsewhere"}, "--out elsewhere cannot be changed"),
]


@pytest.mark.parametrize(("options", "words"), REFUSED, ids=str)
def test_other_options_are_refused(options, words, straight, data):
    with pytest.raises(InputError, match=words):
        fit(dataclasses.replace(TOY, **options), resume=straight.folder, dataset=data)


def test_schedule_fixes_the_length(data, tmp_path):
    config = dataclasses.replace(TOY, epochs=1, schedule="cosine", out=tmp_path)
    with pytest.raises(KilledError):
        fit(config, dataset=data, started=lambda _: kill())
    with pytest.raises(InputError, match="only without --schedule"):
        fit(dataclasses.replace(config, epochs=2), resume=tmp_path, dataset=data)


def test_other_data_are_refused(straight):
    with pytest.raises(InputError, match="was trained on 200 images, the data set has 100"):
        fit(resume=straight.folder, dataset=toy(100))


# --- processes --------------------------------------------------------------------------------------------

DIGITS = ["--epochs", "3", "--batch-size", "32", "--pixels", "unit", "--activation", "tanh"]  # 45 steps an epoch


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits") / "straight"
    assert main(["train", *DIGITS, "--out", str(folder), "--quiet"]) == 0
    return folder


def start(*args):
    command = [sys.executable, "-m", "jaxact", "train", *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(process, condition):
    """Waits until a condition holds; says whether it did before the process ended."""
    while not condition():
        if process.poll() is not None:
            return False
        time.sleep(0.001)
    return True


def same_as(folder, digits):
    assert timeless(metrics(folder)) == timeless(metrics(digits))
    assert bits(load_trained(folder).model) == bits(load_trained(digits).model)


def test_kill_9(digits, tmp_path):
    """Three times: at a random moment of the first epochs, and twice as soon as a save has begun."""
    folder = tmp_path / "run"

    def saving():
        return list((folder / "checkpoints").glob("*tmp*"))

    options = [*DIGITS, "--out", str(folder)]
    somewhere = random.Random().uniform(0, 0.5)
    for condition, delay in (((folder / "checkpoints").exists, somewhere), (saving, 0), (saving, 0.005)):
        process = start(*options)
        if wait_for(process, condition):
            time.sleep(delay)
        process.kill()
        assert "Traceback" not in process.communicate()[1]
        metrics(folder) if (folder / "metrics.jsonl").exists() else None
        options = ["--resume", str(folder)]
    assert main(["train", "--resume", str(folder), "--quiet"]) == 0
    same_as(folder, digits)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_to_the_command(number, digits, tmp_path):
    folder = tmp_path / "a run"
    process = start(*DIGITS, "--out", str(folder))
    assert wait_for(process, lambda: (folder / "metrics.jsonl").exists() and metrics(folder))
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == 130
    assert err == f"jaxact: interrupted; all is saved, go on with: jaxact train --resume '{folder}'\n"
    assert "epoch   1  loss" in out
    assert steps_of(folder)[-1] >= 45
    assert main(["train", "--resume", str(folder), "--quiet"]) == 0
    same_as(folder, digits)
