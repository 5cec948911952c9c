"""The function of a region, for arrays of any shape, out of equations that were traced for one shape."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxact.diagnosis.jaxprs import Node, Program, bind
from jaxact.diagnosis.regions import Variable


def recover(
    program: Program, table: list[Variable], arguments: Sequence[Any], root: int, end: int
) -> Callable[[Array], Array] | None:
    """The function from a variable to another, None if the second is not a function of the first alone.

    Args:
      program: the program of both.
      table: facts on its variables.
      arguments: values of its inputs, of which scalars are read.
      root: variable of the argument.
      end: variable of the result.

    Returns:
      Elementwise function of one array, with the rules of differentiation of the equations.
    """
    nodes: dict[int, Node] = {}
    inputs: set[int] = set()
    todo = [end]
    while todo:
        v = todo.pop()
        if v == root:
            continue
        if table[v].uniform and not table[v].batch and table[v].node < 0:
            inputs.add(v)
        elif (
            table[v].node < 0 or v == table[end].root or not (table[v].uniform or table[v].root == table[end].root)
        ):
            return None
        elif table[v].node not in nodes:
            nodes[table[v].node] = program.nodes[table[v].node]
            todo += program.nodes[table[v].node].variables
    known = program.constants | dict(zip(program.inputs, arguments, strict=True))
    if any(known[v] is None for v in inputs):
        return None
    scalars = {v: jnp.reshape(known[v], (-1,))[0] for v in inputs}
    shape, dtype = program.avals[root].shape, program.avals[root].dtype
    size = program.avals[root].size

    def block(x: Array) -> Array:
        """The region itself, at an array of the shape for which it was traced."""
        env: dict[int, Any] = {root: x}
        env |= {v: jnp.full(program.avals[v].shape, scalar) for v, scalar in scalars.items()}
        for index in sorted(nodes):
            node = nodes[index]
            values = [env[a] if isinstance(a, int) else a[0] for a in node.inputs]
            env.update(zip(node.outputs, bind(node.eqn, values), strict=True))
        return env[end]

    def function(x: Any) -> Array:
        x = jnp.asarray(x, dtype)
        flat = jnp.reshape(x, (-1,))
        blocks = max(1, -(-flat.size // size))
        padded = jnp.pad(flat, (0, blocks * size - flat.size), mode="constant")
        results = jax.vmap(block)(jnp.reshape(padded, (blocks, *shape)))
        return jnp.reshape(jnp.reshape(results, (-1,))[: flat.size], x.shape)

    return function
