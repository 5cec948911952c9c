"""Functions that are flat at both ends: sigmoid, tanh and their relatives."""

import jax.numpy as jnp
from jax import Array

from jaxact.activations import _exponential, _normal
from jaxact.activations._numerics import elementwise, finite, with_derivative


@elementwise
def sigmoid(x: Array) -> Array:
    r"""Logistic sigmoid, whose derivative is right in both tails.

    .. math::
      \mathrm{sigmoid}(x) = \frac{1}{1 + e^{-x}}, \qquad
      \mathrm{sigmoid}'(x) = \tfrac14 \mathrm{sech}^2(x/2) \in (0, \tfrac14]

    Limits: 0 at :math:`-\infty`, 1 at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [0, 1].

    Examples:
      >>> sigmoid(jnp.array([-1.0, 0.0, 1.0]))
      Array([0.26894143, 0.5       , 0.7310586 ], dtype=float32)
      >>> jax.grad(sigmoid)(20.0)  # jax.grad(jax.nn.sigmoid)(20.0) is 0
      Array(2.0611537e-09, dtype=float32, weak_type=True)
    """
    return _exponential.sigmoid(x)


@elementwise
def tanh(x: Array) -> Array:
    r"""Hyperbolic tangent, whose derivative is right in both tails.

    .. math::
      \mathrm{tanh}(x) = \frac{e^x - e^{-x}}{e^x + e^{-x}}, \qquad
      \mathrm{tanh}'(x) = \mathrm{sech}^2(x) \in (0, 1]

    Limits: -1 at :math:`-\infty`, 1 at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [-1, 1].

    Examples:
      >>> tanh(jnp.array([-1.0, 0.0, 1.0]))
      Array([-0.76159424,  0.        ,  0.76159424], dtype=float32)
      >>> jax.grad(tanh)(10.0)  # jax.grad(jax.nn.tanh)(10.0) is 0
      Array(8.244615e-09, dtype=float32, weak_type=True)
    """
    return _exponential.tanh(x)


@elementwise
def erf(x: Array) -> Array:
    r"""Error function.

    .. math::
      \mathrm{erf}(x) = \frac{2}{\sqrt\pi} \int_0^x e^{-t^2}\,dt, \qquad
      \mathrm{erf}'(x) = \frac{2}{\sqrt\pi} e^{-x^2}

    Limits: -1 at :math:`-\infty`, 1 at :math:`+\infty`.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [-1, 1].

    Examples:
      >>> erf(1.0)
      Array(0.8427008, dtype=float32, weak_type=True)
    """
    return _normal.erf(x)


def _soft_sign_slope(x):
    r = 1 / (1 + jnp.abs(x))
    return r * r


@with_derivative(_soft_sign_slope)
def _soft_sign(x):
    x = finite(x)
    return x / (1 + jnp.abs(x))


@elementwise
def soft_sign(x: Array) -> Array:
    r"""Soft sign: approaches its ends like 1/x, so it saturates far later than tanh.

    .. math::
      \mathrm{soft\_sign}(x) = \frac{x}{1 + |x|}, \qquad \mathrm{soft\_sign}'(x) = \frac{1}{(1 + |x|)^2}

    Limits: -1 at :math:`-\infty`, 1 at :math:`+\infty`. The second derivative jumps at 0.

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [-1, 1].

    Examples:
      >>> soft_sign(-3.0)
      Array(-0.75, dtype=float32, weak_type=True)

    References:
      Bergstra, Desjardins, Lamblin and Bengio, "Quadratic polynomials learn better image features", 2009.
    """
    return _soft_sign(x)


@elementwise
def hard_tanh(x: Array) -> Array:
    r"""Piecewise linear tanh.

    .. math::
      \mathrm{hard\_tanh}(x) = \min(\max(x, -1), 1)

    Kinks at -1 and 1, where the derivative is taken to be 1 (as `jax.nn.hard_tanh`).

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [-1, 1].

    Examples:
      >>> hard_tanh(jnp.array([-2.0, 0.5, 2.0]))
      Array([-1. ,  0.5,  1. ], dtype=float32)

    References:
      Collobert, "Large scale machine learning", 2004.
    """
    return jnp.where(x > 1, 1, jnp.where(x < -1, -1, x))


@elementwise
def hard_sigmoid(x: Array) -> Array:
    r"""Piecewise linear sigmoid with slope 1/6 (MobileNetV3; Keras 2 had 0.2 x + 0.5).

    .. math::
      \mathrm{hard\_sigmoid}(x) = \frac{\min(\max(x + 3, 0), 6)}{6}

    Kinks at -3 and 3, where the derivative is taken to be 0 (as `jax.nn.hard_sigmoid`).

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [0, 1].

    Examples:
      >>> hard_sigmoid(jnp.array([-4.0, 0.0, 1.5]))
      Array([0.  , 0.5 , 0.75], dtype=float32)

    References:
      Howard et al., "Searching for MobileNetV3", 2019, arXiv:1905.02244.
    """
    return jnp.where(x <= -3, 0, jnp.where(x >= 3, 1, (x + 3) / 6))


@elementwise
def sparse_sigmoid(x: Array) -> Array:
    r"""Piecewise linear sigmoid with slope 1/2, the derivative of `sparse_plus`.

    .. math::
      \mathrm{sparse\_sigmoid}(x) = \frac{\min(\max(x + 1, 0), 2)}{2}

    Kinks at -1 and 1, where the derivative is taken to be 1/4, midway (as `jax.nn.sparse_sigmoid`).

    Args:
      x: input, any shape.

    Returns:
      Array of the shape and dtype of ``x`` (integers give the default float), in [0, 1].

    Examples:
      >>> sparse_sigmoid(jnp.array([-2.0, 0.0, 0.5]))
      Array([0.  , 0.5 , 0.75], dtype=float32)

    References:
      Martins and Astudillo, "From softmax to sparsemax", 2016, arXiv:1602.02068.
    """
    return (jnp.clip(x, -1, 1) + 1) / 2
