"""Initialisers whose gain is computed for the activation that follows."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import Array
from jax.nn.initializers import Initializer, orthogonal, variance_scaling

from jaxact import activations
from jaxact.analysis.moments import MODES, gain
from jaxact.errors import InputError, shown

_LINEAR = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_TORCH = {"sigmoid": 1.0, "tanh": 5 / 3, "relu": 2**0.5, "selu": 0.75}
_DISTRIBUTIONS = ("truncated_normal", "normal", "uniform", "orthogonal")


def for_activation(
    fn: Callable[[Any], Array],
    *,
    mode: str = "forward",
    distribution: str = "truncated_normal",
    in_axis: int | Sequence[int] = -2,
    out_axis: int | Sequence[int] = -1,
    batch_axis: int | Sequence[int] = (),
    dtype: Any = None,
    q: float = 1.0,
) -> Initializer:
    r"""Initialiser of the weights of a layer that acts on ``fn``'s values, by the Gaussian moments of ``fn``.

    .. math::
        \operatorname{Var} W = \frac{g^2}{\text{fan}}, \qquad
        g = \frac{1}{\sqrt{E f^2}} \text{ or } \frac{1}{\sqrt{E f'^2}}

    It is He's initialisation for any activation: the fan is the inputs forward, the outputs backward.

    Args:
      fn: the elementwise activation between the layers: of jaxact, of `jax.nn`, or your own.
      mode: ``"forward"`` keeps the signal's second moment (fan-in), ``"backward"`` the gradient's (fan-out),
        ``"std"`` the signal's variance (fan-in).
      distribution: ``"truncated_normal"``, ``"normal"``, ``"uniform"`` or ``"orthogonal"`` (which has no fan: its
        singular values are the gain).
      in_axis: axis or axes of inputs, as in `jax.nn.initializers.variance_scaling`.
      out_axis: axis or axes of outputs.
      batch_axis: axis or axes that are neither.
      dtype: of the weights, if the initialiser is called without; by default JAX's default float.
      q: variance of the pre-activations that the gain is computed at.

    Returns:
      ``init(key, shape, dtype=..., out_sharding=None) -> Array``, which Flax (``kernel_init=``) takes as it is.
      Haiku calls ``init(shape, dtype)`` under `haiku.transform`:
      ``lambda shape, dtype: init(hk.next_rng_key(), shape, dtype)`` serves it.

    Raises:
      InputError: if ``mode`` or ``distribution`` is unknown, or no gain exists.

    Examples:
      >>> import jax
      >>> init = for_activation(jax.nn.gelu)
      >>> w = init(jax.random.key(0), (512, 256))
      >>> abs(float(w.std()) * 512**0.5 / gain(jax.nn.gelu) - 1) < 0.01
      True

    References:
      He et al. 2015, Delving deep into rectifiers, arXiv:1502.01852.
    """
    if distribution not in _DISTRIBUTIONS:
        raise InputError(
            f"distribution must be one of {', '.join(map(repr, _DISTRIBUTIONS))}, got {shown(distribution)}"
        )
    factor = gain(fn, mode, q=q)
    kept = {} if dtype is None else {"dtype": dtype}
    if distribution == "orthogonal":
        if in_axis != -2 or batch_axis != ():
            raise InputError("in_axis and batch_axis must keep their defaults for an orthogonal initialiser")
        if not isinstance(out_axis, int):
            raise InputError(f"out_axis must be one axis for an orthogonal initialiser, got {shown(out_axis)}")
        return orthogonal(factor, column_axis=out_axis, **kept)
    fan = "fan_out" if mode == "backward" else "fan_in"
    return variance_scaling(
        factor**2, fan, distribution, in_axis=in_axis, out_axis=out_axis, batch_axis=batch_axis, **kept
    )


def torch_gain(nonlinearity: str, param: float | None = None) -> float | None:
    """What `torch.nn.init.calculate_gain` returns, right or wrong, to compare with or to reproduce a network.

    Args:
      nonlinearity: torch's name of a function.
      param: the negative slope, for ``"leaky_relu"``; by default 0.01.

    Returns:
      Its constant, or None if it has none for that function.

    Examples:
      >>> torch_gain("selu"), torch_gain("gelu")
      (0.75, None)
    """
    if nonlinearity in _LINEAR:
        return 1.0
    if nonlinearity == "leaky_relu":
        return (2 / (1 + (0.01 if param is None else param) ** 2)) ** 0.5
    return _TORCH.get(nonlinearity)


def calculate_gain(
    nonlinearity: str | Callable[[Any], Array],
    param: float | None = None,
    *,
    mode: str = "forward",
    q: float = 1.0,
) -> float:
    r"""`torch.nn.init.calculate_gain`, computed, for any callable and any name.

    torch's constants are right for linear, relu and leaky_relu, which the integrals confirm: 1, sqrt(2) and
    sqrt(2 / (1 + a^2)). The others are folklore, which no mode gives at q = 1:

    ========  ======  =================  ==================
    function  torch   forward, computed  backward, computed
    ========  ======  =================  ==================
    tanh      5/3     1.592537           1.467414
    selu      3/4     1.000000           0.966026
    sigmoid   1       1.846229           4.722646
    ========  ======  =================  ==================

    torch's selu follows an experiment instead of the fixed point that selu was made for, which needs gain 1.

    Args:
      nonlinearity: a callable, or a name: torch's, or of any function of `jaxact.activations` (``"gelu"``). For
        names with parameters or of other frameworks give ``jaxact.get("torch:elu")``. ``"linear"`` and the names
        of convolutions give 1.
      param: the negative slope, for ``"leaky_relu"`` alone; by default 0.01.
      mode: as of `jaxact.gain`.
      q: variance of the pre-activations.

    Returns:
      The gain.

    Raises:
      InputError: if the name is unknown, or ``param`` is given for another function.

    Examples:
      >>> round(calculate_gain("relu"), 6), round(calculate_gain("leaky_relu", 0.2), 6), calculate_gain("conv2d")
      (1.414214, 1.38675, 1.0)
      >>> round(calculate_gain("tanh"), 6), round(calculate_gain("selu"), 6), round(calculate_gain("sigmoid"), 6)
      (1.592537, 1.0, 1.846229)

    References:
      Klambauer et al. 2017, Self-normalizing neural networks, arXiv:1706.02515.
    """
    if mode not in MODES:
        raise InputError(f"mode must be one of {', '.join(map(repr, MODES))}, got {shown(mode)}")
    leaky = nonlinearity == "leaky_relu"
    if param is not None and (not leaky or isinstance(param, bool) or not isinstance(param, int | float)):
        raise InputError(
            f"param must be the negative slope of 'leaky_relu', got {shown(param)} for {shown(nonlinearity)}"
        )
    if isinstance(nonlinearity, str):
        if nonlinearity in _LINEAR:
            return 1.0
        if nonlinearity.startswith("_") or not callable(getattr(activations, nonlinearity, None)):
            raise InputError(
                f"unknown nonlinearity {shown(nonlinearity)}: give 'linear', a name of jaxact.activations, or a "
                "callable such as jaxact.get(...)"
            )
        fn = getattr(activations, nonlinearity)
        if leaky:
            slope = 0.01 if param is None else param
            fn = functools.partial(jax.nn.leaky_relu, negative_slope=slope)
    else:
        fn = nonlinearity
    return gain(fn, mode, q=q)
