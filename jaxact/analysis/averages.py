"""Levels of a computed slope, and where it crosses them, with its rounding errors averaged away.

A computed f' is off by some units in its last place, up or down as good as at random from number to number. Where
the true one is smooth, a polynomial through a thousand of its values is not: its error is smaller by the root of
how many values there are for each coefficient, and so is that of the point where it crosses a level. What errors
of neighbouring numbers have in common stays.
"""

import functools
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.polynomial import chebyshev

_DEGREE = 8
_MANY = 64
# The polynomial, its slope and its bend in the middle, from the coefficients.
_MIDDLE = np.stack([chebyshev.chebval(0.0, chebyshev.chebder(np.eye(_DEGREE + 1), k)) for k in (0, 1, 2)])
_EPS = float(np.finfo(np.float64).eps)
_WIDTHS = 2.0 ** -np.arange(5, 54, 3)  # of half a window, in units of the number in its middle
_NUMBERS = 2.0**12  # float64 numbers in half a window, at least
_SHARP = 2.0**-10  # of the level between two neighbouring numbers: no rounding error moves such a crossing


Slope: TypeAlias = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Level(NamedTuple):
    """A positive number in two parts, of which the second is beyond the digits of the first."""

    value: float
    rest: float = 0.0

    def times(self, share: float) -> "Level":
        """The product with a number, to as many digits."""
        product = (Fraction(self.value) + Fraction(self.rest)) * Fraction(share)
        return Level(float(product), float(product - Fraction(float(product))))


@functools.cache
def _rule(points: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of a window from -1 to 1, [points], and there the polynomials, orthogonal, [points, degree + 1]."""
    nodes = np.cos(np.pi * (np.arange(points) + 0.5) / points)
    return nodes, chebyshev.chebvander(nodes, _DEGREE)


class _Fit(NamedTuple):
    """Polynomials through windows, in the middle, in units of the level and of half a window: [windows] each."""

    value: np.ndarray
    slope: np.ndarray
    bend: np.ndarray
    error: np.ndarray  # standard error of the value
    good: np.ndarray  # whether the residuals look like rounding errors and nothing else


def _fit(slope: Slope, at: np.ndarray, half: np.ndarray, level: Level) -> _Fit:
    """Fits slope / level - 1 over windows around ``at``."""
    points = 1024 if at.size <= _MANY else 256
    nodes, basis = _rule(points)
    fitted = 2 / points * basis
    fitted[:, 0] /= 2
    x = at[:, None] + half[:, None] * nodes
    with np.errstate(all="ignore"):
        found = slope(x.ravel(), np.repeat(np.arange(at.size), points)).reshape(x.shape)
        # The first difference is exact near the level, so that nothing is lost here.
        y = (found - level.value - level.rest) / level.value
        coefficients = y @ fitted
        left = y - coefficients @ basis.T
        noise = (left**2).mean(1)
        # Errors of neighbours that know nothing of each other: the mean square of their differences is twice
        # theirs (von Neumann 1941). It is next to 0 where a kink, a jump or a neglected term is what is left.
        random = (np.diff(left) ** 2).mean(1) > 1.5 * noise
        lone = np.abs(left).max(1) > 8 * np.sqrt(noise)
        good = np.isfinite(noise) & ((random & ~lone) | (noise < (_EPS / 16) ** 2))
        value, first, second = _MIDDLE @ coefficients.T
        error = np.sqrt(noise * ((fitted @ _MIDDLE[0]) ** 2).sum())
    return _Fit(value, first, second, error, good)


def crossings(slope: Slope, inside: np.ndarray, outside: np.ndarray, at: np.ndarray, level: Level) -> np.ndarray:
    """Where a slope crosses a level.

    Args:
      slope: f' as computed, with the sign that makes it cross the level: of numbers [n] and the crossing that each
        belongs to, [n].
      inside: the number on one side of each crossing, as computed, [k].
      outside: its neighbour on the other side, [k].
      at: the one of the two to keep where nothing better is known, [k].
      level: what is crossed.

    Returns:
      The crossings, [k]; as they were where the slope is not smooth around them, or its errors are not random.
    """
    start, all_ = at, np.arange(at.size)
    at, errors = start.copy(), np.full(start.size, np.nan)
    jump = np.abs(slope(inside, all_) - slope(outside, all_))
    todo = np.flatnonzero(jump < _SHARP * level.value)
    for width in _WIDTHS:
        half = width * np.maximum(1, np.abs(start[todo]))
        wide = half > _NUMBERS * np.spacing(np.abs(start[todo]))
        todo, half = todo[wide], half[wide]
        if not todo.size:
            return at
        fit = _fit(lambda x, which, todo=todo: slope(x, todo[which]), start[todo], half, level)
        with np.errstate(all="ignore"):
            move, error = -fit.value / fit.slope, half * np.abs(fit.error / fit.slope)
            new = start[todo] + half * move
            new = np.where(np.abs(new) < 4 * error, 0.0, new)  # a crossing at 0 has no last place
            good = fit.good & (np.abs(fit.bend * move) < 0.1 * np.abs(fit.slope)) & (np.abs(move) < 0.5)
        # In the first of two good ones the neglected terms may be just below the rounding errors, and where f'
        # goes to 0 these are less nearer by: on to smaller windows, until that gains nothing.
        second, gains = good & ~np.isnan(errors[todo]), error < 0.5 * errors[todo]
        at[todo] = np.where(second, new, start[todo])
        errors[todo] = np.where(good, error, np.nan)
        todo = todo[~second | gains]
    at[todo] = start[todo]
    return at


def height(slope: Slope, at: float, raw: float) -> Level:
    """A slope at a point, with its rounding errors averaged away if it is smooth around it.

    Args:
      slope: f' as computed, with the sign that makes it positive there, as in `crossings`.
      at: the point.
      raw: the slope there.
    """
    half = max(1.0, abs(at)) * _WIDTHS[:6]
    fit = _fit(slope, np.full(half.size, at), half, Level(raw))
    both = np.flatnonzero(fit.good[1:] & fit.good[:-1]) + 1
    return Level(1.0, float(fit.value[both[0]])).times(raw) if both.size else Level(raw)
