"""What verdicts are found from, and what they have in common."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxact.diagnosis.flow import Flow
from jaxact.diagnosis.parameters import ParameterRecord
from jaxact.diagnosis.statistics import SiteRecord, Spread
from jaxact.diagnosis.thresholds import Thresholds
from jaxact.diagnosis.verdict import Kind, Verdict


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What was measured, as in `Diagnosis`, and the thresholds.

    Attributes:
      sites: the records.
      flows: between them.
      parameters: the records.
      inputs: spread of the batch, or None.
      loss: the loss.
      function_of: from the index of a record to its function, with the right derivatives.
      thresholds: from where on something is a fault.
    """

    sites: Sequence[SiteRecord]
    flows: Sequence[Flow]
    parameters: Sequence[ParameterRecord]
    inputs: Spread | None
    loss: float
    function_of: Callable[[int], Callable[[Any], Any]]
    thresholds: Thresholds

    def verdict(
        self, kind: Kind, site: int | None, numbers: Mapping[str, float], reason: str, fix: str, *, left: float
    ) -> Verdict:
        """A verdict about a record, with ``left`` the smaller by the larger of what is and what is due."""
        where = "network" if site is None else self.sites[site].where
        return Verdict(kind, site, where, min(max(1 - left, 0.0), 1.0), dict(numbers), reason, fix)


def rms(spread: Spread) -> float:
    """Root mean square."""
    return math.hypot(spread.mean, spread.std)


def called(site: SiteRecord) -> str:
    """The function of a site as one would call it from jaxact, or where it stands if it is of no catalogue."""
    if site.name is None:
        return f"<your function, line {site.line}>" if site.line else "<your function>"
    name, bracket, parameters = site.name.partition("(")
    return f"functools.partial(jaxact.{name}, {parameters}" if bracket else f"jaxact.{name}"


def others(count: int, what: str = "site") -> str:
    """How many more there are, as in " (and 2 sites more)"; nothing for none."""
    return f" (and {count} {what}{'s' * (count > 1)} more)" if count else ""


def path_of_extreme(flows: Sequence[Flow], sign: int) -> tuple[Flow, ...]:
    """The flows, one after the other, over which the gradient changes most on its way back.

    Args:
      flows: one after the other: those into a site before those out of it.
      sign: -1 for where it falls most, 1 for where it grows most.

    Returns:
      From the first site to the last; empty if it does neither. Flows that are not finite part the network.
    """
    best: dict[int, tuple[float, tuple[Flow, ...]]] = {}
    for flow in flows:
        if not math.isfinite(flow.factor):
            continue
        before, path = best.get(flow.source, (0.0, ()))
        found = before + sign * flow.factor, (*path, flow)
        if found[0] > 0 and _longer(found) > _longer(best.get(flow.target, (0.0, ()))):
            best[flow.target] = found
    return max(best.values(), key=_longer, default=(0.0, ()))[1]


def _longer(found: tuple[float, tuple[Flow, ...]]) -> tuple[float, int]:
    """By the change, and of the ways of one change, which shortcuts make, by length."""
    return round(found[0], 6), len(found[1])
