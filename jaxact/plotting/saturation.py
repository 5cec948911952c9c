"""Where functions are flat: intervals over the slope, and dead zones by dtype."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from numpy.typing import ArrayLike

from jaxact.analysis.saturation import SaturationRegions

# Colours of Okabe & Ito, which people with any colour vision tell apart.
_SATURATED = {"facecolor": "#e69f00", "alpha": 0.22, "lw": 0.8, "edgecolor": "#e69f00"}
_NAN = "not a number"
_DEAD: dict[str, dict[str, Any]] = {
    "dead by mathematics": {"facecolor": "0.8", "edgecolor": "0.55", "hatch": "///"},
    "dead by underflow": {"facecolor": "#cde6f5", "edgecolor": "#0072b2", "hatch": "..."},
    "dead by rounding": {"facecolor": "#f6cdb5", "edgecolor": "#d55e00", "hatch": "xxx"},
    _NAN: {"facecolor": "0.25", "edgecolor": "0.25", "hatch": ""},
}


def _zones(regions: SaturationRegions) -> dict[str, np.ndarray]:
    """The dead intervals by what kills the slope, [n, 2] each, and those that are no number."""
    dead, causes = np.asarray(regions.dead, float), np.array([f"dead by {cause}" for cause in regions.causes])
    return {name: dead[causes == name] for name in _DEAD} | {_NAN: np.asarray(regions.nan, float)}


def _seen(spans: np.ndarray, axes: Axes) -> np.ndarray:
    """The parts of intervals that lie within the limits of the Axes, (low, high), [n, 2]."""
    low, high = sorted(axes.get_xlim())
    spans = np.asarray(spans, float)
    return np.clip(spans[(spans[:, 0] < high) & (spans[:, 1] > low)], low, high)


def fresh(axes: Axes, label: str) -> str:
    """A label, or none if the Axes has it already: one entry of the legend stands for all."""
    return "_nolegend_" if label in axes.get_legend_handles_labels()[1] else label


def plot_saturation(
    axes: Axes, regions: SaturationRegions, *, x: ArrayLike, slope: ArrayLike | None = None, label: str = ""
) -> Axes:
    """Draws where a function is flat: saturated and dead intervals, roots of the slope, and its largest value.

    Dead intervals are told apart: by mathematics, lost to underflow, lost to rounding, not a number. Intervals end
    where x does. A largest slope that is a limit at infinity is an arrow at the edge. Everything has a label; a
    legend is up to you.

    Args:
      axes: Axes to draw on.
      regions: what `jaxact.saturation_regions` gives.
      x: inputs, [n]; they set the limits.
      slope: the derivative at x, [n].
      label: name of the function.
    """
    low, high = float(np.min(x)), float(np.max(x))
    axes.set_xlim(low, high)
    for span in _seen(regions.saturated, axes):
        axes.axvspan(*span, label=fresh(axes, "saturated"), zorder=0.5, **_SATURATED)
    for name, spans in _zones(regions).items():
        for span in _seen(spans, axes):
            axes.axvspan(*span, label=fresh(axes, name), zorder=0.6, lw=0, alpha=0.8, **_DEAD[name])
    if slope is not None:
        axes.plot(x, np.asarray(slope, float), color="k", lw=1.6, label=f"{label} f'".strip())
    roots = np.asarray(regions.roots, float)
    roots = roots[(low <= roots) & (roots <= high)]
    if roots.size:
        style: dict[str, Any] = {"ms": 6, "mfc": "w", "mec": "k", "zorder": 3}
        axes.plot(roots, np.zeros_like(roots), "o", label=fresh(axes, "f' = 0"), **style)
    where = float(regions.argmax)
    if regions.max_slope > 0 and (np.isinf(where) or low <= where <= high):
        at = float(np.clip(where, low, high))
        # The derivative at its steepest may be negative.
        top = float(regions.max_slope)
        if slope is not None and np.interp(at, np.asarray(x, float), np.asarray(slope, float)) < 0:
            top = -top
        marker = "*" if np.isfinite(where) else ">" if where > 0 else "<"
        steep: dict[str, Any] = {"ms": 11 if marker == "*" else 8, "color": "#009e73", "mec": "w", "mew": 0.6}
        axes.plot(at, top, marker, ls="", label="steepest", clip_on=False, zorder=4, **steep)
    elif regions.max_slope == 0:
        axes.set_ylim(-0.1, 1.1)  # the noise of a constant is no slope
    axes.axhline(0, color="0.7", lw=0.8, zorder=0)
    axes.set_xlabel("x")
    axes.set_ylabel("f'(x)")
    return axes


def plot_dead_zones(
    axes: Axes, rows: Mapping[str, SaturationRegions], *, limits: tuple[float, float] | None = None
) -> Axes:
    """Draws saturated and dead intervals as bars, one row for each dtype or function, the first on top.

    Args:
      axes: Axes to draw on.
      rows: what `jaxact.saturation_regions` gives, by what to call it.
      limits: lowest and highest input; by default those that the Axes has.
    """
    if limits is not None:
        axes.set_xlim(*limits)
    for i, regions in enumerate(rows.values()):
        for span in _seen(regions.saturated, axes):
            bar = [(span[0], span[1] - span[0])]
            axes.broken_barh(bar, (i - 0.4, 0.8), label=fresh(axes, "saturated"), **_SATURATED)
        for name, spans in _zones(regions).items():
            for span in _seen(spans, axes):
                bar = [(span[0], span[1] - span[0])]
                axes.broken_barh(bar, (i - 0.4, 0.8), label=fresh(axes, name), lw=0, **_DEAD[name])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), list(rows), parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("x")
    return axes


def saturation_figure(
    x: ArrayLike, panels: Mapping[str, tuple[ArrayLike, SaturationRegions]], *, title: str = ""
) -> Figure:
    """Where functions are flat, one pane for each, over common inputs.

    Args:
      x: inputs, [n].
      panels: for each title the derivative at x, [n], and what `jaxact.saturation_regions` gives.
      title: title of the figure.
    """
    columns = 1 if len(panels) < 2 else 2
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(7 if columns == 1 else 10, 1 + 2.6 * rows), layout="constrained")
    panes = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel().tolist()
    for axes, (name, (slope, regions)) in zip(panes, panels.items(), strict=False):
        plot_saturation(axes, regions, x=x, slope=slope).set_title(name, parse_math=False)
    for axes in panes[len(panels) :]:
        axes.remove()
    for axes in panes[: max(0, len(panels) - columns)]:
        axes.set_xlabel("")
    for axes in panes[: len(panels)]:
        axes.tick_params(labelbottom=bool(axes.get_xlabel()))
    legend(figure, panes[: len(panels)])
    figure.suptitle(title, parse_math=False)
    return figure


def narrow_saturation_figure(x: ArrayLike, slope: ArrayLike, regions: SaturationRegions) -> Figure:
    """Where one function is flat, as narrow as a phone.

    Args:
      x: inputs, [n].
      slope: the derivative there, [n].
      regions: what `jaxact.saturation_regions` gives.
    """
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    plot_saturation(axes, regions, x=x, slope=slope)
    legend(figure, [axes], ncols=3, frameon=False)
    return figure


def legend(figure: FigureBase, panes: Sequence[Axes], **style: Any) -> None:
    """One legend below a figure, or a part of one, for all that its panes show."""
    handles: dict[str, Any] = {}
    for axes in panes:
        handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True)) | handles
    first = [label for label in ("f", "f'", "steepest", "f' = 0", "saturated", *_DEAD) if label in handles]
    handles = {label: handles[label] for label in dict.fromkeys([*first, *handles])}
    if handles:
        usual: dict[str, Any] = {"loc": "outside lower center", "ncols": min(len(handles), 5)}
        figure.legend(handles.values(), handles, **usual | style)
