"""The exponential and what is made of it, exact in both tails, each with its derivative in closed form.

JAX differentiates ``tanh`` as ``1 - tanh(x)**2``, ``logistic`` as ``s * (1 - s)`` and ``expm1`` as ``expm1(x) +
1``.
In the tails the subtraction leaves nothing, so the gradient is 0 where its true value is an ordinary number.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.polynomial import Polynomial, chebyshev

from jaxact.activations._compensated import Double, fast_two_sum, product, two_product, two_sum
from jaxact.activations._numerics import with_derivative


def polynomial(x: Array, coefficients: Sequence[Array | float]) -> Array:
    """Polynomial by Horner's rule, lowest coefficient first."""
    *rest, y = coefficients
    for c in reversed(rest):
        y = y * x + c
    return jnp.asarray(y)


def economized(series: Sequence[float], radius: float, terms: int) -> list[float]:
    """A power series in fewer terms and as exact as these can be up to a radius, by Chebyshev polynomials."""
    powers = radius ** np.arange(len(series))
    return (chebyshev.cheb2poly(chebyshev.poly2cheb(series * powers)[:terms]) / powers[:terms]).tolist()


def decay(x: Array) -> Array:
    r""":math:`e^{-|x|}`, in (0, 1]: never overflows."""
    return jnp.exp(-jnp.abs(x))


def _log_2(dtype: np.dtype) -> tuple[float, float]:
    """log(2) as the sum of two, of which the first times a whole number is exact."""
    high = np.float64(math.log(2)).astype(dtype)
    integer, keep = (np.uint32, 0xFFFFF000) if dtype == jnp.float32 else (np.uint64, 0xFFFFFFFFFFF00000)
    head = float((high.view(integer) & integer(keep)).view(high.dtype))
    return head, (math.log(2) - head) + (0 if dtype == jnp.float32 else 2.3190468138462996e-17)


def _reduced(x: Array, more: Array | float = 0.0) -> tuple[Array, Array, Array]:
    """``k``, ``r`` and its error with ``x + more = k log(2) + r``.

    ``k`` is whole and ``|r|`` at most log(2)/2.
    """
    head, tail = _log_2(x.dtype)
    k = jnp.round(x * (1 / math.log(2)))
    lead = x - k * head
    r = fast_two_sum(lead, more - k * tail)
    return k, r.high, r.low


def normal_power_of_two(k: Array) -> Array:
    """``2**k`` for whole ``k`` for which that is a normal number."""
    integer, bias, bits = (jnp.int32, 127, 23) if k.dtype == jnp.float32 else (jnp.int64, 1023, 52)
    return lax.bitcast_convert_type((k.astype(integer) + bias) << bits, k.dtype)


def _power_of_two(k: Array) -> Array:
    """``2**k`` for whole ``k`` up to the largest exponent; 0 below the smallest of the normal numbers."""
    return normal_power_of_two(jnp.maximum(k, -127 if k.dtype == jnp.float32 else -1023))


_EXPM1 = {
    size: economized([1 / math.factorial(n) for n in range(2, 18)], math.log(2) / 2, terms)
    for size, terms in ((4, 5), (8, 11))
}


def _expm1_parts(x: Array, more: Array | float = 0.0) -> tuple[Array, Array, Array]:
    """``r``, ``s`` and ``k`` with ``exp(x + more) = 2**k * (1 + r + s)``, for ``x <= 0``."""
    end = -140.0 if x.dtype == jnp.float32 else -1100.0
    k, r, low = _reduced(jnp.maximum(x, end), jnp.where(x > end, more, 0))
    return r, low + r * r * polynomial(r, _EXPM1[x.dtype.itemsize]), k


def _expm1_of_rest(x: Array, more: Array | float = 0.0) -> tuple[Array, Array]:
    """``p`` and ``k`` with ``exp(x + more) = 2**k * (1 + p)``, for ``x <= 0``."""
    r, s, k = _expm1_parts(x, more)
    return r + s, k


class Exponential(NamedTuple):
    """``exp(x)`` for ``x <= 0`` as ``(high + low) * far``, where ``far`` is a power of two.

    XLA on a CPU flushes subnormal numbers: e**-90 is 0 in float32, and so is 100 * e**-90, whose value is a normal
    number. Here no factor is subnormal before the product with something is.
    """

    high: Array
    low: Array
    far: Array

    def times(self, factor: Array | float) -> Array:
        """The product with a factor, rounded once but for its own scale."""
        return (self.high * factor + self.low * factor) * self.far

    @property
    def value(self) -> Array:
        """The exponential, 0 if it is subnormal."""
        return self.high * self.far


def shifted_exp(x: Array, more: Array | float = 0.0) -> Exponential:
    """``exp(x + more)`` for ``x <= 0`` and a small ``more``."""
    p, k = _expm1_of_rest(x, more)
    shift = 64 if x.dtype == jnp.float32 else 512
    far = k < -shift
    scale = _power_of_two(jnp.where(far, k + shift, k))
    lead = fast_two_sum(scale, scale * p)
    return Exponential(lead.high, lead.low, jnp.where(far, 2.0**-shift, 1.0).astype(x.dtype))


_LIFT = {4: (-64.0, 40.0, -120.0), 8: (-600.0, 80.0, -800.0)}


def lifted(x: Array) -> tuple[Array, Array, Array]:
    """``c``, ``shift`` and ``scale`` with which ``exp(c - shift) * scale`` is exp(x) without subnormal numbers.

    For what is proportional to exp(x) far on the left. There x is shifted to the right, exactly, and the scale is
    the exponential of the shift, by which to multiply last; elsewhere they are 0 and 1. Where not even x exp(x) is
    left, x is cut.
    """
    far, lift, end = _LIFT[x.dtype.itemsize]
    c = jnp.maximum(x, end)
    low = c < far
    return c, jnp.where(low, -lift, 0).astype(x.dtype), jnp.where(low, math.exp(-lift), 1).astype(x.dtype)


def double_exp(x: Array) -> Double:
    """``exp(x)`` to almost twice the precision of the dtype, for moderate ``x >= 0``: the square of a square."""
    k, r, low = _reduced(x)
    r, low = r / 4, low / 4
    square = two_product(r, r)
    rest = r * square.high * polynomial(r, _DOUBLE_EXP[x.dtype.itemsize])
    lead = two_sum(r, jnp.ones_like(r))
    more = fast_two_sum(lead.high, square.high / 2)
    root = fast_two_sum(more.high, more.low + (lead.low + (square.low / 2 + (rest + low * (1 + r)))))
    root = product(root, root)
    total, scale = product(root, root), _power_of_two(k)
    return Double(total.high * scale, total.low * scale)


_DOUBLE_EXP = {size: [1 / math.factorial(n) for n in range(3, terms + 3)] for size, terms in ((4, 5), (8, 11))}


def double_expm1(x: Array) -> Double:
    """``exp(x) - 1`` to a few bits more than the precision of the dtype, for ``x <= 0``."""
    r, s, k = _expm1_parts(x)
    scale = _power_of_two(k)
    lead = two_sum(scale * r, scale - 1)
    return fast_two_sum(lead.high, lead.low + scale * s)


@with_derivative(jnp.exp)
def expm1(x: Array) -> Array:
    """``exp(x) - 1`` for ``x <= 0``; its derivative is ``exp(x)``."""
    p, k = _expm1_of_rest(jnp.maximum(x, -60))  # beyond, it is -1
    scale = normal_power_of_two(k)
    return (scale - 1) + scale * p


_EXPM1_OF_TWICE = {
    size: economized([(-2) ** n / math.factorial(n) for n in range(2, 18)], math.log(2) / 4, terms)
    for size, terms in ((4, 5), (8, 11))
}


def _expm1_of_twice(a: Array) -> tuple[Array, Array]:
    """``p`` and ``k`` with ``exp(-2a) = 2**k * (1 + p)``, for ``a >= 0`` that is not too large."""
    head, tail = _log_2(a.dtype)
    k = jnp.round(a * (-2 / math.log(2)))
    h = (a + k * (head / 2)) + k * (tail / 2)
    return h * h * polynomial(h, _EXPM1_OF_TWICE[a.dtype.itemsize]) - 2 * h, k


def sech2_slope(x: Array) -> Array:
    r""":math:`-2 \tanh(x) / \cosh^2 x`, the second derivative of tanh."""
    p, k = _expm1_of_rest(-2 * jnp.abs(x))
    t, t8 = _power_of_two(k) * (1 + p), _power_of_two(k + 3) * (1 + p)  # 8t does not underflow before the result
    return -tanh(x) * (t8 / (1 + t * (2 + t)))


@with_derivative(sech2_slope)
def sech2(x: Array) -> Array:
    r""":math:`1/\cosh^2 x`, the derivative of tanh, without ``1 - tanh(x)**2``."""
    end, half = (64, 32) if x.dtype == jnp.float32 else (512, 256)
    p, k = _expm1_of_twice(jnp.minimum(jnp.abs(x), end))  # beyond, it is 0
    t4 = normal_power_of_two(k + (2 + 2 * half)) * (1 + p)  # scaled up to be a normal number, as is the divisor
    return t4 / (2.0 ** (2 * half) + t4 * (0.5 + t4 * 2.0 ** (-4 - 2 * half)))  # 4t over 1 + t (2 + t)


@with_derivative(sech2)
def tanh(x: Array) -> Array:
    """Hyperbolic tangent, as ``-m / (2 + m)`` with m = exp(-2|x|) - 1 and the sign of x."""
    p, k = _expm1_of_twice(jnp.minimum(jnp.abs(x), 30))  # beyond, it is 1
    scale = normal_power_of_two(k)
    m = (scale - 1) + scale * p
    return jnp.where(x > 0, -m, m) / (2 + m)


def _sigmoid_curvature(x: Array) -> Array:
    return sigmoid_slope(x) * tanh(-x / 2)


@with_derivative(_sigmoid_curvature)
def sigmoid_slope(x: Array) -> Array:
    r""":math:`\sigma(x)\,\sigma(-x)`, the derivative of the sigmoid, without ``1 - sigmoid(x)``."""
    t = decay(x)
    return t / (1 + t * (2 + t))


@with_derivative(sigmoid_slope)
def sigmoid(x: Array) -> Array:
    r""":math:`\sigma(x) = 1/(1+e^{-x})`; its derivative shares its exponential."""
    t = decay(x)
    return jnp.where(x > 0, 1, t) / (1 + t)


ATANH = {size: [1 / (2 * n + 1) / 4**n for n in range(1, terms)] for size, terms in ((4, 8), (8, 17))}


def log1p_ratio(z: Array) -> Array:
    r""":math:`2\,\mathrm{artanh}(z/2)/z` for z in [-2/3, 2/3]."""
    w = z * z
    return 1 + w * polynomial(w, ATANH[z.dtype.itemsize])


_LOG1P = {size: economized(ATANH[8], 4 / 9, terms) for size, terms in ((4, 5), (8, 13))}


def log1p_unit(t: Array) -> Array:
    r""":math:`\log(1+t)` for t in [0, 1], as :math:`2\,\mathrm{artanh}(t/(2+t))`.

    On a CPU it is several times faster than XLA's.
    """
    z = t / (1 + t / 2)
    w = z * z
    return z + z * w * polynomial(w, _LOG1P[t.dtype.itemsize])


# log(1 + t) / t for t in [0, 1], to 1e-9; a double needs more than the powers of t can give
_LOG1P_OVER_T = (
    chebyshev.Chebyshev.interpolate(lambda t: np.log1p(t) / t, 10, [0, 1])
    .convert(kind=Polynomial, domain=[-1, 1], window=[-1, 1])
    .coef.tolist()
)


@with_derivative(sigmoid)
def softplus(x: Array) -> Array:
    r""":math:`\log(1+e^x)` with one exponential; its derivative is the sigmoid.

    In float32 without a division: a quotient that is used more than once is written to memory by XLA on a CPU.
    """
    t = decay(x)
    log = t * polynomial(t, _LOG1P_OVER_T) if t.dtype == jnp.float32 else log1p_unit(t)
    return jnp.where(x > 0, x, 0) + log
