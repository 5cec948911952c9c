"""Functions that are x times a gate of x: silu, gelu, mish and their relatives."""

import math

import jax.numpy as jnp
from jax import Array

from jaxact.activations import _numerics
from jaxact.activations._numerics import decay, elementwise, finite, with_derivative


def _silu_slope(x: Array) -> Array:
    return _numerics.sigmoid(x) + finite(x) * _numerics.sech2(x / 2) / 4


@with_derivative(_silu_slope)
def _silu(x: Array) -> Array:
    # e**x is subnormal, and flushed, before x * e**x is: so each factor takes half the exponent.
    half = jnp.exp(-jnp.abs(x) / 2)
    gate = half / (1 + half * half)
    return jnp.where(x > 0, x / (1 + half * half), finite(x) * half * gate)


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

_GELU_CUBIC = 0.044715  # Hendrycks and Gimpel
_GELU_SCALE = 2 * math.sqrt(2 / math.pi)


def _gelu_tanh_slope(x: Array) -> Array:
    x = jnp.clip(x, -30.0, 30.0)  # beyond, the derivative is 0 or 1 in every dtype
    u = _GELU_SCALE * x * (1 + _GELU_CUBIC * x * x)
    u_slope = _GELU_SCALE * (1 + 3 * _GELU_CUBIC * x * x)
    return _numerics.sigmoid(u) + x * u_slope * _numerics.sech2(u / 2) / 4


@with_derivative(_gelu_tanh_slope)
def _gelu_tanh(x: Array) -> Array:
    c = jnp.clip(x, -30.0, 30.0)
    return jnp.where(x == jnp.inf, x, finite(x) * _numerics.sigmoid(_GELU_SCALE * c * (1 + _GELU_CUBIC * c * c)))


def _gelu_erf_slope(x: Array) -> Array:
    return _numerics.normal_cdf(x) + finite(x) * _numerics.normal_pdf(x)


@with_derivative(_gelu_erf_slope)
def _gelu_erf(x: Array) -> Array:
    return jnp.where(x == jnp.inf, x, finite(x) * _numerics.normal_cdf(x))


@elementwise
def gelu(x: Array, approximate: bool = True) -> Array:
    r"""Gaussian error linear unit.

    .. math::
      \mathrm{gelu}(x) = x\,\Phi(x) = \frac{x}{2} \left(1 + \mathrm{erf}\frac{x}{\sqrt 2}\right)
      \approx \frac{x}{2} \left(1 + \tanh\left(\sqrt{2/\pi}\,(x + 0.044715 x^3)\right)\right)

    Not monotone: minimum -0.1700 at -0.7525. Limits: 0 at :math:`-\infty`, :math:`\infty` at :math:`+\infty`. The
    approximation is computed as x sigmoid(2u), for 1 + tanh(u) keeps no digit on the left.

    Args:
      x: input, any shape.
      approximate: whether to take the form with tanh, as `jax.nn.gelu` does by default; torch and Keras take the
        exact one.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), at least -0.1701.

    Examples:
      >>> gelu(1.0)
      Array(0.841192, dtype=float32, weak_type=True)
      >>> gelu(1.0, approximate=False)
      Array(0.8413447, dtype=float32, weak_type=True)

    References:
      Hendrycks and Gimpel, "Gaussian error linear units (GELUs)", 2016, arXiv:1606.08415.
    """
    return _gelu_tanh(x) if approximate else _gelu_erf(x)


def _mish_gate_slope(x: Array) -> Array:
    t = decay(x)
    right = 2 * t / (1 + 2 * t + 2 * t * t)
    left = 2 / (t * (t + 2) + 2)
    return (1 + t) * jnp.where(x > 0, right * right, t * left * left)


@with_derivative(_mish_gate_slope)
def _mish_gate(x: Array) -> Array:
    """``tanh(softplus(x))`` by one exponential."""
    t = decay(x)
    n = t * (t + 2)
    return jnp.where(x > 0, (1 + 2 * t) / (1 + 2 * t + 2 * t * t), n / (n + 2))


def _mish_slope(x: Array) -> Array:
    return _mish_gate(x) + finite(x) * _mish_gate_slope(x)


@with_derivative(_mish_slope)
def _mish(x: Array) -> Array:
    return jnp.where(x == jnp.inf, x, finite(x) * _mish_gate(x))


@elementwise
def mish(x: Array) -> Array:
    r"""Self-gated smooth function, computed with one exponential.

    .. math::
      \mathrm{mish}(x) = x \tanh(\mathrm{softplus}(x))

    Not monotone: minimum -0.3088 at -1.1924. Limits: 0 at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), at least -0.3089.

    Examples:
      >>> mish(1.0)
      Array(0.8650984, dtype=float32, weak_type=True)

    References:
      Misra, "Mish: a self regularized non-monotonic activation function", 2019, arXiv:1908.08681.
    """
    return _mish(x)


@elementwise
def hard_silu(x: Array) -> Array:
    r"""Piecewise quadratic silu, also called hard swish.

    .. math::
      \mathrm{hard\_silu}(x) = x \frac{\min(\max(x + 3, 0), 6)}{6}

    Not monotone: minimum -3/8 at -3/2. Kinks at -3 and 3, where the derivative is taken to be 0 and 1 (as
    `jax.nn.hard_silu`). Limits: 0 at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), at least -3/8.

    Examples:
      >>> hard_silu(jnp.array([-4.0, 1.0, 4.0]))
      Array([-0.       ,  0.6666667,  4.       ], dtype=float32)

    References:
      Howard et al., "Searching for MobileNetV3", 2019, arXiv:1905.02244.
    """
    inside = jnp.abs(x) < 3
    c = jnp.where(inside, x, 0)
    return jnp.where(inside, c * (c + 3) / 6, jnp.where(x <= -3, -0.0, x))


hard_swish = hard_silu
