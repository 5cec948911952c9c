"""Figures: every function draws arrays on the Axes it is given, or makes one figure of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from jaxact.atomic import replacing
from jaxact.errors import InputError


def format_of(path: str | Path) -> str:
    """The format that the suffix of a path names.

    Raises:
      InputError: if it names none.
    """
    kind = Path(path).suffix.lower().lstrip(".")
    if kind not in ("png", "svg", "pdf"):
        raise InputError(f"{path} must end in .png, .svg or .pdf")
    return kind


def save(figure: Figure, path: str | Path) -> Path:
    """Writes a figure in one step; the suffix of the path names the format.

    Args:
      figure: what to write.
      path: file to write, .png, .svg or .pdf.

    Raises:
      InputError: if the suffix names no format.
      OSError: if the file cannot be written.
    """
    path, kind = Path(path), format_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        figure.savefig(file, format=kind, dpi=150)
    return path


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
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    loss.set_ylabel("mean cross-entropy (nats)")
    accuracy.set_ylabel("accuracy")
    return loss, accuracy


def curves_figure(history: Sequence[Mapping[str, float]], *, title: str = "") -> Figure:
    """Loss and accuracy of one run, training and validation, side by side."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    plot_history(loss, accuracy, history)
    first, *others = (max(row["loss"], row["val_loss"]) for row in history)
    if others and first > 3 * max(others):  # as on raw pixels: let it leave the pane rather than flatten the rest
        loss.set_ylim(0, 1.1 * max(others))
        loss.set_title(f"(epoch 1 is above, at {first:.3g})", fontsize="small")
    accuracy.legend()
    figure.suptitle(title, parse_math=False)
    return figure


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
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
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


_ORDINALS = ("function", "first derivative", "second derivative", "third derivative", "fourth derivative")


def plot_curves(axes: Axes, x: ArrayLike, curves: Mapping[str, ArrayLike], *, order: int = 0) -> Axes:
    """Draws functions, or derivatives of one order, over common inputs.

    Args:
      axes: Axes to draw on.
      x: inputs, [n].
      curves: values for each name, [n].
      order: order of the derivative that the values are of.
    """
    for name, y in curves.items():
        axes.plot(x, y, label=name)
    axes.axhline(0, color="0.7", lw=0.8, zorder=0)
    axes.axvline(0, color="0.7", lw=0.8, zorder=0)
    axes.set_xlabel("x")
    axes.set_ylabel("f" + "'" * order + "(x)")
    axes.set_title(_ORDINALS[order])
    axes.grid(alpha=0.3)
    axes.legend()
    return axes


def curves_by_order_figure(x: ArrayLike, curves: Mapping[int, Mapping[str, ArrayLike]]) -> Figure:
    """Functions and derivatives side by side, one pane for each order.

    Args:
      x: inputs, [n].
      curves: for each order the values by name.
    """
    figure = Figure(figsize=(4.8 * len(curves), 3.8), layout="constrained")
    for axes, (order, values) in zip(
        figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True
    ):
        plot_curves(axes, x, values, order=order)
    return figure


_EXACT = 0.02  # where results without any error are drawn: a logarithmic axis has no 0


def plot_errors(
    axes: Axes, x: ArrayLike, errors: Mapping[str, ArrayLike], allowed: ArrayLike, *, lost: float, order: int = 0
) -> Axes:
    """Draws errors in units of the last place against the input.

    Exact results lie on the line "exact"; what is no number, or infinite, at the upper edge.

    Args:
      axes: Axes to draw on.
      x: inputs, sorted, [n].
      errors: errors by name, [n]; the first lie on top.
      allowed: the largest errors that are right enough, [n].
      lost: an error that leaves no digit right.
      order: order of the derivative that the errors are of.
    """
    top = lost * max(6, (lost / _EXACT) ** 0.1)  # leaves a tenth of the axis to what is lost
    axes.axhspan(lost, top, color="C3", alpha=0.08, lw=0)
    place = {"ha": "center", "va": "center", "transform": axes.get_yaxis_transform()}
    axes.text(0.5, np.sqrt(lost * top), "no digit right", color="C3", fontsize="small", **place)
    for i, (name, error) in enumerate(errors.items()):
        shown = np.clip(np.nan_to_num(error, nan=np.inf), _EXACT, 0.6 * top)
        color = ("C0", "C1", "C2", "C4", "C5")[i % 5]
        axes.plot(x, shown, ".", ms=3, mew=0, color=color, label=name, rasterized=True, zorder=3 - i / 10)
    axes.plot(x, allowed, "k--", lw=1, label="allowed")
    axes.set_xlim(np.min(x), np.max(x))
    axes.set_xscale("asinh", linear_width=1)
    axes.set_xticks([t for p in (1, 10, 100, 1000) for t in (-p, p) if np.min(x) <= t <= np.max(x)] + [0])
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yscale("log")
    axes.set_ylim(_EXACT / 2, top)
    powers = np.arange(0, np.log10(lost), max(1, np.log10(lost) // 3))
    axes.set_yticks([_EXACT, *10.0**powers], ["exact", *(f"$10^{{{p:.0f}}}$" for p in powers)])
    axes.set_yticks([], minor=True)
    axes.grid(alpha=0.3)
    return axes


Panels = Mapping[str, tuple[ArrayLike, Mapping[str, Sequence[ArrayLike]], Sequence[ArrayLike], float]]


def errors_figure(panels: Panels) -> Figure:
    """Errors of functions and their derivatives: a row for each title, a pane for each order.

    Args:
      panels: for each title the inputs, by name the errors of every order, the allowed errors of every order, and
        the error that leaves no digit right.
    """
    figure = Figure(figsize=(11, 1 + 2.5 * len(panels)), layout="constrained")
    rows = figure.subplots(len(panels), 3, squeeze=False, sharey="row")
    for row, (title, (x, errors, allowed, lost)) in zip(rows, panels.items(), strict=True):
        for order, axes in enumerate(row):
            plot_errors(axes, x, {name: e[order] for name, e in errors.items()}, allowed[order], lost=lost)
        row[0].set_ylabel(f"{title}, error (ulp)", parse_math=False)
    for order in range(3):
        rows[0, order].set_title(f"{_ORDINALS[order]}")
        rows[-1, order].set_xlabel("x")
    handles = {}
    for axes in rows[:, 0]:
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    handles["allowed"] = handles.pop("allowed")  # last
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=len(handles), markerscale=5)
    return figure
