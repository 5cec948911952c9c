"""Saturation: intervals against closed forms and exhaustive looks, maps against `derivative`, shares by mpmath."""

import doctest
import importlib
import math
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from cases import oracle

import jaxact
from jaxact import InputError, derivative, normal_share, saturation_map, saturation_regions, saturation_shares
from jaxact.analysis import averages, brackets

INF = np.inf
F32, BF16, F16 = jnp.float32, jnp.bfloat16, jnp.float16

# Ends of the 1 % regions in closed form, at 30 digits.
with mpmath.workdps(30):
    EDGES = {
        "tanh": [-mpmath.acosh(10), mpmath.acosh(10)],
        "sigmoid": [-2 * mpmath.acosh(10), 2 * mpmath.acosh(10)],
        "soft_sign": [mpmath.mpf(-9), mpmath.mpf(9)],
        "softplus": [mpmath.log(mpmath.mpf(1) / 99)],
        "elu": [mpmath.log(mpmath.mpf(1) / 100)],
        "erf": [-mpmath.sqrt(mpmath.log(100)), mpmath.sqrt(mpmath.log(100))],
        "arctan": [-mpmath.sqrt(99), mpmath.sqrt(99)],
        "hard_tanh": [mpmath.mpf(-1), mpmath.mpf(1)],
        "relu": [mpmath.mpf(0)],
    }
    EDGES = {name: [+edge for edge in edges] for name, edges in EDGES.items()}


def ulps(a, b, dtype):
    """How many numbers of the dtype lie between."""
    keys = [brackets.to_keys(np.asarray(x, np.float64).astype(dtype)) for x in (a, b)]
    return np.abs(keys[0] - keys[1]).max(initial=0)


def ends(spans):
    """Finite ends of intervals."""
    flat = spans.astype(np.float64).ravel()
    return flat[np.isfinite(flat)]


@pytest.mark.parametrize("name", EDGES)
def test_one_per_cent_edges(name):
    edges = np.array([float(edge) for edge in EDGES[name]])
    fn = jaxact.ACTIVATIONS[name].function
    for dtype in (jnp.float64, F32, BF16, F16):
        found = saturation_regions(fn, dtype=dtype)
        assert found.saturated.dtype == dtype
        assert found.saturated[0, 0] == -INF
        assert ulps(ends(found.saturated), edges, dtype) <= (1 if dtype == jnp.float64 else 0), dtype
        assert (found.saturated[-1, 1] == INF) == (len(edges) == 2)
        assert not found.around_root.any()
        assert found.roots.size == 0


# jax 0.10 differentiates expm1(x) as expm1(x) + 1, jax 0.12 as exp(x), which underflows and is not lost before.
EXPM1_IS_LOST = float(jax.grad(jnp.expm1)(-20.0)) == 0


@pytest.mark.parametrize(
    ("fn", "dtype", "tails"),
    [  # exact-zero tails of jax.nn on a CPU: the first dead number, to the digits of reference/diagnostics.md
        (jax.nn.tanh, F32, (-7.999, 7.999)),
        (jax.nn.tanh, BF16, (-3.453, 3.453)),
        (jax.nn.tanh, F16, (-4.504, 4.504)),
        (jax.nn.sigmoid, F32, (-87.3, 16.64)),
        (jax.nn.sigmoid, BF16, (-87, 5.531)),
        (jax.nn.sigmoid, F16, (-11.09, 7.621)),
        (jax.nn.gelu, F32, (-4.867,)),
        (jax.nn.gelu, BF16, (-3.047,)),
        (jax.nn.gelu, F16, (-3.584,)),
        (jax.nn.elu, F32, (-17.33 if EXPM1_IS_LOST else -87.34,)),
        (jax.nn.elu, BF16, (-6.219 if EXPM1_IS_LOST else -87.34,)),
        (jax.nn.elu, F16, (-8.312 if EXPM1_IS_LOST else -17.33,)),
        (jax.lax.erf, F32, (-9.345, 9.345)),
        (jax.nn.silu, F32, (-87.3,)),
        (jax.nn.softplus, F32, (-87.3,)),
    ],
)
def test_dead_tails_of_jax_nn(fn, dtype, tails):
    found = saturation_regions(fn, dtype=dtype)
    tail = found.dead.astype(np.float64)
    inner = [tail[0, 1], tail[-1, 0]][: len(tails)]
    # The table names the last number that is not dead.
    np.testing.assert_allclose(inner, tails, rtol=2.0 ** -jnp.finfo(dtype).nmant + 1e-3)
    assert (found.lost[[0, -1]] > 0).all()


def test_dead_is_what_is_computed():
    """In a 16-bit format every number can be looked at, and in float32 thousands around every end."""
    for fn in (jax.nn.tanh, jax.nn.gelu, jax.nn.elu, jaxact.silu, lambda x: x * x * x):
        for dtype in (BF16, F16):
            x = brackets.from_keys(np.arange(-31743, 31744), dtype)
            x = x[np.isfinite(x.astype(np.float64))]
            x = x[(x == 0) | (np.abs(x.astype(np.float64)) >= float(jnp.finfo(dtype).tiny)) | (dtype == F16)]
            zero = np.asarray(jax.jit(derivative(fn))(x)) == 0
            wide = x.astype(np.float64)
            domain = (-30.0, 30.0)
            inside = (wide >= domain[0]) & (wide <= domain[1])
            found = saturation_regions(fn, dtype=dtype, domain=domain)
            dead = found.dead.astype(np.float64)
            said = ((dead[:, :1] <= wide) & (wide <= dead[:, 1:])).any(0)
            wrong = wide[inside & (zero != said)]
            # Only the few numbers at a root are 0 and not dead.
            assert all(np.abs(found.roots.astype(np.float64) - w).min() < 0.05 for w in wrong), (fn, dtype, wrong)
        found = saturation_regions(fn, dtype=F32, domain=(-200.0, 200.0))
        for (low, high), _ in zip(found.dead, found.lost, strict=True):
            for end, out in ((low, -1), (high, 1)):
                if abs(end) < 200:
                    x = brackets.step(np.repeat(end, 2048), -out * np.arange(2048))
                    x = x[(x >= low) & (x <= high)]
                    assert not np.asarray(jax.jit(derivative(fn))(x)).any()
                    assert np.asarray(derivative(fn)(brackets.step(np.array([end]), out))).all()


def test_nan_and_ragged_tails_of_jax_nn():
    found = saturation_regions(jax.nn.gelu, dtype=F16)  # x^3 overflows
    np.testing.assert_array_equal(found.nan.astype(np.float64), [[-INF, -147.875], [147.875, INF]])
    slope = jax.jit(derivative(jax.nn.gelu))(jnp.array([147.75, 147.875] * 8, F16))
    np.testing.assert_array_equal(np.isnan(slope), [False, True] * 8)
    found = saturation_regions(jax.nn.soft_sign)  # a difference of two nearly equal numbers
    assert 100 < len(found.dead) < 1000
    assert (found.lost > 0).all()


def test_ours_are_dead_only_where_they_must_be():
    """The zeros of a float32 derivative of ours: mathematical ones, and below the smallest normal number."""
    tiny = float(jnp.finfo(F32).tiny)
    for name in (
        "tanh",
        "sigmoid",
        "softplus",
        "elu",
        "silu",
        "gelu",
        "mish",
        "soft_sign",
        "erf",
        "relu",
        "hard_silu",
    ):
        fn = jaxact.ACTIVATIONS[name].function
        for dtype in (F32, BF16):
            found = saturation_regions(fn, dtype=dtype)
            assert (found.lost < 1.01 * tiny).all(), name
            assert found.nan.size == 0
            assert ((found.lost == 0) == (name in ("relu", "hard_silu"))).all()


@pytest.mark.parametrize(
    ("name", "equation", "at"),
    [
        ("silu", lambda x: 1 + mpmath.exp(-x) + x * mpmath.exp(-x), -1.28),
        ("mish", lambda x: mpmath.diff(lambda t: t * mpmath.tanh(mpmath.log1p(mpmath.exp(t))), x), -1.19),
        ("gelu(approximate=False)", lambda x: mpmath.ncdf(x) + x * mpmath.npdf(x), -0.75),
    ],
)
def test_isolated_roots(name, equation, at):
    with mpmath.workdps(40):
        root = float(mpmath.findroot(equation, at))
    fn = jaxact.get(name)
    for dtype in (jnp.float64, F32, BF16):
        found = saturation_regions(fn, dtype=dtype)
        assert found.roots.shape == (1,)
        assert ulps(found.roots, [root], dtype) <= (2 if dtype == jnp.float64 else 0)
        assert found.around_root.tolist() == [False, True]
        low, high = found.saturated[1]
        assert low < root < high
        assert found.argmax > 0


def test_max_slope():
    for fn, top, where in [
        (jaxact.sigmoid, 0.25, 0),
        (jaxact.softplus, 1, INF),
        (jaxact.log_sigmoid, 1, -INF),
        (jaxact.relu, 1, float(jnp.finfo(F32).tiny)),
        (jaxact.leaky_relu, 1, 0),
        (lambda x: jnp.tanh(1000 * x) / 1000, 1, 0),
        (lambda x: -3 * jnp.exp(-((x - 2) ** 2)), 3 * math.sqrt(2 / math.e), 2 - math.sqrt(0.5)),
    ]:
        found = saturation_regions(fn)
        assert float(found.max_slope) == pytest.approx(top, rel=1e-14)
        assert ulps(found.argmax, where, F32) <= 1


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "soft_sign", "gelu", "silu", "gaussian"])
@pytest.mark.parametrize("below", [0.0, 1e-15, 1e-13, 1e-9])
def test_thresholds_near_1_are_no_slivers(name, below):
    """All but the surroundings of the steepest points is less steep; rounding would cut it to pieces there."""
    for fn in (jaxact.ACTIVATIONS[name].function, *([jnp.tanh] if name == "tanh" else [])):
        for dtype in (jnp.float64, F32, F16):
            found = saturation_regions(fn, threshold=1 - below, dtype=dtype).saturated.astype(np.float64)
            assert len(found) == (3 if name == "gaussian" else 2), (fn, dtype, found)
            assert (np.diff(found.ravel()) >= 0).all()
            assert np.isinf(found[[0, -1], [0, -1]]).all()
    assert saturation_regions(jaxact.relu, threshold=1).saturated.tolist() == [[-INF, 0]]


@pytest.mark.parametrize("threshold", [1e-8, 1e-4, 0.5])
def test_ends_at_other_thresholds(threshold):
    """In float32 however the formula cancels; a threshold far below what it holds needs one that does not."""
    with mpmath.workdps(30):
        edge = float(mpmath.acosh(1 / mpmath.sqrt(threshold)))
        far = float(mpmath.acosh(mpmath.mpf(10) ** 10))
    for fn in (jnp.tanh, jaxact.tanh):
        for dtype in (F32, BF16, F16):
            assert (
                ulps(
                    ends(saturation_regions(fn, threshold=threshold, dtype=dtype).saturated), [-edge, edge], dtype
                )
                <= 1
            )
    assert ulps(ends(saturation_regions(jaxact.tanh, threshold=1e-20).saturated), [-far, far], F32) <= 1


@pytest.mark.parametrize(
    ("steep", "at"), [(1.0, 1e4), (100.0, 12345.678), (1e4, 1.2345), (1e-3, -3e7), (1e9, 5.1)]
)
def test_steps_between_the_points_of_the_grid_are_found(steep, at):
    """f has changed, so there was a slope."""
    found = saturation_regions(lambda x: jaxact.tanh(steep * (x - at)), dtype=jnp.float64)
    assert float(found.max_slope) == pytest.approx(steep, rel=1e-12)
    assert float(found.argmax) == pytest.approx(at, abs=1e-5 / steep, rel=1e-15)
    edges = np.array([at - math.acosh(10) / steep, at + math.acosh(10) / steep])
    np.testing.assert_allclose(ends(found.saturated), edges, rtol=4e-16, atol=1e-15 / steep)


def test_jumps_are_no_slopes():
    def fn(x):
        return jaxact.tanh(x) + jnp.sign(x - 1.2345) + jnp.floor(x / 100)

    found = saturation_regions(fn, dtype=jnp.float64)
    assert found.max_slope == 1
    np.testing.assert_allclose(ends(found.saturated), [-math.acosh(10), math.acosh(10)], rtol=4e-16)


def test_roots_at_the_ends_of_a_domain():
    turn = 2 * jnp.pi
    stairs = jax.custom_jvp(lambda x: x - jnp.sin(turn * x) / turn)
    # its own rule: XLA may fuse the product that jax.grad leaves, 1 - turn * (cos(turn * x) / turn), and not get 0
    stairs.defjvps(lambda t, y, x: t * (1 - jnp.cos(turn * x)))
    found = saturation_regions(stairs, domain=(-3, 3))
    np.testing.assert_allclose(found.roots, np.arange(-3, 4), atol=1e-7)
    assert found.around_root.all()
    assert len(found.dead) == 5  # around the inner ones: 1 - cos; none at the ends, where it is a point
    found = saturation_regions(jnp.square, domain=(0, 2))
    assert (found.roots.tolist(), found.dead.size, found.around_root.tolist()) == ([0], 0, [True])
    assert saturation_regions(jaxact.relu, domain=(-1, 2)).roots.size == 0
    assert saturation_regions(jaxact.tanh, domain=(-400, 400)).roots.size == 0


def test_ends_in_float64_are_as_right_as_the_slope():
    edge = [float(end) for end in EDGES["tanh"]]
    cancelling, ours = (
        ulps(ends(saturation_regions(fn, dtype=jnp.float64).saturated), edge, jnp.float64)
        for fn in (jnp.tanh, jaxact.tanh)
    )
    assert ours <= 1 < cancelling < 20


@pytest.mark.parametrize("name", ["asinh", "gaussian", "soft_sign"])
def test_ends_in_float64_are_right_to_the_last_place(name):
    """f' as computed is off by up to 3 units, which alone would put ends of these off by up to 2."""
    slope, bend = oracle(name, 1), oracle(name, 2)
    with mpmath.workdps(180):
        for threshold in (0.1, 1e-6, 1e-12):
            found = saturation_regions(jaxact.ACTIVATIONS[name].function, threshold=threshold, dtype=jnp.float64)
            top = abs(slope(found.argmax))
            assert found.argmax == 0 or abs(bend(found.argmax)) < 1e-14
            assert abs(found.max_slope / top - 1) < 2.3e-16
            x = ends(found.saturated)
            assert x.size == {"gaussian": 4}.get(name, 2)  # around the root, however narrow
            below = [[abs(slope(t)) < threshold * top for t in brackets.step(x, by)] for by in (-1, 1)]
            assert (np.array(below[0]) != below[1]).all(), (threshold, x)


def rough(x):
    """What looks like the rounding errors of 3 units, with none on average."""
    table = np.random.default_rng(0).permutation(np.linspace(-6.6e-16, 6.6e-16, 4096))
    return 1 + table[(x.view(np.int64) * 40503) % 4096]


@pytest.mark.parametrize(
    ("slope", "edge", "mended"),
    [
        (lambda x: 1 / (1 + x) ** 2, 9.0, True),
        (lambda x: 1 / (1 + x), 99.0, True),
        (lambda x: np.exp(-x), -math.log(0.01), True),
        (lambda x: np.where(np.abs(x - 9.003) < 1e-3, np.nan, 1 / (1 + x) ** 2), 9.0, True),
        (lambda x: np.where(x < 9 + 1e-6, 1 / (1 + x) ** 2, 0.01 - (x - 9) / 400), 9.0, True),
        (lambda x: np.where(x < 9 + 1e-11, 1 / (1 + x) ** 2, 0.01 - (x - 9) / 400), 9.0, False),  # a kink
        (lambda x: np.where(x < 9 + 1e-11, 1 / (1 + x) ** 2, 0.0), 9.0, False),  # a jump next to it
        (lambda x: np.where(x < 9, 1.0, 0.0), 9.0, False),  # a jump
        (lambda x: 0.01 + np.where(x < 9, 1e-17, -1e-17) * (np.sin(1e4 * x) > 0.99), 9.0, False),  # spikes
    ],
)
def test_only_what_is_smooth_is_averaged(slope, edge, mended):
    for off in (-7, 0, 5):
        at = brackets.step(np.array([edge]), off)
        beside = brackets.step(at, 1)
        level = averages.Level(1.0).times(0.01)
        got = averages.crossings(lambda x, _: slope(x) * rough(x), at, beside, at, level)
        if mended:
            assert ulps(got, [edge], jnp.float64) <= 1
        else:
            np.testing.assert_array_equal(got, at)


@pytest.mark.parametrize("scale", [1e300, 1e-200])
def test_slopes_of_any_size(scale):
    found = saturation_regions(lambda x: scale * jnp.sin(x), domain=(-3, 3), dtype=jnp.float64)
    np.testing.assert_allclose(found.roots, [-math.pi / 2, math.pi / 2], rtol=1e-15)


def test_a_single_flat_number_is_no_interval():
    def odd(x):
        return jnp.sign(x) * jnp.log1p(jnp.abs(x))

    assert derivative(odd)(0.0) == 0  # sign has no slope there, and abs neither
    found = saturation_regions(odd, dtype=jnp.float64)
    np.testing.assert_array_equal(found.saturated, [[-INF, -99], [99, INF]])


def test_many_ends_in_float64():
    found = saturation_regions(jnp.sin, domain=(-200, 200), dtype=jnp.float64)
    with mpmath.workdps(30):
        true = [k * mpmath.pi + side * mpmath.acos(mpmath.mpf(0.01)) for k in range(-65, 66) for side in (-1, 1)]
        true = np.array(sorted(float(t) for t in true if abs(t) < 200))
    assert ulps(ends(found.saturated), true, jnp.float64) <= 1


def test_several_regions_kinks_and_periods():
    found = saturation_regions(jaxact.relu6)
    np.testing.assert_array_equal(found.saturated, [[-INF, 0], [6, INF]])
    np.testing.assert_array_equal(found.dead, [[-INF, 0], [6, INF]])
    np.testing.assert_array_equal(found.lost, 0)
    found = saturation_regions(lambda x: jnp.where(jnp.abs(x - 3) < 1.25, 0.005 * x, x))
    np.testing.assert_array_equal(found.saturated, [[1.75, 4.25]])
    assert found.dead.size == 0
    found = saturation_regions(jnp.sin, domain=(-10, 10))
    half = (np.arange(-3, 3) + 0.5) * np.pi
    np.testing.assert_allclose(found.roots, half, rtol=1e-7)
    np.testing.assert_allclose(
        found.saturated, np.stack([half - math.asin(0.01), half + math.asin(0.01)], 1), rtol=2e-7
    )
    assert found.around_root.all()
    found = saturation_regions(lambda x: x - jnp.sin(x), domain=(-1, 7))  # f' touches 0
    np.testing.assert_allclose(found.roots, [0, 2 * np.pi], atol=1e-6)
    found = saturation_regions(jnp.abs)  # f' jumps over 0
    assert found.roots.size == found.saturated.size == 0
    found = saturation_regions(lambda x: x**3, domain=(-2, 2))
    np.testing.assert_array_equal(found.roots, 0)
    found = saturation_regions(jaxact.exp, domain=(-INF, 1))
    np.testing.assert_allclose(found.saturated, [[-INF, 1 + math.log(0.01)]], rtol=1e-7)
    assert found.argmax == 1


@pytest.mark.parametrize("fn", [lambda x: 0 * x + 3, lambda x: 2.0 + 0 * x, jnp.sign, jnp.floor])
def test_constants(fn):
    for dtype in (F32, BF16):
        found = saturation_regions(fn, dtype=dtype)
        assert found.max_slope == 0
        assert found.saturated.tolist() == found.dead.tolist() == [[-INF, INF]]
        assert found.lost.tolist() == [0]
    assert saturation_regions(fn, domain=(-1, 2)).dead.tolist() == [[-1, 2]]


def test_float64_tells_lost_from_mathematical():
    for fn, exact in [(jax.nn.tanh, False), (jaxact.tanh, False), (jax.nn.relu, True), (jaxact.sqnl, True)]:
        found = saturation_regions(fn, dtype=jnp.float64)
        assert found.dead.size
        assert ((found.lost == 0) == exact).all()
    assert saturation_regions(lambda x: jnp.maximum(x, 0) ** 2, dtype=jnp.float64, domain=(-3, 3)).lost == 0


def test_nothing_leaks():
    before = jax.config.read("jax_enable_x64")
    saturation_regions(jnp.tanh)
    assert jax.config.read("jax_enable_x64") == before
    assert jnp.zeros(1).dtype == (jnp.float64 if before else F32)
    with jax.enable_x64(True):
        again = saturation_regions(jnp.tanh)
    np.testing.assert_array_equal(again.saturated, saturation_regions(jnp.tanh).saturated)


def test_functions_without_float64_or_second_derivative():
    found = saturation_regions(lambda x: jnp.tanh(x.astype(F32)).astype(x.dtype))
    np.testing.assert_allclose(ends(found.saturated), [-2.993223, 2.993223], rtol=1e-4)

    @jax.custom_vjp
    def once(x):
        return jnp.tanh(x)

    def slope(x):  # on the host, where JAX cannot differentiate it again
        return jax.pure_callback(lambda t: 1 - np.tanh(t) ** 2, x, x, vmap_method="expand_dims")

    once.defvjp(lambda x: (jnp.tanh(x), x), lambda x, g: (g * slope(x),))
    found = saturation_regions(once)
    np.testing.assert_allclose(ends(found.saturated), [-2.993223, 2.993223], rtol=1e-6)


@pytest.mark.parametrize(
    ("fn", "options", "message"),
    [
        (jnp.tanh, {"threshold": 0}, r"threshold must be a number above 0 and at most 1, got 0"),
        (jnp.tanh, {"threshold": "1"}, r"threshold must be .*, got '1'"),
        (jnp.tanh, {"dtype": jnp.int32}, r"dtype must be float64, float32, bfloat16 or float16, got "),
        (jnp.tanh, {"dtype": "float33"}, r"dtype must be "),
        (jnp.tanh, {"domain": (1, 1)}, r"domain must be two numbers \(low, high\) with low < high, got \(1, 1\)"),
        (jnp.tanh, {"domain": 3}, r"domain must be two numbers"),
        (jnp.exp, {}, r"fn must have a bounded slope on the domain, got .* within \(-inf, 708\)"),
        (jnp.square, {}, r"fn must have a bounded slope on the domain, .*pass a finite domain"),
        (jnp.sqrt, {"domain": (0, 4)}, r"fn must have a bounded slope on the domain, got f = 0 and f' = inf at 0"),
        (jnp.log, {}, r"fn must not be NaN on the domain, got f = nan"),
        (lambda x: x * jnp.nan, {}, r"fn must not be NaN on the domain, .* at 0; pass a domain as"),
        (jnp.sin, {}, r"fn must have at most 1000 intervals and roots on the domain"),
        (lambda x: jnp.stack([x, x]), {}, r"fn must be elementwise"),
    ],
)
def test_one_clear_line(fn, options, message):
    with pytest.raises(InputError, match=message) as error:
        saturation_regions(fn, **options)
    assert "\n" not in str(error.value)
    assert "np.float" not in str(error.value)


def test_not_a_function():
    with pytest.raises(TypeError, match=r"^fn must be callable, got str 'relu'"):
        saturation_regions("relu")


FNS = [jnp.tanh, jax.nn.relu, jax.nn.silu]
TOPS = (1.0, 1.0, 1.0998393201288669)


@pytest.mark.parametrize(
    ("shape", "block"), [((), 1), ((0,), 64), ((1003,), 64), ((2, 3, 5), 1), ((2, 3, 5), 1 << 17)]
)
def test_map(shape, block):
    x = jnp.linspace(-9.5, 9, math.prod(shape)).reshape(shape)
    got = saturation_map(FNS, x=x, block=block)
    for i, (fn, top) in enumerate(zip(FNS, TOPS, strict=True)):
        slope = derivative(fn)(x)
        np.testing.assert_allclose(got.value[i], fn(x), rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(got.slope[i], slope, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(got.curvature[i], derivative(fn, 2)(x), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(got.gate[i], np.abs(slope) / top, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(got.saturated[i], np.abs(got.slope[i]) < 0.01 * top)
        np.testing.assert_array_equal(got.dead[i], got.slope[i] == 0)
    assert got.dead.shape == (3, *shape)
    if x.size:
        means = saturation_map(FNS, x=x, block=block, reduce="mean")
        for mean, field in zip(means, got, strict=True):
            assert mean.shape == (3,)
            np.testing.assert_allclose(
                mean, np.asarray(field).reshape(3, -1).astype(np.float64).mean(1), rtol=1e-5, atol=1e-6
            )


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.int32])
def test_map_in_other_dtypes(dtype):
    x = jnp.asarray([-9, -1, 0, 2], dtype)
    got = saturation_map([jax.nn.tanh], x=x)
    assert got.gate.dtype == (F32 if dtype == jnp.int32 else dtype)
    np.testing.assert_array_equal(got.dead, [[True, False, False, False]])
    with jax.enable_x64(True):
        assert saturation_map([jnp.tanh], x=jnp.ones(3, jnp.float64)).slope.dtype == jnp.float64


def test_map_over_means_and_scales():
    x = jax.random.normal(jax.random.key(0), (500,))
    mean, std = jnp.array([0.0, 1.0])[:, None], jnp.array([0.5, 1.0, 4.0])
    got = saturation_map(FNS, x=x, mean=mean, std=std, fields=["value", "dead"])
    assert got.slope is got.gate is None
    assert got.value.shape == (3, 2, 3, 500)
    z = np.asarray(mean)[..., None] + np.multiply.outer(np.asarray(std), np.asarray(x))
    np.testing.assert_allclose(got.value, jnp.stack([fn(z) for fn in FNS]), rtol=1e-5, atol=1e-6)
    share = saturation_map(FNS, x=x, mean=mean, std=std, fields=["dead"], reduce="mean").dead
    np.testing.assert_allclose(share, got.dead.mean(-1), rtol=1e-6)


def test_map_reuses_memory_and_needs_little():
    x = jnp.linspace(-5, 5, 4096)
    first = saturation_map(FNS, x=x, fields=["slope"])
    where, value = first.slope.unsafe_buffer_pointer(), np.array(first.slope)
    second = saturation_map(FNS, x=x, fields=["slope"], out=first)
    assert second.slope.unsafe_buffer_pointer() == where
    np.testing.assert_array_equal(second.slope, value)
    with pytest.raises(InputError, match=r"^out\.slope must be a float32 array .* used up"):
        saturation_map(FNS, x=x, fields=["slope"], out=first)
    from jaxact.analysis.map_program import Plan, run

    x = jax.ShapeDtypeStruct((10_000_000,), F32)
    tops, threshold = jax.ShapeDtypeStruct((3,), F32), jax.ShapeDtypeStruct((), F32)
    for reduced in (False, True):
        plan = Plan(tuple(FNS), ("slope", "dead"), reduced, 1 << 14, (), x.shape, tuple(jax.devices()[:1]))
        memory = run.lower(plan, x, None, tops, threshold, None).compile().memory_analysis()
        assert memory.temp_size_in_bytes < 1 << 20
        assert memory.output_size_in_bytes < (1 << 10 if reduced else 10_000_000 * 3 * 5 + 100)


def test_mean_of_many_points():
    """Beyond 2^24 a float32 no longer counts one by one."""
    x = jnp.ones(40_000_000, BF16)
    got = saturation_map(
        [lambda x: jnp.where(x > 0, 0 * x, x)], x=x, fields=["dead"], max_slope=[1], reduce="mean"
    )
    assert got.dead == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fns": jnp.tanh}, r"^fns must be a list of functions, at least one, got "),
        ({"fns": []}, r"^fns must be a list"),
        ({"fields": ["slop"]}, r"^fields must be a list of some of value, slope, "),
        ({"fields": "slope"}, r"^fields must be a list"),
        ({"reduce": "sum"}, r'^reduce must be "mean" or None, got '),
        ({"block": 0}, r"^block must be a whole number of at least 1, got 0"),
        ({"mean": jnp.ones(2), "std": jnp.ones(3)}, r"^mean and std must have shapes that broadcast"),
        ({"max_slope": [1.0, 2.0]}, r"^max_slope must be 1 finite numbers of at least 0, got "),
        ({"threshold": 2}, r"^threshold must be"),
        ({"fns": [jnp.tanh, jnp.square]}, r"^fns\[1\] \(square\) must have a bounded slope"),
        ({"out": 3}, r"^out must be a SaturationMap"),
        ({"out": jaxact.SaturationMap()}, r"^out\.value must be a float32 array of shape \(1, 2\), got None"),
    ],
)
def test_bad_maps(options, message):
    with pytest.raises(InputError, match=message) as error:
        saturation_map(**{"fns": [jnp.tanh], "x": jnp.ones(2)} | options)
    assert "\n" not in str(error.value)


def test_shares_in_the_tails():
    spans = [(-1, 1), (10, INF), (-INF, -37), (3, 3.0001), (-30, -29.9), (-INF, INF), (5, 5), (-2, 30)]
    means, stds = np.array([0.0, 1.5]), np.array([1.0, 0.3])
    got = normal_share(spans, means, stds)
    assert got.shape == (2, len(spans))
    with mpmath.workdps(500):
        for i in range(2):
            for j, (low, high) in enumerate(spans):
                a, b = (mpmath.mpf(end) for end in (low, high))

                def cdf(z, i=i):
                    return mpmath.ncdf((z - mpmath.mpf(means[i])) / mpmath.mpf(stds[i]))

                true = float(cdf(b) - cdf(a))
                # The ends in units of std are rounded, which far out counts for their square.
                far = min(abs(low - means[i]), abs(high - means[i])) / stds[i]
                assert got[i, j] == pytest.approx(true, rel=1e-14 + (0 if i == 0 else far**2 * 3e-16), abs=1e-307)


def test_shares():
    got = saturation_shares([jax.nn.tanh, jaxact.relu, jaxact.tanh], std=[1.0, 2.0], dtypes=[F32, BF16])
    assert got.dead.shape == got.lost.shape == got.saturated.shape == (2, 3, 2)
    np.testing.assert_allclose(
        got.saturated[0, 0], [math.erfc(math.acosh(10) / s / 2**0.5) for s in (1, 2)], rtol=1e-6
    )
    np.testing.assert_allclose(got.dead[1, 0], [5.5e-4, 8.4e-2], rtol=0.06)  # the table says |z| > 3.453
    np.testing.assert_array_equal(got.dead[:, 1], 0.5)
    np.testing.assert_array_equal(got.lost[:, 1], 0)
    assert (got.dead[:, 2] < 1e-90).all()
    again = saturation_shares([jax.nn.tanh] * 3, std=[1.0, 2.0], regions=got.regions)
    np.testing.assert_array_equal(again.dead, got.dead)
    # Against a sample, which the map reduces without keeping it.
    x = jax.random.normal(jax.random.key(0), (200_000,))
    sampled = saturation_map(
        [jax.nn.tanh], x=x.astype(BF16), std=jnp.array([2.0]), reduce="mean", fields=["dead"]
    ).dead
    np.testing.assert_allclose(sampled[0], got.dead[1, 0, 1:], atol=0.005)
    for bad in ({"std": 0}, {"std": [1, -1]}, {"mean": "a"}, {"mean": INF}, {"regions": [[]]}):
        with pytest.raises(InputError, match=r"^(mean|regions) must|^mean and std must"):
            saturation_shares([jnp.tanh], **bad)
    with pytest.raises(InputError, match=r"^intervals must be rows"):
        normal_share([1, 2])


SHARDED = """
import jax, jax.numpy as jnp, numpy as np, jaxact, warnings
warnings.simplefilter("error")
assert jax.device_count() == 4
fns = [jnp.tanh, jax.nn.relu]
for shape, parts in (((1000,), 4), ((1003,), 1), ((1002,), 3), ((1, 8, 125), 4), ((6, 4), 3)):
    x = jnp.linspace(-9, 9, np.prod(shape)).reshape(shape)
    fields = ["value", "slope", "dead"]
    m = jaxact.saturation_map(fns, x=x, std=jnp.array([1.0, 2.0]), block=100, fields=fields)
    want = jnp.stack([jnp.stack([jaxact.derivative(f)(s * x) for s in (1.0, 2.0)]) for f in fns])
    np.testing.assert_allclose(m.slope, want, rtol=1e-5, atol=1e-6)
    # In equal parts, of which none is held twice: an array has no others.
    sizes = [s.data.size for s in m.slope.addressable_shards]
    assert sizes == [4 * x.size // parts] * parts, m.slope.sharding
    mean = jaxact.saturation_map(fns, x=x, std=jnp.array([1.0, 2.0]), block=100, reduce="mean", fields=fields)
    np.testing.assert_allclose(mean.dead, m.dead.reshape(2, 2, -1).mean(-1), rtol=1e-6)
    np.testing.assert_allclose(mean.value, m.value.reshape(2, 2, -1).mean(-1), rtol=1e-4, atol=1e-6)
    m = jaxact.saturation_map(fns, x=x, std=jnp.array([1.0, 2.0]), block=100, out=m, fields=fields)
    np.testing.assert_allclose(m.slope, want, rtol=1e-5, atol=1e-6)
"""


def test_sharded():
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", SHARDED], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_keys():
    for dtype in (jnp.float64, F32, BF16, F16):
        info = jnp.finfo(dtype)
        x = np.array(
            [-float(info.max), -1, -float(info.tiny), 0, float(info.tiny), 1, 1 + float(info.eps)]
        ).astype(dtype)
        keys = brackets.to_keys(x)
        assert (np.diff(keys) > 0).all()
        np.testing.assert_array_equal(brackets.from_keys(keys, dtype), x)
        assert keys[6] - keys[5] == 1
        assert keys[3] == 0
        assert keys[4] == (1 if dtype != F16 else 1024)


@pytest.mark.parametrize("module", ["saturation", "saturation_map", "saturation_shares"])
def test_doctests(module):
    found = importlib.import_module(f"jaxact.analysis.{module}")
    names = vars(found) | {"jax": jax, "jnp": jnp}
    tests = doctest.DocTestFinder().find(found, globs=names)
    assert sum(len(test.examples) for test in tests) > 0
    assert all(doctest.DocTestRunner().run(test).failed == 0 for test in tests)
