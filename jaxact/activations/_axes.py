"""What the functions along an axis share: axis, mask and parameters checked, the largest entry taken off."""

import functools
import math
import numbers
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxact.activations._numerics import as_inexact, finite, typed
from jaxact.errors import InputError, shown


def one_axis(axis: Any, x: Array) -> int:
    """An axis of ``x``, counted from the front."""
    try:
        index = operator.index(axis)
    except TypeError:
        raise InputError(f"axis must be an integer, got {shown(axis)}") from None
    if not -x.ndim <= index < x.ndim:
        raise InputError(f"axis {index} is out of range for x of shape {x.shape}")
    return index % x.ndim


def several_axes(axis: Any, x: Array) -> tuple[int, ...]:
    """One axis, several, or all of ``x`` (None), counted from the front."""
    if axis is None:
        return tuple(range(x.ndim))
    axes = tuple(one_axis(a, x) for a in (axis if isinstance(axis, tuple | list) else (axis,)))
    if len(set(axes)) < len(axes):
        raise InputError(f"axis {axis} names an axis of x of shape {x.shape} twice")
    return axes


def _fits(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether an array of ``shape`` broadcasts to the ``other`` shape."""
    last = zip(reversed(shape), reversed(other), strict=False)
    return len(shape) <= len(other) and all(n in (1, m) for n, m in last)


def a_mask(where: ArrayLike | None, x: Array) -> Array | None:
    """A mask that broadcasts to ``x``."""
    if where is None:
        return None
    where = jnp.asarray(where)
    if where.dtype != jnp.bool_:
        raise InputError(f"where must be an array of bools, True where an entry counts, got dtype {where.dtype}")
    if not _fits(where.shape, x.shape):
        raise InputError(f"where of shape {where.shape} does not broadcast to x of shape {x.shape}")
    return where


def of_each_row(p: ArrayLike, name: str, x: Array, axes: tuple[int, ...], low: float, above: bool) -> ArrayLike:
    """A parameter: a number, which is checked, or an array, which is not, with one number for each row."""
    if isinstance(p, numbers.Real | np.generic):
        as_inexact(p, name)  # real, or refused by name
        number = float(p)
        if not math.isfinite(number) or number < low or (above and number == low):
            raise InputError(f"{name} must be finite and {'above' if above else 'at least'} {low}, got {shown(p)}")
        return number
    p = as_inexact(p, name)
    rows = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    if p.ndim and (p.ndim != x.ndim or not _fits(p.shape, rows)):
        raise InputError(f"{name} must be a number, or one for each row, of shape {rows}, got shape {p.shape}")
    return p


def along_axes(*static: str) -> Callable[[Callable[..., Array]], Callable[..., Array]]:
    """Jits a formula of ``x`` and of which entries are live; narrow dtypes are computed in float32, rounded once.

    Args:
      *static: keyword parameters of the formula that are part of the program.
    """

    def decorate(formula: Callable[..., Array]) -> Callable[..., Array]:
        @functools.wraps(formula)
        def compute(x: Array, where: Array | None, *parameters: ArrayLike, **options: Any) -> Array:
            given = [jnp.asarray(p) for p in parameters]
            dtype = jnp.result_type(x, *given)
            wide = dtype if jnp.finfo(dtype).bits >= 32 else jnp.float32
            live = x != -jnp.inf
            if where is not None:
                live &= jnp.broadcast_to(where, x.shape)
            y = formula(x.astype(wide), live, *(p.astype(wide) for p in given), **options)
            return typed(y, dtype, x.weak_type and all(p.weak_type for p in given))

        return jax.jit(compute, static_argnames=static)

    return decorate


def below_largest(x: Array, live: Array, axes: tuple[int, ...], initial: float = -math.inf) -> tuple[Array, Array]:
    """``x`` less the largest live entry of its row, 0 where an entry is not live; and that largest entry.

    The largest entry is differentiated too, not stopped. So its own difference has the tangent 0, and the
    derivative of a probability near 1 is a sum over the others; ``p * (1 - p)`` would be 0 where p rounds to 1.
    """
    x = jnp.where(live, finite(x), 0)
    largest = jnp.max(x, axes, keepdims=True, where=live, initial=initial)
    return jnp.where(live, finite(x - largest), 0), largest
