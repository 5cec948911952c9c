"""The command line: one dataclass a command, one library call each.

Exit codes: 0 done; 1 the training diverged, another process of the run was lost, or an activation is less exact
than it has to be; 2 input that cannot be used; 130 interrupted.
"""

import contextlib
import difflib
import importlib
import io
import os
import re
import sys
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import tyro

import jaxact
from jaxact.errors import InputError

T = TypeVar("T")

# Command to (module, class, what it does). A module is imported when its command is called.
COMMANDS = {
    "train": ("jaxact.cli.train", "Train", "train LeNet-5"),
    "evaluate": ("jaxact.cli.train", "Evaluate", "evaluate a trained run on its test images"),
    "predict": ("jaxact.cli.train", "Predict", "classify image files with a trained run"),
    "diagnose": (
        "jaxact.cli.diagnosis",
        "Diagnose",
        "diagnose a run or any model: what saturates, dies, vanishes",
    ),
    "report": ("jaxact.cli.report", "Report", "gather a run in one HTML file: curves, diagnosis, options"),
    "sweep": ("jaxact.cli.sweep", "Sweep", "train many networks in one program, and rank activations"),
    "data info": ("jaxact.cli.data", "Info", "show a data set, with a sheet of sample images"),
    "data prepare": ("jaxact.cli.data", "Prepare", "download and prepare a data set"),
    "list": ("jaxact.cli.catalog", "List", "list the activations"),
    "show": ("jaxact.cli.catalog", "Show", "show one activation: facts, values and derivatives"),
    "plot": ("jaxact.cli.catalog", "Plot", "plot activations and their derivatives"),
    "saturate": ("jaxact.cli.saturation", "Saturate", "find where activations are flat, dead or not a number"),
    "gain": ("jaxact.cli.gain", "Gain", "compute gains for the weights before activations"),
    "phase": ("jaxact.cli.phase", "Phase", "draw the phases of deep networks of an activation"),
    "atlas": ("jaxact.cli.atlas", "Atlas", "make an atlas: one page a function, and one HTML file of all"),
    "accuracy": ("jaxact.cli.accuracy", "Accuracy", "measure how exact activations and their derivatives are"),
}


class Command(Protocol):
    """What a command's dataclass offers."""

    def run(self) -> int:
        """Does the work and returns the exit code."""
        ...


def main(argv: list[str]) -> int:
    """Runs one command.

    Args:
      argv: arguments after the name of the program.

    Returns:
      The exit code.
    """
    return ended(lambda: _dispatch(argv))


def ended(work: Callable[[], int | None]) -> int:
    """Does the work of a program; returns its exit code, and says in one line on stderr what kept it from its end.

    Args:
      work: returns an exit code, or None for 0.
    """
    try:
        code = work()
        sys.stdout.flush()  # a reader that has gone is noticed here, not after all handlers
        return code or 0
    except InputError as error:
        return _fail(str(error))
    except ModuleNotFoundError as error:
        return _fail(f"this command needs {error.name}: pip install 'jaxact[all]'")
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}")
    except KeyboardInterrupt:
        print("jaxact: interrupted", file=sys.stderr)
        return 130


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print(_overview(), file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    if argv[0] == "--version":
        print(f"jaxact {jaxact.__version__}")
        return 0
    name, rest = _split(argv)
    module, cls, _ = COMMANDS[name]
    command = getattr(importlib.import_module(module), cls)
    parser: Callable[[type, list[str], str], Command] = getattr(command, "parse", parse)
    return parser(command, rest, f"jaxact {name}").run()


def parse(command: type[T], argv: list[str], prog: str, default: Any = None) -> T:
    """The command's dataclass from its arguments; what does not fit is an `InputError` of one line."""
    messages = io.StringIO()
    options = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(messages):
            return tyro.cli(command, prog=prog, args=argv, **options)
    except SystemExit as stop:
        if not stop.code:
            raise
        lines = [re.sub(r"[│╭╮╰╯]", "", line).strip() for line in messages.getvalue().splitlines()[1:]]
        if lines and re.fullmatch("-+", lines[0]):  # where the encoding has no boxes
            del lines[0]
        rule = next((i for i, line in enumerate(lines) if re.match("──|-{9}", line)), len(lines))
        message = re.sub(r"^Error parsing (\w+: )?", "", " ".join(lines[:rule]).strip())
        raise InputError(f"{message.rstrip('.')} (see {prog} --help)") from None


def _split(argv: list[str]) -> tuple[str, list[str]]:
    """The name of the command, of one word or two, and its arguments."""
    for words in (2, 1):
        if (name := " ".join(argv[:words])) in COMMANDS:
            return name, argv[words:]
    if argv[0] == "data":
        raise InputError("jaxact data is followed by info or prepare, then the name of a data set")
    near = difflib.get_close_matches(argv[0], COMMANDS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the commands are {', '.join(COMMANDS)}"
    raise InputError(f"unknown command {argv[0]!r}; {hint}")


def _overview() -> str:
    rows = "\n".join(f"  {name:<14}{what}" for name, (_, _, what) in COMMANDS.items())
    return (
        f"usage: jaxact COMMAND [OPTIONS]\n\nKnow your activation functions.\n\ncommands:\n{rows}\n\n"
        "jaxact COMMAND --help tells the options; jaxact --version the version."
    )


def _fail(message: str) -> int:
    print(f"jaxact: {' '.join(message.split())}", file=sys.stderr)
    return 2
