"""Image data sets in memory: ``digits``, embedded, and every 32x32x3 set of tensorflow-datasets.

>>> digits = load_dataset("digits")
>>> digits.train_images.shape, digits.test_images.shape
((1437, 32, 32, 3), (360, 32, 32, 3))
"""

import importlib.metadata
import io
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxact.errors import InputError
from jaxact.training.cache import folder_fingerprint, read_cache, write_cache
from jaxact.training.prepare import check_features, data_folder, find_prepared, one_line, quiet_tfds
from jaxact.training.prepare import prepare_dataset as prepare_dataset

_BLOCK = 1000  # records read at a time


class Dataset(NamedTuple):
    """A data set, decoded and in memory.

    Attributes:
      name: The name it was loaded by.
      train_images: uint8 ``[n, 32, 32, 3]``.
      train_labels: int32 ``[n]``, indices into ``classes``.
      test_images: uint8 ``[m, 32, 32, 3]``.
      test_labels: int32 ``[m]``.
      classes: The name of each class.
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]


def load_dataset(
    name: str,
    *,
    data_dir: str | Path | None = None,
    cache_dir: str | Path | None = None,
    progress: bool = False,
) -> Dataset:
    r"""Load a data set into memory, from the cache where it has been decoded before.

    ``digits`` needs nothing but scikit-learn: its 1797 handwritten 8x8 digits with values 0..16, scaled by
    255/16, every pixel a 4x4 block of three equal channels; every fifth image is a test image. Any other
    name is a data set that :func:`prepare_dataset`, or tensorflow-datasets itself, has prepared as
    array_record; of several versions the newest is read, of its splits ``train`` and ``test``. TensorFlow
    is not imported.

    Args:
      name: ``"digits"``, or a name of tensorflow-datasets such as ``"cifar10"`` or ``"svhn_cropped"``.
      data_dir: Where data sets are prepared; by default ``TFDS_DATA_DIR``, else ``~/tensorflow_datasets``.
      cache_dir: Where decoded arrays are kept; by default ``JAXACT_CACHE_DIR``, else
        ``$XDG_CACHE_HOME/jaxact``, else ``~/.cache/jaxact``.
      progress: Whether to show a bar while decoding, if stderr is a terminal.

    Returns:
      Images uint8 ``[n, 32, 32, 3]``, labels int32 ``[n]``, and the names of the classes.

    Raises:
      InputError: If the data set is unknown, not prepared, damaged, or not one of 32x32x3 images in
        labelled splits ``train`` and ``test``. The message says what to do.
    """
    folder = None if name == "digits" else find_prepared(name, data_folder(data_dir))
    fingerprint = _fingerprint(folder)
    cached = read_cache(name, fingerprint, Dataset._fields[1:], cache_dir)
    if cached is not None:
        return Dataset(name, classes=tuple(cached.pop("classes").tolist()), **cached)
    dataset = _digits() if folder is None else _decode(name, folder, progress)
    arrays = {field: np.asarray(value) for field, value in zip(Dataset._fields[1:], dataset[1:], strict=True)}
    write_cache(name, fingerprint, arrays, cache_dir)
    return dataset


def check_dataset(dataset: Dataset) -> None:
    """Raise InputError, naming the field, unless the arrays are what a `Dataset` says they are."""
    for split in ("train", "test"):
        images, labels = (np.asarray(getattr(dataset, f"{split}_{part}")) for part in ("images", "labels"))
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (32, 32, 3) or not len(images):
            raise InputError(
                f"{split}_images must be uint8 [n, 32, 32, 3], got {images.dtype} {list(images.shape)}"
            )
        if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
            raise InputError(
                f"{split}_labels must be integers [{len(images)}], got {labels.dtype} {list(labels.shape)}"
            )
        if labels.min() < 0 or labels.max() >= len(dataset.classes):
            raise InputError(f"{split}_labels must be from 0 to {len(dataset.classes) - 1}, got {labels.max()}")


def _fingerprint(folder: Path | None) -> str:
    try:
        if folder is None:
            return f"scikit-learn {importlib.metadata.version('scikit-learn')}"
        return folder_fingerprint(folder)
    except OSError as error:
        raise InputError(f"cannot read {folder}: {one_line(error)}") from error
    except importlib.metadata.PackageNotFoundError as error:
        raise InputError("data set 'digits' needs scikit-learn: pip install 'jaxact[train]'") from error


def _digits() -> Dataset:
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    images = np.repeat(pixels.repeat(4, axis=1).repeat(4, axis=2)[..., None], 3, axis=-1)
    labels = digits.target.astype(np.int32)
    test = np.arange(len(labels)) % 5 == 0
    classes = tuple(str(digit) for digit in range(10))
    return Dataset("digits", images[~test], labels[~test], images[test], labels[test], classes)


def _decode(name: str, folder: Path, progress: bool) -> Dataset:
    """Decode both splits of the data set that lies prepared in ``folder``."""
    repair = f"delete it and run `jaxact data prepare {name}`"
    with quiet_tfds() as tfds:
        try:
            builder = tfds.builder_from_directory(folder)
            features, splits = builder.info.features, list(builder.info.splits)
        except Exception as error:  # json, protobuf, imports by name: the metadata are damaged in many ways
            raise InputError(f"{folder} is damaged ({one_line(error)}); {repair}") from error
        check_features(name, features)
        for split in ("train", "test"):
            if split not in splits:
                has = ", ".join(splits) or "none"
                raise InputError(f"data set {name!r} in {folder} has no split {split!r}, it has: {has}")
        classes = tuple(features["label"].names)
        arrays = []
        for split in ("train", "test"):
            try:
                images, labels = _decode_split(tfds, builder, split, progress)
            except Exception as error:  # array_record, protobuf and the image library each have their own
                raise InputError(
                    f"the {split} split of {folder} is damaged ({one_line(error)}); {repair}"
                ) from error
            if not np.all((labels >= 0) & (labels < len(classes))):
                raise InputError(f"the {split} split of {folder} has labels outside 0..{len(classes) - 1}")
            arrays += [images, labels]
    train_images, train_labels, test_images, test_labels = arrays
    return Dataset(name, train_images, train_labels, test_images, test_labels, classes)


def _decode_split(tfds: Any, builder: Any, split: str, progress: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels of one split, in the order of the files."""
    from PIL import Image
    from tqdm import tqdm

    # Our own decoding of the image bytes: three times as fast as that of TFDS.
    source = builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})
    images = np.empty((len(source), 32, 32, 3), np.uint8)
    labels = np.empty(len(source), np.int32)
    hide = not (progress and sys.stderr.isatty())
    with tqdm(total=len(source), desc=f"{builder.name} {split}", unit=" images", disable=hide) as bar:
        for start in range(0, len(source), _BLOCK):
            block = range(start, min(start + _BLOCK, len(source)))
            for i, example in zip(block, source.__getitems__(block), strict=True):
                with Image.open(io.BytesIO(example["image"])) as image:
                    if (image.mode, image.size) != ("RGB", (32, 32)):
                        width, height = image.size
                        raise ValueError(f"image {i} is {height}x{width} {image.mode}, not 32x32 RGB")
                    images[i] = np.frombuffer(image.tobytes(), np.uint8).reshape(32, 32, 3)
                labels[i] = example["label"]
            bar.update(len(block))
    return images, labels
