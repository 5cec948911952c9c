"""Layers of a program: the products with parameters, and which of them stand before and after a variable."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jaxact.diagnosis.jaxprs import Node, Program
from jaxact.diagnosis.regions import CONTRACTIONS, SHAPES, Variable


class Layer(NamedTuple):
    """A layer that stands before an activation.

    Attributes:
      path: of its weights in the tree of parameters.
      fan_in: numbers that are added up for one of its results; None if the weights are not used as they are, and
        that cannot be read off.
      inputs: the inputs of the program that its weights come from.
    """

    path: str
    fan_in: int | None
    inputs: frozenset[int]


class Loop(NamedTuple):
    """A scan around an activation.

    Attributes:
      length: how many iterations.
      apart: whether the layer before the activation has other weights in each.
      reverse: whether the last of these come first.
      axis: the axis of the weights along which they are stacked for it, those of the scans around it not counted;
        None if they are not, or not as they are.
    """

    length: int
    apart: bool
    reverse: bool
    axis: int | None


def stacked_axes(loops: Sequence[Loop]) -> tuple[int, ...] | None:
    """The axes of a layer's weights that number iterations of the scans around it; None if that is not known."""
    axes: list[int] = []
    for loop in loops:
        if loop.apart:
            if loop.axis is None:
                return None
            axis = loop.axis
            for earlier in sorted(axes):
                axis += axis >= earlier
            axes.append(axis)
    return tuple(axes)


def users_of(program: Program) -> list[list[Node]]:
    """The equations that use each variable."""
    users: list[list[Node]] = [[] for _ in program.avals]
    for node in program.nodes:
        for v in set(node.variables):
            users[v].append(node)
    return users


def layer_before(program: Program, table: list[Variable], v: int, parameters: Mapping[int, str]) -> Layer | None:
    """The nearest layer before a variable, None if there is none.

    Args:
      program: the program.
      table: facts on its variables.
      v: the variable.
      parameters: the inputs that depend on parameters, with the names of those that are.
    """
    for u in _before(program, table, v):
        node = program.nodes[table[u].node] if table[u].node >= 0 else None
        if node is None or node.primitive not in CONTRACTIONS:
            continue
        for place, kernel in enumerate(node.inputs):
            if isinstance(kernel, int) and table[kernel].parameters and not table[kernel].batch:
                inputs = inputs_of(program, table, kernel)
                names = [parameters[i] for i in inputs if parameters.get(i)]
                if names:
                    return Layer(names[0], _fan_in(program, table, node, place), frozenset(inputs))
    return None


def reaches_layer(program: Program, users: list[list[Node]], table: list[Variable], v: int) -> bool:
    """Whether a product with parameters follows a variable."""
    seen, todo = set(), [v]
    while todo:
        u = todo.pop()
        if u in seen:
            continue
        seen.add(u)
        for node in users[u]:
            if any(_has_layer(inner) for inner in node.inner):
                return True
            if node.primitive in CONTRACTIONS and any(table[w].parameters for w in node.variables if w != u):
                return True
            todo += node.outputs
    return False


def _has_layer(program: Program) -> bool:
    return any(
        node.primitive in CONTRACTIONS or any(_has_layer(inner) for inner in node.inner) for node in program.nodes
    )


def _before(program: Program, table: list[Variable], v: int) -> Iterator[int]:
    """The variables of the batch that a variable is made of, nearest first."""
    seen: set[int] = set()
    todo = [v]
    while todo:
        u = todo.pop(0)
        if u not in seen:
            seen.add(u)
            yield u
            if table[u].node >= 0:
                todo += [w for w in program.nodes[table[u].node].variables if table[w].batch]


def inputs_of(program: Program, table: list[Variable], v: int) -> list[int]:
    """The inputs of the program that a variable is made of, nearest first."""
    todo, found, seen = [v], [], set()
    while todo:
        u = todo.pop(0)
        if u in seen:
            continue
        seen.add(u)
        if table[u].node >= 0:
            todo += program.nodes[table[u].node].variables
        else:
            found.append(u)
    return found


def first_axis_of(program: Program, table: list[Variable], v: int) -> int | None:
    """The axis of an input of the program that is a variable's first; None if more was done than moving axes."""
    axis = 0
    while table[v].node >= 0:
        node = program.nodes[table[v].node]
        if node.primitive == "transpose":
            axis = node.eqn.params["permutation"][axis]
        elif node.primitive not in ("convert_element_type", "copy"):
            return None
        v = node.variables[0]
    return axis


def _fan_in(program: Program, table: list[Variable], node: Node, place: int) -> int | None:
    """How many numbers a product adds up, if its operand at a place is a parameter, perhaps in another shape."""
    kernel: Any = node.inputs[place]
    while table[kernel].node >= 0:
        before = program.nodes[table[kernel].node]
        if before.primitive not in SHAPES or len(before.variables) != 1:
            return None
        kernel = before.variables[0]
    shape = program.aval(node.inputs[place]).shape
    numbers = node.eqn.params.get("dimension_numbers")
    if node.primitive == "dot_general":
        (contracted, _) = (numbers[0][place], numbers[1])
        return math.prod(shape[axis] for axis in contracted)
    if node.primitive == "conv_general_dilated" and place == 1:
        return math.prod(shape) // shape[numbers.rhs_spec[0]]
    return None
