"""The tables that the laws run over, and the oracle."""

import math

import jax.numpy as jnp
import mpmath
import numpy as np

import jaxact

mpmath.mp.dps = 400  # 1 + erf(-18.7) has lost 150

_NAMES = {
    name: getattr(mpmath, name)
    for name in ("exp", "log", "tanh", "erf", "erfc", "sqrt", "pi", "sin", "cos", "atan", "asinh")
}

# Inputs on which every function is smooth; kinks and limits have tables of their own.
MAGNITUDES = [
    1e-30,
    1e-6,
    1e-3,
    0.1,
    0.3,
    0.7,
    0.95,
    1.3,
    2.1,
    2.9,
    4.3,
    6.7,
    8.8,
    10.7,
    15.3,
    18.7,
    31.0,
    50.5,
    80.2,
]
POINTS = sorted([-m for m in MAGNITUDES] + MAGNITUDES)

# Calls with other parameters than the defaults.
VARIANTS = [
    "gelu(approximate=False)",
    "leaky_relu(negative_slope=0.3)",
    "elu(alpha=0.5)",
    "celu(alpha=2.0)",
    "squareplus(b=1.0)",
    "squareplus(b=0.25)",
    "hard_shrink(threshold=0.8)",
    "soft_shrink(threshold=0.8)",
    "threshold(threshold=-0.2, default_value=3.0)",
]
SPECS = [*jaxact.ACTIVATIONS, *VARIANTS]


def row_of(spec: str) -> jaxact.Activation:
    """The table's row for a spec."""
    return jaxact.ACTIVATIONS[spec.partition("(")[0]]


def points_of(spec: str, dtype=jnp.float32) -> np.ndarray:
    """The smooth points inside the domain of a function, in a dtype."""
    low, high = row_of(spec).domain
    return np.asarray([x for x in POINTS if low < x < high]).astype(dtype)


def oracle(spec: str, order: int = 0):
    """The formula of the table as an mpmath function of a float, differentiated ``order`` times."""
    row, fn = row_of(spec), jaxact.get(spec)
    parameters = row.parameters | dict(getattr(fn, "config", ()))
    code = compile(row.formula, spec, "eval")

    def value(x):
        return mpmath.mpf(eval(code, {**_NAMES, **parameters, "x": x}))

    # A central difference with a step of 1e-60 is right to 120 digits and loses 120 of the 400.
    def derivative(x):
        return mpmath.diff(value, mpmath.mpf(float(x)), order, h=mpmath.mpf(10) ** -60)

    return derivative if order else lambda x: value(mpmath.mpf(float(x)))


def ulps(got, true, dtype) -> float:
    """Error in units of the last place of the true value.

    XLA flushes subnormals: where the true value is below the smallest normal number, so may the result be.
    """
    info = jnp.finfo(dtype)
    got = mpmath.mpf(float(got))
    if abs(true) < info.tiny:
        return 0.0 if abs(got) <= info.tiny else math.inf
    if abs(true) > info.max:
        return 0.0 if mpmath.isinf(got) else math.inf
    return float(abs(got - true) / mpmath.ldexp(1, mpmath.frexp(abs(true))[1] - 1 - info.nmant))
