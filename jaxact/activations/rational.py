"""Rational functions with learnable coefficients: Padé activation units."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

from jaxact.activations._compensated import Double, add, constant
from jaxact.activations._numerics import finite
from jaxact.activations._polynomial import (
    Scaled,
    coefficients,
    derived,
    exponent_of,
    polynomial,
    power_of_two,
    ratio,
    rounded,
    times_powers,
)
from jaxact.activations._stacked import checked, stacked
from jaxact.errors import InputError, shown

LEAST = {"A": 1.0, "B": 1.0, "C": 0.1}  # what the denominator is at least, by version


def _exact(x: Array) -> Double:
    return Double(x, jnp.zeros_like(x))


def _start(version: str) -> int:
    """The first power in the sum of the denominator."""
    return 0 if version == "C" else 1


def _from_constant(version: str, b: Array) -> Array:
    """The denominator's coefficients from that of x**0 on, which versions A and B do not have."""
    return b if version == "C" else jnp.concatenate([jnp.zeros((1, *b.shape[1:]), b.dtype), b])


def _branches(version: str, b: Array) -> Double:
    """The two polynomials that the denominator is, [n + 1, 2, ...]; x decides which."""
    b = _from_constant(version, b)
    if version == "A":  # right and left of 0
        signs = (-1.0) ** np.arange(len(b)).reshape(-1, *(1 for _ in b.shape[1:]))
        both = jnp.stack([jnp.abs(b), jnp.abs(b) * jnp.asarray(signs, b.dtype)], axis=1)
    else:  # where the sum is not negative, and where it is
        both = jnp.stack([b, -b], axis=1)
    least, rest = constant(LEAST[version], both[:1]), _exact(both[1:])
    first = add(_exact(both[:1]), least) if version == "C" else least
    return Double(*(jnp.concatenate(parts) for parts in zip(first, rest, strict=True)))


def _denominator(version: str, x: Array, b: Array) -> tuple[Scaled, Array]:
    """The denominator, and whether it is the second of `_branches`."""
    z, b = (jnp.abs(x), jnp.abs(b)) if version == "A" else (x, b)
    y, e = polynomial(coefficients(_exact(_from_constant(version, b))), z)
    negative = y.high < 0
    # At a root of the sum its terms may be large. Version A has none, so its exponent needs nothing of this.
    shift = jnp.maximum(e if version == "A" else e + exponent_of(y.high), 0)
    unit, one = power_of_two(e - shift, x) * jnp.where(negative, -1, 1), power_of_two(-shift, x)
    least = constant(LEAST[version], x)
    q = add(Double(y.high * unit, y.low * unit), Double(least.high * one, least.low * one))
    return Scaled(q, shift), x < 0 if version == "A" else negative


def _signs(version: str, x: Array, b: Array) -> list[Array]:
    """The derivative of the denominator by its coefficient of x**i, over x**i."""
    _, second = _denominator(version, x, b)
    minus = jnp.where(second, -1, 1).astype(x.dtype)
    if version != "A":
        return [minus] * len(b)
    own = jnp.where(b < 0, -1, 1).astype(x.dtype)  # at 0 as jnp.abs
    return [s * minus if i % 2 else s * jnp.ones_like(minus) for i, s in enumerate(own, start=1)]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _basis(version: str, count: int, x: Array, b: Array) -> tuple[Array, ...]:
    """``x**j / Q(x)`` for j below ``count``."""
    q, _ = _denominator(version, x, b)
    one = Scaled(_exact(jnp.ones_like(x)), jnp.zeros_like(q.exponent))
    return tuple(times_powers(ratio(one, q, shared=True), x, count))


@_basis.defjvp
def _(version, count, primals, tangents):
    (x, b), (x_dot, b_dot) = primals, tangents
    branches, (_, second) = _branches(version, b).high, _denominator(version, x, b)
    start = _start(version)
    full = _basis(version, max(count, len(branches)), x, b)
    log_dot = jnp.zeros_like(x)  # of the denominator
    for i in range(1, len(branches)):
        log_dot += i * jnp.where(second, branches[i, 1], branches[i, 0]) * full[i - 1] * x_dot
    for i, sign in enumerate(_signs(version, x, b)):
        log_dot += sign * full[start + i] * b_dot[i]
    lower = [jnp.zeros_like(x), *(j * p for j, p in enumerate(full, start=1))]
    return full[:count], tuple(p * x_dot - q * log_dot for p, q in zip(lower, full[:count], strict=False))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _quotient(order: int, version: str, x: Array, a: Array, b: Array) -> Array:
    """The derivative of some order of the rational function in x."""
    q, second = _denominator(version, x, b)
    if order == 0:
        terms = coefficients(_exact(a))
    else:
        both = derived(order, a[:, None], _branches(version, b))
        terms = [jax.tree.map(lambda c: jnp.where(second, c[1], c[0]), term) for term in both]
    return jnp.where(jnp.isnan(x), x, rounded(ratio(polynomial(terms, x), q, order + 1)))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _by_denominator(version: str, x: Array, a: Array, b: Array) -> tuple[Array, ...]:
    """``P x**i / Q**2`` for each coefficient of the denominator: f times x**i / Q might underflow."""
    q, _ = _denominator(version, x, b)
    first = ratio(polynomial(coefficients(_exact(a)), x), q, 2, shared=True)
    return tuple(times_powers(first, x, _start(version) + len(b))[_start(version) :])


@_by_denominator.defjvp
def _(version, primals, tangents):
    def plain(x: Array, a: Array, b: Array) -> tuple[Array, ...]:
        f, basis = finite(_quotient(0, version, x, a, b)), _basis(version, _start(version) + len(b), x, b)
        return tuple(f * p for p in basis[_start(version) :])

    return _by_denominator(version, *primals), jax.jvp(plain, primals, tangents)[1]


def _derivative(f: Callable, x: Array, order: int) -> tuple[Array, ...]:
    """A derivative of some order, elementwise."""
    for _ in range(order):
        f = functools.partial(lambda g, x: jax.jvp(g, (x,), (jnp.ones_like(x),))[1], f)
    return f(x)


def _rule(order, version, primals, tangents):
    (x, a, b), (x_dot, a_dot, b_dot) = primals, tangents
    y = _quotient(order, version, x, a, b)
    y_dot = jnp.zeros_like(y)
    if not isinstance(x_dot, SymbolicZero):
        y_dot += _quotient(order + 1, version, x, a, b) * x_dot
    if not isinstance(a_dot, SymbolicZero):
        by_a = _derivative(lambda x: _basis(version, len(a), x, b), x, order)
        y_dot += functools.reduce(jnp.add, map(jnp.multiply, by_a, a_dot))
    if not isinstance(b_dot, SymbolicZero):
        by_b = _derivative(lambda x: _by_denominator(version, x, a, b), x, order)
        for p, sign, dot in zip(by_b, _signs(version, x, b), b_dot, strict=True):
            y_dot -= sign * p * dot
    return y, y_dot


_quotient.defjvp(_rule, symbolic_zeros=True)


_compute = stacked("rational", lambda x, a, b, version: _quotient(0, version, x, a, b), ("version",))


def rational(x: ArrayLike, numerator: Any, denominator: Any, version: str = "A") -> Array:
    r"""Rational function with learnable coefficients, also called Padé activation unit.

    .. math::
      \mathrm{rational}(x) = \frac{\sum_{j=0}^m a_j x^j}{Q(x)}, \qquad
      Q_A = 1 + \sum_{j=1}^n |b_j x^j|, \quad Q_B = 1 + \Big|\sum_{j=1}^n b_j x^j\Big|, \quad Q_C = 0.1 +
      \Big|\sum_{j=0}^n b_j x^j\Big|

    The denominator has no root. No finite input overflows unless the value does, and value and derivatives are
    rounded once, for the polynomials are computed to twice the precision. Limits at :math:`\pm\infty` are those of
    the leading terms. Kinks where an absolute value has one (in version A at :math:`x = 0`, if :math:`b_1 \ne 0`):
    there its derivative is taken to be 1, as that of `jnp.abs`. So a :math:`b_j` of 0 can be learnt.

    Args:
      x: input, any shape.
      numerator: :math:`a_0, \dots, a_m` along the leading axis; its other axes broadcast against ``x``. An array,
        or a tuple of numbers, which take the dtype of ``x``.
      denominator: :math:`b_1, \dots, b_n` (in version C :math:`b_0, \dots, b_n`) in the same way.
      version: which denominator, "A", "B" or "C".

    Returns:
      Array of the broadcast shape; its dtype is that of the inputs promoted (integers give the default float).

    Raises:
      InputError: if ``version`` is another, or coefficients are scalars, or shapes do not broadcast.

    Examples:
      >>> rational(jnp.array([-1.0, 2.0]), (0.0, 1.0), (0.0, 1.0))  # x / (1 + x**2)
      Array([-0.5,  0.4], dtype=float32)

    References:
      Molina, Schramowski and Kersting, "Padé activation units: end-to-end learning of flexible activation
      functions in deep networks", 2019, arXiv:1907.06732; the authors' package names the versions.
    """
    if version not in LEAST:
        raise InputError(f"version must be 'A', 'B' or 'C', got {shown(version)}")
    kind, (x, a, b) = checked(x, numerator=numerator, denominator=denominator)
    if len(a) == 0 or (version == "C" and len(b) == 0):
        raise InputError(
            f"{'denominator' if len(a) else 'numerator'} must have at least one coefficient, got none"
        )
    return _compute(x, a, b, kind=kind, version=version)
