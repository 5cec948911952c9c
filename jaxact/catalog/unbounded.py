"""Rows of the functions that grow at both ends."""

from jaxact.activations import (
    algebraic,
    curved_units,
    elementary,
    hard_gated,
    logarithmic,
    periodic,
    rectifiers,
    shrinkage,
)
from jaxact.catalog.activation import INF, Activation

_DONOHO = "Donoho & Johnstone 1994"

# fmt: off
ROWS = (
    # name, function, formula,
    #     range, monotone, kinks, derivative at 0, paper, aliases
    Activation("identity", elementary.identity, "x",
               (-INF, INF), True, (), 1, None, ("linear",)),
    Activation("exp", elementary.exp, "exp(x)",
               (0, INF), True, (), 1, None, ("exponential",)),
    Activation("log1mexp", elementary.log1mexp, "log(1 - exp(-x))",
               (-INF, 0), True, (), INF, "Mächler 2012", domain=(0, INF)),
    Activation("hard_shrink", shrinkage.hard_shrink, "0 if abs(x) <= threshold else x",
               (-INF, INF), True, (-0.5, 0.5), 0, _DONOHO, kink_slopes=(0, 0)),
    Activation("soft_shrink", shrinkage.soft_shrink, "max(x - threshold, 0) + min(x + threshold, 0)",
               (-INF, INF), True, (-0.5, 0.5), 0, _DONOHO, kink_slopes=(0, 0)),
    Activation("tanh_shrink", shrinkage.tanh_shrink, "x - tanh(x)",
               (-INF, INF), True, (), 0, None),
    Activation("threshold", shrinkage.threshold, "x if x > threshold else default_value",
               (0, INF), True, (1,), 0, "Konda et al. 2014, arXiv:1402.3337", kink_slopes=(0,)),
    Activation("asinh", logarithmic.asinh, "asinh(x)",
               (-INF, INF), True, (), 1, None, aliases=("arcsinh",)),
    Activation("bent_identity", algebraic.bent_identity, "(sqrt(x * x + 1) - 1) / 2 + x",
               (-INF, INF), True, (), 1, None),
    Activation("logcosh", logarithmic.logcosh, "abs(x) + log((1 + exp(-2 * abs(x))) / 2)",
               (0, INF), False, (), 0, None, aliases=("log_cosh",)),
    Activation("seagull", logarithmic.seagull, "log(1 + x * x)",
               (0, INF), False, (), 0, "Gao & Zhang 2020, arXiv:2011.11713"),
    Activation("snake", periodic.snake, "x + sin(frequency * x)**2 / frequency",
               (-INF, INF), True, (), 1, "Ziyin et al. 2020, arXiv:2006.08195"),
    Activation("gcu", periodic.gcu, "x * cos(x)",
               (-INF, INF), False, (), 1, "Noel et al. 2021, arXiv:2108.12943"),
    Activation("lisht", hard_gated.lisht, "x * tanh(x)",
               (0, INF), False, (), 0, "Roy et al. 2019, arXiv:1901.05894"),
    Activation("xielu", curved_units.xielu,
               "alpha_p * x * x + beta * x if x > 0 else alpha_n * (exp(x) - 1 - x) + beta * x",
               (-0.2057512240964821, INF), False, (), 0.5, "Huang & Schlag 2024, arXiv:2411.13010"),
    Activation("soft_exponential", curved_units.soft_exponential,
               "-log(1 - alpha * (x + alpha)) / alpha if alpha < 0 else x if alpha == 0 else"
               " (exp(alpha * x) - 1) / alpha + alpha",
               (-INF, INF), True, (), 1, "Godfrey & Gashler 2015, arXiv:1602.01321"),
    Activation("srelu", rectifiers.srelu,
               "t_right + a_right * (x - t_right) if x >= t_right else x if x > t_left else"
               " t_left + a_left * (x - t_left)",
               (-INF, INF), True, (-1, 1), 1, "Jin et al. 2015, arXiv:1512.07030", aliases=("s_shaped_relu",),
               kink_slopes=(0.2, 0.2)),
)
# fmt: on
