"""Command `saturate`."""

import dataclasses
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from tqdm import tqdm

import jaxact
from jaxact.analysis.saturation import share_of_slope
from jaxact.cli.names import named_functions, speaking_of
from jaxact.cli.output import check_files, print_json, print_table, write_csv
from jaxact.errors import InputError

OURS = "jaxact"
_WHERE = ("activation", "of", "dtype")


class Found(NamedTuple):
    """Where one function is flat in one dtype, and the shares of N(0, 1) there: in each interval, and in all."""

    function: str
    who: str
    dtype: str
    regions: jaxact.SaturationRegions
    shares: dict[str, np.ndarray]
    total: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Saturate:
    """Find where activations are flat: where gradients are small, exactly 0, or not a number.

    Saturated intervals, roots and the largest slope are about the true derivative. Dead intervals and those of NaN
    are about the derivative as computed in a dtype: a dead one is 0 by mathematics, or the slope is lost there,
    to underflow or to rounding. Ends are right to the last digit of the dtype.

    Attributes:
      names: names, with parameters if you like, as in "leaky_relu(negative_slope=0.2)".
      dtype: what to compute in.
      threshold: what counts as saturated, as a share of the largest slope.
      vs: whose functions of the same name to look at too.
      domain: the interval to look at; needed for functions of unbounded slope, or that oscillate all the way.
      out: picture to write, .png, .svg or .pdf.
      range: lowest and highest input of the picture.
      json: print one JSON object a function and dtype, and nothing else.
      csv: table to write, one row an interval.
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    dtype: tuple[Literal["float32", "float64", "bfloat16", "float16"], ...] = ("float32",)
    threshold: float = 0.01
    vs: tuple[Literal["jax.nn"], ...] = ()
    domain: tuple[float, float] = (-math.inf, math.inf)
    out: str | None = None
    range: tuple[float, float] = (-10.0, 10.0)
    json: bool = False
    csv: str | None = None

    def run(self) -> int:
        """Finds the intervals, prints them and draws them."""
        found, functions = [], self._functions()
        for one in self._find(functions):
            found.append(one)
            if self.json:
                with tqdm.external_write_mode():  # the bar, if there is one, steps aside
                    print_json(self._facts(one))
        rows = [row for one in found for row in _rows(one)]
        if not self.json:
            _print(rows, self.threshold)
        written = []
        if self.csv is not None:
            columns = (*_WHERE, "region", "low", "high", "share_of_n01", "cause", "slope")
            written.append(write_csv(self.csv, columns, rows))
        if self.out is not None:
            written.append(self._draw(found, functions))
        if not self.json:
            print(*written, sep="\n", end="\n" if written else "")
        return 0

    def _functions(self) -> dict[tuple[str, str], Callable]:
        """What to look at, by name and whose it is; refuses now what would fail after the looking."""
        ours = named_functions(self.names, "jaxact saturate tanh gelu")
        share_of_slope(self.threshold)
        if not self.dtype:
            raise InputError("--dtype needs at least one of float32, float64, bfloat16 and float16")
        low, high = self.domain
        if not low < high:
            raise InputError(f"--domain needs two numbers, the lower first, got {low:g} {high:g}")
        left, right = self.range
        if not (math.isfinite(left) and math.isfinite(right) and left < right):
            raise InputError(f"--range needs two finite numbers, the lower first, got {left:g} {right:g}")
        if self.out is not None and not (low < right and left < high):
            raise InputError(f"--range {left:g} {right:g}, of the picture, must overlap --domain {low:g} {high:g}")
        check_files(out=self.out, csv=self.csv)
        functions = {}
        for name, fn in ours.items():
            functions[name, OURS] = fn
            for who in dict.fromkeys(self.vs):
                from jaxact.testing import peers

                if (theirs := peers.function(who, name)) is not None:
                    functions[name, who] = theirs
                else:
                    print(f"jaxact: {who} has no {name}", file=sys.stderr)
        return functions

    def _find(self, functions: dict[tuple[str, str], Callable]) -> Iterator[Found]:
        todo = [(*key, dtype, fn) for key, fn in functions.items() for dtype in dict.fromkeys(self.dtype)]
        with tqdm(todo, unit="function", leave=False, disable=None) as bar:  # None: hidden unless on a terminal
            for name, who, dtype, fn in bar:
                bar.set_description(f"{who} {name} {dtype}")
                with speaking_of(name if who == OURS else f"{who}.{name}", fn):
                    yield self._look(name, who, dtype, fn)

    def _look(self, name: str, who: str, dtype: str, fn: Callable) -> Found:
        regions = jaxact.saturation_regions(
            fn, threshold=self.threshold, dtype=jnp.dtype(dtype), domain=self.domain
        )
        shares = {
            kind: jaxact.normal_share(getattr(regions, kind).astype(np.float64))
            for kind in ("saturated", "dead", "nan")
        }
        whole = jaxact.saturation_shares([fn], dtypes=[dtype], regions=[[regions]])
        total = {kind: float(getattr(whole, kind)[0, 0]) for kind in ("saturated", "dead", "lost")}
        return Found(name, who, dtype, regions, shares, total)

    def _facts(self, found: Found) -> dict[str, Any]:
        """What was found as JSON can hold it."""
        regions = found.regions
        more = {
            "saturated": {"around_root": regions.around_root.tolist()},
            "dead": {"cause": regions.causes, "lost": regions.lost.tolist()},
            "nan": {},
        }
        intervals = {}
        for kind, columns in more.items():
            ends = getattr(regions, kind).astype(np.float64).T.tolist()
            columns = dict(zip(("low", "high"), ends, strict=True)) | {"share": found.shares[kind]} | columns
            intervals[kind] = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        about = {key: getattr(found, key) for key in ("function", "who", "dtype")}
        about |= {"threshold": self.threshold, "domain": self.domain}
        steepest = {"max_slope": float(regions.max_slope), "argmax": float(regions.argmax)}
        roots = {"roots": regions.roots.astype(np.float64).tolist(), "share": found.total}
        return about | {"jax": jax.__version__, "backend": jax.default_backend()} | steepest | intervals | roots

    def _draw(self, found: list[Found], functions: dict[tuple[str, str], Callable]) -> Path:
        from jaxact import plotting

        low, high = np.clip(self.range, *self.domain)
        x = np.linspace(low, high, 2001)
        panels = {}
        for one in found:
            # The line of float64 is that of float32.
            narrow = jnp.asarray(x, "float32" if one.dtype == "float64" else one.dtype)
            slope = jaxact.derivative(functions[one.function, one.who])(narrow)
            panels[f"{one.function} of {one.who}, {one.dtype}"] = (np.asarray(slope, float), one.regions)
        assert self.out is not None
        title = f"Slopes, and where they are saturated: |f'| < {self.threshold:g} max |f'|"
        return plotting.save(plotting.saturation_figure(x, panels, title=title), self.out)


def _rows(found: Found) -> Iterator[tuple]:
    """A row for each interval, for each root, and for the largest slope."""
    regions = found.regions
    about = (found.function, found.who, found.dtype)
    yield *about, "steepest", regions.argmax, regions.argmax, None, None, float(regions.max_slope)
    for ends, share, root in zip(regions.saturated, found.shares["saturated"], regions.around_root, strict=True):
        yield *about, "saturated", *ends, share, "root" if root else None, None
    for root in regions.roots:
        yield *about, "root", root, root, None, None, None
    for ends, share, cause, lost in zip(
        regions.dead, found.shares["dead"], regions.causes, regions.lost, strict=True
    ):
        yield *about, "dead", *ends, share, cause, lost
    for ends, share in zip(regions.nan, found.shares["nan"], strict=True):
        yield *about, "nan", *ends, share, None, None


def _print(rows: list[tuple], threshold: float) -> None:
    """The table for a terminal, as narrow as it can be; what it is about is said once."""
    cells, previous = [], None
    for *about, region, low, high, share, cause, slope in rows:
        name, who, dtype = about
        what = ("", "") if about == previous else (name if who == OURS else f"{who}.{name}", dtype)
        where = [_shortest(end) for end in ((low,) if high == low else (low, high))]
        where += [""] * (2 - len(where))
        numbers = ("" if share is None else f"{share:.2g}", "" if slope is None else f"{slope:.3g}")
        cells.append((*what, f"{region}: {cause}" if cause else region, *where, *numbers))
        previous = about
    title = (
        f"jax {jax.__version__} on {jax.default_backend()}. saturated: |f'| < {threshold:g} max |f'|; dead: f' is"
        " computed as 0, with the largest slope so lost; share: of N(0, 1) inputs"
    )
    print_table(("function", "dtype", "region", "from", "to", "share", "slope"), cells, title=title)


def _shortest(x: Any) -> str:
    """A number with the digits that tell it from others of its dtype."""
    return repr(float(str(x))).removesuffix(".0")
