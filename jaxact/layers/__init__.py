"""Activations with learnable parameters, or with noise, as modules of Flax (nnx)."""

from jaxact.layers.base import LearnableActivation as LearnableActivation
from jaxact.layers.noisy import ProbAct as ProbAct
from jaxact.layers.noisy import RReLU as RReLU
from jaxact.layers.parametric import ACON as ACON
from jaxact.layers.parametric import APL as APL
from jaxact.layers.parametric import PELU as PELU
from jaxact.layers.parametric import XIELU as XIELU
from jaxact.layers.parametric import PReLU as PReLU
from jaxact.layers.parametric import Rational as Rational
from jaxact.layers.parametric import Snake as Snake
from jaxact.layers.parametric import SReLU as SReLU
from jaxact.layers.parametric import StarReLU as StarReLU
from jaxact.layers.parametric import SwishBeta as SwishBeta
