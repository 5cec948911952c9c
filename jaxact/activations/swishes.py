"""Functions that are x times a sigmoid: silu and its relatives."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.activations._compensated import Double, one_plus, quotient, total, two_product, two_sum
from jaxact.activations._exponential import lifted, shifted_exp
from jaxact.activations._gates import FAR, SigmoidGate, sigmoid_gated
from jaxact.activations._numerics import elementwise, like, with_derivative

_, _, _silu_curvature = sigmoid_gated(
    lambda x: Double(x, jnp.zeros_like(x)), lambda x: 1 + x, lambda x: 2 - jnp.abs(x), lambda x: x
)


def _silu_parts(x: Array) -> tuple[Array, Array, Array, Array]:
    """``x``, cut, and ``exp(-x)``, with silu and what silu' is multiplied by last."""
    c, shift, scale = lifted(x)
    e = jnp.exp(shift - c)
    return c, e, (c * scale) / (1 + e), scale


@with_derivative(_silu_curvature)
def _silu_slope(x: Array) -> Array:
    # sigmoid(x) (1 + x sigmoid(-x)), where x sigmoid(-x) is y e on the right, and x - y on the left. XLA on a CPU
    # writes a quotient that is used twice to memory; this one is used once.
    c, e, y, scale = _silu_parts(x)
    return (jnp.where(x > 0, 1, 1 + c) + jnp.minimum(y, FAR) * jnp.where(x > 0, e, -1)) / (1 + e) * scale


@with_derivative(_silu_slope)
def _silu(x: Array) -> Array:
    return _silu_parts(x)[2]


silu_parts = (_silu, _silu_slope, _silu_curvature)
"""Silu with its first two derivatives."""


@elementwise
def silu(x: Array) -> Array:
    r"""Sigmoid-weighted linear unit, also called swish.

    .. math::
      \mathrm{silu}(x) = x\,\mathrm{sigmoid}(x) = \frac{x}{1 + e^{-x}}

    Not monotone: minimum -0.2785 at -1.2785. Limits: 0 at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), at least -0.2785.

    Examples:
      >>> silu(1.0)
      Array(0.7310586, dtype=float32, weak_type=True)

    References:
      Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units for neural network function approximation in
      reinforcement learning", 2017, arXiv:1702.03118;
      Ramachandran, Zoph and Le, "Searching for activation functions", 2017, arXiv:1710.05941.
    """
    return _silu(x)


swish = silu

_LARGE = 1e15  # its square does not overflow, and no exponential of it is left


def _swish_gate(x: Array, beta: Array) -> tuple[SigmoidGate, Array]:
    c = jnp.clip(x, -_LARGE, _LARGE) + 0 * beta
    return SigmoidGate(two_product(c, beta + 0 * c)), c


def _swish_curvature(x: Array, beta: Array) -> Array:
    gate, c = _swish_gate(x, beta)
    bend = two_product(beta, gate.u)
    lead = two_sum(2 * beta + 0 * c, -jnp.sign(gate.u) * bend.high)
    return gate.slope_plus_curvature(lead.high + (lead.low - jnp.sign(gate.u) * bend.low), bend.high)


@with_derivative(_swish_curvature, None)
def _swish_slope(x: Array, beta: Array) -> Array:
    gate, c = _swish_gate(x, beta)
    return gate.plus_slope(jnp.ones_like(c), one_plus(two_product(beta + 0 * c, c)))


def _swish_slope_in_beta(x: Array, beta: Array) -> Array:
    gate, c = _swish_gate(x, beta)
    return gate.slope(c * c)


@with_derivative(_swish_slope, _swish_slope_in_beta)
def _swish(x: Array, beta: Array) -> Array:
    return _swish_gate(x, beta)[0].times(x)


@elementwise
def swish_beta(x: Array, beta: ArrayLike = 1.0) -> Array:
    r"""Swish with a slope of its gate: silu at 1, nearly relu when large, x/2 at 0.

    .. math::
      \mathrm{swish\_beta}(x) = x\,\mathrm{sigmoid}(\beta x)

    For :math:`\beta > 0` the limits are 0 at :math:`-\infty` and :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.
      beta: :math:`\beta`, often learned.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> swish_beta(1.0, 2.0)
      Array(0.880797, dtype=float32, weak_type=True)

    References:
      Ramachandran, Zoph and Le, "Searching for activation functions", 2017, arXiv:1710.05941.
    """
    return _swish(x, *like(x, beta))


def _plain_gate(x: Array) -> tuple[SigmoidGate, Array]:
    c = jnp.clip(x, -FAR, FAR)
    return SigmoidGate(Double(c, jnp.zeros_like(c))), c


def _e_swish_curvature(x: Array, beta: Array) -> Array:
    gate, c = _plain_gate(x)
    return gate.slope_plus_curvature(beta * (2 - jnp.abs(c)), beta * c)


@with_derivative(_e_swish_curvature, None)
def _e_swish_slope(x: Array, beta: Array) -> Array:
    gate, c = _plain_gate(x)
    return gate.plus_slope(beta + 0 * c, beta * (1 + c))


@with_derivative(_e_swish_slope, lambda x, beta: _silu(x) + 0 * beta)
def _e_swish(x: Array, beta: Array) -> Array:
    return _plain_gate(x)[0].times(beta * x)


@elementwise
def e_swish(x: Array, beta: ArrayLike = 1.735) -> Array:
    r"""Silu scaled up.

    .. math::
      \mathrm{e\_swish}(x) = \beta\,x\,\mathrm{sigmoid}(x)

    Not monotone. Limits: 0 at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.
      beta: :math:`\beta`, in the paper from 1 to 2.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> e_swish(1.0, 2.0)
      Array(1.4621172, dtype=float32, weak_type=True)

    References:
      Alcaide, "E-swish: adjusting activations to different network depths", 2018, arXiv:1801.07145.
    """
    return _e_swish(x, *like(x, beta))


def _ft_swish_slope(x: Array, threshold: Array) -> Array:
    return jnp.where(x <= 0, 0, _silu_slope(x)) + 0 * threshold


@with_derivative(_ft_swish_slope, lambda x, threshold: jnp.ones_like(x + threshold))
def _ft_swish(x: Array, threshold: Array) -> Array:
    # Silu to more than the precision, for the sum may cancel.
    c = jnp.clip(x, 0, FAR)
    e = shifted_exp(-c)
    divisor = two_sum(e.value, jnp.ones_like(c))
    y = quotient(c, divisor.high)
    rest = y.low - y.high * (divisor.low + e.low * e.far) / divisor.high
    near = total(Double(y.high, rest), Double(threshold + 0 * c, jnp.zeros_like(c)))
    return jnp.where(x > FAR, x + threshold, near)


@elementwise
def ft_swish(x: Array, threshold: ArrayLike = -0.2) -> Array:
    r"""Flatten-T swish: silu shifted down on the right, flat on the left.

    .. math::
      \mathrm{ft\_swish}(x) = \mathrm{relu}(x)\,\mathrm{sigmoid}(x) + T

    Kink at 0, where the derivative is taken to be 0, as that of relu. Limits: T at :math:`-\infty`,
    :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.
      threshold: :math:`T`, the value on the left.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), at least T.

    Examples:
      >>> ft_swish(jnp.array([-1.0, 1.0]))
      Array([-0.2       ,  0.53105855], dtype=float32)

    References:
      Chieng, Wahid, Ong and Perla, "Flatten-T Swish: a thresholded ReLU-Swish-like activation function for deep
      learning", 2018, arXiv:1812.06247.
    """
    return _ft_swish(x, *like(x, threshold))
