"""Functions that are x times a bounded gate of an exponential: mish and its relatives."""

import jax.numpy as jnp
from jax import Array

from jaxact.activations._exponential import lifted, log1p_ratio, polynomial
from jaxact.activations._gates import Parts, in_t, self_gated
from jaxact.activations._numerics import elementwise
from jaxact.activations._roots import ROOTS, near_root

# Both sides in t = exp(-|x|): on the left g, f' and f'' over t; on the right g, f', and f'' over t; of mish g and
# f'' over t.


def _mish_left(x: Array, t: Array) -> Parts:
    d = (t + 2) * t + 2
    return (t + 2) / d, in_t(x, t, [16, 32, 24, 8], [8, 8, -12, -8]) / (d * d * d)


def _mish_right(x: Array, t: Array) -> Parts:
    d = (2 * t + 2) * t + 1
    return (2 * t + 1) / d, t * in_t(x, t, [8, 24, 32, 16], [-8, -12, 8, 8]) / (d * d * d)


@near_root(ROOTS["mish", 1])
def _mish_slope(x: Array) -> Array:
    # w N / D with w = exp(x), and 1/2 + (2 w N - D) / (2 D), whose errors are small beside the half: one division.
    c, shift, scale = lifted(jnp.minimum(x, 20 if x.dtype == jnp.float32 else 40))  # beyond, it is 1
    far = jnp.exp(c - shift)
    w, near = far * scale, c > -0.6
    on_left, on_right = in_t(c, w, [4, 6, 4, 1], [4, 4, 0, 0]), in_t(c, w, [-2, 0, 2, 2, 0.5], [0, 4, 4, 0, 0])
    ratio = jnp.where(near, on_right, on_left) / polynomial(w, [4, 8, 8, 4, 1])  # used once: see `softplus`
    return jnp.where(near, 0.5, 0) + jnp.where(near, 1, far) * ratio * scale


_mish, _, _ = self_gated(_mish_left, _mish_right, lambda _: _mish_slope)


@elementwise
def mish(x: Array) -> Array:
    r"""Self-gated smooth function, computed with one exponential.

    .. math::
      \mathrm{mish}(x) = x \tanh(\mathrm{softplus}(x))

    Not monotone: minimum -0.3088 at -1.1924. Limits: 0 at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), at least -0.3089.

    Examples:
      >>> mish(1.0)
      Array(0.8650984, dtype=float32, weak_type=True)

    References:
      Misra, "Mish: a self regularized non-monotonic activation function", 2019, arXiv:1908.08681.
    """
    return _mish(x)


def _smish_left(x: Array, t: Array) -> Parts:
    d = (5 * t + 6) * t + 2
    bend = in_t(x, t, [16, 96, 216, 216, 80], [8, 24, -12, -72, -40])
    return (
        (3 * t + 2) / d,
        in_t(x, t, [4, 18, 28, 15], [4, 12, 8, 0]) / polynomial(t, [4, 24, 56, 60, 25]),
        bend / (d * d * d),
    )


def _smish_right(x: Array, t: Array) -> Parts:
    d = (2 * t + 6) * t + 5
    bend = in_t(x, t, [80, 216, 216, 96, 16], [-40, -72, -12, 24, 8])
    return (
        (2 * t + 3) / d,
        in_t(x, t, [15, 28, 18, 4], [0, 8, 12, 4]) / polynomial(t, [25, 60, 56, 24, 4]),
        bend / (d * d * d),
    )


_smish, _, _ = self_gated(_smish_left, _smish_right, near_root(ROOTS["smish", 1]))


@elementwise
def smish(x: Array) -> Array:
    r"""Tanh of the logarithm of one plus the sigmoid as a gate, by one exponential.

    .. math::
      \mathrm{smish}(x) = x \tanh(\log(1 + \mathrm{sigmoid}(x)))

    Not monotone: minimum -0.2500 at -1.3945. Limits: 0 at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.
    It approaches the line 0.6 x.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), at least -0.25.

    Examples:
      >>> smish(1.0)
      Array(0.4995701, dtype=float32, weak_type=True)

    References:
      Wang, Ren and Wang, "Smish: a novel activation function for deep learning methods", 2022,
      doi:10.3390/electronics11040540.
    """
    return _smish(x)


def _logish_left(x: Array, t: Array) -> Parts:
    gate = log1p_ratio(t / (1 + 1.5 * t)) / (1 + 1.5 * t)
    d = (2 * t + 3) * t + 1
    return gate, gate + x / d, in_t(x, t, [2, 6, 4], [1, 0, -2]) / (d * d)


def _logish_right(x: Array, t: Array) -> Parts:
    gate, d = log1p_ratio(1 / (1.5 + t)) / (1.5 + t), (t + 3) * t + 2
    return gate, gate + x * t / d, in_t(x, t, [4, 6, 2], [-2, 0, 1]) / (d * d)


_logish, _, _ = self_gated(_logish_left, _logish_right, near_root(ROOTS["logish", 1]))


@elementwise
def logish(x: Array) -> Array:
    r"""Logarithm of one plus the sigmoid as a gate.

    .. math::
      \mathrm{logish}(x) = x \log(1 + \mathrm{sigmoid}(x))

    Not monotone: minimum -0.2528 at -1.3725. Limits: 0 at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.
    It approaches the line x log 2.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), at least -0.2528.

    Examples:
      >>> logish(1.0)
      Array(0.5487331, dtype=float32, weak_type=True)

    References:
      Zhu, Zeng, Liu and Zhang, "Logish: a new nonlinear nonmonotonic activation function for convolutional neural
      network", 2021, doi:10.1016/j.neucom.2021.06.067.
    """
    return _logish(x)
