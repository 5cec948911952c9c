"""Functions that compare or pair the entries along an axis: groupsort, maxmin, top_k_relu, crelu."""

import functools
import operator

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxact.activations._axes import one_axis
from jaxact.activations._numerics import as_inexact
from jaxact.activations.rectifiers import relu
from jaxact.errors import InputError, shown

_NETWORK_SIZE = 8


def _count(n: int, name: str, largest: int) -> int:
    if isinstance(n, bool) or not hasattr(n, "__index__") or not 1 <= operator.index(n) <= largest:
        raise InputError(f"{name} must be an integer from 1 to {largest}, the length of the axis, got {shown(n)}")
    return operator.index(n)


@functools.partial(jax.jit, static_argnames=("group_size", "axis"))
def _groupsort(x: Array, group_size: int, axis: int) -> Array:
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    groups = x.reshape(*before, x.shape[axis] // group_size, group_size, *after)
    if group_size > _NETWORK_SIZE:
        return jnp.sort(groups, axis + 1).reshape(x.shape)
    # Insertion by comparisons, stable like jnp.sort: pairs are a hundred times faster than by XLA's sort on a CPU.
    rank = [lax.index_in_dim(groups, i, axis + 1) for i in range(group_size)]
    for end in range(1, group_size):
        for i in range(end, 0, -1):
            low, high = rank[i - 1 : i + 1]
            swap = low > high
            rank[i - 1 : i + 1] = jnp.where(swap, high, low), jnp.where(swap, low, high)
    return jnp.concatenate(rank, axis + 1).reshape(x.shape)


def groupsort(x: ArrayLike, group_size: int = 2, axis: int = -1) -> Array:
    r"""Sorts each group of neighbours, in ascending order.

    .. math::
      \mathrm{groupsort}(x)_{gk + i} = \text{the } i\text{-th smallest of } x_{gk}, \dots, x_{gk + k - 1}

    The derivative is a permutation, so gradients keep their norm, and with weights of norm 1 the network is
    1-Lipschitz without losing it. Kinks at ties, where the entries are taken to be in order already.

    Args:
      x: input.
      group_size: k, the number of neighbours in a group; it divides the length of the axis.
      axis: the axis of the groups.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Raises:
      InputError: if the axis is out of range, or the group size does not divide its length.

    Examples:
      >>> groupsort(jnp.array([3.0, 1.0, 2.0, 5.0, 4.0, 6.0]), 3)
      Array([1., 2., 3., 4., 5., 6.], dtype=float32)

    References:
      Anil, Lucas and Grosse, "Sorting out Lipschitz function approximation", 2018, arXiv:1811.05381.
    """
    x = as_inexact(x)
    axis = one_axis(axis, x)
    length = x.shape[axis]
    group_size = _count(group_size, "group_size", max(length, 1))
    if length % group_size:
        raise InputError(f"group_size {group_size} does not divide the length {length} of axis {axis} of x")
    return _groupsort(x, group_size, axis)


def maxmin(x: ArrayLike, axis: int = -1) -> Array:
    r"""`groupsort` with pairs: the minimum and the maximum of neighbours.

    .. math::
      \mathrm{maxmin}(x)_{2g} = \min(x_{2g}, x_{2g+1}), \qquad \mathrm{maxmin}(x)_{2g+1} = \max(x_{2g}, x_{2g+1})

    Some write the maxima first, or all of them before all minima: the next layer's weights absorb the order. Kinks
    at ties, where the entries are taken to be in order already.

    Args:
      x: input.
      axis: the axis of the pairs, of even length.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Raises:
      InputError: if the axis is out of range, or its length is odd.

    Examples:
      >>> maxmin(jnp.array([3.0, 1.0, 2.0, 5.0]))
      Array([1., 3., 2., 5.], dtype=float32)

    References:
      Chernodub and Nowicki, "Norm-preserving orthogonal permutation linear unit activation functions (OPLU)",
      2016, arXiv:1604.02313; Anil, Lucas and Grosse, "Sorting out Lipschitz function approximation", 2018,
      arXiv:1811.05381.
    """
    return groupsort(x, 2, axis)


@functools.partial(jax.jit, static_argnames=("k", "axis"))
def _top_k_relu(x: Array, k: int, axis: int) -> Array:
    _, winners = lax.top_k(jnp.moveaxis(x, axis, -1), k)
    kept = jnp.zeros(x.shape, bool)
    kept = jnp.put_along_axis(kept, jnp.moveaxis(winners, -1, axis), True, axis, inplace=False)
    return jnp.where(kept, relu(x), 0)


def top_k_relu(x: ArrayLike, k: int, axis: int = -1) -> Array:
    r"""Keeps the k largest entries, of those the positive part; the others become 0.

    .. math::
      \mathrm{top\_k\_relu}(x)_i = \begin{cases} \max(x_i, 0), & x_i \text{ among the } k \text{ largest} \\
      0, & \text{otherwise} \end{cases}

    Of equal entries the first ones are kept, never more than k. The derivative is 1 for what is kept and positive,
    else 0; it jumps with the value where another entry enters the k largest.

    Args:
      x: input.
      k: how many entries to keep, from 1 to the length of the axis.
      axis: the axis along which they compete.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), not negative.

    Raises:
      InputError: if the axis is out of range, or k is not from 1 to its length.

    Examples:
      >>> top_k_relu(jnp.array([3.0, -1.0, 2.0, 5.0]), 2)
      Array([3., 0., 0., 5.], dtype=float32)

    References:
      Makhzani and Frey, "k-sparse autoencoders", 2013, arXiv:1312.5663;
      Gao et al., "Scaling and evaluating sparse autoencoders", 2024, arXiv:2406.04093.
    """
    x = as_inexact(x)
    axis = one_axis(axis, x)
    return _top_k_relu(x, _count(k, "k", x.shape[axis]), axis)


def crelu(x: ArrayLike, axis: int = -1) -> Array:
    r"""Concatenated relu: keeps the negative part too, as entries of its own.

    .. math::
      \mathrm{crelu}(x) = (\max(x, 0), \max(-x, 0))

    Kinks at 0, where the derivative is taken to be 0 in both halves.

    Args:
      x: input.
      axis: the axis along which the halves are joined; the result is twice as long there.

    Returns:
      Array of the dtype of ``x`` (integers give the default float), not negative.

    Raises:
      InputError: if the axis is out of range.

    Examples:
      >>> crelu(jnp.array([1.0, -2.0]))
      Array([1., 0., 0., 2.], dtype=float32)

    References:
      Shang, Sohn, Almeida and Lee, "Understanding and improving convolutional neural networks via concatenated
      rectified linear units", 2016, arXiv:1603.05201.
    """
    x = as_inexact(x)
    return jnp.concatenate([relu(x), relu(-x)], one_axis(axis, x))
