"""Pictures of a diagnosis over time: sites against steps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from jaxact.diagnosis.history import History


def plot_sites(axes: Axes, steps: ArrayLike, sites: Sequence[str], values: ArrayLike, **options: Any) -> Axes:
    """Draws a number of each site over time, as colours; the first site is on top, what is not known is white.

    Args:
      axes: Axes to draw on.
      steps: at which was observed, growing, [times].
      sites: names of the sites.
      values: [sites, times].
      options: of Matplotlib's ``pcolormesh``, as ``cmap``, ``vmin``, ``vmax`` and ``norm``.
    """
    at = np.asarray(steps, float)
    between = (at[1:] + at[:-1]) / 2
    half = (at[-1] - between[-1]) if len(between) else 0.5
    ends = np.concatenate([at[:1] - (at[1] - at[0]) / 2 if len(between) else at - half, between, at[-1:] + half])
    rows = np.arange(len(sites) + 1) - 0.5
    mesh = axes.pcolormesh(ends, rows, np.ma.masked_invalid(np.asarray(values, float)), **options)
    axes.set_yticks(range(len(sites)), sites, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(max(ends[0], at[0]) if len(at) > 1 else ends[0], ends[-1])
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
    figure = axes.get_figure()
    if figure is not None:
        figure.colorbar(mesh, ax=axes, pad=0.02)
    return axes


def monitor_figure(history: History, *, title: str = "") -> Figure:
    """Sites of one network against time: shares of saturated inputs and of dead units, and norm of the gradient.

    Args:
      history: of a `jaxact.Monitor`.
      title: title of the figure.
    """
    figure = Figure(figsize=(12, 1.6 + 0.32 * max(len(history.sites), 4)), layout="constrained")
    panes = figure.subplots(1, 3, sharey=True)
    for pane, (name, values, options) in zip(panes, _shown(history), strict=True):
        plot_sites(pane, history.steps, list(map(str, history.sites)), values, **options).set_title(name)
    panes[0].set_ylim(len(history.sites) - 0.5, -0.5)  # shared: each pane would turn it over
    figure.suptitle(title, parse_math=False)
    return figure


def monitor_figures(history: History) -> dict[str, Figure]:
    """The parts of `monitor_figure`, each a figure as narrow as a phone, by what they show."""
    figures = {}
    for name, values, options in _shown(history):
        figure = Figure(figsize=(5.2, 1.4 + 0.32 * max(len(history.sites), 4)), layout="constrained")
        plot_sites(figure.subplots(), history.steps, list(map(str, history.sites)), values, **options)
        figures[name] = figure
    return figures


def _shown(history: History) -> tuple[tuple[str, np.ndarray, dict[str, Any]], ...]:
    """Title, values [sites, times] and options of colour of each pane."""
    share = {"cmap": "magma_r", "vmin": 0, "vmax": 100}
    norms = history.gradient_z
    logs = np.log10(norms, out=np.full(norms.shape, np.nan), where=norms > 0)
    return (
        ("inputs saturated (%)", 100 * history.saturated, share),
        ("units dead (%)", 100 * history.dead, share),
        ("log10 |dL/dz|", logs, {"cmap": "viridis"}),
    )
