"""Curves of many settings with their bands."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

COLOURED = 7  # the eye tells no more curves apart, and the eighth colour is grey


class Band(NamedTuple):
    """Validation curves of one setting: means over seeds by epoch, and standard deviations, NaN without any."""

    label: str
    loss: np.ndarray
    loss_std: np.ndarray
    accuracy: np.ndarray
    accuracy_std: np.ndarray


def plot_band(
    axes: Axes, mean: np.ndarray, std: np.ndarray, *, color: str, label: str | None = None, width: float = 2.0
) -> Axes:
    """Draws a mean by epoch, and one standard deviation to either side.

    Args:
      axes: Axes to draw on.
      mean: [epochs].
      std: [epochs].
      color: colour of the curve.
      label: what it is of.
      width: width of the line.
    """
    epochs = np.arange(1, len(mean) + 1)
    axes.plot(epochs, mean, "o-" if len(mean) == 1 else "-", color=color, lw=width, label=label)
    axes.fill_between(epochs, mean - std, mean + std, color=color, alpha=0.15, lw=0)
    return axes


def sweep_figure(bands: Sequence[Band], *, title: str = "") -> Figure:
    """Validation loss and accuracy by epoch; the first settings in colour, further ones in grey.

    Args:
      bands: the settings, best first.
      title: title of the figure.
    """
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    others = len(bands) - COLOURED
    for i, band in reversed(list(enumerate(bands))):  # the best on top
        first_grey = i == COLOURED
        label = band.label if i < COLOURED else f"{others} more" if first_grey else None
        style = {"color": f"C{i}" if i < COLOURED else "0.75", "width": 2.0 if i < COLOURED else 0.8}
        no_band = np.full_like(band.loss, np.nan)
        plot_band(loss, band.loss, band.loss_std if i < COLOURED else no_band, **style)
        plot_band(accuracy, band.accuracy, band.accuracy_std if i < COLOURED else no_band, label=label, **style)
    for axes in (loss, accuracy):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
    # Losses of networks that blow up would flatten the rest.
    ends = np.array([band.loss[-1] for band in bands])
    top = max(float(np.max(bands[0].loss)), 1.5 * float(np.median(ends)))
    if np.max([band.loss.max() for band in bands]) > 2 * top:
        loss.set_ylim(0.9 * min(band.loss.min() for band in bands), 1.1 * top)
        loss.set_title("(higher ones leave the pane)", fontsize="small")
    loss.set_ylabel("validation loss (nats)")
    accuracy.set_ylabel("validation accuracy")
    handles, labels = accuracy.get_legend_handles_labels()
    columns = 3 if max(map(len, labels)) > 24 else 5
    figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=columns, fontsize="small")
    figure.suptitle(title, parse_math=False)
    return figure
