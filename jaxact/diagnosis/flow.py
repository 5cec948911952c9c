"""The gradient on its way from one activation to the one before, and what mean-field theory says of it."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxact.analysis.moments import moments
from jaxact.catalog import get
from jaxact.diagnosis.facts import agrees
from jaxact.diagnosis.layers import stacked_axes
from jaxact.diagnosis.links import Link
from jaxact.diagnosis.parameters import weights_at
from jaxact.diagnosis.sites import Site
from jaxact.diagnosis.statistics import SiteRecord
from jaxact.errors import InputError


@dataclasses.dataclass(frozen=True)
class Flow:
    r"""How the gradient changes from one site to the next one, l + 1, that takes its activations.

    .. math::
        \log_{10} \frac{\|\partial L/\partial z_l\|}{\|\partial L/\partial z_{l+1}\|}
        = \log_{10} \frac{\|\partial L/\partial z_l\|}{\|\partial L/\partial a_l\|}
        + \log_{10} \frac{\|\partial L/\partial a_l\|}{\|\partial L/\partial z_{l+1}\|}

    Attributes:
      source: index of site l.
      target: index of site l + 1.
      factor: the left side; below 0 the gradient shrinks on its way back.
      by_slope: the part of f', the first term.
      by_weights: the part of the weights and of all else between the two.
      sigma_w: root of fan-in times mean square of the weights between them, None if it is not known.
      chi_1: the square of the factor that mean-field theory predicts, sigma_w^2 E f'(z)^2 with z ~ N(0, q) at the
        measured q = E z_l^2; None if more than one plain layer stands between the two, or a moment does not exist.
      observed: the square of the factor.
    """

    source: int
    target: int
    factor: float
    by_slope: float
    by_weights: float
    sigma_w: float | None
    chi_1: float | None
    observed: float


def flows(
    sites: Sequence[Site], links: Sequence[Link], records: Sequence[Sequence[SiteRecord]], parameters: Any
) -> tuple[Flow, ...]:
    """The flow between each two sites that are linked, and between iterations of one that is stacked in a scan.

    Args:
      sites: from `find_sites`.
      links: what stands before each.
      records: the records of each site.
      parameters: tree of the parameters.

    Returns:
      Flows, with indices into the records, one after the other.
    """
    first = [0, *itertools.accumulate(map(len, records))]
    found = []

    def add(s: int, i: int, t: int, j: int, plain: bool) -> None:
        """The flow from the i-th record of a site to the j-th of another."""
        target = records[t][j]
        sigma_w = _sigma_w(sites[t], target, parameters)
        through = sites[s] if plain else None
        found.append(_flow(first[s] + i, first[t] + j, records[s][i], target, sigma_w, through))

    for body in _bodies(sites):
        count = len(records[body[0]])
        if not sites[body[0]].loops:
            (t,) = body
            for s in links[t].sources:
                plain = links[t].plain and len(records[s]) == len(records[t]) == 1
                add(s, len(records[s]) - 1, t, 0, plain)
        elif _are_layers(body, sites, links, records):
            for i, t in itertools.product(range(count), body):  # one after the other
                for s in links[t].sources:
                    add(s, i, t, i, links[t].plain)
                for s in links[t].before if i else ():
                    add(s, i - 1, t, i, links[t].plain)
        else:
            for t in body:
                for i in range(1, len(records[t])):
                    add(t, i - 1, t, i, plain=False)
    return tuple(found)


def _bodies(sites: Sequence[Site]) -> list[list[int]]:
    """The sites in the body of a scan together, any other alone, in the order of evaluation."""
    found: list[list[int]] = []
    for i, site in enumerate(sites):
        same = found and site.loops and sites[found[-1][0]].function.program is site.function.program
        if same:
            found[-1].append(i)
        else:
            found.append([i])
    return found


def _are_layers(body: list[int], sites: Sequence[Site], links: Sequence[Link], records: Sequence) -> bool:
    """Whether each iteration of one scan is layers of its own, whose sites were run in each, and are linked."""
    one = {(len(sites[t].loops), len(records[t])) for t in body} == {(1, sites[body[0]].loops[0].length)}
    linked = any(links[t].sources or links[t].before for t in body)
    return one and linked and all(sites[t].loops[0].apart for t in body)


def true_function(site: Site) -> Callable[[Any], Any]:
    """The function of a site: that of jaxact where it is one of the catalogue, for its derivatives are right."""
    if site.name is not None and agrees(site.function, site.name):
        return get(site.name)
    return site.function


def _flow(
    s: int, t: int, source: SiteRecord, target: SiteRecord, sigma_w: float | None, site: Site | None
) -> Flow:
    by_slope = _log_ratio(source.gradient_z, source.gradient_a)
    by_weights = _log_ratio(source.gradient_a, target.gradient_z)
    factor = _log_ratio(source.gradient_z, target.gradient_z)
    chi_1 = None
    if site is not None and sigma_w is not None:
        try:
            q = source.z.mean**2 + source.z.std**2
            chi_1 = sigma_w**2 * float(moments(true_function(site), q).slope)
        except InputError:  # no variance, or a function that grows too fast
            chi_1 = None
    return Flow(s, t, factor, by_slope, by_weights, sigma_w, chi_1, 10 ** (2 * factor))


def _log_ratio(a: float, b: float) -> float:
    if not (math.isfinite(a) and math.isfinite(b)):
        return math.nan
    if a == 0 or b == 0:
        return -math.inf if b else math.nan
    return math.log10(a / b)


def _sigma_w(site: Site, record: SiteRecord, parameters: Any) -> float | None:
    if site.layer is None:
        return None
    weights = weights_at(parameters, site.layer.path)
    axes = stacked_axes(site.loops)
    if axes is None:
        return None
    weights = np.moveaxis(weights, axes, range(len(axes)))[record.index]
    if weights.ndim < 2:
        return None
    fan_in = site.layer.fan_in or weights.size // weights.shape[-1]  # Flax and JAX have the outputs last
    return float(math.sqrt(fan_in * np.mean(weights**2)))
