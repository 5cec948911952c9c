"""Mean-field theory: closed forms, mpmath, published points, and wide random networks."""

import doctest
import functools
import importlib
import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import jaxact
from jaxact import mean_field, moments

pytestmark = pytest.mark.usefixtures("training_compiled_fast")

close = functools.partial(np.testing.assert_allclose, rtol=1e-10)
GAPS = np.array([2.0, 1.9, 1.3, 1.0, 0.6, 0.1, 0.02, 1e-3, 1e-5, 1e-8])


def relu_gap(gap):
    """1 - C of relu at correlation 1 - gap, in 60 digits, as both cancel."""
    with mpmath.workdps(60):
        c = 1 - mpmath.mpf(float(gap))
        return float(1 - (mpmath.sqrt(1 - c * c) + (mpmath.pi - mpmath.acos(c)) * c) / mpmath.pi)


def hard_tanh(x):
    return jnp.clip(x, -1, 1)


def test_length_map():
    q = np.array([1e-5, 0.3, 1.0, 40.0, 1e5])
    close(mean_field.length_map(jax.nn.relu, q, sigma_w=1.3, sigma_b=0.2), 1.69 * q / 2 + 0.04)

    def leaky(x):
        return jax.nn.leaky_relu(x, 0.2)

    close(mean_field.length_map(leaky, q, sigma_w=1.3), 1.69 * q * 1.04 / 2)
    close(
        mean_field.length_map(jaxact.erf, q, sigma_w=1.3, sigma_b=0.2),
        1.69 * 2 / np.pi * np.arcsin(2 * q / (1 + 2 * q)) + 0.04,
    )
    for fn in (jaxact.selu, jaxact.hard_shrink, jaxact.sine):
        close(mean_field.length_map(fn, q[:4], sigma_w=1.0), moments(fn, q[:4]).second)


@pytest.mark.parametrize("slope", [0.0, 0.2, -0.5])
def test_correlation_map_of_rectifiers(slope):
    def fn(x):
        return jnp.where(x > 0, x, slope * x)

    share = (1 - slope) ** 2 / (1 + slope**2)
    expected = [1 - (g - share * (g - relu_gap(g))) for g in GAPS]
    got = mean_field.correlation_map(fn, 1 - GAPS, sigma_w=1.1, q=2.3)
    close(got, expected, atol=1e-14)


@pytest.mark.parametrize("q", [0.1, 3.0, 60.0])
def test_pairs_of_erf(q):
    """The integrals themselves, which keep their digits next to correlation 1."""
    from jaxact.mean_field import pairs

    for gap in GAPS[1:]:
        with mpmath.workdps(50):
            v, c = mpmath.mpf(2 * q), 1 - mpmath.mpf(float(gap))
            lost = 2 / mpmath.pi * (mpmath.asin(v / (1 + v)) - mpmath.asin(v * c / (1 + v)))
            slope = 4 / mpmath.pi / mpmath.sqrt((1 + v) ** 2 - (v * c) ** 2)
        for got in (pairs.pair(jaxact.erf, q, float(gap)), pairs.rotated(jaxact.erf, q, float(gap))):
            close(got, (float(lost), float(slope)), rtol=1e-9 if gap < 1e-7 else 1e-10)


@pytest.mark.parametrize("fn", [hard_tanh, jaxact.selu, jaxact.hard_silu, lambda x: jnp.maximum(x - 1 / 3, -0.1)])
@pytest.mark.parametrize("gap", [1.9, 1.2, 0.5, 0.03])
def test_two_ways_to_integrate_pairs_agree(fn, gap):
    from jaxact.mean_field import pairs

    s = pairs.series(fn, 1.4, 1200)
    assert pairs.converged(s, 1 - gap)
    close(pairs.sum_series(s, 1.4, gap), pairs.rotated(fn, 1.4, gap), rtol=1e-12)


def test_pairs_of_a_step():
    c = np.array([-0.99, -0.3, 0.0, 0.7, 0.99, 0.9999])
    got = mean_field.correlation_map(jaxact.sign, c, sigma_w=1.0, q=0.7)
    close(got, 2 / np.pi * np.arcsin(c), atol=1e-13)


def test_fixed_points_against_iteration():
    sigma_w, sigma_b = np.array([0.7, 1.2, 1.8, 3.0]), np.array([[0.0], [0.1], [0.6]])
    for fn in (jaxact.erf, hard_tanh):
        phase = mean_field.fixed_point(fn, sigma_w=sigma_w, sigma_b=sigma_b)
        assert all(a.shape == (3, 4) for a in phase)
        q, c = np.ones((3, 4)), np.full((3, 4), 0.3)
        for _ in range(400):
            q = mean_field.length_map(fn, q, sigma_w=sigma_w, sigma_b=sigma_b)
            if (np.asarray(q) < 1e-12).any():
                q = np.maximum(q, 1e-12)
        np.testing.assert_allclose(phase.q, q, rtol=1e-9, atol=2e-12)
        for _ in range(150):
            c = mean_field.correlation_map(fn, c, sigma_w=sigma_w, sigma_b=sigma_b, q=q)
        done = np.abs(phase.chi_c) < 0.87  # by then it has converged to 1e-9
        assert done.sum() >= 6
        live = phase.q > 0
        np.testing.assert_allclose(phase.c[done & live], c[done & live], rtol=1e-8, atol=1e-8)
        m = moments(fn, phase.q[live])
        w = np.broadcast_to(sigma_w, (3, 4))[live]
        close(phase.chi_1[live], w**2 * m.slope)
        close(phase.slope[live], w**2 * m.parallel / phase.q[live])
        with np.errstate(divide="ignore"):
            close(phase.xi_grad, -1 / np.log(phase.chi_1))
            close(phase.xi_q, -1 / np.log(np.abs(phase.slope)))
            close(phase.xi_c, -1 / np.log(phase.chi_c))


def test_slope_of_the_length_map_at_kinks_and_jumps():
    from jaxact.mean_field.lengths import integrals

    for fn in (hard_tanh, jaxact.selu, jaxact.hard_shrink, jaxact.threshold, jnp.tanh):
        q = np.array([0.3, 4.0])
        up, down = (integrals(fn, q * (1 + s)).second for s in (1e-4, -1e-4))
        np.testing.assert_allclose(integrals(fn, q).growth, (up - down) / (2e-4 * q), rtol=1e-6)


def test_dying_and_exploding():
    phase = mean_field.fixed_point(jax.nn.relu, sigma_w=np.array([1.0, 2**0.5, 2.0]), q_0=3.0)
    close(phase.q, [0, 3, np.inf])
    close(phase.chi_1, [0.5, 1, 2])
    np.testing.assert_array_equal(np.isinf(phase.xi_grad), [False, True, False])
    assert phase.xi_grad[0] > 0 > phase.xi_grad[2]
    np.testing.assert_array_equal(mean_field.fixed_length(jnp.tanh, sigma_w=[0.0, 0.5, 1.0]), 0)
    close(mean_field.fixed_length(jax.nn.relu, sigma_w=1.0, sigma_b=0.5), 0.5)
    assert mean_field.fixed_length(jnp.exp, sigma_w=3.0) == np.inf


@pytest.mark.parametrize("apart", [1e-1, 1e-3, 1e-5, 1e-6])
def test_close_pairs_of_fixed_points_stop_signals(apart):
    """Both stop those that come from their side, however near they are to each other."""
    b = 0.3  # relu_squared: V = 3 w^2 q^2 / 2 + b^2, of whose fixed points the lower one is stable
    w2 = (1 - apart**2) / (6 * b**2)
    low, high = (1 - apart) / (3 * w2), (1 + apart) / (3 * w2)
    starts = np.array([1e-3, 0.1, low * (1 - apart / 9), (low * high) ** 0.5, high * (1 + apart / 9), 1.0])
    got = mean_field.fixed_length(jaxact.relu_squared, sigma_w=w2**0.5, sigma_b=b, q_0=starts)
    # As right as V is, which crosses q the flatter the nearer they are.
    np.testing.assert_allclose(got[:4], low, rtol=4e-15 / apart)
    np.testing.assert_array_equal(got[4:], np.inf)

    # A step: V = w^2 erfc(1 / sqrt(2 q)), the upper one is stable, the signals come from above.
    def step(x):
        return jnp.where(jnp.abs(x) > 1, 1.0, 0.0)

    def w2(q):
        return q / mpmath.erfc(1 / mpmath.sqrt(2 * q))

    with mpmath.workdps(30):
        lowest = mpmath.findroot(lambda q: mpmath.diff(w2, q), (0.3, 1.0), solver="anderson")
        q = float(lowest * (1 + apart))
        w = float(mpmath.sqrt(w2(mpmath.mpf(q))))
    got = mean_field.fixed_length(step, sigma_w=w, q_0=[100.0, 3.0, q * (1 + apart), float(lowest), q / 2])
    np.testing.assert_allclose(got[:4], q, rtol=4e-15 / apart)
    assert got[4] == 0


@pytest.mark.parametrize("apart", [1e-2, 1e-4, 1e-6])
def test_pairs_that_have_just_merged_stop_nothing(apart):
    b = 0.3
    w = ((1 + apart**2) / (6 * b**2)) ** 0.5
    got = mean_field.fixed_length(jaxact.relu_squared, sigma_w=[w], sigma_b=b, q_0=[[1e-3], [0.1], [0.17]])
    np.testing.assert_array_equal(got, np.inf)


def test_known_numbers_of_the_edge_of_chaos():
    edge = mean_field.edge_of_chaos(jnp.tanh, sigma_b=2.01e-5**0.5)
    np.testing.assert_allclose(edge.sigma_w**2, [1.05], rtol=1e-4)  # Pennington et al. 2017
    close(edge.chi_1, 1)
    assert edge.stable.all()
    edge = mean_field.edge_of_chaos(jax.nn.elu, sigma_b=[0.0, 0.2, 0.5])
    assert edge.sigma_w.shape == (3, 1)
    close(
        mean_field.length_map(jax.nn.elu, edge.q[1:], sigma_w=edge.sigma_w[1:], sigma_b=edge.sigma_b[1:]),
        edge.q[1:],
    )
    for slope in (0.0, 0.3):

        def leaky(x, a=slope):
            return jax.nn.leaky_relu(x, a)

        close(mean_field.edge_of_chaos(leaky).sigma_w, [(2 / (1 + slope**2)) ** 0.5])
        assert mean_field.edge_of_chaos(leaky, sigma_b=0.1).q.size == 0
    # erf: closed forms along the curve
    edge = mean_field.edge_of_chaos(jaxact.erf, sigma_b=0.4)
    q = edge.q
    close(edge.sigma_w**2, np.pi / 4 * np.sqrt(1 + 4 * q))
    close(q, edge.sigma_w**2 * 2 / np.pi * np.arcsin(2 * q / (1 + 2 * q)) + 0.16)


def test_every_solution_is_found():
    """x + sin(4x)/2 turns the edge back on itself: some biases have several solutions."""

    def fn(x):
        return x + jnp.sin(4 * x) / 2

    biases = np.linspace(0.02, 0.3, 8)
    edge = mean_field.edge_of_chaos(fn, sigma_b=biases)
    q = np.geomspace(1e-8, 1e4, 20001)
    m = [mean_field.lengths.integrals(fn, part) for part in np.array_split(q, 20)]
    second, slope = (np.concatenate([getattr(p, name) for p in m]) for name in ("second", "slope"))
    curve = q - second / slope
    for i, bias in enumerate(biases):
        expected = np.flatnonzero(np.diff(np.sign(curve - bias**2)))
        got = edge.q[i][~np.isnan(edge.q[i])]
        assert got.size == expected.size
        assert ((got > q[expected]) & (got < q[expected + 1])).all()
        close(mean_field.length_map(fn, got, sigma_w=edge.sigma_w[i][: got.size], sigma_b=bias), got)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("silu", lambda x: x / (1 + mpmath.exp(-x))),
        ("gelu(approximate=False)", lambda x: x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2),
        ("mish", lambda x: x * mpmath.tanh(mpmath.log(1 + mpmath.exp(x)))),
    ],
)
def test_doubly_critical_points(name, value):
    """Against a solution of chi_1 = V' = 1 by mpmath, which shares nothing with ours."""
    point = mean_field.critical_point(jaxact.get(name))
    assert point.q.size == 2
    close([point.q[0], point.sigma_b[0]], 0)
    close(point.chi_1, 1)
    close(point.slope, 1)
    with mpmath.workdps(20):
        h = mpmath.mpf(10) ** -7

        def slope(x):
            return (8 * (value(x + h) - value(x - h)) - value(x + 2 * h) + value(x - 2 * h)) / (12 * h)

        z = [mpmath.mpf(k) / 8 for k in range(-88, 89)]  # trapezoids converge exponentially for analytic functions
        p = [mpmath.npdf(t) / 8 for t in z]

        def sums(q):
            x = [mpmath.sqrt(q) * t for t in z]
            f, d = [value(t) for t in x], [slope(t) for t in x]
            return (
                mpmath.fdot((a * a, b) for a, b in zip(f, p, strict=True)),
                mpmath.fdot((a * a, b) for a, b in zip(d, p, strict=True)),
                mpmath.fdot((a * b * c, w) for a, b, c, w in zip(f, d, x, p, strict=True)),
            )

        def excess(q):
            _, slopes, parallel = sums(q)
            return parallel / (q * slopes) - 1

        guess = float(point.q[1])
        q = mpmath.findroot(excess, (guess * 0.98, guess * 1.02), tol=1e-13)
        second, slopes, _ = sums(q)
        true = [float(1 / slopes), float(q - second / slopes), float(q)]
    np.testing.assert_allclose([point.sigma_w[1] ** 2, point.sigma_b[1] ** 2, point.q[1]], true, rtol=1e-9)


def test_published_critical_points():
    """Roberts, Yaida & Hanin 2022, section 5.3.4."""
    silu = mean_field.critical_point(jax.nn.silu)
    np.testing.assert_allclose([silu.sigma_w[-1] ** 2, silu.sigma_b[-1] ** 2], [1.98800468, 0.55514317], atol=6e-9)
    gelu = mean_field.critical_point(lambda x: jax.nn.gelu(x, approximate=False))
    np.testing.assert_allclose([gelu.sigma_w[-1] ** 2, gelu.sigma_b[-1] ** 2], [1.98305826, 0.17292239], atol=6e-9)


def test_where_no_critical_point_is():
    for fn in (jax.nn.softplus, jax.nn.sigmoid, jaxact.selu, jaxact.hard_shrink, jnp.exp):
        with pytest.raises(jaxact.InputError, match="has no critical point") as error:
            mean_field.critical_point(fn)
        assert "\n" not in str(error.value)
    for fn in (jax.nn.relu, jaxact.leaky_relu, lambda x: 3 * x):
        with pytest.raises(
            jaxact.InputError, match=r"scale-invariant: at sigma_w = .*, sigma_b = 0 chi_1 = V' = 1"
        ):
            mean_field.critical_point(fn)
    with pytest.raises(jaxact.InputError, match="no edge of chaos"):
        mean_field.critical_point(jaxact.sign)
    for fn, slope in ((jnp.tanh, 1.0), (jaxact.erf, 2 / math.sqrt(math.pi)), (hard_tanh, 1.0)):
        point = mean_field.critical_point(fn)
        close([point.sigma_w[0], point.sigma_b[0], point.q[0]], [1 / slope, 0, 0])
        assert point.q.size == 1


def test_phase_diagram():
    diagram = mean_field.phase_diagram(jnp.tanh, sigma_w=np.linspace(0.5, 3, 8), sigma_b=np.linspace(0, 1, 6))
    assert diagram.phase.q.shape == (6, 8)
    np.testing.assert_array_equal(diagram.ordered, diagram.phase.chi_1 < 1)
    edge = mean_field.edge_of_chaos(jnp.tanh, sigma_b=np.linspace(0, 1, 6)).sigma_w
    np.testing.assert_array_equal(diagram.ordered, diagram.sigma_w < edge)
    np.testing.assert_allclose(diagram.phase.c[diagram.ordered], 1)
    assert (diagram.phase.c[~diagram.ordered] < 1).all()


@pytest.mark.parametrize("fn", [jax.nn.relu, jaxact.gelu, jaxact.silu, jaxact.elu, jnp.tanh])
def test_where_signals_explode(fn):
    grid = {"sigma_w": np.linspace(0.3, 3, 61), "sigma_b": np.linspace(0, 1.5, 7)}
    diagram = mean_field.phase_diagram(fn, **grid)
    np.testing.assert_array_equal(np.isinf(diagram.phase.q), diagram.sigma_w > diagram.explodes[:, None])
    # To four digits, between the points of any grid.
    near = diagram.explodes < 10
    for factor, explodes in ((1 - 1e-4, False), (1 + 1e-4, True)):
        at = {"sigma_w": factor * diagram.explodes[near], "sigma_b": grid["sigma_b"][near]}
        np.testing.assert_array_equal(np.isinf(mean_field.fixed_length(fn, **at)), explodes)


def test_where_signals_explode_in_closed_form():
    b = np.linspace(0, 1.5, 7)
    diagram = mean_field.phase_diagram(jaxact.relu_squared, sigma_w=[1.0], sigma_b=b)
    q = np.maximum(1, 2 * b**2)  # the largest (q - b^2) / E f^2 with E f^2 = 3 q^2 / 2
    np.testing.assert_allclose(diagram.explodes, np.sqrt((q - b**2) / (1.5 * q**2)), rtol=1e-4)


def test_transformations():
    w = jnp.array([0.9, 2.0])
    expected = mean_field.fixed_point(jnp.tanh, sigma_w=np.asarray(w), sigma_b=0.3)
    for transform in (jax.vmap, lambda f: jax.jit(jax.vmap(f))):
        got = transform(lambda w: mean_field.fixed_point(jnp.tanh, sigma_w=w, sigma_b=0.3))(w)
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-6)
    run = jax.vmap(lambda w: mean_field.propagate(jnp.tanh, depth=3, sigma_w=w, c=0.5))(w)
    np.testing.assert_allclose(run.c, mean_field.propagate(jnp.tanh, depth=3, sigma_w=w, c=0.5).c, rtol=1e-6)
    with pytest.raises(jaxact.InputError, match="sigma_b must not be traced"):
        jax.vmap(lambda b: mean_field.edge_of_chaos(jnp.tanh, sigma_b=b).q)(w)


def test_rates_of_convergence_at_criticality():
    run = mean_field.propagate(jax.nn.relu, depth=150, sigma_w=2**0.5, c=0.0)
    gap = 1.0
    for _ in range(150):
        gap = relu_gap(gap)
    close(1 - run.c[-1], gap)
    assert 0.8 < gap * 150**2 / (9 * np.pi**2 / 2) < 1  # its limit
    run = mean_field.propagate(jnp.tanh, depth=2000, sigma_w=1.0)
    np.testing.assert_allclose(run.q[-1] * 2000, 0.5, rtol=0.005)
    run = mean_field.propagate(jaxact.leaky_relu, depth=5, sigma_w=1.0, sigma_b=0.5, q=[1.0, 4.0])
    assert run.q.shape == (2, 6)
    np.testing.assert_array_equal(run.c, 1)


def test_gradient_variance():
    def gelu(x):
        return jax.nn.gelu(x, approximate=False)

    assert -13.5 < np.log10(mean_field.gradient_variance(gelu, init="he_normal")) < -13
    close(mean_field.gradient_variance(jax.nn.relu, init="he_uniform", depth=30), 1)
    close(mean_field.gradient_variance(jax.nn.relu, init="lecun_normal", depth=30), 2.0**-30)
    close(mean_field.gradient_variance(jax.nn.relu, init=2.0, depth=30), 2.0**30)
    point = mean_field.critical_point(gelu)
    w, b, q = (float(a[-1]) for a in (point.sigma_w, point.sigma_b, point.q))
    close(mean_field.gradient_variance(gelu, init=w, sigma_b=b, q=q), 1, rtol=1e-8)


def test_jacobian_variance():
    edge = mean_field.edge_of_chaos(jnp.tanh, sigma_b=[2.01e-5**0.5, 0.05**0.5])
    at = {"depth": 8, "sigma_w": edge.sigma_w[:, 0], "sigma_b": edge.sigma_b[:, 0]}
    gaussian, orthogonal = (
        mean_field.jacobian_variance(jnp.tanh, **at, weights=w) for w in ("gaussian", "orthogonal")
    )
    np.testing.assert_allclose(gaussian.variance, [8.03, 10.7], rtol=5e-3)
    np.testing.assert_allclose(orthogonal.variance, [0.034, 2.74], rtol=5e-3)
    close(gaussian.mean, 1)
    relu = mean_field.jacobian_variance(jax.nn.relu, depth=8, sigma_w=1.0, q=1.0)
    close(relu, (2.0**-8, 2.0**-16 * 16))


@pytest.mark.parametrize(
    ("fn", "depth"),
    [
        *((fn, 50) for fn in (jnp.tanh, jax.nn.softplus, jax.nn.gelu, jax.nn.silu, jax.nn.sigmoid, jax.nn.elu)),
        (jnp.tanh, 4),
    ],
)
def test_dks_and_tat(fn, depth):
    m = moments(mean_field.dks(fn, depth=depth).function)
    np.testing.assert_allclose(m, [0, 1, 1.5 ** (1 / depth), 1], atol=1e-9)
    shaped = mean_field.tat(fn, depth=depth)
    m = moments(shaped.function)
    np.testing.assert_allclose(m[1:], 1, atol=1e-9)
    curvature = moments(jaxact.derivative(shaped.function)).slope
    np.testing.assert_allclose(curvature, 0.3 / depth, rtol=1e-8)


def test_what_the_transformations_promise():
    """Of the network: DKS's slope at 1, its kernel's 0 at 0; the correlation that tailored rectifiers lead to."""
    deep = mean_field.dks(jnp.tanh, depth=20).function
    run = mean_field.propagate(deep, depth=20, sigma_w=1.0, c=[0.0, 1 - 1e-7])
    np.testing.assert_allclose(run.q, 1, atol=1e-10)
    np.testing.assert_allclose(run.c[0], 0, atol=1e-10)
    np.testing.assert_allclose((1 - run.c[1, -1]) / 1e-7, 1.5, rtol=1e-5)
    rectifier = mean_field.tat_leaky_relu(depth=20)
    run = mean_field.propagate(rectifier.function, depth=20, sigma_w=1.0, c=0.0)
    np.testing.assert_allclose(run.c[-1], 0.9, atol=1e-10)
    np.testing.assert_allclose(run.gradient, 1, atol=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_field.length_map(jnp.tanh, 0.0, sigma_w=1.0), "q must be a positive finite variance"),
        (
            lambda: mean_field.length_map(jnp.tanh, 1.0, sigma_w=-1.0),
            "sigma_w must be a finite standard deviation",
        ),
        (lambda: mean_field.fixed_point(jnp.tanh, sigma_w=1.0, sigma_b=np.nan), "sigma_b must be a finite"),
        (lambda: mean_field.fixed_point(jnp.tanh, sigma_w=1.0, q_0=0.0), "q_0 must be a positive finite"),
        (lambda: mean_field.fixed_point(jnp.tanh, sigma_w=[1.0, 2.0], sigma_b=[0.0] * 3), "shapes must broadcast"),
        (lambda: mean_field.correlation_map(jnp.tanh, 1.1, sigma_w=1.0, q=1.0), "c must be a correlation"),
        (lambda: mean_field.correlation_map(jnp.tanh, 0.5, sigma_w=0.5), "no positive finite fixed point"),
        (lambda: mean_field.edge_of_chaos(jnp.tanh, sigma_b=-0.1), "sigma_b must be a finite standard deviation"),
        (
            lambda: mean_field.phase_diagram(jnp.tanh, sigma_w=1.0, sigma_b=[0.0]),
            "sigma_w must be one-dimensional",
        ),
        (
            lambda: mean_field.propagate(jnp.tanh, depth=0, sigma_w=1.0),
            "depth must be a positive number of layers",
        ),
        (
            lambda: mean_field.gradient_variance(jnp.tanh, init="zeros"),
            "init must be a number or one of lecun_normal",
        ),
        (
            lambda: mean_field.jacobian_variance(jnp.tanh, depth=2, sigma_w=1.0, weights="sparse"),
            "weights must be",
        ),
        (lambda: mean_field.dks(jax.nn.relu, depth=50), "no DKS transformation"),
        (lambda: mean_field.dks(jnp.tanh, depth=50, zeta=0.5), "zeta must be between 1 and inf"),
        (lambda: mean_field.tat(jaxact.selu, depth=50), "jumps at x = 0: tat takes functions with a continuous"),
        (lambda: mean_field.tat_leaky_relu(depth=1), "out of reach in 1 layers"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(jaxact.InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("fn", "sigma_w", "sigma_b"),
    [
        (jnp.tanh, 1.0, 0.3),  # ordered
        (jnp.tanh, 1.6, 0.1),  # chaotic
        (jax.nn.relu, 2**0.5, 0.0),  # critical
    ],
)
def test_wide_random_networks_follow_the_prediction(fn, sigma_w, sigma_b):
    width, depth = 400, 30
    start = {"depth": depth, "sigma_w": sigma_w, "sigma_b": sigma_b, "q": 1.0, "c": 0.6}
    predicted = mean_field.propagate(fn, **start)
    run = mean_field.measure(jax.random.key(1), fn, width=width, networks=12, **start)
    parts = run.q, run.q * run.c, np.log(run.gradient)
    (q, q_error), (qc, qc_error), (log, log_error) = ((a.mean(0), a.std(0) / 11**0.5) for a in parts)
    # 4 standard errors, and the bias of finite width, which grows as layers / width
    bias = 2 * np.arange(depth + 1) / width
    assert (np.abs(q - predicted.q) < 4 * q_error + bias * predicted.q).all()
    assert (np.abs(qc - predicted.q * predicted.c) < 4 * qc_error + bias * predicted.q).all()
    assert (np.abs(log - np.log(predicted.gradient)) < 4 * log_error + 2.5 * bias[::-1])[:-1].all()
    # and the test could tell: the signal's size is known to some per cent, the gradient's to a factor of about 1.5
    assert (log_error < 0.3).all()
    assert (q_error < 0.3 * predicted.q).all()


def test_measured_networks_are_networks():
    """Against networks written down layer by layer, of the same draws."""
    depth, width, q, c = 3, 8, 2.0, 0.3
    key, sigmas = jax.random.key(4), {"sigma_w": 1.3, "sigma_b": 0.4}
    run = mean_field.measure(key, jnp.tanh, q=q, c=c, depth=depth, width=width, networks=5, **sigmas)
    start, walk = jax.random.split(key)
    starts = jax.random.normal(start, (5, 3, 1, 1, width))[:, :, 0, 0]

    def layer(z, drawn):
        return 1.3 / width**0.5 * jnp.tanh(z) @ drawn[:-1] + 0.4 * drawn[-1:]

    for i, keys in enumerate(jax.random.split(walk, (5, depth))):
        drawn = [jax.random.normal(key, (width + 1, width)) for key in keys]
        (u, v, g), zs = starts[i], []
        zs.append(q**0.5 * jnp.stack([u, c * u + (1 - c * c) ** 0.5 * v]))
        for d in drawn:
            zs.append(layer(zs[-1], d))
        products = [np.asarray(z @ z.T, float) / width for z in zs]
        np.testing.assert_allclose(run.q[i], [(p[0, 0] + p[1, 1]) / 2 for p in products], rtol=1e-5)
        cosines = [p[0, 1] / (p[0, 0] * p[1, 1]) ** 0.5 for p in products]
        np.testing.assert_allclose(run.c[i], cosines, atol=1e-5)
        for l, z in enumerate(zs):
            _, back = jax.vjp(lambda z, rest=drawn[l:]: functools.reduce(layer, rest, z), z[:1])
            ratio = (back(g[None])[0] ** 2).sum() / (g**2).sum()
            np.testing.assert_allclose(run.gradient[i, l], ratio, rtol=1e-5)


def test_measured_networks_at_many_sigmas():
    key, options = jax.random.key(0), {"depth": 4, "width": 32, "networks": 3}
    run = mean_field.measure(key, jnp.tanh, sigma_w=[0.5, 1.0], sigma_b=np.zeros((3, 1)), c=0.5, **options)
    assert all(a.shape == (3, 2, 3, 5) and a.dtype == np.float64 for a in run)
    np.testing.assert_array_equal(run.q[0], run.q[2])
    one = mean_field.measure(key, jnp.tanh, sigma_w=1.0, c=0.5, **options)
    assert one.q.shape == (3, 5)
    for a, b in zip(run, one, strict=True):
        np.testing.assert_allclose(a[0, 1], b, rtol=1e-5)
    np.testing.assert_array_equal(run.gradient[..., -1], 1)
    linear = mean_field.measure(key, lambda x: x, sigma_w=np.array([1.0, 2.0]), **options)
    np.testing.assert_allclose(
        linear.gradient[1] / linear.gradient[0], [4.0 ** np.arange(4, -1, -1)] * 3, rtol=1e-5
    )
    np.testing.assert_allclose(linear.c, 1, rtol=1e-6)


def test_measured_gradients_beyond_float32():
    deep = mean_field.measure(
        jax.random.key(0), jax.nn.sigmoid, depth=100, width=32, networks=4, sigma_w=[1.0, 1e-3]
    )
    predicted = mean_field.propagate(jax.nn.sigmoid, depth=100, sigma_w=1.0).gradient
    assert predicted[0] < 1e-120
    np.testing.assert_allclose(np.log(deep.gradient[0, :, 0]).mean(), np.log(predicted[0]), rtol=0.05)
    assert (deep.gradient[1, :, -2] < 1e-6).all()
    dead = mean_field.measure(jax.random.key(0), jaxact.sign, depth=2, sigma_w=1.0, width=8, networks=2)
    np.testing.assert_array_equal(dead.gradient, [[0, 0, 1]] * 2)
    silent = mean_field.measure(jax.random.key(0), jnp.tanh, depth=2, sigma_w=0.0, width=8, networks=2)
    np.testing.assert_array_equal(silent.q[:, 1:], 0)
    assert np.isnan(silent.c[:, 1:]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 0}, "depth must be a positive whole number, got 0"),
        ({"width": 2.5}, "width must be a positive whole number, got 2.5"),
        ({"networks": True}, "networks must be a positive whole number, got True"),
        ({"sigma_w": -1.0}, "sigma_w must be a finite standard deviation"),
        ({"sigma_b": np.inf}, "sigma_b must be a finite standard deviation"),
        ({"q": 0.0}, "q must be a positive finite variance"),
        ({"c": 1.5}, "c must be a correlation from -1 to 1, got 1.5"),
        ({"fn": jax.nn.glu}, "fn must be elementwise"),
        ({"fn": lambda x: x.sum()}, "fn must be elementwise"),
    ],
)
def test_bad_input_of_measured_networks(changes, message):
    given = {"key": jax.random.key(0), "fn": jnp.tanh, "depth": 2, "sigma_w": 1.0} | changes
    with pytest.raises(jaxact.InputError, match=message) as error:
        mean_field.measure(**given)
    assert "\n" not in str(error.value)


def test_measuring_needs_a_key():
    with pytest.raises(TypeError, match=r"key must be one random key, as jax.random.key\(0\) makes it, got 0"):
        mean_field.measure(0, jnp.tanh, depth=2, sigma_w=1.0)
    with pytest.raises(TypeError, match="fn must be callable, got str 'tanh'"):
        mean_field.measure(jax.random.key(0), "tanh", depth=2, sigma_w=1.0)


@pytest.mark.parametrize(
    "module", ["criticality", "depth", "fixed_lengths", "lengths", "networks", "phases", "transforms"]
)
def test_doctests(module):
    found = importlib.import_module(f"jaxact.mean_field.{module}")
    tests = doctest.DocTestFinder().find(found, globs=vars(found) | {"jax": jax, "jnp": jnp})
    assert sum(len(test.examples) for test in tests) > 0
    assert all(doctest.DocTestRunner().run(test).failed == 0 for test in tests)
