"""Functions and their derivatives as curves."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

ORDINALS = ("function", "first derivative", "second derivative", "third derivative", "fourth derivative")
_PRIMES = ("", "'", "''", "'''", "''''")


def plot_curves(axes: Axes, x: ArrayLike, curves: Mapping[str, ArrayLike], *, order: int = 0) -> Axes:
    """Draws functions, or derivatives of one order, over common inputs.

    Args:
      axes: Axes to draw on.
      x: inputs, [n].
      curves: values for each name, [n].
      order: order of the derivative that the values are of.
    """
    for name, y in curves.items():
        axes.plot(x, y, label=name)
    axes.axhline(0, color="0.7", lw=0.8, zorder=0)
    axes.axvline(0, color="0.7", lw=0.8, zorder=0)
    axes.set_xlabel("x")
    axes.set_ylabel("f" + "'" * order + "(x)")
    axes.set_title(ORDINALS[order])
    axes.grid(alpha=0.3)
    axes.legend()
    return axes


def curves_by_order_figure(x: ArrayLike, curves: Mapping[int, Mapping[str, ArrayLike]]) -> Figure:
    """Functions and derivatives side by side, one pane for each order.

    Args:
      x: inputs, [n].
      curves: for each order the values by name.
    """
    figure = Figure(figsize=(4.8 * len(curves), 3.8), layout="constrained")
    for axes, (order, values) in zip(
        figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True
    ):
        plot_curves(axes, x, values, order=order)
    return figure


def plot_activation(axes: Axes, x: ArrayLike, orders: Sequence[ArrayLike], *, label: str = "") -> Axes:
    """Draws a function and its derivatives into one Axes, with a legend that tells them apart.

    Args:
      axes: Axes to draw on.
      x: inputs, [n].
      orders: values of f, f', f'' and so on, as many as there are, each [n].
      label: name of the function, to stand before f, f' and f'' where several functions share the Axes.
    """
    for order, y in enumerate(orders):
        name = f"{label} f{_PRIMES[order]}".strip()
        axes.plot(x, np.asarray(y, float), ("-", "--", "-.", ":", (0, (1, 3)))[order], label=name)
    axes.axhline(0, color="0.7", lw=0.8, zorder=0)
    axes.axvline(0, color="0.7", lw=0.8, zorder=0)
    axes.set_xlim(np.min(x), np.max(x))
    axes.set_xlabel("x")
    axes.grid(alpha=0.3)
    axes.legend()
    return axes
