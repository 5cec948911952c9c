"""The options of a sweep, and the networks they ask for."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, Literal, NamedTuple

from flax import nnx
from jax.nn.initializers import Initializer

from jaxact.catalog import ACTIVATIONS, get
from jaxact.errors import InputError, shown
from jaxact.initializers import for_activation
from jaxact.training.config import TrainConfig
from jaxact.training.lenet import build_model

INITIALIZERS = ("glorot_uniform", "gain")
MOST = 10_000  # seeds, or learning rates
_CHOICES = {"order": ("seed", "shared"), "method": ("auto", "map", "vmap")}
_VARIED = (
    "activation",
    "learning_rate",
    "seed",
    "devices",
    "diagnose",
    "out",
)  # options of a run that the sweep sets itself


class Network(NamedTuple):
    """What tells one network of a sweep from the others."""

    activation: str
    initializer: str
    learning_rate: float
    seed: int


@dataclasses.dataclass(frozen=True)
class SweepConfig:
    """Options of a sweep: every activation with every initialiser, learning rate and seed.

    Attributes:
      activations: names, with parameters if you like, or callables; "all" for the whole catalogue.
      seeds: a number n of networks, with the seeds 0 to n - 1, or the seeds themselves.
      learning_rates: learning rates, the highest ones of a schedule.
      initializers: "glorot_uniform", as in `LeNet5`; or "gain": the kernels after the first, which act on values
        of the activation, have variance gain² / fan-in instead, with the gain of the activation
        (`jaxact.initializers.for_activation`). An activation without a gain is trained without it.
      order: "seed": every network has the batches that `fit` gives it for its seed; "shared": all have those of
        the first seed, which saves work on an accelerator. Augmentation is by seed in either case.
      method: how the networks of a device are computed: "map" one after the other, some steps of each in turn;
        "vmap" at the same time; "auto" takes the faster one for the platform.
      group: networks in one program; by default as many as fit into half of the free memory, and with "map" at the
        most 8 a device, as more gain nothing there.
      devices: devices to spread a group over; by default all.
      train: the options that all networks share; those that the sweep varies keep their defaults there.
      out: folder of the sweep; without one nothing is written.
    """

    activations: Sequence[str | Callable] | str = ("relu", "tanh", "sigmoid", "gelu")
    seeds: int | Sequence[int] = 3
    learning_rates: Sequence[float] = (1e-3,)
    initializers: Sequence[str] = ("glorot_uniform",)
    order: Literal["seed", "shared"] = "seed"
    method: Literal["auto", "map", "vmap"] = "auto"
    group: int | None = None
    devices: int | None = None
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    out: str | os.PathLike | None = None

    def __post_init__(self):
        if not isinstance(self.train, TrainConfig):
            raise InputError(f"train must be a TrainConfig, got {shown(self.train)}")
        for name in _VARIED:
            if (value := getattr(self.train, name)) != getattr(TrainConfig, name):
                raise InputError(f"train.{name} must keep its default, got {shown(value)}: the sweep sets it")
        for name, choices in _CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                raise InputError(f"{name} {shown(value)} is unknown; choose one of {', '.join(choices)}")
        for name in ("group", "devices"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, Integral) or value < 1):
                raise InputError(f"{name} must be a whole number from 1, got {shown(value)}")
        if not isinstance(self.out, str | os.PathLike | None):
            raise InputError(f"out must be text, got {shown(self.out)}")
        out = None if self.out is None else os.fspath(self.out)
        object.__setattr__(self, "out", out)
        self._make_lists()

    def _make_lists(self) -> None:
        """Checks what varies, and keeps it as tuples without repetitions."""
        seeds: Any = self.seeds
        if isinstance(seeds, Integral) and not isinstance(seeds, bool):
            seeds = int(seeds)
            if not 1 <= seeds <= MOST:
                raise InputError(f"seeds must be a number from 1 to {MOST}, or a list, got {shown(seeds)}")
            seeds = range(seeds)
        lists: dict[str, Any] = {
            "activations": tuple(ACTIVATIONS) if self.activations == "all" else self.activations,
            "seeds": seeds,
            "learning_rates": self.learning_rates,
            "initializers": self.initializers,
        }
        for name, values in lists.items():
            if isinstance(values, str) or not isinstance(values, Sequence) or not 1 <= len(values) <= MOST:
                raise InputError(f"{name} must be a list of at least one, got {shown(values)}")
        # A run's own checks, and its way to write numbers, so that no rule stands twice.
        lists["seeds"] = [TrainConfig(seed=seed).seed for seed in lists["seeds"]]
        lists["learning_rates"] = [
            TrainConfig(learning_rate=rate).learning_rate for rate in lists["learning_rates"]
        ]
        rates = [TrainConfig(learning_rate=rate).learning_rate for rate in lists["learning_rates"]]
        lists["learning_rates"] = rates
        for name in lists["initializers"]:
            if name not in INITIALIZERS:
                raise InputError(f"initializers {shown(name)} is unknown; choose among {', '.join(INITIALIZERS)}")
        labels = {TrainConfig(activation=fn).to_dict()["activation"]: fn for fn in lists["activations"]}
        lists["activations"] = labels.values()
        for name, values in lists.items():
            object.__setattr__(self, name, tuple(dict.fromkeys(values)))

    def functions(self) -> dict[str, str | Callable]:
        """The activations by the name that rows have."""
        return {TrainConfig(activation=fn).to_dict()["activation"]: fn for fn in self.activations}

    def networks(self, activation: str, initializers: Sequence[str]) -> list[Network]:
        """The networks of one activation, in the order of their rows."""
        seeds: Any = self.seeds
        return [
            Network(activation, initializer, rate, seed)
            for initializer in initializers
            for rate in self.learning_rates
            for seed in seeds
        ]

    def run_config(self, network: Network) -> TrainConfig:
        """The options with which `fit` trains that network, if its initialiser is "glorot_uniform"."""
        fn = self.functions()[network.activation]
        return dataclasses.replace(
            self.train, activation=fn, learning_rate=network.learning_rate, seed=network.seed
        )

    def to_dict(self) -> dict[str, Any]:
        """The options as JSON can hold them; a callable that is not jaxact's becomes "module:name"."""
        options = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        train = {key: value for key, value in self.train.to_dict().items() if key not in _VARIED}
        lists = {key: list(options[key]) for key in ("seeds", "learning_rates", "initializers")}
        return options | lists | {"activations": list(self.functions()), "train": train}

    @classmethod
    def from_dict(cls, options: dict[str, Any]) -> "SweepConfig":
        """The inverse of `to_dict`."""
        fields: dict[str, Any] = options | {"train": TrainConfig(**options["train"])}
        return cls(**fields)


def find_gains(config: SweepConfig) -> tuple[dict[str, dict[str, Initializer | None]], list[str]]:
    """The initialisers that each activation can have, by its name, and what there is to say of those it cannot.

    The initialiser is None where the kernels stay as `LeNet5` makes them.

    Raises:
      InputError: if nothing is left of an activation.
    """
    possible, remarks = {}, []
    for label, fn in config.functions().items():
        possible[label] = {}
        for name in config.initializers:
            try:
                possible[label][name] = for_activation(get(fn)) if name == "gain" else None
            except InputError as error:
                remarks.append(f"{label} has no gain ({error})")
        if not possible[label]:
            raise InputError(f"{remarks[-1]}; give it --initializers glorot_uniform")
    return possible, remarks


def initial_model(config: TrainConfig, classes: int, kernel_init: Initializer | None = None) -> nnx.Module:
    """The model of a network with its initial parameters.

    Args:
      config: options of the network.
      classes: number of classes.
      kernel_init: initialiser of the kernels that act on values of the activation, all but the first.
    """
    model = build_model(config, classes)
    if kernel_init is not None:
        rngs = nnx.Rngs(config.seed)
        for layer in (model.conv2, model.conv3, model.dense1, model.dense2):
            kernel: Any = layer.kernel
            kernel[...] = kernel_init(rngs.params(), kernel.shape, kernel.dtype)
    return model
