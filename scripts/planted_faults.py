"""Plants one fault at a time in small networks, nnx and linen, and prints what `jaxact.diagnose` says of each.

The table of the README comes from: python scripts/planted_faults.py
Exits with 1 if a fault is missed, taken for another, or found in a healthy network.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import planted_models as models
from flax import linen as nn
from flax import nnx
from jax import Array
from jax.nn import initializers as init
from planted_models import LECUN, Net, reconstruction, scaled, sleepy

import jaxact

KEY = jax.random.key(0)
ROWS = jax.random.normal(KEY, (64, 16))
IMAGES = jax.random.normal(KEY, (48, 32, 32, 3))
TOKENS = jax.random.normal(KEY, (32, 6, 16))
PIXELS = jax.random.randint(KEY, (64, 16), 0, 256).astype(jnp.float32)
LABELS = jnp.arange(64) % 10

gain_of = jaxact.initializers.for_activation
GELU, RELU = gain_of(jaxact.gelu), gain_of(jaxact.relu)

NETS: dict[tuple[str, str], tuple[Net, Array]] = {
    ("dead", "relu, biases at -100"): (Net(jax.nn.relu, biases=(-100.0,)), ROWS),
    ("dead", "relu, biases of one layer at -20"): (Net(jax.nn.relu, biases=(0.0, -20.0, 0.0)), ROWS),
    ("dormant", "tanh, three quarters of the units with weights of 1/1000"): (Net(jnp.tanh, kernel=sleepy), ROWS),
    ("dormant", "gelu, the same"): (Net(jax.nn.gelu, 2, kernel=sleepy), ROWS),
    ("saturated", "tanh, biases at 5"): (Net(jnp.tanh, biases=(5.0,)), ROWS),
    ("saturated", "sigmoid, weights 20 times too large"): (Net(jax.nn.sigmoid, 2, scaled(LECUN, 20)), ROWS),
    ("saturated", "elu, biases at -8"): (Net(jax.nn.elu, biases=(-8.0, 0.0)), ROWS),
    ("vanishing", "sigmoid, 7 layers"): (Net(jax.nn.sigmoid, 7), ROWS),
    ("vanishing", "softplus, 11 layers, narrow weights"): (Net(jax.nn.softplus, 11, scaled(LECUN, 0.8)), ROWS),
    ("exploding", "gelu, 6 layers with shortcuts, no normalisation"): (
        Net(jaxact.gelu, 6, scaled(GELU, 3), shortcut=1.0),
        ROWS,
    ),
    ("exploding", "relu, 6 layers with shortcuts, no normalisation"): (
        Net(jax.nn.relu, 6, RELU, shortcut=3.0),
        ROWS,
    ),
    ("dtype", "jnp.tanh, biases at 12"): (Net(jnp.tanh, biases=(12.0,)), ROWS),
    ("dtype", "jax.nn.gelu in bfloat16, weights 3 times too large"): (
        Net(jax.nn.gelu, 2, scaled(LECUN, 3), dtype=jnp.bfloat16),
        ROWS,
    ),
    ("dtype", "jnp.tanh in bfloat16, inputs times 3"): (Net(jnp.tanh, dtype=jnp.bfloat16), 3 * ROWS),
    ("gain", "gelu, 16 layers, lecun_normal"): (Net(jax.nn.gelu, 16), ROWS),
    ("gain", "relu, 6 layers, weights 3 times too large"): (Net(jax.nn.relu, 6, scaled(RELU, 3)), ROWS),
    ("gain", "tanh, 6 layers, weights 5 times too small"): (Net(jnp.tanh, 6, scaled(LECUN, 0.2)), ROWS),
    ("gain", "relu, weights of one layer 1e-4"): (Net(jax.nn.relu, 4, odd={2: scaled(RELU, 1e-4)}), ROWS),
    ("frozen", "stop_gradient after the second of four"): (
        Net(jnp.tanh, 4, after={1: jax.lax.stop_gradient}),
        ROWS,
    ),
    ("frozen", "weights that are all 0, sigmoid"): (Net(jax.nn.sigmoid, kernel=init.zeros), ROWS),
    ("input", "tanh, pixels from 0 to 255"): (Net(jnp.tanh), PIXELS),
    ("input", "sigmoid, pixels from 0 to 255"): (Net(jax.nn.sigmoid), PIXELS),
    ("input", "relu, pixels from 0 to 255"): (Net(jax.nn.relu, kernel=RELU), PIXELS),
    ("input", "gelu, numbers about 100"): (Net(jax.nn.gelu, kernel=GELU), 100 + ROWS),
    ("healthy", "MLP, relu, for_activation"): (Net(jax.nn.relu, 4, RELU), ROWS),
    ("healthy", "MLP, tanh, lecun_normal"): (Net(jnp.tanh, 4), ROWS),
    ("healthy", "MLP, gelu, for_activation, 8 layers"): (Net(jax.nn.gelu, 8, GELU), ROWS),
    ("healthy", "MLP, gelu, lecun_normal, 3 layers"): (Net(jax.nn.gelu), ROWS),
    ("healthy", "MLP, silu, pixels divided by 255"): (Net(jax.nn.silu), PIXELS / 255),
    ("healthy", "MLP, jaxact.tanh in bfloat16"): (Net(jaxact.tanh, dtype=jnp.bfloat16), ROWS),
}


class Row(NamedTuple):
    """One network: the kind that its first verdict must be, its framework, what it is, and how it is diagnosed."""

    kind: str
    framework: str
    what: str
    diagnose: Callable[[], jaxact.Diagnosis]


def _of(make: Callable[[], Any], x: Array, loss: Any = None) -> Callable[[], jaxact.Diagnosis]:
    def diagnose() -> jaxact.Diagnosis:
        model = make()
        if isinstance(model, nn.Module):
            model = model, model.init(KEY, x)
        return jaxact.diagnose(model, (x, LABELS[: len(x)]), loss)

    return diagnose


def _lenet(function: str) -> Callable[[], Any]:
    return lambda: jaxact.LeNet5(function, rngs=nnx.Rngs(0))


def rows() -> Iterator[Row]:
    """All networks."""
    for (kind, what), (net, x) in NETS.items():
        yield Row(kind, "nnx", what, _of(lambda net=net: models.Nnx(net), x))
        yield Row(kind, "linen", what, _of(lambda net=net: models.Linen(net), x))
    yield Row("frozen", "nnx", "stop_gradient after the first layer", _of(models.NnxStoppedEmbedding, ROWS))
    yield Row("frozen", "nnx", "weights masked but for one in 500", _of(models.NnxMasked, ROWS))
    yield Row("frozen", "linen", "a layer that the loss does not take", _of(models.LinenUnusedHead, ROWS))
    yield Row("input", "nnx", "LeNet-5, tanh, pixels from 0 to 255", _of(_lenet("tanh"), 60 * IMAGES + 120))
    for function in ("relu", "tanh", "gelu"):
        yield Row("healthy", "nnx", f"LeNet-5, {function}", _of(_lenet(function), IMAGES))
    yield Row("healthy", "nnx", "ResNet, batch norm, last factors at 0", _of(models.NnxResNet, IMAGES))
    yield Row("healthy", "linen", "ResNet, batch norm", _of(models.LinenResNet, IMAGES))
    yield Row(
        "healthy", "linen", "ResNet, batch norm first, raw pixels", _of(models.LinenResNet, 60 * IMAGES + 120)
    )
    yield Row("healthy", "nnx", "transformer, gelu", _of(models.NnxTransformer, TOKENS))
    yield Row("healthy", "linen", "transformer, gelu", _of(models.LinenTransformer, TOKENS))
    for kind, what, kernel in (
        ("gain", "tanh, 8 layers in a scan, weights 5 times too small", scaled(LECUN, 0.2)),
        ("healthy", "tanh, 8 layers in a scan", LECUN),
    ):
        yield Row(kind, "nnx", what, _of(functools.partial(models.NnxScanned, kernel), ROWS))
        yield Row(kind, "linen", what, _of(functools.partial(models.LinenScanned, kernel), ROWS))
    yield Row("healthy", "nnx", "GRU", _of(models.NnxRecurrent, TOKENS))
    yield Row("healthy", "linen", "LSTM", _of(models.LinenRecurrent, TOKENS))
    yield Row("healthy", "nnx", "autoencoder, elu and sigmoid", _of(models.NnxAutoencoder, ROWS, reconstruction))
    yield Row("healthy", "linen", "autoencoder, gelu", _of(models.LinenAutoencoder, ROWS, reconstruction))


def main() -> int:
    """Prints the table; 1 if a verdict is not that of the fault, or not the only one."""
    print("| fault | framework | network | verdicts |")
    print("|---|---|---|---|")
    wrong = 0
    for row in rows():
        verdicts = row.diagnose().verdicts
        jax.clear_caches()
        kinds = [verdict.kind for verdict in verdicts]
        wrong += kinds != [row.kind]
        told = "; ".join(f"{verdict.kind} at {verdict.where}" for verdict in verdicts)
        print(f"| {row.kind} | {row.framework} | {row.what} | {told} |", flush=True)
    print(f"\n{wrong} wrong", file=sys.stderr)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
