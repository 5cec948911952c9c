"""Verdicts on units and inputs of sites: dead, dormant, saturated, lost to the dtype; and on the batch."""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxact.diagnosis.evidence import Evidence, called, others, rms
from jaxact.diagnosis.statistics import SiteRecord
from jaxact.diagnosis.sums import SATURATED
from jaxact.diagnosis.verdict import Verdict


def unscaled_input(evidence: Evidence) -> Iterator[Verdict]:
    """Inputs far from the size that initialisations are made for, where that goes on to the first activations."""
    spread, limit = evidence.inputs, evidence.thresholds.input
    if spread is None:
        return
    size = rms(spread)
    if not math.isfinite(size):
        reason = "the inputs hold numbers that are not finite."
        yield evidence.verdict("input", None, {"rms": size}, reason, "Clean the data.", left=0.0)
        return
    fed = {flow.target for flow in evidence.flows}
    first = [(rms(site.z), i) for i, site in enumerate(evidence.sites) if i not in fed]
    z, i = max(first, default=(0.0, None))
    if size < limit or z < limit:
        return
    due = "(x - mean) / std of each channel over the training set"
    reason = (
        f"the inputs have mean {spread.mean:.3g} and standard deviation {spread.std:.3g}, so that the first"
        f" pre-activations have a root mean square of {z:.3g} instead of about 1."
    )
    numbers = {"mean": spread.mean, "std": spread.std, "rms": size, "z": z, "threshold": limit}
    yield evidence.verdict("input", i, numbers, reason, f"Standardise them: {due}.", left=1 / size)


def lost_to_dtype(evidence: Evidence) -> Iterator[Verdict]:
    """Slopes that are 0 in the dtype of the model alone, where these are most of what is saturated."""
    limit = evidence.thresholds.lost
    found = [(site.zero_by_dtype or 0.0, i) for i, site in enumerate(evidence.sites) if _is_lost(site, limit)]
    if not found:
        return
    share, i = found[0]
    site = evidence.sites[i]
    reason = (
        f"the derivative of {site.name} as computed in {site.dtype} is exactly 0 at {share:.1%} of the inputs"
        f"{others(len(found) - 1)}, where the true one is not: z = {site.z.mean:.3g} ± {site.z.std:.3g}."
    )
    fix = f"Use {called(site)}, which keeps it, and bring the pre-activations back to about 0 ± 1."
    numbers = {"lost": share, "z_mean": site.z.mean, "z_std": site.z.std, "threshold": limit}
    yield evidence.verdict("dtype", i, numbers, reason, fix, left=1 - share)


def _is_lost(site: SiteRecord, limit: float) -> bool:
    lost = site.zero_by_dtype or 0.0
    return lost >= limit and lost >= site.saturated / 2


def by_chance(site: SiteRecord, firing: float) -> float:
    """Share of units that never fire in so many examples although each fires at a rate."""
    return (1 - firing) ** site.examples


def dead_units(evidence: Evidence) -> Iterator[Verdict]:
    """Units with a slope of exactly 0 at every example; the first such site, as those after it get constants."""
    limits = evidence.thresholds
    found = [
        i for i, site in enumerate(evidence.sites) if _share(site, site.dead) >= _limit(evidence, i, limits.dead)
    ]
    if not found:
        return
    site = evidence.sites[found[0]]
    share = _share(site, site.dead)
    reason = (
        f"{len(site.dead)} of {site.units} units have a slope of 0 at each of {site.examples} examples"
        f"{others(len(found) - 1)}, z = {site.z.mean:.3g} ± {site.z.std:.3g}; at 95 % confidence each of them"
        f" fires at less than {site.firing_bound:.1%} of all."
    )
    fix = _fix_of_dead(site)
    numbers = {
        "share": share,
        "firing_bound": site.firing_bound,
        "threshold": _limit(evidence, found[0], limits.dead),
    }
    yield evidence.verdict("dead", found[0], numbers, reason, fix, left=1 - share)


def _fix_of_dead(site: SiteRecord) -> str:
    if site.z.mean < -site.z.std:
        start = f"Start the biases before it at 0 (they put z at {site.z.mean:.3g})"
    else:
        call = f"jaxact.initializers.for_activation({called(site)})"
        start = f"Lower the learning rate, and start with kernel_init={call}"
    return f"{start}, or take a function with a slope below 0, such as jaxact.leaky_relu or jaxact.gelu."


def dormant_units(evidence: Evidence) -> Iterator[Verdict]:
    """Units that hardly do anything beside the others of their site, and are not dead."""
    limits = evidence.thresholds
    idle = [set(site.dormant) - set(site.dead) for site in evidence.sites]
    found = [
        (_share(site, idle[i]), i)
        for i, site in enumerate(evidence.sites)
        if _share(site, idle[i]) >= _limit(evidence, i, limits.dormant)
    ]
    if not found:
        return
    share, i = max(found, key=lambda pair: pair[0])
    site = evidence.sites[i]
    reason = (
        f"{len(idle[i])} of {site.units} units have a mean |a| of at most {site.tau:g} of that of the mean unit,"
        f" though their slope is not 0{others(len(found) - 1)}."
    )
    fix = (
        "Initialise the weights into those units again, and set those out of them to 0 (ReDo); their indices are"
        f" sites[{i}].dormant."
    )
    numbers = {"share": share, "tau": site.tau, "threshold": _limit(evidence, i, limits.dormant)}
    yield evidence.verdict("dormant", i, numbers, reason, fix, left=1 - share)


def _share(site: SiteRecord, units: Any) -> float:
    return len(units) / max(site.units, 1)


def _limit(evidence: Evidence, i: int, share: float) -> float:
    site = evidence.sites[i]
    chance = by_chance(site, evidence.thresholds.firing) if site.zero else 0.0
    return chance + share * (1 - chance)


def saturated_inputs(evidence: Evidence) -> Iterator[Verdict]:
    """Inputs where the function is flat, beyond its share under N(0, 1).

    Where the gate that keeps the state of a recurrent layer is open, it does what it is for: it is so by biases of
    the log of the time to remember, and often is after training. Closed it forgets all, and any other gate that
    does not move is as any other function that does not.

    References:
      Tallec and Ollivier, "Can recurrent neural networks warp time?", 2018, arXiv:1804.11188, for the biases;
      Karpathy, Johnson and Fei-Fei, "Visualizing and understanding recurrent networks", 2015, arXiv:1506.02078,
      for trained ones.
    """
    limit = evidence.thresholds.saturated
    found = []
    for i, site in enumerate(evidence.sites):
        flat = site.saturated - (site.open or 0.0)
        if flat >= limit:
            due = flat_share(evidence.function_of(i))
            excess = (flat - due) / (1 - due) if due < 0.5 else 0.0
            found += [(excess, flat, due, i)] * (excess >= limit)
    if not found:
        return
    excess, flat, due, i = found[0]
    site = evidence.sites[i]
    gate = "" if site.open is None else ", a gate that keeps a state, is closed: they"
    reason = (
        f"{flat:.1%} of the inputs of {site.name or 'the function'}{gate} lie where its slope is below"
        f" {SATURATED:.0%} of the steepest{others(len(found) - 1)}; it would be {due:.1%} under N(0, 1), and"
        f" z = {site.z.mean:.3g} ± {site.z.std:.3g}."
    )
    if abs(site.z.mean) > site.z.std:
        fix = f"Start the biases before it at 0, or normalise: the mean of z is {site.z.mean:.3g}."
    else:
        fix = (
            f"Make the weights before it smaller: kernel_init=jaxact.initializers.for_activation({called(site)})."
        )
    numbers = {"saturated": flat, "normal": due, "excess": excess, "threshold": limit}
    yield evidence.verdict("saturated", i, numbers, reason, fix, left=1 - excess)


@functools.lru_cache(maxsize=64)
def flat_share(function: Callable[[Any], Any]) -> float:
    """Share of N(0, 1) where a function has less than 1 % of its steepest slope in [-8, 8]."""
    z = np.linspace(-8, 8, 2049, dtype=np.float32)
    value, pull = jax.vjp(function, jnp.asarray(z))
    slope = np.abs(np.asarray(pull(jnp.ones_like(value))[0], np.float64))
    weight = np.exp(-0.5 * z.astype(np.float64) ** 2)
    return float(weight[slope < SATURATED * np.nanmax(slope)].sum() / weight.sum())
