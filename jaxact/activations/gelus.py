"""Functions that are x times a function of gauss: gelu, its approximations and relatives."""

import jax.numpy as jnp
from jax import Array

from jaxact.activations._compensated import (
    Double,
    fast_two_sum,
    one_plus,
    scaled,
    total,
    two_square,
    two_sum,
)
from jaxact.activations._exponential import Exponential, polynomial, shifted_exp, tanh
from jaxact.activations._gates import sigmoid_gated
from jaxact.activations._gelu_tanh import gelu_tanh
from jaxact.activations._normal import exp_minus_square, mills_numerator
from jaxact.activations._numerics import elementwise, with_derivative
from jaxact.activations._roots import ROOTS, near_root

_DENSITY_AT_0 = (0.3989422804014327, -2.49232720227773e-17)  # 1 / sqrt(2 pi)


def _tail_parts(x: Array) -> tuple[Array, Double, Double, Double, Exponential]:
    """``c``, ``k``, ``d``, ``q`` and e = exp(-x^2/2): Phi(-|x|) is (k / q) e, and -|x| phi(x) is (d / q) e."""
    c = jnp.clip(x, -1000, 1000)
    a = jnp.abs(c)
    square, q = two_square(a), two_sum(a, jnp.ones_like(a))
    both = two_sum(a, square.high)  # a q
    density = scaled(-both.high, *_DENSITY_AT_0)  # no digit must be lost before the difference
    density = Double(density.high, density.low - _DENSITY_AT_0[0] * (both.low + square.low))
    return c, mills_numerator(a), density, q, exp_minus_square(c, 0.5)


def _normal_parts(x: Array) -> tuple[Array, Array, Array, Exponential]:
    """``c``, ``m``, ``n`` and e = exp(-x^2/2): the tail of the normal beyond |x| is m e, and Phi + x phi, n e."""
    c, k, density, q, e = _tail_parts(x)
    m = k.high / q.high
    return c, m + (k.low - m * q.low) / q.high, total(k, density) / q.high, e


def _gelu_erf_curvature(x: Array) -> Array:
    c, _, _, e = _normal_parts(x)
    return e.times(_DENSITY_AT_0[0] * (2 - c * c))


@with_derivative(_gelu_erf_curvature)
def _gelu_erf_slope(x: Array) -> Array:
    _, _, n, e = _normal_parts(x)
    left = e.times(n)
    return jnp.where(x > 0, 1 - left, left)


@with_derivative(_gelu_erf_slope)
def _gelu_erf(x: Array) -> Array:
    c, m, _, e = _normal_parts(x)
    return jnp.where(x > 0, x * (1 - e.times(m)), e.times(c * m))


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
    return gelu_tanh(x) if approximate else _gelu_erf(x)


_QUICK = 1.702


def _quick_curvature_lead(x: Array) -> Array:
    return 2 * _QUICK * one_plus(scaled(jnp.abs(x), -_QUICK / 2))


_quick_gelu, _, _ = sigmoid_gated(
    lambda x: scaled(x, _QUICK),
    lambda x: one_plus(scaled(x, _QUICK)),
    _quick_curvature_lead,
    lambda x: _QUICK**2 * x,
)


@elementwise
def quick_gelu(x: Array) -> Array:
    r"""Gelu by a sigmoid, which is within 0.0204 of the exact one.

    .. math::
      \mathrm{quick\_gelu}(x) = x\,\mathrm{sigmoid}(1.702 x)

    Not monotone: minimum -0.1636 at -0.7512. Limits: 0 at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), at least -0.1637.

    Examples:
      >>> quick_gelu(1.0)
      Array(0.84579575, dtype=float32, weak_type=True)

    References:
      Hendrycks and Gimpel, "Gaussian error linear units (GELUs)", 2016, arXiv:1606.08415.
    """
    return _quick_gelu(x)


@elementwise
def clipped_gelu(x: Array) -> Array:
    r"""Exact gelu that stops at 10, for networks to be quantised.

    .. math::
      \mathrm{clipped\_gelu}(x) = \min(\mathrm{gelu}(x), 10)

    Kink at 10, where the derivative is taken to be 1. Limits: 0 at :math:`-\infty`, 10 at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), from -0.17 to 10.

    Examples:
      >>> clipped_gelu(jnp.array([-1.0, 20.0]))
      Array([-0.15865526, 10.        ], dtype=float32)

    References:
      Wu, Judd, Zhang, Isaev and Micikevicius, "Integer quantization for deep learning inference: principles and
      empirical evaluation", 2020, arXiv:2004.09602.
    """
    return jnp.where(x > 10, 10, _gelu_erf(x))


class _Phish:
    """What the three orders share: the gate is the tanh of u = gelu(x), which is m and n times e on the left."""

    def __init__(self, x: Array):
        self.c, self.m, self.n, self.e = _normal_parts(x)
        self.right = x > 0
        u = fast_two_sum(jnp.maximum(self.c, 0), -self.e.times(jnp.abs(self.c) * self.m))
        self.whole, self.u, self.rest = u, u.high, self.e.times(self.n)
        self.u_slope = jnp.where(self.right, 1 - self.rest, self.rest)
        self.s = shifted_exp(-2 * jnp.abs(u.high), jnp.where(self.right, -2 * u.low, 0))  # sech^2(u) over
        self.scale = 4 / (1 + self.s.value * (2 + self.s.value))


@near_root(ROOTS["phish", 2])
def _phish_curvature(x: Array) -> Array:
    p = _Phish(x)
    bend, t = _DENSITY_AT_0[0] * (2 - p.c * p.c), tanh(p.u)
    lacking = 2 * p.s.value / (1 + p.s.value)  # of tanh(u) to 1; u' lacks the rest
    lacking = lacking + (1 - lacking) * p.rest * (2 - p.rest)  # of tanh(u) u'^2 to 1
    right = p.s.times(p.scale * (2 * (1 - p.c) - 2 * p.rest + p.c * (2 * lacking + p.e.times(bend))))
    left = p.e.times(p.s.value * p.scale * (2 * p.n + p.c * (bend - 2 * t * p.n * p.u_slope)))
    return jnp.where(x > 0, right, left)


@with_derivative(_phish_curvature)
@near_root(ROOTS["phish", 1])
def _phish_slope(x: Array) -> Array:
    p = _Phish(x)
    # On the left tanh(u)/u and sech^2(u) are nearly 1: the sum without what they lack, and then that.
    c, k, density, q, e = _tail_parts(x)
    more = _tanh_excess(p.u)
    gate = p.u + p.u * more
    lacking = k.high * more - (k.high + density.high) * (gate * gate)
    whole = two_sum(2 * k.high, density.high)
    rest = whole.low + (2 * k.low + density.low) + lacking - whole.high * (q.low / q.high)
    left = e.times(c * (whole.high + rest) / q.high)
    return jnp.where(x > 0, _tanh(p.whole) + p.s.times(p.scale * p.c * p.u_slope), left)


@with_derivative(_phish_slope)
def _phish(x: Array) -> Array:
    p = _Phish(x)
    gate = p.c * p.m
    return jnp.where(x > 0, x * _tanh(p.whole), p.e.times(p.c * (gate + gate * _tanh_excess(p.u))))


# Of tanh(u) / u - 1 in u^2, for u from the minimum of gelu, -0.17, to where the terms are enough.
_TANH_EXCESS = [0, -1 / 3, 2 / 15, -17 / 315, 62 / 2835, -1382 / 155925, 21844 / 6081075, -929569 / 638512875]
_TANH_EXCESS += [6404582 / 10854718875, -443861162 / 1856156927625]
_NEAR = {4: 0.5, 8: 0.2}


def _tanh_excess(u: Array) -> Array:
    return polynomial(jnp.square(jnp.clip(u, -0.2, _NEAR[u.dtype.itemsize])), _TANH_EXCESS)


def _tanh(u: Double) -> Array:
    """Tanh of the gelu of a positive input."""
    return jnp.where(
        u.high < _NEAR[u.high.dtype.itemsize], u.high + (u.low + u.high * _tanh_excess(u.high)), tanh(u.high)
    )


@elementwise
def phish(x: Array) -> Array:
    r"""Tanh of the exact gelu as a gate.

    .. math::
      \mathrm{phish}(x) = x \tanh(\mathrm{gelu}(x))

    Not negative beside 0: on the left it is a small positive bump. Limits: 0 at :math:`-\infty`, :math:`\infty` at
    :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), not negative.

    Examples:
      >>> phish(1.0)
      Array(0.6865207, dtype=float32, weak_type=True)

    References:
      Naveen, "Phish: a novel hyper-optimizable activation function", 2021, doi:10.36227/techrxiv.17283824.
    """
    return _phish(x)
