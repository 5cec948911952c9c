"""The one call: from a model and a batch to the record of every activation."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxact.diagnosis.jaxprs import Program, flatten
from jaxact.diagnosis.models import Model, cross_entropy, model_of, path_of
from jaxact.diagnosis.regions import is_whole
from jaxact.diagnosis.sites import Inputs, NotCovered, Site, find_sites
from jaxact.diagnosis.statistics import SiteRecord, records_of
from jaxact.diagnosis.tap import Taps, tapped_step
from jaxact.errors import InputError, shown

_COLUMNS = ("layer", "function", "line", "z", "gate", "saturated", "zero", "dead", "dormant", "|dL/dz|", "|dL/da|")


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found. `str` gives one line a site; `rich.print` a table.

    Attributes:
      sites: one record for each activation, in the order of evaluation.
      not_covered: activations that could not be measured, each with its line and the reason.
      loss: the loss on the batch.
      gradients: its gradient, as a tree like the parameters; the plain step's, up to XLA's order of additions.
    """

    sites: tuple[SiteRecord, ...]
    not_covered: tuple[NotCovered, ...]
    loss: float
    gradients: Any = dataclasses.field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Sites, places not covered and loss as plain dicts, tuples and numbers, which `json` can write."""
        return {
            "loss": self.loss,
            "sites": [dataclasses.asdict(site) for site in self.sites],
            "not_covered": [dataclasses.asdict(place) for place in self.not_covered],
        }

    def __str__(self) -> str:
        rows = [_COLUMNS, *map(_cells, self.sites)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join(lines + [_sentence(place) for place in self.not_covered])

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table

        table = Table(*_COLUMNS)
        for site in self.sites:
            table.add_row(*_cells(site))
        return Group(table, *map(_sentence, self.not_covered))


class Traced(NamedTuple):
    """The sites of a model, and the tapped step that measures them.

    Attributes:
      model: the model in pure form.
      program: its forward pass.
      sites: the sites.
      axes: for each site, the axis that grows with the batch.
      not_covered: what is none although it holds activations.
      step: ``step(parameters, state, batch)``, one forward and one backward pass; pure, to be compiled.
    """

    model: Model
    program: Program
    sites: list[Site]
    axes: list[int]
    not_covered: list[NotCovered]
    step: Callable[[Any, Any, Any], Taps]


def diagnose(
    model: Any,
    batch: Any,
    loss_fn: Callable[[Any, Any], Array] | None = None,
    *,
    further: Iterable[Any] = (),
    tau: float = 0.025,
    call: Mapping[str, Any] | None = None,
) -> Diagnosis:
    r"""Find every activation of a model and measure it, in one forward and one backward pass.

    The activations are found in the jaxpr of the forward pass, so the model is neither edited nor wrapped: a site
    is an elementwise function :math:`a = f(z)`, not affine, of one array that depends on parameters and batch.
    Softmax, normalisation, dropout and losses are none.

    Args:
      model: nnx module; ``(linen module, variables)``; or ``(function, parameters)``, where the function takes the
        parameters and the batch and returns outputs or, as a scalar, the loss.
      batch: ``(inputs, labels)``, of which a module gets the inputs; or any tree, which it gets whole.
      loss_fn: scalar of the outputs and of the batch; None for the softmax cross-entropy with integer labels.
      tau: threshold of dormant units.
      call: keyword arguments of the module's call, as ``{"train": True}``.

    Returns:
      The diagnosis. The model keeps its state.

    Raises:
      InputError: if the model is none of these, or the loss is no scalar, or there is none.

    Examples:
      >>> def network(params, batch):
      ...     return jnp.tanh(batch[0] @ params["first"]) @ params["second"]
      >>> params = {"first": jnp.ones((3, 4)), "second": jnp.ones((4, 2))}
      >>> diagnosis = diagnose((network, params), (jnp.ones((8, 3)), jnp.zeros(8, int)))
      >>> [(site.layer, site.name) for site in diagnosis.sites]
      [('first', 'tanh')]
    """
    if isinstance(tau, bool) or not isinstance(tau, int | float) or not 0 <= tau < float("inf"):
        raise InputError(f"tau must be a number from 0 up, got {shown(tau)}")
    batch = jax.tree.map(jnp.asarray, batch)
    pure = model_of(model, call or {})
    traced = trace(pure, batch, loss_fn)
    step = jax.jit(traced.step)
    measured = []
    losses = 0
    for part in (batch, *further):
        taps = step(pure.parameters, pure.state, part)
        measured.append((examples_of(part), taps))
    records = [
        record
        for i, site in enumerate(traced.sites)
        for record in records_of(
            site,
            traced.program.avals[site.z].shape,
            traced.program.avals[site.z].dtype.name,
            [(n, taps.measured[i]) for n, taps in measured],
            tau,
        )
    ]
    gradients = jax.tree.unflatten(jax.tree.structure(pure.parameters), taps.gradients)
    return Diagnosis(tuple(records), tuple(traced.not_covered), float(taps.loss), gradients)


def trace(
    model: Model, batch: Any, loss_fn: Callable[[Any, Any], Array] | None, *, histograms: bool = True
) -> Traced:
    """The sites of a model in pure form, and its tapped step.

    Args:
      model: from `model_of`.
      batch: the batch, as arrays.
      loss_fn: as for `diagnose`.

    Returns:
      Sites, places not covered, and the step.

    Raises:
      InputError: if the loss is no scalar, or there is none.
    """
    pair = isinstance(batch, tuple | list) and len(batch) == 2
    inputs = batch[0] if pair and not model.takes_batch else batch
    arguments = (model.parameters, model.state, inputs)
    closed, shapes = jax.make_jaxpr(model.forward, return_shape=True)(*arguments)
    outputs = jax.tree.leaves(shapes)
    is_loss = loss_fn is None and len(outputs) == 1 and outputs[0].shape == ()
    structure = jax.tree.structure(shapes)

    def loss(leaves: list[Any], batch: Any) -> Array:
        if is_loss:
            return leaves[0]
        value = (loss_fn or cross_entropy)(jax.tree.unflatten(structure, leaves), batch)
        if jnp.shape(value) != ():
            raise InputError(f"loss_fn must return a scalar, got an array of shape {jnp.shape(value)}")
        return value

    program = flatten(closed, is_whole)
    named = jax.tree_util.tree_flatten_with_path(model.parameters)[0]
    values, fixed = jax.tree.leaves(arguments), jax.tree.leaves(model.state)
    parameters = {v: path_of(path) for v, (path, _) in zip(program.inputs, named, strict=False)}
    data = frozenset(program.inputs[len(named) + len(fixed) :])
    known = dict(zip(program.inputs, values, strict=True))
    sites, skipped = find_sites(program, Inputs(parameters, data, known), loss=is_loss)
    axes = _batch_axes(model, arguments, program, sites)
    tapped = tapped_step(program, sites, axes, loss, histograms=histograms)

    def step(parameters: Any, state: Any, batch: Any) -> Taps:
        inputs = batch[0] if pair and not model.takes_batch else batch
        return tapped(jax.tree.leaves(parameters), jax.tree.leaves((state, inputs)), batch)

    return Traced(model, program, sites, axes, skipped, step)


def examples_of(batch: Any) -> int:
    """Number of examples: the length of the first axis, if all arrays of the batch have it in common, else 1."""
    leaves = jax.tree.leaves(batch)
    lengths = {leaf.shape[0] if leaf.ndim else None for leaf in leaves}
    return lengths.pop() or 1 if len(lengths) == 1 else 1


def _batch_axes(model: Model, arguments: tuple, program: Program, sites: list[Site]) -> list[int]:
    """Axis of the batch in each pre-activation: what grows if the batch has one more; else the first."""
    leaves = jax.tree.leaves(arguments[2])
    if any(leaf.ndim == 0 or leaf.shape[0] != leaves[0].shape[0] for leaf in leaves):
        return [0] * len(sites)
    longer = jax.tree.map(lambda x: jax.ShapeDtypeStruct((x.shape[0] + 1, *x.shape[1:]), x.dtype), arguments[2])
    try:
        other = flatten(jax.make_jaxpr(model.forward)(*arguments[:2], longer), is_whole)
    except Exception:  # a model for batches of one size
        return [0] * len(sites)
    if [node.primitive for node in other.nodes] != [node.primitive for node in program.nodes]:
        return [0] * len(sites)
    shapes = [(program.avals[site.z].shape, other.avals[site.z].shape) for site in sites]
    grown = [[i for i, (m, n) in enumerate(zip(*pair, strict=True)) if m != n] for pair in shapes]
    return [axes[0] if axes else 0 for axes in grown]


def _cells(site: SiteRecord) -> tuple[str, ...]:
    return (
        site.layer or "-",
        site.name or "?",
        f"{Path(site.file).name}:{site.line}" if site.file else "-",
        f"{site.z.mean:.3g} ± {site.z.std:.3g}",
        f"{site.gate:.3g}",
        f"{site.saturated:.1%}",
        f"{site.zero:.1%}",
        f"{len(site.dead)}/{site.units}",
        f"{len(site.dormant)}/{site.units}",
        f"{site.gradient_z:.3g}",
        f"{site.gradient_a:.3g}",
    )


def _sentence(place: NotCovered) -> str:
    where = f" at {Path(place.file).name}:{place.line}" if place.file else ""
    return f"not covered: {place.what}{where}, {place.reason}"
