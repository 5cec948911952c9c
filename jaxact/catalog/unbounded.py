"""Rows of the functions that grow at both ends."""

from jaxact.activations import elementary, shrinkage
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
)
# fmt: on
