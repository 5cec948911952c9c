"""What a trained network is worth: evaluation on the test images, and predictions for any image."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from jaxact.errors import InputError
from jaxact.training.config import make_optimizer
from jaxact.training.data import Dataset, load_dataset
from jaxact.training.lenet import LeNet5, build_model
from jaxact.training.run import Run, load_run, restore
from jaxact.training.step import Pixels, in_parts, initial_state

_BATCH = 256  # images of a batch that is looked at as a whole


class Evaluation(NamedTuple):
    """Result on the test images.

    Attributes:
      loss: mean cross-entropy in nats.
      accuracy: share of images that are classified rightly.
      class_accuracy: the same for each class, [classes].
      confusion: number of images by true and found class, [classes, classes].
      classes: names of the classes.
    """

    loss: float
    accuracy: float
    class_accuracy: np.ndarray
    confusion: np.ndarray
    classes: tuple[str, ...]


class Prediction(NamedTuple):
    """The likeliest classes of an image with their probabilities, likeliest first."""

    image: str
    classes: list[tuple[str, float]]


class Trained(NamedTuple):
    """A trained network.

    Attributes:
      run: the run it comes from.
      model: the network.
      epoch: epochs that were done.
      optimizer: transformation of Optax and its state, as `jaxact.diagnose` takes them for its ``optimizer``.
    """

    run: Run
    model: LeNet5
    epoch: int
    optimizer: tuple[Any, Any]

    def logits(self, images: np.ndarray) -> Array:
        """Logits of uint8 images [n, 32, 32, 3], as float32 [n, classes]."""
        graphdef, params = nnx.split(self.model, nnx.Param)
        pixels = Pixels(jnp.asarray(self.run.shift), jnp.asarray(self.run.scale))
        return _logits(graphdef, params, pixels, jnp.asarray(images))


@functools.partial(jax.jit, static_argnums=0)
def _logits(graphdef: nnx.GraphDef, params: Any, pixels: Pixels, images: Array) -> Array:
    def forward(batch: Array) -> Array:
        return nnx.merge(graphdef, params)(pixels.inputs(batch)).astype(jnp.float32)

    return in_parts(forward, images)


def load_trained(
    folder: str | Path, *, activation: str | Callable | None = None, or_initial: bool = False
) -> Trained:
    """The network of the newest whole checkpoint of a run.

    Args:
      folder: run folder.
      activation: the function that the run was trained with, needed if it is not one of jaxact's.
      or_initial: whether to take the network as it starts, epoch 0, where there is no checkpoint yet.

    Raises:
      InputError: if the folder holds no run, or a run without a checkpoint that can be read.
    """
    run = load_run(folder, activation=activation)
    model = nnx.eval_shape(lambda: build_model(run.config, len(run.classes)))  # its parameters are loaded
    graphdef, params = nnx.split(model, nnx.Param)
    steps = run.config.epochs * -(-run.images[0] // run.config.batch_size)
    optimizer = make_optimizer(run.config, steps)
    template = jax.eval_shape(lambda params: initial_state(params, optimizer, jax.random.key(0)), params)
    found = restore(run, template)
    if found is None and or_initial:
        model = build_model(run.config, len(run.classes))
        return Trained(run, model, 0, (optimizer, optimizer.init(nnx.state(model, nnx.Param))))
    if found is None:
        raise InputError(f"{folder} has no checkpoint yet; go on with `jaxact train --resume {folder}`")
    state, record = found
    return Trained(run, nnx.merge(graphdef, state.params), len(record["history"]), (optimizer, state.opt_state))


def evaluate(
    trained: Trained,
    *,
    dataset: Dataset | None = None,
    data_dir: str | Path | None = None,
    progress: bool = False,
) -> Evaluation:
    """Evaluates a trained network on the test images of its data set.

    Args:
      trained: what `load_trained` gives.
      dataset: data to evaluate on, in place of those that the options of the run name.
      data_dir: folder of the prepared data sets; by default the one of the run.
      progress: whether to show a bar while data are decoded, if stderr is a terminal.

    Raises:
      InputError: if the data cannot be used, or have other classes than the network.
    """
    config = trained.run.config
    dataset = dataset or load_dataset(config.dataset, data_dir=data_dir or config.data_dir, progress=progress)
    if tuple(dataset.classes) != trained.run.classes:
        raise InputError(f"{trained.run.folder} was trained on other classes than those of {dataset.name}")
    logits, labels = np.asarray(trained.logits(dataset.test_images), np.float64), dataset.test_labels
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    found = logits.argmax(axis=-1)
    confusion = np.zeros((len(dataset.classes),) * 2, np.int64)
    np.add.at(confusion, (labels, found), 1)
    return Evaluation(
        loss=float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        accuracy=float((found == labels).mean()),
        class_accuracy=confusion.diagonal() / np.maximum(confusion.sum(axis=1), 1),
        confusion=confusion,
        classes=dataset.classes,
    )


def sample_batches(
    trained: Trained, examples: int, *, data_dir: str | Path | None = None, progress: bool = False
) -> list[tuple[Array, Array]]:
    """Batches as the network takes them, of training images of its run, drawn at random, the same each time.

    Args:
      trained: what `load_trained` gives.
      examples: about how many images; those of all batches of one size that 256 hold at the most.
      data_dir: folder of the prepared data sets; by default the one of the run.
      progress: whether to show a bar while data are decoded, if stderr is a terminal.

    Returns:
      Inputs, float32 [n, 32, 32, 3], and labels, int32 [n], of each batch.

    Raises:
      InputError: if the data cannot be used, or have other classes than the network, or ``examples`` is no
        number of images that there are.
    """
    run = trained.run
    dataset = load_dataset(run.config.dataset, data_dir=data_dir or run.config.data_dir, progress=progress)
    if tuple(dataset.classes) != run.classes:
        raise InputError(f"{run.folder} was trained on other classes than those of {dataset.name}")
    if not 1 <= examples <= len(dataset.train_labels):
        raise InputError(f"examples must be from 1 to {len(dataset.train_labels)}, got {examples}")
    count = -(-examples // _BATCH)
    chosen = np.random.default_rng(0).permutation(len(dataset.train_labels))[: examples // count * count]
    pixels = Pixels(jnp.asarray(run.shift), jnp.asarray(run.scale))
    return [
        (pixels.inputs(jnp.asarray(dataset.train_images[part])), jnp.asarray(dataset.train_labels[part]))
        for part in np.split(chosen, count)
    ]


def load_image(path: str | Path) -> np.ndarray:
    """An image file of any size and mode as the network takes it: uint8 [32, 32, 3].

    The largest centred square is scaled; transparent parts become white; 16-bit greys keep their range.

    Raises:
      InputError: if the file is missing or no image.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith(("I", "F")):
                grey = np.asarray(image, np.float64)
                top = 65535 if image.mode.startswith("I") else max(grey.max(), 1e-9)
                image = Image.fromarray(np.clip(grey * (255 / top), 0, 255).astype(np.uint8))
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return np.asarray(ImageOps.fit(image.convert("RGB"), (32, 32), Image.Resampling.LANCZOS))
    except FileNotFoundError:
        raise InputError(f"there is no image {path}") from None
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, DecompressionBombError, ...
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read as an image ({reason})") from None


def predict(trained: Trained, images: list[str | Path], *, top: int = 3) -> list[Prediction]:
    """The likeliest classes of image files.

    Args:
      trained: what `load_trained` gives.
      images: paths of images of any size and mode.
      top: how many classes to give for each.
    """
    if top < 1:
        raise InputError(f"top must be at least 1, got {top}")
    if not images:
        raise InputError("name at least one image to classify")
    probabilities = np.asarray(jax.nn.softmax(trained.logits(np.stack([load_image(path) for path in images]))))
    best = np.argsort(-probabilities, axis=-1)[:, :top]
    return [
        Prediction(str(path), [(trained.run.classes[i], float(row[i])) for i in order])
        for path, row, order in zip(images, probabilities, best, strict=True)
    ]
