"""How the variance of pre-activations goes from layer to layer: the length map."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxact.analysis import quadrature
from jaxact.analysis.moments import over_arrays
from jaxact.errors import InputError, shown

Q_MIN = 1e-12  # below it, the limit q -> 0 is as exact
_CHUNK = 1 << 22


class Integrals(NamedTuple):
    """E f^2, its derivative in q, E f'^2, and E f'^4, each of the shape of q."""

    second: np.ndarray
    growth: np.ndarray
    slope: np.ndarray
    fourth: np.ndarray


class _Table(NamedTuple):
    """What is integrated, at the nodes of a rule."""

    rule: quadrature.Rule
    columns: np.ndarray  # [nodes, 5]
    last: np.ndarray  # f^2 where the integral is cut
    inside: float  # where f overflows
    jump: bool


@quadrature.cached
def _table(fn: Callable, q_max: float) -> _Table:
    rule = quadrature.rule(fn, Q_MIN, q_max)
    jump = quadrature.jumps(fn, 2.0 ** np.ceil(np.log2(12 * rule.q_max**0.5)))
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite((rule.f * rule.x) ** 2 + rule.df**4)
        inside = np.abs(rule.x[~finite]).min(initial=np.inf)
        f, df = (np.where(finite, v, 0.0) for v in (rule.f, rule.df))
        columns = np.stack([f * f, f * df * rule.x, df**2, df**4, f * f * rule.x**2], 1)
        last = np.where(np.abs(rule.x) > 0.9 * min(12 * rule.q_max**0.5, inside), f * f, 0)
    return _Table(rule, columns, last, inside, jump)


@quadrature.cached
def q_limit(fn: Callable) -> float:
    """The largest q that is looked at: less for functions that oscillate all the way."""
    limit = 1.0
    for q in (1e2, 1e4, 1e6):
        try:
            panels = quadrature.mesh(fn, 2.0 ** np.ceil(np.log2(12 * q**0.5))).size
        except InputError:
            break
        if panels >= 4000:
            break
        limit = q
        if panels >= 400:  # ten times as many at the next
            break
    return limit


def integrals(fn: Callable, q: np.ndarray) -> Integrals:
    """The integrals at any q from 0 to `q_limit`; NaN where they overflow or do not exist."""
    q = np.asarray(q, float)
    flat, limit = q.ravel(), q_limit(fn)
    top = flat[np.isfinite(flat)].max(initial=0.0)
    rule, columns, last, inside, jump = _table(fn, next((b for b in (1.0, 1e2, 1e4) if top <= b < limit), limit))
    out = np.empty((4, flat.size))
    rows = max(1, _CHUNK // rule.x.size)
    with np.errstate(over="ignore", invalid="ignore"):
        for i in range(0, flat.size, rows):
            part = np.clip(flat[i : i + rows], Q_MIN, limit)
            p = quadrature.density(rule.x, rule.w, part)
            sums = (p @ columns).T
            # A jump adds to the growth of E f^2 what no derivative of f tells; then the density is differentiated.
            growth = (sums[4] / part - sums[0]) / (2 * part) if jump else sums[1] / part
            part_out = np.stack([sums[0], growth, sums[2], sums[3]])
            lost = (p @ last > 1e-9 * sums[0]) | (12 * np.sqrt(part) > inside)
            out[:, i : i + rows] = np.where(lost | ~np.isfinite(part_out), np.nan, part_out)
    second, growth, slope, fourth = (r.reshape(q.shape) for r in out)
    return Integrals(second, growth, slope, fourth)


def check_sigmas(sigma_w: np.ndarray, sigma_b: np.ndarray) -> None:
    """Both must be standard deviations."""
    for name, sigma in (("sigma_w", sigma_w), ("sigma_b", sigma_b)):
        if not (np.isfinite(sigma) & (sigma >= 0)).all():
            raise InputError(
                f"{name} must be a finite standard deviation, at least 0, got {shown(sigma.tolist())}"
            )


def check_q(name: str, q: np.ndarray) -> None:
    """A variance that the maps can be evaluated at."""
    if not (np.isfinite(q) & (q > 0)).all():
        raise InputError(f"{name} must be a positive finite variance, got {shown(q.tolist())}")


class _One(NamedTuple):
    value: np.ndarray


def length_map(
    fn: Callable[[Any], Array], q: ArrayLike, *, sigma_w: ArrayLike, sigma_b: ArrayLike = 0.0
) -> np.ndarray | Array:
    r"""The length map: the variance of the next layer's pre-activations, given this layer's.

    .. math::
        V(q) = \sigma_w^2\, E f(z)^2 + \sigma_b^2, \qquad z \sim N(0, q)

    Args:
      fn: elementwise function.
      q: variance of the pre-activations.
      sigma_w: standard deviation of the weights times the root of the fan-in; broadcasts against the others.
      sigma_b: standard deviation of the biases.

    Returns:
      V(q), of the broadcast shape, in float64 (NumPy; a JAX array under a transformation).

    Raises:
      InputError: if ``q`` is not positive, or a sigma is negative, or fn oscillates too fast at that q.

    Examples:
      >>> import jax
      >>> float(length_map(jax.nn.relu, 3.0, sigma_w=2**0.5, sigma_b=0.5).round(12))
      3.25

    References:
      Poole et al. 2016, Exponential expressivity in deep neural networks through transient chaos,
      arXiv:1606.05340.
    """

    def compute(q: np.ndarray, sigma_w: np.ndarray, sigma_b: np.ndarray) -> _One:
        check_q("q", q)
        check_sigmas(sigma_w, sigma_b)
        if (q > q_limit(fn)).any():
            raise InputError(f"q must be at most {q_limit(fn):g} for {shown(fn)}, got {q.max():g}")
        return _One(sigma_w**2 * integrals(fn, q).second + sigma_b**2)

    check_callable(fn)
    return over_arrays(compute, _One, q=q, sigma_w=sigma_w, sigma_b=sigma_b).value


def check_callable(fn: object) -> None:
    """The engines take callables, not names."""
    if not callable(fn):
        raise TypeError(f"fn must be callable, got {type(fn).__name__} {shown(fn)}")


def at_zero(fn: Callable) -> tuple[float, float, bool]:
    """Limits of E f^2 and E f'^2 for q -> 0, and whether f and f' are continuous at 0."""
    f, df = quadrature.values(fn, np.array([-1e-150, 1e-150]))
    smooth = bool(abs(f[0] - f[1]) <= 1e-12 and abs(df[0] - df[1]) <= 1e-12 * max(abs(df)))
    second = float((f**2).mean())
    return (second if second > 1e-290 else 0.0), float((df**2).mean()), smooth
