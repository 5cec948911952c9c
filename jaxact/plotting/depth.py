"""Deep random networks: phases over weights and biases, and what layers do to signals and gradients."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from jaxact.mean_field.criticality import CriticalPoint, EdgeOfChaos
from jaxact.mean_field.phases import PhaseDiagram

_PHASES: dict[str, dict[str, Any]] = {
    "ordered: gradients vanish": {"facecolor": "#cde6f5"},
    "chaotic: gradients explode": {"facecolor": "#f8dcc8"},
    "signals of variance 1 explode": {"facecolor": "none", "edgecolor": "0.6", "hatch": "///"},
}
_DEPTHS = (1, 2, 5, 10, 20, 50)  # of the contours
_NAMED = 20  # deeper ones lie too close to the edge of chaos for their number
Pair = tuple[ArrayLike, ArrayLike]


def plot_phase(
    axes: Axes,
    diagram: PhaseDiagram,
    *,
    edge: EdgeOfChaos | Pair | None = None,
    critical: CriticalPoint | Pair | None = None,
) -> Axes:
    """Draws the ordered and the chaotic phase, contours of the depth scale, the edge of chaos and critical points.

    The contours tell in how many layers the correlation of two inputs comes nearer to its fixed point by a factor
    e. Where signals explode there is none. Everything has a label; a legend is up to you.

    Args:
      axes: Axes to draw on.
      diagram: what `jaxact.mean_field.phase_diagram` gives, on increasing axes.
      edge: what `jaxact.mean_field.edge_of_chaos` gives, or sigma_w and sigma_b of a line; by default where chi_1
        is 1 in the diagram.
      critical: what `jaxact.mean_field.critical_point` gives, or sigma_w and sigma_b of points.
    """
    w, b, phase = diagram.sigma_w, diagram.sigma_b, diagram.phase
    exploding = w > diagram.explodes[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.clip(np.log(phase.chi_1), -30, 30)
        # Signed, so that it goes through 0 at the edge of chaos, where depth scales are infinite.
        decay = np.where(np.isfinite(phase.c), np.where(rate < 0, 1, -1) / phase.xi_c, np.nan)
    shown = [(rate < 0).any(), (rate >= 0).any(), exploding.any()]
    fill: dict[str, Any] = {"levels": [-31, 0, 31], "colors": [p["facecolor"] for p in _PHASES.values()][:2]}
    # Where signals begin to explode, chi_1 may jump: each side is drawn by itself, up to the border between them.
    axes.contourf(w, b, _spread(rate, ~exploding), **fill)
    if exploding.any():
        border = np.clip(diagram.explodes, w.min(), w.max())
        style = _PHASES["signals of variance 1 explode"]
        beyond = axes.fill_betweenx(b[:, 0], border, w.max(), lw=0, **style)
        axes.contourf(w, b, _spread(rate, exploding), **fill).set_clip_path(beyond.get_paths()[0], axes.transData)
        beyond.set_zorder(1.1)
    for (label, style), there in zip(_PHASES.items(), shown, strict=True):
        if there:
            axes.fill([], [], label=label, lw=0, **style)
    levels = {sign / depth: f"{depth}" for depth in _DEPTHS for sign in (-1, 1)}
    finite = decay[np.isfinite(decay)]
    levels = {at: text for at, text in levels.items() if finite.min(initial=0) < at < finite.max(initial=0)}
    if levels:
        style = {"colors": "0.35", "linewidths": 0.8, "linestyles": "-"}
        lines = axes.contour(w, b, np.ma.masked_invalid(decay), levels=sorted(levels), **style)
        axes.clabel(lines, [at for at in lines.levels if abs(at) >= 1 / _NAMED], fmt=levels, fontsize="x-small")
        axes.plot([], [], color="0.35", lw=0.8, label="depth scale (layers)")
    line: dict[str, Any] = {"color": "k", "lw": 2, "label": "edge of chaos"}
    if edge is not None:
        for style, along in (_along(edge) if isinstance(edge, EdgeOfChaos) else {"-": _points(edge)}).items():
            inside = (along[0] >= w.min()) & (along[0] <= w.max()) & (along[1] >= b.min()) & (along[1] <= b.max())
            if inside.any():
                name = "edge of chaos" + (", unstable" if style == "--" else "")
                dot = {"marker": "o", "clip_on": False} if np.isfinite(along[0]).sum() == 1 else {}
                axes.plot(*along, style, **line | {"label": name}, **dot)
    elif shown[0] and shown[1]:
        axes.contour(w, b, rate, levels=[0], colors="k", linewidths=2)
        axes.plot([], [], **line)
    axes.set_xlim(w.min(), w.max())
    axes.set_ylim(b.min(), b.max())
    if critical is not None:
        at = np.stack(_points(critical))
        at = at[:, (at[0] >= w.min()) & (at[0] <= w.max()) & (at[1] >= b.min()) & (at[1] <= b.max())]
        if at.size:
            star: dict[str, Any] = {"ms": 15, "color": "#009e73", "mec": "w", "clip_on": False, "zorder": 4}
            axes.plot(*at, "*", label="critical point", **star)
    axes.set_xlabel(r"$\sigma_w$")
    axes.set_ylabel(r"$\sigma_b$")
    return axes


def _spread(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values along rows, where they are not known those of the nearest place where they are."""
    columns = np.arange(values.shape[1])
    far = np.abs(columns[:, None] - columns) + np.where(known, 0, 2 * columns.size)[:, None, :]
    return np.take_along_axis(values, far.argmin(-1), axis=1)


def _points(at: EdgeOfChaos | CriticalPoint | Pair) -> tuple[np.ndarray, np.ndarray]:
    sigma_w, sigma_b = (at.sigma_w, at.sigma_b) if isinstance(at, EdgeOfChaos | CriticalPoint) else at
    return np.asarray(sigma_w, float).ravel(), np.asarray(sigma_b, float).ravel()


def _along(edge: EdgeOfChaos) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The edge of chaos as lines, NaN where they are broken, by style: dashed where lengths run away from q.

    It is one curve along q. From one solution to the next it goes to a neighbouring sigma_b or turns round; where
    it does neither, it has left the biases that it was computed for.
    """
    keep = np.isfinite(edge.sigma_w)
    order = np.argsort(edge.q[keep])
    sigma_w, sigma_b, slope = (a[keep][order] for a in (edge.sigma_w, edge.sigma_b, edge.slope))
    biases, at = np.unique(sigma_b, return_inverse=True)
    ends = biases[:1], biases[-1:]
    gone = (np.abs(np.diff(at)) > 1) | ((np.diff(at) == 0) & np.isin(sigma_b[1:], np.concatenate(ends)))
    breaks = np.flatnonzero(gone) + 1
    sigma_w, sigma_b, slope = (np.insert(a, breaks, np.nan) for a in (sigma_w, sigma_b, slope))
    unstable = np.abs(slope) > 1 + 1e-9
    touching = unstable | np.roll(unstable, 1) | np.roll(unstable, -1)  # to the point where it turns stable
    lines = {"-": (np.where(unstable, np.nan, sigma_w), sigma_b)}
    return lines | ({"--": (np.where(touching, sigma_w, np.nan), sigma_b)} if unstable.any() else {})


def plot_depth(
    axes: Axes, measured: ArrayLike, predicted: ArrayLike, *, label: str = "", color: Any = None
) -> Axes:
    """Draws what was measured layer by layer, as points, and the line of the theory through them.

    The axis is logarithmic. Zeros lie on its lower edge as triangles, infinities on the upper one.

    Args:
      axes: Axes to draw on.
      measured: values per layer, [layers], or of several networks, [networks, layers]: then their mean, and a band
        from the lowest to the highest.
      predicted: values per layer, [layers].
      label: what the values are of; without it points and line are labelled "measured" and "predicted".
      color: colour; by default the next of the Axes.
    """
    predicted, networks = np.asarray(predicted, float), np.atleast_2d(np.asarray(measured, float))
    axes.set_yscale("log")
    line, *_ = axes.plot(_positive(predicted), color=color, lw=1.6, label=label or "predicted")
    color = line.get_color()
    layers = np.arange(networks.shape[1])
    mean = networks.mean(0)
    name = "_nolegend_" if label else "measured"
    axes.plot(layers, _positive(mean), "o", ms=4, mec="w", mew=0.4, color=color, label=name, zorder=3)
    if len(networks) > 1:
        low, high = networks.min(0), networks.max(0)
        positive = networks[(networks > 0) & np.isfinite(networks)]
        floor = positive.min(initial=np.inf)
        shown = (high > 0) & np.isfinite(high)
        axes.fill_between(layers, np.maximum(low, floor), high, where=shown.tolist(), color=color, alpha=0.2, lw=0)
    for gone, place, marker in ((mean == 0, 0.02, "v"), (np.isposinf(mean), 0.98, "^")):
        at = layers[gone]
        if at.size:
            axes.plot(at, np.full(at.size, place), marker, ms=4, color=color, transform=axes.get_xaxis_transform())
    axes.set_xlabel("layer")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    return axes


def _positive(values: np.ndarray) -> np.ndarray:
    return np.where((values > 0) & np.isfinite(values), values, np.nan)


def phase_figure(
    diagram: PhaseDiagram,
    *,
    edge: EdgeOfChaos | Pair | None = None,
    critical: CriticalPoint | Pair | None = None,
    title: str = "",
) -> Figure:
    """A phase diagram with its legend; arguments as for `plot_phase`."""
    figure = Figure(figsize=(7.4, 5.8), layout="constrained")
    plot_phase(figure.subplots(), diagram, edge=edge, critical=critical).set_title(title, parse_math=False)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def depth_figure(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]], *, quantity: str = "", title: str = ""
) -> Figure:
    """What was measured and predicted layer by layer, of several networks in one pane.

    Args:
      curves: by name what was measured, and what was predicted, as for `plot_depth`.
      quantity: what the values are.
      title: title of the figure.
    """
    figure = Figure(figsize=(7, 4.8), layout="constrained")
    axes = figure.subplots()
    for i, (name, (measured, predicted)) in enumerate(curves.items()):
        plot_depth(axes, measured, predicted, label=name, color=f"C{i}")
    axes.plot([], [], "o", color="0.4", ms=4, label="measured")
    axes.plot([], [], "-", color="0.4", label="predicted")
    if any(np.ndim(measured) == 2 and np.shape(measured)[0] > 1 for measured, _ in curves.values()):
        axes.fill([], [], color="0.4", alpha=0.2, lw=0, label="lowest to highest")
    axes.set_ylabel(quantity)
    axes.set_title(title, parse_math=False)
    figure.legend(loc="outside lower center", ncols=min(5, len(curves) + 3))
    return figure
