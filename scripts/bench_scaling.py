"""How the cost of a training step grows with the batch, with the networks of a sweep, and with the devices.

Times LeNet-5 on random images, in float32: one network whose batch the devices share, and networks of a sweep that
are spread over the devices, each with whole batches. One model says it of both:

    seconds of a step = (fixed + image * images + sum * (devices - 1) / devices) * networks

with the images and the networks of the most loaded device. It is fitted to one network alone: what a step costs
without any image (the optimizer, mostly), an image, and the sum of the gradients, which a sweep does not need; so
what it says of sweeps it foretells. Every device has one thread. Devices beyond the cores share them, which the
model does not know: there it says what as many cores would do. Nor does it know of caches and of shared memory.
Run it as: python scripts/bench_scaling.py --out scaling.json --figure scaling.png
"""

import dataclasses
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from flax import nnx
from jax.sharding import PartitionSpec as P
from matplotlib.figure import Figure

import jaxact
from jaxact import plotting
from jaxact.cli import ended
from jaxact.cli.output import print_table
from jaxact.training import SweepConfig, TrainConfig
from jaxact.training import sweep_group as groups
from jaxact.training.config import make_optimizer
from jaxact.training.devices import DATA, MODEL, make_mesh, put, replicate
from jaxact.training.lenet import build_model
from jaxact.training.programs import Data
from jaxact.training.step import Pixels, initial_state, make_programs

SWEEP_BATCH = 64  # images in a step of each network of a sweep


class Size(NamedTuple):
    """What is timed: a step of so many networks; with ``share`` the devices share the batch of one."""

    devices: int
    batch: int
    networks: int
    share: bool

    def terms(self) -> list[float]:
        """What the coefficients are multiplied by."""
        most, others = -(-self.networks // self.devices), (self.devices - 1) / self.devices
        images, total = (self.batch / self.devices, others) if self.share else (self.batch, 0)
        return [most, most * images, most * total]


def make_step(size: Size, steps: int) -> Callable[[], None]:
    """A function that takes so many steps."""
    rng, images, zero = np.random.default_rng(0), 8 * size.batch, np.zeros(3, np.float32)
    x, y = rng.integers(0, 256, (images, 32, 32, 3), np.uint8), rng.integers(0, 10, images, np.int32)
    options, pixels = TrainConfig(batch_size=size.batch), Pixels(jnp.asarray(zero), jnp.asarray(zero + 1 / 255))
    mesh = make_mesh(size.devices, axis=DATA if size.share else MODEL)
    data = replicate((x, y), mesh)
    if size.share:
        graphdef, params = nnx.split(build_model(options, 10), nnx.Param)
        optimizer = make_optimizer(options, 1000)
        made = make_programs(graphdef, optimizer, pixels, mesh=mesh, images=images, batch_size=size.batch)
        state = replicate(initial_state(params, optimizer, jax.random.key(0)), mesh)
        order = made.order(state)

        def advance(state: Any) -> Any:
            return made.advance(state, *data, order, steps)

    else:
        most = -(-size.networks // size.devices)
        config = SweepConfig(["relu"], seeds=size.networks, train=options)
        networks = config.networks("relu", config.initializers)
        configs = [config.run_config(network) for network in networks]
        host = groups.initial_group(configs, [build_model(one, 10) for one in configs], 8)
        about = Data("", 10, images, images, (0.0,) * 3, (1 / 255,) * 3)
        program = groups.group_programs(config, "relu", about, mesh, most)
        counts, places = groups.deal(size.networks, size.devices, most)
        state = groups.place(host, places, most, mesh)
        given = put((counts, np.full(most * size.devices, 1e-3, np.float32)), P(MODEL), mesh)
        key, number = replicate((np.zeros(2, np.uint32), np.int32(steps)), mesh)
        orders = program.order(state, key)

        def advance(state: Any) -> Any:
            return program.advance(*given, state, *data, orders, number)

    def step() -> None:
        nonlocal state
        state = jax.block_until_ready(advance(state))

    return step


def measure(sizes: list[Size], steps: int, repeats: int) -> list[float]:
    """Median seconds of a step of each size, timed in turns, in a process with as many devices."""
    programs = [make_step(size, steps) for size in sizes]
    times: list[list[float]] = [[] for _ in sizes]
    for turn in range(repeats + 1):
        for program, found in zip(programs, times, strict=True):
            start = time.perf_counter()
            program()
            if turn:  # the first one compiles
                found.append((time.perf_counter() - start) / steps)
    return [statistics.median(found) for found in times]


@dataclasses.dataclass(frozen=True)
class Bench:
    """Measure and fit the cost of a training step.

    Attributes:
      batches: sizes of the batch of one network.
      networks: numbers of networks of a sweep.
      devices: numbers of CPU devices; each has a process of its own.
      steps: steps in one call.
      repeats: calls of each program, after one that compiles.
      out: file for measurements and model as JSON.
      figure: picture of both.
      worker: what this process measures; used by the script itself.
    """

    batches: tuple[int, ...] = (32, 64, 128, 256, 512, 1024)
    networks: tuple[int, ...] = (1, 2, 4, 8)
    devices: tuple[int, ...] = (1, 2, 4)
    steps: int = 5
    repeats: int = 5
    out: Path | None = None
    figure: Path | None = None
    worker: str | None = None

    def run(self) -> None:
        """Prints the table and the model."""
        if self.worker:
            print(json.dumps(measure([Size(*size) for size in json.loads(self.worker)], self.steps, self.repeats)))
            return
        sizes, seconds = [], np.zeros(0)
        for devices in self.devices:
            here = [Size(devices, batch, 1, share=True) for batch in self.batches]
            here += [Size(devices, SWEEP_BATCH, count, share=False) for count in self.networks]
            sizes, seconds = sizes + here, np.append(seconds, self._of_process(devices, here))
        terms, cores = np.array([size.terms() for size in sizes]), os.cpu_count() or 1
        fit = np.array([size.share and size.devices <= cores for size in sizes])  # by relative errors
        coefficients = np.linalg.lstsq(terms[fit] / seconds[fit, None], np.ones(fit.sum()), rcond=None)[0]
        where = (
            f"{cores} cores of {processor()}, float32, jax {jax.__version__}, jaxact {jaxact.__version__};"
            f" medians of {self.repeats} calls of {self.steps} steps"
        )
        rows, record = [], []
        for size, measured, said in zip(sizes, seconds.tolist(), (terms @ coefficients).tolist(), strict=True):
            what = "one, batch shared" if size.share else f"{size.networks} of a sweep"
            times = f"{measured * 1e3:.2f}", f"{said * 1e3:.2f}", f"{said / measured - 1:+.0%}"
            rows.append((str(size.devices), str(size.batch), what, *times))
            record.append(size._asdict() | {"seconds": measured, "model": said})
        print_table(("devices", "batch", "networks", "ms a step", "model", "off by"), rows, title=where)
        found = dict(zip(("fixed", "image", "sum"), (coefficients * 1e3).tolist(), strict=True))
        print("the model, in ms:", ", ".join(f"{name} {value:.4f}" for name, value in found.items()))
        if self.out:
            self.out.write_text(json.dumps({"where": where, "ms": found, "steps": record}, indent=2) + "\n")
        if self.figure:
            draw(record, where, self.figure)

    def _of_process(self, devices: int, sizes: list[Size]) -> list[float]:
        command = [sys.executable, __file__, "--worker", json.dumps(sizes)]
        command += ["--steps", str(self.steps), "--repeats", str(self.repeats)]
        environment = os.environ | {"JAX_NUM_CPU_DEVICES": str(devices), "PJRT_NPROC": str(devices)}
        return json.loads(subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout)


def processor() -> str:
    """What the processor is called, where the system says it."""
    info = Path("/proc/cpuinfo")
    return [*re.findall(r"model name\s*: (.*)", info.read_text() if info.exists() else ""), platform.machine()][0]


def draw(record: list[dict], where: str, path: Path) -> None:
    """Draws medians and model, over the batch and over the networks."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, share, key in zip(figure.subplots(1, 2), (True, False), ("batch", "networks"), strict=True):
        for i, devices in enumerate(dict.fromkeys(row["devices"] for row in record)):
            rows = [row for row in record if (row["devices"], row["share"]) == (devices, share)]
            x = [row[key] for row in rows]
            axes.loglog(x, [row["seconds"] * 1e3 for row in rows], "o", color=f"C{i}", label=f"{devices}", base=2)
            axes.loglog(x, [row["model"] * 1e3 for row in rows], "-", color=f"C{i}", lw=1, base=2)
        what = "images in a batch that devices share" if share else "networks of a sweep, spread over devices"
        axes.set(xlabel=what, ylabel="ms a step")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.legend(title="devices")
        axes.grid(alpha=0.3)
    figure.suptitle(f"A training step of LeNet-5: points measured, lines the model\n{where}", fontsize=9)
    plotting.save(figure, path)


if __name__ == "__main__":
    sys.exit(ended(lambda: tyro.cli(Bench).run()))
