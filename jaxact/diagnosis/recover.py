"""The function of a region, for arrays of any shape, out of equations that were traced for one shape."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend import core

from jaxact.diagnosis.jaxprs import Node, Program, bind, bodies, is_float
from jaxact.diagnosis.regions import Variable


@dataclasses.dataclass(frozen=True, eq=False, repr=False)  # jax.jit asks for it, and a program's is long
class Recovered:
    """The elementwise function from one variable to another, with the rules of differentiation of its equations.

    Two are equal if value and slope are computed by the same equations, at whatever site of whatever model and in
    arrays of whatever shape: what is compiled of one, here or by whom it is given to, is compiled for all.

    Attributes:
      program: the program of both.
      root: variable of the argument.
      end: variable of the result.
      nodes: the equations between them.
      scalars: values of the inputs that are scalars, as slopes, when the model was traced.
    """

    program: Program
    root: int
    end: int
    nodes: tuple[Node, ...]
    scalars: Mapping[int, Array]

    @property
    def narrowest(self) -> Any:
        """The narrowest floating dtype that values go through."""
        variables = (self.root, *(v for node in self.nodes for v in node.outputs))
        floats = [self.program.avals[v].dtype for v in variables if is_float(self.program.avals[v])]
        return min(floats, key=lambda dtype: dtype.itemsize)

    @functools.cached_property
    def key(self) -> str:
        """Digest of the equations of value and slope, of dtypes and constants; the shape is no part of it."""
        aval = self.program.avals[self.root]

        def both(x: Array) -> tuple[Array, Array]:
            return jax.jvp(lambda x: self.at(x, self.scalars), (x,), (jnp.ones_like(x),))

        closed = jax.make_jaxpr(both)(jax.ShapeDtypeStruct(aval.shape, aval.dtype))
        text = f"{type(self).__name__} {closed.jaxpr}"
        lengths = [str(n) for n in aval.shape]
        for shape in ("[" + ",".join(lengths) + "]", "(" + ", ".join(lengths) + "," * (len(lengths) == 1) + ")"):
            text = text.replace(shape, "[...]") if lengths else text
        digest = hashlib.sha256(text.encode())
        for value in (*self.scalars.values(), *closed.consts):
            array = np.asarray(value)
            digest.update(f"{array.dtype} {array.shape if array.size > 1 else ()}".encode() + array.tobytes())
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recovered) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def numbers(self) -> Iterator[Any]:
        """The scalars that its equations hold, those that calls are given before those inside them."""
        for v in self.scalars:
            if v in self.program.constants:
                yield self.scalars[v]
        for node in self.nodes:
            yield from (atom[0] for atom in node.inputs if not isinstance(atom, int))
        for node in self.nodes:
            yield from _literals(node.eqn)

    def at(self, x: Any, scalars: Mapping[int, Any]) -> Array:
        """Values at an array of the shape that was traced, with scalars of another time."""
        env: dict[int, Any] = {self.root: x}
        for v in self.scalars:
            env[v] = jnp.broadcast_to(scalars[v], self.program.avals[v].shape)
        for node in self.nodes:
            values = [env[a] if isinstance(a, int) else a[0] for a in node.inputs]
            env.update(zip(node.outputs, bind(node.eqn, values), strict=True))
        return env[self.end]

    def __call__(self, x: Any) -> Array:
        """Values at an array of any shape."""
        aval = self.program.avals[self.root]
        x = jnp.asarray(x, aval.dtype)
        flat = jnp.reshape(x, (-1,))
        blocks = max(1, -(-flat.size // aval.size))
        padded = jnp.pad(flat, (0, blocks * aval.size - flat.size), mode="constant")
        results = jax.vmap(lambda x: self.at(x, self.scalars))(jnp.reshape(padded, (blocks, *aval.shape)))
        return jnp.reshape(jnp.reshape(results, (-1,))[: flat.size], x.shape)


@dataclasses.dataclass(frozen=True, eq=False)
class Replaced(Recovered):
    """Another function in the place of a recovered one, with values of the dtype of that one.

    Attributes:
      fn: the elementwise function.
      dtype: what it gets, and is rounded to: the narrowest one that the function before went through.
    """

    fn: Callable[[Any], Any]
    dtype: Any

    @property
    def narrowest(self) -> Any:
        """The dtype that values are rounded to."""
        return self.dtype

    def at(self, x: Any, scalars: Mapping[int, Any]) -> Array:
        """Values at an array."""
        del scalars
        value = jnp.asarray(self.fn(x.astype(self.dtype))).astype(self.dtype)
        return value.astype(self.program.avals[self.end].dtype)

    def __call__(self, x: Any) -> Array:
        """Values of the function itself, of any shape and dtype."""
        return jnp.asarray(self.fn(jnp.asarray(x)))


def recover(
    program: Program, table: list[Variable], known: Mapping[int, Any], root: int, end: int
) -> Recovered | None:
    """The function from a variable to another, None if the second is not a function of the first alone.

    Args:
      program: the program of both.
      table: facts on its variables.
      known: values of its inputs and constants, as far as there are any; scalars are read from them.
      root: variable of the argument.
      end: variable of the result.

    Returns:
      Elementwise function of one array.
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
    if any(known.get(v) is None for v in inputs):
        return None
    scalars = {v: jnp.reshape(known[v], (-1,))[0] for v in inputs}
    return Recovered(program, root, end, tuple(nodes[i] for i in sorted(nodes)), scalars)


def _literals(eqn: Any) -> Iterator[Any]:
    """The literals in the bodies of a call, at any depth."""
    for body in bodies(eqn):
        for inner in body.jaxpr.eqns:
            yield from (atom.val for atom in inner.invars if isinstance(atom, core.Literal))
            yield from _literals(inner)
