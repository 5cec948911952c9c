"""LeNet-5 for 32 x 32 images, as the tutorial builds it."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from jaxact.catalog import find, get, is_monotone
from jaxact.errors import InputError
from jaxact.training.config import TrainConfig
from jaxact.training.convolution import convolve
from jaxact.training.pooling import activated_max_of_corners, max_of_corners

Formulation = Literal["auto", "plain", "spectral"]


class Layer(NamedTuple):
    """One row of the layer table."""

    name: str
    output_shape: tuple[int, ...]
    parameters: int


class LeNet5(nnx.Module):
    """LeNet-5: three convolutions of 5 x 5, two max-poolings, two dense layers; 697,046 parameters.

    The activation follows every layer but the last, which returns logits; probabilities are a softmax away.
    Kernels start Glorot-uniform and biases at zero, as in Keras.

    Args:
      activation: anything that `jaxact.get` takes.
      num_classes: number of logits.
      formulation: "plain" for `nnx.Conv` and `nnx.max_pool`; "spectral" for the same mathematics by Fourier
        transforms written as matrix products, which is faster on a CPU; "auto" for the faster one on the device.
      dtype: dtype of the computation; parameters are float32.
      rngs: random streams for the initial parameters.

    Examples:
      >>> model = LeNet5("gelu", rngs=nnx.Rngs(0))
      >>> model(jnp.zeros((2, 32, 32, 3))).shape
      (2, 10)

    References:
      LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998.
    """

    def __init__(
        self,
        activation: str | Mapping[str, Any] | Callable | None = "relu",
        *,
        num_classes: int = 10,
        formulation: Formulation = "auto",
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        if formulation not in ("auto", "plain", "spectral"):
            raise InputError(f"formulation must be 'auto', 'plain' or 'spectral', got {formulation!r}")
        self.activation = get(activation)
        self.formulation = formulation
        self.dtype = dtype
        options: dict[str, Any] = {
            "kernel_init": nnx.initializers.glorot_uniform(),
            "dtype": dtype,
            "param_dtype": jnp.float32,
            "rngs": rngs,
        }
        self.conv1 = nnx.Conv(3, 6, (5, 5), padding="SAME", **options)
        self.conv2 = nnx.Conv(6, 16, (5, 5), padding="SAME", **options)
        self.conv3 = nnx.Conv(16, 120, (5, 5), padding="SAME", **options)
        self.dense1 = nnx.Linear(8 * 8 * 120, 84, **options)
        self.dense2 = nnx.Linear(84, num_classes, **options)

    def __call__(self, x: Array) -> Array:
        """Logits of a batch of images.

        Args:
          x: [n, 32, 32, 3], any real dtype.

        Returns:
          [n, num_classes], of the dtype of the computation.

        Raises:
          ValueError: if the images are not 32 x 32 x 3.
        """
        if x.ndim != 4 or x.shape[1:] != (32, 32, 3):
            raise InputError(f"images must have the shape [n, 32, 32, 3], got {list(x.shape)}")
        features = self._spectral_features if self._is_spectral() else self._plain_features
        return self.dense2(self.activation(self.dense1(features(x.astype(self.dtype)))))

    def _is_spectral(self) -> bool:
        """Whether convolutions are computed by transforms: as the options say, by themselves on a CPU."""
        return self.formulation == "spectral" or (self.formulation == "auto" and jax.default_backend() == "cpu")

    def _plain_features(self, x: Array) -> Array:
        x = nnx.max_pool(self.activation(self.conv1(x)), (2, 2), (2, 2))
        x = nnx.max_pool(self.activation(self.conv2(x)), (2, 2), (2, 2))
        return self.activation(self.conv3(x)).reshape(len(x), -1)  # by row, column, channel

    def _spectral_features(self, x: Array) -> Array:
        monotone = is_monotone(self.activation)  # then it commutes with the maximum: a quarter of the evaluations
        elementwise = find(self.activation) is not None  # what else is called may hold parameters to be learned

        def layer(x: Array, conv: nnx.Conv, pooled: bool) -> Array:
            kernel, bias = (parameter[...].astype(self.dtype) for parameter in (conv.kernel, conv.bias))  # pyright: ignore
            bias = bias.reshape(1, -1, 1)

            def biased(y: Array) -> Array:
                return y.astype(self.dtype) + (bias if y.ndim == 3 else bias[None])

            def finish(y: Array) -> Array:
                if not pooled:
                    return self.activation(biased(y))
                if monotone:
                    return self.activation(biased(max_of_corners(y)))
                if elementwise:
                    return activated_max_of_corners(self.activation)(y.astype(self.dtype), bias)
                return max_of_corners(self.activation(biased(y)))

            return convolve(x, kernel, finish, corners=pooled)

        x = x.transpose(1, 2, 3, 0)  # the images innermost
        x = layer(layer(x, self.conv1, True), self.conv2, True)
        return layer(x, self.conv3, False).reshape(-1, x.shape[-1]).T


def layer_table(model: LeNet5) -> list[Layer]:
    """Name, output shape and number of parameters of each layer, in order."""

    def count(layer: nnx.Module) -> int:
        return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(layer, nnx.Param)))

    return [
        Layer("conv1", (32, 32, 6), count(model.conv1)),
        Layer("max_pool1", (16, 16, 6), 0),
        Layer("conv2", (16, 16, 16), count(model.conv2)),
        Layer("max_pool2", (8, 8, 16), 0),
        Layer("conv3", (8, 8, 120), count(model.conv3)),
        Layer("flatten", (7680,), 0),
        Layer("dense1", (84,), count(model.dense1)),
        Layer("dense2", (model.dense2.out_features,), count(model.dense2)),
    ]


def build_model(config: TrainConfig, classes: int, key: Array | None = None) -> LeNet5:
    """The model of a run with its initial parameters.

    Args:
      config: options of the run.
      classes: number of classes.
      key: random key of the parameters, by default that of the seed of the run; it may be traced.
    """
    return LeNet5(
        config.activation,
        num_classes=classes,
        formulation=config.formulation,
        dtype=jnp.dtype(config.dtype),
        rngs=nnx.Rngs(config.seed if key is None else key),
    )
