"""Convolutions of few channels as wide matrix products, the fast form on a CPU.

XLA's CPU backend runs the gradient of an ordinary convolution as a naive loop when it stands inside `lax.scan` or
`lax.fori_loop`, and its max-pool gradient as a scatter. A matrix product has neither problem. So the output is cut
into tiles of t x t pixels: one tile is one row of a product whose other side holds the kernel in t * t shifted
copies. Max-pooling is then a maximum over columns. The mathematics is that of the convolution; the extra products
are with zeros.
"""

import jax.numpy as jnp
from jax import Array


def conv_tiles(x: Array, kernel: Array, *, tile: int) -> Array:
    """Convolution with stride 1 and zero padding that keeps the size ("same"), its result in tiles.

    Args:
      x: images, [n, height, width, channels]; height and width are multiples of ``tile``.
      kernel: [k, k, channels, features] with k odd.
      tile: side of a tile.

    Returns:
      [n, height / tile, width / tile, tile, tile, features].

    Raises:
      ValueError: if the shapes do not fit together.
    """
    (n, height, width, channels), (k, _, _, features) = x.shape, kernel.shape
    if height % tile or width % tile or k % 2 == 0 or kernel.shape[:3] != (k, k, channels):
        raise ValueError(f"no tiles of side {tile} for images {x.shape} and kernel {kernel.shape}")
    rows, columns = height // tile, width // tile
    reach = -(-(tile + k - 1) // tile)  # tiles that the inputs of one output tile span
    extra = reach * tile - (tile + k - 1)
    left, right = k // 2, k // 2 + extra
    x = jnp.pad(x, ((0, 0), (left, right), (left, right), (0, 0)))
    rows_in, columns_in = rows + reach - 1, columns + reach - 1
    x = x[:, : rows_in * tile, : columns_in * tile]
    x = x.reshape(n, rows_in, tile, columns_in, tile, channels).transpose(0, 1, 3, 2, 4, 5)
    x = x.reshape(n, rows_in, columns_in, -1)
    patches = [x[:, i : i + rows, j : j + columns] for i in range(reach) for j in range(reach)]
    weights = _shifted_copies(kernel, tile, reach)
    product = jnp.concatenate(patches, axis=-1).reshape(n * rows * columns, -1) @ weights
    return product.reshape(n, rows, columns, tile, tile, features)


def _shifted_copies(kernel: Array, tile: int, reach: int) -> Array:
    """The kernel as a matrix: a row per input of a tile's patch, a column per output pixel and feature."""
    k, _, channels, features = kernel.shape
    side = reach * tile
    copies = [
        jnp.pad(kernel, ((i, side - k - i), (j, side - k - j), (0, 0), (0, 0)))
        for i in range(tile)
        for j in range(tile)
    ]
    weights = jnp.stack(copies, axis=3).reshape(reach, tile, reach, tile, channels, tile * tile * features)
    return weights.transpose(0, 2, 1, 3, 4, 5).reshape(-1, tile * tile * features)


def untile(y: Array) -> Array:
    """Tiles put together: [n, rows, columns, tile, tile, features] to [n, height, width, features]."""
    n, rows, columns, tile, _, features = y.shape
    return y.transpose(0, 1, 3, 2, 4, 5).reshape(n, rows * tile, columns * tile, features)


def max_pool_tiles(y: Array) -> Array:
    """Max-pooling 2 x 2 with stride 2 inside tiles of even side, then put together.

    Args:
      y: [n, rows, columns, tile, tile, features].

    Returns:
      [n, rows * tile / 2, columns * tile / 2, features].
    """
    y = jnp.maximum(y[:, :, :, 0::2], y[:, :, :, 1::2])
    return untile(jnp.maximum(y[:, :, :, :, 0::2], y[:, :, :, :, 1::2]))
