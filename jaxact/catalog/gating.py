"""Rows of the functions that are x times a gate of x."""

from jaxact.activations import acon, double_exponentials, elish_units, gelus, hard_gated, self_gated, swishes
from jaxact.catalog.activation import INF, Activation

_HOWARD = "Howard et al. 2019, arXiv:1905.02244"

# fmt: off
ROWS = (
    # name, function, formula,
    #     range, monotone, kinks, derivative at 0, paper, aliases
    Activation("silu", swishes.silu, "x / (1 + exp(-x))",
               (-0.2784645427610738, INF), False, (), 0.5, "Elfwing et al. 2017, arXiv:1702.03118", ("swish",)),
    Activation("gelu", gelus.gelu,
               "x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2 if approximate"
               " else x * erfc(-x / sqrt(2)) / 2",
               (-0.17004075057125412, INF), False, (), 0.5, "Hendrycks & Gimpel 2016, arXiv:1606.08415"),
    Activation("mish", self_gated.mish, "x * tanh(log(1 + exp(x)))",
               (-0.3088434130172504, INF), False, (), 0.6, "Misra 2019, arXiv:1908.08681"),
    Activation("hard_silu", hard_gated.hard_silu, "x * min(max(x + 3, 0), 6) / 6",
               (-0.375, INF), False, (-3, 3), 0.5, _HOWARD, ("hard_swish",), kink_slopes=(0, 1)),
    Activation("swish_beta", swishes.swish_beta, "x / (1 + exp(-beta * x))",
               (-0.2784645427610738, INF), False, (), 0.5, "Ramachandran et al. 2017, arXiv:1710.05941"),
    Activation("e_swish", swishes.e_swish, "beta * x / (1 + exp(-x))",
               (-0.48313598169046307, INF), False, (), 0.8675, "Alcaide 2018, arXiv:1801.07145"),
    Activation("acon_c", acon.acon_c, "(p1 - p2) * x / (1 + exp(-beta * (p1 - p2) * x)) + p2 * x",
               (-0.2784645427610738, INF), False, (), 0.5, "Ma et al. 2020, arXiv:2009.04759", aliases=("acon",)),
    Activation("ft_swish", swishes.ft_swish, "threshold + (x / (1 + exp(-x)) if x > 0 else 0)",
               (-0.2, INF), True, (0,), 0, "Chieng et al. 2018, arXiv:1812.06247",
               aliases=("flatten_t_swish", "pft_swish"), kink_slopes=(0,)),
    Activation("elish", elish_units.elish, "x / (1 + exp(-x)) if x > 0 else (exp(x) - 1) / (1 + exp(-x))",
               (-0.1715728752538099, INF), False, (), 0.5, "Basirat & Roth 2018, arXiv:1808.00783"),
    Activation("hard_elish", hard_gated.hard_elish,
               "x * min((x + 1) / 2, 1) if x >= 0 else (exp(x) - 1) * max((x + 1) / 2, 0)",
               (-0.09967315152874262, INF), False, (-1, 1), 0.5, "Basirat & Roth 2018, arXiv:1808.00783",
               kink_slopes=(0, 1)),
    Activation("quick_gelu", gelus.quick_gelu, "x / (1 + exp(-1.702 * x))",
               (-0.16361018963635357, INF), False, (), 0.5, "Hendrycks & Gimpel 2016, arXiv:1606.08415",
               aliases=("gelu_sigmoid",)),
    Activation("clipped_gelu", gelus.clipped_gelu, "min(x * erfc(-x / sqrt(2)) / 2, 10)",
               (-0.16997120747990366, 10), False, (10,), 0.5, "Wu et al. 2020, arXiv:2004.09602",
               aliases=("gelu_10",), kink_slopes=(1,)),
    Activation("hard_mish", hard_gated.hard_mish, "x if x >= 0 else x * max(x + 2, 0) / 2",
               (-0.5, INF), False, (-2,), 1, None, kink_slopes=(0,)),
    Activation("serf", double_exponentials.serf, "x * erf(log(1 + exp(x)))",
               (-0.3484374587596064, INF), False, (), 0.673041289742525,
               "Nag & Bhattacharyya 2021, arXiv:2108.09598"),
    Activation("smish", self_gated.smish, "x * tanh(log(1 + 1 / (1 + exp(-x))))",
               (-0.24999366366012948, INF), False, (), 0.38461538461538464, "Wang et al. 2022"),
    Activation("logish", self_gated.logish, "x * log(1 + 1 / (1 + exp(-x)))",
               (-0.25276881678944035, INF), False, (), 0.4054651081081644, "Zhu et al. 2021"),
    Activation("phish", gelus.phish, "x * tanh(x * erfc(-x / sqrt(2)) / 2)",
               (0, INF), False, (), 0, "Naveen 2021"),
    Activation("telu", double_exponentials.telu, "x * tanh(exp(x))",
               (-0.35328577784821125, INF), False, (), 0.7615941559557649, "Liu & Di 2020, arXiv:2003.09855",
               aliases=("tanhexp",)),
    Activation("golu", double_exponentials.golu, "x * exp(-exp(-x))",
               (-0.09726013122763941, INF), False, (), 0.36787944117144233, "Das et al. 2025, arXiv:2502.03654"),
)
# fmt: on
