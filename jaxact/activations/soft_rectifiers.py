"""Smooth rectifiers: softplus and its relatives, flat on the left and linear on the right."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.activations import _numerics
from jaxact.activations._numerics import elementwise


@elementwise
def softplus(x: Array) -> Array:
    r"""Smooth rectifier, the integral of the sigmoid.

    .. math::
      \mathrm{softplus}(x) = \log(1 + e^x), \qquad \mathrm{softplus}'(x) = \mathrm{sigmoid}(x)

    Limits: 0 at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), not negative.

    Examples:
      >>> softplus(0.0)
      Array(0.6931472, dtype=float32, weak_type=True)

    References:
      Dugas, Bengio, Bélisle, Nadeau and Garcia, "Incorporating second-order functional knowledge for better
      option pricing", 2001.
    """
    return _numerics.softplus(x)


@elementwise
def log_sigmoid(x: Array) -> Array:
    r"""Logarithm of the sigmoid.

    .. math::
      \mathrm{log\_sigmoid}(x) = -\log(1 + e^{-x}), \qquad \mathrm{log\_sigmoid}'(x) = \mathrm{sigmoid}(-x)

    Limits: :math:`-\infty` at :math:`-\infty`, 0 at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), not positive.

    Examples:
      >>> log_sigmoid(0.0)
      Array(-0.6931472, dtype=float32, weak_type=True)
    """
    return -_numerics.softplus(-x)


def _root(x: Array, b: Array) -> Array:
    r""":math:`\sqrt{x^2 + b}` without overflow, and infinity in place of 0."""
    r = jnp.hypot(x, jnp.sqrt(b))
    return jnp.where(r == 0, jnp.inf, r)


@jax.custom_jvp
def _squareplus_slope(x: Array, b: Array) -> Array:
    x = _numerics.finite(x)
    r = _root(x, b)
    larger = (1 + jnp.abs(x) / r) / 2  # the smaller, (1 - |x|/r) / 2, would cancel
    return jnp.where(x > 0, larger, b / r / r / (4 * larger))


@_squareplus_slope.defjvp
def _(primals, tangents):
    (x, b), (x_dot, b_dot) = primals, tangents
    r = _root(x, b)
    return _squareplus_slope(x, b), b / (2 * r) / r / r * x_dot - _numerics.finite(x) / (4 * r) / r / r * b_dot


@jax.custom_jvp
def _squareplus(x: Array, b: Array) -> Array:
    larger = jnp.abs(x) / 2 + jnp.hypot(x, jnp.sqrt(b)) / 2
    return jnp.where(x > 0, larger, b / 4 / jnp.where(larger == 0, 1, larger))


@_squareplus.defjvp
def _(primals, tangents):
    (x, b), (x_dot, b_dot) = primals, tangents
    return _squareplus(x, b), _squareplus_slope(x, b) * x_dot + 1 / (4 * _root(x, b)) * b_dot


@elementwise
def squareplus(x: Array, b: ArrayLike = 4) -> Array:
    r"""Smooth rectifier without a transcendental function.

    .. math::
      \mathrm{squareplus}(x) = \frac{x + \sqrt{x^2 + b}}{2}

    Limits: 0 at :math:`-\infty` (as :math:`b / 4|x|`), :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.
      b: :math:`b \ge 0`, the width of the curved part.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), not negative.

    Examples:
      >>> squareplus(0.0)
      Array(1., dtype=float32, weak_type=True)
      >>> squareplus(-1e4)  # jax.nn.squareplus(-1e4) is 0
      Array(0.0001, dtype=float32, weak_type=True)

    References:
      Barron, "Squareplus: a softplus-like algebraic rectifier", 2021, arXiv:2112.11687.
    """
    return _squareplus(x, 1.0 * b)


@elementwise
def sparse_plus(x: Array) -> Array:
    r"""Smooth rectifier that is exactly 0 on the left and exactly linear on the right.

    .. math::
      \mathrm{sparse\_plus}(x) = \begin{cases} 0, & x \le -1 \\ (x+1)^2/4, & -1 < x < 1 \\ x, & x \ge 1
      \end{cases}

    The derivative is `sparse_sigmoid`, continuous; the second derivative jumps at -1 and 1.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), not negative.

    Examples:
      >>> sparse_plus(jnp.array([-2.0, 0.0, 2.0]))
      Array([0.  , 0.25, 2.  ], dtype=float32)

    References:
      Blondel, Martins and Niculae, "Learning with Fenchel-Young losses", 2019, arXiv:1901.02324.
    """
    inside = jnp.abs(x) < 1
    return jnp.where(x <= -1, 0, jnp.where(inside, jnp.square(jnp.where(inside, x, 0) + 1) / 4, x))
