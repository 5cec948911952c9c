"""What the table says of one activation."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

from jax import Array

INF = float("inf")


@dataclasses.dataclass(frozen=True)
class Activation:
    """Facts about one activation, for its default parameters.

    Attributes:
      name: canonical name.
      function: the pure function, array in, array out.
      formula: the value as a Python expression in ``x`` and the parameters, over exp, log, sqrt, tanh, erf, erfc,
        sin, cos, atan and asinh; `jaxact.testing.reference` evaluates it.
      range: infimum and supremum of the values.
      monotone: whether the function never decreases (so that it commutes with max-pooling).
      kinks: inputs at which the function is not differentiable.
      derivative_at_0: what `jax.grad` gives at 0.
      paper: where it was introduced, or None for what is older than the field.
      aliases: other names that `get` takes.
      kink_slopes: the derivative that is taken at each of the kinks.
      domain: the inputs that have a real value.
    """

    name: str
    function: Callable[..., Array]
    formula: str
    range: tuple[float, float]
    monotone: bool
    kinks: tuple[float, ...]
    derivative_at_0: float
    paper: str | None
    aliases: tuple[str, ...] = ()
    kink_slopes: tuple[float, ...] = ()
    domain: tuple[float, float] = (-INF, INF)

    @property
    def parameters(self) -> dict[str, Any]:
        """Names of the parameters after ``x``, with their defaults."""
        (_, *rest) = inspect.signature(self.function).parameters.values()
        return {p.name: p.default for p in rest}
