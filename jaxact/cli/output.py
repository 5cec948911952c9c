"""What the commands print with."""

import contextlib
import json
import math
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from jaxact.atomic import write_csv as write_csv
from jaxact.errors import InputError

Threshold = Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME=VALUE")]
"""Option that is given once for each threshold."""


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """Prints a table; numbers stand to the right."""
    rows = [[str(cell) for cell in row] for row in rows]
    table = Table(box=box.SIMPLE_HEAD)
    for i, column in enumerate(columns):
        numeric = all(row[i][:1] in "-+0123456789in" for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    print_rich(*([title] if title else []), table)


def print_rich(*values: Any) -> None:
    """Prints what Rich can draw."""
    # A pipe has no width: let nothing fold there.
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False, emoji=False)
    with console.capture() as text:
        for value in values:
            console.print(value)
    print(text.get(), end="")  # Rich's own printing ends the program when the reader has gone


def waiting(what: str) -> contextlib.AbstractContextManager[Any]:
    """Shows on a terminal's stderr that something is under way, as long as the block runs."""
    return Console(stderr=True).status(what) if sys.stderr.isatty() else contextlib.nullcontext()


def print_json(value: Any) -> None:
    """Prints one line of JSON; infinities and NaN, which JSON lacks, as text."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return str(value) if isinstance(value, float) and not math.isfinite(value) else value

    print(json.dumps(plain(value)), flush=True)


def check_files(*, pictures: Sequence[str] = ("out", "figure"), **files: str | None) -> None:
    """Refuses files that could not be written, before anything is computed.

    Args:
      pictures: options whose file is a picture; its suffix names the format.
      files: files by their options, without the dashes; None where there is none.

    Raises:
      InputError: if one of them can be no file there.
    """
    for option, name in files.items():
        if name is None:
            continue
        path = Path(name)
        if name == "" or path.is_dir():
            raise InputError(f"--{option} must name a file, got {name!r}" + (", a folder" if name else ""))
        if option in pictures:
            from jaxact import plotting

            plotting.format_of(name)
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(f"--{option} {name} cannot be written: {folder} is no folder that takes files")
