"""Masks, rows without entries, infinite and huge entries of the distributions along an axis."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from axis_cases import BIG, CASES, EPS, FLOAT, is_log, random

from jaxact.activations.normalized import log_softmax, softmax, softmin
from jaxact.activations.sparse import entmax

pytestmark = pytest.mark.usefixtures("compiled_fast")

INF = math.inf
NAMES = pytest.mark.parametrize("name", CASES)
SUM_TO_1 = [name for name in CASES if not is_log(name) and "off" not in name]


@NAMES
def test_extremes(name):
    """Finite entries never overflow, in the value or a derivative, also that in the parameter."""
    fn = CASES[name][0]
    x = jnp.asarray([[BIG, 1.0, -BIG], [1e38, 1e38, -1e38], [-1e38, -1e38, -3e38], [0, -0.0, 1e-38]], FLOAT)
    with jax.debug_nans(True):
        y, pull = jax.vjp(fn, x)
        values = [y, pull(jnp.ones_like(x))[0], jax.jvp(fn, (x,), (jnp.ones_like(x),))[1]]
        values.append(jax.hessian(lambda x: jnp.where(jnp.isfinite(fn(x)), fn(x), 0).sum())(x[0]))
    for v in values:
        assert not jnp.isnan(v).any()
    if name in SUM_TO_1:
        np.testing.assert_allclose(y.sum(-1), 1, rtol=4 * EPS)
        second = [1 / 3] * 3 if "taylor" in name else [0, 0, 1] if name == "softmin" else [0.5, 0.5, 0]
        np.testing.assert_allclose(y[1], second, rtol=4 * EPS)


@pytest.mark.parametrize("fn", [softmax, log_softmax, softmin, entmax])
def test_parameter_gradients_at_extremes(fn):
    x = jnp.asarray([BIG, 1.0, -BIG], FLOAT)
    name = "alpha" if fn is entmax else "temperature"
    with jax.debug_nans(True):
        for p in (1.25, 3.0):
            for jacobian in (jax.jacfwd, jax.jacrev):
                slope = jacobian(
                    lambda p: jnp.exp(fn(x, **{name: p})) if fn is log_softmax else fn(x, **{name: p})
                )
                assert not jnp.isnan(slope(p)).any()


@pytest.mark.as_users_compile  # the Taylor softmax of a part and of a whole row differ by more, else
@NAMES
def test_mask_is_leaving_out(name):
    fn, empty = CASES[name][0], -INF if is_log(name) else 0
    x = random(6, 7)
    where = np.random.default_rng(3).permuted(np.tile([True] * 4 + [False] * 3, (6, 1)), axis=1)
    poisoned = jnp.where(where, x, jnp.tile(jnp.array([jnp.nan, INF, -INF, BIG, 1.0, 1e30, -1.0], FLOAT), (6, 1)))
    weights = random(6, 7, seed=1)

    def loss(x, **options):
        return jnp.where(jnp.isfinite(y := fn(x, **options)), y * weights[: len(x)], 0).sum()

    got, slope = fn(poisoned, where=where), jax.grad(loss)(poisoned, where=where)

    def row_loss(row, weights):
        return (fn(row) * weights).sum()

    for i, kept in enumerate(where):
        np.testing.assert_allclose(got[i, kept], fn(x[i, kept]), rtol=16 * EPS, atol=EPS)
        np.testing.assert_array_equal(got[i, ~kept], empty)
        np.testing.assert_allclose(
            slope[i, kept], jax.grad(row_loss)(x[i, kept], weights[i, kept]), rtol=1e-5, atol=64 * EPS
        )
        np.testing.assert_array_equal(slope[i, ~kept], 0)
    if name != "softmin":  # for which they are infinite on the other side
        below = jnp.where(where, x, -INF)
        np.testing.assert_array_equal(fn(below), got)
        np.testing.assert_array_equal(jax.grad(loss)(below), slope)
    np.testing.assert_array_equal(fn(x, where=where[0]), fn(x, where=np.broadcast_to(where[0], x.shape)))


@NAMES
def test_row_without_entries(name):
    fn, empty = CASES[name][0], -INF if is_log(name) else 0
    x = random(2, 4)
    where = jnp.array([[False] * 4, [True, False, True, True]])

    def value(x, **options):
        return jnp.where(jnp.isfinite(y := fn(x, **options)), y, 0)

    with jax.debug_nans(True):
        got = fn(x, where=where)
        slope = jax.jacrev(value)(x, where=where)
        assert not jnp.isnan(jax.jacfwd(value)(x, where=where)).any()
        assert not jnp.isnan(jax.hessian(value)(x, where=where)).any()
        nothing = jnp.full(4, INF if name == "softmin" else -INF)
        np.testing.assert_array_equal(fn(nothing), empty)
        np.testing.assert_array_equal(jax.jacrev(value)(nothing), 0)
    np.testing.assert_array_equal(got[0], empty)
    np.testing.assert_array_equal(slope[0], 0)
    np.testing.assert_array_equal(slope[:, :, 0], 0)
    np.testing.assert_allclose(got[1, where[1]], fn(x[1, where[1]]), rtol=16 * EPS, atol=EPS)
    assert fn(jnp.ones((3, 0))).shape == (3, 0)
    assert fn(jnp.ones((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("name", [name for name in SUM_TO_1 if name not in ("softmin",)])
def test_infinite_and_nan_entries(name):
    fn = CASES[name][0]
    np.testing.assert_array_equal(fn(jnp.array([INF, 1.0, -INF])), [1, 0, 0])
    np.testing.assert_array_equal(fn(jnp.array([INF, 1.0, INF])), [0.5, 0, 0.5])
    assert jnp.isfinite(jax.jacobian(fn)(jnp.array([INF, 1.0, -INF]))).all()
    got = fn(jnp.array([[1.0, jnp.nan], [1.0, 1.0]]))
    assert jnp.isnan(got[0]).all()
    np.testing.assert_array_equal(got[1], 0.5)


def test_log_softmax_at_infinity():
    got = log_softmax(jnp.array([INF, 1.0, -INF]))
    assert got[0] == 0
    assert got[1] <= -0.99 * BIG
    assert got[2] == -INF
    assert jnp.isnan(log_softmax(jnp.array([1.0, jnp.nan]))).all()
