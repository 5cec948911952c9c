"""Pictures of training: histories, confusion matrices, sample images."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike


def plot_history(
    loss: Axes, accuracy: Axes, history: Sequence[Mapping[str, float]], *, label: str = "", color: str = "C0"
) -> tuple[Axes, Axes]:
    """Draws loss and accuracy against the epoch, validation as a full line and training as a dashed one.

    Args:
      loss: Axes for the loss.
      accuracy: Axes for the accuracy.
      history: one mapping an epoch, as in metrics.jsonl.
      label: what the curves are of.
      color: colour of the curves.
    """
    epochs = [row["epoch"] for row in history]
    for axes, key in ((loss, "loss"), (accuracy, "accuracy")):
        for prefix, style, part in (("val_", "-o", "validation"), ("", "--", "training")):
            values = [row[prefix + key] for row in history]
            axes.plot(epochs, values, style, ms=4, color=color, label=f"{label} {part}".strip())
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
    loss.set_ylabel("mean cross-entropy (nats)")
    accuracy.set_ylabel("accuracy")
    return loss, accuracy


def curves_figure(history: Sequence[Mapping[str, float]], *, title: str = "") -> Figure:
    """Loss and accuracy of one run, training and validation, side by side."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    plot_history(loss, accuracy, history)
    _cut_first(loss, history)
    accuracy.legend()
    figure.suptitle(title, parse_math=False)
    return figure


def _cut_first(loss: Axes, history: Sequence[Mapping[str, float]]) -> None:
    """Lets the loss of the first epoch, as on raw pixels, leave the pane rather than flatten the rest."""
    first, *others = (max(row["loss"], row["val_loss"]) for row in history)
    if others and first > 3 * max(others):
        loss.set_ylim(0, 1.1 * max(others))
        loss.set_title(f"(epoch 1 is above, at {first:.3g})", fontsize="small")


def history_figures(history: Sequence[Mapping[str, float]]) -> dict[str, Figure]:
    """Loss and accuracy of one run, each a figure as narrow as a phone, by what they show."""
    figures = {name: Figure(figsize=(5.2, 3.2), layout="constrained") for name in ("Loss", "Accuracy")}
    loss, accuracy = (figure.subplots() for figure in figures.values())
    plot_history(loss, accuracy, history)
    _cut_first(loss, history)
    for axes in (loss, accuracy):
        axes.legend()
    return figures


def comparison_figure(
    histories: Mapping[str, Sequence[Sequence[Mapping[str, float]]]], *, title: str = ""
) -> Figure:
    """Validation curves of several activations: the mean over seeds, and a band from the lowest to the highest.

    Args:
      histories: for each name the histories of its seeds, of equal length.
      title: title of the figure.
    """
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    panes = figure.subplots(1, 2)
    for axes, key, unit in zip(panes, ("loss", "accuracy"), (" (nats)", ""), strict=True):
        for i, (name, seeds) in enumerate(histories.items()):
            epochs = [row["epoch"] for row in seeds[0]]
            for prefix, style, width in (("val_", "-", 2.0), ("", "--", 1.0)):
                values = np.array([[row[prefix + key] for row in seed] for seed in seeds])
                axes.plot(epochs, values.mean(0), style, lw=width, color=f"C{i}", label=name if prefix else None)
                axes.fill_between(epochs, values.min(0), values.max(0), color=f"C{i}", alpha=0.15, lw=0)
        axes.set_xlabel("epoch")
        axes.set_ylabel(("mean cross-entropy" if key == "loss" else key) + unit)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
    panes[1].plot([], [], "-", color="0.4", lw=2, label="validation")
    panes[1].plot([], [], "--", color="0.4", lw=1, label="training")
    figure.legend(*panes[1].get_legend_handles_labels(), loc="outside lower center", ncols=len(histories) + 2)
    figure.suptitle(title, parse_math=False)
    return figure


def plot_confusion(axes: Axes, confusion: ArrayLike, classes: Sequence[str]) -> Axes:
    """Draws a confusion matrix: rows are true classes, columns found ones, shades the share of the row.

    Args:
      axes: Axes to draw on.
      confusion: counts, [classes, classes].
      classes: names of the classes.
    """
    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= 20:
        ticks = range(len(classes))
        axes.set_xticks(ticks, classes, rotation=45, ha="right")
        axes.set_yticks(ticks, classes)
        for (i, j), count in np.ndenumerate(counts):
            axes.text(
                j, i, str(count), ha="center", va="center", fontsize=8, color="w" if shares[i, j] > 0.5 else "k"
            )
    axes.set_xlabel("found class")
    axes.set_ylabel("true class")
    return axes


def confusion_figure(confusion: ArrayLike, classes: Sequence[str], *, title: str = "") -> Figure:
    """A confusion matrix as a figure."""
    figure = Figure(figsize=(6.5, 6), layout="constrained")
    plot_confusion(figure.subplots(), confusion, classes).set_title(title, parse_math=False)
    return figure


def images_figure(
    images: ArrayLike, labels: ArrayLike, classes: Sequence[str], *, title: str = "", rows: int = 10
) -> Figure:
    """A sheet of sample images, one row for each of the first ``rows`` classes.

    Args:
      images: uint8 [n, height, width, 3].
      labels: [n].
      classes: names of the classes.
      title: title of the sheet.
      rows: classes to show at the most.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    shown, columns = list(classes)[:rows], 10
    height, width = images.shape[1:3]
    figure = Figure(figsize=(8, 0.8 * len(shown) + 0.6), layout="constrained")
    axes = figure.subplots()
    sheet = np.full((len(shown) * (height + 2), columns * (width + 2), 3), 255, np.uint8)
    for i in range(len(shown)):
        for j, image in enumerate(images[labels == i][:columns]):
            sheet[i * (height + 2) : i * (height + 2) + height, j * (width + 2) : j * (width + 2) + width] = image
    axes.imshow(sheet)
    axes.set_xticks([])
    axes.set_yticks([i * (height + 2) + height / 2 for i in range(len(shown))], shown)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title, parse_math=False)
    return figure
