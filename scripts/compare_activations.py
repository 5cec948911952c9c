"""Trains LeNet-5 with several activations and seeds, and compares them in a table and a figure.

Every network has a run folder of its own; finished ones are not trained again and interrupted ones go on. The
table and the figure of the README come from: python scripts/compare_activations.py --dataset cifar10
"""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import tyro

import jaxact
from jaxact import plotting
from jaxact.cli import ended
from jaxact.cli.output import print_table
from jaxact.errors import InputError
from jaxact.training import TrainConfig, fit


@dataclasses.dataclass(frozen=True)
class Compare:
    """Compare activations on one data set.

    Attributes:
      activations: what to compare.
      seeds: number of networks for each, with the seeds 0, 1, ...
      dataset: "digits", or a data set prepared for tensorflow-datasets.
      data_dir: folder of the prepared data sets; by default TFDS_DATA_DIR, else ~/tensorflow_datasets.
      epochs: passes over the training images.
      out: folder for the runs, the figure and the table.
    """

    activations: tuple[str, ...] = ("relu", "tanh", "sigmoid")
    seeds: int = 3
    dataset: str = "digits"
    data_dir: str | None = None
    epochs: int = 10
    out: str = "runs/compare"

    def history(self, activation: str, seed: int) -> list[dict[str, float]]:
        """Metrics of one network, trained as far as it is not yet."""
        folder = Path(self.out) / f"{activation}-{seed}"
        config = TrainConfig(
            activation=activation,
            dataset=self.dataset,
            data_dir=self.data_dir,
            epochs=self.epochs,
            seed=seed,
            out=str(folder),
        )
        metrics = folder / "metrics.jsonl"
        if metrics.exists() and len(rows := metrics.read_text().splitlines()) >= self.epochs:
            return [json.loads(row) for row in rows[: self.epochs]]
        print(f"{activation}, seed {seed}", file=sys.stderr)
        return fit(config, resume=folder if (folder / "config.json").exists() else None).history

    def run(self) -> None:
        """Trains what is missing, then prints the table and draws the figure."""
        if self.seeds < 1:
            raise InputError(f"--seeds must be at least 1, got {self.seeds}")
        for name in self.activations:
            jaxact.get(name)  # none is refused after others have been trained
        histories = {name: [self.history(name, seed) for seed in range(self.seeds)] for name in self.activations}
        accuracy = {
            name: np.array([[row["val_accuracy"] for row in history] for history in seeds])
            for name, seeds in histories.items()
        }
        rows = [(str(i + 1), *(_spread(a[:, i]) for a in accuracy.values())) for i in range(self.epochs)]
        rows.append(("best", *(_spread(a.max(axis=1)) for a in accuracy.values())))
        title = f"validation accuracy on {self.dataset}, mean ± standard deviation over {self.seeds} seeds"
        print_table(("epoch", *histories), rows, title=title)
        figure = plotting.comparison_figure(histories, title=f"LeNet-5 on {self.dataset}, {self.seeds} seeds each")
        print(plotting.save(figure, Path(self.out) / "comparison.png"))


def _spread(values: np.ndarray) -> str:
    return f"{values.mean():.4f} ± {values.std(ddof=1) if len(values) > 1 else 0:.4f}"


if __name__ == "__main__":
    sys.exit(ended(lambda: tyro.cli(Compare).run()))
