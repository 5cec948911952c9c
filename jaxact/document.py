"""HTML files that need nothing but themselves: one style, head, tables and pictures, for screens of any size."""

import base64
import html
import re
from collections.abc import Iterable, Sequence

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; }
main { max-width: 72rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
a { color: #005a9c; text-decoration: none; }
a:hover { text-decoration: underline; }
p { max-width: 45rem; }
img { display: block; max-width: 100%; height: auto; }
.wide { overflow-x: auto; margin-bottom: 1.5rem; }
table { border-collapse: collapse; font-size: .85rem; }
th, td { text-align: left; vertical-align: top; padding: .2rem .7rem .2rem 0; }
thead th { white-space: nowrap; }
tbody tr { border-top: 1px solid #e4e4e4; }
footer { font-size: .85rem; }
"""


def document(title: str, parts: Iterable[str], *, style: str = "") -> str:
    """A whole file.

    Args:
      title: as text; parts have their own heading.
      parts: HTML of what it shows, one after the other.
      style: further rules of CSS.

    Returns:
      HTML that loads nothing.
    """
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(title)}</title>\n<style>{_STYLE}{style}</style>\n</head>\n<body>\n<main>",
            *parts,
            "</main>\n</body>\n</html>\n",
        ]
    )


def anchor(name: str) -> str:
    """A name as the id of an element, or the stem of a file: letters, digits, dots, dashes and underscores."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-")


def table(
    columns: Sequence[str], rows: Iterable[Iterable[str]], *, first: str = "td", label: str = "table"
) -> str:
    """A table in a box of its own, which is scrolled sideways where the screen is narrower.

    Args:
      columns: heads of the columns, as text; none for a table without a head.
      rows: cells, as HTML.
      first: element of the first cell of each row, "td" or "th".
      label: what the table is, for who cannot see it; the box can be scrolled by the keyboard.
    """
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in columns)
    head = f"<thead><tr>{head}</tr></thead>\n" if columns else ""
    scope = ' scope="row"' if first == "th" else ""
    lines = []
    for name, *cells in rows:
        lines.append(f"<tr><{first}{scope}>{name}</{first}>" + "".join(f"<td>{c}</td>" for c in cells) + "</tr>")
    body = "\n".join(lines)
    box = f'<div class="wide" tabindex="0" role="region" aria-label="{html.escape(label)}">'
    return f"{box}\n<table>\n{head}<tbody>\n{body}\n</tbody>\n</table>\n</div>"


def picture(data: bytes, kind: str, text: str) -> str:
    """A picture in the file itself.

    Args:
      data: the picture.
      kind: its format, "png" or "svg".
      text: what it shows, for who cannot see it.
    """
    mime = {"png": "image/png", "svg": "image/svg+xml"}[kind]
    code = base64.b64encode(data).decode()
    return f'<img alt="{html.escape(text)}" decoding="async" src="data:{mime};base64,{code}">'
