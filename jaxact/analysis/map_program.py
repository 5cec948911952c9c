"""The program behind a map of saturation: blocks of points, one function after another, on every device."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import Mesh, PartitionSpec

POINTS = "points"  # name of the axis over devices


class SaturationMap(NamedTuple):
    r"""What functions do at inputs, as computed in the dtype of these; fields that were not asked for are None.

    Attributes:
      value: f, [functions, *scales, *x.shape].
      slope: f', of the same shape, as all fields are.
      curvature: f''.
      gate: \|f'\| / max \|f'\|, what the function lets through of a gradient, 1 at best.
      saturated: whether the gate is below the threshold.
      dead: whether the slope is exactly 0, so that nothing comes through.
    """

    value: Array | None = None
    slope: Array | None = None
    curvature: Array | None = None
    gate: Array | None = None
    saturated: Array | None = None
    dead: Array | None = None


class Plan(NamedTuple):
    """What a compiled program depends on, beside what it is given."""

    fns: tuple[Callable, ...]
    fields: tuple[str, ...]
    reduced: bool
    block: int
    scale_shape: tuple[int, ...]
    x_shape: tuple[int, ...]
    devices: tuple[Any, ...]


def mesh(plan: Plan) -> Mesh:
    """The devices of a plan, in a row."""
    return Mesh(np.array(plan.devices), (POINTS,))


@functools.partial(jax.jit, static_argnums=0, donate_argnames="out")
def run(
    plan: Plan, x: Array, scales: Array | None, tops: Array, threshold: Array, out: SaturationMap | None
) -> SaturationMap:
    """The map, or its means, of points that are spread over the devices of the plan."""
    count, rows, size = len(plan.fns), math.prod(plan.scale_shape), math.prod(plan.x_shape)
    part = functools.partial(_reduce if plan.reduced else _fill, plan)
    if len(plan.devices) > 1:
        points, everywhere = PartitionSpec(POINTS), PartitionSpec()
        over = everywhere if plan.reduced else PartitionSpec(None, POINTS)
        specs = (points, everywhere, everywhere, everywhere, everywhere if plan.reduced else over)
        part = jax.shard_map(part, mesh=mesh(plan), in_specs=specs, out_specs=over, check_vma=False)
    if plan.reduced:
        got = part(x, scales, tops, threshold, jnp.asarray(size))
        return jax.tree.map(lambda a: a.reshape(count, *plan.scale_shape), got)
    if out is not None:
        # Two axes: with one of length 1 between them XLA takes to another layout, and copies everything twice.
        out = jax.tree.map(lambda a: a.reshape(count * rows, size), out)
    got = part(x, scales, tops, threshold, out)
    return jax.tree.map(lambda a: a.reshape(count, *plan.scale_shape, *plan.x_shape), got)


def _fill(
    plan: Plan, x: Array, scales: Array | None, tops: Array, threshold: Array, out: SaturationMap | None
) -> SaturationMap:
    """The map of the points of one device, [functions * rows, n]: blocks written one after another into place."""
    rows, size = math.prod(plan.scale_shape), x.size
    block = max(min(plan.block, size), 1)
    if out is None:
        like = jax.eval_shape(
            lambda x: _point(plan.fns[0], plan.fields, x, tops[0], threshold), jnp.zeros(1, x.dtype)
        )
        # All of it is written below. On a CPU, XLA (of jax 0.10) fills it with zeros all the same, which takes
        # half of the time of a map in fresh memory.
        out = jax.tree.map(lambda a: lax.empty((len(plan.fns) * rows, size), a.dtype), like)
    filled: Any = out
    blocks = max(-(-size // block), 1)
    for i, fn in enumerate(plan.fns):

        def body(k: Array, out: SaturationMap, i: int = i, fn: Callable = fn) -> SaturationMap:
            row, at = k // blocks, k % blocks * block  # a last block that overhangs is moved inwards
            z = _scaled(lax.dynamic_slice(x, (at,), (block,)), scales, row)
            new = _point(fn, plan.fields, z, tops[i], threshold)
            place = (i * rows + row, at)
            return jax.tree.map(lambda o, v: lax.dynamic_update_slice(o, v[None], place), out, new)

        filled = lax.fori_loop(0, rows * blocks, body, filled) if size else filled
    return filled


def _reduce(
    plan: Plan, x: Array, scales: Array | None, tops: Array, threshold: Array, size: Array
) -> SaturationMap:
    """The means over the points of all devices, [functions, rows]; nothing of the map's size is kept."""
    block, several = max(min(plan.block, x.size), 1), len(plan.devices) > 1
    first = lax.axis_index(POINTS) * x.size if several else 0
    wide = tops.dtype

    def sums(fn: Callable, top: Array, row: Array) -> SaturationMap:
        def body(k: Array, totals: tuple[SaturationMap, SaturationMap]) -> tuple[SaturationMap, SaturationMap]:
            at = jnp.minimum(k * block, x.size - block)
            # Neither the points that the block before has seen, nor those that only fill up the last device.
            index = at + jnp.arange(block)
            counted = (index >= k * block) & (first + index < size)
            z = _scaled(lax.dynamic_slice(x, (at,), (block,)), scales, row)
            new = jax.tree.map(
                lambda v: jnp.sum(jnp.where(counted, v.astype(wide), 0)),
                _point(fn, plan.fields, z, top, threshold),
            )
            # Kahan's sum: of ten thousand blocks, a plain one in float32 keeps four digits.
            step = jax.tree.map(lambda v, low: v - low, new, totals[1])
            total = jax.tree.map(lambda t, v: t + v, totals[0], step)
            return total, jax.tree.map(lambda t, old, v: (t - old) - v, total, totals[0], step)

        zero = SaturationMap(*(jnp.zeros((), wide) if f in plan.fields else None for f in SaturationMap._fields))
        return lax.fori_loop(0, -(-x.size // block), body, (zero, zero))[0]

    rows, totals = jnp.arange(math.prod(plan.scale_shape)), []
    for i, fn in enumerate(plan.fns):
        totals.append(lax.map(functools.partial(sums, fn, tops[i]), rows))
    total = jax.tree.map(lambda *t: jnp.stack(t), *totals)
    total = lax.psum(total, POINTS) if several else total  # once: at each the devices wait for one another
    return jax.tree.map(lambda t: t / size.astype(wide), total)


def _scaled(x: Array, scales: Array | None, row: Array) -> Array:
    return x if scales is None else scales[0, row] + scales[1, row] * x


def _point(fn: Callable, fields: tuple[str, ...], z: Array, top: Array, threshold: Array) -> SaturationMap:
    """All fields at a block of inputs."""
    slope_of = jax.grad(fn)

    def each(f: Callable) -> Array:
        return jax.vmap(lambda z: jnp.asarray(f(z)).astype(z.dtype))(z)

    wanted = {*fields}
    slope = each(slope_of) if wanted - {"value", "curvature"} else z
    size = jnp.abs(slope).astype(top.dtype)
    everything = SaturationMap(
        value=each(fn) if "value" in wanted else None,
        slope=slope,
        curvature=each(jax.grad(slope_of)) if "curvature" in wanted else None,
        gate=jnp.where(top > 0, size / jnp.where(top > 0, top, 1), 0).astype(z.dtype),
        saturated=(size < threshold * top) | (top == 0),
        dead=slope == 0,
    )
    return SaturationMap(*(value if name in wanted else None for name, value in everything._asdict().items()))
