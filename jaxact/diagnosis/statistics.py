"""The record of one activation, out of what was added up at it."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jaxact.diagnosis.sites import Site
from jaxact.diagnosis.sums import Forward, edges
from jaxact.diagnosis.tap import Measured

QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
"""The quantiles that are kept."""

RARE = 0.01
"""A unit is rarely active if a smaller share of its activations is not 0."""

GRADIENT_TAU = 0.01
"""A unit is cut off from the gradient if its share of it, by that of the mean unit, is at most this."""


@dataclasses.dataclass(frozen=True)
class Spread:
    """Mean, standard deviation and the quantiles `QUANTILES` of an array, the last from a histogram, to 2 %."""

    mean: float
    std: float
    quantiles: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class SiteRecord:
    """One activation of a model on its batches. A unit is an index of the last axis that is not the batch's.

    Attributes:
      layer: path of the weights of the layer before it, or None.
      index: which of those weights, if they are stacked for a scan, else empty.
      name: of the function in the catalogue, as `jaxact.get` takes it, with its parameters where they are
        constants other than the defaults; or None. Where no parameters fit, as learned ones, the name under which
        it was jitted.
      file: source file of the call, or None.
      line: its line, or None.
      shape: of the pre-activation.
      dtype: the narrowest one that the function computes in.
      calls: how often it was run: for each batch once, in a scan over time once a step, in a branch when taken.
      z: spread of the pre-activations.
      a: spread of the activations.
      gate: mean of |f'(z)| / max |f'|.
      slope: root of the mean of f'(z)^2.
      saturated: share of inputs with |f'(z)| < 0.01 max |f'|.
      open: share of inputs where it is saturated as a gate that is open, at 1, and keeps the state that its scan
        carries, as the forget gate of an LSTM and the update gate of a GRU do; None of any other site.
      zero: share of inputs with f'(z) = 0 exactly, in the dtype of the model.
      zero_by_dtype: share of inputs with f'(z) = 0 where the function of that name in jaxact has a slope, in
        float32; None if the function is not one of the catalogue.
      not_finite: share of inputs where z or a is no finite number.
      units: number of units.
      dead: units with f'(z) = 0 at every example and position.
      silent: units with a = 0 at every example and position (Keras' dead ReLU).
      rare: units with a not 0 at less than 1 % of examples and positions (dormant in the study of plasticity).
      dormant: units whose mean |a| is at most ``tau`` times the mean of that over all units of the site (ReDo).
      cut_off: units whose mean |dL/da| is at most 1 % of the mean of that over all units (GraMa).
      tau: the threshold of dormancy.
      examples: number of examples.
      firing_bound: the largest firing rate that a unit which was never active in so many independent examples can
        have, at a confidence of 95 %: 1 - 0.05 ** (1 / examples), about 3 / examples.
      gradient_z: Euclidean norm of the gradient of the loss with respect to z, over all uses of z; of several
        batches, the root mean square.
      gradient_a: the same for a.
      gradient_zero: share of that gradient by z that is exactly 0.
      gradient_steps: ``gradient_z`` of each call by itself, as of the steps of time of a recurrent layer; empty if
        there is but one.
    """

    layer: str | None
    index: tuple[int, ...]
    name: str | None
    file: str | None
    line: int | None
    shape: tuple[int, ...]
    dtype: str
    calls: int
    z: Spread
    a: Spread
    gate: float
    slope: float
    saturated: float
    open: float | None
    zero: float
    zero_by_dtype: float | None
    not_finite: float
    units: int
    dead: tuple[int, ...]
    silent: tuple[int, ...]
    rare: tuple[int, ...]
    dormant: tuple[int, ...]
    cut_off: tuple[int, ...]
    tau: float
    examples: int
    firing_bound: float
    gradient_z: float
    gradient_a: float
    gradient_zero: float
    gradient_steps: tuple[float, ...]

    @property
    def where(self) -> str:
        """The layer, as it is shown: "conv1.kernel" is "conv1"."""
        path = (self.layer or "-").removesuffix(".kernel")
        return path + (f"[{','.join(map(str, self.index))}]" if self.index else "")


def records_of(
    site: Site, shape: tuple[int, ...], dtype: str, batches: Sequence[tuple[int, Measured]], tau: float
) -> list[SiteRecord]:
    """The records of a site: one, or one for each iteration of the scans that have a layer in each.

    Args:
      site: from `find_sites`.
      shape: of the pre-activation.
      dtype: the narrowest one that the function computes in.
      batches: number of examples, and what was measured on them, of each batch.
      tau: threshold of dormancy.

    Returns:
      Records, in the order of the iterations; none of a site in a branch that was never taken.

    References:
      Sokar, Agarwal, Castro and Evci, "The dormant neuron phenomenon in deep reinforcement learning", 2023,
      arXiv:2302.12902, for dormant units; Dohare et al., "Loss of plasticity in deep continual learning", 2024,
      Nature 632, for rarely active ones; Liu et al., "Measure gradients, not activations! Enhancing neuronal
      activity in deep reinforcement learning", 2025, arXiv:2505.24061, for those cut off; Hanley and Lippman-Hand,
      "If nothing goes wrong, is everything all right?", 1983, for the bound.
    """
    parts = _apart(site, [measured for _, measured in batches])
    examples = sum(n for n, _ in batches)
    return [
        _record(site, shape, dtype, part, examples, tau, index)
        for index, part in parts
        if any(call.forward.calls for batch in part for call in batch)
    ]


def _apart(site: Site, batches: list[Measured]) -> list[tuple[tuple[int, ...], list[list[Measured]]]]:
    """For each iteration of the scans whose layers are apart: its index, and of each batch what was measured."""
    lengths = [loop.length for loop in site.loops]
    own = [loop.apart for loop in site.loops]
    orders = [range(n if apart else 1) for n, apart in zip(lengths, own, strict=True)]
    orders = [order[::-1] if loop.reverse else order for order, loop in zip(orders, site.loops, strict=True)]
    found = []
    for place in itertools.product(*orders):
        part = []
        for batch in batches:
            index = tuple(i if apart else slice(None) for i, apart in zip(place, own, strict=True))
            here = jax.tree.map(lambda x, index=index: x[index], batch)
            loops = len(lengths) - sum(own)
            part.append(_calls(here, loops))
        found.append((tuple(i for i, apart in zip(place, own, strict=True) if apart), part))
    return found


def _calls(measured: Measured, loops: int) -> list[Measured]:
    """What was measured in each call, of that of all the iterations of so many scans."""

    def flatten(x: Any) -> np.ndarray:
        shape = np.shape(x)
        return np.asarray(x, np.float64).reshape(math.prod(shape[:loops]), *shape[loops:])

    flat = jax.tree.map(flatten, measured)
    return [jax.tree.map(lambda x, i=i: x[i], flat) for i in range(len(flat.forward.calls))]


def _record(
    site: Site,
    shape: tuple[int, ...],
    dtype: str,
    batches: list[list[Measured]],
    examples: int,
    tau: float,
    index: tuple[int, ...],
) -> SiteRecord:
    batches = [[call for call in batch if call.forward.calls] for batch in batches]
    every = [call for batch in batches for call in batch]
    calls = len(every)
    size = math.prod(shape)
    forward = [call.forward for call in every]
    blank = forward[0]

    def total(of: Callable[[Forward], Any]) -> Any:
        return sum((of(f) for f in forward), np.zeros_like(of(blank)))

    def share(of: Callable[[Forward], Any]) -> float:
        return float(total(of)) / (calls * size)

    units = len(blank.firing)
    activity = total(lambda f: f.activity)
    inputs_of_unit = calls * size // max(units, 1)
    flow = sum((call.a.by_unit for call in every), np.zeros(units))
    lost, opened = share(lambda f: f.lost), share(lambda f: f.open)
    return SiteRecord(
        layer=site.layer and site.layer.path,
        index=index,
        name=site.name,
        file=site.file,
        line=site.line,
        shape=shape,
        dtype=dtype,
        calls=calls,
        z=spread_of(size, [(f.z_mean, f.z_square, f.z_bins) for f in forward]),
        a=spread_of(size, [(f.a_mean, f.a_square, f.a_bins) for f in forward]),
        gate=share(lambda f: f.gate),
        slope=share(lambda f: f.slope) ** 0.5,
        saturated=share(lambda f: f.saturated),
        open=None if opened < 0 else opened,
        zero=share(lambda f: f.zero),
        zero_by_dtype=None if lost < 0 else lost,
        not_finite=share(lambda f: f.not_finite),
        units=units,
        dead=_indices(total(lambda f: f.firing) == 0),
        silent=_indices(activity == 0),
        rare=_indices(total(lambda f: f.active) < RARE * inputs_of_unit),
        dormant=_indices(activity <= tau * activity.mean()),
        cut_off=_indices(flow <= GRADIENT_TAU * flow.mean()),
        tau=tau,
        examples=examples,
        firing_bound=1 - 0.05 ** (1 / examples),
        gradient_z=_norm([[call.z.square for call in batch] for batch in batches]),
        gradient_a=_norm([[call.a.square for call in batch] for batch in batches]),
        gradient_zero=sum(float(call.z.zero) for call in every) / (calls * size),
        gradient_steps=_steps([[call.z.square for call in batch] for batch in batches]),
    )


def _norm(batches: list[list[Any]]) -> float:
    """Root of the mean over batches of the sum over calls."""
    return float(np.mean([np.sum(calls) for calls in batches])) ** 0.5


def _steps(batches: list[list[Any]]) -> tuple[float, ...]:
    """For each of several calls, the root of the mean over batches; nothing if batches differ in their number."""
    count = len(batches[0])
    if count == 1 or any(len(batch) != count for batch in batches):
        return ()
    return tuple(_norm([[call] for call in calls]) for calls in zip(*batches, strict=True))


def spread_of(size: int, parts: Sequence[tuple[Any, ...]]) -> Spread:
    """The spread of arrays of one size, from what `sums.spread` says of each."""
    if not parts:
        return Spread(math.nan, math.nan, (math.nan,) * len(QUANTILES))
    means = np.array([part[0] for part in parts])
    mean = means.mean()
    variance = (sum(part[1] for part in parts) / size + ((means - mean) ** 2).sum()) / len(parts)
    return Spread(float(mean), float(variance**0.5), _quantiles(np.sum([bins for *_, bins in parts], axis=0)))


def _quantiles(bins: np.ndarray) -> tuple[float, ...]:
    """Quantiles of a histogram, by straight lines within its bins."""
    if not bins.size or not bins.sum():
        return (math.nan,) * len(QUANTILES)
    ends = edges()
    ends[[0, -1]] = ends[[1, -2]]  # what is beyond is told as the last edge
    below = np.concatenate([[0.0], np.cumsum(bins)]) / bins.sum()
    return tuple(float(q) for q in np.interp(QUANTILES, below, ends))


def _indices(mask: Any) -> tuple[int, ...]:
    return tuple(int(i) for i in np.flatnonzero(mask))
