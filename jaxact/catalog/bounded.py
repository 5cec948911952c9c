"""Rows of the functions that are flat at both ends, or oscillate."""

from jaxact.activations import algebraic, logarithmic, logistic_curves, periodic, sigmoidal, squashing
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
    Activation("lecun_tanh", squashing.lecun_tanh, "1.7159 * tanh(2 * x / 3)",
               (-1.7159, 1.7159), True, (), 1.1439333333333332, "LeCun et al. 1998", aliases=("scaled_tanh",)),
    Activation("soft_cap", squashing.soft_cap, "cap * tanh(x / cap)",
               (-50, 50), True, (), 1, "Gemma Team 2024, arXiv:2408.00118", aliases=("soft_clamp",)),
    Activation("arctan", squashing.arctan, "atan(x)",
               (-1.5707963267948966, 1.5707963267948966), True, (), 1, None, aliases=("atan",)),
    Activation("isru", algebraic.isru, "x / sqrt(1 + alpha * x * x)",
               (-1, 1), True, (), 1, "Carlile et al. 2017, arXiv:1710.09967"),
    Activation("sqnl", squashing.sqnl, "-1 if x <= -2 else 1 if x >= 2 else x - x * abs(x) / 4",
               (-1, 1), True, (), 1, "Wuraola & Patel 2018"),
    Activation("soft_clipping", logistic_curves.soft_clipping,
               "log((1 + exp(alpha * x)) / (1 + exp(alpha * (x - 1)))) / alpha",
               (0, 1), True, (), 0.1224593312018546, "Klimek & Perelstein 2018, arXiv:1810.11509"),
    Activation("aria2", logistic_curves.aria2, "exp(-alpha * log(1 + exp(-beta * x)))",
               (0, 1), True, (), 0.125, "Patwardhan et al. 2018, arXiv:1805.08878"),
    Activation("step", squashing.step, "1 if x > threshold else 0",
               (0, 1), True, (0,), 0, "Bengio et al. 2013, arXiv:1308.3432", aliases=("heaviside",),
               kink_slopes=(0,)),
    Activation("sign", squashing.sign, "1 if x > 0 else -1 if x < 0 else 0",
               (-1, 1), True, (0,), 0, None, kink_slopes=(0,)),
    Activation("sine", periodic.sine, "sin(frequency * x)",
               (-1, 1), False, (), 1, "Sitzmann et al. 2020, arXiv:2006.09661", aliases=("sin", "siren")),
    Activation("cos", periodic.cos, "cos(x)",
               (-1, 1), False, (), 0, None, aliases=("cosine",)),
    Activation("gaussian", logarithmic.gaussian, "exp(-x * x)",
               (0, 1), False, (), 0, None, aliases=("rbf",)),
)
# fmt: on
