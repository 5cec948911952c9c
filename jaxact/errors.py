"""The one exception for input that cannot be used, and how its message shows a value."""


class InputError(ValueError):
    """Input that cannot be used; the message is one line that says what would work.

    The command line prints the message alone and exits with code 2.
    """


def shown(value: object, width: int = 60) -> str:
    """``value`` as one short line, for a message: functions by name; of arrays and huge integers what fits."""
    try:
        name = getattr(value, "__name__", None)
        text = str(name) if name and callable(value) and not isinstance(value, type) else repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return " ".join(text.split())[:width]
