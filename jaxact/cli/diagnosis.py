"""Command `diagnose`."""

import dataclasses
import importlib
import sys
import zipfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

import jaxact
from jaxact.cli.output import Threshold, check_files, print_json, print_rich, waiting
from jaxact.diagnosis import Diagnosis, Thresholds
from jaxact.diagnosis.thresholds import thresholds_of
from jaxact.errors import InputError, shown

EXAMPLES = 512
_KEYS = (("x", "y"), ("inputs", "labels"))


@dataclasses.dataclass(frozen=True)
class Diagnose:
    """Diagnose a network: which layers saturate, die, vanish or explode, why, and what to change.

    Give a run folder, trained or just started, for its network on images of its own data set; or any model of
    yours with a batch: --model package.module:factory --batch file.npz. The factory takes no arguments and returns
    an nnx module, (linen module, variables), or (function, parameters). The file holds x and y, or inputs and
    labels.

    Attributes:
      folder: run folder.
      examples: about how many training images of the run to look at.
      data_dir: folder of the prepared data sets; by default the one of the run.
      threshold: NAME=VALUE, from where on something is a fault, as in dead=0.1; may be given again. The names are
        those of jaxact.diagnosis.Thresholds.
      model: package.module:factory of a model; the current folder is looked into too.
      batch: .npz file of the batch for --model.
      html: page to write, which needs no network.
      figure: picture to write, .png, .svg or .pdf.
      json: print one JSON object, and nothing else.
    """

    folder: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[RUN]")] = None
    examples: int = EXAMPLES
    data_dir: str | None = None
    threshold: Threshold = ()
    model: str | None = None
    batch: str | None = None
    html: str | None = None
    figure: str | None = None
    json: bool = False

    def run(self) -> int:
        """Diagnoses, prints and writes."""
        self._check()
        thresholds = thresholds_of(self.threshold)
        if self.folder is not None:
            title, found = diagnose_run(
                self.folder, self.examples, self.data_dir, thresholds, progress=not self.json
            )
        else:
            assert self.model is not None
            assert self.batch is not None
            title = self.model
            model, batch = _model(self.model), _batch(self.batch)
            with waiting(f"diagnosing {title}"):
                found = _diagnosed(model, batch, thresholds)
        if self.json:
            print_json(found.to_dict())
        else:
            print_rich(found)
            print(f"{title}: loss {found.loss:.4g} on {found.examples:,} examples")
            _tell_updates(found)
        written = []
        if self.html is not None:
            written.append(found.save_html(self.html, title=title))
        if self.figure is not None:
            from jaxact import plotting
            from jaxact.diagnosis.page import flat_regions

            picture = plotting.diagnosis_figure(found, flat_regions(found), title=title)
            written.append(plotting.save(picture, self.figure))
        if not self.json:
            print(*written, sep="\n", end="\n" if written else "")
        return 0

    def _check(self) -> None:
        if (self.folder is None) == (self.model is None):
            raise InputError("give a run folder, or --model package.module:factory with --batch file.npz")
        if (self.batch is None) != (self.model is None):
            raise InputError("--model and --batch go together: --model package.module:factory --batch file.npz")
        if self.examples < 1:
            raise InputError(f"--examples must be at least 1, got {self.examples}")
        check_files(figure=self.figure, html=self.html)


def _tell_updates(found: Diagnosis) -> None:
    """Prints the size of the next update by that of the weights, where it is known; biases may be 0."""
    ratios = [(record.update, record.path) for record in found.parameters if len(record.shape) > 1]
    known = sorted((update, path) for update, path in ratios if update is not None)
    if known:
        (low, least), (high, most) = known[0], known[-1]
        print(f"next update by weights: from {low:.2g} ({least}) to {high:.2g} ({most})")


def diagnose_run(
    folder: str, examples: int, data_dir: str | None, thresholds: Thresholds, *, progress: bool
) -> tuple[str, Diagnosis]:
    """The diagnosis of the network of a run, and what to call it.

    Args:
      folder: run folder.
      examples: about how many training images to look at.
      data_dir: folder of the prepared data sets; by default the one of the run.
      thresholds: from where on something is a fault.
      progress: whether to show on a terminal what is under way.
    """
    from jaxact import training

    trained = training.load_trained(folder, or_initial=True)
    batches = training.sample_batches(trained, examples, data_dir=data_dir, progress=progress)
    title = f"{Path(folder).name}, epoch {trained.epoch}"
    with waiting(f"diagnosing {title}"):
        options = {"optimizer": trained.optimizer, "thresholds": thresholds}
        return title, jaxact.diagnose(trained.model, batches[0], further=batches[1:], **options)


def _model(spec: str) -> Any:
    """What a factory that is named package.module:factory returns."""
    name, colon, attribute = spec.partition(":")
    if not (colon and all(part.isidentifier() for part in [*name.split("."), *attribute.split(".")])):
        raise InputError(f"--model must be package.module:factory, got {shown(spec)}")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        factory: Any = importlib.import_module(name)
    except Exception as error:  # a user's module fails in ways of its own
        raise InputError(f"--model {spec}: {name} cannot be imported ({_words(error)})") from None
    for part in attribute.split("."):
        if not hasattr(factory, part):
            raise InputError(f"--model {spec}: {name} has no {attribute}")
        factory = getattr(factory, part)
    if not callable(factory):
        raise InputError(f"--model {spec}: {attribute} must be a function without arguments, got {shown(factory)}")
    try:
        return factory()
    except Exception as error:
        raise InputError(f"--model {spec}: {attribute}() failed ({_words(error)})") from None


def _batch(path: str) -> Any:
    """The batch in a file: inputs and labels, or inputs alone."""
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise ValueError("it holds one array without a name")
        with file:
            arrays = dict(file)
    except FileNotFoundError:
        raise InputError(f"--batch: there is no file {path}") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"--batch {path} is no .npz file of arrays ({_words(error)})") from None
    for inputs, labels in _KEYS:
        if inputs in arrays and set(arrays) <= {inputs, labels}:
            lengths = {array.shape[:1] for array in arrays.values()}
            if len(lengths) != 1 or lengths & {(), (0,)}:
                shapes = ", ".join(f"{key} {list(array.shape)}" for key, array in arrays.items())
                raise InputError(f"--batch {path} must hold arrays of one number of examples, got {shapes}")
            return (arrays[inputs], arrays[labels]) if labels in arrays else arrays[inputs]
    got = ", ".join(sorted(arrays)) or "none"
    raise InputError(f"--batch {path} must hold the arrays x and y, or inputs and labels, got {got}")


def _diagnosed(model: Any, batch: Any, thresholds: Thresholds) -> Diagnosis:
    try:
        return jaxact.diagnose(model, batch, thresholds=thresholds)
    except InputError:
        raise
    except Exception as error:  # whatever a model says of a batch that does not fit
        raise InputError(f"the model cannot be run on the batch ({_words(error)})") from None


def _words(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
