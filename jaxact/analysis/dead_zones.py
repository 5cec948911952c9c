"""Where the derivative, as computed in a dtype, is exactly 0, and whether it should be."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxact.analysis import brackets
from jaxact.analysis.brackets import Sample
from jaxact.analysis.curves import Curve

_SLIVER = 4  # numbers of the dtype: so much wider than the true one a flat part may come out
_FEW = 16  # numbers around a root at which f' rounds to 0
_WINDOW, _ROUNDS = 2048, 16  # numbers at each end that are looked at one by one
_NONZERO, _ZERO, _NAN = 0, 1, 2


class Dead(NamedTuple):
    """Intervals without a gradient.

    Attributes:
      spans: where the derivative is computed as 0, [m, 2].
      lost: the largest true slope in each, [m].
      nan: where it is computed as NaN, [j, 2].
    """

    spans: np.ndarray
    lost: np.ndarray
    nan: np.ndarray


def dead_zones(fn: Callable, dtype: np.dtype, curve: Curve, low: float, high: float) -> Dead:
    """Finds the dead intervals of a function in a dtype; ``curve`` is its true derivative."""
    slopes = brackets.sampler(fn, dtype, (1,))

    def look(x: np.ndarray) -> np.ndarray:
        found = slopes(x)[0]
        return np.where(np.isnan(found), _NAN, np.where(found == 0, _ZERO, _NONZERO))

    if dtype.itemsize == 2:
        x = _all_numbers(dtype, low, high)
        found = look(x)
        spans = {code: x[brackets.runs(found == code)] for code in (_ZERO, _NAN)}
    else:
        spans = _bracketed(look, dtype, curve, low, high)
    parts = [part for span in spans[_ZERO] for part in _told_apart(span, curve)]
    ends = np.array([part[0] for part in parts], dtype).reshape(-1, 2)
    lost = np.array([part[1] for part in parts])
    return Dead(_to_the_end(ends, low, high), lost, _to_the_end(spans[_NAN], low, high))


def _all_numbers(dtype: np.dtype, low: float, high: float) -> np.ndarray:
    top = int(brackets.to_keys(np.array([jnp.finfo(dtype).max], dtype))[0])
    x = brackets.from_keys(np.arange(-top, top + 1), dtype)
    return x[(x.astype(np.float64) >= low) & (x.astype(np.float64) <= high)]


def _bracketed(look: Sample, dtype: np.dtype, curve: Curve, low: float, high: float) -> dict[int, np.ndarray]:
    """Runs of 0 and of NaN, bracketed on the grid of the true derivative, ends refined."""
    largest = min(float(jnp.finfo(dtype).max), brackets.FAR)
    x = np.unique(np.clip(curve.x, -largest, largest).astype(dtype))
    x = x[(x >= low) & (x <= high)]
    found = look(x)
    spans = {}
    for code in (_ZERO, _NAN):
        at = brackets.runs(found == code)
        ends = x[at]
        for k, side in ((0, -1), (1, 1)):
            open_ = np.flatnonzero((at[:, k] > 0) & (at[:, k] < x.size - 1))
            out = x[at[open_, k] + side]
            last, _ = brackets.bisect(lambda x, _, code=code: look(x) == code, ends[open_, k], out)
            ends[open_, k] = last
        spans[code] = _without_fringe(look, code, ends)
    return spans


def _without_fringe(look: Sample, code: int, ends: np.ndarray) -> np.ndarray:
    """Runs, [n, 2], whose first and last thousands of numbers are all alike: rounding leaves some ends ragged."""
    keys = brackets.to_keys(ends)
    for k, inwards in ((0, 1), (1, -1)):
        ragged = np.arange(len(keys))
        for _ in range(_ROUNDS):
            window = keys[ragged, k, None] + inwards * np.arange(_WINDOW)
            inside = (window >= keys[ragged, :1]) & (window <= keys[ragged, 1:])
            found = look(brackets.from_keys(window.ravel(), ends.dtype)).reshape(window.shape)
            odd = inside & (found != code)
            innermost = _WINDOW - 1 - np.argmax(odd[:, ::-1], axis=1)
            ragged, window, innermost = (a[odd.any(1)] for a in (ragged, window, innermost))
            if ragged.size == 0:
                break
            keys[ragged, k] = window[np.arange(ragged.size), innermost] + inwards
    return brackets.from_keys(keys[keys[:, 0] <= keys[:, 1]], ends.dtype)


def _told_apart(span: np.ndarray, curve: Curve) -> list[tuple[np.ndarray, float]]:
    """Splits a run of zeros into the parts where f' is 0 mathematically and those where it got lost."""
    low, high = brackets.to_keys(span).tolist()  # differences of whole numbers of 64 bits may need more
    wide = span.astype(np.float64)
    narrow = high - low < _FEW or wide[1] - wide[0] < 1e-5 * max(1, abs(wide[0]))
    if narrow and ((wide[0] <= curve.roots) & (curve.roots <= wide[1])).any():
        return []  # a root, and the few numbers around it
    parts, at = [], low
    for flat in curve.flats:
        if flat[1] < wide[0] or flat[0] > wide[1]:
            continue
        first, last = brackets.to_keys(np.clip(flat, *wide).astype(span.dtype)).tolist()
        first = at if first - at <= _SLIVER else first
        last = high if high - last <= _SLIVER else last
        parts += [(at, first - 1, False), (first, last, True)]
        at = last + 1
    parts.append((at, high, False))
    out = []
    for first, last, exact in parts:
        if first <= last:
            part = brackets.from_keys(np.array([first, last]), span.dtype)
            out.append((part, 0.0 if exact else _largest_slope(curve, part)))
    return out


def _largest_slope(curve: Curve, span: np.ndarray) -> float:
    """The largest true slope in an interval, or next to it if it is 0 even in float64."""
    inside = curve.x[(curve.x >= span[0]) & (curve.x <= span[1])]
    alive = curve.x[curve.slope != 0]
    beside = np.searchsorted(alive, span.astype(np.float64)) - np.array([1, 0])
    around = alive[np.clip(beside, 0, alive.size - 1)]
    for x in (np.concatenate([inside, span]), brackets.step(span, np.array([-1, 1])), around):
        x = x.astype(np.float64)
        x = x[np.isfinite(x)]
        largest = float(np.abs(curve.sample(x)[1]).max(initial=0))
        if largest > 0:
            break
    return largest


def _to_the_end(spans: np.ndarray, low: float, high: float) -> np.ndarray:
    """Intervals that reach the last number of an infinite domain, up to infinity."""
    wide = spans.astype(np.float64)
    largest = min(float(jnp.finfo(spans.dtype).max), brackets.FAR)
    wide[:, 0] = np.where(np.isinf(low) & (wide[:, 0] <= -largest), -np.inf, wide[:, 0])
    wide[:, 1] = np.where(np.isinf(high) & (wide[:, 1] >= largest), np.inf, wide[:, 1])
    return wide.astype(spans.dtype) + np.zeros((), spans.dtype)
