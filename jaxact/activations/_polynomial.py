"""Polynomials that neither overflow nor cancel: powers of two are kept apart, rounding errors are carried along.

A number is written as ``y * 2**exponent`` with ``y`` near 1. So every term of a polynomial is known to twice the
precision at every finite input, and at an infinite one the leading term alone is left, which gives the limit.

Source: Graillat, Langlois and Louvet, "Compensated Horner scheme", 2005.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxact.activations._compensated import Double, add, fast_two_sum, product, two_product, two_sum

NOTHING = -(1 << 26)  # exponent of 0
BEYOND = 1 << 14  # exponent of infinity


class Scaled(NamedTuple):
    """The number ``(y.high + y.low) * 2**exponent``."""

    y: Double
    exponent: Array


class Format(NamedTuple):
    """How the bits of a floating dtype are laid out."""

    integer: np.dtype
    mantissa: int
    bias: int

    @staticmethod
    def of(x: Array) -> "Format":
        """The layout of float32 or float64."""
        return (
            Format(np.dtype(np.int32), 23, 127) if x.dtype == jnp.float32 else Format(np.dtype(np.int64), 52, 1023)
        )


def times(a: Double, b: Array) -> Double:
    """Product of a number at twice the precision and one at the working precision."""
    p = two_product(a.high, b)
    return fast_two_sum(p.high, p.low + a.low * b)


def exponent_of(x: Array) -> Array:
    """The whole ``e`` with ``2**e <= |x| < 2**(e + 1)``; `NOTHING` for 0, `BEYOND` for infinities."""
    form = Format.of(x)
    field = (lax.bitcast_convert_type(jnp.abs(x), form.integer) >> form.mantissa).astype(jnp.int32)
    return jnp.where(field == 0, NOTHING, jnp.where(field > 2 * form.bias, BEYOND, field - form.bias))


def power_of_two(e: Array, like: Array) -> Array:
    """``2**e`` for exponents of normal numbers; 0 below them, the largest such power above them."""
    form = Format.of(like)
    field = jnp.clip(e + form.bias, 0, 2 * form.bias).astype(form.integer)
    return lax.bitcast_convert_type(field << form.mantissa, like.dtype)


def times_power(y: Array, e: Array) -> Array:
    """``y * 2**e`` on the bits, for 2**e may overflow where the product does not; subnormal numbers are 0."""
    form = Format.of(y)
    bits, top = lax.bitcast_convert_type(y, form.integer), 2 * form.bias + 1
    field = ((bits >> form.mantissa) & top).astype(jnp.int32)
    moved = field + e
    scaled = lax.bitcast_convert_type(bits + (e.astype(form.integer) << form.mantissa), y.dtype)
    scaled = jnp.where(moved >= top, jnp.sign(y) * jnp.inf, scaled)
    return jnp.where(field == top, y, jnp.where((field == 0) | (moved <= 0), jnp.zeros_like(y), scaled))


def fraction_of(x: Array) -> tuple[Array, Array]:
    """``x`` as a number of magnitude in [1, 2) and an exponent; 0 is 0 times the smallest power."""
    form = Format.of(x)
    bits = lax.bitcast_convert_type(x, form.integer)
    keep = np.array(~(2 * form.bias + 1 << form.mantissa), form.integer)
    one = np.array(form.bias << form.mantissa, form.integer)
    fraction, e = lax.bitcast_convert_type((bits & keep) | one, x.dtype), exponent_of(x)
    fraction = jnp.where(e == NOTHING, 0, jnp.where(e == BEYOND, jnp.sign(x), fraction))  # the sign of NaN is NaN
    return fraction, jnp.maximum(e, -BEYOND)


def without_power(c: Double, e: Array) -> Double:
    """``c * 2**-e``."""
    return Double(times_power(c.high, -e), times_power(c.low, -e))


def coefficients(c: Double, shift: Array | int = 0) -> list[Scaled]:
    """The numbers ``c * 2**shift`` along the leading axis, each with its exponent kept apart."""
    e = exponent_of(c.high)
    (high, low), e = without_power(c, e), jnp.broadcast_to(e + shift, e.shape)
    return [Scaled(Double(high[j], low[j]), e[j]) for j in range(len(e))]


def polynomial(terms: Sequence[Scaled], x: Array) -> Scaled:
    """A polynomial by Horner's rule, with the rounding error of every step.

    Args:
      terms: coefficients, lowest first, that broadcast against ``x``.
      x: where; infinities give the leading term, NaN gives NaN.
    """
    fraction, e = fraction_of(x)
    shifts = [term.exponent + j * e for j, term in enumerate(terms)]
    largest = functools.reduce(jnp.maximum, shifts)
    scales = [power_of_two(shift - largest, x) for shift in shifts]
    scaled = [Double(t.y.high * scale, t.y.low * scale) for t, scale in zip(terms, scales, strict=True)]
    high, low = scaled.pop()
    for c in reversed(scaled):
        p = two_product(high, fraction)
        s = two_sum(p.high, c.high)
        high, low = s.high, low * fraction + (p.low + (s.low + c.low))
    return Scaled(two_sum(high, low), largest)


def reciprocal(d: Array) -> Array:
    """``1 / d`` for positive ``d`` of moderate size, up to some units in the last place, by Newton's method."""
    form = Format.of(d)
    start = 0x7EF311C7 if form.mantissa == 23 else 0x7FDE623822FC16E6  # minus the bits: right to 5%
    r = lax.bitcast_convert_type(
        np.array(start, form.integer) - lax.bitcast_convert_type(d, form.integer), d.dtype
    )
    for _ in range(3 if form.mantissa == 23 else 4):
        r = r * (2 - d * r)
    return r


def ratio(a: Scaled, b: Scaled, power: int = 1, *, shared: bool = False) -> Scaled:
    """``a / b**power``.

    On a CPU, XLA makes one loop of all that goes into a result, and computes anew what several results need; but
    no division, at which it cuts the loop. So there are divisions in a ratio that is ``shared`` by results, and
    none in one that is itself the result.
    """
    d = functools.reduce(product, [b.y] * power)
    r = reciprocal(d.high)
    q = a.y.high / d.high if shared else a.y.high * r
    p = two_product(q, d.high)
    rest = ((a.y.high - p.high) - p.low) + (a.y.low - q * d.low)
    rest = rest / d.high if shared else rest * r
    return Scaled(fast_two_sum(q, rest), a.exponent - power * b.exponent)


def rounded(a: Scaled) -> Array:
    """A number at the working precision: rounded once, but for underflow."""
    return times_power(a.y.high + a.y.low, a.exponent)


def times_powers(a: Scaled, x: Array, count: int) -> list[Array]:
    """``a * x**j`` for j below ``count``."""
    fraction, e = fraction_of(x)
    found = []
    for _ in range(count):
        found.append(rounded(a))
        a = Scaled(times(a.y, fraction), a.exponent + e)
    return found


@functools.cache
def _weights(order: int, d: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Which products the numerator of a derivative of P / Q is the sum of, and how often each is taken.

    The derivative is ``N / Q**(order + 1)``, and N a sum of products of one coefficient of P and ``order`` of Q.
    Equal products are collected here, in whole numbers: at a large input the terms of ``N' Q - order N Q'`` are
    nearly equal, and their difference would be lost.

    Returns:
      Indices into the coefficients of Q, [products, order], and how often, [powers of x, products].
    """
    weights, i = {(): np.ones(d, int)}, np.arange(d)
    for k in range(order):
        following: dict[tuple[int, ...], np.ndarray] = {}
        for js, weight in weights.items():
            for j in range(n):
                key = tuple(sorted((*js, j)))
                following[key] = following.get(key, 0 * i) + weight * (i + sum(js) - k - (k + 1) * j)
        weights = {key: weight for key, weight in following.items() if weight.any()} or {(0,) * (k + 1): 0 * i}
    columns = 1 << (len(weights) - 1).bit_length()  # products that are never taken make it a power of two
    indices, table = np.zeros((columns, order), int), np.zeros((max(d + order * (n - 2), 1), columns), int)
    for column, (js, weight) in enumerate(weights.items()):
        indices[column] = js
        for j in np.flatnonzero(weight):
            table[j + sum(js) - order, column] = weight[j]
    return indices, table


def derived(order: int, a: Array, q: Double) -> list[Scaled]:
    """Coefficients of the numerator of a derivative of P / Q, whose denominator is ``Q**(order + 1)``.

    Args:
      order: of the derivative, at least 1.
      a: coefficients of P, lowest first, [d, ...].
      q: coefficients of Q, lowest first, [n, ...].

    Returns:
      Coefficients, lowest first.
    """
    shifts = [jnp.max(exponent_of(c), axis=0, keepdims=True) for c in (a, q.high)]
    a, q = times_power(a, -shifts[0]), without_power(q, shifts[1])  # or products of large ones would overflow
    indices, table = _weights(order, len(a), len(q.high))
    products = functools.reduce(product, [Double(q.high[column], q.low[column]) for column in indices.T])
    power = np.arange(len(table))[:, None] + order - indices.sum(axis=1)  # of x in P
    weights = jnp.asarray(table, a.dtype).reshape(*table.shape, *(1,) * (a.ndim - 1))
    once = Double(products.high[None], products.low[None])
    terms = times(times(once, weights), a[np.clip(power, 0, len(a) - 1)])
    while (count := terms.high.shape[1] // 2) > 0:
        terms = add(
            *(Double(terms.high[:, part], terms.low[:, part]) for part in (slice(count), slice(count, None)))
        )
    return coefficients(Double(terms.high[:, 0], terms.low[:, 0]), shifts[0] + order * shifts[1])
