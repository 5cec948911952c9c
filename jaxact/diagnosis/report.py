"""What a diagnosis is, and how it is told."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxact.diagnosis.flow import Flow
from jaxact.diagnosis.parameters import ParameterRecord
from jaxact.diagnosis.sites import NotCovered
from jaxact.diagnosis.statistics import SiteRecord, Spread
from jaxact.diagnosis.text import as_rich, as_text
from jaxact.diagnosis.verdict import Verdict

if TYPE_CHECKING:
    from jaxact.diagnosis.trace import Traced
    from jaxact.diagnosis.what_if import WhatIf


class Source(NamedTuple):
    """What a diagnosis was made from: the traced model, its parameters, the batches, options of `summarize`."""

    traced: "Traced"
    parameters: Any
    batches: list[Any]
    options: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found. `str` and `rich.print` tell the verdicts, then one line a site, within 80 columns.

    The columns are layer, function, line, mean and deviation of z, share of inputs that are saturated and with a
    slope of 0, dead units, and the gradient by z; all else is in `to_dict`.

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
        return as_text(self.verdicts, self.sites, self.not_covered)

    def __rich__(self) -> Any:
        return as_rich(self.verdicts, self.sites, self.not_covered)
