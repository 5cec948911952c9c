"""Units in the last place: where to look, and how far off a result is."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax.typing import DTypeLike


class Truth(NamedTuple):
    """True values and derivatives, as unevaluated sums of two float64.

    Attributes:
      high: the nearest float64; orders along the first axis, [k, n].
      low: what is missing, [k, n].
    """

    high: np.ndarray
    low: np.ndarray


def points(
    dtype: DTypeLike, special: Iterable[float] = (), *, dense: int = 601, per_binade: int = 1, apart: int = 1
) -> np.ndarray:
    """Inputs to measure at: every binade of both signs, [-120, 120] densely, and around special points.

    Args:
      dtype: of the inputs.
      special: kinks, roots and switch-over points; their neighbours up to a quarter away are taken too.
      dense: number of inputs in each of [-120, 120] and [-12, 12].
      per_binade: number of inputs in each binade.
      apart: takes every so many-th binade.

    Returns:
      Sorted inputs of ``dtype``, finite, each once; 0 is among them.
    """
    info = jnp.finfo(dtype)
    random = np.random.default_rng(0)
    exponents = np.repeat(np.arange(info.minexp, info.maxexp, apart), per_binade)
    binades = np.ldexp(random.uniform(1, 2, exponents.size), exponents)
    spread = np.concatenate([random.uniform(-r, r, dense) for r in (120.0, 12.0, 1.5)])
    steps = np.concatenate([[0], 2.0 ** -np.arange(2, info.nmant + 1, 2)])
    near = [c + s * max(abs(c), 2.0**-10) * steps for c in special for s in (-1, 1)]
    xs = np.concatenate([[0.0], binades, -binades, spread, *near])
    with np.errstate(over="ignore"):
        xs = np.unique(xs.astype(dtype))
    return xs[np.isfinite(xs.astype(np.float64))]


def normal(xs: np.ndarray) -> np.ndarray:
    """Which inputs are normal numbers or 0; XLA reads others as 0 on a CPU, except those that it widens first."""
    return (xs == 0) | (np.abs(xs) >= ml_dtypes.finfo(xs.dtype).smallest_normal)


def last_place(true: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """The unit in the last place of true values, no smaller than that of the smallest normal number."""
    info = ml_dtypes.finfo(dtype)
    _, exponent = np.frexp(np.abs(true))
    exponent = np.where((true == 0) | ~np.isfinite(true), info.minexp, np.maximum(exponent - 1, info.minexp))
    return np.ldexp(1.0, exponent - info.nmant)


def errors(got: np.ndarray, truth: Truth, order: int, dtype: DTypeLike, *, flush: bool = True) -> np.ndarray:
    """How far results are from the truth, in units of the last place.

    Args:
      got: results of ``dtype``, [n].
      truth: true values at the same inputs.
      order: of the derivative.
      dtype: of the results.
      flush: a true value below the smallest normal number may come back as 0, as XLA does on a CPU.

    Returns:
      Errors, [n]: infinite where the result is NaN, or is infinite and should not be.
    """
    info = ml_dtypes.finfo(dtype)
    high, low = truth.high[order], truth.low[order]
    got = np.asarray(got).astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.abs((got - high) - low) / last_place(high, dtype)
    tiny, largest = float(info.smallest_normal), float(info.max)
    too_large = np.abs(high) > largest
    off = np.where(too_large, np.where(np.isinf(got) & (np.sign(got) == np.sign(high)), 0, off), off)
    if flush:
        off = np.where((np.abs(high) < tiny) & (np.abs(got) <= tiny), 0, off)
    return np.where(np.isnan(off), math.inf, off)


def input_slack(xs: np.ndarray, truth: Truth, order: int, dtype: DTypeLike, steps: int) -> np.ndarray:
    """What a change of the input by some units of its last place makes of a result, in units of the result's."""
    change = steps * last_place(xs.astype(np.float64), dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        return change * np.abs(truth.high[order + 1]) / last_place(truth.high[order], dtype)


def roots(xs: np.ndarray, truth: Truth, order: int) -> np.ndarray:
    """Where a result changes sign between neighbouring inputs, or touches 0 and turns; sorted."""
    # A true value far below the normal numbers is not told from 0, and its sign is none.
    smallest = float(ml_dtypes.finfo(xs.dtype).smallest_normal)
    value, slope = truth.high[order], truth.high[order + 1]
    seen = np.flatnonzero(np.isfinite(value) & np.isfinite(slope) & (np.abs(value) >= smallest))
    x, y, slope = xs[seen].astype(np.float64), value[seen], slope[seen]
    turn = np.flatnonzero(np.signbit(y[1:]) != np.signbit(y[:-1]))
    weight = np.abs(y[turn]) / (np.abs(y[turn]) + np.abs(y[turn + 1]))
    crossed = x[turn] + weight * (x[turn + 1] - x[turn])

    size = np.abs(y)
    around = np.max([np.roll(size, k) for k in (-4, 4)], axis=0)
    steep = np.signbit(slope[1:]) != np.signbit(slope[:-1])
    touched = np.flatnonzero(steep & (np.minimum(size[1:], size[:-1]) < around[1:] / 64))
    return np.sort(np.concatenate([crossed, x[touched]]))


def fades(xs: np.ndarray, truth: Truth, order: int, kinks: Iterable[float] = ()) -> np.ndarray:
    """Inputs between neighbours of which one has a normal number for a result and the other one below; [n].

    Not where a kink lies between them: there the result jumps.
    """
    size = np.abs(truth.high[order])
    normal = size >= float(ml_dtypes.finfo(xs.dtype).smallest_normal)
    at = np.flatnonzero((normal[1:] != normal[:-1]) & ((size[1:] > 0) | (size[:-1] > 0)))
    wide = xs.astype(np.float64)
    low, high = wide[at], wide[at + 1]
    jumps = np.zeros(at.size, bool)
    for kink in kinks:
        jumps |= (low <= kink) & (kink <= high)
    return np.linspace(low[~jumps], high[~jumps], 33).ravel()


def root_slack(
    xs: np.ndarray, truth: Truth, order: int, dtype: DTypeLike, steps: int, kinks: Iterable[float] = ()
) -> np.ndarray:
    """The error that is allowed next to roots of a result and to kinks, in units of its last place; 0 elsewhere.

    It is what a change of the input by some units of its last place makes of the result: within a quarter of the
    way to a root between the inputs, or to a kink, and where such a change reaches a root.
    """
    slack = input_slack(xs, truth, order, dtype, steps)
    size = np.abs(truth.high[order]) / last_place(truth.high[order], dtype)
    centres = np.union1d(roots(xs, truth, order), [*kinks])
    known = np.isfinite(truth.high[order]) & np.isfinite(truth.high[order + 1])
    return np.where(known & (near(xs, centres) | (slack >= size)), slack, 0)


def near(xs: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Which inputs lie within a quarter of a centre's size from that centre."""
    if not centres.size:
        return np.zeros(xs.shape, bool)
    xs = xs.astype(np.float64)
    i = np.clip(np.searchsorted(centres, xs), 1, max(centres.size - 1, 1))
    candidates = np.stack([centres[i - 1], centres[np.minimum(i, centres.size - 1)]])
    return np.any(np.abs(xs - candidates) <= np.abs(candidates) / 4, axis=0)
