"""Trains LeNet-5 by a jitted Optax step: `jaxact train` as a script, with the same options.

Run it as: python scripts/train_lenet.py --dataset digits --activation gelu
"""

import sys

from jaxact.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
