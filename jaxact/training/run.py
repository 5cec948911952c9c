"""The run folder: options, metrics, curves and checkpoints of one training run."""

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxact.atomic import replacing, write_rows
from jaxact.errors import InputError
from jaxact.training import checkpoint
from jaxact.training.config import TrainConfig, names_of
from jaxact.training.data import Dataset

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

PACKAGES = ("jaxact", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def versions() -> dict[str, str]:
    """Versions of jaxact and of what it trains with."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def surroundings() -> dict[str, Any]:
    """Versions and device, for the record."""
    device = jax.devices()[0]
    return {
        "versions": versions(),
        "device": {"platform": device.platform, "kind": device.device_kind, "count": jax.device_count()},
    }


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Makes the folder, and keeps other processes from training in it.

    Raises:
      InputError: if another process does so now.
      OSError: if it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it ends with the process, however that ends
            except BlockingIOError:
                raise InputError(f"another process is training in {folder}; wait for it or stop it") from None
        yield


MAY_CHANGE = ("epochs", "diagnose", "threshold")  # in a resumed run; epochs may grow


@dataclasses.dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
      folder: where it is.
      config: options of the run.
      classes: names of the classes.
      shift: what is subtracted from pixels of 0 to 255, for each channel.
      scale: what the difference is multiplied by, for each channel.
      images: numbers of training and test images.
    """

    folder: Path
    config: TrainConfig
    classes: tuple[str, ...]
    shift: tuple[float, float, float]
    scale: tuple[float, float, float]
    images: tuple[int, int]

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"

    @property
    def metrics(self) -> Path:
        """File with one JSON object an epoch."""
        return self.folder / "metrics.jsonl"

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """`locked` of the folder."""
        return locked(self.folder)

    def create(self) -> None:
        """Writes config.json into the folder, which `locked` made.

        Raises:
          InputError: if a run is there already.
          OSError: if it cannot be written.
        """
        if (self.folder / "config.json").exists():
            raise InputError(
                f"{self.folder} holds a run already; go on with `jaxact train --resume {self.folder}`,"
                " or choose another --out"
            )
        self.write_config()

    def write_config(self) -> None:
        """Writes config.json: options, data, versions and device."""
        record = {
            "options": self.config.to_dict(),
            "data": {
                "classes": self.classes,
                "images": self.images,
                "shift": self.shift,
                "scale": self.scale,
            },
            **surroundings(),
        }
        with replacing(self.folder / "config.json") as file:
            file.write(json.dumps(record, indent=2).encode() + b"\n")

    def write_metrics(self, history: list[dict[str, float]]) -> None:
        """Writes metrics.jsonl anew."""
        write_rows(self.metrics, history)

    def read_metrics(self) -> list[dict[str, float]]:
        """The rows of metrics.jsonl; none before the first epoch is done.

        Raises:
          InputError: if it holds something else.
        """
        try:
            rows = [json.loads(line) for line in self.metrics.read_text().splitlines()]
        except FileNotFoundError:
            return []
        except ValueError as error:
            raise InputError(f"{self.metrics} cannot be read ({error})") from None
        needed = {"epoch", "loss", "accuracy", "val_loss", "val_accuracy"}
        if not all(isinstance(row, dict) and needed <= row.keys() for row in rows):
            raise InputError(f"{self.metrics} cannot be read: it needs {', '.join(sorted(needed))} in each line")
        return rows

    def draw_curves(self, history: list[dict[str, float]]) -> None:
        """Draws curves.png, if matplotlib is there and an epoch is done."""
        if history and importlib.util.find_spec("matplotlib"):
            from jaxact import plotting

            plotting.save(plotting.curves_figure(history, title=self.folder.name), self.folder / "curves.png")


def pixel_scaling(config: TrainConfig, dataset: Dataset) -> tuple[tuple, tuple]:
    """Shift and scale of each channel, for the ``pixels`` of a configuration."""
    if config.pixels == "standardized":
        channels = dataset.train_images.reshape(-1, 3)
        shares = np.stack([np.bincount(c, minlength=256) for c in channels.T]) / len(channels)  # exact, and small
        mean = shares @ np.arange(256)
        deviation = np.sqrt((shares * (np.arange(256) - mean[:, None]) ** 2).sum(axis=1))
        return tuple(mean.tolist()), tuple((1 / np.maximum(deviation, 1)).tolist())
    return (0.0,) * 3, (1 / 255 if config.pixels == "unit" else 1.0,) * 3


def claim_folder(config: TrainConfig, root: str | Path = "runs", *, what: str | None = None) -> Path:
    """Makes a new folder named after the data set, what is trained (by default the activation) and a number."""
    activation = re.sub(r"[^\w.]+", "-", what or str(config.to_dict()["activation"])).strip("-")
    dataset = re.sub(r"[^\w.]+", "-", config.dataset)
    number = 1
    while True:
        folder = Path(root) / f"{dataset}-{activation}-{number}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1


def load_run(folder: str | Path, *, activation: str | Callable | None = None) -> Run:
    """The run in a folder.

    Args:
      folder: run folder, as `jaxact train` makes it.
      activation: the function that the run was trained with, needed if it is not one of jaxact's.

    Raises:
      InputError: if it holds no run, or one that cannot be read.
    """
    folder = Path(folder)
    path = folder / "config.json"
    try:
        record: dict[str, Any] = json.loads(path.read_text())
        options, data = record["options"], record["data"]
        if unknown := options.keys() - set(names_of(TrainConfig)):
            raise InputError(f"{path} has options that this version does not know: {', '.join(sorted(unknown))}")
        if ":" in options["activation"]:
            if not callable(activation):
                raise InputError(
                    f"{folder} was trained with {options['activation']}, not of jaxact: pass it as activation"
                )
            options["activation"] = activation
        config = TrainConfig(**options | {"out": str(folder)})
        shift, scale = tuple(data["shift"]), tuple(data["scale"])
        return Run(folder, config, tuple(data["classes"]), shift, scale, tuple(data["images"]))
    except FileNotFoundError:
        raise InputError(f"{folder} is not a run folder: there is no {path}") from None
    except (OSError, ValueError, AttributeError, LookupError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read ({error}); it is not a run of this version of jaxact") from None


def restore(run: Run, template: Any) -> tuple[Any, dict[str, Any]] | None:
    """State and record of the newest whole checkpoint, or None."""
    return checkpoint.load_newest(run.checkpoints, template)


def check_resumable(earlier: TrainConfig, now: TrainConfig) -> None:
    """Refuses options with which a run cannot go on.

    Args:
      earlier: those it has.
      now: those wanted.

    Raises:
      InputError: if one is another that has to be the same.
    """
    wanted = now.to_dict()
    if now.out and Path(now.out).resolve() != Path(str(earlier.out)).resolve():
        raise InputError(f"--out {now.out} cannot be changed in a resumed run, which is in {earlier.out}")
    for field, before in earlier.to_dict().items():
        after = wanted[field]
        if before == after or field in ("out", "data_dir", "devices", *MAY_CHANGE[1:]):
            continue
        name = "--" + field.replace("_", "-")
        if field != "epochs":
            raise InputError(f"{name} {after} cannot be changed in a resumed run, which has {before}")
        if earlier.schedule != "constant" or after < before:
            raise InputError(
                f"{name} {after} cannot replace {before}: it can only grow, and only without --schedule"
            )
