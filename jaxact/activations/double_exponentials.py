"""Functions that are x times a gate of an exponential of an exponential, or of a logarithm: serf, telu, golu."""

import math

import jax.numpy as jnp
from jax import Array

from jaxact.activations._compensated import Double, add, product, two_sum
from jaxact.activations._exponential import (
    ATANH,
    Exponential,
    double_exp,
    expm1,
    log1p_unit,
    polynomial,
    sech2,
    shifted_exp,
    softplus,
    tanh,
)
from jaxact.activations._gates import FAR, Parts, self_gated
from jaxact.activations._normal import erf
from jaxact.activations._numerics import elementwise, with_derivative
from jaxact.activations._roots import ROOTS, near_root

_TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)


# Of the square of y in erf(y) / (2 y / sqrt(pi)).
_ERF = {
    size: [(-1) ** n / math.factorial(n) / (2 * n + 1) for n in range(terms)] for size, terms in ((4, 10), (8, 17))
}


def _serf_left(x: Array, t: Array) -> Parts:
    # The gate over t and its derivative are 2 / sqrt(pi) but for what grows with t: that is added last.
    z = t / (1 + t / 2)
    more = z * z * polynomial(z * z, ATANH[x.dtype.itemsize])
    excess = (more - t / 2) / (1 + t / 2)  # softplus over t, less 1
    y = t + t * excess
    tail = y * y * polynomial(y * y, _ERF[x.dtype.itemsize][1:])
    gate = excess + tail + excess * tail
    gate_slope = (expm1(-y * y) - t) / (1 + t)
    slope = (x + 1) + (gate + x * gate_slope)
    curvature = (1 + gate_slope) * ((2 + x) + 2 * t * (1 - x * y)) / (1 + t)
    c = _TWO_OVER_SQRT_PI
    return c + c * gate, c * slope, c * curvature


def _serf_right(x: Array) -> tuple[Array, Array, Double, Exponential]:
    """Input, t = exp(-x), softplus in two words and exp(-softplus^2), for x > 0."""
    c = jnp.clip(x, 0, 100)
    t = shifted_exp(-c).value
    s = two_sum(c, log1p_unit(t))
    square = product(s, s)
    return c, t, s, shifted_exp(-square.high, -square.low)


_left_serf, _left_serf_slope, _left_serf_curvature = self_gated(
    _serf_left, lambda x, t: (t, t, t), near_root(ROOTS["serf", 1])
)


def _serf_curvature(x: Array) -> Array:
    c, t, s, e = _serf_right(x)
    r = 1 / (1 + t)
    # 2 + c (t - 2 s) r, where 2 and -2 c s cancel.
    p = product(Double(c, jnp.zeros_like(c)), s)
    lead = two_sum(-2 * p.high, jnp.full_like(c, 2))
    bend = lead.high + (lead.low - 2 * p.low + t * (2 + c))
    return jnp.where(x > 0, e.times(_TWO_OVER_SQRT_PI * r * r * bend), _left_serf_curvature(x))


@with_derivative(_serf_curvature)
def _serf_slope(x: Array) -> Array:
    c, t, s, e = _serf_right(x)
    return jnp.where(x > 0, erf(s.high) + e.times(_TWO_OVER_SQRT_PI * c / (1 + t)), _left_serf_slope(x))


@with_derivative(_serf_slope)
def _serf(x: Array) -> Array:
    return jnp.where(x > -1, x * erf(softplus(x)), _left_serf(x))


@elementwise
def serf(x: Array) -> Array:
    r"""Error function of softplus as a gate.

    .. math::
      \mathrm{serf}(x) = x\,\mathrm{erf}(\log(1 + e^x))

    Not monotone: minimum -0.3484 at -1.1931. Limits: 0 at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), at least -0.3485.

    Examples:
      >>> serf(1.0)
      Array(0.9367219, dtype=float32, weak_type=True)

    References:
      Nag and Bhattacharyya, "SERF: towards better training of deep neural networks using log-Softplus ERror
      activation Function", 2021, arXiv:2108.09598.
    """
    return _serf(x)


def _telu_left(x: Array, v: Array) -> Parts:
    v = jnp.maximum(v, 2.0**-100)
    gate, gate_slope = tanh(v), sech2(v)
    return gate / v, gate / v + x * gate_slope, gate_slope * (2 + x * (1 - 2 * v * gate))


_left_telu, _left_telu_slope, _left_telu_curvature = self_gated(
    _telu_left, lambda x, t: (t, t, t), near_root(ROOTS["telu", 1])
)


def _telu_right(x: Array) -> tuple[Array, Double, Exponential, Array]:
    """Input, v = exp(x), exp(-2v), and v sech^2(v) over it, for x > 0."""
    c = jnp.clip(x, 0, 7)  # exp(-2 exp(7)) is 0 in every dtype
    v = double_exp(c)
    e = shifted_exp(-2 * v.high, -2 * v.low)
    return c, v, e, 4 * v.high / (1 + e.value * (2 + e.value))


def _telu_curvature(x: Array) -> Array:
    c, v, e, scale = _telu_right(x)
    # 2 + c (1 - 2 v tanh(v)), where tanh(v) is 1 but for a little, which is added last.
    lead = two_sum(-2 * v.high, jnp.ones_like(c))
    bend = product(Double(c, jnp.zeros_like(c)), Double(lead.high, lead.low - 2 * v.low))
    bend = add(bend, Double(jnp.full_like(c, 2), jnp.zeros_like(c)))
    bend = bend.high + (bend.low + 4 * c * v.high * (e.value / (1 + e.value)))
    return jnp.where(x > 0, e.times(scale * bend), _left_telu_curvature(x))


@with_derivative(_telu_curvature)
def _telu_slope(x: Array) -> Array:
    c, v, e, scale = _telu_right(x)
    return jnp.where(x > 0, tanh(v.high) + e.times(scale * c), _left_telu_slope(x))


@with_derivative(_telu_slope)
def _telu(x: Array) -> Array:
    return jnp.where(x > -50, x * tanh(jnp.exp(jnp.clip(x, -50, 7))), _left_telu(x))


@elementwise
def telu(x: Array) -> Array:
    r"""Tanh of the exponential as a gate, also called TanhExp.

    .. math::
      \mathrm{telu}(x) = x \tanh(e^x)

    Not monotone: minimum -0.3533 at -1.0789. Limits: 0 at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), at least -0.3533.

    Examples:
      >>> telu(1.0)
      Array(0.99132884, dtype=float32, weak_type=True)

    References:
      Liu and Di, "TanhExp: a smooth activation function with high convergence speed for lightweight neural
      networks", 2020, arXiv:2003.09855;
      Fernandez and Mali, "TeLU activation function for fast and stable deep learning", 2024, arXiv:2412.20269.
    """
    return _telu(x)


tanhexp = telu


def _golu_parts(x: Array) -> tuple[Array, Array, Exponential, Exponential]:
    """Input, v = exp(-x), the gate exp(-v), and v once more, for x > 0, as an `Exponential`."""
    c = jnp.clip(x, -8, FAR)  # exp(-exp(8)) is 0 in every dtype
    large, small = double_exp(-jnp.minimum(c, 0)), shifted_exp(-jnp.maximum(c, 0))
    v = jnp.where(c < 0, large.high, small.value)
    return c, v, shifted_exp(-v, jnp.where(c < 0, -large.low, 0)), small


def _golu_curvature(x: Array) -> Array:
    c, v, gate, small = _golu_parts(x)
    bend = 2 + c * (v - 1)
    return jnp.where(c < 0, gate.times(v * bend), small.times(gate.value * bend))


@with_derivative(_golu_curvature)
def _golu_slope(x: Array) -> Array:
    c, v, gate, _ = _golu_parts(x)
    return gate.times(1 + c * v)


@with_derivative(_golu_slope)
def _golu(x: Array) -> Array:
    c, _, gate, _ = _golu_parts(x)
    return jnp.where(c < 0, gate.times(c), x * gate.value)


@elementwise
def golu(x: Array) -> Array:
    r"""Gompertz distribution function as a gate: asymmetric, steeper on the left than gelu.

    .. math::
      \mathrm{golu}(x) = x\,e^{-e^{-x}}

    Not monotone: minimum -0.0973 at -0.5671. Limits: 0 at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), at least -0.0973.

    Examples:
      >>> golu(1.0)
      Array(0.6922006, dtype=float32, weak_type=True)

    References:
      Das, Safari, Adriaensen and Hutter, "Gompertz linear units: leveraging asymmetry for enhanced learning
      dynamics", 2025, arXiv:2502.03654.
    """
    return _golu(x)
