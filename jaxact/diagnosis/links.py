"""Which activation feeds which: the chain along which gradients are compared."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxact.diagnosis.jaxprs import Node, Program, is_float, scan_inputs
from jaxact.diagnosis.layers import users_of
from jaxact.diagnosis.regions import CONTRACTIONS, LINEAR, Variable, variables_inside
from jaxact.diagnosis.sites import Site

_MIXES = {"add", "sub", "mul", "div", "add_any", *CONTRACTIONS}
"""Equations that, of two arrays of the batch, make what the theory of plain layers has nothing to say of."""

_AVERAGES = ("reduce_sum", "reduce_window_sum", "reduce_window", "cumsum", "scan", "while", "cond")


class Link(NamedTuple):
    """What stands before a site.

    Attributes:
      sources: indices of the sites whose activations come in through its layer.
      before: in the body of a scan, those whose activations of the iteration before come in.
      from_input: whether the batch itself comes in, or in the body of a scan anything else from outside.
      plain: whether there is one source, one layer, and nothing else that changes the size of a gradient: no
        normalisation, no sum of branches, no average. Maximum pooling, biases and dropout are none of these.
    """

    sources: tuple[int, ...]
    before: tuple[int, ...]
    from_input: bool
    plain: bool


def links(program: Program, table: list[Variable], sites: Sequence[Site]) -> list[Link]:
    """The link of each site, within the scan that it is in; sites in branches have none before them.

    Args:
      program: the program.
      table: facts on its variables.
      sites: its sites.
    """
    found: dict[int, Link] = {}
    _within(program, table, sites, {}, found)
    return [found.get(i, Link((), (), False, False)) for i in range(len(sites))]


def _within(
    program: Program, table: list[Variable], sites: Sequence[Site], carried: Mapping[int, Any], found: dict
) -> None:
    """Find the links of the sites of a program, which may be the body of a scan, and of the scans in it."""
    made_by = {site.a: i for i, site in enumerate(sites) if site.function.program is program}
    for i in made_by.values():
        found[i] = _link(program, table, sites[i], made_by, carried)
    for node in program.nodes:
        if node.primitive == "scan" and node.inner:
            (body,) = node.inner
            over = dict(zip(body.inputs[scan_inputs(node)[1]], body.outputs, strict=False))
            _within(body, variables_inside(node, body, table), sites, over, found)


def _link(
    program: Program,
    table: Sequence[Variable],
    site: Site,
    made_by: Mapping[int, int],
    carried: Mapping[int, Any],
) -> Link:
    """The link of a site; ``carried`` tells what the iteration before makes of an input of the body of a scan."""
    sources: set[int] = set()
    before: set[int] = set()
    from_input, plain, layers = False, True, 0
    seen: set[tuple[int, bool]] = set()
    todo = [(site.z, False)]
    while todo:
        v, earlier = todo.pop()
        if (v, earlier) in seen:
            continue
        seen.add((v, earlier))
        if v in made_by and (earlier or v != site.z):
            (before if earlier else sources).add(made_by[v])
        elif table[v].node < 0:
            made = carried.get(v)
            if earlier or not isinstance(made, int):
                from_input = True
            else:
                todo.append((made, True))
        else:
            node = program.nodes[table[v].node]
            data = [u for u in node.variables if table[u].batch]
            layers += _is_layer(node, table)
            plain &= node.primitive not in _AVERAGES
            plain &= len(set(data)) < 2 or node.primitive not in _MIXES
            todo += [(u, earlier) for u in data]
    one = len(sources) + len(before) + from_input == 1 and layers == 1
    return Link(tuple(sorted(sources)), tuple(sorted(before)), from_input, plain and one)


def _is_layer(node: Node, table: Sequence[Variable]) -> bool:
    weights = any(table[u].parameters and not table[u].batch for u in node.variables)
    return node.primitive in CONTRACTIONS and weights


def scaled_inputs(program: Program, table: Sequence[Variable], data: Iterable[int]) -> list[int]:
    """The inputs of the batch after what scales them: a shift and a factor in the model are followed.

    Args:
      program: the program.
      table: facts on its variables.
      data: its inputs that are the batch.

    Returns:
      The variables of floating dtype that stand for them where the model begins.
    """
    users = users_of(program)
    found = []
    for v in data:
        while len(users[v]) == 1:
            (node,) = users[v]
            others = [u for u in node.variables if u != v and (table[u].batch or table[u].parameters)]
            if node.primitive not in LINEAR or others or len(node.outputs) != 1:
                break
            (v,) = node.outputs
        if is_float(program.avals[v]) and users[v]:
            found.append(v)
    return found
