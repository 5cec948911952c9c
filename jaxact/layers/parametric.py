"""A layer for each pair of `jaxact.learnable`, whose docstrings say more."""

import functools
from typing import Literal, Unpack

from jaxact import learnable
from jaxact.layers.base import Features, LearnableActivation, Options


class PReLU(LearnableActivation):
    """`jaxact.prelu` with a learnable slope.

    Args:
      features: what has a slope of its own, see `LearnableActivation`; None for one in all, as `flax.nnx.PReLU`.
      negative_slope: where it starts; `flax.nnx.PReLU` takes 0.01.
      options: see `jaxact.layers.base.Options`.

    Examples:
      >>> layer = PReLU(2)
      >>> layer(jnp.array([[-1.0, 2.0]]))
      Array([[-0.25,  2.  ]], dtype=float32)
    """

    def __init__(self, features: Features = None, *, negative_slope: float = 0.25, **options: Unpack[Options]):
        super().__init__(functools.partial(learnable.prelu, negative_slope), features, **options)


class SwishBeta(LearnableActivation):
    """`jaxact.swish_beta` with a learnable slope of its gate.

    Args:
      features: what has a slope of its own, see `LearnableActivation`.
      beta: where it starts.
      options: see `jaxact.layers.base.Options`.
    """

    def __init__(self, features: Features = None, *, beta: float = 1.0, **options: Unpack[Options]):
        super().__init__(functools.partial(learnable.swish_beta, beta), features, **options)


class StarReLU(LearnableActivation):
    """`jaxact.star_relu` with a learnable scale and bias.

    Args:
      features: what has a pair of its own, see `LearnableActivation`.
      scale: where it starts.
      bias: where it starts.
      options: see `jaxact.layers.base.Options`.
    """

    def __init__(
        self,
        features: Features = None,
        *,
        scale: float = 0.8944271909999159,
        bias: float = -0.4472135954999579,
        **options: Unpack[Options],
    ):
        super().__init__(functools.partial(learnable.star_relu, scale, bias), features, **options)


class ACON(LearnableActivation):
    """`jaxact.acon_c` with learnable slopes, which start at normal numbers, and gate.

    Args:
      features: the number of channels, see `LearnableActivation`.
      beta: where the slope of the gate starts.
      options: see `jaxact.layers.base.Options`; ``rngs`` is needed.
    """

    def __init__(self, features: Features, *, beta: float = 1.0, **options: Unpack[Options]):
        super().__init__(functools.partial(learnable.acon, beta), features, **options)


class Snake(LearnableActivation):
    """`jaxact.snake` with a learnable frequency.

    Args:
      features: what has a frequency of its own, see `LearnableActivation`.
      frequency: where it starts.
      options: see `jaxact.layers.base.Options`.
    """

    def __init__(self, features: Features = None, *, frequency: float = 1.0, **options: Unpack[Options]):
        super().__init__(functools.partial(learnable.snake, frequency), features, **options)


class XIELU(LearnableActivation):
    """`jaxact.xielu` with learnable curvatures, which are kept above 0 and above ``beta``.

    Args:
      features: what has a pair of its own, see `LearnableActivation`.
      alpha_p: where the curvature on the right starts.
      alpha_n: where the one on the left starts.
      beta: the slope at 0, which is not learnt.
      options: see `jaxact.layers.base.Options`.

    Examples:
      >>> XIELU().values()["alpha_n"]
      Array(0.8, dtype=float32)
    """

    def __init__(
        self,
        features: Features = None,
        *,
        alpha_p: float = 0.8,
        alpha_n: float = 0.8,
        beta: float = 0.5,
        **options: Unpack[Options],
    ):
        super().__init__(functools.partial(learnable.xielu, alpha_p, alpha_n, beta), features, **options)


class PELU(LearnableActivation):
    """`jaxact.pelu` with learnable parameters, which are kept above 0.

    Args:
      features: what has a pair of its own, see `LearnableActivation`.
      a: where it starts.
      b: where it starts.
      options: see `jaxact.layers.base.Options`.
    """

    def __init__(self, features: Features = None, *, a: float = 1.0, b: float = 1.0, **options: Unpack[Options]):
        super().__init__(functools.partial(learnable.pelu, a, b), features, **options)


class SReLU(LearnableActivation):
    """`jaxact.srelu` with learnable thresholds and slopes.

    Args:
      features: the number of channels, see `LearnableActivation`.
      t_right: where the right threshold starts.
      a_right: where the slope beyond it starts.
      t_left: where the left threshold starts.
      a_left: where the slope beyond it starts.
      options: see `jaxact.layers.base.Options`.
    """

    def __init__(
        self,
        features: Features,
        *,
        t_right: float = 1.0,
        a_right: float = 0.2,
        t_left: float = -1.0,
        a_left: float = 0.2,
        **options: Unpack[Options],
    ):
        make = functools.partial(learnable.srelu, t_right, a_right, t_left, a_left)
        super().__init__(make, features, **options)


class APL(LearnableActivation):
    """`jaxact.apl` with learnable hinges, which start at random.

    Args:
      features: the number of channels, see `LearnableActivation`.
      pieces: how many hinges each has.
      options: see `jaxact.layers.base.Options`; ``rngs`` is needed.
    """

    def __init__(self, features: Features, *, pieces: int = 2, **options: Unpack[Options]):
        super().__init__(functools.partial(learnable.apl, pieces), features, **options)


class Rational(LearnableActivation):
    """`jaxact.rational` with learnable coefficients.

    Args:
      features: what has coefficients of its own, see `LearnableActivation`.
      initial: what it starts as, see `jaxact.learnable.rational`.
      degrees: of numerator and denominator.
      version: which denominator.
      options: see `jaxact.layers.base.Options`.

    Examples:
      >>> Rational(initial="identity")(jnp.array([-1.0, 2.0]))
      Array([-1.,  2.], dtype=float32)
    """

    def __init__(
        self,
        features: Features = None,
        *,
        initial: str | tuple[tuple[float, ...], tuple[float, ...]] = "leaky_relu",
        degrees: tuple[int, int] = (5, 4),
        version: Literal["A", "B", "C"] = "A",
        **options: Unpack[Options],
    ):
        super().__init__(functools.partial(learnable.rational, initial, degrees, version), features, **options)
