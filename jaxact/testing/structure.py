"""The laws about how a function is called: shapes, dtypes, purity."""

import contextlib
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from jaxact.testing.report import Finding
from jaxact.testing.subject import Subject
from jaxact.testing.transforms import differ, error_of, one_line

_SHAPES = ((3,), (), (0,), (2, 3))


def callable_at_all(subject: Subject, dtype: np.dtype) -> Iterator[Finding]:
    """The laws shape and jit, as far as a call goes through.

    Args:
      subject: the function under test.
      dtype: of the inputs.
    """
    x = subject.probes.astype(dtype)
    try:
        subject.fn(jnp.asarray(x))
    except Exception as error:
        words = f"an array of shape {x.shape} raises {one_line(error)}"
        yield Finding("shape", dtype.name, 0, None, type(error).__name__, str(x.shape), words)
        return
    if words := error_of(subject.fn, jnp.asarray(x)):
        yield Finding("jit", dtype.name, 0, None, words.partition(":")[0], "the same", f"under jit raises {words}")


def shape(subject: Subject, dtype: np.dtype) -> Iterator[Finding]:
    """The law shape.

    Args:
      subject: the function under test.
      dtype: of the inputs.
    """
    for due in _SHAPES:
        x = jax.ShapeDtypeStruct(due, dtype)
        if words := error_of(subject.fn, x):
            got, words = words.partition(":")[0], f"shape {due} raises {words}"
        else:
            got = str(getattr(jax.eval_shape(subject.fn, x), "shape", None))
            words = f"shape {due} gives {got}"
        if got != str(due):
            yield Finding("shape", dtype.name, 0, None, got, str(due), words)
            return


def keeps_shape(subject: Subject, dtype: np.dtype) -> bool:
    """Whether an array of several inputs gives as many results.

    Args:
      subject: the function under test.
      dtype: of the inputs.
    """
    x = jax.ShapeDtypeStruct(_SHAPES[0], dtype)
    return getattr(jax.eval_shape(subject.fn, x), "shape", None) == x.shape


def dtypes(subject: Subject, dtype: np.dtype) -> Iterator[Finding]:
    """The law dtype, for arrays.

    Args:
      subject: the function under test.
      dtype: of the inputs.
    """
    x = jax.ShapeDtypeStruct((3,), dtype)
    for order in range(subject.order + 1):
        with contextlib.suppress(Exception):  # what raises is found by other laws
            got = jax.eval_shape(jax.vmap(subject.derivative(order)) if order else subject.fn, x).dtype
            if got != dtype:
                words = f"{dtype.name} gives {got.name}"
                yield Finding("dtype", dtype.name, order, None, got.name, dtype.name, words)


def scalars(subject: Subject, dtype: np.dtype) -> Iterator[Finding]:
    """The law dtype, for Python numbers and integers.

    Args:
      subject: the function under test.
      dtype: of the floats that integers are held against.
    """
    name = jnp.result_type(float).name
    with contextlib.suppress(Exception):
        if not jax.eval_shape(subject.fn, subject.inside).weak_type:
            words = "a Python float gives a strong type, which widens bfloat16 and float16"
            yield Finding("dtype", name, 0, subject.inside, f"strong {name}", f"weak {name}", words)
            return
    whole = np.array([n for n in (-2, -1, 1, 2, 3) if subject.domain[0] < n < subject.domain[1]])
    if not whole.size:
        return
    whole = np.resize(whole, subject.probes.size)  # a shape that has been compiled
    try:
        got = np.asarray(subject.fn(jnp.asarray(whole, int))).astype(np.float64)
    except Exception as error:
        words = f"integers raise {one_line(error)}"
        yield Finding("dtype", jnp.result_type(int).name, 0, None, type(error).__name__, "a result", words)
        return
    due = np.asarray(subject.fn(jnp.asarray(whole, dtype))).astype(np.float64)
    with np.errstate(invalid="ignore"):
        off = np.where(got == due, 0, np.abs(got - due))
    if (off > 8 * float(ml_dtypes.finfo(dtype).eps) * np.abs(due)).any():
        i = int(off.argmax())
        words = "an integer gives another result than the same float"
        x, got, due = float(whole[i]), float(got[i]), float(due[i])
        yield Finding("dtype", jnp.result_type(int).name, 0, x, got, due, words, (x, x))


def pure(subject: Subject, dtype: np.dtype) -> Iterator[Finding]:
    """The law pure.

    Args:
      subject: the function under test.
      dtype: of the inputs.
    """
    x = jnp.asarray(subject.probes.astype(dtype))
    yield from differ("pure", subject.fn(x), subject.fn(x), x, 0, 0, "two calls do not agree", exact=True)


def elementwise(subject: Subject, dtype: np.dtype, bar: float) -> Iterator[Finding]:
    """The law elementwise; where it is broken, the subject goes on one input at a time.

    Args:
      subject: the function under test.
      dtype: of the inputs.
      bar: allowed error in units of the last place.
    """
    f = jax.jit(subject.fn)
    x = jnp.asarray(subject.probes.astype(dtype))
    even = jnp.arange(x.size) % 2 == 0
    others = {
        "the value changes when other inputs become NaN": jnp.where(even, f(jnp.where(even, x, jnp.nan)), f(x)),
        "the value changes with the place in the array": f(x[::-1])[::-1],
    }
    for words, got in others.items():
        for finding in differ("elementwise", got, f(x), x, 0, bar, words):
            subject.elementwise = False
            yield finding
            return
