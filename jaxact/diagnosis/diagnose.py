"""The one call: from a model and a batch to the record of every activation."""

import dataclasses
import functools
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxact.diagnosis.flow import flows, true_function
from jaxact.diagnosis.models import model_of
from jaxact.diagnosis.parameters import parameter_records
from jaxact.diagnosis.report import Diagnosis, Source
from jaxact.diagnosis.sites import NotCovered, Site
from jaxact.diagnosis.statistics import SiteRecord, records_of, spread_of
from jaxact.diagnosis.tap import Taps
from jaxact.diagnosis.thresholds import Thresholds, checked
from jaxact.diagnosis.trace import Traced, examples_of, trace
from jaxact.diagnosis.verdicts import verdicts_of
from jaxact.errors import InputError, shown


def diagnose(
    model: Any,
    batch: Any,
    loss_fn: Callable[[Any, Any], Array] | None = None,
    *,
    further: Iterable[Any] = (),
    optimizer: Any = None,
    tau: float = 0.025,
    thresholds: Thresholds | None = None,
    call: Mapping[str, Any] | None = None,
) -> Diagnosis:
    r"""Find every activation of a model and measure it, in one forward and one backward pass.

    The activations are found in the jaxpr of the forward pass, so the model is neither edited nor wrapped: a site
    is an elementwise function :math:`a = f(z)`, not affine, of one array that depends on parameters and batch.
    Softmax, normalisation, dropout and losses are none. Sites in the body of a scan are measured in each
    iteration, and told apart where the iterations are layers with weights of their own.

    Args:
      model: nnx module; ``(linen module, variables)``; or ``(function, parameters)``, where the function takes the
        parameters and the batch and returns outputs or, as a scalar, the loss.
      batch: ``(inputs, labels)``, of which a module gets the inputs; or any tree, which it gets whole.
      loss_fn: scalar of the outputs and of the batch; None for the softmax cross-entropy with integer labels.
      further: more batches of the same shapes and dtypes; what is said is then said of all of them.
      optimizer: ``(transformation, state)`` of Optax, or an `nnx.Optimizer`, to compare its next update with the
        parameters.
      tau: threshold of dormant units.
      thresholds: from where on something is a fault, by default `Thresholds()`.
      call: keyword arguments of the module's call, as ``{"train": True}``.

    Returns:
      The diagnosis. The model keeps its state.

    Raises:
      InputError: if the model is none of these, or the loss is no scalar, or there is none, or the optimizer does
        not fit.

    Examples:
      >>> def network(params, batch):
      ...     return jnp.tanh(batch[0] @ params["first"]) @ params["second"]
      >>> params = {"first": jnp.ones((3, 4)), "second": jnp.ones((4, 2))}
      >>> diagnosis = diagnose((network, params), (jnp.ones((8, 3)), jnp.zeros(8, int)))
      >>> [(site.layer, site.name) for site in diagnosis.sites]
      [('first', 'tanh')]
    """
    if isinstance(tau, bool) or not isinstance(tau, int | float) or not 0 <= tau < float("inf"):
        raise InputError(f"tau must be a number from 0 up, got {shown(tau)}")
    options = {"tau": tau, "thresholds": checked(thresholds)}
    batches = [jax.tree.map(jnp.asarray, part) for part in (batch, *further)]
    pure = model_of(model, call or {})
    traced = trace(pure, batches[0], loss_fn)
    return measure(Source(traced, pure.parameters, batches, options), optimizer=optimizer)


def measure(source: Source, *, optimizer: Any = None) -> Diagnosis:
    """The diagnosis of a model that is traced, which keeps what it was made from."""
    traced, parameters, batches, options = source
    step = jax.jit(traced.step)
    parts = [(examples_of(part), step(parameters, traced.model.state, part)) for part in batches]
    found = summarize(traced, parts, parameters, optimizer=optimizer, **options)
    return dataclasses.replace(found, _source=source)


def summarize(
    traced: Traced,
    parts: list[tuple[int, Taps]],
    parameters: Any,
    *,
    optimizer: Any = None,
    tau: float = 0.025,
    thresholds: Thresholds | None = None,
) -> Diagnosis:
    """The diagnosis of what the steps on some batches measured.

    Args:
      traced: from `trace`.
      parts: number of examples, and result of the step, of each batch.
      parameters: tree of the parameters.
      optimizer: as for `diagnose`.
      tau: threshold of dormant units.
      thresholds: as for `diagnose`.
    """
    shapes = [traced.program.avals[site.z].shape for site in traced.sites]
    records = [
        records_of(site, shape, site.function.narrowest.name, [(n, taps.measured[i]) for n, taps in parts], tau)
        for i, (site, shape) in enumerate(zip(traced.sites, shapes, strict=True))
    ]
    examples = sum(n for n, _ in parts)
    shares = [n / examples for n, _ in parts]

    def mean(values: Iterable[Any]) -> Any:
        return functools.reduce(operator.add, (w * x for w, x in zip(shares, values, strict=True)))

    leaves = [mean(gradients) for gradients in zip(*(taps.gradients for _, taps in parts), strict=True)]
    gradients = jax.tree.unflatten(jax.tree.structure(parameters), leaves)
    entries = [taps.entries[0] for _, taps in parts if taps.entries]
    inputs = [jax.tree.map(lambda x: np.asarray(x, np.float64), entry) for entry in entries]
    size = math.prod(traced.program.avals[traced.entries[0]].shape) if inputs else 0
    found = tuple(record for site in records for record in site)
    owners = [site for site, its in zip(traced.sites, records, strict=True) for _ in its]
    between = flows(traced.sites, traced.links, records, parameters)
    arrays = parameter_records(parameters, gradients, optimizer)
    entry = spread_of(size, inputs) if inputs else None
    loss = float(mean(taps.loss for _, taps in parts))
    verdicts = verdicts_of(
        found,
        between,
        arrays,
        entry,
        loss=loss,
        function_of=lambda i: true_function(owners[i]),
        thresholds=thresholds,
    )
    return Diagnosis(
        sites=found,
        flows=between,
        parameters=arrays,
        verdicts=verdicts,
        inputs=entry,
        not_covered=(*traced.not_covered, *_not_taken(traced.sites, records)),
        loss=loss,
        examples=examples,
        gradients=gradients,
    )


def _not_taken(sites: Sequence[Site], records: Sequence[Sequence[SiteRecord]]) -> Iterator[NotCovered]:
    for site, found in zip(sites, records, strict=True):
        if not found:
            yield NotCovered(site.name or "function", site.file, site.line, "in a branch that was not taken")
