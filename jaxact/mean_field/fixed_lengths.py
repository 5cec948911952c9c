"""Where the variance of pre-activations stops: the fixed points of the length map."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxact.analysis import quadrature
from jaxact.analysis.moments import over_arrays
from jaxact.mean_field.lengths import Q_MIN, check_callable, check_q, check_sigmas, integrals, q_limit

_HALVINGS = 25  # of 1/8 of a decade: an extremum is known to the square of what they leave
_NOISE = 4 * float(np.finfo(np.float64).eps)  # relative, of V(q) - q


@quadrature.cached
def _lengths(fn: Callable, top: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """E f^2, inf where it does not exist, and its derivative from q = `Q_MIN` to ``top``."""
    grid = np.geomspace(Q_MIN, top, 8 * int(np.log10(top / Q_MIN)) + 1)
    m = integrals(fn, grid)
    return grid, np.where(np.isnan(m.second), np.inf, m.second), m.growth


def q_star(fn: Callable, sigma_w: np.ndarray, sigma_b: np.ndarray, q_0: np.ndarray) -> np.ndarray:
    """The fixed point of the length map that q_0 moves to; 0 and inf among them."""
    w, b, q0 = (a.ravel() for a in np.broadcast_arrays(sigma_w**2, sigma_b**2, q_0))
    out = np.full(w.size, np.inf)
    left = np.arange(w.size)
    for top in (1e2, 1e4, 1e6):
        top = min(top, q_limit(fn))
        grid, second, growth = _lengths(fn, top)
        start = np.clip(q0[left], Q_MIN, top)
        at_start = w[left] * integrals(fn, start).second + b[left] - start
        with np.errstate(invalid="ignore"):
            above = w[left, None] * second + b[left, None] - grid  # [cells, grid]
        above = np.where(np.isnan(above), -grid, above)  # sigma_w = 0 where E f^2 overflows
        up = at_start > 0
        beyond = np.where(
            up[:, None], (grid > start[:, None]) & (above <= 0), (grid < start[:, None]) & (above >= 0)
        )
        first = np.where(up, beyond.argmax(1), grid.size - 1 - beyond[:, ::-1].argmax(1))
        found = beyond.any(1)
        low = np.where(up, np.maximum(grid[np.maximum(first - 1, 0)], start), grid[first])
        high = np.where(up, grid[first], np.minimum(grid[np.minimum(first + 1, grid.size - 1)], start))
        still = np.abs(at_start) <= 1e-13 * start
        cell, beside = np.arange(grid.size - 1), first[:, None]
        passed = np.where(up[:, None], grid[1:] > start[:, None], grid[:-1] < start[:, None])
        passed &= ~still[:, None] & (~found[:, None] | np.where(up[:, None], cell + 1 < beside, cell > beside))
        side = np.where(up, 1.0, -1.0)
        with np.errstate(invalid="ignore"):
            rate = w[left, None] * growth - 1
        near = _Cells(grid, side[:, None] * above, side[:, None] * rate, passed)
        row, turn = _pairs(fn, near, w[left], b[left], side, start)
        low[row] = np.where(up[row], start[row], turn)
        high[row] = np.where(up[row], turn, start[row])
        found[row] = True
        done = left[found]
        out[done] = _root(fn, w[done], b[done], low[found], high[found])
        out[left[still]] = start[still]
        fallen = ~found & ~still & ~up
        out[left[fallen]] = 0.0
        left = left[~found & ~still & up]
        if not left.size or top >= q_limit(fn):
            break
    return out.reshape(np.broadcast_shapes(sigma_w.shape, sigma_b.shape, q_0.shape))


def checked_q_star(fn: Callable, sigma_w: np.ndarray, sigma_b: np.ndarray, q_0: np.ndarray) -> np.ndarray:
    """`q_star`, or an `InputError` if a sigma or q_0 cannot be used."""
    check_sigmas(sigma_w, sigma_b)
    check_q("q_0", q_0)
    return q_star(fn, sigma_w, sigma_b, q_0)


class _Cells(NamedTuple):
    """What is known of V(q) - q, with the sign that it has where signals start, on the grid."""

    grid: np.ndarray
    gap: np.ndarray  # [signals, grid]
    rate: np.ndarray  # its derivative, [signals, grid]
    passed: np.ndarray  # the cells that a signal passes by, as far as the grid tells, [signals, grid - 1]


def _pairs(
    fn: Callable, cells: _Cells, w: np.ndarray, b: np.ndarray, side: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Signals that do not get through a cell, as V(q) - q has two roots in it, and a q between these."""
    width = np.diff(cells.grid)
    gap, after, rate, later = cells.gap[:, :-1], cells.gap[:, 1:], cells.rate[:, :-1], cells.rate[:, 1:]
    dips = cells.passed & (gap > 0) & (after > 0) & (rate < 0) & (later > 0)
    with np.errstate(all="ignore"):
        # Where the tangents meet; between them lies what is convex, and what is not is not far below.
        least = gap + rate * (after - gap - later * width) / (rate - later)
        dips &= least < 0.5 * np.minimum(gap, after)
    row, cell = np.nonzero(dips)
    low, high = cells.grid[cell], cells.grid[cell + 1]
    for _ in range(_HALVINGS if row.size else 0):
        middle = np.sqrt(low * high)
        falls = side[row] * (w[row] * integrals(fn, middle).growth - 1) < 0
        low, high = np.where(falls, middle, low), np.where(falls, high, middle)
    q = np.sqrt(low * high)
    least = side[row] * (w[row] * integrals(fn, q).second + b[row] - q)
    hit = (least < -_NOISE * q) & (side[row] * (q - start[row]) > 0)
    row, q = row[hit], q[hit]
    first = np.lexsort((side[row] * q, row))
    row, once = np.unique(row[first], return_index=True)
    return row, q[first][once]


def exploding(fn: Callable, sigma_b: np.ndarray, q_0: float) -> np.ndarray:
    """The sigma_w, of the shape of sigma_b, above which signals of variance q_0 explode.

    They do where V(q) > q for every q from q_0 on, that is sigma_w^2 > sup (q - sigma_b^2) / E f^2.
    """
    top = q_limit(fn)
    q = np.geomspace(q_0, top, 64 * int(np.ceil(np.log10(top / q_0))) + 1)
    second = integrals(fn, q).second
    with np.errstate(divide="ignore"):  # inf where f is 0; where E f^2 overflows nothing keeps signals
        least = np.where(np.isnan(second), 0.0, (q - sigma_b[..., None] ** 2) / second)
    return np.sqrt(least.max(-1, initial=0.0))


def _root(fn: Callable, w: np.ndarray, b: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Root of V(q) - q, which falls through 0 between low and high: Newton's method, kept inside by bisection."""
    low, high = low.copy(), high.copy()
    q = np.sqrt(low * high)
    active = np.arange(q.size)
    for _ in range(80):
        if not active.size:
            break
        m = integrals(fn, q[active])
        gap = w[active] * m.second + b[active] - q[active]
        low[active] = np.where(gap > 0, q[active], low[active])
        high[active] = np.where(gap > 0, high[active], q[active])
        with np.errstate(divide="ignore", invalid="ignore"):
            new = q[active] - gap / (w[active] * m.growth - 1)
        new = np.where((new > low[active]) & (new < high[active]), new, np.sqrt(low[active] * high[active]))
        moved = np.abs(new - q[active]) > 4e-16 * q[active]
        q[active] = np.where(gap == 0, q[active], new)
        active = active[moved & (gap != 0)]
    return q


class _QOnly(NamedTuple):
    q: np.ndarray


def fixed_length(
    fn: Callable[[Any], Array], *, sigma_w: ArrayLike, sigma_b: ArrayLike = 0.0, q_0: ArrayLike = 1.0
) -> np.ndarray | Array:
    r"""The fixed point q* of the `length_map` that a signal of variance ``q_0`` moves to.

    Args:
      fn: elementwise function.
      sigma_w: standard deviation of the weights times the root of the fan-in; broadcasts against the others.
      sigma_b: standard deviation of the biases.
      q_0: variance to start from; it decides where there are several fixed points.

    Returns:
      q*, of the broadcast shape: 0 where the signal dies, inf where it explodes, ``q_0`` where every q is fixed
      (relu at sigma_w = sqrt(2), sigma_b = 0). Pairs of fixed points are told apart down to a distance of 1e-7 of
      q*; the relative error of one is about 1e-15 / abs(V'(q*) - 1), which grows as they merge.

    Raises:
      InputError: if ``q_0`` is not positive, or a sigma is negative.

    Examples:
      >>> import jax.numpy as jnp
      >>> fixed_length(jnp.tanh, sigma_w=[0.9, 1.5], sigma_b=0.0).round(6)
      array([0.      , 0.793354])
    """

    def compute(sigma_w: np.ndarray, sigma_b: np.ndarray, q_0: np.ndarray) -> _QOnly:
        return _QOnly(checked_q_star(fn, sigma_w, sigma_b, q_0))

    check_callable(fn)
    return over_arrays(compute, _QOnly, sigma_w=sigma_w, sigma_b=sigma_b, q_0=q_0).q
