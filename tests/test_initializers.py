"""Initialisers by the activation, and torch's calculate_gain, computed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

import jaxact

calculate_gain, for_activation = jaxact.initializers.calculate_gain, jaxact.initializers.for_activation
KEY = jax.random.key(0)


@pytest.mark.parametrize("distribution", ["truncated_normal", "normal", "uniform"])
@pytest.mark.parametrize(("mode", "fan"), [("forward", 800), ("backward", 200), ("std", 800)])
def test_variance(mode, fan, distribution):
    for fn in (jax.nn.gelu, lambda x: jnp.maximum(x, -0.5)):
        w = for_activation(fn, mode=mode, distribution=distribution)(KEY, (800, 200))
        assert w.dtype == jnp.zeros(()).dtype
        # 160,000 draws: the standard deviation is right to about 0.2 %
        np.testing.assert_allclose(w.std(), jaxact.gain(fn, mode) / fan**0.5, rtol=0.01)


def test_is_he_for_relu():
    ours, he = for_activation(jax.nn.relu), jax.nn.initializers.he_normal()
    np.testing.assert_allclose(ours(KEY, (64, 32)), he(KEY, (64, 32)), rtol=1e-6)
    ours = for_activation(jax.nn.relu, distribution="uniform", in_axis=(-3, -2, -1), out_axis=0)
    he = jax.nn.initializers.he_uniform(in_axis=(-3, -2, -1), out_axis=0)
    np.testing.assert_allclose(ours(KEY, (8, 3, 3, 4)), he(KEY, (8, 3, 3, 4)), rtol=1e-6)
    ours, he = for_activation(jax.nn.relu, batch_axis=0), jax.nn.initializers.he_normal(batch_axis=0)
    np.testing.assert_allclose(ours(KEY, (5, 64, 32)), he(KEY, (5, 64, 32)), rtol=1e-6)


def test_orthogonal():
    w = for_activation(jax.nn.tanh, distribution="orthogonal", mode="backward")(KEY, (40, 20))
    np.testing.assert_allclose(w.T @ w, jaxact.gain(jnp.tanh, "backward") ** 2 * np.eye(20), atol=1e-5)


def test_dtype():
    assert for_activation(jax.nn.silu)(KEY, (4, 4), jnp.bfloat16).dtype == jnp.bfloat16
    assert for_activation(jax.nn.silu, dtype=jnp.float16)(KEY, (4, 4)).dtype == jnp.float16


def test_in_flax():
    init = for_activation(jax.nn.silu)
    layer = nnx.Linear(300, 400, kernel_init=init, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(layer.kernel[...].std(), jaxact.gain(jax.nn.silu) / 300**0.5, rtol=0.01)
    conv = nnx.Conv(16, 64, (3, 3), kernel_init=init, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(conv.kernel[...].std(), jaxact.gain(jax.nn.silu) / (9 * 16) ** 0.5, rtol=0.03)
    kernel = linen.Dense(400, kernel_init=init).init(KEY, jnp.ones((1, 300)))["params"]["kernel"]
    np.testing.assert_allclose(kernel.std(), jaxact.gain(jax.nn.silu) / 300**0.5, rtol=0.01)


def test_as_haiku_calls_it():
    keys = iter(jax.random.split(KEY, 2))

    def init(shape, dtype):
        return for_activation(jax.nn.silu)(next(keys), shape, dtype)

    assert init((3, 4), jnp.bfloat16).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "fan_in"}, "mode must be one of"),
        ({"distribution": "gaussian"}, "distribution must be one of 'truncated_normal', 'normal', 'uniform'"),
        ({"distribution": "orthogonal", "in_axis": 0}, "must keep their defaults"),
        ({"distribution": "orthogonal", "out_axis": (0, 1)}, "out_axis must be one axis"),
        ({"q": -1.0}, "q must be a positive finite variance"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(jaxact.InputError, match=message):
        for_activation(jax.nn.relu, **options)


def test_calculate_gain():
    for name in ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose2d"):
        assert calculate_gain(name) == 1
    np.testing.assert_allclose(calculate_gain("relu"), 2**0.5, rtol=1e-12)
    np.testing.assert_allclose(calculate_gain("leaky_relu"), (2 / (1 + 0.01**2)) ** 0.5, rtol=1e-12)
    np.testing.assert_allclose(calculate_gain("leaky_relu", 0.2), (2 / (1 + 0.2**2)) ** 0.5, rtol=1e-12)
    # what the docstring says of torch's constants
    for name, torch, forward, backward in (
        ("tanh", 5 / 3, 1.592537, 1.467414),
        ("selu", 3 / 4, 1.0, 0.966026),
        ("sigmoid", 1, 1.846229, 4.722646),
    ):
        got = calculate_gain(name), calculate_gain(name, mode="backward")
        np.testing.assert_allclose(got, (forward, backward), atol=6e-7)
        assert all(abs(g / torch - 1) > 0.04 for g in got)
        row = f"{name:8}  {'5/3' if name == 'tanh' else '3/4' if name == 'selu' else '1':6}  {forward:.6f}"
        assert row in (calculate_gain.__doc__ or "")
        assert f"{backward:.6f}" in (calculate_gain.__doc__ or "")
    assert calculate_gain(jnp.tanh, q=2.0) == jaxact.gain(jnp.tanh, q=2.0)
    assert calculate_gain("gelu") == jaxact.gain(jaxact.gelu)
    for bad in ({"nonlinearity": "relu", "param": 0.1}, {"nonlinearity": "leaky_relu", "param": "a"}):
        with pytest.raises(jaxact.InputError, match="param must be the negative slope of 'leaky_relu'"):
            calculate_gain(**bad)
    for bad in ("reluu", "_numerics", "rectifiers", "torch:elu"):
        with pytest.raises(jaxact.InputError, match="unknown nonlinearity"):
            calculate_gain(bad)
    with pytest.raises(TypeError, match="fn must be callable"):
        calculate_gain(3.0)  # pyright: ignore[reportArgumentType]
