"""A diagnosis as HTML: what is wrong, pictures, tables."""

import contextlib
import html
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxact.analysis.saturation import SaturationRegions, saturation_regions
from jaxact.atomic import replacing
from jaxact.catalog import get
from jaxact.diagnosis.flow import Flow, true_function
from jaxact.diagnosis.report import Diagnosis
from jaxact.diagnosis.sites import Site
from jaxact.diagnosis.statistics import SiteRecord
from jaxact.diagnosis.verdict import Verdict
from jaxact.document import document, picture, table
from jaxact.errors import InputError

STYLE = """
.verdict { border-left: .4rem solid #d55e00; background: #fdf3ec; padding: .6rem .8rem; margin: 0 0 .8rem;
  max-width: 50rem; overflow-wrap: anywhere; }
.verdict.mild { border-color: #e69f00; background: #fdf8ec; }
.verdict.healthy { border-color: #009e73; background: #ecf8f4; }
.verdict p { margin: .2rem 0 0; }
.figures { display: grid; gap: 1rem 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr));
  margin-bottom: 1.5rem; align-items: start; }
.figures h3, h3 { font-size: 1rem; margin: 0 0 .3rem; }
figure { margin: 0; min-width: 0; }
section { margin: 1.5rem 0; }
.wide td, .wide th { white-space: nowrap; }
.wide tr > :first-child { position: sticky; left: 0; background: #fff; box-shadow: .4rem 0 .4rem -.4rem #bbb; }
.number { font-variant-numeric: tabular-nums; }
.lead { font-size: 1.05rem; }
"""

_SITES = (
    *("layer", "function", "line", "z", "gate", "saturated", "f' = 0", "of it by dtype", "dead", "silent", "rare"),
    *("dormant", "cut off", "|dL/dz|", "|dL/da|", "dL/dz = 0"),
)
_FLOWS = ("from", "back to", "factor", "by f'", "by weights", "sigma_w", "chi_1", "observed")


def save(diagnosis: Diagnosis, path: str | Path, *, title: str = "Diagnosis") -> Path:
    """Writes a diagnosis as one HTML file, in one step, with pictures if matplotlib is there.

    Args:
      diagnosis: what `jaxact.diagnose` gives.
      path: file to write, in a folder that is made if it is not there.
      title: heading of the page.

    Returns:
      The path.

    Raises:
      InputError: if the path is that of a folder.
      OSError: if it cannot be written.
    """
    text = document(title, [f"<h1>{html.escape(title)}</h1>", *sections(diagnosis)], style=STYLE)
    return write(path, text)


def write(path: str | Path, text: str) -> Path:
    """Writes a text file in one step, and the folder it is in.

    Raises:
      InputError: if the path is that of a folder.
      OSError: if it cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"path must name a file, got {str(path)!r}, a folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(text.encode())
    return path


def sections(diagnosis: Diagnosis, *, level: int = 2) -> Iterator[str]:
    """The parts of a page that a diagnosis fills, as HTML for a page with `STYLE`.

    Args:
      diagnosis: what `jaxact.diagnose` gives.
      level: of their headings.
    """

    def titled(title: str, text: str) -> str:
        return f"<section>\n<h{level}>{html.escape(title)}</h{level}>\n{text}\n</section>"

    examples = f"{diagnosis.examples:,} example{'s' * (diagnosis.examples != 1)}"
    found = f"{len(diagnosis.sites)} activation site{'s' * (len(diagnosis.sites) != 1)}"
    lead = f"{found}, measured on {examples}; loss {_number(diagnosis.loss)}."
    if diagnosis.inputs is not None:
        lead += f" Inputs have mean {diagnosis.inputs.mean:.3g} and standard deviation {diagnosis.inputs.std:.3g}."
    yield f'<p class="lead">{html.escape(lead)}</p>'
    yield from (_verdict(verdict) for verdict in diagnosis.verdicts)
    if diagnosis.sites:
        yield _pictures(diagnosis)
        yield titled("Sites", table(_SITES, map(_site, diagnosis.sites)) + _legend(diagnosis))
    if diagnosis.flows:
        rows = (_flow(diagnosis, flow) for flow in diagnosis.flows)
        words = (
            "The factor is log10 of the gradient norm by z at a site, by that at the next; the part of f' and that"
            " of the weights add up to it. chi_1 is what mean-field theory predicts, for this function, weight"
            " scale and spread of z, for the square of the ratio, observed, where one plain layer stands between."
        )
        yield titled("Factors of the gradient", table(_FLOWS, rows) + f"<p>{html.escape(words)}</p>")
    if diagnosis.not_covered:
        rows = [
            map(html.escape, (place.what, _line(place.file, place.line), place.reason))
            for place in diagnosis.not_covered
        ]
        yield titled("Not covered", table(("what", "line", "reason"), rows))
    if diagnosis.parameters:
        updates = any(record.update is not None for record in diagnosis.parameters)
        rows = [
            (
                html.escape(record.path),
                "×".join(map(str, record.shape)) or "1",
                _number(record.norm),
                _number(record.gradient),
                *([_number(record.update)] if updates else []),
            )
            for record in diagnosis.parameters
        ]
        columns = ("parameters", "shape", "norm", "gradient", *(["update / norm"] if updates else []))
        yield titled("Parameters", table(columns, rows))


def flat_regions(diagnosis: Diagnosis) -> list[SaturationRegions | None]:
    """For each site where its function is flat in its dtype; None where that cannot be said.

    Args:
      diagnosis: what `jaxact.diagnose` gives.
    """
    known: dict[tuple, SaturationRegions | None] = {}
    for site in diagnosis.sites:
        key = _key(site)
        if key not in known:
            known[key] = _regions(diagnosis, site)
    return [known[_key(site)] for site in diagnosis.sites]


def _key(site: SiteRecord) -> tuple:
    return site.name, site.dtype, bool(site.zero_by_dtype), None if site.name else site.line


def _regions(diagnosis: Diagnosis, site: SiteRecord) -> SaturationRegions | None:
    """Of the catalogue's function if that is in use, else of the recovered one: others lose slopes elsewhere."""
    source = diagnosis._source
    here = [one for one in source.traced.sites if _same(one, site)] if source else []
    tried = [true_function(one) if not site.zero_by_dtype else one.function for one in here[:1]]
    tried += [] if here or site.name is None else [get(site.name)]
    for fn in tried:
        with contextlib.suppress(InputError):  # of unbounded slope, as x^2
            return saturation_regions(fn, dtype=site.dtype)
    return None


def _same(one: Site, record: SiteRecord) -> bool:
    layer = one.layer and one.layer.path
    return (layer, one.file, one.line, one.name) == (record.layer, record.file, record.line, record.name)


def _pictures(diagnosis: Diagnosis) -> str:
    try:
        from jaxact import plotting
    except ModuleNotFoundError:  # without matplotlib there are the tables
        return ""
    parts = []
    for title, figure in plotting.diagnosis_figures(diagnosis, flat_regions(diagnosis)).items():
        image = picture(svg(figure), "svg", f"{title}, {len(diagnosis.sites)} sites")
        parts.append(f"<figure>\n<h3>{html.escape(title)}</h3>\n{image}\n</figure>")
    return '<section class="figures">\n' + "\n".join(parts) + "\n</section>"


def svg(figure: Any) -> bytes:
    """A figure as SVG, the same bytes each time."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _verdict(verdict: Verdict) -> str:
    kind = "healthy" if verdict.kind == "healthy" else "mild" if verdict.severity < 0.5 else "grave"
    head = f"<strong>{html.escape(verdict.kind)}</strong>"
    head += "" if verdict.site is None else f" at {html.escape(verdict.where)}"
    words = "".join(f"<p>{html.escape(text)}</p>" for text in (verdict.reason, verdict.fix) if text)
    return f'<div class="verdict {kind}">{head}{words}</div>'


def _site(site: SiteRecord) -> list[str]:

    def of(units: Sequence[int]) -> str:
        return f"{len(units)}/{site.units}"

    by_dtype = "-" if site.zero_by_dtype is None else f"{site.zero_by_dtype:.1%}"
    cells = [site.where, site.name or "?", _line(site.file, site.line), f"{site.z.mean:.3g} ± {site.z.std:.3g}"]
    cells += [f"{site.gate:.3g}", f"{site.saturated:.1%}", f"{site.zero:.1%}", by_dtype, of(site.dead)]
    cells += [of(site.silent), of(site.rare), of(site.dormant), of(site.cut_off), _number(site.gradient_z)]
    cells += [_number(site.gradient_a), f"{site.gradient_zero:.1%}"]
    return [html.escape(cell) for cell in cells]


def _legend(diagnosis: Diagnosis) -> str:
    site = diagnosis.sites[0]
    words = (
        "z: mean ± standard deviation of the pre-activations. gate: mean of |f'| / max |f'|. saturated: |f'| < 1 %"
        " of its largest value. Units of all: dead have f' = 0 at every input, silent a = 0, rare a not 0 at less"
        f" than 1 % of them; dormant have a mean |a| of at most {site.tau:g}, cut off a mean |dL/da| of at most"
        f" 1 %, of the site's mean. A unit that never fired on {site.examples:,} independent examples fires, at a"
        f" confidence of 95 %, on less than {site.firing_bound:.2%}."
    )
    return f"<p>{html.escape(words)}</p>"


def _flow(diagnosis: Diagnosis, flow: Flow) -> list[str]:
    ends = (diagnosis.sites[flow.target].where, diagnosis.sites[flow.source].where)
    numbers = (flow.factor, flow.by_slope, flow.by_weights, flow.sigma_w, flow.chi_1, flow.observed)
    return [*map(html.escape, ends), *map(_number, numbers)]


def _line(file: str | None, line: int | None) -> str:
    return f"{Path(file).name}:{line}" if file else "-"


def _number(x: float | None) -> str:
    return "-" if x is None else f"{x:.3g}".replace("-", "−")
