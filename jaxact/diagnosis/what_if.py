"""What would be with other activations or weights: the same program, run with them in their place."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from jax import Array

from jaxact.catalog import find, get, serialize
from jaxact.diagnosis.diagnose import measure
from jaxact.diagnosis.facts import facts_of, name_of
from jaxact.diagnosis.recover import Replaced
from jaxact.diagnosis.report import Diagnosis
from jaxact.diagnosis.sites import Site
from jaxact.diagnosis.weights import initialized
from jaxact.errors import InputError, shown

_COLUMNS = ("layer", "function", "|dL/dz| / last", "would be", "chi_1 predicts", "saturated", "would be")


@dataclasses.dataclass(frozen=True)
class Step:
    """One site of a profile; the gradients are norms by the pre-activations, as shares of the last site's.

    Attributes:
      where: layer of the site, as it is shown.
      name: function that is there in the end, None if it has no name.
      before: measured in the model as it is; None if the site was not run then.
      after: measured with what was changed.
      predicted: for after, the product of the roots of chi_1 from here to the last site, each at the second moment
        of z that was measured; None if something else than plain layers stands between.
      saturated_before: share of inputs where the function is saturated; None as before.
      saturated_after: the same with what was changed.
    """

    where: str
    name: str | None
    before: float | None
    after: float
    predicted: float | None
    saturated_before: float | None
    saturated_after: float


@dataclasses.dataclass(frozen=True)
class WhatIf:
    """What `what_if` found. `str` gives a line a site; `rich.print` a table.

    Attributes:
      activation: name of the function that was put in, None if the model's were kept.
      initializer: name of the initialiser, None if the weights were kept.
      before: diagnosis of the model as it is.
      after: diagnosis of the model as it would be.
      profile: one step for each site of ``after``.
    """

    activation: str | None
    initializer: str | None
    before: Diagnosis = dataclasses.field(repr=False)
    after: Diagnosis = dataclasses.field(repr=False)
    profile: tuple[Step, ...]

    def to_dict(self) -> dict[str, Any]:
        """The change, the two losses and the profile as plain dicts and numbers, which `json` can write."""
        return {
            "activation": self.activation,
            "initializer": self.initializer,
            "loss_before": self.before.loss,
            "loss_after": self.after.loss,
            "profile": [dataclasses.asdict(step) for step in self.profile],
        }

    def __str__(self) -> str:
        rows = [_COLUMNS, *map(_cells, self.profile)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([self._headline(), *lines])

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table

        table = Table(*_COLUMNS)
        for step in self.profile:
            table.add_row(*_cells(step))
        return Group(self._headline(), table)

    def _headline(self) -> str:
        change = " and ".join(text for text in (self.activation, self._weights()) if text)
        return f"with {change}: loss {self.before.loss:.4g} would be {self.after.loss:.4g}"

    def _weights(self) -> str | None:
        return self.initializer and f"weights by {self.initializer}"


def what_if(
    diagnosis: Diagnosis,
    activation: str | Mapping[str, Any] | Callable[[Any], Any] | None = None,
    initializer: str | Callable[..., Any] | None = None,
    *,
    layers: Sequence[str] | None = None,
    key: Array | None = None,
) -> WhatIf:
    r"""Measures a diagnosed model with another activation, other initial weights, or both; it is not edited.

    The new function is evaluated where the old one was, on the same pre-activations, in the same program. What
    the model does with the activation besides stays: a `LeNet5` that takes the maximum before a monotone function,
    as it may on a CPU, does so with any. Gradients by parameters of the old function are 0.

    Args:
      diagnosis: what `jaxact.diagnose` gave in this process.
      activation: of every site, as `jaxact.get` takes it; None for those of the model.
      initializer: of the weights of the layer before each site: ``init(key, shape, dtype)`` as in
        `jax.nn.initializers`, one of their names such as ``"he_normal"``, or ``"gain"`` for
        `jaxact.initializers.for_activation` of the function whose values the layer takes (gain 1 where it takes
        the batch). Biases of these layers (arrays beside the weights that are called "bias") become 0. The layers
        after the last site, and all other parameters, stay. None for the weights of the model.
      layers: the layers whose sites are meant, as `SiteRecord.where` names them, without an index; by default all.
      key: random key of the new weights; by default ``jax.random.key(0)``.

    Returns:
      The profile of gradients before and after, and the whole diagnosis after.

    Raises:
      InputError: if nothing is to be changed, a name is unknown, the function is not elementwise, there is no
        gain, or the diagnosis does not have its model any more because it was pickled.

    Examples:
      >>> import jax.numpy as jnp
      >>> import jaxact
      >>> def network(params, batch):
      ...     return jnp.tanh(batch[0] @ params["first"]) @ params["second"]
      >>> params = {"first": jnp.ones((3, 4)), "second": jnp.eye(4)}
      >>> diagnosis = jaxact.diagnose((network, params), (jnp.ones((8, 3)), jnp.zeros(8, int)))
      >>> found = diagnosis.what_if("relu")
      >>> [(site.layer, site.name, site.saturated) for site in (*diagnosis.sites, *found.after.sites)]
      [('first', 'tanh', 1.0), ('first', 'relu', 0.0)]
    """
    source = diagnosis._source
    if source is None:
        raise InputError("this diagnosis was pickled or made of parts: call jaxact.diagnose again for what_if")
    if activation is None and initializer is None:
        raise InputError("what_if needs an activation or an initializer")
    traced, chosen = source.traced, _chosen(source.traced.sites, layers)
    name = None
    if activation is not None:
        fn = get(activation)
        name = _name(fn)
        sites = [_replaced(site, fn) if i in chosen else site for i, site in enumerate(traced.sites)]
        traced = traced._replace(sites=sites, step=traced.step_of(sites))
    parameters, how = source.parameters, None
    if initializer is not None:
        parameters = initialized(
            traced, chosen, parameters, initializer, jax.random.key(0) if key is None else key
        )
        how = initializer if isinstance(initializer, str) else shown(initializer)
    after = measure(source._replace(traced=traced, parameters=parameters))
    return WhatIf(name, how, diagnosis, after, _profile(diagnosis, after))


def _name(fn: Callable) -> str:
    return serialize(fn) if find(fn) is not None else shown(fn)


def _chosen(sites: Sequence[Site], layers: Sequence[str] | None) -> set[int]:
    """The indices of the sites of some layers."""
    names = [(site.layer.path if site.layer else "-").removesuffix(".kernel") for site in sites]
    if layers is None:
        return set(range(len(sites)))
    wanted = [layers] if isinstance(layers, str) else list(layers)
    unknown = [shown(layer) for layer in wanted if layer not in names]
    if unknown or not wanted:
        raise InputError(f"layers must be among {', '.join(dict.fromkeys(names))}, got {(*unknown, 'none')[0]}")
    return {i for i, name in enumerate(names) if name in wanted}


def _replaced(site: Site, fn: Callable) -> Site:
    old = site.function
    function = Replaced(old.program, old.root, old.end, (), {}, fn, old.narrowest)
    aval = old.program.avals[old.root]
    try:
        shape = jax.eval_shape(fn, jax.ShapeDtypeStruct(aval.shape, aval.dtype)).shape
    except Exception as error:  # whatever a function does with an array it does not expect
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"activation {shown(fn)} cannot be applied to the activations: {reason}") from None
    if shape != aval.shape:
        raise InputError(f"activation must be elementwise, but {shown(fn)} makes {aval.shape} into {shape}")
    row = find(fn)
    name = serialize(fn) if row else name_of(function, None) or facts_of(function).with_parameters
    return dataclasses.replace(site, function=function, name=name)


def _profile(before: Diagnosis, after: Diagnosis) -> tuple[Step, ...]:
    old = dict(zip(_places(before), zip(_relative(before), before.sites, strict=True), strict=True))
    rows = zip(_places(after), after.sites, _relative(after), _predicted(after), strict=True)
    steps = []
    for place, site, share, predicted in rows:
        was, record = old.get(place, (None, None))
        flat = None if record is None else record.saturated
        steps.append(Step(site.where, site.name, was, share, predicted, flat, site.saturated))
    return tuple(steps)


def _places(diagnosis: Diagnosis) -> list[tuple]:
    """What tells the sites of two diagnoses of one model apart: branches taken may differ."""
    places = [(site.layer, site.index, site.file, site.line) for site in diagnosis.sites]
    return [(*place, places[:i].count(place)) for i, place in enumerate(places)]


def _relative(diagnosis: Diagnosis) -> list[float]:
    last = diagnosis.sites[-1].gradient_z if diagnosis.sites else 0.0
    return [site.gradient_z / last if last else math.nan for site in diagnosis.sites]


def _predicted(diagnosis: Diagnosis) -> list[float | None]:
    """For each site the product of the roots of chi_1 to the last one."""
    shares: list[float | None] = [None] * len(diagnosis.sites)
    shares[-1:] = [1.0] * len(shares[-1:])
    for i in reversed(range(len(shares) - 1)):
        onward = [flow for flow in diagnosis.flows if flow.source == i]
        if len(onward) == 1 and onward[0].chi_1 is not None:
            share = shares[onward[0].target]
            shares[i] = None if share is None else share * onward[0].chi_1 ** 0.5
    return shares


def _cells(step: Step) -> tuple[str, ...]:
    numbers = (f"{x:.3g}" if x is not None else "-" for x in (step.before, step.after, step.predicted))
    flat = ("-" if x is None else f"{x:.1%}" for x in (step.saturated_before, step.saturated_after))
    return (step.where, step.name or "?", *numbers, *flat)
