"""Times LeNet-5's convolutions: XLA's own against transforms as matrix products, against the machine's own rate.

Each program runs many steps inside one `lax.fori_loop`, as in training; the programs take turns. The medians are
printed in milliseconds a step, as ratios to XLA's own, and in GFLOP/s of the direct convolution, which the
transforms need not do, beside the rate of one large product. Run it as: python scripts/bench_convolution.py
"""

import statistics
import sys
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import tyro
from jax import Array, lax

from jaxact.cli import ended
from jaxact.cli.output import print_table
from jaxact.training.convolution import convolve

# Name, side of the images, channels, features.
LAYERS = (("conv1", 32, 3, 6), ("conv2", 16, 6, 16), ("conv3", 8, 16, 120))
PARTS = ("forward", "gradient by input", "gradient by kernel")


def plain(x: Array, kernel: Array) -> Array:
    """XLA's own convolution."""
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


FORMS: dict[str, tuple[Callable[[Array, Array], Array], tuple[int, ...]]] = {
    "XLA": (plain, (0, 1, 2, 3)),
    "transforms": (convolve, (1, 2, 3, 0)),
}


def part_of(form: Callable[[Array, Array], Array], part: str) -> Callable[[Array, Array, Array], Array]:
    """One of `PARTS` as a function of input, kernel and cotangent."""
    if part == "forward":
        return lambda x, kernel, _: form(x, kernel)
    if part == "gradient by input":
        return lambda x, kernel, dy: jax.vjp(lambda x: form(x, kernel), x)[1](dy)[0]
    return lambda x, kernel, dy: jax.vjp(lambda kernel: form(x, kernel), kernel)[1](dy)[0]


def repeated(f: Callable[..., Array], steps: int) -> Callable[..., Array]:
    """``f`` many times in one program; each call waits for the one before it."""

    def step(_: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
        link = f(*carry).ravel()[0] * 1e-30
        return tuple(a.at[(0,) * a.ndim].add(link) for a in carry)

    return jax.jit(lambda *args: lax.fori_loop(0, steps, step, args)[0].ravel()[0])


def medians(programs: dict[tuple, tuple[Callable[..., Array], tuple]], repeats: int) -> dict[tuple, float]:
    """Median seconds of each program, which take turns."""
    times: dict[tuple, list[float]] = {key: [] for key in programs}
    for warm in (True, *[False] * repeats):
        for key, (program, args) in programs.items():
            start = time.perf_counter()
            jax.block_until_ready(program(*args))
            if not warm:
                times[key].append(time.perf_counter() - start)
    return {key: statistics.median(values) for key, values in times.items()}


def main(batch: int = 256, steps: int = 5, repeats: int = 5) -> None:
    """Prints the table.

    Args:
      batch: images in a step.
      steps: steps in one call.
      repeats: calls of each program.
    """
    side = 2048
    square = jnp.full((side, side), 1 / side)
    programs: dict[tuple, tuple[Callable[..., Array], tuple]] = {
        ("product",): (jax.jit(jnp.matmul), (square,) * 2)
    }
    for name, size, channels, features in LAYERS:
        x = jax.random.normal(jax.random.key(0), (batch, size, size, channels))
        kernel = jax.random.normal(jax.random.key(1), (5, 5, channels, features)) / 10
        dy = jax.random.normal(jax.random.key(2), (batch, size, size, features))
        for form, (f, axes) in FORMS.items():
            for part in PARTS:
                program = repeated(part_of(f, part), steps)
                programs[name, part, form] = program, (x.transpose(axes), kernel, dy.transpose(axes))
    seconds = medians(programs, repeats)
    rate = 2 * side**3 / seconds["product",] / 1e9
    rows = []
    for name, size, channels, features in LAYERS:
        gflop = 2 * batch * size**2 * 25 * channels * features / 1e9
        for part in PARTS:
            own = seconds[name, part, "XLA"]
            for form in FORMS:
                value = seconds[name, part, form]
                speed = gflop * steps / value
                rows.append((name, part, form, f"{value / steps * 1e3:.2f}", f"{value / own:.2f}", f"{speed:.0f}"))
    device = jax.devices()[0]
    title = (
        f"jax {jax.__version__}, {device.platform} ({device.device_kind}), batch {batch}, float32;"
        f" one product of {side} x {side}: {rate:.0f} GFLOP/s"
    )
    print_table(("layer", "part", "form", "ms a step", "ratio", "GFLOP/s of the convolution"), rows, title=title)


if __name__ == "__main__":
    sys.exit(ended(lambda: tyro.cli(main)))
