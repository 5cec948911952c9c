"""The laws about numbers: at many inputs, against what is due."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import ml_dtypes
import numpy as np
from jax.typing import DTypeLike

from jaxact.testing.breaks import Break
from jaxact.testing.oracle import Due, Oracle
from jaxact.testing.report import Finding, shown
from jaxact.testing.subject import Subject

WRONG = ("value", "derivative", "second_derivative")
INPUT_ULP = 2
"""Next to a root or a kink, what a change of the input by so many units makes is right enough."""


def last_place(y: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """The unit in the last place of numbers, no smaller than that of the smallest normal one."""
    info = ml_dtypes.finfo(dtype)
    _, exponent = np.frexp(np.abs(y))
    exponent = np.where((y == 0) | ~np.isfinite(y), info.minexp, np.maximum(exponent - 1, info.minexp))
    return np.ldexp(1.0, exponent - info.nmant)


def inputs(dtype: DTypeLike, domain: tuple[float, float], breaks: Iterable[Break]) -> np.ndarray:
    """Normal numbers of every binade (in float64 of every fourth), [-120, 120] densely, and around breaks.

    Args:
      dtype: of the inputs.
      domain: open interval of the inputs.
      breaks: their neighbours are taken too.

    Returns:
      Sorted inputs of ``dtype``, finite, each once.
    """
    info = ml_dtypes.finfo(dtype)
    random = np.random.default_rng(0)
    exponents = np.arange(info.minexp, info.maxexp, 4 if info.bits == 64 else 1)
    binades = np.ldexp(random.uniform(1, 2, exponents.size), exponents)
    spread = [r * (np.arange(-200, 200) + random.uniform(0, 1, 400)) / 200 for r in (120, 12, 1.5)]
    steps = 2.0 ** -np.arange(2, info.nmant + 1, 2)
    near = [b.x + s * max(abs(b.x), 2.0**-10) * steps for b in breaks for s in (-1, 1)]
    low, high = domain
    bounded = [] if high - low == np.inf else [low + (high - low) * random.uniform(0, 1, 200)]
    xs = np.concatenate([[0.0], binades, -binades, *spread, [b.x for b in breaks], *near, *bounded])
    xs = np.unique(xs.astype(dtype))
    wide = xs.astype(np.float64)
    normal = (xs == 0) | (np.abs(wide) >= float(info.smallest_normal))  # XLA reads others as 0 on a CPU
    return xs[(low < wide) & (wide < high) & np.isfinite(wide) & normal]


class _Column(NamedTuple):
    """One order at all inputs."""

    xs: np.ndarray
    got: np.ndarray
    due: np.ndarray
    doubt: np.ndarray
    slack: np.ndarray  # allowed error next to roots and kinks, in units of the last place
    defined: np.ndarray


def judge(subject: Subject, oracle: Oracle, dtype: np.dtype, bars: tuple[float, ...]) -> Iterator[Finding]:
    """The laws nan, overflow, vanished, value, derivative and second_derivative.

    Args:
      subject: the function under test.
      oracle: what is due.
      dtype: of the inputs.
      bars: allowed errors of each order in units of the last place.
    """
    xs = inputs(dtype, subject.domain, subject.breaks)
    wide = xs.astype(np.float64)
    due = oracle.at(wide, dtype)
    for order, got in enumerate(subject(xs)):
        judged = ~_beside_a_break(wide, subject.breaks, order, dtype)
        slack = _slack(wide, due, order, subject.breaks, dtype)
        defined = np.isfinite(due.y[0]) | oracle.own
        column = _Column(*(a[judged] for a in (wide, got, due.y[order], due.doubt[order], slack, defined)))
        yield from _compare(column, order, dtype, bars[order])


def _beside_a_break(xs: np.ndarray, breaks: list[Break], order: int, dtype: DTypeLike) -> np.ndarray:
    """Where there is no derivative, or where rounding decides on which side of a break the input is."""
    at = np.array([b.x for b in breaks if b.order <= order])[:, None]
    return np.any(np.abs(xs - at) <= INPUT_ULP * last_place(at, dtype), axis=0)


def _slack(xs: np.ndarray, due: Due, order: int, breaks: list[Break], dtype: DTypeLike) -> np.ndarray:
    """What a change of the input makes of the result, within a quarter of the way to roots and breaks."""
    y = due.y[order]
    seen = np.flatnonzero(np.isfinite(y) & (np.abs(y) >= float(ml_dtypes.finfo(dtype).smallest_normal)))
    turn = np.flatnonzero(np.signbit(y[seen[1:]]) != np.signbit(y[seen[:-1]]))
    left, right = seen[turn], seen[turn + 1]
    weight = np.abs(y[left]) / (np.abs(y[left]) + np.abs(y[right]))
    centres = np.concatenate([xs[left] + weight * (xs[right] - xs[left]), [b.x for b in breaks]])[:, None]
    with np.errstate(all="ignore"):
        slope = np.gradient(y, xs)
        if order + 1 < due.y.shape[0]:
            slope = np.where(np.isfinite(due.y[order + 1]), due.y[order + 1], slope)
        change = INPUT_ULP * last_place(xs, dtype) * np.abs(slope) / last_place(y, dtype)
    near = np.any(np.abs(xs - centres) <= np.abs(centres) / 4, axis=0)
    return np.where(near & np.isfinite(change), change, 0)


def _compare(c: _Column, order: int, dtype: np.dtype, bar: float) -> Iterator[Finding]:
    info = ml_dtypes.finfo(dtype)
    smallest, largest = float(info.smallest_normal), float(info.max)
    size = np.abs(c.due)
    with np.errstate(all="ignore"):
        off = np.maximum(np.abs(c.got - c.due) - c.doubt, 0) / last_place(c.due, dtype)
        off = np.where((size > largest) & np.isinf(c.got) & (np.sign(c.got) == np.sign(c.due)), 0, off)
        off = np.where((size - c.doubt < smallest) & (np.abs(c.got) <= smallest), 0, off)  # as XLA flushes
        allowed = np.maximum(bar, c.slack)
        nan = np.isnan(c.got) & c.defined
        overflow = np.isinf(c.got) & (size + c.doubt < largest * (1 - 4 * float(info.eps)))
        vanished = (c.got == 0) & (size - c.doubt >= smallest) & (off > allowed)
        wrong = (off > allowed) & ~np.isnan(c.got) & ~overflow & ~vanished
    ordinary = -np.abs(c.xs)
    yield from _worst("nan", nan, ordinary, c, order, dtype, "NaN")
    yield from _worst("overflow", overflow, ordinary, c, order, dtype, "infinite where the truth is not")
    yield from _worst("vanished", vanished, size, c, order, dtype, "exactly 0 where the truth is not")
    if wrong.any():
        words = f"off by {shown(float(off[wrong].max()))} ulp, where {shown(bar)} are allowed"
        yield from _worst(WRONG[order], wrong, off, c, order, dtype, words)


def _worst(
    law: str, found: np.ndarray, severity: np.ndarray, c: _Column, order: int, dtype: np.dtype, words: str
) -> Iterator[Finding]:
    """One finding for all the inputs that break a law."""
    where = np.flatnonzero(found)
    if not where.size:
        return
    i = where[severity[where].argmax()]
    span = float(c.xs[where[0]]), float(c.xs[where[-1]])
    extent = f"at {where.size} of {c.xs.size} inputs, from {shown(span[0])} to {shown(span[1])}"
    got, due = float(c.got[i]), float(c.due[i])
    yield Finding(law, dtype.name, order, float(c.xs[i]), got, due, f"{words}, {extent}", span)
