"""Figures as files."""

from pathlib import Path

from matplotlib.figure import Figure

from jaxact.atomic import replacing
from jaxact.errors import InputError


def format_of(path: str | Path) -> str:
    """The format that the suffix of a path names.

    Raises:
      InputError: if it names none.
    """
    kind = Path(path).suffix.lower().lstrip(".")
    if kind not in ("png", "svg", "pdf"):
        raise InputError(f"{path} must end in .png, .svg or .pdf")
    return kind


def save(figure: Figure, path: str | Path) -> Path:
    """Writes a figure in one step; the suffix of the path names the format.

    Args:
      figure: what to write.
      path: file to write, .png, .svg or .pdf.

    Raises:
      InputError: if the suffix names no format.
      OSError: if the file cannot be written.
    """
    path, kind = Path(path), format_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        figure.savefig(file, format=kind, dpi=150)
    return path
