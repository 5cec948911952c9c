"""Prints the tables of `jaxact/activations/_normal.py`: the tail of the normal distribution in polynomials.

Needs mpmath.
"""

import mpmath

SCALE = 4  # a = SCALE (1 + y) / (1 - y)
NODES = 120
TERMS = 26


def scaled_tail(y: mpmath.mpf) -> mpmath.mpf:
    """``(1 + a) Q(a) exp(a^2 / 2)``, with Q the upper tail of the standard normal distribution."""
    a = SCALE * (1 + y) / (1 - y)
    return (1 + a) * mpmath.erfc(a / mpmath.sqrt(2)) / 2 * mpmath.exp(a * a / 2)


def main() -> None:
    """Interpolates at Chebyshev's nodes and prints the coefficients."""
    with mpmath.workdps(60):
        angles = [mpmath.pi * (j + mpmath.mpf(1) / 2) / NODES for j in range(NODES)]
        values = [scaled_tail(mpmath.cos(angle)) for angle in angles]
        found = []
        for k in range(TERMS):
            total = sum(value * mpmath.cos(k * angle) for value, angle in zip(values, angles, strict=True))
            found.append(total * (2 if k else 1) / NODES)
            print(f"    {float(found[-1])!r},")
        first = sum((-1) ** (k // 2) * c for k, c in enumerate(found) if k % 2 == 0)  # of the powers of y
        print("first power:", float(first), float(first - mpmath.mpf(float(first))))


if __name__ == "__main__":
    main()
