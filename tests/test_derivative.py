"""derivative: any callable, any shape, orders one to four."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from cases import oracle
from jax.test_util import check_grads

import jaxact
from jaxact import derivative
from jaxact.errors import shown

XS = np.array([-6.1, -2.3, -0.9, -0.4, 0.1, 0.8, 1.7, 3.9])
SMOOTH = ["sigmoid", "tanh", "softplus", "squareplus", "silu", "gelu(approximate=False)", "mish"]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("spec", SMOOTH)
def test_against_mpmath(spec, order):
    true = np.array([float(oracle(spec, order)(x)) for x in XS])
    with jax.enable_x64(True):
        got = jax.jit(derivative(jaxact.get(spec), order))(XS)
    np.testing.assert_allclose(got, true, rtol=1e-11, atol=1e-14)
    # The fourth derivative of a product cancels: judge it by the size of the function's own.
    got = jax.jit(derivative(jaxact.get(spec), order))(XS.astype(np.float32))
    np.testing.assert_allclose(got, true, rtol=2e-5, atol=2e-6 * np.abs(true).max())


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("fn", "reference"),
    [
        (lambda x: jnp.sin(x) * x**2, lambda x: mpmath.sin(x) * x**2),
        (lambda x: jnp.exp(-x * x / 2), lambda x: mpmath.exp(-x * x / 2)),
        (jnp.tanh, mpmath.tanh),
        (jax.nn.softplus, lambda x: mpmath.log(1 + mpmath.exp(x))),
        (jax.nn.silu, lambda x: x / (1 + mpmath.exp(-x))),
    ],
)
def test_any_callable(fn, reference, order):
    with mpmath.workdps(60):
        true = [float(mpmath.diff(reference, float(x), order)) for x in XS]
    with jax.enable_x64(True):
        np.testing.assert_allclose(jax.jit(derivative(fn, order))(XS), true, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 0, 3), (2, 3, 4)])
def test_any_shape(shape):
    x = jnp.linspace(-2, 2, int(np.prod(shape))).reshape(shape)
    for order in (1, 2, 3, 4):
        y = derivative(jnp.sin, order)(x)
        assert y.shape == shape
        assert y.dtype == x.dtype
        closed = (jnp.cos, lambda x: -jnp.sin(x), lambda x: -jnp.cos(x), jnp.sin)[order - 1]
        np.testing.assert_allclose(y, closed(x), atol=1e-6)


@pytest.mark.parametrize("x", [2, True, np.int32(2), np.arange(3), jnp.arange(3), np.array([True]), 0.5])
def test_integers_and_numbers(x):
    y = derivative(jaxact.tanh)(x)
    assert y.shape == np.shape(x)
    assert y.dtype == jnp.zeros(()).dtype
    np.testing.assert_allclose(y, 1 / np.cosh(np.asarray(x, float)) ** 2, rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_keeps_the_dtype(dtype):
    x = jax.ShapeDtypeStruct((5,), dtype)
    for fn in (jax.nn.silu, jaxact.get("celu(2.0)")):
        for order in (1, 2, 3, 4):
            assert jax.eval_shape(derivative(fn, order), x).dtype == dtype


def test_under_transformations():
    x = jnp.linspace(-2, 2, 6).reshape(2, 3)
    slope, second = derivative(jaxact.tanh), derivative(jaxact.tanh, 2)(x)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-7)
    close(jax.jit(slope)(x), slope(x))
    close(jax.vmap(slope)(x), slope(x))
    close(jax.grad(lambda x: slope(x).sum())(x), second)
    close(derivative(slope)(x), second)
    close(derivative(derivative(slope))(x), derivative(jaxact.tanh, 3)(x))
    close(jax.lax.scan(lambda c, x: (c, slope(x)), 0, x)[1], slope(x))
    alphas = jnp.array([0.5, 2.0])
    by_alpha = jax.vmap(lambda a: derivative(lambda x: jaxact.elu(x, a))(-1.0))(alphas)
    close(by_alpha, alphas * jnp.exp(-1.0))
    with jax.enable_x64(True):
        check_grads(derivative(jaxact.tanh, 2), (jnp.linspace(-2.0, 2.0, 5),), order=1)


def test_of_constants_and_of_any_closure():
    np.testing.assert_array_equal(derivative(lambda x: 1.0)(jnp.ones(3)), 0)
    np.testing.assert_array_equal(derivative(lambda x: 0 * x + jnp.ones(()), 2)(jnp.ones((2, 2))), 0)
    weights = jnp.array([1.0, 2.0, 3.0])  # a polynomial with coefficients of the caller
    x = jnp.linspace(-1, 1, 5)
    np.testing.assert_allclose(derivative(lambda x: jnp.polyval(weights, x))(x), 2 * x + 2, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "order", [0, 5, -1, 1.0, 1.5, True, "1", None, [1], np.array([1, 2]), 10**5000], ids=shown
)
def test_bad_order(order):
    with pytest.raises(jaxact.InputError, match=r"^order must be 1, 2, 3 or 4, got ") as error:
        derivative(jnp.tanh, order)
    assert "\n" not in str(error.value)


def test_numpy_order():
    assert derivative(jnp.sin, np.int64(2))(0.0) == 0


@pytest.mark.parametrize("fn", [None, "relu", 1.0, np.zeros((3, 3)), [jnp.tanh]])
def test_bad_function(fn):
    with pytest.raises(TypeError, match=r"^fn must be callable, got ") as error:
        derivative(fn)
    assert "\n" not in str(error.value)


def test_a_function_that_is_not_elementwise():
    with pytest.raises(TypeError, match="scalar-output"):
        derivative(lambda x: jnp.stack([x, x]))(jnp.ones(3))
