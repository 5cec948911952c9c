"""Derivatives of elementwise functions."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxact.activations._numerics import as_inexact
from jaxact.errors import InputError, shown

MAX_ORDER = 4


def derivative(fn: Callable[[Array], Array], order: int = 1) -> Callable[[ArrayLike], Array]:
    r"""The elementwise derivative :math:`f^{(k)}` of a function, by `jax.grad`.

    Args:
      fn: elementwise function: an activation of jaxact or `jax.nn`, or your own callable of one array.
      order: k, from 1 to 4.

    Returns:
      Function of an array of any shape, which returns an array of the same shape and dtype (integers give the
      default float). It can be jitted, vmapped and differentiated again.

    Raises:
      ValueError: if ``order`` is not 1, 2, 3 or 4.
      TypeError: if ``fn`` is not callable.

    Examples:
      >>> derivative(jnp.tanh)(jnp.zeros((2, 2)))
      Array([[1., 1.],
             [1., 1.]], dtype=float32)
      >>> derivative(jnp.sin, order=3)(0.0)
      Array(-1., dtype=float32, weak_type=True)
    """
    if not callable(fn):
        raise TypeError(f"fn must be callable, got {type(fn).__name__} {shown(fn)}")
    if isinstance(order, bool) or not isinstance(order, int | np.integer) or not 1 <= order <= MAX_ORDER:
        raise InputError(f"order must be 1, 2, 3 or 4, got {shown(order)}")
    scalar = fn
    for _ in range(order):
        scalar = jax.grad(scalar)
    pointwise = jnp.vectorize(scalar)
    return lambda x: pointwise(as_inexact(x))
