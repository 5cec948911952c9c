"""The atlas as one HTML file, which needs nothing but itself."""

import base64
import html
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; }
main { max-width: 72rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.2rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
a { color: #005a9c; text-decoration: none; }
a:hover { text-decoration: underline; }
p { max-width: 45rem; }
img { display: block; max-width: 100%; height: auto; }
.wide { overflow-x: auto; margin-bottom: 1.5rem; }
#sheet img { min-width: 60rem; }
table { border-collapse: collapse; font-size: .85rem; }
th, td { text-align: left; vertical-align: top; padding: .2rem .7rem .2rem 0; }
thead th { vertical-align: bottom; }
tbody tr { border-top: 1px solid #e4e4e4; }
#index table { width: max-content; }
#index td { white-space: nowrap; }
#index tr > :first-child { position: sticky; left: 0; background: #fff; max-width: 10rem; white-space: normal;
  overflow-wrap: anywhere; }
.page { border-top: 2px solid #ccc; padding: 1.5rem 0; display: grid; gap: 1rem; grid-template-columns: 3fr 2fr;
  align-items: start; }
.page > header, .page > footer { grid-column: 1 / -1; }
.page > * { min-width: 0; }
.page th { font-weight: normal; color: #666; width: 8.5rem; }
.page td { overflow-wrap: anywhere; }
footer { font-size: .85rem; }
@media (max-width: 56rem) { .page { grid-template-columns: 1fr; } }
@media screen and (min-width: 56rem) {
  #index { max-height: 85vh; overflow-y: auto; }
  #index thead { position: sticky; top: 0; z-index: 1; background: #fff; }
}
"""

_WIDE = 'class="wide" tabindex="0"'  # what is wider than the screen scrolls, by the keyboard too


class Page(NamedTuple):
    """What the file shows of one function: its picture, its facts, and what the table of all says of it."""

    name: str
    picture: bytes
    facts: Mapping[str, str]
    summary: Mapping[str, str]


def document(pages: Sequence[Page], sheet: bytes, *, kind: str, about: str) -> str:
    """The whole file.

    Args:
      pages: the functions, all with a summary of the same keys.
      sheet: picture of them all.
      kind: format of the pictures, "png" or "svg".
      about: a line that says how they were made.

    Returns:
      HTML that loads nothing.
    """
    count = f"{len(pages)} function{'s' * (len(pages) != 1)}"
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Atlas of activation functions</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>",
        f'<h1 id="top">Atlas of activation functions</h1>\n<p>{count}. {html.escape(about)}</p>',
        f'<section id="index" {_WIDE} aria-label="table of functions">\n{_index(pages)}\n</section>',
        f'<section id="sheet" {_WIDE} aria-label="sheet of curves">',
        f"{_image(sheet, kind, f'{count} side by side')}\n</section>",
        *(_section(page, kind) for page in pages),
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(parts)


def anchor(name: str) -> str:
    """A name as the id of an element, or the stem of a file: letters, digits, dots, dashes and underscores."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-")


def _index(pages: Sequence[Page]) -> str:
    if not pages:
        return ""
    head = "".join(f'<th scope="col">{html.escape(key)}</th>' for key in ("function", *pages[0].summary))
    rows = []
    for page in pages:
        name = html.escape(page.name).replace("(", "(<wbr>")  # where a long one breaks
        link = f'<a href="#{anchor(page.name)}">{name}</a>'
        rows.append("".join(f"<td>{cell}</td>" for cell in (link, *map(html.escape, page.summary.values()))))
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _section(page: Page, kind: str) -> str:
    rows = "\n".join(
        f'<tr><th scope="row">{html.escape(key)}</th><td>{_linked(text)}</td></tr>'
        for key, text in page.facts.items()
    )
    picture = _image(page.picture, kind, f"{page.name}: curves, slope with flat regions, and dead zones")
    return (
        f'<section id="{anchor(page.name)}" class="page">\n<header><h2>{html.escape(page.name)}</h2></header>\n'
        f"<div>{picture}</div>\n<table>\n<tbody>\n{rows}\n</tbody>\n</table>\n"
        '<footer><a href="#top">to the top</a></footer>\n</section>'
    )


def _image(picture: bytes, kind: str, text: str) -> str:
    mime = {"png": "image/png", "svg": "image/svg+xml"}[kind]
    data = base64.b64encode(picture).decode()
    return f'<img alt="{html.escape(text)}" decoding="async" src="data:{mime};base64,{data}">'


def _linked(text: str) -> str:
    """Escaped text, in which numbers of arXiv lead there."""
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", r'<a href="https://arxiv.org/abs/\1">arXiv:\1</a>', html.escape(text))
