"""Piecewise linear functions whose pieces are learnt."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.activations._compensated import Double, add, two_product
from jaxact.activations._numerics import finite
from jaxact.activations._polynomial import times
from jaxact.activations._stacked import checked, stacked
from jaxact.errors import InputError


def _slope(x: Array, a: Array, b: Array) -> Double:
    total = Double(jnp.where(x > 0, 1, jnp.zeros_like(x)), jnp.zeros_like(x))
    for piece, hinge in zip(a, b, strict=True):
        total = add(total, Double(jnp.where(x < hinge, -piece, 0), jnp.zeros_like(x)))
    return total


@jax.custom_jvp
def _apl(x: Array, a: Array, b: Array) -> Array:
    # On a piece the function is slope * x + intercept. Both are sums whose terms may cancel; far out, a sum of the
    # hinges themselves would keep nothing of a small value.
    slope, intercept = _slope(x, a, b), Double(jnp.zeros_like(x), jnp.zeros_like(x))
    for j, hinge in enumerate(b):
        high, low = two_product(a[j], hinge)
        intercept = add(intercept, Double(jnp.where(x < hinge, high, 0), jnp.where(x < hinge, low, 0)))
    y = add(times(slope, finite(x)), intercept)
    y, plain = y.high + y.low, slope.high * x + intercept.high
    return jnp.where(jnp.isinf(x) & (slope.high != 0) | ~jnp.isfinite(y), plain, y)


@_apl.defjvp
def _(primals, tangents):
    (x, a, b), (x_dot, a_dot, b_dot) = primals, tangents
    slope = _slope(x, a, b)
    y_dot = (slope.high + slope.low) * x_dot
    for j, hinge in enumerate(b):
        y_dot += jnp.where(x < hinge, hinge - x, 0) * a_dot[j] + jnp.where(x < hinge, a[j], 0) * b_dot[j]
    return _apl(x, a, b), y_dot


_compute = stacked("apl", _apl)


def apl(x: ArrayLike, a: Any, b: Any) -> Array:
    r"""Adaptive piecewise linear unit: a relu and a sum of hinges, with learnable slopes and places.

    .. math::
      \mathrm{apl}(x) = \max(0, x) + \sum_{s=1}^S a_s \max(0, b_s - x)

    Kinks at 0 and at every :math:`b_s`, where the derivative of a hinge is taken to be 0 (as that of `relu`).
    Limits: :math:`\infty` at :math:`+\infty`; at :math:`-\infty` as the sum of the :math:`a_s` has it.

    Args:
      x: input, any shape.
      a: :math:`a_1, \dots, a_S` along the leading axis; its other axes broadcast against ``x``. An array, or a
        tuple of numbers, which take the dtype of ``x``.
      b: :math:`b_1, \dots, b_S` in the same way.

    Returns:
      Array of the broadcast shape; its dtype is that of the inputs promoted (integers give the default float).

    Raises:
      InputError: if ``a`` and ``b`` differ in length, are scalars, or do not broadcast.

    Examples:
      >>> apl(jnp.array([-2.0, 0.5, 2.0]), (0.2, -0.2), (1.0, 0.0))
      Array([0.2, 0.6, 2. ], dtype=float32)

    References:
      Agostinelli, Hoffman, Sadowski and Baldi, "Learning activation functions to improve deep neural networks",
      2014, arXiv:1412.6830.
    """
    kind, (x, a, b) = checked(x, a=a, b=b)
    if len(a) != len(b):
        raise InputError(f"a and b must have the same number of pieces, got {len(a)} and {len(b)}")
    return _compute(x, a, b, kind=kind)
