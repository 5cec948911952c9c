"""The normal distribution: density and distribution function, exact in both tails."""

import math

import jax.numpy as jnp
from jax import Array, lax
from numpy.polynomial import chebyshev

from jaxact.activations._compensated import Double, add, constant, two_square
from jaxact.activations._exponential import Exponential, economized, polynomial, shifted_exp
from jaxact.activations._numerics import with_derivative

# Chebyshev coefficients of (1 + a) Q(a) / exp(-a^2/2) in y = (a - 4)/(a + 4), where Q is the upper tail of the
# normal distribution: `scripts/fit_mills.py` prints them. The substitution is that of Shepherd and Laframboise,
# "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x", 1981.
MILLS = [
    0.4655865996963784,
    -0.06423751712334332,
    -0.011171509596721219,
    0.01263630599437623,
    -0.004828490640131744,
    0.0010793834106156014,
    -0.0001194099520285248,
    -6.8485883776766764e-06,
    4.060629718065491e-06,
    -1.9527544708338363e-07,
    -1.1345944386467565e-07,
    1.227397138426542e-08,
    3.662441203341559e-09,
    -5.088948506210621e-10,
    -1.4602402012093163e-10,
    1.8321966529064227e-11,
    6.857544400027546e-12,
    -5.077272058049455e-13,
    -3.458064365204774e-13,
    4.412922855809207e-16,
    1.7054866572266912e-14,
    1.5123653278115068e-15,
    -7.370100783416678e-16,
    -1.6124885584264884e-16,
    2.130692627650816e-17,
    1.1734807140572405e-17,
]
_POWERS = {size: chebyshev.cheb2poly(MILLS[:terms]).tolist() for size, terms in ((4, 13), (8, 26))}
_FIRST = {4: (_POWERS[4][0], 0.0), 8: (0.47205320650984467, 1.4386579161887366e-17)}  # of the powers, as a sum


def mills_numerator(a: Array) -> Double:
    r""":math:`(1 + a)\,Q(a)\,e^{a^2/2}` for :math:`a \ge 0`, to a few bits more than the precision.

    Q is the upper tail of the standard normal distribution.
    """
    y = (a - 4) / (a + 4)
    high, low = _FIRST[a.dtype.itemsize]
    return add(Double(y * polynomial(y, _POWERS[a.dtype.itemsize][1:]), jnp.zeros_like(a)), constant(high, a, low))


def exp_minus_square(x: Array, scale: float = 1.0) -> Exponential:
    """``exp(-scale * x * x)``, for a scale that is a power of two."""
    c = jnp.clip(x, -100, 100)
    square = two_square(c)
    return shifted_exp(-scale * square.high, -scale * square.low)


def _gaussian_curvature(x: Array) -> Array:
    c = jnp.clip(x, -100, 100)
    return exp_minus_square(x).times(2 * (2 * c * c - 1))


@with_derivative(_gaussian_curvature)
def _gaussian_slope(x: Array) -> Array:
    return exp_minus_square(x).times(-2 * jnp.clip(x, -100, 100))


@with_derivative(_gaussian_slope)
def gaussian(x: Array) -> Array:
    r""":math:`e^{-x^2}`."""
    return exp_minus_square(x).value


# Of erf(x) / x - 1 in x^2, up to 1.
_ERF_EXCESS = economized(
    [2 / math.sqrt(math.pi) - 1]
    + [(-1) ** n * 2 / math.sqrt(math.pi) / math.factorial(n) / (2 * n + 1) for n in range(1, 25)],
    1,
    10,
)


def _erf_curvature(x: Array) -> Array:
    return exp_minus_square(x).times(-4 / math.sqrt(math.pi) * jnp.clip(x, -100, 100))


@with_derivative(_erf_curvature)
def _erf_slope(x: Array) -> Array:
    return exp_minus_square(x).times(2 / math.sqrt(math.pi))


@with_derivative(_erf_slope)
def erf(x: Array) -> Array:
    r"""Error function; its derivative is :math:`2e^{-x^2}/\sqrt\pi`."""
    if x.dtype != jnp.float32:
        return lax.erf(x)
    a = jnp.clip(jnp.abs(x), 1, 10) * math.sqrt(2)  # XLA's comes out 4.7 ulp off, where few digits of this count
    tail = 2 * exp_minus_square(a, 0.5).times(mills_numerator(a).high / (1 + a))
    c = jnp.clip(x, -1, 1)
    return jnp.where(jnp.abs(x) < 1, c + c * polynomial(c * c, _ERF_EXCESS), jnp.sign(x) * (1 - tail))
