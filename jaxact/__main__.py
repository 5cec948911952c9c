"""The command `jaxact`, also as `python -m jaxact`."""

import sys


def main() -> int:
    """Runs the command line and returns its exit code."""
    try:
        from jaxact.cli import main as run
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as error:
        print(f"jaxact: the command line needs {error.name}: pip install 'jaxact[cli]'", file=sys.stderr)
        return 2
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
