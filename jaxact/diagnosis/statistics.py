"""What the numbers of one site say: spread, saturation, dead and dormant units, gradient norms."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxact.catalog import get
from jaxact.diagnosis.naming import agrees
from jaxact.diagnosis.sites import Site

QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
"""The quantiles that are kept."""

SATURATED = 0.01
"""A unit is saturated at an input where its slope is below this share of the steepest slope of its function."""


@dataclasses.dataclass(frozen=True)
class Spread:
    """Mean, standard deviation and the quantiles `QUANTILES` of an array."""

    mean: float
    std: float
    quantiles: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class SiteRecord:
    """One activation of a model on one batch. A unit is an index of the last axis that is not the batch's.

    Attributes:
      layer: path of the weights of the layer before it, or None.
      name: of the function in the catalogue, or None; with other parameters than the default, the name under
        which it was jitted.
      file: source file of the call, or None.
      line: its line, or None.
      shape: of the pre-activation.
      dtype: of the pre-activation.
      z: spread of the pre-activations.
      a: spread of the activations.
      gate: mean of |f'(z)| / max |f'|.
      saturated: share of inputs with |f'(z)| < 0.01 max |f'|.
      zero: share of inputs with f'(z) = 0 exactly, in the dtype of the model.
      zero_by_dtype: share of inputs with f'(z) = 0 in that dtype and not in float64; None if the function is not
        one of the catalogue, whose float64 values are used.
      units: number of units.
      dead: units with f'(z) = 0 at every example and position.
      dormant: units whose mean |a| is at most ``tau`` times the mean of that over all units of the site.
      tau: the threshold of dormancy.
      examples: size of the batch.
      firing_bound: the largest firing rate that a unit which was never active in so many independent examples can
        have, at a confidence of 95 %: 1 - 0.05 ** (1 / examples), about 3 / examples.
      gradient_z: Euclidean norm of the gradient of the loss with respect to z, over all uses of z.
      gradient_a: the same for a.
    """

    layer: str | None
    name: str | None
    file: str | None
    line: int | None
    shape: tuple[int, ...]
    dtype: str
    z: Spread
    a: Spread
    gate: float
    saturated: float
    zero: float
    zero_by_dtype: float | None
    units: int
    dead: tuple[int, ...]
    dormant: tuple[int, ...]
    tau: float
    examples: int
    firing_bound: float
    gradient_z: float
    gradient_a: float


def record_of(
    site: Site, z: Array, a: Array, dz: Array, da: Array, batch: tuple[int, int], tau: float
) -> SiteRecord:
    """The record of a site.

    Args:
      site: from `find_sites`.
      z: pre-activations.
      a: activations.
      dz: gradient of the loss with respect to ``z``.
      da: gradient of the loss with respect to ``a``.
      batch: axis of the batch, and number of examples.
      tau: threshold of dormancy.

    Returns:
      The record.

    References:
      Sokar, Agarwal, Castro and Evci, "The dormant neuron phenomenon in deep reinforcement learning", 2023,
      arXiv:2302.12902, for dormant units; Hanley and Lippman-Hand, "If nothing goes wrong, is everything all
      right?", 1983, for the bound.
    """
    slope = np.abs(_float64(slope_of(site, z)))
    steepest = max(float(slope.max()), _steepest(site, z.dtype))
    gate = slope / steepest if steepest else slope
    flat = slope == 0
    axis, examples = batch
    activity = _by_unit(np.abs(_float64(a)), axis).mean(axis=0)
    units = activity.size
    return SiteRecord(
        layer=site.layer,
        name=site.name,
        file=site.file,
        line=site.line,
        shape=z.shape,
        dtype=z.dtype.name,
        z=_spread(z),
        a=_spread(a),
        gate=float(gate.mean()),
        saturated=float((gate < SATURATED).mean()),
        zero=float(flat.mean()),
        zero_by_dtype=_zero_by_dtype(site, z, flat),
        units=units,
        dead=_indices(_by_unit(flat, axis).all(axis=0)),
        dormant=_indices(activity <= tau * activity.mean()),
        tau=tau,
        examples=examples,
        firing_bound=1 - 0.05 ** (1 / examples),
        gradient_z=float(np.linalg.norm(_float64(dz))),
        gradient_a=float(np.linalg.norm(_float64(da))),
    )


def _by_unit(x: np.ndarray, axis: int) -> np.ndarray:
    """Examples and positions by units."""
    if x.ndim < 2:
        return x.reshape(-1, 1)
    last = x.ndim - 1 if axis != x.ndim - 1 else x.ndim - 2
    moved = np.moveaxis(x, last, -1)
    return moved.reshape(-1, moved.shape[-1])


def slope_of(site: Site, z: Any) -> Array:
    """f'(z) of the function of a site, by its own rules of differentiation."""

    @jax.jit
    def slope(z: Array) -> Array:
        value, pull = jax.vjp(site.function, z)
        return pull(jnp.ones_like(value))[0]

    return slope(jnp.asarray(z))


def _steepest(site: Site, dtype: Any) -> float:
    """Max |f'| over [-8, 8], at steps of 1/128."""
    return float(np.nanmax(np.abs(_float64(slope_of(site, jnp.linspace(-8, 8, 2049, dtype=dtype))))))


def _zero_by_dtype(site: Site, z: Array, flat: np.ndarray) -> float | None:
    if site.name is None or not agrees(site.function, site.name):
        return None
    where = np.unique(_float64(z)[flat])
    if not where.size:
        return 0.0
    with jax.enable_x64(True):
        value, pull = jax.vjp(get(site.name), jnp.asarray(where, jnp.float64))
        alive = where[np.asarray(pull(jnp.ones_like(value))[0]) != 0]
    return float((flat & np.isin(_float64(z), alive)).mean())


def _spread(x: Array) -> Spread:
    values = _float64(x)
    return Spread(float(values.mean()), float(values.std()), tuple(map(float, np.quantile(values, QUANTILES))))


def _float64(x: Any) -> np.ndarray:
    return np.asarray(x).astype(np.float64)


def _indices(mask: Any) -> tuple[int, ...]:
    return tuple(int(i) for i in np.flatnonzero(mask))
