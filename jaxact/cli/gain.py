"""Command `gain`."""

import dataclasses
import math
from collections.abc import Callable
from typing import Annotated, Any

import tyro
from tqdm import tqdm

import jaxact
from jaxact.analysis.moments import MODES
from jaxact.catalog import Configured, find
from jaxact.cli.names import named_functions, speaking_of
from jaxact.cli.output import check_files, print_json, print_table, write_csv
from jaxact.errors import InputError
from jaxact.initializers import torch_gain


@dataclasses.dataclass(frozen=True)
class Gain:
    """Compute gains: by which factor weights keep the signal, or the gradient, at its size.

    Forward is 1 / sqrt(E f^2), backward 1 / sqrt(E f'^2), std 1 / std f, for pre-activations z ~ N(0, q); none
    where that is infinite. The last column is what torch.nn.init.calculate_gain says, where it has the function.

    Attributes:
      names: names, with parameters if you like, as in "leaky_relu(negative_slope=0.2)".
      q: variance of the pre-activations.
      json: print one JSON object an activation, and nothing else.
      csv: table to write, one row an activation.
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    q: float = 1.0
    json: bool = False
    csv: str | None = None

    def run(self) -> int:
        """Computes and prints."""
        functions = named_functions(self.names, "jaxact gain tanh gelu")
        if not (math.isfinite(self.q) and self.q > 0):
            raise InputError(f"--q must be a positive finite variance, got {self.q:g}")
        check_files(csv=self.csv)
        found = []
        with tqdm(
            functions.items(), unit="function", leave=False, disable=None
        ) as bar:  # None: on a terminal alone
            for name, fn in bar:
                bar.set_description(name)
                with speaking_of(name, fn):
                    found.append(self._gains(name, fn))
        if self.json:
            for facts in found:
                print_json(facts)
        else:
            cells = [[_number(value, "none") for value in facts.values()] for facts in found]
            print_table(("activation", "q", *MODES, "E f^2", "E f'^2", "torch"), cells)
        if self.csv is not None:
            path = write_csv(self.csv, list(found[0]), [facts.values() for facts in found])
            if not self.json:
                print(path)
        return 0

    def _gains(self, name: str, fn: Callable) -> dict[str, Any]:
        moments = jaxact.moments(fn, self.q)
        gains = {}
        for mode in MODES:
            try:
                gains[mode] = jaxact.gain(fn, mode, q=self.q)
            except InputError:  # the moments are there, so one of them is 0
                gains[mode] = None
        powers = {"second": float(moments.second), "slope": float(moments.slope)}
        return {"activation": name, "q": self.q} | gains | powers | {"torch": _torch(fn)}


def _torch(fn: Callable) -> float | None:
    row = find(fn)
    assert row is not None  # get() of a name gives a function of the table
    parameters = dict(fn.config) if isinstance(fn, Configured) else {}
    return torch_gain({"identity": "linear"}.get(row.name, row.name), parameters.get("negative_slope"))


def _number(value: Any, missing: str = "") -> str:
    return value if isinstance(value, str) else missing if value is None else f"{value:.7g}"
