"""Fits rational functions to activations by least squares on [-3, 3] and prints the module of starts.

python scripts/fit_rational.py > jaxact/activations/rational_starts.py

For given coefficients of the denominator, those of the numerator are a linear problem; so the search is over the
denominator alone (Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems
whose variables separate", 1973), from several starts, by a trust-region method that keeps coefficients above 0.
With others the published start of gelu is three times nearer, but far off as soon as its denominator falls.
"""

import math
import pprint
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.polynomial import polynomial
from scipy.optimize import least_squares
from scipy.special import erf, expit

FREE = {"A": (1, 2, 3, 4), "B": (2, 4)}
"""Powers of |x| in the denominator. Odd powers of x would give version B a kink at 0, and the targets, whose even
or odd part is of first degree, gain nothing by them."""

TARGETS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x >= 0, x, 0.01 * x),
    "gelu": lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
    "tanh": np.tanh,
    "sigmoid": expit,
}
GRID = np.linspace(-3, 3, 601)
_STARTS = [np.array(start) for start in ((0.1, 0.1, 0.1, 0.1), (1.0, 1.0, 1.0, 1.0), (0.5, 4.0, 0.5, 0.3))]
_NOISE = 1e-12  # what is left of coefficients that are 0

_MODULE = '''"""Rational functions of degrees 5 and 4 that look like known activations: where learning may start.

`scripts/fit_rational.py` prints this module: least squares on [-3, 3], beyond which the likeness ends.
"""

STARTS: dict[str, dict[str, tuple[tuple[float, ...], tuple[float, ...]]]] = {table}
"""Numerator and denominator, lowest first, by name and version.

Largest errors on [-3, 3]: {errors}.
"""
'''


class Fit(NamedTuple):
    """A fitted rational function.

    Attributes:
      numerator: coefficients, lowest first.
      denominator: coefficients from that of x on.
      error: the largest error on [-3, 3].
    """

    numerator: tuple[float, ...]
    denominator: tuple[float, ...]
    error: float


def fit(name: str, version: str) -> Fit:
    """The rational function of degrees 5 and 4 that is nearest to a target on [-3, 3] by least squares."""
    y, free = TARGETS[name](GRID), np.array(FREE[version])
    powers = np.abs(GRID)[:, None] ** free

    def project(b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        basis = polynomial.polyvander(GRID, 5) / (1 + powers @ b)[:, None]
        a, *_ = np.linalg.lstsq(basis, y, rcond=None)
        return a, basis @ a - y

    def loss(b: np.ndarray) -> float:
        return float(np.sum(project(b)[1] ** 2))

    def search(b: np.ndarray) -> np.ndarray:
        exact = {"x_scale": "jac", "ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15}
        return least_squares(lambda b: project(b)[1], b, bounds=(0, np.inf), **exact).x

    b = min((search(start[free - 1]) for start in _STARTS), key=loss)
    b = np.where(b < 1e-6, 0, b)  # the bounds are never quite reached
    a, residual = project(b)
    denominator = np.zeros(4)
    denominator[free - 1] = b
    numerator = np.where(np.abs(a) < _NOISE, 0, a)
    return Fit(tuple(numerator.tolist()), tuple(denominator.tolist()), float(np.abs(residual).max()))


def main() -> None:
    """Prints the module."""
    fits = {name: {version: fit(name, version) for version in FREE} for name in TARGETS}
    identity = ((0.0, 1.0, 0.0, 0.0, 0.0, 0.0), (0.0,) * 4)
    table = {"identity": dict.fromkeys(FREE, identity)}
    table |= {name: {key: tuple(f)[:2] for key, f in versions.items()} for name, versions in fits.items()}
    errors = [f"{name} {max(f.error for f in versions.values()):.1e}" for name, versions in fits.items()]
    text = pprint.pformat(table, width=100, sort_dicts=False).replace("'", '"')
    print(_MODULE.replace("{table}", text).replace("{errors}", ", ".join(errors)), end="")


if __name__ == "__main__":
    main()
