"""Command `atlas`."""

import dataclasses
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import numpy as np
import tyro
from matplotlib.figure import Figure, SubFigure
from PIL import Image
from tqdm import tqdm

import jaxact
from jaxact import atlas, plotting
from jaxact.atomic import replacing
from jaxact.catalog import Configured, find
from jaxact.cli.names import named_functions
from jaxact.cli.output import check_files, print_json, write_csv
from jaxact.errors import InputError, shown
from jaxact.testing import peers

_FARTHEST = 120.0  # of the bars: float32 underflows at 104
_WAVES = 12  # roots of the slope that a page has room for
_RESOLUTION = 110  # pixels an inch: sharp enough, and light enough for one file of all


@dataclasses.dataclass(frozen=True)
class Atlas:
    """Make an atlas of activations: one page a function, a sheet of all, and one HTML file that needs no network.

    A page shows the function with its derivatives, where it is flat, where gradients are dead by dtype (beside
    those of jax.nn, where it has the function), gains, critical points, and the facts of the table. The folder
    gets NAME.png for each function, sheet.png and index.html; files of these names are replaced.

    Attributes:
      names: names, with parameters if you like; by default all activations.
      out: folder to write to.
      format: format of the pictures.
      dtype: what to look for dead gradients in.
      json: print one JSON object an activation, and nothing else.
      csv: table to write, one row an activation.
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[NAME ...]")] = ()
    out: Annotated[str, tyro.conf.arg(metavar="DIR")] = "atlas"
    format: Literal["png", "svg"] = "png"
    dtype: tuple[Literal["float32", "float64", "bfloat16", "float16"], ...] = ("float32", "bfloat16", "float16")
    json: bool = False
    csv: str | None = None

    def run(self) -> int:
        """Makes the pages, one after the other, and then what is about them all."""
        functions = named_functions(self.names or tuple(jaxact.ACTIVATIONS), "")
        folder, dtypes = self._check(), tuple(dict.fromkeys(self.dtype))
        pages, panels, rows = [], {}, []
        for name, fn, entry in self._entries(functions, dtypes):
            facts = atlas.facts_of(entry)
            rows.append(atlas.cells(facts, dtypes))
            if self.json:
                with tqdm.external_write_mode():  # the bar, if there is one, steps aside
                    print_json(facts)
            panels[name], curves, slope = _curves(fn, entry.portrait)
            figure = _page(entry, curves, slope)
            whole, pictures = self._pictures(figure, figure.subfigs[0])
            self._write(folder, atlas.anchor(name), whole)
            pages.append(atlas.Page(name, pictures, atlas.told(entry), atlas.summary(entry, dtypes)))
        (sheet,) = self._pictures(plotting.sheet_figure(panels))
        self._write(folder, "sheet", sheet)
        text = atlas.document(pages, sheet, kind=self.format, about=_about(dtypes))
        with replacing(folder / "index.html") as file:
            file.write(text.encode())
        if self.csv is not None:
            write_csv(self.csv, atlas.columns(dtypes), rows)
        if not self.json:
            print(*[folder / "index.html", *([self.csv] if self.csv is not None else [])], sep="\n")
        return 0

    def _check(self) -> Path:
        """The folder, made; refuses now what would fail after the computing."""
        if not self.dtype:
            raise InputError("--dtype needs at least one of float32, float64, bfloat16 and float16")
        check_files(csv=self.csv)
        folder = Path(self.out)
        if self.out == "" or (folder.exists() and not folder.is_dir()):
            raise InputError(f"--out must name a folder, got {self.out!r}")
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(f"--out {self.out} takes no files")
        return folder

    def _entries(
        self, functions: dict[str, Callable], dtypes: tuple[str, ...]
    ) -> Iterator[tuple[str, Callable, atlas.Entry]]:
        """The functions with what the analysis says of them."""
        # disable=None: hidden unless on a terminal.
        with tqdm(functions.items(), unit="function", leave=False, disable=None) as bar:
            for name, fn in bar:
                bar.set_description(name)
                row = find(fn)
                assert row is not None  # get() of a name gives a function of the table
                parameters = row.parameters | dict(fn.config if isinstance(fn, Configured) else ())
                found = atlas.portrait(fn, dtypes=dtypes, domain=row.domain)
                found = found._replace(why={key: why.replace(shown(fn), name) for key, why in found.why.items()})
                theirs = peers.function("jax.nn", name)
                zones = None if theirs is None else atlas.dead_regions(theirs, found)
                yield name, fn, atlas.Entry(name, row, parameters, found, zones)
                jax.clear_caches()  # the programs of 75 functions take 1.5 GB

    def _pictures(self, figure: Figure, part: SubFigure | None = None) -> list[bytes]:
        """A figure, and a part of it, as files."""
        if self.format == "svg":
            boxes = [None] if part is None else [None, part.bbox.transformed(figure.dpi_scale_trans.inverted())]
            return [_saved(figure, format="svg", bbox_inches=box, metadata={"Date": None}) for box in boxes]
        # A palette makes files three times smaller, and the difference cannot be seen.
        whole = Image.open(io.BytesIO(_saved(figure, format="png"))).convert("RGB")
        whole = whole.quantize(256, dither=Image.Dither.NONE)
        images = [whole]
        if part is not None:
            scale, box = whole.height / figure.bbox.height, part.bbox
            x = [round(scale * end) for end in (box.x0, box.x1)]
            y = [whole.height - round(scale * end) for end in (box.y1, box.y0)]
            images.append(whole.crop((x[0], y[0], x[1], y[1])))
        files = [io.BytesIO() for _ in images]
        for image, file in zip(images, files, strict=True):
            image.save(file, "PNG", optimize=True)
        return [file.getvalue() for file in files]

    def _write(self, folder: Path, stem: str, picture: bytes) -> None:
        with replacing(folder / f"{stem}.{self.format}") as file:
            file.write(picture)


def _saved(figure: Figure, **options: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, dpi=_RESOLUTION, **options)
    return file.getvalue()


def _about(dtypes: tuple[str, ...]) -> str:
    return (
        f"Saturated is where |f'| < 1 % of its largest value; dead is where f' is computed as exactly 0, in "
        f"{', '.join(dtypes)}. Gains and critical points are those of random networks. "
        f"Made by jaxact {jaxact.__version__} with jax {jax.__version__} on {jax.default_backend()}."
    )


def _curves(fn: Callable, found: atlas.Portrait) -> tuple[tuple, plotting.Curves, plotting.Curves]:
    """What the sheet shows, and the two curves of the page: f, f' and f'' near 0, and f' as far as it is steep."""
    orders = jax.jit(lambda x: [f(x) for f in (fn, jaxact.derivative(fn), jaxact.derivative(fn, 2))])
    ends = np.abs(found.edges)
    far = float(np.clip(1.3 * ends[ends < 1e3].max(initial=0), 6, 300))
    reach = 6.0
    if found.exact is not None and found.exact.roots.size > _WAVES and not ends.size:
        reach = far = min(reach, 1.1 * float(np.sort(np.abs(found.exact.roots))[_WAVES // 2]))  # a few waves
    low, high = found.domain
    near, wide = (np.linspace(max(low, -end), min(high, end), 1201, dtype=np.float32) for end in (reach, far))
    curves, slope = orders(near), orders(wide)[1]
    panel = (near, curves[0], curves[1], found.exact)
    if ends.size and np.ptp(curves[1]) < 0.1 * np.abs(curves[1]).max():  # it hardly bends so near to 0
        near, curves = wide, orders(wide)
    return panel, (near, curves), (wide, [slope])


def _page(entry: atlas.Entry, curves: plotting.Curves, slope: plotting.Curves) -> Figure:
    found = entry.portrait
    zones = dict(found.regions)
    for dtype, regions in (entry.theirs or {}).items():
        zones[f"jax.nn {dtype}"] = regions
    ends = np.concatenate([np.concatenate([r.dead, r.nan]).astype(float).ravel() for r in zones.values()] or [[]])
    ends = np.abs(ends[np.isfinite(ends)])
    far = max(min(1.15 * ends[ends < _FARTHEST].max(initial=0), _FARTHEST), float(np.abs(slope[0]).max()))
    limits = tuple(np.clip((-far, far), *found.domain).tolist())
    narrow = found.exact
    return plotting.page_figure(curves, slope, narrow, zones, atlas.told(entry), limits=limits, title=entry.name)
