"""Functions that are x times a sigmoid: silu and its relatives."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.activations._compensated import Double, add, one_plus, product, quotient, total, two_product, two_sum
from jaxact.activations._exponential import lifted, shifted_exp
from jaxact.activations._gates import FAR, SigmoidGate, sigmoid_gated
from jaxact.activations._numerics import downscale, elementwise, finite, like, with_derivative

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
    # sigmoid(x) (1 + x sigmoid(-x)), where x sigmoid(-x) is y e on the right, and x - y on the left
    c, e, y, scale = _silu_parts(x)
    return jnp.where(x > 0, 1 + jnp.minimum(y, FAR) * e, (1 + c) - y) / (1 + e) * scale


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


def _acon_gate(x: Array, p1: Array, p2: Array, beta: Array) -> tuple[SigmoidGate, Array, Array]:
    c = jnp.clip(x, -_LARGE, _LARGE) + 0 * (p1 + p2 + beta)
    p1, p2, beta = (p + 0 * c for p in (p1, p2, beta))
    zero = jnp.zeros_like(c)
    z = product(product(two_sum(p1, -p2), Double(beta, zero)), Double(c, zero))
    return SigmoidGate(z), c, p1 - p2


def _mirrored(gate: SigmoidGate) -> SigmoidGate:
    """The gate of ``-u``, which shares the exponential."""
    other = object.__new__(SigmoidGate)
    other.__dict__.update(gate.__dict__, u=-gate.u, right=~gate.right)
    return other


def _acon_curvature(x: Array, p1: Array, p2: Array, beta: Array) -> Array:
    gate, _, d = _acon_gate(x, p1, p2, beta)
    scale = beta * d * d
    return gate.slope_plus_curvature(scale * (2 - jnp.abs(gate.u)), scale * gate.u)


def _mixed(gate: SigmoidGate, a: Double, b: Double, more: Double) -> Array:
    """``a * sigmoid(u) + b * sigmoid(-u) + more * sigmoid'(u)``: no digit of what may cancel is lost."""
    first, second = (
        Double(jnp.where(gate.right, right.high, left.high), jnp.where(gate.right, right.low, left.low))
        for right, left in ((a, b), (b, a))
    )
    divisor = two_sum(gate.t, jnp.ones_like(gate.t))
    part = quotient(more.high, divisor.high)
    second = add(second, Double(part.high, part.low + (more.low - part.high * divisor.low) / divisor.high))
    second = product(Double(gate.e.high, gate.e.low), second)
    return total(first, Double(second.high * gate.e.far, second.low * gate.e.far)) / (1 + gate.t)


@with_derivative(_acon_curvature, None, None, None)
def _acon_slope(x: Array, p1: Array, p2: Array, beta: Array) -> Array:
    gate, c, _ = _acon_gate(x, p1, p2, beta)
    zero = jnp.zeros_like(c)
    p1, p2 = p1 + zero, p2 + zero
    return _mixed(gate, Double(p1, zero), Double(p2, zero), product(two_sum(p1, -p2), Double(gate.u, gate.low)))


def _acon_slope_in_p1(x: Array, p1: Array, p2: Array, beta: Array) -> Array:
    gate, c, _ = _acon_gate(x, p1, p2, beta)
    return jnp.where(jnp.abs(x) < _LARGE, gate.plus_slope(c, c * (1 + gate.u)), gate.times(x))


def _acon_slope_in_p2(x: Array, p1: Array, p2: Array, beta: Array) -> Array:
    gate, c, _ = _acon_gate(x, p1, p2, beta)
    other = _mirrored(gate)
    return jnp.where(jnp.abs(x) < _LARGE, other.plus_slope(c, c * (1 - gate.u)), other.times(x))


def _acon_slope_in_beta(x: Array, p1: Array, p2: Array, beta: Array) -> Array:
    gate, c, _ = _acon_gate(x, p1, p2, beta)
    end = product(two_sum(p1 + 0 * c, -p2 + 0 * c), Double(c, jnp.zeros_like(c)))
    return gate.slope(product(end, end).high)


@with_derivative(_acon_slope, _acon_slope_in_p1, _acon_slope_in_p2, _acon_slope_in_beta)
def _acon(x: Array, p1: Array, p2: Array, beta: Array) -> Array:
    gate, c, _ = _acon_gate(x, p1, p2, beta)
    zero = jnp.zeros_like(c)
    p1, p2 = p1 + zero, p2 + zero
    scale = jnp.where(jnp.abs(x) < 2.0**-60, 2.0**60, downscale(x))  # parts of the sum may not be subnormal
    y = finite(x) * scale
    y = _mixed(gate, two_product(p1, y), two_product(p2, y), Double(zero, zero)) / scale
    end = jnp.where(gate.right, p1, p2)
    return jnp.where(jnp.isinf(x), jnp.where(end == 0, 0, end * x), y)


@elementwise
def acon_c(x: Array, p1: ArrayLike = 1.0, p2: ArrayLike = 0.0, beta: ArrayLike = 1.0) -> Array:
    r"""Smooth maximum of two linear functions, with learned slopes: "activate or not".

    .. math::
      \mathrm{acon\_c}(x) = (p_1 - p_2)\,x\,\mathrm{sigmoid}(\beta (p_1 - p_2) x) + p_2 x

    The defaults give silu. Limits: as :math:`\max(p_1 x, p_2 x)`, for :math:`\beta > 0`.

    Args:
      x: input, any shape.
      p1: :math:`p_1`, slope at one end.
      p2: :math:`p_2`, slope at the other.
      beta: :math:`\beta`, how sharp the switch is.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> acon_c(1.0, 1.0, 0.25, 2.0)
      Array(0.8631808, dtype=float32, weak_type=True)

    References:
      Ma, Zhang, Liu and Sun, "Activate or not: learning customized activation", 2020, arXiv:2009.04759.
    """
    return _acon(x, *like(x, p1, p2, beta))


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
      Array([-0.2      ,  0.5310586], dtype=float32)

    References:
      Chieng, Wahid, Ong and Perla, "Flatten-T Swish: a thresholded ReLU-Swish-like activation function for deep
      learning", 2018, arXiv:1812.06247.
    """
    return _ft_swish(x, *like(x, threshold))
