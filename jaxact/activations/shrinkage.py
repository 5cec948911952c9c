"""Functions that pull small inputs to zero: the thresholding operators."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.activations._compensated import add, constant, product
from jaxact.activations._exponential import double_expm1, sech2, sech2_slope, tanh
from jaxact.activations._numerics import elementwise, with_derivative


@elementwise
def hard_shrink(x: Array, threshold: ArrayLike = 0.5) -> Array:
    r"""Hard thresholding: inputs up to the threshold become 0, others pass.

    .. math::
      \mathrm{hard\_shrink}(x) = \begin{cases} x, & |x| > \lambda \\ 0, & |x| \le \lambda \end{cases}

    Jumps at :math:`\pm\lambda`, where the derivative is taken to be 0 (as torch).

    Args:
      x: input, any shape.
      threshold: :math:`\lambda \ge 0`.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> hard_shrink(jnp.array([-1.0, 0.3, 0.7]))
      Array([-1. ,  0. ,  0.7], dtype=float32)

    References:
      Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", 1994.
    """
    return jnp.where(jnp.abs(x) <= threshold, 0, x)


@elementwise
def soft_shrink(x: Array, threshold: ArrayLike = 0.5) -> Array:
    r"""Soft thresholding, the proximal operator of the absolute value.

    .. math::
      \mathrm{soft\_shrink}(x) = \mathrm{sign}(x) \max(|x| - \lambda, 0)

    Kinks at :math:`\pm\lambda`, where the derivative is taken to be 0 (as torch).

    Args:
      x: input, any shape.
      threshold: :math:`\lambda \ge 0`.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> soft_shrink(jnp.array([-1.0, 0.3, 0.75]))
      Array([-0.5 ,  0.  ,  0.25], dtype=float32)

    References:
      Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", 1994.
    """
    return jnp.where(jnp.abs(x) <= threshold, 0, jnp.where(x > 0, x - threshold, x + threshold))


_FRACTION_DEPTH = 12  # reaches float64 precision for |x| < 2


def _tanh_shrink_curvature(x: Array) -> Array:
    return -sech2_slope(x)


@with_derivative(_tanh_shrink_curvature)
def _tanh_shrink_slope(x: Array) -> Array:
    m = double_expm1(-2 * jnp.minimum(jnp.abs(x), 0.7))
    d = add(m, constant(2, x))
    return jnp.where(jnp.abs(x) < 0.7, product(m, m).high / product(d, d).high, 1 - sech2(x))


@with_derivative(_tanh_shrink_slope)
def _tanh_shrink(x: Array) -> Array:
    # Lambert's continued fraction tanh(x) = x / (1 + x^2 / (3 + x^2 / (5 + ...))) without its first step:
    # the subtraction of nearly equal numbers is done on paper.
    small = jnp.abs(x) < 2
    c = jnp.where(small, x, 0)
    denominator = jnp.full_like(c, 2 * _FRACTION_DEPTH + 1)
    for k in range(2 * _FRACTION_DEPTH - 1, 1, -2):
        denominator = k + c * c / denominator
    r = c * c / denominator
    return jnp.where(small, c * (r / (1 + r)), x - tanh(x))


@elementwise
def tanh_shrink(x: Array) -> Array:
    r"""What tanh takes away, right to the last digits near 0 too.

    .. math::
      \mathrm{tanh\_shrink}(x) = x - \tanh(x), \qquad \mathrm{tanh\_shrink}'(x) = \tanh^2(x)

    Limits: :math:`\pm\infty` at :math:`\pm\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> tanh_shrink(0.001)  # 0.001 - jnp.tanh(0.001) is 2.9e-10 or 3.5e-10
      Array(3.3333322e-10, dtype=float32, weak_type=True)
    """
    return _tanh_shrink(x)


@elementwise
def threshold(x: Array, threshold: ArrayLike = 1.0, default_value: ArrayLike = 0.0) -> Array:
    r"""Passes inputs above a threshold, and puts a fixed value in place of the others.

    .. math::
      \mathrm{threshold}(x) = \begin{cases} x, & x > \theta \\ v, & x \le \theta \end{cases}

    Jumps at :math:`\theta` (unless :math:`v = \theta`), where the derivative is taken to be 0.

    Args:
      x: input, any shape.
      threshold: :math:`\theta`; 1 as in ONNX' ThresholdedRelu (Keras and torch have no default).
      default_value: :math:`v`.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> threshold(jnp.array([-1.0, 0.5, 2.0]))
      Array([0., 0., 2.], dtype=float32)

    References:
      Konda, Memisevic and Krueger, "Zero-bias autoencoders and the benefits of co-adapting features", 2014,
      arXiv:1402.3337.
    """
    return jnp.where(x <= threshold, default_value, x)
