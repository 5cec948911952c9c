"""What is added up at a site inside the compiled step, so that nothing of the size of an activation leaves it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxact.catalog import get
from jaxact.diagnosis.facts import agrees, facts_of
from jaxact.diagnosis.sites import Site

SATURATED = 0.01
"""A unit is saturated at an input where its slope is below this share of the steepest slope of its function."""

OCTAVES, PER_OCTAVE = 24, 16
"""Bins of histograms: from 2^-24 to 2^24 in either direction, so many to a factor of 2."""


class Forward(NamedTuple):
    """What a forward pass says of one site; counts are int32, the rest float32.

    Attributes:
      calls: how often the site was run: 1, or 0 in a branch that was not taken.
      z_mean: mean of the pre-activations.
      z_square: sum of their squared distances from it.
      a_mean: mean of the activations.
      a_square: sum of their squared distances from it.
      z_bins: histogram of the pre-activations, over `edges`; empty if it is not asked for.
      a_bins: that of the activations.
      gate: sum of |f'(z)| / max |f'|.
      slope: sum of f'(z)^2.
      saturated: inputs with |f'(z)| < 0.01 max |f'|.
      open: those of them with z > 0, of a gate that keeps a state; -1 for any other site.
      zero: inputs with f'(z) = 0 exactly.
      lost: those of them where the function of that name in jaxact has a slope, in float32; -1 if unknown.
      not_finite: pre-activations or activations that are no finite numbers.
      firing: for each unit, inputs with f'(z) not 0.
      active: for each unit, activations that are not 0.
      activity: for each unit, the sum of the |a|.
    """

    calls: Array
    z_mean: Array
    z_square: Array
    a_mean: Array
    a_square: Array
    z_bins: Array
    a_bins: Array
    gate: Array
    slope: Array
    saturated: Array
    open: Array
    zero: Array
    lost: Array
    not_finite: Array
    firing: Array
    active: Array
    activity: Array


class Backward(NamedTuple):
    """What a backward pass says of one variable of a site, float32.

    Attributes:
      square: sum of the squares of the gradient.
      zero: how many of its numbers are 0.
      not_finite: how many are no finite numbers.
      by_unit: for each unit, the sum of its absolute values.
    """

    square: Array
    zero: Array
    not_finite: Array
    by_unit: Array


def edges() -> np.ndarray:
    """The edges of the bins of histograms, from minus to plus infinity."""
    powers = 2.0 ** (np.arange(2 * OCTAVES * PER_OCTAVE + 1) / PER_OCTAVE - OCTAVES)
    return np.concatenate([[-np.inf], -powers[::-1], powers, [np.inf]])


def by_unit(x: Array, axis: int) -> Array:
    """Examples and positions by units: a unit is an index of the last axis that is not the batch's."""
    if x.ndim < 2:
        return x.reshape(-1, 1)
    last = x.ndim - 1 if axis != x.ndim - 1 else x.ndim - 2
    moved = jnp.moveaxis(x, last, -1)
    return moved.reshape(-1, moved.shape[-1])


class Forwards:
    """Measures a site in a forward pass.

    Attributes:
      site: the site.
      axis: the axis of the batch in its arrays.
      histograms: whether to make histograms.
    """

    def __init__(self, site: Site, axis: int, *, histograms: bool):
        self.site, self.axis, self.histograms = site, axis, histograms
        self.steepest = facts_of(site.function).steepest
        self.exact = get(site.name) if site.name is not None and agrees(site.function, site.name) else None

    def __call__(self, z: Array, a: Array, scalars: Any) -> Forward:
        """The sums for pre-activations and activations, with the scalars of the function as they are now."""
        z, a, scalars = lax.stop_gradient((z, a, scalars))
        value, pull = jax.vjp(lambda z: self.site.function.at(z, scalars), z)
        slope = jnp.abs(pull(jnp.ones_like(value))[0].astype(jnp.float32))
        top = jnp.maximum(slope.max(initial=0.0), self.steepest)
        gate = jnp.where(top > 0, slope / jnp.where(top > 0, top, 1), 0)
        flat = slope == 0
        lost = jnp.int32(-1)
        if self.exact is not None:
            true, pull = jax.vjp(self.exact, z.astype(jnp.float32))
            lost = jnp.sum(flat & (pull(jnp.ones_like(true))[0] != 0), dtype=jnp.int32)
        z, a = z.astype(jnp.float32), a.astype(jnp.float32)
        z_mean, z_square, z_bins = spread(z, self.histograms)
        a_mean, a_square, a_bins = spread(a, self.histograms)
        saturated = gate < SATURATED
        opened = jnp.sum(saturated & (z > 0), dtype=jnp.int32) if self.site.keeps else jnp.int32(-1)
        bad = ~(jnp.isfinite(z) & jnp.isfinite(a))
        return Forward(
            jnp.int32(1),
            z_mean,
            z_square,
            a_mean,
            a_square,
            z_bins,
            a_bins,
            gate.sum(),
            (slope**2).sum(),
            jnp.sum(saturated, dtype=jnp.int32),
            opened,
            jnp.sum(flat, dtype=jnp.int32),
            lost,
            jnp.sum(bad, dtype=jnp.int32),
            jnp.sum(by_unit(~flat, self.axis), 0, dtype=jnp.int32),
            jnp.sum(by_unit(a != 0, self.axis), 0, dtype=jnp.int32),
            by_unit(jnp.abs(a), self.axis).sum(axis=0),
        )


def backward(cotangent: Array, axis: int) -> Backward:
    """The sums over the gradient by a variable."""
    g = jnp.abs(cotangent.astype(jnp.float32))
    return Backward(
        (g * g).sum(),
        jnp.sum(g == 0, dtype=jnp.float32),
        jnp.sum(~jnp.isfinite(g), dtype=jnp.float32),
        by_unit(g, axis).sum(axis=0),
    )


def empty(shape: tuple[int, ...], axis: int) -> Backward:
    """The sums over nothing, for a variable of a shape."""
    units = jax.eval_shape(lambda x: by_unit(x, axis), jax.ShapeDtypeStruct(shape, jnp.float32)).shape[1]
    return Backward(jnp.zeros(()), jnp.zeros(()), jnp.zeros(()), jnp.zeros(units))


def spread(x: Array, histogram: bool) -> tuple[Array, Array, Array]:
    """Mean, sum of squared distances from it, and histogram (empty if it is not asked for) of an array."""
    x = x.astype(jnp.float32)
    mean = x.mean()
    return mean, ((x - mean) ** 2).sum(), _bins(x) if histogram else jnp.zeros(0, jnp.int32)


def _bins(x: Array) -> Array:
    size = 2 * OCTAVES * PER_OCTAVE + 1
    place = jnp.floor((jnp.log2(jnp.abs(x)) + OCTAVES) * PER_OCTAVE) + 1
    place = jnp.where(jnp.isnan(x), 0, jnp.clip(place, 0, size)).astype(jnp.int32)
    index = size + jnp.where(x < 0, -place, place)
    return jnp.zeros(2 * size + 1, jnp.int32).at[index.reshape(-1)].add(1)
