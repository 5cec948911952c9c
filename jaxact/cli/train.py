"""Commands `train`, `evaluate` and `predict`."""

import argparse
import dataclasses
import functools
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import jax
import tyro
from flax import nnx

from jaxact import plotting, training
from jaxact.cli import parse
from jaxact.cli.output import Threshold, print_json, print_table
from jaxact.cli.together import Together
from jaxact.terminal import tell
from jaxact.training.cache import keep_programs
from jaxact.training.config import names_of
from jaxact.training.devices import IMAGES_PER_CORE, LostProcessError, end_at_once, use_cores
from jaxact.training.lenet import build_model
from jaxact.training.run import claim_folder, load_run

if TYPE_CHECKING:
    from jaxact.diagnosis.monitor import Monitor


@dataclasses.dataclass(frozen=True)
class Train(Together, training.TrainConfig):
    """Train LeNet-5 on 32x32 images; the defaults are the tutorial's.

    Attributes:
      activation: activation of every layer but the last: a name, with parameters if you like, as in
        "leaky_relu(negative_slope=0.2)".
      resume: run folder to go on with; its options hold; --epochs may grow, --diagnose and --threshold
        may change.
      tensorboard: write the metrics for TensorBoard too, into the run folder.
      json: print one JSON object an epoch, and nothing else.
      quiet: print nothing.
    """

    activation: str = "relu"
    data_dir: str | None = None
    threshold: Threshold = ()
    out: str | None = None
    resume: str | None = None
    tensorboard: bool = False
    json: bool = False
    quiet: bool = False

    @staticmethod
    def parse(command: type["Train"], argv: list[str], prog: str) -> "Train":
        """Parses the arguments; with --resume, the options of that run are the defaults."""
        for i, option in reversed(list(enumerate(argv))):
            if option == "--diagnose" and (i + 1 == len(argv) or argv[i + 1].startswith("-")):
                argv = [*argv[: i + 1], "auto", *argv[i + 1 :]]
        finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
        finder.add_argument("--resume", nargs="?")
        folder = finder.parse_known_args(argv)[0].resume
        options = load_run(folder).config.to_dict() if folder else {}
        return parse(command, argv, prog, default=command(**options, resume=folder))

    def run(self) -> int:
        """Trains, and says how to go on where it ends early."""
        options = {name: getattr(self, name) for name in names_of(training.TrainConfig)}
        quiet = self.quiet or self.json
        keep_programs()
        use_cores(self.devices or self.batch_size // IMAGES_PER_CORE)
        self.join(self.out)
        data = None
        if not self.out:  # the folder is made when nothing can go wrong before it is used
            data = training.load_dataset(self.dataset, data_dir=self.data_dir, progress=not quiet)
            options["out"] = str(claim_folder(training.TrainConfig(**options)))
        config = training.TrainConfig(**options)
        command = f"jaxact train --resume {shlex.quote(str(config.out))}"
        try:
            result = training.fit(
                config,
                resume=self.resume,
                dataset=data,
                started=None if quiet else functools.partial(_introduce, config),
                report=print_json if self.json else None if quiet else _print_epoch,
                progress=not quiet,
                tensorboard=self.tensorboard,
                alarm=None if self.quiet else tell,
            )
        except training.DivergedError as error:
            print(f"jaxact: {error}", file=sys.stderr)
            return 1
        except LostProcessError as error:
            print(f"jaxact: {error}; start all again with: {command}", file=sys.stderr)
            end_at_once(1)
        except training.Interrupted:
            print(f"jaxact: interrupted; all is saved, go on with: {command}", file=sys.stderr)
            return 130
        if not quiet:
            _tell_overhead(result.monitor)
            print(f"run folder: {result.folder}")
        return 0


def _introduce(config: training.TrainConfig, data: training.Dataset) -> None:
    layers = training.layer_table(nnx.eval_shape(lambda: build_model(config, len(data.classes))))
    rows = [(layer.name, str(layer.output_shape), f"{layer.parameters:,}") for layer in layers]
    rows.append(("total", "", f"{sum(layer.parameters for layer in layers):,}"))
    print_table(("layer", "output shape", "parameters"), rows)
    device = jax.devices()[0]
    print(
        f"{config.to_dict()['activation']} on {data.name}: {len(data.train_labels):,} training and"
        f" {len(data.test_labels):,} validation images; {device.platform} ({device.device_kind})",
        flush=True,
    )


def _tell_overhead(monitor: "Monitor | None") -> None:
    if monitor is not None and monitor.rows:
        period = "" if monitor.period is None else f", every {monitor.period} steps"
        print(
            f"diagnosis: {len(monitor.rows)} observations{period}; they took {monitor.overhead:.2%} of the time of"
            f" training, and {monitor.compile_seconds:.1f} s once"
        )


def _print_epoch(row: dict[str, float]) -> None:
    print(
        f"epoch {row['epoch']:>3}  loss {row['loss']:.4f}  accuracy {row['accuracy']:.4f}"
        f"  val_loss {row['val_loss']:.4f}  val_accuracy {row['val_accuracy']:.4f}"
        f"  {row['train_seconds'] + row['val_seconds']:.1f} s  {row['images_per_second']:,.0f} images/s",
        flush=True,
    )


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Evaluate a trained run on the test images of its data set.

    Attributes:
      folder: run folder.
      data_dir: folder of the prepared data sets; by default the one of the run.
      out: picture of the confusion matrix; by default confusion.png in the run folder.
      json: print one JSON object, and nothing else.
    """

    folder: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    data_dir: str | None = None
    out: str | None = None
    json: bool = False

    def run(self) -> int:
        """Evaluates, prints and draws."""
        trained = training.load_trained(self.folder)
        result = training.evaluate(trained, data_dir=self.data_dir, progress=not self.json)
        title = f"{Path(self.folder).name}, epoch {trained.epoch}: accuracy {result.accuracy:.4f}"
        figure = plotting.confusion_figure(result.confusion, result.classes, title=title)
        picture = plotting.save(figure, self.out or Path(self.folder) / "confusion.png")
        by_class = dict(zip(result.classes, result.class_accuracy.tolist(), strict=True))
        if self.json:
            values = {"epoch": trained.epoch, "loss": result.loss, "accuracy": result.accuracy}
            print_json(values | {"class_accuracy": by_class, "confusion": result.confusion.tolist()})
            return 0
        counts = result.confusion.sum(axis=1)
        rows = [(name, count, f"{by_class[name]:.4f}") for name, count in zip(result.classes, counts, strict=True)]
        print_table(("class", "images", "accuracy"), rows)
        print(f"epoch {trained.epoch}: loss {result.loss:.4f}, accuracy {result.accuracy:.4f}")
        print(f"confusion matrix: {picture}")
        return 0


@dataclasses.dataclass(frozen=True)
class Predict:
    """Classify image files, of any size and mode, with a trained run.

    Attributes:
      folder: run folder.
      images: image files.
      top: how many classes to print for each.
      json: print one JSON object an image, and nothing else.
    """

    folder: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    images: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE")]
    top: int = 3
    json: bool = False

    def run(self) -> int:
        """Prints the likeliest classes of each image."""
        trained = training.load_trained(self.folder)
        for prediction in training.predict(trained, list(self.images), top=self.top):
            if self.json:
                classes = [{"class": name, "probability": p} for name, p in prediction.classes]
                print_json({"image": prediction.image, "classes": classes})
            else:
                print(f"{prediction.image}: " + ", ".join(f"{name} {p:.4f}" for name, p in prediction.classes))
        return 0
