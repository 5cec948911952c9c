"""The compiled programs of a run, which later runs of the same process share where they would compile the same."""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.sharding import Mesh

from jaxact.catalog import find
from jaxact.training.config import TrainConfig, make_optimizer
from jaxact.training.lenet import build_model
from jaxact.training.step import Pixels, Programs, TrainState, initial_state, make_programs, shift_and_mirror

KEPT = 16  # sets of programs, of some megabytes each
NOT_MIRRORED = ("digits", "svhn_cropped")  # a mirrored digit is no digit


class RunPrograms(NamedTuple):
    """The programs of a run.

    Attributes:
      graphdef: the model without its parameters.
      start: random key of the run to its first state.
      programs: what takes the state on.
    """

    graphdef: nnx.GraphDef
    start: Callable[[Array], TrainState]
    programs: Programs


class Data(NamedTuple):
    """What the programs of a run or a sweep depend on in its data.

    Attributes:
      name: name of the data set.
      classes: number of classes.
      images: number of training images.
      tests: number of test images.
      shift: what is subtracted from pixels, for each channel.
      scale: what the difference is multiplied by, for each channel.
      rows_apart: whether the training images are spread over the devices.
    """

    name: str
    classes: int
    images: int
    tests: int
    shift: tuple[float, ...]
    scale: tuple[float, ...]
    rows_apart: bool = False

    @property
    def pixels(self) -> Pixels:
        """How pixels become inputs."""
        return Pixels(jnp.asarray(self.shift), jnp.asarray(self.scale))


def augmentation(name: str) -> Callable[[Array, Array, Array], Array]:
    """What ``augment`` does to images of a data set."""
    return functools.partial(shift_and_mirror, mirror=name not in NOT_MIRRORED)


def is_kept(activation: str | Callable) -> bool:
    """Whether programs are kept: what another callable does may hang on variables that have changed since."""
    return isinstance(activation, str) or find(activation) is not None


def compiled_options(config: TrainConfig) -> TrainConfig:
    """The options, those that are not compiled into programs at a default."""
    epochs = 1 if config.schedule == "constant" else config.epochs
    same = {"seed": 0, "diagnose": None, "threshold": (), "dataset": "", "data_dir": None, "out": None}
    return dataclasses.replace(config, epochs=epochs, **same)


def run_programs(config: TrainConfig, data: Data, mesh: Mesh | None) -> RunPrograms:
    """The programs of a run, made anew or those of an earlier run that compiles the same.

    Args:
      config: options of the run.
      data: what is known of its data.
      mesh: the devices that share each batch, or None for one.
    """
    make = _programs if is_kept(config.activation) else _programs.__wrapped__
    return make(compiled_options(config), data, mesh)


@functools.lru_cache(maxsize=KEPT)
def _programs(config: TrainConfig, data: Data, mesh: Mesh | None) -> RunPrograms:
    graphdef, _ = nnx.split(nnx.eval_shape(lambda: build_model(config, data.classes)), nnx.Param)
    batch_size = min(config.batch_size, data.images)
    optimizer = make_optimizer(config, config.epochs * -(-data.images // batch_size))

    def start(key: Array) -> TrainState:
        return initial_state(nnx.state(build_model(config, data.classes, key), nnx.Param), optimizer, key)

    programs = make_programs(
        graphdef,
        optimizer,
        data.pixels,
        images=data.images,
        batch_size=batch_size,
        augment=augmentation(data.name) if config.augment else None,
        mesh=mesh,
        rows_apart=data.rows_apart,
    )
    # As one program, which is kept for the next run: step by step each shape compiles its own.
    return RunPrograms(graphdef, jax.jit(start), programs)
