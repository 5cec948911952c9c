"""A diagnosis made again and again, by one compiled step: of a network, or of many with stacked parameters."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxact.diagnosis.diagnose import summarize
from jaxact.diagnosis.models import model_of
from jaxact.diagnosis.report import Diagnosis
from jaxact.diagnosis.tap import Taps
from jaxact.diagnosis.trace import examples_of, trace
from jaxact.errors import InputError, shown


class Observer:
    """Measures a model on batches of the same shapes; the arguments are those of `jaxact.Monitor`.

    Those that `summarize` gets are its ``options``.

    Attributes:
      examples: how many examples of a batch are looked at.
    """

    def __init__(
        self,
        model: Any,
        batch: Any,
        loss_fn: Callable[[Any, Any], jax.Array] | None,
        *,
        examples: int | None,
        networks: int | None,
        options: Mapping[str, Any],
        call: Mapping[str, Any],
    ) -> None:
        """Finds the activations.

        Raises:
          InputError: if an argument cannot be used.
        """
        self._options, self._networks, self._call = options, networks, call
        pure = model_of(model, call)
        batch = jax.tree.map(jnp.asarray, batch)
        there = examples_of(batch)
        self._rowwise = there > 1
        if examples is not None and examples > there:
            raise InputError(f"examples must be at most {there}, those of the batch, got {examples}")
        self.examples = examples or there
        batch = self._first(batch)
        self._shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), batch)
        traced = trace(pure, batch, loss_fn, histograms=False)
        self._state, self._structure = pure.state, jax.tree.structure(pure.parameters)
        self._alone = [x.shape for x in jax.tree.leaves(pure.state)]
        # The first parameters are not kept: a loop may donate them, and they fill memory.
        self._traced = traced._replace(model=pure._replace(parameters=None, state=None))
        self._step: Callable[[Any, Any, Any], Taps] | None = None

    def rows_of(self, batch: Any) -> Any:
        """The examples of a batch to look at, as arrays; None if it has too few.

        Raises:
          InputError: if it is not like the first one.
        """
        if jax.tree.structure(batch) != jax.tree.structure(self._shapes):
            raise InputError(
                f"batch must have the structure {jax.tree.structure(self._shapes)} of the first one, got"
                f" {jax.tree.structure(batch)}"
            )
        rows = jax.tree.map(jnp.asarray, self._first(batch))  # cut before it goes to the device
        pairs = list(zip(jax.tree.leaves(rows), jax.tree.leaves(self._shapes), strict=True))
        cut = int(self._rowwise)
        for x, like in pairs:
            if x.dtype != like.dtype or x.ndim != like.ndim or x.shape[cut:] != like.shape[cut:]:
                raise InputError(
                    f"batch must have arrays like {like.dtype.name}{list(like.shape)}, got"
                    f" {x.dtype.name}{list(x.shape)}"
                )
        return rows if all(x.shape == like.shape for x, like in pairs) else None

    def parts_of(self, model: Any) -> tuple[Any, Any]:
        """Parameters and state of the model as it is now, or of its parameters alone, with the first state.

        Raises:
          InputError: if it is not like the first one.
        """
        parameters, state = model, self._state
        if jax.tree.structure(model) != self._structure:
            try:
                _, parameters, state, _ = model_of(model, self._call)
            except InputError:
                parameters = None
            if jax.tree.structure(parameters) != self._structure:
                raise InputError(f"model must be like the first one, or its parameters, got {shown(model)}")
        lengths = {x.shape[:1] for x in jax.tree.leaves(parameters)}
        if self._networks is not None and lengths != {(self._networks,)}:
            raise InputError(
                f"the parameters must be stacked along a first axis of {self._networks} networks, got arrays"
                f" with first axes {sorted(lengths)}"
            )
        return parameters, state

    def measure(self, parameters: Any, state: Any, rows: Any) -> list[Diagnosis]:
        """The diagnosis of each network; what is compiled is compiled by the first call."""
        if self._step is None:
            step = self._traced.step
            self._step = jax.jit(step if self._networks is None else self._stacked(step, state))
        taps, parameters = jax.device_get((self._step(parameters, state, rows), parameters))
        say = functools.partial(summarize, self._traced, **self._options)
        if self._networks is None:
            return [say([(self.examples, taps)], parameters)]
        each = (jax.tree.map(lambda x, i=i: x[i], (taps, parameters)) for i in range(self._networks))
        return [say([(self.examples, own)], weights) for own, weights in each]

    def _first(self, batch: Any) -> Any:
        return jax.tree.map(lambda x: x[: self.examples], batch) if self._rowwise else batch

    def _stacked(self, step: Callable[..., Taps], state: Any) -> Callable[..., Taps]:
        """The step over many networks; of the leaves of the state, each has its own, or all the same."""
        leaves, structure = jax.tree.flatten(state)
        axes = [None if x.shape == alone else 0 for x, alone in zip(leaves, self._alone, strict=True)]

        def flat(parameters: Any, leaves: list[Any], rows: Any) -> Taps:
            return step(parameters, jax.tree.unflatten(structure, leaves), rows)

        many = jax.vmap(flat, in_axes=(0, axes, None))
        return lambda parameters, state, rows: many(parameters, jax.tree.leaves(state), rows)
