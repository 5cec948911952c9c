"""What holds for every activation of the table, whatever the dtype, the shape and the inputs."""

import functools

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jaxact
from jaxact.testing.reference import evaluate
from jaxact.testing.values import last_place

pytestmark = pytest.mark.usefixtures("compiled_fast")

COUNT = 16  # inputs at a time: one shape, so that each function is compiled once a dtype

ROWS = st.sampled_from(list(jaxact.ACTIVATIONS.values()))
MONOTONE = st.sampled_from([row for row in jaxact.ACTIVATIONS.values() if row.monotone])
DTYPES = st.sampled_from([np.dtype(jnp.float32), np.dtype(jnp.bfloat16), np.dtype(jnp.float16)])

# Where formulas change, exponentials leave the normal numbers, and squares and cubes overflow.
SPECIAL = (
    0,
    0.5,
    1,
    3,
    6,
    17.5,
    20,
    44,
    66,
    87.3,
    88.7,
    89,
    103.9,
    256,
    1e10,
    1.8e19,
    6e37,
    1e300,
    1e-7,
    1e-20,
    1e-300,
)
EXTREME = st.sampled_from([sign * x for x in SPECIAL for sign in (-1.0, 1.0)])
LINES = st.lists(st.floats(-120, 120) | EXTREME | st.floats(allow_nan=False), min_size=COUNT, max_size=COUNT)


def examples(count):
    """So many of them, the same in every run."""
    quiet = [HealthCheck.too_slow]
    return settings(
        max_examples=count, derandomize=True, database=None, deadline=None, suppress_health_check=quiet
    )


def inside(row, dtype, xs):
    """``xs`` as finite normal numbers of a dtype in the domain of a row."""
    info = ml_dtypes.finfo(dtype)
    xs = np.clip(np.asarray(xs, np.float64), float(info.min), float(info.max)).astype(dtype)
    xs = np.where(np.abs(xs.astype(np.float64)) < float(info.smallest_normal), np.zeros_like(xs), xs)
    low, high = row.domain
    wide = xs.astype(np.float64)
    return np.where((low < wide) & (wide < high), xs, np.abs(xs) + np.array(0.5, dtype)).astype(dtype)


@functools.cache
def program(fn, order):
    return jax.jit(jaxact.derivative(fn) if order else fn)


def run(row, order, xs):
    return np.asarray(program(row.function, order)(jnp.asarray(xs))).astype(np.float64)


@examples(60)  # each shape is compiled
@given(ROWS, DTYPES, st.data())
def test_shape_and_dtype_are_kept_and_jit_changes_nothing(row, dtype, data):
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    size = int(np.prod(shape))
    xs = data.draw(st.lists(st.floats(-120, 120) | EXTREME, min_size=size, max_size=size))
    x = jnp.asarray(inside(row, dtype, xs).reshape(shape))
    for f in (row.function, jaxact.derivative(row.function)):
        y = f(x)
        assert y.dtype == dtype
        assert y.shape == shape
        compiled = jax.jit(f)(x)
        assert compiled.dtype == dtype
        y, compiled = (np.asarray(a).astype(np.float64) for a in (y, compiled))
        with np.errstate(invalid="ignore"):
            off = np.where(y == compiled, 0, np.abs(y - compiled))
        assert (off <= 2 * last_place(y, dtype)).all()


@examples(200)
@given(ROWS, DTYPES, LINES, st.sets(st.integers(0, COUNT - 1)))
def test_nan_goes_through_and_comes_from_nowhere_else(row, dtype, xs, places):
    x = inside(row, dtype, xs)
    x[list(places)] = np.nan
    np.testing.assert_array_equal(np.isnan(run(row, 0, x)), np.isnan(x.astype(np.float64)))
    assert not np.isnan(run(row, 1, x)[~np.isnan(x.astype(np.float64))]).any()


@examples(200)
@given(MONOTONE, DTYPES, LINES)
def test_what_never_decreases_does_not(row, dtype, xs):
    y = run(row, 0, np.sort(inside(row, dtype, xs).astype(np.float64)).astype(dtype))
    with np.errstate(invalid="ignore"):
        falls = np.where(y[1:] == y[:-1], 0, y[:-1] - y[1:])
    assert (falls <= 4 * last_place(np.maximum(np.abs(y[1:]), np.abs(y[:-1])), dtype)).all()


@examples(200)
@given(ROWS, DTYPES, LINES)
def test_values_stay_in_the_range(row, dtype, xs):
    y = run(row, 0, inside(row, dtype, xs))
    low, high = row.range
    assert (y >= low - last_place(np.array(low), dtype)).all()
    assert (y <= high + last_place(np.array(high), dtype)).all()


@examples(200)
@given(ROWS, DTYPES, LINES)
def test_slopes_are_finite_where_the_true_ones_are(row, dtype, xs):
    info = ml_dtypes.finfo(dtype)
    x = inside(row, dtype, xs)
    slopes = run(row, 1, x)
    for at, slope in zip(x.astype(np.float64).tolist(), slopes.tolist(), strict=True):
        if at in row.kinks:
            np.testing.assert_allclose(slope, row.kink_slopes[row.kinks.index(at)], rtol=2 * float(info.eps))
        else:
            true = float(evaluate(row.formula, row.parameters, at, float(info.smallest_normal))[1].mid())
            assert np.isfinite(slope) or abs(true) > float(info.max), (at, true)
