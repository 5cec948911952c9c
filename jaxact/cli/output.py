"""What the commands print with."""

import json
import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """Prints a table; numbers stand to the right."""
    rows = [[str(cell) for cell in row] for row in rows]
    table = Table(box=box.SIMPLE_HEAD)
    for i, column in enumerate(columns):
        numeric = all(row[i][:1] in "-+0123456789in" for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    # A pipe has no width: let nothing fold there.
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False, emoji=False)
    with console.capture() as text:
        if title:
            console.print(title)
        console.print(table)
    print(text.get(), end="")  # Rich's own printing ends the program when the reader has gone


def print_json(value: Any) -> None:
    """Prints one line of JSON; infinities and NaN, which JSON lacks, as text."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return str(value) if isinstance(value, float) and not math.isfinite(value) else value

    print(json.dumps(plain(value)), flush=True)
