"""Trains LeNet-5 with every activation of the catalogue, by two initialisers, and prints what became of them.

The table of the README comes from: python scripts/sweep_activations.py --out runs/activations
It says first how long it will take. Interrupted, it goes on when it is called again.
"""

import dataclasses
import math
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import jax
import tyro

from jaxact.cli import ended
from jaxact.training import Dataset, SweepConfig, TrainConfig, load_dataset, run_sweep, summarize
from jaxact.training.devices import use_cores
from jaxact.training.sweep_summary import Setting, Summary, fate


@dataclasses.dataclass(frozen=True)
class Study:
    """Compare all activations of the catalogue.

    Attributes:
      activations: names with commas between them, or "all".
      seeds: networks of each activation and initialiser, with the seeds 0, 1, ...
      epochs: passes over the training images.
      learning_rate: learning rate of Adam.
      dataset: "digits", or a data set prepared for tensorflow-datasets.
      data_dir: folder of the prepared data sets; by default TFDS_DATA_DIR, else ~/tensorflow_datasets.
      pixels: how pixels become inputs, as in `jaxact train`.
      devices: devices of a CPU; by default its cores.
      out: folder of the sweep.
    """

    activations: str = "all"
    seeds: int = 2
    epochs: int = 3
    learning_rate: float = 1e-3
    dataset: str = "cifar10"
    data_dir: str | None = None
    pixels: str = "standardized"
    devices: int | None = None
    out: str = "runs/activations"

    def run(self) -> None:
        """Trains what is missing, then prints the table."""
        use_cores(self.devices)
        options: Any = {name: getattr(self, name) for name in ("dataset", "data_dir", "epochs", "pixels")}
        config = SweepConfig(
            activations="all" if self.activations == "all" else self.activations.split(","),
            seeds=self.seeds,
            learning_rates=[self.learning_rate],
            initializers=["glorot_uniform", "gain"],
            train=TrainConfig(**options),
            out=self.out,
        )
        data = load_dataset(self.dataset, data_dir=self.data_dir)
        there = (Path(self.out) / "sweep.json").exists()
        print(_forecast(config, data, self.out), file=sys.stderr)
        result = run_sweep(config, resume=self.out if there else None, dataset=data, note=_note)
        print(markdown(result.rows, chance=1 / len(data.classes)))


def _note(line: str) -> None:
    print(line, file=sys.stderr)


def _forecast(config: SweepConfig, data: Dataset, out: str) -> str:
    """How long it will take, by a try with a tenth of the images."""
    fields = ("train_images", "train_labels", "test_images", "test_labels")
    part = data._replace(
        **{field: getattr(data, field)[: len(getattr(data, field)) // 10 + 1] for field in fields}
    )
    trial = dataclasses.replace(
        config, activations=["gelu"], seeds=1, train=dataclasses.replace(config.train, epochs=1), out=None
    )
    start = time.perf_counter()
    rows = run_sweep(trial, dataset=part, progress=False).rows
    each = sum(row["seconds"] for row in rows)
    building = time.perf_counter() - start - each
    path = Path(out) / "results.jsonl"
    done = len(path.read_text().splitlines()) if path.exists() else 0
    activations = len(config.functions())
    networks = len(config.networks("gelu", config.initializers))
    epochs = activations * networks * config.train.epochs
    seconds = (epochs - done) * 10 * each / len(rows) + (1 - done / epochs) * activations * building
    return (
        f"{activations} activations, {epochs} epochs of one network, of which {done} are done; the rest takes"
        f" about {seconds / 60:.0f} minutes on {jax.device_count()} devices"
    )


def markdown(rows: list[dict], chance: float) -> str:
    """The table: every activation with both initialisers, by the better of the two.

    Args:
      rows: rows of the sweep.
      chance: the accuracy of a guess.
    """
    found: dict[str, dict[str, Summary]] = {}
    for summary in summarize(rows):
        found.setdefault(summary.setting.activation, {})[summary.setting.initializer] = summary
    lines = [
        "| rank | activation | glorot_uniform | | gain | |",
        "|---:|---|---:|---|---:|---|",
    ]
    for rank, (name, by_initializer) in enumerate(found.items(), 1):
        cells = []
        for initializer in ("glorot_uniform", "gain"):
            summary = by_initializer.get(initializer)
            cells += _cells(summary, rows, chance) if summary else ["", "no gain"]
        lines.append(f"| {rank} | `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cells(summary: Summary, rows: list[dict], chance: float) -> list[str]:
    histories: dict[int, list[dict]] = {}
    for row in rows:
        if Setting(row["activation"], row["initializer"], row["learning_rate"]) == summary.setting:
            histories.setdefault(row["seed"], []).append(row)
    fates = Counter(fate(history, chance) for history in histories.values())
    mean, std = summary.last("val_accuracy")
    value = "" if math.isnan(mean) else f"{mean:.3f}" + ("" if math.isnan(std) else f" ± {std:.3f}")
    one = len(fates) == 1
    return [value, ", ".join(what if one else f"{count} {what}" for what, count in fates.items())]


if __name__ == "__main__":
    code = ended(lambda: tyro.cli(Study).run())
    if code == 130:
        print("all is saved, call it again to go on", file=sys.stderr)
    sys.exit(code)
