"""A diagnosis on a terminal of 80 columns: verdicts first, then one line a site."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxact.diagnosis.sites import NotCovered
from jaxact.diagnosis.statistics import SiteRecord
from jaxact.diagnosis.verdict import Verdict

WIDTH = 80
COLUMNS = ("layer", "function", "line", "z", "sat.", "zero", "dead", "|dL/dz|")
_WORDS = 3
_GAP = 2


def rows(sites: Sequence[SiteRecord]) -> list[tuple[str, ...]]:
    """The head and a row for each site, padded; layers, functions and lines are cut until all of it fits."""
    table = [COLUMNS, *map(_cells, sites)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    room = WIDTH - _GAP * (len(widths) - 1) - sum(widths[_WORDS:])
    while sum(widths[:_WORDS]) > max(room, 3 * _WORDS):
        widths[widths.index(max(widths[:_WORDS]))] -= 1
    return [tuple(_cut(c, w).ljust(w) for c, w in zip(row, widths, strict=True)) for row in table]


def as_text(verdicts: Sequence[Verdict], sites: Sequence[SiteRecord], places: Sequence[NotCovered]) -> str:
    """The whole, as plain text."""
    told = [textwrap.fill(str(verdict), WIDTH, subsequent_indent="  ") for verdict in verdicts]
    lines = [(" " * _GAP).join(row).rstrip() for row in rows(sites)]
    left = [textwrap.fill(sentence(place), WIDTH, subsequent_indent="  ") for place in places]
    return "\n".join([*told, *lines, *left])


def as_rich(verdicts: Sequence[Verdict], sites: Sequence[SiteRecord], places: Sequence[NotCovered]) -> Any:
    """The whole, for `rich.print`."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    told = Table("verdict", "where", "reason and fix", box=None, padding=(0, _GAP, 0, 0))
    for verdict in verdicts:
        color = "green" if verdict.kind == "healthy" else "red" if verdict.severity > 0.5 else "yellow"
        told.add_row(Text(verdict.kind, color), verdict.where, f"{verdict.reason} {verdict.fix}".strip())
    head, *body = rows(sites)
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False)
    for name in head:
        table.add_column(name.rstrip(), no_wrap=True)
    for row in body:
        table.add_row(*(Text(cell) for cell in row))
    return Group(told, Text(""), table, *(Text(sentence(place)) for place in places))


def sentence(place: NotCovered) -> str:
    """A place that is not covered."""
    where = f" at {Path(place.file).name}:{place.line}" if place.file else ""
    return f"not covered: {place.what}{where}, {place.reason}"


def _cells(site: SiteRecord) -> tuple[str, ...]:
    return (
        site.where,
        site.name or "?",
        f"{Path(site.file).name}:{site.line}" if site.file else "-",
        f"{site.z.mean:.2g}±{site.z.std:.2g}",
        f"{site.saturated:.0%}",
        f"{site.zero:.0%}",
        f"{len(site.dead)}/{site.units}",
        f"{site.gradient_z:.2g}",
    )


def _cut(text: str, width: int) -> str:
    """The end of a text, which is what tells layers and lines apart."""
    return text if len(text) <= width else "…" + text[1 - width :]
