"""Functions that are linear at one end and flat, or nearly so, at the other: relu, elu and their relatives."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.activations import _numerics
from jaxact.activations._numerics import elementwise

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


@elementwise
def relu(x: Array) -> Array:
    r"""Rectified linear unit.

    .. math::
      \mathrm{relu}(x) = \max(x, 0)

    Kink at 0, where the derivative is taken to be 0 (as `jax.nn.relu`; Bertoin et al. 2021 found that choice the
    best one for training). Limits: 0 at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), not negative.

    Examples:
      >>> relu(jnp.array([-1.0, 0.0, 1.0]))
      Array([0., 0., 1.], dtype=float32)
      >>> jax.grad(relu)(0.0)
      Array(0., dtype=float32, weak_type=True)

    References:
      Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines", 2010;
      Bertoin et al., "Numerical influence of ReLU'(0) on backpropagation", 2021, arXiv:2106.12915.
    """
    return jnp.where(x <= 0, 0, x)


@elementwise
def relu6(x: Array) -> Array:
    r"""Rectified linear unit that stops at 6.

    .. math::
      \mathrm{relu6}(x) = \min(\max(x, 0), 6)

    Kinks at 0 and 6, where the derivative is taken to be 0 (as `jax.nn.relu6`).

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [0, 6].

    Examples:
      >>> relu6(jnp.array([-1.0, 3.0, 8.0]))
      Array([0., 3., 6.], dtype=float32)

    References:
      Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010.
    """
    return jnp.where(x <= 0, 0, jnp.where(x >= 6, 6, x))


@elementwise
def leaky_relu(x: Array, negative_slope: ArrayLike = 1e-2) -> Array:
    r"""Rectified linear unit that leaks: no unit can die, for the slope is never 0.

    .. math::
      \mathrm{leaky\_relu}(x) = \begin{cases} x, & x \ge 0 \\ \alpha x, & x < 0 \end{cases}

    Kink at 0, where the derivative is taken to be 1 (as `jax.nn.leaky_relu`).

    Args:
      x: input, any shape.
      negative_slope: :math:`\alpha`, the slope on the left (TensorFlow takes 0.2, Keras' layer 0.3).

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> leaky_relu(jnp.array([-1.0, 2.0]), 0.2)
      Array([-0.2,  2. ], dtype=float32)

    References:
      Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013.
    """
    return jnp.where(x >= 0, x, negative_slope * x)


def _exponential_tail(x: Array) -> Array:
    """``exp(x) - 1`` for negative ``x``, and 0 for the others."""
    return _numerics.expm1(jnp.where(x > 0, 0, x))


@elementwise
def elu(x: Array, alpha: ArrayLike = 1.0) -> Array:
    r"""Exponential linear unit.

    .. math::
      \mathrm{elu}(x) = \begin{cases} x, & x > 0 \\ \alpha (e^x - 1), & x \le 0 \end{cases}

    Smooth for :math:`\alpha = 1`; otherwise a kink at 0, where the derivative is taken to be :math:`\alpha` (as
    `jax.nn.elu`). Limit :math:`-\alpha` at :math:`-\infty`.

    Args:
      x: input, any shape.
      alpha: :math:`\alpha`, minus the value that is approached on the left.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), above -alpha.

    Examples:
      >>> elu(-1.0)
      Array(-0.63212055, dtype=float32, weak_type=True)
      >>> jax.grad(elu)(-20.0)  # jax.grad(jax.nn.elu)(-20.0) is 0
      Array(2.0611537e-09, dtype=float32, weak_type=True)

    References:
      Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential linear units
      (ELUs)", 2015, arXiv:1511.07289.
    """
    return jnp.where(x > 0, x, alpha * _exponential_tail(x))


@elementwise
def celu(x: Array, alpha: ArrayLike = 1.0) -> Array:
    r"""Continuously differentiable exponential linear unit: smooth for every alpha.

    .. math::
      \mathrm{celu}(x) = \begin{cases} x, & x > 0 \\ \alpha (e^{x/\alpha} - 1), & x \le 0 \end{cases}

    Limit :math:`-\alpha` at :math:`-\infty`.

    Args:
      x: input, any shape.
      alpha: :math:`\alpha > 0`, minus the value that is approached on the left.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), above -alpha.

    Examples:
      >>> celu(-1.0, 2.0)
      Array(-0.78693867, dtype=float32, weak_type=True)

    References:
      Barron, "Continuously differentiable exponential linear units", 2017, arXiv:1704.07483.
    """
    return jnp.where(x > 0, x, alpha * _exponential_tail(x / alpha))


@elementwise
def selu(x: Array) -> Array:
    r"""Scaled exponential linear unit: keeps a standard normal at mean 0 and variance 1.

    .. math::
      \mathrm{selu}(x) = \lambda \begin{cases} x, & x > 0 \\ \alpha (e^x - 1), & x \le 0 \end{cases}

    with :math:`\lambda = 1.0507009873554805` and :math:`\alpha = 1.6732632423543772`. Kink at 0, where the
    derivative is taken to be :math:`\lambda\alpha = 1.7581` (as `jax.nn.selu`). Limit :math:`-\lambda\alpha` at
    :math:`-\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), above -1.7581.

    Examples:
      >>> selu(jnp.array([-1.0, 1.0]))
      Array([-1.1113307,  1.050701 ], dtype=float32)

    References:
      Klambauer, Unterthiner, Mayr and Hochreiter, "Self-normalizing neural networks", 2017, arXiv:1706.02515.
    """
    return SELU_SCALE * jnp.where(x > 0, x, SELU_ALPHA * _exponential_tail(x))
