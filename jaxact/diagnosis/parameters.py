"""The parameters of a model: their size, that of their gradient, and that of their next update."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxact.diagnosis.models import path_of
from jaxact.errors import InputError, shown


@dataclasses.dataclass(frozen=True)
class ParameterRecord:
    """One array of parameters.

    Attributes:
      path: in the tree of parameters.
      shape: of the array.
      norm: Euclidean norm.
      gradient: that of the gradient of the loss; nan if it is no number.
      update: norm of the next update by ``norm``, None if no optimizer is given. Rules of thumb say about 1e-3.
    """

    path: str
    shape: tuple[int, ...]
    norm: float
    gradient: float
    update: float | None


def parameter_records(parameters: Any, gradients: Any, optimizer: Any = None) -> tuple[ParameterRecord, ...]:
    """The record of every array of parameters.

    Args:
      parameters: tree of the parameters.
      gradients: tree of the gradients.
      optimizer: ``(transformation, state)`` of Optax, or an `nnx.Optimizer`, whose next update is computed.

    Raises:
      InputError: if the optimizer is none, or does not fit the parameters.
    """
    named = jax.tree_util.tree_flatten_with_path(parameters)[0]
    updates = [None] * len(named)
    if optimizer is not None:
        updates = jax.tree.leaves(_updates(parameters, gradients, optimizer))
    return tuple(
        ParameterRecord(path_of(path), jnp.shape(value), _norm(value), _norm(gradient), _ratio(update, value))
        for (path, value), gradient, update in zip(named, jax.tree.leaves(gradients), updates, strict=True)
    )


def weights_at(parameters: Any, path: str) -> np.ndarray:
    """The array of parameters under a path."""
    leaves = {path_of(place): leaf for place, leaf in jax.tree_util.tree_flatten_with_path(parameters)[0]}
    return np.asarray(leaves[path]).astype(np.float64)


def _updates(parameters: Any, gradients: Any, optimizer: Any) -> Any:
    if hasattr(optimizer, "tx") and hasattr(optimizer, "opt_state"):
        from flax import nnx

        optimizer = (optimizer.tx, nnx.as_pure(optimizer.opt_state))
        parameters, gradients = nnx.as_pure(parameters), nnx.as_pure(gradients)
    if not (isinstance(optimizer, tuple) and len(optimizer) == 2 and hasattr(optimizer[0], "update")):
        raise InputError(
            f"optimizer must be (transformation, state) of Optax or an nnx.Optimizer, got {shown(optimizer)}"
        )
    transformation, state = optimizer
    try:
        return jax.jit(transformation.update)(gradients, state, parameters)[0]
    except (ValueError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"the state of optimizer does not fit the parameters: {reason}") from None


def _norm(x: Any) -> float:
    return float(np.linalg.norm(np.asarray(x).astype(np.float64)))


def _ratio(update: Any, value: Any) -> float | None:
    if update is None:
        return None
    norm = _norm(value)
    return _norm(update) / norm if norm else math.inf
