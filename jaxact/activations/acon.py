"""Acon: the smooth maximum of two linear functions."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.activations._compensated import Double, add, product, quotient, total, two_product, two_sum
from jaxact.activations._gates import SigmoidGate
from jaxact.activations._numerics import downscale, elementwise, finite, like, with_derivative

_LARGE = 1e15  # no exponential of it is left


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
    scale = downscale(x) * jnp.where(jnp.abs(x) < 2.0**-60, 2.0**60, 1)  # no part of the sum is subnormal
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
