"""Names of functions: by the name under which they were jitted, else by their values."""

import functools
import math
import weakref
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxact.catalog import ACTIVATIONS

GRID = np.concatenate([np.arange(-50, 51) / 8, [-0.0625, 0.03125, 9.5, -9.5, 21.0]]).astype(np.float32)
"""Where functions are compared: numbers that bfloat16 and float16 hold exactly."""

TOLERANCE = 2e-5
"""Error in 1 + |f| within which two functions are one; the two forms of GELU differ by 4.7e-4."""

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
}
_ON_GRID: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # each compiles, and is asked for again
_NAMES = {alias: row.name for row in ACTIVATIONS.values() for alias in (row.name, *row.aliases)}


def by_call(name: str | None) -> str | None:
    """The catalogue's name of a jitted function's name, None if it has none."""
    return _NAMES.get(name or "")


def agrees(fn: Callable, name: str) -> bool:
    """Whether ``fn`` has the values of a function of the catalogue with its default parameters."""
    values, tolerance = _on_grid(fn)
    return _error(values, _table()[name]) <= tolerance


def name_of(fn: Callable, call: str | None) -> str | None:
    """The name of a function, perhaps jitted under a name: by its values if they are known, else by that name."""
    name = by_call(call)
    return name if name is not None and agrees(fn, name) else by_values(fn) or name


def by_values(fn: Callable) -> str | None:
    """The name, as `jaxact.get` takes it, of the function of the catalogue that agrees with ``fn`` on a grid."""
    values, tolerance = _on_grid(fn)
    errors = {name: _error(values, expected) for name, expected in _table().items()}
    name = min(errors, key=errors.__getitem__)
    return name if errors[name] <= tolerance else None


def _on_grid(fn: Callable) -> tuple[np.ndarray, float]:
    """Values on the grid, and how far from the true ones their dtype may put them."""
    if fn not in _ON_GRID:
        values = jax.jit(fn)(GRID)
        tolerance = max(TOLERANCE, float(jnp.finfo(values.dtype).eps))
        _ON_GRID[fn] = np.asarray(values).astype(np.float64), tolerance
    return _ON_GRID[fn]


def _error(values: np.ndarray, expected: np.ndarray) -> float:
    """Largest error in 1 + |f| where there is a true value; infinite if one of the values is no number."""
    known = np.isfinite(expected)
    if not np.isfinite(values[known]).all():
        return math.inf
    return float((np.abs(values - expected)[known] / (1 + np.abs(expected[known]))).max())


@functools.cache
def _table() -> dict[str, np.ndarray]:
    """Values on the grid by the catalogue's formulas; NaN where the formula has none."""
    specs = [(name, row, row.parameters) for name, row in ACTIVATIONS.items()]
    gelu = ACTIVATIONS["gelu"]
    specs.append(("gelu(approximate=False)", gelu, gelu.parameters | {"approximate": False}))
    return {
        name: np.array([_value(row.formula, float(x), parameters) for x in GRID])
        for name, row, parameters in specs
    }


def _value(formula: str, x: float, parameters: dict[str, Any]) -> float:
    try:
        return float(eval(formula, {"__builtins__": {}}, _SPACE | parameters | {"x": x}))
    except (ValueError, OverflowError, ZeroDivisionError, NameError, TypeError):
        return math.nan
