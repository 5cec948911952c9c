"""The function under test, as programs that give its value and its derivatives at many inputs."""

import contextlib
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from jaxact.testing.breaks import Break, find_breaks
from jaxact.testing.rounding import rounding

CHUNK = 2048  # one shape of input, so that a program is compiled once a dtype

_NARROW = ("float32", "bfloat16", "float16")


class Subject:
    """A function with its derivatives.

    Attributes:
      fn: the function of one array.
      order: of the highest derivative.
      domain: open interval of the inputs.
      elementwise: whether ``fn`` may be given many inputs at once; if not, it gets them one by one, by vmap.
      forward: whether derivatives are taken in forward mode, for a function that has no reverse mode.
    """

    def __init__(self, fn: Callable, order: int, domain: tuple[float, float]):
        self.fn, self.order, self.domain = fn, order, domain
        self.elementwise, self.forward = True, False

    def __call__(self, xs: np.ndarray) -> np.ndarray:
        """Value and derivatives in the dtype of ``xs``, then widened, [order + 1, n]."""
        return self._run(self._program, xs)

    def rounding(self, xs: np.ndarray) -> np.ndarray:
        """How far off rounding may have brought value and derivatives in float64, [order + 1, n]."""
        with contextlib.suppress(Exception):
            return np.nan_to_num(self._run(self._spread, xs), nan=np.inf, posinf=np.inf)
        # What cannot be taken to pieces may have steps whose results are around 1.
        return (self.precision or np.inf) * np.maximum(np.abs(self(xs)), 1)

    def _run(self, program: Callable, xs: np.ndarray) -> np.ndarray:
        if not xs.size:
            return np.zeros((self.order + 1, 0))
        fill = np.full(-xs.size % CHUNK, self.inside, xs.dtype)
        chunks = np.concatenate([xs, fill]).reshape(-1, CHUNK)
        with jax.enable_x64(True) if xs.dtype == np.float64 else contextlib.nullcontext():
            rows = [np.stack([_widened(y) for y in program(jnp.asarray(chunk))]) for chunk in chunks]
        return np.concatenate(rows, axis=1)[:, : xs.size]

    @functools.cached_property
    def _program(self) -> Callable:
        pointwise = [jax.vmap(self.derivative(k)) for k in range(self.order + 1)]
        if self.elementwise:
            pointwise[0] = self.fn
        return jax.jit(lambda x: [f(x) for f in pointwise])

    @functools.cached_property
    def _spread(self) -> Callable:
        return jax.jit(rounding(self._program))

    def scalar(self, x):
        """The function of one number, even where ``fn`` insists on an array."""
        with contextlib.suppress(Exception):
            y = self.fn(x)
            if y.shape == ():
                return y
        return self.fn(x[None])[0]

    def derivative(self, order: int) -> Callable:
        """The derivative of the function of one number."""
        f = self.scalar
        for _ in range(order):
            f = jax.jacfwd(f) if self.forward else jax.grad(f)
        return f

    @functools.cached_property
    def precision(self) -> float | None:
        """The relative precision of a value in float64; None if the function does not run there.

        It is that of a narrower dtype if the function computes in that all the same.
        """
        try:
            with jax.enable_x64(True):
                traced = jax.make_jaxpr(self._program)(jax.ShapeDtypeStruct((CHUNK,), jnp.float64))
        except Exception:
            return None
        text = str(traced)
        used = [name for name in _NARROW if f"new_dtype={name}" in text]
        return max(float(ml_dtypes.finfo(dtype).eps) for dtype in (*used, traced.out_avals[0].dtype))

    @functools.cached_property
    def breaks(self) -> list[Break]:
        """Where the value or a derivative jumps."""
        return find_breaks(self)

    @property
    def inside(self) -> float:
        """An ordinary input."""
        return float(self.probes[self.probes.size // 2])

    @functools.cached_property
    def probes(self) -> np.ndarray:
        """A few ordinary inputs inside the domain, none of them round, [24]."""
        low, high = self.domain
        if low > -np.inf and high < np.inf:
            return low + (high - low) * (np.arange(24) + 0.4321) / 24
        magnitudes = 0.0371 * 1.31 ** np.arange(24)  # to 19
        if low > -np.inf:
            return low + magnitudes
        if high < np.inf:
            return high - magnitudes[::-1]
        return np.concatenate([-magnitudes[::-2], magnitudes[::2]])


def _widened(y: jax.Array) -> np.ndarray:
    return np.asarray(y).astype(np.float64)
