"""The way from a name to a function and back."""

import ast
import dataclasses
import difflib
import functools
import inspect
import math
import numbers
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxact import activations
from jaxact.activations import elementary
from jaxact.catalog.activation import Activation
from jaxact.catalog.frameworks import FRAMEWORKS
from jaxact.catalog.table import ACTIVATIONS
from jaxact.errors import InputError, shown


def _key(name: str) -> str:
    """What names are compared by: no case, no separators, so "LeakyReLU" is "leaky_relu"."""
    return "".join(c for c in name.lower() if c not in "_- ")


_NAMES: dict[str, tuple[Activation, dict[str, Any]]]
_NAMES = {alias: (row, {}) for row in ACTIVATIONS.values() for alias in (row.name, *row.aliases)}
_NAMES |= {
    f"gelu_{form}": (ACTIVATIONS["gelu"], {"approximate": form != "erf"})
    for form in ("tanh", "new", "approx", "erf")
}
_BY_KEY = {_key(name): found for name, found in _NAMES.items()}
_OTHERS = {_key(name): name for name, fn in vars(activations).items() if inspect.isfunction(fn)}
_PREFIXES = {prefix: name for name, known in FRAMEWORKS.items() for prefix in (name, *known.modules)}


@dataclasses.dataclass(frozen=True)
class Configured:
    """An activation with some parameters set: callable, hashable, equal by value, and it pickles.

    Attributes:
      name: canonical name of the activation.
      config: the parameters that are set, as (name, value) pairs in the order of the signature.
    """

    name: str
    config: tuple[tuple[str, Any], ...]

    def __call__(self, x: ArrayLike) -> Array:
        """The activation of ``x``."""
        return ACTIVATIONS[self.name].function(x, **dict(self.config))

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{key}={value!r}' for key, value in self.config)})"


def _plain(value: Any, switch: bool) -> float | bool | None:
    """``value`` as a Python bool or float, whose repr reads back; None if it is not one, or not finite."""
    if switch or isinstance(value, bool | np.bool_):
        return bool(value) if switch and isinstance(value, bool | np.bool_) else None
    try:
        return float(value) if isinstance(value, numbers.Real) and math.isfinite(value) else None
    except OverflowError:  # an integer beyond the largest float
        return None


def _configure(row: Activation, parameters: Mapping[str, Any]) -> Callable:
    """The function of a row with parameters set; those at their default are dropped."""
    config = []
    for key, default in row.parameters.items():
        if key not in parameters:
            continue
        switch = isinstance(default, bool)
        value = parameters[key]
        plain = _plain(value, switch)
        if plain is None:
            wanted = "True or False" if switch else "a finite number"
            raise InputError(f"parameter {key} of activation {row.name} must be {wanted}, got {shown(value)}")
        if plain != default:
            config.append((key, plain))
    return Configured(row.name, tuple(config)) if config else row.function


def _bind(row: Activation, args: tuple = (), kwargs: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Parameters of a row by name."""
    try:
        bound = inspect.signature(row.function).bind(None, *args, **kwargs).arguments
    except TypeError as error:
        known = f"its parameters are {', '.join(row.parameters)}" if row.parameters else "it has no parameters"
        raise InputError(f"activation {row.name}: {error}; {known}") from None
    return dict(list(bound.items())[1:])


def _find(name: str) -> tuple[Activation, dict[str, Any]]:
    """The row that a name means, and the parameters that the name sets."""
    if ":" in name:
        return _find_foreign(*name.split(":", 1))
    try:
        return _BY_KEY[_key(name)]
    except KeyError:
        if own := _OTHERS.get(_key(name)):
            raise InputError(
                f"{own} is not elementwise, or takes more than one array: call jaxact.{own}; "
                "jaxact.ACTIVATIONS has the names that work here"
            ) from None
        near = difflib.get_close_matches(name.lower(), _NAMES, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "see jaxact.ACTIVATIONS for the names"
        raise InputError(f"unknown activation {shown(name, 80)}; {hint}") from None


def _find_foreign(prefix: str, name: str) -> tuple[Activation, dict[str, Any]]:
    """The row and the parameters that a framework's name means."""
    framework = _PREFIXES.get(prefix.strip().lower())
    if framework is None:
        near = difflib.get_close_matches(prefix.lower(), _PREFIXES, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"the frameworks are {', '.join(FRAMEWORKS)}"
        raise InputError(f"unknown framework {shown(prefix, 80)}; {hint}")
    names = {foreign.lower(): foreign for foreign in FRAMEWORKS[framework].names}
    for foreign, spec in FRAMEWORKS[framework].names.items():
        if _key(foreign) == _key(name):
            return _read(spec)
    if own := _BY_KEY.get(_key(name)):
        hint = f"did you mean {own[0].name}, which is jaxact's own?"
    else:
        near = [f"{framework}:{names[found]}" for found in difflib.get_close_matches(name.lower(), names, n=3)]
        hint = f"did you mean {' or '.join(near)}?" if near else "`jaxact list` tells what the frameworks have"
    raise InputError(f"{framework} has no activation {shown(name, 80)}; {hint}")


def _read(spec: str) -> tuple[Activation, dict[str, Any]]:
    """The row that a spec means, and the parameters that it sets, by its name or, which counts more, itself."""
    name, bracket, _ = spec.partition("(")
    row, preset = _find(name)
    if not bracket:
        return row, preset
    try:
        call = ast.parse(f"f{spec[len(name) :].strip()}", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError
        args = tuple(ast.literal_eval(arg) for arg in call.args)
        kwargs = {keyword.arg or "**": ast.literal_eval(keyword.value) for keyword in call.keywords}
        if len(kwargs) < len(call.keywords):
            raise ValueError
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise InputError(
            f"cannot read the parameters in {shown(spec, 80)}; write them as in 'leaky_relu(negative_slope=0.2)'"
        ) from None
    return row, preset | _bind(row, args, kwargs)


def get(spec: str | Mapping[str, Any] | Callable | None) -> Callable[[ArrayLike], Array]:
    """The activation that ``spec`` names.

    Names are compared without case and separators ("LeakyReLU" is "leaky_relu"), and every alias is known.
    Parameters in a name are read as literals, never evaluated. A name after a framework's, as in "torch:gelu" or
    "keras.layers:LeakyReLU", is that framework's, with its defaults; parameters keep the names they have here.

    Args:
      spec: a name ("relu"), a name with parameters ("leaky_relu(negative_slope=0.2)"), a dict ``{"name": "elu",
        "config": {"alpha": 0.5}}``, a callable, which is returned as it is, or None for the identity.

    Returns:
      Function of one array. Names without parameters give the module-level function itself; names with
      parameters a `Configured`, which hashes, pickles and compares by value.

    Raises:
      ValueError: if the name or a parameter is unknown; the message names the nearest ones.
      TypeError: if ``spec`` is none of the above.

    Examples:
      >>> get("ReLU") is get("relu")
      True
      >>> get("leaky_relu(0.2)")(-1.0)
      Array(-0.2, dtype=float32, weak_type=True)
      >>> print(get("torch:gelu"), get("tf:leaky_relu"), get("keras.layers:LeakyReLU"))
      gelu(approximate=False) leaky_relu(negative_slope=0.2) leaky_relu(negative_slope=0.3)
    """
    if spec is None:
        return elementary.identity
    if isinstance(spec, str):
        return _configure(*_read(spec))
    if isinstance(spec, Mapping):
        name, config = spec.get("name"), spec.get("config", {})
        if not isinstance(name, str) or not isinstance(config, Mapping) or spec.keys() - {"name", "config"}:
            raise InputError(f"an activation as a dict is {{'name': ..., 'config': {{...}}}}, got {shown(spec)}")
        row, preset = _find(name)
        return _configure(row, preset | _bind(row, kwargs=config))
    if callable(spec):
        return spec
    raise TypeError(f"an activation is a name, a dict, a callable or None, got {shown(spec)}")


def find(fn: Callable) -> Activation | None:
    """The row of the table that ``fn`` belongs to, or None if it is not one of jaxact's."""
    if isinstance(fn, Configured):
        return ACTIVATIONS[fn.name]
    return next((row for row in ACTIVATIONS.values() if row.function is fn), None)


def is_monotone(fn: Callable) -> bool:
    """Whether ``fn`` is known never to decrease: a function of the table, with its default parameters."""
    row = find(fn)
    return row is not None and row.monotone and not isinstance(fn, Configured)


def serialize(fn: Callable | None) -> str:
    """The name, with parameters where they differ from the defaults, from which `get` returns ``fn``.

    Args:
      fn: a function of `ACTIVATIONS`, what `get` returned, a `functools.partial` of one of them with keyword
        parameters, or None for the identity.

    Raises:
      ValueError: if ``fn`` is not one of jaxact's; such a function has no name to come back from.

    Examples:
      >>> serialize(get("LeakyReLU(0.2)"))
      'leaky_relu(negative_slope=0.2)'
    """
    if fn is None:
        return "identity"
    if isinstance(fn, functools.partial) and not fn.args and not isinstance(fn.func, Configured):
        row = find(fn.func)
        fn = _configure(row, _bind(row, kwargs=fn.keywords)) if row else fn
    if isinstance(fn, Configured):
        return str(fn)
    if row := find(fn):
        return row.name
    raise InputError(f"{shown(getattr(fn, '__qualname__', fn))} is not an activation of jaxact, so it has no name")


@functools.cache
def elsewhere() -> Mapping[str, dict[str, str]]:
    """What frameworks call each activation, with their defaults: ``["elu"]["keras.layers:ELU"]`` is ``"elu"``."""
    found: dict[str, dict[str, str]] = {name: {} for name in ACTIVATIONS}
    for framework, known in FRAMEWORKS.items():
        for name, spec in known.names.items():
            row, parameters = _read(spec)
            found[row.name][f"{framework}:{name}"] = serialize(_configure(row, parameters))
    return MappingProxyType(found)
