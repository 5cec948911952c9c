"""Commands `list`, `show` and `plot`."""

import dataclasses
import math
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import jaxact
from jaxact.catalog import Configured, find
from jaxact.catalog.specs import elsewhere
from jaxact.cli.output import print_json, print_table
from jaxact.errors import InputError


def _facts(row: jaxact.Activation) -> dict:
    """A row of the table without the function, as JSON can hold it."""
    facts = {field.name: getattr(row, field.name) for field in dataclasses.fields(row) if field.name != "function"}
    return facts | {"parameters": row.parameters, "frameworks": dict(elsewhere()[row.name])}


def _frameworks(row: jaxact.Activation) -> str:
    """Who has it, and with which parameters where they are not jaxact's."""
    who: dict[str, list[str]] = {}
    known = set()
    for foreign, spec in sorted(elsewhere()[row.name].items(), key=lambda item: item[1]):
        framework = foreign.partition(":")[0]
        same = who.setdefault(spec.removeprefix(row.name).strip("()"), [])
        if framework not in same:
            same.append(foreign if framework in known else framework)
        known.add(framework)
    return "; ".join(" ".join(same) + (config and f": {config}") for config, same in who.items())


def _interval(low: float, high: float) -> str:
    return f"{low:.6g} to {high:.6g}"


@dataclasses.dataclass(frozen=True)
class List:
    """List the activations with their facts.

    Attributes:
      json: print one JSON object an activation, and nothing else.
    """

    json: bool = False

    def run(self) -> int:
        """Prints the table."""
        rows = jaxact.ACTIVATIONS.values()
        if self.json:
            for row in rows:
                print_json(_facts(row))
            return 0
        cells = [
            (
                row.name,
                ", ".join(row.aliases),
                ", ".join(f"{key}={value}" for key, value in row.parameters.items()),
                _interval(*row.range),
                "yes" if row.monotone else "no",
                " ".join(f"{kink:g}" for kink in row.kinks),
                f"{row.derivative_at_0:.4g}",
                row.paper or "",
                _frameworks(row),
            )
            for row in rows
        ]
        header = ("name", "aliases", "parameters", "range", "monotone", "kinks", "f'(0)", "paper", "frameworks")
        print_table(header, cells, title=f"{len(cells)} activations")
        return 0


@dataclasses.dataclass(frozen=True)
class Show:
    """Show one activation: formula, facts, values and derivatives.

    Attributes:
      name: a name, with parameters if you like, as in "leaky_relu(negative_slope=0.2)".
      at: inputs to evaluate at.
      json: print one JSON object, and nothing else.
    """

    name: Annotated[str, tyro.conf.Positional]
    at: tuple[float, ...] = (-10.0, -4.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 4.0, 10.0)
    json: bool = False

    def run(self) -> int:
        """Prints the facts and the values."""
        fn = jaxact.get(self.name)
        row = find(fn)
        assert row is not None  # get() of a name gives a function of the table
        parameters = row.parameters | dict(fn.config if isinstance(fn, Configured) else ())
        orders = fn, jaxact.derivative(fn), jaxact.derivative(fn, 2)
        values = [np.asarray(y).tolist() for y in jax.jit(lambda x: [f(x) for f in orders])(jnp.asarray(self.at))]
        if self.json:
            print_json(
                _facts(row)
                | {
                    "parameters": parameters,
                    "x": list(self.at),
                    **dict(zip(("f", "df", "d2f"), values, strict=True)),
                }
            )
            return 0
        facts = {
            "name": jaxact.serialize(fn),
            "formula": row.formula,
            "parameters": ", ".join(f"{key}={value}" for key, value in parameters.items()) or "none",
            "range": _interval(*row.range),
            "monotone": "yes" if row.monotone else "no",
            "not differentiable at": " ".join(f"{kink:g}" for kink in row.kinks) or "differentiable everywhere",
            "derivative at 0": f"{row.derivative_at_0:.9g}",
            "aliases": ", ".join(row.aliases) or "none",
            "paper": row.paper or "none",
        }
        for key, value in (facts | elsewhere()[row.name]).items():
            print(f"{key:<24}{value}")
        if isinstance(fn, Configured):
            print(f"{'':<24}(range, kinks and slope are those of the default parameters)")
        cells = [(f"{a:g}", *(f"{v:.7g}" for v in column)) for a, *column in zip(self.at, *values, strict=True)]
        print_table(("x", "f(x)", "f'(x)", "f''(x)"), cells)
        return 0


@dataclasses.dataclass(frozen=True)
class Plot:
    """Plot activations and their derivatives, one pane an order.

    Attributes:
      names: names, with parameters if you like.
      order: orders of the derivatives, from 0, the function itself, to 4.
      range: lowest and highest input.
      out: picture to write, .png, .svg or .pdf.
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    order: tuple[int, ...] = (0, 1)
    range: tuple[float, float] = (-6.0, 6.0)
    out: str = "activations.png"

    def run(self) -> int:
        """Draws the picture and prints where it is."""
        from jaxact import plotting

        low, high = self.range
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise InputError(f"--range needs two finite numbers, the lower first, got {low:g} {high:g}")
        for order in self.order:
            if order not in range(5):
                raise InputError(f"--order must be from 0, the function itself, to 4, got {order}")
        if not self.names or not self.order:
            raise InputError(
                "name at least one activation and one order, as in: jaxact plot relu tanh --order 0 1"
            )
        x = jnp.linspace(low, high, 2001)
        fns = {name: jaxact.get(name) for name in self.names}
        curves = {
            order: {name: (jaxact.derivative(fn, order) if order else fn)(x) for name, fn in fns.items()}
            for order in self.order
        }
        print(plotting.save(plotting.curves_by_order_figure(x, curves), self.out))
        return 0
