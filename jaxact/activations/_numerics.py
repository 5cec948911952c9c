"""The one coercion rule, and the one way to give a function its derivatives."""

import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.custom_derivatives import SymbolicZero
from jax.extend.core.primitives import convert_element_type_p
from jax.typing import ArrayLike, DTypeLike

P = ParamSpec("P")


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


def typed(y: Array, dtype: DTypeLike, weak: bool) -> Array:
    """``y`` in a dtype; weak, as a Python number is, if so asked."""
    if weak:  # no function of JAX does that, only its primitive
        return convert_element_type_p.bind(y, new_dtype=np.dtype(dtype), weak_type=True, sharding=None)
    return y if y.dtype == dtype else y.astype(dtype)


def elementwise(
    formula: Callable[Concatenate[Array, P], Array], *, selects: bool = False
) -> Callable[Concatenate[ArrayLike, P], Array]:
    """Turns a formula into a public activation: coerced, jitted under its own name, rounded once.

    Narrower inputs than float32 are computed in float32 and rounded at the end. All that is kept for the backward
    pass are the inputs, in their own dtype; the rest is computed again, or shared where both passes are one
    program and the inputs are no narrower than float32. The result is a plain module-level function, so it pickles
    and hashes, which the object that `jax.jit` returns does not.

    Args:
      formula: function of a float32 or float64 array and of its parameters; those with a bool as default are
        static, the others may be arrays.
      selects: whether it only chooses among its input and constants that every dtype has, and so rounds nothing:
        then it is computed in the dtype of the input.
    """
    formula.__annotations__["x"] = ArrayLike  # what the public function takes; the formula gets an Array
    plain: Callable[..., Array] = formula
    signature = inspect.signature(formula)
    switches = [p.name for p in signature.parameters.values() if isinstance(p.default, bool)]

    def rounded_once(x, **parameters):
        x = as_inexact(x)
        given = {key: jnp.asarray(p) for key, p in parameters.items() if key not in switches}
        for key, p in given.items():
            as_inexact(p, key)  # real, or refused by name
        dtype = jnp.result_type(x, *given.values())
        wide = dtype if selects or jnp.finfo(dtype).bits >= 32 else jnp.float32
        given = {key: p if p.weak_type or p.dtype == wide else p.astype(wide) for key, p in given.items()}
        y = plain(x if x.dtype == wide else x.astype(wide), **parameters | given)
        return typed(y, dtype, x.weak_type and all(p.weak_type for p in given.values()))

    @functools.wraps(formula)
    def compute(x, **parameters):
        fixed = {key: parameters.pop(key) for key in switches if key in parameters}
        # What both passes share would be kept in float32, at twice the size of a narrow input or more.
        narrow = x.dtype.itemsize < 4 and not selects
        return jax.checkpoint(functools.partial(rounded_once, **fixed), prevent_cse=narrow)(x, **parameters)

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


def with_derivative(
    *slopes: Callable[..., Array] | None,
) -> Callable[[Callable[..., Array]], Callable[..., Array]]:
    """Decorator: gives a function its partial derivatives, one function for each argument.

    The rule is a `jax.custom_jvp` whose tangent is a sum of products, so forward and reverse mode and every higher
    order work, and the second derivative is that of the slopes. An argument that is not differentiated costs
    nothing.

    Args:
      slopes: derivative by each argument, a function of all of them; None leaves it to JAX.
    """

    def decorate(f: Callable[..., Array]) -> Callable[..., Array]:
        rule = jax.custom_jvp(f)

        def term(i, primals, tangent):
            slope = slopes[i]
            if slope is not None:
                return slope(*primals) * tangent

            def by_one(a):
                return f(*primals[:i], a, *primals[i + 1 :])

            return jax.jvp(by_one, (primals[i],), (tangent,))[1]

        def jvp(primals, tangents):
            value = rule(*primals)
            moving = [i for i, tangent in enumerate(tangents) if not isinstance(tangent, SymbolicZero)]
            terms = [term(i, primals, tangents[i]) for i in moving]
            return value, functools.reduce(operator.add, terms) if terms else jnp.zeros_like(value)

        rule.defjvp(jvp, symbolic_zeros=True)
        return functools.wraps(f)(lambda *args: rule(*args))

    return decorate


def finite(x: Array) -> Array:
    """Infinities brought to the largest finite numbers, so that a product with 0 is 0 and not NaN."""
    limit = float(jnp.finfo(x.dtype).max)
    return jnp.where(x > limit, limit, jnp.where(x < -limit, -limit, x))


def downscale(x: Array) -> Array:
    """A power of two by which large inputs are multiplied, so that their squares do not overflow; else 1."""
    large, scale = (1e9, 2.0**-65) if x.dtype == jnp.float32 else (1e77, 2.0**-520)
    return jnp.where(jnp.abs(x) > large, scale, 1.0).astype(x.dtype)


def like(x: Array, *parameters: ArrayLike) -> list[Array]:
    """Parameters as arrays of the dtype of ``x``."""
    return [jnp.asarray(p, x.dtype) for p in parameters]
