"""Derivatives by finite differences, each with an estimate of its error."""

from collections.abc import Callable

import numpy as np

_STEPS = 2.0 ** -np.arange(2, 12)
_BETWEEN = np.array([0.093, 0.217, 0.331, 0.446, 0.559, 0.683, 0.791, 0.917])
_BETWEEN = np.concatenate([-_BETWEEN, _BETWEEN])[:, None]
_SAFETY = 10
_MOST_BREAKS = 50  # from afar a staircase looks like a slope
_RESOLVED = 1e-4  # steps that disagree by a larger share of the values do not resolve the function


def differentiate(
    f: Callable[[np.ndarray], np.ndarray],
    xs: np.ndarray,
    *,
    slope: Callable[[np.ndarray], np.ndarray] | None = None,
    rounding: Callable[[np.ndarray], np.ndarray],
    precision: float,
    breaks: np.ndarray,
    domain: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Central differences, extrapolated twice (Richardson), at the step that agrees best with its neighbours.

    Steps are fractions of 1, for most functions change over such lengths, and of the input, for others change over
    lengths of that size, far out or next to a singularity. There a function that oscillates may look smooth by
    chance at a few inputs, so more of them are looked at; and one that oscillates less than it rounds looks smooth
    at all of them, so what claims to be its derivative is looked at as well.

    Args:
      f: function of a float64 array.
      xs: where.
      slope: what claims to be the derivative, if there is such a function.
      rounding: how far off rounding may have brought ``f``.
      precision: relative rounding error of what ``f`` makes of its input.
      breaks: where ``f`` or a derivative jumps; no difference is taken across.
      domain: open interval of the inputs of ``f``.

    Returns:
      The derivatives, and bounds on their errors that are estimates; NaN and infinity where no step serves.
    """
    h = _STEPS[:, None] * np.stack([np.ones_like(xs), np.abs(xs)])[:, None]
    right, left = xs + h, xs - h
    with np.errstate(all="ignore"):
        stencil = np.stack([left, right])
        ys, doubts = (g(stencil.ravel()).reshape(2, *h.shape) for g in (f, rounding))
        first = (ys[1] - ys[0]) / (right - left)
        second = (4 * first[:, 1:] - first[:, :-1]) / 3
        third = (16 * second[:, 1:] - second[:, :-1]) / 15
        size = np.abs(ys).max(axis=0) / h
        # The largest on the way out to a step: that of one input may be small by chance.
        doubts = np.maximum.accumulate(doubts.max(axis=0)[:, ::-1], axis=1)[:, ::-1]
        rounded = (doubts[:, :-3] + precision * np.abs(first * xs)[:, 3:]) / h[:, 3:]
        error = np.abs(third[:, 1:] - third[:, :-1]) + np.abs(third[:, 1:] - second[:, 2:])
        error = np.where(error <= _RESOLVED * size[:, :-3] + rounded, error + rounded, np.inf)
    error = np.where(h[:, 3:] < 1024 * precision * np.abs(xs), np.inf, error)
    outside = (left <= domain[0]) | (right >= domain[1])
    for x in breaks:
        outside |= (left <= x) & (x <= right)
        outside[1] |= outside[1, 0]  # where one was found, there may be more
    error = np.where(outside[:, :-3], np.inf, error)
    tame = np.all([_tame(g, xs, precision) for g in (f, slope) if g], axis=0) & (breaks.size <= _MOST_BREAKS)
    error[1] = np.where(tame, error[1], np.inf)
    error = error.reshape(-1, xs.size)
    best = error.argmin(axis=0)[None]
    estimate = np.take_along_axis(third[:, 1:].reshape(-1, xs.size), best, axis=0)[0]
    doubt = np.take_along_axis(error, best, axis=0)[0]
    return np.where(np.isfinite(doubt), estimate, np.nan), _SAFETY * doubt + 4 * precision * np.abs(estimate)


def _tame(f: Callable[[np.ndarray], np.ndarray], xs: np.ndarray, precision: float) -> np.ndarray:
    """Where ``f`` is roughly a parabola within a quarter of the input's size."""
    with np.errstate(all="ignore"):
        ys = f((xs + xs / 4 * np.concatenate([_BETWEEN, [[-1], [0], [1]]])).ravel()).reshape(-1, xs.size)
        low, middle, high = ys[-3:]
        parabola = middle + (high - low) / 2 * _BETWEEN + (high - 2 * middle + low) / 2 * _BETWEEN**2
        room = np.ptp(ys, axis=0) / 10 + 1e4 * precision * np.abs(ys).max(axis=0)
        return np.all(np.abs(ys[:-3] - parabola) <= room, axis=0)
