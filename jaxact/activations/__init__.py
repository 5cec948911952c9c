"""Activations: pure functions, array in, array out, with the names and defaults of `jax.nn`."""

from jaxact.activations.elementary import exp as exp
from jaxact.activations.elementary import identity as identity
from jaxact.activations.elementary import log1mexp as log1mexp
from jaxact.activations.rectifiers import celu as celu
from jaxact.activations.rectifiers import elu as elu
from jaxact.activations.rectifiers import leaky_relu as leaky_relu
from jaxact.activations.rectifiers import relu as relu
from jaxact.activations.rectifiers import relu6 as relu6
from jaxact.activations.rectifiers import selu as selu
from jaxact.activations.self_gated import gelu as gelu
from jaxact.activations.self_gated import hard_silu as hard_silu
from jaxact.activations.self_gated import hard_swish as hard_swish
from jaxact.activations.self_gated import mish as mish
from jaxact.activations.self_gated import silu as silu
from jaxact.activations.self_gated import swish as swish
from jaxact.activations.shrinkage import hard_shrink as hard_shrink
from jaxact.activations.shrinkage import soft_shrink as soft_shrink
from jaxact.activations.shrinkage import tanh_shrink as tanh_shrink
from jaxact.activations.shrinkage import threshold as threshold
from jaxact.activations.sigmoidal import erf as erf
from jaxact.activations.sigmoidal import hard_sigmoid as hard_sigmoid
from jaxact.activations.sigmoidal import hard_tanh as hard_tanh
from jaxact.activations.sigmoidal import sigmoid as sigmoid
from jaxact.activations.sigmoidal import soft_sign as soft_sign
from jaxact.activations.sigmoidal import sparse_sigmoid as sparse_sigmoid
from jaxact.activations.sigmoidal import tanh as tanh
from jaxact.activations.soft_rectifiers import log_sigmoid as log_sigmoid
from jaxact.activations.soft_rectifiers import softplus as softplus
from jaxact.activations.soft_rectifiers import sparse_plus as sparse_plus
from jaxact.activations.soft_rectifiers import squareplus as squareplus

__all__ = [name for name, value in globals().items() if callable(value)]
