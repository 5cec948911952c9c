"""Transformations of a function that let deep networks train without skips or normalisation: DKS and TAT."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxact.analysis import quadrature
from jaxact.errors import InputError, shown

_SHIFTS = (-5.0, -3.0, -1.5, -0.75, -0.3, 0.0, 0.3, 0.75, 1.5, 3.0, 5.0)  # where the search starts


class Transformation(NamedTuple):
    """A transformed function, gamma (f(alpha x + beta) + delta), and its constants.

    Attributes:
      function: the transformed function; it pickles if f does.
      alpha: scale of the input.
      beta: shift of the input.
      gamma: scale of the output.
      delta: shift of the output, before its scale.
    """

    function: Callable[[Any], Array]
    alpha: float
    beta: float
    gamma: float
    delta: float


class LeakyReLU(NamedTuple):
    """The rectifier gamma leaky_relu(x, slope)."""

    function: Callable[[Any], Array]
    slope: float
    gamma: float


class _Expectations(NamedTuple):
    """Of f, f' and f'' at alpha x + beta, x ~ N(0, 1)."""

    f: float
    ff: float
    ddx: float  # E f' x
    fdx: float  # E f f' x
    dd: float
    cc: float  # E f''^2


def transformed(
    fn: Callable[[Any], Array], alpha: float, beta: float, gamma: float, delta: float, x: ArrayLike
) -> Array:
    """The transformed function: gamma (fn(alpha x + beta) + delta).

    Args:
      fn: elementwise function.
      alpha: scale of the input.
      beta: shift of the input.
      gamma: scale of the output.
      delta: shift of the output, before its scale.
      x: input.

    Returns:
      Array of the shape of ``x``.

    Examples:
      >>> import jax.numpy as jnp
      >>> transformed(jnp.abs, 2.0, 0.0, 0.5, 1.0, jnp.array([-1.0, 3.0]))
      Array([1.5, 3.5], dtype=float32)
    """
    return gamma * (fn(alpha * x + beta) + delta)


def _expect(fn: Callable, alpha: float, beta: float) -> _Expectations:
    low, high = beta - 12 * alpha, beta + 12 * alpha
    edges = quadrature.mesh(fn, float(2.0 ** np.ceil(np.log2(abs(beta) + 12 * alpha))))
    edges = np.unique(np.concatenate([edges[(edges > low) & (edges < high)], np.linspace(low, high, 33)]))
    half = np.diff(edges) / 2
    u = (((edges[1:] + edges[:-1]) / 2)[:, None] + half[:, None] * quadrature.NODES).ravel()
    w = (half[:, None] * quadrature.WEIGHTS).ravel()
    x = (u - beta) / alpha
    f, d, c = quadrature.values(fn, u, 2)
    p = w / alpha * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)
    with np.errstate(invalid="ignore", over="ignore"):
        return _Expectations(*(float(p @ v) for v in (f, f * f, d * x, f * d * x, d * d, c * c)))


def _solve(fn: Callable, residuals: Callable[[_Expectations, float], np.ndarray]) -> Iterator[tuple[float, float]]:
    """Roots (alpha, beta) of two residuals, found by Newton's method from alpha = 1 and from points of a grid."""

    def at(p: np.ndarray) -> np.ndarray:
        alpha, beta = float(np.exp(p[0])), float(p[1])
        if not (1e-6 < alpha < 30 and abs(beta) < 30):
            return np.full(2, np.inf)
        with np.errstate(invalid="ignore", divide="ignore"):
            r = residuals(_expect(fn, alpha, beta), alpha)
        return np.where(np.isfinite(r), r, np.inf)

    grid = [np.array([a, b]) for a in np.log([0.03, 0.1, 0.3, 1.0, 3.0]) for b in _SHIFTS]
    grid.sort(key=lambda p: float(np.abs(at(p)).max()))
    for start in [np.array([0.0, 0.3]), *grid[:30]]:
        p, now = start, at(start)
        for _ in range(60):
            size = float(np.abs(now).max())
            if size < 1e-12 or not np.isfinite(size):
                break
            h = 1e-6
            jacobian = np.stack([(at(p + s) - at(p - s)) / (2 * h) for s in h * np.eye(2)], 1)
            if not np.isfinite(jacobian).all():
                break
            step = np.clip(-np.linalg.lstsq(jacobian, now, rcond=1e-13)[0], -1, 1)
            for shorter in 0.5 ** np.arange(12):
                new = at(p + shorter * step)
                if np.abs(new).max() < size:
                    break
            else:
                break
            p, now = p + shorter * step, new
        if np.abs(now).max() < 1e-9:
            yield float(np.exp(p[0])), float(p[1])


def _check(fn: object, depth: object, name: str, value: float, low: float, high: float) -> None:
    if not callable(fn):
        raise TypeError(f"fn must be callable, got {type(fn).__name__} {shown(fn)}")
    if isinstance(depth, bool) or not isinstance(depth, int | np.integer) or depth < 1:
        raise InputError(f"depth must be a positive number of layers, got {shown(depth)}")
    if not low < value < high:
        raise InputError(f"{name} must be between {low:g} and {high:g}, got {shown(value)}")


def dks(fn: Callable[[Any], Array], *, depth: int, zeta: float = 1.5) -> Transformation:
    r"""Deep kernel shaping: transform a function so that a deep network's kernel stays well conditioned.

    Solves, at q = 1 and for :math:`\hat f(x) = \gamma (f(\alpha x + \beta) + \delta)`,

    .. math::
        E \hat f^2 = 1, \quad E \hat f \hat f' x = 1, \quad E \hat f = 0, \quad E \hat f'^2 = \zeta^{1/L}

    so that in a network of L layers one after the other, with sigma_w = 1 and sigma_b = 0, the correlation map of
    the whole is the identity at 0 and 1 and nowhere steeper than zeta. For another topology give ``depth=1`` and
    the slope that each layer may have.

    Args:
      fn: elementwise function, neither linear nor positively homogeneous.
      depth: number of nonlinear layers in a row, L.
      zeta: slope of the whole network's correlation map at 1.

    Returns:
      `Transformation`.

    Raises:
      InputError: if an argument is out of its range, or no solution was found (relu, leaky relu: use
        `tat_leaky_relu`).

    Examples:
      >>> import jax.numpy as jnp, jaxact
      >>> deep = dks(jnp.tanh, depth=50)
      >>> [round(float(m), 6) + 0.0 for m in jaxact.moments(deep.function)]
      [0.0, 1.0, 1.008142, 1.0]

    References:
      Martens et al. 2021, Rapid training of deep neural networks without skip connections or normalization layers
      using Deep Kernel Shaping, arXiv:2110.01765.
    """
    _check(fn, depth, "zeta", zeta, 1, np.inf)
    slope = zeta ** (1 / depth)

    def residuals(e: _Expectations, alpha: float) -> np.ndarray:
        variance = max(e.ff - e.f**2, 1e-300)
        growth = alpha * (e.fdx - e.f * e.ddx) / variance
        # Both are near 1 in deep networks: what they differ by from 1 is what is solved for.
        return np.array([np.log(alpha**2 * e.dd / variance / slope), growth - 1]) / (slope - 1)

    for alpha, beta in _solve(fn, residuals):
        e = _expect(fn, alpha, beta)
        return _made(fn, alpha, beta, float((e.ff - e.f**2) ** -0.5), -e.f)
    raise InputError(f"no DKS transformation of {shown(fn)} found for zeta = {zeta:g}, depth = {depth}")


def tat(fn: Callable[[Any], Array], *, depth: int, tau: float = 0.3) -> Transformation:
    r"""Tailored activation transformation of a smooth function.

    Solves, at q = 1 and for :math:`\hat f(x) = \gamma (f(\alpha x + \beta) + \delta)`,

    .. math::
        E \hat f^2 = 1, \quad E \hat f \hat f' x = 1, \quad E \hat f'^2 = 1, \quad E \hat f''^2 = \tau / L

    so that in a network of L layers one after the other, with sigma_w = 1 and sigma_b = 0, lengths and gradients
    keep their size, and the curvature of the whole correlation map at 1 is tau. For another topology give
    ``depth=1`` and the curvature that each layer may have.

    Args:
      fn: elementwise function with a continuous derivative.
      depth: number of nonlinear layers in a row, L.
      tau: curvature of the whole network's correlation map at 1.

    Returns:
      `Transformation`.

    Raises:
      InputError: if an argument is out of its range, f' jumps (use `tat_leaky_relu`), or no solution was found.

    Examples:
      >>> import jax, jaxact
      >>> deep = tat(jax.nn.softplus, depth=100)
      >>> [round(float(m), 9) for m in jaxact.moments(deep.function)][1:]
      [1.0, 1.0, 1.0]

    References:
      Zhang, Botev & Martens 2022, Deep learning without shortcuts: shaping the kernel with tailored rectifiers,
      arXiv:2203.08120.
    """
    _check(fn, depth, "tau", tau, 0, np.inf)
    kinks = quadrature.kinks(fn, 16.0)
    if kinks.size:
        step = 1e-9 * np.maximum(np.abs(kinks), 1)
        jump = np.abs(quadrature.values(fn, kinks + step)[1] - quadrature.values(fn, kinks - step)[1])
        if (jump > 1e-6).any():
            raise InputError(
                f"f' of {shown(fn)} jumps at x = {kinks[np.argmax(jump)]:g}: tat takes functions with a "
                "continuous derivative; use tat_leaky_relu for rectifiers"
            )
    curvature = tau / depth
    steepest = float(np.abs(quadrature.values(fn, np.linspace(-16, 16, 1025))[1]).max())
    for sign in (1.0, -1.0):

        def shift(e: _Expectations, alpha: float, sign: float = sign) -> float:
            # (E f + delta)^2 = alpha^2 E f'^2 - Var f, which is at least 0 by Poincare's inequality.
            return float(sign * np.sqrt(max(0.0, alpha**2 * e.dd - e.ff + e.f**2)) - e.f)

        def residuals(e: _Expectations, alpha: float, shift: Callable = shift) -> np.ndarray:
            slope = max(e.dd, 1e-300)
            growth = (e.fdx + shift(e, alpha) * e.ddx) / (alpha * slope)
            return np.array([np.log(alpha**2 * e.cc / slope / curvature), (growth - 1) / curvature])

        for alpha, beta in _solve(fn, residuals):
            e = _expect(fn, alpha, beta)
            gamma = float(e.dd**-0.5 / alpha)
            if alpha * gamma * steepest < 2:  # others are valid, but sit where f is nearly flat
                return _made(fn, alpha, beta, gamma, shift(e, alpha))
    raise InputError(f"no TAT transformation of {shown(fn)} found for tau = {tau:g}, depth = {depth}")


def _made(fn: Callable, alpha: float, beta: float, gamma: float, delta: float) -> Transformation:
    constants = alpha, beta, gamma, delta
    return Transformation(functools.partial(transformed, fn, *constants), *constants)


def _leaky(slope: float, gamma: float, x: ArrayLike) -> Array:
    return gamma * jax.nn.leaky_relu(x, slope)


def tat_leaky_relu(*, depth: int, eta: float = 0.9) -> LeakyReLU:
    r"""Tailored rectifier: the leaky relu with which L layers bring unrelated inputs to the correlation eta.

    .. math::
        \hat f(x) = \sqrt{\frac{2}{1 + a^2}}\, \operatorname{leaky}_a(x), \qquad
        (C_a \circ \cdots \circ C_a)(0) = \eta,
        \qquad C_a(c) = c + \frac{(1-a)^2}{\pi (1+a^2)} \big(\sqrt{1-c^2} - c \arccos c\big)

    Args:
      depth: number of nonlinear layers in a row, L.
      eta: correlation that inputs of correlation 0 have after them.

    Returns:
      `LeakyReLU`.

    Raises:
      InputError: if an argument is out of its range, or not even relu gets to eta in so few layers.

    Examples:
      >>> rectifier = tat_leaky_relu(depth=50)
      >>> round(rectifier.slope, 6), round(rectifier.gamma, 6)
      (0.430523, 1.298948)

    References:
      Zhang, Botev & Martens 2022, arXiv:2203.08120.
    """
    _check(_leaky, depth, "eta", eta, 0, 1)

    def reached(a: float) -> float:
        c = 0.0
        for _ in range(depth):
            c = min(1.0, c + (1 - a) ** 2 / (np.pi * (1 + a * a)) * ((1 - c * c) ** 0.5 - c * float(np.arccos(c))))
        return c

    if reached(0.0) < eta:
        raise InputError(f"eta = {eta:g} is out of reach in {depth} layers: relu gets to {reached(0.0):.6g}")
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if reached(middle) > eta else (low, middle)
    gamma = (2 / (1 + low * low)) ** 0.5
    return LeakyReLU(functools.partial(_leaky, low, gamma), low, gamma)
