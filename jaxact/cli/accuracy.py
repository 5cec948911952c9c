"""Command `accuracy`."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import jax
import ml_dtypes
import numpy as np
import tyro
from tqdm import tqdm

import jaxact
from jaxact.cli.output import print_json, print_table
from jaxact.errors import InputError
from jaxact.testing import measure

OURS = "jaxact"
_ORDERS = {"f": "f", "df": "f'", "d2f": "f''"}
_BLANK = "\u00a0"  # as wide as a mark, and not stripped


class Result(NamedTuple):
    """What was measured of one function.

    Attributes:
      function: name of the activation, with its parameters.
      who: whose function, jaxact's or a peer's.
      dtype: name of the dtype.
      accuracy: the largest errors.
    """

    function: str
    who: str
    dtype: str
    accuracy: measure.Accuracy

    @property
    def passed(self) -> tuple[bool, ...]:
        """Which orders are within the bar."""
        return measure.BARS[self.dtype].passed(self.accuracy)


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """Measure how exact activations and their derivatives are, ours and those of others.

    The largest error of f, f' and f'' in units of the last place (ulp), against true values with proven bounds: at
    all inputs of a dtype of 16 bits, else across all magnitudes and around kinks, roots and changes of formula.
    The exit code is 1 if one of jaxact's own is over its bar.

    Attributes:
      names: names, with parameters if you like; by default all activations.
      dtype: what to compute in.
      peers: whose functions of the same name to measure too; --peers alone means nobody's.
      dense: inputs in each of the dense stretches up to 1.5, 12 and 120; dtypes of 16 bits are measured at all.
      json: print one JSON object a measurement, and nothing else.
      markdown: print tables for a README.
      figure: picture of the errors of the named functions to write, .png, .svg or .pdf.
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[NAME ...]")] = ()
    dtype: tuple[Literal["float32", "float64", "bfloat16", "float16"], ...] = ("float32",)
    peers: tuple[Literal["jax.nn", "torch", "keras", "tf"], ...] = ("jax.nn",)
    dense: int = 601
    json: bool = False
    markdown: bool = False
    figure: str | None = None

    def run(self) -> int:
        """Measures, prints and draws."""
        self._check()
        # Aliases and other spellings of one function are one.
        names = tuple(dict.fromkeys(jaxact.serialize(jaxact.get(name)) for name in self.names))
        results, panels = [], {}
        for result, values, samples in self._measure(names or tuple(jaxact.ACTIVATIONS)):
            results.append(result)
            if self.figure is not None:
                _add_panel(panels, result, values, samples)
            if self.json:
                with tqdm.external_write_mode():  # the bar, if there is one, steps aside
                    print_json(_facts(result))
        if self.markdown:
            _print_markdown(results)
        elif not self.json:
            for dtype in dict.fromkeys(self.dtype):
                _print([r for r in results if r.dtype == dtype], dtype)
        if self.figure is not None:
            from jaxact import plotting

            path = plotting.save(plotting.errors_figure(panels), self.figure)
            if not (self.json or self.markdown):
                print(path)
        return 0 if all(all(result.passed) for result in results if result.who == OURS) else 1

    def _check(self) -> None:
        """Refuses now what would fail after the measuring."""
        if self.json and self.markdown:
            raise InputError("--json and --markdown exclude each other")
        if not self.dtype:
            raise InputError("--dtype needs at least one of float32, float64, bfloat16 and float16")
        if self.dense < 1:
            raise InputError(f"--dense must be at least 1, got {self.dense}")
        if self.figure is not None:
            from jaxact import plotting

            plotting.format_of(self.figure)
            if not self.names:
                raise InputError("--figure needs names, as in: jaxact accuracy gelu --figure accuracy.png")

    def _measure(self, names: tuple[str, ...]) -> Iterator[tuple[Result, Sequence[np.ndarray], measure.Samples]]:
        """Measures us and the peers, each function and dtype against the same true values."""
        find = _peers(self.peers)
        todo = [(name, dtype) for dtype in dict.fromkeys(self.dtype) for name in names]
        with tqdm(todo, unit="function", leave=False, disable=None) as bar:  # None: hidden unless on a terminal
            for name, dtype in bar:
                bar.set_description(f"{name} {dtype}")
                samples = measure.samples_of(name, dtype, dense=self.dense)
                ours = jaxact.get(name)
                found = {OURS: measure.results_of(ours, samples.xs)}
                with measure.precision(dtype):
                    for who in dict.fromkeys(self.peers):
                        if (peer := find(who, name)) is not None:
                            found[who] = peer(samples.xs)
                for who, values in found.items():
                    yield Result(name, who, dtype, measure.compare(values, samples)), values, samples


def _peers(wanted: tuple[str, ...]) -> Callable[[str, str], Callable | None]:
    """The way to a peer's function; without peers nothing of theirs is imported."""
    if not wanted:
        return lambda who, name: None
    from jaxact.testing import peers

    for who in wanted:
        if who not in peers.available():
            raise InputError(f"{who} is not installed: pip install 'jaxact[peers]'")
    return peers.peer


def _facts(result: Result) -> dict[str, Any]:
    """A result as JSON can hold it."""
    bar = measure.BARS[result.dtype]
    keys = ("ulp", "x", "got", "true", "rounded", "bar_ulp", "bar_rounded", "ok")
    columns = zip(*result.accuracy, *bar, result.passed, strict=True)
    orders = {order: dict(zip(keys, column, strict=True)) for order, column in zip(_ORDERS, columns, strict=True)}
    about = {"function": result.function, "who": result.who, "dtype": result.dtype}
    return about | {"jax": jax.__version__, "backend": jax.default_backend()} | orders


def _ulp(error: float, got: float) -> str:
    """An error in few characters: 0.50, 12.3, 1.7e7, or what the result is instead of a number."""
    if not math.isfinite(error):
        return f"{got:g}"
    if error < 9999.5:
        return "0" if error == 0 else f"{error:.2f}" if error < 10 else f"{error:.0f}"
    digits, _, power = f"{error:.1e}".partition("e")
    return f"{digits}e{int(power)}"


def _summary(results: list[Result], dtype: str) -> str:
    """The bar in words, and how many are within it."""
    bar, whole = measure.BARS[dtype], {}
    for result in results:
        whole.setdefault(result.who, []).append(all(result.passed))
    share = f", with {bar.rounded[0]:.0%} of f and f' correctly rounded" if any(bar.rounded) else ""
    counts = ", ".join(f"{who} {sum(each)} of {len(each)}" for who, each in whole.items())
    value, first, second = bar.ulp
    return f"Bar: {value:g}, {first:g} and {second:g} ulp for f, f' and f''{share}. Within it: {counts}."


def _print(results: list[Result], dtype: str) -> None:
    """The table for a terminal."""
    narrow = any(measure.BARS[dtype].rounded)
    heads = [(name, "at x", "rounded") if narrow else (name, "at x") for name in _ORDERS.values()]
    rows = []
    for previous, result in zip([None, *results], results, strict=False):
        name = "" if previous is not None and previous.function == result.function else result.function
        cells = []
        for error, x, got, _, share, ok in zip(*result.accuracy, result.passed, strict=True):
            mark = _BLANK if ok else "!"
            cells += [f"{_ulp(error, got)} {mark}", f"{x:.3g}" if error else ""]
            cells += [f"{share:.2%}"] if narrow else []
        rows.append((name, result.who, *cells))
    columns = ("activation", "of", *(word for head in heads for word in head))
    where = f"{dtype}, jax {jax.__version__} on {jax.default_backend()}"
    print_table(columns, rows, title=f"{where}: largest error in ulp; ! is over the bar")
    print(_summary(results, dtype) + "\n")


def _print_markdown(results: list[Result]) -> None:
    """Tables for a README, one for us and one for each peer: three columns a dtype, bold what is over the bar."""
    found = {(result.who, result.dtype, result.function): result for result in results}
    dtypes = list(dict.fromkeys(result.dtype for result in results))
    for who in dict.fromkeys(result.who for result in results):
        print(f"Largest error of {who} in ulp, jax {jax.__version__} on {jax.default_backend()}.", end="")
        print(" **Bold** is over the bar.\n")
        heads = [f"{dtype} {order}" if order == "f" else order for dtype in dtypes for order in ("f", "f′", "f″")]
        print(f"| function | {' | '.join(heads)} |\n|---{'|---:' * len(heads)}|")
        for function in dict.fromkeys(result.function for result in results if result.who == who):
            cells = [f"`{function}`"]
            for dtype in dtypes:
                result = found.get((who, dtype, function))
                cells += ["–"] * 3 if result is None else _markdown_cells(result)
            print(f"| {' | '.join(cells)} |")
        print()
    for dtype in dtypes:
        print(f"{dtype}. {_summary([r for r in results if r.dtype == dtype], dtype)}\n")


def _markdown_cells(result: Result) -> Iterator[str]:
    accuracy = result.accuracy
    for error, got, true, ok in zip(accuracy.ulp, accuracy.got, accuracy.true, result.passed, strict=True):
        lost = math.isfinite(got) and abs(got - true) >= abs(true) / 2 and not ok
        text = "all lost" if lost else _ulp(error, got)
        yield text if ok else f"**{text}**"


def _add_panel(panels: dict, result: Result, values: Sequence[np.ndarray], samples: measure.Samples) -> None:
    """Adds a result to what `plotting.errors_figure` draws."""
    info, bar = ml_dtypes.finfo(result.dtype), measure.BARS[result.dtype]
    # Beyond, the functions are constant or linear, or overflow: the exponential leaves the numbers of float32 at
    # 104 and those of float64 at 746.
    seen = np.abs(samples.xs.astype(np.float64)) <= (1000 if info.bits == 64 else 128)
    allowed = [np.maximum(most, slack[seen]) for most, slack in zip(bar.ulp, samples.slack, strict=True)]
    panel = (samples.xs[seen], {}, allowed, 1 / float(info.eps))
    errors = [error[seen] for error in measure.errors_of(values, samples)]
    panels.setdefault(f"{result.function}\n{result.dtype}", panel)[1][result.who] = errors
