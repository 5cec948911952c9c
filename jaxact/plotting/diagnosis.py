"""Pictures of a diagnosis, in all of which the sites stand one below the other, the first on top."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from jaxact.analysis.saturation import SaturationRegions
from jaxact.diagnosis.report import Diagnosis
from jaxact.diagnosis.statistics import QUANTILES
from jaxact.plotting.saturation import fresh

# Colours of Okabe & Ito, which people with any colour vision tell apart.
_BY_SLOPE, _BY_WEIGHTS, _PREDICTED = "#d55e00", "#0072b2", "#009e73"
_SHARES = {"saturated": "#e69f00", "f' = 0": "#d55e00", "dead units": "k", "dormant units": "#56b4e9"}
_FLAT: dict[str, dict[str, Any]] = {
    "saturated": {"facecolor": "#e69f00", "alpha": 0.25},
    "f' is 0": {"facecolor": "#d55e00", "alpha": 0.35},
}


def plot_gradients(axes: Axes, diagnosis: Diagnosis) -> Axes:
    """Draws the norms of the gradient by z and a of each site, on a scale of logarithms.

    From a site on, a line leads back to the site before: first the part of the weights, to dL/da there, then that
    of f', to dL/dz. A cross is where chi_1 puts dL/dz there, from the next site's; an arrow at the edge is a 0.

    Args:
      axes: Axes to draw on.
      diagnosis: what `jaxact.diagnose` gives.
    """
    sites, up = diagnosis.sites, 0.16  # a below, z above: the way back leads upwards
    for i, site in enumerate(sites):
        _line(axes, (site.gradient_a, site.gradient_z), (i + up, i - up), _BY_SLOPE, "part of f'")
    for flow in diagnosis.flows:
        source, target = sites[flow.source], sites[flow.target]
        ends = (target.gradient_z, source.gradient_a), (flow.target - up, flow.source + up)
        _line(axes, *ends, _BY_WEIGHTS, "part of the weights")
        if flow.chi_1 and target.gradient_z > 0:
            where = target.gradient_z * flow.chi_1**0.5, flow.source - up
            axes.plot(*where, "x", color=_PREDICTED, ms=7, mew=1.6, label=fresh(axes, "by chi_1"), zorder=4)
    for key, marker in (("z", "o"), ("a", "s")):
        norms = np.array([getattr(site, f"gradient_{key}") for site in sites], float)
        rows = np.arange(len(sites)) + (up if key == "a" else -up)
        seen = norms > 0
        style: dict[str, Any] = {"ms": 5, "color": "k", "mfc": "k" if key == "z" else "w", "zorder": 3}
        axes.plot(norms[seen], rows[seen], marker, label=f"|dL/d{key}|", **style)
    for i, site in enumerate(sites):
        if site.gradient_z == 0:  # which no logarithm can show
            edge: dict[str, Any] = {
                "transform": axes.get_yaxis_transform(),
                "color": _BY_SLOPE,
                "ms": 6,
                "zorder": 4,
            }
            axes.plot(0.015, i - up, "<", label=fresh(axes, "dL/dz = 0"), **edge)
    axes.set_xscale("log")
    low, high = np.log10(axes.get_xlim())
    axes.set_xlim(10 ** np.floor(low), 10 ** np.ceil(high))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("norm of the gradient")
    return _rows(axes, diagnosis)


def plot_shares(axes: Axes, diagnosis: Diagnosis) -> Axes:
    """Draws the shares of saturated inputs, of those with f' = 0, of dead and of dormant units, as bars.

    Args:
      axes: Axes to draw on.
      diagnosis: what `jaxact.diagnose` gives.
    """
    sites = diagnosis.sites
    values = {
        "saturated": [site.saturated for site in sites],
        "f' = 0": [site.zero for site in sites],
        "dead units": [len(site.dead) / max(site.units, 1) for site in sites],
        "dormant units": [len(site.dormant) / max(site.units, 1) for site in sites],
    }
    rows, height = np.arange(len(sites)), 0.2
    for k, (label, shares) in enumerate(values.items()):
        percent = 100 * np.array(shares, float)
        axes.barh(rows + (k - 1.5) * height, percent, height, color=_SHARES[label], label=label)
    axes.set_xlim(0, 100)
    axes.set_xlabel("share (%)")
    return _rows(axes, diagnosis)


def plot_preactivations(
    axes: Axes, diagnosis: Diagnosis, regions: Sequence[SaturationRegions | None] | None = None
) -> Axes:
    """Draws where the pre-activations of each site lie, over where its function is flat.

    Args:
      axes: Axes to draw on.
      diagnosis: what `jaxact.diagnose` gives.
      regions: for each site what `jaxact.saturation_regions` gives, None where that is not known.
    """
    sites = diagnosis.sites
    quantiles = np.array([site.z.quantiles for site in sites], float).reshape(len(sites), len(QUANTILES))
    far = float(np.nanmax(np.abs(quantiles[np.isfinite(quantiles)]), initial=0.0))
    limit = max(1.15 * far, 4.0)
    if limit > 30:
        axes.set_xscale("symlog", linthresh=10)
        limit = 1.5 * limit
    axes.set_xlim(-limit, limit)
    for i, flat in enumerate(regions or ()):
        for label, spans in (("saturated", flat and flat.saturated), ("f' is 0", flat and flat.dead)):
            for low, high in np.clip(
                np.asarray(() if spans is None else spans, float).reshape(-1, 2), -limit, limit
            ):
                if high > low:
                    bar = [(low, high - low)]
                    axes.broken_barh(bar, (i - 0.46, 0.92), lw=0, label=fresh(axes, label), **_FLAT[label])
    for i, (lowest, low, middle, high, highest) in enumerate(quantiles):
        if np.isfinite(quantiles[i]).all():
            axes.plot([lowest, highest], [i, i], color="0.25", lw=1.4, label=fresh(axes, "1 to 99 %"))
            axes.plot([low, high], [i, i], color="#0072b2", lw=7, solid_capstyle="butt", label=fresh(axes, "half"))
            axes.plot(middle, i, "|", color="k", ms=9, mew=1.4, zorder=4)
    axes.axvline(0, color="0.6", lw=0.8, zorder=0)
    axes.set_xlabel("pre-activation z")
    return _rows(axes, diagnosis)


def diagnosis_figures(
    diagnosis: Diagnosis, regions: Sequence[SaturationRegions | None] | None = None
) -> dict[str, Figure]:
    """The three pictures of a diagnosis, each a figure as narrow as a phone, by what they show."""
    panes = {
        "Gradient from site to site": plot_gradients,
        "Flat inputs, dead and dormant units": plot_shares,
        "Pre-activations over flat regions": lambda axes, found: plot_preactivations(axes, found, regions),
    }
    figures = {}
    for title, draw in panes.items():
        figure = Figure(figsize=(5.2, _height(diagnosis)), layout="constrained")
        axes = draw(figure.subplots(), diagnosis)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
        figures[title] = figure
    return figures


def diagnosis_figure(
    diagnosis: Diagnosis, regions: Sequence[SaturationRegions | None] | None = None, *, title: str = ""
) -> Figure:
    """A diagnosis as one figure, its three pictures side by side.

    Args:
      diagnosis: what `jaxact.diagnose` gives.
      regions: as for `plot_preactivations`.
      title: title of the figure.
    """
    figure = Figure(figsize=(14, _height(diagnosis) + 0.3 * bool(title)), layout="constrained")
    parts: Any = figure.subfigures(1, 3)
    draws = (plot_gradients, plot_shares, lambda axes, found: plot_preactivations(axes, found, regions))
    for part, draw in zip(parts, draws, strict=True):
        axes = draw(part.subplots(), diagnosis)
        part.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(title, parse_math=False)
    return figure


def _height(diagnosis: Diagnosis) -> float:
    return 1.5 + 0.42 * max(len(diagnosis.sites), 2)


def _line(axes: Axes, norms: tuple[float, float], rows: tuple[float, float], color: str, label: str) -> None:
    if all(np.isfinite(norms)) and min(norms) > 0:
        axes.plot(norms, rows, color=color, lw=2, label=fresh(axes, label), zorder=2)


def _rows(axes: Axes, diagnosis: Diagnosis) -> Axes:
    names = [f"{_short(site.where)}\n{_short(site.name or '?')}" for site in diagnosis.sites]
    axes.set_yticks(range(len(names)), names, fontsize="small", parse_math=False)
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.3)
    return axes


def _short(name: str, width: int = 18) -> str:
    return name if len(name) <= width else f"…{name[1 - width :]}"
