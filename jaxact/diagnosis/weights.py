"""New weights for the layers of a traced model."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.nn import initializers as known

from jaxact.diagnosis.flow import true_function
from jaxact.diagnosis.layers import stacked_axes
from jaxact.diagnosis.models import path_of
from jaxact.diagnosis.sites import Site
from jaxact.diagnosis.trace import Traced
from jaxact.errors import InputError, shown
from jaxact.initializers import for_activation

NAMED = (
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
)
"""The initialisers of `jax.nn.initializers` that go by their names."""


def initialized(traced: Traced, chosen: set[int], parameters: Any, initializer: Any, key: Array) -> Any:
    """The parameters with new weights in the layers before sites, and biases of 0 beside them.

    Args:
      traced: the model, with the functions that the gains are to be of.
      chosen: indices of the sites.
      parameters: tree of the parameters.
      initializer: as for `what_if`.
      key: random key.

    Raises:
      InputError: if the initialiser is none, or there is no gain.
    """
    if not (callable(initializer) or initializer in ("gain", *NAMED)):
        names = ", ".join(map(repr, ("gain", *NAMED)))
        raise InputError(
            f"initializer must be init(key, shape, dtype) or one of {names}, got {shown(initializer)}"
        )
    fresh: dict[str, tuple[Callable, Site]] = {}
    for i in sorted(chosen):
        site = traced.sites[i]
        if site.layer is not None:
            fresh.setdefault(site.layer.path, (_initializer(traced, i, initializer), site))
    named, structure = jax.tree_util.tree_flatten_with_path(parameters)
    zeros = {f"{path.rpartition('.')[0]}.bias".removeprefix(".") for path in fresh}
    leaves = []
    for (place, leaf), one in zip(named, jax.random.split(key, len(named)), strict=True):
        path = path_of(place)
        if path in fresh:
            leaf = _drawn(*fresh[path], one, leaf)
        elif path in zeros:
            leaf = jnp.zeros_like(leaf)
        leaves.append(leaf)
    return jax.tree.unflatten(structure, leaves)


def _initializer(traced: Traced, index: int, initializer: Any) -> Callable:
    """The initialiser of the layer before a site."""
    if not isinstance(initializer, str):
        return initializer
    if initializer != "gain":
        return getattr(known, initializer)()
    link = traced.links[index]
    sources = link.sources or link.before
    if link.from_input and not sources:
        return known.variance_scaling(1.0, "fan_in", "truncated_normal")
    before = traced.sites[sources[0] if sources else index]
    return for_activation(true_function(before))


def _drawn(init: Callable, site: Site, key: Array, old: Array) -> Array:
    """New weights of a layer; where they are stacked for a scan, of each iteration by itself."""
    axes = stacked_axes(site.loops)
    if axes is None:
        path = site.layer.path if site.layer else site.name
        raise InputError(
            f"initializer cannot be put into {path}, which a scan does not take along one of its axes"
        )
    first = range(len(axes))
    moved = jnp.moveaxis(old, axes, first)
    lead, shape = moved.shape[: len(first)], moved.shape[len(first) :]
    if len(shape) < 2:
        return old
    drawn, fan_in = shape, site.layer.fan_in if site.layer else None
    if fan_in is not None and math.prod(shape[:-1]) != fan_in:  # as of heads: several axes of outputs
        inputs = list(itertools.accumulate(shape, lambda m, n: m * n))
        if fan_in in inputs:
            drawn = (fan_in, math.prod(shape) // fan_in)
    keys = jax.random.split(key, math.prod(lead))
    weights = jnp.stack([jnp.asarray(init(one, drawn, old.dtype)) for one in keys])
    if weights.shape[1:] != drawn:
        raise InputError(f"initializer must make weights of shape {drawn}, got {weights.shape[1:]}")
    return jnp.moveaxis(weights.reshape(moved.shape), first, axes).astype(old.dtype)
