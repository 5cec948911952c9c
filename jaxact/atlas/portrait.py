"""All that the analysis says of one function, and why it does not say the rest."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxact.analysis.moments import MODES, gain, moments
from jaxact.analysis.saturation import SaturationRegions, saturation_regions
from jaxact.analysis.saturation_shares import normal_share
from jaxact.errors import InputError
from jaxact.mean_field.criticality import CriticalPoint, critical_point

_NEAR = 12.0  # what is looked at of a function whose flat intervals have no end
_FAR = 120.0  # and of one whose slope has none: float32 underflows at 104
WHOLE = (-np.inf, np.inf)


class Portrait(NamedTuple):
    """What a function does, for one page about it.

    Attributes:
      domain: the inputs that were looked at for flat regions.
      exact: the flat regions in float64; None if there are none to find, as all that follows. If the slope is
        unbounded, no interval is saturated and the largest slope is infinite.
      regions: the flat regions by name of the dtype; empty if there are none to find.
      share: the share of standard normal inputs that are saturated.
      gains: those that exist, by mode, as of `jaxact.gain`.
      growth: E f'^2 / E f^2 at q = 1, by which gradients change per layer where signals keep their size.
      critical: the critical points of mean-field theory.
      why: for each of "domain", "regions", "forward", "backward", "std" and "critical" that is missing, or is
        less than asked for: why.
    """

    domain: tuple[float, float]
    exact: SaturationRegions | None
    regions: Mapping[str, SaturationRegions]
    share: float | None
    gains: Mapping[str, float]
    growth: float | None
    critical: CriticalPoint | None
    why: Mapping[str, str]

    @property
    def edges(self) -> list[float]:
        """Where saturation begins and ends: finite ends of saturated intervals that are not about a root."""
        if self.exact is None:
            return []
        ends = self.exact.saturated[~self.exact.around_root].ravel()
        return ends[np.isfinite(ends) & ~np.isin(ends, self.domain)].tolist()


def portrait(
    fn: Callable[[Any], Array],
    *,
    dtypes: Sequence[str] = ("float32", "bfloat16", "float16"),
    threshold: float = 1e-2,
    domain: tuple[float, float] = WHOLE,
) -> Portrait:
    """Looks at one function from all sides; what does not exist is left out, with the reason.

    Where flat regions cannot be found on the whole domain they are looked for on a part of it: between -12 and 12
    for functions that oscillate all the way, and -120 and 120 for those of unbounded slope.

    Args:
      fn: elementwise function.
      dtypes: names of the formats to look for dead intervals in.
      threshold: what counts as saturated, as a share of the largest slope.
      domain: where the function is real.

    Returns:
      `Portrait`.

    Examples:
      >>> import jax
      >>> p = portrait(jax.nn.relu, dtypes=["float32"])
      >>> p.exact.saturated, round(p.gains["forward"], 6), p.share
      (array([[-inf,   0.]]), 1.414214, 0.5)
      >>> p.why["critical"][:24]
      'relu is scale-invariant:'
    """
    why: dict[str, str] = {}

    def tried(key: str, compute: Callable[[], Any]) -> Any:
        try:
            return compute()
        except InputError as error:
            why[key] = _reason(error)

    def look(dtype: Any, reach: float = np.inf) -> SaturationRegions:
        part = (max(domain[0], -reach), min(domain[1], reach))
        return saturation_regions(fn, threshold=threshold, dtype=jnp.dtype(dtype), domain=part)

    reach, unbounded = np.inf, False
    exact = tried("domain", lambda: look("float64"))
    if exact is None:
        reach = _NEAR
        exact = tried("regions", lambda: look("float64", reach))
        unbounded = exact is not None and look("float64", 2 * reach).max_slope > 1.25 * exact.max_slope
        if unbounded:
            reach = _FAR
            exact = look("float64", reach)
    found = {} if exact is None else {dtype: look(dtype, reach) for dtype in dtypes}
    share = None if exact is None or unbounded else float(normal_share(exact.saturated).sum())
    if exact is not None and unbounded:
        exact, found = _steep(exact), {dtype: _steep(regions) for dtype, regions in found.items()}
    power = tried("forward", lambda: moments(fn))
    gains: dict[str, float] = {}
    if power is not None:
        for mode in MODES:
            if (value := tried(mode, lambda mode=mode: gain(fn, mode))) is not None:
                gains[mode] = value
    return Portrait(
        domain=(max(domain[0], -reach), min(domain[1], reach)),
        exact=exact,
        regions=found,
        share=share,
        gains=gains,
        growth=float(power.slope / power.second) if power is not None and "forward" in gains else None,
        critical=tried("critical", lambda: critical_point(fn)),
        why=why,
    )


def dead_regions(
    fn: Callable[[Any], Array], like: Portrait, *, threshold: float = 1e-2
) -> dict[str, SaturationRegions]:
    """The flat regions of another implementation of a function, by dtype, where those of a portrait are.

    Args:
      fn: elementwise function.
      like: portrait of the function that it should equal.
      threshold: as for `portrait`.

    Returns:
      Regions for each dtype of the portrait in which they can be found.
    """
    found = {}
    for dtype in like.regions:
        with contextlib.suppress(InputError):  # it may not be finite where ours is
            regions = saturation_regions(fn, threshold=threshold, dtype=jnp.dtype(dtype), domain=like.domain)
            unbounded = like.exact is not None and np.isinf(like.exact.max_slope)
            found[dtype] = _steep(regions) if unbounded else regions
    return found


def _steep(regions: SaturationRegions) -> SaturationRegions:
    """Regions of a function of unbounded slope: what is small beside the largest slope says nothing."""
    return regions._replace(
        saturated=regions.saturated[:0],
        around_root=regions.around_root[:0],
        max_slope=np.array(np.inf),
        argmax=np.array(np.nan),
    )


def _reason(error: InputError) -> str:
    """An error without the advice for callers, which a page has no use for."""
    return str(error).split("; ")[0].replace("fn must", "f must", 1)
