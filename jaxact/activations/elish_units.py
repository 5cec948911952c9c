"""Elish: silu on the right, elu times the sigmoid on the left."""

import math

import jax.numpy as jnp
from jax import Array

from jaxact.activations._compensated import constant
from jaxact.activations._exponential import Exponential, expm1, shifted_exp
from jaxact.activations._gates import FAR
from jaxact.activations._numerics import elementwise, with_derivative
from jaxact.activations.swishes import silu_parts

_silu, _silu_slope, _silu_curvature = silu_parts


def _minus_sqrt2(e: Exponential) -> Array:
    """``1 + t - sqrt(2)``: the root of the derivative, t**2 + 2t - 1, as a factor."""
    root = constant(0.41421356237309503, e.high, 1.4349369327986523e-17)
    return (e.high * e.far - root.high) + (e.low * e.far - root.low)


def _elish_curvature(x: Array) -> Array:
    e = shifted_exp(jnp.clip(x, -FAR, 0))
    t = e.value
    left = e.times((((t + 3) * t + 5) * t - 1) / ((1 + t) * jnp.square(1 + t)))
    return jnp.where(x > 0, _silu_curvature(x), left)


@with_derivative(_elish_curvature)
def _elish_slope(x: Array) -> Array:
    e = shifted_exp(jnp.clip(x, -FAR, 0))
    t = e.value
    return jnp.where(
        x > 0, _silu_slope(x), e.times(_minus_sqrt2(e) * ((1 + math.sqrt(2)) + t) / jnp.square(1 + t))
    )


@with_derivative(_elish_slope)
def _elish(x: Array) -> Array:
    c = jnp.clip(x, -FAR, 0)
    e = shifted_exp(c)
    return jnp.where(x > 0, _silu(x), e.times(expm1(c) / (1 + e.value)))


@elementwise
def elish(x: Array) -> Array:
    r"""Silu on the right, elu times the sigmoid on the left.

    .. math::
      \mathrm{elish}(x) = \mathrm{sigmoid}(x) egin{cases} x, & x \ge 0 \ e^x - 1, & x < 0 \end{cases}

    Not monotone: minimum -0.1716 at -0.8814. Limits: 0 at :math:`-\infty`, :math:`\infty` at :math:`+\infty`. The
    second derivative jumps at 0.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), at least -0.1716.

    Examples:
      >>> elish(jnp.array([-1.0, 1.0]))
      Array([-0.1700034,  0.7310586], dtype=float32)

    References:
      Basirat and Roth, "The quest for the golden activation function", 2018, arXiv:1808.00783.
    """
    return _elish(x)
