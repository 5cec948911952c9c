"""The gated units of transformers: bilinear, reglu, geglu, swiglu, and the swiglu of gpt-oss."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxact.activations._numerics import elementwise
from jaxact.activations.gated import value_and_gate
from jaxact.activations.gelus import gelu
from jaxact.activations.rectifiers import relu
from jaxact.activations.swishes import swish_beta


@elementwise
def _bilinear(x: Array, gate: Array) -> Array:
    return x * gate


def bilinear(
    x: ArrayLike,
    axis: int = -1,
    *,
    gate: ArrayLike | None = None,
    gate_first: bool = False,
    interleaved: bool = False,
) -> Array:
    r"""Gated unit without a nonlinearity.

    .. math::
      \mathrm{bilinear}(a, b) = a\,b

    Args:
      x: see `glu`.
      axis: see `glu`.
      gate: see `glu`.
      gate_first: see `glu`.
      interleaved: see `glu`.

    Returns:
      Array as of `glu`.

    Raises:
      InputError: as `glu`.

    Examples:
      >>> bilinear(jnp.array([1.0, 2.0, 0.0, 3.0]))
      Array([0., 6.], dtype=float32)

    References:
      Shazeer, "GLU variants improve transformer", 2020, arXiv:2002.05202.
    """
    return _bilinear(*value_and_gate(x, axis, gate, gate_first, interleaved))


@elementwise
def _reglu(x: Array, gate: Array) -> Array:
    return x * relu(gate)


def reglu(
    x: ArrayLike,
    axis: int = -1,
    *,
    gate: ArrayLike | None = None,
    gate_first: bool = False,
    interleaved: bool = False,
) -> Array:
    r"""Gated unit with relu.

    .. math::
      \mathrm{reglu}(a, b) = a \max(b, 0)

    Kink at b = 0, where the derivative is taken to be 0.

    Args:
      x: see `glu`.
      axis: see `glu`.
      gate: see `glu`.
      gate_first: see `glu`.
      interleaved: see `glu`.

    Returns:
      Array as of `glu`.

    Raises:
      InputError: as `glu`.

    Examples:
      >>> reglu(jnp.array([1.0, 2.0, -1.0, 3.0]))
      Array([0., 6.], dtype=float32)

    References:
      Shazeer, "GLU variants improve transformer", 2020, arXiv:2002.05202.
    """
    return _reglu(*value_and_gate(x, axis, gate, gate_first, interleaved))


@elementwise
def _geglu(x: Array, gate: Array, approximate: bool = True) -> Array:
    return x * gelu(gate, approximate)


def geglu(
    x: ArrayLike,
    axis: int = -1,
    *,
    gate: ArrayLike | None = None,
    approximate: bool = True,
    gate_first: bool = False,
    interleaved: bool = False,
) -> Array:
    r"""Gated unit with gelu.

    .. math::
      \mathrm{geglu}(a, b) = a\,\mathrm{gelu}(b)

    Args:
      x: see `glu`.
      axis: see `glu`.
      gate: see `glu`.
      approximate: whether gelu takes the form with tanh, as `jax.nn.gelu` does by default.
      gate_first: see `glu`.
      interleaved: see `glu`.

    Returns:
      Array as of `glu`.

    Raises:
      InputError: as `glu`.

    Examples:
      >>> geglu(jnp.array([1.0, 2.0, -1.0, 1.0]), approximate=False)
      Array([-0.15865526,  1.6826894 ], dtype=float32)

    References:
      Shazeer, "GLU variants improve transformer", 2020, arXiv:2002.05202.
    """
    return _geglu(*value_and_gate(x, axis, gate, gate_first, interleaved), approximate=approximate)


@elementwise
def _swiglu(x: Array, gate: Array, beta: ArrayLike) -> Array:
    return x * swish_beta(gate, beta)


def swiglu(
    x: ArrayLike,
    axis: int = -1,
    *,
    gate: ArrayLike | None = None,
    beta: ArrayLike = 1.0,
    gate_first: bool = False,
    interleaved: bool = False,
) -> Array:
    r"""Gated unit with swish, which is silu for beta = 1.

    .. math::
      \mathrm{swiglu}(a, b) = a\,b\,\mathrm{sigmoid}(\beta b)

    Args:
      x: see `glu`.
      axis: see `glu`.
      gate: see `glu`.
      beta: :math:`\beta`, a number or an array that broadcasts to the gate (0 halves it).
      gate_first: see `glu`.
      interleaved: see `glu`.

    Returns:
      Array as of `glu`.

    Raises:
      InputError: as `glu`.

    Examples:
      >>> swiglu(jnp.array([1.0, 2.0, -1.0, 1.0]))
      Array([-0.26894143,  1.4621172 ], dtype=float32)

    References:
      Shazeer, "GLU variants improve transformer", 2020, arXiv:2002.05202.
    """
    return _swiglu(*value_and_gate(x, axis, gate, gate_first, interleaved), beta)


@elementwise
def _clamped_swiglu(x: Array, gate: Array, alpha: ArrayLike, limit: ArrayLike) -> Array:
    linear = jnp.where(jnp.abs(x) > limit, jnp.sign(x) * limit, x)
    return (linear + 1) * swish_beta(jnp.where(gate > limit, limit, gate), alpha)


def clamped_swiglu(
    x: ArrayLike,
    axis: int = -1,
    *,
    gate: ArrayLike | None = None,
    alpha: ArrayLike = 1.702,
    limit: ArrayLike = 7.0,
    gate_first: bool = True,
    interleaved: bool = True,
) -> Array:
    r"""The swiglu of gpt-oss: clamped, with a value that is 1 off, and the gate at the even places of one array.

    .. math::
      \mathrm{clamped\_swiglu}(a, b) = (\mathrm{clip}(a, -\ell, \ell) + 1)\,b'\,\mathrm{sigmoid}(\alpha b'), \qquad
      b' = \min(b, \ell)

    Kinks at the limits, where the derivative is taken to be that from inside.

    Args:
      x: see `glu`.
      axis: see `glu`.
      gate: see `glu`.
      alpha: :math:`\alpha`; with 1.702 the gate is nearly gelu.
      limit: :math:`\ell \ge 0`.
      gate_first: see `glu`, with another default.
      interleaved: see `glu`, with another default.

    Returns:
      Array as of `glu`.

    Raises:
      InputError: as `glu`.

    Examples:
      >>> clamped_swiglu(jnp.array([1.0, 0.0, 9.0, 9.0]))  # the second as of 7 and 7
      Array([ 0.8457958, 55.999626 ], dtype=float32)

    References:
      OpenAI, "gpt-oss-120b and gpt-oss-20b model card", 2025, arXiv:2508.10925.
    """
    return _clamped_swiglu(*value_and_gate(x, axis, gate, gate_first, interleaved), alpha, limit)
