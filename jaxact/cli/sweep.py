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
from jaxact.cli.together import Together
from jaxact.errors import InputError
from jaxact.training.cache import keep_programs
from jaxact.training.config import SharedOptions, names_of
from jaxact.training.devices import LostProcessError, end_at_once, is_first, use_cores
from jaxact.training.run import claim_folder
from jaxact.training.sweep_folder import load_sweep
from jaxact.training.sweep_summary import Setting


@dataclasses.dataclass(frozen=True)
class Lists:
    """What networks of a sweep differ in.

    Attributes:
      activations: names with commas between them, with parameters if you like, or "all" for the whole catalogue.
      seeds: a number n of networks, with the seeds 0 to n - 1; or the seeds, with commas between them.
      learning_rates: learning rates, with commas between them; the highest ones of a schedule.
      initializers: glorot_uniform or gain or both, with a comma between them; "gain" draws the kernels after the
        first with the gain of the activation, as `jaxact gain` prints it.
    """

    activations: str = "relu,tanh,sigmoid,gelu"
    seeds: str = "3"
    learning_rates: str = "1e-3"
    initializers: str = "glorot_uniform"


@dataclasses.dataclass(frozen=True)
class Sweep(Together, SharedOptions, Lists):
    """Train LeNet-5 with several activations, seeds, learning rates and initialisers, and rank them.

    Attributes:
      order: the order of the images: by the seed of each network, as in `jaxact train`, or shared by all.
      method: networks of a device one after the other or at the same time; "auto" takes the faster one.
      group: networks in one program; by default as many as fit into half of the free memory.
      devices: devices to spread the networks over; by default all, on a CPU its cores.
      out: folder of the sweep; by default runs/DATASET-sweep-N.
      resume: folder of a sweep to go on with; its options hold.
      json: print the rows of results.jsonl, and nothing else.
      quiet: print nothing.
    """

    data_dir: str | None = None
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
        lists = {name: ",".join(map(str, options[name])) for name in names_of(Lists)}
        train = {name: options["train"][name] for name in names_of(SharedOptions)}
        rest = {name: options[name] for name in ("order", "method", "out")}
        return parse(command, argv, prog, default=command(**lists, **train, **rest, resume=folder))

    def config(self) -> training.SweepConfig:
        """The options as the library has them.

        Raises:
          InputError: if one of them cannot be used.
        """
        seeds = _split("seeds", self.seeds, int)
        train = training.TrainConfig(**{name: getattr(self, name) for name in names_of(SharedOptions)})
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
        config, data = self.config(), None
        keep_programs()
        use_cores(self.devices)
        self.join(self.out)
        quiet = self.quiet or self.json or not is_first()
        if not config.out:  # the folder is made when nothing can go wrong before it is used
            data = training.load_dataset(self.dataset, data_dir=self.data_dir, progress=not quiet)
            config = dataclasses.replace(config, out=claim_folder(config.train, what="sweep"))
        command = f"jaxact sweep --resume {shlex.quote(str(config.out))}"
        try:
            result = training.run_sweep(
                config,
                resume=self.resume,
                dataset=data,
                note=None if quiet else lambda line: print(line, file=sys.stderr),
                report=print_json if self.json else None,
                progress=not quiet,
            )
        except LostProcessError as error:
            print(f"jaxact: {error}; start all again with: {command}", file=sys.stderr)
            end_at_once(1)
        except training.Interrupted:
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
