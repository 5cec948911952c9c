r"""The approximation of gelu by tanh, and its two derivatives, with nothing lost in the tails.

With :math:`v(x) = 2\sqrt{2/\pi}\,(x + 0.044715 x^3)` it is x sigmoid(v), and on the left exp(v) decides: of a v as
large as 88 the error must be as small as that of a number near 1.
"""

import math
from fractions import Fraction
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxact.activations._compensated import Double, add, constant, product, total, two_product
from jaxact.activations._exponential import economized, normal_power_of_two, polynomial
from jaxact.activations._gates import sigmoid_gated
from jaxact.activations._numerics import with_derivative

# 2 sqrt(2/pi), and that times 0.044715 (Hendrycks and Gimpel), as sums of two floats.
_LINEAR = (1.5957691216057308, -9.96930880911092e-17)
_CUBIC = (0.07135481627260025, -4.1218577217431825e-18)

# Those over log(2).
_LINEAR_2 = (2.3022081981443248, 1.3132826040769712e-16)
_CUBIC_2 = (0.10294323958002348, 2.843912529053798e-18)


def _in_square(x: Array, constant_term: tuple[float, float], square_term: tuple[float, float]) -> Double:
    """``a + b * x**2`` to twice the precision."""
    square = product(constant(square_term[0], x, square_term[1]), two_product(x, x))
    return add(square, constant(constant_term[0], x, constant_term[1]))


def _argument(x: Array) -> Double:
    x = jnp.clip(x, -30, 30)
    return product(_in_square(x, _LINEAR, _CUBIC), Double(x, jnp.zeros_like(x)))


def _times(a: tuple[float, float], factor: int) -> tuple[float, float]:
    """A constant times a whole number, again as a sum of two floats."""
    exact = sum(factor * Fraction(part) for part in a)
    return float(exact), float(exact - Fraction(float(exact)))


def _argument_slope(x: Array) -> Double:
    return _in_square(jnp.clip(x, -30, 30), _LINEAR, _times(_CUBIC, 3))


def _curvature_lead(x: Array) -> Array:
    c = jnp.clip(x, -30, 30)
    slope = _argument_slope(c)
    straight = _in_square(c, _times(_LINEAR, 2), _times(_CUBIC, 12))
    bend = product(product(slope, slope), Double(-jnp.abs(c), jnp.zeros_like(c)))
    return total(straight, bend)


def _bend(x: Array) -> Array:
    return jnp.clip(x, -30, 30) * jnp.square(_argument_slope(x).high)


*_, _curvature = sigmoid_gated(_argument, lambda x: x, _curvature_lead, _bend)


class _Grid(NamedTuple):
    """Numbers with so few bits that what they make of some constants is exact.

    Attributes:
      steps: grid points a unit.
      bits: of the number of a grid point.
      mask: for the bits of a number, keeps so many that its product with the number of a grid point is exact.
    """

    steps: int
    bits: int
    mask: np.unsignedinteger


# Up to 12 and 24: no exponential of v is left there.
_GRIDS = {4: _Grid(32, 9, np.uint32(2**32 - 2**9)), 8: _Grid(4096, 17, np.uint64(2**64 - 2**17))}


class _Cubic:
    """``linear * a + cubic * a**3`` for 0 <= a <= 12, 24 in float64, to a few bits more than the precision.

    At a grid point ``n / steps`` it is ``n * (head + rest)``, where n * head is exact. From there to a it grows by
    their distance times a sum of squares.
    """

    def __init__(self, linear: tuple[float, float], cubic: tuple[float, float]):
        """Takes the coefficients as sums of two floats."""
        self.linear, self.cubic = linear[0], cubic[0]
        self.parts = {size: self._parts(linear, cubic, _GRIDS[size], bits) for size, bits in ((4, 24), (8, 53))}

    @staticmethod
    def _parts(linear: tuple[float, float], cubic: tuple[float, float], grid: _Grid, bits: int) -> list[float]:
        """Leading bits and rest of both coefficients: the leading ones, in the square of n, are exact."""
        unit = Fraction(2) ** (math.frexp(cubic[0])[1] - (bits - 2 * grid.bits))
        scales = (unit / grid.steps**2, Fraction(1, grid.steps)), (unit, Fraction(1, grid.steps**3))
        found = []
        for (part, scale), coefficient in zip(scales, (linear, cubic), strict=True):
            exact = sum(map(Fraction, coefficient))
            lead = round(exact / part) * part
            found += [float(lead * scale), float((exact - lead) * scale)]
        return found

    def __call__(self, a: Array) -> tuple[Array, Array]:
        """The value as the sum of two, of which the larger is exact."""
        grid = _GRIDS[a.dtype.itemsize]
        linear, linear_rest, cubic, cubic_rest = self.parts[a.dtype.itemsize]
        n = jnp.round(a * grid.steps)
        step, square = 1 / grid.steps, n * n
        lead = linear + cubic * square
        head = lax.bitcast_convert_type(lax.bitcast_convert_type(lead, grid.mask.dtype) & grid.mask, a.dtype)
        rest = (lead - head) + (linear_rest + cubic_rest * square)
        squares = square * step**2 + a * (n * step + a)
        return n * head, n * rest + (a - n * step) * (self.linear + self.cubic * squares)


_exponent = _Cubic(_LINEAR_2, _CUBIC_2)  # v / log(2)
_inclination = _Cubic(_LINEAR, _times(_CUBIC, 3))  # a v'(a)

_EXP2 = {
    size: [1.0, *economized([math.log(2) ** n / math.factorial(n) for n in range(1, 18)], 0.51, terms)]
    for size, terms in ((4, 6), (8, 12))
}


def _lifted_gate(x: Array) -> tuple[Array, Array, float]:
    """``a = |x|``, cut, with ``sigmoid(-v(a))`` scaled up, lest it be subnormal, and what scales it down again."""
    end, lift = (12, 96) if x.dtype == jnp.float32 else (24, 512)
    a, down = jnp.minimum(jnp.abs(x), end), 2.0**-lift
    high, low = _exponent(a)
    k = jnp.round(a * (_exponent.linear + _exponent.cubic * (a * a)))
    p = polynomial((k - high) - low, _EXP2[x.dtype.itemsize])
    return a, p / (normal_power_of_two(k - lift) + p * down), down  # the gate is p / (2**k + p)


@with_derivative(_curvature)
def _slope(x: Array) -> Array:
    a, gate, down = _lifted_gate(x)
    high, low = _inclination(a)
    lead = (1 - high) - low
    left = gate * (lead + (gate * down) * (1 - lead)) * down
    return jnp.where(x > 0, 1 - left, left)


@with_derivative(_slope)
def gelu_tanh(x: Array) -> Array:
    r""":math:`\frac{x}{2} (1 + \tanh(\sqrt{2/\pi}\,(x + 0.044715 x^3)))`."""
    a, gate, down = _lifted_gate(x)
    return jnp.maximum(x, 0) - (a * gate) * down
