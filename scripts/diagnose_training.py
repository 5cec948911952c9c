"""The tutorial's story by measurement: LeNet-5 with four activations, on raw and standardised pixels, diagnosed.

The table of the README comes from: python scripts/diagnose_training.py --dataset cifar10 --figure diagnosis.png
"""

import dataclasses
import itertools
import math
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from matplotlib.figure import Figure

from jaxact import plotting
from jaxact.diagnosis import History
from jaxact.diagnosis.history import Row, history_of, read_rows
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
      seed: seed of every run.
      figure: file for a figure, or none.
    """

    activations: str = "sigmoid,tanh,relu,gelu"
    dataset: str = "cifar10"
    data_dir: str | None = None
    epochs: int = 2
    period: int = 14
    seed: int = 0
    figure: str | None = None

    def run(self) -> None:
        """Trains one network after the other, then prints the table."""
        use_cores()
        data = load_dataset(self.dataset, data_dir=self.data_dir)
        names = self.activations.split(",")
        seen: dict[tuple[str, str], list[Row]] = {}
        print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
        for pixels, name in itertools.product(("raw", "standardized"), names):
            accuracy, rows = self._train(data, name, pixels)
            seen[pixels, name] = rows
            print(f"| {pixels} | `{name}` | {' | '.join(cells(accuracy, rows))} |", flush=True)
        if self.figure:
            plotting.save(picture(seen, names), Path(self.figure))

    def _train(self, data: Dataset, name: str, pixels: Literal["raw", "standardized"]) -> tuple[float, list[Row]]:
        with tempfile.TemporaryDirectory() as folder:
            config = TrainConfig(
                activation=name,
                dataset=self.dataset,
                epochs=self.epochs,
                pixels=pixels,
                seed=self.seed,
                diagnose=self.period,
                out=Path(folder) / "run",
            )
            result = fit(config, dataset=data, progress=False, alarm=None)
            return result.history[-1]["val_accuracy"], read_rows(Path(folder) / "run" / "diagnosis.jsonl")


def cells(accuracy: float, rows: list[Row]) -> list[str]:
    """What the table says of a run."""
    history = history_of(rows, None)
    ratio = shrinking(history)
    dead = (history.dead[:, -1] * history.units).sum() / history.units.sum()
    return [
        f"{accuracy:.3f}",
        *(", ".join(f"{v['kind']} {v['where']}" for v in row["verdicts"]) for row in (rows[0], rows[-1])),
        *(f"{history.saturated[0, i]:.1%}" for i in (0, -1)),
        f"{dead:.1%}",
        *("-" if math.isnan(ratio[i]) else f"{ratio[i]:.1f}" for i in (0, -1)),
    ]


def shrinking(history: History) -> np.ndarray:
    """log10 of the gradient's norm at the first site by that at the last, over time."""
    first, last = history.gradient_z[0], history.gradient_z[-1]
    known = (first > 0) & (last > 0)
    return np.log10(first, out=np.full(first.shape, np.nan), where=known) - np.log10(
        last, out=np.full(last.shape, np.nan), where=known
    )


def picture(seen: dict[tuple[str, str], list[Row]], names: list[str]) -> Figure:
    """Saturation of the first layer, dead units, and the gradient's shrinking, over the steps."""
    figure = Figure(figsize=(11, 8), layout="constrained")
    panes = figure.subplots(3, 2, sharex=True, sharey="row")
    for column, pixels in enumerate(("raw", "standardized")):
        for name in names:
            history = history_of(seen[pixels, name], None)
            dead = (history.dead * history.units[:, None]).sum(axis=0) / history.units.sum()
            for pane, values in zip(
                panes[:, column], (100 * history.saturated[0], 100 * dead, shrinking(history)), strict=True
            ):
                pane.plot(history.steps, values, label=name)
                pane.grid(alpha=0.3)
        panes[0, column].set_title(f"{pixels} pixels")
        panes[-1, column].set_xlabel("step")
    for pane, label in zip(
        panes[:, 0],
        ("first layer saturated (%)", "dead units (%)", "log$_{10}$ |dL/dz|, first by last"),
        strict=True,
    ):
        pane.set_ylabel(label)
    panes[0, 0].legend()
    return figure


if __name__ == "__main__":
    tyro.cli(Story).run()
