"""What is known of a recovered function: compiled once for all that are equal, in this diagnosis and the next."""

import collections
import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxact.diagnosis.naming import GRID, TOLERANCE, by_call, by_parameters, by_values, has_values, shortest
from jaxact.diagnosis.recover import Recovered

_KEPT = 256  # functions whose facts are kept, the latest used
_NUMBERS = 12  # constants of a function that are tried as parameters
_FACTS: "collections.OrderedDict[str, Facts]" = collections.OrderedDict()


@dataclasses.dataclass(frozen=True, eq=False)
class Facts:
    """Numbers of a function; not the function itself, which would keep its model in memory.

    Attributes:
      values: on `naming.GRID`.
      tolerance: how far from the true ones its dtype may put them.
      steepest: max |f'| over [-8, 8], at steps of 1/128.
      numbers: constants of its equations, the outer ones first.
    """

    values: np.ndarray
    tolerance: float
    steepest: float
    numbers: tuple[float, ...]

    @functools.cached_property
    def name(self) -> str | None:
        """The name of the function of the catalogue that has its values."""
        return by_values(self.values, self.tolerance)

    @functools.cached_property
    def with_parameters(self) -> str | None:
        """The name, with parameters, of one that has its values with some of its constants as parameters."""
        return by_parameters(self.values, self.tolerance, self.numbers)

    def called(self, name: str) -> str | None:
        """The same if it is the function of one name."""
        return by_parameters(self.values, self.tolerance, self.numbers, only=name)


def facts_of(function: Recovered) -> Facts:
    """The facts on a function."""
    key = function.key
    if key in _FACTS:
        _FACTS.move_to_end(key)
        return _FACTS[key]
    line = jnp.linspace(-8, 8, 2049, dtype=function.program.avals[function.root].dtype)

    @jax.jit
    def both(grid: jax.Array, line: jax.Array) -> tuple[jax.Array, jax.Array]:
        value, pull = jax.vjp(function, line)
        return function(grid), pull(jnp.ones_like(value))[0]

    values, slopes = both(jnp.asarray(GRID), line)
    tolerance = max(TOLERANCE, float(jnp.finfo(values.dtype).eps))
    slopes = np.abs(np.asarray(slopes).astype(np.float64))
    steepest = float(np.nanmax(slopes)) if np.isfinite(slopes).any() else 1.0
    found = Facts(np.asarray(values).astype(np.float64), tolerance, steepest, _numbers(function))
    _FACTS[key] = found
    while len(_FACTS) > _KEPT:
        _FACTS.popitem(last=False)
    return found


def name_of(function: Recovered, call: str | None) -> str | None:
    """The name of a function, perhaps jitted under a name, as `jaxact.get` takes it.

    By that name if its values are those of that function, with parameters of its own perhaps; by its values if
    they are those of another; else by the name under which it was jitted. Of what was jitted under no name of the
    catalogue, `Facts.with_parameters` may be the name.
    """
    facts, name = facts_of(function), by_call(call)
    if name is None:
        return facts.name
    if has_values(name, facts.values, facts.tolerance):
        return name
    return facts.called(name) or facts.name or name


def agrees(function: Recovered, name: str) -> bool:
    """Whether a function has the values of what `jaxact.get` makes of a name."""
    facts = facts_of(function)
    return has_values(name, facts.values, facts.tolerance)


def _numbers(function: Recovered) -> tuple[float, ...]:
    found: dict[float, None] = {}
    for number in function.numbers():
        if np.size(number) == 1 and jnp.issubdtype(jnp.asarray(number).dtype, jnp.floating):
            value = shortest(np.reshape(number, ()))
            if math.isfinite(value) and abs(value) not in (0.0, 1.0):
                found.setdefault(value)
    return tuple(found)[:_NUMBERS]
