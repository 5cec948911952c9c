"""The folder of a sweep: options, rows and checkpoints."""

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxact.atomic import replacing, write_rows
from jaxact.errors import InputError
from jaxact.training import checkpoint
from jaxact.training.data import Dataset
from jaxact.training.devices import agree, is_first, wait_for_all
from jaxact.training.run import surroundings
from jaxact.training.step import TrainState
from jaxact.training.sweep_config import Network, SweepConfig

MAY_CHANGE = ("devices", "group", "out", "train.data_dir")  # they change no row

Row = dict[str, Any]


def network_of(row: Row) -> Network:
    """The network that a row is about."""
    return Network(*(row[field] for field in Network._fields))


@dataclasses.dataclass
class SweepFolder:
    """The folder of a sweep, or nothing where nothing is to be kept. All processes read it, the first one writes.

    Attributes:
      folder: where it is, or None.
      record: what sweep.json holds: options, data, sizes of the groups, versions and device.
    """

    folder: Path | None
    record: dict[str, Any]

    @property
    def own(self) -> Path | None:
        """The folder, if this process is the one to write into it."""
        return self.folder if is_first() else None

    def create(self) -> None:
        """Writes sweep.json.

        Raises:
          InputError: if a sweep is there already, in all processes.
          OSError: if it cannot be written.
        """
        there = self.folder is not None and (self.folder / "sweep.json").exists()
        if agree(there, 0)[0]:
            raise InputError(
                f"{self.folder} holds a sweep already; go on with `jaxact sweep --resume {self.folder}`,"
                " or choose another --out"
            )
        self.write()

    def write(self) -> None:
        """Writes sweep.json anew."""
        if self.own:
            with replacing(self.own / "sweep.json") as file:
                file.write(json.dumps(self.record, indent=2).encode() + b"\n")

    def group_size(self, activation: str) -> int | None:
        """The size that the groups of an activation have had from the start, if one was chosen."""
        return self.record["groups"].get(activation)

    def keep_group_size(self, activation: str, size: int) -> None:
        """Sets it, for whoever resumes."""
        self.record["groups"][activation] = size
        self.write()

    def read_rows(self) -> dict[Network, list[Row]]:
        """The rows of results.jsonl, by network.

        Raises:
          InputError: if a line is no row.
        """
        path = self.folder and self.folder / "results.jsonl"
        rows: dict[Network, list[Row]] = {}
        if not path or not path.exists():
            return rows
        for number, line in enumerate(path.read_text().splitlines(), 1):
            try:
                row = json.loads(line)
                rows.setdefault(network_of(row), []).append(row)
            except (ValueError, LookupError, TypeError):
                raise InputError(
                    f"{path} is damaged in line {number}; delete that line, and its network is trained again"
                ) from None
        return rows

    def write_rows(self, rows: list[Row]) -> None:
        """Writes results.jsonl anew, in one step."""
        if self.own:
            write_rows(self.own / "results.jsonl", rows)

    def checkpoints(self, group: str) -> Path | None:
        """Folder of the checkpoints of a group."""
        return self.folder and self.folder / "checkpoints" / group

    def save(self, group: str, step: int, state: Any, rows: list[Row], seconds: float) -> None:
        """Writes a checkpoint of a group."""
        if self.own and (path := self.checkpoints(group)):
            checkpoint.save(path, step, state, {"rows": rows, "seconds": seconds})

    def restore(self, group: str, template: Any) -> tuple[Any, list[Row], float] | None:
        """State, rows and seconds of the newest whole checkpoint of a group, or None."""
        path = self.checkpoints(group)
        found = checkpoint.load_newest(path, template) if path else None
        wait_for_all("the checkpoint")  # to be read, before it changes
        if not path or not found:
            return None
        state, record = found
        if self.own:
            checkpoint.set_aside(path, after=int(state.step))
        return state, record["rows"], record["seconds"]

    def forget(self, group: str) -> None:
        """Deletes the checkpoints of a group that is done."""
        path = self.checkpoints(group)
        if self.own and path and path.is_dir():
            shutil.rmtree(path)


def new_folder(config: SweepConfig, dataset: Dataset, shift: tuple, scale: tuple) -> SweepFolder:
    """What is to be written of a new sweep."""
    record = {
        "options": config.to_dict(),
        "data": {
            "classes": list(dataset.classes),
            "images": [len(dataset.train_labels), len(dataset.test_labels)],
            "shift": shift,
            "scale": scale,
        },
        "groups": {},
        **surroundings(),
    }
    return SweepFolder(Path(config.out) if config.out is not None else None, record)


def load_sweep(folder: str | Path, config: SweepConfig | None = None) -> tuple[SweepFolder, SweepConfig]:
    """The sweep in a folder, and its options.

    Args:
      folder: folder of a sweep.
      config: its options; needed if it has activations that are not jaxact's. ``devices`` and what else changes no
        row may differ.

    Raises:
      InputError: if there is no sweep, or one with other options.
    """
    folder = Path(folder)
    path = folder / "sweep.json"
    try:
        record = json.loads(path.read_text())
        options = record["options"]
        if config is None:
            if foreign := [name for name in options["activations"] if ":" in name]:
                raise InputError(f"{folder} has the activation {foreign[0]}, not of jaxact: pass its options")
            config = SweepConfig.from_dict(options)
        before, now = _flat(options), _flat(config.to_dict())
        for key, value in now.items():
            if key not in MAY_CHANGE and value != before[key]:
                name = key.removeprefix("train.")
                raise InputError(f"{name} {value} cannot be changed in a resumed sweep, which has {before[key]}")
        if not isinstance(record["groups"], dict) or len(record["data"]["images"]) != 2:
            raise ValueError("groups or data are missing")
        return SweepFolder(folder, record), dataclasses.replace(config, out=str(folder))
    except FileNotFoundError:
        raise InputError(f"{folder} is not the folder of a sweep: there is no {path}") from None
    except (OSError, ValueError, AttributeError, LookupError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read ({error}); it is no sweep of this version of jaxact") from None


def _flat(options: dict[str, Any]) -> dict[str, Any]:
    train = {f"train.{key}": value for key, value in options["train"].items()}
    return {key: value for key, value in options.items() if key != "train"} | train


def make_rows(
    networks: Sequence[Network],
    epoch: int,
    state: TrainState,
    images: int,
    losses: np.ndarray,
    right: np.ndarray,
    seconds: float,
    before: Sequence[Row],
) -> list[Row]:
    """The rows of an epoch of a group.

    Args:
      networks: the networks of the group.
      epoch: number of the epoch, from 1.
      state: their stacked states at its end, of which sums and bad_step are read.
      images: number of training images.
      losses: of the test images, [networks, images].
      right: whether they were classified rightly, [networks, images].
      seconds: the share of each network in the time of the epoch.
      before: rows of earlier epochs; who has diverged once stays so.
    """
    gone = {network_of(row) for row in before if row["diverged"]}
    rows = []
    for i, network in enumerate(networks):
        measured = {
            "loss": float(state.loss[i]) / images,
            "accuracy": int(state.correct[i]) / images,
            "val_loss": float(losses[i].mean(dtype=np.float64)),
            "val_accuracy": float(np.mean(right[i])),
        }
        finite = np.isfinite([measured["loss"], measured["val_loss"]]).all()
        diverged = bool(network in gone or state.bad_step[i] >= 0 or not finite)
        metrics = dict.fromkeys(measured) if diverged else measured
        rows.append(network._asdict() | {"epoch": epoch} | metrics | {"seconds": seconds, "diverged": diverged})
    return rows
