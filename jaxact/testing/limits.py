"""The laws about single places: the two infinities, NaN, kinks and jumps."""

from collections.abc import Iterator

import ml_dtypes
import numpy as np

from jaxact.testing.oracle import Oracle
from jaxact.testing.report import Finding, Kink, shown
from jaxact.testing.subject import Subject
from jaxact.testing.ulp import last_place

HUGE = np.ldexp(1 + 0.61803398875 * np.arange(1, 13) % 1, 40 + 7 * np.arange(12))
_CLOSE = 1e-6


def limit_of(y: np.ndarray) -> float | None:
    """The limit of values at larger and larger inputs: a number, an infinity, or None for none that shows."""
    last = y[y.size // 2 :]
    if np.isnan(y).any():
        return None
    with np.errstate(invalid="ignore"):
        step = np.diff(y)
    if np.isinf(y[-1]):
        return float(y[-1]) if (step[np.isfinite(y[1:])] * np.sign(y[-1]) > 0).all() else None
    if (np.abs(last - last[-1]) <= _CLOSE * abs(last[-1])).all():
        return float(last[-1]) + 0.0  # no -0
    if (np.abs(last) <= 1e-9).all():
        return 0.0
    grows = (step * np.sign(y[-1]) > 0).all() and abs(step[-1]) >= abs(step[0]) / 2
    return float(np.copysign(np.inf, y[-1])) if grows else None


def limits(subject: Subject, oracle: Oracle, dtype: np.dtype, bars: tuple[float, ...]) -> Iterator[Finding]:
    """The law limit, at the infinite ends of the domain.

    Args:
      subject: the function under test.
      oracle: what is due.
      dtype: of the inputs.
      bars: allowed errors of each order in units of the last place.
    """
    ends = [end for end in subject.domain if np.isinf(end)]
    if not ends:
        return
    dues = [oracle.at(np.sign(end) * HUGE, dtype) for end in ends]
    gots = subject(np.array(ends, dtype))
    for order in range(subject.order + 1):
        wrong = []
        for end, due, got in zip(ends, dues, gots[order].tolist(), strict=True):
            # What rounding makes of a value may grow with the input where the limit is 0, as in x * (1 + tanh(x)).
            sure = (order == 0) | (due.doubt[order] <= _CLOSE * np.maximum(np.abs(due.y[order]), 1))
            limit = limit_of(np.where(sure, due.y[order], np.nan))
            if limit is not None and not _is_limit(got, limit, dtype, bars[order]):
                wrong.append((end, got, limit))
        if wrong:
            words = [f"{shown(got)} at {shown(end)}, where the limit is {shown(due)}" for end, got, due in wrong]
            end, got, due = wrong[0]
            span = wrong[0][0], wrong[-1][0]
            yield Finding("limit", dtype.name, order, end, got, due, "; ".join(words), span)


def _is_limit(got: float, limit: float, dtype: np.dtype, bar: float) -> bool:
    if np.isinf(limit) or np.isnan(got):
        return got == limit
    return abs(got - limit) <= (bar + 1) * float(last_place(np.array(limit), dtype)) + _CLOSE * abs(limit)


def swallowed(subject: Subject, dtype: np.dtype) -> Iterator[Finding]:
    """The law swallowed.

    Args:
      subject: the function under test.
      dtype: of the input.
    """
    got = float(subject(np.array([np.nan], dtype))[0, 0])
    if not np.isnan(got):
        words = f"NaN gives {shown(got)}"
        yield Finding("swallowed", dtype.name, 0, np.nan, got, np.nan, words)


def kinks_of(subject: Subject, dtype: np.dtype) -> Iterator[Kink]:
    """The jumps of the value and of the derivative.

    Args:
      subject: the function under test.
      dtype: to take the derivative in at the kink.
    """
    for b in subject.breaks:
        if b.order < 2 <= len(b.low):
            taken = float(subject(np.array([b.x], dtype))[1, 0])
            yield Kink(b.x, ("jump", "corner")[b.order], (float(b.low[1]), float(b.high[1])), taken)


def kinks(found: list[Kink], dtype: np.dtype) -> Iterator[Finding]:
    """The law kink.

    Args:
      found: the kinks.
      dtype: in which the derivative was taken.
    """
    for k in found:
        low, high = min(k.slopes), max(k.slopes)
        room = 4 * float(ml_dtypes.finfo(dtype).eps) * max(abs(low), abs(high))
        if not low - room <= k.derivative <= high + room:
            left, right = map(shown, k.slopes)
            words = f"jax.grad takes {shown(k.derivative)} between slopes of {left} and {right}"
            due = f"in [{shown(low)}, {shown(high)}]"
            yield Finding("kink", dtype.name, 1, k.x, k.derivative, due, words, (k.x, k.x))
            return  # one finding; the report lists every kink


def jumps(subject: Subject, oracle: Oracle) -> Iterator[Finding]:
    """The law jump, which only another function can tell.

    Args:
      subject: the function under test.
      oracle: what is due.
    """
    if oracle.own:
        return
    for order, what in enumerate(("value", "derivative")[: subject.order + 1]):
        found = []
        for b in subject.breaks:
            if b.order == order:
                step = 1e-6 * max(1, abs(b.x))
                y = oracle.at(b.x + np.array([-step, step]), np.dtype(np.float64)).y[order]
                came, due = b.high[order] - b.low[order], y[1] - y[0]
                if abs(came) > 2 * abs(due):
                    found.append((abs(came), b.x, float(came), float(due)))
        if found:
            _, x, came, due = max(found)
            words = f"the {what} jumps by {shown(came)}, and that of the reference does not"
            span = min(f[1] for f in found), max(f[1] for f in found)
            yield Finding("jump", "float64", order, x, came, due, words, span)
