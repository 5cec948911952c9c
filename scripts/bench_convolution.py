"""Times LeNet-5's convolutions: XLA's own against tiles of several sides, value and gradients.

Each form runs many steps inside one `lax.fori_loop`, as in training; the forms take turns, and the medians are
printed in milliseconds a step and as ratios to XLA's own. Run it as: python scripts/bench_convolution.py
"""

import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import tyro
from flax import nnx
from jax import lax

from jaxact.cli.output import print_table
from jaxact.training.convolution import conv_tiles, max_pool_tiles, untile

# Name, side of the images, channels, features, whether a max-pooling follows.
LAYERS = (("conv1", 32, 3, 6, True), ("conv2", 16, 6, 16, True), ("conv3", 8, 16, 120, False))


def forward(x: jax.Array, kernel: jax.Array, tile: int, pool: bool) -> jax.Array:
    """One layer; tile 0 stands for XLA's own convolution and max-pooling."""
    if tile == 0:
        y = lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return nnx.max_pool(y, (2, 2), (2, 2)) if pool else y
    y = conv_tiles(x, kernel, tile=tile)
    return max_pool_tiles(y) if pool else untile(y)


def train_steps(tile: int, pool: bool, inner: bool, steps: int) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Program of ``steps`` steps of gradient descent on the kernel, and on the input of an inner layer."""

    def loss(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jnp.square(forward(x, kernel, tile, pool)).mean()

    def step(_, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        dx, dw = jax.grad(loss, argnums=(0, 1))(*carry)
        x, kernel = carry
        return x - 1e-3 * dx if inner else x, kernel - 1e-3 * dw

    return jax.jit(lambda x, kernel: lax.fori_loop(0, steps, step, (x, kernel)))


def main(batch: int = 256, steps: int = 5, repeats: int = 5) -> None:
    """Prints the table.

    Args:
      batch: images in a step.
      steps: steps in one call.
      repeats: calls of each form.
    """
    rows = []
    for name, side, channels, features, pool in LAYERS:
        x = jax.random.normal(jax.random.key(0), (batch, side, side, channels))
        kernel = jax.random.normal(jax.random.key(1), (5, 5, channels, features)) / 10
        programs = {}
        for tile in (0, *((2, 4) if pool else (1, 2, 4))):
            programs[tile] = train_steps(tile, pool, channels > 3, steps)
            jax.block_until_ready(programs[tile](x, kernel))
        times = {tile: [] for tile in programs}
        for _ in range(repeats):
            for tile, run in programs.items():
                start = time.perf_counter()
                jax.block_until_ready(run(x, kernel))
                times[tile].append((time.perf_counter() - start) / steps * 1e3)
        medians = {tile: statistics.median(values) for tile, values in times.items()}
        for tile, value in medians.items():
            rows.append((name, tile or "XLA", f"{value:.2f}", f"{value / medians[0]:.2f}"))
    device = jax.devices()[0]
    title = f"jax {jax.__version__}, {device.platform} ({device.device_kind}), batch {batch}, float32"
    print_table(("layer", "tile", "ms a step", "ratio"), rows, title=title)


if __name__ == "__main__":
    tyro.cli(main)
