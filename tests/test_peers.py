"""The functions of other frameworks against the ones that their names mean here, where they are installed."""

import functools
import importlib
import math
import os
import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax import nnx

import jaxact
from jaxact import layers, learnable
from jaxact.catalog import find
from jaxact.catalog.frameworks import FRAMEWORKS
from jaxact.catalog.specs import elsewhere
from jaxact.testing import peers
from jaxact.testing.reference import truth

pytestmark = pytest.mark.peers

INF, NAN = math.inf, math.nan
MEANS = {foreign: spec for names in elsewhere().values() for foreign, spec in names.items()}
PEERS = {"jax": "jax.nn", "torch": "torch", "keras": "keras", "tf": "tf"}  # by what their names begin with

# What may separate two honest computations of f, f' and f'' in [-4, 4], in units of the last place of the value or
# of 1, whichever is larger. Peers cancel in their tails, as in 1 + erf(x) and s * (1 - s): that leaves an error of
# some units of the last place of 1, which grows with powers of x in the derivatives. In bfloat16 some round at
# every step.
ULPS = {np.float32: (8, 32, 128), np.float64: (8, 32, 128), ml_dtypes.bfloat16: (4, 4, 16)}

# What stands for the last place where a peer is less exact in float64: it keeps a constant in float32, or log1p is
# off.
IN_FLOAT64 = {
    ("jax.nn", "log1mexp"): 2.0**-46,
    ("torch", "hard_sigmoid"): 2.0**-26,
    **{(peer, f"gelu{form}"): 2.0**-26 for peer in ("keras", "tf") for form in ("", "(approximate=False)")},
    **{
        (peer, f"leaky_relu(negative_slope={slope})"): 2.0**-26 for peer in ("keras", "tf") for slope in (0.2, 0.3)
    },
}

# Derivatives at kinks that are not those of jaxact.
OTHER_SLOPES = {
    ("torch", "hard_tanh"): (0, 0),
    ("torch", "leaky_relu"): (0.01,),
    ("torch", "prelu"): (0.25,),
    ("keras", "prelu(negative_slope=0.0)"): (0,),
    ("keras", "sparse_sigmoid"): (0, 0),
    **{(peer, "selu"): (1.0507009873554805,) for peer in ("keras", "tf")},
    **{
        (peer, f"leaky_relu(negative_slope={slope})"): (slope,)
        for peer in ("torch", "keras", "tf")
        for slope in (0.2, 0.22916666666666666, 0.3)
    },
}


def needs(framework):
    if framework not in peers.available():
        pytest.skip(f"needs {framework}: pip install 'jaxact[peers]'")


def peer_of(foreign):
    """Whose function a name means, and the function."""
    framework = PEERS[foreign.partition(":")[0].partition(".")[0]]
    needs(framework)
    return framework, peers.peer(framework, foreign)


@functools.cache
def ours(spec, dtype):
    fn = jaxact.get(spec)
    fns = [jax.jit(f) for f in (fn, jaxact.derivative(fn), jaxact.derivative(fn, 2))]

    def results(x):
        with jax.enable_x64(dtype == np.float64):
            return [np.asarray(f(jnp.asarray(x))) for f in fns]

    return results


def inputs(spec, dtype):
    """Inputs of [-4, 4] in the domain, but for 0, where second derivatives may jump, and what is next to kinks."""
    row = find(jaxact.get(spec))
    x = np.linspace(-4, 4, 640).astype(dtype)
    wide = x.astype(float)
    apart = np.all([np.abs(wide - kink) > 0.03 for kink in row.kinks], axis=0)
    return x[apart & (row.domain[0] < wide) & (wide < row.domain[1])]


@pytest.mark.parametrize("foreign", [name for name in MEANS if not name.startswith("flax")])
def test_names_mean_what_the_frameworks_compute(foreign):
    framework, peer = peer_of(foreign)
    spec = MEANS[foreign]
    for dtype, ulps in ULPS.items():
        x = inputs(spec, dtype)
        eps = float(ml_dtypes.finfo(dtype).eps)
        if dtype == np.float64:
            eps = IN_FLOAT64.get((framework, spec), eps)
        for order, (theirs, mine, ulp) in enumerate(zip(peer(x), ours(spec, dtype)(x), ulps, strict=True)):
            assert theirs.dtype == mine.dtype == dtype
            assert theirs.shape == x.shape
            if order == 2 and np.isnan(theirs).all():
                continue  # it has no second derivative
            theirs, mine = theirs.astype(float), mine.astype(float)
            off = np.abs(theirs - mine) / np.maximum(np.abs(mine), 1)
            worst = int(off.argmax())
            assert off[worst] <= ulp * eps, (dtype, order, float(x[worst]), theirs[worst], mine[worst])


@pytest.mark.parametrize("foreign", [name for name in MEANS if not name.startswith("flax")])
def test_at_kinks(foreign):
    """The values agree, except for the side of a jump; the derivatives are a matter of convention."""
    framework, peer = peer_of(foreign)
    spec = MEANS[foreign]
    row = find(jaxact.get(spec))
    x = np.asarray(row.kinks, np.float32)
    if x.size:
        value, slope, _ = peer(x)
        np.testing.assert_allclose(value, ours(spec, np.float32)(x)[0], rtol=1e-6, atol=1e-7)
        expected = OTHER_SLOPES.get((framework, spec), row.kink_slopes)
        np.testing.assert_allclose(slope, expected, rtol=1e-6)


# ---- the three ways to share the slope of prelu; that of Flax stands in test_learnable.py


@pytest.mark.parametrize("channels", [1, 3])
def test_prelu_layer_of_torch(channels):
    torch = module_of("torch")
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    theirs = torch.nn.PReLU(channels)
    layer = layers.PReLU(channels, channel_axis=1) if channels > 1 else layers.PReLU()
    start = theirs.weight.detach().numpy()
    np.testing.assert_array_equal(np.reshape(layer.negative_slope[...], start.shape), start)
    slopes = np.linspace(0.1, 0.7, channels, dtype=np.float32)
    layer.negative_slope[...] = jnp.asarray(slopes).reshape(layer.negative_slope.shape)
    theirs.load_state_dict({"weight": torch.tensor(slopes)})
    theirs(leaf := torch.tensor(x, requires_grad=True)).square().sum().backward()
    by_layer, by_x = nnx.grad(lambda m, x: (m(x) ** 2).sum(), argnums=(0, 1))(layer, jnp.asarray(x))
    np.testing.assert_allclose(layer(x), theirs(leaf).detach(), rtol=1e-6)
    np.testing.assert_allclose(by_x, leaf.grad, rtol=1e-6)
    found = np.reshape(by_layer["negative_slope"][...], start.shape)
    np.testing.assert_allclose(found, theirs.weight.grad, rtol=1e-5)


@pytest.mark.parametrize("shared_axes", [(), (1, 2), (3,)])
def test_prelu_layer_of_keras(shared_axes):
    tf, keras = module_of("tf"), module_of("keras")
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32)
    theirs = keras.layers.PReLU(shared_axes=list(shared_axes) or None)
    theirs.build(x.shape)
    pair = learnable.prelu(0.0, sharing=learnable.Sharing("element", shared_axes=shared_axes))
    start = pair.init(None, x.shape)["negative_slope"]
    np.testing.assert_array_equal(start, theirs.alpha.numpy())
    layer = layers.PReLU(start.shape, negative_slope=0.0)
    slopes = np.random.default_rng(1).uniform(size=start.shape).astype(np.float32)
    layer.negative_slope[...] = jnp.asarray(slopes)
    theirs.alpha.assign(slopes)
    with tf.GradientTape() as tape:
        tape.watch(leaf := tf.constant(x))
        y = theirs(leaf)
        loss = tf.reduce_sum(y * y)
    of_alpha, of_x = tape.gradient(loss, [theirs.alpha.value, leaf])
    by_layer, by_x = nnx.grad(lambda m, x: (m(x) ** 2).sum(), argnums=(0, 1))(layer, jnp.asarray(x))
    np.testing.assert_allclose(layer(x), y, rtol=1e-6)
    np.testing.assert_array_equal(pair.apply({"negative_slope": layer.negative_slope[...]}, x), layer(x))
    np.testing.assert_allclose(by_x, of_x, rtol=1e-6)
    np.testing.assert_allclose(by_layer["negative_slope"][...], of_alpha, rtol=1e-5)


# ---- where they are wrong

EVERYBODY = ("jax.nn", "torch", "keras", "tf")
FAULTS = [  # whose, function, order of the derivative, dtype, input, their result
    # s * (1 - s) and 1 - tanh(x)**2 leave nothing of the derivative.
    *((peer, "sigmoid", 1, "float32", 18.7, 0) for peer in EVERYBODY),
    *((peer, "tanh", 1, "float32", 10.7, 0) for peer in EVERYBODY),
    *((peer, "tanh", 1, "float64", -20, 0) for peer in EVERYBODY),
    # expm1(x) + 1, likewise.
    *((peer, fn, 1, "float32", -20, 0) for peer in ("jax.nn", "keras", "tf") for fn in ("elu", "selu")),
    # exp(x) - 1 leaves nothing of the value, and the derivative takes the side of 0 that such a value is on.
    *(
        (peer, fn, 0, "float32", x, 0)
        for peer in ("keras", "tf")
        for fn in ("elu", "selu")
        for x in (-7.5e-37, -1e-8)
    ),
    *((peer, "selu", 1, "float32", -1e-8, 1.0507009873554805) for peer in ("keras", "tf")),
    # 1 + tanh(u) and 1 + erf(x).
    *((peer, "gelu", 0, "float32", -6, 0) for peer in ("jax.nn", "keras", "tf")),
    *((peer, "gelu", 0, "bfloat16", -3.25, 0) for peer in ("jax.nn", "keras", "tf")),
    ("torch", "gelu(approximate=False)", 0, "float32", -6, 0),
    # Overflow inside.
    ("torch", "gelu(approximate=False)", 0, "float32", 1.8e38, INF),
    *((peer, "gelu", 1, "float32", 1.8e38, NAN) for peer in ("jax.nn", "keras", "tf")),
    *((peer, "squareplus", 0, "float32", 2e19, INF) for peer in ("jax.nn", "keras")),
    # A constant of float32 in float64.
    ("torch", "hard_sigmoid", 1, "float64", 0, float(np.float32(1 / 6))),
    *(
        (peer, "leaky_relu(negative_slope=0.2)", 1, "float64", -1, float(np.float32(0.2)))
        for peer in ("keras", "tf")
    ),
]
FAULTS_AT_LIMITS = [  # the true result is last
    ("keras", "celu", 1, "float32", 0, 2, 1),  # the sum of both sides
    *((peer, "silu", 0, "float32", -INF, NAN, 0) for peer in EVERYBODY),
    *((peer, "mish", 0, "float32", -INF, NAN, 0) for peer in ("jax.nn", "torch", "keras")),
    *((peer, "soft_sign", 0, "float32", INF, NAN, 1) for peer in EVERYBODY),
    *(("keras", fn, 0, "float32", NAN, 0, NAN) for fn in ("hard_shrink", "soft_shrink")),
]


@pytest.mark.parametrize("fault", FAULTS + FAULTS_AT_LIMITS, ids=lambda fault: "-".join(map(str, fault)))
def test_faults_are_still_there(fault):
    """Should one be mended, the sentences about it have to go."""
    framework, spec, order, dtype, x, wrong, *true = fault
    needs(framework)
    dtype = {"float32": np.float32, "float64": np.float64, "bfloat16": ml_dtypes.bfloat16}[dtype]
    many = np.full(32, x, dtype)  # as many as vector instructions take
    row, parameters = find(jaxact.get(spec)), dict(getattr(jaxact.get(spec), "config", ()))
    if not true:
        true = truth(row.formula, row.parameters | parameters, [float(many[0])]).high[order]
    theirs, mine = (fn(many)[order].astype(float) for fn in (peers.peer(framework, spec), ours(spec, dtype)))
    np.testing.assert_allclose(theirs, np.full(32, wrong), rtol=1e-7)
    np.testing.assert_allclose(mine, np.full(32, true[0]), rtol=32 * float(ml_dtypes.finfo(dtype).eps))


# ---- nothing is missing from the table

ACTIVATIONS_ALONE = {"jax.nn", "torch.nn", "torch.nn.functional", "keras.activations", "keras.layers", "tf.nn"}
NO_ACTIVATION = {"keras.layers": {"BatchNormalization"}}
SAMPLE = np.random.default_rng(0).uniform(-4, 9, (2, 4, 4)).astype(np.float32)


def module_of(path):
    root, *rest = path.split(".")
    if root in ("keras", "tf", "torch"):
        needs(root)
        peers.peer(root, "relu")  # imports it in silence
    if root == "flax":
        return importlib.import_module(path)
    return functools.reduce(getattr, rest, importlib.import_module("tensorflow" if root == "tf" else root))


def call(root, fn, x):
    if isinstance(fn, type):
        fn = fn().eval() if root == "torch" else fn()
    if root == "torch":
        import torch

        return fn(torch.tensor(x)).detach().numpy()
    if root in ("keras", "tf"):
        import tensorflow

        return fn(tensorflow.constant(x)).numpy()
    return np.asarray(fn(jnp.asarray(x)))


def values(root, fn):
    """What an elementwise function without required arguments makes of the sample; None of any other function."""
    x = SAMPLE
    changed = np.where(np.arange(x.size).reshape(x.shape) == 0, x + 0.1, x)
    try:
        y, again, reverse, partly = (call(root, fn, z) for z in (x, x, x.ravel()[::-1].copy(), changed))
        same = np.array_equal(y, again, equal_nan=True) and np.allclose(reverse[::-1], y.ravel(), equal_nan=True)
        alone = np.allclose(partly.ravel()[1:], y.ravel()[1:], equal_nan=True)
        return y if y.shape == x.shape and y.dtype == x.dtype and same and alone else None
    except Exception:  # whatever they raise at what they are not meant for
        return None


@functools.cache
def values_here():
    return {name: np.asarray(row.function(SAMPLE)) for name, row in jaxact.ACTIVATIONS.items()}


MODULES = [(name, module) for name, framework in FRAMEWORKS.items() for module in framework.modules]


@pytest.mark.parametrize(("framework", "path"), MODULES)
def test_every_activation_of_the_frameworks_is_in_the_table(framework, path):
    """In the modules of activations every elementwise function; elsewhere those that equal one of ours."""
    module, root = module_of(path), path.partition(".")[0]
    names = [name for name in dir(module) if not name.startswith("_") and not name.endswith("_")]
    if path == "torch":
        names = [name for name in names if hasattr(module.Tensor, name)]  # these compute, and set no options
    known = {name.replace("_", "").lower() for name in FRAMEWORKS[framework].names}
    rows = values_here()
    missing = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            if name.replace("_", "").lower() in known or name in NO_ACTIVATION.get(path, ()):
                continue
            y = values(root, getattr(module, name))
            if y is None or np.array_equal(y, SAMPLE):  # dropout at rest, copies, and other identities
                continue
            equal = [row for row, z in rows.items() if np.allclose(y, z, rtol=1e-5, atol=1e-6, equal_nan=True)]
            if equal or path in ACTIVATIONS_ALONE:
                missing.append((name, equal))
    assert not missing


@pytest.mark.parametrize(("framework", "path"), MODULES)
def test_every_name_in_the_table_is_there(framework, path):
    modules = [module_of(module) for module in FRAMEWORKS[framework].modules]
    assert path in FRAMEWORKS[framework].modules
    for name in FRAMEWORKS[framework].names:
        assert any(hasattr(module, name) for module in modules), name


# ---- the functions themselves


def test_nothing_is_imported_before_it_is_asked_for():
    code = "import sys; from jaxact.testing import peers; peers.available(); print(*sys.modules, sep='\\n')"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "keras", "tensorflow"} & set(loaded.stdout.split())
    assert loaded.stderr == ""


@pytest.mark.parametrize("framework", [*PEERS.values()])
def test_imports_are_silent(framework):
    needs(framework)
    code = f"import numpy as np, jaxact.testing.peers as p; print(p.peer({framework!r}, 'silu')(np.ones(1))[0])"
    environment = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    command = [sys.executable, "-W", "error", "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert (run.stdout, run.stderr) == ("[0.73105858]\n", "")


def test_what_no_peer_has():
    assert peers.peer("jax.nn", "tanh_shrink") is None
    with pytest.raises(jaxact.InputError, match="unknown activation"):
        peers.peer("jax.nn", "rleu")
    with pytest.raises(jaxact.InputError, match="'mxnet' is none of the installed peers"):
        peers.peer("mxnet", "relu")


def test_a_name_of_their_own_chooses_among_equals():
    needs("keras")
    keras = importlib.import_module("keras")
    for name, function in {"elu": keras.activations.elu, "keras.ops:elu": keras.ops.elu}.items():
        assert peers.peer("keras", name).args == (function,)
    assert peers.peer("keras", "keras.layers:ELU").args == (keras.layers.ELU,)


def test_parameters_by_name():
    x = np.linspace(-3, 3, 7).astype(np.float32)
    for spec in (
        "gelu(approximate=False)",
        "leaky_relu(negative_slope=0.3)",
        "celu(alpha=2.0)",
        "squareplus(b=1.0)",
    ):
        np.testing.assert_allclose(peers.peer("jax.nn", spec)(x)[0], ours(spec, np.float32)(x)[0], rtol=1e-5)
    needs("torch")
    assert peers.peer("torch", "gelu") is None  # its approximate is a string
    assert peers.peer("torch", "soft_shrink(threshold=0.7)") is None  # it calls it lambd
    np.testing.assert_array_equal(peers.peer("torch", "elu(alpha=0.5)")(x)[0][-1], 3)
