"""The edge of chaos: where gradients neither vanish nor explode, and where lengths stand still as well."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxact.errors import InputError, shown
from jaxact.mean_field.lengths import at_zero, check_callable, integrals, q_limit

_NOISE = 1e-11  # relative rounding error of the differences whose signs are looked at


class EdgeOfChaos(NamedTuple):
    """All initialisations with chi_1 = 1, by growing q, along the last axis; NaN where another sigma_b has more.

    Attributes:
      sigma_w: standard deviation of the weights times the root of the fan-in.
      sigma_b: standard deviation of the biases, as given.
      q: the fixed point of the length map.
      chi_1: 1, as computed from the three.
      slope: V'(q), the slope of the length map.
      stable: whether nearby lengths come to q, abs(V'(q)) < 1; not so on a line of fixed points (relu).
    """

    sigma_w: np.ndarray
    sigma_b: np.ndarray
    q: np.ndarray
    chi_1: np.ndarray
    slope: np.ndarray
    stable: np.ndarray


class CriticalPoint(NamedTuple):
    """Initialisations with chi_1 = 1 and V'(q) = 1, by growing q: arrays [n]."""

    sigma_w: np.ndarray
    sigma_b: np.ndarray
    q: np.ndarray
    chi_1: np.ndarray
    slope: np.ndarray


class _Edge(NamedTuple):
    """The edge of chaos along q."""

    q: np.ndarray
    bias: np.ndarray  # sigma_b^2
    excess: np.ndarray  # V' - 1


def _edge(fn: Callable, q: np.ndarray) -> _Edge:
    m = integrals(fn, q)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        bias, excess = q - m.second / m.slope, m.growth / m.slope - 1
    return _Edge(q, bias, excess)


def _grid(fn: Callable) -> _Edge:
    limit = q_limit(fn)
    q = np.geomspace(1e-8, limit, 16 * int(np.log10(limit / 1e-8)) + 1)
    edge = _edge(fn, q)
    good = np.isfinite(edge.bias) & np.isfinite(edge.excess)
    if not good.any():
        raise InputError(f"{shown(fn)} has no edge of chaos: its derivative is 0, or its moments do not exist")
    edge = _Edge(*(a[good] for a in edge))
    # A pair of roots between two points of the grid shows at the extremum between them.
    inner = np.flatnonzero(np.diff(np.sign(np.diff(edge.bias))) != 0) + 1
    inner = inner[np.abs(edge.bias[inner]) > 1e3 * _NOISE * edge.q[inner]]
    sign = np.where(edge.bias[inner] > edge.bias[inner - 1], 1, -1)
    low, high = edge.q[inner - 1], edge.q[inner + 1]
    for _ in range(40 if inner.size else 0):
        a, b = (low ** (1 - s) * high**s for s in (0.382, 0.618))
        left = sign * _edge(fn, a).bias > sign * _edge(fn, b).bias
        low, high = np.where(left, low, a), np.where(left, b, high)
    q = np.sort(np.concatenate([edge.q, np.sqrt(low * high)]))
    return _edge(fn, q)


def _crossings(q: np.ndarray, at: np.ndarray, f: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Roots of f between neighbours of q where the values ``at`` q, 0 if they are noise, change sign."""
    kept = np.flatnonzero(at != 0)
    change = np.flatnonzero(at[kept][1:] * at[kept][:-1] < 0)
    low, high = q[kept[change]], q[kept[change + 1]]
    rising = at[kept[change + 1]] > 0
    for _ in range(64 if low.size else 0):
        middle = np.sqrt(low * high)
        right = (f(middle) > 0) == rising
        low, high = np.where(right, low, middle), np.where(right, middle, high)
    return np.sqrt(low * high)


def edge_of_chaos(fn: Callable[[Any], Array], *, sigma_b: ArrayLike = 0.0) -> EdgeOfChaos:
    r"""All weights that put a network on the edge of chaos, chi_1 = 1, for given biases.

    The edge is a curve with parameter q, along which the roots are bracketed:

    .. math::
        \sigma_w^2(q) = \frac{1}{E f'^2}, \qquad \sigma_b^2(q) = q - \frac{E f^2}{E f'^2}, \qquad z \sim N(0, q)

    For sigma_b = 0 and f(0) = 0 the limit q = 0 belongs to it, sigma_w = 1 / abs(f'(0)). For scale-invariant
    functions (relu, leaky relu, identity) every q is a solution at sigma_b = 0; the one with q = 1 stands for
    them.

    Args:
      fn: elementwise function.
      sigma_b: standard deviation of the biases; an array gives one row of solutions each.

    Returns:
      `EdgeOfChaos`, its arrays of the shape of ``sigma_b`` and one axis more, of length 0 if there is no solution.
      Solutions with 1e-8 < q < 1e6 are found (1e4 or less for functions that oscillate all the way).

    Raises:
      InputError: if ``sigma_b`` is negative or traced, or the derivative of fn is 0.

    Examples:
      >>> import jax.numpy as jnp
      >>> edge = edge_of_chaos(jnp.tanh, sigma_b=0.3)
      >>> edge.sigma_w.round(6), edge.q.round(6), edge.stable
      (array([1.395584]), array([0.763475]), array([ True]))

    References:
      Schoenholz et al. 2017, Deep information propagation, arXiv:1611.01232; Hayou et al. 2019, On the impact of
      the activation function on deep neural networks training, arXiv:1902.06853.
    """
    check_callable(fn)
    if isinstance(sigma_b, Tracer):
        raise InputError(
            "sigma_b must not be traced, as the number of solutions depends on it: give an array instead"
        )
    biases = np.asarray(sigma_b, float)
    if not (np.isfinite(biases) & (biases >= 0)).all():
        raise InputError(f"sigma_b must be a finite standard deviation, at least 0, got {shown(sigma_b)}")
    grid, rows = _grid(fn), []
    second_0, slope_0, _ = at_zero(fn)
    line = (np.abs(grid.bias) <= _NOISE * grid.q).all()
    for bias in (biases**2).ravel():
        at = np.where(np.abs(grid.bias - bias) <= _NOISE * grid.q, 0, grid.bias - bias)
        roots = _crossings(grid.q, at, lambda q, bias=bias: _edge(fn, q).bias - bias)
        if bias == 0 and line:
            roots = np.ones(1)
        elif bias == 0 and second_0 == 0 and slope_0 > 0:
            roots = np.append(0.0, roots)
        rows.append(roots)
    width = max((r.size for r in rows), default=0)
    q = np.full((len(rows), width), np.nan)
    for i, roots in enumerate(rows):
        q[i, : roots.size] = roots
    q = q.reshape((*biases.shape, width))
    sigma_w, chi_1, slope = _conditions(fn, q, slope_0)
    return EdgeOfChaos(
        sigma_w,
        np.where(np.isnan(q), np.nan, biases[..., None]),
        q,
        chi_1,
        slope,
        np.abs(slope) < 1 - _NOISE,
    )


def _conditions(fn: Callable, q: np.ndarray, slope_0: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """sigma_w, chi_1 and V' at given q of the edge of chaos."""
    m = integrals(fn, np.where(np.isnan(q), 1, q))
    slopes, growth = np.where(q == 0, slope_0, m.slope), np.where(q == 0, slope_0, m.growth)
    sigma_w = np.where(np.isnan(q), np.nan, slopes**-0.5)
    return sigma_w, sigma_w**2 * slopes, sigma_w**2 * growth


def critical_point(fn: Callable[[Any], Array]) -> CriticalPoint:
    r"""The initialisations at which gradients and lengths both stand still: chi_1 = 1 and V'(q) = 1.

    .. math::
        \sigma_w^2 E f'^2 = 1, \qquad \frac{\sigma_w^2}{q} E f f' z = 1, \qquad \sigma_w^2 E f^2 + \sigma_b^2 = q

    Functions with f(0) = 0 that are smooth at 0 have one at q = 0: sigma_w = 1 / abs(f'(0)), sigma_b = 0, where
    signals fade like a power of the depth (tanh) or leave it (gelu). silu, gelu and mish have another at positive
    q.

    Args:
      fn: elementwise function.

    Returns:
      `CriticalPoint`: all of them, by growing q; the last one is what to take for a rectifier.

    Raises:
      InputError: if there is none (softplus, sigmoid), or a whole line of them (relu and every scale-invariant
        function: any q at sigma_b = 0); the message says which.

    Examples:
      >>> import jax
      >>> point = critical_point(jax.nn.silu)
      >>> [(float(w).__round__(6), float(b).__round__(6)) for w, b in zip(point.sigma_w**2, point.sigma_b**2)]
      [(4.0, 0.0), (1.988005, 0.555143)]

    References:
      Roberts, Yaida & Hanin 2022, The principles of deep learning theory, arXiv:2106.10165, chapter 5.
    """
    check_callable(fn)
    grid = _grid(fn)
    second_0, slope_0, smooth = at_zero(fn)
    excess = np.where(np.abs(grid.excess) < _NOISE, 0, grid.excess)
    if (excess == 0).all() and (np.abs(grid.bias) <= _NOISE * grid.q).all():
        w = float(_conditions(fn, np.ones(()), slope_0)[0])
        raise InputError(
            f"{shown(fn)} is scale-invariant: at sigma_w = {w:.12g}, sigma_b = 0 chi_1 = V' = 1 for every q, "
            "a line of critical points; edge_of_chaos gives it"
        )
    roots = _crossings(grid.q, excess, lambda q: _edge(fn, q).excess)
    bias = _edge(fn, roots).bias
    real = bias >= -_NOISE * roots
    roots, bias = roots[real], np.maximum(bias[real], 0)
    if second_0 == 0 and slope_0 > 0 and smooth:
        roots, bias = np.append(0.0, roots), np.append(0.0, bias)
    if not roots.size:
        raise InputError(
            f"{shown(fn)} has no critical point: nowhere are chi_1 = 1 and V' = 1 with sigma_b^2 >= 0; "
            "edge_of_chaos gives chi_1 = 1 alone"
        )
    sigma_w, chi_1, slope = _conditions(fn, roots, slope_0)
    return CriticalPoint(sigma_w, np.sqrt(bias), roots, chi_1, slope)
