"""Random networks of finite width, measured, to hold beside what the theory predicts."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxact.analysis.brackets import hashable
from jaxact.analysis.moments import over_arrays
from jaxact.errors import InputError, shown
from jaxact.mean_field.lengths import check_callable, check_q, check_sigmas

_FLOATS = 1 << 26  # numbers that the networks computed at once may hold


class Measurement(NamedTuple):
    """Of every network, layer by layer along the last axis, as in `Propagation`: arrays [..., networks, layers].

    Attributes:
      q: mean square of the pre-activations, of both inputs.
      c: correlation of those of the two inputs; NaN where they have all become 0.
      gradient: squared norm of the gradient by pre-activations, of the first input, by that in the last layer.
    """

    q: np.ndarray
    c: np.ndarray
    gradient: np.ndarray


def measure(
    key: Array,
    fn: Callable[[Any], Array],
    *,
    depth: int,
    sigma_w: ArrayLike,
    sigma_b: ArrayLike = 0.0,
    q: ArrayLike = 1.0,
    c: ArrayLike = 1.0,
    width: int = 256,
    networks: int = 16,
) -> Measurement:
    r"""Send two inputs forward and a gradient back through real random networks.

    .. math::
        z^{l+1} = \frac{\sigma_w}{\sqrt N} W f(z^l) + \sigma_b b, \qquad
        g^l = f'(z^l) \odot \frac{\sigma_w}{\sqrt N} W^\top g^{l+1}, \qquad W_{ij}, b_i, g^L_i \sim N(0, 1)

    `propagate` predicts the means over networks for N going to infinity. Single networks of depth L and width N
    scatter about them, the logarithm of the gradient by a few times the root of L / N.

    One compiled program computes all networks in float32; norms are carried as logarithms, so gradients that
    vanish below the smallest float32 are measured all the same. The same draws serve all sigma_w, sigma_b, q and
    c: what differs between these is their doing.

    Args:
      key: random key, as `jax.random.key` makes it.
      fn: elementwise function; its derivative is what `jax.grad` gives.
      depth: number of layers that fn stands before, L.
      sigma_w: standard deviation of the weights times the root of the fan-in; broadcasts against the others.
      sigma_b: standard deviation of the biases.
      q: variance that the first layer's pre-activations are drawn with.
      c: correlation of two inputs that they are drawn with, from -1 to 1.
      width: units of every layer, N.
      networks: how many networks.

    Returns:
      `Measurement`: with the broadcast shape first, then an axis of networks, and one of length depth + 1 last.

    Raises:
      InputError: if a number is not a positive whole one, another argument out of its range, or fn not
        elementwise.
      TypeError: if ``key`` is not a random key or ``fn`` not callable.

    Examples:
      >>> run = measure(jax.random.key(0), jax.nn.relu, depth=4, sigma_w=1.0, networks=8)
      >>> run.gradient.shape, run.gradient.mean(0).round(2)  # predicted: 1/16, 1/8, 1/4, 1/2, 1
      ((8, 5), array([0.07, 0.13, 0.27, 0.53, 1.  ]))
    """
    check_callable(fn)
    if not isinstance(key, Array) or not jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.ndim:
        raise TypeError(f"key must be one random key, as jax.random.key(0) makes it, got {shown(key)}")
    for name, value in (("depth", depth), ("width", width), ("networks", networks)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise InputError(f"{name} must be a positive whole number, got {shown(value)}")
    _check_elementwise(fn)
    # Random numbers take most of the time to compile: what need not be drawn in the program is drawn here.
    start, walk = jax.random.split(key)
    starts = jax.random.normal(start, (networks, 3, 1, 1, width), jnp.float32)
    layers = jax.random.split(walk, (networks, depth))

    def compute(sigma_w: np.ndarray, sigma_b: np.ndarray, q: np.ndarray, c: np.ndarray) -> Measurement:
        check_sigmas(sigma_w, sigma_b)
        check_q("q", q)
        if not (np.abs(c) <= 1).all():
            raise InputError(f"c must be a correlation from -1 to 1, got {shown(c.tolist())}")
        flat = (
            np.asarray(a, np.float32).reshape(1, -1, 1) for a in (sigma_w, sigma_b, q**0.5, c, np.sqrt(1 - c * c))
        )
        out = _run(hashable(fn), layers, starts, *flat)
        # [networks, layers, ...] -> [..., networks, layers]
        top, aa, bb, ab, log = (np.moveaxis(np.asarray(a, np.float64), (0, 1), (-2, -1)) for a in out)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            results = (top**2 * (aa + bb) / 2, np.clip(ab / np.sqrt(aa * bb), -1, 1), np.exp(log))
        return Measurement(*(a.reshape(*q.shape, networks, depth + 1) for a in results))

    return over_arrays(
        compute, Measurement, extra=(networks, depth + 1), sigma_w=sigma_w, sigma_b=sigma_b, q=q, c=c
    )


def _check_elementwise(fn: Callable) -> None:
    try:
        shape = jax.eval_shape(fn, jax.ShapeDtypeStruct((2, 3), jnp.float32)).shape
    except Exception:
        shape = None
    if shape != (2, 3):
        raise InputError(f"fn must be elementwise, and take arrays of float32: {shown(fn)} is not")


@functools.partial(jax.jit, static_argnums=0)
def _run(
    fn: Callable, keys: Array, starts: Array, w: Array, b: Array, scale: Array, c: Array, s: Array
) -> tuple[Array, ...]:
    """The largest pre-activation, squares and products by it, log gradients: each [networks, layers, sigmas]."""
    (_, depth), width = keys.shape, starts.shape[-1]
    product = functools.partial(jnp.matmul, precision="highest")  # GPUs and TPUs round to 10 bits by default

    def act(z: Array) -> Array:
        return fn(z).astype(jnp.float32)

    # Signals are [inputs, sigmas, units].
    def forward(z: Array, key: Array) -> tuple[Array, tuple[Array, Array]]:
        drawn = jax.random.normal(key, (width + 1, width), jnp.float32)
        weights = drawn[:-1] / width**0.5
        signal = product(act(z).reshape(-1, width), weights).reshape(z.shape)
        return w * signal + b * drawn[None, -1:], (z, weights)

    def back(state: tuple[Array, Array], layer: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
        (g, log), (z, weights) = state, layer
        (g,) = jax.vjp(act, z[:1])[1](w * product(g[0], weights.T)[None])
        top = jnp.abs(g).max(-1, keepdims=True)
        g = g / jnp.where(top > 0, top, 1)
        log = log + 2 * jnp.log(top)
        return (g, log), (log + jnp.log((g * g).mean(-1, keepdims=True)))[0, :, 0]

    def network(drawn: tuple[Array, Array]) -> tuple[Array, ...]:
        layers, (u, v, g) = drawn
        first = scale * jnp.concatenate([u + 0 * c, c * u + s * v])
        last, (zs, weights) = jax.lax.scan(forward, first, layers)
        g = g / jnp.sqrt((g * g).mean()) + 0 * w
        _, logs = jax.lax.scan(back, (g, 0 * w), (zs, weights), reverse=True)
        zs = jnp.concatenate([zs, last[None]])
        top = jnp.abs(zs).max((1, 3))
        x, y = jnp.moveaxis(zs / jnp.where(top > 0, top, 1)[:, None, :, None], 1, 0)
        squares = ((x * x).mean(-1), (y * y).mean(-1), (x * y).mean(-1))
        return top, *squares, jnp.concatenate([logs, jnp.zeros_like(logs[:1])])

    once = math.ceil(_FLOATS / (depth * width * (width + 4 * w.size)))
    return jax.lax.map(network, (keys, starts), batch_size=min(once, len(keys)))
