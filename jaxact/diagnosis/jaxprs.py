"""The one adapter to the inside of jaxprs (jax 0.10): flat programs of equations, lines, evaluation."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax._src import source_info_util
from jax.extend import core

CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "checkpoint": "jaxpr", "remat2": "jaxpr"}
"""Calls that are entered, with the parameter that holds their body; what they compute is that of the body."""

LOOPS = {"scan": "jaxpr", "cond": "branches"}
"""Loops and branches that are entered where something in them is tapped, with the parameter of their bodies."""

SAME_DERIVATIVE = "same_derivative"
"""Name of the jitted body of a custom rule that is only a faster form of its derivative: it is entered, too."""

OPAQUE = ("while", "shard_map", "custom_vjp_call", "custom_jvp_call")
"""Calls that are evaluated whole."""

Tap = Callable[[Any, Mapping[int, Any], Any], tuple[Any, Any]]
"""Function of a value, of the values of the variables before it, and of a slot: what goes on, and what is kept."""

_HERE = Path(__file__).parent
_NOT_USER = tuple(str(path) for path in (_HERE, _HERE.parent / "activations"))


@dataclasses.dataclass(frozen=True)
class Node:
    """An equation on variables of the flat program (integers); the value of a literal stands in a list of one.

    Loops and branches have the programs of their bodies as ``inner``, whose variables are numbered on.
    """

    eqn: Any
    inputs: tuple[Any, ...]
    outputs: tuple[int, ...]
    stack: str
    calls: tuple[int, ...]
    inner: tuple["Program", ...] = ()

    @property
    def primitive(self) -> str:
        """Name of the primitive."""
        return self.eqn.primitive.name

    @property
    def variables(self) -> tuple[int, ...]:
        """Inputs that are variables."""
        return tuple(v for v in self.inputs if isinstance(v, int))

    @property
    def line(self) -> tuple[str, int] | None:
        """File and line of the innermost frame that is neither JAX's, Flax's nor jaxact's activations'."""
        frames = list(source_info_util.user_frames(self.eqn.source_info.traceback))
        for frame in frames:
            if not frame.file_name.startswith(_NOT_USER) and "flax" not in Path(frame.file_name).parts:
                return frame.file_name, frame.start_line
        return None


@dataclasses.dataclass
class Program:
    """Equations in order, calls inlined: each use of a call has its own variables.

    Attributes:
      nodes: the equations.
      inputs: variables of the arguments.
      outputs: variables of the results, or literals in a list of one.
      constants: values of the variables that are constants.
      calls: the calls that were inlined: equation, inputs, outputs; nodes name those they lie in, outermost first.
      avals: shape and dtype of each variable, of those of inner programs too.
    """

    nodes: list[Node]
    inputs: tuple[int, ...]
    outputs: tuple[Any, ...]
    constants: dict[int, Any]
    calls: list[tuple[Any, Sequence[Any], Sequence[Any]]]
    avals: list[Any]

    def aval(self, atom: Any) -> Any:
        """Shape and dtype of a variable or literal."""
        return self.avals[atom] if isinstance(atom, int) else jax.typeof(atom[0])

    @functools.cached_property
    def variables(self) -> frozenset[int]:
        """All variables, those of inner programs too."""
        own = {v for node in self.nodes for v in node.outputs}.union(self.inputs, self.constants)
        return frozenset(own).union(*(inner.variables for node in self.nodes for inner in node.inner))


def call_name(eqn: Any) -> str | None:
    """Name of the function that a call or a custom rule holds, None for any other equation."""
    if eqn.primitive.name in ("jit", "pjit"):
        return eqn.params["name"]
    if eqn.primitive.name == "custom_jvp_call":
        inner = eqn.params["call_jaxpr"].jaxpr.eqns
        return call_name(inner[0]) if len(inner) == 1 else None
    return None


def bodies(eqn: Any, parameter: str | None = None) -> list[Any]:
    """Closed jaxprs among the parameters of an equation, or in one of them (bodies of loops, branches)."""
    found = []
    values = eqn.params if parameter is None else {parameter: eqn.params.get(parameter)}
    for value in values.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, core.ClosedJaxpr):
                found.append(item)
            elif isinstance(item, core.Jaxpr) and not item.constvars:
                found.append(core.ClosedJaxpr(item, ()))
    return found


def flatten(closed: Any, whole: Callable[[Any], bool], avals: list[Any] | None = None) -> Program:
    """The flat program of a closed jaxpr.

    Args:
      closed: a closed jaxpr, as `jax.make_jaxpr` returns.
      whole: tells of an equation whether it stays one node although it is a call that could be entered.
      avals: of the program around this one, whose numbers of variables go on.

    Returns:
      The program.
    """
    program = Program([], (), (), {}, [], [] if avals is None else avals)

    def new(aval: Any) -> int:
        program.avals.append(aval)
        return len(program.avals) - 1

    def inline(jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any], stack: str, calls: tuple) -> list[Any]:
        env: dict[Any, Any] = {}
        for var, value in zip(jaxpr.constvars, consts, strict=True):
            env[var] = new(var.aval)
            program.constants[env[var]] = value
        env.update(zip(jaxpr.invars, arguments, strict=True))

        def read(atom: Any) -> Any:
            return [atom.val] if isinstance(atom, core.Literal) else env[atom]

        for eqn in jaxpr.eqns:
            inner_stack = "/".join(part for part in (stack, str(eqn.source_info.name_stack)) if part)
            inputs = tuple(read(atom) for atom in eqn.invars)
            same = eqn.primitive.name == "custom_jvp_call" and call_name(eqn) == SAME_DERIVATIVE
            if (same or eqn.primitive.name in CALLS) and not whole(eqn):
                body = eqn.params["call_jaxpr" if same else CALLS[eqn.primitive.name]]
                entered, values = (body.jaxpr, body.consts) if isinstance(body, core.ClosedJaxpr) else (body, ())
                call = len(program.calls)
                program.calls.append((eqn, inputs, ()))
                results = inline(entered, values, inputs, inner_stack, (*calls, call))
                program.calls[call] = (eqn, inputs, results)
                env.update(zip(eqn.outvars, results, strict=True))
                continue
            outputs = tuple(new(var.aval) for var in eqn.outvars)
            env.update(zip(eqn.outvars, outputs, strict=True))
            loop = bodies(eqn, LOOPS.get(eqn.primitive.name, "")) if not whole(eqn) else []
            inner = tuple(flatten(body, whole, program.avals) for body in loop)
            program.nodes.append(Node(eqn, inputs, outputs, inner_stack, calls, inner))
        return [read(atom) for atom in jaxpr.outvars]

    program.inputs = tuple(new(var.aval) for var in closed.jaxpr.invars)
    program.outputs = tuple(inline(closed.jaxpr, closed.consts, program.inputs, "", ()))
    _drop_unused(program)
    return program


def _drop_unused(program: Program) -> None:
    """Drop the equations that no output needs, as those of running statistics; those with effects stay."""
    needed = {atom for atom in program.outputs if isinstance(atom, int)}
    kept = []
    for node in reversed(program.nodes):
        if node.eqn.effects or not needed.isdisjoint(node.outputs):
            kept.append(node)
            needed.update(node.variables)
    program.nodes = kept[::-1]


def bind(eqn: Any, values: Sequence[Any]) -> list[Any]:
    """Results of one equation at values, with its own rules of differentiation."""
    with eqn.ctx.manager:
        results = eqn.primitive.bind(*values, **eqn.primitive.get_bind_params(eqn.params))
    return list(results) if eqn.primitive.multiple_results else [results]


def evaluate(
    program: Program, arguments: Sequence[Any], taps: Mapping[int, Tap], slots: Mapping[int, Any]
) -> tuple[list[Any], dict[int, Any]]:
    """Results of the program at arguments; calls without a tapped variable are evaluated whole.

    Entered, a call would add up the gradients of its operands in another order, and differ in last bits.

    Args:
      program: from `flatten`.
      arguments: one value for each of its inputs.
      taps: for variables, what their values go through.
      slots: the slot of each tap; of variables in a scan, one for each iteration along a first axis.

    Returns:
      One value for each output; and what each tap kept, in a scan with that axis too, in a branch that was not
      taken zeros.
    """
    env: dict[int, Any] = dict(program.constants)
    kept: dict[int, Any] = {}

    def write(variable: int, value: Any) -> None:
        env[variable] = value
        if variable in taps:
            env[variable], kept[variable] = taps[variable](value, env, slots.get(variable))

    def read(atom: Any) -> Any:
        return env[atom] if isinstance(atom, int) else atom[0]

    for variable, value in zip(program.inputs, arguments, strict=True):
        write(variable, value)
    inner = [any(not taps.keys().isdisjoint(body.variables) for body in node.inner) for node in program.nodes]
    opened = {
        call
        for node, entered in zip(program.nodes, inner, strict=True)
        if entered or not taps.keys().isdisjoint(node.outputs)
        for call in node.calls
    }
    done: set[int] = set()
    for node, entered in zip(program.nodes, inner, strict=True):
        closed = next((call for call in node.calls if call not in opened), None)
        if closed in done:
            continue
        if closed is not None:
            done.add(closed)
            eqn, inputs, outputs = program.calls[closed]
            for variable, value in zip(outputs, bind(eqn, [read(a) for a in inputs]), strict=True):
                if isinstance(variable, int) and variable not in env:  # an output may be an input
                    write(variable, value)
            continue
        values = [read(a) for a in node.inputs]
        if entered:
            results, more = (_scan if node.primitive == "scan" else _branch)(node, values, taps, slots)
            kept.update(more)
        else:
            results = bind(node.eqn, values)
        for variable, value in zip(node.outputs, results, strict=True):
            write(variable, value)
    return [read(atom) for atom in program.outputs], kept


def scan_inputs(node: Node) -> tuple[slice, slice, slice]:
    """Which inputs of a scan are constants, carried, and of one iteration each."""
    params = node.eqn.params
    if "ft_in" in params:  # from jax 0.12 on
        consts, carry, _ = map(len, params["ft_in"].unpack())
    else:
        consts, carry = params["num_consts"], params["num_carry"]
    rest = consts + carry
    return slice(0, consts), slice(consts, rest), slice(rest, None)


def _scan(node: Node, values: list[Any], taps: Mapping[int, Tap], slots: Mapping[int, Any]) -> tuple[list, dict]:
    consts, carry, xs = (values[part] for part in scan_inputs(node))
    (body,) = node.inner

    def iteration(carry: list[Any], item: tuple[list[Any], dict[int, Any]]) -> tuple[list[Any], tuple]:
        results, kept = evaluate(body, [*consts, *carry, *item[0]], taps, item[1])
        return results[: len(carry)], (results[len(carry) :], kept)

    options = {name: node.eqn.params[name] for name in ("length", "reverse", "unroll")}
    mine = {v: slot for v, slot in slots.items() if v in body.variables}
    carry, (ys, kept) = lax.scan(iteration, carry, (xs, mine), **options)
    return [*carry, *ys], kept


def _branch(node: Node, values: list[Any], taps: Mapping[int, Tap], slots: Mapping[int, Any]) -> tuple[list, dict]:
    index, *operands = values

    def run(body: Program, operands: list[Any], slots: Mapping[int, Any]) -> tuple[list[Any], dict[int, Any]]:
        return evaluate(body, operands, taps, slots)

    kept = [jax.eval_shape(functools.partial(run, body), operands, slots)[1] for body in node.inner]
    nothing = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), functools.reduce(dict.__or__, kept))

    def branch(body: Program) -> Callable[..., tuple[list[Any], dict[int, Any]]]:
        def taken(operands: list[Any]) -> tuple[list[Any], dict[int, Any]]:
            results, kept = run(body, operands, slots)
            return results, nothing | kept

        return taken

    return lax.switch(index, [branch(body) for body in node.inner], operands)


def is_float(aval: Any) -> bool:
    """Whether an abstract value is of a floating dtype."""
    return bool(jax.numpy.issubdtype(aval.dtype, np.floating))
