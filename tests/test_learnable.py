"""Learnable and stochastic activations: pairs, layers, and how exact they are in their input and parameters."""

import copy
import doctest
import functools
import importlib
import importlib.util
import inspect
import math
import pickle
import re
import subprocess
import sys
from pathlib import Path

import flint
import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx

import jaxact
from jaxact import InputError, activations, layers, learnable
from jaxact.activations._compensated import two_product
from jaxact.activations.piecewise import apl
from jaxact.activations.rational import rational
from jaxact.activations.rational_starts import STARTS
from jaxact.activations.stochastic import probact, rrelu
from jaxact.learnable import Sharing
from jaxact.testing import ulp
from jaxact.testing.reference import Truth, evaluate, truth

INF = math.inf
BARS = (4, 4, 8)  # units in the last place: value, two derivatives in x
PARAMETER_BAR = 4  # the derivative in a parameter


def rational_of(x, version, **c):
    return rational(x, *(jnp.stack([c[key] for key in sorted(c) if key[0] == letter]) for letter in "ab"), version)


def apl_of(x, **c):
    return apl(x, *(jnp.stack([c[key] for key in sorted(c) if key[0] == letter]) for letter in "ab"))


def rational_case(start, version):
    a, b = STARTS[start][version] if isinstance(start, str) else start
    start, least = (0, "0.1") if version == "C" else (1, "1")
    names = {f"a{j}": float(c) for j, c in enumerate(a)} | {
        f"b{j}": float(c) + 0.05 for j, c in enumerate(b, start)
    }
    p = "+".join(f"a{j}*x**{j}" for j in range(len(a)))
    term = "abs(b{0})*abs(x)**{0}" if version == "A" else "b{0}*x**{0}"
    q = "+".join(term.format(j) for j in range(start, start + len(b)))
    return functools.partial(rational_of, version=version), f"({p})/({least}+abs({q}))", names, (0.0,)


# Function, formula, parameters, kinks.
CASES = {
    "prelu": (activations.prelu, "x if x>=0 else negative_slope*x", {"negative_slope": 0.3}, (0.0,)),
    "swish_beta": (activations.swish_beta, "x/(1+exp(-beta*x))", {"beta": 1.7}, ()),
    "star_relu": (activations.star_relu, "scale*max(x,0)**2+bias", {"scale": 0.9, "bias": -0.45}, (0.0,)),
    "acon_c": (
        activations.acon_c,
        "(p1-p2)*x/(1+exp(-beta*(p1-p2)*x))+p2*x",
        {"p1": 1.2, "p2": -0.8, "beta": 0.7},
        (),
    ),
    "snake": (activations.snake, "x+sin(frequency*x)**2/frequency", {"frequency": 1.5}, ()),
    "xielu": (
        activations.xielu,
        "alpha_p*x**2+beta*x if x>0 else alpha_n*(exp(x)-1-x)+beta*x",
        {"alpha_p": 0.8, "alpha_n": 0.9, "beta": 0.5},
        (0.0,),
    ),
    "pelu": (activations.pelu, "a/b*x if x>0 else a*(exp(x/b)-1)", {"a": 1.2, "b": 0.7}, (0.0,)),
    "srelu": (
        activations.srelu,
        "t_right+a_right*(x-t_right) if x>=t_right else (t_left+a_left*(x-t_left) if x<=t_left else x)",
        {"t_right": 1.3, "a_right": 0.3, "t_left": -0.9, "a_left": 0.1},
        (1.3, -0.9),
    ),
    "apl": (
        apl_of,
        "max(0,x)+a0*max(0,b0-x)+a1*max(0,b1-x)",
        {"a0": 0.3, "a1": -0.2, "b0": 1.1, "b1": -0.4},
        (0.0, 1.1, -0.4),
    ),
    "rational A": rational_case("leaky_relu", "A"),
    "rational C": rational_case(((-0.1, 0.9, 0.4), (0.7, -0.4, 0.6)), "C"),
}


# Compiling rational functions takes seconds, and their code is the same for both dtypes.
DTYPES = dict.fromkeys(CASES, (np.float32, np.float64))
DTYPES |= {"rational A": (np.float32,), "rational C": (np.float64,)}


def inputs(dtype, kinks):
    """Some of the inputs of every size, and densely where functions bend; no kinks, no subnormal numbers."""
    far = ulp.points(dtype, dense=0)
    xs = np.concatenate([far[:: len(far) // 80], ulp.points(dtype, (*kinks, -1.0, 1.0), dense=30)[::4]])
    near = np.random.default_rng(0).uniform(-9, 9, 60).astype(dtype)
    xs = np.unique(np.concatenate([xs, near]))
    return xs[~np.isin(xs, np.asarray(kinks, dtype)) & (np.abs(xs) >= np.finfo(dtype).smallest_normal)]


def truth_of_parameter(formula, parameters, name, xs, smallest):
    """The derivative in a parameter, and how it changes with x: the formula with x and the parameter exchanged."""
    exchanged = re.sub(rf"\b(x|{name})\b", lambda match: "fixed" if match.group() == "x" else "x", formula)
    others = {key: value for key, value in parameters.items() if key != name}

    def exact(x):
        return evaluate(exchanged, others | {"fixed": x}, parameters[name], smallest)[1]

    with flint.ctx.workprec(2400):  # an input far out and a small step are added exactly
        steps = [math.copysign(min(abs(x) * 2.0**-20, 2.0**-10), x) for x in xs.tolist()]
        found = [exact(flint.arb(x)) for x in xs.tolist()]
        beside = [exact(flint.arb(x) + h) for x, h in zip(xs.tolist(), steps, strict=True)]
        high = np.array([float(a.mid()) for a in found])
        low = [
            float((a - h).mid()) if math.isfinite(h) else 0.0 for a, h in zip(found, high.tolist(), strict=True)
        ]
        slope = [float(((b - a) / h).mid()) for a, b, h in zip(found, beside, steps, strict=True)]
    return Truth(np.array([high, slope]), np.array([low, np.zeros_like(high)]))


def worst(got, exact, order, xs):
    """The largest error, where the slack of a root does not cover it, and the input."""
    off = ulp.errors(got, exact, order, xs.dtype)
    off = np.where(off <= ulp.root_slack(xs, exact, order, xs.dtype, 2), 0, off)
    return off.max(), float(xs[off.argmax()])


@pytest.mark.parametrize(("case", "dtype"), [(case, dtype) for case, dtypes in DTYPES.items() for dtype in dtypes])
def test_exact_in_the_input_and_in_every_parameter(case, dtype):
    fn, formula, parameters, kinks = CASES[case]
    parameters = {key: float(dtype(value)) for key, value in parameters.items()}
    xs, smallest = inputs(dtype, kinks), float(np.finfo(dtype).smallest_normal)
    with jax.enable_x64(dtype == np.float64):

        def f(x, p):
            return fn(x, **p)

        slope = jax.grad(f)
        everything = [f, slope, jax.grad(lambda x, p: slope(x, p)), jax.grad(f, 1)]
        arrays = {key: jnp.asarray(value, dtype) for key, value in parameters.items()}
        run = jax.jit(jax.vmap(lambda x, p: [g(x, p) for g in everything], (0, None)))
        *orders, by_parameter = jax.tree.map(np.asarray, run(jnp.asarray(xs), arrays))
    exact = truth(formula, parameters, xs, smallest)
    for order, (got, bar) in enumerate(zip(orders, BARS, strict=True)):
        assert got.dtype == dtype
        error, x = worst(got, exact, order, xs)
        assert error <= bar, (order, x, error)
    for name in parameters:
        error, x = worst(by_parameter[name], truth_of_parameter(formula, parameters, name, xs, smallest), 0, xs)
        assert error <= PARAMETER_BAR, (name, x, error)


# --- rational and piecewise linear functions ---

HARD = {
    "identity": ((0.0, 1.0, 0.0), (0.0, 0.0)),
    "nothing": ((0.0, 0.0, 0.0), (0.0, 1.0)),
    "square": ((0.0, 0.0, 1.0), (0.0, 0.0)),
    "falls": ((1.0, 0.0, 0.0), (0.0, 1.0)),
    "tiny": ((1e-30, 1e-30, 1e-30), (1e-30, 0.0)),
    "huge": ((1e30, 1e30, 0.0), (1e30, 1e30)),
    "odd": ((0.0, 2.0, 3.0), (0.0, -1.5)),
}
LIMITS = {  # value and two derivatives at minus and plus infinity
    "identity": ((-INF, 1, 0), (INF, 1, 0)),
    "nothing": ((0, 0, 0), (0, 0, 0)),
    "square": ((INF, -INF, 2), (INF, INF, 2)),
    "falls": ((0, 0, 0), (0, 0, 0)),
    "tiny": ((INF, -1, 0), (INF, 1, 0)),
    "huge": ((0, 0, 0), (0, 0, 0)),
    "odd": ((2, 0, 0), (2, 0, 0)),
}


def test_rational_is_total():
    """Neither value nor derivatives are NaN at any input, however coefficients vanish."""
    big = float(jnp.finfo(jnp.float32).max)
    xs = jnp.array(
        [s * m for m in (0, 1e-38, 1e-20, 1.0, 1e5, 1e19, 1e30, big, INF) for s in (-1, 1)], jnp.float32
    )

    def all_of(x, a, b):
        def f(x):
            return rational(x, a, b)

        by_coefficients = jax.grad(lambda a, b: rational(x, a, b), (0, 1))(a, b)
        return jnp.stack([f(x), jax.grad(f)(x), jax.grad(jax.grad(f))(x)]), by_coefficients

    run = jax.jit(jax.vmap(all_of, (0, None, None)))
    for name, (a, b) in HARD.items():
        found, by_coefficients = run(xs, jnp.array(a), jnp.array(b))
        assert not jnp.isnan(found).any(), name
        assert not any(jnp.isnan(g).any() for g in by_coefficients), name
        np.testing.assert_allclose(found[-2:], LIMITS[name], rtol=1e-6, err_msg=name)
    assert jnp.isnan(rational(jnp.nan, (2.0,), ()))


def test_rational_conventions():
    """At its kinks the absolute value has the derivative 1, as `jnp.abs`; versions are those of the paper."""
    a, b = (0.5, 1.0), (-0.3, 0.2)
    x = jnp.array([-1.5, 0.7])
    p, s = 0.5 + x, -0.3 * x + 0.2 * x * x
    denominators = {"A": 1 + 0.3 * abs(x) + 0.2 * x * x, "B": 1 + abs(s), "C": 0.1 + abs(0.4 + s)}
    for version, q in denominators.items():
        coefficients = (0.4, *b) if version == "C" else b
        np.testing.assert_allclose(rational(x, a, coefficients, version), p / q, rtol=3e-7)
    np.testing.assert_allclose(jax.grad(rational)(0.0, a, b), 1 - 0.5 * 0.3, rtol=1e-7)
    assert (jax.grad(rational, 2)(2.0, jnp.array(a), jnp.zeros(2)) != 0).all()


@pytest.mark.usefixtures("compiled_fast")
def test_rational_mixed_derivatives():
    """The product of the Hessian and a vector is that of the formula."""

    def formula(z):
        x, a0, a1, b1, b2 = z
        return (a0 + a1 * x) / (1 + abs(b1 * x + b2 * x * x))

    with jax.enable_x64(True):
        z = jnp.array([[-2.1, 0.3, -1.2, 0.6, -1.1], [0.4, 0.3, -1.2, 0.6, -1.1]])
        got, expected = (
            jax.jit(jax.vmap(lambda z, f=f: jax.jvp(jax.grad(f), (z,), (jnp.arange(1.0, 6),))[1]))(z)
            for f in (lambda z: rational(z[0], z[1:3], z[3:], "B"), formula)
        )
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


def test_second_derivative_through_a_scan():
    """There JAX forgets rules of custom_jvp, unless a checkpoint keeps them, and the derivative would be 0."""

    def f(x):
        return rational(x, (0.1, 0.6, 0.2), (0.3, 0.2))

    x = jnp.array([0.5, -1.2, 2.3])

    def total(xs):
        return jax.lax.scan(lambda carry, x: (carry + f(x), None), jnp.zeros(()), xs)[0]

    got = jax.jvp(jax.grad(total), (x,), (jnp.ones(3),))[1]
    np.testing.assert_allclose(got, jax.vmap(jax.grad(jax.grad(f)))(x), rtol=1e-5)


def test_rational_in_sixteen_bits_and_shapes():
    a, b = STARTS["relu"]["A"]
    for dtype in (jnp.bfloat16, jnp.float16):
        x = jnp.linspace(-9, 9, 64).astype(dtype)
        for f in (lambda x: rational(x, a, b), lambda x: apl(x, (0.2,), (1.0,))):
            assert f(x).dtype == dtype
            np.testing.assert_array_equal(f(x), f(x.astype(jnp.float32)).astype(dtype))
    assert rational(jnp.ones((5, 1, 4)), jnp.ones((2, 3, 1)), jnp.ones((1, 4))).shape == (5, 3, 4)
    assert rational(3, (0.0, 1.0), ()) == 3
    assert apl(jnp.ones((0, 3)), (1.0,), (1.0,)).shape == (0, 3)


def test_apl_far_out():
    """Where the slopes of the pieces cancel, what is left is right at any distance."""
    a, b = (1.0, -1.0), (0.5, 0.25)
    for x in (-INF, -3.4e38, -1e10, -100.0):
        assert apl(x, a, b) == 0.25
        assert jax.grad(apl)(x, a, b) == 0
    assert apl(INF, a, b) == INF
    assert apl(-INF, (0.5,), (0.0,)) == INF
    assert jnp.isnan(apl(jnp.nan, a, b))
    assert jax.grad(apl)(0.0, (0.0,), (0.0,)) == 0


def test_products_are_exact_however_they_are_compiled():
    """A product that is fused with the sum behind it is not rounded there: its error would be that of another."""
    x, y = jnp.asarray(np.random.default_rng(0).uniform(1, 2, (2, 10_000)), jnp.float32)
    low = 2.0**-25 * y

    @jax.jit
    def run(x, y, low):
        p = two_product(x, y)
        s = p.high + (p.low + low)
        return p.high, p.low, s, (p.low + low) - (s - p.high)

    p, e, s, rest = (np.asarray(part, np.float64) for part in run(x, y, low))
    exact = np.float64(x) * np.float64(y)
    np.testing.assert_allclose(p + e, exact, rtol=2.0**-46)
    np.testing.assert_allclose(s + rest, exact + np.float64(low), rtol=2.0**-46)


def test_starts_are_what_the_script_fits():
    path = Path(__file__).parents[1] / "scripts" / "fit_rational.py"
    spec = importlib.util.spec_from_file_location("fit_rational", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    printed = {"relu": 3.4e-2, "leaky_relu": 3.4e-2, "gelu": 2.8e-3, "tanh": 3.4e-6, "sigmoid": 4.5e-9}
    assert set(STARTS) == {"identity", *printed} == {"identity", *script.TARGETS}
    with jax.enable_x64(True):
        for name, target in script.TARGETS.items():
            fits = {version: script.fit(name, version) for version in script.FREE}
            assert f"{max(fit.error for fit in fits.values()):.1e}" == f"{printed[name]:.1e}"
            for version, fit in fits.items():
                ours = rational(script.GRID, *STARTS[name][version], version)
                np.testing.assert_allclose(np.abs(ours - target(script.GRID)).max(), fit.error, rtol=1e-6)
                for table, fitted in zip(STARTS[name][version], fit, strict=False):
                    np.testing.assert_allclose(table, fitted, rtol=1e-4, atol=1e-7)
            pair = learnable.rational(name, version="C")
            y = pair.apply(pair.init(None, (), jnp.float64), script.GRID)
            np.testing.assert_allclose(np.abs(y - target(script.GRID)).max(), fits["B"].error, rtol=1e-6)
    assert "3.4e-02, leaky_relu 3.4e-02, gelu 2.8e-03, tanh 3.4e-06, sigmoid 4.5e-09" in inspect.getsource(
        importlib.import_module("jaxact.activations.rational_starts")
    )


# Published starts of version B, from the code to Molina, Schramowski and Kersting, "Padé activation units", 2020,
# arXiv:1907.06732.
PUBLISHED = {
    "relu": (
        (
            *(0.033897129202224346, 0.4999985439606278, 1.6701363611130988),
            *(1.9901021632350815, 0.9413089613384323, 0.1509133373584318),
        ),
        (-2.1040152094202414e-05, 3.980247851167207, -3.166344237241501e-05, 0.30183382300945066),
    ),
    "leaky_relu": (
        (3.35583603e-02, 5.05000375e-01, 1.65343934, 2.01001052, 9.31901999e-01, 1.52424124e-01),
        (3.30847488e-06, 3.98021568, 5.12471206e-07, 3.01830109e-01),
    ),
    "gelu": (
        (
            *(-0.0004221071456647063, 0.49999955516606254, 0.40270535451115536),
            *(0.07366976895222031, -0.012954788054484537, -0.0037414002583076983),
        ),
        (4.9585381197087913e-05, 0.1472977407631199, 1.1645825701440633e-05, -0.007483871514842074),
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_starts_beside_published_ones(name):
    """As near on [-3, 3] by least squares, but gelu: its published denominator vanishes, but for the 1, at 4.4."""

    def errors(radius):
        with jax.enable_x64(True):
            x = jnp.linspace(-radius, radius, 601)
            starts = {"B": PUBLISHED[name]}, STARTS[name]
            off = [[rational(x, *c, v) - jaxact.get(name)(x, *exact) for v, c in s.items()] for s in starts]
            return [max(float(jnp.sqrt((e * e).mean())) for e in each) for each in off]

    exact = (False,) if name == "gelu" else ()
    published, own = errors(3)
    assert own < (published if name != "gelu" else 3 * published)
    published, own = errors(6)
    assert own < (1.01 if name != "gelu" else 0.1) * published


# --- pairs ---

PAIRS = {
    "prelu": (learnable.prelu, activations.prelu),
    "swish_beta": (learnable.swish_beta, activations.swish_beta),
    "star_relu": (learnable.star_relu, activations.star_relu),
    "acon": (learnable.acon, activations.acon_c),
    "snake": (learnable.snake, activations.snake),
    "xielu": (learnable.xielu, activations.xielu),
    "pelu": (learnable.pelu, activations.pelu),
    "srelu": (learnable.srelu, activations.srelu),
    "apl": (learnable.apl, apl),
    "rational": (functools.partial(learnable.rational, ((0.1, 1.0, 0.3), (0.2,)), (2, 1)), rational),
}
KEY = jax.random.key(0)


def test_every_pair_is_tested():
    made = {name for name in dir(learnable) if inspect.isfunction(getattr(learnable, name))}
    assert made == set(PAIRS) == {case.make for case in LAYERS.values()}


@pytest.mark.parametrize(
    ("sharing", "shape", "expected"),
    [
        ("scalar", (8, 4, 4, 3), ()),
        ("scalar", (), ()),
        ("channel", (8, 4, 4, 3), (3,)),
        (Sharing("channel", channel_axis=1), (8, 3, 4, 4), (3,)),
        (Sharing("channel", channel_axis=-3), (8, 3, 4, 4), (3,)),
        ("element", (8, 4, 5, 3), (4, 5, 3)),
        (Sharing("element", shared_axes=(1, 2)), (8, 4, 5, 3), (1, 1, 3)),
        (Sharing("element", shared_axes=(-1,)), (8, 4, 5, 3), (4, 5, 1)),
        ("element", (8,), ()),
    ],
)
def test_shapes_of_parameters(sharing, shape, expected):
    for value, size in zip(learnable.rational(sharing=sharing).init(None, shape).values(), (6, 4), strict=True):
        assert value.shape == (size, *expected)
    assert learnable.prelu(sharing=sharing).init(None, shape)["negative_slope"].shape == expected
    random = np.random.default_rng(0)
    x, slope = random.normal(size=shape).astype(np.float32), random.uniform(size=expected).astype(np.float32)
    kept = slope.reshape(-1, 1, 1) if expected == (3,) and shape[-1] != 3 else slope
    got = learnable.prelu(sharing=sharing).apply({"negative_slope": slope}, x)
    np.testing.assert_array_equal(got, np.where(x >= 0, x, kept * x))


@pytest.mark.usefixtures("compiled_fast")
@pytest.mark.parametrize("name", PAIRS)
def test_pairs(name):
    make, function = PAIRS[name]
    pair = make(sharing="channel")
    x = jax.random.normal(KEY, (5, 3)) * 2
    parameters = pair.init(KEY, x.shape)
    values = pair.apply.values(parameters)

    # It is the function, and gives the dtype of x.
    y = pair.apply(parameters, x)
    for i in range(3):
        alone = function(x[:, i], **{key: value[..., i] for key, value in values.items()})
        np.testing.assert_array_equal(y[:, i], alone)
    assert pair.apply(parameters, x.astype(jnp.bfloat16)).dtype == jnp.bfloat16
    assert pair.apply(parameters, jnp.arange(3)).dtype == jnp.float32
    assert {value.dtype for value in pair.init(KEY, (3,), jnp.bfloat16).values()} == {jnp.dtype(jnp.bfloat16)}

    # It is a value.
    assert pickle.loads(pickle.dumps(pair)) == pair == make(sharing="channel") != make(sharing="element")
    assert hash(pair) == hash(make(sharing="channel"))
    init, apply = pair[1:]
    assert (init, apply) == (pair.init, pair.apply)

    # It transforms.
    @functools.partial(jax.jit, static_argnums=0)
    def value_and_slopes(pair, parameters, x):
        def one(p):
            return (pair.apply(p, x).sum(), pair.apply(p, x))

        return jax.vmap(jax.value_and_grad(one, has_aux=True))(parameters)

    several = jax.tree.map(lambda p: jnp.stack([p, p + 0.25]), parameters)
    (_, ys), slopes = value_and_slopes(pair, several, x)
    np.testing.assert_allclose(ys[0], y, rtol=1e-6, atol=1e-7)
    for key, slope in slopes.items():
        assert slope.shape == (2, *parameters[key].shape)
        assert jnp.isfinite(slope).all()
        assert (slope != 0).reshape(2, -1).any(axis=1).all()


def test_starts():
    first, second = (learnable.acon().init(jax.random.key(i), (4,)) for i in (1, 2))
    assert (first["p1"] != second["p1"]).all()
    assert (first["p1"] != first["p2"]).all()
    hinges = learnable.apl(3).init(KEY, (8, 1000))
    assert {value.shape for value in hinges.values()} == {(3, 1000)}
    assert float(jnp.abs(hinges["a"]).max()) <= 0.2
    assert abs(float(hinges["b"].std()) - 0.5) < 0.05
    more = learnable.rational("gelu", degrees=(7, 6)).init(None, ())
    assert [len(c) for c in more.values()] == [8, 6]
    assert len(learnable.rational("identity", degrees=(1, 0)).init(None, ())["denominator"]) == 0
    own = learnable.rational(((0.0, 1.0), (0.5,)), degrees=(1, 1))
    assert {key: value.tolist() for key, value in own.apply.values(own.init(None, ())).items()} == {
        "numerator": [0, 1],
        "denominator": [0.5],
    }


@pytest.mark.parametrize(
    ("pair", "bounds"),
    [(learnable.xielu(), {"alpha_p": 0.0, "alpha_n": 0.5}), (learnable.pelu(), {"a": 0.0, "b": 0.0})],
)
def test_bounds_hold(pair, bounds):
    start = pair.init(None, ())
    values = pair.apply.values(start)
    expected = {"alpha_p": 0.8, "alpha_n": 0.8, "a": 1.0, "b": 1.0}
    for key, low in bounds.items():
        np.testing.assert_allclose(values[key], expected[key], rtol=2e-7)
        for raw in (-30.0, -5.0, 0.0, 50.0):
            assert pair.apply.values(start | {f"raw_{key}": jnp.array(raw)})[key] >= low
    assert pair.apply.values(dict.fromkeys(start, jnp.array(-30.0))).keys() == bounds.keys()


# --- layers ---


class Case:
    """A layer with a parameter for each of three channels, and its pair."""

    def __init__(self, layer, make, **config):
        self.layer, self.make, self.config = layer, make, config

    def __call__(self, features=3, **options):
        return self.layer(features, rngs=nnx.Rngs(0), **self.config, **options)


LAYERS = {
    "PReLU": Case(layers.PReLU, "prelu"),
    "SwishBeta": Case(layers.SwishBeta, "swish_beta"),
    "StarReLU": Case(layers.StarReLU, "star_relu"),
    "ACON": Case(layers.ACON, "acon"),
    "Snake": Case(layers.Snake, "snake"),
    "XIELU": Case(layers.XIELU, "xielu"),
    "PELU": Case(layers.PELU, "pelu"),
    "SReLU": Case(layers.SReLU, "srelu"),
    "APL": Case(layers.APL, "apl", pieces=2),
    "Rational": Case(layers.Rational, "rational", initial=((0.1, 0.6, 0.2), (0.3,)), degrees=(2, 1)),
}
X = jnp.linspace(-2.5, 2.0, 12).reshape(4, 3)


def test_every_layer_is_tested():
    public = {name for name, value in vars(layers).items() if inspect.isclass(value)}
    assert public == {*LAYERS, "LearnableActivation", "RReLU", "ProbAct"}


@pytest.mark.usefixtures("compiled_fast")
@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    case = LAYERS[name]
    layer = case()
    y = layer(X)
    leaves = nnx.to_pure_dict(nnx.state(layer, nnx.Param))
    assert leaves.keys() == set(layer.learnable.init.names)
    np.testing.assert_array_equal(y, layer.learnable.apply(leaves, X))

    # Its dtypes are those of flax: the input's, unless another is asked for.
    assert layer(X.astype(jnp.bfloat16)).dtype == jnp.bfloat16
    assert case(dtype=jnp.float16)(X).dtype == jnp.float16
    half = nnx.state(case(param_dtype=jnp.bfloat16), nnx.Param)
    assert {leaf.dtype for leaf in jax.tree.leaves(half)} == {jnp.dtype(jnp.bfloat16)}

    # It is taken apart, put together, copied and stored.
    graph, state = nnx.split(layer)
    assert hash(graph) == hash(nnx.graphdef(case()))
    for other in (nnx.merge(graph, state), copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(other(X), y)
    other = case()
    nnx.update(other, jax.tree.map(jnp.zeros_like, nnx.state(other)))
    nnx.replace_by_pure_dict(state, leaves)
    nnx.update(other, state)
    np.testing.assert_array_equal(other(X), y)
    np.testing.assert_allclose(nnx.jit(lambda m, x: m(x))(layer, X), y, rtol=1e-6, atol=1e-7)

    # Several of them are one, under vmap.
    other = jax.tree.map(lambda p: p + 0.125, state)
    several = nnx.merge(graph, jax.tree.map(lambda *p: jnp.stack(p), state, other))
    ys = nnx.jit(nnx.vmap(lambda m, x: m(x), in_axes=(0, None)))(several, X)
    expected = jnp.stack([y, nnx.merge(graph, other)(X)])
    np.testing.assert_allclose(ys, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("compiled_fast")
@pytest.mark.parametrize("name", LAYERS)
def test_training_moves_the_parameters_and_lowers_the_loss(name):
    layer = LAYERS[name]()
    before = nnx.to_pure_dict(nnx.state(layer, nnx.Param))
    optimizer = nnx.Optimizer(layer, optax.adam(0.02), wrt=nnx.Param)
    x = jax.random.normal(KEY, (64, 3))
    target = jnp.where(x > 0, 1.3 * x, 0.1 * x) - 0.05

    @nnx.jit
    def step(layer, optimizer):
        loss, slopes = nnx.value_and_grad(lambda m: ((m(x) - target) ** 2).mean())(layer)
        optimizer.update(layer, slopes)
        return loss

    losses = [float(step(layer, optimizer)) for _ in range(15)]
    assert losses[-1] < losses[0]
    after = nnx.to_pure_dict(nnx.state(layer, nnx.Param))
    assert all((after[key] != before[key]).any() for key in before)


def test_prelu_is_that_of_flax():
    ours, theirs = layers.PReLU(negative_slope=0.01), nnx.PReLU()
    np.testing.assert_array_equal(ours(X), theirs(X))
    graph, state = nnx.split(ours)
    nnx.update(theirs, state)  # a checkpoint of the one is one of the other
    for slopes in zip(
        *(jax.tree.leaves(nnx.grad(lambda m: (m(X) ** 2).sum())(m)) for m in (ours, theirs)), strict=True
    ):
        np.testing.assert_array_equal(*slopes)
    for x in (X, X.astype(jnp.bfloat16)):
        assert ours(x).dtype == theirs(x).dtype
    assert nnx.merge(graph, state)(jnp.zeros(3)).tolist() == [0, 0, 0]


def test_what_has_a_parameter_of_its_own():
    assert layers.PReLU().negative_slope.shape == ()
    assert layers.PReLU(5).negative_slope.shape == (5,)
    assert layers.PReLU((4, 5)).negative_slope.shape == (4, 5)
    assert layers.PReLU((1, 5))(jnp.ones((2, 4, 5))).shape == (2, 4, 5)
    assert layers.Rational(5).numerator.shape == (6, 5)
    torch = layers.PReLU(3, channel_axis=1)
    torch.negative_slope[...] = jnp.array([0.0, 1.0, 2.0])
    np.testing.assert_array_equal(torch(-jnp.ones((2, 3, 4, 5)))[0, :, 0, 0], [0, -1, -2])


def test_ensemble_and_checkpoint(tmp_path):
    @nnx.split_rngs(splits=3)
    @nnx.vmap
    def make(rngs):
        return nnx.Sequential(nnx.Linear(3, 4, rngs=rngs), layers.ACON(4, rngs=rngs), layers.PReLU(4))

    models = make(nnx.Rngs(0))
    assert models.layers[1].p1.shape == (3, 4)
    assert len({float(p) for p in models.layers[1].p1[...].ravel()}) == 12
    run = nnx.vmap(lambda m, x: m(x), in_axes=(0, None))
    y = run(models, X)
    assert y.shape == (3, 4, 4)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "model", nnx.to_pure_dict(nnx.state(models)))
        checkpointer.wait_until_finished()
        fresh = make(nnx.Rngs(1))
        state = nnx.state(fresh)
        nnx.replace_by_pure_dict(state, checkpointer.restore(tmp_path / "model", nnx.to_pure_dict(state)))
    nnx.update(fresh, state)
    np.testing.assert_array_equal(run(fresh, X), y)


@pytest.mark.usefixtures("compiled_fast")
def test_every_layer_is_stored(tmp_path):
    """In a checkpoint, as learning left it: parameters, and where the streams of noise are."""

    def make():
        noisy = {
            "RReLU": layers.RReLU(rngs=nnx.Rngs(0)),
            "ProbAct": layers.ProbAct(3, sigma=0.5, rngs=nnx.Rngs(0)),
        }
        return {name: case() for name, case in LAYERS.items()} | noisy

    def stored(state):
        return jax.tree.map(lambda a: jax.random.key_data(a) if is_key(a) else a, state)

    def is_key(a):
        return jnp.issubdtype(a.dtype, jax.dtypes.prng_key)

    model, fresh = make(), make()
    states = {name: nnx.state(layer) for name, layer in fresh.items()}
    for layer in model.values():
        nnx.update(layer, jax.tree.map(lambda p: p + 0.125, nnx.state(layer, nnx.Param)))
        layer(X)  # noise is drawn
    with ocp.StandardCheckpointer() as checkpointer:
        now = {name: nnx.to_pure_dict(nnx.state(layer)) for name, layer in model.items()}
        checkpointer.save(tmp_path / "layers", stored(now))
        checkpointer.wait_until_finished()
        found = checkpointer.restore(tmp_path / "layers", stored(now))
    for name, layer in fresh.items():
        plain = jax.tree.map(
            lambda a, was: jax.random.wrap_key_data(a) if is_key(was) else a, found[name], now[name]
        )
        nnx.replace_by_pure_dict(states[name], plain)
        nnx.update(layer, states[name])
        np.testing.assert_array_equal(layer(X), model[name](X), err_msg=name)


# --- noise ---


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: rational(x, (0.0, 1.0), (0.0, 1.0)),
        lambda x: apl(x, (1.0,), (0.5,)),
        functools.partial(rrelu, KEY),
        functools.partial(probact, KEY),
        functools.partial(rrelu, None, deterministic=True),
        functools.partial(probact, None, deterministic=True),
    ],
)
def test_numbers_stay_weak(fn):
    assert fn(0.5).weak_type
    assert jax.jit(fn)(0.5).weak_type
    assert not fn(jnp.ones(2)).weak_type
    assert fn(jnp.ones(2, jnp.bfloat16)).dtype == jnp.bfloat16


def test_rrelu():
    x = -jnp.ones(20_000)
    slopes = -rrelu(KEY, x)
    assert 1 / 8 <= float(slopes.min()) <= float(slopes.max()) <= 1 / 3
    np.testing.assert_allclose(slopes.mean(), 11 / 48, rtol=5e-3)
    np.testing.assert_allclose(slopes.std(), (1 / 3 - 1 / 8) / math.sqrt(12), rtol=2e-2)
    np.testing.assert_array_equal(rrelu(KEY, x), rrelu(KEY, x))
    assert (rrelu(jax.random.key(1), x) != rrelu(KEY, x)).any()
    np.testing.assert_array_equal(jax.grad(lambda x: rrelu(KEY, x).sum())(x), slopes)
    np.testing.assert_array_equal(
        rrelu(None, X, deterministic=True), jnp.where(X >= 0, X, jnp.float32(11 / 48) * X)
    )
    np.testing.assert_array_equal(rrelu(KEY, jnp.abs(X)), jnp.abs(X))
    np.testing.assert_array_equal(rrelu(KEY, X, 0.2, 0.2), activations.leaky_relu(X, 0.2))
    half = jnp.linspace(-3, 3, 50, dtype=jnp.bfloat16)
    np.testing.assert_array_equal(rrelu(KEY, half), rrelu(KEY, half.astype(jnp.float32)).astype(jnp.bfloat16))
    assert jax.vmap(rrelu)(jax.random.split(KEY, 4), X).shape == rrelu(KEY, X, jnp.zeros(3)).shape
    with jax.enable_x64(True):
        assert rrelu(KEY, jnp.zeros(3)).dtype == jnp.float64


def test_probact():
    x = jnp.full(20_000, -1.0)
    noise = probact(KEY, x)
    np.testing.assert_allclose([noise.mean(), noise.std()], [0, 1], atol=0.02)
    np.testing.assert_array_equal(jax.jacfwd(lambda sigma: probact(KEY, x, sigma))(0.3), noise)
    np.testing.assert_array_equal(probact(KEY, X, 0.0), activations.relu(X))
    np.testing.assert_array_equal(probact(None, X, 5.0, deterministic=True), activations.relu(X))
    np.testing.assert_array_equal(jax.grad(lambda x: probact(KEY, x).sum())(X), X > 0)
    half = X.astype(jnp.float16)
    assert probact(KEY, half, 0.5).dtype == jnp.float16
    np.testing.assert_array_equal(
        probact(KEY, half, 0.5), probact(KEY, half.astype(jnp.float32), 0.5).astype(half.dtype)
    )
    assert probact(KEY, jnp.zeros((4, 3)), jnp.ones(3)).shape == probact(KEY, jnp.zeros(3), jnp.ones((4, 1))).shape


@pytest.mark.parametrize(
    "make", [layers.RReLU, functools.partial(layers.ProbAct, sigma=0.5)], ids=["RReLU", "ProbAct"]
)
def test_noisy_layers(make):
    layer = make(rngs=nnx.Rngs(0))
    first, second = layer(X), layer(X)
    assert (first != second).any()
    again = make(rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(again(X), first)
    run = nnx.jit(lambda m, x: m(x))
    np.testing.assert_allclose(run(again, X), second, rtol=1e-6)  # the stream goes on inside jit
    assert (run(again, X) != second).any()
    np.testing.assert_array_equal(layer(X, rngs=KEY), make()(X, rngs=KEY))
    expected = copy.deepcopy(layer)(X)
    for other in (pickle.loads(pickle.dumps(layer)), nnx.merge(*nnx.split(copy.deepcopy(layer)))):
        np.testing.assert_array_equal(other(X), expected)

    model = nnx.Sequential(make(rngs=nnx.Rngs(0)))
    model.eval()
    np.testing.assert_array_equal(model(X), model(X))
    np.testing.assert_array_equal(model(X), make(deterministic=True)(X))
    model.train()
    assert (model(X) != model(X)).any()
    assert (nnx.view(layer, deterministic=True)(X) == nnx.view(layer, deterministic=True)(X)).all()
    assert layer(X.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_the_strength_of_the_noise_is_learnt():
    layer = layers.ProbAct(3, rngs=nnx.Rngs(0))
    slope = nnx.grad(lambda m: m(X, rngs=KEY).sum())(layer)
    np.testing.assert_allclose(slope["sigma"][...], probact(KEY, 0 * X).sum(axis=0), rtol=1e-6)


# --- what is refused ---


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rational(1.0, (1.0,), (1.0,), "D"), "version must be 'A', 'B' or 'C', got 'D'"),
        (lambda: rational(1.0, 2.0, (1.0,)), "numerator must have a leading axis, got a scalar"),
        (lambda: rational(1.0, (), (1.0,)), "numerator must have at least one coefficient"),
        (lambda: rational(1.0, (1.0,), (), "C"), "denominator must have at least one coefficient"),
        (lambda: rational(1j * X, (1.0,), (1.0,)), "x must be real"),
        (lambda: rational(X, jnp.ones((2, 5)), (1.0,)), r"numerator must broadcast .* got the shape \(2, 5\)"),
        (lambda: apl(X, (1.0,), (1.0, 2.0)), "a and b must have the same number of pieces, got 1 and 2"),
        (lambda: rrelu(X, X), "key must be one random key, as jax.random.key"),
        (lambda: rrelu(jax.random.split(KEY), X), "key must be one random key"),
        (lambda: probact(jax.random.PRNGKey(0), X), "key must be one random key"),
        (lambda: rrelu(KEY, X, 0.5, 0.2), "lower must be at most upper, got 0.5 and 0.2"),
        (lambda: learnable.prelu(sharing="row"), "sharing must be 'scalar', 'channel' or 'element', got 'row'"),
        (lambda: learnable.prelu("0.1"), "negative_slope must start at a finite number, got '0.1'"),
        (lambda: learnable.pelu(a=-1.0), "a must start above 0.0, got -1.0"),
        (lambda: learnable.xielu(alpha_n=0.4), "alpha_n must start above 0.5, got 0.4"),
        (lambda: learnable.apl(0), "pieces must be an integer from 1 up, got 0"),
        (lambda: learnable.rational("mish"), "initial must be one of identity, relu, .* got 'mish'"),
        (lambda: learnable.rational(degrees=(3, 2)), r"degrees must be at least those of initial, got \(3, 2\)"),
        (lambda: learnable.rational(degrees=5), "degrees must be two integers from 0 up, got 5"),
        (lambda: learnable.rational(version="D"), "version must be 'A', 'B' or 'C', got 'D'"),
        (lambda: learnable.rational(3), "initial must be a name or two tuples of numbers, got 3"),
        (lambda: Sharing("channel", 1.5), "channel_axis must be an integer, got 1.5"),
        (lambda: Sharing("channel", shared_axes=(1,)), "shared_axes needs sharing 'element', got 'channel'"),
        (lambda: Sharing("element", shared_axes=(0,)), "shared_axes must be a tuple of integers but 0"),
        (lambda: learnable.prelu(sharing="channel").init(None, ()), "channel_axis -1 is out of range"),
        (lambda: learnable.prelu(sharing="element").init(None, ()), "sharing 'element' needs a batch axis"),
        (lambda: learnable.prelu().init(None, (3, -1)), "shape must be a tuple of integers from 0 up"),
        (lambda: learnable.acon().init(None, (3,)), "key must be a random key, for p1 is drawn, got None"),
        (lambda: learnable.prelu().apply({}, X), r"parameters must be \['negative_slope'\], got \[\]"),
        (lambda: layers.PReLU(4)(X), r"x must fit parameters of shape \(4, *\), got the shape \(4, 3\)"),
        (lambda: layers.PReLU(0.1), "features must be None, a number of channels or a tuple of sizes, got 0.1"),
        (lambda: layers.ACON(3), "rngs must be given for a random start, as nnx.Rngs"),
        (lambda: layers.RReLU()(X), "rngs must be given, as nnx.Rngs"),
        (lambda: layers.RReLU(rngs=3), "rngs must be nnx.Rngs, an nnx.RngStream or None, got 3"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(call, message):
    with pytest.raises((InputError, TypeError), match=f"^{message}") as refused:
        call()
    assert "\n" not in str(refused.value)


# --- the house ---


@pytest.mark.parametrize(
    "module",
    [
        *(f"jaxact.activations.{name}" for name in ("rational", "piecewise", "stochastic")),
        *("jaxact.learnable", "jaxact.learnable.makers"),
        *(f"jaxact.layers.{name}" for name in ("base", "parametric", "noisy")),
    ],
)
def test_examples_in_docstrings(module):
    module = importlib.import_module(module)
    runner = doctest.DocTestRunner()
    for test in doctest.DocTestFinder().find(module, globs=vars(module) | {"jax": jax, "jnp": jnp}):
        runner.run(test)
    assert runner.tries > 0
    assert runner.failures == 0


def test_pairs_do_not_load_flax():
    code = "import sys, jaxact.learnable as l; l.rational().init(None, ()); assert 'flax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("function", [rational, apl, rrelu, probact])
def test_plain_functions(function):
    assert pickle.loads(pickle.dumps(function)) is function
    for parameter in inspect.signature(function).parameters:
        assert f"      {parameter}: " in function.__doc__
