"""What rounding makes of a result: every step of a program put off by a unit of its last place."""

import itertools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend import core

_SIGNS = np.random.default_rng(0).choice([-1.0, 1.0], (4, 61))  # of four runs; the steps take them in turn
_INNER = {"jit": "jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}
_EXACT = {"abs", "ceil", "clamp", "floor", "max", "min", "neg", "round", "select_n", "sign"}


def rounding(program: Callable[[Array], Sequence[Array]]) -> Callable[[Array], list[Array]]:
    """How far off rounding may have brought each result of a program.

    ``log(1 + exp(x))`` comes as 0 at -50, and all that is known of it is that it is below a unit in the last place
    of 1: what is small by cancellation has the doubt of what cancelled. So the program runs again with every step
    off by a unit, up or down at random, and how far the results move is how far they may be off (Monte Carlo
    arithmetic: Denis, de Oliveira Castro and Petit, "Verificarlo", 2015, arXiv:1509.01347).

    Args:
      program: gives arrays for an array.

    Returns:
      A function of the same array: the largest moves in four runs.
    """

    def spread(x: Array) -> list[Array]:
        traced, due = jax.make_jaxpr(program)(x), program(x)

        def moves(signs: Array) -> list[Array]:
            came = _shaken(traced, [x], itertools.cycle(signs))
            return [jnp.abs(y - other) for y, other in zip(due, came, strict=True)]

        return [many.max(axis=0) for many in jax.vmap(moves)(jnp.asarray(_SIGNS))]

    return spread


def _shaken(traced: core.ClosedJaxpr, given: Sequence, signs: itertools.cycle) -> list:
    """The results of a traced program whose every step that rounds is off by a unit, as the signs say."""
    known = dict(zip([*traced.jaxpr.constvars, *traced.jaxpr.invars], [*traced.consts, *given], strict=True))

    def read(atom):
        return atom.val if isinstance(atom, core.Literal) else known[atom]

    for step in traced.jaxpr.eqns:
        name, inputs = step.primitive.name, [read(atom) for atom in step.invars]
        if name in _INNER:
            came = _shaken(step.params[_INNER[name]], inputs, signs)
        else:
            came = step.primitive.bind(*inputs, **step.params)
            came = came if step.primitive.multiple_results else [came]
            if name not in _EXACT:
                came = [_off(y, next(signs)) for y in came]
        known |= zip(step.outvars, came, strict=True)
    return [read(atom) for atom in traced.jaxpr.outvars]


def _off(y: Array, sign: Array) -> Array:
    if not jnp.issubdtype(y.dtype, jnp.floating):
        return y
    return y * (1 + float(jnp.finfo(y.dtype).eps) * sign).astype(y.dtype)
