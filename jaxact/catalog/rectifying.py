"""Rows of the functions that are linear at one end and flat, or nearly so, at the other."""

from jaxact.activations import rectifiers, soft_rectifiers
from jaxact.catalog.activation import INF, Activation

# fmt: off
ROWS = (
    # name, function, formula,
    #     range, monotone, kinks, derivative at 0, paper, aliases
    Activation("relu", rectifiers.relu, "max(x, 0)",
               (0, INF), True, (0,), 0, "Nair & Hinton 2010", kink_slopes=(0,)),
    Activation("relu6", rectifiers.relu6, "min(max(x, 0), 6)",
               (0, 6), True, (0, 6), 0, "Krizhevsky 2010", kink_slopes=(0, 0)),
    Activation("leaky_relu", rectifiers.leaky_relu, "x if x >= 0 else negative_slope * x",
               (-INF, INF), True, (0,), 1, "Maas et al. 2013", ("lrelu",), kink_slopes=(1,)),
    Activation("elu", rectifiers.elu, "x if x > 0 else alpha * (exp(x) - 1)",
               (-1, INF), True, (), 1, "Clevert et al. 2015, arXiv:1511.07289"),
    Activation("celu", rectifiers.celu, "x if x > 0 else alpha * (exp(x / alpha) - 1)",
               (-1, INF), True, (), 1, "Barron 2017, arXiv:1704.07483"),
    Activation("selu", rectifiers.selu,
               "1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * (exp(x) - 1))",
               (-1.7580993408473768, INF), True, (0,), 1.7580993408473768,
               "Klambauer et al. 2017, arXiv:1706.02515", kink_slopes=(1.7580993408473768,)),
    Activation("softplus", soft_rectifiers.softplus, "log(1 + exp(x))",
               (0, INF), True, (), 0.5, "Dugas et al. 2001", ("soft_relu",)),
    Activation("log_sigmoid", soft_rectifiers.log_sigmoid, "-log(1 + exp(-x))",
               (-INF, 0), True, (), 0.5, None),
    Activation("squareplus", soft_rectifiers.squareplus, "(x + sqrt(x * x + b)) / 2",
               (0, INF), True, (), 0.5, "Barron 2021, arXiv:2112.11687"),
    Activation("sparse_plus", soft_rectifiers.sparse_plus, "0 if x <= -1 else x if x >= 1 else (x + 1)**2 / 4",
               (0, INF), True, (), 0.5, "Blondel et al. 2019, arXiv:1901.02324"),
)
# fmt: on
