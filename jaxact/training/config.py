"""The options of a training run, and the optimizer they ask for."""

import dataclasses
import difflib
import inspect
import os
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import optax
from jax.typing import ArrayLike

from jaxact.catalog import get, serialize
from jaxact.errors import InputError, shown

OPTIMIZERS = (
    *("adabelief", "adadelta", "adagrad", "adam", "adamax", "adamw", "adan", "lamb", "lars", "lion", "nadam"),
    *("nadamw", "novograd", "radam", "rmsprop", "sgd", "yogi"),
)
Optimizer = Literal[OPTIMIZERS]  # pyright: ignore[reportInvalidTypeForm]

# Optax takes 1e-8, Keras and so the tutorial 1e-7.
_KERAS_EPSILON = dict.fromkeys(("adam", "adamax", "adamw", "nadam", "nadamw", "radam"), 1e-07)


@dataclasses.dataclass(frozen=True)
class OwnOptions:
    """Options of training in which the networks of a sweep differ.

    Attributes:
      activation: activation of every layer but the last: a name, with parameters if you like, as in
        "leaky_relu(negative_slope=0.2)"; from Python also a callable.
      learning_rate: learning rate, the highest one of a schedule.
      seed: seed of the initial parameters, the order of the images and the augmentation.
    """

    activation: str | Callable = "relu"
    learning_rate: float = 1e-3
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class SharedOptions:
    """Options of training that all networks of a sweep have in common.

    Attributes:
      dataset: "digits", which needs no download, or a set of 32x32x3 images prepared for tensorflow-datasets.
      data_dir: folder of the prepared data sets; by default TFDS_DATA_DIR, else ~/tensorflow_datasets.
      epochs: passes over the training images.
      batch_size: images in a step.
      optimizer: optimizer, by its name in Optax.
      schedule: course of the learning rate over the run; "warmup_cosine" warms up over the first tenth.
      momentum: momentum of sgd, rmsprop and lars.
      weight_decay: decoupled where the optimizer has it (adamw, lion, ...; by default Optax' value), else the
        factor of an L2 penalty (by default none).
      pixels: "raw" 0 to 255, "unit" 0 to 1, or "standardized" to mean 0 and deviation 1 for each channel.
      augment: shift training images by up to 4 pixels, and mirror them unless they are digits.
      dtype: dtype of the computation; parameters stay float32.
      formulation: how convolutions are computed; "auto" takes the faster one for the device.
    """

    dataset: str = "digits"
    data_dir: str | Path | None = None
    epochs: int = 10
    batch_size: int = 256
    optimizer: Optimizer = "adam"  # pyright: ignore[reportInvalidTypeForm]
    schedule: Literal["constant", "cosine", "warmup_cosine", "linear", "exponential"] = "constant"
    momentum: float = 0.0
    weight_decay: float | None = None
    pixels: Literal["raw", "unit", "standardized"] = "raw"
    augment: bool = False
    dtype: Literal["float32", "bfloat16"] = "float32"
    formulation: Literal["auto", "plain", "spectral"] = "auto"


@dataclasses.dataclass(frozen=True)
class TrainConfig(SharedOptions, OwnOptions):
    """Options of a training run, those of its bases included; the defaults are the tutorial's.

    Attributes:
      devices: devices that share each batch; by default all that JAX sees, which for the command line are as
        many CPU cores as have 64 images each.
      diagnose: diagnose the network during training, every so many steps, or with "auto" as often as costs at most
        2 % of the time; into diagnosis.jsonl and diagnosis.png of the run folder.
      threshold: NAME=VALUE, from where on something is a fault to diagnose, as in dead=0.1, any number of them;
        the names are those of `jaxact.diagnosis.Thresholds`.
      out: run folder; by default runs/DATASET-ACTIVATION-N on the command line, none from Python.
    """

    devices: int | None = None
    diagnose: int | Literal["auto"] | None = None
    threshold: Sequence[str] = ()
    out: str | Path | None = None

    def __post_init__(self):
        get(self.activation)
        bounds: dict[str, tuple[type, float, float]] = {
            "epochs": (int, 1, 1e6),
            "batch_size": (int, 1, 1e6),
            "learning_rate": (float, 1e-30, 1e6),
            "momentum": (float, 0, 1 - 1e-9),
            "weight_decay": (float, 0, 1e6),
            "seed": (int, 0, 2**32 - 1),
            "devices": (int, 1, 1e6),
            "diagnose": (int, 1, 1e9),
        }
        for name, (kind, low, high) in bounds.items():
            value: Any = getattr(self, name)
            if value is None and name in ("weight_decay", "devices", "diagnose"):
                continue
            if value == "auto" and name == "diagnose":
                continue
            wrong = isinstance(value, bool) or not isinstance(value, Integral if kind is int else Real)
            if wrong or not low <= getattr(self, name) <= high:
                noun = "a whole number" if kind is int else "a number"
                other = ', or "auto"' if name == "diagnose" else ""
                raise InputError(f"{name} must be {noun} from {low:g} to {high:g}{other}, got {shown(value)}")
            object.__setattr__(self, name, kind(getattr(self, name)))  # NumPy has numbers of its own
        for name in ("data_dir", "out"):
            if isinstance(path := getattr(self, name), os.PathLike):
                object.__setattr__(self, name, os.fspath(path))
        for name, types in {"dataset": str, "data_dir": str | None, "out": str | None, "augment": bool}.items():
            if not isinstance(value := getattr(self, name), types):
                noun = "True or False" if types is bool else "text"
                raise InputError(f"{name} must be {noun}, got {shown(value)}")
        for name, hint in get_type_hints(TrainConfig).items():
            value, choices = getattr(self, name), get_args(hint)
            if all(isinstance(choice, str) for choice in choices or (None,)) and value not in choices:
                near = difflib.get_close_matches(str(value), choices, n=1) if len(choices) > 5 else ()
                hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(choices)}"
                raise InputError(f"{name} {shown(value)} is unknown; {hint}")
        self._check_thresholds()
        if self.momentum and "momentum" not in inspect.signature(getattr(optax, self.optimizer)).parameters:
            raise InputError(f"momentum={self.momentum} does not go with {self.optimizer}; it does with sgd")

    def _check_thresholds(self) -> None:
        given = self.threshold
        if not isinstance(given, list | tuple) or not all(isinstance(text, str) for text in given):
            raise InputError(f"threshold must be a list of NAME=VALUE, got {shown(given)}")
        object.__setattr__(self, "threshold", tuple(given))
        if given:
            from jaxact.diagnosis.thresholds import thresholds_of  # an import that other runs need not wait for

            thresholds_of(given)
            if self.diagnose is None:
                raise InputError('threshold is of the diagnosis during training: give diagnose too, as "auto"')

    def to_dict(self) -> dict[str, Any]:
        """The options as JSON can hold them; a callable that is not jaxact's becomes "module:name"."""
        options = {name: getattr(self, name) for name in names_of(TrainConfig)} | {"threshold": [*self.threshold]}
        fn = get(self.activation)
        try:
            options["activation"] = serialize(fn)
        except InputError:
            options["activation"] = f"{fn.__module__}:{getattr(fn, '__qualname__', type(fn).__qualname__)}"
        return options


def names_of(options: type) -> tuple[str, ...]:
    """The names of the options in a class of them."""
    return tuple(field.name for field in dataclasses.fields(options))


def make_schedule(config: TrainConfig, steps: int) -> optax.Schedule:
    """Learning rate as a function of the step, over a run of ``steps`` steps."""
    rate, warmup = config.learning_rate, steps // 10
    schedules: dict[str, Callable[[], optax.Schedule]] = {
        "constant": lambda: optax.constant_schedule(rate),
        "cosine": lambda: optax.cosine_decay_schedule(rate, steps),
        "warmup_cosine": lambda: optax.warmup_cosine_decay_schedule(0.0, rate, warmup, steps),
        "linear": lambda: optax.linear_schedule(rate, 0.0, steps),
        "exponential": lambda: optax.exponential_decay(rate, steps, 0.01),
    }
    return schedules[config.schedule]()


def _times(factor: ArrayLike, schedule: optax.Schedule) -> optax.Schedule:
    return lambda step: factor * schedule(step)


def make_optimizer(
    config: TrainConfig, steps: int, *, learning_rate: ArrayLike | None = None
) -> optax.GradientTransformation:
    """The optimizer of a run of ``steps`` steps.

    Args:
      config: options of the run.
      steps: number of steps in the whole run, which schedules need.
      learning_rate: in place of that of the options, and may be traced: every schedule is proportional to it.
    """
    schedule = make_schedule(config, steps)
    if learning_rate is not None:
        schedule = _times(learning_rate, make_schedule(dataclasses.replace(config, learning_rate=1.0), steps))
    factory = getattr(optax, config.optimizer)
    known = inspect.signature(factory).parameters
    options: dict[str, float] = {}
    if config.optimizer in _KERAS_EPSILON:
        options["eps"] = _KERAS_EPSILON[config.optimizer]
    if config.momentum:
        options["momentum"] = config.momentum
    if config.weight_decay is not None and "weight_decay" in known:
        options["weight_decay"] = config.weight_decay
    optimizer = factory(schedule, **options)
    if config.weight_decay and "weight_decay" not in known:
        return optax.chain(optax.add_decayed_weights(config.weight_decay), optimizer)
    return optimizer
