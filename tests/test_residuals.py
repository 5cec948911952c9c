"""The law of memory: what an activation keeps for the backward pass is no larger than its input."""

import jax
import jax.numpy as jnp
import pytest
from cases import SPECS

import jaxact

SIZE = 1000


def kept(fn, dtype) -> float:
    """Bytes that the forward pass hands to the backward pass, in units of those of the input.

    `jax.vjp` returns the pullback as a pytree: its leaves are the arrays that it closes over. Parameters and other
    scalars count for nothing.
    """
    x = jax.ShapeDtypeStruct((SIZE,), dtype)
    pullback = jax.eval_shape(lambda x: jax.vjp(fn, x)[1], x)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(pullback) if leaf.size > 1) / (
        SIZE * x.dtype.itemsize
    )


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("spec", SPECS)
def test_backward_pass_keeps_one_array(spec, dtype):
    assert kept(jaxact.get(spec), dtype) <= 1


def test_the_law_can_be_broken():
    def plain_mish(x):
        return x * jnp.tanh(jnp.log1p(jnp.exp(x)))

    assert kept(plain_mish, jnp.float32) > 1
    assert kept(lambda x: jaxact.silu(x.astype(jnp.float32)).astype(jnp.bfloat16), jnp.bfloat16) > 1


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16], ids=["bfloat16", "float16"])
def test_what_only_selects_is_not_widened(dtype):
    """Through float32 relu with its gradient takes up to 1.3 times as long, and nothing is rounded."""
    x = jnp.ones(3, dtype)
    for fn, through in ((jaxact.relu, False), (jaxact.silu, True)):
        program = str(jax.make_jaxpr(lambda x, fn=fn: jax.vjp(fn, x)[1](x))(x))
        assert ("f32" in program, "prevent_cse=True" in program) == (through, through)


def temporaries(fn, dtype):
    """Bytes that value and gradient in one program write beside their results, in units of those of the input."""

    def with_gradient(x):
        y, pull = jax.vjp(fn, x)
        return y, pull(jnp.ones_like(y))[0]

    x = jax.ShapeDtypeStruct((100_000,), dtype)
    held = jax.jit(with_gradient).lower(x).compile().memory_analysis().temp_size_in_bytes
    return held / (x.size * x.dtype.itemsize)


SHARED = [name for name in jaxact.ACTIVATIONS if hasattr(jax.nn, name)]


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="of XLA's loops on a CPU")
@pytest.mark.parametrize("name", [name for name in SHARED if name not in ("gelu", "log1mexp")])
def test_narrow_programs_write_no_temporaries(name):
    """A quotient that is used twice is written to memory, in float32: at large sizes that is half of the time."""
    assert temporaries(jaxact.ACTIVATIONS[name].function, jnp.bfloat16) < 0.1


def test_temporaries_are_seen():
    def twice(x):
        ratio = 1 / (1 + jnp.exp(x.astype(jnp.float32)))
        return (ratio + ratio * ratio).astype(x.dtype)

    assert temporaries(twice, jnp.bfloat16) > 1
