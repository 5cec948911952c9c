"""What a verdict is."""

import dataclasses
from collections.abc import Mapping
from typing import Literal, get_args

Kind = Literal[
    "dead", "dormant", "saturated", "vanishing", "exploding", "dtype", "gain", "frozen", "input", "healthy"
]
KINDS: tuple[str, ...] = get_args(Kind)
"""The kinds of verdicts."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One thing that is wrong with a network, or that nothing is.

    Attributes:
      kind: which of `KINDS`.
      site: index of the record of the site it is about, None if it is about the whole network.
      where: that site's layer as it is shown, or "network".
      severity: from 0 to 1.
      numbers: the numbers it comes from, and the thresholds they were compared with.
      reason: one sentence that says what is wrong, with its numbers.
      fix: one sentence that says what to change, with the call of jaxact to do it where there is one.
    """

    kind: Kind
    site: int | None
    where: str
    severity: float
    numbers: Mapping[str, float]
    reason: str
    fix: str

    def __str__(self) -> str:
        return f"{self.kind} at {self.where}: {self.reason} {self.fix}".rstrip()
