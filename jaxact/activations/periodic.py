"""Periodic functions, and the identity with a periodic part."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.activations._compensated import Double, add, constant, product, quotient, total, two_product, two_sum
from jaxact.activations._numerics import elementwise, finite, like, with_derivative


def _product(x: Array, frequency: Array) -> Double:
    """``frequency * x``; if it overflows, the last place of ``x`` is many periods: any finite one does."""
    high, low = two_product(x + 0 * frequency, frequency + jnp.zeros_like(x))
    return Double(jnp.where(jnp.isinf(x), high, finite(high)), low)


def _sine_cosine(high: Array, low: Array) -> tuple[Array, Array]:
    sine, cosine, s, c = jnp.sin(high), jnp.cos(high), jnp.sin(low), jnp.cos(low)
    return sine * c + cosine * s, cosine * c - sine * s


def _circle(x: Array, frequency: Array) -> tuple[Array, Array]:
    """Sine and cosine of ``frequency * x``, the product known to twice the precision."""
    return _sine_cosine(*_product(x, frequency))


def _sine_curvature(x: Array, frequency: Array) -> Array:
    return -frequency * frequency * _circle(x, frequency)[0]


@with_derivative(_sine_curvature, None)
def _sine_slope(x: Array, frequency: Array) -> Array:
    return frequency * _circle(x, frequency)[1]


def _sine_slope_in_frequency(x: Array, frequency: Array) -> Array:
    return x * _circle(x, frequency)[1]


@with_derivative(_sine_slope, _sine_slope_in_frequency)
def _sine(x: Array, frequency: Array) -> Array:
    return _circle(x, frequency)[0]


@elementwise
def sine(x: Array, frequency: ArrayLike = 1.0) -> Array:
    r"""Sine, the activation of SIREN.

    .. math::
      \mathrm{sine}(x) = \sin(\omega x)

    No limit at :math:`\pm\infty`, where the value is NaN.

    Args:
      x: input, any shape.
      frequency: :math:`\omega`; SIREN takes 30.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [-1, 1].

    Examples:
      >>> sine(1.0)
      Array(0.84147096, dtype=float32, weak_type=True)

    References:
      Sitzmann, Martel, Bergman, Lindell and Wetzstein, "Implicit neural representations with periodic activation
      functions", 2020, arXiv:2006.09661.
    """
    return _sine(x, *like(x, frequency))


@elementwise
def cos(x: Array) -> Array:
    r"""Cosine.

    .. math::
      \mathrm{cos}(x) = \cos x

    No limit at :math:`\pm\infty`, where the value is NaN.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [-1, 1].

    Examples:
      >>> cos(0.0)
      Array(1., dtype=float32, weak_type=True)
    """
    return jnp.cos(x)


def _gcu_curvature(x: Array) -> Array:
    return -2 * jnp.sin(x) - x * jnp.cos(x)


@with_derivative(_gcu_curvature)
def _gcu_slope(x: Array) -> Array:
    return jnp.cos(x) - x * jnp.sin(x)


@with_derivative(_gcu_slope)
def _gcu(x: Array) -> Array:
    return x * jnp.cos(x)


@elementwise
def gcu(x: Array) -> Array:
    r"""Growing cosine unit: oscillates with growing amplitude.

    .. math::
      \mathrm{gcu}(x) = x \cos x

    No limit at :math:`\pm\infty`, where the value is NaN.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> gcu(1.0)
      Array(0.5403023, dtype=float32, weak_type=True)

    References:
      Noel, Arunkumar, Trivedi and Dutta, "Growing cosine unit: a novel oscillatory activation function that can
      speedup training and reduce parameters in convolutional neural networks", 2021, arXiv:2108.12943.
    """
    return _gcu(x)


_EIGHTH = (0.7853981633974483, 3.061616997868383e-17)  # of a turn, pi / 4


def _eighth_ahead(x: Array, a: Array) -> tuple[Array, Array]:
    """Sine and cosine of ``a x + pi/4``, which keep their digits where 1 + sin(2 a x) cancels."""
    z, eighth = _product(x, a), constant(_EIGHTH[0], x + a, _EIGHTH[1])
    s = two_sum(z.high, eighth.high)
    return _sine_cosine(s.high, s.low + (z.low + eighth.low))


def _snake_curvature(x: Array, a: Array) -> Array:
    s, c = _eighth_ahead(x, a)
    return 4 * a * s * c


@with_derivative(_snake_curvature, None)
def _snake_slope(x: Array, a: Array) -> Array:
    s, _ = _eighth_ahead(x, a)
    return 2 * s * s


def _snake_slope_in_frequency(x: Array, a: Array) -> Array:
    s, c = _circle(x, a)
    over = s / jnp.where(a == 0, 1, a)
    return jnp.where(a == 0, x * x, 2 * over * (x * c - over / 2))


@with_derivative(_snake_slope, _snake_slope_in_frequency)
def _snake(x: Array, a: Array) -> Array:
    # Left of 0 the terms cancel, so the second is carried to twice the precision.
    z, a = _product(x, a), jnp.where(a == 0, 1, a) + jnp.zeros_like(x)
    sine = add(two_product(jnp.sin(z.high), jnp.cos(z.low)), two_product(jnp.cos(z.high), jnp.sin(z.low)))
    square = product(sine, sine)
    ripple = quotient(square.high, a)
    return jnp.where(jnp.isinf(x), x, total(Double(x, square.low / a), ripple))


@elementwise
def snake(x: Array, frequency: ArrayLike = 1.0) -> Array:
    r"""Identity with a ripple, for periodic data.

    .. math::
      \mathrm{snake}(x) = x + \frac{\sin^2(a x)}{a}

    The identity for :math:`a = 0`. Limits: :math:`\pm\infty` at :math:`\pm\infty`; the derivative has none and is
    NaN there.

    Args:
      x: input, any shape.
      frequency: :math:`a`.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> snake(1.0)
      Array(1.7080734, dtype=float32, weak_type=True)

    References:
      Ziyin, Hartwig and Ueda, "Neural networks fail to learn periodic functions and how to fix it", 2020,
      arXiv:2006.08195.
    """
    return _snake(x, *like(x, frequency))
