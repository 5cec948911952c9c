"""What can be diagnosed, brought to one form: a function of parameters, of other state, and of the batch."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxact.errors import InputError, shown


class Model(NamedTuple):
    """A model in pure form.

    Attributes:
      forward: ``forward(parameters, state, inputs)``, the outputs.
      parameters: tree of what the loss is differentiated by.
      state: tree of what is neither (statistics, random keys).
      takes_batch: whether the inputs are the whole batch, labels included.
    """

    forward: Callable[[Any, Any, Any], Any]
    parameters: Any
    state: Any
    takes_batch: bool


def model_of(model: Any, call: Mapping[str, Any]) -> Model:
    """The pure form of a model; Flax is looked at only where it is already imported.

    Args:
      model: nnx module, (linen module, variables), or (function, parameters).
      call: keyword arguments of the call of a module.

    Returns:
      The pure form; the module given is not changed.

    Raises:
      InputError: if it is none of these.
    """
    flax = sys.modules.get("flax")
    if flax is not None and isinstance(model, flax.nnx.Module):
        return _of_nnx(model, call)
    if isinstance(model, tuple) and len(model) == 2:
        if flax is not None and isinstance(model[0], flax.linen.Module):
            return _of_linen(*model, call)
        if callable(model[0]) and not call:
            function, parameters = model
            return Model(lambda p, state, batch: function(p, batch), parameters, (), True)
    raise InputError(
        f"model must be an nnx module, (linen module, variables) or (function, parameters), got {shown(model)}"
    )


def _of_nnx(model: Any, call: Mapping[str, Any]) -> Model:
    from flax import nnx

    graph, parameters, state = nnx.split(model, nnx.Param, ...)

    def forward(parameters: Any, state: Any, inputs: Any) -> Any:
        return nnx.merge(graph, parameters, state, copy=True)(inputs, **call)

    return Model(forward, parameters, state, False)


def _of_linen(module: Any, variables: Mapping[str, Any], call: Mapping[str, Any]) -> Model:
    if "params" not in variables:
        raise InputError(f"variables must hold 'params', got the collections {sorted(variables)}")
    state = {name: value for name, value in variables.items() if name != "params"}

    def forward(parameters: Any, state: Any, inputs: Any) -> Any:
        rngs = {"dropout": jax.random.key(0)}
        outputs, _ = module.apply({"params": parameters, **state}, inputs, mutable=list(state), rngs=rngs, **call)
        return outputs

    return Model(forward, variables["params"], state, False)


def cross_entropy(outputs: Any, batch: Any) -> Array:
    """Mean softmax cross-entropy of logits with integer labels, the second part of the batch.

    Args:
      outputs: logits, [..., classes].
      batch: inputs and labels.

    Returns:
      The loss.

    Raises:
      InputError: if there are no logits and no labels that fit them.
    """
    labels = batch[1] if isinstance(batch, tuple | list) and len(batch) == 2 else None
    if not (isinstance(outputs, jax.Array) and isinstance(labels, jax.Array)) or not (
        jnp.issubdtype(labels.dtype, jnp.integer) and labels.shape == outputs.shape[:-1]
    ):
        raise InputError(
            "loss_fn must be given as loss_fn(outputs, batch), unless the batch is (inputs, integer labels) and"
            " the outputs are logits"
        )
    log_p = jax.nn.log_softmax(outputs)
    return -jnp.mean(jnp.take_along_axis(log_p, labels[..., None], axis=-1))


def path_of(path: Any) -> str:
    """A path in a tree of parameters, as in "dense1.kernel"."""
    text = jax.tree_util.keystr(path, simple=True, separator=".")
    return text.removesuffix(".value").removeprefix("params.")
