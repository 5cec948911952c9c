"""One page about one function, and one sheet of many."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from jaxact.analysis.saturation import SaturationRegions
from jaxact.plotting.curves import plot_activation
from jaxact.plotting.saturation import legend, plot_dead_zones, plot_saturation

_WIDE = 54  # letters in a line of facts
Curves = tuple[ArrayLike, Sequence[ArrayLike]]


def page_figure(
    curves: Curves,
    slope: Curves,
    regions: SaturationRegions | None,
    zones: Mapping[str, SaturationRegions],
    facts: Mapping[str, str],
    *,
    limits: tuple[float, float],
    title: str = "",
) -> Figure:
    """A page: the function with its derivatives, its slope with flat regions, dead zones by row, and facts.

    The pictures alone are the first of ``figure.subfigs``.

    Args:
      curves: inputs, and f, f' and f'' there.
      slope: inputs, and in a list f' there.
      regions: flat regions of the slope; None if they are unknown.
      zones: flat regions for each row of the bars; may be empty.
      facts: texts by what they are about.
      limits: lowest and highest input of the bars.
      title: title of the page.
    """
    rows = max(len(zones), 1)
    figure = Figure(figsize=(10.6, 6.6 + 0.24 * rows))
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
    left, right = (figure.add_subfigure(part) for part in figure.add_gridspec(1, 2, width_ratios=[6.6, 4.0]))
    top, middle, bottom = left.subplots(3, 1, height_ratios=[2.6, 2.6, 0.3 + 0.24 * rows])
    plot_activation(top, *curves)
    top.set_title(title, parse_math=False, fontweight="bold")
    _cut(top, curves[1])
    if regions is None:
        middle.plot(slope[0], slope[1][0], "k", lw=1.6, label="f'")
        middle.set(xlim=top.get_xlim(), xlabel="x", ylabel="f'(x)")
    else:
        plot_saturation(middle, regions, x=slope[0], slope=slope[1][0])
    _cut(middle, slope[1])
    if zones:
        plot_dead_zones(bottom, zones, limits=limits)
        bottom.tick_params(axis="y", labelsize="small")
    else:
        bottom.set_axis_off()
        bottom.text(0, 0.5, "Flat regions are unknown.", transform=bottom.transAxes)
    legend(left, [middle, bottom], ncols=4, fontsize="small")
    _write(right.subplots(), facts)
    return figure


def _cut(axes: Axes, curves: Sequence[ArrayLike]) -> None:
    """Lets a curve with a pole leave the pane rather than flatten the rest."""
    values = np.concatenate([np.asarray(y, float) for y in curves])
    values = values[np.isfinite(values)]
    low, high = np.percentile(values, [2, 98]) if values.size else (0.0, 0.0)
    room = 5 * (high - low)
    if room and (values.max() > high + room or values.min() < low - room):
        margin = 0.1 * (high - low)
        axes.set_ylim(low - margin, high + margin)


def _write(axes: Axes, facts: Mapping[str, str]) -> None:
    """Facts one below the other, as large as the page has room for."""
    axes.set_axis_off()
    blocks = [(key, textwrap.wrap(text, _WIDE) or [""]) for key, text in facts.items()]
    lines = sum(1 + 0.95 * len(text) + 0.25 for _, text in blocks)
    step = 1 / max(lines, 34)
    y = 1.0
    for key, text in blocks:
        place: dict[str, Any] = {"transform": axes.transAxes, "va": "top", "parse_math": False}
        axes.text(0, y, key, color="0.45", fontsize=7.5, **place)
        for line in text:
            y -= 0.95 * step
            axes.text(0, y, line, fontsize=8.5, **place)
        y -= 1.25 * step
    axes.set_xlim(0, 1)


def sheet_figure(
    panels: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike, SaturationRegions | None]], *, columns: int = 8
) -> Figure:
    """Many functions side by side: f, f' dashed, and saturated intervals shaded.

    Args:
      panels: for each name the inputs, f and f' there, [n] each, and the flat regions if they are known.
      columns: panes in a row.
    """
    columns = max(1, min(columns, len(panels)))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(1.9 * columns + 0.4, 1.75 * rows + 0.7))
    high = 1.75 * rows + 0.7
    figure.subplots_adjust(left=0.03, right=0.99, top=1 - 0.3 / high, bottom=0.6 / high, wspace=0.22, hspace=0.42)
    panes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes, (name, (x, f, slope, regions)) in zip(panes, panels.items(), strict=False):
        low, top = float(np.min(x)), float(np.max(x))
        if regions is not None:
            plot_saturation(axes, regions._replace(roots=np.empty(0), argmax=np.array(np.nan)), x=x)
        axes.plot(x, np.asarray(f, float), color="#0072b2", lw=1.4, label="f")
        axes.plot(x, np.asarray(slope, float), "--", color="k", lw=1.1, label="f'")
        axes.set(xlim=(low, top), xlabel="", ylabel="")
        seen = np.concatenate([np.ravel(f), np.ravel(slope)]).astype(float)
        seen = seen[np.isfinite(seen)]
        axes.set_ylim(max(seen.min(initial=-0.2), -4) - 0.2, min(seen.max(initial=1.0), 4) + 0.2)
        axes.set_title(name if len(name) < 24 else f"{name[:22]}...", fontsize=8.5, pad=2, parse_math=False)
        axes.tick_params(labelsize=6, length=2, pad=1)
        axes.axvline(0, color="0.7", lw=0.6, zorder=0)
    for axes in panes[len(panels) :]:
        axes.remove()
    legend(figure, panes[: len(panels)], ncols=6, loc="lower center")
    return figure
