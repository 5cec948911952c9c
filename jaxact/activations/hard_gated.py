"""Piecewise relatives of the self-gated functions, and x times tanh."""

import jax.numpy as jnp
from jax import Array

from jaxact.activations._compensated import Double, one_plus, product, two_sum
from jaxact.activations._exponential import expm1, shifted_exp, tanh
from jaxact.activations._gates import FAR
from jaxact.activations._numerics import elementwise, with_derivative
from jaxact.activations._roots import ROOTS, near_root


def _hard_silu_slope(x: Array) -> Array:
    return jnp.where(x >= 3, 1, jnp.where(x <= -3, 0, (2 * x + 3) / 6))


@with_derivative(_hard_silu_slope)
def _hard_silu(x: Array) -> Array:
    c = jnp.clip(x, -3, 3)
    return jnp.where(x >= 3, x, c * (c + 3) / 6)


@elementwise
def hard_silu(x: Array) -> Array:
    r"""Piecewise quadratic silu, also called hard swish.

    .. math::
      \mathrm{hard\_silu}(x) = x \frac{\min(\max(x + 3, 0), 6)}{6}

    Not monotone: minimum -3/8 at -3/2. Kinks at -3 and 3, where the derivative is taken to be 0 and 1 (as
    `jax.nn.hard_silu`). Limits: 0 at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), at least -3/8.

    Examples:
      >>> hard_silu(jnp.array([-4.0, 1.0, 4.0]))
      Array([-0.       ,  0.6666667,  4.       ], dtype=float32)

    References:
      Howard et al., "Searching for MobileNetV3", 2019, arXiv:1905.02244.
    """
    return _hard_silu(x)


hard_swish = hard_silu


@elementwise
def hard_mish(x: Array) -> Array:
    r"""Piecewise quadratic mish.

    .. math::
      \mathrm{hard\_mish}(x) = \tfrac{x}{2} \min(\max(x + 2, 0), 2)

    Not monotone: minimum -1/2 at -1. Kink at -2, where the derivative is taken to be 0. Limits: 0 at
    :math:`-\infty`, :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), at least -1/2.

    Examples:
      >>> hard_mish(jnp.array([-3.0, -1.0, 1.0]))
      Array([-0. , -0.5,  1. ], dtype=float32)
    """
    c = jnp.where((x <= -2) | (x >= 0), 0, x)
    return jnp.where(x >= 0, x, jnp.where(x <= -2, -0.0, c * (c + 2) / 2))


def _hard_elish_curvature(x: Array) -> Array:
    c, d = jnp.clip(x, -1, 0), jnp.clip(x, 0, 1)
    inside = jnp.where(x < 0, jnp.exp(c) * (c + 3) / 2, 1 + 0 * d)
    return jnp.where((x <= -1) | (x >= 1), 0, inside)


@with_derivative(_hard_elish_curvature)
def _hard_elish_slope(x: Array) -> Array:
    c, d = jnp.clip(x, -1, 0), jnp.clip(x, 0, 1)
    e = shifted_exp(c)
    left = one_plus(product(Double(-e.high, -e.low), two_sum(c, jnp.full_like(c, 2))))  # 1 - exp(x) (x + 2)
    return jnp.where(x <= -1, 0, jnp.where(x >= 1, 1, jnp.where(x < 0, -left / 2, d + 0.5)))


@with_derivative(_hard_elish_slope)
def _hard_elish(x: Array) -> Array:
    c, d = jnp.clip(x, -1, 0), jnp.clip(x, 0, 1)
    inside = jnp.where(x < 0, expm1(c) * (c + 1) / 2, d * (d + 1) / 2)
    return jnp.where(x <= -1, -0.0, jnp.where(x >= 1, x, inside))


@elementwise
def hard_elish(x: Array) -> Array:
    r"""Elish with the piecewise linear sigmoid of slope 1/2.

    .. math::
      \mathrm{hard\_elish}(x) = \min\left(\max\left(\frac{x + 1}{2}, 0\right), 1\right)
      \begin{cases} x, & x \ge 0 \\ e^x - 1, & x < 0 \end{cases}

    Kinks at -1 and 1, where the derivative is taken to be 0 and 1. Limits: 0 at :math:`-\infty`, :math:`\infty`
    at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> hard_elish(jnp.array([-2.0, -0.5, 2.0]))
      Array([-0.        , -0.09836733,  2.        ], dtype=float32)

    References:
      Basirat and Roth, "The quest for the golden activation function", 2018, arXiv:1808.00783.
    """
    return _hard_elish(x)


@near_root(ROOTS["lisht", 2])
def _right_lisht_curvature(x: Array) -> Array:
    e = shifted_exp(-2 * x)
    return e.times(8 * (1 - x * tanh(x)) / (1 + e.value * (2 + e.value)))


def _lisht_curvature(x: Array) -> Array:
    return _right_lisht_curvature(jnp.minimum(jnp.abs(x), FAR))


@with_derivative(_lisht_curvature)
def _lisht_slope(x: Array) -> Array:
    c = jnp.clip(x, -FAR, FAR)
    e = shifted_exp(-2 * jnp.abs(c))
    return tanh(x) + e.times(4 * c / (1 + e.value * (2 + e.value)))


@with_derivative(_lisht_slope)
def _lisht(x: Array) -> Array:
    return x * tanh(x)


@elementwise
def lisht(x: Array) -> Array:
    r"""Linearly scaled tanh: even, linear at both ends.

    .. math::
      \mathrm{lisht}(x) = x \tanh(x)

    Limits: :math:`\infty` at :math:`\pm\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), not negative.

    Examples:
      >>> lisht(jnp.array([-2.0, 1.0]))
      Array([1.9280554 , 0.76159424], dtype=float32)

    References:
      Roy, Manna, Dubey and Chaudhuri, "LiSHT: non-parametric linearly scaled hyperbolic tangent activation
      function for neural networks", 2019, arXiv:1901.05894.
    """
    return _lisht(x)
