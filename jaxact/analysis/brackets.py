"""Looking at one variable along a whole line of numbers: samples, a grid over all binades, and bisection to 1 ulp.

Floats of one format are as ordered as integers, so bisecting on those integers ends at two neighbouring numbers,
at 1e-30 as at 1e30, after at most 64 halvings.
"""

import contextlib
import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax.typing import DTypeLike

from jaxact.analysis.derivatives import derivative
from jaxact.errors import InputError, shown

FAR = 2.0**127  # the line is looked at up to here; float32 ends here
_CHUNK = 2048  # one shape, so one compilation, and a call takes a fraction of a millisecond

Sample: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""From numbers [n] to the derivatives of the orders asked for, [orders, n], as float64."""


def _bits(dtype: np.dtype) -> tuple[np.dtype, int, int]:
    """The integers of a format, their mask without the sign, and how many subnormal numbers are left out."""
    whole = np.dtype(f"i{dtype.itemsize}")
    # XLA reads subnormal numbers as 0 on a CPU. Those of float16 are normal in float32, where it computes them.
    tiny = 1 if dtype == np.float16 else int(np.array(ml_dtypes.finfo(dtype).smallest_normal).view(whole))
    return whole, int(np.iinfo(whole).max), tiny - 1


def to_keys(x: np.ndarray) -> np.ndarray:
    """The rank of floats among the numbers of their dtype, int64: 0 has 0, neighbours differ by 1."""
    whole, mask, skipped = _bits(x.dtype)
    bits = x.view(whole).astype(np.int64)
    size = np.maximum((bits & mask) - skipped, 0)
    return np.where(bits < 0, -size, size)


def from_keys(keys: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """The floats of these ranks, the inverse of `to_keys`."""
    whole, _, skipped = _bits(np.dtype(dtype))
    size = np.abs(keys)
    x = np.where(size == 0, 0, size + skipped).astype(whole).view(dtype)
    return np.where(keys < 0, -x, x).astype(dtype)


def step(x: np.ndarray, by: int | np.ndarray) -> np.ndarray:
    """The floats that are so many numbers of their dtype further up."""
    return from_keys(to_keys(x) + by, x.dtype)


def sampler(fn: Callable, dtype: DTypeLike, orders: tuple[int, ...]) -> Sample:
    """Evaluates derivatives of a function in a dtype, float64 too where JAX has it switched off.

    Args:
      fn: elementwise function.
      dtype: of the computation.
      orders: what to evaluate; 0 is the function.
    """
    dtype, known = np.dtype(dtype), hashable(fn)

    def sample(x: np.ndarray) -> np.ndarray:
        x = x.astype(dtype)
        out = np.empty((len(orders), x.size))
        with in_float64() if dtype == np.float64 else contextlib.nullcontext():
            for i in range(0, x.size, _CHUNK):
                part = x[i : i + _CHUNK]
                padded = np.resize(part, _CHUNK)  # repeats itself: no number that nobody asked for
                out[:, i : i + _CHUNK] = np.asarray(_program(known, orders, padded))[:, : part.size].astype(
                    np.float64
                )
        return out

    return sample


@functools.partial(jax.jit, static_argnums=(0, 1))
def _program(fn: Callable, orders: tuple[int, ...], x: jax.Array) -> jax.Array:
    parts = [derivative(fn, order) if order else jnp.vectorize(fn) for order in orders]
    return jnp.stack([jnp.asarray(part(x)).astype(x.dtype) for part in parts])


def hashable(fn: Callable) -> Callable:
    """A function under which JAX can keep its compiled programs."""
    try:
        hash(fn)
    except TypeError:
        return functools.partial(fn)
    return fn


@contextlib.contextmanager
def in_float64():
    """A block in which JAX has float64, in this thread."""
    with jax.enable_x64(True):
        yield


def follows(fn: Callable, dtype: DTypeLike) -> bool:
    """Whether a function takes a scalar of the dtype and returns one of it."""
    with in_float64() if np.dtype(dtype) == np.float64 else contextlib.nullcontext():
        y = jax.eval_shape(fn, jax.ShapeDtypeStruct((), dtype))
    return getattr(y, "shape", None) == () and y.dtype == dtype


def grid(low: float, high: float) -> np.ndarray:
    """Sorted numbers of [low, high]: in all binades of both signs, and evenly around 0 and over a finite one."""
    parts = [np.zeros(1)]
    for first, last, count in ((-126, -20, 16), (-20, 20, 128), (20, 127, 16)):
        size = np.ldexp(1 + np.arange(count) / count, np.arange(first, last)[:, None]).ravel()
        parts += [size, -size]
    parts.append(np.linspace(-64, 64, 16385))
    low, high = max(low, -FAR), min(high, FAR)
    if high - low < FAR:
        parts.append(np.linspace(low, high, 16385))
    x = np.unique(np.concatenate(parts))  # -0 and 0 are one number
    return np.unique(np.concatenate([[low], x[(x > low) & (x < high)], [high]]))


def bisect(
    same: Callable[[np.ndarray, np.ndarray], np.ndarray], a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Narrows brackets down to two neighbouring numbers of their dtype, all brackets at once.

    Args:
      same: from numbers [n] and the bracket that each belongs to [n], whether it is there as at ``a``.
      a: one end of each bracket, [k].
      b: the other end, where it is not so, [k].

    Returns:
      The last number where it is as at ``a``, and its neighbour where it is not, [k] each.
    """
    dtype = a.dtype
    near, far = to_keys(a), to_keys(b)
    # A call costs the same for one number as for a chunk: cut each bracket into many parts, not into two.
    parts = int(np.clip(_CHUNK // max(near.size, 1), 4, 256))
    j = np.arange(parts + 1)
    while near.size and np.any(np.abs(far - near) > 1):
        gap = (far - near)[:, None]
        keys = near[:, None] + gap // parts * j + gap % parts * j // parts
        inner = keys[:, 1:-1]
        which = np.repeat(np.arange(near.size), parts - 1)
        held = same(from_keys(inner.ravel(), dtype), which).reshape(inner.shape)
        first = np.argmin(np.pad(held, ((0, 0), (0, 1))), axis=1)  # the first of which it is not so
        near = np.take_along_axis(keys, first[:, None], 1)[:, 0]
        far = np.take_along_axis(keys, first[:, None] + 1, 1)[:, 0]
    return from_keys(near, dtype), from_keys(far, dtype)


def rounder(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of two neighbouring float64 numbers the one with fewer digits: a kink at 3 is at 3, not just beside it."""

    def zeros(x: np.ndarray) -> np.ndarray:
        bits = x.view(np.int64)
        return np.where(x == 0, np.inf, (bits & -bits).astype(np.float64))

    return np.where(zeros(b) > zeros(a), b, a)


def runs(mask: Any) -> np.ndarray:
    """First and last index of every run of True, [n, 2]."""
    edges = np.flatnonzero(np.diff(np.pad(mask.astype(np.int8), 1)))
    return np.stack([edges[::2], edges[1::2] - 1], axis=1)


def floating(dtype: DTypeLike) -> np.dtype:
    """A real floating dtype that JAX computes in, or a clear error."""
    try:
        found = np.dtype(dtype)
        if jnp.issubdtype(found, jnp.floating) and found.itemsize > 1:
            ml_dtypes.finfo(found)
            return found
    except (TypeError, ValueError):
        pass
    raise InputError(f"dtype must be float64, float32, bfloat16 or float16, got {shown(dtype)}")


def interval(domain: object) -> tuple[float, float]:
    """Two numbers, the lower first; the whole line for None; or a clear error."""
    if domain is None:
        return -np.inf, np.inf
    try:
        low, high = (float(end) for end in domain)  # pyright: ignore[reportGeneralTypeIssues]
    except (TypeError, ValueError):
        low, high = np.nan, np.nan
    if not low < high or low == np.inf or high == -np.inf:
        raise InputError(f"domain must be two numbers (low, high) with low < high, got {shown(domain)}")
    return low, high
