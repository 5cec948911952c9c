"""Elementwise regions of a program: which variables are functions of one array, and of which."""

import dataclasses
from typing import Any

from jax.extend import core

from jaxact.diagnosis.jaxprs import CALLS, Node, Program, bodies, call_name, is_float, scan_inputs
from jaxact.diagnosis.naming import by_call

LINEAR = {
    "add",
    "sub",
    "neg",
    "mul",
    "div",
    "convert_element_type",
    "copy",
    "copy_p",
    "select_n",
    "reduce_precision",
}
"""Elementwise primitives that may be affine in their array; `variables_of` looks at the operands."""

# fmt: off
CURVED = {
    "tanh", "logistic", "exp", "exp2", "expm1", "log", "log1p", "erf", "erfc",
    "log2", "one_minus_square", "polynomial", "erf_inv",
    "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
    "asinh", "acosh", "atanh", "integer_pow", "pow", "square", "sqrt", "rsqrt", "cbrt",
    "abs", "sign", "floor", "ceil", "round", "max", "min", "clamp", "is_finite",
    "lgamma", "digamma", "atan2", "rem", "nextafter", "gt", "ge", "lt", "le",
    "eq", "ne", "and", "or", "not", "xor",
}
# fmt: on
"""Elementwise primitives that are not affine."""

SHAPES = {"broadcast_in_dim", "reshape", "squeeze", "expand_dims", "transpose", "convert_element_type", "copy"}
"""Primitives that move values and change none."""

_BITS = {
    "bitcast_convert_type",
    "shift_left",
    "shift_right_logical",
    "shift_right_arithmetic",
    "optimization_barrier",
}

CONTRACTIONS = {"dot_general", "conv_general_dilated", "gather", "ragged_dot", "fft"}
"""Where a layer begins: what was before is another layer's."""


def is_whole(eqn: Any) -> bool:
    """Whether a call has a name of the catalogue and is elementwise: one array in, the same shape out."""
    if by_call(call_name(eqn)) is None or len(eqn.outvars) != 1:
        return False
    shape = eqn.outvars[0].aval.shape
    arrays = [a for a in eqn.invars if a.aval.shape == shape and not isinstance(a, core.Literal)]
    others = [a for a in eqn.invars if a.aval.size != 1 and a not in arrays]
    return len(arrays) == 1 and not others and is_float(arrays[0].aval) and _elementwise_body(eqn)


def _elementwise_body(eqn: Any) -> bool:
    """Whether a call computes with elementwise primitives and broadcasts alone, at any depth."""
    return all(
        inner.primitive.name in LINEAR | CURVED | SHAPES | _BITS
        or (inner.primitive.name in {*CALLS, "custom_jvp_call", "custom_vjp_call"} and _elementwise_body(inner))
        for body in bodies(eqn)
        for inner in body.jaxpr.eqns
    )


@dataclasses.dataclass
class Variable:
    """What is known of a variable.

    Attributes:
      parameters: whether it depends on a parameter (of floating dtype).
      batch: whether it depends on the batch.
      uniform: whether all its values are one number, the same for every batch.
      root: the variable it is an elementwise function of; itself where a region begins.
      curved: whether that function is not affine.
      node: index of the equation that made it, -1 for inputs and constants.
    """

    parameters: bool = False
    batch: bool = False
    uniform: bool = False
    root: int = -1
    curved: bool = False
    node: int = -1


def variables_of(program: Program, parameters: set[int], batch: set[int]) -> list[Variable]:
    """Facts on every variable of a program.

    Args:
      program: from `flatten` with `is_whole`.
      parameters: inputs that are parameters.
      batch: inputs that are the batch.

    Returns:
      One `Variable` for each.
    """
    table = [Variable(root=v, uniform=aval.size == 1) for v, aval in enumerate(program.avals)]
    for v in program.inputs:
        table[v].parameters = v in parameters
        table[v].batch = v in batch
        table[v].uniform &= v not in batch
    for index, node in enumerate(program.nodes):
        inputs = [table[v] for v in node.variables]
        for out in node.outputs:
            facts = table[out]
            facts.node = index
            facts.parameters = any(i.parameters for i in inputs)
            facts.batch = any(i.batch for i in inputs)
            uniform = all(i.uniform for i in inputs) and not facts.batch
            facts.uniform = uniform and (program.avals[out].size == 1 or _spreads(node))
        if len(node.outputs) == 1:
            _join(program, table, node)
    return table


def variables_inside(node: Node, body: Program, table: list[Variable]) -> list[Variable]:
    """Facts on every variable of the body of a scan, or of a branch.

    Args:
      node: the scan or cond.
      body: its body.
      table: facts on the variables of the program around it.
    """
    scan = node.primitive == "scan"
    outer = zip(body.inputs, node.inputs if scan else node.inputs[1:], strict=True)
    known = [(v, table[atom]) for v, atom in outer if isinstance(atom, int)]
    parameters = {v for v, fact in known if fact.parameters}
    batch = {v for v, fact in known if fact.batch}
    carried = scan_inputs(node)[1] if scan else slice(0)
    while True:  # what is carried depends on what an iteration makes of it
        facts = variables_of(body, parameters, batch)
        results = zip(body.inputs[carried], body.outputs, strict=False)
        made = [(v, facts[out]) for v, out in results if isinstance(out, int)]
        more_parameters = {v for v, fact in made if fact.parameters} - parameters
        more_batch = {v for v, fact in made if fact.batch} - batch
        if not (more_parameters or more_batch):
            return facts
        parameters |= more_parameters
        batch |= more_batch


def _spreads(node: Node) -> bool:
    return node.primitive in SHAPES | LINEAR | CURVED


def _join(program: Program, table: list[Variable], node: Node) -> None:
    """Put the result of a node into the region of its operand, where there is one."""
    (out,) = node.outputs
    facts = table[out]
    if not (facts.parameters and facts.batch):
        return
    arrays = {v for v in node.variables if not table[v].uniform}
    if any(program.avals[v].shape != program.avals[out].shape for v in arrays) or not arrays:
        return
    custom = node.primitive in ("custom_jvp_call", "custom_vjp_call") and _elementwise_body(node.eqn)
    if not (custom or is_whole(node.eqn) or node.primitive in LINEAR | CURVED):
        return
    roots = {table[v].root for v in arrays}
    if len(roots) != 1:
        return
    bent = any(table[v].curved for v in arrays)
    affine = node.primitive in LINEAR and _is_affine(node, arrays, bent)
    learned = any(table[v].parameters for v in node.variables if v not in arrays)
    if affine and not bent and learned:  # the bias of a layer of one unit is no part of its activation
        return
    (facts.root,) = roots
    facts.curved = bent or not affine


def _is_affine(node: Node, arrays: set[int], bent: bool) -> bool:
    """Whether an equation that may be affine is, in the arrays among its operands."""
    positions = [i for i, v in enumerate(node.inputs) if isinstance(v, int) and v in arrays]
    if node.primitive == "mul":
        return len(positions) == 1
    if node.primitive == "div":
        return positions == [0]
    if node.primitive == "select_n":
        return 0 not in positions and len(positions) == len(node.inputs) - 1
    # the sum of two functions of one array is a new function of it, if one of them is curved
    return node.primitive not in ("add", "sub") or len(positions) == 1 or not bent
