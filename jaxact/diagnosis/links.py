"""Which activation feeds which: the chain along which gradients are compared."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jaxact.diagnosis.jaxprs import Node, Program, is_float
from jaxact.diagnosis.layers import users_of
from jaxact.diagnosis.regions import CONTRACTIONS, LINEAR, Variable
from jaxact.diagnosis.sites import Site

_MIXES = {"add", "sub", "mul", "div", "add_any", *CONTRACTIONS}
"""Equations that, of two arrays of the batch, make what the theory of plain layers has nothing to say of."""

_AVERAGES = ("reduce_sum", "reduce_window_sum", "reduce_window", "cumsum", "scan", "while", "cond")


class Link(NamedTuple):
    """What stands before a site.

    Attributes:
      sources: indices of the sites whose activations come in through its layer.
      from_input: whether the batch itself comes in.
      plain: whether there is one source, one layer, and nothing else that changes the size of a gradient: no
        normalisation, no sum of branches, no average. Maximum pooling, biases and dropout are none of these.
    """

    sources: tuple[int, ...]
    from_input: bool
    plain: bool


def links(program: Program, table: Sequence[Variable], sites: Sequence[Site]) -> list[Link]:
    """The link of each site; sites in scans and branches have none before them.

    Args:
      program: the program.
      table: facts on its variables.
      sites: its sites.
    """
    made_by = {site.a: i for i, site in enumerate(sites) if not _is_inside(program, site)}
    return [
        Link((), False, False) if _is_inside(program, site) else _link(program, table, site, made_by)
        for site in sites
    ]


def _is_inside(program: Program, site: Site) -> bool:
    return site.function.program is not program


def _link(program: Program, table: Sequence[Variable], site: Site, made_by: dict[int, int]) -> Link:
    sources: set[int] = set()
    from_input, plain, layers = False, True, 0
    seen: set[int] = set()
    todo = [site.z]
    while todo:
        v = todo.pop()
        if v in seen:
            continue
        seen.add(v)
        if v in made_by and v != site.z:
            sources.add(made_by[v])
        elif table[v].node < 0:
            from_input = True
        else:
            node = program.nodes[table[v].node]
            data = [u for u in node.variables if table[u].batch]
            layers += _is_layer(node, table)
            plain &= node.primitive not in _AVERAGES
            plain &= len(set(data)) < 2 or node.primitive not in _MIXES
            todo += data
    one = len(sources) + from_input == 1 and layers == 1
    return Link(tuple(sorted(sources)), from_input, plain and one)


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
