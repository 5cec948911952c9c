"""The figures: what is drawn lies where the data say."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from matplotlib.collections import FillBetweenPolyCollection, QuadMesh
from matplotlib.figure import Figure

import jaxact
from jaxact import mean_field, plotting

X = np.linspace(-12.0, 12.0, 241)
DOMAINS = {"sine": (-12.0, 12.0)}
INF = np.inf


@pytest.fixture
def axes():
    return Figure(layout="constrained").subplots()


def regions_of(name, who=jaxact, dtype=jnp.float32):
    return jaxact.saturation_regions(getattr(who, name), dtype=dtype, domain=DOMAINS.get(name))


def made(dtype=np.float32, **fields):
    """Regions as the analysis gives them, with nothing in them but what is named."""
    empty = {"saturated": (0, 2), "dead": (0, 2), "roots": 0, "around_root": 0, "lost": 0, "nan": (0, 2)}
    fields = {key: np.empty(shape) for key, shape in empty.items()} | {"max_slope": 1.0, "argmax": 0.0} | fields
    wide = ("max_slope", "lost", "around_root")
    arrays = {key: np.asarray(value, float if key in wide else dtype) for key, value in fields.items()}
    return jaxact.SaturationRegions(**arrays)


def spans(axes, label=None):
    """Horizontal extents of the areas of one colour, that of the entry ``label`` in the legend."""
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    if label not in handles:
        return []
    color = handles[label].get_facecolor()
    areas = [p for p in axes.patches if np.array_equal(p.get_facecolor(), np.ravel(color))]
    boxes = [(p.get_x(), p.get_x() + p.get_width()) for p in areas]
    for bars in axes.collections:
        if np.array_equal(bars.get_facecolor(), color):
            boxes += [(v.vertices[:, 0].min(), v.vertices[:, 0].max()) for v in bars.get_paths()]
    return sorted((float(a), float(b)) for a, b in boxes)


def line(axes, label):
    (found,) = [line for line in axes.get_lines() if line.get_label() == label]
    return np.asarray(found.get_xdata(), float), np.asarray(found.get_ydata(), float)


def draw(figure):
    """What is drawn must be drawable: warnings, of glyphs or limits, are errors in the tests."""
    figure.canvas.draw()


# --- saturation -----------------------------------------------------------------------------------------------

CASES = [
    "relu",
    "tanh",
    "sigmoid",
    "gelu",
    "silu",
    "softplus",
    "soft_sign",
    "hard_tanh",
    "hard_shrink",
    "sine",
    "step",
]


@pytest.mark.parametrize("name", CASES)
def test_saturation_lies_where_the_regions_say(name, axes):
    regions = regions_of(name)
    slope = np.asarray(jaxact.derivative(getattr(jaxact, name))(X))
    assert plotting.plot_saturation(axes, regions, x=X, slope=slope, label=name) is axes
    draw(axes.figure)
    assert axes.get_xlim() == (-12, 12)
    np.testing.assert_allclose(spans(axes, "saturated"), np.clip(regions.saturated, -12, 12))
    x, y = line(axes, f"{name} f'")
    np.testing.assert_array_equal(x, X)
    np.testing.assert_allclose(y, slope)
    if regions.roots.size:
        x, y = line(axes, "f' = 0")
        np.testing.assert_allclose(x, regions.roots)
        assert not y.any()
    if regions.max_slope > 0:
        x, y = line(axes, "steepest")
        assert x == np.clip(float(regions.argmax), -12, 12)
        assert abs(y) == regions.max_slope
    low, high = axes.get_ylim()
    assert low < slope.min() <= slope.max() < high


@pytest.mark.parametrize(
    ("dead", "lost", "kind"),
    [
        ((-INF, 0.0), 0.0, "dead by mathematics"),
        ((5.0, INF), 1e-3, "dead by rounding"),
        ((5.0, 7.0), 1e-39, "dead by underflow"),
        ((-INF, INF), 0.0, "dead by mathematics"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, np.float16])
def test_dead_intervals_are_told_apart(dead, lost, kind, dtype, axes):
    plotting.plot_saturation(axes, made(dtype, dead=[dead], lost=[lost]), x=X)
    kinds = [label for label in axes.get_legend_handles_labels()[1] if label.startswith("dead")]
    assert kinds == [kind]
    assert spans(axes, kind) == [tuple(np.clip(dead, -12, 12))]
    draw(axes.figure)


def test_rounding_kills_what_mathematics_does_not():
    ours, theirs = Figure().subplots(1, 2)
    plotting.plot_saturation(ours, regions_of("tanh"), x=X)
    plotting.plot_saturation(theirs, regions_of("tanh", jax.nn), x=X)
    assert spans(ours, "dead by rounding") == []
    (_, low), (high, _) = spans(theirs, "dead by rounding")
    assert (round(low, 3), round(high, 3)) == (-7.999, 7.999)


def test_nan_and_what_lies_outside(axes):
    regions = made(saturated=[[-40, -20], [20, INF]], nan=[[10, INF]], roots=[-30, 30], argmax=50)
    plotting.plot_saturation(axes, regions, x=X)
    assert axes.get_legend_handles_labels()[1] == ["not a number"]
    assert spans(axes, "not a number") == [(10, 12)]


@pytest.mark.parametrize(("argmax", "at", "marker"), [(INF, 12, ">"), (-INF, -12, "<"), (3.0, 3, "*")])
def test_a_slope_that_is_steepest_at_infinity(argmax, at, marker, axes):
    plotting.plot_saturation(axes, made(argmax=argmax, max_slope=2.0), x=X, slope=np.full_like(X, -2.0))
    (found,) = [line for line in axes.get_lines() if line.get_label() == "steepest"]
    assert (found.get_xdata()[0], found.get_ydata()[0], found.get_marker()) == (at, -2, marker)


def test_a_constant_has_no_steepest_point(axes):
    plotting.plot_saturation(axes, regions_of("step"), x=X, slope=np.zeros_like(X))
    assert "steepest" not in axes.get_legend_handles_labels()[1]
    assert spans(axes, "saturated") == spans(axes, "dead by mathematics") == [(-12, 12)]


def test_dead_zones_by_row(axes):
    rows = {
        "float32": regions_of("tanh", jax.nn),
        "none": made(),
        "float16": regions_of("tanh", jax.nn, jnp.float16),
    }
    assert plotting.plot_dead_zones(axes, rows, limits=(-10, 10)) is axes
    assert [text.get_text() for text in axes.get_yticklabels()] == list(rows)
    assert axes.yaxis_inverted()
    found = [round(low, 2) for low, _ in spans(axes, "dead by rounding")]
    assert found == [-10, -10, 4.51, 8]
    draw(axes.figure)


def test_saturation_figure():
    panels = {n: (jaxact.derivative(getattr(jaxact, n))(X), regions_of(n)) for n in ("relu", "tanh", "gelu")}
    figure = plotting.saturation_figure(X, panels, title="a_b $")
    draw(figure)
    assert [axes.get_title() for axes in figure.axes] == list(panels)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:4] == ["f'", "steepest", "f' = 0", "saturated"]
    assert len(set(labels)) == len(labels)
    fits(figure)


def fits(figure):
    """Legends lie within the figure."""
    draw(figure)
    for legend in figure.legends:
        box = legend.get_window_extent()
        assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert 0 <= box.y0 < box.y1 <= figure.bbox.y1


# --- maps of the gate -------------------------------------------------------------------------------------------


def test_map_of_functions(axes):
    x = np.linspace(-1, 1, 5)
    gate = np.array([[0, 0, 0.5, 1, 1], [1, 1e-9, 1, 0, 1]])
    plotting.plot_saturation_map(axes, x, ["relu", "a_b"], gate)
    image = axes.collections[0]
    assert isinstance(image, QuadMesh)
    shown = np.ma.filled(image.get_array(), np.nan)
    np.testing.assert_array_equal(shown, [[np.nan, np.nan, 0.5, 1, 1], [1, 1e-4, 1, np.nan, 1]])
    assert axes.get_xlim() == (-1.25, 1.25)
    assert axes.get_ylim() == (1.5, -0.5)  # the first on top
    assert [text.get_text() for text in axes.get_yticklabels()] == ["relu", "a_b"]
    dead = [path.vertices for bars in axes.collections[1:] for path in bars.get_paths()]
    assert [(d[:, 0].min(), d[:, 0].max(), d[:, 1].min(), d[:, 1].max()) for d in dead] == [
        (-1.25, -0.25, -0.5, 0.5),
        (0.25, 0.75, 0.5, 1.5),
    ]
    assert axes.get_legend_handles_labels()[1] == ["dead: f' = 0"]
    draw(axes.figure)


@pytest.mark.parametrize(
    ("scales", "limits", "scale"),
    [
        ([1.0, 2.0, 3.0], (0.5, 3.5), "linear"),
        ([0.1, 1.0, 10.0], (0.1 / 10**0.5, 10 * 10**0.5), "log"),
        ([0.0, 1.0, 2.0], (-0.5, 2.5), "linear"),
        ([5.0], (4.5, 5.5), "linear"),
    ],
)
def test_map_of_scales(scales, limits, scale, axes):
    plotting.plot_saturation_map(axes, X, scales, np.ones((len(scales), X.size)))
    assert axes.get_yscale() == scale
    np.testing.assert_allclose(axes.get_ylim(), limits)
    assert axes.get_legend_handles_labels()[1] == []


def test_map_figure_takes_what_the_analysis_gives():
    fns = {"tanh": jax.nn.tanh, "step": jaxact.step}
    found = jaxact.saturation_map(list(fns.values()), x=jnp.asarray(X), fields=["gate", "dead"])
    figure = plotting.saturation_map_figure(X, list(fns), found.gate, dead=found.dead, title="float32")
    fits(figure)
    assert len(figure.axes) == 2  # with the scale of colours


# --- curves --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3])
def test_activation(count, axes):
    orders = [np.tanh(X), 1 / np.cosh(X) ** 2, -2 * np.tanh(X) / np.cosh(X) ** 2][:count]
    assert plotting.plot_activation(axes, X, orders) is axes
    names = ["f", "f'", "f''"][:count]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == names
    for name, y in zip(names, orders, strict=True):
        np.testing.assert_array_equal(line(axes, name), (X, y))
    draw(axes.figure)


def test_activation_with_a_label_and_values_that_are_none(axes):
    x = jnp.asarray(X, jnp.bfloat16)
    plotting.plot_activation(axes, x, [jnp.log(x), 1 / x], label="log_$")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["log_$ f", "log_$ f'"]
    draw(axes.figure)


# --- phases --------------------------------------------------------------------------------------------------


def diagram_of(fn, low=0.5, high=3.0):
    return mean_field.phase_diagram(fn, sigma_w=np.linspace(low, high, 11), sigma_b=np.linspace(0, 1, 6))


def test_phase(axes):
    critical = mean_field.critical_point(jnp.tanh)
    edge = mean_field.edge_of_chaos(jnp.tanh, sigma_b=np.linspace(0, 1, 6))
    assert plotting.plot_phase(axes, diagram_of(jnp.tanh), edge=edge, critical=critical) is axes
    np.testing.assert_allclose(line(axes, "critical point"), ([1], [0]), atol=1e-9)
    x, y = line(axes, "edge of chaos")
    np.testing.assert_allclose((x, y), (edge.sigma_w[:, 0], edge.sigma_b[:, 0]))
    assert axes.get_xlim() == (0.5, 3)
    assert axes.get_ylim() == (0, 1)
    labels = axes.get_legend_handles_labels()[1]
    assert labels[:3] == ["ordered: gradients vanish", "chaotic: gradients explode", "depth scale (layers)"]
    draw(axes.figure)


def test_edge_without_a_line_is_where_chi_1_is_1(axes):
    plotting.plot_phase(axes, diagram_of(jnp.tanh))
    (contour,) = [c for c in axes.collections if np.array_equal(c.get_linewidth(), [2])]
    at = contour.get_paths()[0].vertices
    want = mean_field.edge_of_chaos(jnp.tanh, sigma_b=at[:, 1]).sigma_w[:, 0]
    np.testing.assert_allclose(at[:, 0], want, atol=0.04)  # between the lines of the grid


def test_an_unstable_edge_is_dashed(axes):
    edge = mean_field.edge_of_chaos(jax.nn.silu, sigma_b=np.linspace(0, 1, 21))
    plotting.plot_phase(axes, diagram_of(jax.nn.silu), edge=edge, critical=mean_field.critical_point(jax.nn.silu))
    x, y = line(axes, "edge of chaos")
    assert y[np.isfinite(x) & (y > 0)].min() > 0.7  # the critical point of positive q
    x, y = line(axes, "edge of chaos, unstable")
    assert (x[0], y[0]) == (2, 0)
    fine = np.isfinite(x)
    assert y[fine].max() < 0.8
    assert "signals of variance 1 explode" in axes.get_legend_handles_labels()[1]
    draw(axes.figure)


@pytest.mark.parametrize("name", ["relu", "exp", "identity"])
def test_phase_where_signals_explode_or_nothing_is_finite(name):
    fn = getattr(jaxact, name)
    edge = mean_field.edge_of_chaos(fn, sigma_b=np.linspace(0, 1, 3))
    figure = plotting.phase_figure(diagram_of(fn), edge=edge, title="a_b $")
    fits(figure)
    assert "signals of variance 1 explode" in figure.axes[0].get_legend_handles_labels()[1]


def test_phase_given_as_arrays_and_outside(axes):
    plotting.plot_phase(axes, diagram_of(jnp.tanh, 0.2, 0.8), edge=([1.0, 2], [0, 1]), critical=([1.0], [0.0]))
    labels = axes.get_legend_handles_labels()[1]
    assert labels == ["ordered: gradients vanish", "depth scale (layers)"]  # no other is within the limits


# --- depth ---------------------------------------------------------------------------------------------------


def test_depth_of_one_network(axes):
    values, theory = np.array([1.0, 0.1, 0.02]), np.array([1.0, 0.1, 0.01])
    assert plotting.plot_depth(axes, values, theory) is axes
    assert axes.get_yscale() == "log"
    np.testing.assert_array_equal(line(axes, "measured"), ([0, 1, 2], values))
    np.testing.assert_array_equal(line(axes, "predicted"), ([0, 1, 2], theory))
    assert not axes.collections


def test_depth_of_several_networks(axes):
    networks = np.array([[1.0, 0.5, 0.0], [1.0, 1.5, 4.0]])
    plotting.plot_depth(axes, networks, [1, 1, 1], label="tanh", color="C3")
    assert axes.get_legend_handles_labels()[1] == ["tanh"]
    (points,) = [line for line in axes.get_lines() if line.get_marker() == "o"]
    np.testing.assert_array_equal(points.get_ydata(), [1, 1, 2])
    (band,) = axes.collections
    assert isinstance(band, FillBetweenPolyCollection)
    vertices = band.get_paths()[0].vertices
    assert (vertices[:, 1].min(), vertices[:, 1].max()) == (0.5, 4)  # no logarithm has a 0
    draw(axes.figure)


@pytest.mark.parametrize("end", [0.0, INF, np.nan])
def test_depth_without_a_logarithm(end, axes):
    plotting.plot_depth(axes, [1.0, 2.0, end, end], [1.0, 2.0, 4.0, end])
    marks = [line for line in axes.get_lines() if line.get_marker() in ("v", "^")]
    assert [(m.get_marker(), list(m.get_xdata())) for m in marks] == (
        {0.0: [("v", [2, 3])], INF: [("^", [2, 3])]}.get(end, [])
    )
    draw(axes.figure)


def test_depth_of_a_dead_network(axes):
    plotting.plot_depth(axes, np.zeros((2, 3)), np.zeros(3))
    draw(axes.figure)


def test_depth_figure():
    theory = np.exp(-0.5 * np.arange(20))
    figure = plotting.depth_figure({"a": (theory, theory), "b": (np.stack([theory] * 3), theory)}, quantity="q")
    fits(figure)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["a", "b", "measured", "predicted", "lowest to highest"]
    for one in (theory, theory[None]):  # a single network has no band
        figure = plotting.depth_figure({"a": (one, theory)})
        assert "lowest to highest" not in [text.get_text() for text in figure.legends[0].get_texts()]


# --- all -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_every_format_and_no_state(kind, tmp_path):
    code = f"""
import sys, numpy as np, jax, jaxact
from jaxact import plotting
x = np.linspace(-3, 3, 31)
slope = jaxact.derivative(jax.nn.tanh)(x)
figure = plotting.saturation_figure(x, {{"tanh": (slope, jaxact.saturation_regions(jax.nn.tanh))}})
plotting.save(figure, "{tmp_path}/a.{kind}")
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind]
    assert (tmp_path / f"a.{kind}").read_bytes().startswith(start)


def test_names():
    for name in vars(plotting):
        if name.startswith("plot_") or name.endswith("_figure"):
            assert getattr(plotting, name).__doc__


def test_one_epoch_has_no_fractions_of_it():
    row = dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), 0.5) | {"epoch": 1}
    band = plotting.Band("relu", *np.full((4, 1), 0.5))
    for figure in (plotting.curves_figure([row]), plotting.sweep_figure([band])):
        for axes in figure.axes:
            assert (axes.get_xticks() % 1 == 0).all()
