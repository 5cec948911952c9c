"""Several devices, of one process or of many: the mesh, where arrays lie on it, and what processes agree on."""

import contextlib
import math
import os
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxact.errors import InputError

DATA, MODEL = "data", "model"  # axes of the mesh: images of a batch, networks of a sweep
_STATUS = ("UNKNOWN:", "INTERNAL:", "UNAVAILABLE:", "ABORTED:", "DEADLINE_EXCEEDED:", "FAILED_PRECONDITION:")
HEARTBEAT = 20  # seconds without a sign of life after which a process counts as lost
IMAGES_PER_CORE = 64  # below it a core waits for the others longer than it helps them


def use_cores(most: int | None = None) -> None:
    """Makes JAX see all CPU cores, or at most so many, as a device each; before JAX is first used.

    XLA runs many operations of a step on one core only; a device a core, with a part of the batch each, keeps all
    of them busy. JAX_NUM_CPU_DEVICES, or the flag xla_force_host_platform_device_count, take precedence.
    """
    set_by_flag = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if jax.config.jax_num_cpu_devices < 0 and not set_by_flag:  # pyright: ignore[reportAttributeAccessIssue]
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        with contextlib.suppress(RuntimeError):  # JAX is in use already, with the devices that it has
            jax.config.update("jax_num_cpu_devices", cores if most is None else max(1, min(cores, most)))


def join(coordinator: str, processes: int | None = None, process: int | None = None) -> None:
    """Joins the processes of a run, on one machine or many; before JAX is first used.

    Args:
      coordinator: HOST:PORT of process 0, for all the same; or "auto" for what `jax.distributed.initialize` finds
        out under Slurm, Open MPI and Kubernetes and on TPU pods.
      processes: number of processes; by default JAX_NUM_PROCESSES.
      process: number of this one, from 0; by default JAX_PROCESS_ID.

    Raises:
      InputError: if the numbers do not fit together, or the others do not come.
    """
    address = None
    if coordinator != "auto":
        address = coordinator
        host, _, port = coordinator.rpartition(":")
        if not host or not port.isdigit():
            raise InputError(f'coordinator must be HOST:PORT or "auto", got {coordinator!r}')
        processes = _from_environment("JAX_NUM_PROCESSES") if processes is None else processes
        process = _from_environment("JAX_PROCESS_ID") if process is None else process
        if processes is None or process is None or not 0 <= process < processes:
            raise InputError(
                f"a coordinator needs processes, and process below that from 0, got {processes} and {process}"
            )
    jax.config.update("jax_enable_recoverability", True)  # a lost process is an error here, and no abort in C++
    try:
        jax.distributed.initialize(address, processes, process, heartbeat_timeout_seconds=HEARTBEAT)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"the processes cannot be joined: {str(error).splitlines()[0]}") from None
    sys.stdout.flush()
    with contextlib.ExitStack() as restored:  # Gloo reports its first connection on stdout, which is for results
        stdout = os.dup(1)
        restored.callback(os.close, stdout)
        restored.callback(os.dup2, stdout, 1)
        os.dup2(2, 1)
        wait_for_all("the start")


def _from_environment(name: str) -> int | None:
    value = os.environ.get(name)
    if value is not None and not value.isdigit():
        raise InputError(f"{name} must be a whole number, got {value!r}")
    return None if value is None else int(value)


class LostProcessError(RuntimeError):
    """Another process of the run has ended, so that this one cannot go on."""


@contextlib.contextmanager
def lost_processes_named() -> Iterator[None]:
    """Turns the error of a collective operation whose other side is gone into a `LostProcessError`."""
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:  # XLA's status, whichever way JAX raises it
        if jax.process_count() == 1 or not str(error).startswith(_STATUS):
            raise
        raise LostProcessError(f"another process of the run has ended ({str(error).splitlines()[0]})") from None


def end_at_once(code: int) -> NoReturn:
    """Ends this process without waiting for those that will not come, as JAX does at exit."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def make_mesh(devices: int | None = None, axis: str = DATA) -> Mesh:
    """The devices in a row along one axis of the mesh, `DATA` or `MODEL`; the other axis has length 1.

    Args:
      devices: how many; by default all that JAX sees, in all processes. Several processes share all of theirs, so
        there it can only be the number that each has.
      axis: the axis.

    Raises:
      InputError: if there are not so many.
    """
    found = jax.devices()
    if jax.process_count() > 1:
        if devices not in (None, jax.local_device_count()):
            raise InputError(f"devices must be {jax.local_device_count()}, those of a process, got {devices}")
        devices = None
    if devices is not None and devices > len(found):
        raise InputError(f"devices must be from 1 to {len(found)}, which JAX sees, got {devices}")
    row = np.array(found[:devices])
    return Mesh(row[:, None] if axis == DATA else row[None], (DATA, MODEL))


def put(tree: Any, spec: Any, mesh: Mesh) -> Any:
    """Arrays that every process has whole, on the devices as ``spec`` says; it may be one for all of them."""
    shardings = jax.tree.map(lambda s: NamedSharding(mesh, s), spec)
    if jax.process_count() == 1:
        return jax.device_put(tree, shardings)

    def one(sharding: NamedSharding, leaf: Any) -> Array:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(one(sharding, jax.random.key_data(leaf)))
        return jax.make_array_from_callback(leaf.shape, sharding, np.asarray(leaf).__getitem__)

    return jax.tree.map(lambda sharding, part: jax.tree.map(lambda a: one(sharding, a), part), shardings, tree)


def replicate(tree: Any, mesh: Mesh) -> Any:
    """The arrays of a pytree, whole on every device."""
    return put(tree, P(), mesh)


def fetch(tree: Any) -> Any:
    """The inverse of `put`: arrays of the devices of all processes, whole on the host of each."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    return multihost_utils.process_allgather(tree, tiled=True)


def spread_rows(rows: np.ndarray, mesh: Mesh) -> Array:
    """Rows over the axis `DATA`, the last device's filled up with zeros; a process reads no rows but its own."""
    shards = mesh.shape[DATA]
    each = math.ceil(len(rows) / shards)
    shape = (each * shards, *rows.shape[1:])

    def part(index: Any) -> np.ndarray:
        found = np.asarray(rows[index[0]])
        start, stop, _ = index[0].indices(shape[0])
        return np.concatenate([found, np.zeros((stop - start - len(found), *shape[1:]), rows.dtype)])

    return jax.make_array_from_callback(shape, NamedSharding(mesh, P(DATA)), part)


def agree(stop: bool, wanted: int) -> tuple[bool, int]:
    """What all processes go by: whether one of them is to stop, and the number that process 0 wants."""
    if jax.process_count() == 1:
        return stop, wanted
    told = multihost_utils.process_allgather(np.array([stop, wanted]))
    return bool(told[:, 0].any()), int(told[0, 1])


def is_first() -> bool:
    """Whether this is process 0, the one that writes."""
    return jax.process_index() == 0


def wait_for_all(what: str) -> None:
    """Returns when all processes have come to the same place."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)
