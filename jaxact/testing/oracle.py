"""What is due: any kind of reference, brought to one form."""

import ast
import contextlib
import functools
import math
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from jaxact.catalog import Configured, find, get, serialize
from jaxact.errors import InputError, shown
from jaxact.testing.differences import differentiate
from jaxact.testing.subject import Subject

ORDERS = 3
_NODES = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.Call, ast.Name, ast.Constant, ast.IfExp, ast.Compare)
_NODES += (ast.BoolOp, ast.operator, ast.unaryop, ast.cmpop, ast.boolop, ast.expr_context)


class Due(NamedTuple):
    """True results.

    Attributes:
      y: value, first and second derivative; NaN where nothing is known, [3, n].
      doubt: how far off they may be, [3, n].
    """

    y: np.ndarray
    doubt: np.ndarray


class Oracle(NamedTuple):
    """A reference.

    Attributes:
      at: true results at float64 inputs, for a function that computes in the given dtype.
      words: what it is, for people.
      domain: the inputs it is known to have values for, if it says so.
      own: whether it is the function itself, in float64, so that its jumps tell nothing.
    """

    at: Callable[[np.ndarray, np.dtype], Due]
    words: str
    domain: tuple[float, float] | None = None
    own: bool = False


def resolve(reference: Any, fn: Callable, subject: Subject) -> Oracle:
    """The oracle that ``reference`` means; see `jaxact.testing.check_activation`.

    Args:
      reference: name, formula, callable, tuple of callables, or None.
      fn: the function under test.
      subject: the same, as programs.

    Raises:
      InputError: if a formula or a name cannot be read.
      TypeError: if it is none of these.
    """
    if reference is None:
        with contextlib.suppress(InputError, ImportError):  # no formula, or no python-flint
            return _named(serialize(fn))
        return Oracle(_by_differences(subject, subject), "its own float64 values and finite differences", own=True)
    if isinstance(reference, str):
        return _formula(reference, {}, reference) if _is_formula(reference) else _named(reference)
    if isinstance(reference, tuple) and 2 <= len(reference) <= ORDERS and all(map(callable, reference)):
        return Oracle(_closed(reference), "closed forms")
    if callable(reference):
        name = getattr(reference, "__name__", "callable")
        if _takes_mpmath(reference, subject.inside):
            return Oracle(functools.partial(_by_mpmath, reference), f"{name}, by mpmath")
        with contextlib.suppress(InputError, ImportError):
            return _named(serialize(reference))
        other = Subject(reference, 1, subject.domain)
        if other.precision is None:
            other = _Plain(reference, subject.domain)
        return Oracle(_by_differences(other, subject), f"{name} in float64 and finite differences")
    raise TypeError(
        "reference must be a name, a formula in x, a callable, a tuple of 2 or 3 callables or None, "
        f"got {type(reference).__name__} {shown(reference)}"
    )


def _is_formula(text: str) -> bool:
    """Whether it is an expression in x; refuses everything but arithmetic and the known functions."""
    try:
        nodes = list(ast.walk(ast.parse(text.strip(), mode="eval")))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False  # a name of the catalogue, or nothing
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    if "x" not in names:
        return False
    calls = {"abs", "min", "max", *_exact().FUNCTIONS}
    called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    strange = [type(node).__name__ for node in nodes if not isinstance(node, _NODES)]
    unknown = [*sorted(called - calls), *sorted(names - called - {"x", "pi"}), *strange]
    if unknown:
        known = ", ".join(sorted(calls))
        raise InputError(f"a reference in x may use pi, {known}; not {unknown[0]} in {shown(text)}")
    return True


def _exact() -> ModuleType:
    """The module of proven values, which alone needs python-flint."""
    try:
        from jaxact.testing import reference
    except ImportError:
        raise ImportError(
            "a reference by name or formula needs python-flint: pip install 'jaxact[testing]'"
        ) from None
    return reference


def _named(spec: str) -> Oracle:
    """The formula of a function of the catalogue."""
    fn = get(spec)
    row = find(fn)
    assert row is not None  # a spec gives nothing else
    config = dict(fn.config) if isinstance(fn, Configured) else {}
    return _formula(row.formula, row.parameters | config, f"the formula of {spec}", row.domain)


def _formula(
    formula: str, parameters: Mapping[str, Any], words: str, domain: tuple[float, float] | None = None
) -> Oracle:
    evaluate = _exact().evaluate

    def at(xs: np.ndarray, dtype: np.dtype) -> Due:
        y = np.full((ORDERS, xs.size), math.nan)
        smallest = float(ml_dtypes.finfo(dtype).smallest_normal)
        computed = np.float64 if dtype == np.float64 else np.float32  # what a function rounds its parameters to
        given = {k: v if isinstance(v, bool) else float(computed(v)) for k, v in parameters.items()}
        for i, x in enumerate(xs.tolist()):
            with contextlib.suppress(ArithmeticError):  # outside the domain, or at a kink
                y[:, i] = [float(a.mid()) for a in evaluate(formula.strip(), given, x, smallest)[:ORDERS]]
        return Due(y, np.zeros_like(y))

    return Oracle(at, words, domain)


def _on_array(f: Callable) -> Callable[[np.ndarray], np.ndarray]:
    """A function of arrays, of JAX or NumPy, or of numbers, of math or mpmath, in float64."""

    def evaluate(xs: np.ndarray) -> np.ndarray:
        with jax.enable_x64(True), np.errstate(all="ignore"):
            for convert in (jnp.asarray, lambda x: x):
                with contextlib.suppress(Exception):
                    y = np.asarray(f(convert(xs)), np.float64)
                    if y.shape == xs.shape:
                        return y
            return np.array([_number(f, x) for x in xs.tolist()])

    return evaluate


def _number(f: Callable, x: float) -> float:
    try:
        return float(f(x))
    except (ArithmeticError, ValueError):  # outside the domain, as math and mpmath say it
        return math.nan


def _closed(forms: tuple[Callable, ...]) -> Callable[[np.ndarray, np.dtype], Due]:
    functions = [_on_array(f) for f in forms]

    def at(xs: np.ndarray, dtype: np.dtype) -> Due:
        y = np.full((ORDERS, xs.size), math.nan)
        for k, f in enumerate(functions):
            y[k] = f(xs)
        return Due(y, np.abs(y) * 2.0**-50)

    return at


class _Plain(Subject):
    """A reference that JAX cannot trace: values only."""

    def __init__(self, fn: Callable, domain: tuple[float, float]):
        super().__init__(fn, 0, domain)
        self.precision = 2.0**-52

    def __call__(self, xs: np.ndarray) -> np.ndarray:
        return _on_array(self.fn)(xs)[None]


def _by_differences(source: Subject, subject: Subject) -> Callable[[np.ndarray, np.dtype], Due]:
    """Values in float64; derivatives from differences of the values, second ones from differences of jax.grad."""

    def at(xs: np.ndarray, dtype: np.dtype) -> Due:
        y, doubt = np.full((2, ORDERS, xs.size), math.nan)
        if source.precision is None:
            return Due(y, doubt)
        y[0] = source(xs)[0]
        with np.errstate(over="ignore"):
            doubt[0] = 8 * source.rounding(xs)[0]
        breaks = np.array([found.x for found in (*source.breaks, *subject.breaks)])
        for k in range(1, min(ORDERS, source.order + 2)):
            y[k], doubt[k] = differentiate(
                lambda x, k=k: source(x)[k - 1],
                xs,
                slope=(lambda x, k=k: source(x)[k]) if k <= source.order else None,
                rounding=lambda x, k=k: source.rounding(x)[k - 1],
                precision=source.precision,
                breaks=breaks,
                domain=source.domain,
            )
        return Due(y, doubt)

    return at


def _takes_mpmath(f: Callable, x: float) -> bool:
    try:
        import mpmath

        return isinstance(f(mpmath.mpf(x)), mpmath.mpf)
    except Exception:
        return False


def _by_mpmath(f: Callable, xs: np.ndarray, dtype: np.dtype) -> Due:
    """Central differences in so many digits that neither rounding nor the step shows."""
    import mpmath

    y = np.full((ORDERS, xs.size), math.nan)
    for i, x in enumerate(xs.tolist()):
        digits = 40 + (max(0, -math.floor(math.log10(abs(x)))) if x else 0)
        with mpmath.workdps(2 * digits + 200), contextlib.suppress(ArithmeticError, ValueError, TypeError):
            h = mpmath.mpf(10) ** -digits
            left, middle, right = (mpmath.mpf(f(mpmath.mpf(x) + step)) for step in (-h, 0, h))
            found = (middle, (right - left) / (2 * h), (right - 2 * middle + left) / h**2)
            y[:, i] = [float(v) for v in found]
    return Due(y, np.zeros_like(y))
