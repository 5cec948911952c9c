"""Several devices and several processes: what they compute is what one computes."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import numpy as np
import pytest
from toy import metrics

from jaxact import InputError
from jaxact.training import devices

pytestmark = pytest.mark.usefixtures("training_compiled_fast")


def python(code, cpus, **environment):
    """What a program with so many CPU devices prints, as JSON."""
    variables = os.environ | {"JAX_NUM_CPU_DEVICES": str(cpus), "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=variables | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_same_history(found, expected):
    assert len(found) == len(expected)
    for row, due in zip(found, expected, strict=True):
        for measure in ("loss", "val_loss"):
            np.testing.assert_allclose(row[measure], due[measure], rtol=1e-3)
            accuracy = measure.replace("loss", "accuracy")
            np.testing.assert_allclose(row[accuracy], due[accuracy], atol=0.01)


def test_training_on_several_devices_is_training_on_one():
    """Also where neither the batch, nor the images, nor the test images are a multiple of the devices."""
    histories = python(
        """
        import json
        from toy import timeless, toy
        from jaxact.training import TrainConfig, fit
        options = dict(epochs=2, batch_size=44, pixels="unit", augment=True, activation="tanh")
        runs = {"one": 1, "three": 3, "eight": 8, "eight again": 8}
        trained = {name: fit(TrainConfig(devices=n, **options), dataset=toy()) for name, n in runs.items()}
        print(json.dumps({name: timeless(result.history) for name, result in trained.items()}))
        """,
        cpus=8,
    )
    assert_same_history(histories["three"], histories["one"])
    assert_same_history(histories["eight"], histories["one"])
    assert histories["eight again"] == histories["eight"]  # the sum of the gradients has an order


def test_images_that_are_spread_over_devices_are_found():
    result = python(
        """
        import json
        import jax, numpy as np, optax
        from flax import nnx
        from toy import toy
        from jaxact.training.devices import make_mesh, replicate, spread_rows
        from jaxact.training.step import Pixels, initial_state, make_programs
        data, mesh = toy(train=50), make_mesh(4)
        graphdef, params = nnx.split(nnx.Sequential(lambda x: x.mean((1, 2)), nnx.Linear(3, 10, rngs=nnx.Rngs(0))))
        pixels, sums = Pixels(np.zeros(3, "f"), np.full(3, 1 / 255, "f")), []
        for apart in (False, True):
            programs = make_programs(
                graphdef, optax.sgd(0.1), pixels, mesh=mesh, rows_apart=apart, images=50, batch_size=7
            )
            fresh = jax.tree.map(np.array, params)  # what is donated is gone
            state = replicate(initial_state(fresh, optax.sgd(0.1), jax.random.key(0)), mesh)
            images = spread_rows(data.train_images, mesh) if apart else replicate(data.train_images, mesh)
            order, labels = programs.order(state), replicate(data.train_labels, mesh)
            state = programs.advance(state, images, labels, order, 8)
            sums.append([float(state.loss), *map(float, jax.tree.leaves(state.params)[0])])
            assert [len(shard.data) for shard in images.addressable_shards] == [13 if apart else 50] * 4
        print(json.dumps(sums))
        """,
        cpus=4,
    )
    assert result[0] == result[1]


def free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def processes(count, name, *options):
    """The processes of one command, started; whatever happens they end."""
    address = f"localhost:{free_port()}"
    command = [sys.executable, "-m", "jaxact", name, "--devices", "1", "--coordinator", address, *options]
    environment = os.environ | {"JAX_NUM_PROCESSES": str(count)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = [
        subprocess.Popen(command, env=environment | {"JAX_PROCESS_ID": str(i)}, **pipes) for i in range(count)
    ]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def assert_ends_when_another_is_lost(process, other, resume):
    """With one line that says how to go on, and no hang."""
    other.kill()
    message = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "Traceback" not in message
    assert "another process of the run has ended" in message
    assert resume in message


def test_three_processes_are_one_and_the_run_goes_on_when_one_is_lost(tmp_path):
    options = ("--dataset", "digits", "--pixels", "unit", "--batch-size", "480", "--json")
    single, shared = tmp_path / "single", tmp_path / "shared"
    command = [sys.executable, "-m", "jaxact", "train", "--devices", "1", *options]
    subprocess.run([*command, "--epochs", "2", "--out", str(single)], check=True, capture_output=True)

    with processes(3, "train", *options, "--epochs", "2", "--out", str(shared)) as together:
        said = [process.communicate(timeout=240)[0] for process in together]
    assert_same_history(metrics(shared), metrics(single))
    assert [out.count('"val_loss"') for out in said] == [2, 0, 0]  # process 0 speaks and writes

    with processes(2, "train", "--resume", str(shared), "--epochs", "5000", "--json") as (first, other):
        assert json.loads(first.stdout.readline())["epoch"] == 3  # from the checkpoint of three, by two
        assert_ends_when_another_is_lost(first, other, f"jaxact train --resume {shared}")
    assert len(metrics(shared)) >= 3


def test_a_sweep_in_two_processes_is_one_and_goes_on_when_one_is_lost(tmp_path):
    """Three networks, so that one process has two of them."""
    options = ("--dataset", "digits", "--pixels", "unit", "--batch-size", "480", "--json")
    options += ("--activations", "tanh", "--seeds", "3", "--epochs", "3")
    single, shared = tmp_path / "single", tmp_path / "shared"
    command = [sys.executable, "-m", "jaxact", "sweep", "--devices", "1", *options, "--out", str(single)]
    subprocess.run(command, check=True, capture_output=True)

    with processes(2, "sweep", *options, "--out", str(shared)) as (first, other):
        assert json.loads(first.stdout.readline())["epoch"] == 1
        assert_ends_when_another_is_lost(first, other, f"jaxact sweep --resume {shared}")

    with processes(2, "sweep", "--resume", str(shared), "--json") as together:
        said = [process.communicate(timeout=240) for process in together]
    assert [process.returncode for process in together] == [0, 0]
    rows = [json.loads(line) for line in said[0][0].splitlines()]
    assert [row["epoch"] for row in rows] == [2] * 3 + [3] * 3  # from the checkpoint of the first epoch
    assert said[1][0] == ""  # process 0 speaks and writes

    found, expected = (
        [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
        for folder in (shared, single)
    )
    assert found[3:] == rows
    for row, due in zip(found, expected, strict=True):
        assert {**row, "seconds": 0} == {**due, "seconds": 0}  # each network is on one device: the same bits
    assert {path.name for path in shared.iterdir()} == {path.name for path in single.iterdir()}


def test_spreading_rows_fills_up_with_zeros():
    mesh = devices.make_mesh(1)
    rows = np.arange(6, dtype=np.uint8).reshape(3, 2)
    np.testing.assert_array_equal(devices.spread_rows(rows, mesh), rows)
    assert mesh.shape == {"data": 1, "model": 1}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("here",), "coordinator must be HOST:PORT or \"auto\", got 'here'"),
        (("here:80",), "needs processes, and process below that from 0, got None and None"),
        (("here:80", 2, 2), "needs processes, and process below that from 0, got 2 and 2"),
    ],
)
def test_processes_that_cannot_be_joined(arguments, words, monkeypatch):
    for name in ("JAX_NUM_PROCESSES", "JAX_PROCESS_ID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match=words):
        devices.join(*arguments)


@pytest.mark.parametrize(("most", "count"), [(0, 1), (1, 1), (10**6, None), (None, None)])
def test_cores_become_devices(most, count, monkeypatch):
    """A batch of fewer images than a core is worth has one core, not all."""
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
    code = "import os, jax; from jaxact.training.devices import use_cores"
    code += f"; use_cores({most}); print(jax.device_count(), len(os.sched_getaffinity(0)))"
    environment = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    printed = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    found, cores = map(int, printed.stdout.split())
    assert found == (count or cores)


def test_more_devices_than_there_are():
    count = jax.device_count()
    with pytest.raises(InputError, match=f"devices must be from 1 to {count}, which JAX sees, got {count + 1}"):
        devices.make_mesh(count + 1)
