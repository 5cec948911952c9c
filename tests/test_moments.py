"""moments and gain: closed forms, mpmath, kinks anywhere, bad input."""

import functools
import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from cases import row_of

import jaxact
from jaxact import gain, moments

QS = np.array([1e-6, 0.03, 1.0, 17.0, 1e4])
close = functools.partial(np.testing.assert_allclose, rtol=1e-12)


def normal_cdf(x):
    return math.erfc(-x / math.sqrt(2)) / 2


def normal_pdf(x):
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


@pytest.mark.parametrize("x64", [False, True])
def test_closed_forms(x64):
    with jax.enable_x64(x64):
        m = moments(jax.nn.relu, QS)
        close(m.mean, np.sqrt(QS / (2 * np.pi)))
        close(m.second, QS / 2)
        close(m.slope, 0.5)
        close(m.parallel, QS / 2)
        m = moments(lambda x: jax.nn.leaky_relu(x, 0.3), QS)
        close(m.second, QS * 1.09 / 2)
        close(m.slope, 1.09 / 2)
        m = moments(jaxact.erf, QS)
        close(m.second, 2 / np.pi * np.arcsin(2 * QS / (1 + 2 * QS)))
        close(m.slope, 4 / np.pi / np.sqrt(1 + 4 * QS))
        # half the derivative of E f^2 by ln q
        close(m.parallel, 4 / np.pi * QS / ((1 + 2 * QS) * np.sqrt(1 + 4 * QS)))
        np.testing.assert_allclose(m.mean, 0, atol=1e-15)
        m = moments(jnp.sin, QS)
        close(m.second, -np.expm1(-2 * QS) / 2)
        close(m.slope, (1 + np.exp(-2 * QS)) / 2)
        m = moments(jnp.exp, QS[:4])
        close(m.mean, np.exp(QS[:4] / 2))
        close(m.second, np.exp(2 * QS[:4]))
        close(m.parallel, 2 * QS[:4] * np.exp(2 * QS[:4]))
        m = moments(lambda x: jnp.exp(x * x / 5), 1.0)  # still felt at 12 standard deviations
        close(m.second, 1 / math.sqrt(1 - 0.8), rtol=1e-11)
        assert jax.config.jax_enable_x64 is x64


def test_polynomials():
    m = moments(lambda x: abs(x) ** 3, QS)
    close(m.second, 15 * QS**3)
    close(m.slope, 27 * QS**2)
    close(m.parallel, 45 * QS**3)
    m = moments(lambda x: 1.0, 2.0)
    assert m == (1.0, 1.0, 0.0, 0.0)


KINKS = [
    0.0,
    1 / 3,
    -1e-3,
    1e-6,
    0.5,
    2.0**-0.5,
    3.9999,
    -2.62109036,
    2.6213,
    5.5,
    *np.random.default_rng(0).normal(size=2),
]


@pytest.mark.parametrize("k", KINKS)
def test_kinks_are_found(k):
    """Jumps of f, of f' and of f'' at k, where the closed forms are those of truncated Gaussians."""
    k, p, d = float(k), normal_cdf(-float(k)), normal_pdf(float(k))

    def fn(x, order):
        return jnp.where(x > k, (x - k) ** order, 0.0)

    close(moments(lambda x: fn(x, 0)).second, p)
    m = moments(lambda x: fn(x, 1))
    close(m.second, (1 + k * k) * p - k * d, rtol=1e-11)
    close(m.slope, p)
    m = moments(lambda x: fn(x, 2))
    close(m.mean, (1 + k * k) * p - k * d, rtol=1e-11)
    close(m.slope, 4 * ((1 + k * k) * p - k * d), rtol=1e-11)


def test_many_kinks_and_all_scales():
    def triangle(x):
        return jnp.abs(x - 2 * jnp.round(x / 2))

    close(moments(triangle, [0.01, 1.0, 100.0]).slope, 1)
    # E t^2 from the Fourier series of t^2, which has the mean 1/3
    n = np.arange(1, 4000)[:, None]
    q = np.array([0.01, 1.0, 100.0])
    second = 1 / 3 + (4 * (-1.0) ** n / (np.pi * n) ** 2 * np.exp(-((np.pi * n) ** 2) * q / 2)).sum(0)
    close(moments(triangle, q).second, second, rtol=1e-10)
    for width in (1e-7, 1e-3):
        m = moments(lambda x, width=width: jnp.where(jnp.abs(x) < width, 0.0, x))
        close(m.slope, math.erfc(width / math.sqrt(2)))
        steep = moments(lambda x, width=width: jnp.clip(x / width, -1, 1))
        close(steep.slope, math.erf(width / math.sqrt(2)) / width**2)
    # the shape of f does not change with the scales of its input and output
    for scale in (1e-5, 1e5):
        m = moments(lambda x, s=scale: s * jnp.tanh((x - 0.7) / s), scale**2)
        close(m.second, scale**2 * moments(lambda x, s=scale: jnp.tanh(x - 0.7 / s)).second)
        close(
            moments(lambda x, s=scale: 1e-9 * jax.nn.elu(x / s), scale**2).second,
            1e-18 * moments(jax.nn.elu).second,
        )


CATALOGUE = [
    *("tanh", "sigmoid", "soft_sign", "arctan", "hard_tanh", "hard_sigmoid", "elu", "selu", "celu(alpha=2.0)"),
    *(
        "softplus",
        "squareplus",
        "silu",
        "gelu",
        "gelu(approximate=False)",
        "mish",
        "hard_silu",
        "relu6",
        "soft_shrink",
    ),
    *("hard_shrink", "sine", "gaussian", "log_sigmoid", "tanh_shrink", "relu_squared"),
]


NAMES = ("exp", "log", "tanh", "erf", "erfc", "sqrt", "pi", "sin", "cos", "atan", "asinh")


def by_mpmath(spec, q):
    """The four moments by mpmath's own quadrature, split at the kinks of the table."""
    row, parameters = row_of(spec), dict(getattr(jaxact.get(spec), "config", ()))
    names = {name: getattr(mpmath, name) for name in NAMES} | row.parameters | parameters
    code = compile(row.formula, spec, "eval")

    def f(x):
        return mpmath.mpf(eval(code, {**names, "x": x}))

    kinks = [-0.5, 0.5] if "shrink(" in spec or spec in ("soft_shrink", "hard_shrink") else row.kinks
    with mpmath.workdps(32):
        root = mpmath.sqrt(q)
        ends = sorted({*map(mpmath.mpf, (-13, -6, -3, -1, 0, 1, 3, 6, 13)), *(k / root for k in kinks)})
        h = mpmath.mpf(10) ** -11
        # The four integrands meet at the same nodes.
        value = functools.cache(lambda z: f(root * z))
        slope = functools.cache(lambda z: (f(root * z + h) - f(root * z - h)) / (2 * h))
        integrands = (
            value,
            lambda z: value(z) ** 2,
            lambda z: slope(z) ** 2,
            lambda z: value(z) * slope(z) * root * z,
        )
        return [
            float(mpmath.quad(lambda z, g=g: g(z) * mpmath.npdf(z), ends, maxdegree=4, method="gauss-legendre"))
            for g in integrands
        ]


@pytest.mark.parametrize("spec", CATALOGUE)
def test_against_mpmath(spec):
    q = 1.7
    got = moments(jaxact.get(spec), q)
    true = by_mpmath(spec, q)
    np.testing.assert_allclose(got, true, rtol=1e-10, atol=1e-13)


def test_arrays_and_transformations():
    m = moments(jnp.tanh, np.ones((2, 3)))
    assert all(a.shape == (2, 3) and a.dtype == np.float64 for a in m)
    assert moments(jnp.tanh, jnp.float32(2)).second == moments(jnp.tanh, 2).second
    q = jnp.array([0.5, 1.0, 2.0])
    expected = moments(jnp.tanh, np.asarray(q)).second
    for get in (jax.vmap(lambda q: moments(jnp.tanh, q).second), jax.jit(lambda q: moments(jnp.tanh, q).second)):
        np.testing.assert_allclose(get(q), expected, rtol=1e-6)

    class Unhashable:
        __hash__ = None

        def __call__(self, x):
            return jnp.tanh(x)

    close(moments(Unhashable()).second, moments(jnp.tanh).second)


def test_functions_that_compute_in_less():
    for dtype, rtol in ((jnp.float32, 1e-6), (jnp.bfloat16, 3e-2)):
        m = moments(lambda x, dtype=dtype: jnp.tanh(x.astype(dtype)))
        np.testing.assert_allclose(m[1:], moments(jnp.tanh)[1:], rtol=rtol)


def test_functions_with_noise():
    """Naive formulas, whose rounding errors must not be taken for kinks."""
    close(moments(lambda x: jnp.log(1 + jnp.exp(x))).second, moments(jaxact.softplus).second)
    close(moments(lambda x: x - jnp.tanh(x), 2.0).slope, moments(jaxact.tanh_shrink, 2.0).slope, rtol=1e-11)


@pytest.mark.parametrize(
    ("fn", "q", "message"),
    [
        (lambda x: jnp.exp(x * x), 1.0, "overflow"),
        (lambda x: jnp.exp(x * x / 4), 1.0, "grows too fast"),
        (jnp.exp, 1e5, "must be finite with a finite derivative within 12 standard deviations, but at x = 7"),
        (lambda x: jnp.log(1 + jnp.exp(x)), 1e4, "must be finite"),
        (jnp.log, 1.0, "is nan"),
        (lambda x: jnp.sqrt(jnp.abs(x)), 1.0, "do not converge"),  # E f'^2 is infinite
        (lambda x: 1 / x, 1.0, "do not converge"),
        (lambda x: jnp.sin(1e6 * x), 1.0, "oscillates too fast"),
        (lambda x: jnp.stack([x, x]), 1.0, "must be elementwise"),
        (lambda x: 1j * x, 1.0, "must be real"),
        (jnp.tanh, 0.0, "q must be a positive finite variance, got 0.0"),
        (jnp.tanh, [1.0, -1.0], "q must be a positive finite variance"),
        (jnp.tanh, np.nan, "q must be a positive finite variance"),
        (jnp.tanh, "1", "q must be a real number"),
        (jnp.tanh, None, "q must be a real number"),
    ],
)
def test_bad_input(fn, q, message):
    with pytest.raises(jaxact.InputError, match=message) as error:
        moments(fn, q)
    assert "\n" not in str(error.value)


def test_bad_function():
    with pytest.raises(TypeError, match="fn must be callable"):
        moments("relu")


def test_gain():
    close([gain(jax.nn.relu), gain(jax.nn.relu, "backward")], 2**0.5)
    close(gain(jax.nn.relu, "std"), (0.5 - 1 / (2 * np.pi)) ** -0.5)
    for q in (0.1, 1.0, 9.0):
        close(gain(lambda x: jax.nn.leaky_relu(x, 0.2), "backward", q=q), (2 / 1.04) ** 0.5)
        close(gain(jaxact.erf, q=q), (2 / np.pi * np.arcsin(2 * q / (1 + 2 * q))) ** -0.5)
    np.testing.assert_allclose(gain(jaxact.selu), 1, rtol=1e-9)  # selu's constants keep the variance at 1
    with pytest.raises(jaxact.InputError, match="mode must be one of 'forward', 'backward', 'std', got 'fan_in'"):
        gain(jax.nn.relu, "fan_in")
    for mode in ("backward", "std"):
        with pytest.raises(jaxact.InputError, match="no gain of mode"):
            gain(lambda x: 3.0, mode)
    with pytest.raises(jaxact.InputError, match="no gain of mode 'forward'"):
        gain(lambda x: 0 * x)
    with pytest.raises(jaxact.InputError, match="q must be one number"):
        gain(jnp.tanh, q=np.ones(2))
