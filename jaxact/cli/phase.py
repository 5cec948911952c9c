"""Command `phase`."""

import dataclasses
import math
from collections.abc import Callable
from typing import Annotated, Any

import jax
import numpy as np
import tyro
from tqdm import tqdm

from jaxact import mean_field
from jaxact.cli.names import named_functions, speaking_of
from jaxact.cli.output import check_files, print_json, print_table, write_csv
from jaxact.errors import InputError


@dataclasses.dataclass(frozen=True)
class Phase:
    """Draw the phases of deep random networks of an activation, by the scales of weights and biases.

    Weights have variance sigma_w^2 / fan-in, biases sigma_b^2. On the edge of chaos, chi_1 = 1, gradients keep
    their size from layer to layer; below, they vanish, and above, they explode. Where V' < 1, lengths go to q; at
    a critical point both stand still. The diagram is of signals that start with variance 1.

    Attributes:
      name: a name, with parameters if you like, as in "leaky_relu(negative_slope=0.2)".
      sigma_w: lowest and highest scale of the weights; by default around the edge of chaos.
      sigma_b: lowest and highest scale of the biases.
      points: values of each of them.
      out: picture to write, .png, .svg or .pdf.
      json: print one JSON object, and nothing else.
      csv: table to write, one row a point of the diagram.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    sigma_w: Annotated[tuple[float, ...], tyro.conf.arg(metavar="LOW HIGH")] = ()
    sigma_b: tuple[float, float] = (0.0, 1.0)
    points: int = 61
    out: str | None = None
    json: bool = False
    csv: str | None = None

    def run(self) -> int:
        """Computes, prints and draws."""
        ((name, fn),) = named_functions([self.name], "").items()
        self._check()
        sigma_b = np.linspace(*self.sigma_b, self.points)
        with speaking_of(name, fn):
            edge = mean_field.edge_of_chaos(fn, sigma_b=sigma_b)
            low, high = self.sigma_w or _around(edge)
            sigma_w = np.linspace(low, high, self.points)
            diagram = _diagram(name, fn, sigma_w, sigma_b)
        critical, reason = None, None
        try:
            with speaking_of(name, fn):
                critical = mean_field.critical_point(fn)
        except InputError as error:
            reason = str(error)
        if self.json:
            print_json(_facts(name, edge, critical, reason, diagram))
        else:
            _print(name, edge, critical, reason, diagram)
        written = []
        if self.csv is not None:
            written.append(write_csv(self.csv, *_grid(diagram)))
        if self.out is not None:
            from jaxact import plotting

            figure = plotting.phase_figure(diagram, edge=edge, critical=critical, title=name)
            written.append(plotting.save(figure, self.out))
        if not self.json:
            print(*written, sep="\n", end="\n" if written else "")
        return 0

    def _check(self) -> None:
        """Refuses now what would fail after the computing."""
        for option, ends in (("--sigma-w", self.sigma_w), ("--sigma-b", self.sigma_b)):
            good = len(ends) == 2 and all(map(math.isfinite, ends)) and 0 <= ends[0] < ends[1]
            if ends and not good:
                got = " ".join(f"{end:g}" for end in ends)
                raise InputError(f"{option} needs two finite numbers from 0 on, the lower first, got {got}")
        if not 2 <= self.points <= 500:
            raise InputError(f"--points must be from 2 to 500, got {self.points}")
        check_files(out=self.out, csv=self.csv)


def _diagram(name: str, fn: Callable, sigma_w: np.ndarray, sigma_b: np.ndarray) -> mean_field.PhaseDiagram:
    """The diagram, row by row, as a fine one takes minutes."""
    rows = []
    with tqdm(sigma_b, desc=name, unit="row", leave=False, disable=None) as bar:  # None: on a terminal alone
        for bias in bar:
            rows.append(mean_field.phase_diagram(fn, sigma_w=sigma_w, sigma_b=np.array([bias])))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *rows)


def _around(edge: mean_field.EdgeOfChaos) -> tuple[float, float]:
    """A window for the diagram."""
    at = edge.sigma_w[np.isfinite(edge.sigma_w)]
    return (0.5 * float(at.min()), 1.5 * float(at.max())) if at.size else (0.5, 3.0)


def _solutions(at: mean_field.EdgeOfChaos | mean_field.CriticalPoint) -> list[dict[str, Any]]:
    """One mapping a solution."""
    columns = at._asdict()
    there = np.isfinite(at.q).ravel()
    values = [np.asarray(column).ravel()[there].tolist() for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def _phases(diagram: mean_field.PhaseDiagram) -> np.ndarray:
    names = np.where(diagram.ordered, "ordered", "chaotic")
    return np.where(np.isinf(diagram.phase.q), "exploding", names)


def _grid(diagram: mean_field.PhaseDiagram) -> tuple[list[str], list[tuple]]:
    """Columns and rows of the diagram as a table."""
    columns = {"sigma_w": diagram.sigma_w, "sigma_b": diagram.sigma_b} | diagram.phase._asdict()
    columns["phase"] = _phases(diagram)
    return list(columns), list(zip(*(column.ravel().tolist() for column in columns.values()), strict=True))


def _facts(
    name: str,
    edge: mean_field.EdgeOfChaos,
    critical: mean_field.CriticalPoint | None,
    reason: str | None,
    diagram: mean_field.PhaseDiagram,
) -> dict[str, Any]:
    """All as JSON can hold it."""
    points = None if critical is None else _solutions(critical)
    grid = {key: column.tolist() for key, column in diagram.phase._asdict().items()}
    axes = {"sigma_w": diagram.sigma_w[0].tolist(), "sigma_b": diagram.sigma_b[:, 0].tolist()}
    facts = {"activation": name, "edge": _solutions(edge), "critical": points, "no_critical_point": reason}
    return facts | {"diagram": axes | grid | {"phase": _phases(diagram).tolist()}}


def _print(
    name: str,
    edge: mean_field.EdgeOfChaos,
    critical: mean_field.CriticalPoint | None,
    reason: str | None,
    diagram: mean_field.PhaseDiagram,
) -> None:
    """The tables for a terminal: of the edge of chaos not more than a dozen biases."""
    biases = np.unique(edge.sigma_b[np.isfinite(edge.sigma_b)])
    seen = biases[np.unique(np.linspace(0, biases.size - 1, min(11, biases.size)).round().astype(int))]
    rows = [solution for solution in _solutions(edge) if solution["sigma_b"] in seen]
    cells = [
        [f"{row[key]:.9g}" for key in ("sigma_b", "sigma_w", "q", "chi_1", "slope")]
        + ["yes" if row["stable"] else "no"]
        for row in rows
    ]
    print_table(("sigma_b", "sigma_w", "q", "chi_1", "V'(q)", "stable"), cells, title=f"{name}: edge of chaos")
    if not rows:
        print("It has none for these sigma_b.")
    if critical is None:
        print(f"no critical point: {reason}")
    for point in [] if critical is None else _solutions(critical):
        print("critical point: " + ", ".join(f"{key} {point[key]:.10g}" for key in ("sigma_w", "sigma_b", "q")))
    names, counts = np.unique(_phases(diagram), return_counts=True)
    w, b = diagram.sigma_w, diagram.sigma_b
    shares = ", ".join(f"{count / w.size:.0%} {name}" for name, count in zip(names, counts, strict=True))
    print(f"diagram: sigma_w {w.min():.4g} to {w.max():.4g}, sigma_b {b.min():.4g} to {b.max():.4g}: {shares}")
