"""Maps of saturation: many functions, inputs and orders in one program, which holds no more than it returns."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.sharding import NamedSharding, PartitionSpec
from jax.typing import ArrayLike

from jaxact.activations._numerics import as_inexact
from jaxact.analysis import brackets
from jaxact.analysis.curves import true_curve
from jaxact.analysis.map_program import POINTS, Plan, SaturationMap, mesh, run
from jaxact.analysis.saturation import share_of_slope
from jaxact.errors import InputError, shown


def saturation_map(
    fns: Sequence[Callable[[Array], Array]],
    *,
    x: ArrayLike,
    mean: ArrayLike | None = None,
    std: ArrayLike | None = None,
    threshold: float = 1e-2,
    domain: tuple[float, float] | None = None,
    max_slope: ArrayLike | None = None,
    fields: Sequence[str] = SaturationMap._fields,
    reduce: Literal["mean"] | None = None,
    out: SaturationMap | None = None,
    block: int | None = None,
) -> SaturationMap:
    r"""Values, derivatives and gates of many functions at many inputs, in one compiled program.

    .. math::
      z = \mu + \sigma x, \qquad f(z), \; f'(z), \; f''(z), \qquad g(z) = |f'(z)| / \max |f'|

    The program goes over the points in blocks that fit into the cache, so beside its results it needs no memory
    that grows with them; with ``reduce`` the results are single numbers, however fine the map. Of several devices
    a map is spread over as many as divide the first axis of ``x``, with ``reduce`` over all. On a CPU one device
    works with one core: start JAX with as many devices as cores (``jax.config.update("jax_num_cpu_devices", 2)``)
    to use all. Most of the time of a large map goes into touching fresh memory: in a loop hand the last map back
    as ``out``.

    Args:
      fns: elementwise functions, as for `saturation_regions`.
      x: inputs, of any shape and real dtype (integers give the default float); it is computed in this dtype.
      mean: of the pre-activations; a number or an array, which gives the map its axes after the first.
      std: their scale, likewise; of a shape that broadcasts with that of ``mean``.
      threshold: what counts as saturated, as a share of the largest slope; above 0 and at most 1.
      domain: where to look for the largest slope; by default the whole line. `saturation_regions` says more.
      max_slope: the largest slopes [functions], where they are known: then nothing is looked for.
      fields: which fields to compute, of those of `SaturationMap`.
      reduce: "mean" returns the mean over all inputs of each field, [functions, *scales] in float32 (float64 for
        float64 inputs): of the masks, the share of inputs.
      out: a map that this function returned for as many functions, the same fields and shapes. Its memory is used
        for the result, and it must not be used again.
      block: number of points that are computed at once, on each device; by default 2^17 on a CPU, whose cache
        they fit into, and 2^24 elsewhere.

    Returns:
      `SaturationMap`, of arrays [functions, *scales, \*x.shape]. Where a function has a largest slope of 0, the
      gate is 0.

    Raises:
      InputError: if an argument cannot be used, or if a largest slope is needed and cannot be found.

    Examples:
      >>> m = saturation_map([jnp.tanh, jax.nn.relu], x=jnp.array([-10.0, 0.5]))
      >>> m.gate
      Array([[0.       , 0.7864477],
             [0.       , 1.       ]], dtype=float32)
      >>> m.dead  # of tanh by rounding, of relu by design
      Array([[ True, False],
             [ True, False]], dtype=bool)
      >>> saturation_map([jnp.tanh], x=jnp.linspace(-1, 1, 101), std=jnp.array([1.0, 10.0]), fields=["dead"],
      ...                reduce="mean").dead
      Array([[0.        , 0.21782178]], dtype=float32)
    """
    fns = functions(fns)
    x = as_inexact(x)
    threshold = share_of_slope(threshold)
    fields = _known(fields)
    if reduce not in (None, "mean"):
        raise InputError(f'reduce must be "mean" or None, got {shown(reduce)}')
    block = (1 << 17 if jax.default_backend() == "cpu" else 1 << 24) if block is None else block
    if isinstance(block, bool) or not isinstance(block, int | np.integer) or block < 1:
        raise InputError(f"block must be a whole number of at least 1, got {shown(block)}")
    scales = None if mean is None and std is None else _scales(mean, std, x.dtype)
    if {"gate", "saturated"} & {*fields}:
        tops = max_slopes(fns, x.dtype, domain) if max_slope is None else _given(max_slope, len(fns))
    else:
        tops = np.ones(len(fns))
    scale_shape = () if scales is None else scales.shape[1:]
    devices = (None,) if isinstance(x, Tracer) else _devices(x.shape, reduce is not None)
    plan = Plan(fns, fields, reduce is not None, int(block), scale_shape, x.shape, devices)
    if out is not None:
        _check_out(out, fields, (len(fns), *scale_shape, *x.shape), x.dtype, reduce)
        out = SaturationMap(*(getattr(out, name) if name in fields else None for name in SaturationMap._fields))
    flat, around = x.ravel(), None if scales is None else scales.reshape(2, -1)
    if len(devices) > 1:
        if pad := -flat.size % len(devices):  # means alone: the last device is filled up with what is not counted
            flat = jnp.pad(flat, (0, pad), mode="edge")
        flat = jax.device_put(flat, NamedSharding(mesh(plan), PartitionSpec(POINTS)))
        if around is not None:
            around = jax.device_put(around, NamedSharding(mesh(plan), PartitionSpec()))
    wide = np.dtype(jnp.promote_types(x.dtype, jnp.float32))
    return run(plan, flat, around, np.asarray(tops, wide), np.asarray(threshold, wide), out)


def _devices(shape: tuple[int, ...], reduced: bool) -> tuple[Any, ...]:
    """All devices for means; for a map as many as divide its first axis, since an array has equal parts."""
    devices = tuple(jax.local_devices())
    first = next((n for n in shape if n > 1), 1)
    count = len(devices)
    while not reduced and first % count:
        count -= 1
    return devices[:count] if math.prod(shape) else devices[:1]


def max_slopes(fns: Sequence[Callable], dtype: Any, domain: object = None) -> np.ndarray:
    """The largest slope of each function, [functions], as `saturation_regions` finds it."""
    return np.array([named(i, fn, lambda fn: _top(fn, dtype, domain)) for i, fn in enumerate(fns)])


def _top(fn: Callable, dtype: Any, domain: object) -> float:
    return true_curve(fn, np.dtype(dtype), *brackets.interval(domain)).max_slope


def named(i: int, fn: Callable, find: Callable[[Callable], Any]) -> Any:
    """What a search finds about one of several functions; its errors say which one it was."""
    try:
        return find(fn)
    except InputError as error:
        name = getattr(fn, "__name__", type(fn).__name__)
        raise InputError(str(error).replace("fn must", f"fns[{i}] ({name}) must", 1)) from None


def functions(fns: object) -> tuple[Callable, ...]:
    """A sequence of functions as a tuple that JAX can keep programs under, or a clear error."""
    if callable(fns) or not isinstance(fns, Sequence) or not fns or not all(callable(fn) for fn in fns):
        raise InputError(f"fns must be a list of functions, at least one, got {shown(fns)}")
    return tuple(brackets.hashable(fn) for fn in fns)


def _known(fields: Sequence[str]) -> tuple[str, ...]:
    names = SaturationMap._fields
    if isinstance(fields, str) or not {*fields} <= {*names} or not fields:
        raise InputError(f"fields must be a list of some of {', '.join(names)}, got {shown(fields)}")
    return tuple(name for name in names if name in fields)


def _scales(mean: ArrayLike | None, std: ArrayLike | None, dtype: Any) -> Array:
    """Mean and scale, of one shape, [2, *scales]."""
    pair = [as_inexact(0.0 if mean is None else mean, "mean"), as_inexact(1.0 if std is None else std, "std")]
    try:
        pair = jnp.broadcast_arrays(*pair)
    except ValueError:
        shapes = " and ".join(str(a.shape) for a in pair)
        raise InputError(f"mean and std must have shapes that broadcast, got {shapes}") from None
    return jnp.stack([a.astype(dtype) for a in pair])


def _given(max_slope: ArrayLike, count: int) -> np.ndarray:
    tops = np.asarray(max_slope, np.float64)
    if tops.shape != (count,) or not (np.isfinite(tops) & (tops >= 0)).all():
        raise InputError(f"max_slope must be {count} finite numbers of at least 0, got {shown(max_slope)}")
    return tops


def _check_out(out: object, fields: tuple[str, ...], shape: tuple[int, ...], dtype: Any, reduce: object) -> None:
    if not isinstance(out, SaturationMap) or reduce is not None:
        raise InputError("out must be a SaturationMap, and goes with reduce=None alone")
    for name in fields:
        want = jnp.bool_ if name in ("saturated", "dead") else dtype
        have = getattr(out, name)
        if not isinstance(have, Array) or have.shape != shape or have.dtype != want or have.is_deleted():
            got = "an array that is used up" if isinstance(have, Array) and have.is_deleted() else shown(have)
            raise InputError(f"out.{name} must be a {jnp.dtype(want).name} array of shape {shape}, got {got}")
