"""Functions that are x times a gate of x, and their two derivatives, with nothing lost in the tails."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from jaxact.activations._compensated import Double
from jaxact.activations._exponential import Exponential, polynomial, shifted_exp
from jaxact.activations._numerics import finite, with_derivative

FAR = 1e4
"""Gates have reached their ends long before, so that larger inputs may be cut to it where an exponential is
a factor.
"""

Formula = Callable[[Array], Array]
Parts = tuple[Array, ...]


class SigmoidGate:
    """The sigmoid of ``u``, known to twice the precision, times factors: by one exponential and one division."""

    def __init__(self, u: Double):
        self.u, self.low = u
        self.right = u.high > 0
        self.e = shifted_exp(-jnp.abs(u.high), jnp.where(self.right, -u.low, u.low))
        self.t = self.e.value
        self.square = 1 + self.t * (2 + self.t)

    def times(self, factor: Array) -> Array:
        """``factor * sigmoid(u)``."""
        return jnp.where(self.right, factor, self.e.times(finite(factor))) / (1 + self.t)

    def slope(self, factor: Array) -> Array:
        """``factor * sigmoid'(u)``."""
        return self.e.times(factor) / self.square

    def plus_slope(self, factor: Array, both: Array) -> Array:
        """``factor * sigmoid(u) + (both - factor) * sigmoid'(u)``."""
        ends = jnp.where(self.right, factor + self.e.times(both), self.e.times(both + factor * self.t))
        return ends / self.square

    def slope_plus_curvature(self, at_end: Array, bend: Array) -> Array:
        """``(at_end + sign(u) * bend) * sigmoid'(u) + bend * sigmoid''(u)``."""
        return self.slope(at_end + jnp.where(self.right, bend, -bend) * (2 * self.t / (1 + self.t)))


def sigmoid_gated(
    u: Callable[[Array], Double], slope_lead: Formula, curvature_lead: Formula, bend: Formula
) -> tuple[Formula, ...]:
    """The function ``x * sigmoid(u(x))``, for a ``u`` that grows with x, and its first two derivatives.

    Args:
      u: argument of the sigmoid, to twice the precision.
      slope_lead: 1 + x u'.
      curvature_lead: 2 u' + x u'' - |x| u'^2.
      bend: x u'^2.
    """

    def curvature(x: Array) -> Array:
        c = jnp.clip(x, -FAR, FAR)
        return SigmoidGate(u(c)).slope_plus_curvature(curvature_lead(c), bend(c))

    @with_derivative(curvature)
    def slope(x: Array) -> Array:
        c = jnp.clip(x, -FAR, FAR)
        return SigmoidGate(u(c)).plus_slope(jnp.ones_like(c), slope_lead(c))

    @with_derivative(slope)
    def value(x: Array) -> Array:
        return SigmoidGate(u(jnp.clip(x, -FAR, FAR))).times(x)

    return value, slope, curvature


def self_gated(
    left: Callable[[Array, Array], Parts],
    right: Callable[[Array, Array], Parts],
    mend: Callable[[Formula], Formula] = lambda slope: slope,
) -> tuple[Formula, ...]:
    r"""The function ``x * g(x)`` and its first two derivatives, in terms of :math:`t = e^{-|x|}`.

    Args:
      left: from (x, t), for x <= 0, to g, f' and f'' over t; without f' where ``mend`` has one of its own.
      right: from (x, t), for x > 0, to g, f', and f'' over t.
      mend: from the derivative to the one that is taken, as the decorator `near_root`.
    """

    def parts(x: Array) -> tuple[Array, Exponential, Parts, Parts]:
        c = jnp.clip(x, -FAR, FAR)
        e = shifted_exp(-jnp.abs(c))
        return c, e, left(jnp.minimum(c, 0), e.value), right(jnp.maximum(c, 0), e.value)

    def curvature(x: Array) -> Array:
        _, e, (*_, on_left), (*_, on_right) = parts(x)
        return e.times(jnp.where(x > 0, on_right, on_left))

    @with_derivative(curvature)
    @mend
    def slope(x: Array) -> Array:
        _, e, (_, on_left, _), (_, on_right, _) = parts(x)
        return jnp.where(x > 0, on_right, e.times(on_left))

    @with_derivative(slope)
    def value(x: Array) -> Array:
        c, e, (on_left, *_), (on_right, *_) = parts(x)
        return jnp.where(x > 0, x * on_right, e.times(c * on_left))

    return value, slope, curvature


def in_t(x: Array, t: Array, constant: list[float], linear: list[float]) -> Array:
    """``sum (constant[k] + linear[k] * x) * t**k``: where it cancels, the large terms do so exactly."""
    return polynomial(t, [a + b * x if b else a for a, b in zip(constant, linear, strict=True)])
