"""The true derivative of a function along a line: samples where it bends, jumps and vanishes."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxact.analysis import averages, brackets
from jaxact.analysis.averages import Level
from jaxact.analysis.brackets import Sample
from jaxact.errors import InputError, shown

_MANY = 1000
_PARTS, _CUTS, _JUMPS = 64, 12, 100  # 12 cuts into 64 parts go from any width to neighbouring numbers
_NOISE = 1e-12  # of the largest slope: below, the signs of f' and f'' may be an accident of rounding


class Curve(NamedTuple):
    """The true derivative of a function.

    Attributes:
      x: sorted float64 numbers, those beside kinks and extremes of f' among them, [n].
      slope: f' there, [n].
      peak: the largest of its sizes, in two parts.
      roots: isolated roots of f', [k].
      flats: intervals where f' is 0 mathematically, [m, 2].
      sample: f, f' and f'' of any numbers, [3, n].
      wide: whether they are computed in float64.
    """

    x: np.ndarray
    slope: np.ndarray
    peak: Level
    roots: np.ndarray
    flats: np.ndarray
    sample: Sample
    wide: bool

    @property
    def max_slope(self) -> float:
        """The largest size of f'."""
        return self.peak.value

    def reached(self, size: Callable, inside: np.ndarray, outside: np.ndarray, side: int) -> bool:
        """Whether f' gets to a level at a point, by a jump or like a power, or only fades into it along a tail.

        Args:
          size: distance of f' from the level, a function of numbers [1].
          inside: the last number, [1], where f' is at the level as computed.
          outside: a neighbour where it is not, [1].
          side: 1 if the neighbour is above.
        """
        last, first = brackets.bisect(lambda x, _: size(x) <= size(inside), inside, outside)
        near = size(first)[0]
        # Rounding quantises a tail, so that it is much the same after a step of 2^-12 as beside the edge.
        far = size(first + side * np.maximum(np.abs(last), 1 if abs(last[0]) < 1e-3 else 0) * 2.0**-12)[0]
        return bool(near > 1e-8 * self.max_slope or far > 64 * near)


def true_curve(fn: Callable, dtype: np.dtype, low: float, high: float) -> Curve:
    """Samples the derivative of a function in float64, or in ``dtype`` if the function has no float64."""
    sample, wide = _sampler(fn, dtype)
    x = brackets.grid(low, high)
    values = sample(x)
    x, values = _with_hidden_parts(sample, x, values)
    _check(x, values, low, high)
    x, slope = _refine(sample, x, values)
    curve = Curve(x, slope, _peak(sample, x, slope, low, high), np.empty(0), np.empty((0, 2)), sample, wide)
    if curve.max_slope == 0:
        return curve
    flats = _flats(curve)
    # What is flat at the end of the grid is flat up to infinity, where the domain is infinite.
    flats = np.where(
        (flats == x[0]) & np.isinf(low), low, np.where((flats == x[-1]) & np.isinf(high), high, flats)
    )
    curve = curve._replace(flats=flats)
    return curve._replace(roots=_roots(curve))


def _peak(sample: Sample, x: np.ndarray, slope: np.ndarray, low: float, high: float) -> Level:
    """The largest size of f': its limit at an infinity if it is that, else at the point nearest to 0."""
    size = np.abs(slope)
    top = size >= size.max() * (1 - 4 * np.finfo(np.float64).eps)
    far = [size[end] for end, infinite in ((0, np.isinf(low)), (-1, np.isinf(high))) if infinite and top[end]]
    best = np.flatnonzero(top)[np.argmin(np.abs(x[top]))]
    if far or size[best] == 0:
        return Level(float(max(far, default=0.0)))
    sign = np.sign(slope[best])
    return averages.height(lambda x, _: sign * sample(x)[1], float(x[best]), float(size[best]))


def _sampler(fn: Callable, dtype: np.dtype) -> tuple[Sample, bool]:
    """f, f' and f'', and whether in float64.

    Where JAX cannot differentiate twice f'' is 0, and extremes are taken from the grid.
    """
    true = np.dtype(np.float64)
    try:
        if not brackets.follows(fn, true):
            true = dtype
    except Exception:
        true = dtype
    if true == dtype and not brackets.follows(fn, dtype):
        raise InputError(f"fn must be elementwise, from a scalar of {dtype} to one of {dtype}: {shown(fn)} is not")
    try:
        twice = brackets.sampler(fn, true, (0, 1, 2))
        twice(np.zeros(1))
    except Exception:
        once = brackets.sampler(fn, true, (0, 1))
        return lambda x: np.pad(once(x), ((0, 1), (0, 0))), true == np.float64
    return twice, true == np.float64


def _check(x: np.ndarray, values: np.ndarray, low: float, high: float) -> None:
    """Refuses NaN and unbounded slopes, and says on which part of the domain there are none."""
    nan, slope = np.isnan(values[:2]).any(0), np.abs(values[1])
    bad = nan if nan.any() else np.isinf(slope)
    if bad.any():
        problem = "fn must not be NaN on the domain" if nan.any() else "fn must have a bounded slope on the domain"
        at = np.flatnonzero(bad)[np.argmin(np.abs(x[bad]))]
        good = max(brackets.runs(~bad), key=lambda run: run[1] - run[0], default=None)
        ends = "" if good is None else f" within ({_end(x, good[0], low)}, {_end(x, good[1], high)})"
        raise InputError(
            f"{problem}, got f = {values[0, at]:.6g} and f' = {values[1, at]:.6g} at {x[at]:.6g}; "
            f"pass a domain{ends} as domain=(low, high)"
        )
    # A slope that still grows over the last 64 binades has no limit; others have settled long before.
    inner = slope[np.abs(x) <= 2.0**63].max(initial=0)
    if np.isinf([low, high]).any() and slope.max() > 1.1 * inner:
        raise InputError(
            f"fn must have a bounded slope on the domain, got |f'| = {slope.max():.6g} at "
            f"{x[np.argmax(slope)]:.6g}; pass a finite domain, as domain=(-10, 10)"
        )


def _end(x: np.ndarray, i: int, end: float) -> str:
    return f"{end if i in (0, x.size - 1) else x[i]:.6g}"


def _with_hidden_parts(sample: Sample, x: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Adds numbers where f does not change as its slopes say: there is more between them."""
    parts = np.arange(1, _PARTS) / _PARTS
    for _ in range(_CUTS):
        (f, slope), width = values[:2], np.diff(x)
        with np.errstate(over="ignore", invalid="ignore"):
            missed = np.abs(np.diff(f) - width * (slope[1:] / 2 + slope[:-1] / 2))
            least = 0.05 * np.abs(slope).max() * width + 1e-6 * (np.abs(f[1:]) + np.abs(f[:-1]))
        hidden = np.flatnonzero((missed > least) & np.isfinite(missed))
        # Where f jumps there is no slope to be found; a function may do so everywhere (floor).
        if not 0 < hidden.size <= _JUMPS:
            break
        new = np.setdiff1d(x[hidden, None] + width[hidden, None] * parts, x)
        if not new.size:
            break
        x, values = np.concatenate([x, new]), np.concatenate([values, sample(new)], axis=1)
        order = np.argsort(x)
        x, values = x[order], values[:, order]
    return x, values


def _refine(sample: Sample, x: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Adds the two neighbouring numbers around every kink and every extreme of f'."""
    _, slope, bend = values
    top = np.abs(slope).max()
    sign = np.sign(bend) * (np.abs(bend) * np.maximum(np.abs(x), 1) > _NOISE * top)
    extremes = np.flatnonzero(sign[1:] * sign[:-1] < 0)
    jumps = np.flatnonzero(np.abs(np.diff(slope)) > 0.02 * top)
    _few(extremes)

    def same_bend(x: np.ndarray, which: np.ndarray) -> np.ndarray:
        return sample(x)[2] * np.sign(bend[extremes[which]]) > 0

    def same_side(x: np.ndarray, which: np.ndarray) -> np.ndarray:
        at, got = jumps[which], sample(x)[1]
        return np.abs(got - slope[at]) < np.abs(got - slope[at + 1])

    more = [
        *brackets.bisect(same_bend, x[extremes], x[extremes + 1]),
        *brackets.bisect(same_side, x[jumps], x[jumps + 1]),
    ]
    new = np.setdiff1d(np.concatenate(more), x)
    x, slope = np.concatenate([x, new]), np.concatenate([slope, sample(new)[1]])
    order = np.argsort(x)
    return x[order], slope[order]


def _few(found: np.ndarray) -> None:
    if len(found) > _MANY:
        raise InputError(
            f"fn must have at most {_MANY} intervals and roots on the domain, got {len(found)} or more; "
            "pass a smaller one, as domain=(-10, 10)"
        )


def _narrow(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Whether intervals are so small that they stand for a point, around which f' rounds to 0."""
    return high - low < 1e-4 * np.maximum(1, np.abs(low))


def _flats(curve: Curve) -> np.ndarray:
    """The intervals where f' is 0 mathematically."""
    x, slope, last = curve.x, curve.slope, curve.x.size - 1
    found = brackets.runs(slope == 0)
    found = found[~_narrow(x[found[:, 0]], x[found[:, 1]])]
    # Where f' gets to 0, it is clear of 0 not far away; rounding may leave hundreds of zeros far out in a tail.
    clear = np.concatenate([[0], np.flatnonzero(np.abs(slope) > _NOISE * curve.max_slope), [last]])
    for k, side in ((0, -1), (1, 1)):
        at = found[:, k]
        nearest = clear[np.searchsorted(clear, at, "right" if side < 0 else "left") - (side < 0)]
        away = np.abs(x[nearest] - x[at]) < 0.1 * np.maximum(1, np.abs(x[at]))
        found = found[away | (at == 0) | (at == last)]
    _few(found)

    def size(x: np.ndarray) -> np.ndarray:
        return np.abs(curve.sample(x)[1])

    flats = []
    for i, j in found:
        ends, exact = [x[i], x[j]], True
        for k, (at, side) in enumerate(((i, -1), (j, 1))):
            if 0 < at < last:
                inside, outside = x[at : at + 1], x[at + side : at + side + 1]
                ends[k] = brackets.bisect(lambda x, _: size(x) == 0, inside, outside)[0][0]
                exact &= curve.reached(size, np.array([ends[k]]), outside, side)
        if exact:
            flats.append(ends)
    return np.array(flats).reshape(-1, 2)


def _roots(curve: Curve) -> np.ndarray:
    """Isolated roots: where f' changes sign without a jump, or touches 0, or is 0 at an end of the domain."""
    x, slope, top = curve.x, curve.slope, curve.max_slope
    clear = np.flatnonzero(np.abs(slope) > _NOISE * top)
    ends = x[[0, -1]]
    last = x[[max(clear[0] - 1, 0), min(clear[-1] + 1, x.size - 1)]]  # as far as f' is nearly 0 from an end on
    near = (np.abs(slope[[0, -1]]) <= _NOISE * top) & (np.abs(ends) < brackets.FAR)
    lone = ends[near & _narrow(np.minimum(ends, last), np.maximum(ends, last))]
    a, b = clear[:-1], clear[1:]
    crossing = np.sign(slope[a]) * np.sign(slope[b]) < 0  # a product may over- or underflow
    few = _narrow(x[np.minimum(a + 1, x.size - 1)], x[b - 1])  # of the numbers between, where f' is nearly 0
    looked = few & (crossing | (b > a + 1))
    a, b, crossing = a[looked], b[looked], crossing[looked]
    _few(a)
    order = np.where(crossing, 1, 2)  # f'' changes its sign where f' only touches 0
    beside = curve.sample(np.concatenate([x[a], x[b]]))
    at_a = np.sign(np.where(crossing, beside[1, : a.size], beside[2, : a.size]))
    at_b = np.sign(np.where(crossing, beside[1, a.size :], beside[2, a.size :]))

    def holding(sign: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        return lambda x, which: curve.sample(x)[order[which], np.arange(x.size)] * sign[which] > 0

    # From both sides, since f' may round to 0 on a whole interval around the root: then it is in the middle.
    left, _ = brackets.bisect(holding(at_a), x[a], x[b])
    right, _ = brackets.bisect(holding(at_b), x[b], x[a])
    middle = left / 2 + right / 2
    apart = np.abs(brackets.to_keys(right) - brackets.to_keys(left)) > 1
    here, there = np.abs(curve.sample(left)[1]), np.abs(curve.sample(right)[1])
    nearer = np.where(here <= there, left, right)
    inner = np.where(apart, middle, nearer)[np.minimum(here, there) < 1e-6 * top]
    return np.unique(np.concatenate([inner, lone]))
