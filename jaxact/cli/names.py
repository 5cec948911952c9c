"""Activations that are named on the command line, and errors that speak of them by these names."""

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence

import jaxact
from jaxact.errors import InputError, shown


def named_functions(names: Sequence[str], example: str) -> dict[str, Callable]:
    """Functions by canonical name; aliases and other spellings of one function are one.

    Args:
      names: names, with parameters or of other frameworks, as `jaxact.get` takes them.
      example: a command that works, for the message where there are no names.

    Raises:
      InputError: if there is no name, or an unknown one.
    """
    if not names:
        raise InputError(f"name at least one activation, as in: {example}")
    functions = [jaxact.get(name) for name in names]
    return {jaxact.serialize(fn): fn for fn in functions}


@contextlib.contextmanager
def speaking_of(name: str, fn: Callable) -> Iterator[None]:
    """A block whose errors say the name, not "fn", and the options of the command line, not arguments."""
    try:
        yield
    except InputError as error:
        message = re.sub(rf"(?<!\w){re.escape(shown(fn))}(?!\w)|^fn(?= must)", lambda _: name, str(error))
        message = re.sub(r"pass (.*?),? as domain=\((.*?), (.*?)\)", _as_option, message)
        raise InputError(message) from None


def _as_option(found: re.Match) -> str:
    what, low, high = found.groups()
    return f"give {what} as --domain {low} {high}".replace("low high", "LOW HIGH")
