"""One call that holds a function to every law."""

import dataclasses
import math
import numbers
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from jaxact.errors import InputError, shown
from jaxact.testing import limits, structure, transforms, values
from jaxact.testing.bars import BARS
from jaxact.testing.oracle import Oracle, resolve
from jaxact.testing.report import LAWS, Finding, Kink, Report
from jaxact.testing.subject import Subject

Bars = tuple[float, ...]
_LOOSER = 4  # without a reference
_DTYPES = ("float32", "bfloat16", "float16", "float64")


def check_activation(
    fn: Callable[[Array], Array],
    *,
    reference: Any = None,
    dtypes: Iterable[DTypeLike] | DTypeLike | None = None,
    domain: tuple[float, float] | None = None,
    order: int = 2,
    ulp: tuple[float, float, float] | None = None,
) -> Report:
    """Holds an elementwise function to the laws: of values, derivatives, limits, dtypes and transformations.

    The laws are those of `jaxact.testing.LAWS`. Values and derivatives are judged in units of the last place: 4,
    4 and 8 are allowed for the value and two derivatives in float32 and float64, 1, 1 and 2 in bfloat16 and
    float16;
    next to roots and kinks also what a change of the input by 2 units makes. Results below the smallest normal
    number may be 0. Without a reference, the function's own float64 values, and finite differences of them,
    stand in for one; the bars are then four times as wide, and widened by what rounding may have made of either.
    Shapes, integers, purity, modes of differentiation and kinks are checked in the first dtype.

    Args:
      fn: function of one array.
      reference: what is true. A formula in ``x`` such as ``"x / (1 + exp(-x))"``, over exp, log, sqrt, tanh, erf,
        erfc, sin, cos, atan, asinh, abs, min, max and pi, or a name of the catalogue such as
        ``"gelu(approximate=False)"``: both are evaluated with proven bounds, which needs python-flint. A tuple of
        closed forms of the value and one or two derivatives. A callable of mpmath's numbers; or of arrays, which
        is evaluated in float64. None takes the formula of a function of jaxact, if python-flint is there, and else
        ``fn`` itself in float64.
      dtypes: to check in; by default float32, bfloat16 and float16, and float64 where JAX has it enabled.
      domain: open interval of the inputs with a real value; by default that of the reference, or all.
      order: of the highest derivative to judge: 0, 1 or 2.
      ulp: other bars, of three orders and for every dtype.

    Returns:
      Report with one finding for each broken law, dtype and order, at the worst input.

    Raises:
      ValueError: if an argument cannot be used.
      TypeError: if ``fn`` is not callable or ``reference`` is of no known kind.

    Examples:
      >>> check_activation(jax.numpy.tanh, reference="tanh", dtypes=["float32"]).laws >= {"vanished"}
      True
    """
    if not callable(fn):
        raise TypeError(f"fn must be callable, got {type(fn).__name__} {shown(fn)}")
    if not isinstance(order, int) or isinstance(order, bool) or not 0 <= order <= 2:
        raise InputError(f"order must be 0, 1 or 2, got {shown(order)}")
    checked = _dtypes(dtypes)
    interval = (-math.inf, math.inf) if domain is None else _domain(domain)
    subject = Subject(fn, order, interval)
    oracle = resolve(reference, fn, subject)
    if domain is None and oracle.domain:
        subject = Subject(fn, order, oracle.domain)
    bars = _bars(ulp, checked, oracle)
    found = list(_judge(subject, oracle, checked, bars))
    laws = list(LAWS)
    return Report(
        name=str(getattr(fn, "__name__", None) or shown(str(fn), 40)),
        reference=oracle.words,
        dtypes=tuple(dtype.name for dtype in checked),
        findings=tuple(
            sorted((f for f in found if isinstance(f, Finding)), key=lambda f: (laws.index(f.law), f.order))
        ),
        kinks=tuple(f for f in found if isinstance(f, Kink)),
        notes=tuple(f for f in found if isinstance(f, str)),
    )


def _judge(
    subject: Subject, oracle: Oracle, dtypes: list[np.dtype], bars: list[Bars]
) -> Iterator[Finding | Kink | str]:
    """Findings, kinks, and notes on what was left out."""
    order = subject.order
    broken = {dtype: list(structure.callable_at_all(subject, dtype)) for dtype in dtypes}
    if all(broken.values()):
        yield from broken[dtypes[0]]
        yield "nothing else was checked, for the function cannot be called as JAX calls it"
        return
    for findings in broken.values():
        yield from (dataclasses.replace(f, law="dtype") if f.law == "shape" else f for f in findings)
    usable = [(dtype, bar) for dtype, bar in zip(dtypes, bars, strict=True) if not broken[dtype]]
    first = usable[0][0]
    yield from structure.shape(subject, first)
    if not structure.keeps_shape(subject, first):
        yield "values were not checked, for there is not one for each input"
        return
    impure = list(structure.pure(subject, first))
    yield from impure
    if impure:
        yield "values were not checked, for no two calls agree"
        return
    yield from structure.scalars(subject, first)
    for dtype, _ in usable:
        yield from structure.dtypes(subject, dtype)
    yield from structure.elementwise(subject, first, usable[0][1][0])
    if order:
        yield from transforms.modes(subject, first, usable[0][1])
    if subject.order < order:
        yield f"derivatives above order {subject.order} were not checked, for they cannot be taken"
    if subject.precision is None:
        yield "kinks were not looked for, for the function does not run in float64"
        if oracle.own:
            yield "values and derivatives were not checked: that needs a reference, or float64"
    kinks = list(limits.kinks_of(subject, first))
    yield from kinks
    yield from limits.kinks(kinks, first)
    yield from limits.jumps(subject, oracle)
    for dtype, bar in usable:
        yield from transforms.jit(subject, dtype, bar, slopes=dtype == first)
        yield from values.judge(subject, oracle, dtype, bar)
        yield from limits.limits(subject, oracle, dtype, bar)
        yield from limits.swallowed(subject, dtype)


def _dtypes(dtypes: Any) -> list[np.dtype]:
    has_float64 = jnp.result_type(float) == np.float64
    if dtypes is None:
        return [jnp.dtype(name) for name in _DTYPES[: 4 if has_float64 else 3]]
    try:
        many = isinstance(dtypes, Iterable) and not isinstance(dtypes, str | type | np.dtype)
        given: list[Any] = list(dtypes) if many else [dtypes]
        found = [jnp.dtype(dtype) for dtype in given]
    except TypeError:
        found = []
    if not found or not {dtype.name for dtype in found} <= set(_DTYPES):
        raise InputError(f"dtypes must be some of {', '.join(_DTYPES)}, got {shown(dtypes)}")
    if jnp.dtype("float64") in found and not has_float64:
        raise InputError("float64 needs JAX_ENABLE_X64=1, or jax.config.update('jax_enable_x64', True)")
    return list(dict.fromkeys(found))


def _numbers(values: Any, count: int) -> tuple[float, ...] | None:
    """So many real numbers, none of them NaN; or None."""
    if not isinstance(values, tuple | list) or len(values) != count:
        return None
    if not all(isinstance(value, numbers.Real) and not math.isnan(value) for value in values):
        return None
    return tuple(map(float, values))


def _domain(domain: Any) -> tuple[float, float]:
    found = _numbers(domain, 2)
    if found is None or not found[0] < found[1]:
        raise InputError(f"domain must be two numbers, the lower one first, got {shown(domain)}")
    return found[0], found[1]


def _bars(ulp: Any, dtypes: list[np.dtype], oracle: Oracle) -> list[Bars]:
    if ulp is None:
        looser = _LOOSER if oracle.own else 1
        return [tuple(looser * bar for bar in BARS[dtype.name].ulp) for dtype in dtypes]
    found = _numbers(ulp, 3)
    if found is None or min(found) < 0:
        raise InputError(f"ulp must be three numbers that are not negative, got {shown(ulp)}")
    return [found] * len(dtypes)
