"""Times the diagnosis during training of LeNet-5: a tapped step against a plain one, and a diagnosed epoch.

The steps take turns within one process: a plain step, value and gradient compiled, then the monitor's tapped step
on the same batch, then a whole observation, with all that the host does. Then `fit` trains on the same images with
and without a monitor at the default budget, in turns, and what the monitor says that it took is printed beside
what the clock says.

Run it as: python scripts/bench_monitor.py --dataset cifar10
"""

import dataclasses
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from flax import nnx

from jaxact.cli import ended
from jaxact.cli.output import print_table
from jaxact.diagnosis.models import model_of
from jaxact.diagnosis.observer import Observer
from jaxact.diagnosis.trace import trace
from jaxact.training import Dataset, LeNet5, TrainConfig, fit, load_dataset
from jaxact.training.devices import IMAGES_PER_CORE, use_cores


@dataclasses.dataclass(frozen=True)
class Bench:
    """Time the diagnosis during training.

    Attributes:
      dataset: data set, "cifar10" for the figures of the README; or "noise", which needs no download.
      data_dir: folder of the prepared data sets.
      activation: activation of the network.
      batch_size: images in a step.
      repeats: turns of the steps, after two that warm up.
      epochs: epochs of either run; the first of them, which compiles, is not compared.
      turns: turns of the runs; 0 to leave them out.
      out: file for the results, as JSON.
    """

    dataset: str = "noise"
    data_dir: str | None = None
    activation: str = "relu"
    batch_size: int = 256
    repeats: int = 15
    epochs: int = 2
    turns: int = 1
    out: str | None = None

    def run(self) -> None:
        """Prints the tables."""
        use_cores(self.batch_size // IMAGES_PER_CORE)
        data = _noise() if self.dataset == "noise" else load_dataset(self.dataset, data_dir=self.data_dir)
        times = self._steps(data)
        plain = times["plain step"]
        record: dict[str, Any] = {"steps": times, "runs": []}
        device = jax.devices()[0]
        title = (
            f"LeNet-5, {self.activation}, batch {self.batch_size}, float32; jax {jax.__version__},"
            f" {device.platform} ({device.device_kind}), {os.cpu_count()} cores"
        )
        rows = [
            (
                name,
                f"{1e3 * statistics.median(seconds):.1f}",
                f"{statistics.median(a / b for a, b in zip(seconds, plain, strict=True)):.2f}",
            )
            for name, seconds in times.items()
        ]
        print_table(("", "ms", "by the plain step"), rows, title=title)
        for _ in range(self.turns):
            record["runs"].append(self._epochs(data))
        if record["runs"]:
            columns = (
                "s an epoch, plain",
                "diagnosed",
                "slower by",
                "the monitor says",
                "observations",
                "once, s",
            )
            print_table(
                columns, [_cells(run) for run in record["runs"]], title=f"fit on {data.name}, --diagnose auto"
            )
        if self.out:
            Path(self.out).write_text(json.dumps({"title": title, **record}, indent=2) + "\n")

    def _steps(self, data: Dataset) -> dict[str, list[float]]:
        model = LeNet5(self.activation, num_classes=len(data.classes), rngs=nnx.Rngs(0))
        graph, params = nnx.split(model, nnx.Param)
        images = jnp.asarray(data.train_images[: self.batch_size], jnp.float32) / 255
        batch = images, jnp.asarray(data.train_labels[: self.batch_size], jnp.int32)

        @jax.jit
        def plain(params: Any) -> Any:
            def loss(params: Any) -> jax.Array:
                logits = nnx.merge(graph, params)(batch[0])
                return optax.softmax_cross_entropy(logits, jax.nn.one_hot(batch[1], logits.shape[-1])).mean()

            return jax.value_and_grad(loss)(params)

        pure = model_of(model, {})
        tapped = jax.jit(trace(pure, batch, None, histograms=False).step)
        observer = Observer(model, batch, None, examples=None, networks=None, options={}, call={})
        work: dict[str, Callable[[], Any]] = {
            "plain step": lambda: plain(params),
            "tapped step": lambda: tapped(params, pure.state, batch),
            "observation": lambda: observer.measure(params, pure.state, batch),
        }
        times: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(self.repeats + 2):
            for name, act in work.items():
                start = time.perf_counter()
                jax.block_until_ready([*jax.tree.leaves(act())] if name != "observation" else act() and 0)
                times[name].append(time.perf_counter() - start)
        return {name: seconds[2:] for name, seconds in times.items()}

    def _epochs(self, data: Dataset) -> dict[str, Any]:
        config = TrainConfig(
            activation=self.activation, epochs=self.epochs, batch_size=self.batch_size, pixels="standardized"
        )
        seconds, monitors = {}, {}
        for diagnose in (None, "auto"):
            ends: list[float] = []
            result = fit(
                dataclasses.replace(config, diagnose=diagnose),
                dataset=data,
                report=lambda row, ends=ends: ends.append(time.perf_counter()),
                progress=False,
                alarm=None,
            )
            seconds[diagnose], monitors[diagnose] = np.diff(ends).tolist(), result.monitor
        seen = monitors["auto"]
        return {
            "plain": statistics.median(seconds[None]),
            "diagnosed": statistics.median(seconds["auto"]),
            "overhead": seen.overhead,
            "steps": seen.history.steps.tolist(),
            "period": seen.period,
            "once": seen.compile_seconds,
        }


def _noise() -> Dataset:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (10_240, 32, 32, 3), np.uint8)
    labels = rng.integers(0, 10, 10_240).astype(np.int32)
    return Dataset("noise", images, labels, images[:10], labels[:10], tuple("abcdefghij"))


def _cells(run: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{run['plain']:.1f}",
        f"{run['diagnosed']:.1f}",
        f"{run['diagnosed'] / run['plain'] - 1:+.1%}",
        f"{run['overhead']:.2%}",
        str(len(run["steps"])),
        f"{run['once']:.1f}",
    )


if __name__ == "__main__":
    sys.exit(ended(lambda: tyro.cli(Bench).run()))
