"""check_activation: planted faults are found and named, those of jax.nn too, and good functions are left alone."""

import doctest
import json
import math
import subprocess
import sys

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from jax import lax

import jaxact
from jaxact.testing import LAWS, CheckError, Finding, Kink, Report, check_activation, ulp
from jaxact.testing.bars import BARS
from jaxact.testing.differences import differentiate
from jaxact.testing.limits import HUGE, limit_of
from jaxact.testing.oracle import resolve
from jaxact.testing.reference import truth
from jaxact.testing.subject import Subject
from jaxact.testing.values import inputs

INF = math.inf


def with_slope(f, slope):
    """``f`` with another derivative."""
    rule = jax.custom_jvp(lambda x: f(x))
    rule.defjvp(lambda primals, tangents: (rule(*primals), slope(*primals) * tangents[0]))
    return rule


def backward_only():
    rule = jax.custom_vjp(jnp.sin)
    rule.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (g * jnp.cos(x),))
    return rule


def forward_only(x):
    return lax.while_loop(lambda s: s[0] < 1, lambda s: (s[0] + 1, jnp.sin(x)), (0, jnp.zeros_like(jnp.sin(x))))[1]


def impure():
    calls = []

    def fn(x):
        calls.append(x)
        return jnp.sin(x) + len(calls)

    return fn


def other_when_traced(x):
    return jnp.sin(x) if isinstance(x, jax.core.Tracer) else 1.01 * jnp.sin(x)


def sin_or_more(x):
    return jnp.where(x < 2, jnp.sin(x), jnp.sin(x) + 1e-3)


SLOPES = {"derivative", "second_derivative"}
RELU = "max(x, 0)"

# Function, reference, dtype, the laws it breaks: exactly these, or these at least where the set ends with "...".
PLANTED = {
    "wrong derivative": (with_slope(jnp.sin, lambda x: 1.01 * jnp.cos(x)), "sin(x)", "float32", SLOPES),
    "wrong second derivative": (
        with_slope(jnp.sin, with_slope(jnp.cos, lambda x: -1.01 * jnp.sin(x))),
        "sin(x)",
        "float32",
        {"second_derivative"},
    ),
    "not 0 at 0": (lambda x: jnp.sin(x) + 1e-3, "sin(x)", "float32", {"value"}),
    "NaN at infinity": (lambda x: jax.nn.relu(x) + 0 * x, RELU, "float32", {"limit"}),
    "wrong limit": (lambda x: jnp.where(x == INF, 7, jax.nn.relu6(x)), "relu6", "float32", {"limit"}),
    "lost dtype": (lambda x: jnp.sin(x.astype(jnp.float32)), "sin(x)", "bfloat16", {"dtype"}),
    "integers cut": (lambda x: jnp.sin(x).astype(x.dtype), "sin(x)", "float32", {"dtype"}),
    "vanished derivative": (
        with_slope(jnp.exp, lambda x: jnp.where(x < -20, 0, jnp.exp(x))),
        "exp(x)",
        "float32",
        {"vanished"},
    ),
    "vanished sigmoid": (lambda x: 1 / (1 + jnp.exp(-x)), "sigmoid", "float32", {"vanished", "nan", "..."}),
    "single where": (
        lambda x: jnp.where(x > 0, jnp.sqrt(x), 0),
        "sqrt(x) if x > 0 else 0",
        "float32",
        {"nan", "limit", "swallowed", "modes"},
    ),
    "overflow": (lambda x: jnp.sqrt(x * x + 1), "sqrt(x * x + 1)", "float16", {"overflow", "..."}),
    "jump": (sin_or_more, "sin(x)", "float32", {"value", "jump"}),
    "not elementwise": (lambda x: jnp.sin(x) + (jnp.flip(x) - x), "sin(x)", "float32", {"elementwise"}),
    "softmax": (jax.nn.softmax, "0 * x + 1", "float32", {"elementwise", "..."}),
    "impure": (impure(), "sin(x)", "float32", {"pure"}),
    "other under jit": (other_when_traced, "sin(x)", "float32", {"jit"}),
    "NumPy": (lambda x: jnp.asarray(np.sin(x)), "sin(x)", "float32", {"jit"}),
    "other under vmap": (
        lambda x: jnp.sin(x) if x.ndim else 1.01 * jnp.sin(x),
        "sin(x)",
        "float32",
        {"vmap", "..."},
    ),
    "swallowed NaN": (lambda x: jnp.where(x > 0, x, 0), RELU, "float32", {"swallowed"}),
    "wrong slope at a kink": (
        with_slope(jax.nn.relu, lambda x: jnp.where(x == 0, 2.0, jnp.heaviside(x, 0))),
        RELU,
        "float32",
        {"kink"},
    ),
    "NaN at a kink": (lambda x: jnp.sqrt(x * x), "abs(x)", "float32", {"kink", "..."}),
    "wrong slope where it is flat": (
        with_slope(jax.nn.relu, lambda x: jnp.where(x > 0, 1.0, 0.01)),
        RELU,
        "float32",
        {"derivative", "limit"},
    ),
    "no reverse mode": (forward_only, "sin(x)", "float32", {"modes"}),
    "no forward mode": (backward_only(), "sin(x)", "float32", {"modes"}),
    "other shape": (lambda x: jnp.sin(jnp.atleast_1d(x)), "sin(x)", "float32", {"shape"}),
    "one result": (lambda x: jnp.sin(x).sum(), "sin(x)", "float32", {"shape"}),
    "only matrices": (lambda x: jnp.sin(x)[:, :], "sin(x)", "float32", {"shape"}),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_faults_are_named(name):
    fn, reference, dtype, laws = PLANTED[name]
    report = check_activation(fn, reference=reference, dtypes=dtype, order=1 + ("second_derivative" in laws))
    assert not report.ok
    assert report.laws >= laws - {"..."}, report
    assert "..." in laws or report.laws == laws, report


def test_every_law_is_broken_by_a_planted_fault():
    assert set().union(*(laws for *_, laws in PLANTED.values())) == {*LAWS, "..."}


@pytest.mark.parametrize(
    "name",
    ["wrong derivative", "wrong second derivative", "vanished derivative", "wrong slope where it is flat"],
)
def test_planted_faults_are_found_by_finite_differences(name):
    fn, _, dtype, laws = PLANTED[name]
    report = check_activation(fn, dtypes=dtype)
    # The second derivative is held against differences of the first, whatever that is.
    assert report.laws == laws - ({"second_derivative"} if name == "wrong derivative" else set()), report


def test_the_worst_input_is_named():
    fn, reference, *_ = PLANTED["vanished derivative"]
    (finding,) = check_activation(fn, reference=reference, dtypes=["float32"], order=1).findings
    assert (finding.law, finding.dtype, finding.order, finding.got) == ("vanished", "float32", 1, 0)
    assert finding.due == pytest.approx(math.exp(finding.x))
    assert -21 < finding.x < -20
    assert finding.span[0] < -87
    assert finding.span[1] == finding.x
    assert "exactly 0 where the truth is not" in finding.message


# Faults of jax.nn: function, dtype, what of it, law, order, an input within what is found.
IN_JAX_NN = [
    ("sigmoid", "float32", "vanished", 1, 18.7),
    ("tanh", "float32", "vanished", 1, 10.7),
    ("elu", "float32", "vanished", 1, -18.7),
    ("selu", "float32", "vanished", 1, -18.7),
    ("gelu", "float32", "vanished", 0, -6.0),
    ("gelu", "float32", "nan", 1, 1.5e19),
    ("gelu", "float32", "limit", 0, -INF),
    ("silu", "float32", "vanished", 0, -91.0),
    ("silu", "float32", "limit", 0, -INF),
    ("silu", "float32", "limit", 1, INF),
    ("mish", "float32", "vanished", 0, -91.0),
    ("mish", "float32", "limit", 0, -INF),
    ("soft_sign", "float32", "limit", 0, INF),
    ("squareplus", "float16", "overflow", 0, 300.0),
]
FOUND: dict[tuple[str, str], Report] = {}


@pytest.mark.parametrize(("name", "dtype", "law", "order", "x"), IN_JAX_NN)
def test_faults_of_jax_nn(name, dtype, law, order, x):
    if (name, dtype) not in FOUND:
        FOUND[name, dtype] = check_activation(getattr(jax.nn, name), reference=name, dtypes=[dtype], order=1)
    report = FOUND[name, dtype]
    (finding,) = [f for f in report.findings if (f.law, f.order) == (law, order)]
    assert finding.span[0] <= x <= finding.span[1], report
    if law == "vanished":
        assert finding.got == 0
        assert abs(finding.due) > jnp.finfo(dtype).tiny
    if law == "limit":
        assert math.isnan(finding.got)
        assert math.isfinite(finding.due)


def test_squareplus_overflows_at_256_in_float16():
    fn = jax.nn.squareplus
    assert jnp.isinf(fn(jnp.float16(256)))
    (found,) = [
        f
        for f in check_activation(fn, reference="squareplus", dtypes="float16", order=0).findings
        if f.law == "overflow"
    ]
    assert 256 <= abs(found.x) < 512


GOOD = {
    "relu in every dtype": (jaxact.relu, {}),
    "elu": (jaxact.elu, {"dtypes": "float32"}),
    "softplus by differences": (lambda x: jaxact.softplus(x), {}),
    "with a parameter": (jaxact.get("leaky_relu(negative_slope=0.1)"), {}),
    "formula": (lambda x: x * jnp.sin(x), {"reference": "x * sin(x)", "dtypes": "float32"}),
    "16 bits with wider bars": (
        lambda x: x * jnp.sin(x),
        {"reference": "x * sin(x)", "dtypes": ["bfloat16", "float16"], "ulp": (2, 2, 4)},
    ),
    "differences": (lambda x: x * jnp.sin(x), {"dtypes": "float32"}),
    "mpmath": (jnp.cos, {"reference": mpmath.cos, "dtypes": "float32"}),
    "closed forms": (jnp.sin, {"reference": (np.sin, np.cos, lambda x: -np.sin(x)), "dtypes": "float32"}),
    "closed forms of numbers": (jnp.sin, {"reference": (math.sin, math.cos), "dtypes": "float32", "order": 1}),
    "NumPy": (jax.nn.relu, {"reference": lambda x: np.where(x > 0, x, 0), "dtypes": "float32"}),
    "NumPy's rounding": (
        jaxact.softplus,
        {"reference": lambda x: np.log(1 + np.exp(x)), "dtypes": "float32", "domain": (-INF, 700)},
    ),
    "JAX's rounding": (
        jaxact.softplus,
        {"reference": lambda x: jnp.log(1 + jnp.exp(x)), "dtypes": "float32", "domain": (-INF, 700)},
    ),
    "a pole": (lambda x: 1 / (1 - x), {"reference": "1 / (1 - x)", "dtypes": "float32", "order": 0}),
    "JAX": (jax.nn.relu6, {"reference": lambda x: jnp.clip(x, 0, 6), "dtypes": "float32"}),
    "half a line": (jnp.log, {"reference": "log(x)", "domain": (0, INF), "dtypes": "float32", "order": 1}),
    "an interval": (lambda x: x / (1 - x), {"domain": (-0.5, 0.5), "dtypes": "float32"}),
    "a staircase": (lambda x: jnp.round(jnp.clip(x, -3, 3)), {"dtypes": "float32"}),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_functions_are_left_alone(name):
    fn, options = GOOD[name]
    report = check_activation(fn, **options)
    assert report.ok, report
    assert report.raise_if_failed() is report
    assert not report.notes


# Small by cancellation: float64 knows these no better than what cancelled, and far out it knows nothing.
NAIVE = {
    "log(1 + exp(x))": lambda x: jnp.log(1 + jnp.exp(x)),
    "1 + tanh(x)": lambda x: 1 + jnp.tanh(x),
    "1 - 1 / (1 + exp(x))": lambda x: 1 - 1 / (1 + jnp.exp(x)),
    "x if x > 0 else exp(x) - 1": lambda x: jnp.where(x > 0, x, jnp.exp(jnp.minimum(x, 0)) - 1),
    "x * tanh(log(1 + exp(x)))": lambda x: x * jnp.tanh(jnp.log(1 + jnp.exp(x))),
    "1 - cos(x)": lambda x: 1 - jnp.cos(x),
}


@pytest.mark.parametrize("formula", NAIVE)
def test_right_derivatives_are_left_alone_where_float64_does_not_tell(formula):
    report = check_activation(NAIVE[formula], dtypes="float32")
    for finding in report.findings:
        if finding.order and math.isfinite(finding.x):
            exact, got = truth(formula, {}, [finding.x]), np.array([finding.got])
            bar = BARS["float32"].ulp[finding.order]
            assert ulp.errors(got, exact, finding.order, np.float32) > bar, report


@pytest.mark.parametrize("formula", NAIVE)
def test_doubts_cover_what_float64_does_not_tell(formula):
    subject = Subject(NAIVE[formula], 2, (-INF, INF))
    xs = inputs(np.dtype(np.float32), subject.domain, subject.breaks).astype(np.float64)
    due = resolve(None, NAIVE[formula], subject).at(xs, np.dtype(np.float32))
    true, known = truth(formula, {}, xs).high[:3], np.isfinite(due.y)
    tiny = float(jnp.finfo(jnp.float32).tiny)
    with np.errstate(invalid="ignore"):
        assert (np.abs(due.y - true) <= due.doubt + tiny)[known].all()
        sharp = known & (due.doubt <= 1e-6 * np.abs(true) + 1e-10)
    assert (sharp[:2].mean(axis=1) > 0.8).all()


@pytest.mark.parametrize(
    ("f", "x", "due"),
    [
        (lambda x: jnp.log(1 + jnp.exp(x)), -50.0, 2.0**-52),
        (lambda x: x * (1 + jnp.tanh(x)), -50.0, 50 * 2.0**-52),
        (lambda x: jnp.exp(x) - 1, 1e-20, 2.0**-52),
        (with_slope(lambda x: 1 - jnp.cos(x), jnp.sin), 1e-9, 2.0**-52),
        (lambda x: jnp.sin(x.astype(jnp.float32)).astype(x.dtype), 1.0, 2.0**-23),
        (jax.nn.relu, -50.0, 0),
        (jnp.exp, -50.0, 2.0**-52 * math.exp(-50)),
    ],
)
def test_rounding(f, x, due):
    (found,) = Subject(f, 0, (-INF, INF)).rounding(np.array([x]))
    assert due <= found <= 3 * due


def test_wrong_derivatives_are_found_where_float64_does_not_tell():
    naive = NAIVE["1 + tanh(x)"]
    fn = with_slope(naive, lambda x: jnp.where(x < -30, 1e-6, 1 - jnp.tanh(x) ** 2))
    (finding,) = [f for f in check_activation(fn, dtypes="float32", order=1).findings if f.law == "derivative"]
    assert finding.got == pytest.approx(1e-6)
    assert finding.span[0] < -100


def test_float64():
    with jax.enable_x64(True):
        report = check_activation(jaxact.relu)
        assert report.dtypes == ("float32", "bfloat16", "float16", "float64")
        assert report.ok, report
        report = check_activation(jax.nn.sigmoid, reference="sigmoid", dtypes="float64", order=1)
        assert "vanished" in report.laws


def test_functions_that_float64_does_not_reach():
    def narrow(x):
        if x.dtype == jnp.float64:
            raise TypeError("no float64")
        return jnp.sin(x)

    report = check_activation(narrow, dtypes="float32")
    assert report.ok
    assert len(report.notes) == 2
    report = check_activation(narrow, reference="sin(x)", dtypes="float32", order=1)
    assert report.ok
    assert len(report.notes) == 1
    # What computes in float32 all the same is judged with the precision of that.
    report = check_activation(lambda x: jnp.sin(x.astype(jnp.float32)).astype(x.dtype), dtypes="float32", order=1)
    assert report.laws <= {"dtype"}, report


def test_functions_that_refuse_a_dtype():
    def picky(x):
        if x.dtype == jnp.bfloat16:
            raise TypeError("no bfloat16")
        return jax.nn.relu(x)

    report = check_activation(picky, reference="relu", dtypes=["bfloat16", "float32"], order=1)
    (finding,) = report.findings
    assert (finding.law, finding.dtype, finding.got) == ("dtype", "bfloat16", "TypeError")
    assert "raises TypeError: no bfloat16" in finding.message
    report = check_activation(jax.nn.sigmoid, reference="sigmoid", dtypes="float32", order=0)
    assert [(f.law, f.dtype) for f in report.findings] == [("dtype", jnp.zeros(1, int).dtype.name)]


@pytest.mark.parametrize(
    ("fn", "kinks"),
    [
        (jaxact.relu, [(0, "corner", (0, 1), 0)]),
        (jaxact.relu6, [(0, "corner", (0, 1), 0), (6, "corner", (1, 0), 0)]),
        (jaxact.hard_shrink, [(-0.5, "jump", (1, 0), 0), (0.5, "jump", (0, 1), 0)]),
        (jaxact.hard_silu, [(-3, "corner", (0, -0.5), 0), (3, "corner", (1.5, 1), 1)]),
        (lambda x: jnp.maximum(x, 0), [(0, "corner", (0, 1), 0.5)]),
        (lambda x: jnp.abs(x - 0.3), [(0.3, "corner", (-1, 1), 1)]),
        (jaxact.softplus, []),
    ],
)
def test_kinks_are_found(fn, kinks):
    report = check_activation(fn, dtypes="float32", order=1)
    assert report.ok, report
    found = [(k.x, k.kind, k.slopes, k.derivative) for k in report.kinks]
    assert [f[1] for f in found] == [k[1] for k in kinks]
    for (x, _, slopes, taken), (due_x, _, due_slopes, due_taken) in zip(found, kinks, strict=True):
        assert x == due_x
        np.testing.assert_allclose((*slopes, taken), (*due_slopes, due_taken), atol=1e-12)


def test_a_report_reads_well():
    report = check_activation(*PLANTED["wrong limit"][:1], reference="relu6", dtypes="float32", order=1)
    first, header, row, *kinks = str(report).splitlines()
    assert first == "<lambda>: 1 finding (float32; against the formula of relu6)"
    assert header.split() == ["law", "order", "dtype", "x", "got", "due"]
    assert row.split()[:6] == ["limit", "0", "float32", "inf", "7", "6"]
    assert row.endswith("7 at inf, where the limit is 6")
    assert kinks[0] == "  corner at 0: slopes 0 and 1, jax.grad takes 0"
    assert str(report.findings[0]) == "limit, order 0, float32 at x = inf: 7 at inf, where the limit is 6"
    with pytest.raises(CheckError, match="1 finding") as error:
        report.raise_if_failed()
    assert isinstance(error.value, AssertionError)
    assert str(error.value) == str(report)
    assert json.loads(json.dumps(report.to_dict()))["findings"][0]["law"] == "limit"


def test_a_report_of_nothing_and_of_much():
    kinks = tuple(Kink(float(x), "corner", (0.0, 1.0), 0.0) for x in range(20))
    good = Report("f", "g", ("float32",), (), kinks, ("a note",))
    assert good.ok
    assert good.laws == set()
    assert str(good).splitlines()[0] == "f: every law holds (float32; against g)"
    assert str(good).splitlines()[-2:] == ["  and 12 more kinks, to 19", "  note: a note"]
    finding = Finding("modes", "float32", 1, None, "TypeError", "a derivative", "jvp raises")
    assert str(finding) == "modes, order 1, float32: jvp raises"
    assert "2 findings" in str(Report("f", "g", ("float32",), (finding, finding)))


@pytest.mark.parametrize(
    ("error", "options", "words"),
    [
        (ValueError, {"order": 3}, "order must be 0, 1 or 2, got 3"),
        (ValueError, {"order": True}, "order must be"),
        (ValueError, {"dtypes": ["int32"]}, "dtypes must be some of float32, bfloat16"),
        (ValueError, {"dtypes": []}, "dtypes must be"),
        (ValueError, {"dtypes": "nonsense"}, "dtypes must be"),
        (ValueError, {"dtypes": 3}, "dtypes must be"),
        (ValueError, {"domain": (1, 0)}, "domain must be two numbers"),
        (ValueError, {"domain": (0, math.nan)}, "domain must be"),
        (ValueError, {"domain": "all"}, "domain must be"),
        (ValueError, {"ulp": (4, 4)}, "ulp must be three numbers"),
        (ValueError, {"ulp": (4, 4, -1)}, "ulp must be"),
        (ValueError, {"reference": "sinus"}, "unknown activation 'sinus'"),
        (ValueError, {"reference": "sinh(x)"}, "a reference in x may use pi, abs, asinh.*; not sinh"),
        (ValueError, {"reference": "x.__class__"}, "not Attribute"),
        (ValueError, {"reference": "leaky_relu(slope=1)"}, "its parameters are negative_slope"),
        (TypeError, {"reference": 3}, "reference must be a name, a formula in x"),
        (TypeError, {"reference": (jnp.sin,)}, "reference must be"),
    ],
)
def test_bad_arguments(error, options, words):
    with pytest.raises(error, match=words) as raised:
        check_activation(jnp.sin, **options)
    assert "\n" not in str(raised.value)


def test_fn_must_be_callable():
    with pytest.raises(TypeError, match=r"^fn must be callable, got str 'relu'$"):
        check_activation("relu")


def test_float64_must_be_enabled():
    with jax.enable_x64(False), pytest.raises(ValueError, match="JAX_ENABLE_X64"):
        check_activation(jnp.sin, dtypes="float64")


@pytest.mark.parametrize("reference", [None, jax.nn.relu6, jaxact.relu6, (jax.nn.relu6, jax.grad(jax.nn.relu6))])
def test_without_flint_there_are_differences(reference, monkeypatch):
    monkeypatch.setitem(sys.modules, "flint", None)
    monkeypatch.delitem(sys.modules, "jaxact.testing.reference", raising=False)
    monkeypatch.delattr(jaxact.testing, "reference", raising=False)
    for needs_it in ("sin(x)", "relu6"):
        with pytest.raises(ImportError, match="python-flint"):
            check_activation(jnp.sin, reference=needs_it)
    report = check_activation(jaxact.relu6, reference=reference, dtypes="float32", order=1)
    assert report.ok, report
    assert "formula" not in report.reference


def test_import_loads_jax_and_no_more():  # no python-flint, then, is needed for it
    code = (
        "import sys, jaxact.testing; print(*(m for m in ('flint', 'mpmath', 'flax', 'scipy') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("f", [np.sin, np.exp, lambda x: x**3, lambda x: 1 / (1 + np.exp(-x)), np.cbrt, abs])
def test_differences_know_their_error(f):
    """The errors of finite differences are below the bounds that come with them, or no number comes."""
    xs = np.concatenate([-np.logspace(-20, 2.5, 60), np.logspace(-20, 2.5, 60)])
    slopes, doubt = differentiate(
        f,
        xs,
        rounding=lambda x: 2.0**-52 * np.abs(f(x)),
        precision=2.0**-52,
        breaks=np.array([0.0]),
        domain=(-INF, INF),
    )
    with mpmath.workdps(60):
        exact = {np.sin: mpmath.cos, np.exp: mpmath.exp, abs: mpmath.sign}.get(f)
        if exact is None:
            g = {np.cbrt: lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x))}.get(f) or (
                (lambda x: x**3) if f(2.0) == 8 else (lambda x: 1 / (1 + mpmath.exp(-x)))
            )

            def exact(x):
                return mpmath.diff(g, x, h=mpmath.mpf(10) ** -45)

        true = np.array([float(exact(mpmath.mpf(x))) for x in xs])
    known = np.isfinite(slopes)
    assert known.mean() > 0.9
    assert (np.abs(slopes - true) <= doubt)[known].all()


@pytest.mark.parametrize(
    ("f", "limit"),
    [
        (lambda x: 1 / x, 0),
        (lambda x: 3 + 1 / x, 3),
        (lambda x: -x, -INF),
        (np.log, INF),
        (np.exp, INF),
        (np.sin, None),
        (lambda x: x * np.sin(x), None),
        (lambda x: x * np.nan, None),
    ],
)
def test_limits_are_told_from_huge_inputs(f, limit):
    with np.errstate(over="ignore"):
        assert limit_of(f(HUGE)) == limit


def test_example_in_docstring():
    found = doctest.DocTestFinder().find(
        check_activation, globs={"check_activation": check_activation, "jax": jax}
    )
    assert sum(len(test.examples) for test in found) > 0
    assert all(doctest.DocTestRunner().run(test).failed == 0 for test in found)
