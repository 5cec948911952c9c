"""When to observe a training loop: every so many steps, or as often as a budget of time allows."""

import math
import statistics
import time
from collections import deque
from collections.abc import Callable

TIMED_STEPS = 3  # of the loop's, before the first period is chosen; the one before them compiles
KEPT = 5  # newest measurements of which medians are taken


class Pace:
    r"""Chooses the steps at which to observe.

    With a number N these are the first step seen and then the multiples of N, or where one of them is missed, the
    next step seen. With "auto" it measures the seconds c of an observation and s of a step of the loop, medians of
    the newest, and waits until both

    .. math::
        \text{steps since the last} \ge \frac{c}{\text{budget} \cdot s}, \qquad
        \frac{\text{seconds observing} + c}{\text{seconds of the loop}} \le \text{budget},

    so that the share is within the budget after each observation but the first.

    Attributes:
      period: steps between observations, or "auto".
      budget: largest share of time.
      compiling: seconds spent on what is done once, which is in no share.
      observing: seconds spent on observations.
      training: seconds of the loop between them.
    """

    def __init__(
        self, period: int | None, budget: float, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Starts the count.

        Args:
          period: steps between observations; None to choose them.
          budget: largest share of time.
          clock: tells seconds.
        """
        self.period, self.budget, self._clock = period, budget, clock
        self.compiling = self.observing = self.training = 0.0
        self._next: float = -math.inf
        self._last: int | None = None  # step of the last observation
        self._compiled = False  # whether the loop has taken its first step, which compiles
        self._seen = -1
        self._until = self._since = 0.0  # times: counted up to here, observing since
        self._mark = (0, 0.0)  # a step and its time, of a loop that was waited for
        self._costs: deque[float] = deque(maxlen=KEPT)
        self._steps: deque[float] = deque(maxlen=KEPT)

    @property
    def starting(self) -> bool:
        """Whether steps are being timed for the first period; the loop must then be waited for."""
        return self.period is None and self._last is not None and len(self._steps) < TIMED_STEPS

    @property
    def overhead(self) -> float:
        """Seconds observing by seconds of the loop without them, up to the last step seen."""
        return self.observing / self.training if self.training else 0.0

    @property
    def chosen(self) -> int | None:
        """Steps between observations as they are now; None where that is not known yet."""
        if self.period is not None:
            return self.period
        if self.starting or not self._steps:
            return None
        return max(1, math.ceil(self._cost() / (self.budget * statistics.median(self._steps))))

    def due(self, step: int) -> bool:
        """Whether to observe at a step; while `starting`, all steps before must be done."""
        self._count(step)
        if self.starting:
            self._time(step)
            if self.starting:
                return False
            self._plan(step)
        return step >= self._next

    def until(self, step: int) -> float:
        """Steps from this one to the next observation; infinite if it cannot be told yet."""
        return math.inf if self.starting else max(0, self._next - step)

    def begin(self, step: int) -> None:
        """An observation begins; all steps before are done."""
        self._count(step)
        self._time(step)
        self._since = self._until

    def compiled(self) -> None:
        """What was done since `begin` is done once in a run."""
        now = self._clock()
        self.compiling += now - self._since
        self._since = now

    def end(self, step: int) -> None:
        """The observation ends."""
        now = self._clock()
        self.observing += now - self._since
        self._costs.append(now - self._since)
        self._mark, self._last, self._seen, self._until = (step, now), step, step, now
        self._plan(step)

    def resume(self, last: int) -> None:
        """Goes on after an observation at a step of an earlier process."""
        if self.period is not None:
            self._next = (last // self.period + 1) * self.period

    def _count(self, step: int) -> None:
        now = self._clock()
        if self._compiled:
            self.training += now - self._until
        elif self._last is not None and step > self._seen:
            self._compiled, self._mark = True, (step, now)
        self._seen, self._until = step, now

    def _time(self, step: int) -> None:
        if self._compiled and step > self._mark[0]:
            self._steps.append((self._until - self._mark[1]) / (step - self._mark[0]))
            self._mark = (step, self._until)

    def _cost(self) -> float:
        return statistics.median(self._costs)

    def _plan(self, step: int) -> None:
        if self.period is not None:
            self._next = (step // self.period + 1) * self.period
        elif (period := self.chosen) is not None and self._last is not None:
            missing = (self.observing + self._cost()) / self.budget - self.training
            self._next = max(self._last + period, step + math.ceil(missing / statistics.median(self._steps)))
