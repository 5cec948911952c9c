"""Times the activations that jaxact shares with jax.nn, in turns in one process: value, and value with gradient.

On a noisy machine single times tell little. Here every round times each program once, in a new order, and the
ratio is the median of the ratios within rounds, printed with its quartiles; below 1 jaxact is faster. A ratio over
1.10 is marked, and over 0.75 for softplus and mish, which jax.nn computes with more exponentials than they need.
Run it as: python scripts/bench_activations.py --functions tanh mish --sizes 1000000
"""

import dataclasses
import functools
import importlib
import inspect
import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from tqdm import tqdm

import jaxact
from jaxact.catalog.frameworks import FRAMEWORKS
from jaxact.cli import ended
from jaxact.cli.output import print_table
from jaxact.errors import InputError

SHARED = tuple(name for name in jaxact.ACTIVATIONS if hasattr(jax.nn, name))
PROGRAMS = ("f", "f and gradient")
ENOUGH = 0.5  # seconds
LIMIT = 1.10
LIMITS = {"softplus": 0.75, "mish": 0.75}

Program = Callable[[], Any]


def programs_of_jax(fn: Callable, x: jax.Array) -> dict[str, Program]:
    """The value, and the value with the gradient of its sum, each jitted as one program."""

    def with_gradient(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        y, pull = jax.vjp(fn, x)
        return y, pull(jnp.ones_like(y))[0]

    return {
        PROGRAMS[0]: functools.partial(jax.jit(lambda x: fn(x)), x),
        PROGRAMS[1]: functools.partial(jax.jit(with_gradient), x),
    }


def programs_of_torch(fn: Callable, x: np.ndarray, dtype: str) -> dict[str, Program]:
    """The same in torch, as it comes: eager."""
    torch = importlib.import_module("torch")
    t = torch.from_numpy(x).to(getattr(torch, dtype))
    leaf = t.clone().requires_grad_()
    ones = torch.ones_like(t)

    def value() -> Any:
        with torch.no_grad():
            return fn(t)

    def with_gradient() -> Any:
        y = fn(leaf)
        return y, torch.autograd.grad(y, leaf, ones)

    return {PROGRAMS[0]: value, PROGRAMS[1]: with_gradient}


def programs_of_keras(fn: Callable, x: np.ndarray, dtype: str) -> dict[str, Program]:
    """The same in Keras on TensorFlow, as a graph."""
    tf = importlib.import_module("tensorflow")
    t = tf.cast(tf.constant(x), dtype)

    def with_gradient(t: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(t)
            y = fn(t)
        return y, tape.gradient(y, t)

    return {
        PROGRAMS[0]: functools.partial(tf.function(fn), t),
        PROGRAMS[1]: functools.partial(tf.function(with_gradient), t),
    }


def of_framework(framework: str, name: str) -> Callable | None:
    """A framework's own function that equals jaxact's of that name, or None if it has none."""
    if (framework, name) == ("torch", "gelu"):
        return functools.partial(importlib.import_module("torch.nn.functional").gelu, approximate="tanh")
    known = FRAMEWORKS[framework]
    for theirs, means in known.names.items():
        for path in known.modules if means == name else ():
            found = getattr(importlib.import_module(path), theirs, None)
            if found is not None and not inspect.isclass(found):
                return found
    return None


def seconds(program: Program, calls: int) -> float:
    """Time of a call, as the mean of some."""
    start = time.perf_counter()
    for _ in range(calls):
        jax.block_until_ready(program())  # torch and TensorFlow compute before they return, on a CPU
    return (time.perf_counter() - start) / calls


def take_turns(programs: dict[str, Program], repeats: int) -> dict[str, np.ndarray]:
    """Seconds a call of each program in each round, [rounds]; small programs get more rounds than ``repeats``."""
    for program in programs.values():
        seconds(program, 2)  # compiles
    # So many calls are one measurement that reading the clock does not count.
    calls = {name: math.ceil(5e-4 / seconds(program, 3)) for name, program in programs.items()}
    times: dict[str, list[float]] = {name: [] for name in programs}
    names = list(programs)
    end = time.perf_counter() + ENOUGH
    while len(times[names[0]]) < repeats or time.perf_counter() < end:
        names = names[1:] + names[:1]  # nobody is always second
        for name in names:
            times[name].append(seconds(programs[name], calls[name]))
    return {name: np.array(values) for name, values in times.items()}


@dataclasses.dataclass(frozen=True)
class Bench:
    """Time activations against jax.nn.

    Attributes:
      functions: names of activations that jax.nn has, too; by default all of them.
      sizes: numbers of elements.
      dtypes: what to compute in.
      repeats: rounds at least, each of which times every program once.
      peers: other frameworks to time on the same inputs, where they are installed.
      json: file for all results.
      markdown: print one table of the ratios to jax.nn for a README, and nothing else.
    """

    functions: tuple[str, ...] = SHARED
    sizes: tuple[int, ...] = (10_000, 1_000_000, 16_000_000)
    dtypes: tuple[Literal["float32", "bfloat16", "float16", "float64"], ...] = ("float32", "bfloat16")
    repeats: int = 31
    peers: tuple[Literal["torch", "keras"], ...] = ()
    json: str | None = None
    markdown: bool = False

    def run(self) -> None:
        """Times, prints the tables, and writes the file."""
        if unknown := sorted({*self.functions} - {*SHARED}):
            raise InputError(f"not in both jaxact and jax.nn: {', '.join(unknown)}; known are {', '.join(SHARED)}")
        if self.repeats < 1 or any(size < 1 for size in self.sizes):
            raise InputError("--repeats and --sizes must be at least 1")
        about = self.about()
        if not self.markdown:
            print("; ".join(f"{key} {value}" for key, value in about.items()))
        results = []
        todo = [(dtype, size) for dtype in self.dtypes for size in self.sizes]
        with tqdm(total=len(todo) * len(self.functions), unit="function", leave=False, disable=None) as bar:
            for dtype, size in todo:
                rows = []
                for name in self.functions:
                    bar.set_description(f"{name} {dtype} {size:,}")
                    rows += self.measure(name, dtype, size)
                    bar.update()
                if not self.markdown:
                    with tqdm.external_write_mode():
                        self.print(dtype, size, rows)
                results += rows
        if self.markdown:
            print_markdown(results)
        else:
            marked = sum(row["marked"] for row in results if row["peer"] == "jax.nn")
            print(f"{marked} of {sum(row['peer'] == 'jax.nn' for row in results)} ratios to jax.nn are marked")
        if self.json is not None:
            Path(self.json).write_text(json.dumps({"about": about, "results": results}, indent=1) + "\n")

    def about(self) -> dict[str, str]:
        """Versions, device and threads."""
        device = jax.devices()[0]
        about = {
            "jaxact": jaxact.__version__,
            "jax": jax.__version__,
            "device": f"{device.platform} ({device.device_kind})",
            "threads": os.environ.get("PJRT_NPROC", str(len(os.sched_getaffinity(0)))),
            "XLA_FLAGS": os.environ.get("XLA_FLAGS", "none"),
        }
        for peer in self.peers:
            try:
                about[peer] = importlib.import_module(peer).__version__
            except ModuleNotFoundError:
                raise InputError(f"{peer} is not installed: pip install 'jaxact[peers]'") from None
        if "keras" in about and (backend := importlib.import_module("keras").backend.backend()) != "tensorflow":
            raise InputError(f"Keras runs on {backend}; set KERAS_BACKEND=tensorflow")
        if "torch" in about:
            about["torch"] += f" with {importlib.import_module('torch').get_num_threads()} threads"
        return about

    def measure(self, name: str, dtype: str, size: int) -> list[dict[str, Any]]:
        """One row for each program and peer."""
        x = np.random.default_rng(0).normal(0, 3, size).astype(np.float32)
        with jax.enable_x64(dtype == "float64"):
            ours = jnp.asarray(x, dtype)
            programs = {
                "jaxact": programs_of_jax(jaxact.ACTIVATIONS[name].function, ours),
                "jax.nn": programs_of_jax(getattr(jax.nn, name), ours),
            }
            for peer in self.peers:
                if (fn := of_framework(peer, name)) is not None:
                    make = programs_of_torch if peer == "torch" else programs_of_keras
                    programs[peer] = make(fn, x, dtype)
            rows = []
            for what in PROGRAMS:
                times = take_turns({who: each[what] for who, each in programs.items()}, self.repeats)
                rows += [row(name, dtype, size, what, who, times) for who in programs if who != "jaxact"]
        return rows

    def print(self, dtype: str, size: int, rows: list[dict[str, Any]]) -> None:
        """The table of one dtype and size."""
        value, gradient = ([r for r in rows if r["what"] == what] for what in PROGRAMS)
        cells = [(a["function"], a["peer"], *shown(a), *shown(b)) for a, b in zip(value, gradient, strict=True)]
        times = ("jaxact ms", "peer ms", "ratio", "quartiles")
        header = ("function", "peer", *(word for what in PROGRAMS for word in (f"{what}: {times[0]}", *times[1:])))
        print_table(header, cells, title=f"{dtype}, {size:,} elements, at least {self.repeats} rounds")


def row(name: str, dtype: str, size: int, what: str, peer: str, times: dict[str, np.ndarray]) -> dict[str, Any]:
    """What is kept of one comparison."""
    low, ratio, high = np.percentile(times["jaxact"] / times[peer], (25, 50, 75)).tolist()
    return {
        "function": name,
        "dtype": dtype,
        "size": size,
        "what": what,
        "peer": peer,
        "seconds": float(np.median(times["jaxact"])),
        "peer_seconds": float(np.median(times[peer])),
        "rounds": len(times[peer]),
        "ratio": ratio,
        "quartiles": (low, high),
        "marked": peer == "jax.nn" and ratio > LIMITS.get(name, LIMIT),
    }


def shown(row: dict[str, Any]) -> tuple[str, str, str, str]:
    """The numbers of one comparison for the table."""
    mark = "!" if row["marked"] else "\u00a0"  # as wide, and not stripped
    times = (f"{row['seconds'] * 1e3:.4g}", f"{row['peer_seconds'] * 1e3:.4g}")
    return *times, f"{row['ratio']:.2f} {mark}", f"{row['quartiles'][0]:.2f} to {row['quartiles'][1]:.2f}"


def print_markdown(results: list[dict[str, Any]]) -> None:
    """Ratios to jax.nn, a row a function and two columns for each dtype and size; bold where marked."""
    found = {(r["function"], r["dtype"], r["size"], r["what"]): r for r in results if r["peer"] == "jax.nn"}
    columns = list(dict.fromkeys((r["dtype"], r["size"]) for r in results))
    heads = [head for dtype, size in columns for head in (f"{dtype} {size:.2g}: f".replace("e+0", "e"), "and f′")]
    print(f"| function | {' | '.join(heads)} |\n|---{'|---:' * len(heads)}|")
    for function in dict.fromkeys(r["function"] for r in results):
        cells = [found[function, dtype, size, what] for dtype, size in columns for what in PROGRAMS]
        texts = (f"**{r['ratio']:.2f}**" if r["marked"] else f"{r['ratio']:.2f}" for r in cells)
        print(f"| `{function}` | {' | '.join(texts)} |")


if __name__ == "__main__":
    sys.exit(ended(lambda: tyro.cli(Bench).run()))
