"""Decoded data sets and compiled programs on disk, so that a second start need not make them again.

A data set is one uncompressed ``.npz``. The zip format keeps a CRC-32 of every array, which is checked while
it is read: a damaged file is never taken for data, it is decoded afresh. Nothing here is an error to the
user: a cache that cannot be read is rebuilt, one that cannot be written costs a line on stderr.
"""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import jax
import numpy as np

from jaxact.atomic import replacing

_LAYOUT = 1  # raise it when what is stored changes meaning


def folder_fingerprint(folder: Path) -> str:
    """Return a text that changes when a file below ``folder`` does: relative path, size and mtime of each.

    Args:
      folder: A folder of a prepared data set; its files are listed, not read.

    Raises:
      OSError: If the folder cannot be listed.
    """
    rows = []
    for parent, _, names in os.walk(folder, onerror=_raise):
        for name in names:
            path = Path(parent, name)
            stat = path.stat()
            rows.append(f"{path.relative_to(folder).as_posix()} {stat.st_size} {stat.st_mtime_ns}")
    return "\n".join(sorted(rows))


def read_cache(
    name: str, fingerprint: str, fields: Iterable[str], cache_dir: str | Path | None
) -> dict[str, np.ndarray] | None:
    """Return the cached arrays of data set ``name``, or None where there are none to trust.

    Args:
      name: Name of the data set.
      fingerprint: What the arrays were decoded from; a cache of anything else is stale.
      fields: Names of the arrays; damage to the table of contents can hide one.
      cache_dir: Folder of the cache; None for the default one.
    """
    try:
        with (
            _cache_path(name, cache_dir).open("rb") as file,
            np.load(file, allow_pickle=False) as arrays,
        ):
            if str(arrays["fingerprint"]) != _stamp(fingerprint):
                return None
            return {field: arrays[field] for field in fields}
    except Exception:  # whichever way zip, npy or the disk reports the damage, the answer is to decode again
        return None


def write_cache(
    name: str, fingerprint: str, arrays: Mapping[str, np.ndarray], cache_dir: str | Path | None
) -> None:
    """Store ``arrays`` in one step: a reader, or a second writer, never meets half a file.

    A failure is one line on stderr, no exception: the data are in memory and the work can go on.

    Args:
      name: Name of the data set.
      fingerprint: What the arrays were decoded from.
      arrays: The arrays, none of them of objects.
      cache_dir: Folder of the cache; None for the default one.
    """
    try:
        path = _cache_path(name, cache_dir)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            np.savez(file, allow_pickle=False, fingerprint=np.array(_stamp(fingerprint)), **arrays)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home directory
        reason = getattr(error, "strerror", None) or error
        print(f"jaxact: {name} is not cached ({reason}); loading goes on without", file=sys.stderr)


def keep_programs() -> None:
    """Keeps compiled programs in the folder of the cache for later processes, unless JAX is told another one."""
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore[reportAttributeAccessIssue]
        try:
            jax.config.update("jax_compilation_cache_dir", str(_cache_root(None) / "programs"))
        except RuntimeError:  # there is no home directory
            return
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def _cache_root(cache_dir: str | Path | None) -> Path:
    if folder := cache_dir or os.environ.get("JAXACT_CACHE_DIR"):
        return Path(folder).expanduser()
    return (Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "jaxact").expanduser()


def _cache_path(name: str, cache_dir: str | Path | None) -> Path:
    return _cache_root(cache_dir) / f"{name.replace('/', '-')}.npz"


def _stamp(fingerprint: str) -> str:
    return f"{_LAYOUT}\n{fingerprint}"


def _raise(error: OSError) -> None:
    raise error
