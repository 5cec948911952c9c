"""How exact a function is: the largest error of the value and of two derivatives, in a dtype."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax.typing import DTypeLike

from jaxact.analysis.derivatives import derivative
from jaxact.testing import ulp
from jaxact.testing.reference import Truth, truth

ORDERS = 3
_MAGNITUDES = (0.25, 0.5, math.log(2), 1, 2, 3, 6, 20, 30, 60, 64, 87, 88.5, 600, 708)
SWITCHES = tuple(sign * magnitude for magnitude in _MAGNITUDES for sign in (-1, 1))
"""Inputs around which functions are wont to change their formula, or the exponential leaves the normal numbers."""

INPUT_ULP = 2
"""Next to a root, what a change of the input by so many units makes is right enough."""


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


class Accuracy(NamedTuple):
    """Errors of the value and of the first and second derivative, at the worst inputs.

    Attributes:
      ulp: largest errors in units of the last place, where no slack of a root covers it.
      x: inputs where they are.
      got: results there.
      true: true results there.
      rounded: shares of the results that are correctly rounded.
    """

    ulp: tuple[float, ...]
    x: tuple[float, ...]
    got: tuple[float, ...]
    true: tuple[float, ...]
    rounded: tuple[float, ...]


def sample(
    formula: str,
    parameters: Mapping[str, Any],
    dtype: DTypeLike,
    *,
    kinks: tuple[float, ...] = (),
    domain: tuple[float, float] = (-math.inf, math.inf),
    dense: int = 601,
) -> Samples:
    """Inputs across every binade, around kinks, roots and switch-over points, with their true results.

    For dtypes of 16 bits these are all inputs there are.

    Args:
      formula: Python expression, see `jaxact.testing.reference`.
      parameters: values of the parameters.
      dtype: of the inputs.
      kinks: inputs to leave out, for there is no derivative.
      domain: open interval of the inputs.
      dense: number of inputs in each of the dense stretches.
    """
    smallest = float(ml_dtypes.finfo(dtype).smallest_normal)

    def evaluate(xs: np.ndarray) -> tuple[np.ndarray, Truth]:
        wide = xs.astype(np.float64)
        xs = xs[(domain[0] < wide) & (wide < domain[1]) & ~np.isin(wide, kinks) & ~_subnormal(wide, dtype)]
        return xs, truth(formula, parameters, xs, smallest)

    if jnp.dtype(dtype).itemsize == 2:
        xs, exact = evaluate(every(dtype))
    else:
        xs, exact = evaluate(ulp.points(dtype, (*kinks, *SWITCHES), dense=dense))
        found = np.concatenate([ulp.roots(xs, exact, order) for order in range(ORDERS)])
        found = found[np.abs(found) < 200]
        if found.size:
            more = ulp.points(dtype, tuple(found[:: max(1, found.size // 40)]), dense=0, per_binade=0)
            xs, exact = evaluate(np.union1d(xs, more).astype(dtype))
    slack = [
        np.where(ulp.near(xs, ulp.roots(xs, exact, order)), ulp.input_slack(xs, exact, order, dtype, INPUT_ULP), 0)
        for order in range(ORDERS)
    ]
    return Samples(xs, exact, np.array(slack))


def every(dtype: DTypeLike) -> np.ndarray:
    """All finite numbers of a dtype of 16 bits, sorted."""
    xs = np.arange(2**16, dtype=np.uint16).view(jnp.dtype(dtype))
    xs = xs[np.isfinite(xs.astype(np.float32))]
    return xs[np.argsort(xs.astype(np.float32), kind="stable")]


def _subnormal(x: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """XLA reads subnormal inputs as 0 on a CPU, except those that it widens first."""
    return (x != 0) & (np.abs(x) < float(ml_dtypes.finfo(dtype).smallest_normal))


def measure(fn: Callable, samples: Samples) -> Accuracy:
    """The errors of a function of JAX and of its derivatives by `jax.grad`.

    Args:
      fn: elementwise function of one array.
      samples: where, and what is true.
    """
    xs = jnp.asarray(samples.xs)
    results = [np.asarray(jax.jit(f)(xs)) for f in (fn, derivative(fn), derivative(fn, 2))]
    return compare(results, samples)


def compare(results: list[np.ndarray], samples: Samples) -> Accuracy:
    """The errors of results, whoever computed them.

    Args:
      results: value, first and second derivative at the samples' inputs; fewer are fine.
      samples: where, and what is true.
    """
    columns = []
    for order, got in enumerate(results):
        off = ulp.errors(got, samples.truth, order, samples.xs.dtype)
        charged = np.where(off <= samples.slack[order], np.minimum(off, 0.5), off)
        i = int(charged.argmax())
        columns.append(
            (
                float(charged[i]),
                float(samples.xs[i]),
                float(got[i]),
                float(samples.truth.high[order, i]),
                float(np.mean(off <= 0.5)),
            )
        )
    return Accuracy(*zip(*columns, strict=True))
