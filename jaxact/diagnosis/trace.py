"""From a model to its sites, and to the step that measures them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxact.diagnosis.jaxprs import Program, flatten
from jaxact.diagnosis.links import Link, links, scaled_inputs
from jaxact.diagnosis.models import Model, cross_entropy, path_of
from jaxact.diagnosis.regions import is_whole, variables_of
from jaxact.diagnosis.sites import Inputs, NotCovered, Site, find_sites
from jaxact.diagnosis.tap import Taps, tapped_step
from jaxact.errors import InputError


class Traced(NamedTuple):
    """The sites of a model, and the tapped step that measures them.

    Attributes:
      model: the model in pure form.
      program: its forward pass.
      sites: the sites.
      links: what stands before each of them.
      axes: for each site, the axis that grows with the batch.
      not_covered: what is none although it holds activations.
      entries: the variables where the batch comes in.
      step: ``step(parameters, state, batch)``, one forward and one backward pass; pure, to be compiled.
      step_of: makes such a step of other sites, which may have other functions.
    """

    model: Model
    program: Program
    sites: list[Site]
    links: list[Link]
    axes: list[int]
    not_covered: list[NotCovered]
    entries: list[int]
    step: Callable[[Any, Any, Any], Taps]
    step_of: Callable[[list[Site]], Callable[[Any, Any, Any], Taps]]


def trace(
    model: Model, batch: Any, loss_fn: Callable[[Any, Any], Array] | None, *, histograms: bool = True
) -> Traced:
    """The sites of a model in pure form, and its tapped step.

    Args:
      model: from `model_of`.
      batch: the batch, as arrays.
      loss_fn: as for `diagnose`.
      histograms: whether to make histograms, for quantiles.

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
    table = variables_of(program, set(parameters), set(data))
    axes = _batch_axes(model, arguments, program, sites)
    entries = scaled_inputs(program, table, data)

    def step_of(sites: list[Site]) -> Callable[[Any, Any, Any], Taps]:
        tapped = tapped_step(program, sites, axes, loss, entries=entries, histograms=histograms)

        def step(parameters: Any, state: Any, batch: Any) -> Taps:
            inputs = batch[0] if pair and not model.takes_batch else batch
            return tapped(jax.tree.leaves(parameters), jax.tree.leaves((state, inputs)), batch)

        return step

    chain = links(program, table, sites)
    return Traced(model, program, sites, chain, axes, skipped, entries, step_of(sites), step_of)


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
