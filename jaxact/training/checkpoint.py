"""Checkpoints by Orbax: complete or absent, verified when they are read."""

import contextlib
import functools
import hashlib
import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxact.errors import InputError

KEEP = 3  # checkpoints in a run folder: the newest, and what to fall back to


@functools.cache
def _ignore_late_answers() -> None:
    """Silences answers that come when Orbax has given up on the others and closed its event loop, for good."""
    hook = sys.unraisablehook

    def ignore(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            hook(unraisable)

    sys.unraisablehook = ignore


@contextlib.contextmanager
def _manager(folder: Path) -> Iterator[Any]:
    import orbax.checkpoint as ocp

    _ignore_late_answers()
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # Orbax tells of every step it takes, and prints what it raises
    try:
        options = ocp.CheckpointManagerOptions(max_to_keep=KEEP, enable_async_checkpointing=False)
        if jax.process_count() > 1:  # one process writes, each reads for itself, and none waits for the others
            alone = jax.process_index()
            options.multiprocessing_options = ocp.options.MultiprocessingOptions(
                primary_host=alone, active_processes={alone}, barrier_sync_key_prefix=f"process{alone}"
            )
            options.create = False
        with ocp.CheckpointManager(folder.absolute(), options=options) as manager:
            yield manager
    finally:
        logger.setLevel(level)


def _to_arrays(tree: Any) -> dict[str, np.ndarray]:
    """The leaves by their path, on the host; typed keys as their data."""
    leaves = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        leaves[jax.tree_util.keystr(path, simple=True, separator=".")] = np.asarray(leaf)
    return leaves


def _digest(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def save(folder: Path, step: int, state: Any, record: dict[str, Any]) -> None:
    """Writes the checkpoint of a step; it appears under its name when it is complete.

    Args:
      folder: folder of the checkpoints of a run.
      step: number of the checkpoint, above those that are there.
      state: pytree of arrays.
      record: what JSON can hold, kept beside the arrays.

    Raises:
      OSError: if the disk is full or the folder cannot be written.
    """
    import orbax.checkpoint as ocp

    arrays = _to_arrays(state)
    record = record | {"digest": _digest(arrays)}
    with _manager(folder) as manager:
        if step in manager.all_steps():
            return  # the same step of the same run: what is there is what would be written
        items = ocp.args.Composite(state=ocp.args.StandardSave(arrays), record=ocp.args.JsonSave(record))
        try:
            manager.save(step, args=items)
        except ValueError as error:  # TensorStore's, for a full disk too
            reason = " ".join(str(error).split()).split("Failed to ")[-1]
            raise OSError(f"cannot save {folder / str(step)}: {reason}") from None


def load_newest(folder: Path, template: Any) -> tuple[Any, dict[str, Any]] | None:
    """The newest checkpoint that is whole; damaged ones are named on stderr, and left where they are.

    Args:
      folder: folder of the checkpoints of a run.
      template: pytree with the structure, shapes and dtypes of the state.

    Returns:
      The state and the record, or None if there is no checkpoint yet.

    Raises:
      InputError: if there are checkpoints and none of them can be read.
    """
    if not folder.is_dir():
        return None
    with _manager(folder) as manager:
        steps = sorted(manager.all_steps(), reverse=True)
    reasons = []
    for step in steps:
        if reasons:
            print(f"jaxact: {reasons[-1]}; taking the one before", file=sys.stderr)
        try:
            return _load(folder, step, template)
        except Exception as error:  # Orbax, TensorStore and JSON each report damage in their own way
            reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
            reasons.append(f"checkpoint {folder / str(step)} is damaged ({reason})")
    if reasons:
        raise InputError(
            f"{reasons[-1]}, and no other is left; nothing was changed, delete {folder} to start afresh"
        )
    return None


def set_aside(folder: Path, after: int) -> None:
    """Clears the way for a run that goes on from step ``after``.

    Later checkpoints, which are damaged, move to "damaged" beside the folder; what a killed save left goes.
    """
    if not folder.is_dir():
        return
    for unfinished in folder.glob("*.orbax-checkpoint-tmp*"):
        shutil.rmtree(unfinished)
    with _manager(folder) as manager:
        steps = [step for step in manager.all_steps() if step > after]
    for step in steps:
        target = folder.parent / "damaged" / str(step)
        target.parent.mkdir(exist_ok=True)
        if target.exists():
            shutil.rmtree(target)
        (folder / str(step)).rename(target)


def _load(folder: Path, step: int, template: Any) -> tuple[Any, dict[str, Any]]:
    import orbax.checkpoint as ocp

    expected = _to_arrays(jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), template))
    with _manager(folder) as manager:
        restored = manager.restore(
            step, args=ocp.args.Composite(state=ocp.args.StandardRestore(expected), record=ocp.args.JsonRestore())
        )
    arrays = {name: np.asarray(array) for name, array in restored["state"].items()}
    record = restored["record"]
    if record["digest"] != _digest(arrays):
        raise ValueError("its arrays are not those that were saved")
    leaves = []
    for path, like in jax.tree_util.tree_leaves_with_path(template):
        array = jnp.asarray(arrays[jax.tree_util.keystr(path, simple=True, separator=".")])
        is_key = jnp.issubdtype(like.dtype, jax.dtypes.prng_key)
        leaves.append(jax.random.wrap_key_data(array) if is_key else array)
    return jax.tree.unflatten(jax.tree.structure(template), leaves), record
