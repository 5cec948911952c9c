"""How exact a function is: the largest error of the value and of two derivatives, in a dtype."""

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax.typing import DTypeLike

from jaxact.analysis.derivatives import derivative
from jaxact.catalog import Configured, find, get, serialize
from jaxact.errors import InputError, shown
from jaxact.testing import ulp
from jaxact.testing.bars import BARS as BARS
from jaxact.testing.bars import INPUT_ULP, Accuracy
from jaxact.testing.bars import Bar as Bar
from jaxact.testing.reference import Truth, truth

ORDERS = 3
_MAGNITUDES = (0.25, 0.5, math.log(2), 1, 2, 3, 6, 20, 30, 60, 64, 87, 88.5, 600, 708)
SWITCHES = tuple(sign * magnitude for magnitude in _MAGNITUDES for sign in (-1, 1))
"""Inputs around which functions are wont to change their formula, or the exponential leaves the normal numbers."""


class Samples(NamedTuple):
    """Inputs with true results.

    Attributes:
      xs: inputs of the dtype to measure in, sorted, [n].
      truth: true value and derivatives.
      slack: allowed error next to isolated roots, in units of the last place; 0 elsewhere, [3, n].
    """

    xs: np.ndarray
    truth: Truth
    slack: np.ndarray


def sample(
    formula: str,
    parameters: Mapping[str, Any],
    dtype: DTypeLike,
    *,
    kinks: tuple[float, ...] = (),
    domain: tuple[float, float] = (-math.inf, math.inf),
    dense: int = 601,
    stride: int = 1,
) -> Samples:
    """Inputs across every binade, around kinks, roots and switch-over points, with their true results.

    And where results leave the normal numbers, lest something on the way be flushed before.

    For dtypes of 16 bits these are all inputs there are, unless there is a stride.

    Args:
      formula: Python expression, see `jaxact.testing.reference`.
      parameters: values of the parameters.
      dtype: of the inputs.
      kinks: inputs to leave out, for there is no derivative.
      domain: open interval of the inputs.
      dense: number of inputs in each of the dense stretches.
      stride: of the inputs of a dtype of 16 bits every so manieth is taken.
    """
    smallest = float(ml_dtypes.finfo(dtype).smallest_normal)

    def evaluate(xs: np.ndarray) -> tuple[np.ndarray, Truth]:
        wide = xs.astype(np.float64)
        xs = xs[(domain[0] < wide) & (wide < domain[1]) & ~np.isin(wide, kinks) & ulp.normal(xs)]
        return xs, truth(formula, parameters, xs, smallest)

    if jnp.dtype(dtype).itemsize == 2:
        xs, exact = evaluate(every(dtype)[::stride])
    else:
        xs, exact = evaluate(ulp.points(dtype, (*kinks, *SWITCHES), dense=dense))
        found = np.concatenate([ulp.roots(xs, exact, order) for order in range(ORDERS)])
        found = found[np.abs(found) < 200]
        more = [ulp.fades(xs, exact, order, kinks)[:1000].astype(dtype) for order in range(ORDERS)]
        if found.size:
            more.append(ulp.points(dtype, tuple(found[:: max(1, found.size // 40)]), dense=0, per_binade=0))
        xs, exact = evaluate(np.unique(np.concatenate([xs, *more]).astype(dtype)))
    slack = [ulp.root_slack(xs, exact, order, dtype, INPUT_ULP) for order in range(ORDERS)]
    return Samples(xs, exact, np.array(slack))


def every(dtype: DTypeLike) -> np.ndarray:
    """All finite numbers of a dtype of 16 bits, sorted."""
    xs = np.arange(2**16, dtype=np.uint16).view(jnp.dtype(dtype))
    xs = xs[np.isfinite(xs.astype(np.float32))]
    return xs[np.argsort(xs.astype(np.float32), kind="stable")]


def samples_of(spec: str | Callable, dtype: DTypeLike, *, dense: int = 601, stride: int = 1) -> Samples:
    """Samples of an activation of jaxact, from its row of the table.

    The true values are those for the parameters that the function computes with, which it rounds to float32 unless
    the inputs are float64.

    Args:
      spec: a name, with parameters if you like ("gelu(approximate=False)"), or what `jaxact.get` made of one.
      dtype: of the inputs.
      dense: number of inputs in each of the dense stretches.
      stride: of the inputs of a dtype of 16 bits every so manieth is taken.

    Raises:
      InputError: if ``spec`` is no activation of jaxact, or its parameters leave the formula without a value.
    """
    fn = get(spec)
    row = find(fn)
    if row is None:
        raise InputError(f"{shown(spec)} is not an activation of jaxact: there is no formula to hold it against")
    computed = np.float64 if jnp.dtype(dtype) == np.float64 else np.float32
    given = dict(fn.config) if isinstance(fn, Configured) else {}
    with np.errstate(over="ignore"):
        parameters = {
            key: value if isinstance(value, bool) else float(computed(value))
            for key, value in (row.parameters | given).items()
        }
    if not all(map(math.isfinite, parameters.values())):
        raise InputError(f"{serialize(fn)} has a parameter that is infinite in {np.dtype(computed)}")
    # The table's kinks are those of the default parameters. Where others kink is not known, but it is at their
    # values, of either sign, if they are thresholds; and nothing is lost by leaving out two inputs.
    moved = [sign * parameters[key] for key in given for sign in (-1, 1) if not isinstance(given[key], bool)]
    kinks = (*(float(computed(kink)) for kink in row.kinks), *moved)
    try:
        return sample(row.formula, parameters, dtype, kinks=kinks, domain=row.domain, dense=dense, stride=stride)
    except ArithmeticError as error:
        raise InputError(f"{serialize(fn)} cannot be held against its formula: {error}") from error


def precision(dtype: DTypeLike) -> contextlib.AbstractContextManager:
    """JAX's float64 mode for float64, which it would take for float32 otherwise; nothing for other dtypes."""
    return jax.enable_x64(True) if jnp.dtype(dtype) == np.float64 else contextlib.nullcontext()


def results_of(fn: Callable, xs: np.ndarray) -> list[np.ndarray]:
    """Value, first and second derivative of a function of JAX, the derivatives by `jax.grad`.

    Args:
      fn: elementwise function of one array.
      xs: inputs, [n]; float64 is computed in float64.
    """
    with precision(xs.dtype):
        inputs = jnp.asarray(xs)
        return [np.asarray(jax.jit(f)(inputs)) for f in (fn, derivative(fn), derivative(fn, 2))]


def measure(fn: Callable, samples: Samples) -> Accuracy:
    """The errors of a function of JAX and of its derivatives by `jax.grad`.

    Args:
      fn: elementwise function of one array.
      samples: where, and what is true.
    """
    return compare(results_of(fn, samples.xs), samples)


def errors_of(results: Sequence[np.ndarray], samples: Samples) -> list[np.ndarray]:
    """The error of every result in units of the last place, [n] for each order; slack is not yet granted.

    Args:
      results: value, first and second derivative at the samples' inputs; fewer are fine.
      samples: where, and what is true.
    """
    return [ulp.errors(got, samples.truth, order, samples.xs.dtype) for order, got in enumerate(results)]


def compare(results: Sequence[np.ndarray], samples: Samples) -> Accuracy:
    """The errors of results, whoever computed them.

    Args:
      results: value, first and second derivative at the samples' inputs; fewer are fine.
      samples: where, and what is true.
    """
    columns = []
    for order, off in enumerate(errors_of(results, samples)):
        charged = np.where(off <= samples.slack[order], np.minimum(off, 0.5), off)
        i = int(charged.argmax())
        columns.append(
            (
                float(charged[i]),
                float(samples.xs[i]),
                float(results[order][i]),
                float(samples.truth.high[order, i]),
                float(np.mean(off <= 0.5)),
            )
        )
    return Accuracy(*zip(*columns, strict=True))
