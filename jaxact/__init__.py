"""jaxact: know your activation functions.

Pure functions with derivatives that are right everywhere, analysis of any callable, and training, in JAX.
`import jaxact` loads JAX and nothing heavier; what needs Flax or Optax loads when it is first used.
"""

from typing import TYPE_CHECKING, Any

from jaxact import activations as activations
from jaxact import initializers as initializers
from jaxact import mean_field as mean_field
from jaxact.activations import acon_c as acon_c
from jaxact.activations import apl as apl
from jaxact.activations import arctan as arctan
from jaxact.activations import aria2 as aria2
from jaxact.activations import asinh as asinh
from jaxact.activations import bent_identity as bent_identity
from jaxact.activations import bilinear as bilinear
from jaxact.activations import celu as celu
from jaxact.activations import clamped_swiglu as clamped_swiglu
from jaxact.activations import clipped_gelu as clipped_gelu
from jaxact.activations import clipped_relu as clipped_relu
from jaxact.activations import cos as cos
from jaxact.activations import crelu as crelu
from jaxact.activations import e_swish as e_swish
from jaxact.activations import elish as elish
from jaxact.activations import elu as elu
from jaxact.activations import entmax as entmax
from jaxact.activations import entmax15 as entmax15
from jaxact.activations import erf as erf
from jaxact.activations import exp as exp
from jaxact.activations import ft_swish as ft_swish
from jaxact.activations import gaussian as gaussian
from jaxact.activations import gcu as gcu
from jaxact.activations import geglu as geglu
from jaxact.activations import gelu as gelu
from jaxact.activations import glu as glu
from jaxact.activations import glu_with as glu_with
from jaxact.activations import golu as golu
from jaxact.activations import groupsort as groupsort
from jaxact.activations import gtu as gtu
from jaxact.activations import gumbel_softmax as gumbel_softmax
from jaxact.activations import hard_elish as hard_elish
from jaxact.activations import hard_mish as hard_mish
from jaxact.activations import hard_shrink as hard_shrink
from jaxact.activations import hard_sigmoid as hard_sigmoid
from jaxact.activations import hard_silu as hard_silu
from jaxact.activations import hard_swish as hard_swish
from jaxact.activations import hard_tanh as hard_tanh
from jaxact.activations import identity as identity
from jaxact.activations import isrlu as isrlu
from jaxact.activations import isru as isru
from jaxact.activations import leaky_relu as leaky_relu
from jaxact.activations import lecun_tanh as lecun_tanh
from jaxact.activations import lisht as lisht
from jaxact.activations import log1mexp as log1mexp
from jaxact.activations import log_sigmoid as log_sigmoid
from jaxact.activations import log_softmax as log_softmax
from jaxact.activations import logcosh as logcosh
from jaxact.activations import logish as logish
from jaxact.activations import maxmin as maxmin
from jaxact.activations import mish as mish
from jaxact.activations import nlrelu as nlrelu
from jaxact.activations import pelu as pelu
from jaxact.activations import phish as phish
from jaxact.activations import prelu as prelu
from jaxact.activations import probact as probact
from jaxact.activations import quick_gelu as quick_gelu
from jaxact.activations import rational as rational
from jaxact.activations import reglu as reglu
from jaxact.activations import relu as relu
from jaxact.activations import relu6 as relu6
from jaxact.activations import relu_squared as relu_squared
from jaxact.activations import rrelu as rrelu
from jaxact.activations import seagull as seagull
from jaxact.activations import selu as selu
from jaxact.activations import serf as serf
from jaxact.activations import shifted_softplus as shifted_softplus
from jaxact.activations import sigmoid as sigmoid
from jaxact.activations import sign as sign
from jaxact.activations import silu as silu
from jaxact.activations import sine as sine
from jaxact.activations import smish as smish
from jaxact.activations import snake as snake
from jaxact.activations import soft_cap as soft_cap
from jaxact.activations import soft_clipping as soft_clipping
from jaxact.activations import soft_exponential as soft_exponential
from jaxact.activations import soft_shrink as soft_shrink
from jaxact.activations import soft_sign as soft_sign
from jaxact.activations import softmax as softmax
from jaxact.activations import softmin as softmin
from jaxact.activations import softplus as softplus
from jaxact.activations import softplus_beta as softplus_beta
from jaxact.activations import sparse_plus as sparse_plus
from jaxact.activations import sparse_sigmoid as sparse_sigmoid
from jaxact.activations import sparsemax as sparsemax
from jaxact.activations import sqnl as sqnl
from jaxact.activations import squareplus as squareplus
from jaxact.activations import srelu as srelu
from jaxact.activations import star_relu as star_relu
from jaxact.activations import step as step
from jaxact.activations import swiglu as swiglu
from jaxact.activations import swish as swish
from jaxact.activations import swish_beta as swish_beta
from jaxact.activations import tanh as tanh
from jaxact.activations import tanh_shrink as tanh_shrink
from jaxact.activations import tanhexp as tanhexp
from jaxact.activations import taylor_softmax as taylor_softmax
from jaxact.activations import telu as telu
from jaxact.activations import threshold as threshold
from jaxact.activations import thresholded_relu as thresholded_relu
from jaxact.activations import top_k_relu as top_k_relu
from jaxact.activations import xielu as xielu
from jaxact.analysis.derivatives import derivative as derivative
from jaxact.analysis.map_program import SaturationMap as SaturationMap
from jaxact.analysis.moments import gain as gain
from jaxact.analysis.moments import moments as moments
from jaxact.analysis.saturation import SaturationRegions as SaturationRegions
from jaxact.analysis.saturation import saturation_regions as saturation_regions
from jaxact.analysis.saturation_map import saturation_map as saturation_map
from jaxact.analysis.saturation_shares import SaturationShares as SaturationShares
from jaxact.analysis.saturation_shares import normal_share as normal_share
from jaxact.analysis.saturation_shares import saturation_shares as saturation_shares
from jaxact.catalog import ACTIVATIONS as ACTIVATIONS
from jaxact.catalog import Activation as Activation
from jaxact.catalog import get as get
from jaxact.catalog import serialize as serialize
from jaxact.errors import InputError as InputError

if TYPE_CHECKING:
    from jaxact.diagnosis.diagnose import diagnose as diagnose
    from jaxact.diagnosis.monitor import Monitor as Monitor
    from jaxact.diagnosis.report import Diagnosis as Diagnosis
    from jaxact.training.lenet import LeNet5 as LeNet5

__version__ = "0.1.0"

_LAZY = {"LeNet5": "jaxact.training.lenet"}
_LAZY |= {"Diagnosis": "jaxact.diagnosis.report", "diagnose": "jaxact.diagnosis.diagnose"}
_LAZY |= {"Monitor": "jaxact.diagnosis.monitor"}
_LAZY |= {
    part: f"jaxact.{part}" for part in ("diagnosis", "layers", "learnable", "plotting", "testing", "training")
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'jaxact' has no attribute {name!r}")
    import importlib

    module = importlib.import_module(_LAZY[name])
    return module if _LAZY[name] == f"jaxact.{name}" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted(globals().keys() | _LAZY.keys())
