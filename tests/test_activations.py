"""The laws of every activation: values, derivatives, limits, kinks, dtypes and transformations."""

import doctest
import functools
import importlib
import inspect
import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import SPECS, VARIANTS, oracle, points_of, row_of, ulps
from jax.test_util import check_grads

import jaxact
from jaxact.testing.measure import BARS, measure, samples_of
from jaxact.testing.reference import truth

FLOAT = jnp.zeros(()).dtype
INF = math.inf

# Value, first and second derivative at minus and plus infinity.
LIMITS = {
    "identity": ((-INF, 1, 0), (INF, 1, 0)),
    "exp": ((0, 0, 0), (INF, INF, INF)),
    "log1mexp": (None, (0, 0, 0)),
    "sigmoid": ((0, 0, 0), (1, 0, 0)),
    "tanh": ((-1, 0, 0), (1, 0, 0)),
    "erf": ((-1, 0, 0), (1, 0, 0)),
    "soft_sign": ((-1, 0, 0), (1, 0, 0)),
    "hard_tanh": ((-1, 0, 0), (1, 0, 0)),
    "hard_sigmoid": ((0, 0, 0), (1, 0, 0)),
    "sparse_sigmoid": ((0, 0, 0), (1, 0, 0)),
    "relu": ((0, 0, 0), (INF, 1, 0)),
    "relu6": ((0, 0, 0), (6, 0, 0)),
    "leaky_relu": ((-INF, 0.01, 0), (INF, 1, 0)),
    "elu": ((-1, 0, 0), (INF, 1, 0)),
    "celu": ((-1, 0, 0), (INF, 1, 0)),
    "selu": ((-1.7580993408473766, 0, 0), (INF, 1.0507009873554805, 0)),
    "softplus": ((0, 0, 0), (INF, 1, 0)),
    "log_sigmoid": ((-INF, 1, 0), (0, 0, 0)),
    "squareplus": ((0, 0, 0), (INF, 1, 0)),
    "sparse_plus": ((0, 0, 0), (INF, 1, 0)),
    "silu": ((0, 0, 0), (INF, 1, 0)),
    "gelu": ((0, 0, 0), (INF, 1, 0)),
    "gelu(approximate=False)": ((0, 0, 0), (INF, 1, 0)),
    "mish": ((0, 0, 0), (INF, 1, 0)),
    "hard_silu": ((0, 0, 0), (INF, 1, 0)),
    "hard_shrink": ((-INF, 1, 0), (INF, 1, 0)),
    "soft_shrink": ((-INF, 1, 0), (INF, 1, 0)),
    "tanh_shrink": ((-INF, 1, 0), (INF, 1, 0)),
    "threshold": ((0, 0, 0), (INF, 1, 0)),
}

# The derivative that is taken where there is none.
KINKS = {name: dict(zip(r.kinks, r.kink_slopes, strict=True)) for name, r in jaxact.ACTIVATIONS.items() if r.kinks}

# Tails in which the derivative of jax.nn is exactly 0 in float32 although the true one is a normal number.
TAILS = {"sigmoid": 18.7, "tanh": 10.7, "elu": -18.7, "selu": -18.7, "gelu": -6.0, "celu": -18.7}

# jax.nn leaves log1mexp undefined below 0.
IN_JAX_NN = sorted(n for n in dir(jaxact.activations) if callable(getattr(jax.nn, n, None)) and n != "log1mexp")
IN_JAX_NN = [name for name in IN_JAX_NN if name in jaxact.ACTIVATIONS]


def orders(fn):
    return [fn, jaxact.derivative(fn), jaxact.derivative(fn, 2)]


@functools.cache
def program(spec):
    return jax.jit(lambda x: [f(x) for f in orders(jaxact.get(spec))])


def results(spec, xs):
    """Value and two derivatives at up to 32 inputs, by a program that is compiled once, [3, n]."""
    padded = np.concatenate([xs, np.full(32 - len(xs), 0.5)])
    return np.stack(program(spec)(jnp.asarray(padded, FLOAT)))[:, : len(xs)]


@pytest.mark.parametrize("spec", SPECS)
def test_value_and_derivatives_against_the_truth(spec):
    accuracy = measure(jaxact.get(spec), samples_of(spec, FLOAT, dense=101))
    assert all(BARS[FLOAT.name].passed(accuracy)), accuracy


@pytest.mark.parametrize("spec", SPECS)
def test_narrow_values_and_derivatives_against_the_truth(spec):
    """A share of the inputs; `jaxact accuracy --dtype bfloat16 float16` takes all."""
    for dtype, stride in ((jnp.bfloat16, 31), (jnp.float16, 61)):
        accuracy = measure(jaxact.get(spec), samples_of(spec, dtype, stride=stride))
        assert all(BARS[jnp.dtype(dtype).name].passed(accuracy)), accuracy


@pytest.mark.parametrize(
    "spec", ["sigmoid", "gelu(approximate=False)", "mish", "telu", "golu", "squareplus", "elish"]
)
def test_the_truth_is_that_of_mpmath(spec):
    row, xs = row_of(spec), points_of(spec, np.float64)[::5]
    exact = truth(row.formula, row.parameters | dict(getattr(jaxact.get(spec), "config", ())), xs)
    for order in range(3):
        np.testing.assert_allclose(exact.high[order], [float(oracle(spec, order)(x)) for x in xs], rtol=1e-14)


@pytest.mark.parametrize("spec", LIMITS)
def test_limits(spec):
    for got, expected in zip(results(spec, [-INF, INF]).T, LIMITS[spec], strict=True):
        if expected is not None:
            np.testing.assert_allclose(got, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", sorted(jaxact.ACTIVATIONS.keys() - {"sine", "cos", "gcu", "snake"}))
def test_infinity_is_the_limit_of_large_inputs(name):
    low, high = jaxact.ACTIVATIONS[name].domain
    ends = [end for end in (-INF, INF) if low <= end <= high]
    before = results(name, [math.copysign(1e30, end) for end in ends])
    for at_end, near in zip(results(name, ends).ravel(), before.ravel(), strict=True):
        assert not math.isnan(at_end)
        if math.isinf(at_end):  # it goes there, however slowly
            assert near == at_end or math.copysign(1, near) == math.copysign(1, at_end)
        else:
            np.testing.assert_allclose(near, at_end, rtol=1e-6, atol=1e-29)


@pytest.mark.parametrize("spec", SPECS)
def test_total(spec):
    """NaN gives NaN; no finite input gives NaN, in the value or in two derivatives.

    A derivative that is a constant between kinks is one of these constants at NaN, as in `jax.nn`.
    """
    (low, high), big = row_of(spec).domain, float(jnp.finfo(FLOAT).max)
    xs = [s * m for s in (-1, 1) for m in (0.0, 1e-38, 1e-5, 0.1, 3.0, 88.8, 104.0, 1e4, 1e19, 1e30, 3e19, big)]
    with jax.debug_nans(True):
        results(spec, [x for x in xs if low < x < high])
    value, *slopes = results(spec, [math.nan])[:, 0]
    assert np.isnan(value)
    for slope, elsewhere in zip(slopes, results(spec, points_of(spec)[::2])[1:], strict=True):
        assert np.isnan(slope) or (slope in elsewhere and len(np.unique(elsewhere)) <= 3)


@pytest.mark.parametrize("name", KINKS)
def test_kinks(name):
    row = jaxact.ACTIVATIONS[name]
    assert sorted(row.kinks) == sorted(KINKS[name])
    for x, slope in KINKS[name].items():
        got = jax.grad(row.function)(float(x))
        np.testing.assert_allclose(got, slope, rtol=1e-6, atol=0)
        if name in IN_JAX_NN:
            np.testing.assert_allclose(got, jax.grad(getattr(jax.nn, name))(float(x)), rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", TAILS)
def test_tails_where_jax_nn_loses_the_derivative(name):
    """The reason for the derivative rules: without them these gradients are rounding errors."""
    x = jnp.float32(TAILS[name])
    assert jax.grad(getattr(jax.nn, name))(x) == 0
    assert ulps(jax.grad(jaxact.get(name))(x), oracle(name, 1)(x), jnp.float32) <= BARS["float32"].ulp[1]


@pytest.mark.parametrize("name", IN_JAX_NN)
def test_drop_in_for_jax_nn(name):
    """Names, parameters, defaults, values and gradients are those of jax.nn where jax.nn is right."""
    ours, theirs = getattr(jaxact, name), getattr(jax.nn, name)
    bare = [[(p.name, p.default) for p in inspect.signature(f).parameters.values()] for f in (ours, theirs)]
    assert bare[0] == bare[1]
    x = jnp.arange(-80, 81) / 20  # includes every kink
    np.testing.assert_allclose(ours(x), theirs(x), rtol=2e-4, atol=2e-7)
    np.testing.assert_allclose(jaxact.derivative(ours)(x), jaxact.derivative(theirs)(x), rtol=2e-3, atol=1e-6)


def test_every_elementwise_function_of_jax_nn_is_here():
    not_elementwise = {
        *("dot_product_attention", "get_scaled_dot_general_config", "glu", "initializers", "log_softmax"),
        *("logmeanexp", "logsumexp", "one_hot", "scaled_dot_general", "scaled_matmul", "softmax", "standardize"),
    }
    assert {n for n in dir(jax.nn) if not n.startswith("_")} - not_elementwise <= set(dir(jaxact))


@pytest.mark.parametrize("spec", SPECS)
def test_transformations_agree(spec):
    """However it is transformed, in one program with all other ways, a function stays what it is."""
    fn = jaxact.get(spec)

    @jax.jit
    def transformed(x):
        rows, one = x.reshape(2, -1), jnp.ones_like(x)
        value = {
            "vmap": jax.vmap(jax.vmap(fn))(rows).ravel(),
            "jvp": jax.jvp(fn, (x,), (one,))[0],
            "vjp": jax.vjp(fn, x)[0],
        }
        slope = {
            "jvp": jax.jvp(fn, (x,), (one,))[1],
            "vjp": jax.vjp(fn, x)[1](one)[0],
            "linearize": jax.linearize(fn, x)[1](one),
            "vmap": jax.vmap(jax.grad(fn))(x),
            "checkpoint": jax.grad(lambda x: jax.checkpoint(fn)(x).sum())(x),
            "scan": jax.lax.scan(lambda carry, x: (carry, jax.grad(fn)(x)), 0, x)[1],
            "jacfwd": jnp.diagonal(jax.jacfwd(fn)(x)),
            "jacrev": jnp.diagonal(jax.jacrev(fn)(x)),
        }
        return value, slope, {"hessian": jnp.diagonal(jax.hessian(lambda x: fn(x).sum())(x))}

    x = jnp.asarray(points_of(spec, FLOAT))[:18]
    for expected, ways in zip(results(spec, x), transformed(x), strict=True):
        for how, got in ways.items():
            np.testing.assert_allclose(got, expected, rtol=2e-6, atol=1e-30, err_msg=how)


@pytest.mark.usefixtures("compiled_fast")
@pytest.mark.parametrize("spec", SPECS)
def test_finite_differences(spec):
    """The gradient-consistency law: both derivatives agree with central differences of the order below."""
    with jax.enable_x64(True):
        x, h = [x for x in (-2.1, -0.7, 0.3, 0.7, 1.3, 2.1) if x > row_of(spec).domain[0]], 1e-5
        run = jax.jit(lambda x: [f(x) for f in orders(jaxact.get(spec))])
        at, before, after = (jax.tree.map(np.asarray, run(jnp.asarray(x) + step)) for step in (0, -h, h))
    for order in (0, 1):
        np.testing.assert_allclose(at[order + 1], (after[order] - before[order]) / (2 * h), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("spec", VARIANTS)
def test_parameters_are_differentiable(spec):
    fn, defaults = row_of(spec).function, row_of(spec).parameters
    config = {key: float(value) for key, value in jaxact.get(spec).config if not isinstance(defaults[key], bool)}
    if not config:
        return
    with jax.enable_x64(True):
        x = jnp.asarray([-2.1, -0.7, 0.3, 1.3])
        check_grads(lambda *p: fn(x, **dict(zip(config, p, strict=True))), tuple(config.values()), order=1)


@pytest.mark.usefixtures("compiled_fast")
@pytest.mark.parametrize("name", jaxact.ACTIVATIONS)
def test_dtypes_and_shapes(name):
    fn = jaxact.ACTIVATIONS[name].function
    kinds = [((), jnp.bfloat16), ((7,), jnp.float16), *((shape, jnp.float32) for shape in ((), (0, 3), (2, 1, 3)))]
    for order, f in enumerate(orders(fn)):
        for shape, dtype in kinds[: 5 - order]:
            got = jax.eval_shape(f, jax.ShapeDtypeStruct(shape, dtype))
            assert (got.shape, got.dtype, got.weak_type) == (shape, dtype, False)
    for x in (jnp.arange(1, 4), np.array([1, 2]), 1, True, np.float16(0.5), jnp.array([True]), np.ones((2, 1, 3))):
        got = jax.eval_shape(functools.partial(fn, x))
        assert jnp.issubdtype(got.dtype, jnp.floating)
        assert got.shape == jnp.shape(x)
    assert jax.eval_shape(lambda: fn(1)).dtype == FLOAT
    assert jax.eval_shape(lambda: fn(0.5)).weak_type


@pytest.mark.parametrize("x", [2, True, 0.5, np.float32(0.5), np.array([1, 2]), np.full((2, 1, 3), 0.5)])
def test_numbers_and_numpy_arrays_give_what_jax_arrays_do(x):
    for f in orders(jaxact.gelu):
        np.testing.assert_array_equal(f(x), f(jnp.asarray(x, jnp.result_type(float, x))))


@pytest.mark.parametrize("x", [1j, jnp.array([1j]), np.array([1j]), "1", None, [1.0], (1.0,), np.array(["a"])])
def test_what_is_no_real_array_is_refused(x):
    for f in (jaxact.relu, jaxact.gelu, jaxact.derivative(jaxact.tanh)):
        with pytest.raises(TypeError, match=r"^x must be"):
            f(x)


@pytest.mark.parametrize("name", jaxact.ACTIVATIONS)
def test_plain_function_with_a_full_docstring(name):
    fn = jaxact.ACTIVATIONS[name].function
    assert pickle.loads(pickle.dumps(fn)) is fn
    assert fn.__name__ == name
    assert name in str(jax.make_jaxpr(fn)(1.0))  # the region keeps its name inside a larger program
    for section in (".. math::", "Args:", "Returns:", "Examples:"):
        assert section in fn.__doc__
    for parameter in inspect.signature(fn).parameters:
        assert f"      {parameter}: " in fn.__doc__


@pytest.mark.parametrize(
    "module",
    sorted(
        {row.function.__module__ for row in jaxact.ACTIVATIONS.values()}
        | {"jaxact.catalog.specs", "jaxact.analysis.derivatives", "jaxact.training.data"}
    ),
)
def test_examples_in_docstrings(module):
    module = importlib.import_module(module)
    with jax.enable_x64(False):
        runner = doctest.DocTestRunner()
        for test in doctest.DocTestFinder().find(module, globs=vars(module) | {"jax": jax, "jnp": jnp}):
            runner.run(test)
    assert runner.tries > 0
    assert runner.failures == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sigmoid", [0.26894143, 0.5, 0.7310586]),
        ("tanh", [-0.7615942, 0, 0.7615942]),
        ("relu", [0, 0, 1]),
    ],
)
def test_numbers_of_the_tutorial(name, expected):
    np.testing.assert_allclose(jaxact.get(name)(jnp.array([-1.0, 0.0, 1.0])), expected, rtol=3e-7)


def test_slopes_of_the_tutorial():
    x = jnp.arange(-5000, 5001) / 62.5
    slope = jaxact.derivative(jaxact.sigmoid)(x)
    assert slope.min() > 0
    assert slope.max() == 0.25 == slope[5000]
    assert jaxact.derivative(jaxact.tanh)(x).max() == 1
    np.testing.assert_array_equal(jaxact.derivative(jaxact.relu)(x), x > 0)
