"""Maps of the gate, what functions let through of a gradient."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from jaxact.plotting.saturation import fresh

_GATE_MIN = 1e-4  # smaller gates have its colour


def _edges(centres: np.ndarray) -> np.ndarray:
    """The n + 1 ends of cells around n centres."""
    if centres.size == 1:
        return centres[0] + np.array([-0.5, 0.5])
    inner = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - inner[0]], inner, [2 * centres[-1] - inner[-1]]])


def plot_saturation_map(
    axes: Axes,
    x: ArrayLike,
    rows: Sequence[str] | ArrayLike,
    gate: ArrayLike,
    *,
    dead: ArrayLike | None = None,
) -> Axes:
    """Draws the gate over functions, or over scales, and inputs; dead cells are hatched.

    The image is ``axes.collections[0]``, for ``figure.colorbar``. Its colours are logarithmic and end at 1e-4.

    Args:
      axes: Axes to draw on.
      x: inputs, sorted, [n].
      rows: names of functions, the first on top, or increasing numbers, such as scales; [m]. Numbers that grow by
        a factor are drawn on a logarithmic axis.
      gate: what comes through of a gradient, |f'| / max |f'|, [m, n].
      dead: whether nothing comes through, [m, n]; by default where the gate is 0.
    """
    x, gate = np.asarray(x, float), np.asarray(gate, float)
    gone = np.asarray(gate == 0 if dead is None else dead, bool)
    named = all(isinstance(row, str) for row in np.asarray(rows).tolist())
    y = np.arange(gate.shape[0]) if named else np.asarray(rows, float)
    factor = not named and y.size > 2 and y[0] > 0 and np.ptp(np.diff(np.log(y))) < np.ptp(np.diff(y))
    across, down = _edges(x), np.exp(_edges(np.log(y))) if factor else _edges(y)
    shown = np.where(gone, np.nan, np.clip(gate, _GATE_MIN, 1))
    axes.pcolormesh(across, down, shown, cmap="viridis", norm=LogNorm(_GATE_MIN, 1), rasterized=True)
    for row, low, high in zip(gone, down[:-1], down[1:], strict=True):
        ends = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]))).reshape(-1, 2)
        bars = [(float(across[a]), float(across[b] - across[a])) for a, b in ends]
        if bars:
            style: dict[str, Any] = {"facecolor": "0.88", "edgecolor": "#d55e00", "hatch": "////", "lw": 0}
            axes.broken_barh(bars, (low, high - low), label=fresh(axes, "dead: f' = 0"), **style)
    if named:
        axes.set_yticks(y, list(np.asarray(rows)), parse_math=False)
        axes.tick_params(axis="y", length=0)
    elif factor:
        axes.set_yscale("log")
    axes.set_xlim(across[0], across[-1])
    axes.set_ylim(*((down[-1], down[0]) if named else (down[0], down[-1])))
    axes.set_xlabel("x")
    return axes


def saturation_map_figure(
    x: ArrayLike,
    rows: Sequence[str] | ArrayLike,
    gate: ArrayLike,
    *,
    dead: ArrayLike | None = None,
    title: str = "",
) -> Figure:
    """A map of the gate with its scale of colours; arguments as for `plot_saturation_map`."""
    count = np.shape(gate)[0]
    named = isinstance(np.asarray(rows).tolist()[0], str)
    figure = Figure(figsize=(8, 1.6 + (0.2 * count if named else 3.4)), layout="constrained")
    axes = plot_saturation_map(figure.subplots(), x, rows, gate, dead=dead)
    axes.set_title(title, parse_math=False)
    bar = figure.colorbar(axes.collections[0], ax=axes, extend="min", label="gate |f'| / max |f'|")
    bar.ax.minorticks_off()
    if axes.get_legend_handles_labels()[1]:
        figure.legend(loc="outside lower center", handlelength=3)
    return figure
