"""What was seen of a network over time: rows as a file keeps them, and arrays of them."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxact.diagnosis.report import Diagnosis
from jaxact.diagnosis.statistics import SiteRecord
from jaxact.errors import InputError

Row = dict[str, Any]

NUMBERS: Mapping[str, Callable[[SiteRecord], float]] = {
    "z_mean": lambda site: site.z.mean,
    "z_std": lambda site: site.z.std,
    "gate": lambda site: site.gate,
    "slope": lambda site: site.slope,
    "saturated": lambda site: site.saturated,
    "zero": lambda site: site.zero,
    "not_finite": lambda site: site.not_finite,
    "gradient_z": lambda site: site.gradient_z,
    "gradient_a": lambda site: site.gradient_a,
}
"""What a row says of a site beside its units: attributes of `SiteRecord`."""


class Place(NamedTuple):
    """A site in rows: layer, function, source line, and its number among those that have the three in common."""

    layer: str
    function: str | None
    line: str | None
    number: int

    def __str__(self) -> str:
        return f"{self.layer} {self.function or '?'}" + (f" #{self.number + 1}" if self.number else "")


class History(NamedTuple):
    """Sites against time. What is not known, as of a site in a branch not taken, or no finite number, is NaN.

    Shapes are for one network; of many, all arrays but ``steps`` and ``units`` have a first axis more.

    Attributes:
      steps: at which was observed, int [times].
      sites: the sites, in the order of evaluation.
      units: number of units, int [sites].
      loss: mean of the loss over the examples observed, [times].
      z_mean: mean of the pre-activations, [sites, times], as all that follow.
      z_std: their standard deviation.
      gate: mean of |f'(z)| / max |f'|.
      slope: root of the mean of f'(z)^2.
      saturated: share of inputs with |f'(z)| < 0.01 max |f'|.
      zero: share of inputs with f'(z) = 0 exactly.
      not_finite: share of inputs where z or a is no finite number.
      gradient_z: Euclidean norm of the gradient by the pre-activations.
      gradient_a: that by the activations.
      dead: share of units with f'(z) = 0 at every example and position.
      dormant: share of units whose mean |a| is at most tau times that of the mean unit.
    """

    steps: np.ndarray
    sites: tuple[Place, ...]
    units: np.ndarray
    loss: np.ndarray
    z_mean: np.ndarray
    z_std: np.ndarray
    gate: np.ndarray
    slope: np.ndarray
    saturated: np.ndarray
    zero: np.ndarray
    not_finite: np.ndarray
    gradient_z: np.ndarray
    gradient_a: np.ndarray
    dead: np.ndarray
    dormant: np.ndarray


def row_of(step: int, diagnosis: Diagnosis, network: int | None = None) -> Row:
    """The row of an observation, which JSON can hold; infinities and NaN are None.

    Args:
      step: when it was made.
      diagnosis: what was seen.
      network: which of many networks it is of.
    """
    sites = []
    for site in diagnosis.sites:
        line = f"{Path(site.file).name}:{site.line}" if site.file else None
        numbers = {name: _finite(number(site)) for name, number in NUMBERS.items()}
        units = {"units": site.units, "dead": list(site.dead), "dormant": list(site.dormant)}
        sites.append({"layer": site.where, "function": site.name, "line": line, **numbers, **units})
    verdicts = [
        {"kind": v.kind, "where": v.where, "severity": _finite(v.severity), "reason": v.reason}
        for v in diagnosis.verdicts
    ]
    which = {} if network is None else {"network": network}
    return {"step": step, **which, "loss": _finite(diagnosis.loss), "verdicts": verdicts, "sites": sites}


def read_rows(path: Path) -> list[Row]:
    """The rows of a file; none if it is not there.

    Raises:
      InputError: if it holds something else.
    """
    try:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise InputError(f"{path} is no history of a monitor ({error}); move it away") from None
    if not all(isinstance(row, dict) and {"step", "verdicts", "sites"} <= row.keys() for row in rows):
        raise InputError(f"{path} is no history of a monitor; move it away")
    return rows


def places_of(row: Row) -> list[Place]:
    """The sites of a row."""
    counts: dict[tuple, int] = {}
    found = []
    for site in row["sites"]:
        key = site["layer"], site["function"], site["line"]
        found.append(Place(*key, counts.get(key, 0)))
        counts[key] = found[-1].number + 1
    return found


class Since:
    """Since when each unit has been dead, or dormant, without a break.

    Attributes:
      what: "dead" or "dormant".
      steps: of each site, for each unit the step of the first of the observations without a break that ends with
        the newest, -1 if it is not so now, int [units].
    """

    def __init__(self, what: str) -> None:
        """Starts with nothing seen."""
        self.what = what
        self.steps: dict[Place, np.ndarray] = {}

    def add(self, row: Row) -> None:
        """Goes on with a further row. A site that is not in it stays as it was."""
        for place, site in zip(places_of(row), row["sites"], strict=True):
            before = self.steps.get(place, np.full(site["units"], -1))
            now = np.full(site["units"], -1)
            now[site[self.what]] = row["step"]
            self.steps[place] = np.where((now >= 0) & (before >= 0), before, now)


def history_of(rows: Sequence[Row], networks: int | None) -> History:
    """The arrays of rows.

    Args:
      rows: in the order of time.
      networks: number of networks, of each of which there is a row for each time; None for one alone.
    """
    count = networks or 1
    steps = np.array([row["step"] for row in rows[::count]], np.int64)
    units: dict[Place, int] = {}
    for row in rows:
        units |= {place: site["units"] for place, site in zip(places_of(row), row["sites"], strict=True)}
    index = {place: i for i, place in enumerate(units)}
    arrays = {name: np.full((count, len(units), len(steps)), np.nan) for name in (*NUMBERS, "dead", "dormant")}
    loss = np.full((count, len(steps)), np.nan)
    for i, row in enumerate(rows):
        time, network = divmod(i, count)
        loss[network, time] = _number(row["loss"])
        for place, site in zip(places_of(row), row["sites"], strict=True):
            at = network, index[place], time
            for name in NUMBERS:
                arrays[name][at] = _number(site[name])
            for name in ("dead", "dormant"):
                arrays[name][at] = len(site[name]) / site["units"]
    if networks is None:
        loss, arrays = loss[0], {name: array[0] for name, array in arrays.items()}
    return History(steps, tuple(units), np.array(list(units.values()), np.int64), loss, **arrays)


def _finite(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None


def _number(x: float | None) -> float:
    return math.nan if x is None else x
