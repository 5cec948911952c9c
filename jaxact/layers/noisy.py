"""Layers that draw in training and do not in evaluation, as `flax.nnx.Dropout` does."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxact.activations._numerics import as_inexact
from jaxact.activations.stochastic import probact, rrelu
from jaxact.errors import InputError, shown
from jaxact.layers.base import Features, sharing_of

Streams = nnx.Rngs | nnx.RngStream
Key = Streams | Array


class _Noisy(nnx.Module):
    """A stream of its own, forked off, and a switch that ``train()`` and ``eval()`` of the model set."""

    def __init__(self, deterministic: bool, rng_collection: str, rngs: Streams | None):
        self.deterministic = deterministic
        self.rng_collection = rng_collection
        if isinstance(rngs, nnx.Rngs):
            self.rngs = rngs[rng_collection].fork()
        elif isinstance(rngs, nnx.RngStream):
            self.rngs = rngs.fork()
        elif rngs is None:
            self.rngs = nnx.data(None)
        else:
            raise TypeError(f"rngs must be nnx.Rngs, an nnx.RngStream or None, got {shown(rngs)}")

    def _key(self, rngs: Key | None) -> Array:
        rngs = self.rngs if rngs is None else rngs
        if isinstance(rngs, nnx.Rngs):
            return rngs[self.rng_collection]()
        if isinstance(rngs, nnx.RngStream):
            return rngs()
        if isinstance(rngs, jax.Array):
            return rngs
        raise InputError(
            "rngs must be given, as nnx.Rngs(0), to the layer or to its call, unless it is deterministic"
        )

    def set_view(self, deterministic: bool | None = None):
        """What `nnx.view` may set.

        Args:
          deterministic: whether to draw nothing.
        """
        if deterministic is not None:
            self.deterministic = deterministic


class RReLU(_Noisy):
    """`jaxact.rrelu`: slopes are drawn in training; in evaluation they are the mean.

    Args:
      lower: the smallest slope.
      upper: the largest slope.
      deterministic: whether to take the mean slope; ``train()`` and ``eval()`` set it.
      rng_collection: name of the random stream.
      rngs: random streams, of which the layer forks its own.

    Examples:
      >>> layer = RReLU(rngs=nnx.Rngs(0))
      >>> layer.eval()
      >>> layer(jnp.array([-24.0, 2.0]))
      Array([-5.5,  2. ], dtype=float32)
    """

    def __init__(
        self,
        lower: float = 1 / 8,
        upper: float = 1 / 3,
        *,
        deterministic: bool = False,
        rng_collection: str = "dropout",
        rngs: Streams | None = None,
    ):
        super().__init__(deterministic, rng_collection, rngs)
        self.lower, self.upper = lower, upper

    def __call__(self, x: ArrayLike, *, deterministic: bool | None = None, rngs: Key | None = None) -> Array:
        """The activation.

        Args:
          x: input, any shape.
          deterministic: goes before that of the layer.
          rngs: a key or streams, which go before that of the layer.

        Returns:
          Array of the shape and dtype of ``x``.
        """
        fixed = self.deterministic if deterministic is None else deterministic
        return rrelu(None if fixed else self._key(rngs), x, self.lower, self.upper, deterministic=fixed)


class ProbAct(_Noisy):
    """`jaxact.probact` with a learnable strength of its noise; in evaluation it is a relu.

    Args:
      features: what has a strength of its own, see `LearnableActivation`.
      sigma: where it starts: 0, as in the authors' code.
      channel_axis: axis of the channels, if each has a strength.
      dtype: dtype of the computation and of the result; by default that of the input.
      param_dtype: dtype of the parameter.
      deterministic: whether to leave the noise out; ``train()`` and ``eval()`` set it.
      rng_collection: name of the random stream.
      rngs: random streams, of which the layer forks its own.
    """

    def __init__(
        self,
        features: Features = None,
        *,
        sigma: float = 0.0,
        channel_axis: int = -1,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        deterministic: bool = False,
        rng_collection: str = "dropout",
        rngs: Streams | None = None,
    ):
        super().__init__(deterministic, rng_collection, rngs)
        self.sharing, shape = sharing_of(features, channel_axis)
        self.sigma = nnx.Param(jnp.full(self.sharing.shape(shape), sigma, param_dtype))
        self.dtype = dtype

    def __call__(self, x: ArrayLike, *, deterministic: bool | None = None, rngs: Key | None = None) -> Array:
        """The activation.

        Args:
          x: input, any shape that ``features`` fits.
          deterministic: goes before that of the layer.
          rngs: a key or streams, which go before that of the layer.

        Returns:
          Array of the shape of ``x``; its dtype is ``dtype``, or that of ``x``.
        """
        x = as_inexact(x)
        x = x if self.dtype is None else x.astype(self.dtype)
        fixed = self.deterministic if deterministic is None else deterministic
        sigma = self.sharing.aligned(self.sigma[...], x, leading=False)
        return probact(None if fixed else self._key(rngs), x, sigma, deterministic=fixed).astype(x.dtype)
