"""Convolutions by Fourier transforms that are written as matrix products: the fast form on a CPU.

XLA's CPU backend runs the gradient of an ordinary convolution as a naive loop when it stands inside `lax.scan`
or `lax.fori_loop`, and its max-pool gradient as a scatter. A matrix product has neither problem, and by the
convolution theorem three of them are a convolution: by the transform of the windows, frequency by frequency by
that of the kernel, and by the inverse transform. The transforms are real matrices of fixed numbers, for tiles of
8 x 8 pixels, whose windows overlap (overlap-save); small images of other sides are one tile. Angles are counted
from the center of a tile: cosines are of use for the sum of two opposite pixels alone, sines for their difference,
and so half of the multiplications are left. The images of a batch are the innermost axis, so that every step
around the products reads and writes long rows, and the outputs can come ordered by the corners of 2 x 2 squares,
so that max-pooling is a maximum of four blocks.

References:
  Mathieu, Henaff and LeCun, "Fast training of convolutional networks through FFTs", 2014, arXiv:1312.5851.
  Oppenheim and Schafer, "Discrete-time signal processing" (overlap-save).
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

TILE, WHOLE = 8, 16  # side of a tile, and of the largest image of another side that is one


class _Transforms(NamedTuple):
    """Discrete Fourier transforms as real matrices; B frequencies stand for all, for the others are conjugates.

    Each is a pair, of cosines and of sines. Pixels are those of the first half, the others lie opposite.

    Attributes:
      windows: real and imaginary part from sums and from differences of opposite pixels, each [B, window^2 / 2].
      kernel: real and imaginary part of the conjugate, each [B, k^2].
      outputs: the inverse, what real and imaginary part give to a pixel of a tile, each [tile^2 / 2, B].
    """

    windows: tuple[np.ndarray, np.ndarray]
    kernel: tuple[np.ndarray, np.ndarray]
    outputs: tuple[np.ndarray, np.ndarray]


@functools.cache
def _transforms(k: int, tile: int, halo: int, corners: bool) -> _Transforms:
    """The transforms for a kernel of side k and windows that reach ``halo`` pixels beyond a tile on each side."""
    window, half, center = tile + 2 * halo, k // 2, (tile - 1) / 2
    period = tile + max(half, 2 * halo)  # where outputs wrap around, none of the tile is hit

    def angles(side: int, first: float) -> np.ndarray:
        pixels = np.indices((side, side)).reshape(2, -1) + first
        return 2 * np.pi / period * (frequencies @ pixels)

    u, v = np.indices((period, period)).reshape(2, -1)
    conjugate = (-u % period) * period + -v % period
    kept = np.arange(period**2) <= conjugate
    frequencies = np.stack([u, v], axis=1)[kept]
    share = np.where(conjugate == np.arange(period**2), 1, 2)[kept] / period**2
    inputs, offsets, outputs = angles(window, -halo - center), angles(k, -half), angles(tile, -center)
    if corners:
        order = np.arange(tile**2).reshape(tile // 2, 2, tile // 2, 2).transpose(1, 3, 0, 2).ravel()
        outputs = outputs[:, order]
    inputs, outputs = inputs[:, : window**2 // 2], outputs.T[: tile**2 // 2]
    return _Transforms(
        (np.cos(inputs), -np.sin(inputs)),
        (np.cos(offsets), np.sin(offsets)),
        (np.cos(outputs) * share, -np.sin(outputs) * share),
    )


def tile_side(
    height: int, width: int, kernel_shape: tuple[int, ...], strides: tuple[int, int] = (1, 1)
) -> int | None:
    """Side of the tiles of a convolution with padding "same", or None where only XLA's own will do.

    Args:
      height: height of the images.
      width: width of the images.
      kernel_shape: [k, k, channels, features].
      strides: strides of the convolution.
    """
    rows, columns = kernel_shape[:2]
    if strides != (1, 1) or rows != columns or rows % 2 == 0:
        return None
    if height % TILE == 0 == width % TILE:
        return TILE
    return height if height == width <= WHOLE and height % 2 == 0 else None


def convolve(
    x: Array,
    kernel: Array,
    finish: Callable[[Array], Array] = lambda y: y,
    *,
    strides: tuple[int, int] = (1, 1),
    corners: bool = False,
) -> Array:
    """Convolution with padding "same", computed in float32 at least, and what follows it pixel by pixel.

    It is computed by transforms where `tile_side` finds tiles, by XLA's own convolution where it does not.

    Args:
      x: images, [height, width, channels, n].
      kernel: [rows, columns, channels, features].
      finish: function of the outputs [pixels, features, m], or [4, pixels, features, m] with ``corners``, that
        acts on each number alone, or joins the four corners into one.
      strides: strides of the convolution.
      corners: whether the outputs come as the four corners of each 2 x 2 square: at rows and columns that are both
        even, even and odd, odd and even, both odd; height and width of the result are then half as large.

    Returns:
      [height, width, features, n], what ``finish`` made of the outputs.

    References:
      Mathieu, Henaff and LeCun, 2014, arXiv:1312.5851.
    """
    tile = tile_side(x.shape[0], x.shape[1], kernel.shape, strides)
    if tile:
        return _by_transforms(x, kernel, finish, tile, corners)
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    layout = ("HWCN", "HWIO", "HWCN")
    y = lax.conv_general_dilated(x.astype(dtype), kernel.astype(dtype), strides, "SAME", dimension_numbers=layout)
    (height, width), rest = y.shape[:2], y.shape[2:]
    if corners:
        height, width = height // 2, width // 2
        y = jnp.stack([y[i : 2 * height : 2, j : 2 * width : 2] for i in (0, 1) for j in (0, 1)])
    y = finish(y.reshape(*((4,) if corners else ()), height * width, *rest))
    return y.reshape(height, width, *rest)


def _by_transforms(x: Array, kernel: Array, finish: Callable[[Array], Array], tile: int, corners: bool) -> Array:
    (height, width, channels, n), (k, _, _, features) = x.shape, kernel.shape
    halo = 0 if height == width == tile else k // 2
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    forward, (cosines, sines), inverse = jax.tree.map(
        lambda matrix: matrix.astype(dtype), _transforms(k, tile, halo, corners)
    )
    dot = functools.partial(jnp.matmul, precision=lax.Precision.HIGHEST)
    bins = len(cosines)
    windows = _windows(x, tile, halo).astype(dtype)
    first, opposite = jnp.split(windows.reshape(len(windows), -1), 2)
    halves = zip(forward, (first + opposite[::-1], first - opposite[::-1]), strict=True)
    inputs = jnp.concatenate([dot(matrix, half).reshape(bins, channels, -1) for matrix, half in halves], axis=1)
    flat = kernel.astype(dtype).transpose(0, 1, 3, 2).reshape(k * k, -1)
    real, imaginary = (dot(part, flat).reshape(bins, features, channels) for part in (cosines, sines))
    blocks = jnp.concatenate([real, -imaginary], axis=2), jnp.concatenate([imaginary, real], axis=2)
    even, odd = (
        dot(matrix, dot(block, inputs).reshape(bins, -1)) for matrix, block in zip(inverse, blocks, strict=True)
    )
    y = jnp.concatenate([even + odd, (even - odd)[::-1]])
    y = finish(y.reshape(*((4, -1) if corners else (-1,)), features, y.shape[-1] // features))
    side = tile // 2 if corners else tile
    rows, columns = height // tile, width // tile
    y = y.reshape(side, side, features, rows, columns, n).transpose(3, 0, 4, 1, 2, 5)
    return y.reshape(rows * side, columns * side, features, n)


def _windows(x: Array, tile: int, halo: int) -> Array:
    """The windows of the tiles, [window^2, channels, tiles, n], from images [height, width, channels, n]."""
    height, width, channels, n = x.shape
    rows, columns, window = height // tile, width // tile, tile + 2 * halo
    reach = -(-window // tile)  # tiles that a window touches
    padding = [
        (halo, (count + reach - 1) * tile - size - halo) for count, size in ((rows, height), (columns, width))
    ]
    x = jnp.pad(x, (*padding, (0, 0), (0, 0)))
    x = x.reshape(rows + reach - 1, tile, columns + reach - 1, tile, channels, n).transpose(1, 3, 4, 0, 2, 5)
    parts = [(i, min(tile, window - i * tile)) for i in range(reach)]  # tiles of a window, and pixels in each
    blocks = [
        jnp.concatenate([x[:down, :right, :, i : i + rows, j : j + columns] for j, right in parts], axis=1)
        for i, down in parts
    ]
    return jnp.concatenate(blocks, axis=0).reshape(window**2, channels, -1, n)
