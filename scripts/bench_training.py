"""Times an epoch of LeNet-5: jaxact, as `jaxact train` runs it, beside torch and Keras on the same machine.

Each contender trains the same network on the same images by Adam at batch 256 in float32, in a process of its
own that waits while the others have their turn. Every round times each of them once, in a new order; ratios are
medians of the ratios within rounds, above 1 where jaxact is faster. Contenders that are not installed are named.
The peers come by: pip install 'jaxact[peers]'. Run it as: python scripts/bench_training.py
"""

import contextlib
import dataclasses
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from jaxact.cli import ended
from jaxact.cli.output import print_table

BATCH = 256
# Multiplications of an image: forward, by input and by kernel, but nobody needs the gradient by pixels.
PRODUCTS = {"conv1": 32**2 * 75 * 6, "conv2": 16**2 * 150 * 16, "conv3": 64 * 400 * 120, "dense": 7680 * 84 + 840}
FLOP = 2 * (3 * sum(PRODUCTS.values()) - PRODUCTS["conv1"])


def data(images: int) -> tuple[np.ndarray, np.ndarray]:
    """Random images, uint8 [n, 32, 32, 3], and labels, int32 [n]; their values cost nothing and gain nothing."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (images, 32, 32, 3), dtype=np.uint8), rng.integers(0, 10, images, dtype=np.int32)


def jaxact_epochs(images: int, formulation: Any = "auto") -> None:
    """Epochs of `fit`, with a CPU core a device as on the command line."""
    from jaxact.training import Dataset, TrainConfig, fit
    from jaxact.training.devices import IMAGES_PER_CORE, use_cores

    use_cores(BATCH // IMAGES_PER_CORE)
    x, y = data(images)
    dataset = Dataset("random", x, y, x[:BATCH], y[:BATCH], tuple("0123456789"))

    config = TrainConfig(epochs=10**6, pixels="unit", formulation=formulation)
    fit(config, dataset=dataset, report=lambda row: answer(row["train_seconds"]), progress=False)


def torch_epochs(images: int, channels_last: bool = False, compiled: bool = False) -> None:
    """Epochs of a plain loop in torch, data in memory."""
    import torch  # pyright: ignore[reportMissingImports]
    from torch import nn  # pyright: ignore[reportMissingImports]

    def conv(channels: int, features: int) -> Any:
        return nn.Conv2d(channels, features, 5, padding=2)

    layers = [conv(3, 6), nn.ReLU(), nn.MaxPool2d(2), conv(6, 16), nn.ReLU(), nn.MaxPool2d(2), conv(16, 120)]
    layers += [nn.ReLU(), nn.Flatten(), nn.Linear(7680, 84), nn.ReLU(), nn.Linear(84, 10)]
    model, (x, y) = nn.Sequential(*layers), data(images)
    pixels, labels = torch.from_numpy(x).permute(0, 3, 1, 2), torch.from_numpy(y).long()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model, pixels = model.to(memory_format=layout), pixels.contiguous(memory_format=layout)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, eps=1e-7)
    call = torch.compile(model) if compiled else model
    while True:
        start = time.perf_counter()
        order = torch.randperm(images)
        for batch in order.split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(call(pixels[batch].float() / 255), labels[batch]).backward()
            optimizer.step()
        answer(time.perf_counter() - start)


def keras_epochs(images: int) -> None:
    """Epochs of `keras.Model.fit`, with the backend that the environment names."""
    import keras  # pyright: ignore[reportMissingImports]

    layer = keras.layers
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layer.Conv2D(6, 5, padding="same", activation="relu"),
            layer.MaxPooling2D(),
            layer.Conv2D(16, 5, padding="same", activation="relu"),
            layer.MaxPooling2D(),
            layer.Conv2D(120, 5, padding="same", activation="relu"),
            layer.Flatten(),
            layer.Dense(84, activation="relu"),
            layer.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    x, y = data(images)
    pixels = x.astype(np.float32) / 255
    while True:
        start = time.perf_counter()
        model.fit(pixels, y, batch_size=BATCH, epochs=1, verbose=0)
        answer(time.perf_counter() - start)


# Name: the modules it needs, its epochs, variables of its process.
CONTENDERS: dict[str, tuple[tuple[str, ...], Callable[[int], None], dict[str, str]]] = {
    "jaxact": ((), jaxact_epochs, {}),
    "jaxact, plain nnx.Conv": ((), lambda n: jaxact_epochs(n, "plain"), {}),
    "torch, eager": (("torch",), torch_epochs, {}),
    "torch, channels_last": (("torch",), lambda n: torch_epochs(n, channels_last=True), {}),
    "torch.compile": (("torch",), lambda n: torch_epochs(n, compiled=True), {}),
    "keras on tensorflow": (("keras", "tensorflow"), keras_epochs, {"KERAS_BACKEND": "tensorflow"}),
    "keras on jax": (("keras",), keras_epochs, {"KERAS_BACKEND": "jax"}),
}


def wait() -> None:
    """Waits for the word to go on; without it this process ends."""
    if sys.stdin.readline() != "go\n":
        os._exit(0)


def answer(seconds: float) -> None:
    """Tells the seconds of an epoch, and waits."""
    print(json.dumps(seconds), flush=True)
    wait()


def versions() -> str:
    """Versions of what is timed, and the machine."""
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for name in ("jaxact", "jax", "torch", "keras", "tensorflow-cpu", "tensorflow"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return f"{', '.join(found)}; {os.cpu_count()} cores, {platform.processor() or platform.machine()}"


def product_rate(side: int = 2048) -> float:
    """GFLOP/s of one large float32 product by XLA, the best of several."""
    import jax
    import jax.numpy as jnp

    product, square = jax.jit(jnp.matmul), jnp.full((side, side), 1 / side)
    best = float("inf")
    for _ in range(12):
        start = time.perf_counter()
        jax.block_until_ready(product(square, square))
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best / 1e9


@dataclasses.dataclass(frozen=True)
class Bench:
    """Time an epoch of LeNet-5 by jaxact and its peers.

    Attributes:
      images: images of an epoch; seconds are printed for 50,000.
      rounds: turns of each contender, after one to warm up.
      skip: contenders to leave out.
      out: file for the measurements as JSON.
      worker: the one contender whose epochs this process runs; used by the script itself.
    """

    images: int = 12_800
    rounds: int = 5
    skip: tuple[str, ...] = ("jaxact, plain nnx.Conv",)
    out: Path | None = None
    worker: str | None = None

    def run(self) -> None:
        """Prints the table."""
        if self.worker:
            wait()
            CONTENDERS[self.worker][1](self.images)
            return
        wanted = {name: entry for name, entry in CONTENDERS.items() if name not in self.skip}
        absent = [n for n, (needs, *_) in wanted.items() if not all(map(importlib.util.find_spec, needs))]
        workers = {name: self._start(name) for name in wanted if name not in absent}
        seconds: dict[str, list[float]] = {name: [] for name in workers}
        for turn in range(self.rounds + 1):
            names = list(workers)
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                value = self._turn(workers[name])
                if value is None:
                    absent.append(f"{name} (failed)")
                    del workers[name], seconds[name]
                elif turn:  # the first one compiles
                    seconds[name].append(value * 50_000 / self.images)
        for worker in workers.values():
            worker.kill()
        self._print(seconds, absent, product_rate())

    def _start(self, name: str) -> subprocess.Popen:
        command = [sys.executable, __file__, "--worker", name, "--images", str(self.images)]
        environment = os.environ | CONTENDERS[name][2] | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(command, env=environment, text=True, **pipes)

    @staticmethod
    def _turn(worker: subprocess.Popen) -> float | None:
        """Seconds of the next epoch of a worker, or None if it has ended."""
        assert worker.stdin
        assert worker.stdout
        with contextlib.suppress(BrokenPipeError):
            worker.stdin.write("go\n")
            worker.stdin.flush()
        for line in worker.stdout:
            try:
                return float(json.loads(line))
            except (ValueError, TypeError):
                continue  # something else that a library prints
        return None

    def _print(self, seconds: dict[str, list[float]], absent: list[str], rate: float) -> None:
        rows, record = [], {}
        for name, values in seconds.items():
            ratios = [theirs / ours for theirs, ours in zip(values, seconds["jaxact"], strict=True)]
            median, ratio = statistics.median(values), statistics.median(ratios)
            speed = FLOP * 50_000 / median / 1e9
            record[name] = {"seconds": values, "ratio": ratio, "gflops": speed}
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            rows.append((name, f"{median:.2f}", f"{ratio:.2f}", spread, f"{speed:.0f}", f"{speed / rate:.0%}"))
        title = (
            f"{versions()}; batch {BATCH}, float32; {rate:.0f} GFLOP/s in one product of 2048 x 2048;"
            f" median of {self.rounds} rounds"
        )
        columns = ("contender", "s / 50,000 images", "times jaxact's", "spread", "GFLOP/s", "of the product's")
        print_table(columns, rows, title=title)
        if absent:
            print(f"not here: {', '.join(absent)}")
        if self.out:
            result = {"title": title, "absent": absent, "product_gflops": rate, "contenders": record}
            self.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(ended(lambda: tyro.cli(Bench).run()))
