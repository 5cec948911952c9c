"""The monitor: what it sees is what `diagnose` sees, it changes nothing, and it costs what it says."""

import jax
import jax.numpy as jnp
import pytest

import jaxact
from jaxact import Monitor
from jaxact.diagnosis.history import NUMBERS, Since
from jaxact.diagnosis.pace import Pace

KEY = jax.random.key(0)
ROWS, LABELS = jax.random.normal(KEY, (16, 8)), jnp.arange(16) % 10
BATCH = ROWS, LABELS


def network(params, batch):
    hidden = jax.nn.relu(batch[0] @ params["first"]["kernel"] + params["first"]["bias"])
    return jnp.tanh(hidden @ params["second"]["kernel"]) @ params["last"]["kernel"]


def parameters(seed=0):
    keys = jax.random.split(jax.random.key(seed), 3)
    shapes = {"first": (8, 20), "second": (20, 20), "last": (20, 10)}
    params = {name: {"kernel": jax.random.normal(key, n) / 4} for (name, n), key in zip(shapes.items(), keys)}  # noqa: B905
    return params | {"first": {**params["first"], "bias": jnp.zeros((1, 20))}}


PARAMS = parameters()


def made(**options):
    return Monitor((network, PARAMS), BATCH, **({"period": 1, "alarm": None} | options))


@pytest.fixture(scope="module")
def shared():
    """A monitor that has compiled; what it has seen is emptied."""
    return made()


def afresh(shared, **options):
    """A monitor that has the compiled step of another."""
    other = object.__new__(Monitor)
    other.__dict__.update(shared.__dict__)
    other.rows, other._pace = [], Pace(options.get("period", 1), 0.02)
    other._since = [{what: Since(what) for what in ("dead", "dormant")}]
    other._known, other._alarm, other._path = set(), options.get("alarm"), options.get("path")
    return other


# --- what it sees -----------------------------------------------------------------------------------------


def test_sees_what_diagnose_sees(shared):
    now = afresh(shared)
    for step, seed in enumerate((0, 1)):
        seen = now.observe(step, parameters(seed), BATCH)
        whole = jaxact.diagnose((network, parameters(seed)), BATCH)
        (one,) = seen.diagnoses
        assert seen.step == step
        for a, b in zip(one.sites, whole.sites, strict=True):
            assert (a.where, a.name, a.dead, a.dormant, a.units) == (b.where, b.name, b.dead, b.dormant, b.units)
            for name, number in NUMBERS.items():
                assert number(a) == pytest.approx(number(b), rel=1e-5, abs=1e-7), name
                i = len(whole.sites) and whole.sites.index(b)
                assert getattr(now.history, name)[i, step] == number(a)
        assert one.inputs.std == pytest.approx(whole.inputs.std, rel=1e-5)
        assert one.loss == pytest.approx(whole.loss, rel=1e-6)
        assert now.history.loss[step] == one.loss
    assert [str(site) for site in now.history.sites] == ["first relu", "second tanh"]
    assert now.history.steps.tolist() == [0, 1]
    assert now.history.units.tolist() == [20, 20]
