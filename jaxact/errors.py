"""The one exception for input that cannot be used."""


class InputError(ValueError):
    """Input that cannot be used; the message is one line that says what would work.

    The command line prints the message alone and exits with code 2.
    """
