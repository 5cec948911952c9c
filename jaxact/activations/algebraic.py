"""Functions made of square roots: no transcendental function, algebraic tails."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.activations._numerics import downscale, elementwise, finite, like, with_derivative


def _root(x: Array, b: Array) -> Array:
    r""":math:`\sqrt{x^2 + b}` without overflow, and infinity in place of 0."""
    scale = downscale(x)
    y = x * scale
    r = jnp.sqrt(y * y + b * scale * scale) / scale
    return jnp.where(r == 0, jnp.inf, r)


def _squareplus_curvature(x: Array, b: Array) -> Array:
    i = 1 / _root(x, b)
    return (b * i) * i * i / 2


def _squareplus_slope_in_b(x: Array, b: Array) -> Array:
    return 1 / (4 * _root(x, b))


def _squareplus_mixed(x: Array, b: Array) -> Array:
    i = 1 / _root(x, b)
    return -(finite(x) * i) * i * i / 4


def _squareplus_parts(x: Array, b: Array) -> tuple[Array, Array]:
    r"""Squareplus, as :math:`\max(x, 0) + \frac b2 / (r + |x|)`, and :math:`r = \sqrt{x^2 + b}`."""
    a = jnp.abs(x)
    r = jnp.clip(jnp.sqrt(x * x + b), a, a + jnp.sqrt(b))  # next to a bound where the square over- or underflows
    return jnp.maximum(x, 0) + (b / 4) / jnp.maximum(a / 2 + r / 2, float(jnp.finfo(x.dtype).tiny)), r


@with_derivative(_squareplus_curvature, _squareplus_mixed)
def _squareplus_slope(x: Array, b: Array) -> Array:
    y, r = _squareplus_parts(x, b)
    y = jnp.where(x > -jnp.sqrt(b) / 2, x / 2 + r / 2, y)  # the same, and more exact
    info = jnp.finfo(x.dtype)
    return jnp.minimum(y, float(info.max)) / jnp.clip(r, float(info.tiny), float(info.max))


@with_derivative(_squareplus_slope, _squareplus_slope_in_b)
def _squareplus(x: Array, b: Array) -> Array:
    return _squareplus_parts(x, b)[0]


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
    return _squareplus(x, *like(x, b))


def _bent_curvature(x: Array) -> Array:
    i = 1 / _root(x, jnp.ones_like(x))
    return i * i * i / 2


@with_derivative(_bent_curvature)
def _bent_slope(x: Array) -> Array:
    return 1 + finite(x) / _root(finite(x), jnp.ones_like(x)) / 2


@with_derivative(_bent_slope)
def _bent_identity(x: Array) -> Array:
    c, eps = finite(x), float(jnp.finfo(x.dtype).eps)
    y = x + c * (c / (2 * (_root(c, jnp.ones_like(x)) / 2 + 0.5))) / 2
    # Far out, where 1/2 is nothing, 1.5 x stands between two numbers of 16 bits, and the truth is below it.
    return jnp.where(x > 4 / eps, x * (1.5 - eps), y)


@elementwise
def bent_identity(x: Array) -> Array:
    r"""Identity with a bend: slope 1/2 far on the left, 3/2 far on the right.

    .. math::
      \mathrm{bent\_identity}(x) = \frac{\sqrt{x^2 + 1} - 1}{2} + x

    Limits: :math:`\pm\infty` at :math:`\pm\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> bent_identity(0.0)
      Array(0., dtype=float32, weak_type=True)
    """
    return _bent_identity(x)


def _isru_curvature(x: Array, alpha: Array) -> Array:
    w = 1 + alpha * x * x
    r = 1 / w
    return ((finite(x) * r) * r) * (-3 * alpha / jnp.sqrt(w))


@with_derivative(_isru_curvature, None)
def _isru_slope(x: Array, alpha: Array) -> Array:
    w = 1 + alpha * x * x
    return 1 / (w * jnp.sqrt(w))


def _isru_slope_in_alpha(x: Array, alpha: Array) -> Array:
    y = _isru(x, alpha)
    return -0.5 * y * y * y


@with_derivative(_isru_slope, _isru_slope_in_alpha)
def _isru(x: Array, alpha: Array) -> Array:
    scale = downscale(x)
    y = finite(x) * scale
    return y / jnp.sqrt(scale * scale + alpha * (y * y))


@elementwise
def isru(x: Array, alpha: ArrayLike = 1.0) -> Array:
    r"""Inverse square root unit: a sigmoidal function without a transcendental one.

    .. math::
      \mathrm{isru}(x) = \frac{x}{\sqrt{1 + \alpha x^2}}

    Limits: :math:`\pm 1/\sqrt\alpha` at :math:`\pm\infty`.

    Args:
      x: input, any shape.
      alpha: :math:`\alpha > 0`.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> isru(1.0)
      Array(0.70710677, dtype=float32, weak_type=True)

    References:
      Carlile, Delamarter, Kinney, Marti and Whitney, "Improving deep learning by inverse square root linear units
      (ISRLUs)", 2017, arXiv:1710.09967.
    """
    return _isru(x, *like(x, alpha))


@elementwise
def isrlu(x: Array, alpha: ArrayLike = 1.0) -> Array:
    r"""Inverse square root linear unit: linear on the right, isru on the left, smooth to the second order.

    .. math::
      \mathrm{isrlu}(x) = \begin{cases} x, & x \ge 0 \\ x / \sqrt{1 + \alpha x^2}, & x < 0 \end{cases}

    Limits: :math:`-1/\sqrt\alpha` at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.
      alpha: :math:`\alpha > 0`.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), above -1 for the default.

    Examples:
      >>> isrlu(jnp.array([-1.0, 1.0]))
      Array([-0.70710677,  1.        ], dtype=float32)

    References:
      Carlile, Delamarter, Kinney, Marti and Whitney, "Improving deep learning by inverse square root linear units
      (ISRLUs)", 2017, arXiv:1710.09967.
    """
    return jnp.where(x >= 0, x, _isru(jnp.minimum(x, 0), *like(x, alpha)))
