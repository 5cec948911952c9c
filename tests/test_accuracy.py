"""True values, errors against them, and the command that prints both."""

import json

import jax
import jax.numpy as jnp
import ml_dtypes
import mpmath
import numpy as np
import pytest

import jaxact
from jaxact import plotting
from jaxact.cli import main
from jaxact.testing import measure, peers, reference, ulp
from jaxact.testing.measure import BARS, Bar, samples_of
from jaxact.testing.reference import Truth, truth

DTYPES = [np.float32, np.float64, ml_dtypes.bfloat16, np.float16]


# --- true values ------------------------------------------------------------------------------------------

FORMULAS = [  # formula, parameters
    ("1 / (1 + exp(-x))", {}),
    ("x * tanh(log(1 + exp(x)))", {}),
    ("x * (1 + erf(x / sqrt(2))) / 2", {}),
    ("x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2 if fast else erfc(x)", {"fast": True}),
    ("x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2 if fast else erfc(x)", {"fast": False}),
    ("(x + sqrt(x * x + b)) / 2", {"b": 4.0}),
    ("x if x > 0 else alpha * (exp(x) - 1)", {"alpha": 0.3}),
    ("x / (1 + abs(x)) - sin(a * x)**2 / a", {"a": 1.5}),
    ("atan(x) + cos(x) * asinh(x)", {}),
    ("min(max(x + 3, 0), 6) * x / 6", {}),
    ("abs(x)**b + 2 - -x", {"b": 2.5}),
]
INPUTS = [-20.5, -3.25, -0.7, -1e-5, 1e-3, 0.5, 7.25, 30.0]
_MP = {name: getattr(mpmath, name) for name in ("exp", "log", "tanh", "erf", "erfc", "sqrt", "sin", "cos", "atan")}


@pytest.mark.parametrize(("formula", "parameters"), FORMULAS, ids=[f"{f[:30]} {p}" for f, p in FORMULAS])
def test_truth_is_that_of_mpmath(formula, parameters):
    found = truth(formula, parameters, INPUTS)
    with mpmath.workdps(60):
        names = {**_MP, "asinh": mpmath.asinh, "pi": mpmath.pi, **parameters}
        for i, x in enumerate(INPUTS):
            for order in range(4):
                true = mpmath.diff(lambda z: mpmath.mpf(eval(formula, {**names, "x": z})), mpmath.mpf(x), order)
                high, low = mpmath.mpf(found.high[order, i]), mpmath.mpf(found.low[order, i])
                assert abs(high + low - true) <= abs(true) * mpmath.mpf(2) ** -79 + mpmath.mpf(10) ** -40
                assert abs(low) <= np.spacing(abs(found.high[order, i]))


def test_truth_where_all_digits_cancel():
    found = truth("x * (1 + erf(x / sqrt(2))) / 2", {}, [-12.5, -38.0], smallest=2.0**-1022)
    with mpmath.workdps(400):
        true = [x * mpmath.ncdf(x) for x in (mpmath.mpf(-12.5), mpmath.mpf(-38))]
    np.testing.assert_allclose(found.high[0], [float(t) for t in true], rtol=1e-15)


def test_truth_ends_where_nothing_can_be_told_from_0():
    assert np.abs(truth("1 + tanh(x)", {}, [-1e30]).high).max() < 2.0**-126


def test_truth_where_a_denominator_is_told_from_0_by_many_bits_alone():
    assert truth("1 / (1 - tanh(x))", {}, [200.0]).high[0, 0] == pytest.approx(np.exp(400) / 2, rel=1e-15)


@pytest.mark.parametrize(
    ("formula", "x"),
    [("log(x)", -1.0), ("sqrt(x)", -2.0), ("1 / sqrt(x)", -2.0), ("1 / x", 0.0), ("1 / (x - x)", 1.0)],
)
def test_no_value(formula, x, monkeypatch):
    monkeypatch.setattr(reference, "_MOST_BITS", 2000)
    with pytest.raises(ArithmeticError, match=r"has no value at x = "):
        truth(formula, {}, [x])


# --- errors -----------------------------------------------------------------------------------------------


def off(got, high, dtype, low=0.0, **options):
    """Error of one result."""
    column = np.zeros((4, 1))
    exact = Truth(column + high, column + low)
    return ulp.errors(np.array([got]).astype(dtype), exact, 0, dtype, **options).item()


@pytest.mark.parametrize("dtype", DTYPES)
def test_errors_are_units_of_the_last_place(dtype):
    info = ml_dtypes.finfo(dtype)
    eps, tiny, largest = (float(a) for a in (info.eps, info.smallest_normal, info.max))
    for true in (1.0, 1.5, -1.0, 8.0, 2 * tiny):
        one = eps * 2.0 ** np.floor(np.log2(abs(true)))
        for k in (0, 1, -1, 5):
            if true + k * one < 0 or k >= 0 or true not in (1.0, 8.0):  # below a power of two the spacing is half
                assert off(true + k * one, true, dtype) == abs(k)
        assert abs(true) < 1 or off(true, true, dtype, low=one / 4) == 0.25
    assert off(1 - eps / 2, 1.0, dtype) == 0.5
    assert off(1.0, -1.0, dtype) == 2 / eps  # sign
    assert off(0.0, 1.0, dtype) == 1 / eps
    assert off(largest, largest, dtype) == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_errors_at_the_ends_of_a_dtype(dtype):
    info = ml_dtypes.finfo(dtype)
    eps, tiny, largest = (float(a) for a in (info.eps, info.smallest_normal, info.max))
    # Subnormal numbers may be flushed, normal ones may not.
    assert off(0.0, tiny / 2, dtype) == off(-0.0, -tiny / 2, dtype) == 0
    assert off(tiny, tiny * 0.75, dtype) == 0
    assert off(0.0, tiny / 2, dtype, flush=False) == 0.5 / eps
    assert off(0.0, tiny, dtype) == 1 / eps
    assert off(4 * tiny, 0.0, dtype) == 4 / eps
    # Infinity is right where the truth is too large, and nowhere else.
    assert off(np.inf, 2.0**1000 if dtype != np.float64 else np.inf, dtype) == 0
    assert off(-np.inf, np.inf, dtype) == np.inf
    assert off(largest, np.inf, dtype) == np.inf
    assert off(np.inf, largest / 2, dtype) == np.inf
    assert off(np.nan, 1.0, dtype) == off(np.nan, 0.0, dtype) == off(np.nan, np.inf, dtype) == np.inf


@pytest.mark.parametrize("dtype", DTYPES)
def test_points_cover_every_binade(dtype):
    info = ml_dtypes.finfo(dtype)
    xs = ulp.points(dtype, (0.7, -3.0), dense=50)
    wide = xs.astype(np.float64)
    assert xs.dtype == dtype
    assert np.isfinite(wide).all()
    assert (np.diff(wide) > 0).all()
    assert 0 in wide
    for sign in (-1, 1):
        seen = sign * wide[sign * wide >= float(info.smallest_normal)]
        binades = set((np.frexp(seen)[1] - 1).tolist())
        assert len(binades) > 0.9 * (info.maxexp - info.minexp)
        assert min(binades) <= info.minexp + 1
        assert max(binades) >= info.maxexp - 2
        assert not set(range(-6, 6)) - binades
    for special in (0.7, -3.0):
        centre = float(np.array(special).astype(dtype))
        assert centre in wide
        for away in (0.25, 2 * float(info.eps)):
            for sign in (-1, 1):
                assert np.abs(wide - centre * (1 + sign * away)).min() <= 2 * abs(centre) * float(info.eps)


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16])
def test_every_number_of_16_bits(dtype):
    xs = measure.every(dtype)
    info = ml_dtypes.finfo(dtype)
    assert len({x.tobytes() for x in xs}) == xs.size == 2 * (2**15 - 2**info.nmant)
    assert (np.diff(xs.astype(np.float64)) >= 0).all()


# --- samples ----------------------------------------------------------------------------------------------


def test_inputs_where_results_fade_but_not_where_they_jump():
    xs = np.array([-104, -80, 0, 1], np.float32)
    exact = Truth(np.array([[1e-45, 1e-35, 1e-35, 0]]), np.zeros((1, 4)))
    for kinks, end in {(): 1, (0.5,): -80}.items():
        found = ulp.fades(xs, exact, 0, kinks)
        assert (found.min(), found.max()) == (-104, end)
        assert not np.any((found > -80) & (found < 0))


def test_slack_is_next_to_roots_alone():
    roots = {"exp": ([], [], []), "silu": ([0], [-1.27846], [-2.39936, 2.39936])}
    # The tail of gelu goes through 0 for no dtype, though its true value there is only known to be far below.
    roots["gelu"] = ([0], [-0.75246], [-1.41850, 1.41850])
    for name, orders in roots.items():
        samples = samples_of(name, np.float32, dense=100)
        for order, centres in enumerate(orders):
            found = ulp.roots(samples.xs, samples.truth, order)
            np.testing.assert_allclose(found, centres, atol=2e-3)
            near = ulp.near(samples.xs, found)
            assert not samples.slack[order, ~near].any()
            for centre in centres:
                close = np.abs(samples.xs - centre) <= np.abs(centre) / 4.1
                assert near[close].all()
                far = np.abs(samples.xs[near, None] - np.array([centres])).min(axis=1)
                assert (far <= max(map(abs, centres)) / 3.9).all()


def test_slack_is_what_a_change_of_the_input_makes():
    samples = measure.sample("x - 1", {}, np.float32, dense=50)
    i = np.flatnonzero(samples.xs == np.float32(1 + 2**-10)).item()
    # The input's unit of the last place is 2**-23, that of the result, 2**-10, is 2**-33.
    assert samples.slack[0, i] == 2 * 2**10
    off = np.zeros(samples.xs.size, np.float32)
    off[i] = 2.0**-22  # two units of the input
    exact = [samples.truth.high[order].astype(np.float32) for order in range(3)]
    assert measure.compare([exact[0] + off, *exact[1:]], samples).ulp[0] <= 0.5
    accuracy = measure.compare([exact[0] + 2 * off, *exact[1:]], samples)
    assert (accuracy.ulp[0], accuracy.x[0]) == (2**12, samples.xs[i])


def test_parameters_are_those_that_the_function_gets():
    for dtype, slope in ((np.float32, float(np.float32(0.1))), (np.float64, 0.1)):
        samples = samples_of("leaky_relu(negative_slope=0.1)", dtype, dense=20)
        below = samples.xs < 0
        np.testing.assert_array_equal(samples.truth.high[1, below], slope)
    approximate, exact = (samples_of(spec, np.float32, dense=20) for spec in ("gelu", "gelu_erf"))
    assert np.abs(approximate.truth.high[0, :9] - exact.truth.high[0, :9]).max() == 0
    common = np.intersect1d(approximate.xs, exact.xs)
    values = [s.truth.high[0, np.isin(s.xs, common)] for s in (approximate, exact)]
    assert 1e-4 < np.abs(values[0] - values[1]).max() < 1e-2


@pytest.mark.parametrize(
    ("spec", "kinks"),
    [
        ("relu", [0]),
        ("hard_shrink(threshold=0.1)", [-0.1, 0.1]),
        (jaxact.get("soft_shrink(threshold=2)"), [-2, 2]),
        ("log1mexp", [-1, 0]),
    ],
)
def test_kinks_and_what_has_no_value_are_left_out(spec, kinks):
    xs = samples_of(spec, np.float32, dense=20).xs
    for kink in kinks:
        assert np.float32(kink) not in xs
    assert np.float32(kinks[-1] * (1 + 2**-22)) in xs or kinks[-1] == 0


@pytest.mark.parametrize(("spec", "words"), [(jnp.tanh, "tanh.* is not an activation"), ("tnah", "did you mean")])
def test_no_formula(spec, words):
    with pytest.raises(jaxact.InputError, match=words):
        samples_of(spec, np.float32)


# --- measuring --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [3.0, -0.25, 1.0 + 2**-20])
def test_a_wrong_value_is_found(wrong):
    samples = measure.sample("x * 3", {}, np.float32, dense=50)
    accuracy = measure.measure(lambda x: jnp.where(x == wrong, x * 3.0002, x * 3), samples)
    assert accuracy.x[0] == np.float32(wrong)
    assert accuracy.got[0] == pytest.approx(3.0002 * wrong, rel=1e-6)
    assert accuracy.true[0] == pytest.approx(3 * wrong, rel=1e-7)
    assert accuracy.ulp[0] == pytest.approx(abs(2e-4 * wrong) / np.spacing(np.float32(3 * abs(wrong))), rel=0.01)
    assert accuracy.rounded[0] == pytest.approx(1 - 1 / samples.xs.size)
    assert BARS["float32"].passed(accuracy)[0] is False


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_lost_gradient_is_found(dtype):
    accuracy = measure.measure(jax.nn.sigmoid, samples_of("sigmoid", dtype, dense=200))
    passed = BARS[np.dtype(dtype).name].passed(accuracy)
    assert passed == (True, False, False)
    assert accuracy.x[1] > (15 if dtype == np.float32 else 35)
    assert accuracy.got[1] == 0 < accuracy.true[1]


def test_one_wrong_number_of_16_bits_is_found():
    samples = measure.sample("x", {}, ml_dtypes.bfloat16)
    assert samples.xs.size == 2 * (2**15 - 2**8) + 2  # all normal numbers and both zeros
    accuracy = measure.measure(lambda x: jnp.where(x == 5.03125, jnp.nan, x), samples)
    assert (accuracy.ulp[0], accuracy.x[0]) == (np.inf, 5.03125)
    assert np.isnan(accuracy.got[0])
    assert accuracy.rounded == (1 - 1 / samples.xs.size, 1 - 1 / samples.xs.size, 1)


def test_float64_is_measured_in_float64_and_leaves_no_trace():
    before = jnp.asarray(0.5).dtype
    accuracy = measure.measure(lambda x: x * 0.1, measure.sample("x * 0.1", {}, np.float64, dense=50))
    assert max(accuracy.ulp) <= 0.5  # float32 would be off by 2**29
    assert jnp.asarray(0.5).dtype == before


def test_bars():
    assert set(BARS) == {np.dtype(dtype).name for dtype in DTYPES}
    measured = measure.Accuracy((4.0, 4.1, 0.5), (0.0,) * 3, (0.0,) * 3, (0.0,) * 3, (0.5, 1.0, 1.0))
    assert BARS["float32"].passed(measured) == (True, False, True)
    assert BARS["float16"].passed(measured) == (False, False, True)
    measured = measured._replace(ulp=(1.0, 1.0, 2.0), rounded=(0.99, 0.98, 0.5))
    assert BARS["bfloat16"].passed(measured) == (True, False, True)


# --- the command ------------------------------------------------------------------------------------------


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Runs the command on few inputs in an empty folder; returns its exit code, stdout and stderr."""

    def call(*args):
        capsys.readouterr()
        code = main(["accuracy", *args, "--dense", "30"])
        return code, *capsys.readouterr()

    monkeypatch.chdir(tmp_path)
    return call


@pytest.fixture
def bar(monkeypatch):
    """Sets the bar of float32."""

    def bar(*ulps):
        monkeypatch.setattr(measure, "BARS", {**BARS, "float32": Bar(ulps, (0, 0, 0))})

    return bar


def test_table(call, bar):
    bar(64, 64, 64)
    code, out, err = call("relu", "sigmoid", "relu", "hard_shrink(2)")
    assert (code, err) == (0, "")  # jax.nn's sigmoid is over the bar, but not ours
    title, *lines = (line.split() for line in out.splitlines())
    assert title[0] == "float32,"
    rows = {tuple(line[:2]): line for line in lines if len(line) > 3}
    assert rows["relu", "jaxact"] == ["relu", "jaxact", "0", "0", "0"]
    assert rows["hard_shrink(threshold=2.0)", "jaxact"][2:] == ["0", "0", "0"]
    (theirs,) = (line for line in lines if line[:1] == ["jax.nn"] and "!" in line)
    assert theirs.count("!") == 2
    assert "!" not in rows["sigmoid", "jaxact"]
    assert out.endswith("Within it: jaxact 3 of 3, jax.nn 1 of 2.\n\n")


def test_exit_code(call, bar):
    bar(0.1, 64, 64)
    assert call("relu", "--peers")[0] == 0
    code, out, err = call("relu", "softplus", "--peers")
    assert (code, err) == (1, "")
    assert "Within it: jaxact 1 of 2." in out
    assert " ! " in out


def test_json(call):
    code, out, err = call("squareplus", "swish", "silu", "--json")
    assert err == ""
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["function"], row["who"], row["dtype"]) for row in rows] == [
        (name, who, "float32") for name in ("squareplus", "silu") for who in ("jaxact", "jax.nn")
    ]
    for row in rows:
        for order, bar in zip(("f", "df", "d2f"), BARS["float32"].ulp, strict=True):
            assert row[order].keys() == {"ulp", "x", "got", "true", "rounded", "bar_ulp", "bar_rounded", "ok"}
            assert row[order]["bar_ulp"] == bar
            assert row[order]["ok"] == (float(row[order]["ulp"]) <= bar)
    assert code == (not all(row[order]["ok"] for row in rows[::2] for order in ("f", "df", "d2f")))
    assert (rows[1]["df"]["got"], rows[1]["df"]["ulp"]) == ("nan", "inf")  # infinity / infinity


def test_markdown(call, bar):
    bar(64, 64, 64)
    code, out, err = call("sigmoid", "exp", "squareplus", "--dtype", "float32", "float64", "--markdown")
    assert (code, err) == (0, "")
    ours, theirs = (part.strip().splitlines() for part in out.split("Largest error of ")[1:])
    for lines, who, count in ((ours, "jaxact", 3), (theirs, "jax.nn", 2)):
        text, _, header, rule, *rows = lines[: 4 + count]
        assert text.startswith(f"{who} in ulp, jax ")
        assert {line.count("|") for line in (header, rule, *rows)} == {8}
        cells = {row.split("|")[1].strip(): [cell.strip() for cell in row.split("|")[2:]] for row in rows}
        assert len(cells) == count
        if who == "jaxact":
            assert all(float(cell) < 64 for row in cells.values() for cell in row[:-1])
    assert cells["`sigmoid`"][1:3] == ["**all lost**", "**all lost**"]
    assert cells["`squareplus`"][:2] == ["**inf**", "**nan**"]
    assert "float32. Bar: 64, 64 and 64 ulp for f, f' and f''. Within it: jaxact 3 of 3, jax.nn 0 of 2." in theirs
    assert any(line.startswith("float64. Bar: 4, 4 and 8 ulp") for line in theirs)


def test_16_bits(call):
    code, out, err = call("relu", "--dtype", "bfloat16", "float32", "--peers")
    assert (code, err) == (0, "")
    assert "Bar: 1, 1 and 2 ulp for f, f' and f'', with 99% of f and f' correctly rounded." in out
    assert out.count("100.00%") == 3
    assert out.index("bfloat16,") < out.index("float32,")


def test_peers_are_held_against_the_same_truth(call, monkeypatch):
    asked, made = [], []

    def peer(framework, name):
        asked.append((framework, name))
        return (lambda xs: [xs, np.ones_like(xs), xs * np.nan]) if framework == "torch" else None

    def samples_of(*args, **options):
        made.append(args)
        return original(*args, **options)

    original = measure.samples_of
    monkeypatch.setattr(measure, "samples_of", samples_of)
    monkeypatch.setattr(peers, "available", lambda: ("jax.nn", "torch", "keras"))
    monkeypatch.setattr(peers, "peer", peer)
    code, out, _ = call("identity", "--peers", "torch", "keras", "torch", "--json")
    ours, theirs = (json.loads(line) for line in out.splitlines())
    assert (code, made) == (0, [("identity", "float32")])
    assert asked == [("torch", "identity"), ("keras", "identity")]
    assert (theirs["who"], ours["who"]) == ("torch", "jaxact")
    assert [theirs[order]["ok"] for order in ("f", "df", "d2f")] == [True, True, False]


def test_without_names_all_are_measured(call, monkeypatch):
    few = measure.sample("x", {}, np.float32, dense=1)
    monkeypatch.setattr(measure, "samples_of", lambda *_, **__: few)
    monkeypatch.setattr(measure, "results_of", lambda _, xs: [xs, np.ones_like(xs), np.zeros_like(xs)])
    code, out, _ = call("--json", "--peers")
    assert code == 0
    assert [json.loads(line)["function"] for line in out.splitlines()] == list(jaxact.ACTIVATIONS)


WRONG = [  # arguments, words of the line on stderr
    (["gelo"], ["unknown activation 'gelo'", "did you mean gelu"]),
    (["relu(nonsense=1)"], ["nonsense"]),
    (["celu(alpha=0)"], ["celu(alpha=0.0) cannot be held against its formula", "has no value at x ="]),
    (["squareplus(b=-1)"], ["squareplus(b=-1.0) cannot be held", "has no value at x ="]),
    (["leaky_relu(1e300)"], ["leaky_relu(negative_slope=1e+300)", "infinite in float32"]),
    (["relu", "--dtype", "float8"], ["float8", "--dtype"]),
    (["relu", "--dtype"], ["--dtype needs at least one of float32"]),
    (["relu", "--peers", "numpy"], ["numpy", "--peers"]),
    (["relu", "--peers", "torch"], ["torch is not installed: pip install 'jaxact[peers]'"]),
    (["relu", "--json", "--markdown"], ["--json and --markdown"]),
    (["--figure", "errors.png"], ["--figure needs names"]),
    (["relu", "--figure", "errors.gif"], ["errors.gif must end in .png"]),
    (["relu", "--figure", "/dev/null/errors.png"], ["/dev/null"]),
    (["relu", "--dense", "0"], ["--dense must be at least 1"]),
]


@pytest.mark.parametrize(("args", "words"), WRONG, ids=lambda value: " ".join(value)[:60])
def test_mistake_is_one_line(args, words, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(peers, "available", lambda: ("jax.nn",))
    monkeypatch.chdir(tmp_path)
    assert main(["accuracy", *args]) == 2
    _, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert line.startswith("jaxact: ")
    for word in words:
        assert word in line
    assert not list(tmp_path.iterdir())


# --- the picture ------------------------------------------------------------------------------------------


def test_figure(call, tmp_path):
    _, out, err = call("relu", "softplus", "--figure", "new/errors.png")
    assert err == ""
    assert out.endswith("new/errors.png\n")
    assert (tmp_path / "new" / "errors.png").read_bytes().startswith(b"\x89PNG")
    assert call("relu", "--figure", "errors.svg", "--json")[1].count("\n") == 2
    assert (tmp_path / "errors.svg").exists()


def test_figure_shows_every_error():
    x = np.array([-3.0, 0.0, 2.0, 5.0])
    ours, theirs = np.array([0.0, 0.25, 3.0, 1e4]), np.array([np.nan, np.inf, 1e30, 0.5])
    allowed = np.array([4.0, 4.0, 9.0, 4.0])
    panels = {"a_b\nfloat32": (x, {"jaxact": [ours] * 3, "jax.nn": [theirs] * 3}, [allowed] * 3, 2.0**23)}
    figure = plotting.errors_figure(panels)
    assert len(figure.axes) == 3
    for axes in figure.axes:
        low, high = axes.get_ylim()
        lines = {line.get_label(): line for line in axes.get_lines()}
        np.testing.assert_array_equal(lines["allowed"].get_ydata(), allowed)
        for name in ("jaxact", "jax.nn"):
            y = np.asarray(lines[name].get_ydata())
            assert ((low < y) & (y < high)).all()
        assert lines["jaxact"].get_ydata()[2] == 3
        assert lines["jaxact"].get_zorder() > lines["jax.nn"].get_zorder()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["jaxact", "jax.nn", "allowed"]
