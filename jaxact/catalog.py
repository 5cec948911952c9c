"""The one table of facts about the activations, and the way from a name to a function and back."""

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

from jaxact.activations import elementary, rectifiers, self_gated, shrinkage, sigmoidal, soft_rectifiers
from jaxact.errors import InputError, shown

INF = float("inf")


@dataclasses.dataclass(frozen=True)
class Activation:
    """Facts about one activation, for its default parameters.

    Attributes:
      name: canonical name.
      function: the pure function, array in, array out.
      formula: the value as a Python expression in ``x`` and the parameters, over exp, log, tanh, erf and sqrt.
      range: infimum and supremum of the values.
      monotone: whether the function never decreases (so that it commutes with max-pooling).
      kinks: inputs at which the function is not differentiable.
      derivative_at_0: what `jax.grad` gives at 0.
      paper: where it was introduced, or None for what is older than the field.
      aliases: other names that `get` takes.
      domain: the inputs that have a real value.
    """

    name: str
    function: Callable[..., Array]
    formula: str
    range: tuple[float, float]
    monotone: bool
    kinks: tuple[float, ...]
    derivative_at_0: float
    paper: str | None
    aliases: tuple[str, ...] = ()
    domain: tuple[float, float] = (-INF, INF)

    @property
    def parameters(self) -> dict[str, Any]:
        """Names of the parameters after ``x``, with their defaults."""
        (_, *rest) = inspect.signature(self.function).parameters.values()
        return {p.name: p.default for p in rest}


_DONOHO = "Donoho & Johnstone 1994"
_HOWARD = "Howard et al. 2019, arXiv:1905.02244"

# fmt: off
_ROWS = (
    # name, function, formula,
    #     range, monotone, kinks, derivative at 0, paper, aliases
    Activation("identity", elementary.identity, "x",
               (-INF, INF), True, (), 1, None, ("linear",)),
    Activation("exp", elementary.exp, "exp(x)",
               (0, INF), True, (), 1, None, ("exponential",)),
    Activation("log1mexp", elementary.log1mexp, "log(1 - exp(-x))",
               (-INF, 0), True, (), INF, "Mächler 2012", domain=(0, INF)),
    Activation("sigmoid", sigmoidal.sigmoid, "1 / (1 + exp(-x))",
               (0, 1), True, (), 0.25, None, ("logistic", "expit")),
    Activation("tanh", sigmoidal.tanh, "tanh(x)",
               (-1, 1), True, (), 1, None),
    Activation("erf", sigmoidal.erf, "erf(x)",
               (-1, 1), True, (), 1.1283791670955126, None),
    Activation("soft_sign", sigmoidal.soft_sign, "x / (1 + abs(x))",
               (-1, 1), True, (), 1, "Bergstra et al. 2009"),
    Activation("hard_tanh", sigmoidal.hard_tanh, "min(max(x, -1), 1)",
               (-1, 1), True, (-1, 1), 1, "Collobert 2004"),
    Activation("hard_sigmoid", sigmoidal.hard_sigmoid, "min(max(x + 3, 0), 6) / 6",
               (0, 1), True, (-3, 3), 1 / 6, _HOWARD),
    Activation("sparse_sigmoid", sigmoidal.sparse_sigmoid, "min(max(x + 1, 0), 2) / 2",
               (0, 1), True, (-1, 1), 0.5, "Martins & Astudillo 2016, arXiv:1602.02068"),
    Activation("relu", rectifiers.relu, "max(x, 0)",
               (0, INF), True, (0,), 0, "Nair & Hinton 2010"),
    Activation("relu6", rectifiers.relu6, "min(max(x, 0), 6)",
               (0, 6), True, (0, 6), 0, "Krizhevsky 2010"),
    Activation("leaky_relu", rectifiers.leaky_relu, "x if x >= 0 else negative_slope * x",
               (-INF, INF), True, (0,), 1, "Maas et al. 2013", ("lrelu",)),
    Activation("elu", rectifiers.elu, "x if x > 0 else alpha * (exp(x) - 1)",
               (-1, INF), True, (), 1, "Clevert et al. 2015, arXiv:1511.07289"),
    Activation("celu", rectifiers.celu, "x if x > 0 else alpha * (exp(x / alpha) - 1)",
               (-1, INF), True, (), 1, "Barron 2017, arXiv:1704.07483"),
    Activation("selu", rectifiers.selu,
               "1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * (exp(x) - 1))",
               (-1.7580993408473768, INF), True, (0,), 1.7580993408473768,
               "Klambauer et al. 2017, arXiv:1706.02515"),
    Activation("softplus", soft_rectifiers.softplus, "log(1 + exp(x))",
               (0, INF), True, (), 0.5, "Dugas et al. 2001", ("soft_relu",)),
    Activation("log_sigmoid", soft_rectifiers.log_sigmoid, "-log(1 + exp(-x))",
               (-INF, 0), True, (), 0.5, None),
    Activation("squareplus", soft_rectifiers.squareplus, "(x + sqrt(x * x + b)) / 2",
               (0, INF), True, (), 0.5, "Barron 2021, arXiv:2112.11687"),
    Activation("sparse_plus", soft_rectifiers.sparse_plus, "0 if x <= -1 else x if x >= 1 else (x + 1)**2 / 4",
               (0, INF), True, (), 0.5, "Blondel et al. 2019, arXiv:1901.02324"),
    Activation("silu", self_gated.silu, "x / (1 + exp(-x))",
               (-0.2784645427610738, INF), False, (), 0.5, "Elfwing et al. 2017, arXiv:1702.03118", ("swish",)),
    Activation("gelu", self_gated.gelu,
               "x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2 if approximate"
               " else x * (1 + erf(x / sqrt(2))) / 2",
               (-0.17004075057125412, INF), False, (), 0.5, "Hendrycks & Gimpel 2016, arXiv:1606.08415"),
    Activation("mish", self_gated.mish, "x * tanh(log(1 + exp(x)))",
               (-0.3088434130172504, INF), False, (), 0.6, "Misra 2019, arXiv:1908.08681"),
    Activation("hard_silu", self_gated.hard_silu, "x * min(max(x + 3, 0), 6) / 6",
               (-0.375, INF), False, (-3, 3), 0.5, _HOWARD, ("hard_swish",)),
    Activation("hard_shrink", shrinkage.hard_shrink, "0 if abs(x) <= threshold else x",
               (-INF, INF), True, (-0.5, 0.5), 0, _DONOHO),
    Activation("soft_shrink", shrinkage.soft_shrink, "max(x - threshold, 0) + min(x + threshold, 0)",
               (-INF, INF), True, (-0.5, 0.5), 0, _DONOHO),
    Activation("tanh_shrink", shrinkage.tanh_shrink, "x - tanh(x)",
               (-INF, INF), True, (), 0, None),
    Activation("threshold", shrinkage.threshold, "x if x > threshold else default_value",
               (0, INF), True, (1,), 0, "Konda et al. 2014, arXiv:1402.3337"),
)
# fmt: on

ACTIVATIONS: Mapping[str, Activation] = MappingProxyType({row.name: row for row in _ROWS})
"""Every activation by its canonical name."""


def _key(name: str) -> str:
    """What names are compared by: no case, no separators, so "LeakyReLU" is "leaky_relu"."""
    return "".join(c for c in name.lower() if c not in "_- ")


_NAMES: dict[str, tuple[Activation, dict[str, Any]]]
_NAMES = {alias: (row, {}) for row in _ROWS for alias in (row.name, *row.aliases)}
_NAMES |= {f"gelu_{form}": (ACTIVATIONS["gelu"], {"approximate": form == "tanh"}) for form in ("tanh", "erf")}
_BY_KEY = {_key(name): found for name, found in _NAMES.items()}


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


def _configure(row: Activation, args: tuple = (), kwargs: Mapping[str, Any] = MappingProxyType({})) -> Callable:
    """The function of a row with parameters set; those at their default are dropped."""
    defaults = row.parameters
    try:
        _, *given = inspect.signature(row.function).bind(None, *args, **kwargs).arguments.items()
    except TypeError as error:
        known = f"its parameters are {', '.join(defaults)}" if defaults else "it has no parameters"
        raise InputError(f"activation {row.name}: {error}; {known}") from None
    config = []
    for key, value in given:
        switch = isinstance(defaults[key], bool)
        plain = _plain(value, switch)
        if plain is None:
            wanted = "True or False" if switch else "a finite number"
            raise InputError(f"parameter {key} of activation {row.name} must be {wanted}, got {shown(value)}")
        if plain != defaults[key]:
            config.append((key, plain))
    return Configured(row.name, tuple(config)) if config else row.function


def _find(name: str) -> tuple[Activation, dict[str, Any]]:
    """The row that a name means, and the parameters that the name sets."""
    try:
        return _BY_KEY[_key(name)]
    except KeyError:
        near = difflib.get_close_matches(name.lower(), _NAMES, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "see jaxact.ACTIVATIONS for the names"
        raise InputError(f"unknown activation {shown(name, 80)}; {hint}") from None


def _parse(spec: str) -> Callable:
    name, bracket, _ = spec.partition("(")
    row, preset = _find(name)
    if not bracket:
        return _configure(row, kwargs=preset)
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
    return _configure(row, args, kwargs if args else preset | kwargs)


def get(spec: str | Mapping[str, Any] | Callable | None) -> Callable[[ArrayLike], Array]:
    """The activation that ``spec`` names.

    Names are compared without case and separators ("LeakyReLU" is "leaky_relu"), and every alias is known.
    Parameters in a name are read as literals, never evaluated.

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
    """
    if spec is None:
        return elementary.identity
    if isinstance(spec, str):
        return _parse(spec)
    if isinstance(spec, Mapping):
        name, config = spec.get("name"), spec.get("config", {})
        if not isinstance(name, str) or not isinstance(config, Mapping) or spec.keys() - {"name", "config"}:
            raise InputError(f"an activation as a dict is {{'name': ..., 'config': {{...}}}}, got {shown(spec)}")
        row, preset = _find(name)
        return _configure(row, kwargs={**preset, **config})
    if callable(spec):
        return spec
    raise TypeError(f"an activation is a name, a dict, a callable or None, got {shown(spec)}")


def find(fn: Callable) -> Activation | None:
    """The row of the table that ``fn`` belongs to, or None if it is not one of jaxact's."""
    if isinstance(fn, Configured):
        return ACTIVATIONS[fn.name]
    return next((row for row in _ROWS if row.function is fn), None)


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
        fn = _configure(row, kwargs=fn.keywords) if row else fn
    if isinstance(fn, Configured):
        return str(fn)
    if row := find(fn):
        return row.name
    raise InputError(f"{shown(getattr(fn, '__qualname__', fn))} is not an activation of jaxact, so it has no name")
