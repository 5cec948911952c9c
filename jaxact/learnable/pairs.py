"""What a pair of ``init`` and ``apply`` is made of: parameters, where they start, and what shares one."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxact.activations import softplus
from jaxact.activations._numerics import as_inexact
from jaxact.errors import InputError, shown

Per = Literal["scalar", "channel", "element"]


@dataclasses.dataclass(frozen=True)
class Sharing:
    """Which elements of the input share a parameter.

    Attributes:
      per: "scalar" for one parameter (as Flax), "channel" for one for each channel (as torch), "element" for one
        for each element but for those of the batch, the first axis (as Keras).
      channel_axis: axis of the channels: -1, the last, as everywhere in Flax; 1 as in torch.
      shared_axes: axes along which elements share their parameter all the same, counted with the batch as Keras
        does; (1, 2) for images whose channels come last.

    Raises:
      InputError: if there is no such way.
    """

    per: Per = "scalar"
    channel_axis: int = -1
    shared_axes: tuple[int, ...] = ()

    def __post_init__(self):
        if self.per not in ("scalar", "channel", "element"):
            raise InputError(f"sharing must be 'scalar', 'channel' or 'element', got {shown(self.per)}")
        if not _is_whole(self.channel_axis):
            raise InputError(f"channel_axis must be an integer, got {shown(self.channel_axis)}")
        if not isinstance(self.shared_axes, tuple) or not all(
            _is_whole(axis) and axis for axis in self.shared_axes
        ):
            raise InputError(f"shared_axes must be a tuple of integers but 0, got {shown(self.shared_axes)}")
        if self.shared_axes and self.per != "element":
            raise InputError(f"shared_axes needs sharing 'element', got {self.per!r}")

    def shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Shape of a parameter for inputs of a shape."""
        if self.per == "scalar":
            return ()
        if self.per == "channel":
            return (shape[_axis_of(self.channel_axis, len(shape), "channel_axis")],)
        shared = {_axis_of(axis, len(shape), "shared_axes") for axis in self.shared_axes}
        if not shape or 0 in shared:
            raise InputError(f"sharing 'element' needs a batch axis that is not shared, got the shape {shape}")
        return tuple(1 if i in shared else n for i, n in enumerate(shape) if i)

    def aligned(self, parameter: Array, x: Array, leading: bool) -> Array:
        """A parameter with as many axes as ``x``, behind its leading axis if it has one."""
        kept, own = (parameter.shape[:1], parameter.shape[1:]) if leading else ((), parameter.shape)
        if self.per == "channel":
            own += (1,) * (x.ndim - 1 - _axis_of(self.channel_axis, x.ndim, "channel_axis"))
        fits = len(own) <= x.ndim and all(n in (1, m) for n, m in zip(own[::-1], x.shape[::-1], strict=False))
        if not fits:
            raise InputError(
                f"x must fit parameters of shape {parameter.shape[leading:]}, got the shape {x.shape}"
            )
        return parameter.reshape(*kept, *(1,) * (x.ndim - len(own)), *own)


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A random start: ``scale`` times numbers from a distribution, for each of ``pieces`` along a leading axis."""

    distribution: Literal["normal", "uniform"]  # the latter in (-1, 1)
    scale: float
    pieces: int = 0


class Parameter(NamedTuple):
    """A parameter of a function.

    Attributes:
      name: of the function's argument.
      start: a number; a tuple of them along a leading axis; or how they are drawn.
      above: if given, the parameter is kept above it: what is learnt is r in ``above + softplus(r)``.
    """

    name: str
    start: float | tuple[float, ...] | Drawn
    above: float | None = None

    @property
    def key(self) -> str:
        """Name of what is learnt."""
        return self.name if self.above is None else f"raw_{self.name}"

    @property
    def leading(self) -> bool:
        """Whether it has a leading axis of its own."""
        return self.start.pieces > 0 if isinstance(self.start, Drawn) else isinstance(self.start, tuple)


@dataclasses.dataclass(frozen=True)
class Init:
    """Makes the parameters."""

    parameters: tuple[Parameter, ...]
    sharing: Sharing

    @property
    def names(self) -> tuple[str, ...]:
        """Names of what is learnt."""
        return tuple(p.key for p in self.parameters)

    @property
    def draws(self) -> bool:
        """Whether some start is drawn, so that a key is needed."""
        return any(isinstance(p.start, Drawn) for p in self.parameters)

    def __call__(
        self, key: Array | None, shape: Sequence[int], dtype: DTypeLike = jnp.float32
    ) -> dict[str, Array]:
        """Parameters where learning starts.

        Args:
          key: random key, from `jax.random.key`; None will do where nothing is drawn.
          shape: of the inputs, the batch included; for a scalar any will do.
          dtype: of the parameters.

        Returns:
          Arrays by name.

        Raises:
          InputError: if the shape is none, or has not the axes that ``sharing`` needs.
          TypeError: if a start is drawn, and ``key`` is no key.
        """
        if not isinstance(shape, Sequence) or not all(_is_whole(n) and n >= 0 for n in shape):
            raise InputError(f"shape must be a tuple of integers from 0 up, got {shown(shape)}")
        shared = self.sharing.shape(tuple(shape))
        return {p.key: self._start(i, p, shared, key, dtype) for i, p in enumerate(self.parameters)}

    def _start(self, i: int, p: Parameter, shape: tuple[int, ...], key: Array | None, dtype: DTypeLike) -> Array:
        if isinstance(p.start, Drawn):
            if not isinstance(key, jax.Array):
                raise TypeError(f"key must be a random key, for {p.name} is drawn, got {shown(key)}")
            shape = (p.start.pieces, *shape) if p.leading else shape
            key, wide = jax.random.fold_in(key, i), jnp.promote_types(dtype, jnp.float32)
            if p.start.distribution == "normal":
                drawn = jax.random.normal(key, shape, wide)
            else:
                drawn = jax.random.uniform(key, shape, wide, -1, 1)
            return (p.start.scale * drawn).astype(dtype)
        start = p.start
        if p.above is not None:
            v = float(np.asarray(start)) - p.above
            start = v + math.log(-math.expm1(-v))  # the inverse of softplus
        start = np.asarray(start).reshape(-1, *(1 for _ in shape)) if p.leading else np.asarray(start)
        return jnp.broadcast_to(jnp.asarray(start, dtype), (*start.shape[: int(p.leading)], *shape))


@dataclasses.dataclass(frozen=True)
class Apply:
    """Uses the parameters."""

    function: Callable[..., Array]
    parameters: tuple[Parameter, ...]
    sharing: Sharing
    fixed: tuple[tuple[str, Any], ...] = ()

    def __call__(self, parameters: Mapping[str, Array], x: ArrayLike) -> Array:
        """The function of ``x`` with these parameters.

        Args:
          parameters: what ``init`` made, or what learning made of it.
          x: input, of the shape that ``init`` was given; batch axes may be more or fewer.

        Returns:
          Array of the shape and dtype of ``x`` (integers give the default float), rounded once.

        Raises:
          InputError: if the parameters are others, or do not fit ``x``.
        """
        x = as_inexact(x)
        leading = {p.name: p.leading for p in self.parameters}
        values = self.values(parameters).items()
        aligned = {name: self.sharing.aligned(value, x, leading[name]) for name, value in values}
        return self.function(x, **aligned, **dict(self.fixed)).astype(x.dtype)

    def values(self, parameters: Mapping[str, Array]) -> dict[str, Array]:
        """The arguments of the function, which differ from what is learnt where they are kept above a bound."""
        if set(parameters) != (keys := {p.key for p in self.parameters}):
            raise InputError(f"parameters must be {sorted(keys)}, got {shown(sorted(parameters))}")
        return {p.name: self._value(p, as_inexact(parameters[p.key], p.key)) for p in self.parameters}

    def _value(self, p: Parameter, learnt: Array) -> Array:
        if p.above is None:
            return learnt
        return p.above + softplus(learnt.astype(jnp.promote_types(learnt.dtype, jnp.float32)))


class Learnable(NamedTuple):
    """An activation with parameters that are learnt.

    Attributes:
      name: of the function.
      init: ``init(key, shape, dtype=jnp.float32)`` makes the parameters for inputs of a shape, arrays by name.
      apply: ``apply(parameters, x)`` is the function; ``apply.values(parameters)`` are its arguments.
    """

    name: str
    init: Init
    apply: Apply


def learnable(
    name: str,
    function: Callable[..., Array],
    parameters: Sequence[Parameter],
    sharing: Sharing | Per,
    **fixed: Any,
) -> Learnable:
    """A pair for a function.

    Args:
      name: of the function.
      function: of an array and of parameters; one at the top of a module, so that the pair pickles.
      parameters: which of its parameters are learnt.
      sharing: which elements share one.
      fixed: arguments that are not learnt.
    """
    if not isinstance(sharing, Sharing):
        sharing = Sharing(sharing)
    for p in parameters:
        _check_start(p)
    found = tuple(parameters)
    return Learnable(name, Init(found, sharing), Apply(function, found, sharing, tuple(fixed.items())))


def _check_start(p: Parameter) -> None:
    if isinstance(p.start, Drawn):
        return
    for number in p.start if isinstance(p.start, tuple) else (p.start,):
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise InputError(f"{p.name} must start at a finite number, got {shown(number)}")
        if p.above is not None and not number > p.above:
            raise InputError(f"{p.name} must start above {p.above}, got {shown(number)}")


def _is_whole(n: Any) -> bool:
    return isinstance(n, int | np.integer) and not isinstance(n, bool)


def _axis_of(axis: int, ndim: int, name: str) -> int:
    if not -ndim <= axis < ndim:
        raise InputError(f"{name} {axis} is out of range for an input with {ndim} axes")
    return axis % ndim
