"""What the names of other frameworks mean: data alone, which `jaxact.get` and `jaxact.testing.peers` read.

Read off and checked against jax 0.10.2, flax 0.12.8, torch 2.13.0, keras 3.15.1 and tensorflow 2.21.0.
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType


@dataclasses.dataclass(frozen=True)
class Framework:
    """Where a framework has its activations, and what they are.

    Attributes:
      modules: where its names are found, the first that has one counts; by these it can be called, too.
      names: its names, as it spells them, with the specs of jaxact that equal them with the framework's defaults.
    """

    modules: tuple[str, ...]
    names: Mapping[str, str]


def _framework(*modules: str, same: str, **different: str) -> Framework:
    """A framework whose names mean the ``same`` in jaxact, except the ``different`` ones."""
    return Framework(modules, MappingProxyType({name: name for name in same.split()} | different))


_OF_JAX = """
relu relu6 elu celu selu gelu silu swish softplus log_sigmoid soft_sign sigmoid tanh leaky_relu hard_tanh
hard_sigmoid hard_silu hard_swish"""
_OF_KERAS = """
relu relu6 elu celu selu silu swish softplus log_sigmoid softsign sigmoid tanh hard_tanh hard_sigmoid hard_silu
hard_swish hard_shrink soft_shrink tanh_shrink squareplus sparse_plus sparse_sigmoid"""

FRAMEWORKS: Mapping[str, Framework] = MappingProxyType(
    {
        "jax": _framework(
            "jax.nn",
            same=f"{_OF_JAX} identity mish squareplus sparse_plus sparse_sigmoid log1mexp",
        ),
        "flax": _framework(
            *("flax.nnx", "flax.linen"),
            same=f"{_OF_JAX} identity",
            PReLU="prelu(negative_slope=0.01)",  # as it starts to learn, here and below
        ),
        "torch": _framework(
            *("torch.nn.functional", "torch.nn", "torch"),
            same="""
            relu relu6 leaky_relu elu celu selu silu mish softplus logsigmoid softsign sigmoid tanh hardtanh
            hardsigmoid hardswish hardshrink softshrink tanhshrink Identity PReLU exp erf sin cos atan arctan asinh
            arcsinh sign""",
            sgn="sign",
            gelu="gelu(approximate=False)",
            rrelu="leaky_relu(negative_slope=0.22916666666666666)",  # in evaluation: the mean of 1/8 and 1/3
        ),
        "keras": _framework(
            "keras.activations",
            same=f"{_OF_KERAS} linear exponential mish",
            gelu="gelu(approximate=False)",
            leaky_relu="leaky_relu(negative_slope=0.2)",
        ),
        "keras.ops": _framework(
            "keras.ops",
            same=f"{_OF_KERAS} gelu exp erf sin cos arctan arcsinh sign",
            leaky_relu="leaky_relu(negative_slope=0.2)",
        ),
        "keras.layers": _framework(
            "keras.layers",
            same="ReLU ELU Identity",
            LeakyReLU="leaky_relu(negative_slope=0.3)",
            PReLU="prelu(negative_slope=0.0)",
        ),
        "tf": _framework(
            *("tf.nn", "tf.math"),
            same="""
            relu relu6 elu selu silu swish softplus log_sigmoid softsign sigmoid tanh exp erf sin cos atan asinh
            sign""",
            gelu="gelu(approximate=False)",
            leaky_relu="leaky_relu(negative_slope=0.2)",
        ),
    }
)
"""Every framework by the prefix that `jaxact.get` takes, as in "torch:gelu"."""
