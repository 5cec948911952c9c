"""Many networks: a loop over activations, and for each of them programs that train a group at the same time."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.nn.initializers import Initializer
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from tqdm import tqdm

from jaxact.errors import InputError
from jaxact.training.data import Dataset, check_dataset, load_dataset
from jaxact.training.devices import (
    MODEL,
    agree,
    fetch,
    is_first,
    lost_processes_named,
    make_mesh,
    put,
    wait_for_all,
)
from jaxact.training.interrupt import Interrupted, deferred_signals
from jaxact.training.programs import Data
from jaxact.training.run import locked, pixel_scaling
from jaxact.training.step import TrainState
from jaxact.training.sweep_config import Network, SweepConfig, find_gains, initial_model
from jaxact.training.sweep_folder import Row, SweepFolder, load_sweep, make_rows, network_of, new_folder
from jaxact.training.sweep_group import (
    IN_TURN,
    SHARE,
    GroupPrograms,
    choose_method,
    collect,
    deal,
    free_memory,
    group_programs,
    initial_group,
    place,
)
from jaxact.training.sweep_summary import Summary, summarize, write_summary

SECONDS_BETWEEN_UPDATES = 1.0  # of the progress bar, and of the check for Ctrl-C
LEAST_STRETCH = 4  # steps of a network in its turn, so that the turns cost little


class SweepResult(NamedTuple):
    """What a sweep gives.

    Attributes:
      rows: one dict a network and epoch, as in results.jsonl: activation, initializer, learning_rate, seed, epoch,
        loss, accuracy, val_loss, val_accuracy, seconds (the network's share of those of its group), diverged. From
        the epoch in which a loss is not finite on, ``diverged`` is True and the four metrics are None.
      summary: mean and standard deviation over seeds of each setting, best first.
      folder: the folder of the sweep, or None.
    """

    rows: list[Row]
    summary: list[Summary]
    folder: Path | None


def run_sweep(
    config: SweepConfig | None = None,
    *,
    resume: str | Path | None = None,
    dataset: Dataset | None = None,
    note: Callable[[str], None] | None = None,
    report: Callable[[Row], None] | None = None,
    progress: bool = True,
) -> SweepResult:
    """Trains LeNet-5 with every activation, initialiser, learning rate and seed.

    Each activation is a compiled program of its own, in which all its networks are trained: on a CPU in turn, on
    an accelerator at once, and spread over the devices of all processes. A network comes out as `fit` trains it
    alone, and one that diverges disturbs no other. A sweep that was interrupted does only what is missing when it
    is resumed, and its rows are those of one that was not, but for the seconds.

    The folder holds sweep.json, results.jsonl, summary.csv and summary.png, and checkpoints of what is under way.
    Trained networks are not kept: `fit` makes any of them again.

    Args:
      config: options of the sweep; with ``resume`` those of that sweep.
      resume: folder to go on with.
      dataset: data to train on, in place of those that the options name.
      note: called with lines of text: what was left out, and the size of groups with the memory they take.
      report: called with each row.
      progress: whether to show a bar with the time left, if stderr is a terminal.

    Raises:
      InputError: if an option or the data cannot be used.
      LostProcessError: if another process of the sweep has ended.
      Interrupted: (a KeyboardInterrupt) on Ctrl-C or SIGTERM, when all is saved.
      OSError: if the folder cannot be written.

    Examples:
      >>> result = run_sweep(SweepConfig(["tanh"], seeds=1, train=TrainConfig(epochs=1, pixels="unit")))
      >>> result.rows[0]["val_accuracy"] > 0.5
      True
    """
    folder, config = load_sweep(resume, config) if resume is not None else (None, config or SweepConfig())
    gains, remarks = find_gains(config)
    dataset = dataset or load_dataset(config.train.dataset, data_dir=config.train.data_dir, progress=progress)
    check_dataset(dataset)
    mesh, sizes = make_mesh(config.devices, axis=MODEL), [len(dataset.train_labels), len(dataset.test_labels)]
    if folder and folder.record["data"]["images"] != sizes:
        raise InputError(f"{folder.folder} was trained on other images, the data set has {sizes[0]} to train")
    if not folder:
        folder = new_folder(config, dataset, *pixel_scaling(config.train, dataset))
    lock = locked(folder.own) if folder.own else contextlib.nullcontext()
    with deferred_signals() as stopping, lock, lost_processes_named():
        if resume is None:
            folder.create()
        sweep = _Sweep(config, dataset, folder, mesh, gains, note, report, progress)
        wait_for_all("the folder of the sweep")  # to be read, before it changes
        for remark in remarks:
            sweep.note(remark)
        rows = sweep.go(stopping)
    return SweepResult(rows, summarize(rows), folder.folder)


class _Sweep:
    """One call of `run_sweep`: the pieces, and the order they act in."""

    def __init__(
        self,
        config: SweepConfig,
        dataset: Dataset,
        folder: SweepFolder,
        mesh: Mesh,
        gains: dict[str, dict[str, Initializer | None]],
        note: Callable[[str], None] | None,
        report: Callable[[Row], None] | None,
        progress: bool,
    ):
        self.config, self.folder, self.gains, self.dataset, self.mesh = config, folder, gains, dataset, mesh
        self.note = note if note and is_first() else lambda line: None
        self.report, self.progress = report if is_first() else None, progress and is_first()
        shift, scale = (tuple(folder.record["data"][key]) for key in ("shift", "scale"))
        sizes = len(dataset.train_labels), len(dataset.test_labels)
        self.data = Data(dataset.name, len(dataset.classes), *sizes, shift, scale)
        self.images = len(dataset.train_labels)
        self.batch_size = min(config.train.batch_size, self.images)
        self.steps = -(-self.images // self.batch_size)
        self.epochs = config.train.epochs
        self.train = put((dataset.train_images, dataset.train_labels.astype(np.int32)), P(), mesh)
        self.test = put((dataset.test_images, dataset.test_labels.astype(np.int32)), P(), mesh)
        seeds: Any = config.seeds
        self.shared_key = put(np.asarray(jax.random.key_data(jax.random.key(seeds[0]))), P(), self.mesh)
        self.networks = {label: config.networks(label, list(possible)) for label, possible in gains.items()}
        self.earlier = folder.read_rows()
        self.rows: list[Row] = []
        self.stretch = LEAST_STRETCH

    def go(self, stopping: threading.Event) -> list[Row]:
        """Trains what is missing, until it is told to stop."""
        hide = not (self.progress and sys.stderr.isatty())
        total = sum(map(len, self.networks.values())) * self.epochs * self.steps
        try:
            with tqdm(total=total, unit="step", leave=False, disable=hide, smoothing=0.05) as self.bar:
                for number, label in enumerate(self.networks):
                    self._activation(number, label, stopping)
        finally:
            if self.folder.own:
                title = f"LeNet-5 on {self.dataset.name}, mean ± standard deviation over seeds"
                write_summary(self.rows, self.folder.own, title)
        return self.rows

    def _activation(self, number: int, label: str, stopping: threading.Event) -> None:
        networks = self.networks[label]
        finished = [n for n in networks if len(self.earlier.get(n, ())) == self.epochs]
        programs = None if len(finished) == len(networks) else self._programs(label)
        size = self.folder.group_size(label) or len(networks)
        for start in range(0, len(networks), size):
            group, name = networks[start : start + size], f"{number}-{start // size}"
            if programs is None or set(group) <= set(finished):
                in_order = zip(*(self.earlier[n] for n in group), strict=True)
                self.rows += [row for epoch in in_order for row in epoch]
                self.folder.forget(name)
                self._skip(len(group) * self.epochs * self.steps)
            else:
                self._group(name, group, programs, stopping)

    def _programs(self, label: str) -> GroupPrograms:
        """The programs of an activation, with room for a group."""
        networks, devices = self.networks[label], self.mesh.size
        kept, free = self.folder.group_size(label), free_memory()
        most = kept or self.config.group
        if not most:
            most = IN_TURN * devices if choose_method(self.config) == "map" else len(networks)
        while True:
            size = kept or -(-len(networks) // -(-len(networks) // most))  # of groups that are about equal
            programs = group_programs(self.config, label, self.data, self.mesh, -(-size // devices))
            most = size
            if not (kept or self.config.group or size == 1 or free is None or programs.bytes <= SHARE * free):
                most = max(1, min(size - 1, int(size * SHARE * free / programs.bytes)))
            if (most := agree(False, most)[1]) == size:  # in all processes as in the first
                break
        if not kept:
            self.folder.keep_group_size(label, size)
        of_free = "" if free is None else f" of {free / 1e9:.1f} GB free"
        self.note(
            f"{label}: {len(networks)} networks in groups of {size}, devices: {devices},"
            f" memory: {programs.bytes / 1e9:.2f} GB{of_free}"
        )
        return programs

    def _initial(self, networks: list[Network]) -> TrainState:
        configs = [self.config.run_config(network) for network in networks]
        models = [
            initial_model(options, len(self.dataset.classes), self.gains[network.activation][network.initializer])
            for options, network in zip(configs, networks, strict=True)
        ]
        return initial_group(configs, models, self.steps)

    def _group(
        self, name: str, networks: list[Network], programs: GroupPrograms, stopping: threading.Event
    ) -> None:
        label, size = networks[0].activation, programs.size
        host, rows, seconds = self._initial(networks), [], 0.0
        if found := self.folder.restore(name, host):
            host, rows, seconds = found
        counts, places = deal(len(networks), self.mesh.size, size)
        rates = np.zeros(size * self.mesh.size, np.float32)
        rates[places] = [network.learning_rate for network in networks]
        counts, rates = put((counts, rates), P(MODEL), self.mesh)
        state = place(host, places, size, self.mesh)
        del host, found
        before = list(self.rows)
        self.rows = before + rows
        self._skip(len(networks) * int(state.step))
        self._write()
        for epoch in range(len(rows) // len(networks), self.epochs):
            self.bar.set_description_str(f"{label}, epoch {epoch + 1}/{self.epochs}")
            order = programs.order(state, self.shared_key)
            done = int(state.step) - epoch * self.steps
            while done < self.steps:
                stop, stretch = agree(stopping.is_set(), self.stretch)
                if stop:
                    self._save(name, state, places, rows, seconds)
                    raise Interrupted
                count = min(stretch, self.steps - done)
                start = time.perf_counter()
                number = put(np.int32(count), P(), self.mesh)
                state = programs.advance(counts, rates, state, *self.train, order, number)
                jax.block_until_ready(state)
                elapsed = time.perf_counter() - start
                seconds += elapsed
                done += count
                self.bar.update(len(networks) * count)
                wanted = round(count * SECONDS_BETWEEN_UPDATES / elapsed)
                self.stretch = max(LEAST_STRETCH, min(wanted, 2 * count, self.steps))
            start = time.perf_counter()
            losses, right = fetch(programs.evaluate(counts, state.params, *self.test))
            seconds += time.perf_counter() - start
            sums = collect(state._replace(params=None, opt_state=None), places)
            share = seconds / len(networks)
            new = make_rows(networks, epoch + 1, sums, self.images, losses[places], right[places], share, rows)
            rows, seconds = rows + new, 0.0
            self.rows = before + rows
            zeros = [put(np.zeros(a.shape, a.dtype), P(MODEL), self.mesh) for a in (state.loss, state.correct)]
            state = state._replace(loss=zeros[0], correct=zeros[1])
            if epoch + 1 < self.epochs:
                self._save(name, state, places, rows, seconds)
            self._write()
            if self.report:
                for row in new:
                    self.report(row)
        self.folder.forget(name)

    def _save(self, name: str, state: TrainState, places: np.ndarray, rows: list[Row], seconds: float) -> None:
        if self.folder.folder:
            self.folder.save(name, int(state.step), collect(state, places), rows, seconds)
        wait_for_all("the save")

    def _write(self) -> None:
        """Writes the rows, with those of an earlier call that this one has not come to."""
        seen = {network_of(row) for row in self.rows}
        later = [rows for network, rows in self.earlier.items() if network not in seen]
        self.folder.write_rows([*self.rows, *(row for rows in later if len(rows) == self.epochs for row in rows)])

    def _skip(self, steps: int) -> None:
        """Steps that an earlier call did: they are on the bar, and tell nothing of the time that is left."""
        if not self.bar.disable:
            self.bar.initial += steps
            self.bar.n += steps
