"""Times maps of saturation against a loop over torch's autograd and one over NumPy with finite differences.

Same functions, same points, same dtype, in turns in one process. Three questions: the whole map (f, f', f'' of
every function at every point), the share of the points that is saturated or dead, and that of a Gaussian, which
jaxact has in closed form and the others from the points. Touching fresh memory takes much of the time of a map, so
all is timed twice: as memory comes, and with malloc told to keep what it was given back, the best for everybody;
and so is writing zeros of the size of the map, which no map can be faster than.
Run it as: python scripts/bench_saturation.py --points 1000000
"""

import ctypes
import dataclasses
import importlib
import importlib.util
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import jaxact
from jaxact.analysis.saturation_map import max_slopes
from jaxact.cli import ended
from jaxact.cli.output import print_table
from jaxact.errors import InputError

Function = Callable[[np.ndarray], np.ndarray]
PEERS = ("torch", "NumPy", "NumPy float64")  # differences in float32 leave one digit or two of f''
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
ORDERS = ("value", "slope", "curvature")
MASKS = ("saturated", "dead")
STEP = np.float32(2.0**-7)  # of the differences; a power of two, so that x + h is exact more often
THRESHOLD = 1e-2
FAR = 20.0  # beyond, softplus and exp overflow in NumPy's plain forms


def softplus(x: np.ndarray) -> np.ndarray:
    """As one writes it in NumPy."""
    return np.log1p(np.exp(x))


# Name, torch's function with its options, and NumPy's formula.
FUNCTIONS: dict[str, tuple[str, dict[str, Any], Function]] = {
    "celu": ("celu", {}, lambda x: np.where(x > 0, x, np.expm1(x))),
    "elu": ("elu", {}, lambda x: np.where(x > 0, x, np.expm1(x))),
    "gelu": (
        "gelu",
        {"approximate": "tanh"},
        lambda x: x / 2 * (1 + np.tanh(0.7978846 * (x + 0.044715 * x * x * x))),
    ),
    "hard_sigmoid": ("hardsigmoid", {}, lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    "hard_silu": ("hardswish", {}, lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "hard_tanh": ("hardtanh", {}, lambda x: np.clip(x, -1, 1)),
    "leaky_relu": ("leaky_relu", {}, lambda x: np.where(x > 0, x, np.float32(0.01) * x)),
    "log_sigmoid": ("logsigmoid", {}, lambda x: -softplus(-x)),
    "mish": ("mish", {}, lambda x: x * np.tanh(softplus(x))),
    "relu": ("relu", {}, lambda x: np.maximum(x, 0)),
    "relu6": ("relu6", {}, lambda x: np.clip(x, 0, 6)),
    "selu": ("selu", {}, lambda x: np.float32(1.05070098) * np.where(x > 0, x, 1.67326324 * np.expm1(x))),
    "sigmoid": ("sigmoid", {}, lambda x: 1 / (1 + np.exp(-x))),
    "silu": ("silu", {}, lambda x: x / (1 + np.exp(-x))),
    "soft_sign": ("softsign", {}, lambda x: x / (1 + np.abs(x))),
    "softplus": ("softplus", {}, softplus),
    "tanh": ("tanh", {}, np.tanh),
}


def by_numpy(names: tuple[str, ...], x: np.ndarray, tops: np.ndarray) -> dict[str, Callable[[], Any]]:
    """The map and the shares by finite differences, one function after another, in the dtype of the inputs."""
    h = x.dtype.type(STEP)

    def whole() -> Any:
        out = []
        for name in names:
            f = FUNCTIONS[name][2]
            up, here, down = f(x + h), f(x), f(x - h)
            out.append((here, (up - down) / (2 * h), (up - 2 * here + down) / (h * h)))
        return out

    def shares() -> Any:
        out = []
        for name, top in zip(names, tops, strict=True):
            f = FUNCTIONS[name][2]
            size = np.abs((f(x + h) - f(x - h)) / (2 * h))
            out.append((np.mean(size < THRESHOLD * top), np.mean(size == 0)))
        return out

    return {"map": whole, "shares": shares}


def by_torch(names: tuple[str, ...], x: np.ndarray, tops: np.ndarray) -> dict[str, Callable[[], Any]]:
    """The map and the shares by torch's autograd, one function after another."""
    torch = importlib.import_module("torch")
    found = {name: getattr(torch.nn.functional, FUNCTIONS[name][0], None) for name in names}
    fns = [(found[name] or getattr(torch, FUNCTIONS[name][0]), FUNCTIONS[name][1]) for name in names]
    leaf = torch.from_numpy(x).requires_grad_()
    ones = torch.ones_like(leaf)

    def bend(slope: Any) -> Any:
        try:
            return torch.autograd.grad(slope, leaf, ones)[0]
        except RuntimeError:  # relu's slope is a constant to torch, and hardsigmoid's second derivative is missing
            return torch.zeros_like(leaf)

    def whole() -> Any:
        out = []
        for f, options in fns:
            y = f(leaf, **options)
            (slope,) = torch.autograd.grad(y, leaf, ones, create_graph=True)
            out.append((y.detach(), slope.detach(), bend(slope)))
        return out

    def shares() -> Any:
        out = []
        for (f, options), top in zip(fns, tops, strict=True):
            (slope,) = torch.autograd.grad(f(leaf, **options), leaf, ones)
            size = slope.abs()
            out.append(((size < THRESHOLD * top).float().mean().item(), (size == 0).float().mean().item()))
        return out

    return {"map": whole, "shares": shares}


def by_jaxact(fns: list[Callable], x: jax.Array, tops: np.ndarray, std: float) -> dict[str, Callable[[], Any]]:
    """The map with fresh and with kept memory, the shares of the points, and those of the Gaussian."""
    kept: list[Any] = [None]
    regions = jaxact.saturation_shares(fns, dtypes=[x.dtype], threshold=THRESHOLD).regions

    def whole(*, keep: bool = False) -> Any:
        kept[0] = jaxact.saturation_map(fns, x=x, fields=ORDERS, out=kept[0] if keep else None)
        return kept[0]

    def shares() -> Any:
        return jaxact.saturation_map(fns, x=x, fields=MASKS, max_slope=tops, reduce="mean", threshold=THRESHOLD)

    return {
        "map": whole,
        "map, out=last": lambda: whole(keep=True),
        "shares": shares,
        "closed form": lambda: jaxact.saturation_shares(fns, std=std, dtypes=[x.dtype], threshold=THRESHOLD),
        "closed form, known intervals": lambda: jaxact.saturation_shares(fns, std=std, regions=regions),
    }


def by_nobody(count: int, x: jax.Array) -> dict[str, Callable[[], Any]]:
    """The floor: an array of zeros of as many bytes as the map, spread over the devices where that can be."""
    devices = jax.devices()[: jax.device_count() if x.size % jax.device_count() == 0 else 1]
    place = NamedSharding(Mesh(np.array(devices), ("points",)), PartitionSpec(None, "points"))
    return {"map": jax.jit(lambda: jnp.zeros((len(ORDERS) * count, x.size), x.dtype), out_shardings=place)}


def keep_pages() -> bool:
    """Tells glibc's malloc to keep memory that it is given back, instead of handing it to the system."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        # M_MMAP_MAX: nothing is mapped for itself, however large; M_TRIM_THRESHOLD: nothing is handed back.
        return bool(libc.mallopt(-4, 0) and libc.mallopt(-1, 2**31 - 1))
    except (OSError, AttributeError):
        return False


def seconds(program: Callable[[], Any]) -> float:
    """Time of one call."""
    start = time.perf_counter()
    jax.block_until_ready(program())
    return time.perf_counter() - start


@dataclasses.dataclass(frozen=True)
class Bench:
    """Time maps of saturation.

    Attributes:
      functions: names of those that jaxact, jax.nn, torch and this file have; by default all of them.
      points: number of inputs, drawn from N(0, std^2) and cut at 20.
      std: spread of the inputs.
      devices: number of CPU devices for JAX, which gives each one core here; by default as many as cores, since
        torch takes all of them, too.
      repeats: rounds, each of which times every program once.
      everything: time the map of all pointwise activations of jaxact, too, alone.
      json: file for all results.
    """

    functions: tuple[str, ...] = tuple(FUNCTIONS)
    points: int = 1_000_000
    std: float = 3.0
    devices: int = CORES
    repeats: int = 7
    everything: bool = False
    json: str | None = None

    def run(self) -> None:
        """Times, prints the tables, and writes the file."""
        if unknown := sorted({*self.functions} - {*FUNCTIONS}):
            raise InputError(
                f"not among the functions here: {', '.join(unknown)}; known are {', '.join(FUNCTIONS)}"
            )
        if min(self.repeats, self.points, self.devices, len(self.functions)) < 1:
            raise InputError("--repeats, --points, --devices and the number of --functions must be at least 1")
        jax.config.update("jax_num_cpu_devices", self.devices)
        x = np.random.default_rng(0).normal(0, self.std, self.points).astype(np.float32).clip(-FAR, FAR)
        ours, theirs = ([getattr(of, name) for name in self.functions] for of in (jaxact, jax.nn))
        tops = max_slopes(ours, np.float32)
        on_device = jnp.asarray(x)
        sources = {
            "jaxact": by_jaxact(ours, on_device, tops, self.std),
            "jaxact of jax.nn's": by_jaxact(theirs, on_device, tops, self.std),
            "NumPy": by_numpy(self.functions, x, tops),
            "NumPy float64": by_numpy(self.functions, x.astype(np.float64), tops),
            "zeros": by_nobody(len(ours), on_device),
        }
        if importlib.util.find_spec("torch"):
            sources["torch"] = by_torch(self.functions, x, tops)
        about = self.about("torch" in sources)
        print("; ".join(f"{key} {value}" for key, value in about.items()))
        self.agree(sources)
        results = self.table(sources, "memory as it comes")
        if keep_pages():
            results += self.table(sources, "malloc keeps its pages")
        if self.everything:
            results += self.all_of_jaxact(on_device)
        if self.json is not None:
            Path(self.json).write_text(json.dumps({"about": about, "results": results}, indent=1) + "\n")

    def about(self, with_torch: bool) -> dict[str, str]:
        """Versions, device and threads."""
        device = jax.devices()[0]
        about = {"jaxact": jaxact.__version__, "jax": jax.__version__, "numpy": np.__version__}
        if with_torch:
            torch = importlib.import_module("torch")
            about["torch"] = f"{torch.__version__} with {torch.get_num_threads()} threads"
        return about | {
            "devices": f"{jax.device_count()} {device.platform} ({device.device_kind})",
            "cores": f"{CORES} of {platform.machine()}, load {os.getloadavg()[0]:.1f}",
            "functions": str(len(self.functions)),
            "points": f"{self.points:,} float32",
        }

    def agree(self, sources: dict[str, dict[str, Callable[[], Any]]]) -> None:
        """Compares what is timed: all must compute the same map."""
        whole = sources["jaxact"]["map"]()
        for other in PEERS:
            for i, got in enumerate(sources[other]["map"]() if other in sources else ()):
                for name, theirs in zip(ORDERS, got, strict=True):
                    apart = np.abs(np.asarray(getattr(whole, name)[i]) - np.asarray(theirs))
                    # Differences are off by a step around kinks, and by rounding over its square.
                    off = float(np.mean(apart > (1e-4 if other == "torch" else 0.02)))
                    if off > 0.03:
                        sys.exit(f"{other} has another {name} of {self.functions[i]} at {off:.1%} of the points")

    def table(self, sources: dict[str, dict[str, Callable[[], Any]]], title: str) -> list[dict[str, Any]]:
        """Times every program in turns and prints the medians and the ratios to torch's and NumPy's."""
        programs = {(source, what): run for source, runs in sources.items() for what, run in runs.items()}
        times: dict[tuple[str, str], list[float]] = {key: [] for key in programs}
        for run in programs.values():
            seconds(run)  # compiles
        for _ in range(self.repeats):
            for key, run in programs.items():
                times[key].append(seconds(run))
        results, rows = [], []
        for (source, what), values in times.items():
            row = {"memory": title, "what": what, "of": source, "ms": float(np.median(values)) * 1e3}
            same = "map" if what.startswith("map") else "shares"
            for peer in PEERS:
                if peer in sources:
                    ratios = np.array(times[peer, same]) / np.array(values)  # within rounds
                    row[f"times faster than {peer}"] = float(np.median(ratios))
            results.append(row)
            ratios = [f"{value:.1f}" for key, value in row.items() if key.startswith("times")]
            rows.append((what, source, f"{row['ms']:.1f}", *ratios))
        order = list(sources["jaxact"])
        rows.sort(key=lambda row: order.index(row[0]))
        peers = [f"to {peer}" for peer in PEERS if peer in sources]
        title += f"; medians of {self.repeats} rounds, and how many times faster"
        print_table(("what", "of", "ms", *peers), rows, title=title)
        return results

    def all_of_jaxact(self, x: jax.Array) -> list[dict[str, Any]]:
        """The map of every activation of the table, in one program."""
        fns = [row.function for row in jaxact.ACTIVATIONS.values()]
        kept: list[Any] = [None]

        def whole() -> Any:
            kept[0] = jaxact.saturation_map(fns, x=x, fields=ORDERS, out=kept[0])
            return kept[0]

        first, _, *values = (seconds(whole) for _ in range(2 + self.repeats))  # two programs: without and with out
        ms = float(np.median(values)) * 1e3
        print(f"{len(fns)} functions, {x.size:,} points, three orders: {ms:.0f} ms; the first call {first:.1f} s")
        return [{"what": "map, out=last", "of": f"all {len(fns)} of jaxact", "ms": ms, "first call, s": first}]


if __name__ == "__main__":
    sys.exit(ended(lambda: tyro.cli(Bench).run()))
