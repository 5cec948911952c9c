"""What the README says of numbers is so."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import mpmath
import pytest
from cases import oracle

import jaxact

README = (Path(__file__).parents[1] / "README.md").read_text()
LOST = re.findall(r"^\| (\w+) \| (-?\d+) \| 0 \| (\S+) \| (\S+) \|$", README, flags=re.M)


@pytest.mark.parametrize("row", LOST, ids=[row[0] for row in LOST])
def test_table_of_lost_gradients(row):
    name, x, ours, true = row
    assert jax.grad(getattr(jax.nn, name))(jnp.float32(x)) == 0
    assert float(ours) == pytest.approx(float(jax.grad(jaxact.get(name))(jnp.float32(x))), rel=2e-7)
    assert mpmath.nstr(oracle(name, 1)(float(x)), 8) == mpmath.nstr(mpmath.mpf(true), 8)


def test_the_table_is_found():
    assert len(LOST) == 4


def test_counts():
    assert f"table of all {len(jaxact.ACTIVATIONS)} functions" in README


def test_every_file_it_names_is_there():
    for path in re.findall(r"\]\((?!http)([^)#]+)\)|python (scripts/\S+?\.py)", README):
        assert (Path(__file__).parents[1] / (path[0] or path[1])).exists()
