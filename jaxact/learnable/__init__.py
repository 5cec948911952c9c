"""Activations with learnable parameters, as pairs of pure functions: ``init`` makes them, ``apply`` uses them.

>>> slope = prelu(sharing="channel")
>>> parameters = slope.init(None, (32, 28, 28, 3))  # of inputs of that shape; no key, for nothing is drawn
>>> parameters
{'negative_slope': Array([0.25, 0.25, 0.25], dtype=float32)}
>>> slope.apply(parameters, jnp.full((1, 2, 2, 3), -1.0)).shape
(1, 2, 2, 3)

A pair hashes, compares by value and pickles, so it may be a static argument of a jitted function; its parameters
are a dictionary of arrays, for `jax.grad`, `jax.vmap`, Optax and Orbax. `jaxact.layers` has the same as modules of
Flax.
"""

from jaxact.learnable.makers import acon as acon
from jaxact.learnable.makers import apl as apl
from jaxact.learnable.makers import pelu as pelu
from jaxact.learnable.makers import prelu as prelu
from jaxact.learnable.makers import rational as rational
from jaxact.learnable.makers import snake as snake
from jaxact.learnable.makers import srelu as srelu
from jaxact.learnable.makers import star_relu as star_relu
from jaxact.learnable.makers import swish_beta as swish_beta
from jaxact.learnable.makers import xielu as xielu
from jaxact.learnable.pairs import Learnable as Learnable
from jaxact.learnable.pairs import Sharing as Sharing
