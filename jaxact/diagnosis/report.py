"""What a diagnosis is, and how it is told."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxact.diagnosis.flow import Flow
from jaxact.diagnosis.parameters import ParameterRecord
from jaxact.diagnosis.sites import NotCovered
from jaxact.diagnosis.statistics import SiteRecord, Spread
from jaxact.diagnosis.verdict import Verdict

if TYPE_CHECKING:
    from jaxact.diagnosis.trace import Traced
    from jaxact.diagnosis.what_if import WhatIf

_COLUMNS = ("layer", "function", "line", "z", "gate", "saturated", "zero", "dead", "dormant", "|dL/dz|", "|dL/da|")


class Source(NamedTuple):
    """What a diagnosis was made from: the traced model, its parameters, the batches, options of `summarize`."""

    traced: "Traced"
    parameters: Any
    batches: list[Any]
    options: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found. `str` gives one line a site; `rich.print` a table.

    Attributes:
      sites: one record for each activation, in the order of evaluation; for one in a scan over layers, one for
        each of them.
      flows: how the gradient changes between sites.
      parameters: one record for each array of parameters.
      verdicts: what is wrong, the worst first; one "healthy" if nothing is.
      inputs: spread of the batch where it comes into the model, after scaling; None if it is of no floating dtype.
      not_covered: activations that could not be measured, each with its line and the reason.
      loss: the mean of the loss over the batches.
      examples: number of examples in them all.
      gradients: its gradient, as a tree like the parameters; the plain step's, up to XLA's order of additions.
    """

    sites: tuple[SiteRecord, ...]
    flows: tuple[Flow, ...]
    parameters: tuple[ParameterRecord, ...]
    verdicts: tuple[Verdict, ...]
    inputs: Spread | None
    not_covered: tuple[NotCovered, ...]
    loss: float
    examples: int
    gradients: Any = dataclasses.field(repr=False)
    _source: Source | None = dataclasses.field(default=None, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_source": None}  # programs cannot be pickled

    def what_if(
        self,
        activation: str | Mapping[str, Any] | Callable[[Any], Any] | None = None,
        initializer: str | Callable[..., Any] | None = None,
        *,
        layers: Sequence[str] | None = None,
        key: Any = None,
    ) -> "WhatIf":
        """What the gradients would be with another activation or initialisation, see `what_if.what_if`."""
        from jaxact.diagnosis.what_if import what_if

        return what_if(self, activation, initializer, layers=layers, key=key)

    def save_html(self, path: str | Path, *, title: str = "Diagnosis") -> Path:
        """Writes the diagnosis with its figures as one HTML file, which needs no network, see `page.save`."""
        from jaxact.diagnosis.page import save

        return save(self, path, title=title)

    def to_dict(self) -> dict[str, Any]:
        """Sites, places not covered and loss as plain dicts, tuples and numbers, which `json` can write."""
        return {
            "loss": self.loss,
            "examples": self.examples,
            "inputs": self.inputs and dataclasses.asdict(self.inputs),
            **{
                part: [dataclasses.asdict(record) for record in getattr(self, part)]
                for part in ("verdicts", "sites", "flows", "parameters", "not_covered")
            },
        }

    def __str__(self) -> str:
        rows = [_COLUMNS, *map(_cells, self.sites)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join(lines + [_sentence(place) for place in self.not_covered])

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table

        table = Table(*_COLUMNS)
        for site in self.sites:
            table.add_row(*_cells(site))
        return Group(table, *map(_sentence, self.not_covered))


def _cells(site: SiteRecord) -> tuple[str, ...]:
    return (
        site.where,
        site.name or "?",
        f"{Path(site.file).name}:{site.line}" if site.file else "-",
        f"{site.z.mean:.3g} ± {site.z.std:.3g}",
        f"{site.gate:.3g}",
        f"{site.saturated:.1%}",
        f"{site.zero:.1%}",
        f"{len(site.dead)}/{site.units}",
        f"{len(site.dormant)}/{site.units}",
        f"{site.gradient_z:.3g}",
        f"{site.gradient_a:.3g}",
    )


def _sentence(place: NotCovered) -> str:
    where = f" at {Path(place.file).name}:{place.line}" if place.file else ""
    return f"not covered: {place.what}{where}, {place.reason}"
