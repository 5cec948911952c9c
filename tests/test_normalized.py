"""The laws of the distributions along an axis: values, derivatives, masks, extremes, axes, dtypes, samples."""

import functools
import inspect
import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from axis_cases import (
    CASES,
    EPS,
    FLOAT,
    ROWS,
    check_examples,
    exact,
    exact_jacobian,
    is_log,
    is_sparse,
    random,
)
from jax.test_util import check_grads

from jaxact.activations import normalized
from jaxact.activations.normalized import gumbel_softmax, log_softmax, softmax, softmin, taylor_softmax
from jaxact.activations.sparse import entmax
from jaxact.errors import InputError

INF = math.inf
NAMES = pytest.mark.parametrize("name", CASES)
SUM_TO_1 = [name for name in CASES if not is_log(name) and "off" not in name]


@NAMES
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_value_and_jacobian_against_mpmath(name, row):
    fn, row = CASES[name][0], np.asarray(row, FLOAT)
    p, true = exact(name, row), exact_jacobian(name, row)
    if is_sparse(name):
        # A probability is a power of a difference: the best to ask for is the error that rounded inputs make.
        gain = 1 + np.abs(true).max()
        slack, slopes = 4 * EPS * gain, 32 * EPS * gain**2
    else:
        digits = 16 + 2 * np.abs(
            p if is_log(name) else np.log(p)
        )  # the exponential magnifies the error of its input
        slack, slopes = EPS * digits * np.abs(p), 4 * EPS * digits.max() * np.abs(true) + 1e-37
        slopes = slopes + (64 * EPS if "taylor" in name else 0)
    assert (np.abs(fn(row) - p) <= slack).all()
    for jacobian in (jax.jacfwd(fn), jax.jacrev(fn)):
        assert (np.abs(jacobian(jnp.asarray(row)) - true) <= slopes).all()


def test_agrees_with_jax_nn_and_scipy():
    x = random(5, 7)
    where = np.random.default_rng(1).random((5, 7)) < 0.6
    where[:, 0] = True
    weights = random(5, 7, seed=2)

    def loss(x, f):
        return jnp.where(where, f(x, -1, where) * weights, 0).sum()

    for ours, theirs, scipy_s in (
        (softmax, jax.nn.softmax, scipy.special.softmax),
        (log_softmax, jax.nn.log_softmax, scipy.special.log_softmax),
    ):
        signatures = [list(inspect.signature(f).parameters.values()) for f in (ours, theirs)]
        heads = [[(p.name, p.default, p.kind) for p in s[: len(signatures[1])]] for s in signatures]
        assert heads[0] == heads[1]
        for axis in (-1, 0, (0, 1), None):
            np.testing.assert_allclose(ours(x, axis), theirs(x, axis), rtol=1e-5, atol=1e-7)
            np.testing.assert_allclose(ours(x, axis), scipy_s(np.asarray(x, float), axis), rtol=1e-5, atol=1e-7)
            np.testing.assert_allclose(ours(x, axis, where), theirs(x, axis, where), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(jax.grad(loss)(x, ours), jax.grad(loss)(x, theirs), rtol=1e-4, atol=1e-6)


def test_digits_that_jax_nn_loses():
    """The reason for differentiating the largest entry too, and for log1p."""
    x = jnp.array([20.0, 0.0], jnp.float32)
    true = 2.0611536181902037e-09
    assert jax.jacobian(jax.nn.softmax)(x)[0, 0] == 0 == jax.nn.log_softmax(x)[0]
    np.testing.assert_allclose(jax.jacobian(softmax)(x), [[true, -true], [-true, true]], rtol=1e-6)
    np.testing.assert_allclose(log_softmax(x)[0], -true, rtol=1e-6)
    np.testing.assert_allclose(jax.grad(lambda x: log_softmax(x)[0])(x), [true, -true], rtol=1e-6)


@pytest.mark.usefixtures("compiled_fast")
@NAMES
def test_hessian_against_differences_of_the_jacobian(name):
    fn, h = CASES[name][0], 1e-5
    with jax.enable_x64(True):
        for row in (ROWS[1], [0.5, 0.5, 0.1, -0.3]):
            x = jnp.array(row)
            high, low = (jax.vmap(jax.jacrev(fn))(jnp.tile(x, (4, 1)) + s * h * jnp.eye(4)) for s in (1, -1))
            expected = jnp.moveaxis(high - low, 0, -1) / (2 * h)
            for hessian in (jax.hessian(fn), jax.jacrev(jax.jacrev(fn))):
                np.testing.assert_allclose(hessian(x), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.usefixtures("compiled_fast")
@pytest.mark.parametrize("fn", [softmax, log_softmax])
@pytest.mark.parametrize("off_by_one", [False, True])
def test_temperature_is_differentiable(fn, off_by_one):
    with jax.enable_x64(True):
        x = random(2, 5).astype(float)

        def f(x, t):
            return fn(x, temperature=t, off_by_one=off_by_one)

        check_grads(f, (x, jnp.array([[0.7], [2.0]])), order=1)


def test_second_derivative_at_ties():
    """Each of several largest entries counts, with all its derivatives."""
    with jax.enable_x64(True):
        x = jnp.array([1.0, 1.0, 1.0])
        p = 1 / 3
        np.testing.assert_allclose(jax.hessian(lambda x: log_softmax(x)[0])(x), p * p - p * np.eye(3), atol=1e-15)


@pytest.mark.parametrize("name", SUM_TO_1)
@pytest.mark.parametrize("n", [1, 2, 17, 1000])
def test_sums_to_1(name, n):
    for scale in (0.0, 1e-3, 1.0, 30.0):
        p = np.asarray(CASES[name][0](random(8, n, scale=scale)), np.float64)
        assert p.min() >= 0
        np.testing.assert_allclose(p.sum(-1), 1, rtol=0, atol=8 * EPS)


@pytest.mark.usefixtures("compiled_fast")
@NAMES
def test_axes(name):
    fn, x = CASES[name][0], random(3, 4, 5)
    for axis in (0, 1, -2):
        moved = jnp.moveaxis(fn(jnp.moveaxis(x, axis, -1)), -1, axis)
        np.testing.assert_allclose(fn(x, axis=axis), moved, rtol=8 * EPS, atol=EPS)
    if name.startswith(("sparse", "entmax")):
        with pytest.raises(InputError, match=r"^axis must be an integer, got \(0, 1\)$"):
            fn(x, axis=(0, 1))
        return
    flat = fn(x.reshape(12, 5), axis=0).reshape(3, 4, 5)
    np.testing.assert_allclose(fn(x, axis=(0, 1)), flat, rtol=8 * EPS)
    np.testing.assert_allclose(fn(x, axis=(-2, 0)), flat, rtol=8 * EPS)
    np.testing.assert_allclose(fn(x, axis=None), fn(x.ravel()).reshape(x.shape), rtol=8 * EPS)


@NAMES
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_narrow_dtypes_are_rounded_once(name, dtype):
    fn, x = CASES[name][0], random(8, 33, scale=3.0).astype(dtype)
    wide = x.astype(jnp.float32)
    weights = random(8, 33, seed=1).astype(jnp.float32)
    grad = jax.grad(lambda x: (fn(x).astype(jnp.float32) * weights.astype(dtype).astype(jnp.float32)).sum())
    for f in (fn, grad) if dtype == jnp.bfloat16 else (fn,):
        assert f(x).dtype == dtype
        np.testing.assert_array_equal(f(x), f(wide).astype(dtype))


@pytest.mark.usefixtures("compiled_fast")
@NAMES
def test_what_is_taken(name):
    fn = CASES[name][0]
    for x in (jnp.arange(4), np.arange(4), np.array([True, False]), np.arange(3, dtype=np.uint8)):
        assert fn(x).dtype == FLOAT
        np.testing.assert_array_equal(fn(x), fn(x.astype(FLOAT)))
    for x in (1j, "1", None, [1.0, 2.0]):
        with pytest.raises(TypeError, match=r"^x must be"):
            fn(x)
    weak = jnp.full(4, 0.5)
    assert weak.weak_type
    assert fn(weak).weak_type
    assert jax.jit(fn)(weak).weak_type
    assert not fn(jnp.ones(4)).weak_type


@pytest.mark.usefixtures("compiled_fast")
@NAMES
def test_transformations_agree(name):
    fn, x, v = CASES[name][0], random(4, 6), random(4, 6, seed=1)
    close = functools.partial(np.testing.assert_allclose, rtol=32 * EPS, atol=4 * EPS)
    close(jax.jit(fn)(x), fn(x))
    close(jax.vmap(fn)(x), fn(x))
    close(jnp.stack([fn(row) for row in x]), fn(x))
    tangent = jax.jvp(fn, (x,), (v,))[1]
    jacobians = jax.vmap(jax.jacfwd(fn))(x), jax.vmap(jax.jacrev(fn))(x)
    close(*jacobians)
    close(jnp.einsum("bij,bj->bi", jacobians[0], v, precision="highest"), tangent, atol=32 * EPS)
    close(jax.grad(lambda x: (jax.checkpoint(fn)(x) * v).sum())(x), jax.vjp(fn, x)[1](v)[0])


@pytest.mark.usefixtures("compiled_fast")
@pytest.mark.parametrize(
    ("fn", "key"),
    [(softmax, "temperature"), (log_softmax, "temperature"), (softmin, "temperature"), (entmax, "alpha")],
)
def test_one_parameter_for_each_row(fn, key):
    def f(x, p, **options):
        return fn(x, **{key: p}, **options)

    x, per_row = random(4, 6), jnp.asarray([[1.0], [1.25], [2.0], [3.5]], FLOAT)
    close = functools.partial(np.testing.assert_allclose, rtol=16 * EPS, atol=2 * EPS)
    rows = jnp.stack([f(row, float(p)) for row, p in zip(x, per_row[:, 0], strict=True)])
    close(f(x, per_row), rows)
    close(f(x.T, per_row.T, axis=0), rows.T)
    close(jax.vmap(f)(x, per_row[:, 0]), rows)
    slope = jax.grad(lambda p, x: (f(x, p) ** 2).sum())
    close(slope(per_row, x)[:, 0], jax.vmap(slope)(per_row[:, 0], x), rtol=1e-5, atol=1e-6)


def test_gumbel_softmax_samples_the_softmax():
    x = jnp.array([0.5, -1.0, 2.0, -jnp.inf])
    keys = jax.random.split(jax.random.key(0), 20_000)
    for temperature in (0.5, 5.0):
        draws = jax.vmap(lambda key, t=temperature: gumbel_softmax(key, x, t, hard=True))(keys)
        assert set(np.unique(draws)) == {0, 1}
        np.testing.assert_array_equal(draws.sum(-1), 1)
        p = np.asarray(softmax(x))
        assert (np.abs(draws.mean(0) - p) <= 4 * np.sqrt(p * (1 - p) / len(keys))).all()


def test_gumbel_softmax_is_straight_through():
    key, x, weights = jax.random.key(1), random(5, 4), random(5, 4, seed=1)
    soft, hard = (functools.partial(gumbel_softmax, key, temperature=0.7, hard=h) for h in (False, True))
    np.testing.assert_allclose(soft(x).sum(-1), 1, rtol=4 * EPS)
    np.testing.assert_array_equal(hard(x).argmax(-1), soft(x).argmax(-1))
    slopes = [jax.grad(lambda x, f=f: (f(x) * weights).sum())(x) for f in (soft, hard)]
    np.testing.assert_array_equal(*slopes)
    noise = jax.random.gumbel(key, x.shape, FLOAT)
    np.testing.assert_allclose(soft(x), softmax(x + noise, temperature=0.7), rtol=8 * EPS)
    assert gumbel_softmax(key, x.astype(jnp.bfloat16)).dtype == jnp.bfloat16
    assert gumbel_softmax(key, x, axis=0, hard=True).sum() == 4
    np.testing.assert_array_equal(gumbel_softmax(key, jnp.full(3, -INF), hard=True), 0)


X = jnp.ones((2, 4))
WRONG = {
    "axis": (lambda: softmax(X, 2), r"axis 2 is out of range for x of shape \(2, 4\)"),
    "axes": (lambda: softmax(X, (1, -1)), r"axis \(1, -1\) names an axis of x of shape \(2, 4\) twice"),
    "mask of numbers": (lambda: softmax(X, where=X), r"where must be an array of bools.*got dtype float\d\d"),
    "long mask": (
        lambda: softmax(X, where=X[None] > 0),
        r"where of shape \(1, 2, 4\) does not broadcast .*\(2, 4\)",
    ),
    "temperature": (lambda: softmin(X, temperature=0), r"temperature must be finite and above 0, got 0"),
    "no temperature": (
        lambda: softmax(X, temperature=math.nan),
        r"temperature must be finite and above 0, got nan",
    ),
    "temperatures": (
        lambda: log_softmax(X, temperature=jnp.ones(2)),
        r"temperature must be a number, or one for each row, of shape \(2, 1\), got shape \(2,\)",
    ),
    "noise": (
        lambda: gumbel_softmax(jax.random.key(0), X, -1.0),
        r"temperature must be finite and above 0, got -1\.0",
    ),
    "odd order": (lambda: taylor_softmax(X, order=3), r"order must be an even positive integer, got 3"),
    "order": (lambda: taylor_softmax(X, order=0), r"order must be an even positive integer, got 0"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_errors_are_one_line(wrong):
    call, message = WRONG[wrong]
    with pytest.raises(InputError, match=f"^{message}$") as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "fn", [softmax, log_softmax, softmin, taylor_softmax, gumbel_softmax], ids=lambda fn: fn.__name__
)
def test_plain_function_with_a_full_docstring(fn):
    assert pickle.loads(pickle.dumps(fn)) is fn
    for section in (".. math::", "Args:", "Returns:", "Raises:", "Examples:"):
        assert section in fn.__doc__
    for parameter in inspect.signature(fn).parameters:
        assert f"      {parameter}: " in fn.__doc__


def test_examples_in_docstrings():
    check_examples(normalized)
