"""Errors of functions in units of the last place."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from jaxact.plotting.curves import ORDINALS

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
        rows[0, order].set_title(f"{ORDINALS[order]}")
        rows[-1, order].set_xlabel("x")
    handles = {}
    for axes in rows[:, 0]:
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    handles["allowed"] = handles.pop("allowed")  # last
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=len(handles), markerscale=5)
    return figure
