"""Finds where a function or one of its derivatives jumps."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from jaxact.testing.subject import Subject

_HALVINGS = 64
_SMALLEST_JUMP = 1e-7  # as a share of how large value or derivative are
_SMALLEST_JUMP_OF_FLOAT32 = 1e-3  # what is less may be rounding


class Break(NamedTuple):
    """A jump of one order.

    Attributes:
      x: where.
      order: 0 where the value jumps, 1 where only the derivative does, 2 for the second derivative.
      low: value and derivatives on the left, as many as the subject has.
      high: the same on the right.
    """

    x: float
    order: int
    low: np.ndarray
    high: np.ndarray


def find_breaks(subject: "Subject") -> list[Break]:
    """Every jump that is not hidden by another one within a sixtieth, by bisection.

    A cell of a grid is halved and the half kept that is farther from smooth. Over a smooth stretch what changes
    goes to 0 with the width; at a jump it stays. That needs float64, or a function that is far from rounding.
    """
    if subject.precision is None:
        return []
    fine = subject.precision < 1e-12
    smallest = _SMALLEST_JUMP if fine else _SMALLEST_JUMP_OF_FLOAT32
    grid = _grid(subject.domain, 3 if fine else 1)
    orders = np.arange(subject.order + 1)
    low, high = (np.tile(ends, (orders.size, 1)) for ends in (grid[:-1], grid[1:]))
    at_grid = subject(grid)
    y_grid = np.stack([at_grid, _next_order(at_grid)])
    y_low, y_high = y_grid[..., :-1], y_grid[..., 1:]
    middle = low
    for _ in range(_HALVINGS):
        middle = low + (high - low) / 2
        y = subject(middle.ravel()).reshape(-1, *middle.shape)
        y = np.stack([y[orders, orders], _next_order(y)[orders, orders]])
        left = _roughness(y_low, y, middle - low) >= _roughness(y, y_high, high - middle)
        low, y_low = np.where(left, low, middle), np.where(left, y_low, y)
        high, y_high = np.where(left, middle, high), np.where(left, y, y_high)
    with np.errstate(invalid="ignore"):
        change = np.abs(y_high[0] - y_low[0])
        size = np.maximum(_size(at_grid, grid)[:, None], np.maximum(np.abs(y_low[0]), np.abs(y_high[0])))
        input_rounding = 8 * subject.precision * np.abs(middle) * np.maximum(np.abs(y_low[1]), np.abs(y_high[1]))
        jumps = np.isfinite(change) & (change > smallest * size + input_rounding)
    found: dict[float, int] = {}
    ends = []
    for k, i in zip(*np.nonzero(jumps), strict=True):
        left_end, right_end = float(low[k, i]), float(high[k, i])
        x = _simplest(left_end, right_end)
        if not any(abs(x - other) <= 1e-9 * max(1, abs(x)) for other in found):
            found[x] = int(k)
            ends.append((_beside(x, left_end, -1), _beside(x, right_end, 1)))
    sides = subject(np.array(ends).reshape(-1)).reshape(orders.size, len(ends), 2)
    breaks = [Break(x, k, sides[:, j, 0], sides[:, j, 1]) for j, (x, k) in enumerate(found.items())]
    return sorted(breaks, key=lambda b: b.x)


def _next_order(y: np.ndarray) -> np.ndarray:
    """The derivative of each order, as far as it is known and finite, and else 0."""
    known = np.concatenate([y[1:], np.zeros_like(y[:1])])
    return np.where(np.isfinite(known), known, 0)


def _roughness(y_low: np.ndarray, y_high: np.ndarray, width: np.ndarray) -> np.ndarray:
    """How far a change is from what the slopes at its ends make of it."""
    with np.errstate(all="ignore"):
        return np.nan_to_num(np.abs(y_high[0] - y_low[0] - (y_low[1] + y_high[1]) / 2 * width), posinf=np.inf)


def _grid(domain: tuple[float, float], decades: int) -> np.ndarray:
    """Cells whose ends are no round numbers, where kinks are wont to be."""
    fine = np.linspace(-10, 10, 1201) + 0.0012345
    outer = 10.0123 * 10 ** np.linspace(0, decades, 200)
    grid = np.concatenate([-outer[::-1], fine, outer])
    grid = grid[(domain[0] < grid) & (grid < domain[1])]
    if grid.size < 400 and domain[1] - domain[0] < np.inf:
        grid = domain[0] + (domain[1] - domain[0]) * (np.arange(1200) + 0.4321) / 1200
    return np.unique(grid)


def _size(y: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """How large each order is around 0, poles left out."""
    y = np.where(np.isfinite(y), np.abs(y), 0)
    near = np.abs(grid) <= max(8, np.abs(grid).min() * 8)
    return np.maximum(np.quantile(y[:, near], 0.9, axis=1), 1e-30)


def _simplest(low: float, high: float) -> float:
    """The number of fewest digits in a narrow interval."""
    if low <= 0 <= high:
        return 0.0
    for digits in range(1, 16):
        x = float(f"{(low + high) / 2:.{digits}g}")
        if low <= x <= high:
            return x
    return float(high)


def _beside(x: float, end: float, side: int) -> float:
    """An input next to a break, on one side of it and off the break itself."""
    step = max(abs(x) * 2.0**-50, abs(end - x), 2.0**-60)
    return x + side * step
