"""Exponential linear units: linear on the right, exponential on the left."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.activations._compensated import Double, quotient
from jaxact.activations._exponential import expm1, shifted_exp
from jaxact.activations._numerics import elementwise, like, with_derivative

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946

_LARGE = 1e15  # no exponential of it is left
_SMALL = 2.0**-60  # no exponential of it is other than 1 + it, and it divided may be subnormal


def _negative(x: Array, b: Array) -> Double:
    """``x / b`` for negative ``x``, 0 for the others."""
    return quotient(jnp.clip(x, -_LARGE, 0) + jnp.zeros_like(b), b + jnp.zeros_like(x))


def _pelu_curvature(x: Array, a: Array, b: Array) -> Array:
    z = _negative(x, b)
    return jnp.where(x > 0, 0, shifted_exp(z.high, z.low).times(a / b / b))


@with_derivative(_pelu_curvature, None, None)
def _pelu_slope(x: Array, a: Array, b: Array) -> Array:
    z = _negative(x, b)
    return jnp.where(x > 0, a / b, shifted_exp(z.high, z.low).times(a / b))


def _pelu_slope_in_a(x: Array, a: Array, b: Array) -> Array:
    return jnp.where(x > 0, x / b, expm1(_negative(x, b).high)) + 0 * a


def _pelu_slope_in_b(x: Array, a: Array, b: Array) -> Array:
    z = _negative(x, b)
    return jnp.where(x > 0, -(a * (x / b)) / b, shifted_exp(z.high, z.low).times(-a * z.high / b))


@with_derivative(_pelu_slope, _pelu_slope_in_a, _pelu_slope_in_b)
def _pelu(x: Array, a: Array, b: Array) -> Array:
    z = _negative(x, b).high
    return jnp.where(z > -_SMALL, a / b * x, a * expm1(z))


def _elu_curvature(x: Array, alpha: Array) -> Array:
    return jnp.where(x > 0, 0, shifted_exp(jnp.clip(x, -_LARGE, 0)).times(alpha))


@with_derivative(_elu_curvature, None)
def _elu_slope(x: Array, alpha: Array) -> Array:
    return jnp.where(x > 0, 1, shifted_exp(jnp.clip(x, -_LARGE, 0)).times(alpha))


def _elu_slope_in_alpha(x: Array, alpha: Array) -> Array:
    return expm1(jnp.minimum(x, 0)) + 0 * alpha


@with_derivative(_elu_slope, _elu_slope_in_alpha)
def _elu(x: Array, alpha: Array) -> Array:
    return jnp.where(x > 0, x, alpha * expm1(jnp.minimum(x, 0)))


@elementwise
def elu(x: Array, alpha: ArrayLike = 1.0) -> Array:
    r"""Exponential linear unit.

    .. math::
      \mathrm{elu}(x) = \begin{cases} x, & x > 0 \\ \alpha (e^x - 1), & x \le 0 \end{cases}

    Smooth for :math:`\alpha = 1`; otherwise a kink at 0, where the derivative is taken to be :math:`\alpha` (as
    `jax.nn.elu`). Limit :math:`-\alpha` at :math:`-\infty`.

    Args:
      x: input, any shape.
      alpha: :math:`\alpha`, minus the value that is approached on the left.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), above -alpha.

    Examples:
      >>> elu(-1.0)
      Array(-0.63212055, dtype=float32, weak_type=True)
      >>> jax.grad(elu)(-20.0)  # jax.grad(jax.nn.elu)(-20.0) is 0
      Array(2.0611537e-09, dtype=float32, weak_type=True)

    References:
      Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential linear units
      (ELUs)", 2015, arXiv:1511.07289.
    """
    return _elu(x, *like(x, alpha))


@elementwise
def celu(x: Array, alpha: ArrayLike = 1.0) -> Array:
    r"""Continuously differentiable exponential linear unit: smooth for every alpha.

    .. math::
      \mathrm{celu}(x) = \begin{cases} x, & x > 0 \\ \alpha (e^{x/\alpha} - 1), & x \le 0 \end{cases}

    Limit :math:`-\alpha` at :math:`-\infty`.

    Args:
      x: input, any shape.
      alpha: :math:`\alpha > 0`, minus the value that is approached on the left.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), above -alpha.

    Examples:
      >>> celu(-1.0, 2.0)
      Array(-0.78693867, dtype=float32, weak_type=True)

    References:
      Barron, "Continuously differentiable exponential linear units", 2017, arXiv:1704.07483.
    """
    (a,) = like(x, alpha)
    return _pelu(x, a, a)


def _selu_curvature(x: Array) -> Array:
    return jnp.where(x > 0, 0, shifted_exp(jnp.clip(x, -_LARGE, 0)).times(SELU_SCALE * SELU_ALPHA))


@with_derivative(_selu_curvature)
def _selu_slope(x: Array) -> Array:
    return jnp.where(x > 0, SELU_SCALE, shifted_exp(jnp.clip(x, -_LARGE, 0)).times(SELU_SCALE * SELU_ALPHA))


@with_derivative(_selu_slope)
def _selu(x: Array) -> Array:
    return jnp.where(x > 0, SELU_SCALE * x, SELU_SCALE * SELU_ALPHA * expm1(jnp.minimum(x, 0)))


@elementwise
def selu(x: Array) -> Array:
    r"""Scaled exponential linear unit: keeps a standard normal at mean 0 and variance 1.

    .. math::
      \mathrm{selu}(x) = \lambda \begin{cases} x, & x > 0 \\ \alpha (e^x - 1), & x \le 0 \end{cases}

    with :math:`\lambda = 1.0507009873554805` and :math:`\alpha = 1.6732632423543772`. Kink at 0, where the
    derivative is taken to be :math:`\lambda\alpha = 1.7581` (as `jax.nn.selu`). Limit :math:`-\lambda\alpha` at
    :math:`-\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), above -1.7581.

    Examples:
      >>> selu(jnp.array([-1.0, 1.0]))
      Array([-1.1113307,  1.050701 ], dtype=float32)

    References:
      Klambauer, Unterthiner, Mayr and Hochreiter, "Self-normalizing neural networks", 2017, arXiv:1706.02515.
    """
    return _selu(x)


@elementwise
def pelu(x: Array, a: ArrayLike = 1.0, b: ArrayLike = 1.0) -> Array:
    r"""Parametric exponential linear unit: slope and saturation are learned, and it stays smooth.

    .. math::
      \mathrm{pelu}(x) = \begin{cases} \frac{a}{b} x, & x > 0 \\ a (e^{x/b} - 1), & x \le 0 \end{cases}

    Limits: -a at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.
      a: :math:`a > 0`, minus the value that is approached on the left.
      b: :math:`b > 0`, how slowly it is approached.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), above -a.

    Examples:
      >>> pelu(-1.0, 1.0, 2.0)
      Array(-0.39346933, dtype=float32, weak_type=True)

    References:
      Trottier, Giguère and Chaib-draa, "Parametric exponential linear unit for deep convolutional neural
      networks", 2016, arXiv:1605.09332.
    """
    return _pelu(x, *like(x, a, b))
