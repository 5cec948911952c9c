"""Names of functions: by the name under which they were jitted, else by their values on a grid."""

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxact.catalog import ACTIVATIONS, Configured, get

GRID = np.concatenate([np.arange(-50, 51) / 8, [-0.0625, 0.03125, 9.5, -9.5, 21.0]]).astype(np.float32)
"""Where functions are compared: numbers that bfloat16 and float16 hold exactly."""

TOLERANCE = 2e-5
"""Error in 1 + |f| within which two functions are one; the two forms of GELU differ by 4.7e-4."""

_PROBES = (38, 54, 25, 70, 102)  # of the grid, where a wrong parameter shows first
_FINITE = 0.9  # share of the grid where a formula must have values: some have hardly any with odd parameters
_MOST = 20_000  # combinations of parameters that are tried of one function

_SPACE: dict[str, Any] = {
    name: getattr(math, name) for name in ("exp", "log", "sqrt", "tanh", "erf", "erfc", "sin")
}
_SPACE |= {
    "cos": math.cos,
    "atan": math.atan,
    "asinh": math.asinh,
    "abs": abs,
    "min": min,
    "max": max,
    "pi": math.pi,
    "__builtins__": {},
}
_NAMES = {alias: row.name for row in ACTIVATIONS.values() for alias in (row.name, *row.aliases)}


def by_call(name: str | None) -> str | None:
    """The catalogue's name of a jitted function's name, None if it has none."""
    return _NAMES.get(name or "")


def by_values(values: np.ndarray, tolerance: float) -> str | None:
    """The name, as `jaxact.get` takes it, of the function of the catalogue that has these values on the grid."""
    errors = {name: error(values, expected) for name, expected in _table().items()}
    name = min(errors, key=errors.__getitem__)
    return name if errors[name] <= tolerance else None


def by_parameters(
    values: np.ndarray, tolerance: float, numbers: Sequence[float], only: str | None = None
) -> str | None:
    """The name, with parameters, of a function of the catalogue that has these values on the grid.

    Args:
      values: on the grid.
      tolerance: error in 1 + |f|.
      numbers: what parameters are tried: these, their opposites and reciprocals, and the defaults.
      only: name of the one function to try.

    Returns:
      The name, as ``"elu(alpha=0.5)"``; of several the one with the fewest parameters set, then the nearest.
    """
    found = []
    probes = [(float(GRID[i]), float(values[i])) for i in _PROBES]
    for row in [ACTIVATIONS[only]] if only else ACTIVATIONS.values():
        code, defaults = _code(row.name), row.parameters
        for parameters in _choices(defaults, numbers):
            whole = defaults | parameters
            if not all(abs(y - _value(code, x, whole)) <= tolerance * (1 + abs(y)) for x, y in probes):
                continue
            expected = _on_grid(code, whole)
            difference = error(values, expected)
            if difference <= tolerance and np.isfinite(expected).mean() > _FINITE:
                name = str(Configured(row.name, tuple(parameters.items())))
                found.append((len(parameters), difference, len(found), name))
    return min(found)[-1] if found else None


def has_values(name: str, values: np.ndarray, tolerance: float) -> bool:
    """Whether a name of the catalogue, perhaps with parameters, is of a function with these values on the grid."""
    if name not in _table():
        fn = get(name)
        assert isinstance(fn, Configured)
        row = ACTIVATIONS[fn.name]
        return error(values, _on_grid(_code(row.name), row.parameters | dict(fn.config))) <= tolerance
    return error(values, _table()[name]) <= tolerance


def error(values: np.ndarray, expected: np.ndarray) -> float:
    """Largest error in 1 + |f| where there is a true value; infinite if one of the values is no number."""
    known = np.isfinite(expected)
    if not np.isfinite(values[known]).all():
        return math.inf
    return float((np.abs(values - expected)[known] / (1 + np.abs(expected[known]))).max(initial=0.0))


def shortest(number: Any) -> float:
    """The shortest decimal that is a number in its dtype: 0.3 for the float32 0.30000001192."""
    value, dtype = float(number), jnp.asarray(number).dtype
    texts = (float(f"{value:.{digits}g}") for digits in range(1, 17))
    return next((x for x in texts if float(jnp.asarray(x, dtype)) == value), value)


def _choices(defaults: dict[str, Any], numbers: Sequence[float]) -> Iterator[dict[str, float]]:
    """Parameters that differ from the defaults; switches are none."""
    defaults = {key: value for key, value in defaults.items() if not isinstance(value, bool)}
    more = [m for n in numbers for m in (n, -n, 1 / n)]
    for tried in (list(dict.fromkeys(more)), list(numbers)):
        if defaults and (1 + len(tried)) ** len(defaults) <= _MOST:
            for values in itertools.product((None, *tried), repeat=len(defaults)):
                chosen = dict(zip(defaults, values, strict=True))
                parameters = {key: x for key, x in chosen.items() if x is not None and x != defaults[key]}
                if parameters:
                    yield parameters
            return


@functools.cache
def _table() -> dict[str, np.ndarray]:
    """Values on the grid by the catalogue's formulas; NaN where the formula has none."""
    exact = ACTIVATIONS["gelu"].parameters | {"approximate": False}
    table = {name: _on_grid(_code(name), row.parameters) for name, row in ACTIVATIONS.items()}
    return table | {"gelu(approximate=False)": _on_grid(_code("gelu"), exact)}


@functools.cache
def _code(name: str) -> Any:
    return compile(ACTIVATIONS[name].formula, name, "eval")


def _on_grid(code: Any, parameters: dict[str, Any]) -> np.ndarray:
    return np.array([_value(code, float(x), parameters) for x in GRID])


def _value(code: Any, x: float, parameters: dict[str, Any]) -> float:
    try:
        return float(eval(code, _SPACE, parameters | {"x": x}))
    except (ValueError, OverflowError, ZeroDivisionError, NameError, TypeError):
        return math.nan
