"""Functions that draw: the key says what, so the same key gives the same result."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxact.activations._numerics import as_inexact, typed
from jaxact.activations.rectifiers import prelu, relu
from jaxact.errors import InputError, shown


def _a_key(key: Any) -> Array:
    if not isinstance(key, jax.Array) or not jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.ndim:
        raise TypeError(f"key must be one random key, as jax.random.key(0) makes it, got {shown(key)}")
    return key


def rrelu(
    key: Array | None,
    x: ArrayLike,
    lower: ArrayLike = 1 / 8,
    upper: ArrayLike = 1 / 3,
    *,
    deterministic: bool = False,
) -> Array:
    r"""Leaky relu whose slope on the left is drawn for every element.

    .. math::
      \mathrm{rrelu}(x) = \begin{cases} x, & x \ge 0 \\ \alpha x, & x < 0 \end{cases}, \qquad
      \alpha \sim \mathrm{uniform}(l, u)

    The derivative is that of the slope drawn. Kink at 0, where it is taken to be 1 (as that of `prelu`).

    Args:
      key: random key, from `jax.random.key`; None will do where ``deterministic``.
      x: input, any shape.
      lower: :math:`l`, the smallest slope, which broadcasts against ``x``; the default is torch's.
      upper: :math:`u`, the largest slope, likewise.
      deterministic: whether to take the mean slope, :math:`(l + u)/2` as torch does, instead of drawing. (The
        paper divides by what it draws, from 3 to 8, and by 5.5 in its tests.)

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Raises:
      TypeError: if ``key`` is no key.
      InputError: if ``lower`` is a number above ``upper``.

    Examples:
      >>> rrelu(None, jnp.array([-24.0, 2.0]), deterministic=True)
      Array([-5.5,  2. ], dtype=float32)
      >>> y = rrelu(jax.random.key(0), jnp.full(1000, -1.0))
      >>> bool(-1 / 3 <= y.min()) and bool(y.max() <= -1 / 8)
      True

    References:
      Xu, Wang, Chen and Li, "Empirical evaluation of rectified activations in convolutional network", 2015,
      arXiv:1505.00853.
    """
    x = as_inexact(x)
    if isinstance(lower, int | float) and isinstance(upper, int | float) and not lower <= upper:
        raise InputError(f"lower must be at most upper, got {lower} and {upper}")
    wide = jnp.promote_types(x.dtype, jnp.float32)
    low = jnp.broadcast_to(as_inexact(lower, "lower"), x.shape).astype(wide)
    high = jnp.broadcast_to(as_inexact(upper, "upper"), x.shape).astype(wide)
    share = 0.5 if deterministic else jax.random.uniform(_a_key(key), x.shape, wide)
    return typed(prelu(x, low + (high - low) * share), x.dtype, x.weak_type)


def probact(key: Array | None, x: ArrayLike, sigma: ArrayLike = 1.0, *, deterministic: bool = False) -> Array:
    r"""A relu with normal noise, whose strength may be learnt.

    .. math::
      \mathrm{probact}(x) = \max(x, 0) + \sigma \varepsilon, \qquad \varepsilon \sim \mathrm{normal}(0, 1)

    Its derivative by :math:`\sigma` is the noise drawn. Kink at 0, where that by x is taken to be 0 (as that of
    `relu`).

    Args:
      key: random key, from `jax.random.key`; None will do where ``deterministic``.
      x: input, any shape.
      sigma: :math:`\sigma`, which broadcasts against ``x``.
      deterministic: whether to leave the noise out.

    Returns:
      Array of the broadcast shape; its dtype is that of ``x`` and ``sigma`` promoted (integers give the default
      float).

    Raises:
      TypeError: if ``key`` is no key.

    Examples:
      >>> probact(None, jnp.array([-1.0, 2.0]), deterministic=True)
      Array([0., 2.], dtype=float32)
      >>> y = probact(jax.random.key(0), jnp.zeros(10_000), 0.5)
      >>> bool(0.49 < y.std()) and bool(y.std() < 0.51)
      True

    References:
      Shridhar et al., "ProbAct: a probabilistic activation function for deep neural networks", 2019,
      arXiv:1905.10761.
    """
    x = as_inexact(x)
    sigma = as_inexact(sigma, "sigma")
    weak = x.weak_type and sigma.weak_type
    dtype, shape = jnp.result_type(x, sigma), np.broadcast_shapes(x.shape, sigma.shape)
    y, sigma = jnp.broadcast_to(relu(x), shape), jnp.broadcast_to(sigma, shape)
    if deterministic:
        return typed(y, dtype, weak)
    wide = jnp.promote_types(dtype, jnp.float32)
    noise = jax.random.normal(_a_key(key), shape, wide)
    return typed(y.astype(wide) + sigma.astype(wide) * noise, dtype, weak)
