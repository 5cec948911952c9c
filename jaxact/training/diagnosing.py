"""Diagnosis while `fit` trains: between stretches of the epoch, on the images of the next step."""

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from flax import nnx
from jax import Array

from jaxact.terminal import tell as tell
from jaxact.training.config import TrainConfig
from jaxact.training.data import Dataset
from jaxact.training.devices import is_first
from jaxact.training.run import Run
from jaxact.training.step import Pixels, TrainState

if TYPE_CHECKING:
    from jaxact.diagnosis.monitor import Monitor


class Diagnosing:
    """The monitor of a run, or none. Process 0 observes, on its first device; the others wait at the next step.

    Attributes:
      monitor: the monitor, or None.
    """

    def __init__(
        self,
        config: TrainConfig,
        run: Run | None,
        alarm: Callable[[str], None] | None,
        *,
        graphdef: nnx.GraphDef,
        pixels: Pixels,
        dataset: Dataset,
        batch_size: int,
        state: TrainState,
    ) -> None:
        """Finds the activations, and takes up the history that a resumed run left.

        Args:
          config: options of the run, of which it takes those of the diagnosis.
          run: the run, for its folder.
          alarm: called with a line for each verdict that was not there before.
          graphdef: the model without its parameters.
          pixels: how pixels become inputs.
          dataset: the data.
          batch_size: images in a step.
          state: the state to start from.
        """
        self.monitor: Monitor | None = None
        self._run, self._dataset, self._batch_size = run, dataset, batch_size
        if config.diagnose is None or not is_first():
            return
        from jaxact import diagnosis  # its import takes a tenth of a second, which other runs need not wait
        from jaxact.diagnosis.thresholds import thresholds_of

        def logits(params: Any, batch: tuple[Array, Array]) -> Array:
            return nnx.merge(graphdef, params)(pixels.inputs(batch[0])).astype(np.float32)

        path = run.folder / "diagnosis.jsonl" if run else None
        model, batch = (logits, _here(state.params)), self._images(np.arange(batch_size), 0)
        thresholds = thresholds_of(config.threshold)
        self.monitor = diagnosis.Monitor(
            model, batch, period=config.diagnose, thresholds=thresholds, path=path, alarm=alarm
        )
        if path:
            self.monitor.resume(int(state.step))

    def observe(self, state: TrainState, order: Array, most: int) -> int:
        """Observes if it is time; how many steps to take, at most so many, before it may be time again.

        Args:
          state: the state, of which all steps are done.
          order: the order of the images of its epoch.
          most: how many steps at most.
        """
        if self.monitor is None:
            return most
        step = int(state.step)
        if self.monitor.due(step):
            steps = len(order) // self._batch_size
            batch = self._images(np.asarray(order), step % steps * self._batch_size)
            self.monitor.observe(step, _here(state.params), batch)
        return int(max(1, min(most, self.monitor.until(step))))

    def save(self) -> None:
        """Writes the history into the run folder."""
        if self.monitor is not None:
            self.monitor.save()

    def draw(self) -> None:
        """Writes the history, and draws diagnosis.png, if there is a run folder, and matplotlib."""
        self.save()
        if self.monitor is None or not self._run or not self.monitor.rows:
            return
        if importlib.util.find_spec("matplotlib"):
            from jaxact import plotting

            figure = plotting.monitor_figure(self.monitor.history, title=self._run.folder.name)
            plotting.save(figure, self._run.folder / "diagnosis.png")

    def _images(self, order: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
        """Images and labels of a step, not augmented; where fewer are left, the last ones of the epoch."""
        start = min(start, len(self._dataset.train_labels) - self._batch_size)
        rows = order[start : start + self._batch_size]
        return self._dataset.train_images[rows], np.asarray(self._dataset.train_labels[rows], np.int32)


def _here(tree: Any) -> Any:
    """Arrays that every device has whole, on the first device of this process."""
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)
