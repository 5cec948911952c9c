"""Activation sites of a program: where an elementwise function that is not affine follows a layer."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxact.catalog import ACTIVATIONS
from jaxact.diagnosis.facts import facts_of, name_of
from jaxact.diagnosis.jaxprs import OPAQUE, Node, Program, bodies, call_name, flatten, is_float, scan_inputs
from jaxact.diagnosis.layers import Layer, Loop, first_axis_of, inputs_of, layer_before, reaches_layer, users_of
from jaxact.diagnosis.recover import Recovered, recover
from jaxact.diagnosis.regions import CONTRACTIONS, LINEAR, Variable, is_whole, variables_inside, variables_of


@dataclasses.dataclass(frozen=True)
class Site:
    """An activation in a program.

    Attributes:
      z: variable of the pre-activation.
      a: variable of the activation.
      function: the function from z to a, for arrays of any shape.
      name: its name in the catalogue, or None.
      layer: the layer before it, or None where there are none.
      file: source file of the call, or None.
      line: its line.
      stack: the name stack of JAX, in which Flax puts the modules.
      loops: the scans around it, outermost first.
      keeps: whether it is a gate that multiplies what its scan carries, and keeps it where it is open, at 1.
    """

    z: int
    a: int
    function: Recovered
    name: str | None
    layer: Layer | None
    file: str | None
    line: int | None
    stack: str
    loops: tuple[Loop, ...] = ()
    keeps: bool = False


@dataclasses.dataclass(frozen=True)
class NotCovered:
    """A place with activations that could not be tapped: what it is, where, and why."""

    what: str
    file: str | None
    line: int | None
    reason: str


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What is known of the inputs of a program.

    Attributes:
      parameters: the inputs that depend on parameters, with their names, or "" if they are none themselves.
      batch: the inputs that depend on the batch.
      values: values of inputs, of which slopes and other scalars of functions are read.
    """

    parameters: Mapping[int, str]
    batch: frozenset[int]
    values: Mapping[int, Any]


def find_sites(program: Program, inputs: Inputs, *, loss: bool = False) -> tuple[list[Site], list[NotCovered]]:
    """The activation sites of a program, in the order of evaluation, and what could not be looked into.

    Args:
      program: from `flatten` with `is_whole`.
      inputs: what is known of its inputs.
      loss: whether the program ends with a loss; what follows the last layer is then the loss's.

    Returns:
      Sites, and places not covered.
    """
    table = variables_of(program, set(inputs.parameters), set(inputs.batch))
    users = users_of(program)
    known = program.constants | dict(inputs.values)
    found: dict[int, Site] = {}
    skipped: list[NotCovered] = []
    for node in program.nodes:
        for out in node.outputs:
            facts = table[out]
            if not (facts.curved and is_float(program.avals[out]) and _leaves(program, table, users, out)):
                continue
            root, end, function, name = _function_of(program, table, users, known, out)
            if function is None or end in found or _is_statistic(program, table, users, root, end):
                continue
            made = program.nodes[table[end].node]
            file, line = made.line or (None, None)
            if loss and not reaches_layer(program, users, table, end):
                what = name or made.primitive
                skipped.append(NotCovered(what, file, line, "after the last layer: part of the loss"))
                continue
            layer = layer_before(program, table, root, inputs.parameters)
            found[end] = Site(root, end, function, name, layer, file, line, made.stack)
        if node.inner and (any(table[v].batch for v in node.variables)):
            after = loss and not any(reaches_layer(program, users, table, out) for out in node.outputs)
            sites, places = _inside(program, table, node, inputs, known, loss=after)
            found |= {site.a: site for site in sites}
            skipped += places
        elif node.primitive in OPAQUE:
            skipped += _hidden(node, table)
    return list(found.values()), skipped


def _leaves(program: Program, table: list[Variable], users: list[list[Node]], v: int) -> bool:
    """Whether a variable is used outside its region."""
    outside = any(table[out].root != table[v].root for node in users[v] for out in node.outputs)
    return outside or any(v == out for out in program.outputs if isinstance(out, int))


def _function_of(program: Program, table: list[Variable], users: list, known: Mapping[int, Any], out: int):
    """Pre-activation, activation, function and name of the region that leaves at a variable.

    An affine prelude or sequel belongs to the function if the catalogue knows it so (sigmoid as a tanh), and else
    to the layers around it.
    """
    root = table[out].root
    end = out
    while True:
        node = program.nodes[table[end].node]
        inner = [v for v in node.variables if not table[v].uniform]
        if node.primitive in LINEAR and len(inner) == 1 and table[inner[0]].curved:
            end = inner[0]
        else:
            break
    starts = [root]
    starts += [v for v, facts in enumerate(table) if facts.root == root and v != root and not facts.curved]
    functions = []
    for last in dict.fromkeys((out, end)):
        for first in starts:
            if not (is_float(program.avals[first]) and is_float(program.avals[last])):
                continue
            function = recover(program, table, known, first, last)
            if function is None:
                continue
            node = program.nodes[table[last].node]
            called = call_name(node.eqn) if is_whole(node.eqn) and first in node.variables else None
            name = name_of(function, called)
            if name is not None:
                return first, last, function, name
            functions.append((first, last, function))
    for first, last, function in functions:
        if (name := facts_of(function).with_parameters) is not None:
            return first, last, function, name
    fallback = next((f for first, last, f in functions if (first, last) == (root, end)), None)
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


def _inside(
    program: Program, table: list[Variable], node: Node, inputs: Inputs, known: Mapping[int, Any], *, loss: bool
) -> tuple[list[Site], list[NotCovered]]:
    """The sites in the body of a scan, or in the branches of a cond."""
    scan = node.primitive == "scan"
    outer = node.inputs if scan else node.inputs[1:]
    sites: list[Site] = []
    skipped: list[NotCovered] = []
    for body in node.inner:
        pairs = list(zip(body.inputs, outer, strict=True))
        facts = variables_inside(node, body, table)
        batch = frozenset(v for v in body.inputs if facts[v].batch)
        names = {
            v: "" if v in batch or not isinstance(atom, int) else _name_of(program, table, atom, inputs)
            for v, atom in pairs
            if facts[v].parameters
        }
        fixed, _, apart = scan_inputs(node) if scan else (slice(None), slice(0), slice(0))
        values = {v: _value_of(atom, known) for v, atom in pairs[fixed] if _value_of(atom, known) is not None}
        found, places = find_sites(body, Inputs(names, batch, values), loss=loss)
        sources = {v: inputs_of(program, table, atom) if isinstance(atom, int) else [] for v, atom in pairs}
        carried = set(body.inputs[scan_inputs(node)[1]]) if scan else set()
        users = users_of(body)
        for site in found:
            layer, loops = site.layer, site.loops
            if scan:
                path, weights = (layer.path, layer.inputs) if layer else ("", ())
                own = [pair for pair in pairs[apart] if pair[0] in weights]
                axes = {first_axis_of(program, table, atom) for v, atom in own if names.get(v) == path}
                axis = axes.pop() if len(axes) == 1 else None
                loops = (Loop(node.eqn.params["length"], bool(own), node.eqn.params["reverse"], axis), *loops)
            if layer is not None:
                layer = layer._replace(inputs=frozenset(u for v in layer.inputs for u in sources.get(v, ())))
            keeps = site.keeps or (_is_gate(site) and _multiplies(users[site.a], carried))
            sites.append(dataclasses.replace(site, loops=loops, layer=layer, keeps=keeps))
        skipped += places
    return sites, skipped


def _is_gate(site: Site) -> bool:
    row = ACTIVATIONS.get(site.name or "")
    return row is not None and row.monotone and row.range == (0, 1)


def _multiplies(users: list[Node], variables: set[int]) -> bool:
    return any(node.primitive == "mul" and not variables.isdisjoint(node.variables) for node in users)


def _value_of(atom: Any, known: Mapping[int, Any]) -> Any:
    return known.get(atom) if isinstance(atom, int) else atom[0]


def _name_of(program: Program, table: list[Variable], v: int, inputs: Inputs) -> str:
    """Name of the parameter that a variable is made of."""
    return next((inputs.parameters[u] for u in inputs_of(program, table, v) if inputs.parameters.get(u)), "")


def _hidden(node: Node, table: list[Variable]) -> list[NotCovered]:
    """Activations in the bodies of a loop that is not entered."""
    data = [v for v in node.variables if table[v].batch or table[v].parameters]
    if is_whole(node.eqn) or not data:
        return []
    if node.primitive.startswith("custom") and all(table[out].curved for out in node.outputs):
        return []
    hidden = []
    for body in bodies(node.eqn):
        inner = flatten(body, is_whole)
        floats = frozenset(v for v in inner.inputs if is_float(inner.avals[v]))
        zeros = {v: np.zeros(inner.avals[v].shape, inner.avals[v].dtype) for v in floats}
        sites, deeper = find_sites(inner, Inputs(dict.fromkeys(floats, ""), floats, zeros))
        hidden += [NotCovered(s.name or "function", s.file, s.line, f"inside a {node.primitive}") for s in sites]
        hidden += deeper
    return hidden
