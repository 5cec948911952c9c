"""The tutorial's story by measurement: LeNet-5 with four activations, on raw and standardised pixels, diagnosed.

Table and figure of the README: python scripts/diagnose_training.py --epochs 1 --seeds 3 --figure diagnosis.png
"""

import collections
import dataclasses
import itertools
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from matplotlib.figure import Figure

import jaxact
from jaxact import plotting
from jaxact.cli import ended
from jaxact.diagnosis import History
from jaxact.diagnosis.history import Row, history_of, read_rows
from jaxact.errors import InputError
from jaxact.training import Dataset, TrainConfig, fit, load_dataset
from jaxact.training.devices import use_cores

COLUMNS = (
    *("pixels", "activation", "accuracy", "verdicts before the first step", "at the end"),
    *(
        "saturated: first layer, before",
        "at the end",
        "dead units at the end",
        "log10 of gradient first/last, before",
    ),
    "at the end",
)


@dataclasses.dataclass(frozen=True)
class Story:
    """Train and diagnose.

    Attributes:
      activations: names with commas between them.
      dataset: "digits", or a data set prepared for tensorflow-datasets.
      data_dir: folder of the prepared data sets; by default TFDS_DATA_DIR, else ~/tensorflow_datasets.
      epochs: passes over the training images.
      period: steps between diagnoses.
      seeds: runs of each, from the seeds 0, 1, ...
      figure: file for a figure, or none.
    """

    activations: str = "sigmoid,tanh,relu,gelu"
    dataset: str = "cifar10"
    data_dir: str | None = None
    epochs: int = 2
    period: int = 14
    seeds: int = 1
    figure: str | None = None

    def run(self) -> None:
        """Trains one network after the other, then prints the table."""
        if self.seeds < 1:
            raise InputError(f"--seeds must be at least 1, got {self.seeds}")
        use_cores()
        data = load_dataset(self.dataset, data_dir=self.data_dir)
        names = self.activations.split(",")
        for name in names:
            jaxact.get(name)  # none is refused after others have been trained
        seen: dict[tuple[str, str], Sequence[list[Row]]] = {}
        print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
        for pixels, name in itertools.product(("raw", "standardized"), names):
            accuracies, seen[pixels, name] = zip(
                *(self._train(data, name, pixels, seed) for seed in range(self.seeds)), strict=True
            )
            print(f"| {pixels} | `{name}` | {' | '.join(cells(accuracies, seen[pixels, name]))} |", flush=True)
        if self.figure:
            plotting.save(picture(seen, names), Path(self.figure))

    def _train(
        self, data: Dataset, name: str, pixels: Literal["raw", "standardized"], seed: int
    ) -> tuple[float, list[Row]]:
        with tempfile.TemporaryDirectory() as folder:
            config = TrainConfig(
                activation=name,
                dataset=self.dataset,
                epochs=self.epochs,
                pixels=pixels,
                seed=seed,
                diagnose=self.period,
                out=Path(folder) / "run",
            )
            result = fit(config, dataset=data, progress=False, alarm=None)
            return result.history[-1]["val_accuracy"], read_rows(Path(folder) / "run" / "diagnosis.jsonl")


def cells(accuracies: Sequence[float], runs: Sequence[list[Row]]) -> list[str]:
    """What the table says of the runs of several seeds: means, of the accuracy with the standard deviation."""
    histories = [history_of(rows, None) for rows in runs]
    ratio = np.mean([shrinking(history) for history in histories], axis=0)
    dead = np.mean([dead_units(history)[-1] for history in histories])
    saturated = np.mean([history.saturated[0] for history in histories], axis=0)
    spread = f" ± {np.std(accuracies, ddof=1):.3f}" if len(runs) > 1 else ""
    return [
        f"{np.mean(accuracies):.3f}{spread}",
        *(verdicts_at(runs, time) for time in (0, -1)),
        *(f"{saturated[time]:.1%}" for time in (0, -1)),
        f"{dead:.1%}",
        *("-" if math.isnan(ratio[time]) else f"{ratio[time]:.1f}" for time in (0, -1)),
    ]


def verdicts_at(runs: Sequence[list[Row]], time: int) -> str:
    """The verdicts of all runs at one time, with the number of runs that had each where not all had it."""
    counts = collections.Counter(f"{v['kind']} {v['where']}" for rows in runs for v in rows[time]["verdicts"])
    return ", ".join(f"{what}{f' ({n} of {len(runs)})' if n < len(runs) else ''}" for what, n in counts.items())


def dead_units(history: History) -> np.ndarray:
    """Share of all units that are dead, over time."""
    return (history.dead * history.units[:, None]).sum(axis=0) / history.units.sum()


def shrinking(history: History) -> np.ndarray:
    """log10 of the gradient's norm at the first site by that at the last, over time."""
    first, last = history.gradient_z[0], history.gradient_z[-1]
    known = (first > 0) & (last > 0)
    return np.log10(first, out=np.full(first.shape, np.nan), where=known) - np.log10(
        last, out=np.full(last.shape, np.nan), where=known
    )


def picture(seen: dict[tuple[str, str], Sequence[list[Row]]], names: list[str]) -> Figure:
    """Saturation of the first layer, dead units, and the gradient's shrinking, over the steps."""
    figure = Figure(figsize=(11, 8), layout="constrained")
    panes = figure.subplots(3, 2, sharex=True, sharey="row")
    for column, pixels in enumerate(("raw", "standardized")):
        for name in names:
            for seed, rows in enumerate(seen[pixels, name]):
                history = history_of(rows, None)
                curves = 100 * history.saturated[0], 100 * dead_units(history), shrinking(history)
                for pane, values in zip(panes[:, column], curves, strict=True):
                    style = {"label": name} if seed == 0 else {}
                    pane.plot(history.steps, values, color=f"C{names.index(name)}", alpha=0.8, **style)
                    pane.grid(alpha=0.3)
        panes[0, column].set_title(f"{pixels} pixels")
        panes[-1, column].set_xlabel("step")
    for pane, label in zip(
        panes[:, 0],
        ("first layer saturated (%)", "dead units (%)", "log$_{10}$ |dL/dz|, first by last"),
        strict=True,
    ):
        pane.set_ylabel(label)
    several = len(next(iter(seen.values()))) > 1
    panes[0, 0].legend(title="one line for each seed" if several else None)
    return figure


if __name__ == "__main__":
    sys.exit(ended(lambda: tyro.cli(Story).run()))
