"""Double-word arithmetic: numbers as unevaluated sums of a leading part and what rounding took from it.

The exponential magnifies the error of its argument: at e**-80 half a unit in the last place of the argument makes
40 of the result. So arguments that are themselves results are carried with their rounding errors.

Source: Dekker, "A floating-point technique for extending the available precision", 1971.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax


class Double(NamedTuple):
    """The number ``high + low``, with ``low`` at most half a unit in the last place of ``high``."""

    high: Array
    low: Array


def constant(high: float, like: Array, low: float = 0.0) -> Double:
    """A constant of mathematics, given as the sum of two Python floats, to twice the precision."""
    lead = np.asarray(high, like.dtype)
    return Double(jnp.full_like(like, lead), jnp.full_like(like, (high - float(lead)) + low))


def split(x: Array) -> Double:
    """Two halves of a number with at most half of its bits each, so that their products are exact."""
    integer, mask = (jnp.uint32, 0xFFFFF000) if x.dtype == jnp.float32 else (jnp.uint64, 0xFFFFFFFFF8000000)
    bits = lax.bitcast_convert_type(x, integer)
    high = lax.bitcast_convert_type(bits & np.asarray(mask, integer), x.dtype)
    return Double(high, x - high)


def two_sum(a: Array, b: Array) -> Double:
    """``a + b`` without error.

    A constant goes second: XLA makes ``(b + 1) - 1`` into ``b``, which loses the error.
    """
    s = a + b
    t = s - a
    return Double(s, (a - (s - t)) + (b - t))


def fast_two_sum(a: Array, b: Array) -> Double:
    """``a + b`` without error, for ``|a| >= |b|``."""
    s = a + b
    return Double(s, b - (s - a))


def two_product(a: Array, b: Array) -> Double:
    """``a * b`` to twice the precision, short of underflow.

    Compilers fuse a multiplication with the subtraction that follows, where it is not rounded any more, and leave
    it rounded elsewhere: then the error is that of another number. A number without its last bit is no mere
    product, and products of halves are exact, fused or not.
    """
    integer = jnp.int32 if a.dtype == jnp.float32 else jnp.int64
    even = lax.bitcast_convert_type(lax.bitcast_convert_type(a * b, integer) & ~1, a.dtype)
    x, y = split(a), split(b)
    low = ((x.high * y.high - even) + x.high * y.low + x.low * y.high) + x.low * y.low
    p, size = fast_two_sum(even, low), jnp.abs(even)
    sound = (size > float(jnp.finfo(a.dtype).tiny) * 2.0**60) & (size < jnp.inf)  # or low halves may be flushed
    return Double(jnp.where(sound, p.high, a * b), jnp.where(sound, p.low, 0))


def two_square(a: Array) -> Double:
    """``a * a`` to nearly twice the precision, for squares that neither overflow nor are subnormal."""
    x = split(a)
    return fast_two_sum(x.high * x.high, x.low * (a + x.high))


def quotient(a: Array, b: Array) -> Double:
    """``a / b`` to twice the precision."""
    q = a / b
    p = two_product(q, b)
    return Double(q, ((a - p.high) - p.low) / b)


def product(a: Double, b: Double) -> Double:
    """Product to nearly twice the precision."""
    p = two_product(a.high, b.high)
    return fast_two_sum(p.high, p.low + (a.high * b.low + a.low * b.high))


def add(a: Double, b: Double) -> Double:
    """Sum to nearly twice the precision, unless it cancels."""
    s = two_sum(a.high, b.high)
    return fast_two_sum(s.high, s.low + (a.low + b.low))


def scaled(x: Array, high: float, low: float = 0.0) -> Double:
    """A constant, given as the sum of two Python floats, times an array."""
    unit = math.frexp(high)[1] - (12 if x.dtype == jnp.float32 else 26)
    head = math.ldexp(round(math.ldexp(high, -unit)), unit)  # half of the bits, so that its product is exact
    y, plain = split(x), x * high
    p, size = fast_two_sum(y.high * head, y.low * head + x * ((high - head) + low)), jnp.abs(plain)
    sound = (size > float(jnp.finfo(x.dtype).tiny) * 2.0**60) & (size < jnp.inf)  # or low halves may be flushed
    return Double(jnp.where(sound, p.high, plain), jnp.where(sound, p.low, 0))


def total(a: Double, b: Double) -> Array:
    """``a + b``, rounded once even if it cancels."""
    s = two_sum(a.high, b.high)
    return s.high + (s.low + (a.low + b.low))


def one_plus(a: Double) -> Array:
    """``1 + a``, rounded once."""
    s = two_sum(a.high, jnp.ones_like(a.high))
    return s.high + (s.low + a.low)
