"""Integrals over two correlated Gaussians, exact at kinks and where the correlation is nearly 1."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxact.analysis import quadrature

_ORDERS = (320, 1200)
_OUTER = np.linspace(-12.0, 12.0, 17)  # edges, in standard deviations; the panels at 0 share the edge 0
_ROWS = 24  # outer nodes whose inner nodes are held at once


class Series(NamedTuple):
    """Hermite series of E f(u) f(v): sum of a_k^2 c^k.

    Attributes:
      power: a_k^2, from k = 0.
      rest: what the a_k^2 beyond add up to.
      rest_slope: what k a_k^2 beyond adds up to, inf if f jumps; by the size of the whole.
    """

    power: np.ndarray
    rest: float
    rest_slope: float


@quadrature.cached
def series(fn: Callable, q: float, order: int = _ORDERS[0]) -> Series:
    """Coefficients of f in orthonormal Hermite polynomials under N(0, q), squared."""
    rule = quadrature.at(fn, q, width=9 / order**0.5)
    z = rule.x / q**0.5
    # Hermite functions instead of polynomials, which would overflow: half of the density goes to each factor.
    half = np.exp(-z * z / 4)
    weighted = rule.w / q**0.5 / np.sqrt(2 * np.pi) * rule.f * half
    before, now = np.zeros_like(z), half
    power = np.empty(order)
    for k in range(order):
        power[k] = (weighted @ now) ** 2
        before, now = now, (z * now - k**0.5 * before) / (k + 1) ** 0.5
    p = quadrature.density(rule.x, rule.w, np.asarray(q))
    second, slope = p @ rule.f**2, q * (p @ rule.df**2)
    rest = second - power.sum()
    rest = 0.0 if rest < 1e-14 * second else float(rest)
    if quadrature.jumps(fn, 2.0 ** np.ceil(np.log2(12 * q**0.5))):
        return Series(power, rest, np.inf)
    return Series(power, rest, float(max(0.0, 1 - power @ np.arange(order) / slope)) if slope > 0 else 0.0)


def converged(s: Series, c: float) -> bool:
    """Whether what the series leaves out is below rounding at that correlation."""
    if s.rest_slope < 1e-13:
        return True
    left = min(s.rest_slope, 1e3)
    return bool(abs(c) < 1 and abs(c) ** (s.power.size - 1) * left < 1e-14)


def sum_series(s: Series, q: float, gap: float) -> tuple[float, float]:
    """E f^2 - E f(u) f(v) and E f'(u) f'(v) at correlation 1 - gap."""
    k = np.arange(s.power.size)
    c = 1 - gap
    if c > 0.5:
        log = np.log1p(-gap)
        lost, kept = -np.expm1(k * log), np.exp(np.maximum(k - 1, 0) * log)
    else:
        lost, kept = 1 - c**k, c ** np.maximum(k - 1, 0)
    return float(s.power @ lost + s.rest), float((k * s.power) @ kept / q)


def rotated(fn: Callable, q: float, gap: float) -> tuple[float, float]:
    """The same as `sum_series`, by quadrature over the mean and half the difference of u and v.

    They are independent, u = m + d and v = m - d, with variances q (1 + c) / 2 and q (1 - c) / 2. The line of m is
    broken where u or v is at a kink, for every d; and that of d where two of those breaks meet. Nothing becomes
    singular for c -> 1, where E f^2 - E f(u) f(v) = E (f(u) - f(v))^2 / 2. For c < 0 the two change places.
    """
    if gap == 0:
        rule = quadrature.rule(fn, q, q)
        return 0.0, float(quadrature.density(rule.x, rule.w, np.asarray(q)) @ rule.df**2)
    swap = -1.0 if gap > 1 else 1.0
    wide, narrow = (q * (1 - gap / 2)) ** 0.5, (q * gap / 2) ** 0.5
    if swap < 0:
        wide, narrow = narrow, wide
    radius = 2.0 ** np.ceil(np.log2(24 * q**0.5))
    edges, kinks = quadrature.mesh(fn, radius), quadrature.kinks(fn, radius)
    meet = (kinks[:, None] - swap * kinks[None, :]).ravel() / 2 / max(narrow, 1e-300)
    outer = np.unique(np.concatenate([_OUTER, meet[np.abs(meet) < 12]]))
    if swap > 0:  # even in d
        outer = outer[outer >= 0]
    t, w = _panels(outer)
    w = w * np.exp(-t * t / 2) / np.sqrt(2 * np.pi) * (2 if swap > 0 else 1)
    inner = np.linspace(-12 * wide, 12 * wide, 25)
    total, slope = 0.0, 0.0
    for i in range(0, t.size, _ROWS):
        s = t[i : i + _ROWS, None] * narrow
        cuts = np.concatenate([edges - s, swap * (edges + s) if swap > 0 else s - edges], 1)
        cuts = np.clip(
            np.concatenate([cuts, np.broadcast_to(inner, (s.size, inner.size))], 1), inner[0], inner[-1]
        )
        y, v = _panels(np.sort(cuts, axis=1))
        with np.errstate(under="ignore"):
            v = v * np.exp(-((y / wide) ** 2) / 2) / np.sqrt(2 * np.pi) / wide * w[i : i + _ROWS, None]
        (f, df), (g, dg) = quadrature.values(fn, y + s), quadrature.values(fn, swap * (y - s))
        total += float((v * ((f - g) ** 2 / 2 if swap > 0 else f * g)).sum())
        slope += float((v * df * dg).sum())
    if swap < 0:
        rule = quadrature.rule(fn, q, q)
        total = float(quadrature.density(rule.x, rule.w, np.asarray(q)) @ rule.f**2) - total
    return total, slope


def _panels(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on the panels between sorted edges, along the last axis."""
    half, middle = np.diff(edges) / 2, (edges[..., 1:] + edges[..., :-1]) / 2
    shape = (*edges.shape[:-1], -1)
    x = middle[..., None] + half[..., None] * quadrature.NODES
    return x.reshape(shape), (half[..., None] * quadrature.WEIGHTS).reshape(shape)


def pair(fn: Callable, q: float, gap: float) -> tuple[float, float]:
    """E f^2 - E f(u) f(v) and E f'(u) f'(v) for u, v ~ N(0, q) of correlation 1 - gap, by what is exact there."""
    for order in _ORDERS:
        s = series(fn, q, order)
        if converged(s, 1 - gap):
            return sum_series(s, q, gap)
    return rotated(fn, q, gap)


def fixed_gap(fn: Callable, q: float, sigma_w: float, jump: bool) -> tuple[float, float]:
    """1 - c* of the stable fixed point c* below 1 of the correlation map at q*, and E f'(u) f'(v) there.

    (E f^2 - E f(u) f(v)) / (1 - c) grows with c, from 0 on, and equals q / sigma_w^2 at the root.
    """
    target, gap = q / sigma_w**2, 1.0

    def excess(evaluate: Callable[[float], tuple[float, float]], gap: float) -> float:
        return evaluate(gap)[0] / gap - target

    for order in _ORDERS:
        s = series(fn, q, order)
        # f jumps: C'(1) is infinite, and the root is away from 1.
        gap = _bisect(lambda gap, s=s: excess(lambda g: sum_series(s, q, g), gap))
        if converged(s, 1 - gap):
            return gap, sum_series(s, q, gap)[1]
    if not jump:
        return _newton(lambda gap: rotated(fn, q, gap), q, target, gap)
    gap = _bisect(lambda gap: excess(lambda g: rotated(fn, q, g), gap), tolerance=1e-13)
    return gap, _slope_by_difference(fn, q, gap)


def _slope_by_difference(fn: Callable, q: float, gap: float) -> float:
    h = 1e-4 * gap
    up, down = rotated(fn, q, gap + h)[0], rotated(fn, q, gap - h)[0]
    return (up - down) / (2 * h * q)


def _newton(
    evaluate: Callable[[float], tuple[float, float]], q: float, target: float, gap: float
) -> tuple[float, float]:
    """Root of ln(lost / gap) - ln(target) in ln(gap), and the slope there, by Newton's method inside brackets.

    The slope that comes with each costly evaluation gives the derivative, so a start with two digits needs three.
    """
    low, high, x, slope = np.log(1e-12), 0.0, np.log(gap), np.nan
    for _ in range(60):
        gap = float(np.exp(x))
        lost, slope = evaluate(gap)
        at = np.log(lost / gap / target)
        low, high = (x, high) if at > 0 else (low, x)
        new = min(max(x - at / (q * slope * gap / lost - 1), np.log(1e-12)), 0.0)
        new = new if low <= new <= high else (low + high) / 2
        if abs(at) <= 4e-15 or abs(new - x) <= 1e-13:
            break
        x = new
    return gap, slope


def _bisect(falls: Callable[[float], float], tolerance: float = 4e-16) -> float:
    """Root in ln(gap) of a function that falls with it, by the ITP-like mix of secants and bisections."""
    low, high = np.log(1e-12), 0.0
    at_low, at_high = falls(float(np.exp(low))), falls(1.0)
    if at_low <= 0:
        return float(np.exp(low))
    if at_high >= 0:
        return 1.0
    side, x = 0, high
    for step in range(200):
        x = (low * at_high - high * at_low) / (at_high - at_low) if step % 4 != 3 else (low + high) / 2
        x = min(max(x, low), high)
        at = falls(float(np.exp(x)))
        if at > 0:  # the Illinois variant of false position
            low, at_low = x, at
            at_high = at_high / 2 if side == 1 else at_high
            side = 1
        else:
            high, at_high = x, at
            at_low = at_low / 2 if side == -1 else at_low
            side = -1
        if at == 0 or high - low <= tolerance:
            break
    return float(np.exp(x))
