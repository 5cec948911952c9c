"""Verdicts on the gradient: cut off, wrong initialisation, vanishing, exploding."""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from jaxact.analysis.moments import moments
from jaxact.diagnosis.evidence import Evidence, called, others, path_of_extreme, rms
from jaxact.diagnosis.flow import Flow
from jaxact.diagnosis.statistics import SiteRecord
from jaxact.diagnosis.verdict import Verdict
from jaxact.errors import InputError

_GAMMAS = ("scale", "gamma")


def not_finite(evidence: Evidence) -> Iterator[Verdict]:
    """Numbers that are not finite: the first site that has them, or the loss."""
    for i, site in enumerate(evidence.sites):
        if site.not_finite:
            numbers = {"not_finite": site.not_finite}
            reason = f"{site.not_finite:.1%} of its pre-activations or activations are not finite in {site.dtype}."
            fix = "Normalise before it, or lower the learning rate or the weights."
            yield evidence.verdict("exploding", i, numbers, reason, fix, left=0.0)
            return
    if not math.isfinite(evidence.loss):
        reason = f"the loss is {evidence.loss}, with finite activations."
        fix = "Compute it by jax.nn.log_softmax, or whatever else keeps logarithms and divisions from 0."
        yield evidence.verdict("exploding", None, {"loss": evidence.loss}, reason, fix, left=0.0)


def frozen_layers(evidence: Evidence) -> Iterator[Verdict]:
    """Gradients that are exactly 0 although no slope is, or far below what sigma_w makes them."""
    yield from _cut_off(evidence) or _without_gradient(evidence) or _attenuated(evidence)


def _cut_off(evidence: Evidence) -> list[Verdict]:
    """Sites with no gradient by their activations: the last of them, after which it is cut."""
    zero = [i for i, site in enumerate(evidence.sites) if _no_gradient(site)]
    if not zero or _starts_at_zero(evidence):
        return []
    last = zero[-1]
    after = [evidence.sites[flow.target].gradient_z for flow in evidence.flows if flow.source == last]
    if after and max(after) == 0:  # a slope of 0 after it, or numbers that underflow
        return []
    reason = (
        "the gradient by its activations is exactly 0, so that nothing up to there learns"
        f"{others(len(zero) - 1)}, and no slope explains it."
    )
    numbers = {"gradient_a": 0.0, "gradient_after": max(after, default=math.nan), "sites": float(len(zero))}
    fix = (
        "Look after it for a stop_gradient, an argmax or a rounding, for weights that are 0, or for outputs that"
        " the loss does not take."
    )
    return [evidence.verdict("frozen", last, numbers, reason, fix, left=0.0)]


def _no_gradient(site: SiteRecord) -> bool:
    """Whether the gradient by the activations is exactly 0; the norm is so as well if its squares underflow."""
    return site.units > 0 and len(site.cut_off) == site.units


def _starts_at_zero(evidence: Evidence) -> bool:
    """Whether weights or factors start at 0 by design, so that the gradient comes through after one step."""
    factors = [
        record
        for record in evidence.parameters
        if record.norm == 0 and (len(record.shape) > 1 or record.path.rsplit(".", 1)[-1] in _GAMMAS)
    ]
    return bool(factors) and all(record.gradient > 0 for record in factors)


def _without_gradient(evidence: Evidence) -> list[Verdict]:
    """Weights whose gradient is exactly 0 while that by all pre-activations is not."""
    if any(site.gradient_z == 0 for site in evidence.sites):
        return []
    weights = [record for record in evidence.parameters if len(record.shape) > 1]
    fixed = [record for record in weights if record.gradient == 0]
    if not fixed or _starts_at_zero(evidence):
        return []
    site = next((i for i, s in enumerate(evidence.sites) if s.layer == fixed[0].path), None)
    reason = f"the gradient of {fixed[0].path}{others(len(fixed) - 1, 'array')} is exactly 0."
    fix = "Look for a stop_gradient around it, for inputs of 0, or for outputs that the loss does not take."
    numbers = {"arrays": float(len(fixed)), "of": float(len(weights))}
    return [evidence.verdict("frozen", site, numbers, reason, fix, left=1 - len(fixed) / len(weights))]


def _attenuated(evidence: Evidence) -> list[Verdict]:
    """The plain layer whose part in the gradient is furthest below its weights."""
    limit = evidence.thresholds.disagreement
    found = [
        (flow.by_weights - math.log10(flow.sigma_w), flow.source, flow)
        for flow in evidence.flows
        if flow.chi_1 is not None and flow.sigma_w and math.isfinite(flow.by_weights)
    ]
    gap, source, flow = min(found, default=(0.0, 0, None))
    if flow is None or gap > -math.log10(limit):
        return []
    reason = (
        f"on its way back from {evidence.sites[flow.target].where} the gradient changes by a factor of"
        f" {10**flow.by_weights:.3g}, {10**-gap:.3g} times less than its weights pass, whose sigma_w is"
        f" {flow.sigma_w:.3g}."
    )
    numbers = {"observed": 10**flow.by_weights, "predicted": float(flow.sigma_w or 0), "threshold": limit}
    fix = "Look between the two for a stop_gradient, a mask on the weights, or a derivative rule that scales."
    return [evidence.verdict("frozen", source, numbers, reason, fix, left=10**gap)]


class Chain(NamedTuple):
    """The layers over which the gradient falls or grows too far.

    Attributes:
      path: their flows.
      total: log10 of its change.
      predicted: what mean-field theory says of it, nan where it has nothing to say.
      worst: the flow that theory holds for most of it.
      mended: what for_activation of the function of that flow would make of it; nan if there is no such thing.
    """

    path: tuple[Flow, ...]
    total: float
    predicted: float
    worst: Flow
    mended: float


def chains(evidence: Evidence) -> list[Chain]:
    """Where the gradient falls below, and where it grows above the thresholds."""
    limits = evidence.thresholds
    found = []
    for sign, limit in ((-1, -math.log10(limits.vanishing)), (1, math.log10(limits.exploding))):
        path = path_of_extreme(evidence.flows, sign)
        total = sum(flow.factor for flow in path)
        if path and sign * total > limit:
            parts = [0.5 * math.log10(flow.chi_1) if flow.chi_1 else math.nan for flow in path]
            worst = int(np.argmax([sign * (x if math.isfinite(x) else 0) for x in parts]))
            here = _chi_of_gain(evidence, path[worst].source)
            mended = 0.5 * len(path) * math.log10(here) if here else math.nan
            found.append(Chain(path, total, sum(parts), path[worst], mended))
    return found


def is_initialisation(chain: Chain, share: float) -> bool:
    """Whether theory accounts for a share of the decades, and another initialisation takes such a share away.

    A comparison with nan, which stands for no theory, is false.
    """
    explained = abs(chain.total - chain.predicted) <= (1 - share) * abs(chain.total)
    return explained and abs(chain.mended) <= (1 - share) * abs(chain.total)


def wrong_gain(evidence: Evidence) -> Iterator[Verdict]:
    """Gradients that fall or grow as the theory says of these weights, and would not with others."""
    for chain in chains(evidence):
        if not is_initialisation(chain, evidence.thresholds.explained):
            continue
        flow = chain.worst
        site = evidence.sites[flow.source]
        function = evidence.function_of(flow.source)
        due = float(moments(function, 1.0).second) ** -0.5
        reason = (
            f"over {len(chain.path)} layers the gradient changes by {_power(chain.total)} on its way back, and"
            f" theory predicts {_power(chain.predicted)}: {site.name or 'the function'} with"
            f" sigma_w = {flow.sigma_w:.3g} at q = {rms(site.z) ** 2:.3g} has chi_1 = {flow.chi_1:.3g}, not 1."
        )
        fix = (
            f"kernel_init=jaxact.initializers.for_activation({called(site)}), which has sigma_w = {due:.4g},"
            f" changes it by {_power(chain.mended)}{_critical(evidence, flow.source)}."
        )
        numbers = {
            "factor": 10**chain.total,
            "predicted": 10**chain.predicted,
            "mended": 10**chain.mended,
            "sigma_w": float(flow.sigma_w or math.nan),
            "sigma_w_due": due,
            "chi_1": float(flow.chi_1 or math.nan),
        }
        yield evidence.verdict("gain", flow.target, numbers, reason, fix, left=10 ** -abs(chain.total))


def vanishing_gradient(evidence: Evidence) -> Iterator[Verdict]:
    """Gradients that fall too far, by no fault of the initialisation."""
    for chain in chains(evidence):
        if chain.total < 0 and not is_initialisation(chain, evidence.thresholds.explained):
            by_slope, by_weights = _split(chain)
            names = dict.fromkeys(evidence.sites[flow.source].name or "the function" for flow in chain.path)
            if by_slope < by_weights:
                fix = (
                    f"Replace {'/'.join(names)} by a function with a slope of about 1, such as jaxact.tanh,"
                    " jaxact.relu or jaxact.gelu, or normalise each layer and add shortcuts around it."
                )
            else:
                fix = "Normalise each layer, add shortcuts around it, or make its weights larger."
            yield _of_chain(evidence, "vanishing", chain, fix, evidence.thresholds.vanishing)


def exploding_gradient(evidence: Evidence) -> Iterator[Verdict]:
    """Gradients that grow too far, by no fault of the initialisation."""
    for chain in chains(evidence):
        if chain.total > 0 and not is_initialisation(chain, evidence.thresholds.explained):
            fix = "Normalise each layer, divide what shortcuts add by the root of the depth, or clip the gradient."
            yield _of_chain(evidence, "exploding", chain, fix, evidence.thresholds.exploding)


def _of_chain(evidence: Evidence, kind: Any, chain: Chain, fix: str, limit: float) -> Verdict:
    first, last = chain.path[0].source, chain.path[-1].target
    by_slope, by_weights = _split(chain)
    reason = (
        f"the gradient here is {_power(chain.total)} of that at {evidence.sites[last].where},"
        f" {len(chain.path)} layers on: {_power(by_slope)} by f' and {_power(by_weights)} by the weights and"
        " all else."
    )
    numbers = {"factor": 10**chain.total, "by_slope": by_slope, "by_weights": by_weights, "threshold": limit}
    return evidence.verdict(kind, first, numbers, reason, fix, left=10 ** -abs(chain.total))


def _split(chain: Chain) -> tuple[float, float]:
    return sum(flow.by_slope for flow in chain.path), sum(flow.by_weights for flow in chain.path)


def _power(log10: float) -> str:
    return f"10^{log10:.1f}"


def _chi_of_gain(evidence: Evidence, i: int) -> float | None:
    """chi_1 at q = 1 with the weights that keep the second moment."""
    try:
        return _chi(evidence.function_of(i))
    except InputError:
        return None


def _chi(function: Callable[[Any], Any]) -> float | None:
    found = moments(function, 1.0)
    return float(found.slope / found.second) if found.second > 0 and found.slope > 0 else None


def _critical(evidence: Evidence, i: int) -> str:
    """The critical point with biases or other weights, if the function has one."""
    site = evidence.sites[i]
    point = None if site.name is None else _critical_point(site.name)
    if point is None:
        return ""
    sigma_w, sigma_b = point
    return (
        f"; for great depth jaxact.mean_field.critical_point({called(site)}) has sigma_w = {sigma_w:.4g},"
        f" sigma_b = {sigma_b:.4g}"
    )


@functools.cache
def _critical_point(name: str) -> tuple[float, float] | None:
    from jaxact.catalog import get
    from jaxact.mean_field import critical_point

    try:
        point = critical_point(get(name))
    except InputError:
        return None
    return float(point.sigma_w[-1]), float(point.sigma_b[-1])
