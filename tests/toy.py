"""A tiny data set that can be learnt, and what the tests of training compare."""

import json

import jax
import numpy as np
from flax import nnx

from jaxact.training import Dataset

SECONDS = {"train_seconds", "val_seconds", "images_per_second"}


def toy(train=200, test=51, seed=0, name="toy"):
    """Noise with a bright bar at a column that tells the class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, train + test).astype(np.int32)
    images = rng.integers(0, 60, (train + test, 32, 32, 3)).astype(np.uint8)
    images[np.arange(train + test), :, 3 * labels] += 150
    classes = tuple("abcdefghij")
    return Dataset(name, images[:train], labels[:train], images[train:], labels[train:], classes)


def bits(model):
    """All parameters of a model, as bytes."""
    return b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


def timeless(history):
    """The rows of a history without what a clock says."""
    return [{key: value for key, value in row.items() if key not in SECONDS} for row in history]


def metrics(folder):
    """The rows of metrics.jsonl; each line must be whole."""
    text = (folder / "metrics.jsonl").read_text()
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]
