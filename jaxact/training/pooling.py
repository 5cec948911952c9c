"""Max-pooling of arrays that come by the corners of 2 x 2 squares, alone and after an activation."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.experimental.xla_metadata import set_xla_metadata


@jax.custom_jvp
def max_of_corners(y: Array) -> Array:
    """Max-pooling of outputs that came with ``corners``: the maximum over the first axis, of length 4.

    Where corners are equal the first one has the gradient, as in XLA's max-pooling. The rule is written down
    because that of `jnp.max` shares it among them.
    """
    return jnp.maximum(jnp.maximum(y[0], y[1]), jnp.maximum(y[2], y[3]))


@max_of_corners.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (y,), (dy,) = primals, tangents
    greatest = max_of_corners(y)
    return greatest, _at(_first_equal(y, greatest), dy)


def _first_equal(y: Array, greatest: Array) -> Array:
    """Number of the corner, int8, that is the maximum, of several the first one; a loop of its own."""
    return _apart(_number_of_first(y, greatest))


@jax.jit
def _number_of_first(y: Array, greatest: Array) -> Array:
    first = jnp.where(y[2] == greatest, 2, 3)
    return jnp.where(y[0] == greatest, 0, jnp.where(y[1] == greatest, 1, first)).astype(jnp.int8)


def _at(corner: Array, y: Array) -> Array:
    """``y`` at the numbered corners: a sum, whose transpose is no scatter."""
    chosen = corner[None] == jnp.arange(4, dtype=jnp.int8).reshape(4, *[1] * corner.ndim)
    return jnp.where(chosen, y, 0).sum(axis=0)


def activated_max_of_corners(activation: Callable[[Array], Array]) -> Callable[[Array, Array], Array]:
    """Max-pooling after a bias and an elementwise activation that is not monotone, as a CPU computes it fast.

    XLA's CPU backend takes sums and products for free, and so it fuses a long activation into all that has use for
    its values: into the maximum, into each comparison with it, and into the gradient once more, in loops that LLVM
    does not vectorise. An `optimization_barrier` is gone before it fuses. A call that is marked not to be inlined
    stays one, and what it computes is a loop of its own. The slope is needed only where the maximum is: at a
    quarter of the inputs, and so is the gradient of the bias.

    Args:
      activation: function of one array, each number alone, that closes over nothing to be differentiated.

    Returns:
      Function of inputs that came with ``corners`` and of a bias that broadcasts over each of the four:
      ``max_of_corners(activation(x + bias))``, with its derivatives.
    """

    @jax.jit
    def value(x: Array, bias: Array) -> Array:
        """Of each corner with the whole bias: gradients add up corners first, bit for bit as in the rule below."""
        whole = jnp.broadcast_to(bias, x.shape[1:])
        return activation(jnp.stack([corner + whole for corner in x]))

    slope = jax.jit(lambda x: jax.jvp(activation, (x,), (jnp.ones_like(x),))[1])

    @jax.custom_jvp
    @jax.jit
    def same_derivative(x: Array, bias: Array) -> Array:  # by this name `jaxact.diagnose` may look inside
        return max_of_corners(_apart(value(x, bias)))

    @same_derivative.defjvp
    def _(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
        (x, bias), (dx, dbias) = primals, tangents
        y = _apart(value(x, bias))
        greatest = max_of_corners(y)
        first = _first_equal(y, greatest)
        there = jnp.where(first < 2, jnp.where(first == 0, x[0], x[1]), jnp.where(first == 2, x[2], x[3]))
        wide = jnp.promote_types(x.dtype, jnp.float32)  # what is rounded is the product
        factor = _apart(slope((there + bias).astype(wide)))
        return greatest, (factor * (_at(first, dx) + dbias).astype(wide)).astype(y.dtype)

    return same_derivative


def _apart(y: Array) -> Array:
    """Marks the call of a jitted function that ``y`` is the result of as one that a CPU does not inline."""
    if jax.default_backend() != "cpu":
        return y
    return set_xla_metadata(y, inlineable="false")  # pyright: ignore[reportReturnType]
