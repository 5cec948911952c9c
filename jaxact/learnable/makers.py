"""The pairs. ``sharing`` says which elements share a parameter: a name, or a `Sharing` with axes."""

from typing import Literal

from jaxact import activations
from jaxact.activations.piecewise import apl as _apl
from jaxact.activations.rational import rational as _rational
from jaxact.activations.rational_starts import STARTS
from jaxact.errors import InputError, shown
from jaxact.learnable.pairs import Drawn, Learnable, Parameter, Per, Sharing, learnable


def prelu(negative_slope: float = 0.25, *, sharing: Sharing | Per = "scalar") -> Learnable:
    """`jaxact.prelu` with a learnable slope.

    Args:
      negative_slope: where it starts: 0.25 as in the paper and torch; Flax takes 0.01, Keras 0.
      sharing: what shares a slope: "scalar" (Flax), "channel" (torch, there along axis 1) or "element" (Keras).

    Examples:
      >>> prelu(sharing=Sharing("element", shared_axes=(1, 2))).init(None, (8, 28, 28, 2))
      {'negative_slope': Array([[[0.25, 0.25]]], dtype=float32)}
    """
    return learnable("prelu", activations.prelu, [Parameter("negative_slope", negative_slope)], sharing)


def swish_beta(beta: float = 1.0, *, sharing: Sharing | Per = "scalar") -> Learnable:
    """`jaxact.swish_beta` with a learnable slope of its gate.

    Args:
      beta: where it starts.
      sharing: what shares it.
    """
    return learnable("swish_beta", activations.swish_beta, [Parameter("beta", beta)], sharing)


def star_relu(
    scale: float = 0.8944271909999159, bias: float = -0.4472135954999579, *, sharing: Sharing | Per = "scalar"
) -> Learnable:
    """`jaxact.star_relu` with a learnable scale and bias.

    Args:
      scale: where it starts: as in the paper; timm takes 1.
      bias: where it starts: as in the paper; timm takes 0.
      sharing: what shares them.
    """
    parameters = [Parameter("scale", scale), Parameter("bias", bias)]
    return learnable("star_relu", activations.star_relu, parameters, sharing)


def acon(beta: float = 1.0, *, sharing: Sharing | Per = "channel") -> Learnable:
    """`jaxact.acon_c` with learnable slopes and gate.

    The slopes p1 and p2 start at normal numbers, as in the authors' code, so ``init`` needs a key.

    Args:
      beta: where the slope of the gate starts.
      sharing: what shares them.
    """
    parameters = [
        Parameter("p1", Drawn("normal", 1.0)),
        Parameter("p2", Drawn("normal", 1.0)),
        Parameter("beta", beta),
    ]
    return learnable("acon", activations.acon_c, parameters, sharing)


def snake(frequency: float = 1.0, *, sharing: Sharing | Per = "scalar") -> Learnable:
    """`jaxact.snake` with a learnable frequency.

    Args:
      frequency: where it starts.
      sharing: what shares it.
    """
    return learnable("snake", activations.snake, [Parameter("frequency", frequency)], sharing)


def xielu(
    alpha_p: float = 0.8, alpha_n: float = 0.8, beta: float = 0.5, *, sharing: Sharing | Per = "scalar"
) -> Learnable:
    """`jaxact.xielu` with learnable curvatures.

    As in the paper what is learnt are numbers r and s in ``alpha_p = softplus(r)`` and ``alpha_n = beta +
    softplus(s)``: so the function is convex, and has its minimum on the left.

    Args:
      alpha_p: where the curvature on the right starts, above 0.
      alpha_n: where the one on the left starts, above ``beta``.
      beta: the slope at 0, which is not learnt.
      sharing: what shares them.
    """
    parameters = [Parameter("alpha_p", alpha_p, above=0.0), Parameter("alpha_n", alpha_n, above=beta)]
    return learnable("xielu", activations.xielu, parameters, sharing, beta=beta)


def pelu(a: float = 1.0, b: float = 1.0, *, sharing: Sharing | Per = "scalar") -> Learnable:
    """`jaxact.pelu` with learnable parameters.

    What is learnt are numbers r and s in ``a = softplus(r)`` and ``b = softplus(s)``, for both have to be above 0.

    Args:
      a: where it starts, above 0.
      b: where it starts, above 0.
      sharing: what shares them.
    """
    parameters = [Parameter("a", a, above=0.0), Parameter("b", b, above=0.0)]
    return learnable("pelu", activations.pelu, parameters, sharing)


def srelu(
    t_right: float = 1.0,
    a_right: float = 0.2,
    t_left: float = -1.0,
    a_left: float = 0.2,
    *,
    sharing: Sharing | Per = "channel",
) -> Learnable:
    """`jaxact.srelu` with learnable thresholds and slopes.

    Args:
      t_right: where the right threshold starts.
      a_right: where the slope beyond it starts.
      t_left: where the left threshold starts.
      a_left: where the slope beyond it starts.
      sharing: what shares them: one of each for every channel, as in the paper.
    """
    starts = {"t_right": t_right, "a_right": a_right, "t_left": t_left, "a_left": a_left}
    return learnable("srelu", activations.srelu, [Parameter(*start) for start in starts.items()], sharing)


def apl(pieces: int = 2, *, sharing: Sharing | Per = "channel") -> Learnable:
    """`jaxact.apl` with learnable hinges.

    They start at slopes between -0.2 and 0.2 and at normal places of standard deviation 0.5, as in the authors'
    code, so ``init`` needs a key.

    Args:
      pieces: how many.
      sharing: what shares them.
    """
    if isinstance(pieces, bool) or not isinstance(pieces, int) or pieces < 1:
        raise InputError(f"pieces must be an integer from 1 up, got {shown(pieces)}")
    parameters = [Parameter("a", Drawn("uniform", 0.2, pieces)), Parameter("b", Drawn("normal", 0.5, pieces))]
    return learnable("apl", _apl, parameters, sharing)


def rational(
    initial: str | tuple[tuple[float, ...], tuple[float, ...]] = "leaky_relu",
    degrees: tuple[int, int] = (5, 4),
    version: Literal["A", "B", "C"] = "A",
    *,
    sharing: Sharing | Per = "scalar",
) -> Learnable:
    """`jaxact.rational` with learnable coefficients.

    Args:
      initial: what it starts as: "identity", "relu", "leaky_relu", "gelu", "tanh" or "sigmoid", fitted on [-3, 3];
        or the coefficients of numerator and denominator.
      degrees: of numerator and denominator, at least those of ``initial``; (5, 4) as in the paper.
      version: which denominator.
      sharing: what shares a set of coefficients.

    Raises:
      InputError: if there is no such start, or it needs higher degrees.
    """
    if version not in ("A", "B", "C"):
        raise InputError(f"version must be 'A', 'B' or 'C', got {shown(version)}")
    if not (isinstance(degrees, tuple) and len(degrees) == 2 and all(type(n) is int and n >= 0 for n in degrees)):
        raise InputError(f"degrees must be two integers from 0 up, got {shown(degrees)}")
    if isinstance(initial, str):
        if initial not in STARTS:
            raise InputError(f"initial must be one of {', '.join(STARTS)}, or coefficients, got {shown(initial)}")
        numerator, denominator = STARTS[initial]["A" if version == "A" else "B"]
        denominator = denominator if version != "C" else (0.9, *denominator)
    else:
        try:
            numerator, denominator = (tuple(float(c) for c in part) for part in initial)
        except (TypeError, ValueError):
            raise InputError(f"initial must be a name or two tuples of numbers, got {shown(initial)}") from None
    lengths = degrees[0] + 1, degrees[1] + (version == "C")
    parameters = []
    for name, start, length in zip(("numerator", "denominator"), (numerator, denominator), lengths, strict=True):
        while len(start) > length and start[-1] == 0:
            start = start[:-1]
        if len(start) > length:
            raise InputError(f"degrees must be at least those of initial, got {degrees}; (5, 4) fits every name")
        parameters.append(Parameter(name, start + (0.0,) * (length - len(start))))
    return learnable("rational", _rational, parameters, sharing, version=version)
