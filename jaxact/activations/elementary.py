"""Elementary functions that serve as activations or as parts of them."""

import math

import jax.numpy as jnp
from jax import Array

from jaxact.activations._exponential import expm1, log1p_unit
from jaxact.activations._numerics import elementwise, with_derivative


@elementwise
def identity(x: Array) -> Array:
    r"""Identity, the activation of a linear layer.

    .. math::
      \mathrm{identity}(x) = x

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> identity(-2.0)
      Array(-2., dtype=float32, weak_type=True)
    """
    return x


def _exp_slope(x: Array) -> Array:
    return _exp(x)


@with_derivative(_exp_slope)
def _exp(x: Array) -> Array:
    if x.dtype != jnp.float32:
        return jnp.exp(x)
    far = x > 88  # where XLA's comes out 4.9 ulp off
    y = jnp.exp(jnp.where(far, x - 1, x))
    return jnp.where(far, y * math.e, y)


@elementwise
def exp(x: Array) -> Array:
    r"""Exponential.

    .. math::
      \mathrm{exp}(x) = e^x

    Limits: 0 at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> exp(0.0)
      Array(1., dtype=float32, weak_type=True)
    """
    return _exp(x)


def _log1mexp_curvature(x: Array) -> Array:
    r = 1 / expm1(-x)
    return -(jnp.exp(-x) * r) * r  # XLA makes t / m / m into t / (m * m), which overflows


@with_derivative(_log1mexp_curvature)
def _log1mexp_slope(x: Array) -> Array:
    return jnp.where(x == 0, jnp.inf, -jnp.exp(-x) / expm1(-x))


@with_derivative(_log1mexp_slope)
def _log1mexp(x: Array) -> Array:
    small = x < math.log(2)
    m, t = expm1(jnp.where(small, -x, -1)), jnp.exp(jnp.where(small, -1, -x))
    return jnp.where(x < 0, jnp.nan, jnp.where(small, jnp.log(-m), log1p_unit(-t)))


@elementwise
def log1mexp(x: Array) -> Array:
    r"""Logarithm of one minus an exponential, for :math:`x > 0`, with no cancellation at either end.

    .. math::
      \mathrm{log1mexp}(x) = \log(1 - e^{-x})

    Limits: :math:`-\infty` at 0, 0 at :math:`+\infty`; NaN for negative ``x``.

    Args:
      x: input, any shape, positive.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> log1mexp(1.0)
      Array(-0.45867515, dtype=float32, weak_type=True)

    References:
      Mächler, "Accurately computing log(1 - exp(-|a|))", 2012.
    """
    return _log1mexp(x)
