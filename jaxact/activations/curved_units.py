"""Units with a quadratic or a curved branch whose strength is a parameter: xielu and the soft exponential."""

import math

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.activations._compensated import Double, fast_two_sum, product, quotient, total, two_product, two_sum
from jaxact.activations._exponential import double_expm1, expm1, log1p_ratio, polynomial, shifted_exp
from jaxact.activations._numerics import elementwise, finite, like, with_derivative

_SERIES = {size: [1 / math.factorial(n) for n in range(2, terms)] for size, terms in ((4, 12), (8, 20))}


@with_derivative(expm1)
def _expm1_minus(x: Array) -> Array:
    """``exp(x) - 1 - x`` for ``x <= 0``."""
    c = jnp.maximum(x, -1)
    return jnp.where(x > -1, c * c * polynomial(c, _SERIES[x.dtype.itemsize]), expm1(x) - x)


_NEAR = 0.36  # up to log(2)/2 the exponential is not exact enough where much cancels


def _bend(x: Array) -> Double:
    """``exp(x) - 1 - x`` to a few bits more than the precision, for -0.36 <= x <= 0."""
    c = jnp.clip(x, -_NEAR, 0)
    square = two_product(c, c)
    rest = c * square.high * polynomial(c, _SERIES[x.dtype.itemsize][1:])
    return fast_two_sum(square.high / 2, square.low / 2 + rest)


def _xielu_curvature(x: Array, alpha_p: Array, alpha_n: Array, beta: Array) -> Array:
    return jnp.where(x > 0, 2 * alpha_p, shifted_exp(jnp.clip(x, -1e15, 0)).times(alpha_n)) + 0 * beta


@with_derivative(_xielu_curvature, None, None, None)
def _xielu_slope(x: Array, alpha_p: Array, alpha_n: Array, beta: Array) -> Array:
    m = double_expm1(jnp.minimum(x, 0))
    left = product(m, Double(alpha_n + jnp.zeros_like(x), jnp.zeros_like(x + alpha_n)))
    return jnp.where(x > 0, 2 * alpha_p * x + beta, (left.high + beta) + left.low)


def _xielu_slope_in_alpha_p(x: Array, alpha_p: Array, alpha_n: Array, beta: Array) -> Array:
    return jnp.where(x > 0, x * x, 0) + 0 * (alpha_p + alpha_n + beta)


def _xielu_slope_in_alpha_n(x: Array, alpha_p: Array, alpha_n: Array, beta: Array) -> Array:
    return jnp.where(x > 0, 0, _expm1_minus(jnp.minimum(x, 0))) + 0 * (alpha_p + alpha_n + beta)


def _xielu_slope_in_beta(x: Array, alpha_p: Array, alpha_n: Array, beta: Array) -> Array:
    return x + 0 * (alpha_p + alpha_n + beta)


@with_derivative(_xielu_slope, _xielu_slope_in_alpha_p, _xielu_slope_in_alpha_n, _xielu_slope_in_beta)
def _xielu(x: Array, alpha_p: Array, alpha_n: Array, beta: Array) -> Array:
    c = jnp.minimum(finite(x), 0)
    d = two_sum(beta + 0 * c, -alpha_n + 0 * c)
    zero, lead = jnp.zeros_like(d.high), jnp.maximum(c, -1e30) + 0 * alpha_n
    near = total(product(_bend(c), Double(alpha_n + zero, zero)), two_product(beta + zero, c + zero))
    far = total(product(double_expm1(c), Double(alpha_n + zero, zero)), product(d, Double(lead + zero, zero)))
    end = (beta - alpha_n) * x  # what is left far out
    left = jnp.where(c > -_NEAR, near, jnp.where(c < -1e30, end, far))
    return jnp.where(x > 0, (alpha_p * x + beta) * x, left)


@elementwise
def xielu(x: Array, alpha_p: ArrayLike = 0.8, alpha_n: ArrayLike = 0.8, beta: ArrayLike = 0.5) -> Array:
    r"""Expanded integral of the exponential linear unit: quadratic on the right, curved on the left.

    .. math::
      \mathrm{xielu}(x) = \begin{cases} \alpha_p x^2 + \beta x, & x > 0 \\ \alpha_n (e^x - 1 - x) + \beta x, & x
      \le 0
      \end{cases}

    Smooth: the derivative is :math:`\beta` on both sides of 0; the second derivative jumps there. Limits:
    :math:`\pm\infty`, at :math:`-\infty` by the sign of :math:`\alpha_n - \beta`.

    Args:
      x: input, any shape.
      alpha_p: :math:`\alpha_p > 0`.
      alpha_n: :math:`\alpha_n > \beta`.
      beta: :math:`\beta`, the slope at 0.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> xielu(jnp.array([-1.0, 1.0]))
      Array([-0.20569645,  1.3       ], dtype=float32)

    References:
      Huang and Schlag, "Deriving activation functions using integration", 2024, arXiv:2411.13010.
    """
    return _xielu(x, *like(x, alpha_p, alpha_n, beta))


def _soft_exponential_parts(x: Array, alpha: Array) -> tuple[Array, Double, Double]:
    """Input, ``alpha x`` and ``1 - alpha (x + alpha)``, the last two to twice the precision."""
    c = finite(x) + 0 * alpha
    a = alpha + 0 * c
    z = two_product(a, c)
    z = Double(finite(z.high), jnp.where(jnp.abs(z.high) < 1e4, z.low, 0))
    square, one = two_product(a, a), two_sum(-z.high, jnp.ones_like(c))
    inner = two_sum(one.high, -square.high)
    return c, z, fast_two_sum(inner.high, inner.low + (one.low - z.low - square.low))


def _log(y: Double) -> Array:
    """Its logarithm, also near 1."""
    near = (y.high > 0.5) & (y.high < 2)
    v = jnp.where(near, (y.high - 1) + y.low, 0)
    z = v / (1 + v / 2)
    high = jnp.where(near, 1, y.high)
    return jnp.where(near, z * log1p_ratio(z), jnp.log(high) + y.low / high)


def _exp(z: Double, factor: Array) -> Array:
    """``factor * exp(z)``."""
    falling = shifted_exp(jnp.minimum(z.high, 0), jnp.where(z.high < 0, z.low, 0)).times(factor)
    far = z.high > (80 if z.high.dtype == jnp.float32 else 700)  # where only the product may be finite
    rising = factor * (jnp.exp(jnp.where(far, z.high - 16, z.high)) * (1 + z.low))
    return jnp.where(z.high > 0, jnp.where(far, rising * math.exp(16), rising), falling)


def _soft_exponential_curvature(x: Array, alpha: Array) -> Array:
    _, z, inner = _soft_exponential_parts(x, alpha)
    i = 1 / (inner.high + inner.low)
    return jnp.where(alpha < 0, alpha * i * i, _exp(z, alpha + jnp.zeros_like(x)))


@with_derivative(_soft_exponential_curvature, None)
def _soft_exponential_slope(x: Array, alpha: Array) -> Array:
    _, z, inner = _soft_exponential_parts(x, alpha)
    return jnp.where(alpha < 0, 1 / (inner.high + inner.low), _exp(z, jnp.ones_like(z.high)))


def _soft_exponential_slope_in_alpha(x: Array, alpha: Array) -> Array:
    c, z, inner = _soft_exponential_parts(x, alpha)
    i = inner.high + inner.low
    a = jnp.where(alpha == 0, 1, alpha)
    left = (jnp.log(jnp.where(alpha < 0, i, 1)) / a + (c + 2 * alpha) / jnp.where(alpha < 0, i, 1)) / a
    right = (z.high * _exp(z, jnp.ones_like(c)) - jnp.expm1(z.high)) / (a * a) + 1
    return jnp.where(alpha < 0, left, jnp.where(alpha == 0, c * c / 2 + 1, right))


@with_derivative(_soft_exponential_slope, _soft_exponential_slope_in_alpha)
def _soft_exponential(x: Array, alpha: Array) -> Array:
    c, z, inner = _soft_exponential_parts(x, alpha)
    a = jnp.where(alpha == 0, 1, alpha) + 0 * c
    huge = (alpha < 0) & (z.high < -1e15)  # there the product may overflow
    log = _log(
        Double(
            *(jnp.where((alpha < 0) & ~huge, part, default) for part, default in zip(inner, (1, 0), strict=True))
        )
    )
    log = jnp.where(huge, jnp.log(jnp.where(huge, x, 1)) + jnp.log(jnp.where(huge, -a, 1)), log)
    left = -log / a
    m = double_expm1(jnp.minimum(z.high, 0))
    q = quotient(m.high, a)  # less than 0, so that the sum has a root
    q = Double(q.high, q.low + (m.low + z.low * (1 + m.high)) / a)
    fall = total(q, Double(alpha + 0 * c, jnp.zeros_like(c)))
    near = Double(jnp.clip(z.high, 0, 80), z.low)
    rise = jnp.where(z.high > 1, _exp(near, jnp.ones_like(c)) - 1, jnp.expm1(jnp.minimum(near.high, 1))) / a
    rise = jnp.where(z.high > 80, _exp(z, 1 / a), rise) + alpha
    right = jnp.where(z.high > 0, rise, fall)
    return jnp.where(alpha < 0, left, jnp.where(alpha == 0, x, right))


@elementwise
def soft_exponential(x: Array, alpha: ArrayLike = 0.0) -> Array:
    r"""Goes from the logarithm by the identity to the exponential as its parameter goes from -1 by 0 to 1.

    .. math::
      \mathrm{soft\_exponential}(x) = \begin{cases} -\log(1 - \alpha(x + \alpha)) / \alpha, & \alpha < 0 \\
      x, & \alpha = 0 \\ (e^{\alpha x} - 1) / \alpha + \alpha, & \alpha > 0 \end{cases}

    For :math:`\alpha < 0` defined where :math:`\alpha (x + \alpha) < 1`; NaN elsewhere.

    Args:
      x: input, any shape.
      alpha: :math:`\alpha`, in the paper from -1 to 1.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> soft_exponential(1.0, 0.5)
      Array(1.7974426, dtype=float32, weak_type=True)

    References:
      Godfrey and Gashler, "A continuum among logarithmic, linear, and exponential functions, and its potential
      to improve generalization in neural networks", 2015, arXiv:1602.01321.
    """
    return _soft_exponential(x, *like(x, alpha))
