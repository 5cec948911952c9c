"""Functions that make a distribution of the entries along an axis: softmax and its relatives."""

import math
import operator

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxact.activations._axes import a_mask, along_axes, below_largest, of_each_row, one_axis, several_axes
from jaxact.activations._numerics import as_inexact, finite
from jaxact.errors import InputError, shown

Axis = int | tuple[int, ...] | None


def _exp(z: Array) -> Array:
    """``exp(z)``; beyond the floor it is 0 in every dtype, and its derivative must not be 0 times infinity."""
    return jnp.exp(jnp.where(z < -1e4, -1e4, z))


def _logits(
    x: Array, live: Array, temperature: Array, axes: tuple[int, ...], off_by_one: bool
) -> tuple[Array, ...]:
    """The logits, of which the largest is 0, and their exponentials; the same of the logit beside the row."""
    z, largest = below_largest(x, live, axes, 0.0 if off_by_one else -math.inf)
    z = z / temperature
    beside = -largest / temperature if off_by_one else jnp.full_like(largest, -math.inf)
    return z, jnp.where(live, _exp(z), 0), beside, _exp(beside)


@along_axes("axes", "off_by_one")
def _softmax(x: Array, live: Array, temperature: Array, *, axes: tuple[int, ...], off_by_one: bool) -> Array:
    _, e, _, e_beside = _logits(x, live, temperature, axes, off_by_one)
    total = jnp.sum(e, axes, keepdims=True) + e_beside
    return e / jnp.where(total == 0, 1, total)


def softmax(
    x: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    temperature: ArrayLike = 1.0,
    off_by_one: bool = False,
) -> Array:
    r"""Softmax, whose derivative keeps its digits where a probability is nearly 1.

    .. math::
      \mathrm{softmax}(x)_i = \frac{e^{x_i/T}}{\sum_j e^{x_j/T}}, \qquad
      \mathrm{softmax}_1(x)_i = \frac{e^{x_i/T}}{1 + \sum_j e^{x_j/T}}

    An entry that is masked out or :math:`-\infty` has probability 0 and derivative 0; a row with no other entries
    is all 0. Entries of :math:`+\infty` share the row equally. Finite entries never overflow.

    Args:
      x: logits.
      axis: the axis, or a tuple of axes, along which the probabilities sum to 1; None for all.
      where: bools that broadcast to ``x``; entries that are False do not count.
      temperature: :math:`T > 0`, a number or one for each row (length 1 along ``axis``): small ones sharpen.
      off_by_one: whether to add the 1 (a logit of 0 that is not returned), so that a row may attend to nothing.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [0, 1].

    Raises:
      InputError: if an axis, the mask or the temperature does not fit.

    Examples:
      >>> softmax(jnp.array([1.0, 2.0, 3.0]))
      Array([0.09003057, 0.24472848, 0.66524094], dtype=float32)
      >>> softmax(jnp.array([1.0, 2.0, 3.0]), where=jnp.array([True, True, False]))
      Array([0.26894143, 0.7310586 , 0.        ], dtype=float32)
      >>> jax.jacobian(softmax)(jnp.array([20.0, 0.0]))[0]  # jax.nn.softmax gives 0 for the first
      Array([ 2.0611537e-09, -2.0611537e-09], dtype=float32)

    References:
      Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990;
      Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015, arXiv:1503.02531;
      Miller, "Attention is off by one", 2023.
    """
    x = as_inexact(x)
    axes = several_axes(axis, x)
    temperature = of_each_row(temperature, "temperature", x, axes, 0, above=True)
    return _softmax(x, a_mask(where, x), temperature, axes=axes, off_by_one=bool(off_by_one))


@along_axes("axes", "off_by_one")
def _log_softmax(x: Array, live: Array, temperature: Array, *, axes: tuple[int, ...], off_by_one: bool) -> Array:
    z, e, beside, e_beside = _logits(x, live, temperature, axes, off_by_one)
    # One of the largest, whose exponential is 1, is left to log1p: so log p keeps its digits where p is nearly 1.
    # Each of the largest stays in the sum, less its value of 1, for its derivatives.
    top, top_beside = live & (z == 0), beside == 0
    count = jnp.sum(top, axes, keepdims=True) + top_beside
    others = jnp.sum(e - top, axes, keepdims=True) + (e_beside - top_beside)
    return jnp.where(live, z - jnp.log1p(others + jnp.maximum(count - 1, 0)), -math.inf)


def log_softmax(
    x: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    temperature: ArrayLike = 1.0,
    off_by_one: bool = False,
) -> Array:
    r"""Logarithm of `softmax`, which keeps its digits where the probability is nearly 1.

    .. math::
      \mathrm{log\_softmax}(x)_i = \frac{x_i}{T} - \log \sum_j e^{x_j/T}

    An entry that is masked out or :math:`-\infty` gives :math:`-\infty` with derivative 0, and so does a whole row
    of them. Entries of :math:`+\infty` share the row equally; beside them a finite entry gives a number near the
    lowest one, not :math:`-\infty`.

    Args:
      x: logits.
      axis: the axis, or a tuple of axes, along which the probabilities sum to 1; None for all.
      where: bools that broadcast to ``x``; entries that are False do not count.
      temperature: :math:`T > 0`, a number or one for each row (length 1 along ``axis``).
      off_by_one: whether to add 1 to the sum, as in `softmax`.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), not positive.

    Raises:
      InputError: if an axis, the mask or the temperature does not fit.

    Examples:
      >>> log_softmax(jnp.array([20.0, 0.0]))  # jax.nn.log_softmax gives 0 for the first
      Array([-2.0611537e-09, -2.0000000e+01], dtype=float32)
    """
    x = as_inexact(x)
    axes = several_axes(axis, x)
    temperature = of_each_row(temperature, "temperature", x, axes, 0, above=True)
    return _log_softmax(x, a_mask(where, x), temperature, axes=axes, off_by_one=bool(off_by_one))


def softmin(
    x: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
    *,
    temperature: ArrayLike = 1.0,
    off_by_one: bool = False,
) -> Array:
    r"""Softmax of minus x: the smallest entry has the largest probability.

    .. math::
      \mathrm{softmin}(x)_i = \frac{e^{-x_i/T}}{\sum_j e^{-x_j/T}}

    An entry that is masked out or :math:`+\infty` has probability 0 and derivative 0; a row with no other entries
    is all 0.

    Args:
      x: energies, costs or distances.
      axis: the axis, or a tuple of axes, along which the probabilities sum to 1; None for all.
      where: bools that broadcast to ``x``; entries that are False do not count.
      temperature: :math:`T > 0`, a number or one for each row (length 1 along ``axis``).
      off_by_one: whether to add 1 to the sum, as in `softmax`.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [0, 1].

    Raises:
      InputError: if an axis, the mask or the temperature does not fit.

    Examples:
      >>> softmin(jnp.array([1.0, 2.0, 3.0]))
      Array([0.66524094, 0.24472848, 0.09003057], dtype=float32)
    """
    return softmax(-as_inexact(x), axis, where, temperature=temperature, off_by_one=off_by_one)


@along_axes("axes", "order")
def _taylor_softmax(x: Array, live: Array, *, axes: tuple[int, ...], order: int) -> Array:
    x = jnp.where(live, finite(x), 0)
    # Divided by a power of the scale, which cancels in the quotient, the polynomial cannot overflow. The quarter
    # keeps the reciprocal of the scale a normal number.
    scale = lax.stop_gradient(jnp.max(jnp.abs(x) / 4, axes, keepdims=True, initial=1.0))
    t = jnp.full_like(x, 1 / math.factorial(order))
    for k in reversed(range(order)):
        t = t * (x / scale) + (1 / scale) ** (order - k) / math.factorial(k)
    t = jnp.where(live, t, 0)
    total = jnp.sum(t, axes, keepdims=True)
    return t / jnp.where(total == 0, 1, total)


def taylor_softmax(x: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None, *, order: int = 2) -> Array:
    r"""Softmax with a Taylor polynomial of even order in place of the exponential: tails fall as a power.

    .. math::
      \mathrm{taylor\_softmax}(x)_i = \frac{t(x_i)}{\sum_j t(x_j)}, \qquad t(x) = \sum_{k=0}^{n} \frac{x^k}{k!}

    Not monotone: t has its minimum at -1 for order 2, and large negative entries win like large positive ones. An
    entry that is masked out or :math:`-\infty` has probability 0 and derivative 0; a row with no other entries is
    all 0.

    Args:
      x: logits; not invariant under a shift of them.
      axis: the axis, or a tuple of axes, along which the probabilities sum to 1; None for all.
      where: bools that broadcast to ``x``; entries that are False do not count.
      order: n, even and positive, for a polynomial of odd order is negative somewhere.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [0, 1].

    Raises:
      InputError: if the order is not even and positive, or an axis or the mask does not fit.

    Examples:
      >>> taylor_softmax(jnp.array([0.0, 1.0, 2.0]))  # 1, 2.5 and 5 of 8.5
      Array([0.11764706, 0.29411766, 0.5882353 ], dtype=float32)

    References:
      Vincent, de Brébisson and Bouthillier, "Efficient exact gradient update for training deep networks with very
      large sparse targets", 2014, arXiv:1412.7091;
      de Brébisson and Vincent, "An exploration of softmax alternatives belonging to the spherical loss family",
      2015, arXiv:1511.05042.
    """
    x = as_inexact(x)
    if not isinstance(order, int) or order < 2 or order % 2:
        raise InputError(f"order must be an even positive integer, got {shown(order)}")
    return _taylor_softmax(x, a_mask(where, x), axes=several_axes(axis, x), order=operator.index(order))


@along_axes("axis", "hard")
def _gumbel_softmax(x: Array, live: Array, temperature: Array, *, key: Array, axis: int, hard: bool) -> Array:
    noise = jax.random.gumbel(key, x.shape, x.dtype)
    y = _softmax(x + noise, live, temperature, axes=(axis,), off_by_one=False)
    if not hard:
        return y
    first = lax.broadcasted_iota(jnp.int32, x.shape, axis) == jnp.argmax(y, axis, keepdims=True)
    return (first & live) + (y - lax.stop_gradient(y))  # the difference is exactly 0, and has the derivative


def gumbel_softmax(
    key: Array, x: ArrayLike, temperature: ArrayLike = 1.0, hard: bool = False, axis: int = -1
) -> Array:
    r"""A differentiable sample from the categorical distribution with logits x.

    .. math::
      \mathrm{gumbel\_softmax}(x) = \mathrm{softmax}\left(\frac{x + g}{T}\right), \qquad g_i = -\log(-\log u_i),
      \quad u_i \sim \mathrm{uniform}(0, 1)

    As T goes to 0 it becomes a one-hot sample. Where ``hard``, it is one: the value is one-hot, drawn with the
    probabilities of ``softmax(x)`` whatever the temperature, and the derivative is that of the soft sample
    (straight-through). An entry of :math:`-\infty` is never drawn; a row of them is all 0.

    Args:
      key: random key, from `jax.random.key`.
      x: logits, that is unnormalised log-probabilities.
      temperature: :math:`T > 0`, a number or one for each row (length 1 along ``axis``).
      hard: whether the value is one-hot.
      axis: the axis of the categories.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [0, 1].

    Raises:
      InputError: if the axis or the temperature does not fit.

    Examples:
      >>> gumbel_softmax(jax.random.key(0), jnp.zeros(3), hard=True).sum()
      Array(1., dtype=float32)

    References:
      Jang, Gu and Poole, "Categorical reparameterization with Gumbel-softmax", 2016, arXiv:1611.01144;
      Maddison, Mnih and Teh, "The concrete distribution", 2016, arXiv:1611.00712.
    """
    x = as_inexact(x)
    axis = one_axis(axis, x)
    temperature = of_each_row(temperature, "temperature", x, (axis,), 0, above=True)
    return _gumbel_softmax(x, None, temperature, key=key, axis=axis, hard=bool(hard))
