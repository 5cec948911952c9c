"""What sparsemax and entmax have of their own: the projection, optimality, the derivative in alpha, kinks."""

import inspect
import math
import pickle

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special
from axis_cases import CASES, EPS, FLOAT, ROWS, check_examples, entmax_oracle, random
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from jaxact.activations import sparse
from jaxact.activations.normalized import softmax
from jaxact.activations.sparse import entmax, entmax15, sparsemax
from jaxact.errors import InputError

ENTMAX = {
    "sparsemax": 2,
    "entmax15": 1.5,
    "entmax, 1": 1,
    "entmax, 1.25": 1.25,
    "entmax, 2": 2,
    "entmax, 2.5": 2.5,
}


def projected(x):
    """Projection onto the simplex by sorting, in float64."""
    descending = np.sort(x)[::-1]
    taus = (np.cumsum(descending) - 1) / np.arange(1, len(x) + 1)
    return np.maximum(x - taus[descending > taus][-1], 0)


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_sparsemax_is_the_projection(row):
    padded = np.full(12, -math.inf)
    padded[: len(row)] = row
    np.testing.assert_allclose(sparsemax(padded.astype(FLOAT))[: len(row)], projected(np.array(row)), atol=2e-4)


def test_sparsemax_of_many():
    for n, scale in ((5000, 1e-4), (5000, 0.1), (50_000, 1.0)):
        x = random(n, scale=scale)
        np.testing.assert_allclose(sparsemax(x), projected(np.asarray(x, float)), atol=2 * EPS)
    geometric = -jnp.asarray(0.5 ** np.arange(24), FLOAT)  # each step of Newton's method drops few entries
    np.testing.assert_allclose(sparsemax(geometric), projected(np.asarray(geometric, float)), atol=4 * EPS)


@pytest.mark.parametrize("name", ENTMAX)
def test_entmax_meets_its_optimality_condition(name):
    """On the support p**(alpha - 1) - (alpha - 1) x is one number; elsewhere x is below it."""
    excess = ENTMAX[name] - 1
    for x in (random(3000, scale=0.01), random(3000), random(3000, scale=10.0)):
        p = np.asarray(CASES[name][0](x), np.float64)
        if excess == 0:
            np.testing.assert_allclose(p, scipy.special.softmax(np.asarray(x, float)), rtol=64 * EPS)
            continue
        tau = excess * np.asarray(x, float) - p**excess
        support = p > 0
        np.testing.assert_allclose(tau[support], tau[support].max(), atol=40 * EPS * max(1, abs(tau).max()))
        assert (excess * np.asarray(x, float)[~support] <= tau[support].max() + 40 * EPS).all()


def test_entmax_is_continuous_in_alpha():
    x = random(50)
    np.testing.assert_allclose(entmax(x, 1.0), softmax(x), rtol=16 * EPS)
    np.testing.assert_allclose(entmax(x, 1 + 2 * EPS), softmax(x), rtol=1e-4, atol=4 * EPS)
    np.testing.assert_allclose(entmax(x, 2.0), sparsemax(x), atol=4 * EPS)
    np.testing.assert_allclose(entmax(x, 2 + 2 * EPS), sparsemax(x), atol=16 * EPS)
    np.testing.assert_array_equal(entmax(x), entmax15(x))
    np.testing.assert_array_equal(entmax(x, 1e6), x == x.max())


@pytest.mark.parametrize("alpha", [1.0, 1.25, 1.5, 2.0, 2.5])
@pytest.mark.parametrize("row", ROWS[:4], ids=str)
def test_derivative_in_alpha(alpha, row):
    """Against differences of the oracle, from the right: below 1 the definition ends."""
    with mpmath.workdps(60), jax.enable_x64(True):
        h = mpmath.mpf(10) ** -12
        points = [entmax_oracle([mpmath.mpf(v) for v in row], alpha + k * h) for k in (0, 1, 2)]
        true = [float((4 * b - 3 * a - c) / (2 * h)) for a, b, c in zip(*points, strict=True)]
        for jacobian in (jax.jacfwd, jax.jacrev):
            got = jacobian(lambda alpha: entmax(jnp.array(row), alpha))(alpha)
            np.testing.assert_allclose(got, true, rtol=1e-9, atol=1e-9)
            got = jacobian(lambda alpha: entmax(jnp.array(row, jnp.float32), alpha))(jnp.float32(alpha))
            np.testing.assert_allclose(got, true, rtol=2e-5, atol=2e-6)


@pytest.mark.usefixtures("compiled_fast")
@pytest.mark.parametrize("alpha", [1.01, 1.25, 1.5, 2.0, 2.5])
def test_derivatives_in_x_and_alpha_against_finite_differences(alpha):
    with jax.enable_x64(True):
        x = jnp.array([0.35, -0.2, 0.9, 0.4, -4.0])
        check_grads(entmax, (x, alpha), order=2, modes=["fwd", "rev"], atol=1e-4, rtol=1e-4, eps=1e-5)


def test_kinks_of_sparsemax():
    """An entry at the threshold is outside of the support."""
    x = jnp.array([1.0, 0.0])
    np.testing.assert_array_equal(sparsemax(x), [1, 0])
    np.testing.assert_array_equal(jax.jacobian(sparsemax)(x), 0)
    np.testing.assert_array_equal(jax.jacobian(sparsemax)(jnp.array([0.5, 0.0])), [[0.5, -0.5], [-0.5, 0.5]])


def test_alpha_below_1():
    with pytest.raises(InputError, match=r"^alpha must be finite and at least 1, got 0\.5$"):
        entmax(jnp.ones(3), 0.5)
    assert jnp.isnan(entmax(jnp.ones(3), jnp.array(0.5))).all()


X = jnp.ones((2, 4))
WRONG = {
    "no axis": (lambda: sparsemax(1.0), r"axis -1 is out of range for x of shape \(\)"),
    "mask": (lambda: entmax15(X, where=X[:, :3] > 0), r"where of shape \(2, 3\) does not broadcast .*\(2, 4\)"),
    "alpha": (lambda: entmax(X, 0.99), r"alpha must be finite and at least 1, got 0\.99"),
    "alphas": (lambda: entmax(X, X), r"alpha must be a number, or one for each row, of shape \(2, 1\), got .*"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_errors_are_one_line(wrong):
    call, message = WRONG[wrong]
    with pytest.raises(InputError, match=f"^{message}$") as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("fn", [sparsemax, entmax15, entmax], ids=lambda fn: fn.__name__)
def test_plain_function_with_a_full_docstring(fn):
    assert pickle.loads(pickle.dumps(fn)) is fn
    for section in (".. math::", "Args:", "Returns:", "Raises:", "Examples:"):
        assert section in fn.__doc__
    for parameter in inspect.signature(fn).parameters:
        assert f"      {parameter}: " in fn.__doc__


def test_examples_in_docstrings():
    check_examples(sparse)
