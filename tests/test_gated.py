"""The laws of the gated units: values, derivatives in both inputs, layouts, dtypes and transformations."""

import doctest
import functools
import importlib
import inspect
import math
import pickle

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxact.activations import gated, glu_variants, sigmoidal
from jaxact.activations.gated import glu, glu_with, gtu
from jaxact.activations.glu_variants import bilinear, clamped_swiglu, geglu, reglu, swiglu
from jaxact.errors import InputError

FLOAT = jnp.zeros(()).dtype
BIG = float(jnp.finfo(FLOAT).max)
INF = math.inf


def _sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


def _gelu_tanh(x):
    return x * _sigmoid(2 * mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3))


def _clamped(a, b, alpha, limit=7):
    b = min(b, limit)
    return (min(max(a, -limit), limit) + 1) * b * _sigmoid(alpha * b)


# Each function with its formula in mpmath, of the value and the gate.
CASES = {
    "glu": (glu, lambda a, b: a * _sigmoid(b)),
    "bilinear": (bilinear, lambda a, b: a * b),
    "reglu": (reglu, lambda a, b: a * max(b, 0)),
    "geglu": (geglu, lambda a, b: a * _gelu_tanh(b)),
    "geglu, erf": (functools.partial(geglu, approximate=False), lambda a, b: a * b * mpmath.ncdf(b)),
    "swiglu": (swiglu, lambda a, b: a * b * _sigmoid(b)),
    "swiglu, beta=0": (functools.partial(swiglu, beta=0), lambda a, b: a * b / 2),
    "swiglu, beta=-1.5": (functools.partial(swiglu, beta=-1.5), lambda a, b: a * b * _sigmoid(-1.5 * b)),
    "gtu": (gtu, lambda a, b: mpmath.tanh(a) * _sigmoid(b)),
    "clamped_swiglu": (clamped_swiglu, lambda a, b: _clamped(a, b, mpmath.mpf("1.702"))),
    "clamped_swiglu, 1, 3": (
        functools.partial(clamped_swiglu, alpha=1, limit=3),
        lambda a, b: _clamped(a, b, mpmath.mpf(1), 3),
    ),
    "glu_with(tanh)": (glu_with(sigmoidal.tanh), lambda a, b: a * mpmath.tanh(b)),
}
PLAIN = {"glu": glu, "bilinear": bilinear, "reglu": reglu, "geglu": geglu, "swiglu": swiglu, "gtu": gtu}
PLAIN |= {"clamped_swiglu": clamped_swiglu}
NAMES = pytest.mark.parametrize("name", CASES)

# No kink of any case is among them.
VALUES = (-90.5, -20.25, -3.5, -1e-3, 0.25, 1.75, 6.5, 31.0)
GATES = (-60.25, -18.5, -5.75, -0.7, 1e-4, 0.3, 2.5, 40.0)
PAIRS = np.array([(a, b) for a in VALUES for b in GATES])


def two(name):
    """The function of (value, gate)."""
    fn = CASES[name][0]
    return lambda a, b: fn(a, gate=b)


@NAMES
def test_value_and_both_derivatives_against_mpmath(name):
    f, formula = two(name), CASES[name][1]
    a, b = jnp.asarray(PAIRS.T, FLOAT)
    by_a, by_b = jax.vmap(jax.grad(f, argnums=(0, 1)))(a, b)
    with mpmath.workdps(200):  # 1 - sigmoid(60) has lost 26
        pairs = [(mpmath.mpf(float(x)), mpmath.mpf(float(y))) for x, y in zip(a, b, strict=True)]
        true = [
            [mpmath.diff(formula, pair, order, h=mpmath.mpf(10) ** -50) for pair in pairs]
            for order in ((1, 0), (0, 1))
        ]
        true = [[formula(*pair) for pair in pairs], *true]
    eps, tiny = float(jnp.finfo(FLOAT).eps), float(jnp.finfo(FLOAT).tiny)
    for got, exact in zip((f(a, b), by_a, by_b), true, strict=True):
        np.testing.assert_allclose(
            np.asarray(got, float), np.asarray(exact, float), rtol=16 * eps, atol=200 * tiny
        )


def arranged(name, a, b, axis, gate_first, interleaved):
    first, second = (b, a) if gate_first else (a, b)
    if interleaved:
        return np.stack([first, second], axis % a.ndim + 1).reshape(
            *(2 * n if i == axis % a.ndim else n for i, n in enumerate(a.shape))
        )
    return np.concatenate([first, second], axis)


@NAMES
@pytest.mark.parametrize("axis", [0, 1, -1, -2])
@pytest.mark.parametrize("gate_first", [False, True])
@pytest.mark.parametrize("interleaved", [False, True])
def test_one_array_is_two(name, axis, gate_first, interleaved):
    fn = CASES[name][0]
    a, b = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(FLOAT)
    layout = {"axis": axis, "gate_first": gate_first, "interleaved": interleaved}
    got = fn(arranged(name, a, b, **layout), **layout)
    np.testing.assert_array_equal(got, fn(a, gate=b))


def test_default_layouts():
    """The second half gates, as in jax.nn; in gpt-oss the entries at even places do."""
    x = np.array([1.0, 2.0, 3.0, 4.0], FLOAT)
    for fn in (glu, bilinear, reglu, geglu, swiglu, gtu, glu_with(jnp.tanh)):
        np.testing.assert_array_equal(fn(x), fn(x[:2], gate=x[2:]))
    np.testing.assert_array_equal(clamped_swiglu(x), clamped_swiglu(x[1::2], gate=x[::2]))


def test_drop_in_for_jax_nn_glu():
    ours, theirs = (list(inspect.signature(f).parameters.values()) for f in (glu, jax.nn.glu))
    assert [(p.name, p.default, p.kind) for p in ours[: len(theirs)]] == [
        (p.name, p.default, p.kind) for p in theirs
    ]
    assert all(p.kind is p.KEYWORD_ONLY for p in ours[len(theirs) :])
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 6)), FLOAT)
    for axis in (0, 1, -1, -2):
        np.testing.assert_allclose(glu(x, axis), jax.nn.glu(x, axis), rtol=1e-6)
        ours, theirs = (jax.grad(lambda x, f=f, axis=axis: f(x, axis).sum())(x) for f in (glu, jax.nn.glu))
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_gradient_where_jax_nn_glu_has_none():
    x = jnp.array([1.0, 20.0], jnp.float32)
    assert jax.grad(lambda x: jax.nn.glu(x)[0])(x)[1] == 0
    np.testing.assert_allclose(jax.grad(lambda x: glu(x)[0])(x)[1], 2.0611536181902037e-09, rtol=1e-6)


def test_clamped_swiglu_is_that_of_gpt_oss():
    x = np.random.default_rng(0).normal(0, 8, size=(5, 16)).astype(np.float32)
    gate, linear = (x[:, i::2].astype(np.float64) for i in (0, 1))
    gate, linear = np.minimum(gate, 7), np.clip(linear, -7, 7)
    np.testing.assert_allclose(clamped_swiglu(x), gate / (1 + np.exp(-1.702 * gate)) * (linear + 1), rtol=2e-6)


def test_kinks():
    grad = jax.grad(lambda a, b, f: f(a, gate=b), argnums=(0, 1))
    assert grad(2.0, 0.0, reglu) == (0, 0)
    by_value, by_gate = grad(7.0, 7.0, functools.partial(clamped_swiglu, alpha=0.0))
    assert (by_value, by_gate) == (3.5, 4)  # from inside: b/2 and (a + 1)/2
    assert grad(-7.0, 7.5, functools.partial(clamped_swiglu, alpha=0.0)) == (3.5, 0)


@pytest.mark.usefixtures("compiled_fast")
@NAMES
def test_transformations_agree(name):
    f = two(name)
    a, b = (jnp.asarray(v, FLOAT) for v in ([-2.5, 0.3, 1.75, 6.0], [-3.0, 0.7, 1.3, -8.0]))
    da, db = (jnp.asarray(v, FLOAT) for v in ([1.0, -0.5, 2.0, 0.25], [-1.0, 0.3, 0.7, 1.0]))
    close = functools.partial(np.testing.assert_allclose, rtol=4e-6, atol=1e-12)
    close(jax.jit(f)(a, b), f(a, b))
    close(jax.vmap(f)(a, b), f(a, b))
    by_a, by_b = jax.grad(lambda a, b: f(a, b).sum(), argnums=(0, 1))(a, b)
    close(jax.jvp(f, (a, b), (da, db))[1], by_a * da + by_b * db)
    for got, expected in zip(jax.vjp(f, a, b)[1](da), (by_a * da, by_b * da), strict=True):
        close(got, expected)
    for block in jax.tree.leaves(jax.hessian(lambda a, b: f(a, b).sum(), argnums=(0, 1))(a, b)):
        assert jnp.isfinite(block).all()


@pytest.mark.usefixtures("compiled_fast")
@NAMES
def test_finite_differences(name):
    with jax.enable_x64(True):
        a, b = jnp.array([-2.5, 0.3, 1.75, 6.0]), jnp.array([-3.0, 0.7, 1.3, -8.0])
        check_grads(two(name), (a, b), order=2, modes=["fwd", "rev"], atol=1e-5, rtol=1e-5)


@pytest.mark.usefixtures("compiled_fast")
@pytest.mark.parametrize("fn", [swiglu, clamped_swiglu])
def test_parameters_are_differentiable(fn):
    with jax.enable_x64(True):
        a, b = jnp.array([-9.0, 0.3, 1.75, 8.0]), jnp.array([-3.0, 0.7, 9.0, 8.0])
        names = ("beta",) if fn is swiglu else ("alpha", "limit")
        check_grads(
            lambda *p: fn(a, gate=b, **dict(zip(names, p, strict=True))), (1.3, 5.0)[: len(names)], order=2
        )


@NAMES
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_narrow_dtypes_are_rounded_once(name, dtype):
    f = two(name)
    a, b = (jnp.asarray(np.random.default_rng(i).normal(0, 3, 500), dtype) for i in (0, 1))
    wide = a.astype(jnp.float32), b.astype(jnp.float32)
    grad = jax.grad(lambda a, b: f(a, b).sum(dtype=jnp.float32), argnums=(0, 1))
    for got, expected in zip((f(a, b), *grad(a, b)), (f(*wide), *grad(*wide)), strict=True):
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, expected.astype(dtype))
    assert f(a, wide[1]).dtype == jnp.float32
    np.testing.assert_array_equal(f(a, wide[1]), f(*wide))


@pytest.mark.usefixtures("compiled_fast")
@NAMES
def test_what_is_taken(name):
    fn = CASES[name][0]
    for x in (jnp.arange(4), np.arange(4), np.array([True, False])):
        assert fn(x).dtype == FLOAT
    assert fn(2, gate=True).shape == ()
    assert fn(2.0, gate=3.0).dtype == FLOAT
    assert fn(jnp.ones((3, 0))).shape == (3, 0)
    assert fn(jnp.ones((0, 4))).shape == (0, 2)
    for x in (1j, "1", None, [1.0, 2.0], np.array(["a", "b"])):
        with pytest.raises(TypeError, match=r"^x must be"):
            fn(x)
    for gate in (1j, "1", [1.0, 2.0], np.array(["a", "b"])):
        with pytest.raises(TypeError, match=r"^gate must be"):
            fn(1.0, gate=gate)


def test_numbers_stay_weak():
    assert bilinear(2.0, gate=3.0).weak_type
    assert glu_with(jnp.negative)(2.0, gate=3.0).weak_type


WRONG = {
    "odd": (jnp.ones((2, 3)), {}, r"axis 1 of x must have an even length.*got length 3$"),
    "odd, first": (jnp.ones((3, 2)), {"axis": -2}, r"axis 0 of x must have an even length.*got length 3$"),
    "no axis": (jnp.ones(()), {}, r"axis -1 is out of range for x of shape \(\)$"),
    "axis": (jnp.ones((2, 4)), {"axis": 2}, r"axis 2 is out of range for x of shape \(2, 4\)$"),
    "not an axis": (jnp.ones(4), {"axis": 0.5}, r"axis must be an integer, got 0\.5$"),
    "shapes": (jnp.ones((2, 4)), {"gate": jnp.ones((2, 3))}, r"same shape, got \(2, 4\) and \(2, 3\)$"),
    "no broadcasting": (jnp.ones((2, 4)), {"gate": jnp.ones(4)}, r"same shape, got \(2, 4\) and \(4,\)$"),
}


@NAMES
@pytest.mark.parametrize("wrong", WRONG)
def test_errors_are_one_line(name, wrong):
    x, options, message = WRONG[wrong]
    with pytest.raises(InputError, match=message) as error:
        CASES[name][0](x, **options)
    assert "\n" not in str(error.value)


@NAMES
def test_no_nan_for_finite_inputs(name):
    f = two(name)
    ends = [s * m for s in (-1, 1) for m in (0.0, 1e-38, 1.0, 88.8, 104.0, 1e4, 1e19, BIG)]
    a, b = (jnp.asarray(v.ravel(), FLOAT) for v in np.meshgrid(ends, ends))
    with jax.debug_nans(True):
        y, pull = jax.vjp(f, a, b)
        gradients = pull(jnp.ones_like(a))
        push = jax.jvp(f, (a, b), (jnp.ones_like(a), jnp.zeros_like(b)))[1]
    for values in (y, push, *gradients):
        assert not jnp.isnan(values).any()


def test_limits_at_infinity():
    for fn, low, high in ((glu, 0, 2), (reglu, 0, INF), (geglu, 0, INF), (swiglu, 0, INF), (gtu, 0, math.tanh(2))):
        np.testing.assert_allclose(fn(jnp.array([2.0, 2.0]), gate=jnp.array([-INF, INF])), [low, high], rtol=1e-6)
    np.testing.assert_allclose(clamped_swiglu(INF, gate=INF), 56, rtol=1e-4)
    assert clamped_swiglu(INF, gate=-INF) == 0
    for fn, _ in CASES.values():
        assert jnp.isnan(fn(jnp.nan, gate=1.0))
        assert jnp.isnan(fn(1.0, gate=jnp.nan))


@pytest.mark.parametrize("name", PLAIN)
def test_plain_function_with_a_full_docstring(name):
    fn = PLAIN[name]
    assert pickle.loads(pickle.dumps(fn)) is fn
    assert fn.__name__ == name
    assert hash(fn) == hash(PLAIN[name])
    assert name in str(jax.make_jaxpr(fn)(jnp.ones(2)))
    for section in (".. math::", "Args:", "Returns:", "Raises:", "Examples:", "References:"):
        assert section in fn.__doc__
    for parameter in inspect.signature(fn).parameters:
        assert f"      {parameter}: " in fn.__doc__


def test_glu_with_is_a_value():
    fn = glu_with(sigmoidal.sigmoid)
    x = jnp.arange(6.0)
    np.testing.assert_array_equal(fn(x), glu(x))
    assert fn == glu_with(sigmoidal.sigmoid) != glu_with(sigmoidal.tanh)
    assert {fn: 1}[pickle.loads(pickle.dumps(fn))] == 1
    with pytest.raises(AttributeError):
        fn.fn = sigmoidal.tanh  # pyright: ignore[reportAttributeAccessIssue]
    np.testing.assert_array_equal(jax.jit(lambda f, x: f(x), static_argnums=0)(fn, x), glu(x))
    with pytest.raises(TypeError, match=r"^fn must be callable, got str$"):
        glu_with("sigmoid")  # pyright: ignore[reportArgumentType]


def test_glu_with_sees_what_its_function_holds_now():
    class Slope:
        value = 1.0

        def __call__(self, x):
            return self.value * x

    slope = Slope()
    fn = glu_with(slope)
    x = jnp.array([2.0, 3.0])
    assert fn(x)[0] == 6
    slope.value = 2.0
    assert fn(x)[0] == 12


@pytest.mark.parametrize("module", [gated, glu_variants])
def test_examples_in_docstrings(module):
    module = importlib.import_module(module.__name__)
    with jax.enable_x64(False):
        runner = doctest.DocTestRunner()
        for test in doctest.DocTestFinder().find(module, globs=vars(module) | {"jax": jax, "jnp": jnp}):
            runner.run(test)
    assert runner.tries > 0
    assert runner.failures == 0
