"""What the README says of numbers is so."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import mpmath
import pytest
from cases import oracle

import jaxact
from jaxact.testing.measure import BARS, measure, samples_of

README = (Path(__file__).parents[1] / "README.md").read_text()
LOST = re.findall(r"^\| (\w+) \| (-?\d+) \| 0 \| (\S+) \| (\S+) \|$", README, flags=re.M)


@pytest.mark.parametrize("row", LOST, ids=[row[0] for row in LOST])
def test_table_of_lost_gradients(row):
    name, x, ours, true = row
    mended = name == "elu" and jax.grad(jnp.expm1)(-20.0) > 0  # since jax 0.12, as the README says
    assert (jax.grad(getattr(jax.nn, name))(jnp.float32(x)) == 0) != mended
    assert float(ours) == pytest.approx(float(jax.grad(jaxact.get(name))(jnp.float32(x))), rel=2e-7)
    assert mpmath.nstr(oracle(name, 1)(float(x)), 8) == mpmath.nstr(mpmath.mpf(true), 8)


def test_the_table_is_found():
    assert len(LOST) == 4


def test_counts():
    assert f"table of all {len(jaxact.ACTIVATIONS)} functions" in README


def test_every_file_it_names_is_there():
    for path in re.findall(r"\]\((?!http)([^)#]+)\)|python (scripts/\S+?\.py)", README):
        assert (Path(__file__).parents[1] / (path[0] or path[1])).exists()


# Our own table of errors is the first with twelve numbers in a row.
ERRORS = re.findall(r"^\| `(\w+)` \|((?: [\d.]+ \|){12})$", README, flags=re.M)[: len(jaxact.ACTIVATIONS)]


def test_table_of_errors_has_every_function_and_none_over_its_bar():
    assert [name for name, _ in ERRORS] == list(jaxact.ACTIVATIONS)
    for name, cells in ERRORS:
        found = [float(cell) for cell in cells.split("|")[:12]]
        bars = [most for dtype in ("float32", "float64", "bfloat16", "float16") for most in BARS[dtype].ulp]
        assert all(error <= most for error, most in zip(found, bars, strict=True)), name


@pytest.mark.parametrize("name", ["gelu", "hard_sigmoid", "softplus"])
def test_table_of_errors_is_measured(name):
    printed = dict(ERRORS)[name].split("|")[6:9]
    measured = measure(jaxact.get(name), samples_of(name, ml_dtypes.bfloat16)).ulp
    assert [float(cell) for cell in printed] == [float(f"{error:.2f}") for error in measured]
