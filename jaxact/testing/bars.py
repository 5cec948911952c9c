"""How exact a function is, and how exact it has to be."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

INPUT_ULP = 2
"""Next to a root or a kink, what a change of the input by so many units makes is right enough."""


class Accuracy(NamedTuple):
    """Errors of the value and of the first and second derivative, at the worst inputs.

    Attributes:
      ulp: largest errors in units of the last place, where no slack of a root covers it.
      x: inputs where they are.
      got: results there.
      true: true results there.
      rounded: shares of the results that are correctly rounded.
    """

    ulp: tuple[float, ...]
    x: tuple[float, ...]
    got: tuple[float, ...]
    true: tuple[float, ...]
    rounded: tuple[float, ...]


class Bar(NamedTuple):
    """How exact value, first and second derivative have to be.

    Attributes:
      ulp: the largest errors, in units of the last place.
      rounded: the smallest shares of correctly rounded results.
    """

    ulp: tuple[float, ...]
    rounded: tuple[float, ...]

    def passed(self, accuracy: Accuracy) -> tuple[bool, ...]:
        """Which of the measured orders are as exact as this."""
        return tuple(
            error <= most and share >= least
            for error, most, share, least in zip(
                accuracy.ulp, self.ulp, accuracy.rounded, self.rounded, strict=False
            )
        )


_WIDE, _NARROW = Bar((4, 4, 8), (0, 0, 0)), Bar((1, 1, 2), (0.99, 0.99, 0))
BARS: Mapping[str, Bar] = MappingProxyType(
    {"float32": _WIDE, "float64": _WIDE, "bfloat16": _NARROW, "float16": _NARROW}
)
"""What jaxact holds its functions to, by the name of the dtype; 16 bits have to be right at every input."""
