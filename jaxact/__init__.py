"""jaxact: know your activation functions.

Pure functions with derivatives that are right everywhere, analysis of any callable, and training, in JAX.
`import jaxact` loads JAX and nothing heavier; what needs Flax or Optax loads when it is first used.
"""

from typing import TYPE_CHECKING, Any

from jaxact import activations as activations
from jaxact.activations import celu as celu
from jaxact.activations import elu as elu
from jaxact.activations import erf as erf
from jaxact.activations import exp as exp
from jaxact.activations import gelu as gelu
from jaxact.activations import hard_shrink as hard_shrink
from jaxact.activations import hard_sigmoid as hard_sigmoid
from jaxact.activations import hard_silu as hard_silu
from jaxact.activations import hard_swish as hard_swish
from jaxact.activations import hard_tanh as hard_tanh
from jaxact.activations import identity as identity
from jaxact.activations import leaky_relu as leaky_relu
from jaxact.activations import log1mexp as log1mexp
from jaxact.activations import log_sigmoid as log_sigmoid
from jaxact.activations import mish as mish
from jaxact.activations import relu as relu
from jaxact.activations import relu6 as relu6
from jaxact.activations import selu as selu
from jaxact.activations import sigmoid as sigmoid
from jaxact.activations import silu as silu
from jaxact.activations import soft_shrink as soft_shrink
from jaxact.activations import soft_sign as soft_sign
from jaxact.activations import softplus as softplus
from jaxact.activations import sparse_plus as sparse_plus
from jaxact.activations import sparse_sigmoid as sparse_sigmoid
from jaxact.activations import squareplus as squareplus
from jaxact.activations import swish as swish
from jaxact.activations import tanh as tanh
from jaxact.activations import tanh_shrink as tanh_shrink
from jaxact.activations import threshold as threshold
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
