"""From what was measured to what is wrong: causes before symptoms, the worst first."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from jaxact.diagnosis.evidence import Evidence, path_of_extreme
from jaxact.diagnosis.flow import Flow
from jaxact.diagnosis.gradient_faults import (
    exploding_gradient,
    frozen_layers,
    not_finite,
    vanishing_gradient,
    wrong_gain,
)
from jaxact.diagnosis.parameters import ParameterRecord
from jaxact.diagnosis.statistics import SiteRecord, Spread
from jaxact.diagnosis.thresholds import Thresholds
from jaxact.diagnosis.unit_faults import (
    dead_units,
    dormant_units,
    lost_to_dtype,
    saturated_inputs,
    unscaled_input,
)
from jaxact.diagnosis.verdict import Verdict


class Rule(NamedTuple):
    """How a fault is found, and which kinds, if they were found, are its cause, so that it is not told as well."""

    find: Callable[[Evidence], Iterator[Verdict]]
    causes: tuple[str, ...]


RULES = (
    Rule(unscaled_input, ()),
    Rule(not_finite, ("input",)),
    Rule(frozen_layers, ("input",)),
    Rule(lost_to_dtype, ("input",)),
    Rule(dead_units, ("input", "dtype")),
    Rule(wrong_gain, ("input", "frozen", "dtype", "dead", "exploding")),
    Rule(exploding_gradient, ("input", "frozen", "gain", "exploding")),
    Rule(saturated_inputs, ("input", "dtype", "gain", "exploding")),
    Rule(dormant_units, ("input", "frozen", "dtype", "dead", "gain", "exploding")),
    Rule(vanishing_gradient, ("input", "frozen", "dtype", "dead", "gain", "saturated", "dormant", "exploding")),
)
"""The rules, causes before what follows from them."""


def verdicts_of(
    sites: Sequence[SiteRecord],
    flows: Sequence[Flow],
    parameters: Sequence[ParameterRecord],
    inputs: Spread | None,
    *,
    loss: float,
    function_of: Callable[[int], Callable[[Any], Any]],
    thresholds: Thresholds | None = None,
) -> tuple[Verdict, ...]:
    """What is wrong with a network, the worst first; one "healthy" if nothing is.

    A fault that another one explains is not told as well: raw pixels saturate what follows, but only the input is
    told. It comes to light, if it has causes of its own, when the first is mended.

    Args:
      sites: the records of the activations.
      flows: between them.
      parameters: the records of the parameters.
      inputs: spread of the batch, or None.
      loss: the loss.
      function_of: from the index of a record to its function; it is called for few of them.
      thresholds: from where on something is a fault.

    Returns:
      Verdicts, by falling severity; of equal severity, causes first.
    """
    evidence = Evidence(sites, flows, parameters, inputs, loss, function_of, thresholds or Thresholds())
    found: list[Verdict] = []
    for rule in RULES:
        if not {verdict.kind for verdict in found} & set(rule.causes):
            found += rule.find(evidence)
    return tuple(sorted(found, key=lambda verdict: -verdict.severity)) or (_healthy(evidence),)


def _healthy(evidence: Evidence) -> Verdict:
    sites = evidence.sites
    if not sites:
        return evidence.verdict("healthy", None, {"sites": 0.0}, "no activation was found.", "", left=1.0)
    low, high = (10.0 ** sum(f.factor for f in path_of_extreme(evidence.flows, sign)) for sign in (-1, 1))
    dead, units = sum(len(site.dead) for site in sites), sum(site.units for site in sites)
    numbers = {"sites": float(len(sites)), "dead": float(dead), "units": float(units), "low": low, "high": high}
    reason = (
        f"{len(sites)} activations with {dead} of {units} units dead on these examples; the gradient falls to"
        f" {low:.2g} at worst and grows to {high:.2g} from layer to layer."
    )
    return evidence.verdict("healthy", None, numbers, reason, "", left=1.0)
