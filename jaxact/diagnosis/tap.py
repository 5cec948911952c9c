"""One forward and one backward pass that also add up what goes through the sites, in both directions."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxact.diagnosis import sums
from jaxact.diagnosis.jaxprs import Program, Tap, evaluate
from jaxact.diagnosis.recover import Replaced
from jaxact.diagnosis.sites import Site


class Measured(NamedTuple):
    """What one step says of a site, in scans with one axis for each, outermost first.

    Attributes:
      forward: of the values.
      z: of the gradient by the pre-activations, over all their uses.
      a: of the gradient by the activations.
    """

    forward: sums.Forward
    z: sums.Backward
    a: sums.Backward


class Taps(NamedTuple):
    """Results of a tapped step.

    Attributes:
      loss: the loss.
      gradients: its gradient with respect to the parameters, as leaves.
      measured: of each site.
      entries: spread of each variable where the batch comes in, as `sums.spread`.
    """

    loss: Array
    gradients: list[Array]
    measured: list[Measured]
    entries: list[tuple[Array, Array, Array]]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def probe(measure: Callable[[Array], Any], x: Array, slot: Any) -> Array:
    """``x``; the gradient with respect to ``slot`` is ``measure`` of that with respect to ``x``."""
    del measure, slot
    return x


def _probe_forward(measure: Callable, x: Array, slot: Any) -> tuple[Array, None]:
    del measure, slot
    return x, None


def _probe_backward(measure: Callable[[Array], Any], residual: None, cotangent: Array) -> tuple[Array, Any]:
    del residual
    return cotangent, measure(cotangent)


probe.defvjp(_probe_forward, _probe_backward)


def tapped_step(
    program: Program,
    sites: Sequence[Site],
    axes: Sequence[int],
    loss: Callable[[list[Any], Any], Array],
    *,
    entries: Sequence[int] = (),
    histograms: bool = True,
) -> Callable[[list[Array], list[Any], Any], Taps]:
    """The step of a program with probes at sites, to be compiled.

    Args:
      program: the forward pass; its first inputs are the parameters.
      sites: where to measure; a function that is `Replaced` takes the place of the program's.
      axes: for each site, the axis of the batch.
      loss: scalar of the outputs of the program and of the batch.
      entries: variables where the batch comes in.
      histograms: whether to make histograms, which cost more than the rest.

    Returns:
      Pure function of the parameters, of the other inputs, and of the batch. A probe adds nothing to what it
      passes, so the gradients are those of the step without probes, up to the order in which XLA adds in either
      program.
    """
    taps: dict[int, Tap] = {}
    slots: dict[int, sums.Backward] = {}
    for site, axis in zip(sites, axes, strict=True):
        back = functools.partial(sums.backward, axis=axis)
        # an array may be the activation of one site and the pre-activation of the next
        taps[site.z] = taps.get(site.z, _tap(back, None))
        new = site.function if isinstance(site.function, Replaced) else None
        taps[site.a] = _tap(back, _forwards(site, axis, histograms), new and _instead(site.z, new))
        lengths = tuple(loop.length for loop in site.loops)
        for v in (site.z, site.a):
            none = sums.empty(program.avals[v].shape, axis)
            slots[v] = jax.tree.map(lambda x, n=lengths: jnp.zeros(n + x.shape, x.dtype), none)

    for v in entries:
        taps[v] = lambda value, env, slot: (value, sums.spread(lax.stop_gradient(value), histograms))

    def scalar(parameters: list[Array], slots: dict[int, Any], rest: list[Any], batch: Any):
        outputs, kept = evaluate(program, [*parameters, *rest], taps, slots)
        return loss(outputs, batch), {v: found for v, found in kept.items() if found is not None}

    def step(parameters: list[Array], rest: list[Any], batch: Any) -> Taps:
        run = jax.value_and_grad(scalar, argnums=(0, 1), has_aux=True)
        (value, kept), (gradients, back) = run(parameters, slots, rest, batch)
        measured = [Measured(kept[s.a], back[s.z], back[s.a]) for s in sites]
        return Taps(value, gradients, measured, [kept[v] for v in entries])

    return step


def _forwards(site: Site, axis: int, histograms: bool) -> Callable[[Array, Any], sums.Forward]:
    measure = sums.Forwards(site, axis, histograms=histograms)

    def keep(a: Array, env: Any) -> sums.Forward:
        return measure(env[site.z], a, {v: env[v] for v in site.function.scalars})

    return keep


def _instead(z: int, function: Replaced) -> Callable[[Any], Any]:
    return lambda env: function.at(env[z], {})


def _tap(
    back: Callable[[Array], sums.Backward],
    keep: Callable[[Array, Any], sums.Forward] | None,
    instead: Callable[[Any], Any] | None = None,
) -> Tap:
    def tap(value: Any, env: Any, slot: Any) -> tuple[Any, Any]:
        passed: Any = probe(back, value if instead is None else instead(env), slot)
        return passed, None if keep is None else keep(passed, env)

    return tap
