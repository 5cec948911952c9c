"""Command `sweep`."""

import argparse
import dataclasses
import math
import re
import shlex
import sys
from typing import Any, Literal

from jaxact import training
from jaxact.cli import parse
from jaxact.cli.output import print_json, print_table
from jaxact.errors import InputError
from jaxact.training.cache import keep_programs
from jaxact.training.config import Optimizer
from jaxact.training.devices import use_cores
from jaxact.training.lenet import Formulation
from jaxact.training.run import claim_folder
from jaxact.training.sweep_folder import load_sweep
from jaxact.training.sweep_summary import Setting

_SHARED = (  # options of a run that all networks of a sweep have in common
    *("dataset", "data_dir", "epochs", "batch_size", "optimizer", "schedule", "momentum", "weight_decay"),
    *("pixels", "augment", "dtype", "formulation"),
)
_LISTS = ("activations", "seeds", "learning_rates", "initializers")


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Train LeNet-5 with several activations, seeds, learning rates and initialisers, and rank them.

    Attributes:
      activations: names with commas between them, with parameters if you like, or "all" for the whole catalogue.
      seeds: a number n of networks, with the seeds 0 to n - 1; or the seeds, with commas between them.
      learning_rates: learning rates, with commas between them; the highest ones of a schedule.
      initializers: glorot_uniform or gain or both, with a comma between them; "gain" draws the kernels after the
        first with the gain of the activation, as `jaxact gain` prints it.
      dataset: "digits", which needs no download, or a set of 32x32x3 images prepared for tensorflow-datasets.
      data_dir: folder of the prepared data sets; by default TFDS_DATA_DIR, else ~/tensorflow_datasets.
      epochs: passes over the training images.
      batch_size: images in a step.
      optimizer: optimizer, by its name in Optax.
      schedule: course of the learning rate over the run; "warmup_cosine" warms up over the first tenth.
      momentum: momentum of sgd, rmsprop and lars.
      weight_decay: decoupled where the optimizer has it, else the factor of an L2 penalty.
      pixels: "raw" 0 to 255, "unit" 0 to 1, or "standardized" to mean 0 and deviation 1 for each channel.
      augment: shift training images by up to 4 pixels, and mirror them unless they are digits.
      dtype: dtype of the computation; parameters stay float32.
      formulation: how convolutions are computed; "auto" takes the faster one for the device.
      order: the order of the images: by the seed of each network, as in `jaxact train`, or shared by all.
      method: networks of a device one after the other or at the same time; "auto" takes the faster one.
      group: networks in one program; by default as many as fit into half of the free memory.
      devices: devices to spread the networks over; by default all, on a CPU its cores.
      out: folder of the sweep; by default runs/DATASET-sweep-N.
      resume: folder of a sweep to go on with; its options hold.
      json: print the rows of results.jsonl, and nothing else.
      quiet: print nothing.
    """

    activations: str = "relu,tanh,sigmoid,gelu"
    seeds: str = "3"
    learning_rates: str = "1e-3"
    initializers: str = "glorot_uniform"
    dataset: str = "digits"
    data_dir: str | None = None
    epochs: int = 10
    batch_size: int = 256
    optimizer: Optimizer = "adam"  # type: ignore
    schedule: Literal["constant", "cosine", "warmup_cosine", "linear", "exponential"] = "constant"
    momentum: float = 0.0
    weight_decay: float | None = None
    pixels: Literal["raw", "unit", "standardized"] = "raw"
    augment: bool = False
    dtype: Literal["float32", "bfloat16"] = "float32"
    formulation: Formulation = "auto"
    order: Literal["seed", "shared"] = "seed"
    method: Literal["auto", "map", "vmap"] = "auto"
    group: int | None = None
    devices: int | None = None
    out: str | None = None
    resume: str | None = None
    json: bool = False
    quiet: bool = False

    @staticmethod
    def parse(command: type["Sweep"], argv: list[str], prog: str) -> "Sweep":
        """Parses the arguments; with --resume, the options of that sweep are the defaults."""
        finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
        finder.add_argument("--resume", nargs="?")
        folder = finder.parse_known_args(argv)[0].resume
        if not folder:
            return parse(command, argv, prog)
        options = load_sweep(folder)[1].to_dict()
        lists = {name: ",".join(map(str, options[name])) for name in _LISTS}
        train = {name: options["train"][name] for name in _SHARED}
        rest = {name: options[name] for name in ("order", "method", "out")}
        return parse(command, argv, prog, default=command(**lists, **train, **rest, resume=folder))

    def config(self) -> training.SweepConfig:
        """The options as the library has them.

        Raises:
          InputError: if one of them cannot be used.
        """
        seeds = _split("seeds", self.seeds, int)
        train = training.TrainConfig(**{name: getattr(self, name) for name in _SHARED})
        return training.SweepConfig(
            activations="all" if self.activations == "all" else _split("activations", self.activations, str),
            seeds=seeds if "," in self.seeds or self.resume else seeds[0],
            learning_rates=_split("learning_rates", self.learning_rates, float),
            initializers=_split("initializers", self.initializers, str),
            order=self.order,
            method=self.method,
            group=self.group,
            devices=self.devices,
            train=train,
            out=self.out,
        )

    def run(self) -> int:
        """Trains, prints the table, and says how to go on where it ends early."""
        config, quiet, data = self.config(), self.quiet or self.json, None
        keep_programs()
        use_cores(self.devices)
        if not config.out:  # the folder is made when nothing can go wrong before it is used
            data = training.load_dataset(self.dataset, data_dir=self.data_dir, progress=not quiet)
            config = dataclasses.replace(config, out=claim_folder(config.train, what="sweep"))
        try:
            result = training.run_sweep(
                config,
                resume=self.resume,
                dataset=data,
                note=None if quiet else lambda line: print(line, file=sys.stderr),
                report=print_json if self.json else None,
                progress=not quiet,
            )
        except training.Interrupted:
            command = f"jaxact sweep --resume {shlex.quote(str(config.out))}"
            print(f"jaxact: interrupted; all is saved, go on with: {command}", file=sys.stderr)
            return 130
        if not quiet:
            print_summary(result.summary)
            print(f"folder of the sweep: {result.folder}")
        if all(summary.diverged == summary.networks for summary in result.summary):
            print("jaxact: all networks diverged; try smaller --learning-rates, or --pixels unit", file=sys.stderr)
            return 1
        return 0


def print_summary(summaries: list[training.Summary]) -> None:
    """Prints the ranked table of a sweep."""
    rows = []
    for rank, s in enumerate(summaries, 1):
        done = s.networks - s.diverged
        networks = f"{done} of {s.networks}" if s.diverged else str(done)
        figures = [_spread(*s.last(key)) for key in ("val_accuracy", "val_loss", "accuracy")]
        activation, initializer, rate = s.setting
        rows.append((rank, activation, initializer, f"{rate:g}", networks, *figures))
    columns = ("rank", *Setting._fields, "networks", "val_accuracy", "val_loss", "accuracy")
    epochs = f"{summaries[0].epoch} epoch" + "s" * (summaries[0].epoch > 1)
    print_table(columns, rows, title=f"mean ± standard deviation over seeds after {epochs}")


def _spread(mean: float, std: float) -> str:
    if math.isnan(mean):
        return "diverged"
    return f"{mean:.4f}" if math.isnan(std) else f"{mean:.4f} ± {std:.4f}"


def _split(name: str, text: str, kind: Any) -> list[Any]:
    """The items of a list with commas; those in parentheses separate nothing."""
    parts = [part.strip() for part in re.split(r",(?![^()]*\))", text)]
    try:
        return [kind(part) for part in parts]
    except ValueError:
        what = "whole numbers" if kind is int else "numbers"
        option = name.replace("_", "-")
        raise InputError(f"--{option} must be {what} with commas between them, got {text!r}") from None
