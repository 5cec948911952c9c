"""Prints the table of `jaxact/activations/_roots.py`: roots of derivatives, with the Taylor series around them.

Every coefficient comes with a proven error bound (Arb); needs the extra `testing`.
"""

import flint
from flint import arb, arb_series

import jaxact
from jaxact.testing.reference import FUNCTIONS, Series

TERMS = 42
BITS = 400

# Function, order of the derivative, about where its root is, and within which radius of it the series is taken.
ROOTS = [
    ("mish", 1, -1.19, 0.6),
    ("smish", 1, -1.39, 1.1),
    ("logish", 1, -1.37, 1.1),
    ("serf", 1, -1.19, 1.1),
    ("telu", 1, -1.08, 0.8),
    ("phish", 1, -1.09, 0.5),
    ("phish", 2, 1.3, 0.4),
    ("lisht", 2, 1.2, 0.4),
]


def coefficients(formula: str, order: int, x: arb) -> list[arb]:
    """Taylor coefficients of a derivative around x."""
    flint.ctx.cap = TERMS + order + 1
    names = {**FUNCTIONS, "pi": arb.pi(), "x": Series(arb_series([x, 1]))}
    series = Series.of(eval(formula, names)).s
    for _ in range(order):
        series = series.derivative()
    return [series[k] for k in range(TERMS + 1)]


def main() -> None:
    """Finds the roots by Newton's method and prints them."""
    with flint.ctx.workprec(BITS):
        for name, order, start, radius in ROOTS:
            formula, x = jaxact.ACTIVATIONS[name].formula, arb(start)
            for _ in range(12):
                value, slope, *_ = coefficients(formula, order, x)
                x = (x - value / slope).mid()
            high = float(x)
            series = [float(c.mid()) for c in coefficients(formula, order, x)[1:]]
            print(f'("{name}", {order}): ({high!r}, {float((x - arb(high)).mid())!r}, {radius}, {series!r}),')


if __name__ == "__main__":
    main()
