"""The table of facts against the functions, and the way from a name to a function and back."""

import copy
import functools
import inspect
import itertools
import json
import math
import pickle
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import SPECS
from flax import nnx

import jaxact
from jaxact.catalog import Configured, find, is_monotone
from jaxact.catalog.frameworks import FRAMEWORKS
from jaxact.catalog.specs import elsewhere
from jaxact.cli import main
from jaxact.errors import shown

pytestmark = pytest.mark.usefixtures("compiled_fast")
INF = math.inf
FOREIGN = [(framework, name) for framework, known in FRAMEWORKS.items() for name in known.names]
NAMES = sorted({alias for row in jaxact.ACTIVATIONS.values() for alias in (row.name, *row.aliases)})

# What a formula may use, apart from abs, min and max.
FORMULA = {
    f: getattr(math, f) for f in ("exp", "log", "sqrt", "tanh", "erf", "erfc", "sin", "cos", "atan", "asinh")
}
FORMULA["pi"] = math.pi


def plain(name):
    """What names are compared by."""
    return re.sub(r"[_\- ]", "", name.lower())


def grid(row, steps=4001):
    """Dense float64 inputs inside the domain, out to where every function has reached its ends."""
    low, high = (min(max(end, -700.0), 700.0) for end in row.domain)
    middle = [max(low, -8.0), min(high, 8.0)]
    x = np.unique(np.concatenate([np.linspace(low, high, steps), np.linspace(*middle, steps)]))
    return x[(row.domain[0] < x) & (x < row.domain[1])]


# ---- names to functions


@pytest.mark.parametrize("name", NAMES)
def test_every_spelling_of_a_name(name):
    fn = jaxact.get(name)
    assert fn is jaxact.ACTIVATIONS[find(fn).name].function
    camel = "".join(part.capitalize() for part in name.split("_"))
    for spelling in (name.upper(), camel, name.replace("_", "-"), name.replace("_", " "), name.replace("_", "")):
        assert jaxact.get(spelling) is fn
        assert jaxact.get(f"{spelling}()") is fn
        assert jaxact.get({"name": spelling, "config": {}}) is fn


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("LeakyReLU", "leaky_relu"),
        ("hard-tanh", "hard_tanh"),
        ("HardTanh", "hard_tanh"),
        ("softsign", "soft_sign"),
        ("hardswish", "hard_silu"),
        ("swish", "silu"),
        ("linear", "identity"),
        ("logsigmoid", "log_sigmoid"),
        ("exponential", "exp"),
        ("gelu_tanh", "gelu"),
        ("gelu_new", "gelu"),
        ("gelu_approx", "gelu"),
        (None, "identity"),
        ({"name": "ReLU"}, "relu"),
        (np.str_("relu"), "relu"),
        (" relu ( ) ", "relu"),
    ],
)
def test_common_names(spec, name):
    assert jaxact.get(spec) is jaxact.ACTIVATIONS[name].function


def test_no_name_means_two_rows():
    rows = {(plain(alias), row.name) for row in jaxact.ACTIVATIONS.values() for alias in (row.name, *row.aliases)}
    assert len(rows) == len(dict(rows))
    assert not {"gelutanh", "geluerf"} & dict(rows).keys()
    functions = [row.function for row in jaxact.ACTIVATIONS.values()]
    assert len(functions) == len(set(functions))


@pytest.mark.parametrize(
    ("spec", "canonical"),
    [
        ("leaky_relu(0.2)", "leaky_relu(negative_slope=0.2)"),
        ("LeakyReLU( negative_slope = 0.2, )", "leaky_relu(negative_slope=0.2)"),
        ("leaky_relu(negative_slope=-2)", "leaky_relu(negative_slope=-2.0)"),
        ("elu(2)", "elu(alpha=2.0)"),
        ("elu(+.5)", "elu(alpha=0.5)"),
        ("elu(-1e-3)", "elu(alpha=-0.001)"),
        ("elu(2E3)", "elu(alpha=2000.0)"),
        ("elu(1)", "elu"),
        ("squareplus(4.0)", "squareplus"),
        ("threshold(-0.2, 3)", "threshold(threshold=-0.2, default_value=3.0)"),
        ("threshold(-0.2, default_value=3)", "threshold(threshold=-0.2, default_value=3.0)"),
        ("threshold(default_value=3, threshold=1)", "threshold(default_value=3.0)"),
        ("gelu(True)", "gelu"),
        ("gelu(False)", "gelu(approximate=False)"),
        ("gelu(approximate=False)", "gelu(approximate=False)"),
        ("gelu_erf", "gelu(approximate=False)"),
        ("GELU-erf()", "gelu(approximate=False)"),
        ("gelu_erf(approximate=True)", "gelu"),
        ({"name": "gelu_erf"}, "gelu(approximate=False)"),
        ({"name": "ELU", "config": {"alpha": 0.5}}, "elu(alpha=0.5)"),
        ({"name": "elu", "config": {"alpha": np.float64(0.5)}}, "elu(alpha=0.5)"),
        ({"name": "elu", "config": {"alpha": np.float32(0.5)}}, "elu(alpha=0.5)"),
        ({"name": "elu", "config": {"alpha": np.int64(2)}}, "elu(alpha=2.0)"),
        ({"name": "gelu", "config": {"approximate": np.bool_(False)}}, "gelu(approximate=False)"),
        (functools.partial(jaxact.elu, alpha=0.5), "elu(alpha=0.5)"),
        (functools.partial(jaxact.elu, alpha=np.float64(0.5)), "elu(alpha=0.5)"),
        (functools.partial(jaxact.elu, alpha=1.0), "elu"),
        (functools.partial(jaxact.relu), "relu"),
        (jaxact.swish, "silu"),
        (None, "identity"),
    ],
)
def test_parameters_and_back(spec, canonical):
    fn = jaxact.get(spec)
    assert jaxact.serialize(fn) == canonical
    assert jaxact.serialize(jaxact.get(canonical)) == canonical
    if not isinstance(spec, functools.partial):
        assert jaxact.get(canonical) == fn


def test_parameters_reach_the_function():
    x = jnp.linspace(-3, 3, 7)
    np.testing.assert_array_equal(jaxact.get("leaky_relu(0.2)")(x), jaxact.leaky_relu(x, 0.2))
    np.testing.assert_array_equal(jaxact.get("gelu_erf")(x), jaxact.gelu(x, approximate=False))
    np.testing.assert_array_equal(jaxact.get("elu(alpha=10000000000)")(x), jaxact.elu(x, 1e10))  # not an int32
    np.testing.assert_array_equal(jaxact.get("threshold(0, -1)")(x), jaxact.threshold(x, 0, -1))


@pytest.mark.parametrize("spec", SPECS)
def test_serialize_is_the_inverse_of_get(spec):
    fn = jaxact.get(spec)
    assert jaxact.serialize(fn) == spec
    assert jaxact.get(fn) is fn
    for twin in (jaxact.get(spec), pickle.loads(pickle.dumps(fn)), copy.deepcopy(fn)):
        assert jaxact.serialize(twin) == spec
        assert twin == fn
        assert hash(twin) == hash(fn)
    assert find(fn).name == spec.partition("(")[0]


@pytest.mark.parametrize(("framework", "name"), FOREIGN, ids=map(":".join, FOREIGN))
def test_every_name_of_the_frameworks(framework, name):
    known = FRAMEWORKS[framework]
    fn = jaxact.get(known.names[name])
    camel = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    for prefix in (framework, framework.upper(), *known.modules):
        for spelling in (name, name.upper(), name.lower(), camel, f" {name} ( ) "):
            assert jaxact.get(f" {prefix} :{spelling}") == fn
    assert jaxact.get({"name": f"{framework}:{name}", "config": {}}) == fn
    assert elsewhere()[find(fn).name][f"{framework}:{name}"] == jaxact.serialize(fn)
    if not isinstance(fn, Configured):
        assert jaxact.get(f"{framework}:{name}") is fn


def test_no_name_of_a_framework_means_two_things():
    for known in FRAMEWORKS.values():
        assert len({plain(name) for name in known.names}) == len(known.names)
    prefixes = [prefix for name, known in FRAMEWORKS.items() for prefix in {name, *known.modules}]
    assert len(prefixes) == len(set(prefixes))
    assert sum(map(len, elsewhere().values())) == len(FOREIGN)


@pytest.mark.parametrize(
    ("spec", "canonical"),
    [
        ("jax:gelu", "gelu"),
        ("flax:gelu", "gelu"),
        ("torch:gelu", "gelu(approximate=False)"),
        ("keras:gelu", "gelu(approximate=False)"),
        ("keras.ops:gelu", "gelu"),
        ("tf:gelu", "gelu(approximate=False)"),
        ("torch:LeakyReLU", "leaky_relu"),
        ("keras:leaky_relu", "leaky_relu(negative_slope=0.2)"),
        ("keras.layers:LeakyReLU", "leaky_relu(negative_slope=0.3)"),
        ("tf.nn:leaky_relu", "leaky_relu(negative_slope=0.2)"),
        ("torch:hardswish", "hard_silu"),
        ("torch.nn:Hardshrink", "hard_shrink"),
        ("keras.activations:linear", "identity"),
        # What is said of a parameter counts more than the framework.
        ("torch:leaky_relu(0.3)", "leaky_relu(negative_slope=0.3)"),
        ("keras:leaky_relu(negative_slope=0.01)", "leaky_relu"),
        ("keras:leaky_relu(0.01)", "leaky_relu"),
        ("torch:gelu(True)", "gelu"),
        ("torch:gelu(approximate=True)", "gelu"),
        ("gelu_erf(True)", "gelu"),
        ("torch:elu(alpha=0.5)", "elu(alpha=0.5)"),
        ({"name": "TORCH: GELU"}, "gelu(approximate=False)"),
        ({"name": "tf:leaky_relu", "config": {"negative_slope": 0.1}}, "leaky_relu(negative_slope=0.1)"),
    ],
)
def test_defaults_of_the_frameworks(spec, canonical):
    assert jaxact.serialize(jaxact.get(spec)) == canonical
    assert jaxact.get(spec) == jaxact.get(canonical)


def test_the_command_line_tells_what_the_frameworks_mean(capsys):
    def lines(*command):
        assert main([*command]) == 0
        return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]

    for name in ("gelu", "torch:leakyrelu", "tanh_shrink"):
        names = elsewhere()[find(jaxact.get(name)).name]
        assert json.loads(lines("show", name, "--json")[0])["frameworks"] == names
        assert {f"{foreign} {spec}" for foreign, spec in names.items()} <= set(lines("show", name))
    facts = [json.loads(line) for line in lines("list", "--json")]
    assert {row["name"]: row["frameworks"] for row in facts} == elsewhere()
    assert {"frameworks", "keras.ops;", "approximate=False", "torch:rrelu:"} <= set(
        " ".join(lines("list")).split()
    )


def test_callables_pass_through():
    for fn in (jnp.tanh, lambda x: x, jax.nn.relu, functools.partial(jaxact.elu, alpha=2.0), int):
        assert jaxact.get(fn) is fn


def test_configured_compares_by_value():
    a, b, c = (jaxact.get(f"elu({alpha})") for alpha in (0.5, 0.5, 0.25))
    assert isinstance(a, Configured)
    assert a == b != c
    assert len({a, b, c}) == 2
    assert a != jaxact.get("celu(0.5)")
    assert str(a) == "elu(alpha=0.5)"
    with pytest.raises(AttributeError):
        a.name = "relu"


def test_a_configured_activation_is_a_static_argument():
    traces = []

    @functools.partial(jax.jit, static_argnums=0)
    def apply(fn, x):
        traces.append(fn)
        return fn(x)

    x = jnp.ones(2)
    for _ in range(2):
        np.testing.assert_array_equal(apply(jaxact.get("leaky_relu(0.2)"), -x), jnp.full(2, -0.2))
        apply(jaxact.get("relu"), x)
    assert len(traces) == 2  # equal by value, so not traced again


def test_is_monotone_vouches_for_defaults_alone():
    assert is_monotone(jaxact.get("relu"))
    assert not is_monotone(jaxact.get("silu"))
    assert not is_monotone(jaxact.get("leaky_relu(-0.2)"))
    assert not is_monotone(jnp.tanh)


# ---- what has no meaning

DEEP = "elu(" + "(" * 300 + "1" + ")" * 300 + ")"
BAD = {
    "rleu": "'rleu'; did you mean relu",
    "RReLU": "rrelu is not elementwise.*call jaxact.rrelu",
    "swich": "'swich'; did you mean swish",
    "tanhh": "'tanhh'; did you mean tanh",
    "LeekyReLU": "'LeekyReLU'; did you mean .*leaky_relu",
    "gelu_erff": "'gelu_erff'; did you mean gelu_erf",
    "softmax_": "softmax is not elementwise.*call jaxact.softmax",
    "xyzzy": "'xyzzy'; see jaxact.ACTIVATIONS",
    "": "unknown activation ''",
    "  ": "unknown activation",
    "()": "unknown activation ''",
    "relu\nrelu": r"unknown activation 'relu\\nrelu'",
    "a" * 100_000: "unknown activation 'aaa",
    "relu)": r"'relu\)'; did you mean relu",
    "relu(": r"cannot read the parameters in 'relu\('",
    "relu()x": r"'relu\(\)x'",
    "relu()()": r"'relu\(\)\(\)'",
    "relu() + 1": r"'relu\(\) \+ 1'",
    "relu(0)(0)": r"'relu\(0\)\(0\)'",
    "relu().real": r"'relu\(\).real'",
    "elu(1) if 1 else f(": "cannot read",
    "elu(1;2)": "cannot read",
    "elu(\0)": "cannot read",
    "elu(\ud800)": "cannot read",
    "leaky_relu(__import__('os'))": r"leaky_relu\(__import__",
    "leaky_relu(__import__('os').getpid())": r"leaky_relu\(__import__",
    "leaky_relu(negative_slope=open('x'))": "cannot read",
    "leaky_relu(negative_slope=(lambda: 1)())": "cannot read",
    "elu([i for i in (1,)][0])": "cannot read",
    "elu(alpha:=2)": "cannot read",
    "elu(*[1])": "cannot read",
    "elu(**{'alpha': 2})": r"'\*\*'; its parameters are alpha",
    "elu(1 + 1)": "cannot read",
    "elu(2 ** 99999999)": "cannot read",
    "elu(inf)": "cannot read",
    "elu(nan)": "cannot read",
    DEEP: "cannot read",
    "elu(" + "(" * 100_000: "cannot read",
    "elu(" + "-" * 100_000 + "1)": "cannot read",
    "elu(" + "[" * 150 + "]" * 150 + ")": "alpha of activation elu must be a finite number",
    "elu(" + "1" * 5000 + ")": "cannot read",
    "elu(1" + "0" * 400 + ")": "alpha of activation elu must be a finite number, got 1000",
    "elu(1e999)": "must be a finite number, got inf",
    "elu(-1e999)": "must be a finite number, got -inf",
    "elu('1')": "alpha of activation elu must be a finite number, got '1'",
    "elu(None)": "must be a finite number, got None",
    "elu([1])": r"must be a finite number, got \[1\]",
    "elu({'a': 1})": "must be a finite number, got {'a': 1}",
    "elu(1j)": "must be a finite number, got 1j",
    "elu(True)": "must be a finite number, got True",
    "gelu(1)": "approximate of activation gelu must be True or False, got 1",
    "gelu('tanh')": "must be True or False, got 'tanh'",
    "elu(beta=2)": "activation elu: .*'beta'; its parameters are alpha",
    "relu(alpha=2)": "activation relu: .*'alpha'; it has no parameters",
    "elu(x=2)": "activation elu: .*'x'; its parameters are alpha",
    "elu(1, 2)": "activation elu: too many .*; its parameters are alpha",
    "relu(1)": "activation relu: too many .*; it has no parameters",
    "elu(1, alpha=2)": "activation elu: multiple values for argument 'alpha'",
    "elu(alpha=1, alpha=2)": r"'elu\(alpha=1, alpha=2\)'",
    "elu(alpha=1, 2)": "cannot read",
    "torhc:gelu": "unknown framework 'torhc'; did you mean torch",
    "mxnet:gelu": "unknown framework 'mxnet'; the frameworks are jax, flax, torch, keras, .*, tf$",
    ":gelu": "unknown framework ''; the frameworks are",
    "a" * 100_000 + ":gelu": "unknown framework 'aaa",
    "tor\nch:gelu": r"unknown framework 'tor\\nch'",
    "torch:geluu": "torch has no activation 'geluu'; did you mean torch:gelu",
    "keras.layers:LeakyRelo": "did you mean keras.layers:LeakyReLU",
    "torch.nn:hardswitch": "torch has no activation 'hardswitch'; did you mean torch:hardswish",
    "torch:": "torch has no activation ''; `jaxact list` tells",
    "torch:xyzzy": "torch has no activation 'xyzzy'; `jaxact list` tells",
    "torch:squareplus": "torch has no activation 'squareplus'; did you mean squareplus, which is jaxact's own",
    "torch:tf:gelu": "torch has no activation 'tf:gelu'",
    "torch:gelu(": "cannot read the parameters",
    "torch:gelu(approximate='tanh')": "approximate of activation gelu must be True or False, got 'tanh'",
    "torch:elu(beta=2)": "activation elu: .*'beta'; its parameters are alpha",
    "keras:leaky_relu(0.1, 0.2)": "activation leaky_relu: too many .*; its parameters are negative_slope",
}
BAD_DICTS = [
    ({}, "'name': ..."),
    ({"nam": "elu"}, "'nam'"),
    ({"name": 3}, "{'name': 3}"),
    ({"name": "elu", "config": None}, "'config': None"),
    ({"name": "elu", "parameters": {}}, "'parameters'"),
    ({"name": "elu", 1: 2}, "1: 2"),
    ({"name": "rleu"}, "'rleu'; did you mean relu"),
    ({"name": "torch:gelo"}, "torch has no activation 'gelo'; did you mean torch:gelu"),
    ({"name": "elu", "config": {"beta": 1}}, "'beta'; its parameters are alpha"),
    ({"name": "elu", "config": {1: 1}}, "activation elu: keywords must be strings"),
    ({"name": "elu", "config": {"alpha": INF}}, "finite number, got inf"),
    ({"name": "elu", "config": {"alpha": math.nan}}, "finite number, got nan"),
    ({"name": "elu", "config": {"alpha": 10**5000}}, "finite number, got <int>"),
    ({"name": "elu", "config": {"alpha": np.ones((3, 3))}}, "finite number, got array"),
    ({"name": "elu", "config": {"alpha": jnp.ones(2)}}, "finite number, got Array"),
    ({"name": "gelu", "config": {"approximate": None}}, "True or False, got None"),
]


@pytest.mark.parametrize(("spec", "message"), [*BAD.items(), *BAD_DICTS], ids=lambda v: shown(v, 40))
def test_bad_specs(spec, message):
    with pytest.raises(ValueError, match=message) as error:
        jaxact.get(spec)
    assert isinstance(error.value, jaxact.InputError)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 250
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__ or error.value.__context__ is None


@pytest.mark.parametrize("spec", [42, 1.5, True, b"relu", ["relu"], ("elu", 1), np.zeros((30, 3)), object()])
def test_what_is_no_spec(spec):
    with pytest.raises(TypeError, match=r"^an activation is a name, a dict, a callable or None, got ") as error:
        jaxact.get(spec)
    assert "\n" not in str(error.value)


class Unhashable:
    __hash__ = None

    def __call__(self, x):
        return x


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (lambda x: x, "'<lambda>|lambda"),
        (jax.nn.relu, "relu"),
        ("relu", "'relu'"),
        ([1], r"\[1\]"),
        (Unhashable(), "Unhashable"),
        (functools.partial(Unhashable()), "Unhashable"),
        (functools.partial(jnp.clip, min=np.zeros((3, 3))), "partial"),
        (functools.partial(jaxact.elu, 1.0), "elu"),
        (functools.partial(jaxact.elu, beta=1), "'beta'; its parameters are alpha"),
        (functools.partial(jaxact.elu, alpha=jnp.ones(2)), "alpha of activation elu must be a finite number"),
        (functools.partial(jaxact.get("elu(0.5)")), "elu"),  # its 0.5 must not get lost
    ],
)
def test_what_has_no_name(fn, message):
    with pytest.raises(jaxact.InputError, match=message) as error:
        jaxact.serialize(fn)
    assert "\n" not in str(error.value)


# ---- facts


def test_the_table_is_read_only():
    with pytest.raises(TypeError):
        jaxact.ACTIVATIONS["relu"] = None
    with pytest.raises(AttributeError):
        jaxact.ACTIVATIONS["relu"].monotone = False
    for name, row in jaxact.ACTIVATIONS.items():
        assert row.name == name
        assert getattr(jaxact, name) is row.function
        for alias in row.aliases:
            assert getattr(jaxact, alias, row.function) is row.function


@pytest.mark.parametrize("name", jaxact.ACTIVATIONS)
def test_parameters_are_those_of_the_signature(name):
    row = jaxact.ACTIVATIONS[name]
    (x, *parameters) = inspect.signature(row.function).parameters.values()
    assert x.default is inspect.Parameter.empty
    assert row.parameters == {p.name: p.default for p in parameters}
    assert all(p.kind is p.POSITIONAL_OR_KEYWORD for p in (x, *parameters))
    for default in row.parameters.values():
        assert isinstance(default, bool | int | float)
        assert math.isfinite(default)
    # Each parameter is in the formula, and nothing else that a formula does not know.
    names = set(compile(row.formula, name, "eval").co_names)
    assert names - FORMULA.keys() - {"x", "abs", "min", "max"} == row.parameters.keys()
    # At their defaults they are not worth saying.
    assert jaxact.get({"name": name, "config": row.parameters}) is row.function


@pytest.mark.parametrize("name", jaxact.ACTIVATIONS)
def test_range(name):
    row = jaxact.ACTIVATIONS[name]
    low, high = row.range
    with jax.enable_x64(True):
        far = [end / 2 for end in np.clip(row.domain, -1e308, 1e308) if end]
        y = np.asarray(row.function(np.concatenate([grid(row), far])))
        poles = [float(row.function(end)) for end in row.domain if math.isfinite(end)]
    # Next to the lowest point of a smooth valley the value is rounded.
    assert y.min() >= low - 1e-15 * max(1, abs(low))
    assert y.max() <= high + 1e-15 * max(1, abs(high))
    for end, reached in ((low, y.min()), (high, y.max())):
        if math.isfinite(end):
            assert abs(reached - end) < 1e-5  # algebraic tails are the slowest
        else:  # the slowest grow like a logarithm, up to a pole at the end of a domain
            assert abs(reached) > 600 or end in poles


@pytest.mark.parametrize("name", jaxact.ACTIVATIONS)
def test_monotone(name):
    row = jaxact.ACTIVATIONS[name]
    with jax.enable_x64(True):
        x = grid(row)
        y = np.asarray(row.function(x))
    fallen = np.maximum.accumulate(y) - y
    if row.monotone:
        falls = fallen > 2 * np.spacing(np.abs(y))  # XLA's tanh wavers by a rounding error
        assert not falls.any(), x[falls]
    else:
        assert (fallen > 1e-4).any()
        assert (y - np.minimum.accumulate(y) > 1e-4).any()


@pytest.mark.parametrize("name", jaxact.ACTIVATIONS)
def test_kinks_are_where_the_one_sided_slopes_differ(name):
    row = jaxact.ACTIVATIONS[name]
    low, high = row.domain
    assert all(low < kink < high for kink in row.kinks)
    c = np.array(sorted({c for c in np.arange(-48, 49) / 4 if low < c < high} | set(row.kinks)))
    h = 1e-7
    program = jax.jit(lambda near: (row.function(near), jaxact.derivative(row.function, 2)(near[1])))
    with jax.enable_x64(True):
        (left, y, right), curvature = jax.tree.map(np.asarray, program(c + np.array([[-h], [0], [h]])))
    left, right = (y - left) / h, (right - y) / h
    # Smooth functions: h times the second derivative, and rounding.
    scale = np.maximum(1, np.abs(y))
    bend = np.abs(left - right) > 1e-5 * scale + 4 * h * np.abs(curvature)
    jump = h * np.maximum(np.abs(left), np.abs(right)) > 1e-3 * scale
    assert c[bend | jump].tolist() == sorted(row.kinks)


@pytest.mark.parametrize("name", jaxact.ACTIVATIONS)
def test_slopes_at_kinks(name):
    """The convention that is taken where there is no derivative, to the last digit where it is a whole number."""
    row = jaxact.ACTIVATIONS[name]
    assert len(row.kinks) == len(row.kink_slopes)
    assert list(row.kinks) == sorted(row.kinks)
    for dtype in (jnp.bfloat16, jnp.float32):
        for kink, slope in zip(row.kinks, row.kink_slopes, strict=True):
            got = jax.grad(row.function)(jnp.asarray(kink, dtype))
            expected = float(jnp.asarray(slope, dtype))
            np.testing.assert_allclose(float(got), expected, rtol=0 if float(slope).is_integer() else 1e-6)


@pytest.mark.parametrize("name", jaxact.ACTIVATIONS)
def test_derivative_at_0(name):
    row = jaxact.ACTIVATIONS[name]
    np.testing.assert_allclose(jax.grad(row.function)(0.0), row.derivative_at_0, rtol=2e-7)


@pytest.mark.parametrize("name", jaxact.ACTIVATIONS)
def test_papers_stand_in_the_references(name):
    row = jaxact.ACTIVATIONS[name]
    if row.paper is None:
        return
    year = re.search(r"(19|20)\d\d", row.paper).group()
    author = re.split(r" (?:&|et al\.|\d)", row.paper)[0]
    references = row.function.__doc__.partition("References:")[2]
    for part in (author, year, *re.findall(r"arXiv:[\d.]+", row.paper)):
        assert part in references


@pytest.mark.parametrize("name", jaxact.ACTIVATIONS)
def test_formula_is_the_function(name):
    row = jaxact.ACTIVATIONS[name]
    with jax.enable_x64(True):
        for x in (-7.5, -2.5, -0.7, 0.0, 0.2, 0.7, 2.5, 7.5):
            if row.domain[0] < x < row.domain[1]:
                expected = eval(row.formula, {**FORMULA, **row.parameters, "x": x})
                np.testing.assert_allclose(row.function(x), expected, rtol=1e-12, atol=1e-15)


# ---- parameters as arrays


def numbers_of(row):
    return [key for key, default in row.parameters.items() if not isinstance(default, bool)]


PARAMETERS = [(name, key) for name, row in jaxact.ACTIVATIONS.items() for key in numbers_of(row)]


@pytest.mark.usefixtures("compiled_fast")
@pytest.mark.parametrize(("name", "key"), PARAMETERS)
def test_parameters_as_arrays(name, key):
    fn = jaxact.ACTIVATIONS[name].function
    x, values = jnp.linspace(-3, 3, 6), jnp.array([0.5, 2.0])

    @jax.jit
    def everything(x, values):
        def f(v):
            return fn(x, **{key: v})

        ways = fn(x[None], **{key: values[:, None]}), jax.vmap(f)(values), jnp.stack([f(v) for v in values])
        slope = jax.grad(lambda v: f(v).sum())
        return ways, slope(values[1]), jax.vmap(slope)(values)

    expected = jnp.stack([fn(x, **{key: value}) for value in (0.5, 2.0)])
    ways, slope, slopes = everything(x, values)
    for results in ways:
        # A product and a sum may be rounded once in one program and twice in another.
        np.testing.assert_allclose(results, expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(slopes[1], slope, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "key"), PARAMETERS)
def test_dtypes_of_parameters(name, key):
    """A parameter promotes as in jax.numpy."""
    fn = jaxact.ACTIVATIONS[name].function
    for dtype in (jnp.bfloat16, jnp.float16, jnp.float32):
        x = jnp.zeros(3, dtype)
        for value in (2, 2.0, np.float32(2), np.array(2), jnp.asarray(2), jnp.bfloat16(2), jnp.float32(2), True):
            y = jax.eval_shape(functools.partial(fn, **{key: value}), x)
            assert y.dtype == (dtype if value is True else jnp.result_type(x, value))
        with jax.numpy_dtype_promotion("strict"):
            assert jax.eval_shape(functools.partial(fn, **{key: jnp.asarray(0.7, dtype)}), x).dtype == dtype
    assert jax.eval_shape(functools.partial(fn, 0.5, **{key: 2.0})).weak_type


@pytest.mark.parametrize(("name", "key"), PARAMETERS)
def test_parameters_are_computed_with_in_float32(name, key):
    fn, x, value = jaxact.ACTIVATIONS[name].function, jnp.linspace(-3, 3, 6, dtype=jnp.bfloat16), jnp.bfloat16(0.7)
    wide = fn(x.astype(jnp.float32), **{key: value.astype(jnp.float32)})
    np.testing.assert_array_equal(fn(x, **{key: value}), wide.astype(jnp.bfloat16))


@pytest.mark.parametrize(("name", "key"), PARAMETERS)
@pytest.mark.parametrize("value", [1j, np.array([1j]), "1", None, [1.0], (1.0, 2.0)])
def test_what_is_no_parameter(name, key, value):
    with pytest.raises(TypeError, match=f"^{key} must be") as error:
        jaxact.ACTIVATIONS[name].function(jnp.ones(2), **{key: value})
    assert "\n" not in str(error.value)


def test_wrong_calls_name_the_function():
    for args, kwargs in itertools.product([(), (1, 2)], [{"foo": 1}]):
        with pytest.raises(TypeError, match=r"^elu: "):
            jaxact.elu(jnp.ones(2), *args, **kwargs)
    with pytest.raises(TypeError, match=r"^elu: multiple values for argument 'alpha'$"):
        jaxact.elu(jnp.ones(2), 1.0, alpha=2.0)
    with pytest.raises(TypeError, match=r"^x must be a number or an array, got list \[array") as error:
        jaxact.relu([np.zeros((3, 3))])
    assert "\n" not in str(error.value)


# ---- hard inputs


@pytest.mark.parametrize("switch", [False, np.bool_(False), jnp.bool_(False), 0])
def test_switches_take_any_bool(switch):
    x = jnp.linspace(-3, 3, 7)
    exact = jaxact.get("gelu_erf")(x)
    np.testing.assert_array_equal(jaxact.gelu(x, switch), exact)
    np.testing.assert_array_equal(jaxact.gelu(x, approximate=switch), exact)
    np.testing.assert_array_equal(jax.jit(jaxact.gelu, static_argnames="approximate")(x, approximate=False), exact)
    with pytest.raises(jax.errors.TracerBoolConversionError):
        jax.jit(jaxact.gelu)(x, True)


@pytest.mark.parametrize("name", jaxact.ACTIVATIONS)
def test_narrow_dtypes_and_strict_promotion(name):
    fn = jaxact.ACTIVATIONS[name].function
    with jax.numpy_dtype_promotion("strict"):
        x = jnp.asarray([0.25, 2.0], jnp.float8_e4m3fn)
        np.testing.assert_array_equal(fn(x), fn(x.astype(jnp.float32)).astype(x.dtype))
        for f in (fn, jaxact.derivative(fn)):
            assert jax.eval_shape(f, jax.ShapeDtypeStruct((2,), jnp.float8_e5m2)).dtype == jnp.float8_e5m2
            assert jax.eval_shape(f, jax.ShapeDtypeStruct((2,), jnp.int32)).dtype == jnp.zeros(()).dtype


@pytest.mark.parametrize("name", jaxact.ACTIVATIONS)
def test_float64_leaves_narrower_inputs_alone(name):
    fn = jaxact.ACTIVATIONS[name].function
    with jax.enable_x64(True):
        for dtype in (jnp.bfloat16, jnp.float32, jnp.float64):
            assert jax.eval_shape(fn, jax.ShapeDtypeStruct((2,), dtype)).dtype == dtype
        assert jax.eval_shape(jaxact.derivative(fn), jax.ShapeDtypeStruct((2,), jnp.float16)).dtype == jnp.float16
        assert jax.eval_shape(functools.partial(fn, 1)).dtype == jnp.float64


@pytest.mark.parametrize("spec", SPECS)
def test_inside_control_flow(spec):
    fn, x = jaxact.get(spec), jnp.asarray([0.3, 1.3], jnp.bfloat16)
    looped = jax.eval_shape(lambda x: jax.lax.scan(lambda c, _: (fn(c), c), x, length=3)[0], x)
    assert looped.dtype == x.dtype
    np.testing.assert_array_equal(jax.jit(jax.lax.switch, static_argnums=1)(1, (jnp.sin, fn), x), fn(x))


@pytest.mark.parametrize("spec", ["relu", "gelu", "mish", "elu(0.5)", "snake"])
def test_without_compilation(spec):
    fn, x = jaxact.get(spec), jnp.asarray([-2.3, 0.3, 1.3])
    with jax.disable_jit():
        y, slope = fn(x), jaxact.derivative(fn)(x)
    np.testing.assert_allclose(y, fn(x), rtol=4e-7)
    np.testing.assert_allclose(slope, jaxact.derivative(fn)(x), rtol=4e-7)


def test_inside_a_flax_module():
    """Functions are static parts of a module: it splits, copies and jits with them."""

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.linear = nnx.Linear(3, 3, rngs=rngs)
            self.first, self.second = jaxact.get("gelu"), jaxact.get("elu(0.5)")

        def __call__(self, x):
            return self.second(self.first(self.linear(x)))

    net, x = Net(nnx.Rngs(0)), jnp.ones((2, 3))
    graph, state = nnx.split(net)
    assert hash(graph) == hash(nnx.split(copy.deepcopy(net))[0])
    for other in (nnx.merge(graph, state), copy.deepcopy(net)):
        np.testing.assert_allclose(nnx.jit(lambda net, x: net(x))(other, x), net(x), rtol=1e-6)
    slope = nnx.Param(jnp.array(0.1))  # a learnable parameter is taken as it is
    np.testing.assert_array_equal(jaxact.leaky_relu(-x, slope), jaxact.leaky_relu(-x, 0.1))
