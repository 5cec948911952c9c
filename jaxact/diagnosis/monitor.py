"""Diagnosis during training: of anybody's loop, at a measured cost."""

import math
import time
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from jaxact.atomic import write_rows
from jaxact.diagnosis.history import History, Place, Row, Since, history_of, read_rows, row_of
from jaxact.diagnosis.observer import Observer
from jaxact.diagnosis.pace import Pace
from jaxact.diagnosis.report import Diagnosis
from jaxact.diagnosis.thresholds import Thresholds, checked
from jaxact.errors import InputError, shown
from jaxact.terminal import tell

SECONDS_BETWEEN_WRITES = 5.0


class Observation(NamedTuple):
    """What `Monitor.observe` saw.

    Attributes:
      step: when.
      diagnoses: the diagnosis; of many networks, that of each.
      alarms: a line for each verdict that was not there before.
    """

    step: int
    diagnoses: tuple[Diagnosis, ...]
    alarms: tuple[str, ...]


class Monitor:
    """Diagnoses a network while it is trained, by a loop of any kind.

    The loop's own step is left as it is, so training takes the same course, bit for bit, as without: when an
    observation is due, the monitor takes a step of its own, compiled once, that measures what `diagnose` does
    (quantiles excepted) and changes nothing.

    Attributes:
      compile_seconds: seconds spent on what is done once: tracing, compiling, a first run.
      rows: what was seen, as the file has it: a dict for each observation, of many networks one for each.

    Examples:
      >>> def network(params, batch):
      ...     return jax.nn.relu(batch[0] @ params["first"]) @ params["second"]
      >>> params = {"first": jnp.ones((3, 4)), "second": jnp.ones((4, 2))}
      >>> batch = jnp.ones((8, 3)), jnp.zeros(8, int)
      >>> monitor = Monitor((network, params), batch, period=10)
      >>> for step in range(31):
      ...     seen = monitor.observe(step, params, batch)
      ...     params = jax.tree.map(lambda p: p - 0.1, params)  # stands for the loop's own step
      >>> monitor.history.steps.tolist(), monitor.history.dead.tolist()
      ([0, 10, 20, 30], [[0.0, 0.0, 1.0, 1.0]])
      >>> monitor.dead_since[0].tolist()
      [20, 20, 20, 20]
    """

    def __init__(
        self,
        model: Any,
        batch: Any,
        loss_fn: Callable[[Any, Any], jax.Array] | None = None,
        *,
        period: int | Literal["auto"] = "auto",
        budget: float = 0.02,
        examples: int | None = None,
        networks: int | None = None,
        tau: float = 0.025,
        thresholds: Thresholds | None = None,
        call: Mapping[str, Any] | None = None,
        path: str | Path | None = None,
        alarm: Callable[[str], None] | None = tell,
    ) -> None:
        """Finds the activations of the model.

        Args:
          model: as for `diagnose`: nnx module, ``(linen module, variables)``, or ``(function, parameters)``.
          batch: a batch like those to come.
          loss_fn: as for `diagnose`.
          period: steps between observations, the first at the first step seen; "auto" for as few as the budget
            allows.
          budget: largest share of the loop's time that observations may take with "auto"; each time, but for the
            first observation, it is kept by what was measured.
          examples: how many examples to look at, the first of each batch; by default as many as ``batch`` has.
          networks: of a sweep, how many networks are observed at once, whose parameters are stacked along a new
            first axis; ``model`` is one of them.
          tau: threshold of dormant units.
          thresholds: from where on something is a fault, as for `diagnose`.
          call: keyword arguments of the module's call.
          path: file for the rows, one JSON object a line; written anew, whole, every few seconds and by `save`.
          alarm: called with a line for each verdict that was not there before, by default to print it on stderr,
            above the bars of tqdm; None for nothing.

        Raises:
          InputError: if an argument cannot be used.
        """
        _check("period", period if period != "auto" else 1, Integral, 1, math.inf, ', or "auto"')
        _check("budget", budget, Real, 1e-6, 1)
        _check("tau", tau, Real, 0, math.inf)
        for name, value in {"examples": examples, "networks": networks}.items():
            _check(name, 1 if value is None else value, Integral, 1, math.inf)
        start = time.perf_counter()
        options = {"tau": float(tau), "thresholds": checked(thresholds)}
        self._observer = Observer(
            model, batch, loss_fn, examples=examples, networks=networks, options=options, call=dict(call or {})
        )
        self._networks, self._alarm = networks, alarm
        self._path = None if path is None else Path(path)
        self._pace = Pace(None if period == "auto" else int(period), float(budget))
        self._pace.compiling = time.perf_counter() - start
        self.rows: list[Row] = []
        self._since = [{what: Since(what) for what in ("dead", "dormant")} for _ in range(networks or 1)]
        self._known: set[tuple] = set()
        self._compiled, self._written = False, -math.inf

    def due(self, step: int) -> bool:
        """Whether `observe` would look at a step; for loops where it costs something to get at a batch.

        With the period "auto" the loop must have waited for its last step, as one does that reads its loss.
        """
        return self._pace.due(step)

    def until(self, step: int) -> float:
        """Steps from this one to the next observation, infinite while the period is being chosen."""
        return self._pace.until(step)

    def observe(self, step: int, model: Any, batch: Any) -> Observation | None:
        """To be called at every step; when an observation is due, makes it.

        Args:
          step: number of the step; those that are given grow.
          model: the model as it is now, given as for `Monitor`; or its parameters alone. Of a sweep, stacked.
          batch: the batch of the step. One with fewer examples than are looked at is passed over, and the next
            one observed.

        Returns:
          What was seen, or None if nothing was due.

        Raises:
          InputError: if model or batch are not like those that the monitor was made with.
          OSError: if the file cannot be written.
        """
        if self._pace.starting:
            jax.block_until_ready(self._observer.parts_of(model))
        if not self._pace.due(step):
            return None
        rows = self._observer.rows_of(batch)
        if rows is None:
            return None
        parameters, state = self._observer.parts_of(model)
        jax.block_until_ready((parameters, state, rows))
        self._pace.begin(step)
        if not self._compiled:
            self._observer.measure(parameters, state, rows)
            self._pace.compiled()
            self._compiled = True
        diagnoses = self._observer.measure(parameters, state, rows)
        alarms = []
        for i, diagnosis in enumerate(diagnoses):
            self.rows.append(row_of(step, diagnosis, None if self._networks is None else i))
            fresh = self._follow(self.rows[-1])
            of = "" if self._networks is None else f"network {i}, "
            alarms += [f"{of}step {step}: {diagnosis.verdicts[k]}" for k in fresh]
        for line in alarms if self._alarm is not None else ():
            self._alarm(line)  # pyright: ignore[reportOptionalCall]
        if time.monotonic() - self._written > SECONDS_BETWEEN_WRITES:
            self.save()
        self._pace.end(step)
        return Observation(step, tuple(diagnoses), tuple(alarms))

    def save(self) -> None:
        """Writes the file, if there is one, as it is to be at the end.

        Raises:
          OSError: if it cannot be written.
        """
        if self._path is not None:
            write_rows(self._path, self.rows)
            self._written = time.monotonic()

    def resume(self, step: int) -> None:
        """Goes on with the part of the history in the file that was made before a step, the next one.

        Raises:
          InputError: if the file holds something else.
        """
        if self._path is None or self.rows:
            raise InputError("resume needs a monitor with a path, before its first observation")
        for row in read_rows(self._path):
            if row["step"] < step:
                self.rows.append(row)
                self._follow(row)
        if self.rows:
            self._pace.resume(self.rows[-1]["step"])

    @property
    def history(self) -> History:
        """What was seen so far, as arrays."""
        return history_of(self.rows, self._networks)

    @property
    def dead_since(self) -> list[np.ndarray]:
        """For each site of `history`, since which step each unit has been dead, -1 if it is not: int [units].

        Of many networks, [networks, units].
        """
        return self._units_since("dead")

    @property
    def dormant_since(self) -> list[np.ndarray]:
        """The same for dormant units."""
        return self._units_since("dormant")

    @property
    def overhead(self) -> float:
        """Seconds spent observing by seconds of the loop without them, measured; what is done once is in neither.

        Those are `compile_seconds` and the first step of the loop.
        """
        return self._pace.overhead

    @property
    def period(self) -> int | None:
        """Steps between observations, as it was given or is now; None while it is being chosen."""
        return self._pace.chosen

    @property
    def compile_seconds(self) -> float:
        """Seconds spent on what is done once: finding the activations, compiling, a first run."""
        return self._pace.compiling

    def _follow(self, row: Row) -> list[int]:
        """Counts what a row says; which of its verdicts are new."""
        network = row.get("network", 0)
        for since in self._since[network].values():
            since.add(row)
        fresh = []
        for k, verdict in enumerate(row["verdicts"]):
            key = network, verdict["kind"], verdict["where"]
            if verdict["kind"] != "healthy" and key not in self._known:
                fresh.append(k)
                self._known.add(key)
        return fresh

    def _units_since(self, what: str) -> list[np.ndarray]:
        found = []
        for place, units in zip(self.history.sites, self.history.units, strict=True):
            of = [_of(since[what], place, int(units)) for since in self._since]
            found.append(of[0] if self._networks is None else np.stack(of))
        return found


def _of(since: Since, place: Place, units: int) -> np.ndarray:
    return since.steps.get(place, np.full(units, -1))


def _check(name: str, value: Any, kind: type, low: float, high: float, more: str = "") -> None:
    wrong = isinstance(value, bool) or not isinstance(value, kind)
    if wrong or not low <= value <= high:
        noun = "a whole number" if kind is Integral else "a number"
        span = f"from {low:g}" + (f" to {high:g}" if math.isfinite(high) else "")
        raise InputError(f"{name} must be {noun} {span}{more}, got {shown(value)}")
