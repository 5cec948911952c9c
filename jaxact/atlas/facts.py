"""What a page says of an activation: as plain data, and in words."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxact.analysis.moments import MODES
from jaxact.analysis.saturation import SaturationRegions
from jaxact.atlas.portrait import Portrait
from jaxact.catalog import Activation
from jaxact.mean_field.criticality import CriticalPoint

_MOST = 6  # intervals or points that are listed


class Entry(NamedTuple):
    """One activation of the atlas.

    Attributes:
      name: as `jaxact.serialize` has it.
      row: its row of the table.
      parameters: of the function, by name.
      portrait: what the analysis says.
      theirs: regions of the function of `jax.nn`, by dtype; None if it has no such function.
    """

    name: str
    row: Activation
    parameters: Mapping[str, Any]
    portrait: Portrait
    theirs: Mapping[str, SaturationRegions] | None


def facts_of(entry: Entry) -> dict[str, Any]:
    """The facts as JSON can hold them; those of the table are for the default parameters."""
    row, found = entry.row, entry.portrait
    exact, point = found.exact, found.critical
    about = {"name": entry.name, "formula": row.formula, "parameters": dict(entry.parameters)}
    about |= {key: getattr(row, key) for key in ("range", "monotone", "kinks", "paper", "aliases")}
    flat = {"domain": found.domain, "max_slope": None, "argmax": None, "edges": found.edges}
    flat |= {"saturated": None, "roots": None, "saturated_share": found.share}
    if exact is not None:
        flat |= {"max_slope": float(exact.max_slope), "argmax": float(exact.argmax)}
        flat |= {"saturated": exact.saturated.tolist(), "roots": exact.roots.tolist()}
    gains = {"gains": {mode: found.gains.get(mode) for mode in MODES}, "growth": found.growth}
    keys = ("sigma_w", "sigma_b", "q")
    points = [] if point is None else zip(*(getattr(point, key).tolist() for key in keys), strict=True)
    critical = {"critical": [dict(zip(keys, values, strict=True)) for values in points]}
    theirs = {"jax.nn": None if entry.theirs is None else _zones(entry.theirs)}
    return about | flat | gains | critical | _zones(found.regions) | theirs | {"why": dict(found.why)}


def _zones(regions: Mapping[str, SaturationRegions]) -> dict[str, Any]:
    """Dead intervals, and those of NaN, by dtype."""
    dead, nan = {}, {}
    for dtype, of in regions.items():
        spans = of.dead.astype(np.float64).tolist()
        rows = zip(spans, of.causes, of.lost.tolist(), strict=True)
        dead[dtype] = [{"low": s[0], "high": s[1], "cause": cause, "lost": lost} for s, cause, lost in rows]
        nan[dtype] = of.nan.astype(np.float64).tolist()
    return {"dead": dead, "nan": nan}


COLUMNS = (
    *("name", "formula", "parameters", "range_low", "range_high", "monotone", "kinks", "paper"),
    *("domain_low", "domain_high", "max_slope", "argmax", "edges", "roots", "saturated_share"),
    *(f"gain_{mode}" for mode in MODES),
    *("growth", "critical_sigma_w", "critical_sigma_b", "critical_q"),
)


def columns(dtypes: Sequence[str]) -> list[str]:
    """The head of the table that `cells` fills."""
    return [*COLUMNS, *(f"{who} {dtype}" for who in ("dead", "dead jax.nn") for dtype in dtypes)]


def cells(facts: Mapping[str, Any], dtypes: Sequence[str]) -> list[Any]:
    """The facts of one activation as a row of a table; several values in a cell are divided by blanks."""

    def joined(values: Sequence[float] | None) -> str | None:
        return None if values is None else " ".join(f"{value!r}" for value in values)

    parameters = " ".join(f"{key}={value}" for key, value in facts["parameters"].items())
    row = [facts["name"], facts["formula"], parameters, *facts["range"], facts["monotone"], joined(facts["kinks"])]
    row += [facts["paper"], *facts["domain"], facts["max_slope"], facts["argmax"], joined(facts["edges"])]
    row += [joined(facts["roots"]), facts["saturated_share"], *facts["gains"].values(), facts["growth"]]
    row += [joined([point[key] for point in facts["critical"]]) for key in ("sigma_w", "sigma_b", "q")]
    for zones in (facts, facts["jax.nn"]):
        for dtype in dtypes:
            dead = None if zones is None else zones["dead"].get(dtype)
            row.append(None if dead is None else " ".join(f"{z['low']}:{z['high']}" for z in dead))
    return row


def told(entry: Entry) -> dict[str, str]:
    """The facts in words, by what they are about."""
    row, found = entry.row, entry.portrait
    why, defaults = found.why, dict(entry.parameters) == row.parameters
    note = "" if defaults else " (by default)"
    words = {"formula": row.formula}
    if entry.parameters:
        words["parameters"] = ", ".join(f"{key} = {_value(value)}" for key, value in entry.parameters.items())
    words["range"] = "{} to {}".format(*map(_number, row.range)) + note
    words["monotone"] = ("yes" if row.monotone else "no") + note
    words["kinks"] = (_points(row.kinks) or "none") + note
    if row.paper:
        words["paper"] = row.paper
    if "domain" in why and found.exact is not None:
        words["looked at"] = f"{_interval(found.domain)} alone ({why['domain']})"
    if found.exact is None:
        words["saturated"] = f"unknown: {why['regions']}"
    else:
        words["steepest"] = _steepest(found.exact)
        if found.share is not None:
            around = found.exact.around_root
            flat, roots = (_intervals(found.exact.saturated[of]) for of in (~around, around))
            words["saturated at 1 %"] = (flat or "nowhere") + (f"; about f' = 0: {roots}" if roots else "")
            words["of N(0, 1) saturated"] = f"{100 * found.share:.3g} %" + (" in all" if roots else "")
        if found.exact.roots.size:
            words["f' = 0 at"] = _points(found.exact.roots.tolist())
    for dtype, regions in found.regions.items():
        words[f"dead in {dtype}"] = dead(regions)
        if entry.theirs and dtype in entry.theirs:
            words[f"jax.nn in {dtype}"] = dead(entry.theirs[dtype])
    if not found.gains:
        words["gains"] = f"none: {why['forward']}"
    for mode in MODES if found.gains else ():
        words[f"gain, {mode}"] = _number(found.gains[mode]) if mode in found.gains else why[mode]
    if found.growth is not None:
        words["gradient per layer"] = f"variance times {found.growth:.6g} where signals keep their size"
    words["critical point"] = why["critical"] if found.critical is None else _critical(found.critical)
    return words


def dead(regions: SaturationRegions) -> str:
    """Dead intervals, by cause, and those of NaN, in words."""
    causes = np.array(regions.causes)
    parts = [(f"{_intervals(regions.dead[causes == cause])} ({cause})") for cause in dict.fromkeys(regions.causes)]
    return ", ".join(parts + ([f"NaN: {_intervals(regions.nan)}"] if regions.nan.size else [])) or "nowhere"


def _value(value: Any) -> str:
    return str(value) if isinstance(value, bool) else _number(value)


def _number(value: float) -> str:
    return f"{float(value):.6g}"


def _points(values: Sequence[float]) -> str:
    more = f", ... ({len(values)} in all)" if len(values) > _MOST else ""
    near = sorted(sorted(values, key=abs)[:_MOST])
    return ", ".join(map(_number, near)) + more


def _interval(ends: Sequence[float]) -> str:
    low, high = ends
    if np.isinf(low) and np.isinf(high):
        return "everywhere"
    if np.isinf(low):
        return f"x < {_number(high)}"
    return f"x > {_number(low)}" if np.isinf(high) else f"{_number(low)} to {_number(high)}"


def _intervals(spans: np.ndarray) -> str:
    spans = np.asarray(spans, float)
    if len(spans) == 2 and (spans[0] == -spans[1, ::-1]).all() and np.isinf(spans[1, 1]):
        return f"|x| > {_number(spans[1, 0])}"
    more = f", ... ({len(spans)} in all)" if len(spans) > _MOST else ""
    near = sorted(sorted(spans.tolist(), key=lambda s: min(map(abs, s)))[:_MOST])
    return ", ".join(map(_interval, near)) + more


def _steepest(exact: SaturationRegions) -> str:
    if exact.max_slope == 0:
        return "flat everywhere"
    if np.isinf(exact.max_slope):
        return "unbounded: the slope has no largest value"
    where = float(exact.argmax)
    where = 0.0 if abs(where) < 1e-30 else where  # the number beside a kink
    return f"|f'| = {_number(float(exact.max_slope))} " + (
        f"at {_number(where)}" if np.isfinite(where) else f"in the limit x to {where:g}"
    )


def _critical(point: CriticalPoint) -> str:
    rows = zip(point.sigma_w, point.sigma_b, point.q, strict=True)
    return "; ".join(f"sigma_w {w:.8g}, sigma_b {b:.8g}, q {q:.8g}" for w, b, q in rows)


def summary(entry: Entry, dtypes: Sequence[str]) -> dict[str, str]:
    """What a table of all functions says of one, in few letters."""
    row, found = entry.row, entry.portrait
    last = (
        None if found.critical is None else (float(found.critical.sigma_w[-1]), float(found.critical.sigma_b[-1]))
    )
    words = {
        "range": "{} to {}".format(*(f"{end:.4g}" for end in row.range)),
        "1 % edges": ", ".join(f"{end:.5g}" for end in found.edges[:4]),
        "max |f'|": "" if found.exact is None else f"{float(found.exact.max_slope):.4g}",
    }
    words |= {f"gain {mode}": f"{found.gains[mode]:.5g}" if mode in found.gains else "" for mode in MODES[:2]}
    words["critical sigma_w, sigma_b"] = "" if last is None else f"{last[0]:.5g}, {last[1]:.5g}"
    for dtype in dict.fromkeys(dtypes):
        for who, regions in (("", found.regions), ("jax.nn ", entry.theirs or {})):
            words[f"{who}dead in {dtype}"] = dead(regions[dtype]) if dtype in regions else ""
    return words
