"""Further functions that are flat at both ends: scaled tanh, arctan, a quadratic one, and the steps."""

import math

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxact.activations._compensated import Double, constant, quotient, scaled, two_sum
from jaxact.activations._exponential import economized, polynomial, shifted_exp, tanh
from jaxact.activations._numerics import elementwise, finite, like, with_derivative


def _sech2(q: Double, factor: Array | float) -> Array:
    """``factor * sech(q)**2`` of a number known to twice the precision."""
    e = shifted_exp(-2 * jnp.abs(q.high), jnp.where(q.high > 0, -2 * q.low, 2 * q.low))
    return e.times(4 * factor / (1 + e.value * (2 + e.value)))


_LECUN = 1.7159  # LeCun's, so that 1 is 1 and -1 is -1
_SMALL = 2.0**-60  # tanh is the identity
_TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)


def _lecun_argument(x: Array) -> Double:
    return scaled(jnp.clip(x, -1e4, 1e4), *_TWO_THIRDS)


def _lecun_scaled(x: Array, factor: float) -> Array:
    """``factor * tanh(2 x / 3)``, also where 2 x / 3 is subnormal and the result is not."""
    return jnp.where(jnp.abs(x) < _SMALL, 2 / 3 * factor * x, factor * tanh(_lecun_argument(x).high))


def _lecun_curvature(x: Array) -> Array:
    return _sech2(_lecun_argument(x), _lecun_scaled(x, -8 / 9 * _LECUN))


@with_derivative(_lecun_curvature)
def _lecun_slope(x: Array) -> Array:
    return _sech2(_lecun_argument(x), 2 / 3 * _LECUN)


@with_derivative(_lecun_slope)
def _lecun_tanh(x: Array) -> Array:
    return _lecun_scaled(x, _LECUN)


@elementwise
def lecun_tanh(x: Array) -> Array:
    r"""Tanh scaled so that 1 and -1 are fixed points: the activation of the first LeNet-5.

    .. math::
      \mathrm{lecun\_tanh}(x) = 1.7159 \tanh(2x/3)

    Limits: -1.7159 at :math:`-\infty`, 1.7159 at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [-1.7159, 1.7159].

    Examples:
      >>> lecun_tanh(1.0)
      Array(0.9999973, dtype=float32, weak_type=True)

    References:
      LeCun, Bottou, Orr and Müller, "Efficient backprop", 1998.
    """
    return _lecun_tanh(x)


def _soft_cap_argument(x: Array, cap: Array) -> Double:
    end = 1e4 * cap
    return quotient(jnp.clip(x, -end, end), cap + jnp.zeros_like(x))


def _soft_cap_curvature(x: Array, cap: Array) -> Array:
    q = _soft_cap_argument(x, cap)
    return _sech2(q, -2 * tanh(q.high) / cap)


@with_derivative(_soft_cap_curvature, None)
def _soft_cap_slope(x: Array, cap: Array) -> Array:
    return _sech2(_soft_cap_argument(x, cap), 1)


def _soft_cap_slope_in_cap(x: Array, cap: Array) -> Array:
    q = _soft_cap_argument(x, cap)
    return tanh(q.high) - _sech2(q, q.high)


@with_derivative(_soft_cap_slope, _soft_cap_slope_in_cap)
def _soft_cap(x: Array, cap: Array) -> Array:
    small = jnp.abs(x) < 1e-9 * cap  # x / cap may underflow
    return jnp.where(small, x, cap * tanh(jnp.where(small, 0, x) / cap))


@elementwise
def soft_cap(x: Array, cap: ArrayLike = 50.0) -> Array:
    r"""Tanh that is the identity for small inputs and never exceeds a cap, for logits.

    .. math::
      \mathrm{soft\_cap}(x) = c \tanh(x / c)

    Limits: :math:`\pm c` at :math:`\pm\infty`.

    Args:
      x: input, any shape.
      cap: :math:`c > 0`.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [-c, c].

    Examples:
      >>> soft_cap(100.0)
      Array(48.201385, dtype=float32, weak_type=True)

    References:
      Gemma Team, "Gemma 2: improving open language models at a practical size", 2024, arXiv:2408.00118.
    """
    return _soft_cap(x, *like(x, cap))


def _arctan_curvature(x: Array) -> Array:
    r = 1 / (1 + x * x)
    return (finite(x) * r) * (-2 * r)


@with_derivative(_arctan_curvature)
def _arctan_slope(x: Array) -> Array:
    return 1 / (1 + x * x)


_REST_OF_QUARTER = 3.061616997868383e-17  # of pi / 4, beyond a float
_ARCTAN = {
    size: economized([(-1) ** n / (2 * n + 1) for n in range(1, 60)], 1 / 4, terms)
    for size, terms in ((4, 6), (8, 16))
}


@with_derivative(_arctan_slope)
def _arctan(x: Array) -> Array:
    # In arrays of some sizes XLA takes a program that is off by 5 ulp next to 0.001.
    a = jnp.abs(x)
    far = a > 1
    r = jnp.where(far, 1 / jnp.maximum(a, 1), a)
    steep = r > 0.5  # so that r - 1 is exact
    z = jnp.where(steep, (r - 1) / (r + 1), r)
    w = z * z
    rest = z * w * polynomial(w, _ARCTAN[x.dtype.itemsize])
    quarter = constant(math.pi / 4, x, _REST_OF_QUARTER)
    zero = jnp.zeros_like(x)
    quarters = jnp.where(steep, zero + 1, jnp.where(far, zero + 2, zero))
    lead = two_sum(quarters * quarter.high, jnp.where(far, -z, z))
    return jnp.sign(x) * (lead.high + (lead.low + (quarters * quarter.low + jnp.where(far, -rest, rest))))


@elementwise
def arctan(x: Array) -> Array:
    r"""Arc tangent: approaches its ends like 1/x.

    .. math::
      \mathrm{arctan}(x) = \tan^{-1} x, \qquad \mathrm{arctan}'(x) = \frac{1}{1 + x^2}

    Limits: :math:`\pm\pi/2` at :math:`\pm\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [-1.5708, 1.5708].

    Examples:
      >>> arctan(1.0)
      Array(0.7853982, dtype=float32, weak_type=True)
    """
    return _arctan(x)


def _sqnl_slope(x: Array) -> Array:
    return jnp.where(x >= 2, 0, jnp.where(x <= -2, 0, jnp.where(x >= 0, 2 - x, 2 + x) / 2))


@with_derivative(_sqnl_slope)
def _sqnl(x: Array) -> Array:
    c = jnp.clip(x, -2, 2)
    return c * (1 - jnp.abs(c) / 4)


@elementwise
def sqnl(x: Array) -> Array:
    r"""Square nonlinearity: a quadratic sigmoidal function that is exactly flat beyond 2.

    .. math::
      \mathrm{sqnl}(x) = \begin{cases} x - x|x|/4, & |x| \le 2 \\ \mathrm{sign}(x), & |x| > 2 \end{cases}

    The second derivative jumps at 0 and at the ends.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [-1, 1].

    Examples:
      >>> sqnl(jnp.array([-3.0, 1.0]))
      Array([-1.  ,  0.75], dtype=float32)

    References:
      Wuraola and Patel, "SQNL: a new computationally efficient activation function", 2018,
      doi:10.1109/IJCNN.2018.8489043.
    """
    return _sqnl(x)


@elementwise
def step(x: Array, threshold: ArrayLike = 0.0) -> Array:
    r"""Heaviside step: 1 above the threshold, 0 up to it.

    .. math::
      \mathrm{step}(x) = \begin{cases} 1, & x > \theta \\ 0, & x \le \theta \end{cases}

    Jumps at :math:`\theta`. The derivative is 0 everywhere, there too; NaN gives NaN.

    Args:
      x: input, any shape.
      threshold: :math:`\theta`.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), 0 or 1.

    Examples:
      >>> step(jnp.array([-1.0, 0.0, 1.0]))
      Array([0., 0., 1.], dtype=float32)

    References:
      Bengio, Léonard and Courville, "Estimating or propagating gradients through stochastic neurons for
      conditional computation", 2013, arXiv:1308.3432, on what to do about that derivative.
    """
    return jnp.where(x > threshold, 1, jnp.where(x <= threshold, 0, lax.stop_gradient(x)))


@elementwise
def sign(x: Array) -> Array:
    r"""Sign.

    .. math::
      \mathrm{sign}(x) = \begin{cases} 1, & x > 0 \\ 0, & x = 0 \\ -1, & x < 0 \end{cases}

    Jumps at 0. The derivative is 0 everywhere, there too; NaN gives NaN.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), -1, 0 or 1.

    Examples:
      >>> sign(jnp.array([-2.0, 0.0, 2.0]))
      Array([-1.,  0.,  1.], dtype=float32)
    """
    return jnp.sign(x)
