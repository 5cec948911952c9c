"""Activations of other frameworks as functions of NumPy arrays, differentiated by their own means.

Which function of a framework is which of jaxact's is read from `jaxact.catalog.frameworks`, the other way round.
Nothing of theirs is imported before it is asked for.
"""

import contextlib
import functools
import importlib
import importlib.util
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from jaxact.analysis.derivatives import derivative
from jaxact.catalog import find, get, serialize
from jaxact.catalog.frameworks import FRAMEWORKS
from jaxact.catalog.specs import elsewhere
from jaxact.errors import InputError, shown

Peer = Callable[[np.ndarray], list[np.ndarray]]

_TABLES = {"jax.nn": ("jax",), "torch": ("torch",), "keras": ("keras", "keras.ops", "keras.layers"), "tf": ("tf",)}
_NEEDS = {"jax.nn": ("jax",), "torch": ("torch",), "keras": ("keras", "tensorflow"), "tf": ("tensorflow",)}


def available() -> tuple[str, ...]:
    """Those of "jax.nn", "torch", "keras" and "tf" that are installed."""
    return tuple(name for name, needs in _NEEDS.items() if all(importlib.util.find_spec(need) for need in needs))


def peer(framework: str, name: str) -> Peer | None:
    """A framework's own function of what jaxact means by a name.

    Args:
      framework: one of `available`; "keras" is Keras 3 on TensorFlow.
      name: spec, as for `jaxact.get`; of several functions that are the same, one named as in "keras.ops:elu" is
        the one that is taken.

    Returns:
      Function from inputs of a floating dtype to the value and the first and second derivative there, in that
      dtype, as the framework computes them on a CPU; a derivative that it does not have is NaN. None if the
      framework has no such function.

    Raises:
      ValueError: if the framework is not installed, or the name unknown.
    """
    theirs = function(framework, name)
    return theirs and functools.partial(_DIFFERENTIATE[framework], theirs)


def function(framework: str, name: str) -> Any:
    """What `peer` takes from a framework, as it is there: a function or a class of layers; None if there is none.

    Args:
      framework: one of `available`.
      name: spec, as for `jaxact.get`.

    Raises:
      ValueError: if the framework is not installed, or the name unknown.
    """
    if framework not in available():
        raise InputError(f"{shown(framework)} is none of the installed peers, {', '.join(available())}")
    fn = get(name)
    row, spec = find(fn), serialize(fn)
    assert row is not None  # get() of a name gives a function of the table
    found = [(foreign, means) for foreign, means in elsewhere()[row.name].items() if _holds(framework, foreign)]
    found.sort(key=lambda pair: pair[0] != name)
    theirs = next((_attribute(foreign) for foreign, means in found if means == spec), None)
    if theirs is None:
        parameters = row.parameters | dict(getattr(fn, "config", ()))
        theirs = next((f for foreign, _ in found if (f := _with(_attribute(foreign), parameters))), None)
    return theirs


def _holds(framework: str, foreign: str) -> bool:
    return foreign.partition(":")[0] in _TABLES[framework]


def _attribute(foreign: str) -> Any:
    """What a framework has under a name like "torch:gelu": a function, or a class of layers without parameters."""
    framework, _, name = foreign.partition(":")
    for module in FRAMEWORKS[framework].modules:
        if hasattr(_module(module), name):
            return getattr(_module(module), name)
    raise AttributeError(f"{framework} has no {name} in {', '.join(FRAMEWORKS[framework].modules)}")


def _with(theirs: Any, parameters: dict[str, Any]) -> Callable | None:
    """A function with parameters set, if it has them under the same names, and switches where we have switches."""
    with contextlib.suppress(ValueError):  # some builtins have no signature
        taken = {} if isinstance(theirs, type) else inspect.signature(theirs).parameters
        same = [
            key in taken and isinstance(taken[key].default, bool) == isinstance(value, bool)
            for key, value in parameters.items()
        ]
        return functools.partial(theirs, **parameters) if all(same) else None
    return None


@functools.cache
def _module(path: str) -> Any:
    """A module of a framework, imported in silence."""
    root, *rest = path.split(".")
    if root == "keras":
        os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    # Torch brings Triton for GPUs, and loads it at odd times; its LLVM and that of TensorFlow abort the process.
    sys.modules.setdefault("triton", None)  # pyright: ignore[reportArgumentType]
    with _silence():
        module = importlib.import_module("tensorflow" if root == "tf" else root)
        if root == "keras" and (backend := module.backend.backend()) != "tensorflow":
            raise InputError(f"Keras runs on {backend}; set KERAS_BACKEND=tensorflow before it is imported")
        if root in ("keras", "tf"):
            importlib.import_module("tensorflow").constant(0.0)  # it greets once more
        for name in rest:
            if not hasattr(module, name):
                importlib.import_module(".".join([root, *rest]))
            module = getattr(module, name)
    return module


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Nothing reaches stderr, not even from C++, which TensorFlow uses before it reads its settings."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _by_jax(theirs: Callable, x: np.ndarray) -> list[np.ndarray]:
    with jax.enable_x64(x.dtype == np.float64):
        fns = (theirs, derivative(theirs), derivative(theirs, 2))
        return [np.asarray(jax.jit(fn)(jnp.asarray(x))) for fn in fns]


def _by_torch(theirs: Callable, x: np.ndarray) -> list[np.ndarray]:
    torch = _module("torch")
    narrow = x.dtype == ml_dtypes.bfloat16  # which torch does not exchange with NumPy
    t = torch.tensor(x.view(np.uint16) if narrow else x)
    t = (t.view(torch.bfloat16) if narrow else t).requires_grad_()
    fn = theirs().eval().to(t.dtype) if isinstance(theirs, type) else theirs

    def slope(y: Any) -> Any:
        if not y.requires_grad:
            return torch.zeros_like(y)  # y is constant
        try:
            return torch.autograd.grad(y, t, torch.ones_like(y), create_graph=True, materialize_grads=True)[0]
        except RuntimeError as error:
            if "not implemented" not in str(error):
                raise
            return torch.full_like(y, torch.nan)

    y = fn(t)
    dy = slope(y)
    results = [a.detach().clone(memory_format=torch.contiguous_format) for a in (y, dy, slope(dy))]
    return [a.view(torch.uint16).numpy().view(x.dtype) if narrow else a.numpy() for a in results]


def _by_tape(theirs: Callable, x: np.ndarray) -> list[np.ndarray]:
    tf = _module("tf")
    with _silence():
        t = tf.constant(x)
        fn = theirs(dtype=x.dtype.name) if isinstance(theirs, type) else theirs
        with tf.GradientTape() as outer:
            outer.watch(t)
            with tf.GradientTape() as inner:
                inner.watch(t)
                y = fn(t)
            slope = inner.gradient(y, t, unconnected_gradients="zero")
        try:
            curvature = outer.gradient(slope, t, unconnected_gradients="zero")
        except LookupError:  # TensorFlow has registered no gradient for that of softsign
            curvature = tf.fill(t.shape, tf.constant(np.nan, t.dtype))
        return [a.numpy() for a in (y, slope, curvature)]


_DIFFERENTIATE = {"jax.nn": _by_jax, "torch": _by_torch, "keras": _by_tape, "tf": _by_tape}
