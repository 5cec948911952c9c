"""Command `report`."""

import dataclasses
import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import jax.numpy as jnp
import numpy as np
import tyro

import jaxact
from jaxact import plotting
from jaxact.cli.diagnosis import EXAMPLES, diagnose_run
from jaxact.cli.output import Threshold, check_files, waiting
from jaxact.diagnosis.history import Row, history_of, read_rows
from jaxact.diagnosis.page import STYLE, sections, svg, write
from jaxact.diagnosis.thresholds import thresholds_of
from jaxact.document import document, picture, table
from jaxact.errors import InputError
from jaxact.training.run import Run, load_run

_STYLE = """
.pair { display: grid; gap: 0 2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
#options td, #options th { white-space: normal; overflow-wrap: anywhere; font-weight: normal; }
#monitor td:last-child { white-space: normal; min-width: 18rem; }
nav a { margin-right: 1rem; white-space: nowrap; }
"""


@dataclasses.dataclass(frozen=True)
class Report:
    """Gather a run in one HTML file that needs no network: curves, diagnosis, flat regions, options.

    Attributes:
      folder: run folder, trained or just started.
      out: page to write; by default report.html in the run folder.
      examples: about how many training images to diagnose the network on.
      data_dir: folder of the prepared data sets; by default the one of the run.
      threshold: NAME=VALUE, from where on something is a fault, as for `jaxact diagnose`; may be given again.
    """

    folder: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    out: str | None = None
    examples: int = EXAMPLES
    data_dir: str | None = None
    threshold: Threshold = ()

    def run(self) -> int:
        """Gathers and writes."""
        if self.examples < 1:
            raise InputError(f"--examples must be at least 1, got {self.examples}")
        path = Path(self.folder) / "report.html" if self.out is None else Path(self.out)
        check_files(out=self.out, pictures=())
        thresholds = thresholds_of(self.threshold)
        run = load_run(self.folder)
        title, found = diagnose_run(self.folder, self.examples, self.data_dir, thresholds, progress=True)
        with waiting(f"writing the report of {title}"):
            history = run.read_metrics()
            parts = [
                f"<h1>{html.escape(title)}</h1>",
                f'<p class="lead">{html.escape(_lead(run, history))}</p>',
            ]
            parts += [_section("curves", "Training", _curves(history))] if history else []
            seen = read_rows(run.folder / "diagnosis.jsonl")
            parts += [_section("monitor", "Diagnosis during training", _monitor(seen))] if seen else []
            parts.append(_section("diagnosis", "Diagnosis", "\n".join(sections(found, level=3))))
            parts.append(_section("flat", f"Where {_activation(run)} is flat", _flat(run)))
            parts.append(_section("options", "Options", _options(run)))
            text = document(f"Report of {title}", parts, style=STYLE + _STYLE)
        print(write(path, text))
        return 0


def _section(name: str, title: str, text: str) -> str:
    return f'<section id="{name}">\n<h2>{html.escape(title)}</h2>\n{text}\n</section>'


def _lead(run: Run, history: list[dict[str, float]]) -> str:
    images = " and ".join(
        f"{count:,} {what}" for count, what in zip(run.images, ("training", "test"), strict=True)
    )
    words = f"LeNet-5 with {_activation(run)} on {run.config.dataset}, {images} images."
    if not history:
        return f"{words} No epoch is done."
    last, best = history[-1], max(history, key=lambda row: row["val_accuracy"])
    words += f" After epoch {last['epoch']:g}: validation accuracy {last['val_accuracy']:.4f}"
    words += (
        f" (best {best['val_accuracy']:.4f}, epoch {best['epoch']:g}), training accuracy {last['accuracy']:.4f}."
    )
    return words


def _activation(run: Run) -> str:
    return str(run.config.to_dict()["activation"])


def _figures(figures: Mapping[str, Any]) -> str:
    parts = []
    for title, figure in figures.items():
        image = picture(svg(figure), "svg", title)
        parts.append(f"<figure>\n<h3>{html.escape(title)}</h3>\n{image}\n</figure>")
    return '<div class="figures">\n' + "\n".join(parts) + "\n</div>"


def _curves(history: list[dict[str, float]]) -> str:
    columns = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
    step = max(1, -(-len(history) // 20))
    shown_rows = history[::-1][::step][::-1]  # the last is among them
    rows = [(f"{row['epoch']:g}", *(f"{row[key]:.4f}" for key in columns[1:])) for row in shown_rows]
    heads = ("epoch", "loss", "accuracy", "validation loss", "validation accuracy")
    return _figures(plotting.history_figures(history)) + table(heads, rows)


def _monitor(rows: list[Row]) -> str:
    """Sites against time, and what verdicts there were."""
    firsts: dict[tuple[str, str], tuple[int, str]] = {}
    for row in rows:
        for verdict in row["verdicts"]:
            key = verdict["kind"], verdict["where"]
            firsts.setdefault(key, (row["step"], verdict["reason"]))
    cells = [
        [html.escape(text) for text in (f"{step}", kind, where, reason)]
        for (kind, where), (step, reason) in firsts.items()
    ]
    heads = ("first at step", "verdict", "where", "reason")
    return _figures(plotting.monitor_figures(history_of(rows, None))) + table(heads, cells, label="verdicts")


def _flat(run: Run) -> str:
    """Where the activation of a run is flat, in the dtype it computes in."""
    fn, dtype = jaxact.get(run.config.activation), run.config.dtype
    try:
        regions = jaxact.saturation_regions(fn, dtype=dtype)
    except InputError as error:
        return f"<p>{html.escape(str(error))}</p>"
    x = np.linspace(-10, 10, 1001)
    slope = np.asarray(jaxact.derivative(fn)(jnp.asarray(x, dtype)), float)
    rows = [("steepest", f"{regions.argmax:.6g}", "", f"{float(regions.max_slope):.4g}", "")]
    for kind in ("saturated", "dead", "nan"):
        spans = np.asarray(getattr(regions, kind), float)
        shares = jaxact.normal_share(spans)
        causes = regions.causes if kind == "dead" else [""] * len(spans)
        for (low, high), share, cause in zip(spans, shares, causes, strict=True):
            what = "not a number" if kind == "nan" else f"{kind}, by {cause}" if cause else kind
            rows.append((what, f"{low:.6g}", f"{high:.6g}", "", f"{share:.2%}"))
    words = (
        f"In {dtype}. Saturated: |f'| below 1 % of its largest value; dead: f' is computed as 0. The share is that"
        " of N(0, 1); where the inputs of each layer lie is shown above."
    )
    cells = [[html.escape(cell) for cell in row] for row in rows]
    pictures = _figures({f"Slope of {_activation(run)}": plotting.narrow_saturation_figure(x, slope, regions)})
    heads = ("region", "from", "to", "slope", "share")
    return f'<div class="pair">\n{pictures}\n<div>{table(heads, cells)}<p>{html.escape(words)}</p></div>\n</div>'


def _options(run: Run) -> str:
    """The options, the data, the versions and the device that config.json names."""
    record = json.loads((run.folder / "config.json").read_text())
    tables = []
    for title, key in (("Training", "options"), ("Data", "data"), ("Versions", "versions"), ("Device", "device")):
        values = record.get(key) or {}
        rows = [(html.escape(name), html.escape(_value(value))) for name, value in values.items() if name != "out"]
        tables.append(f"<div>\n<h3>{title}</h3>\n{table((), rows)}\n</div>")
    return '<div class="pair">\n' + "\n".join(tables) + "\n</div>"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    if isinstance(value, float):
        return f"{value:.6g}"
    return {None: "-", True: "yes", False: "no"}[value] if value is None or isinstance(value, bool) else str(value)
