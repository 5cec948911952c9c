"""Rows of the functions that are flat at both ends, or oscillate."""

from jaxact.activations import sigmoidal
from jaxact.catalog.activation import Activation

_HOWARD = "Howard et al. 2019, arXiv:1905.02244"

# fmt: off
ROWS = (
    # name, function, formula,
    #     range, monotone, kinks, derivative at 0, paper, aliases
    Activation("sigmoid", sigmoidal.sigmoid, "1 / (1 + exp(-x))",
               (0, 1), True, (), 0.25, None, ("logistic", "expit")),
    Activation("tanh", sigmoidal.tanh, "tanh(x)",
               (-1, 1), True, (), 1, None),
    Activation("erf", sigmoidal.erf, "erf(x)",
               (-1, 1), True, (), 1.1283791670955126, None),
    Activation("soft_sign", sigmoidal.soft_sign, "x / (1 + abs(x))",
               (-1, 1), True, (), 1, "Bergstra et al. 2009"),
    Activation("hard_tanh", sigmoidal.hard_tanh, "min(max(x, -1), 1)",
               (-1, 1), True, (-1, 1), 1, "Collobert 2004", kink_slopes=(1, 1)),
    Activation("hard_sigmoid", sigmoidal.hard_sigmoid, "min(max(x + 3, 0), 6) / 6",
               (0, 1), True, (-3, 3), 1 / 6, _HOWARD, kink_slopes=(0, 0)),
    Activation("sparse_sigmoid", sigmoidal.sparse_sigmoid, "min(max(x + 1, 0), 2) / 2",
               (0, 1), True, (-1, 1), 0.5, "Martins & Astudillo 2016, arXiv:1602.02068", kink_slopes=(0.25, 0.25)),
)
# fmt: on
