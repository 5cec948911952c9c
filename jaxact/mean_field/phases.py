"""Where signals go in a deep random network: fixed points of length and correlation, and the depth scales."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxact.analysis import quadrature
from jaxact.analysis.moments import over_arrays
from jaxact.errors import InputError, shown
from jaxact.mean_field import pairs
from jaxact.mean_field.fixed_lengths import checked_q_star, exploding, q_star
from jaxact.mean_field.lengths import (
    at_zero,
    check_callable,
    check_q,
    check_sigmas,
    integrals,
    q_limit,
)


class Phase(NamedTuple):
    """Fixed points and depth scales of a deep random network.

    Attributes:
      q: variance of pre-activations deep inside, q*; 0 if the signal dies, inf if it explodes.
      c: correlation of two inputs deep inside, c*: 1 in the ordered phase; NaN where q is inf.
      chi_1: the factor of the gradient's variance per layer, and of a small difference's on the way forward.
      chi_c: the slope of the correlation map at c*.
      slope: the slope of the length map at q*, V'(q*).
      xi_q: layers in which the variance approaches q* by a factor e.
      xi_c: layers in which the correlation approaches c* by a factor e; networks train to a depth of a few xi_c.
      xi_grad: layers in which gradients vanish by a factor e; negative where they explode.
    """

    q: np.ndarray
    c: np.ndarray
    chi_1: np.ndarray
    chi_c: np.ndarray
    slope: np.ndarray
    xi_q: np.ndarray
    xi_c: np.ndarray
    xi_grad: np.ndarray


class PhaseDiagram(NamedTuple):
    """`Phase` over a grid: arrays [sigma_b, sigma_w].

    Attributes:
      sigma_w: standard deviation of the weights times the root of the fan-in.
      sigma_b: standard deviation of the biases.
      phase: what is there, of signals that start with variance 1.
      ordered: where gradients vanish, chi_1 < 1.
      explodes: the sigma_w above which such signals explode, [sigma_b], whatever the grid.
    """

    sigma_w: np.ndarray
    sigma_b: np.ndarray
    phase: Phase
    ordered: np.ndarray
    explodes: np.ndarray


class _One(NamedTuple):
    value: np.ndarray


def correlation_map(
    fn: Callable[[Any], Array],
    c: ArrayLike,
    *,
    sigma_w: ArrayLike,
    sigma_b: ArrayLike = 0.0,
    q: ArrayLike | None = None,
) -> np.ndarray | Array:
    r"""The correlation map: the correlation of two signals in the next layer, given this layer's.

    .. math::
        C(c) = \frac{\sigma_w^2\, E f(u) f(v) + \sigma_b^2}{V(q)}, \qquad
        (u, v) \sim N\Big(0, q \begin{pmatrix} 1 & c \\ c & 1 \end{pmatrix}\Big)

    Computed as 1 - C, from a Hermite series where it converges to rounding, else by quadrature in the mean and the
    difference of u and v, broken at kinks: right for every c, however near to 1, and for every function that
    `jaxact.moments` takes.

    Args:
      fn: elementwise function.
      c: correlation, from -1 to 1; broadcasts against the others.
      sigma_w: standard deviation of the weights times the root of the fan-in.
      sigma_b: standard deviation of the biases.
      q: variance of the pre-activations of both; by default the fixed point q* of the length map.

    Returns:
      C(c), of the broadcast shape, in float64 (NumPy; a JAX array under a transformation).

    Raises:
      InputError: if ``c`` is not a correlation, ``q`` not a positive variance, a sigma negative, or if without
        ``q`` the fixed point is 0 or infinite.

    Examples:
      >>> import jax
      >>> correlation_map(jax.nn.relu, [0.0, 1.0], sigma_w=2**0.5, q=1.0).round(9)
      array([0.31830989, 1.        ])

    References:
      Poole et al. 2016, arXiv:1606.05340; Cho & Saul 2009, Kernel methods for deep learning (the closed form of
      relu).
    """

    def compute(c: np.ndarray, sigma_w: np.ndarray, sigma_b: np.ndarray, *given: np.ndarray) -> _One:
        check_sigmas(sigma_w, sigma_b)
        if not (np.abs(c) <= 1).all():
            raise InputError(f"c must be a correlation from -1 to 1, got {shown(c.tolist())}")
        q = given[0] if given else q_star(fn, sigma_w, sigma_b, np.ones(c.shape))
        if not given and not (np.isfinite(q) & (q > 0)).all():
            raise InputError("the length map has no positive finite fixed point there: say at which q to map")
        check_q("q", q)
        length = sigma_w**2 * integrals(fn, q).second + sigma_b**2
        lost = np.array([pairs.pair(fn, float(a), float(1 - b))[0] for a, b in zip(q.flat, c.flat, strict=True)])
        with np.errstate(divide="ignore", invalid="ignore"):
            return _One(1 - sigma_w**2 * lost.reshape(c.shape) / length)

    check_callable(fn)
    at: dict[str, Any] = {} if q is None else {"q": q}
    return over_arrays(compute, _One, c=c, sigma_w=sigma_w, sigma_b=sigma_b, **at).value


def fixed_point(
    fn: Callable[[Any], Array], *, sigma_w: ArrayLike, sigma_b: ArrayLike = 0.0, q_0: ArrayLike = 1.0
) -> Phase:
    r"""Fixed points of length and correlation, their stability, and the depth scales.

    .. math::
        \chi_1 = \sigma_w^2 E_{q^*} f'^2, \quad V'(q^*) = \frac{\sigma_w^2}{q^*} E f f' z, \quad
        \xi_q = \frac{-1}{\ln |V'|}, \quad \xi_c = \frac{-1}{\ln \chi_c}, \quad \xi_\nabla = \frac{-1}{\ln \chi_1}

    The derivative of the length map is taken in a form that kinks do not disturb; where f jumps, through the
    density. Where f jumps, chi_1 is what back-propagation sees, and the true slope of the correlation map at 1 is
    infinite: there c* is below 1.

    Args:
      fn: elementwise function.
      sigma_w: standard deviation of the weights times the root of the fan-in; broadcasts against the others.
      sigma_b: standard deviation of the biases.
      q_0: variance to start from; it decides where there are several fixed points.

    Returns:
      `Phase`, with arrays of the broadcast shape.

    Raises:
      InputError: if ``q_0`` is not positive, or a sigma is negative.

    Examples:
      >>> import jax.numpy as jnp
      >>> phase = fixed_point(jnp.tanh, sigma_w=[1.0, 2.0], sigma_b=0.3)
      >>> phase.chi_1.round(4), phase.c.round(4)
      (array([0.7003, 1.3271]), array([1.    , 0.2639]))

    References:
      Poole et al. 2016, arXiv:1606.05340; Schoenholz et al. 2017, Deep information propagation, arXiv:1611.01232.
    """

    def compute(sigma_w: np.ndarray, sigma_b: np.ndarray, q_0: np.ndarray) -> Phase:
        return _phase(fn, sigma_w, sigma_b, checked_q_star(fn, sigma_w, sigma_b, q_0))

    check_callable(fn)
    return over_arrays(compute, Phase, sigma_w=sigma_w, sigma_b=sigma_b, q_0=q_0)


def _phase(fn: Callable, sigma_w: np.ndarray, sigma_b: np.ndarray, q: np.ndarray) -> Phase:
    m = integrals(fn, np.minimum(q, q_limit(fn)))  # an infinite q has the slopes of a very large one
    _, slope_at_zero, _ = at_zero(fn)
    chi_1 = sigma_w**2 * np.where(q == 0, slope_at_zero, m.slope)
    slope = sigma_w**2 * np.where(q == 0, slope_at_zero, m.growth)
    c, chi_c = np.where(np.isinf(q), np.nan, 1.0), np.where(np.isinf(q), np.nan, chi_1)
    radius = 12 * np.sqrt(q[np.isfinite(q)].max(initial=1e-12))
    jump = quadrature.jumps(fn, 2.0 ** np.ceil(np.log2(radius)))
    chaotic = (q > 0) & np.isfinite(q) & (sigma_w > 0) & (jump | (chi_1 > 1 + 1e-10))
    for i in np.flatnonzero(chaotic):
        gap, slope_c = pairs.fixed_gap(fn, float(q.flat[i]), float(sigma_w.flat[i]), jump)
        c.flat[i], chi_c.flat[i] = 1 - gap, sigma_w.flat[i] ** 2 * slope_c
    return Phase(q, c, chi_1, chi_c, slope, _scale(np.abs(slope)), _scale(chi_c), _scale(chi_1))


def _scale(factor: np.ndarray) -> np.ndarray:
    """Layers per factor e: inf where nothing changes, 0 where it is over at once."""
    with np.errstate(divide="ignore"):
        rate = np.log(factor)
        return np.where(np.abs(rate) < 1e-14, np.inf, -1 / np.where(rate == 0, 1, rate))


def phase_diagram(fn: Callable[[Any], Array], *, sigma_w: ArrayLike, sigma_b: ArrayLike) -> PhaseDiagram:
    """The phases over a grid of weights and biases.

    Args:
      fn: elementwise function.
      sigma_w: one axis of the grid, [m].
      sigma_b: the other, [n].

    Returns:
      `PhaseDiagram`, its arrays [n, m].

    Raises:
      InputError: if an axis is not one-dimensional, or as `fixed_point`.

    Examples:
      >>> import jax.numpy as jnp
      >>> phase_diagram(jnp.tanh, sigma_w=[0.8, 1.5, 2.2], sigma_b=[0.0, 0.5]).ordered
      array([[ True, False, False],
             [ True,  True, False]])

    References:
      Poole et al. 2016, arXiv:1606.05340; Schoenholz et al. 2017, arXiv:1611.01232.
    """
    for name, axis in (("sigma_w", sigma_w), ("sigma_b", sigma_b)):
        if np.ndim(axis) != 1:
            raise InputError(f"{name} must be one-dimensional, an axis of the grid, got shape {np.shape(axis)}")
    w, b = np.meshgrid(np.asarray(sigma_w, float), np.asarray(sigma_b, float))
    phase = fixed_point(fn, sigma_w=w, sigma_b=b)
    return PhaseDiagram(w, b, phase, phase.chi_1 < 1, exploding(fn, b[:, 0], 1.0))
