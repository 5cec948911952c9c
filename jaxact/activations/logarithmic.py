"""Functions that grow like a logarithm, or whose tails are made of one."""

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxact.activations._compensated import one_plus, product
from jaxact.activations._exponential import double_expm1, log1p_unit, shifted_exp, tanh
from jaxact.activations._normal import gaussian as _gaussian
from jaxact.activations._numerics import downscale, elementwise, finite, like, with_derivative


def _reciprocal_root(x: Array) -> Array:
    r""":math:`1/\sqrt{1 + x^2}` without overflow."""
    scale = downscale(x)
    y = x * scale
    return scale / jnp.sqrt(scale * scale + y * y)


def _asinh_curvature(x: Array) -> Array:
    r = _reciprocal_root(x)
    return -((finite(x) * r) * r) * r


@with_derivative(_asinh_curvature)
def _asinh_slope(x: Array) -> Array:
    return _reciprocal_root(x)


@with_derivative(_asinh_slope)
def _asinh(x: Array) -> Array:
    return jnp.arcsinh(x)


@elementwise
def asinh(x: Array) -> Array:
    r"""Inverse hyperbolic sine: linear near 0, logarithmic far away.

    .. math::
      \mathrm{asinh}(x) = \log\left(x + \sqrt{x^2 + 1}\right), \qquad \mathrm{asinh}'(x) = \frac{1}{\sqrt{1 + x^2}}

    Limits: :math:`\pm\infty` at :math:`\pm\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> asinh(1.0)
      Array(0.88137364, dtype=float32, weak_type=True)
    """
    return _asinh(x)


_LOG_2 = (0.6931471805599453, 2.3190468138462996e-17)


@with_derivative(tanh)
def _logcosh(x: Array) -> Array:
    a = jnp.abs(x)
    small = a < 1.3
    c = jnp.where(small, a, 0)
    m = double_expm1(-c)
    bend = log1p_unit(product(m, m).high / (2 * one_plus(m)))  # cosh(x) - 1, by the exponential
    lead = np.asarray(_LOG_2[0], x.dtype)
    rest = _LOG_2[0] - float(lead) + _LOG_2[1]
    return jnp.where(small, bend, (a - lead) + (log1p_unit(shifted_exp(-2 * jnp.maximum(a, 1)).value) - rest))


@elementwise
def logcosh(x: Array) -> Array:
    r"""Logarithm of the hyperbolic cosine: quadratic near 0, linear far away; its derivative is tanh.

    .. math::
      \mathrm{logcosh}(x) = \log\cosh x

    Limits: :math:`\infty` at :math:`\pm\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), not negative.

    Examples:
      >>> logcosh(1.0)
      Array(0.43378082, dtype=float32, weak_type=True)
    """
    return _logcosh(x)


def _seagull_curvature(x: Array) -> Array:
    large = jnp.abs(x) > 1
    c = jnp.where(large, 1 / x, x)
    bend = 2 * (1 - c) * (1 + c) / jnp.square(1 + c * c)
    return jnp.where(large, -(bend * c) * c, bend)


@with_derivative(_seagull_curvature)
def _seagull_slope(x: Array) -> Array:
    large = jnp.abs(x) > 1
    c = jnp.where(large, 1 / x, x)
    return jnp.where(large, 2 / x, 2 * x) / (1 + c * c)


@with_derivative(_seagull_slope)
def _seagull(x: Array) -> Array:
    a = jnp.abs(x)
    large = a > 1
    c = jnp.where(large, 1 / a, a)
    return jnp.where(large, 2 * jnp.log(jnp.where(large, a, 1)), 0) + log1p_unit(c * c)


@elementwise
def seagull(x: Array) -> Array:
    r"""Even and logarithmic.

    .. math::
      \mathrm{seagull}(x) = \log(1 + x^2)

    Limits: :math:`\infty` at :math:`\pm\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), not negative.

    Examples:
      >>> seagull(1.0)
      Array(0.6931472, dtype=float32, weak_type=True)

    References:
      Gao and Zhang, "A use of even activation functions in neural networks", 2020, arXiv:2011.11713.
    """
    return _seagull(x)


def _nlrelu_curvature(x: Array, beta: Array) -> Array:
    slope = _nlrelu_slope(x, beta)
    return -slope * slope


def _nlrelu_parts(x: Array, beta: Array) -> tuple[Array, Array, Array]:
    """The positive part, ``beta`` times it, and where that is large."""
    x = jnp.where(x <= 0, 0, x)
    y = finite(beta * x)
    return x, y, y > 1


@with_derivative(_nlrelu_curvature, None)
def _nlrelu_slope(x: Array, beta: Array) -> Array:
    c, y, large = _nlrelu_parts(x, beta)
    slope = jnp.where(large, 1 / (c + 1 / jnp.where(large, beta, 1)), beta / (1 + jnp.where(large, 0, y)))
    return jnp.where(x <= 0, 0, slope)


def _nlrelu_slope_in_beta(x: Array, beta: Array) -> Array:
    c, y, large = _nlrelu_parts(x, beta)
    return jnp.where(large, 1 / (beta + 1 / jnp.where(large, c, 1)), c / (1 + jnp.where(large, 0, y)))


@with_derivative(_nlrelu_slope, _nlrelu_slope_in_beta)
def _nlrelu(x: Array, beta: Array) -> Array:
    x, y, large = _nlrelu_parts(x, beta)
    huge = y > 1e15  # there the product may overflow
    lead = jnp.log(jnp.where(huge, x, jnp.where(large, y, 1))) + jnp.where(huge, jnp.log(beta), 0)
    return lead + log1p_unit(jnp.where(large, 1 / y, y))


@elementwise
def nlrelu(x: Array, beta: ArrayLike = 1.0) -> Array:
    r"""Natural logarithm of relu.

    .. math::
      \mathrm{nlrelu}(x) = \log(1 + \beta\,\mathrm{relu}(x))

    Kink at 0, where the derivative is taken to be 0, as that of relu.
    Limits: 0 at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.
      beta: :math:`\beta > 0`.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), not negative.

    Examples:
      >>> nlrelu(jnp.array([-1.0, 1.0]))
      Array([0.       , 0.6931472], dtype=float32)

    References:
      Liu, Zhang, Li and Bi, "Natural-logarithm-rectified activation function in convolutional neural networks",
      2019, arXiv:1908.03682.
    """
    return _nlrelu(x, *like(x, beta))


@elementwise
def gaussian(x: Array) -> Array:
    r"""Gaussian bump.

    .. math::
      \mathrm{gaussian}(x) = e^{-x^2}

    Limits: 0 at :math:`\pm\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [0, 1].

    Examples:
      >>> gaussian(1.0)
      Array(0.36787945, dtype=float32, weak_type=True)
    """
    return _gaussian(x)
