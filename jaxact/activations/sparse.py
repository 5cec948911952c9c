"""Functions that make a sparse distribution of the entries along an axis: sparsemax and entmax."""

import functools
import math

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxact.activations._axes import a_mask, along_axes, below_largest, of_each_row, one_axis
from jaxact.activations._numerics import as_inexact


@along_axes("axis")
def _sparsemax(x: Array, live: Array, *, axis: int) -> Array:
    z, _ = below_largest(x, live, (axis,))

    def threshold(z, support):
        count = jnp.sum(support, axis, keepdims=True)
        return (jnp.sum(jnp.where(support, z, 0), axis, keepdims=True) - 1) / jnp.maximum(count, 1)

    def above(tau):
        return live & ~(z <= tau)  # NaN is above

    # Newton's method on sum(max(z - tau, 0)) = 1, convex in tau: from the left it climbs to the root, which it
    # meets once the support is right. That takes a few sums, where XLA's sort takes far longer.
    def climb(state):
        tau, _ = state
        higher = threshold(lax.stop_gradient(z), above(tau))
        return jnp.where(higher > tau, higher, tau), higher > tau

    start = jnp.full_like(z, -1.0, shape=_rows(z, axis))  # the largest entry, 0, alone would sum to 1
    tau, _ = lax.while_loop(lambda state: jnp.any(state[1]), climb, (start, start < 0))
    support = above(tau)
    p = z - threshold(z, support)
    return jnp.where(support & ~(p <= 0), p, 0)


def _rows(z: Array, axis: int) -> tuple[int, ...]:
    return tuple(1 if i == axis else n for i, n in enumerate(z.shape))


def sparsemax(x: ArrayLike, axis: int = -1, where: ArrayLike | None = None) -> Array:
    r"""Projection onto the probability simplex: small entries have probability exactly 0.

    .. math::
      \mathrm{sparsemax}(x) = \arg\min_{p \in \Delta} \|p - x\|^2 = \max(x - \tau(x), 0)

    Piecewise linear: on the support S the derivative is :math:`\delta_{ij} - 1/|S|`, elsewhere 0. Kinks where an
    entry is equal to :math:`\tau`: it is taken to be outside of S. An entry that is masked out or
    :math:`-\infty` has probability 0 and derivative 0; a row with no other entries is all 0.

    Args:
      x: scores.
      axis: the axis along which the probabilities sum to 1.
      where: bools that broadcast to ``x``; entries that are False do not count.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [0, 1].

    Raises:
      InputError: if the axis or the mask does not fit.

    Examples:
      >>> sparsemax(jnp.array([1.0, 0.5, -1.0]))
      Array([0.75, 0.25, 0.  ], dtype=float32)

    References:
      Martins and Astudillo, "From softmax to sparsemax", 2016, arXiv:1602.02068;
      Michelot, "A finite algorithm for finding the projection of a point onto the canonical simplex of R^n", 1986.
    """
    x = as_inexact(x)
    return _sparsemax(x, a_mask(where, x), axis=one_axis(axis, x))


def _dual_log(t: Array, excess: Array) -> Array:
    r""":math:`(1 - t^{-\epsilon})/\epsilon`, which is :math:`\log t` at :math:`\epsilon = 0`."""
    log = jnp.log(t)
    return jnp.where(excess == 0, log, -jnp.expm1(-excess * log) / jnp.where(excess == 0, 1, excess))


def _alpha_exp(u: Array, excess: Array) -> tuple[Array, Array]:
    r""":math:`[1 + \epsilon u]_+^{1/\epsilon}`, or :math:`e^u` at :math:`\epsilon = 0`; and its derivative."""
    inside = ~(excess * u <= -1)
    v = jnp.where(inside, excess * u, 0)
    p = jnp.exp(jnp.where(excess == 0, u, jnp.log1p(v) / jnp.where(excess == 0, 1, excess)))
    return jnp.where(inside, p, 0), jnp.where(inside, p / (1 + v), 0)


def _shift(z: Array, live: Array, excess: Array, axis: int) -> Array:
    r"""The c for which :math:`[1 + \epsilon (z - c)]_+^{1/\epsilon}` sums to 1; the largest z is 0.

    It lies between 0, the answer for one entry, and the answer for n equal ones. For :math:`\epsilon \le 1` the
    sum to the power of :math:`\epsilon` is a norm of nonnegative convex functions, so convex in c: from 0 on,
    Newton's method on it climbs to the root, and stops where rounding does. At :math:`\epsilon = 0` that is
    logsumexp in one step. Beyond 1 there is no such norm, and the interval is halved until rounding stops it.
    """
    bound = _dual_log(jnp.asarray(z.shape[axis], z.dtype), excess)
    convex = excess <= 1

    def narrow(state):
        low, high, _ = state
        c = jnp.where(convex, low, low + (high - low) / 2)
        p, slope = _alpha_exp(z - c, excess)
        total = jnp.sum(jnp.where(live, p, 0), axis, keepdims=True)
        slope = jnp.sum(jnp.where(live, slope, 0), axis, keepdims=True)
        empty = total == 0
        step = total * _dual_log(jnp.where(empty, 1, total), excess) / jnp.where(empty, 1, slope)
        left = jnp.where(convex, step > 0, total >= 1)
        low_next = jnp.where(left, jnp.where(convex, c + step, c), low)
        high = jnp.where(left | convex, high, c)
        unsettled = jnp.where(convex, low_next > low, high - low_next > jnp.finfo(z.dtype).eps * bound)
        return low_next, high, unsettled

    rows = jnp.zeros_like(z, shape=_rows(z, axis))
    state = rows, rows + bound, rows == 0
    return lax.while_loop(lambda state: jnp.any(state[2]), narrow, state)[0]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _simplex_point(axis: int, z: Array, live: Array, alpha: Array) -> Array:
    p, slope = (jnp.where(live, part, 0) for part in _alpha_exp(z - _shift(z, live, alpha - 1, axis), alpha - 1))
    total, total_slope = (jnp.sum(part, axis, keepdims=True) for part in (p, slope))
    # One more step, on p: it does away with what the rounding of the shift has left.
    p = p - slope * ((total - 1) / jnp.where(total_slope == 0, 1, total_slope))
    p = jnp.where(p <= 0, 0, p)
    total = jnp.sum(p, axis, keepdims=True)
    return p / jnp.where(total == 0, 1, total)


def _exp_remainder(t: Array) -> Array:
    """``(exp(-t) - 1 + t) / t**2``, by its series near 0, where the subtraction would leave nothing."""
    near = jnp.abs(t) < 1
    s = jnp.where(near, -t, 0)
    series = jnp.zeros_like(s)
    for k in reversed(range(18)):
        series = series * s + 1 / math.factorial(k + 2)
    far = jnp.where(near, 1, t)
    return jnp.where(near, series, (jnp.expm1(-far) + far) / (far * far))


@_simplex_point.defjvp
def _(axis, primals, tangents):
    # The implicit function theorem: p is f(z - c, alpha), and c moves so that the sum stays. The iteration itself
    # has no derivative in reverse mode, and that of f in alpha is 0/0 at alpha = 1.
    z, live, alpha = primals
    z_dot, _, alpha_dot = tangents
    p = _simplex_point(axis, z, live, alpha)
    inside = ~(p <= 0)
    log = jnp.log(jnp.where(inside, p, 1))
    by_z = jnp.where(inside, jnp.exp((2 - alpha) * log), 0)
    by_alpha = -p * (log * log * _exp_remainder((alpha - 1) * log))
    pushed = by_z * z_dot + by_alpha * alpha_dot
    total = jnp.sum(by_z, axis, keepdims=True)
    return p, pushed - by_z * (jnp.sum(pushed, axis, keepdims=True) / jnp.where(total == 0, 1, total))


@along_axes("axis")
def _entmax(x: Array, live: Array, alpha: Array, *, axis: int) -> Array:
    z, _ = below_largest(x, live, (axis,))
    return _simplex_point(axis, z, live, jnp.where(alpha >= 1, alpha, math.nan))


def entmax(x: ArrayLike, alpha: ArrayLike = 1.5, axis: int = -1, where: ArrayLike | None = None) -> Array:
    r"""From softmax (alpha = 1) to sparsemax (alpha = 2) and beyond, differentiable in alpha too.

    .. math::
      \mathrm{entmax}_\alpha(x)_i = \left[(\alpha - 1)\,x_i - \tau(x)\right]_+^{1/(\alpha - 1)}

    where :math:`\tau` makes it sum to 1. With :math:`s_i = p_i^{2-\alpha}` on the support, the derivative is
    :math:`\mathrm{diag}(s) - s s^\top / \sum s`. Kinks where an entry enters the support, for
    :math:`\alpha \ge 2`: an entry with probability 0 has the derivative 0. An entry that is masked out or
    :math:`-\infty` has probability 0 and derivative 0; a row with no other entries is all 0.

    Args:
      x: scores.
      alpha: :math:`\alpha \ge 1`, a number or one for each row (length 1 along ``axis``): the larger, the sparser.
        An array is not looked into: an entry of it below 1 gives NaN.
      axis: the axis along which the probabilities sum to 1.
      where: bools that broadcast to ``x``; entries that are False do not count.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [0, 1].

    Raises:
      InputError: if alpha is below 1, or the axis or the mask does not fit.

    Examples:
      >>> entmax(jnp.array([1.0, 0.5, -1.0]), 1.5)
      Array([0.67399263, 0.32600737, 0.        ], dtype=float32)
      >>> jax.grad(lambda alpha: entmax(jnp.array([1.0, 0.5, -1.0]), alpha)[0])(1.0)
      Array(0.21917446, dtype=float32, weak_type=True)

    References:
      Peters, Niculae and Martins, "Sparse sequence-to-sequence models", 2019, arXiv:1905.05702;
      Correia, Niculae and Martins, "Adaptively sparse transformers", 2019, arXiv:1909.00015.
    """
    x = as_inexact(x)
    axis = one_axis(axis, x)
    if x.shape[axis] == 0:
        return x
    alpha = of_each_row(alpha, "alpha", x, (axis,), 1, above=False)
    return _entmax(x, a_mask(where, x), alpha, axis=axis)


def entmax15(x: ArrayLike, axis: int = -1, where: ArrayLike | None = None) -> Array:
    r"""`entmax` with alpha = 1.5: sparse like sparsemax, and smooth where an entry enters the support.

    .. math::
      \mathrm{entmax15}(x)_i = \left[\tfrac12 x_i - \tau(x)\right]_+^2

    An entry that is masked out or :math:`-\infty` has probability 0 and derivative 0; a row with no other entries
    is all 0.

    Args:
      x: scores.
      axis: the axis along which the probabilities sum to 1.
      where: bools that broadcast to ``x``; entries that are False do not count.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [0, 1].

    Raises:
      InputError: if the axis or the mask does not fit.

    Examples:
      >>> entmax15(jnp.array([1.0, 0.5, -1.0]))
      Array([0.67399263, 0.32600737, 0.        ], dtype=float32)

    References:
      Peters, Niculae and Martins, "Sparse sequence-to-sequence models", 2019, arXiv:1905.05702.
    """
    return entmax(x, 1.5, axis, where)
