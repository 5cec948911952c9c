"""The laws about numbers: at many inputs, against what is due."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import ml_dtypes
import numpy as np
from jax.typing import DTypeLike

from jaxact.testing.bars import INPUT_ULP
from jaxact.testing.breaks import Break
from jaxact.testing.oracle import ORDERS, Due, Oracle
from jaxact.testing.report import Finding, shown
from jaxact.testing.subject import Subject
from jaxact.testing.ulp import Truth, last_place, normal, points, root_slack

WRONG = ("value", "derivative", "second_derivative")


def inputs(dtype: np.dtype, domain: tuple[float, float], breaks: Iterable[Break]) -> np.ndarray:
    """Normal numbers of every binade (in float64 of every fourth), [-120, 120] densely, and around breaks.

    Args:
      dtype: of the inputs.
      domain: open interval of the inputs.
      breaks: they and their neighbours are taken too.

    Returns:
      Sorted inputs of ``dtype``, finite, each once.
    """
    low, high = domain
    xs = points(dtype, [b.x for b in breaks], dense=400, apart=4 if dtype == np.float64 else 1)
    if high - low < np.inf:
        with np.errstate(over="ignore"):
            xs = np.union1d(xs, np.random.default_rng(0).uniform(low, high, 200).astype(dtype))
    wide = xs.astype(np.float64)
    return xs[(low < wide) & (wide < high) & normal(xs)]


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
        slack = _slack(xs, due, order, subject.breaks)
        defined = np.isfinite(due.y[0]) | oracle.own
        column = _Column(*(a[judged] for a in (wide, got, due.y[order], due.doubt[order], slack, defined)))
        yield from _compare(column, order, dtype, bars[order])


def _beside_a_break(xs: np.ndarray, breaks: list[Break], order: int, dtype: DTypeLike) -> np.ndarray:
    """Where there is no derivative, or where rounding decides on which side of a break the input is."""
    at = np.array([b.x for b in breaks if b.order <= order])[:, None]
    return np.any(np.abs(xs - at) <= INPUT_ULP * last_place(at, dtype), axis=0)


def _slack(xs: np.ndarray, due: Due, order: int, breaks: list[Break]) -> np.ndarray:
    """What a change of the input makes of the result, next to roots and breaks."""
    y = due.y[order]
    with np.errstate(all="ignore"):
        slope = np.gradient(y, xs.astype(np.float64))
    if order + 1 < ORDERS:
        slope = np.where(np.isfinite(due.y[order + 1]), due.y[order + 1], slope)
    exact = Truth(np.array([y, slope]), np.zeros((2, xs.size)))
    return root_slack(xs, exact, 0, xs.dtype, INPUT_ULP, [b.x for b in breaks])


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
