"""Rows of the functions that are x times a gate of x."""

from jaxact.activations import self_gated
from jaxact.catalog.activation import INF, Activation

_HOWARD = "Howard et al. 2019, arXiv:1905.02244"

# fmt: off
ROWS = (
    # name, function, formula,
    #     range, monotone, kinks, derivative at 0, paper, aliases
    Activation("silu", self_gated.silu, "x / (1 + exp(-x))",
               (-0.2784645427610738, INF), False, (), 0.5, "Elfwing et al. 2017, arXiv:1702.03118", ("swish",)),
    Activation("gelu", self_gated.gelu,
               "x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2 if approximate"
               " else x * (1 + erf(x / sqrt(2))) / 2",
               (-0.17004075057125412, INF), False, (), 0.5, "Hendrycks & Gimpel 2016, arXiv:1606.08415"),
    Activation("mish", self_gated.mish, "x * tanh(log(1 + exp(x)))",
               (-0.3088434130172504, INF), False, (), 0.6, "Misra 2019, arXiv:1908.08681"),
    Activation("hard_silu", self_gated.hard_silu, "x * min(max(x + 3, 0), 6) / 6",
               (-0.375, INF), False, (-3, 3), 0.5, _HOWARD, ("hard_swish",), kink_slopes=(0, 1)),
)
# fmt: on
