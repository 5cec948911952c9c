"""Activation sites of a program: where an elementwise function that is not affine follows a layer."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jax import Array

from jaxact.diagnosis.jaxprs import LOOPS, Node, Program, bodies, call_name, flatten, is_float
from jaxact.diagnosis.naming import name_of
from jaxact.diagnosis.recover import recover
from jaxact.diagnosis.regions import CONTRACTIONS, LINEAR, Variable, is_whole, variables_of


@dataclasses.dataclass(frozen=True)
class Site:
    """An activation in a program.

    Attributes:
      z: variable of the pre-activation.
      a: variable of the activation.
      function: the function from z to a, for arrays of any shape.
      name: its name in the catalogue, or None.
      layer: path of the weights of the layer before it, or None where there are none.
      file: source file of the call, or None.
      line: its line.
      stack: the name stack of JAX, in which Flax puts the modules.
    """

    z: int
    a: int
    function: Callable[[Array], Array]
    name: str | None
    layer: str | None
    file: str | None
    line: int | None
    stack: str


@dataclasses.dataclass(frozen=True)
class NotCovered:
    """A place with activations that could not be tapped: what it is, where, and why."""

    what: str
    file: str | None
    line: int | None
    reason: str


def find_sites(
    program: Program,
    parameters: Mapping[int, str],
    batch: set[int],
    arguments: Sequence[Any],
    *,
    loss: bool = False,
) -> tuple[list[Site], list[NotCovered]]:
    """The activation sites of a program, in the order of evaluation, and what could not be looked into.

    Args:
      program: from `flatten` with `is_whole`.
      parameters: the inputs that are parameters, with their names.
      batch: the inputs that are the batch.
      arguments: values of all the inputs; slopes and other scalars of the functions are read from them.
      loss: whether the program ends with a loss; what follows the last layer is then the loss's.

    Returns:
      Sites, and places not covered.
    """
    table = variables_of(program, set(parameters), batch)
    users = _users(program)
    found: dict[int, Site] = {}
    skipped: list[NotCovered] = []
    for out, facts in enumerate(table):
        if not (facts.curved and is_float(program.avals[out]) and _leaves(program, table, users, out)):
            continue
        root, end, function, name = _function_of(program, table, users, arguments, out)
        if function is None or end in found or _is_statistic(program, table, users, root, end):
            continue
        node = program.nodes[table[end].node]
        file, line = node.line or (None, None)
        if loss and not _reaches_layer(program, users, table, end):
            skipped.append(
                NotCovered(name or node.primitive, file, line, "after the last layer: part of the loss")
            )
            continue
        layer = _layer_of(program, table, root, parameters)
        found[end] = Site(root, end, function, name, layer, file, line, node.stack)
    skipped += [hidden for node in program.nodes for hidden in _hidden(node, table)]
    return sorted(found.values(), key=lambda site: site.a), skipped


def _users(program: Program) -> list[list[Node]]:
    users: list[list[Node]] = [[] for _ in program.avals]
    for node in program.nodes:
        for v in set(node.variables):
            users[v].append(node)
    return users


def _leaves(program: Program, table: list[Variable], users: list[list[Node]], v: int) -> bool:
    """Whether a variable is used outside its region."""
    outside = any(table[out].root != table[v].root for node in users[v] for out in node.outputs)
    return outside or any(v == out for out in program.outputs if isinstance(out, int))


def _function_of(program: Program, table: list[Variable], users: list, arguments: Sequence[Any], out: int):
    """Pre-activation, activation, function and name of the region that leaves at a variable.

    An affine prelude or sequel belongs to the function if the catalogue knows it so (sigmoid as a tanh), and else
    to the layers around it.
    """
    root = table[out].root
    end = out
    while True:
        node = program.nodes[table[end].node]
        inner = [v for v in node.variables if not table[v].uniform]
        if node.primitive in LINEAR and len(inner) == 1 and table[inner[0]].curved and len(users[inner[0]]) == 1:
            end = inner[0]
        else:
            break
    starts = [root]
    starts += [v for v, facts in enumerate(table) if facts.root == root and v != root and not facts.curved]
    fallback = None
    for last in dict.fromkeys((out, end)):
        for first in starts:
            if not (is_float(program.avals[first]) and is_float(program.avals[last])):
                continue
            function = recover(program, table, arguments, first, last)
            if function is None:
                continue
            node = program.nodes[table[last].node]
            called = call_name(node.eqn) if is_whole(node.eqn) and first in node.variables else None
            name = name_of(function, called)
            if name is not None:
                return first, last, function, name
            if first == root and last == end:
                fallback = function
    return root, end, fallback, None


def _is_statistic(program: Program, table: list[Variable], users: list, root: int, end: int) -> bool:
    """Whether a curved function belongs to a softmax or a normalisation.

    It does if it is of a reduced array, or is reduced, and then meets again, before the next layer, an array that
    the reduction was taken of.
    """
    source = _cone(program, table, root) | {end}
    reduced = _is_reduced(program, table, root)
    seen: set[tuple[int, bool]] = set()
    todo = [(end, reduced)]
    while todo:
        v, after = todo.pop()
        if (v, after) in seen:
            continue
        seen.add((v, after))
        for node in users[v]:
            if node.primitive in CONTRACTIONS or is_whole(node.eqn):
                continue
            others = [u for u in node.variables if u != v and table[u].batch and table[u].parameters]
            if after and any(_cone(program, table, u) & source for u in others):
                return True
            if not others:
                todo += [(out, after or _reduces(node)) for out in node.outputs]
    return False


def _reduces(node: Node) -> bool:
    return node.primitive.startswith(
        ("reduce_sum", "reduce_max", "reduce_min", "argmax", "cumsum", "cumlogsumexp")
    )


def _cone(program: Program, table: list[Variable], v: int) -> set[int]:
    """Variables of model and batch that a variable is made of since the last layer, itself included."""
    cone: set[int] = set()
    todo = [v]
    while todo:
        u = todo.pop()
        if u in cone or not (table[u].batch and table[u].parameters):
            continue
        cone.add(u)
        node = program.nodes[table[u].node]
        if node.primitive not in CONTRACTIONS:
            todo += node.variables
    return cone


def _is_reduced(program: Program, table: list[Variable], v: int) -> bool:
    """Whether every array of batch and model that a variable is made of went through a reduction."""
    if not (table[v].batch and table[v].parameters) or table[v].node < 0:
        return False
    node = program.nodes[table[v].node]
    if _reduces(node):
        return True
    data = [u for u in node.variables if table[u].batch and table[u].parameters]
    return node.primitive not in CONTRACTIONS and bool(data) and all(_is_reduced(program, table, u) for u in data)


def _reaches_layer(program: Program, users: list, table: list[Variable], v: int) -> bool:
    """Whether a product with parameters follows."""
    seen, todo = set(), [v]
    while todo:
        u = todo.pop()
        if u in seen:
            continue
        seen.add(u)
        for node in users[u]:
            if node.primitive in CONTRACTIONS and any(table[w].parameters for w in node.variables if w != u):
                return True
            todo += node.outputs
    return False


def _layer_of(program: Program, table: list[Variable], v: int, parameters: Mapping[int, str]) -> str | None:
    """Path of the kernel of the nearest layer before a variable."""
    seen: set[int] = set()
    todo = [v]
    while todo:
        u = todo.pop(0)
        if u in seen or table[u].node < 0:
            continue
        seen.add(u)
        node = program.nodes[table[u].node]
        if node.primitive in CONTRACTIONS:
            kernels = [w for w in node.variables if table[w].parameters and not table[w].batch]
            names = [name for w in kernels for name in _names_of(program, table, w, parameters)]
            if names:
                return names[0]
        todo += [w for w in node.variables if table[w].batch]
    return None


def _names_of(program: Program, table: list[Variable], v: int, parameters: Mapping[int, str]) -> list[str]:
    """Paths of the parameters that a variable is made of."""
    todo, names, seen = [v], [], set()
    while todo:
        u = todo.pop(0)
        if u in seen:
            continue
        seen.add(u)
        if u in parameters:
            names.append(parameters[u])
        elif table[u].node >= 0:
            todo += program.nodes[table[u].node].variables
    return names


def _hidden(node: Node, table: list[Variable]) -> list[NotCovered]:
    """Activations in the bodies of a loop or a branch, which run a number of times that is not known here."""
    data = [v for v in node.variables if table[v].batch or table[v].parameters]
    if node.primitive not in LOOPS or is_whole(node.eqn) or not data:
        return []
    if node.primitive.startswith("custom") and all(table[out].curved for out in node.outputs):
        return []
    hidden = []
    for body in bodies(node.eqn):
        inner = flatten(body, is_whole)
        floats = {v for v in inner.inputs if is_float(inner.avals[v])}
        zeros = [
            np.zeros(inner.avals[v].shape, inner.avals[v].dtype) if v in floats else None for v in inner.inputs
        ]
        sites, deeper = find_sites(inner, dict.fromkeys(floats, ""), floats, zeros)
        hidden += [NotCovered(s.name or "function", s.file, s.line, f"inside a {node.primitive}") for s in sites]
        hidden += deeper
    return hidden
