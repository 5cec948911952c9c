"""Times a sweep against torch: networks a second, trained in one program and one after the other.

Both train the same networks on the same number of images, in turns within one process: after each epoch of the
sweep torch trains one network by eager steps, and one in channels_last. What is printed are epochs of CIFAR-10
(50,000 images) of one network a second, medians over the turns, and ratios.

Run it as: python scripts/bench_sweep.py
"""

import dataclasses
import importlib
import importlib.util
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import tyro

from jaxact.cli import ended
from jaxact.cli.output import print_table
from jaxact.training import Dataset, SweepConfig, TrainConfig, run_sweep
from jaxact.training.devices import use_cores

EPOCH = 50_000  # images


@dataclasses.dataclass(frozen=True)
class Bench:
    """Time a sweep against torch.

    Attributes:
      activation: activation of the networks.
      networks: networks of the sweep.
      images: training images in an epoch of the timing.
      batch_size: images in a step.
      repeats: turns, after one that warms up.
      method: method of the sweep.
      devices: devices of a CPU; by default its cores.
      out: file for the results, as JSON.
    """

    activation: str = "relu"
    networks: int = 8
    images: int = 5120
    batch_size: int = 256
    repeats: int = 7
    method: Literal["auto", "map", "vmap"] = "auto"
    devices: int | None = None
    out: str | None = None

    def run(self) -> None:
        """Prints the table."""
        use_cores(self.devices)
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (self.images, 32, 32, 3), np.uint8)
        labels = rng.integers(0, 10, self.images).astype(np.int32)
        data = Dataset("noise", images, labels, images[:10], labels[:10], tuple("abcdefghij"))
        peers = _torch_peers(self.activation, images, labels, self.batch_size)
        times: dict[str, list[float]] = {"jaxact sweep": [], **{name: [] for name in peers}}

        def take_turns(row: dict[str, Any]) -> None:
            if row["seed"] == self.networks - 1:  # the last row of an epoch
                times["jaxact sweep"].append(row["seconds"])
                for name, train in peers.items():
                    start = time.perf_counter()
                    train()
                    times[name].append(time.perf_counter() - start)

        train = TrainConfig(epochs=self.repeats + 1, batch_size=self.batch_size, pixels="unit")
        config = SweepConfig([self.activation], self.networks, method=self.method, train=train)
        run_sweep(config, dataset=data, note=print, report=take_turns, progress=False)

        ours = times["jaxact sweep"][1:]
        rows, record = [], []
        for name, seconds in times.items():
            rate = self.images / EPOCH / statistics.median(seconds[1:])
            ratio = statistics.median(a / b for a, b in zip(seconds[1:], ours, strict=True))
            rows.append((name, f"{rate:.3f}", f"{ratio:.2f}"))
            record.append({"what": name, "epochs_per_second": rate, "ratio": ratio, "seconds": seconds[1:]})
        device = jax.devices()[0]
        title = (
            f"{self.networks} networks, batch {self.batch_size}, float32; jax {jax.__version__}, {device.platform}"
            f" ({device.device_kind}), {jax.device_count()} devices, {os.cpu_count()} cores{_torch_version()}"
        )
        columns = ("", "epochs of a network a second", "sweep is faster by")
        print_table(columns, rows, title=title)
        if not peers:
            print("torch is absent: pip install 'jaxact[peers]'")
        if self.out:
            Path(self.out).write_text(json.dumps({"title": title, "results": record}, indent=2) + "\n")


def _torch_version() -> str:
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        return ""
    torch = importlib.import_module("torch")
    return f"; torch {torch.__version__}, {torch.get_num_threads()} threads"


def _torch_peers(activation: str, images: np.ndarray, labels: np.ndarray, batch_size: int) -> dict[str, Any]:
    """Functions that train a new network for an epoch of the images, by name; none where torch is absent."""
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        return {}
    from torch import nn  # pyright: ignore[reportMissingImports]

    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    targets = torch.from_numpy(labels).long()

    class Act(nn.Module):
        def forward(self, x: Any) -> Any:
            found = getattr(torch, activation, None) or getattr(nn.functional, activation)
            return found(x)

    def train(layout: Any) -> None:
        network = nn.Sequential(
            *(nn.Conv2d(3, 6, 5, padding=2), Act(), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 16, 5, padding=2), Act(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 120, 5, padding=2), Act(), nn.Flatten()),
            *(nn.Linear(7680, 84), Act(), nn.Linear(84, 10)),
        ).to(memory_format=layout)
        data = pixels.contiguous(memory_format=layout)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, eps=1e-7)
        order = torch.randperm(len(data))
        for start in range(0, len(data), batch_size):
            index = order[start : start + batch_size]
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(data[index].float() / 255), targets[index])
            loss.backward()
            optimizer.step()

    layouts = {"torch eager": torch.contiguous_format, "torch channels_last": torch.channels_last}
    return {name: lambda layout=layout: train(layout) for name, layout in layouts.items()}


if __name__ == "__main__":
    sys.exit(ended(lambda: tyro.cli(Bench).run()))
