"""Prepared data sets of tensorflow-datasets (TFDS): where they lie, and how to prepare one.

Finding one imports nothing heavier than NumPy, so that a cached data set loads at once.
"""

import contextlib
import difflib
import hashlib
import importlib.util
import json
import logging
import os
import re
import shutil
import socket
import sys
import tempfile
import urllib.parse
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxact.errors import InputError

_NAME = re.compile(r"[a-z0-9_]+(/[\w.+-]+)?")
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def data_folder(data_dir: str | Path | None = None) -> Path:
    """Return the folder of prepared data sets.

    Args:
      data_dir: The folder; None for ``TFDS_DATA_DIR``, or else ``~/tensorflow_datasets``.
    """
    folder = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")
    try:
        return folder.expanduser()
    except RuntimeError as error:
        raise InputError(f"{folder} is unknown: no home directory; set --data-dir or TFDS_DATA_DIR") from error


def find_prepared(name: str, root: Path) -> Path:
    """Return the folder of the newest version of a data set that is prepared as array_record.

    Args:
      name: Name in TFDS, ``"name"`` or ``"name/config"``.
      root: Folder of prepared data sets.

    Raises:
      InputError: If the name is unknown, or nothing is prepared under it that can be read.
    """
    folder = _newest(name, root)
    if folder is None:
        _check_known(name, root)
        raise InputError(
            f"data set {name!r} is not prepared in {root}; run `jaxact data prepare {name}`,"
            " or set --data-dir or TFDS_DATA_DIR to where it is"
        )
    return folder


def prepare_dataset(name: str, *, data_dir: str | Path | None = None, archive: str | Path | None = None) -> Path:
    """Prepare a data set of TFDS as array_record, from its archive or by downloading that.

    Needs TensorFlow (``pip install 'jaxact[prepare]'``). The folder appears complete or not at all, and
    what was downloaded or unpacked on the way is removed. One that is prepared already is left as it is.

    Args:
      name: Name in TFDS, such as ``"cifar10"``, of 32x32x3 images with a class label.
      data_dir: Where to prepare it; by default ``TFDS_DATA_DIR``, else ``~/tensorflow_datasets``.
      archive: The original archive, downloaded earlier; its name is free, its SHA-256 is not. For a data
        set of several archives, a folder that holds them under their original names.

    Returns:
      The prepared folder, ``data_dir/name/version``.

    Raises:
      InputError: If the name is unknown or not of 32x32x3 images, the archive is not the one that TFDS
        expects, TensorFlow or the network is missing, or the folder cannot be written.
    """
    if name == "digits":
        raise InputError("data set 'digits' is embedded: it needs no preparing")
    root = data_folder(data_dir)
    if folder := _newest(name, root):
        return folder
    _check_known(name, root)
    if importlib.util.find_spec("tensorflow") is None:
        raise InputError(f"preparing {name!r} needs TensorFlow: pip install 'jaxact[prepare]'")
    try:
        root.mkdir(parents=True, exist_ok=True)
        # In the target folder, for it is known to be meant for large files.
        with tempfile.TemporaryDirectory(prefix=".jaxact-prepare-", dir=root) as scratch:
            return _prepare(name, root, Path(scratch), Path(archive) if archive else None)
    except OSError as error:
        raise InputError(
            f"cannot prepare {name!r} in {root}: {one_line(error)}; mend that or choose another --data-dir"
        ) from error


def _prepare(name: str, root: Path, scratch: Path, archive: Path | None) -> Path:
    # TFDS prints its progress; stdout is for what was asked for.
    with quiet_tfds() as tfds, contextlib.redirect_stdout(sys.stderr):
        import requests
        from tensorflow_datasets.core.download.util import DownloadError

        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # or TensorFlow explains oneDNN on stderr
        if not sys.stderr.isatty():
            tfds.disable_progress_bar()
        builder = tfds.builder(name, data_dir=root, file_format="array_record")
        check_features(name, builder.info.features)
        manual = scratch / "manual"
        if archive is not None:
            manual.mkdir()
            _stage(name, archive, builder.url_infos, manual)
        config = tfds.download.DownloadConfig(
            extract_dir=scratch / "extracted", manual_dir=manual, try_download_gcs=False
        )
        folder = Path(builder.data_dir)
        urls = list(builder.url_infos or ())
        try:
            if archive is None and not urllib.request.getproxies():  # or TFDS would try for three minutes
                for url in urls:
                    socket.getaddrinfo(urllib.parse.urlsplit(url).hostname, None)
            builder.download_and_prepare(download_dir=scratch / "downloads", download_config=config)
        except (requests.RequestException, ConnectionError, DownloadError, socket.gaierror) as error:
            raise InputError(
                f"cannot download {name!r}: fetch {', '.join(urls) or 'its archive'} elsewhere and name the"
                f" file by --archive ({one_line(error)})"
            ) from error
        except OSError:
            raise
        except Exception as error:  # a builder fails in its own ways: a broken archive, a missing package
            raise InputError(f"TFDS cannot prepare {name!r}: {one_line(error)}") from error
        finally:  # TFDS removes its unfinished folder, but not the empty ones around it
            for parent in folder.parents[: len(folder.relative_to(root).parts) - 1]:
                with contextlib.suppress(OSError):
                    parent.rmdir()
    return folder


def _stage(name: str, archive: Path, url_infos: dict[str, Any] | None, manual: Path) -> None:
    """Put the archives under the names by which TFDS looks for them, after checking that they are those."""
    expected = {info.filename: info for info in (url_infos or {}).values()}
    if not expected:
        raise InputError(f"TFDS registers no archive for {name!r}; leave --archive out")
    if archive.is_dir():
        files = {filename: archive / filename for filename in expected}
    elif len(expected) == 1:
        files = dict.fromkeys(expected, archive)
    else:
        raise InputError(f"{name!r} needs a folder as --archive, with {', '.join(expected)}; got {archive}")
    for filename, path in files.items():
        wanted = expected[filename]
        try:
            with path.open("rb") as file:
                checksum = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise InputError(f"cannot read the archive {path}: {one_line(error)}") from error
        if checksum != wanted.checksum:
            raise InputError(
                f"{path} is not {filename} as TFDS expects it ({int(wanted.size)} bytes of sha256"
                f" {wanted.checksum}, got {path.stat().st_size} of {checksum})"
            )
        try:
            (manual / filename).symlink_to(path.resolve())
        except OSError:  # a file system, or a Windows account, without links
            shutil.copyfile(path, manual / filename)


@contextlib.contextmanager
def quiet_tfds() -> Iterator[Any]:
    """Import TFDS and keep what it and its own imports have to say off the screen."""
    loggers = [logging.getLogger(name) for name in ("absl", "urllib3")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import tensorflow_datasets as tfds
        except ImportError as error:
            raise InputError("data sets need tensorflow-datasets: pip install 'jaxact[train]'") from error
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield tfds
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def check_features(name: str, features: Any) -> None:
    """Raise InputError unless TFDS' features hold 32x32x3 images of uint8 and a class label."""
    parts = dict(getattr(features, "items", dict)())  # at the top of some data sets there is no dict
    image, labelled = parts.get("image"), hasattr(parts.get("label"), "names")
    if image is None or image.shape != (32, 32, 3) or image.np_dtype != np.uint8 or not labelled:
        found = "no image" if image is None else f"images of shape {image.shape}, {np.dtype(image.np_dtype)}"
        raise InputError(
            f"data set {name!r} has {found} and {'a' if labelled else 'no'} class `label`;"
            " jaxact takes images of shape (32, 32, 3), uint8, with a `label`"
        )


def one_line(error: BaseException) -> str:
    """Return the reason of an error as one short line."""
    text = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:200]}..."


def _newest(name: str, root: Path) -> Path | None:
    """Return the newest version prepared as array_record, None where there is no version at all."""
    if not _NAME.fullmatch(name):
        return None
    formats: dict[Path, str] = {}
    info = root / name
    try:
        for folder in info.iterdir():
            info = folder / "dataset_info.json"
            if _VERSION.fullmatch(folder.name) and info.is_file():
                formats[folder] = json.loads(info.read_bytes()).get("fileFormat", "tfrecord")
        info = root / name / ".config" / "metadata.json"
        if not formats and "/" not in name and info.is_file():  # a data set in several configurations
            return _newest(f"{name}/{json.loads(info.read_bytes())['default_config_name']}", root)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot read {info}: {one_line(error)}; set --data-dir or TFDS_DATA_DIR") from error
    except (ValueError, AttributeError, LookupError, TypeError) as error:
        folder = info.parent
        raise InputError(f"{info} is damaged; delete {folder} and run `jaxact data prepare {name}`") from error
    usable = [folder for folder, file_format in formats.items() if file_format == "array_record"]
    if formats and not usable:
        raise InputError(
            f"data set {name!r} in {root} is prepared as {', '.join(sorted(set(formats.values())))}; jaxact"
            f" reads array_record: run `jaxact data prepare {name} --data-dir FOLDER` with another folder"
        )
    return max(usable, key=lambda folder: tuple(map(int, folder.name.split("."))), default=None)


def _check_known(name: str, root: Path) -> None:
    """Raise InputError, with near names, unless TFDS has a builder of this name."""
    with quiet_tfds() as tfds:
        known = {"digits", *tfds.list_builders(with_community_datasets=False)}
    if _NAME.fullmatch(name) and name.split("/")[0] in known:
        return
    with contextlib.suppress(OSError):
        known |= {folder.name for folder in root.iterdir()}
    near = difflib.get_close_matches(name.lower(), sorted(known), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "try digits, cifar10, cifar100 or svhn_cropped"
    raise InputError(f"unknown data set {name!r}, neither in TFDS nor in {root}; {hint}")
