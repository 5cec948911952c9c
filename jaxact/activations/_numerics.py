"""The one coercion rule, and the accurate building blocks that the families share.

Why blocks of our own: JAX differentiates ``tanh`` as ``1 - tanh(x)**2``, ``logistic`` as ``s * (1 - s)`` and
``expm1`` as ``expm1(x) + 1``. In the tails the subtraction leaves nothing, so the gradient is 0 where its true
value is an ordinary number. Each block here carries its derivative in a closed form without that subtraction.
"""

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

P = ParamSpec("P")
Formula = Callable[[Array], Array]


def as_inexact(x: Any, name: str = "x") -> Array:
    """Array of a real floating dtype: floats keep theirs, integers and bools take the default float.

    Args:
      x: array, NumPy array or Python number.
      name: what to call the argument in an error.

    Raises:
      TypeError: if ``x`` is complex or not a number or array (lists are refused, as in `jax.numpy`).
    """
    if isinstance(x, bool | int):
        x = float(x)
    if not isinstance(x, jax.Array | np.ndarray | np.generic | float) and not hasattr(x, "__jax_array__"):
        shown = " ".join(f"{x!r:.60}".split())  # on one line
        raise TypeError(f"{name} must be a number or an array, got {type(x).__name__} {shown}")
    if isinstance(x, np.ndarray | np.generic) and x.dtype.kind not in "biufV":
        raise TypeError(f"{name} must be real, got a NumPy array of dtype {x.dtype}")
    x = jnp.asarray(x)
    if jnp.issubdtype(x.dtype, jnp.floating):
        return x
    if jnp.issubdtype(x.dtype, jnp.integer) or x.dtype == jnp.bool_:
        return x.astype(jnp.result_type(float))
    raise TypeError(f"{name} must be real, got dtype {x.dtype}")


def elementwise(formula: Callable[Concatenate[Array, P], Array]) -> Callable[Concatenate[ArrayLike, P], Array]:
    """Turns a formula into a public activation: coerced, jitted under its own name, rounded once.

    Narrower inputs than float32 are computed in float32 and rounded at the end. The result is a plain
    module-level function, so it pickles and hashes, which the object that `jax.jit` returns does not.

    Args:
      formula: function of a float32 or float64 array and of its parameters; those with a bool as default are
        static, the others may be arrays.
    """
    formula.__annotations__["x"] = ArrayLike  # what the public function takes; the formula gets an Array
    plain: Callable[..., Array] = formula
    signature = inspect.signature(formula)
    switches = [p.name for p in signature.parameters.values() if isinstance(p.default, bool)]

    @functools.wraps(formula)
    def compute(x, **parameters):
        x = as_inexact(x)
        given = {key: jnp.asarray(p) for key, p in parameters.items() if key not in switches}
        for key, p in given.items():
            as_inexact(p, key)  # real, or refused by name
        dtype = jnp.result_type(x, *given.values())
        wide = dtype if jnp.finfo(dtype).bits >= 32 else jnp.float32
        given = {key: p if p.weak_type or p.dtype == wide else p.astype(wide) for key, p in given.items()}
        y = plain(x if x.dtype == wide else x.astype(wide), **parameters | given)
        return y if y.dtype == dtype else y.astype(dtype)

    jitted = jax.jit(compute, static_argnames=switches)

    def parameter(key, p):
        if key in switches:
            return bool(p)
        return p if isinstance(p, float | jax.Array | np.ndarray | np.generic) else as_inexact(p, key)

    @functools.wraps(formula)
    def activation(x, *args, **kwargs):
        if args or kwargs:
            try:
                _, *given = signature.bind(x, *args, **kwargs).arguments.items()
            except TypeError as error:
                raise TypeError(f"{formula.__name__}: {error}") from None
            kwargs = {key: parameter(key, p) for key, p in given}
        return jitted(x if isinstance(x, jax.Array) else as_inexact(x), **kwargs)

    return activation


def with_derivative(slope: Formula) -> Callable[[Formula], Formula]:
    """Decorator: gives a function of one array the derivative ``slope``.

    The rule is a `jax.custom_jvp` whose tangent is one product, so forward and reverse mode and every higher
    order work, and the second derivative is that of ``slope``.
    """

    def decorate(f: Formula) -> Formula:
        rule = jax.custom_jvp(f)

        @rule.defjvp
        def _(primals, tangents):
            (x,), (x_dot,) = primals, tangents
            return rule(x), slope(x) * x_dot

        return rule

    return decorate


def decay(x: Array) -> Array:
    r""":math:`e^{-|x|}`, in (0, 1]: never overflows; at 0 differentiated as :math:`e^{x}`."""
    return jnp.exp(jnp.where(x > 0, -x, x))


def finite(x: Array) -> Array:
    """Infinities brought to the largest finite numbers, so that a product with 0 is 0 and not NaN."""
    limit = float(jnp.finfo(x.dtype).max)
    return jnp.where(x > limit, limit, jnp.where(x < -limit, -limit, x))


def _sech2_slope(x: Array) -> Array:
    return -2 * sech2(x) * tanh(x)


@with_derivative(_sech2_slope)
def sech2(x: Array) -> Array:
    r""":math:`1/\cosh^2 x`, the derivative of tanh, without ``1 - tanh(x)**2``."""
    t = decay(x)
    return jnp.square(2 * t / (1 + t * t))


@with_derivative(sech2)
def tanh(x: Array) -> Array:
    """Hyperbolic tangent; its derivative is `sech2`."""
    return jnp.tanh(x)


@with_derivative(lambda x: sech2(x / 2) / 4)
def sigmoid(x: Array) -> Array:
    r""":math:`1/(1+e^{-x})`; its derivative is :math:`\mathrm{sech}^2(x/2)/4`."""
    return lax.logistic(x)


@with_derivative(sigmoid)
def softplus(x: Array) -> Array:
    r""":math:`\log(1+e^x)` with one exponential; its derivative is the sigmoid."""
    return jnp.where(x > 0, x, 0) + jnp.log1p(decay(x))


@with_derivative(jnp.exp)
def expm1(x: Array) -> Array:
    """``exp(x) - 1``; its derivative is ``exp(x)``."""
    return jnp.expm1(x)


def _exp_minus_square(x: Array, scale: float) -> Array:
    """``exp(-scale * x * x)`` for a scale of 1 or 1/2.

    The rounding error of ``x * x`` would be magnified by the exponent; the square of the leading bits of ``x`` is
    exact, and the small remainder is a factor of its own.
    """
    x = jnp.clip(x, -60, 60)  # exp(-1800) is 0 in every dtype
    lead = lax.reduce_precision(x, exponent_bits=11, mantissa_bits=11 if x.dtype == jnp.float32 else 25)
    head = jnp.exp(-scale * lead * lead)
    return head + head * jnp.expm1(scale * (lead - x) * (lead + x))  # XLA would rejoin exp(a) * exp(b)


def _gaussian_slope(x: Array) -> Array:
    return -2 * (finite(x) * gaussian(x))


@with_derivative(_gaussian_slope)
def gaussian(x: Array) -> Array:
    r""":math:`e^{-x^2}`."""
    return _exp_minus_square(x, 1.0)


def _normal_pdf_slope(x: Array) -> Array:
    return -(finite(x) * normal_pdf(x))


@with_derivative(_normal_pdf_slope)
def normal_pdf(x: Array) -> Array:
    r"""Density of the standard normal, :math:`e^{-x^2/2}/\sqrt{2\pi}`."""
    return _exp_minus_square(x, 0.5) / math.sqrt(2 * math.pi)


@with_derivative(lambda x: 2 / math.sqrt(math.pi) * gaussian(x))
def erf(x: Array) -> Array:
    r"""Error function; its derivative is :math:`2e^{-x^2}/\sqrt\pi`."""
    return lax.erf(x)


@with_derivative(normal_pdf)
def normal_cdf(x: Array) -> Array:
    r"""Distribution function of the standard normal, by erfc so that the left tail is kept."""
    return lax.erfc(-x / math.sqrt(2)) / 2
