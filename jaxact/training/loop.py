"""The training loop: epochs on the device, a checkpoint after each, and a clean end whatever happens."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from tqdm import tqdm

from jaxact.errors import InputError
from jaxact.training import checkpoint
from jaxact.training.config import TrainConfig
from jaxact.training.data import Dataset, check_dataset, load_dataset
from jaxact.training.devices import (
    agree,
    is_first,
    lost_processes_named,
    make_mesh,
    replicate,
    spread_rows,
    wait_for_all,
)
from jaxact.training.diagnosing import Diagnosing, tell
from jaxact.training.interrupt import Interrupted, deferred_signals
from jaxact.training.lenet import LeNet5
from jaxact.training.programs import Data, run_programs
from jaxact.training.run import MAY_CHANGE, Run, check_resumable, load_run, pixel_scaling, restore
from jaxact.training.step import TrainState, start_epoch

if TYPE_CHECKING:
    from jaxact.diagnosis.monitor import Monitor

SECONDS_BETWEEN_UPDATES = 0.5  # of the progress bar, and of the check for Ctrl-C


class Result(NamedTuple):
    """What a training run gives.

    Attributes:
      history: one dict an epoch: epoch, loss, accuracy, val_loss, val_accuracy, train_seconds, val_seconds,
        images_per_second.
      model: the trained model.
      folder: the run folder, or None.
      monitor: what diagnosed it, or None.
    """

    history: list[dict[str, float]]
    model: LeNet5
    folder: Path | None
    monitor: "Monitor | None" = None


class DivergedError(RuntimeError):
    """The loss is not finite; the message names the epoch and the step."""


def fit(
    config: TrainConfig | None = None,
    *,
    resume: str | Path | None = None,
    dataset: Dataset | None = None,
    started: Callable[[Dataset], None] | None = None,
    report: Callable[[dict[str, float]], None] | None = None,
    progress: bool = True,
    tensorboard: bool = False,
    alarm: Callable[[str], None] | None = tell,
) -> Result:
    """Trains LeNet-5.

    The data stay on the device as uint8, and a stretch of an epoch is one compiled program. Runs with the same
    options on the same machine give the same bits, interrupted and resumed or not. What is compiled for a
    function of jaxact is kept for later calls that differ only in the seed, the folder, the diagnosis, or the
    epochs of a constant schedule.

    Args:
      config: options of the run; with ``resume`` those of that run, but for ``epochs`` and those of the
        diagnosis.
      resume: run folder to go on with; an interrupted run goes on as if it had not been.
      dataset: data to train on, in place of those that the options name.
      started: called with the data when all is set up and training begins.
      report: called with the metrics of each epoch when it is done.
      progress: whether to show a bar, if stderr is a terminal.
      tensorboard: whether to write the metrics for TensorBoard too, into the run folder.
      alarm: where the run is diagnosed, called with a line for each verdict that was not there before.

    Returns:
      History, trained model, run folder and monitor.

    Raises:
      InputError: if an option or the data cannot be used.
      DivergedError: if the loss is not finite; the last good checkpoint is kept.
      LostProcessError: if another process of the run has ended.
      Interrupted: (a KeyboardInterrupt) on Ctrl-C or SIGTERM, when the state is saved.
      OSError: if the run folder cannot be written.

    Examples:
      >>> result = fit(TrainConfig(epochs=1, batch_size=32, pixels="unit"), progress=False)
      >>> result.history[0]["val_accuracy"] > 0.5
      True
    """
    earlier = load_run(resume, activation=config and config.activation) if resume is not None else None
    config = config or (earlier.config if earlier else TrainConfig())
    if earlier:
        check_resumable(earlier.config, config)
    dataset = dataset or load_dataset(config.dataset, data_dir=config.data_dir, progress=progress)
    check_dataset(dataset)
    sizes = len(dataset.train_labels), len(dataset.test_labels)
    if earlier and earlier.images != sizes:
        raise InputError(
            f"{earlier.folder} was trained on {earlier.images[0]} images, the data set has {sizes[0]}"
        )
    shift, scale = (earlier.shift, earlier.scale) if earlier else pixel_scaling(config, dataset)
    folder = earlier.folder if earlier else Path(config.out) if config.out else None
    run = Run(folder, config, tuple(dataset.classes), shift, scale, sizes) if folder else None
    with deferred_signals() as stopping, run.locked() if run and is_first() else contextlib.nullcontext():
        if run and is_first():
            if not earlier:
                run.create()
            elif any(getattr(config, name) != getattr(earlier.config, name) for name in MAY_CHANGE):
                run.write_config()
        wait_for_all("the run folder")
        with lost_processes_named():
            loop = _Loop(config, dataset, run, shift, scale, report, progress, tensorboard, alarm)
            if started and is_first():
                started(dataset)
            return loop.go(stopping)


class _Loop:
    """One call of `fit`: the pieces of a run, and the order they act in."""

    def __init__(
        self,
        config: TrainConfig,
        dataset: Dataset,
        run: Run | None,
        shift: tuple,
        scale: tuple,
        report: Callable[[dict[str, float]], None] | None,
        progress: bool,
        tensorboard: bool,
        alarm: Callable[[str], None] | None,
    ):
        self.config, self.report, self.progress = config, report if is_first() else None, progress and is_first()
        self.folder = run.folder if run else None
        self.run = run if is_first() else None  # process 0 writes, all read
        self.images = len(dataset.train_labels)
        self.batch_size = min(config.batch_size, self.images)
        self.steps = -(-self.images // self.batch_size)
        mesh, apart = make_mesh(config.devices), jax.process_count() > 1
        tests = len(dataset.test_labels)
        data = Data(dataset.name, len(dataset.classes), self.images, tests, shift, scale, apart)
        self.graphdef, start, self.programs = run_programs(config, data, mesh)
        self.state: TrainState = start(jax.random.key(config.seed))
        self.history: list[dict[str, float]] = []
        self.seconds = 0.0  # of training in the epoch under way
        if run and (found := restore(run, self.state)):
            self.state, record = found
            self.history, self.seconds = record["history"], record["seconds"]
        wait_for_all("the checkpoint")
        if self.run:
            checkpoint.set_aside(self.run.checkpoints, after=int(self.state.step))
        self.state = replicate(self.state, mesh)
        images = spread_rows(dataset.train_images, mesh) if apart else replicate(dataset.train_images, mesh)
        self.train = images, replicate(dataset.train_labels, mesh)
        self.test = spread_rows(dataset.test_images, mesh), spread_rows(dataset.test_labels, mesh)
        self.test_labels = dataset.test_labels
        self.stretch = 1  # steps between two looks at the clock
        self.writer = _tensorboard_writer(self.run) if self.run and tensorboard else None
        self.diagnosing = Diagnosing(
            config,
            self.run,
            alarm,
            graphdef=self.graphdef,
            pixels=data.pixels,
            dataset=dataset,
            batch_size=self.batch_size,
            state=self.state,
        )

    def go(self, stopping: threading.Event) -> Result:
        """Runs the epochs that are missing, until it is told to stop."""
        try:
            if self.run:
                self.run.write_metrics(self.history)
            for epoch in range(len(self.history), self.config.epochs):
                self._epoch(epoch, stopping)
        finally:
            if self.run:
                self.run.draw_curves(self.history)
            self.diagnosing.draw()
            if self.writer:
                self.writer.close()
        params = jax.tree.map(jnp.asarray, jax.device_get(self.state.params))  # on one device, to be used there
        return Result(self.history, nnx.merge(self.graphdef, params), self.folder, self.diagnosing.monitor)

    def _epoch(self, epoch: int, stopping: threading.Event) -> None:
        order = self.programs.order(self.state)
        name = f"epoch {epoch + 1}/{self.config.epochs}"
        hide = not (self.progress and sys.stderr.isatty())
        done = int(self.state.step) - epoch * self.steps
        with tqdm(total=self.steps, initial=done, desc=name, unit="step", leave=False, disable=hide) as bar:
            while done < self.steps:
                stretch = self.diagnosing.observe(self.state, order, self.stretch)
                stop, stretch = agree(stopping.is_set(), stretch)
                if stop:
                    self._save()
                    raise Interrupted
                count = min(stretch, self.steps - done)
                start = time.perf_counter()
                state = self.programs.advance(self.state, *self.train, order, count)
                if int(state.bad_step) >= 0:
                    raise DivergedError(
                        self._divergence("the loss", epoch, int(state.bad_step) - epoch * self.steps + 1)
                    )
                self.state = state
                elapsed = time.perf_counter() - start
                self.seconds += elapsed
                done += count
                bar.update(count)
                bar.set_postfix_str(f"loss {float(state.loss) / min(done * self.batch_size, self.images):.4f}")
                if count == self.stretch:  # the first stretch compiles, so growth is gradual
                    wanted = round(count * SECONDS_BETWEEN_UPDATES / elapsed)
                    self.stretch = max(1, min(wanted, 2 * count, self.steps))
        start = time.perf_counter()
        results = self.programs.evaluate(self.state.params, *self.test)
        losses, found = (np.asarray(a)[: len(self.test_labels)] for a in results)
        row = {
            "epoch": epoch + 1,
            "loss": float(self.state.loss) / self.images,
            "accuracy": int(self.state.correct) / self.images,
            "val_loss": float(losses.mean(dtype=np.float64)),
            "val_accuracy": float(np.mean(found == self.test_labels)),
            "train_seconds": self.seconds,
            "val_seconds": time.perf_counter() - start,
            "images_per_second": self.images / self.seconds,
        }
        if not np.isfinite(row["val_loss"]):
            raise DivergedError(self._divergence("the validation loss", epoch, self.steps))
        self.history.append(row)
        self.state, self.seconds = start_epoch(self.state), 0.0
        self._save()
        if self.writer:
            for key in ("loss", "accuracy", "val_loss", "val_accuracy"):
                self.writer.add_scalar(key, row[key], epoch + 1)
        if self.report:
            self.report(row)

    def _save(self) -> None:
        self.diagnosing.save()  # before the checkpoint, which may then be resumed from
        if self.run:
            record = {"history": self.history, "seconds": self.seconds}
            checkpoint.save(self.run.checkpoints, int(self.state.step), self.state, record)
            self.run.write_metrics(self.history)
        wait_for_all("the save")

    def _divergence(self, what: str, epoch: int, step: int) -> str:
        kept = f"; the checkpoint of epoch {epoch} is kept" if self.run and epoch else ""
        return (
            f"{what} is not finite in epoch {epoch + 1}, step {step} of {self.steps}{kept}; try a smaller"
            f" --learning-rate than {self.config.learning_rate:g}, or --pixels standardized"
        )


def _tensorboard_writer(run: Run) -> Any:
    from tensorboardX import SummaryWriter

    return SummaryWriter(str(run.folder / "tensorboard"))
