"""What a network of finite depth does to signals and gradients, layer by layer."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxact.analysis.moments import over_arrays
from jaxact.errors import InputError, shown
from jaxact.mean_field import pairs
from jaxact.mean_field.fixed_lengths import q_star
from jaxact.mean_field.lengths import (
    Q_MIN,
    at_zero,
    check_callable,
    check_q,
    check_sigmas,
    integrals,
    q_limit,
)

# sigma_w^2 of the usual initialisers, for layers as wide as their input where that matters.
_INITS = {"lecun": 1.0, "glorot": 1.0, "xavier": 1.0, "orthogonal": 1.0, "he": 2.0, "kaiming": 2.0}


class Propagation(NamedTuple):
    """Layer by layer, along the last axis: 0 is the first layer's pre-activations, -1 the last's.

    Attributes:
      q: variance of pre-activations.
      c: correlation of those of two inputs.
      chi: the factor of the gradient's variance in each layer, sigma_w^2 E f'^2.
      gradient: variance of the loss's gradient by pre-activations, by that in the last layer.
    """

    q: np.ndarray
    c: np.ndarray
    chi: np.ndarray
    gradient: np.ndarray


class JacobianMoments(NamedTuple):
    """Mean and variance of the squared singular values of the input-output Jacobian."""

    mean: np.ndarray
    variance: np.ndarray


def propagate(
    fn: Callable[[Any], Array],
    *,
    depth: int,
    sigma_w: ArrayLike,
    sigma_b: ArrayLike = 0.0,
    q: ArrayLike = 1.0,
    c: ArrayLike = 1.0,
) -> Propagation:
    r"""Iterate the length map and the correlation map, and multiply up the gradient.

    .. math::
        q^{l+1} = V(q^l), \qquad c^{l+1} = C_{q^l}(c^l), \qquad
        \tilde q^l = \tilde q^L \prod_{k=l}^{L-1} \sigma_w^2 E_{q^k} f'^2

    It is what infinitely wide random networks do, from any start; nothing is taken at the fixed point. The
    distance 1 - c is what is iterated, so correlations that go to 1 keep their digits.

    Args:
      fn: elementwise function.
      depth: number of layers that fn stands before, L.
      sigma_w: standard deviation of the weights times the root of the fan-in; broadcasts against the others.
      sigma_b: standard deviation of the biases.
      q: variance of the first layer's pre-activations.
      c: correlation of two inputs there, from -1 to 1; at 1 it stays.

    Returns:
      `Propagation`; with the broadcast shape first, and one axis of length depth + 1 last.

    Raises:
      InputError: if ``depth`` is not a positive integer, or another argument is out of its range.

    Examples:
      >>> import jax
      >>> run = propagate(jax.nn.relu, depth=2, sigma_w=1.0, q=4.0, c=0.0)
      >>> run.q, run.c.round(4), run.gradient
      (array([4., 2., 1.]), array([0.    , 0.3183, 0.4937]), array([0.25, 0.5 , 1.  ]))

    References:
      Schoenholz et al. 2017, Deep information propagation, arXiv:1611.01232.
    """
    _check_depth(depth)

    def compute(sigma_w: np.ndarray, sigma_b: np.ndarray, q: np.ndarray, c: np.ndarray) -> Propagation:
        check_sigmas(sigma_w, sigma_b)
        check_q("q", q)
        if not (np.abs(c) <= 1).all():
            raise InputError(f"c must be a correlation from -1 to 1, got {shown(c.tolist())}")
        lengths, gaps, chis = [q], [1 - c], []
        dies = at_zero(fn)[0] == 0  # f(0) = 0
        for _ in range(depth + 1):
            now, gap = lengths[-1], gaps[-1]
            m = integrals(fn, np.minimum(now, q_limit(fn)))
            # What leaves the range of the integrals has died or exploded: there it goes on with the last slopes.
            scale = np.maximum(now / q_limit(fn), 1.0) * (np.minimum(now / Q_MIN, 1.0) if dies else 1.0)
            chis.append(sigma_w**2 * m.slope)
            length = sigma_w**2 * m.second * scale + sigma_b**2
            lost = [
                pairs.pair(fn, float(a), float(g))[0] if Q_MIN < a <= q_limit(fn) and g > 0 else 0.0
                for a, g in zip(now.flat, gap.flat, strict=True)
            ]
            lengths.append(length)
            with np.errstate(divide="ignore", invalid="ignore"):
                gaps.append(np.where(now > Q_MIN, sigma_w**2 * np.reshape(lost, now.shape) / length, gap))
        chi = np.stack(chis, -1)
        ahead = np.cumprod(chi[..., -2::-1], axis=-1)[..., ::-1]
        gradient = np.concatenate([ahead, np.ones((*q.shape, 1))], -1)
        return Propagation(np.stack(lengths[:-1], -1), 1 - np.stack(gaps[:-1], -1), chi, gradient)

    check_callable(fn)
    return over_arrays(compute, Propagation, extra=(depth + 1,), sigma_w=sigma_w, sigma_b=sigma_b, q=q, c=c)


def _check_depth(depth: object) -> None:
    if isinstance(depth, bool) or not isinstance(depth, int | np.integer) or depth < 1:
        raise InputError(f"depth must be a positive number of layers, got {shown(depth)}")


class _One(NamedTuple):
    value: np.ndarray


def gradient_variance(
    fn: Callable[[Any], Array],
    *,
    depth: int = 50,
    init: str | float = "he_normal",
    sigma_b: ArrayLike = 0.0,
    q: ArrayLike = 1.0,
) -> np.ndarray | Array:
    r"""The factor by which the gradient's variance changes from the last layer to the first, under an initialiser.

    .. math::
        \prod_{l=0}^{L-1} \sigma_w^2 E_{q^l} f'^2, \qquad q^{l+1} = \sigma_w^2 E_{q^l} f^2 + \sigma_b^2

    he_normal is made for relu. Under it gelu loses thirteen orders of magnitude in 50 layers, as the example
    shows.

    Args:
      fn: elementwise function.
      depth: number of layers, L.
      init: name of an initialiser (``"he_normal"``, ``"lecun_uniform"``, ``"glorot_normal"``, ``"orthogonal"``,
        ...; of Glorot's, for layers as wide as their input), or sigma_w as a number, for example `jaxact.gain` of
        fn.
      sigma_b: standard deviation of the biases.
      q: variance of the first pre-activations.

    Returns:
      The factor, of the shape of ``sigma_b`` and ``q``.

    Raises:
      InputError: if ``init`` is unknown, ``depth`` not a positive integer, or another argument out of its range.

    Examples:
      >>> import jax, jaxact
      >>> factor = gradient_variance(lambda x: jax.nn.gelu(x, approximate=False), init="he_normal")
      >>> round(float(np.log10(factor)), 1)
      -13.3
      >>> gradient_variance(jax.nn.relu, init="he_normal").round(9)
      np.float64(1.0)

    References:
      Schoenholz et al. 2017, arXiv:1611.01232; He et al. 2015, arXiv:1502.01852.
    """
    if isinstance(init, str):
        family = init.removesuffix("_normal").removesuffix("_uniform")
        if family not in _INITS:
            names = ", ".join(f"{name}_normal" for name in _INITS if name != "orthogonal")
            raise InputError(f"init must be a number or one of {names}, orthogonal, got {shown(init)}")
        sigma_w = _INITS[family] ** 0.5
    else:
        sigma_w = init
    run = propagate(fn, depth=depth, sigma_w=sigma_w, sigma_b=sigma_b, q=q)
    return run.gradient[..., 0]


def jacobian_variance(
    fn: Callable[[Any], Array],
    *,
    depth: int,
    sigma_w: ArrayLike,
    sigma_b: ArrayLike = 0.0,
    weights: str = "gaussian",
    q: ArrayLike | None = None,
) -> JacobianMoments:
    r"""Mean and variance of the squared singular values of the Jacobian of a deep random network.

    .. math::
        m_1 = \chi_1^L, \qquad \operatorname{Var} = \chi_1^{2L} L \Big(\frac{\mu_2}{\mu_1^2} - 1 - s_1\Big), \qquad
        \mu_k = E_{q^*} f'^{2k}

    with s_1 = -1 for Gaussian and 0 for orthogonal weights. For infinite width, and in a network whose lengths are
    at their fixed point from the first layer on. At chi_1 = 1 orthogonal weights and small q give dynamical
    isometry for functions that are linear at 0; relu, with mu_2 = 2 mu_1^2 at any q, never gets there.

    Args:
      fn: elementwise function.
      depth: number of layers, L.
      sigma_w: standard deviation of the weights times the root of the fan-in; broadcasts against the others.
      sigma_b: standard deviation of the biases.
      weights: ``"gaussian"`` or ``"orthogonal"``.
      q: variance of pre-activations; by default the fixed point q*.

    Returns:
      `JacobianMoments`, of the broadcast shape; NaN where the fixed point is 0 or infinite.

    Raises:
      InputError: if an argument is out of its range.

    Examples:
      >>> import jax
      >>> jacobian_variance(jax.nn.relu, depth=8, sigma_w=2**0.5, weights="orthogonal").variance.round(9)
      np.float64(8.0)

    References:
      Pennington, Schoenholz & Ganguli 2017, Resurrecting the sigmoid in deep learning through dynamical isometry,
      arXiv:1711.04735; 2018, The emergence of spectral universality in deep networks, arXiv:1802.09979.
    """
    _check_depth(depth)
    if weights not in ("gaussian", "orthogonal"):
        raise InputError(f"weights must be 'gaussian' or 'orthogonal', got {shown(weights)}")
    s_1 = {"gaussian": -1, "orthogonal": 0}[weights]

    def compute(sigma_w: np.ndarray, sigma_b: np.ndarray, *given: np.ndarray) -> JacobianMoments:
        check_sigmas(sigma_w, sigma_b)
        if given:
            check_q("q", given[0])
        at = given[0] if given else q_star(fn, sigma_w, sigma_b, np.ones(sigma_w.shape))
        usable = (at > 0) & (at <= q_limit(fn))
        m = integrals(fn, np.where(usable, at, 1.0))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            mean = np.where(usable, (sigma_w**2 * m.slope) ** depth, np.nan)
            return JacobianMoments(mean, mean**2 * depth * (m.fourth / m.slope**2 - 1 - s_1))

    check_callable(fn)
    at: dict[str, Any] = {} if q is None else {"q": q}
    return over_arrays(compute, JacobianMoments, sigma_w=sigma_w, sigma_b=sigma_b, **at)
