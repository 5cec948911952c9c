"""How much of a Gaussian input falls where functions are flat: in closed form, so without any sample."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxact.analysis.saturation import SaturationRegions, saturation_regions
from jaxact.analysis.saturation_map import functions, named
from jaxact.errors import InputError, shown

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


class SaturationShares(NamedTuple):
    r"""Shares of Gaussian inputs, as NumPy arrays of float64, [dtypes, functions, *scales].

    Attributes:
      saturated: where \|f'\| < threshold max \|f'\|.
      dead: where the derivative, as computed in the dtype, is exactly 0.
      lost: that part of it where the true derivative is not 0: what rounding and underflow take.
      regions: the intervals, for each dtype and each function.
    """

    saturated: np.ndarray
    dead: np.ndarray
    lost: np.ndarray
    regions: tuple[tuple[SaturationRegions, ...], ...]


def normal_share(intervals: ArrayLike, mean: ArrayLike = 0.0, std: ArrayLike = 1.0) -> np.ndarray:
    r"""The probability of intervals under a normal distribution, accurate to its last digits in the tails, too.

    .. math::
      P(a < z < b) = \Phi\Big(\frac{b - \mu}{\sigma}\Big) - \Phi\Big(\frac{a - \mu}{\sigma}\Big),
      \qquad z \sim N(\mu, \sigma^2)

    Far out the difference is taken of the complements, and of close ends it is integrated, so that it never
    cancels.

    Args:
      intervals: rows (low, high), [n, 2]; ends may be infinite.
      mean: of the distribution, a number or an array.
      std: its standard deviation, likewise, above 0; of a shape that broadcasts with that of ``mean``.

    Returns:
      NumPy array of float64, [*scales, n].

    Raises:
      InputError: if a shape does not fit, or ``std`` is not above 0.

    Examples:
      >>> normal_share([(-1.0, 1.0), (10.0, jnp.inf)])
      array([6.82689492e-01, 7.61985302e-24])
    """
    spans = np.asarray(intervals, np.float64)
    if spans.ndim != 2 or spans.shape[1] != 2 or not (spans[:, 0] <= spans[:, 1]).all():
        raise InputError(f"intervals must be rows (low, high) with low <= high, got {shown(intervals)}")
    mean, std = _scales(mean, std)
    a, b = np.moveaxis((spans - mean[..., None, None]) / std[..., None, None], -1, 0)
    # By symmetry to the right of 0, where the complement erfc has all its digits.
    left = -a > b
    a, b = np.where(left, -b, a), np.where(left, -a, b)
    root = math.sqrt(0.5)
    far = np.where(a >= 0, (_erfc(a * root) - _erfc(b * root)) / 2, 1 - (_erfc(-a * root) + _erfc(b * root)) / 2)
    close = b < a + 0.5
    middle = np.where(close, (np.where(close, a, 0) + np.where(close, b, 0)) / 2, 0)
    # Not from a and b, which are rounded: of close ends their difference would have few digits.
    width = np.where(np.isfinite(spans).all(1), np.diff(np.where(np.isfinite(spans), spans, 0), axis=1)[:, 0], 0)
    half = np.where(close, width / 2 / std[..., None], 0)
    z = middle[..., None] + half[..., None] * _NODES
    near = half * (np.exp(-z * z / 2) @ _WEIGHTS) / math.sqrt(2 * math.pi)
    return np.where(close, near, far)


def saturation_shares(
    fns: Sequence[Callable[[Array], Array]],
    *,
    mean: ArrayLike = 0.0,
    std: ArrayLike = 1.0,
    dtypes: Sequence[DTypeLike] = (jnp.float32, jnp.bfloat16, jnp.float16),
    threshold: float = 1e-2,
    domain: tuple[float, float] | None = None,
    regions: Sequence[Sequence[SaturationRegions]] | None = None,
) -> SaturationShares:
    r"""The share of Gaussian pre-activations that falls where functions are flat, by dtype.

    .. math::
      P(|f'(z)| < \varepsilon \max |f'|), \qquad P(\mathrm{fl}(f'(z)) = 0), \qquad z \sim N(\mu, \sigma^2)

    It is the normal distribution function at the ends of the intervals of `saturation_regions`: exact for every
    mean and scale, in tails of 1e-300 as well, and nothing is sampled.

    Args:
      fns: elementwise functions, as for `saturation_regions`.
      mean: of the inputs, a number or an array.
      std: their standard deviation, likewise, above 0; of a shape that broadcasts with that of ``mean``.
      dtypes: formats to compute the derivatives in.
      threshold: as for `saturation_regions`.
      domain: as for `saturation_regions`; what lies outside counts in no share.
      regions: the intervals, where they are known, as this function returns them: for each dtype and function.

    Returns:
      `SaturationShares`, of arrays [dtypes, functions, \*scales].

    Raises:
      InputError: if an argument cannot be used, or intervals cannot be found.

    Examples:
      >>> shares = saturation_shares([jax.nn.tanh, jax.nn.relu], std=2.0, dtypes=[jnp.bfloat16])
      >>> shares.dead.round(3)  # of a tanh in bfloat16, one gradient in twelve is gone
      array([[0.083, 0.5  ]])
      >>> shares.lost.round(3)
      array([[0.083, 0.   ]])
    """
    fns = functions(fns)
    mean, std = _scales(mean, std)
    if regions is None:
        finders = [
            functools.partial(saturation_regions, threshold=threshold, dtype=dtype, domain=domain)
            for dtype in dtypes
        ]
        regions = [[named(i, fn, find) for i, fn in enumerate(fns)] for find in finders]
    if not regions or any(len(row) != len(fns) for row in regions):
        raise InputError(f"regions must hold {len(fns)} SaturationRegions, one a function, for each dtype")

    def shares(spans: Callable[[SaturationRegions], np.ndarray]) -> np.ndarray:
        return np.array([[normal_share(spans(r), mean, std).sum(-1) for r in row] for row in regions])

    return SaturationShares(
        saturated=shares(lambda r: r.saturated),
        dead=shares(lambda r: r.dead),
        lost=shares(lambda r: r.dead[r.lost > 0]),
        regions=tuple(tuple(row) for row in regions),
    )


def _scales(mean: ArrayLike, std: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    try:
        mean, std = np.broadcast_arrays(np.asarray(mean, np.float64), np.asarray(std, np.float64))
    except (TypeError, ValueError):
        raise InputError(
            f"mean and std must be numbers or arrays that broadcast, got {shown(mean)} and {shown(std)}"
        ) from None
    if not (np.isfinite(mean) & np.isfinite(std) & (std > 0)).all():
        raise InputError(f"mean must be finite and std above 0, got {shown(mean)} and {shown(std)}")
    return mean, std
