"""The layer that makes a module of a pair of `jaxact.learnable`."""

from collections.abc import Callable
from typing import NotRequired, TypedDict, Unpack

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxact.activations._numerics import as_inexact
from jaxact.errors import InputError, shown
from jaxact.learnable import Learnable, Sharing

Features = int | tuple[int, ...] | None
"""What has a parameter of its own: everything together, each channel, or each element but for the batch."""


class Options(TypedDict):
    """What every layer takes.

    Attributes:
      channel_axis: axis of the channels where each has a parameter; -1 by default, 1 as in torch.
      dtype: dtype of the computation and of the result; by default that of the input.
      param_dtype: dtype of the parameters; float32 by default.
      rngs: random streams, needed where parameters start at random numbers.
    """

    channel_axis: NotRequired[int]
    dtype: NotRequired[DTypeLike | None]
    param_dtype: NotRequired[DTypeLike]
    rngs: NotRequired[nnx.Rngs | None]


def sharing_of(features: Features, channel_axis: int = -1) -> tuple[Sharing, tuple[int, ...]]:
    """What shares a parameter, and a shape of inputs to make parameters for."""
    if features is None:
        return Sharing("scalar"), ()
    if isinstance(features, tuple):
        return Sharing("element"), (1, *features)
    if isinstance(features, bool) or not isinstance(features, int) or features < 0:
        raise InputError(f"features must be None, a number of channels or a tuple of sizes, got {shown(features)}")
    sharing = Sharing("channel", channel_axis)
    after = (1,) * (-channel_axis - 1)
    return sharing, ((1,) * channel_axis + (features,) if channel_axis >= 0 else (features, *after))


class LearnableActivation(nnx.Module):
    """An activation whose parameters are learnt: the base of the layers, and a layer for any pair.

    The parameters are `nnx.Param` attributes, which have the names that the pair's ``init`` gives them.

    Args:
      make: a maker of `jaxact.learnable`, or any function of ``sharing`` that returns a pair.
      features: None for one parameter (or one set of them); the number of channels for one for each channel; the
        shape of an input without its batch for one for each element. Axes of size 1 are shared.
      options: see `Options`.

    Raises:
      InputError: if ``features`` is none of these, or ``rngs`` is missing.

    Examples:
      >>> from jaxact import learnable
      >>> layer = LearnableActivation(learnable.snake, 3)
      >>> layer.frequency[...]
      Array([1., 1., 1.], dtype=float32)
    """

    def __init__(self, make: Callable[..., Learnable], features: Features = None, **options: Unpack[Options]):
        sharing, shape = sharing_of(features, options.get("channel_axis", -1))
        self.learnable = make(sharing=sharing)
        self.dtype = options.get("dtype")
        key, rngs = None, options.get("rngs")
        if self.learnable.init.draws:
            if not isinstance(rngs, nnx.Rngs):
                raise InputError(f"rngs must be given for a random start, as nnx.Rngs(0), got {shown(rngs)}")
            key = rngs.params()
        for name, value in self.learnable.init(key, shape, options.get("param_dtype", jnp.float32)).items():
            setattr(self, name, nnx.Param(value))

    def __call__(self, x: ArrayLike) -> Array:
        """The activation.

        Args:
          x: input, any shape that ``features`` fits.

        Returns:
          Array of the shape of ``x``; its dtype is ``dtype``, or that of ``x``.
        """
        x = as_inexact(x)
        return self.learnable.apply(self._parameters(), x if self.dtype is None else x.astype(self.dtype))

    def values(self) -> dict[str, Array]:
        """The arguments of the function, which differ from what is learnt where they are kept above a bound."""
        return self.learnable.apply.values(self._parameters())

    def _parameters(self) -> dict[str, Array]:
        return {name: getattr(self, name)[...] for name in self.learnable.init.names}
