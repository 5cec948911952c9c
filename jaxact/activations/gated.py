"""Gated units: a value times an activation of a gate, from one array that holds both, or from two."""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxact.activations._axes import one_axis
from jaxact.activations._numerics import as_inexact, elementwise
from jaxact.activations.sigmoidal import sigmoid, tanh
from jaxact.errors import InputError


def value_and_gate(
    x: ArrayLike, axis: int, gate: ArrayLike | None, gate_first: bool, interleaved: bool
) -> tuple[Array, Array]:
    """What the arguments of `glu` mean: the value and the gate."""
    x = as_inexact(x)
    if gate is not None:
        gate = as_inexact(gate, "gate")
        if gate.shape != x.shape:
            raise InputError(f"x and gate must have the same shape, got {x.shape} and {gate.shape}")
        return x, gate
    axis = one_axis(axis, x)
    length = x.shape[axis]
    if length % 2:
        raise InputError(f"axis {axis} of x must have an even length, to be split in two, got length {length}")
    halves = (length // 2, 2) if interleaved else (2, length // 2)
    x = x.reshape(*x.shape[:axis], *halves, *x.shape[axis + 1 :])
    value, gate = (lax.index_in_dim(x, i, axis + bool(interleaved), keepdims=False) for i in (0, 1))
    return (gate, value) if gate_first else (value, gate)


@elementwise
def _glu(x: Array, gate: Array) -> Array:
    return x * sigmoid(gate)


def glu(
    x: ArrayLike,
    axis: int = -1,
    *,
    gate: ArrayLike | None = None,
    gate_first: bool = False,
    interleaved: bool = False,
) -> Array:
    r"""Gated linear unit.

    .. math::
      \mathrm{glu}(a, b) = a\,\mathrm{sigmoid}(b)

    Args:
      x: the value and the gate in one array, which is split in two along ``axis``; or, with ``gate``, the value.
      axis: the axis to split; the result is half as long there.
      gate: the gate, of the shape of ``x``; then nothing is split, and the other options have no effect.
      gate_first: whether the first half is the gate (as in jax, Keras and torch the second is).
      interleaved: whether value and gate alternate, instead of being halves.

    Returns:
      Array of the shape of the value and the dtype of ``x`` and ``gate`` (integers give the default float).

    Raises:
      InputError: if the axis is out of range or of odd length, or the shapes of ``x`` and ``gate`` differ.

    Examples:
      >>> glu(jnp.array([1.0, 2.0, 0.0, 3.0]))
      Array([0.5      , 1.9051483], dtype=float32)
      >>> glu(jnp.array([1.0, 2.0]), gate=jnp.array([0.0, 3.0]))
      Array([0.5      , 1.9051483], dtype=float32)

    References:
      Dauphin, Fan, Auli and Grangier, "Language modeling with gated convolutional networks", 2016,
      arXiv:1612.08083.
    """
    return _glu(*value_and_gate(x, axis, gate, gate_first, interleaved))


@elementwise
def _gtu(x: Array, gate: Array) -> Array:
    return tanh(x) * sigmoid(gate)


def gtu(
    x: ArrayLike,
    axis: int = -1,
    *,
    gate: ArrayLike | None = None,
    gate_first: bool = False,
    interleaved: bool = False,
) -> Array:
    r"""Gated tanh unit.

    .. math::
      \mathrm{gtu}(a, b) = \tanh(a)\,\mathrm{sigmoid}(b)

    Args:
      x: see `glu`.
      axis: see `glu`.
      gate: see `glu`.
      gate_first: see `glu`.
      interleaved: see `glu`.

    Returns:
      Array as of `glu`, in [-1, 1].

    Raises:
      InputError: as `glu`.

    Examples:
      >>> gtu(jnp.array([0.0, 20.0, 3.0, 0.0]))
      Array([0. , 0.5], dtype=float32)

    References:
      van den Oord et al., "Conditional image generation with PixelCNN decoders", 2016, arXiv:1606.05328.
    """
    return _gtu(*value_and_gate(x, axis, gate, gate_first, interleaved))


@dataclasses.dataclass(frozen=True)
class Gated:
    """What `glu_with` returns: callable, equal and hashed by the function, and it pickles if that does.

    Attributes:
      fn: the function of the gate.
    """

    fn: Callable[[Array], Array]

    def __call__(
        self,
        x: ArrayLike,
        axis: int = -1,
        *,
        gate: ArrayLike | None = None,
        gate_first: bool = False,
        interleaved: bool = False,
    ) -> Array:
        """The value times ``fn`` of the gate; the arguments are those of `glu`."""
        value, gate = value_and_gate(x, axis, gate, gate_first, interleaved)
        dtype = jnp.result_type(value, gate)
        wide = dtype if jnp.finfo(dtype).bits >= 32 else jnp.float32
        value, gate = (a if a.dtype == wide else a.astype(wide) for a in (value, gate))
        y = value * self.fn(gate)  # not jitted here: fn may be a layer, whose parameters change
        return y if y.dtype == dtype else y.astype(dtype)


def glu_with(fn: Callable[[Array], Array]) -> Gated:
    r"""The gated unit of any activation.

    .. math::
      \mathrm{glu\_with}(f)(a, b) = a\,f(b)

    Args:
      fn: function of one array; of narrow dtypes it gets float32, so that the product too is rounded once.

    Returns:
      Function with the arguments of `glu`, equal to another one where ``fn`` is.

    Raises:
      TypeError: if ``fn`` is not callable.

    Examples:
      >>> glu_with(jnp.square)(jnp.array([2.0, 3.0]))
      Array([18.], dtype=float32)
      >>> glu_with(jnp.square) == glu_with(jnp.square)
      True

    References:
      Shazeer, "GLU variants improve transformer", 2020, arXiv:2002.05202.
    """
    if not callable(fn):
        raise TypeError(f"fn must be callable, got {type(fn).__name__}")
    return Gated(fn)
