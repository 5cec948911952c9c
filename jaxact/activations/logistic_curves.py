"""Curves made of logistic functions: soft clipping and Richard's curve."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.activations._compensated import Double, product, total, two_product, two_sum
from jaxact.activations._exponential import double_expm1, expm1, log1p_unit, shifted_exp
from jaxact.activations._numerics import elementwise, like, with_derivative

_LARGE = 1e15  # no exponential of it is left


class _Logistic:
    """The sigmoids of u and -u, u known to twice the precision, times factors."""

    def __init__(self, u: Double):
        self.right = u.high > 0
        self.e = shifted_exp(-jnp.abs(u.high), jnp.where(self.right, -u.low, u.low))

    def rising(self, factor: Array) -> Array:
        """``factor * sigmoid(u)``."""
        return jnp.where(self.right, factor, self.e.times(factor)) / (1 + self.e.value)

    def falling(self, factor: Array) -> Array:
        """``factor * sigmoid(-u)``."""
        return jnp.where(self.right, self.e.times(factor), factor) / (1 + self.e.value)


def _soft_clipping_parts(x: Array, alpha: Array) -> tuple[_Logistic, _Logistic, Array]:
    """The logistics at ``alpha x`` and ``alpha (x - 1)``, and ``1 - exp(-alpha)``."""
    c = jnp.clip(x, -_LARGE, _LARGE) + 0 * alpha
    alpha = alpha + 0 * c
    shifted = product(Double(alpha, jnp.zeros_like(c)), two_sum(c, -jnp.ones_like(c)))
    return _Logistic(two_product(alpha, c)), _Logistic(shifted), -expm1(-alpha)


def _soft_clipping_curvature(x: Array, alpha: Array) -> Array:
    # The difference of the sigmoids of -z and w = z - alpha, as the product that it is.
    z, w, scale = _soft_clipping_parts(x, alpha)
    m = expm1(-2 * alpha * jnp.abs(jnp.clip(x, -_LARGE, _LARGE) - 0.5))
    left = z.rising(z.falling(w.falling(w.falling(-alpha * scale * m))))
    right = w.falling(w.rising(z.rising(z.rising(alpha * scale * m))))
    return jnp.where(x > 0.5, right, left)


@with_derivative(_soft_clipping_curvature, None)
def _soft_clipping_slope(x: Array, alpha: Array) -> Array:
    z, w, scale = _soft_clipping_parts(x, alpha)
    return jnp.where(x > 0.5, w.falling(z.rising(scale)), z.rising(w.falling(scale)))


@with_derivative(_soft_clipping_slope, None)
def _soft_clipping(x: Array, alpha: Array) -> Array:
    # The left half, of which the right one is the mirror image; where alpha x exceeds 60, f(x) is x.
    h = jnp.maximum(jnp.minimum(x, 1 - x), -_LARGE) + 0 * alpha
    z = two_product(alpha + 0 * h, h)
    small, large = (
        shifted_exp(jnp.minimum(z.high, 0), jnp.where(z.high < 0, z.low, 0)),
        jnp.exp(jnp.clip(z.high, 0, 60)),
    )
    factor = -expm1(-alpha) / (1 + jnp.exp(alpha * (h - 1)))
    y = jnp.where(z.high < 0, small.times(factor), large * factor)
    log = jnp.where(y > 1, jnp.log1p(y), log1p_unit(jnp.minimum(y, 1)))
    left = jnp.where(z.high < -40, small.times(factor / alpha), log / alpha)  # the logarithm of 1 + y is y
    left = jnp.where(z.high > 60, h, left)
    return jnp.where(x > 0.5, 1 - left, left)


@elementwise
def soft_clipping(x: Array, alpha: ArrayLike = 0.5) -> Array:
    r"""Smooth clipping to (0, 1).

    .. math::
      \mathrm{soft\_clipping}(x) = \frac{1}{\alpha} \log\frac{1 + e^{\alpha x}}{1 + e^{\alpha(x - 1)}}

    Limits: 0 at :math:`-\infty`, 1 at :math:`+\infty`.

    Args:
      x: input, any shape.
      alpha: :math:`\alpha > 0`, how sharp the corners are.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [0, 1].

    Examples:
      >>> soft_clipping(0.5)
      Array(0.5, dtype=float32, weak_type=True)

    References:
      Klimek and Perelstein, "Neural network-based approach to phase space integration", 2018, arXiv:1810.11509.
    """
    return _soft_clipping(x, *like(x, alpha))


class _Aria:
    """What the orders of aria2 share, with z = beta x and t = exp(-|z|)."""

    def __init__(self, x: Array, alpha: Array, beta: Array):
        z = two_product(beta + jnp.zeros_like(x), jnp.clip(x, -1e15, 1e15) + 0 * beta)
        self.z = z
        self.right, t = z.high > 0, shifted_exp(-jnp.abs(z.high), jnp.where(z.high > 0, -z.low, z.low))
        self.t, self.small = t.value, t
        left = product(Double(alpha + 0 * z.high, 0 * z.high), z)
        fall = two_product(alpha + 0 * z.high, log1p_unit(self.t))
        more = alpha * (t.low * t.far / (1 + self.t))
        exponent = two_sum(jnp.where(self.right, 0, left.high), -fall.high)
        self.base = shifted_exp(
            exponent.high, exponent.low + (jnp.where(self.right, 0, left.low) - fall.low - more)
        )


def _aria_curvature(x: Array, alpha: Array, beta: Array) -> Array:
    p = _Aria(x, alpha, beta)
    m, one = double_expm1(-jnp.abs(p.z.high)), jnp.ones_like(p.t)
    m = Double(m.high, m.low - jnp.where(p.right, p.z.low, -p.z.low) * p.t)
    excess = two_sum(alpha * one, -one)
    weight = jnp.where(p.right, alpha, -1)
    balance = total(excess, product(m, Double(weight * one, 0 * one)))  # it has a root
    factor = alpha * beta * beta * balance / (1 + p.t * (2 + p.t))
    return jnp.where(p.right, p.small.times(p.base.times(factor)), p.base.times(factor))


@with_derivative(_aria_curvature, None, None)
def _aria_slope(x: Array, alpha: Array, beta: Array) -> Array:
    p = _Aria(x, alpha, beta)
    divisor = two_sum(p.t, jnp.ones_like(p.t))
    factor = alpha * beta / divisor.high
    factor -= factor * (divisor.low / divisor.high)
    return jnp.where(p.right, p.small.times(p.base.times(factor)), p.base.times(factor))


@with_derivative(_aria_slope, None, None)
def _aria2(x: Array, alpha: Array, beta: Array) -> Array:
    p = _Aria(x, alpha, beta)
    return p.base.times(1)


@elementwise
def aria2(x: Array, alpha: ArrayLike = 1.0, beta: ArrayLike = 0.5) -> Array:
    r"""Two-parameter form of Richard's curve, a sigmoid with its own steepness on either side.

    .. math::
      \mathrm{aria2}(x) = \left(1 + e^{-\beta x}\right)^{-\alpha}

    Limits: 0 at :math:`-\infty`, 1 at :math:`+\infty`.

    Args:
      x: input, any shape.
      alpha: :math:`\alpha > 0`, asymmetry.
      beta: :math:`\beta > 0`, steepness.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [0, 1].

    Examples:
      >>> aria2(0.0)
      Array(0.5, dtype=float32, weak_type=True)

    References:
      Patwardhan, Ingalhalikar and Walambe, "ARiA: utilizing Richard's curve for controlling the non-monotonicity
      of the activation function in deep neural nets", 2018, arXiv:1805.08878.
    """
    return _aria2(x, *like(x, alpha, beta))
