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
      severity: from 0 to 1, the share that is missing or too much: 1 - the smaller by the larger of what is and
        what is due. Of units (dead, dormant), inputs with a slope (saturated, dtype), arrays with a gradient
        (frozen), the gradient's factor (vanishing, exploding, gain) or the size of the inputs.
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
        where = "" if self.site is None else f" at {self.where}"
        return f"{self.kind}{where}: {self.reason} {self.fix}".rstrip()
