"""Elish: silu on the right, elu times the sigmoid on the left."""

import jax.numpy as jnp
from jax import Array

from jaxact.activations._compensated import Double, add, product, two_sum
from jaxact.activations._exponential import expm1, shifted_exp
from jaxact.activations._gates import FAR
from jaxact.activations._numerics import elementwise, with_derivative
from jaxact.activations.swishes import silu_parts

_silu, _silu_slope, _silu_curvature = silu_parts


def _elish_curvature(x: Array) -> Array:
    e = shifted_exp(jnp.clip(x, -FAR, 0))
    t = e.value
    left = e.times((((t + 3) * t + 5) * t - 1) / ((1 + t) * jnp.square(1 + t)))
    return jnp.where(x > 0, _silu_curvature(x), left)


@with_derivative(_elish_curvature)
def _elish_slope(x: Array) -> Array:
    # On the left t (t^2 + 2t - 1) / (1 + t)^2, whose numerator is (1 + t)^2 - 2.
    e = shifted_exp(jnp.clip(x, -FAR, 0))
    lead = two_sum(e.high * e.far, jnp.ones_like(x))
    square = product(*2 * (Double(lead.high, lead.low + e.low * e.far),))
    numerator = add(square, Double(jnp.full_like(x, -2), jnp.zeros_like(x)))
    return jnp.where(x > 0, _silu_slope(x), e.times((numerator.high + numerator.low) / square.high))


@with_derivative(_elish_slope)
def _elish(x: Array) -> Array:
    c = jnp.clip(x, -FAR, 0)
    e = shifted_exp(c)
    return jnp.where(x > 0, _silu(x), e.times(expm1(c) / (1 + e.value)))


@elementwise
def elish(x: Array) -> Array:
    r"""Silu on the right, elu times the sigmoid on the left.

    .. math::
      \mathrm{elish}(x) = \mathrm{sigmoid}(x) \begin{cases} x, & x \ge 0 \\ e^x - 1, & x < 0 \end{cases}

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
