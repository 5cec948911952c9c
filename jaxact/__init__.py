"""jaxact: know your activation functions.

Pure functions with derivatives that are right everywhere, analysis of any callable, and training, in JAX.
`import jaxact` loads JAX and nothing heavier; what needs Flax or Optax loads when it is first used.
"""

from typing import TYPE_CHECKING, Any

from jaxact import activations as activations
from jaxact.activations import *  # noqa: F403
from jaxact.analysis.derivatives import derivative as derivative
from jaxact.catalog import ACTIVATIONS as ACTIVATIONS
from jaxact.catalog import Activation as Activation
from jaxact.catalog import get as get
from jaxact.catalog import serialize as serialize
from jaxact.errors import InputError as InputError

if TYPE_CHECKING:
    from jaxact.training.lenet import LeNet5 as LeNet5

__version__ = "0.1.0"

_LAZY = {"LeNet5": "jaxact.training.lenet", "training": "jaxact.training", "plotting": "jaxact.plotting"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'jaxact' has no attribute {name!r}")
    import importlib

    module = importlib.import_module(_LAZY[name])
    return module if _LAZY[name] == f"jaxact.{name}" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted(globals().keys() | _LAZY.keys())
