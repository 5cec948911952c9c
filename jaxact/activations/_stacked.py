"""Parameters along a leading axis: coefficients of a polynomial, pieces of a piecewise linear function."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxact.activations._numerics import as_inexact, typed
from jaxact.errors import InputError


class Type(NamedTuple):
    """Dtype of a result, and whether it is weak, as that of Python numbers."""

    dtype: np.dtype
    weak: bool


def checked(x: Any, **stacks: Any) -> tuple[Type, list[Array]]:
    """Input and parameters as arrays that broadcast against each other behind the parameters' leading axis.

    Args:
      x: input.
      stacks: parameters by name: arrays, or tuples of numbers, which take the dtype of ``x`` as a float does.

    Returns:
      Type of the result, and the arrays.

    Raises:
      TypeError: if one of them is not real.
      InputError: if a parameter is a scalar or does not broadcast.
    """
    x = as_inexact(x)
    found, own = [x], [x]
    for name, stack in stacks.items():
        if isinstance(stack, tuple | list):
            stack = jnp.asarray(np.asarray(stack, np.float64), jnp.promote_types(x.dtype, jnp.float32))
        else:
            stack = as_inexact(stack, name)
            own.append(stack)
        if stack.ndim == 0:
            raise InputError(
                f"{name} must have a leading axis, got a scalar; (0.5,) or an array of 1 axis would do"
            )
        try:
            np.broadcast_shapes(x.shape, *(s.shape[1:] for s in (*found[1:], stack)))
        except ValueError:
            raise InputError(
                f"{name} must broadcast against x behind its leading axis, got the shape {stack.shape} for x of"
                f" shape {x.shape}; {(len(stack), *x.shape)} or {(len(stack),)} would do"
            ) from None
        found.append(stack)
    return Type(np.dtype(jnp.result_type(*own)), all(a.weak_type for a in own)), found


def stacked(name: str, formula: Callable[..., Array], options: tuple[str, ...] = ()) -> Callable[..., Array]:
    """Jits a formula under a name; its arguments are aligned and widened, its result rounded once to its ``kind``.

    Args:
      name: of the compiled region.
      formula: function of an input, of parameters with a leading axis, and of static options.
      options: names of the options.
    """

    def rounded_once(x: Array, *stacks: Array, kind: Type, **chosen: Any) -> Array:
        wide = kind.dtype if jnp.finfo(kind.dtype).bits >= 32 else jnp.float32
        shape = np.broadcast_shapes(x.shape, *(s.shape[1:] for s in stacks))
        aligned = [s.astype(wide).reshape(len(s), *(1,) * (len(shape) + 1 - s.ndim), *s.shape[1:]) for s in stacks]
        y = formula(jnp.broadcast_to(x, shape).astype(wide), *aligned, **chosen)
        return typed(y, *kind)

    def compute(x: Array, *stacks: Array, kind: Type, **chosen: Any) -> Array:
        # A gradient through lax.scan forgets rules of custom_jvp, and its derivative would be 0; not so in here.
        fixed = functools.partial(rounded_once, kind=kind, **chosen)
        return jax.checkpoint(fixed, prevent_cse=False)(x, *stacks)

    compute.__name__ = name
    return jax.jit(compute, static_argnames=("kind", *options))
