"""Verdicts: every planted fault is found, alone, and none in healthy networks; each threshold is where it says."""

import dataclasses
import functools
import importlib.util
import io
import json
import math
import re
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import jaxact
from jaxact.diagnosis import Flow, ParameterRecord, SiteRecord, Spread, Thresholds
from jaxact.diagnosis.unit_faults import flat_share
from jaxact.diagnosis.verdict import KINDS
from jaxact.diagnosis.verdicts import verdicts_of
from jaxact.errors import InputError

SCRIPTS = Path(__file__).parents[1] / "scripts"


def _script(name):
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


_script("planted_models")
planted = _script("planted_faults")
ROWS = list(planted.rows())


@pytest.fixture(scope="module", autouse=True)
def _keep_small_programs():
    """The networks share most of their small programs; compiled once, they halve the time of this module."""
    name = "jax_persistent_cache_min_compile_time_secs"
    before = getattr(jax.config, name)
    jax.config.update(name, 0.0)
    yield
    jax.config.update(name, before)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.kind}-{row.framework}-{row.what}")
def test_planted_faults(row, request):
    if row.kind != "dtype":  # which hangs on the last digit of XLA's tanh
        request.getfixturevalue("compiled_fast")
    diagnosis = row.diagnose()
    assert [verdict.kind for verdict in diagnosis.verdicts] == [row.kind], str(diagnosis)
    law_of_verdicts(diagnosis)


def law_of_verdicts(diagnosis):
    for verdict in diagnosis.verdicts:
        assert 0 <= verdict.severity <= 1
        assert verdict.reason[-1] == "."
        assert (verdict.kind == "healthy") == (verdict.severity == 0) == (verdict.fix == "")
        assert all(isinstance(number, float) for number in verdict.numbers.values())
        where = "network" if verdict.site is None else diagnosis.sites[verdict.site].where
        assert verdict.where == where
    severities = [verdict.severity for verdict in diagnosis.verdicts]
    assert severities == sorted(severities, reverse=True)
    text = str(diagnosis)
    assert max(map(len, text.splitlines())) <= 80
    assert text.startswith(diagnosis.verdicts[0].kind)
    json.dumps(diagnosis.to_dict()["verdicts"])


def test_every_kind_is_planted_in_both_frameworks():
    assert {(row.kind, row.framework) for row in ROWS} == {(kind, f) for kind in KINDS for f in ("nnx", "linen")}


def lenet_is_healthy(activation, name, *, train):
    from jaxact.training import TrainConfig, fit, load_dataset

    data = load_dataset(name)
    images = data.train_images[:2000].astype("float32")
    images = (images[:64] - images.mean((0, 1, 2))) / images.std((0, 1, 2))
    batch = jnp.asarray(images, jnp.float32), jnp.asarray(data.train_labels[:64])
    models = [jaxact.LeNet5(activation, rngs=nnx.Rngs(0))]
    if train:
        config = TrainConfig(activation=activation, dataset=name, epochs=1, pixels="standardized")
        models.append(fit(config, progress=False).model)
    for model in models:
        diagnosis = jaxact.diagnose(model, batch)
        assert [verdict.kind for verdict in diagnosis.verdicts] == ["healthy"], str(diagnosis)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_lenet_is_healthy_before_and_after_an_epoch_on_digits(activation):
    lenet_is_healthy(activation, "digits", train=True)


@pytest.mark.cifar10
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_lenet_is_healthy_on_cifar10(activation):
    lenet_is_healthy(activation, "cifar10", train=False)


def record(**changes):
    """A healthy site of 100 units on 1000 examples."""
    blank = Spread(0.0, 1.0, (0.0,) * 5)
    values = {
        "layer": "a.kernel", "index": (), "name": "tanh", "file": "model.py", "line": 3, "shape": (1000, 100),
        "dtype": "float32", "calls": 1, "z": blank, "a": blank, "gate": 0.5, "slope": 0.7, "saturated": 0.003,
        "open": None, "zero": 0.0, "zero_by_dtype": 0.0, "not_finite": 0.0, "units": 100, "dead": (),
        "silent": (), "rare": (), "dormant": (), "cut_off": (),
        "tau": 0.025, "examples": 1000, "firing_bound": 0.003, "gradient_z": 1.0,
        "gradient_a": 1.0, "gradient_zero": 0.0, "gradient_steps": (),
    }  # fmt: skip
    return SiteRecord(**values | changes)


def flow(source, target, factor, *, by_weights=0.0, sigma_w=1.0, chi_1=None):
    return Flow(source, target, factor, factor - by_weights, by_weights, sigma_w, chi_1, 10 ** (2 * factor))


def kinds_of(sites, flows=(), parameters=(), inputs=None, thresholds=None, function=jnp.tanh, loss=1.0):
    """The kinds of the verdicts on these records."""
    found = verdicts_of(
        sites, flows, parameters, inputs, loss=loss, function_of=lambda i: function, thresholds=thresholds
    )
    return [verdict.kind for verdict in found]


def chain(log10, chi_1=None, layers=4):
    return {
        "sites": [record() for _ in range(layers + 1)],
        "flows": [flow(i, i + 1, log10 / layers, by_weights=0.0, chi_1=chi_1) for i in range(layers)],
    }


def fed(size, z):
    return {"sites": [record(z=Spread(0.0, z, ()))], "inputs": Spread(0.0, size, ())}


# threshold, its default, a stricter value, what is just within the default, what is just beyond it, the verdict
BORDERS = [
    ("dead", 0.4, {"sites": [record(dead=range(49))]}, {"sites": [record(dead=range(51))]}, "dead"),
    ("dormant", 0.4, {"sites": [record(dormant=range(49))]}, {"sites": [record(dormant=range(51))]}, "dormant"),
    ("saturated", 0.4, {"sites": [record(saturated=0.49)]}, {"sites": [record(saturated=0.51)]}, "saturated"),
    (
        "lost",
        0.005,
        {"sites": [record(saturated=0.01, zero_by_dtype=0.0099)]},
        {"sites": [record(saturated=0.01, zero_by_dtype=0.01)]},
        "dtype",
    ),
    ("vanishing", 0.01, chain(-2.99), chain(-3.01), "vanishing"),
    ("exploding", 50.0, chain(math.log10(69)), chain(math.log10(71)), "exploding"),
    (
        "disagreement",
        5.0,
        {"sites": [record()] * 2, "flows": [flow(0, 1, -0.99, by_weights=-0.99, chi_1=1.0)]},
        {"sites": [record()] * 2, "flows": [flow(0, 1, -1.01, by_weights=-1.01, chi_1=1.0)]},
        "frozen",
    ),
    ("input", 4.0, fed(4.39, 4.39), fed(4.41, 4.41), "input"),
]


@pytest.mark.parametrize(("name", "stricter", "within", "beyond", "kind"), BORDERS, ids=lambda x: str(x)[:12])
def test_thresholds_are_where_they_say(name, stricter, within, beyond, kind):
    assert kinds_of(**within) == ["healthy"]
    assert kinds_of(**beyond) == [kind]
    assert kinds_of(**within, thresholds=Thresholds(**{name: stricter})) == [kind]


@pytest.mark.parametrize(("chi_1", "kind"), [(10**-1.4, "gain"), (10**-0.6, "vanishing"), (None, "vanishing")])
def test_a_fall_is_the_initialisation_s_if_theory_explains_half_of_it(chi_1, kind):
    # 4 decades over 4 layers; the theory says 2.8, or 1.2, or nothing
    assert kinds_of(**chain(-4, chi_1)) == [kind]
    strict, wide = Thresholds(explained=0.9), Thresholds(explained=0.2)
    assert kinds_of(**chain(-4, chi_1), thresholds=strict) == ["vanishing"]
    assert kinds_of(**chain(-4, chi_1), thresholds=wide) == ["gain" if chi_1 else "vanishing"]


def test_a_fall_that_no_initialisation_mends_is_no_matter_of_it():
    # sigmoid with the weights that keep its signal still loses 0.4 decades a layer
    assert kinds_of(**chain(-4.2, 10**-1.2, layers=7), function=jax.nn.sigmoid) == ["vanishing"]


def test_few_examples_cry_no_wolf():
    few = {"examples": 8, "firing_bound": 0.31, "zero": 0.6}
    assert kinds_of([record(dead=range(60), **few)]) == ["healthy"]
    assert kinds_of([record(dead=range(100), **few)]) == ["dead"]
    assert kinds_of([record(dead=range(60), **few)], thresholds=Thresholds(firing=0.3)) == ["dead"]


@pytest.mark.parametrize("name", ["tanh", "elu(alpha=0.5)", "gelu(approximate=False)"])
def test_fixes_call_functions_with_their_parameters(name):
    (verdict,) = verdicts_of(
        [record(name=name, saturated=0.9)], (), (), None, loss=1.0, function_of=lambda i: jnp.tanh
    )
    call = re.search(r"kernel_init=(.*\))\.", verdict.fix)[1]
    ours = eval(call, {"jaxact": jaxact, "functools": functools})
    due = jaxact.initializers.for_activation(jaxact.get(name))
    weights = (init(jax.random.key(0), (16, 16)) for init in (ours, due))
    assert jnp.array_equal(*weights)


def test_open_gates_keep_what_they_are_to_keep():
    gates = {"name": "sigmoid", "saturated": 0.9}
    assert kinds_of([record(**gates, open=0.9)], function=jax.nn.sigmoid) == ["healthy"]
    for opened in (None, 0.0, 0.3):
        assert kinds_of([record(**gates, open=opened)], function=jax.nn.sigmoid) == ["saturated"]


def test_relu_is_judged_by_its_dead_units():
    assert kinds_of([record(name="relu", saturated=0.95, zero=0.95)], function=jax.nn.relu) == ["healthy"]


def test_inputs_of_any_size_are_fine_where_a_normalisation_follows():
    assert kinds_of(**fed(150.0, 1.0)) == ["healthy"]
    assert kinds_of([record()], inputs=Spread(math.nan, math.nan, ())) == ["input"]


def test_gradients_of_zero_are_told_apart():
    cut = [record(gradient_z=0.0, gradient_a=0.0, cut_off=range(100)), record()]
    path = [flow(0, 1, -math.inf, by_weights=-math.inf)]
    assert kinds_of(cut, path) == ["frozen"]
    # the last layer starts at 0, and has a gradient itself
    zero = ParameterRecord("last.kernel", (3, 4), 0.0, 1.0, None)
    assert kinds_of(cut, path, [zero]) == ["healthy"]
    bias = ParameterRecord("last.bias", (4,), 0.0, 1.0, None)
    assert kinds_of(cut, path, [bias]) == ["frozen"]
    assert kinds_of(cut, path, [zero, dataclasses.replace(zero, gradient=0.0)]) == ["frozen"]
    # squares that underflow, after a gradient that is almost gone
    faint = [record(gradient_z=0.0, gradient_a=0.0, cut_off=range(100)), record(gradient_z=0.0), record()]
    assert kinds_of(faint, [flow(0, 1, math.nan), flow(1, 2, -math.inf)]) == ["healthy"]
    unused = [ParameterRecord("head.kernel", (3, 4), 1.0, 0.0, None)]
    assert kinds_of([record()], parameters=unused) == ["frozen"]


def test_numbers_that_are_not_finite():
    assert kinds_of([record(), record(not_finite=0.1)]) == ["exploding"]
    assert kinds_of([record()], loss=math.nan) == ["exploding"]


def test_a_network_without_activations_is_healthy():
    assert kinds_of([]) == ["healthy"]


def test_defaults_are_what_their_sources_say():
    limits = Thresholds()
    z = jax.random.normal(jax.random.key(0), (100_000,))
    # input: half of the numbers of that size lie where tanh has less than 1 % of its slope
    assert float(jnp.mean(jnp.cosh(limits.input * z) ** -2 < 0.01)) == pytest.approx(0.5, abs=0.01)
    # lost: what jax.nn loses under N(0, 1) in bfloat16 is ten times less
    low = z.astype(jnp.bfloat16)
    for name in ("tanh", "sigmoid", "gelu", "elu", "silu", "softplus"):
        slope = jax.vmap(jax.grad(getattr(jax.nn, name)))(low)
        assert float(jnp.mean(slope == 0)) < 0.14 * limits.lost, name
    # disagreement: the worst of a thousand layers of ten units
    w, g = jnp.split(jax.random.normal(jax.random.key(1), (1000, 10, 11)), [10], axis=2)
    passed = jnp.linalg.norm(w @ g, axis=1) / (
        jnp.sqrt(jnp.sum(w**2, (1, 2)) / 10)[:, None] * jnp.linalg.norm(g, axis=1)
    )
    assert 1 / float(passed.min()) == pytest.approx(2.2, abs=0.05)
    # firing: what 64 and 512 examples make look dead
    assert [round((1 - limits.firing) ** n, 3) for n in (64, 512)] == [0.526, 0.006]


def test_flat_share():
    assert flat_share(jnp.tanh) == pytest.approx(0.00276, abs=1e-4)
    assert flat_share(jax.nn.relu) == pytest.approx(0.5, abs=0.01)
    assert flat_share(jax.nn.hard_tanh) == pytest.approx(0.317, abs=0.01)


FIELDS = [field.name for field in dataclasses.fields(Thresholds)]


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("value", [0, -1, True, "a", math.nan, math.inf, None])
def test_bad_thresholds(name, value):
    with pytest.raises(InputError, match=rf"^{name} of thresholds must be"):
        Thresholds(**{name: value})


@pytest.mark.parametrize("name", FIELDS)
def test_thresholds_are_documented(name):
    assert f"      {name}: " in Thresholds.__doc__


@pytest.mark.parametrize("bad", [3, {"dead": 0.1}, Thresholds])
def test_bad_thresholds_of_diagnose(bad):
    def network(params, batch):
        return jnp.tanh(batch[0] @ params)

    with pytest.raises(InputError, match=r"^thresholds must be"):
        jaxact.diagnose((network, jnp.eye(3)), (jnp.ones((4, 3)), jnp.zeros(4, int)), thresholds=bad)


def test_the_fix_of_gain_mends_it():
    net, x = planted.NETS["gain", "gelu, 16 layers, lecun_normal"]
    labels = planted.LABELS
    (verdict,) = jaxact.diagnose(planted.models.Nnx(net), (x, labels)).verdicts
    assert "kernel_init=jaxact.initializers.for_activation(jaxact.gelu)" in verdict.fix
    mended = dataclasses.replace(net, kernel=jaxact.initializers.for_activation(jaxact.gelu))
    assert [v.kind for v in jaxact.diagnose(planted.models.Nnx(mended), (x, labels)).verdicts] == ["healthy"]


def test_rich_report_fits_80_columns():
    from rich.console import Console

    def network(params, batch):
        return jnp.tanh(batch[0] @ params["a layer with a very long name"]) @ params["last"]

    params = {"a layer with a very long name": jnp.eye(8), "last": jnp.ones((8, 3))}
    batch = jax.random.normal(jax.random.key(0), (32, 8)), jnp.arange(32) % 3
    console = Console(width=80, file=io.StringIO())
    console.print(jaxact.diagnose((network, params), batch))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "healthy" in lines[1]
    assert any("long name" in line and "tanh" in line and "32/" not in line for line in lines)
