"""What is not elementwise, learnt or drawn, under every transformation of JAX, and on several devices.

`test_activations.py` holds the elementwise functions to the same laws.
"""

import functools
import os
import subprocess
import sys
from pathlib import Path

import axis_cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from jaxact import learnable
from jaxact.activations.glu_variants import clamped_swiglu, geglu

KEY = jax.random.key(3)
OF_SAME_CODE = ("entmax, 1", "entmax, 2", "entmax, 2.5", "entmax, 4", "taylor_softmax, 4", "log_softmax, T=4")
MAKERS = (*("prelu", "swish_beta", "star_relu", "acon", "snake", "xielu", "pelu", "srelu", "apl"), "rational")


def of_pair(name):
    """The function of a pair whose parameters differ along the row."""
    small = (((0.1, 0.6, 0.2), (0.3,)), (2, 1)) if name == "rational" else ()  # larger ones take long to compile
    pair = getattr(learnable, name)(*small, sharing="channel")
    apart = jnp.linspace(0, 0.2, 6)
    start = {key: c + jnp.broadcast_to(apart, c.shape) for key, c in pair.init(KEY, (6,)).items()}
    return functools.partial(pair.apply, start)


# Functions of a row of six numbers.
CASES = {
    **{name: getattr(jaxact, name) for name in ("glu", "bilinear", "reglu", "geglu", "swiglu", "gtu")},
    "geglu, erf": functools.partial(geglu, approximate=False),
    "clamped_swiglu": functools.partial(clamped_swiglu, limit=2.0),
    "glu_with(mish)": jaxact.glu_with(jaxact.mish),
    **{name: fn for name, (fn, _) in axis_cases.CASES.items() if name not in OF_SAME_CODE},
    **{f"gumbel_softmax, hard={h}": functools.partial(jaxact.gumbel_softmax, KEY, hard=h) for h in (True, False)},
    **{name: getattr(jaxact, name) for name in ("groupsort", "maxmin", "crelu")},
    "top_k_relu": functools.partial(jaxact.top_k_relu, k=2),
    "rrelu": functools.partial(jaxact.rrelu, KEY),
    "probact": functools.partial(jaxact.probact, KEY, sigma=0.5),
    **{f"learnable.{name}": of_pair(name) for name in MAKERS},
}
ROWS = np.random.default_rng(0).normal(0, 2, (3, 6))


def over_rows(fn):
    """The function of several rows, by a loop."""
    return lambda xs: jax.lax.scan(lambda carry, x: (carry, fn(x)), None, xs)[1]


def ways(fn, x, v, w):
    """Values, directional derivatives of first and second order, and pulled-back cotangents, each in several ways.

    Args:
      fn: function of a row.
      x: rows.
      v: a direction for each.
      w: a cotangent for each.
    """
    f, looped, kept = jax.vmap(fn), over_rows(fn), jax.checkpoint(jax.vmap(fn))
    (y, pull), (z, push) = jax.vjp(f, x), jax.linearize(f, x)
    forward, backward = jax.vmap(jax.jacfwd(fn))(x), jax.vmap(jax.jacrev(fn))(x)
    hessian = jax.vmap(jax.hessian(lambda x, w: (fn(x) * w).sum()))(x, w)
    product = functools.partial(jnp.einsum, precision="highest")

    def slope(f):
        return lambda x: jax.grad(lambda x: (f(x) * w).sum())(x)

    def along(f):
        return lambda x: jax.jvp(f, (x,), (v,))[1]

    return {
        "value": {"vmap": f(x), "vjp": y, "linearize": z, "jvp": jax.jvp(f, (x,), (v,))[0], "checkpoint": kept(x)}
        | {"scan": looped(x), "map": jax.lax.map(fn, x)},
        "pushed": {
            "jvp": along(f)(x),
            "linearize": push(v),
            "scan": along(looped)(x),
            "checkpoint": along(kept)(x),
        }
        | {"jacfwd": product("bij,bj->bi", forward, v), "jacrev": product("bij,bj->bi", backward, v)},
        "pulled": {"vjp": pull(w)[0], "grad": slope(f)(x), "checkpoint": slope(kept)(x), "scan": slope(looped)(x)}
        | {"linear_transpose": jax.linear_transpose(push, x)(w)[0]}
        | {"jacfwd": product("bij,bi->bj", forward, w), "jacrev": product("bij,bi->bj", backward, w)},
        "second": {"jvp of grad": along(slope(f))(x), "hessian": product("bij,bj->bi", hessian, v)}
        | {"grad of grad": jax.grad(lambda x: (slope(f)(x) * v).sum())(x), "checkpoint": along(slope(kept))(x)}
        | {"grad of jvp": jax.grad(lambda x: (along(f)(x) * w).sum())(x), "scan": along(slope(looped))(x)},
    }


@pytest.mark.usefixtures("compiled_fast")
@pytest.mark.parametrize("name", CASES)
def test_every_transformation(name):
    fn, x = CASES[name], jnp.asarray(ROWS, jnp.zeros(()).dtype)
    y = jnp.stack([fn(row) for row in x])
    v, w = (jnp.cos(jnp.arange(a.size, dtype=a.dtype) + i).reshape(a.shape) for i, a in enumerate((x, y)))
    for law, results in jax.jit(functools.partial(ways, fn))(x, v, w).items():
        first, *rest = results.items()
        expected = y if law == "value" else first[1]
        for how, got in (first, *rest):
            message = f"{law} by {how}"
            assert got.dtype == x.dtype, message
            np.testing.assert_allclose(got, expected, rtol=2e-5, atol=4e-6, err_msg=message)


@pytest.mark.parametrize("name", CASES)
def test_nan_comes_from_nan_alone(name):
    fn, x = CASES[name], jnp.asarray(ROWS[0], jnp.zeros(()).dtype)
    both = jax.jit(lambda x: (fn(x), jax.jacrev(fn)(x)))
    with jax.debug_nans(True):
        both(x)
    for place in range(x.size):
        assert jnp.isnan(both(x.at[place].set(jnp.nan))[0]).any()


PROGRAM = """
import jax, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from test_transformations import CASES

x = np.random.default_rng(0).normal(0, 2, (16, 6)).astype(np.float32)
# with AxisType.Explicit, JAX 0.10 cannot vmap the loop of sparsemax
mesh = jax.make_mesh((8,), ("devices",), axis_types=(AxisType.Auto,))
sharding = NamedSharding(mesh, PartitionSpec("devices"))

def everything(x):
    f = {name: jax.vmap(fn) for name, fn in CASES.items()}
    return {name: (g(x), jax.grad(lambda x: (g(x) ** 2).sum())(x)) for name, g in f.items()}

whole = jax.jit(everything)(x)
compiled = jax.jit(everything).lower(jax.device_put(x, sharding)).compile()
for name, results in compiled(jax.device_put(x, sharding)).items():
    for got, expected in zip(results, whole[name], strict=True):
        assert got.sharding.is_equivalent_to(sharding, 2), (name, got.sharding)
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=4e-6, err_msg=name)
print(len(CASES))
"""


def test_rows_on_several_devices():
    """Results and gradients stay where their rows are, whatever XLA gathers in between (it does for top_k)."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    here = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": here}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(CASES)
