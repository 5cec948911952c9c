"""A group of networks as one program: their states stacked, spread over devices, computed in turn or at once."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array, lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxact.training.config import TrainConfig, make_optimizer
from jaxact.training.devices import MODEL, fetch, put
from jaxact.training.programs import KEPT, Data, augmentation, compiled_options, is_kept
from jaxact.training.step import (
    Functions,
    TrainState,
    initial_state,
    make_functions,
)
from jaxact.training.sweep_config import SweepConfig, initial_model

SHARE = 0.5  # of the free memory, for a group that is sized to fit
IN_TURN = 8  # networks of a device that take turns: more gain nothing, and each turn lasts longer

# All networks of a group are at the same step, so it is one number. Keys are kept as their data.
SPREAD = TrainState._make(P() if name == "step" else P(MODEL) for name in TrainState._fields)

APART: dict[str, Any] = {"key": None, "step": None}  # from the rest of a state: not stacked, or not changed


class GroupPrograms(NamedTuple):
    """The compiled programs of the groups of one activation, for ``size`` places on each device.

    Attributes:
      order: (state, shared key data) to the order of the images of each network, int32 [places, steps * batch],
        or [steps * batch] where it is shared.
      advance: (counts, rates, state, images, labels, order, steps) to the state so many steps later; the state is
        donated.
      evaluate: (counts, params, images, labels) to losses, float32, and whether the class is right, bool, each
        [places, images].
      size: places on each device.
      bytes: what advance and evaluate hold on the devices of this process, data included, as XLA says.
    """

    order: Callable[..., Array]
    advance: Callable[..., TrainState]
    evaluate: Callable[..., tuple[Array, Array]]
    size: int
    bytes: int


def choose_method(config: SweepConfig) -> str:
    """How the networks of a device are computed.

    On a CPU one network fills the cores, and products of stacked small matrices are slower than single ones; an
    accelerator is filled only by many networks.
    """
    if config.method != "auto":
        return config.method
    return "map" if jax.default_backend() == "cpu" else "vmap"


def deal(networks: int, devices: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """How many networks each device gets, and the place of each network, with ``size`` places on every device."""
    counts = np.full(devices, networks // devices) + (np.arange(devices) < networks % devices)
    places = np.concatenate([device * size + np.arange(count) for device, count in enumerate(counts)])
    return counts.astype(np.int32), places.astype(np.int64)


def initial_group(configs: Sequence[TrainConfig], models: Sequence[nnx.Module], steps: int) -> TrainState:
    """The stacked states of networks before the first step, on the host.

    Args:
      configs: options of each network.
      models: their models.
      steps: steps in an epoch.
    """
    states = []
    for config, model in zip(configs, models, strict=True):
        optimizer = make_optimizer(config, config.epochs * steps)
        state = initial_state(nnx.state(model, nnx.Param), optimizer, jax.random.key(config.seed))
        states.append(jax.device_get(state._replace(key=jax.random.key_data(state.key))))
    return jax.tree.map(lambda *leaves: np.stack(leaves), *states)._replace(step=states[0].step)


def place(state: TrainState, places: np.ndarray, size: int, mesh: Mesh) -> TrainState:
    """Stacked states on the devices, each in its place; what is left holds copies of the first."""
    source = np.zeros(size * mesh.size, np.int64)
    source[places] = np.arange(len(places))
    spread = jax.tree.map(lambda leaf: np.asarray(leaf)[source], state._replace(step=None))
    return put(spread._replace(step=np.asarray(state.step)), SPREAD, mesh)


def collect(state: TrainState, places: np.ndarray) -> TrainState:
    """The inverse of `place`: the stacked states on the host."""
    host = fetch(state)
    return jax.tree.map(lambda leaf: leaf[places], host._replace(step=None))._replace(step=host.step)


def _network_functions(config: SweepConfig, options: TrainConfig, data: Data) -> Functions:
    """The pure functions of the networks that have the activation of these options."""
    if choose_method(config) == "vmap" and options.formulation == "auto":
        # Products of matrices stay products; convolutions with a kernel for each network are slow everywhere.
        options = dataclasses.replace(options, formulation="spectral")
    model = nnx.eval_shape(lambda: initial_model(options, data.classes))
    return make_functions(
        nnx.split(model, nnx.Param)[0],
        data.pixels,
        images=data.images,
        batch_size=min(options.batch_size, data.images),
        augment=augmentation(data.name) if options.augment else None,
    )


def _over_networks(method: str, f: Callable[..., Any], count: Array, given: Any, made: Any) -> Any:
    """``f(given, made)`` for the stacked networks of a device, to what takes the place of ``made``."""
    if method == "vmap":
        return jax.vmap(f)(given, made)

    def one(i: Array, made: Any) -> Any:
        at = functools.partial(jax.tree.map, lambda a: lax.dynamic_index_in_dim(a, i, keepdims=False))
        return jax.tree.map(
            lambda a, new: lax.dynamic_update_index_in_dim(a, new, i, 0), made, f(at(given), at(made))
        )

    # The number is no constant to the compiler: the program of one network is the same for any, to the bit.
    return lax.fori_loop(0, count, one, made)


def group_programs(config: SweepConfig, activation: str, data: Data, mesh: Mesh, size: int) -> GroupPrograms:
    """The programs of the groups of one activation, made anew or those of an earlier sweep that compiles the same.

    Args:
      config: options of the sweep.
      activation: the activation, by the name that rows have.
      data: what is known of its data.
      mesh: the devices.
      size: places for networks on each device.
    """
    fn = config.functions()[activation]
    kept: dict[str, Any] = {"activations": [fn], "train": compiled_options(config.train)}
    kept |= {name: getattr(config, name) for name in ("order", "method")}
    options = SweepConfig(seeds=1, **kept)
    return (_group_programs if is_kept(fn) else _group_programs.__wrapped__)(options, data, mesh, size)


@functools.lru_cache(maxsize=KEPT)
def _group_programs(config: SweepConfig, data: Data, mesh: Mesh, size: int) -> GroupPrograms:
    options = dataclasses.replace(config.train, activation=config.activations[0])
    pure = _network_functions(config, options, data)
    batch_size = min(options.batch_size, data.images)
    steps = -(-data.images // batch_size)
    method, shared, total = choose_method(config), config.order == "shared", options.epochs * steps
    model, each_order = P(MODEL), P() if shared else P(MODEL)

    def advance(
        count: Array, rates: Array, state: TrainState, images: Array, labels: Array, order: Array, number: Array
    ) -> TrainState:
        def one(given: tuple, made: TrainState) -> TrainState:
            optimizer = make_optimizer(config.train, total, learning_rate=given[0])
            full = made._replace(key=jax.random.wrap_key_data(given[1]), step=state.step)
            after = pure.advance(optimizer, full, images, labels, order if shared else given[2], number)
            return after._replace(**APART)

        given = (rates, state.key) if shared else (rates, state.key, order)
        after = _over_networks(method, one, count[0], given, state._replace(**APART))
        return after._replace(key=state.key, step=state.step + number)

    def evaluate(count: Array, params: Any, images: Array, labels: Array) -> tuple[Array, Array]:
        def one(params: Any, made: Any) -> tuple[Array, Array]:
            losses, found = pure.evaluate(params, images, labels)
            return losses, found == labels

        made = tuple(jnp.zeros((size, len(labels)), dtype) for dtype in (jnp.float32, bool))
        return _over_networks(method, one, count[0], params, made)

    def order(state: TrainState, shared_key: Array) -> Array:
        def one(key: Array) -> Array:
            return pure.order(state._replace(key=jax.random.wrap_key_data(key)))

        return one(shared_key) if shared else lax.map(one, state.key)

    def compiled(f: Callable[..., Any], specs: tuple, out: Any, *shapes: Any, **options: Any) -> Any:
        mapped = jax.shard_map(f, mesh=mesh, in_specs=specs, out_specs=out, check_vma=False)
        return jax.jit(mapped, **options).lower(*shapes).compile()

    def shape(spec: P, dtype: Any, *sides: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(sides, dtype, sharding=NamedSharding(mesh, spec))

    places = size * mesh.size
    optimizer = make_optimizer(options, total)
    params = nnx.state(nnx.eval_shape(lambda: initial_model(options, data.classes)), nnx.Param)
    example = jax.eval_shape(lambda params: initial_state(params, optimizer, jnp.zeros(2, jnp.uint32)), params)
    stacked = jax.tree.map(lambda a: shape(model, a.dtype, places, *a.shape), example._replace(step=None))
    state = stacked._replace(step=shape(P(), jnp.int32))
    train, test = (
        (shape(P(), jnp.uint8, count, 32, 32, 3), shape(P(), jnp.int32, count))
        for count in (data.images, data.tests)
    )
    counts, rates = shape(model, jnp.int32, mesh.size), shape(model, jnp.float32, places)
    length = steps * batch_size
    orders = shape(each_order, jnp.int32, *([length] if shared else [places, length]))

    make_order = compiled(order, (SPREAD, P()), each_order, state, shape(P(), jnp.uint32, 2))
    shapes = (counts, rates, state, *train, orders, shape(P(), jnp.int32))
    specs = (model, model, SPREAD, P(), P(), each_order, P())
    forward = compiled(advance, specs, SPREAD, *shapes, donate_argnums=2)
    score = compiled(evaluate, (model, model, P(), P()), (model, model), counts, state.params, *test)
    held = sum(_bytes_of(program, len(mesh.local_devices)) for program in (forward, score))
    return GroupPrograms(make_order, forward, score, size, held)


def _bytes_of(program: Any, devices: int) -> int:
    """What a compiled program holds at once on so many devices."""
    stats = program.memory_analysis()
    if stats is None:
        return 0
    held = stats.argument_size_in_bytes + stats.output_size_in_bytes - stats.alias_size_in_bytes
    return devices * (held + stats.temp_size_in_bytes)


def free_memory() -> int | None:
    """Bytes that are free for a group on the devices of this process; None where nobody says."""
    device = jax.local_devices()[0]
    if device.platform != "cpu":
        stats = device.memory_stats() or {}
        limit = stats.get("bytes_limit")
        return None if limit is None else (limit - stats.get("bytes_in_use", 0)) * jax.local_device_count()
    free, groups = [], Path("/sys/fs/cgroup")
    for limit, used in (
        (groups / "memory.max", groups / "memory.current"),
        (groups / "memory" / "memory.limit_in_bytes", groups / "memory" / "memory.usage_in_bytes"),
    ):
        with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
            free.append(int(limit.read_text()) - int(used.read_text()))
    with contextlib.suppress(OSError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return min(free) if free else None
