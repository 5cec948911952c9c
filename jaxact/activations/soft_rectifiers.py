"""Smooth rectifiers: softplus and its relatives, flat on the left and linear on the right."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.activations import _exponential
from jaxact.activations._compensated import Double, two_product
from jaxact.activations._exponential import expm1, log1p_unit, shifted_exp
from jaxact.activations._numerics import elementwise, like, with_derivative


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
    return _exponential.softplus(x)


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
    return -_exponential.softplus(-x)


def _sparse_plus_slope(x: Array) -> Array:
    return jnp.where(x >= 1, 1, jnp.where(x <= -1, 0, (x + 1) / 2))


@with_derivative(_sparse_plus_slope)
def _sparse_plus(x: Array) -> Array:
    return jnp.where(x >= 1, x, jnp.square(jnp.clip(x, -1, 1) + 1) / 4)


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
    return _sparse_plus(x)


@with_derivative(_exponential.sigmoid)
def _shifted_softplus(x: Array) -> Array:
    # log((1 + e^x) / 2) on the left of 0; on the right that of -x, plus x.
    small = jnp.abs(x) < 1e-20  # halves may underflow
    return jnp.where(small, x / 2, jnp.maximum(x, 0) + log1p_unit(expm1(-jnp.abs(x)) / 2))


@elementwise
def shifted_softplus(x: Array) -> Array:
    r"""Softplus through the origin.

    .. math::
      \mathrm{shifted\_softplus}(x) = \log(1 + e^x) - \log 2

    Limits: :math:`-\log 2` at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), above -log 2.

    Examples:
      >>> shifted_softplus(1.0)
      Array(0.6201145, dtype=float32, weak_type=True)

    References:
      Schütt et al., "SchNet: a continuous-filter convolutional neural network for modeling quantum
      interactions", 2017, arXiv:1706.08566.
    """
    return _shifted_softplus(x)


class _Beta:
    """What the orders of softplus with a beta share: z = beta x, and t = exp(-|z|)."""

    def __init__(self, x: Array, beta: Array):
        self.z: Double = two_product(beta + jnp.zeros_like(x), jnp.clip(x, -1e15, 1e15) + 0 * beta)
        self.right = self.z.high > 0
        self.e = shifted_exp(-jnp.abs(self.z.high), jnp.where(self.right, -self.z.low, self.z.low))
        self.t = self.e.value

    def log(self, scale: Array) -> Array:
        """The logarithm of 1 + t, times a scale."""
        t = jnp.maximum(self.t, 2.0**-100)
        return self.e.times(scale * (log1p_unit(t) / t))


def _softplus_beta_curvature(x: Array, beta: Array) -> Array:
    p = _Beta(x, beta)
    return p.e.times(beta / (1 + p.t * (2 + p.t)))


@with_derivative(_softplus_beta_curvature, None)
def _softplus_beta_slope(x: Array, beta: Array) -> Array:
    p = _Beta(x, beta)
    return jnp.where(p.right, 1, p.t) / (1 + p.t)


def _softplus_beta_slope_in_beta(x: Array, beta: Array) -> Array:
    p = _Beta(x, beta)
    return -(p.log(1 / beta) + p.e.times(jnp.abs(p.z.high) / (1 + p.t) / beta)) / beta


@with_derivative(_softplus_beta_slope, _softplus_beta_slope_in_beta)
def _softplus_beta(x: Array, beta: Array) -> Array:
    p = _Beta(x, beta)
    return jnp.where(p.right, x, 0) + p.log(1 / beta)


@elementwise
def softplus_beta(x: Array, beta: ArrayLike = 1.0) -> Array:
    r"""Softplus with a sharpness, exact for every input: it needs no threshold beyond which it is cut.

    .. math::
      \mathrm{softplus\_beta}(x) = \frac{1}{\beta} \log\left(1 + e^{\beta x}\right)

    Limits: 0 at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.
    Torch's `softplus(x, beta, threshold=20)` is the identity from :math:`\beta x = 20` on.

    Args:
      x: input, any shape.
      beta: :math:`\beta > 0`.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), not negative.

    Examples:
      >>> softplus_beta(0.0, 2.0)
      Array(0.3465736, dtype=float32, weak_type=True)

    References:
      Dugas, Bengio, Bélisle, Nadeau and Garcia, "Incorporating second-order functional knowledge for better
      option pricing", 2001.
    """
    return _softplus_beta(x, *like(x, beta))
