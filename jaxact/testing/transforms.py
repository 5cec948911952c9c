"""The laws about the transformations of JAX: jit, vmap and the modes of differentiation."""

import contextlib
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from jaxact.testing.report import Finding
from jaxact.testing.subject import Subject
from jaxact.testing.ulp import last_place


def jit(subject: Subject, dtype: np.dtype, bars: tuple[float, ...], *, slopes: bool = True) -> Iterator[Finding]:
    """The laws jit and vmap.

    Args:
      subject: the function under test.
      dtype: of the inputs.
      bars: allowed errors of each order in units of the last place.
      slopes: whether the derivative is looked at too.
    """
    x = jnp.asarray(subject.probes.astype(dtype))
    mapped = jax.vmap(subject.scalar)
    ways = {"value": subject.fn, "each": mapped}
    if slopes and subject.order:
        ways["slope"] = jax.vmap(subject.derivative(1))
    came = jax.jit(lambda x: {name: way(x) for name, way in ways.items()})(x)
    yield from differ("jit", came["value"], subject.fn(x), x, 0, bars[0], "jax.jit changes the value")
    if subject.elementwise:
        yield from differ("vmap", came["each"], came["value"], x, 0, bars[0], "jax.vmap changes the value")
    if "slope" in ways:
        yield from differ("jit", came["slope"], ways["slope"](x), x, 1, bars[1], "jax.jit changes the derivative")


def modes(subject: Subject, dtype: np.dtype, bars: tuple[float, ...]) -> Iterator[Finding]:
    """The law modes; a subject whose derivatives cannot be taken so goes on with those that can.

    Args:
      subject: the function under test.
      dtype: of the inputs.
      bars: allowed errors of each order in units of the last place.
    """
    x = jnp.asarray(subject.probes.astype(dtype))
    one = jnp.ones_like(x)
    f = subject.fn if subject.elementwise else jax.vmap(subject.scalar)

    def total(x):
        return f(x).sum()

    def pulled(x):
        y, pull = jax.vjp(f, x)
        return pull(jnp.ones_like(y))[0]

    ways: list[dict[str, Callable]] = [
        {
            "grad": jax.grad(total),
            "vjp": pulled,
            "jacrev": lambda x: jax.jacrev(f)(x).sum(axis=0),
            "jvp": lambda x: jax.jvp(f, (x,), (one,))[1],
            "linearize": lambda x: jax.linearize(f, x)[1](one),
            "jacfwd": lambda x: jax.jacfwd(f)(x).sum(axis=1),
        },
        {
            "grad of grad": jax.grad(lambda x: jax.grad(total)(x).sum()),
            "hessian": lambda x: jax.hessian(total)(x).sum(axis=0),
            "jvp of jvp": lambda x: jax.jvp(lambda x: jax.jvp(f, (x,), (one,))[1], (x,), (one,))[1],
        },
    ]
    for order, options in enumerate(ways[: subject.order], 1):
        came, errors = _each(options, x)
        if errors:
            names = ", ".join(errors)
            first = one_line(next(iter(errors.values())))
            words = f"{names} raises {first}"
            yield Finding("modes", dtype.name, order, None, first.partition(":")[0], "a derivative", words)
        if not came:
            subject.order = order - 1
            return
        if order == 1 and "grad" in errors:
            subject.forward = True
        first, *rest = came
        for name in rest:
            words = f"{name} and {first} differ"
            if found := list(differ("modes", came[name], came[first], x, order, bars[order], words)):
                yield from found
                break


def _each(ways: dict[str, Callable], x: jax.Array) -> tuple[dict[str, jax.Array], dict[str, Exception]]:
    """The results of those ways that have one, and the errors of the others."""
    with contextlib.suppress(Exception):
        return jax.jit(lambda x: {name: way(x) for name, way in ways.items()})(x), {}
    came, errors = {}, {}
    for name, way in ways.items():
        try:
            came[name] = jax.jit(way)(x)
        except Exception as error:
            errors[name] = error
    return came, errors


def differ(law, got, due, x, order, bar, words, *, exact=False) -> Iterator[Finding]:
    """A finding where two ways to the same result do not agree.

    Rounding is no disagreement: neither that of the results, nor that of terms which cancelled.

    Args:
      law: which is broken if they differ.
      got: results of one way.
      due: results of the other.
      x: inputs.
      order: of the derivative.
      bar: allowed error of either in units of the last place.
      words: what is wrong if they differ.
      exact: allows no rounding.
    """
    dtype = x.dtype
    got, due, x = (np.asarray(a).astype(np.float64) for a in (got, due, x))
    if got.shape != due.shape:
        yield Finding(law, dtype.name, order, None, str(got.shape), str(due.shape), f"{words}, in shape")
        return
    eps = float(ml_dtypes.finfo(dtype).eps)
    terms = np.minimum(np.abs(x), 1) if order == 0 else 1
    room = 0 if exact else 2 * bar * last_place(due, dtype) + 8 * eps * np.maximum(np.abs(due), terms)
    with np.errstate(invalid="ignore"):
        off = np.where(got == due, 0, np.abs(got - due))
    wrong = np.where(np.isnan(off), np.isnan(got) != np.isnan(due), off > room)
    if wrong.any():
        where = np.flatnonzero(wrong)
        i = where[np.nan_to_num(off[where], nan=np.inf).argmax()]
        span = float(x[where].min()), float(x[where].max())
        yield Finding(law, dtype.name, order, float(x[i]), float(got[i]), float(due[i]), words, span)


def error_of(f: Callable, *args) -> str | None:
    """The error that tracing a call raises, as one line; None if it goes well."""
    try:
        jax.eval_shape(f, *args)
    except Exception as error:
        return one_line(error)
    return None


def one_line(error: Exception) -> str:
    """An error as one short line."""
    first, *_ = str(error).splitlines() or [""]
    text = f"{type(error).__name__}: {first}"
    return text if len(text) <= 100 else f"{text[:97]}..."
