"""Where a function is flat: intervals of small slope, of no slope at all, and the points between."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from jaxact.analysis import averages, brackets
from jaxact.analysis.averages import Level
from jaxact.analysis.curves import Curve, true_curve
from jaxact.analysis.dead_zones import Dead, dead_zones
from jaxact.errors import InputError, shown

# Nearer to the largest slope it is rounding that says which slopes are less: slivers of it are no intervals.
_ALL = 1 - 64 * float(np.finfo(np.float64).eps)


class SaturationRegions(NamedTuple):
    r"""Where a function is flat, as NumPy arrays; intervals are sorted rows (low, high), infinite ends infinite.

    Attributes:
      saturated: intervals where \|f'\| < threshold max \|f'\|, [n, 2], in the dtype asked for.
      dead: intervals where the derivative, as computed in the dtype, is exactly 0, [m, 2].
      roots: isolated roots of f', [k].
      max_slope: the largest \|f'\|, or its limit at an infinity, a float64.
      argmax: where it is, the nearest to 0 of several such points; infinite where it is a limit.
      around_root: whether a saturated interval is no more than the surroundings of isolated roots, [n].
      lost: the largest true \|f'\| that is computed as 0 within a dead interval, float64, [m]. It is 0 where the
        derivative is 0 mathematically (relu); below the smallest normal number of the dtype it is lost to
        underflow, and above it to rounding (`jax.nn.tanh`).
      nan: intervals where the derivative, as computed in the dtype, is NaN although the true one is not, [j, 2].
    """

    saturated: np.ndarray
    dead: np.ndarray
    roots: np.ndarray
    max_slope: np.ndarray
    argmax: np.ndarray
    around_root: np.ndarray
    lost: np.ndarray
    nan: np.ndarray

    @property
    def causes(self) -> tuple[str, ...]:
        """What makes each dead interval so, [m].

        "mathematics" where the slope is 0, "underflow" where it is below all positive numbers of the dtype, else
        "rounding": of the formula that is differentiated, as the dtype could hold the slope.
        """
        info = ml_dtypes.finfo(self.dead.dtype)
        least = float(info.smallest_subnormal if self.dead.dtype == np.float16 else info.smallest_normal)
        # In float64 the slope is that just outside.
        return tuple("mathematics" if s == 0 else "underflow" if s < 2 * least else "rounding" for s in self.lost)


def saturation_regions(
    fn: Callable[[Array], Array],
    *,
    threshold: float = 1e-2,
    dtype: DTypeLike = jnp.float32,
    domain: tuple[float, float] | None = None,
) -> SaturationRegions:
    r"""The intervals where a function is flat, their ends right to the last place of the dtype.

    .. math::
      \{x : |f'(x)| < \varepsilon \max |f'|\}, \qquad \{x : \mathrm{fl}(f'(x)) = 0\}, \qquad
      \{x : f'(x) = 0\} \text{ where isolated}

    The saturated intervals, the roots and the largest slope are about the true derivative: it is computed in
    float64, whatever JAX is set to, and the ends are rounded to ``dtype``. Where f' is smooth around an end and
    the largest slope, its rounding errors are averaged away by a polynomial through a thousand numbers around; at
    kinks and jumps, and where the errors do not look random, an end lies between the two numbers at which f' as
    computed is on either side of the threshold. So the ends of jaxact's functions are right to 1 unit in the last
    place, in float64 too. What errors of neighbouring numbers have in common stays: that of 1 - tanh^2 of
    `jnp.tanh`, about 1e-16 / ``threshold``, moves no end of float32 down to a threshold of 1e-8, and those of
    float64 by about 10 units at 1e-2.

    The dead intervals are about the derivative as computed in ``dtype``: rounding or underflow may make it 0 where
    the true one is not, and ``lost`` tells these from those where it is 0 mathematically.

    Ends are bracketed on a grid over all binades, which is refined where f' bends or jumps, and bisected on the
    numbers of the format: float64 for what is true, ``dtype`` for what is computed. In 16-bit formats every number
    is looked at. Where f changes otherwise than its slopes on the grid say, the grid is refined until they do: a
    step is found however steep it is, and wherever. Intervals and dips narrower than the grid (1/128 within [-64,
    64], 1/128 of a binade elsewhere, and 1/16384 of a finite domain) that leave f as it was and hold no root may
    be missed.

    A constant has a largest slope of 0: then the whole domain is both saturated and dead. In float64 nothing more
    accurate is at hand: there a dead interval counts as mathematical if f' jumps to 0 or reaches it like a power,
    and as lost if f' fades into 0 along a tail; ``lost`` is then the slope just outside.

    Args:
      fn: elementwise function: an activation of jaxact or `jax.nn`, or your own callable of one array. One that
        cannot compute in float64 is taken as it is in ``dtype``.
      threshold: what counts as saturated, as a share of the largest slope; above 0 and at most 1.
      dtype: float64, float32, bfloat16 or float16. Numbers below the smallest normal one are passed over, as XLA
        reads them as 0 on a CPU; float16 has them.
      domain: the interval to look at; by default the whole line. Needed where the slope is unbounded (`exp`) or
        the intervals endless (`sine`).

    Returns:
      `SaturationRegions`. Ends of the domain are ends of intervals that reach them.

    Raises:
      InputError: if an argument cannot be used, if f or f' is NaN on the domain, if \|f'\| is unbounded there, or
        if there are more than 1000 intervals or roots.
      TypeError: if ``fn`` is not callable.

    Examples:
      >>> regions = saturation_regions(jnp.tanh)
      >>> regions.saturated  # beyond acosh(10)
      array([[     -inf, -2.993223],
             [ 2.993223,       inf]], dtype=float32)
      >>> saturation_regions(jax.nn.relu).dead
      array([[-inf,   0.]], dtype=float32)
      >>> saturation_regions(jax.nn.silu).roots
      array([-1.2784646], dtype=float32)
      >>> saturation_regions(jnp.sin, domain=(-3, 3)).saturated
      array([[-1.5807965, -1.5607961],
             [ 1.5607961,  1.5807965]], dtype=float32)
    """
    if not callable(fn):
        raise TypeError(f"fn must be callable, got {type(fn).__name__} {shown(fn)}")
    threshold = share_of_slope(threshold)
    target = brackets.floating(dtype)
    low, high = brackets.interval(domain)
    curve = true_curve(fn, target, low, high)
    if curve.max_slope == 0:
        spans = _rounded(np.array([[low, high]]), target)
        saturated, around = spans, np.zeros(1, bool)
        dead = Dead(spans, np.zeros(1), _rounded(np.empty((0, 2)), target))
    else:
        spans = _below(curve, curve.peak.times(min(threshold, _ALL)), low, high)
        around = _around_root(spans, curve)
        saturated = _rounded(spans, target)
        # An end beyond the largest number of the dtype is infinite: none of its numbers are in there.
        kept = ~(np.isinf(saturated.astype(np.float64)).all(1) & (saturated[:, 0] == saturated[:, 1]))
        saturated, around = saturated[kept], around[kept]
        dead = dead_zones(fn, target, curve, low, high)
    return SaturationRegions(
        saturated=saturated,
        dead=dead.spans,
        roots=_rounded(curve.roots, target),
        max_slope=np.asarray(curve.max_slope),
        argmax=_rounded(_argmax(curve, target, low, high), target),
        around_root=around,
        lost=dead.lost,
        nan=dead.nan,
    )


def share_of_slope(threshold: object) -> float:
    """A threshold as a float, or a clear error."""
    try:
        share = float(threshold)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError, OverflowError):
        share = np.nan
    if isinstance(threshold, bool | str) or not 0 < share <= 1:
        raise InputError(f"threshold must be a number above 0 and at most 1, got {shown(threshold)}")
    return share


def _rounded(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    with np.errstate(over="ignore"):
        return x.astype(dtype) + np.zeros((), dtype)  # no -0


def _below(curve: Curve, level: Level, low: float, high: float) -> np.ndarray:
    """The intervals where the slope is below a level, [n, 2]."""
    x, new = np.unique(np.concatenate([curve.roots, curve.x]), return_index=True)  # narrow ones around roots, too
    slope = np.concatenate([curve.sample(curve.roots)[1], curve.slope])[new]
    flat = np.abs(slope) < level.value
    at = np.flatnonzero(flat[1:] != flat[:-1])
    sign = np.sign(np.where(flat[at], slope[at + 1], slope[at]))

    def same(x: np.ndarray, which: np.ndarray) -> np.ndarray:
        return (np.abs(curve.sample(x)[1]) < level.value) == flat[at[which]]

    inside, outside = brackets.bisect(same, x[at], x[at + 1])
    ends = brackets.rounder(inside, outside)
    if curve.wide:
        ends = averages.crossings(lambda x, which: sign[which] * curve.sample(x)[1], inside, outside, ends, level)
    ends = np.concatenate([[low] if flat[0] else [], ends, [high] if flat[-1] else []])
    spans = ends.reshape(-1, 2)
    # A single number, as 0 for sign(x) g(abs(x)), of which jax.grad says that the slope is 0, is no interval.
    return spans[spans[:, 0] < spans[:, 1]]


def _around_root(spans: np.ndarray, curve: Curve) -> np.ndarray:
    """Whether intervals hold an isolated root, and neither reach out to infinity nor hold a flat part."""

    def holds(points: np.ndarray) -> np.ndarray:
        return np.any((spans[:, :1] <= points) & (points <= spans[:, 1:]), axis=1)

    return np.asarray(holds(curve.roots) & ~holds(curve.flats[:, 0])) & np.isfinite(spans).all(1)


def _argmax(curve: Curve, dtype: np.dtype, low: float, high: float) -> np.ndarray:
    """Where the slope is largest: an infinity if it only tends to its largest, else a number of the dtype."""
    top = np.abs(curve.slope) >= np.abs(curve.slope).max() * (1 - 4 * np.finfo(np.float64).eps)
    best = np.flatnonzero(top)[np.argmin(np.abs(curve.x[top]))]
    first, last = next(run for run in brackets.runs(top) if run[0] <= best <= run[1])

    def fall(x: np.ndarray) -> np.ndarray:
        return curve.max_slope - np.abs(curve.sample(x)[1])

    for end, inner, side in ((high, first, -1), (low, last, 1)):
        edge = (last if side < 0 else first) in (0, curve.x.size - 1)
        if np.isinf(end) and edge and 0 < inner < curve.x.size - 1:
            inside, outside = curve.x[inner : inner + 1], curve.x[inner + side : inner + side + 1]
            if not curve.reached(fall, inside, outside, side):
                return np.array(end)
    at = curve.x[best : best + 1]
    near = np.concatenate([_rounded(at, dtype), brackets.step(_rounded(at, dtype), 1)])
    near = np.concatenate([near, brackets.step(near[:1], -1)])
    slopes = np.abs(curve.sample(near.astype(np.float64))[1])
    # At a kink the nearest number may lie on the other side.
    return at[0] if slopes[0] > 0.999 * curve.max_slope else near[np.argmax(slopes)].astype(np.float64)
