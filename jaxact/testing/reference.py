"""The true values: a formula and its derivatives to any precision, with proven error bounds.

A formula is a Python expression, as in the table of activations. It is evaluated on a power series whose
coefficients are balls of arbitrary precision (Johansson, "Arb: efficient arbitrary-precision midpoint-radius
interval arithmetic", 2017, arXiv:1611.02831), so that the derivatives come with the value, and every result with a
bound on its error. The precision is doubled until the bounds are narrow enough.
"""

import contextlib
import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import flint
import numpy as np
from flint import arb, arb_series

from jaxact.testing.ulp import Truth

DERIVATIVES = 4  # orders 0 to 3
_ENOUGH_BITS = 80
_MOST_BITS = 200_000


class Series:
    """A power series around the input, which compares as its value does."""

    def __init__(self, s: Any):
        self.s = s if isinstance(s, arb_series) else arb_series([arb(s)])

    def __add__(self, other):
        return Series(self.s + Series.of(other).s)

    def __sub__(self, other):
        return Series(self.s - Series.of(other).s)

    def __rsub__(self, other):
        return Series.of(other) - self

    def __mul__(self, other):
        return Series(self.s * Series.of(other).s)

    def __truediv__(self, other):
        return Series(self.s / Series.of(other).s)

    def __rtruediv__(self, other):
        return Series.of(other) / self

    def __pow__(self, n):
        return functools.reduce(Series.__mul__, [self] * n, Series(1)) if isinstance(n, int) else Series(self.s**n)

    def __neg__(self):
        return Series(-self.s)

    def __abs__(self):
        return -self if self < 0 else self

    __radd__, __rmul__ = __add__, __mul__

    def __lt__(self, other):
        return bool(self.s[0].mid() < Series.of(other).s[0].mid())

    def __le__(self, other):
        return bool(self.s[0].mid() <= Series.of(other).s[0].mid())

    def __gt__(self, other):
        return not self <= other

    def __ge__(self, other):
        return not self < other

    @staticmethod
    def of(value: Any) -> "Series":
        """A number as a constant; a series as it is."""
        return value if isinstance(value, Series) else Series(value)


def _tanh(s: arb_series) -> arb_series:
    sign = -1 if s[0] < 0 else 1
    e = (-2 * sign * s).exp()
    return sign * (1 - e) / (1 + e)


_FUNCTIONS = {
    "exp": arb_series.exp,
    "log": arb_series.log,
    "tanh": _tanh,
    "erf": arb_series.erf,
    "erfc": arb_series.erfc,
    "sqrt": arb_series.sqrt,
    "sin": arb_series.sin,
    "cos": arb_series.cos,
    "atan": arb_series.atan,
    "asinh": lambda s: -((-s + (s * s + 1).sqrt()).log()) if s[0] < 0 else (s + (s * s + 1).sqrt()).log(),
}
FUNCTIONS: dict[str, Any] = {
    name: (lambda z, function=function: Series(function(Series.of(z).s))) for name, function in _FUNCTIONS.items()
}
"""What a formula may call, apart from abs, min and max."""


@functools.lru_cache(maxsize=256)
def _compiled(formula: str):
    return compile(formula, formula, "eval")


def evaluate(formula: str, parameters: Mapping[str, Any], x: float, smallest: float) -> list[arb]:
    """A formula and its first three derivatives at one input.

    Args:
      formula: Python expression in x and the parameters, over `FUNCTIONS`, abs, min, max and pi.
      parameters: values of the parameters.
      x: where; neither a kink nor outside the domain.
      smallest: results far below it need not be told from 0.

    Raises:
      ArithmeticError: if the formula has no finite value there.
    """
    bits = 160 - math.frexp(smallest)[1]
    negligible = arb(smallest) * arb(2) ** -_ENOUGH_BITS
    constants = {
        key: value if isinstance(value, bool | arb) else arb(float(value)) for key, value in parameters.items()
    }
    while bits < _MOST_BITS:
        # Flint raises where it divides by what may be 0, which more bits may tell from 0.
        with flint.ctx.workprec(bits), _capped(), contextlib.suppress(ValueError, ZeroDivisionError):
            names = {**FUNCTIONS, "pi": arb.pi(), **constants, "x": Series(arb_series([arb(x), 1]))}
            series = Series.of(eval(_compiled(formula), names)).s
            found = [series[k] * math.factorial(k) for k in range(DERIVATIVES)]
            if all(_settled(a, negligible) for a in found):
                return found
        bits *= 2
    raise ArithmeticError(f"{formula} has no value at x = {x!r}")


@contextlib.contextmanager
def _capped() -> Iterator[None]:
    """Series are cut after the last derivative."""
    cap, flint.ctx.cap = flint.ctx.cap, DERIVATIVES
    try:
        yield
    finally:
        flint.ctx.cap = cap


def _settled(a: arb, negligible: arb) -> bool:
    return bool(a.is_finite()) and (a.rel_accuracy_bits() >= _ENOUGH_BITS or bool(a.abs_upper() < negligible))


def truth(formula: str, parameters: Mapping[str, Any], xs: Iterable[float], smallest: float = 2.0**-126) -> Truth:
    """True values and derivatives of a formula at many inputs.

    Args:
      formula: Python expression, see `evaluate`.
      parameters: values of the parameters.
      xs: inputs, finite.
      smallest: the smallest result that has to be right, by default the smallest normal float32.
    """
    exact = [evaluate(formula, parameters, float(x), smallest) for x in xs]
    high = np.array([[float(a.mid()) for a in row] for row in exact]).reshape(-1, DERIVATIVES)
    with flint.ctx.workprec(300):
        low = [
            [float((a - h).mid()) if math.isfinite(h) else 0.0 for a, h in zip(row, hs, strict=True)]
            for row, hs in zip(exact, high.tolist(), strict=True)
        ]
    return Truth(high.T, np.array(low).reshape(-1, DERIVATIVES).T)
