"""How the cost of a training step grows with the batch and with the devices.

Times LeNet-5 on random images, in float32, and fits the model

    seconds of a step = fixed + image * (images of a device) + sum * (devices - 1) / devices

Its three coefficients foretell other sizes: what a step costs without any image (the optimizer, mostly), an
image on one device, and the sum of the gradients over devices. Every device has one thread. Devices beyond the
cores share them, which the model does not know: there it says what as many cores would do. Nor does it know of
caches and of the memory that cores share: large batches cost more. Run it as:
python scripts/bench_scaling.py --out scaling.json --figure scaling.png
"""

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from jaxact.cli.output import print_table


def measure(devices: int, batches: tuple[int, ...], steps: int, repeats: int) -> dict[int, float]:
    """Median seconds of a step at each size of the batch, in a process with so many devices."""
    import jax
    import jax.numpy as jnp
    from flax import nnx

    from jaxact.training import TrainConfig
    from jaxact.training.config import make_optimizer
    from jaxact.training.devices import make_mesh, replicate
    from jaxact.training.lenet import build_model
    from jaxact.training.step import Pixels, initial_state, make_programs

    rng, mesh, config = np.random.default_rng(0), make_mesh(devices), TrainConfig(pixels="unit")
    programs = {}
    for batch in batches:
        images = batch * 8
        x = replicate(rng.integers(0, 256, (images, 32, 32, 3), dtype=np.uint8), mesh)
        y = replicate(rng.integers(0, 10, images, dtype=np.int32), mesh)
        graphdef, params = nnx.split(build_model(config, 10), nnx.Param)
        optimizer = make_optimizer(config, 1000)
        pixels = Pixels(jnp.zeros(3), jnp.full(3, 1 / 255))
        made = make_programs(graphdef, optimizer, pixels, mesh=mesh, images=images, batch_size=batch)
        state = replicate(initial_state(params, optimizer, jax.random.key(0)), mesh)
        programs[batch] = [made.advance, state, x, y, made.order(state)]
    times: dict[int, list[float]] = {batch: [] for batch in batches}
    for turn in range(repeats + 1):
        for batch, program in programs.items():
            advance, state, *rest = program
            start = time.perf_counter()
            program[1] = jax.block_until_ready(advance(state, *rest, steps))
            if turn:  # the first one compiles
                times[batch].append((time.perf_counter() - start) / steps)
    return {batch: statistics.median(values) for batch, values in times.items()}


def fit_model(measured: dict[tuple[int, int], float]) -> tuple[np.ndarray, np.ndarray]:
    """The coefficients of the model, and what it says of each measurement.

    They are by least squares of relative errors, over the measurements in which every device has a core.
    """
    terms = np.array([[1, batch / devices, (devices - 1) / devices] for devices, batch in measured])
    own = np.array([devices <= (os.cpu_count() or 1) for devices, _ in measured])
    seconds = np.array(list(measured.values()))
    coefficients = np.linalg.lstsq(terms[own] / seconds[own, None], np.ones(own.sum()), rcond=None)[0]
    return coefficients, terms @ coefficients


@dataclasses.dataclass(frozen=True)
class Bench:
    """Measure and fit the cost of a training step.

    Attributes:
      batches: sizes of the batch.
      devices: numbers of CPU devices; each has a process of its own.
      steps: steps in one call.
      repeats: calls of each program, after one that compiles.
      out: file for measurements and model as JSON.
      figure: picture of both.
      worker: number of devices that this process measures; used by the script itself.
    """

    batches: tuple[int, ...] = (32, 64, 128, 256, 512, 1024)
    devices: tuple[int, ...] = (1, 2, 4)
    steps: int = 5
    repeats: int = 5
    out: Path | None = None
    figure: Path | None = None
    worker: int | None = None

    def run(self) -> None:
        """Prints the table and the model."""
        if self.worker:
            print(json.dumps(measure(self.worker, self.batches, self.steps, self.repeats)))
            return
        measured: dict[tuple[int, int], float] = {}
        for devices in self.devices:
            for batch, seconds in self._of_process(devices).items():
                measured[devices, int(batch)] = seconds
        coefficients, said = fit_model(measured)
        rows = []
        for ((devices, batch), seconds), model in zip(measured.items(), said, strict=True):
            cells = (f"{seconds * 1e3:.2f}", f"{model * 1e3:.2f}", f"{model / seconds - 1:+.0%}")
            rows.append((str(devices), str(batch), *cells, f"{batch / seconds:,.0f}"))
        title = f"{os.cpu_count()} cores, float32; ms a step"
        print_table(("devices", "batch", "measured", "model", "off by", "images/s"), rows, title=title)
        fixed, image, total = coefficients * 1e3
        print(
            f"a step takes {fixed:.2f} ms, {image:.4f} ms for each image of a device, and {total:.2f} ms times"
            " (devices - 1) / devices for the sum of the gradients"
        )
        record = [
            {"devices": devices, "batch": batch, "seconds": seconds, "model": float(model)}
            for ((devices, batch), seconds), model in zip(measured.items(), said, strict=True)
        ]
        if self.out:
            self.out.write_text(
                json.dumps({"coefficients_ms": [fixed, image, total], "steps": record}, indent=2) + "\n"
            )
        if self.figure:
            self._draw(record, self.figure)

    def _of_process(self, devices: int) -> dict[str, float]:
        batches = [str(batch) for batch in self.batches]
        command = [sys.executable, __file__, "--worker", str(devices), "--batches", *batches]
        command += ["--steps", str(self.steps), "--repeats", str(self.repeats)]
        environment = os.environ | {"JAX_NUM_CPU_DEVICES": str(devices), "PJRT_NPROC": str(devices)}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout)

    @staticmethod
    def _draw(record: list[dict[str, Any]], path: Path) -> None:
        from matplotlib.figure import Figure

        from jaxact import plotting

        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        for i, devices in enumerate(dict.fromkeys(row["devices"] for row in record)):
            rows = [row for row in record if row["devices"] == devices]
            batches = [row["batch"] for row in rows]
            axes.plot(batches, [row["seconds"] * 1e3 for row in rows], "o", color=f"C{i}", label=f"{devices}")
            axes.plot(batches, [row["model"] * 1e3 for row in rows], "-", color=f"C{i}", lw=1)
        axes.set(xscale="log", yscale="log", xlabel="images in a batch", ylabel="ms a step")
        axes.set_title("A training step of LeNet-5: measured, and the model")
        axes.legend(title="devices")
        axes.grid(alpha=0.3)
        plotting.save(figure, path)


if __name__ == "__main__":
    tyro.cli(Bench).run()
