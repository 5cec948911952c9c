"""Moments of a function under a Gaussian, and the gains that follow from them."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxact.analysis import quadrature
from jaxact.errors import InputError, shown

MODES = ("forward", "backward", "std")
Result = TypeVar("Result", bound=tuple)


class Moments(NamedTuple):
    """Moments of a function f under z ~ N(0, q); each has the shape of q.

    Attributes:
      mean: E f(z).
      second: E f(z)^2, by which a layer multiplies the second moment on the way forward.
      slope: E f'(z)^2, by which it multiplies the gradient's on the way back.
      parallel: E f(z) f'(z) z, half the change of E f^2 with ln q where f is continuous.
    """

    mean: np.ndarray
    second: np.ndarray
    slope: np.ndarray
    parallel: np.ndarray


def moments(fn: Callable[[Any], Array], q: ArrayLike = 1.0) -> Moments:
    r"""Gaussian moments of any elementwise function, to a relative 1e-10.

    .. math::
        E f,\quad E f^2,\quad E f'^2,\quad E f f' z, \qquad z \sim N(0, q)

    Integrated by composite Gauss-Legendre quadrature in float64, whatever the flags of JAX are, on panels broken
    where `fn` has kinks or jumps; these are found, not asked for. Every result is computed twice, the second time
    on panels of half the size, and must agree. What is left of an integrand of both signs that cancels (E f f' z
    of sin(7 x), say) is right to 1e-10 of the integral of its size. A function that casts to a narrower type
    inside (float32, say) is integrated just so, and is as right as its own rounding allows: about 1e-6 for
    float32.

    ``f'`` is what `jax.grad` gives, almost everywhere: a jump of f adds nothing to it.

    Args:
      fn: elementwise function: an activation of jaxact or `jax.nn`, or your own callable of one array.
      q: variance of z, positive; an array gives arrays.

    Returns:
      `Moments` of float64 NumPy arrays of the shape of ``q``. Under `jax.vmap` or `jax.jit` over ``q``, JAX arrays
      in the default dtype, by a callback.

    Raises:
      InputError: if ``q`` is not positive and finite; if the function or its derivative is not finite where the
        Gaussian still has weight, or grows so fast that a moment does not exist; if it oscillates too fast.

    Examples:
      >>> import jax
      >>> [round(float(m), 6) for m in moments(jax.nn.relu)]
      [0.398942, 0.5, 0.5, 0.5]
      >>> moments(lambda x: abs(x) ** 3, q=[1.0, 4.0]).second.round(9)
      array([ 15., 960.])

    References:
      Poole et al. 2016, Exponential expressivity in deep neural networks through transient chaos,
      arXiv:1606.05340.
    """
    if not callable(fn):
        raise TypeError(f"fn must be callable, got {type(fn).__name__} {shown(fn)}")
    return over_arrays(lambda q: _moments(fn, q), Moments, q=q)


def _moments(fn: Callable, q: np.ndarray) -> Moments:
    if not (np.isfinite(q) & (q > 0)).all():
        raise InputError(f"q must be a positive finite variance, got {shown(q.tolist())}")
    result = np.empty((4, q.size))
    for i, variance in enumerate(q.ravel()):
        result[:, i] = _at(fn, float(variance))
    mean, second, slope, parallel = (r.reshape(q.shape) for r in result)
    return Moments(mean, second, slope, parallel)


def _at(fn: Callable, q: float) -> np.ndarray:
    close = 1e-11 if quadrature.precision(fn) < 1e-15 else 300 * quadrature.precision(fn)
    for reach in (12.0, 20.0, 36.0):
        before, size, ends = _integrals(quadrature.rule(fn, q, q, reach=reach), q, reach)
        if (ends <= 1e-12 * size).all():
            break
    else:
        raise InputError(
            f"{shown(fn)} grows too fast for moments at q = {q:g}: at {reach:g} standard deviations they have not "
            "converged; a smaller q may work"
        )
    for halvings in range(1, 5):
        after, size, _ = _integrals(quadrature.rule(fn, q, q, reach=reach, halvings=halvings), q, reach)
        if (np.abs(after - before) <= close * size + 1e-300).all():
            return after
        before = after
    raise InputError(f"the moments of {shown(fn)} at q = {q:g} do not converge: is its square integrable?")


def _integrals(rule: quadrature.Rule, q: float, reach: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The four moments, the same of absolute values, and what the last tenth of the reach adds to those."""
    p = quadrature.density(rule.x, rule.w, np.asarray(q))
    bad = np.flatnonzero(~(np.isfinite(rule.f) & np.isfinite(rule.df)))
    if bad.size:
        i = bad[np.argmin(np.abs(rule.x[bad]))]
        raise InputError(
            f"fn must be finite with a finite derivative within {reach:g} standard deviations, but at "
            f"x = {rule.x[i]:.6g} it is {rule.f[i]:g} with derivative {rule.df[i]:g}"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        integrands = np.stack([rule.f, rule.f**2, rule.df**2, rule.f * rule.df * rule.x])
        parts = p * integrands
        absolute = np.abs(parts)
        # E f is judged by the root of E f^2, beside which it may vanish.
        size = absolute.sum(1)
    if not np.isfinite(size).all():
        raise InputError(f"the moments at q = {q:g} overflow: |f| reaches {np.abs(rule.f).max():.3g}")
    size[0] = np.sqrt(size[1])
    ends = absolute[:, np.abs(rule.x) > 0.9 * reach * np.sqrt(q)].sum(1)
    return parts.sum(1), size, ends


def gain(fn: Callable[[Any], Array], mode: str = "forward", *, q: float = 1.0) -> float:
    r"""The factor for the weights that keeps the signal, or the gradient, at its size through a layer.

    .. math::
        \text{forward: } \frac{1}{\sqrt{E f^2}}\qquad \text{backward: } \frac{1}{\sqrt{E f'^2}}\qquad
        \text{std: } \frac{1}{\sqrt{E f^2 - (E f)^2}}, \qquad z \sim N(0, q)

    With weights of variance gain^2 / fan_in, ``"forward"`` keeps the second moment of pre-activations at 1;
    with gain^2 / fan_out, ``"backward"`` keeps that of gradients. For relu both are sqrt(2), He's gain. ``"std"``
    is the convention of networks that centre or standardise the weights (as NFNets do). No gain does both at once
    for most functions: (E f'^2) / (E f^2) is the factor by which gradients change per layer under ``"forward"``.

    Args:
      fn: elementwise function.
      mode: ``"forward"``, ``"backward"`` or ``"std"``.
      q: variance of the pre-activations; ``"forward"`` returns pre-activations to variance 1, whatever q is.

    Returns:
      The gain.

    Raises:
      InputError: if ``mode`` is unknown, or the moment is 0 (of a constant, backward), or as `moments`.

    Examples:
      >>> import jax
      >>> round(gain(jax.nn.relu), 9), round(gain(jax.nn.tanh), 6), round(gain(jax.nn.tanh, "backward"), 6)
      (1.414213562, 1.592537, 1.467414)

    References:
      He et al. 2015, Delving deep into rectifiers, arXiv:1502.01852.
    """
    if mode not in MODES:
        raise InputError(f"mode must be one of {', '.join(map(repr, MODES))}, got {shown(mode)}")
    if isinstance(q, Tracer) or np.ndim(q):
        raise InputError(f"q must be one number for a gain, got {shown(q)}; for many, use jaxact.moments")
    mean, second, slope, _ = moments(fn, q)
    power = float({"forward": second, "backward": slope, "std": second - mean**2}[mode])
    # A constant has a variance that is rounding error.
    if not power > 1e-14 * float(second):
        of = {"forward": "E f^2", "backward": "E f'^2", "std": "the variance of f"}[mode]
        raise InputError(f"no gain of mode {mode!r} for {shown(fn)}: {of} is 0 at q = {float(q):g}")
    return power**-0.5


def over_arrays(
    compute: Callable[..., Result], kind: type[Result], *, extra: tuple[int, ...] = (), **arguments: ArrayLike
) -> Result:
    """Call a NumPy function on arguments broadcast to one shape; under `jax.vmap` and `jax.jit` by a callback.

    Args:
      compute: takes float64 arrays of one shape, and gives a NamedTuple of arrays of that shape.
      kind: the type of the NamedTuple.
      extra: shape of what every result has after the shape of the arguments.
      arguments: numbers or arrays, by name.

    Returns:
      What ``compute`` gives, as float64 NumPy arrays; JAX arrays of the default dtype if any argument is traced.

    Raises:
      InputError: if an argument is not real numbers, or shapes do not broadcast.
    """
    make: Any = kind  # no type says "class of a NamedTuple"
    if any(isinstance(a, Tracer) for a in arguments.values()):
        traced = [jnp.asarray(a) for a in arguments.values()]
        shape, dtype = np.broadcast_shapes(*(a.shape for a in traced)), jnp.zeros(()).dtype
        like = make(*[jax.ShapeDtypeStruct((*shape, *extra), dtype)] * len(make._fields))

        def call(*concrete: Any) -> Any:
            arrays = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in concrete))
            return make(*(np.asarray(y, dtype) for y in compute(*arrays)))

        return jax.pure_callback(call, like, *traced, vmap_method="broadcast_all")
    try:
        arrays = [np.asarray(a) for a in arguments.values()]
    except ValueError:
        raise InputError(f"{' and '.join(arguments)} must be numbers or arrays of numbers") from None
    for name, array in zip(arguments, arrays, strict=True):
        if not (jnp.issubdtype(array.dtype, jnp.floating) or jnp.issubdtype(array.dtype, jnp.integer)):
            raise InputError(f"{name} must be a real number or an array of them, got {shown(arguments[name])}")
    try:
        arrays = np.broadcast_arrays(*(a.astype(np.float64) for a in arrays))
    except ValueError:
        shapes = ", ".join(f"{name} {a.shape}" for name, a in zip(arguments, arrays, strict=True))
        raise InputError(f"shapes must broadcast, got {shapes}") from None
    return make(*(y[()] for y in compute(*arrays)))
