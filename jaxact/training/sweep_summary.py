"""What a sweep says: mean and standard deviation over seeds, ranked."""

import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxact.atomic import write_csv

Row = dict[str, Any]

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


class Setting(NamedTuple):
    """What networks that differ in the seed alone have in common."""

    activation: str
    initializer: str
    learning_rate: float


class Summary(NamedTuple):
    """One setting of a sweep; diverged networks are counted, and enter no mean.

    Attributes:
      setting: activation, initialiser and learning rate.
      networks: number of networks, one a seed.
      diverged: how many of them diverged.
      epoch: the last epoch that all of them have done.
      mean: each metric by epoch, [epochs], NaN where all have diverged.
      std: its standard deviation over seeds (n - 1), NaN for fewer than two networks.
    """

    setting: Setting
    networks: int
    diverged: int
    epoch: int
    mean: dict[str, np.ndarray]
    std: dict[str, np.ndarray]

    def last(self, metric: str) -> tuple[float, float]:
        """Mean and standard deviation of a metric after the last epoch."""
        return float(self.mean[metric][-1]), float(self.std[metric][-1])


def summarize(rows: Iterable[Row]) -> list[Summary]:
    """The settings of a sweep, by the validation accuracy after the last epoch, best first.

    Args:
      rows: rows of results.jsonl.
    """
    networks: dict[Setting, dict[int, list[Row]]] = {}
    for row in rows:
        setting = Setting(row["activation"], row["initializer"], row["learning_rate"])
        networks.setdefault(setting, {}).setdefault(row["seed"], []).append(row)
    found = [_summary(setting, list(seeds.values())) for setting, seeds in networks.items()]
    return sorted(found, key=lambda s: -np.nan_to_num(s.last("val_accuracy")[0], nan=-1.0))


def fate(history: Sequence[Row], chance: float) -> str:
    """What became of a network, by its validation accuracy: "trains", "slow", "stuck", "dies" or "diverges".

    It trains if it ends over 3 times the accuracy of a guess, and is slow if it ends over 1.2 times. It is stuck
    if it never was, and dies if it was and lost it. Why, whether no gradient comes through or units are dead, rows
    do not say; `jaxact.diagnose` does.

    Args:
      history: the rows of the network.
      chance: the accuracy of a guess.
    """
    if history[-1]["diverged"]:
        return "diverges"
    values = [row["val_accuracy"] / chance for row in history]
    if values[-1] > 1.2:
        return "trains" if values[-1] > 3 else "slow"
    return "dies" if max(values) > 1.2 else "stuck"


def _summary(setting: Setting, histories: list[list[Row]]) -> Summary:
    epoch = min(map(len, histories))
    mean, std = {}, {}
    for metric in METRICS:
        values = np.array([[row[metric] for row in history[:epoch]] for history in histories], np.float64)
        count = np.isfinite(values).sum(0)
        mean[metric] = np.where(count > 0, np.nansum(values, 0) / np.maximum(count, 1), np.nan)
        squares = np.nansum(np.square(values - mean[metric]), 0)
        std[metric] = np.where(count > 1, np.sqrt(squares / np.maximum(count - 1, 1)), np.nan)
    diverged = sum(history[epoch - 1]["diverged"] for history in histories)
    return Summary(setting, len(histories), diverged, epoch, mean, std)


def write_summary(rows: list[Row], folder: Path, title: str) -> None:
    """Writes summary.csv, and summary.png if matplotlib is there.

    Raises:
      OSError: if they cannot be written.
    """
    summaries = summarize(rows)
    if not summaries:
        return
    columns = [*Setting._fields, "networks", "diverged", "epoch"]
    for metric in METRICS:
        columns += [f"{metric}_mean", f"{metric}_std"]
    table = []
    for s in summaries:
        cells = [value if np.isfinite(value) else None for metric in METRICS for value in s.last(metric)]
        table.append([*s.setting, s.networks, s.diverged, s.epoch, *cells])
    write_csv(folder / "summary.csv", columns, table)
    if importlib.util.find_spec("matplotlib"):
        from jaxact import plotting

        labels = _labels([s.setting for s in summaries])
        curves = [
            plotting.Band(label, *(x[key] for key in ("val_loss", "val_accuracy") for x in (s.mean, s.std)))
            for label, s in zip(labels, summaries, strict=True)
            if np.isfinite(s.last("val_accuracy")[0])
        ]
        if curves:
            plotting.save(plotting.sweep_figure(curves, title=title), folder / "summary.png")


def _labels(settings: list[Setting]) -> list[str]:
    """A text for each setting, of what is not the same in all."""
    varied = [len({s[i] for s in settings}) > 1 or i == 0 for i in range(len(Setting._fields))]
    texts = []
    for setting in settings:
        parts = [part for part, shown in zip(setting, varied, strict=True) if shown]
        texts.append(", ".join(part if isinstance(part, str) else f"{part:g}" for part in parts))
    return texts
