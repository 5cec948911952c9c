"""Sharded inputs: every function, in a process that has four devices."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import jax, jax.numpy as jnp, numpy as np
import jaxact
from jax.sharding import NamedSharding, PartitionSpec

assert jax.device_count() == 4
sharding = NamedSharding(jax.make_mesh((4,), ("devices",)), PartitionSpec("devices"))
x = np.linspace(0.02, 9, 64, dtype=np.float32)

def everything(x):
    rows = jaxact.ACTIVATIONS.items()
    return {name: [f(x) for f in (row.function, jaxact.derivative(row.function))] for name, row in rows}

whole = jax.jit(everything)(x)
split = jax.jit(everything)(jax.device_put(x, sharding))
for name, results in split.items():
    for got, expected in zip(results, whole[name]):
        assert got.sharding.is_equivalent_to(sharding, 1), (name, got.sharding)
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-30, err_msg=name)

# A function of an axis, and a gradient, leave their results where the input was, too.
for fn in (jaxact.gelu, jax.jit(jax.grad(lambda x: jaxact.gelu(x).sum())), jaxact.softmax):
    y = fn(jax.device_put(np.ones((8, 4), np.float32), sharding))
    assert y.sharding.is_equivalent_to(sharding, 2), y.sharding
print(len(split))
"""


@pytest.mark.usefixtures("compiled_fast")
def test_sharded_inputs_give_sharded_results():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 75
