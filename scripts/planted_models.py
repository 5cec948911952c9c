"""The networks of `planted_faults.py`, in nnx and in linen."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import nnx
from jax import Array
from jax.nn import initializers as init

LECUN = init.lecun_normal()


@dataclasses.dataclass(frozen=True)
class Net:
    """A plain network, to be built in nnx and in linen.

    Attributes:
      function: of each layer.
      depth: number of layers with it.
      kernel: initialiser of their weights.
      odd: those of single layers that have another.
      biases: of each layer; the last one is repeated.
      after: what is done to the activations of some layers.
      shortcut: factor of what each layer adds to its input; None for no shortcuts.
      dtype: that the layers compute in.
      width: units.
    """

    function: Callable[[Any], Array]
    depth: int = 3
    kernel: Any = LECUN
    odd: Mapping[int, Any] = dataclasses.field(default_factory=dict)
    biases: tuple[float, ...] = (0.0,)
    after: Mapping[int, Callable[[Any], Any]] = dataclasses.field(default_factory=dict)
    shortcut: float | None = None
    dtype: Any = None
    width: int = 48

    def run(self, layers: list[Callable[[Any], Any]], x: Any) -> Any:
        """The outputs."""
        for i, layer in enumerate(layers[:-1]):
            a = self.function(layer(x))
            x = x + self.shortcut * a if self.shortcut is not None and i else a
            x = self.after.get(i, lambda x: x)(x)
        return layers[-1](x.astype(jnp.float32))

    def bias(self, i: int) -> Any:
        """Initialiser of the biases of a layer."""
        return init.constant(self.biases[min(i, len(self.biases) - 1)])


class Nnx(nnx.Module):
    """A `Net` in nnx."""

    def __init__(self, net: Net):
        self.net, rngs = net, nnx.Rngs(0)
        sizes = itertools.pairwise([16, *[net.width] * net.depth])
        hidden = [
            nnx.Linear(
                m, n, kernel_init=net.odd.get(i, net.kernel), bias_init=net.bias(i), dtype=net.dtype, rngs=rngs
            )
            for i, (m, n) in enumerate(sizes)
        ]
        self.layers = nnx.List([*hidden, nnx.Linear(net.width, 10, rngs=rngs)])

    def __call__(self, x: Array) -> Array:
        """The outputs."""
        return self.net.run(list(self.layers), x)


class Linen(nn.Module):
    """A `Net` in linen."""

    net: Net

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """The outputs."""
        net = self.net
        hidden = [
            nn.Dense(
                net.width,
                kernel_init=net.odd.get(i, net.kernel),
                bias_init=net.bias(i),
                dtype=net.dtype,
                name=f"layer{i}",
            )
            for i in range(net.depth)
        ]
        return net.run([*hidden, nn.Dense(10, name="last")], x)


class NnxResNet(nnx.Module):
    """Two blocks with batch norm, the last factors of each at 0, as is usual."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.first = nnx.Conv(3, 8, (3, 3), rngs=rngs)
        self.convs = nnx.List([nnx.Conv(8, 8, (3, 3), rngs=rngs) for _ in range(4)])
        scales = [init.ones if i % 2 == 0 else init.zeros for i in range(4)]
        self.norms = nnx.List([nnx.BatchNorm(8, scale_init=scale, rngs=rngs) for scale in scales])
        self.last = nnx.Linear(8, 10, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """The outputs."""
        x = nnx.relu(self.first(x[:, ::4, ::4]))
        for i in (0, 2):
            y = nnx.relu(self.norms[i](self.convs[i](x)))
            x = nnx.relu(x + self.norms[i + 1](self.convs[i + 1](y)))
        return self.last(x.mean(axis=(1, 2)))


class LinenResNet(nn.Module):
    """Two blocks with batch norm, on raw pixels too."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """The outputs."""

        def norm(y: Array) -> Array:
            return nn.BatchNorm(use_running_average=False)(y)

        x = nn.relu(norm(nn.Conv(8, (3, 3), use_bias=False)(x[:, ::4, ::4])))
        for _ in range(2):
            y = nn.relu(norm(nn.Conv(8, (3, 3), use_bias=False)(x)))
            x = nn.relu(x + norm(nn.Conv(8, (3, 3), use_bias=False)(y)))
        return nn.Dense(10)(x.mean(axis=(1, 2)))


class NnxTransformer(nnx.Module):
    """Two blocks with gelu."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.attentions = nnx.List([nnx.MultiHeadAttention(4, 16, decode=False, rngs=rngs) for _ in range(2)])
        self.norms = nnx.List([nnx.LayerNorm(16, rngs=rngs) for _ in range(4)])
        self.ups = nnx.List([nnx.Linear(16, 48, rngs=rngs) for _ in range(2)])
        self.downs = nnx.List([nnx.Linear(48, 16, rngs=rngs) for _ in range(2)])
        self.last = nnx.Linear(16, 10, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """The outputs."""
        for i in range(2):
            x = x + self.attentions[i](self.norms[2 * i](x))
            x = x + self.downs[i](nnx.gelu(self.ups[i](self.norms[2 * i + 1](x))))
        return self.last(x.mean(axis=1))


class LinenTransformer(nn.Module):
    """Two blocks with gelu."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """The outputs."""
        for _ in range(2):
            x = x + nn.MultiHeadDotProductAttention(4)(nn.LayerNorm()(x))
            x = x + nn.Dense(16)(nn.gelu(nn.Dense(48)(nn.LayerNorm()(x))))
        return nn.Dense(10)(x.mean(axis=1))


class NnxRecurrent(nnx.Module):
    """A GRU."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.cells, self.last = nnx.RNN(nnx.GRUCell(16, 24, rngs=rngs), rngs=rngs), nnx.Linear(24, 10, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """The outputs."""
        hidden: Any = self.cells(x)
        return self.last(hidden[:, -1])


class LinenRecurrent(nn.Module):
    """An LSTM."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """The outputs."""
        hidden: Any = nn.RNN(nn.LSTMCell(24))(x)
        return nn.Dense(10)(hidden[:, -1])


class NnxAutoencoder(nnx.Module):
    """16, 24, 4, 24, 16, with sigmoids at the end."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.layers = nnx.List([nnx.Linear(m, n, rngs=rngs) for m, n in itertools.pairwise((16, 24, 4, 24, 16))])

    def __call__(self, x: Array) -> Array:
        """The outputs."""
        for layer in self.layers[:-1]:
            x = nnx.elu(layer(x))
        return nnx.sigmoid(self.layers[3](x))


class LinenAutoencoder(nn.Module):
    """16, 24, 4, 24, 16."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """The outputs."""
        for width in (24, 4, 24):
            x = nn.gelu(nn.Dense(width)(x))
        return nn.Dense(16)(x)


class NnxStoppedEmbedding(nnx.Module):
    """The first layer gets no gradient, and a second head is not used."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.embed, self.hidden = nnx.Linear(16, 24, rngs=rngs), nnx.Linear(24, 24, rngs=rngs)
        self.last = nnx.Linear(24, 10, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """The outputs."""
        return self.last(nnx.relu(self.hidden(jax.lax.stop_gradient(self.embed(x)))))


class LinenUnusedHead(nn.Module):
    """A layer whose outputs the loss does not take."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """The outputs."""
        x = nn.relu(nn.Dense(24)(x))
        nn.Dense(24, name="unused")(x)
        return nn.Dense(10)(x)


class NnxMasked(nnx.Module):
    """Three layers, one of which has all but one in 500 of its weights masked."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        sizes = ((16, 48), (48, 48), (48, 48), (48, 10))
        self.kernels = nnx.List([nnx.Param(LECUN(rngs.params(), shape)) for shape in sizes])
        self.mask = nnx.Variable(jax.random.uniform(jax.random.key(1), (48, 48)) < 1 / 500)

    def __call__(self, x: Array) -> Array:
        """The outputs."""
        masks = (1, 1, self.mask[...], 1)
        for kernel, mask in zip(self.kernels[:3], masks, strict=False):
            x = jnp.tanh(x @ (kernel[...] * mask))
        return x @ self.kernels[3][...]


class NnxScanned(nnx.Module):
    """Eight layers in a scan, with weights of their own."""

    def __init__(self, kernel: Any):
        @nnx.vmap(in_axes=0, out_axes=0)
        def layers(key: Array) -> nnx.Linear:
            return nnx.Linear(16, 16, kernel_init=kernel, rngs=nnx.Rngs(key))

        self.layers = layers(jax.random.split(jax.random.key(0), 8))
        self.last = nnx.Linear(16, 10, rngs=nnx.Rngs(0))

    def __call__(self, x: Array) -> Array:
        """The outputs."""

        @nnx.scan(in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
        def run(layer: nnx.Linear, x: Array) -> Array:
            return jnp.tanh(layer(x))

        return self.last(run(self.layers, x))


class LinenScanned(nn.Module):
    """The same."""

    kernel: Any

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """The outputs."""
        layers = nn.scan(LinenLayer, variable_axes={"params": 0}, split_rngs={"params": True}, length=8)
        return nn.Dense(10)(layers(self.kernel)(x, None)[0])


class LinenLayer(nn.Module):
    """A layer of a scan."""

    kernel: Any

    @nn.compact
    def __call__(self, x: Array, _: None) -> tuple[Array, None]:
        """What is carried, and nothing else."""
        return nn.tanh(nn.Dense(16, kernel_init=self.kernel)(x)), None


def reconstruction(outputs: Any, batch: Any) -> Array:
    """Mean squared distance from the inputs, in [0, 1]."""
    return jnp.mean((outputs - jax.nn.sigmoid(batch[0])) ** 2)


def scaled(kernel: Any, factor: float) -> Any:
    """Weights that are so many times too large."""
    return lambda *args, **kwargs: factor * kernel(*args, **kwargs)


def sleepy(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32, out_sharding: Any = None) -> Array:
    """Weights of which three quarters of the units get hardly any."""
    del out_sharding
    loud = jnp.arange(shape[-1]) % 4 == 0
    return LECUN(key, shape, dtype) * jnp.where(loud, 1, 1e-3)[None]
