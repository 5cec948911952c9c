"""The one exception for input that cannot be used, and how its message shows a value."""


class InputError(ValueError):
    """Input that cannot be used; the message is one line that says what would work.

    The command line prints the message alone and exits with code 2.
    """


def shown(value: object, width: int = 60) -> str:
    """``value`` as one short line, for a message: arrays have line breaks, and huge integers no repr."""
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return " ".join(text.split())[:width]
