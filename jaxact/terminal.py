"""What is told on a terminal beside what is printed."""

import sys


def tell(line: str) -> None:
    """Prints a line to stderr, above the progress bars of tqdm if there are any."""
    tqdm = sys.modules.get("tqdm")  # there is no bar of it where it was not imported
    if tqdm is None:
        print(f"jaxact: {line}", file=sys.stderr)
    else:
        tqdm.tqdm.write(f"jaxact: {line}", file=sys.stderr)
