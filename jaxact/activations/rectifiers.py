"""Functions that are piecewise linear or quadratic: relu and its relatives."""

import functools

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.activations._numerics import elementwise, like, with_derivative


@functools.partial(elementwise, selects=True)
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


@elementwise
def prelu(x: Array, negative_slope: ArrayLike = 0.25) -> Array:
    r"""Leaky relu with a slope that is learned.

    .. math::
      \mathrm{prelu}(x) = \begin{cases} x, & x \ge 0 \\ a x, & x < 0 \end{cases}

    Kink at 0, where the derivative is taken to be 1 (as `flax.nnx.PReLU`).

    Args:
      x: input, any shape.
      negative_slope: :math:`a`, of any shape that broadcasts against ``x``.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> prelu(-1.0)
      Array(-0.25, dtype=float32, weak_type=True)

    References:
      He, Zhang, Ren and Sun, "Delving deep into rectifiers: surpassing human-level performance on ImageNet
      classification", 2015, arXiv:1502.01852.
    """
    return jnp.where(x >= 0, x, negative_slope * x)


@elementwise
def clipped_relu(x: Array, max_value: ArrayLike = 20.0) -> Array:
    r"""Rectified linear unit that stops at a given value.

    .. math::
      \mathrm{clipped\_relu}(x) = \min(\max(x, 0), m)

    Kinks at 0 and m, where the derivative is taken to be 0, as for `relu6`.

    Args:
      x: input, any shape.
      max_value: :math:`m > 0`.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [0, m].

    Examples:
      >>> clipped_relu(jnp.array([-1.0, 3.0, 30.0]))
      Array([ 0.,  3., 20.], dtype=float32)

    References:
      Hannun et al., "Deep Speech: scaling up end-to-end speech recognition", 2014, arXiv:1412.5567.
    """
    return jnp.where(x <= 0, 0, jnp.where(x >= max_value, max_value, x))


@elementwise
def thresholded_relu(x: Array, theta: ArrayLike = 1.0) -> Array:
    r"""Passes inputs above a threshold and drops the others.

    .. math::
      \mathrm{thresholded\_relu}(x) = \begin{cases} x, & x > \theta \\ 0, & x \le \theta \end{cases}

    Jumps at :math:`\theta`, where the derivative is taken to be 0.

    Args:
      x: input, any shape.
      theta: :math:`\theta \ge 0`.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> thresholded_relu(jnp.array([0.5, 2.0]))
      Array([0., 2.], dtype=float32)

    References:
      Konda, Memisevic and Krueger, "Zero-bias autoencoders and the benefits of co-adapting features", 2014,
      arXiv:1402.3337.
    """
    return jnp.where(x <= theta, 0, x)


@elementwise
def relu_squared(x: Array) -> Array:
    r"""Square of relu.

    .. math::
      \mathrm{relu\_squared}(x) = \max(x, 0)^2

    The derivative, 2 relu, is continuous; the second derivative jumps at 0.
    Limits: 0 at :math:`-\infty`, :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), not negative.

    Examples:
      >>> relu_squared(jnp.array([-1.0, 3.0]))
      Array([0., 9.], dtype=float32)

    References:
      So, Mańke, Liu, Dai, Shazeer and Le, "Primer: searching for efficient transformers for language modeling",
      2021, arXiv:2109.08668.
    """
    return jnp.square(jnp.where(x <= 0, 0, x))


@with_derivative(lambda y, scale: (scale + scale) * y, lambda y, scale: y * y + 0 * scale)
def _scaled_square(y: Array, scale: Array) -> Array:
    return (scale * y) * y


@elementwise
def star_relu(x: Array, scale: ArrayLike = 0.8944271909999159, bias: ArrayLike = -0.4472135954999579) -> Array:
    r"""Square of relu, scaled and shifted to mean 0 and variance 1 for a standard normal input.

    .. math::
      \mathrm{star\_relu}(x) = s \max(x, 0)^2 + b

    The defaults are :math:`s = 2/\sqrt 5` and :math:`b = -s/2`. The second derivative jumps at 0. Limits: b at
    :math:`-\infty`, :math:`\infty` at :math:`+\infty`.

    Args:
      x: input, any shape.
      scale: :math:`s`, learned in the paper.
      bias: :math:`b`, learned in the paper.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> star_relu(jnp.array([-1.0, 1.0]))
      Array([-0.4472136,  0.4472136], dtype=float32)

    References:
      Yu et al., "MetaFormer baselines for vision", 2022, arXiv:2210.13452.
    """
    s, b = like(x, scale, bias)
    return _scaled_square(jnp.where(x <= 0, 0, x), s) + b


@elementwise
def srelu(
    x: Array, t_right: ArrayLike = 1.0, a_right: ArrayLike = 0.2, t_left: ArrayLike = -1.0, a_left: ArrayLike = 0.2
) -> Array:
    r"""S-shaped rectified linear unit: three linear pieces.

    .. math::
      \mathrm{srelu}(x) = \begin{cases} t_r + a_r (x - t_r), & x \ge t_r \\ x, & t_l < x < t_r \\
      t_l + a_l (x - t_l), & x \le t_l \end{cases}

    Kinks at :math:`t_l` and :math:`t_r`, where the derivative is taken to be the outer slope.

    Args:
      x: input, any shape.
      t_right: :math:`t_r`, all four learned in the paper.
      a_right: :math:`a_r`.
      t_left: :math:`t_l \le t_r`.
      a_left: :math:`a_l`.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float).

    Examples:
      >>> srelu(jnp.array([-2.0, 0.5, 2.0]))
      Array([-1.2,  0.5,  1.2], dtype=float32)

    References:
      Jin, Xu, Feng, Wei, Xiong and Yan, "Deep learning with S-shaped rectified linear activation units", 2015,
      arXiv:1512.07030.
    """
    right, left = t_right + a_right * (x - t_right), t_left + a_left * (x - t_left)
    return jnp.where(x >= t_right, right, jnp.where(x <= t_left, left, x))
