"""Files that appear whole or not at all."""

import contextlib
import csv
import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that takes the place of ``path`` when the block ends without an exception.

    Whoever reads ``path`` meanwhile, or after a crash, meets the old file or the new one, never a part.

    Args:
      path: file to write, in a folder that is there.

    Raises:
      OSError: if it cannot be written.
    """
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # mkstemp gives 0600
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_csv(path: str | Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Writes a table in one step, as RFC 4180 has it; cells that are None stay empty.

    Raises:
      OSError: if the file cannot be written.
    """
    path, text = Path(path), io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(text.getvalue().encode())
    return path


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes a file of one JSON object a line anew, in one step.

    Raises:
      OSError: if the file cannot be written.
    """
    with replacing(path) as file:
        file.writelines(json.dumps(row).encode() + b"\n" for row in rows)
