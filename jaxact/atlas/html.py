"""The atlas as one HTML file, which needs nothing but itself."""

import html
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxact import document as whole
from jaxact.document import anchor as anchor
from jaxact.document import picture

_STYLE = """
#sheet img { min-width: 60rem; }
#index .wide > table { width: max-content; }
#index thead th { vertical-align: bottom; }
#index td { white-space: nowrap; }
#index tr > :first-child { position: sticky; left: 0; background: #fff; max-width: 10rem; white-space: normal;
  overflow-wrap: anywhere; }
.page { border-top: 2px solid #ccc; padding: 1.5rem 0; display: grid; gap: 1rem; grid-template-columns: 3fr 2fr;
  align-items: start; }
.page > header, .page > footer { grid-column: 1 / -1; }
.page > * { min-width: 0; }
.page th { font-weight: normal; color: #666; width: 8.5rem; }
.page td { overflow-wrap: anywhere; }
@media (max-width: 56rem) { .page { grid-template-columns: 1fr; } }
@media screen and (min-width: 56rem) {
  #index .wide { max-height: 85vh; overflow-y: auto; }
  #index thead { position: sticky; top: 0; z-index: 1; background: #fff; }
}
"""


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
        f'<h1 id="top">Atlas of activation functions</h1>\n<p>{count}. {html.escape(about)}</p>',
        f'<section id="index">\n{_index(pages)}\n</section>',
        '<section id="sheet" class="wide" tabindex="0" aria-label="sheet of curves">',
        f"{picture(sheet, kind, f'{count} side by side')}\n</section>",
        *(_section(page, kind) for page in pages),
    ]
    return whole.document("Atlas of activation functions", parts, style=_STYLE)


def _index(pages: Sequence[Page]) -> str:
    if not pages:
        return ""
    rows = []
    for page in pages:
        name = html.escape(page.name).replace("(", "(<wbr>")  # where a long one breaks
        link = f'<a href="#{anchor(page.name)}">{name}</a>'
        rows.append((link, *map(html.escape, page.summary.values())))
    return whole.table(("function", *pages[0].summary), rows, label="table of functions")


def _section(page: Page, kind: str) -> str:
    rows = "\n".join(
        f'<tr><th scope="row">{html.escape(key)}</th><td>{_linked(text)}</td></tr>'
        for key, text in page.facts.items()
    )
    image = picture(page.picture, kind, f"{page.name}: curves, slope with flat regions, and dead zones")
    return (
        f'<section id="{anchor(page.name)}" class="page">\n<header><h2>{html.escape(page.name)}</h2></header>\n'
        f"<div>{image}</div>\n<table>\n<tbody>\n{rows}\n</tbody>\n</table>\n"
        '<footer><a href="#top">to the top</a></footer>\n</section>'
    )


def _linked(text: str) -> str:
    """Escaped text, in which numbers of arXiv lead there."""
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", r'<a href="https://arxiv.org/abs/\1">arXiv:\1</a>', html.escape(text))
