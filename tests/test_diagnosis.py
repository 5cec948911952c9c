"""The diagnosis: which sites it finds in which models, what it says of them, and that it changes nothing."""

import inspect
import io
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn
from flax import nnx

import jaxact
from jaxact.diagnosis.models import cross_entropy, model_of
from jaxact.errors import InputError

KEY = jax.random.key(0)
IMAGES = jax.random.normal(KEY, (6, 32, 32, 3))
ROWS = jax.random.normal(KEY, (16, 8))
TOKENS = jax.random.normal(KEY, (4, 7, 8))
LABELS = jnp.arange(16) % 10


def hand_written_mish(x):
    return x * jnp.tanh(jax.nn.softplus(x))


class Mlp(nnx.Module):
    def __init__(self, *functions, dropout=0.0, bias=0.0):
        rngs = nnx.Rngs(0, dropout=1)
        widths = [8, *[20] * len(functions)]
        init = nnx.initializers.constant(bias)
        self.layers = nnx.List(
            [nnx.Linear(m, n, bias_init=init, rngs=rngs) for m, n in itertools.pairwise(widths)]
        )
        self.functions = functions
        self.dropout = nnx.Dropout(dropout, rngs=rngs)
        self.last = nnx.Linear(20, 10, rngs=rngs)

    def __call__(self, x):
        for layer, function in zip(self.layers, self.functions, strict=True):
            x = self.dropout(function(layer(x)))
        return self.last(x)


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.BatchNorm(use_running_average=False, name="norm")(nn.Dense(20, name="first")(x)))
        return nn.Dense(10, name="last")(nn.tanh(nn.Dense(20, name="second")(x)))


class Transformer(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.embed, self.norm1 = nnx.Linear(8, 16, rngs=rngs), nnx.LayerNorm(16, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(4, 16, decode=False, rngs=rngs)
        self.norm2, self.dropout = nnx.RMSNorm(16, rngs=rngs), nnx.Dropout(0.2, rngs=rngs)
        self.up, self.down = nnx.Linear(16, 32, rngs=rngs), nnx.Linear(32, 16, rngs=rngs)
        self.last = nnx.Linear(16, 10, rngs=rngs)

    def __call__(self, x):
        x = self.embed(x)
        x = x + self.attention(self.norm1(x))
        x = x + self.dropout(self.down(nnx.gelu(self.up(self.norm2(x)))))
        return self.last(x.mean(axis=1))


class ResNet(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        convs = [nnx.Conv(m, 8, (3, 3), rngs=rngs) for m in (3, 8, 8)]
        self.conv1, self.conv2, self.conv3 = convs
        self.norm1, self.norm2, self.norm3 = (nnx.BatchNorm(8, rngs=rngs) for _ in convs)
        self.last = nnx.Linear(8, 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.norm1(self.conv1(x)))
        x = nnx.relu(x + self.norm3(self.conv3(nnx.relu(self.norm2(self.conv2(x))))))
        return self.last(x.mean(axis=(1, 2)))


class Autoencoder(nnx.Module):
    def __init__(self):
        self.encode, self.decode = nnx.Linear(8, 3, rngs=nnx.Rngs(0)), nnx.Linear(3, 8, rngs=nnx.Rngs(1))

    def __call__(self, x):
        return nnx.sigmoid(self.decode(nnx.elu(self.encode(x))))


def reconstruction(outputs, batch):
    return jnp.mean((outputs - batch[0]) ** 2)


def pure(params, batch):
    x, y = batch
    hidden = jax.nn.silu(x @ params["first"])
    log_p = jax.nn.log_softmax(hidden @ params["last"])
    return -jnp.mean(jnp.take_along_axis(log_p, y[:, None], axis=1))


PURE = {"first": jax.random.normal(KEY, (8, 20)), "last": jax.random.normal(KEY, (20, 10))}


class Case(NamedTuple):
    make: object
    inputs: jax.Array
    sites: list
    loss: object = None


LENET = ["conv1.kernel", "conv2.kernel", "conv3.kernel", "dense1.kernel"]
CASES = {
    "mlp": Case(
        lambda: Mlp(nnx.relu, jnp.tanh, jaxact.selu, hand_written_mish, jax.nn.gelu),
        ROWS,
        [(f"layers.{i}.kernel", name) for i, name in enumerate(("relu", "tanh", "selu", "mish", "gelu"))],
    ),
    "dropout": Case(
        lambda: Mlp(nnx.relu, nnx.silu, dropout=0.3),
        ROWS,
        [("layers.0.kernel", "relu"), ("layers.1.kernel", "silu")],
    ),
    "lenet": Case(
        lambda: jaxact.LeNet5("relu", formulation="plain", rngs=nnx.Rngs(0)), IMAGES, [(p, "relu") for p in LENET]
    ),
    "lenet spectral": Case(
        lambda: jaxact.LeNet5("gelu", formulation="spectral", rngs=nnx.Rngs(0)),
        IMAGES,
        [(p, "gelu") for p in LENET],
    ),
    "linen": Case(
        lambda: (Linen(), Linen().init(KEY, ROWS)), ROWS, [("first.kernel", "relu"), ("second.kernel", "tanh")]
    ),
    "transformer": Case(Transformer, TOKENS, [("up.kernel", "gelu")]),
    "resnet": Case(ResNet, IMAGES[:, :8, :8], [(f"conv{i}.kernel", "relu") for i in (1, 2, 3)]),
    "autoencoder": Case(
        Autoencoder, ROWS, [("encode.kernel", "elu"), ("decode.kernel", "sigmoid")], reconstruction
    ),
    "pure": Case(lambda: (pure, PURE), ROWS, [("first", "silu")]),
    "linear": Case(lambda: Mlp(lambda x: 2 * x / 3 - 1, lambda x: -x), ROWS, []),
}

REORDERED = {"transformer", "resnet"}
"""Models with statistics of normalisation, whose gradients are equal up to rounding; the others' bit for bit."""


@pytest.fixture(scope="module")
def diagnosed():
    """Model, batch, diagnosis by name, each made once."""
    made = {}

    def get(name):
        if name not in made:
            case = CASES[name]
            model, batch = case.make(), (case.inputs, LABELS[: len(case.inputs)])
            made[name] = model, batch, jaxact.diagnose(model, batch, case.loss)
        return made[name]

    return get


@pytest.mark.parametrize("name", CASES)
def test_models(name, diagnosed):
    sites_are_the_activations_and_nothing_else(name, *diagnosed(name))
    gradients_are_those_of_the_plain_step(name, *diagnosed(name))
    laws_of_records(*diagnosed(name))


def sites_are_the_activations_and_nothing_else(name, model, batch, diagnosis):
    assert [(site.layer, site.name) for site in diagnosis.sites] == CASES[name].sites
    reasons = {place.reason for place in diagnosis.not_covered}
    assert reasons <= ({"after the last layer: part of the loss"} if name == "pure" else set())


def gradients_are_those_of_the_plain_step(name, model, batch, diagnosis):
    form = model_of(model, {})
    loss_of = CASES[name].loss or cross_entropy

    @jax.jit
    def plain(parameters, state, batch):
        def loss(parameters):
            outputs = form.forward(parameters, state, batch if form.takes_batch else batch[0])
            return outputs if form.takes_batch else loss_of(outputs, batch)

        return jax.value_and_grad(loss)(parameters)

    loss, gradients = plain(form.parameters, form.state, batch)
    assert float(loss) == (pytest.approx(diagnosis.loss, rel=1e-6) if name in REORDERED else diagnosis.loss)
    assert jax.tree.structure(gradients) == jax.tree.structure(diagnosis.gradients)
    pairs = list(zip(jax.tree.leaves(diagnosis.gradients), jax.tree.leaves(gradients), strict=True))
    largest = max(float(jnp.abs(theirs).max()) for _, theirs in pairs)
    # programs with more results are fused differently, and then XLA adds in another order
    error = 1e-6 * largest if name in REORDERED else 0
    assert all(float(jnp.abs(ours - theirs).max()) <= error for ours, theirs in pairs)


@pytest.mark.parametrize("name", ["mlp", "resnet", "linen", "pure"])
def test_lines_are_those_of_the_calls(name, diagnosed):
    lines = Path(__file__).read_text().splitlines()
    called = {"mlp": ("function(layer(x))",) * 3 + ("jnp.tanh(", "function("), "resnet": ("nnx.relu",) * 3}
    called |= {"linen": ("nn.relu", "nn.tanh"), "pure": ("jax.nn.silu",)}
    for site, text in zip(diagnosed(name)[2].sites, called[name], strict=True):
        assert site.file == __file__
        assert text in lines[site.line - 1]


def laws_of_records(model, batch, diagnosis):
    for site in diagnosis.sites:
        assert 0 <= site.zero <= site.saturated <= 1
        assert 0 <= site.gate <= 1
        assert 0 <= (site.zero_by_dtype or 0) <= site.zero
        assert site.examples == len(batch[0])
        assert len(site.dead) <= site.units
        assert list(site.z.quantiles) == sorted(site.z.quantiles)
        assert (1 - site.firing_bound) ** site.examples == pytest.approx(0.05)
        assert site.gradient_z > 0 < site.gradient_a
    shown = str(diagnosis)
    assert shown.count("\n") == len(diagnosis.sites) + len(diagnosis.not_covered)
    back = json.loads(json.dumps(diagnosis.to_dict()))
    assert [site["name"] for site in back["sites"]] == [site.name for site in diagnosis.sites]


def test_numbers_are_those_of_the_model(diagnosed):
    model, (x, y), diagnosis = diagnosed("linen")
    module, variables = model
    seen = module.apply(variables, x, capture_intermediates=True, mutable=["intermediates", "batch_stats"])[1]
    (z,) = seen["intermediates"]["second"]["__call__"]

    def rest(z, last):
        return cross_entropy(jnp.tanh(z) @ last["kernel"] + last["bias"][None], (x, y))

    gradient = jax.grad(rest)(z, variables["params"]["last"])
    site = diagnosis.sites[1]
    assert site.z.mean == pytest.approx(float(z.mean()), abs=1e-6)
    assert site.a.std == pytest.approx(float(jnp.tanh(z).std()), rel=1e-5)
    assert site.gate == pytest.approx(float((1 / jnp.cosh(z) ** 2).mean()), rel=1e-5)
    assert site.gradient_z == pytest.approx(float(jnp.linalg.norm(gradient)), rel=1e-5)


def test_both_formulations_of_lenet_have_the_same_units():
    batch = IMAGES, LABELS[:6]
    plain, spectral = (
        jaxact.diagnose(jaxact.LeNet5("gelu", formulation=form, rngs=nnx.Rngs(0)), batch)
        for form in ("plain", "spectral")
    )
    for a, b in zip(plain.sites, spectral.sites, strict=True):
        assert (a.units, a.dead, a.dormant, a.examples) == (b.units, b.dead, b.dormant, b.examples)
        assert a.gradient_z == pytest.approx(b.gradient_z, rel=1e-4)


@pytest.mark.parametrize(("bias", "dead"), [(-100.0, 20), (100.0, 0)])
def test_planted_dead_units(bias, dead):
    (site,) = jaxact.diagnose(Mlp(nnx.relu, bias=bias), (ROWS, LABELS)).sites
    assert len(site.dead) == dead
    assert len(site.dormant) == dead
    assert site.zero == (1 if dead else 0)
    assert site.zero_by_dtype == 0


def test_zero_by_dtype_is_told_from_zero_by_structure():
    lost = jaxact.diagnose(Mlp(jnp.tanh, bias=12.0), (ROWS, LABELS)).sites[0]
    kept = jaxact.diagnose(Mlp(jaxact.tanh, bias=12.0), (ROWS, LABELS)).sites[0]
    assert lost.zero == lost.zero_by_dtype > 0.9
    assert kept.zero == 0
    assert kept.saturated == 1

    def network(params, batch):
        z = (batch[0] @ params["first"] + 4).astype(jnp.bfloat16)
        return jnp.tanh(z).astype(jnp.float32) @ params["last"]

    (site,) = jaxact.diagnose((network, PURE), (ROWS, LABELS)).sites
    assert site.zero == site.zero_by_dtype > 0.3


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (lambda z: 1.7 * jnp.tanh(z / 2), ["tanh"]),  # the scales are the layers'
        (lambda z: jnp.square(jax.nn.relu(z)), ["relu_squared"]),
        (lambda z: jax.nn.gelu(z, approximate=False), ["gelu(approximate=False)"]),
        (lambda z: jnp.tanh(z.astype(jnp.bfloat16)).astype(jnp.float32), ["tanh"]),
        (lambda z: jax.nn.leaky_relu(z, 0.3), ["leaky_relu"]),
        (lambda z: jnp.concatenate([jax.nn.relu(z), jax.nn.relu(-z)], axis=1)[:, ::2], ["relu", "relu"]),
        (lambda z: jnp.tile(jax.nn.silu(z[:, :10]) * z[:, 10:], 2), ["silu"]),
        (lambda z: z * z, [None]),
        (jax.vmap(jax.nn.elu), ["elu"]),
        (jax.nn.softmax, []),
        (lambda z: z / jnp.linalg.norm(z, axis=1, keepdims=True), []),
    ],
)
def test_functions(function, names):
    def network(params, batch):
        return function(batch[0] @ params["first"]) @ params["last"]

    sites = jaxact.diagnose((network, PURE), (ROWS, LABELS)).sites
    assert [site.name for site in sites] == names


def test_recovered_functions_are_the_functions():
    from jaxact.diagnosis.diagnose import trace

    x = jnp.linspace(-5, 5, 101)
    model = CASES["mlp"].make()
    sites = trace(model_of(model, {}), (ROWS, LABELS), None).sites
    for site, function in zip(sites, model.functions, strict=True):
        assert jnp.allclose(site.function(x), function(x), rtol=1e-6, atol=1e-6)
        assert site.function(jnp.zeros((2, 3))).shape == (2, 3)
    # the rule of relu at its kink is kept
    assert jax.grad(sites[0].function)(0.0) == 0


def test_loops_are_named_as_not_covered():
    def network(params, batch):
        x, _ = jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), batch[0], params["layers"])
        return jax.nn.relu(x) @ params["last"]

    params = {"layers": jnp.ones((3, 8, 8)), "last": jnp.ones((8, 10))}
    diagnosis = jaxact.diagnose((network, params), (ROWS, LABELS))
    assert [site.name for site in diagnosis.sites] == ["relu"]
    (place,) = diagnosis.not_covered
    assert (place.what, place.reason) == ("tanh", "inside a scan")
    assert "lax.scan" in Path(place.file).read_text().splitlines()[place.line - 1]


@pytest.mark.parametrize("wrap", [jax.jit, jax.checkpoint, lambda f: jax.jit(jax.jit(f))])
def test_calls_are_entered(wrap):
    def network(params, batch):
        return wrap(lambda x: jnp.tanh(x @ params["first"]) @ params["last"])(batch[0])

    (site,) = jaxact.diagnose((network, PURE), (ROWS, LABELS)).sites
    assert (site.layer, site.name) == ("first", "tanh")


def test_the_model_is_not_changed():
    model = ResNet()
    before = jax.tree.map(jnp.copy, nnx.state(model))
    jaxact.diagnose(model, (IMAGES[:, :8, :8], LABELS[:6]))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, before, nnx.state(model)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, (ROWS, LABELS)), "model must be an nnx module"),
        (((Linen(), {}), (ROWS, LABELS)), "variables must hold 'params'"),
        ((Mlp(nnx.relu), ROWS), "loss_fn must be given"),
        ((Mlp(nnx.relu), (ROWS, LABELS), lambda outputs, batch: outputs), "loss_fn must return a scalar"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(InputError, match=message):
        jaxact.diagnose(*arguments)


@pytest.mark.parametrize("tau", [-1, True, "a", float("nan")])
def test_bad_tau(tau):
    with pytest.raises(InputError, match=r"^tau must be"):
        jaxact.diagnose(Mlp(nnx.relu), (ROWS, LABELS), tau=tau)


def test_a_pure_function_needs_no_flax():
    code = inspect.cleandoc("""
        import sys, jax.numpy as jnp, jaxact
        net = lambda p, batch: jnp.tanh(batch[0] @ p) @ p
        print(jaxact.diagnose((net, jnp.eye(3)), (jnp.ones((4, 3)), jnp.zeros(4, int))))
        assert "flax" not in sys.modules
    """)
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "tanh" in out


def test_rich_table(diagnosed):
    from rich.console import Console

    console = Console(width=200, file=io.StringIO())
    console.print(diagnosed("mlp")[2])
    assert "layers.3.kernel" in console.file.getvalue()
