"""One forward and one backward pass that also give what goes through the sites, in both directions."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxact.diagnosis.jaxprs import Program, evaluate


class Taps(NamedTuple):
    """Results of a tapped step.

    Attributes:
      loss: the loss.
      gradients: its gradient with respect to the parameters, as leaves.
      values: value of each tapped variable.
      cotangents: gradient of the loss with respect to each tapped variable, over all its uses.
    """

    loss: Array
    gradients: list[Array]
    values: dict[int, Array]
    cotangents: dict[int, Array]


@jax.custom_vjp
def probe(x: Array, slot: Array) -> Array:
    """``x``; the gradient with respect to ``slot``, of the same shape, is that with respect to ``x``."""
    del slot
    return x


def _probe_forward(x: Array, slot: Array) -> tuple[Array, None]:
    del slot
    return x, None


def _probe_backward(residual: None, cotangent: Array) -> tuple[Array, Array]:
    del residual
    return cotangent, cotangent


probe.defvjp(_probe_forward, _probe_backward)


def tapped_step(
    program: Program, variables: Sequence[int], loss: Callable[[list[Any], Any], Array]
) -> Callable[[list[Array], list[Any], Any], Taps]:
    """The compiled step of a program with probes on variables.

    Args:
      program: the forward pass; its first inputs are the parameters.
      variables: what to tap.
      loss: scalar of the outputs of the program and of the batch.

    Returns:
      Function of the parameters, of the other inputs, and of the batch. A probe adds nothing to what it passes,
      so the gradients are those of the step without probes, up to the order in which XLA adds in either program.
    """
    tapped = set(variables)

    def scalar(parameters: list[Array], slots: dict[int, Array], rest: list[Any], batch: Any):
        values: dict[int, Array] = {}

        def tap(variable: int, value: Any) -> Any:
            values[variable] = probe(value, slots[variable])
            return values[variable]

        taps = {v: functools.partial(tap, v) for v in tapped}
        return loss(evaluate(program, [*parameters, *rest], taps), batch), values

    @jax.jit
    def step(parameters: list[Array], rest: list[Any], batch: Any) -> Taps:
        slots = {v: jnp.zeros(program.avals[v].shape, program.avals[v].dtype) for v in tapped}
        run = jax.value_and_grad(scalar, argnums=(0, 1), has_aux=True)
        (value, values), (gradients, cotangents) = run(parameters, slots, rest, batch)
        return Taps(value, gradients, values, cotangents)

    return step
