"""Integrals of any function against a Gaussian: Gauss-Legendre panels, broken where the function breaks."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxact.errors import InputError, shown

NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)
# Legendre coefficients of the interpolant through the nodes: the last ones tell whether a panel is fine enough.
_COEFFICIENTS = (np.arange(20)[:, None] + 0.5) * np.polynomial.legendre.legvander(NODES, 19).T * WEIGHTS
_END = 1 - 2.0**-30
_AT_ENDS = np.polynomial.legendre.legvander(np.array([-_END, _END]), 19).T
MAX_PANELS = 1 << 15
_KINK = 20  # halvings after which a panel that is still rough holds a kink


class Rule(NamedTuple):
    """Nodes and weights on the line, with the function there: one rule serves every q from q_min to q_max.

    Attributes:
      x: nodes.
      w: weights of dx.
      f: values; not finite ones included.
      df: derivatives.
      q_max: the largest q the rule reaches out for.
    """

    x: np.ndarray
    w: np.ndarray
    f: np.ndarray
    df: np.ndarray
    q_max: float


def cached(make: Callable) -> Callable:
    """`functools.lru_cache` that also takes callables that do not hash."""
    kept = functools.lru_cache(maxsize=512)(make)

    @functools.wraps(make)
    def get(*args: Any) -> Any:
        try:
            hash(args)
        except TypeError:
            return make(*args)
        return kept(*args)

    return get


@cached
def _program(fn: Callable, order: int) -> Callable:
    def scalar(x: Any) -> Any:
        y = jnp.asarray(fn(x))
        if y.shape != ():
            raise InputError(f"fn must be elementwise, but {shown(fn)} makes shape {y.shape} of a number")
        if jnp.iscomplexobj(y):
            raise InputError(f"fn must be real, but {shown(fn)} gives {y.dtype}")
        return y.astype(jnp.float64)

    derivatives = [scalar]
    for _ in range(order):
        derivatives.append(jax.grad(derivatives[-1]))
    return jax.jit(jax.vmap(lambda x: tuple(g(x) for g in derivatives)))


def values(fn: Callable, x: np.ndarray, order: int = 1) -> tuple[np.ndarray, ...]:
    """The function and its derivatives up to ``order``, in float64 whatever the flags of JAX are."""
    program, flat = _program(fn, order), np.ravel(x)
    # Padded to one of two sizes, as each size is a program to compile.
    size = 1 << 12 if flat.size <= 1 << 12 else 1 << 15
    parts = []
    with jax.enable_x64(True):
        for start in range(0, flat.size, size):
            part = flat[start : start + size]
            padded = np.pad(part, (0, size - part.size), mode="edge")
            parts.append([np.asarray(y)[: part.size] for y in program(padded)])
    return tuple(np.concatenate(p).reshape(np.shape(x)) for p in zip(*parts, strict=True))


@cached
def precision(fn: Callable) -> float:
    """Unit roundoff of the narrowest float type that ``fn`` itself computes in when it is given float64."""
    widths = [float(np.finfo(np.float64).eps)]

    def visit(jaxpr: Any) -> None:
        for equation in jaxpr.eqns:
            for variable in equation.outvars:
                dtype = getattr(variable.aval, "dtype", None)
                # Constants of a narrower type do not round the rest; only casts down do.
                if dtype is not None and equation.primitive.name == "convert_element_type":
                    source = getattr(equation.invars[0].aval, "dtype", dtype)
                    if jnp.issubdtype(dtype, jnp.floating) and jnp.issubdtype(source, jnp.floating):
                        widths.append(float(jnp.finfo(dtype).eps))
            for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda p: hasattr(p, "eqns")):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    visit(inner)

    with jax.enable_x64(True):
        visit(jax.make_jaxpr(fn)(jax.ShapeDtypeStruct((), np.float64)).jaxpr)
    return max(widths)


def _roughness(
    fn: Callable, a: np.ndarray, b: np.ndarray, scale: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Size of the last Legendre coefficients of f and f' on each panel, by the scale; and the largest values."""
    # Nodes stay away from the ends, where a kink could hide: there the interpolant must meet the function as well.
    x = (a + b)[:, None] / 2 + (b - a)[:, None] / 2 * np.concatenate([NODES, [-_END, _END]])
    both = np.stack(values(fn, x))  # [2, panels, nodes and ends]
    both[:, ~np.isfinite(both).all((0, 2))] = 0  # said by whoever integrates, not here
    series = both[..., :-2] @ _COEFFICIENTS.T
    missed = np.abs(series @ _AT_ENDS - both[..., -2:]).max(-1)
    tail = np.maximum(np.abs(series)[..., -4:].max(-1), missed / 30)  # at the ends noise is amplified
    size = np.abs(both).max(-1)
    floor = np.maximum(size if scale is None else np.maximum(size, scale), 1e-290)
    return (tail / floor).max(0), size


def _refine(fn: Callable, edges: np.ndarray) -> np.ndarray:
    """Halve panels until f and f' are polynomials on each to rounding: rows of left end, right end, halvings."""
    tolerance = _tolerance(fn)
    a, b = edges[:-1], edges[1:]
    rough, size = _roughness(fn, a, b, None)
    # A value that is small beside those nearer to 0 needs no more than their absolute accuracy, since the density
    # that weighs it is smaller too; and what is computed from numbers near 1 has rounding noise of that size.
    # Without this the noise of saturated tails and of x - tanh(x) near 0 would look rough.
    distance = np.minimum(np.abs(a), np.abs(b))
    by_distance = np.argsort(distance)
    reach, most = distance[by_distance], np.maximum.accumulate(size[:, by_distance], axis=1)
    least = 0.01 * most[:, [np.searchsorted(reach, 1.0) - 1]]

    def scale(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        place = np.searchsorted(reach, np.minimum(np.abs(a), np.abs(b)), side="right") - 1
        return np.maximum(0.03 * most[:, np.maximum(place, 0)], least)

    rough, _ = _roughness(fn, a, b, scale(a, b))
    depth, noisy, leaves = np.zeros(a.size, int), np.zeros(a.size, int), []
    count = a.size
    while a.size:
        middle = a + (b - a) / 2
        go = (rough > tolerance) & (middle > a) & (middle < b) & (noisy < 4) & (depth < 60)
        leaves.append(np.stack([a, b, depth], 1)[~go])
        a, b, m = a[go], b[go], middle[go]
        parent, depth, noisy = rough[go], depth[go] + 1, noisy[go]
        count += a.size
        if count > MAX_PANELS:
            raise InputError(
                f"{shown(fn)} oscillates too fast: more than {MAX_PANELS} panels on |x| <= {edges[-1]:.3g}"
            )
        left, right = (_roughness(fn, *p, scale(*p))[0] if a.size else a for p in ((a, m), (m, b)))
        # Rounding noise is as rough on both halves, generation after generation, and small. A kink is in one.
        noise = (parent < max(1e-5, 30 * tolerance)) & (np.minimum(left, right) > 0.1 * parent)
        noisy = np.where(noise, noisy + 1, 0)
        a, b = np.concatenate([a, m]), np.concatenate([m, b])
        rough, depth, noisy = np.concatenate([left, right]), np.tile(depth, 2), np.tile(noisy, 2)
    found = np.concatenate(leaves)
    return found[np.argsort(found[:, 0], kind="stable")]


@cached
def mesh(fn: Callable, radius: float) -> np.ndarray:
    """Edges of panels on which fn is smooth: between two edges, f and f' are polynomials of degree 19 to rounding.

    Kinks (jumps of f, f', f'' or later derivatives) are found by halving the panels that no polynomial fits, down
    to neighbouring floats; 0 is always an edge. The search starts from panels that shrink geometrically towards 0,
    so that features of any size near 0 are seen; elsewhere it sees what is wider than about a hundredth of its
    |x|.

    Args:
      fn: elementwise function.
      radius: the mesh covers -radius to radius.

    Returns:
      The edges, sorted.

    Raises:
      InputError: if the function needs more panels than `MAX_PANELS`.
    """
    arms = radius * 2.0 ** (-np.arange(80, -1, -1) / 2)
    start = np.concatenate([-arms[::-1], [0.0], arms])
    leaves = _refine(fn, start)
    deep, kinks = np.flatnonzero(leaves[:, 2] >= _KINK), []
    for group in np.split(deep, np.flatnonzero(np.diff(deep) > 1) + 1):
        if group.size:
            deepest = group[leaves[group, 2] == leaves[group, 2].max()]
            kinks.append(leaves[deepest[0], :2].mean() if deepest.size == 1 else leaves[deepest[0], 1])
    leaves = _refine(fn, np.unique(np.concatenate([start, np.array(kinks)])))
    edges = np.append(leaves[:, 0], radius)
    for side in (-1, 1):  # the small panels at 0 go as far as one panel does in their stead
        own = np.sort(side * edges[side * edges > 0])
        both = min(own.size, arms.size)
        ends = own[:both][np.logical_and.accumulate(own[:both] == arms[:both])]
        if ends.size:
            rough, _ = _roughness(fn, *np.sort(np.stack([0 * ends, side * ends]), axis=0), None)
            good = np.flatnonzero(np.logical_and.accumulate(rough <= _tolerance(fn)))
            if good.size:
                edges = edges[(side * edges <= 0) | (side * edges >= ends[good[-1]])]
    return edges


@cached
def kinks(fn: Callable, radius: float) -> np.ndarray:
    """Edges of the `mesh` across which no polynomial fits: where f, f' or a later derivative jumps."""
    edges = mesh(fn, radius)
    inner = edges[1:-1]
    h = np.minimum(np.diff(edges)[1:], np.diff(edges)[:-1]) / 4
    if not inner.size:
        return inner
    # Off the centre, so that the kink does not meet a symmetry of the nodes.
    rough, _ = _roughness(fn, inner - h, inner + 0.9 * h, None)
    return inner[rough > 30 * _tolerance(fn)]


@cached
def jumps(fn: Callable, radius: float) -> bool:
    """Whether f itself, not only a derivative, jumps somewhere."""
    at = kinks(fn, radius)
    if not at.size:
        return False
    step = 8 * np.spacing(np.maximum(np.abs(at), 1e-9 * radius))
    (below, rises), (above, leaves) = values(fn, at - step), values(fn, at + step)
    slope = np.abs(rises) + np.abs(leaves)
    return bool((np.abs(above - below) > 1e-6 * (np.abs(above) + np.abs(below)) + 20 * step * slope).any())


def _tolerance(fn: Callable) -> float:
    return 1e-12 if precision(fn) < 1e-15 else 300 * precision(fn)


def rule(fn: Callable, q_min: float, q_max: float, *, reach: float = 12.0, halvings: int = 0) -> Rule:
    """A rule that integrates f, f'^2 and their like against N(0, q) for every q from q_min to q_max.

    Args:
      fn: elementwise function.
      q_min: smallest variance.
      q_max: largest variance.
      reach: where the integral is cut, in standard deviations.
      halvings: how often every panel is halved, to see that nothing changes.

    Returns:
      The rule, with the values of the function.
    """
    radius = reach * float(np.sqrt(q_max))
    edges = mesh(fn, 2.0 ** np.ceil(np.log2(radius)))
    unit = float(np.sqrt(q_min))
    arm = np.arange(1, 9) * unit / 2  # then each panel reaches a quarter further out: fine enough for any q
    if arm[-1] < radius:
        arm = np.append(arm, arm[-1] * 1.25 ** np.arange(1, 2 + int(np.log(radius / arm[-1]) / np.log(1.25))))
    edges = np.concatenate([edges, -arm, arm, [-radius, radius]])
    return on_edges(fn, edges[np.abs(edges) <= radius], q_max, halvings=halvings)


def at(fn: Callable, q: float, *, reach: float = 12.0, width: float = 0.5) -> Rule:
    """The rule for one q, on panels of at most ``width`` standard deviations, for what oscillates with z too."""
    radius = reach * float(np.sqrt(q))
    edges = mesh(fn, 2.0 ** np.ceil(np.log2(radius)))
    even = np.linspace(-radius, radius, 2 * int(np.ceil(reach / width)) + 1)
    return on_edges(fn, np.concatenate([edges[np.abs(edges) < radius], even]), q)


def on_edges(fn: Callable, edges: np.ndarray, q_max: float, *, halvings: int = 0) -> Rule:
    """Gauss-Legendre nodes on the panels between the edges."""
    edges = np.unique(edges)
    for _ in range(halvings):
        edges = np.unique(np.concatenate([edges, (edges[1:] + edges[:-1]) / 2]))
    half = np.diff(edges) / 2
    x = ((edges[1:] + edges[:-1]) / 2)[:, None] + half[:, None] * NODES
    f, df = values(fn, x)
    return Rule(x.ravel(), (half[:, None] * WEIGHTS).ravel(), f.ravel(), df.ravel(), q_max)


def density(x: np.ndarray, w: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Weights of N(0, q) at the nodes, [..., nodes]."""
    q = np.asarray(q, float)[..., None]
    with np.errstate(under="ignore", over="ignore"):
        return w * np.exp(-x * x / (2 * q)) / np.sqrt(2 * np.pi * q)
