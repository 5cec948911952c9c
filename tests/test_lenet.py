"""LeNet-5: its layers, its numbers, and the two formulations of its convolutions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax
from numpy.lib.stride_tricks import sliding_window_view

import jaxact
from jaxact import InputError, LeNet5
from jaxact.layers import SwishBeta
from jaxact.training import layer_table
from jaxact.training.convolution import convolve, tile_side
from jaxact.training.pooling import activated_max_of_corners, max_of_corners

pytestmark = pytest.mark.usefixtures("training_compiled_fast")

COUNTS = {"conv1": 456, "conv2": 2_416, "conv3": 48_120, "dense1": 645_204, "dense2": 850}


def normal(*shape, seed=0):
    """Normal numbers by NumPy, since jax.random compiles anew for every shape."""
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def wavy(x):
    return jnp.sin(3 * x) + 0.1 * x


@pytest.fixture(scope="module")
def model():
    return LeNet5("tanh", rngs=nnx.Rngs(0))


# --- layers -----------------------------------------------------------------------------------------------


def test_parameters_by_layer(model):
    for name, count in COUNTS.items():
        assert sum(leaf.size for leaf in jax.tree.leaves(nnx.state(getattr(model, name)))) == count
    assert sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model))) == 697_046


def test_layer_table_is_what_runs(monkeypatch):
    seen = []

    def recording(call):
        def recorded(*args, **kwargs):
            result = call(*args, **kwargs)
            seen.append(result.shape[1:])
            return result

        return recorded

    for owner, name in ((nnx.Conv, "__call__"), (nnx.Linear, "__call__"), (nnx, "max_pool")):
        monkeypatch.setattr(owner, name, recording(getattr(owner, name)))
    model = nnx.eval_shape(lambda: LeNet5(num_classes=100, formulation="plain", rngs=nnx.Rngs(0)))
    nnx.eval_shape(lambda model: model(jnp.zeros((2, 32, 32, 3))), model)
    table = layer_table(model)
    assert [row.output_shape for row in table if row.name != "flatten"] == seen
    assert seen[-1] == (100,)
    by_name = {row.name: row for row in table}
    assert by_name["flatten"].output_shape == (np.prod(by_name["conv3"].output_shape),)
    assert {name: by_name[name].parameters for name in COUNTS} == COUNTS | {"dense2": 8_500}
    assert sum(row.parameters for row in table) == 697_046 + 7_650


def test_initial_parameters_are_those_of_keras(model):
    for name in COUNTS:
        layer = getattr(model, name)
        kernel = np.asarray(layer.kernel[...])
        fan_in, fan_out = np.prod(kernel.shape[:-1]), kernel.shape[-1] * np.prod(kernel.shape[:-2])
        bound = np.sqrt(6 / (fan_in + fan_out))
        assert 0.95 * bound < np.abs(kernel).max() <= bound
        assert abs(kernel.std() / (bound / np.sqrt(3)) - 1) < 0.1
        assert kernel.dtype == np.float32
        np.testing.assert_array_equal(layer.bias[...], 0)


def test_seed_decides_the_parameters(model):
    def kernel(seed):
        return np.asarray(LeNet5(rngs=nnx.Rngs(seed)).conv1.kernel[...])

    np.testing.assert_array_equal(kernel(0), model.conv1.kernel[...])
    assert not np.allclose(kernel(1), kernel(0))


def reference(model, x, activation):
    """The network in NumPy, float64, from its parameters alone: windows, maxima and two products."""

    def conv(x, layer):
        padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
        windows = sliding_window_view(padded, (5, 5), axis=(1, 2))
        return np.einsum("nhwcij,ijcf->nhwf", windows, np.float64(layer.kernel[...])) + np.float64(layer.bias[...])

    def pool(x):
        n, h, w, c = x.shape
        return x.reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))

    x = pool(activation(conv(np.float64(x), model.conv1)))
    x = pool(activation(conv(x, model.conv2)))
    x = activation(conv(x, model.conv3))
    x = np.stack([image.ravel(order="C") for image in x])  # row, column, channel
    x = activation(x @ np.float64(model.dense1.kernel[...]) + np.float64(model.dense1.bias[...]))
    return x @ np.float64(model.dense2.kernel[...]) + np.float64(model.dense2.bias[...])


@pytest.mark.parametrize("formulation", ["plain", "spectral"])
def test_logits_are_those_of_a_reference(formulation):
    model = LeNet5("tanh", formulation=formulation, rngs=nnx.Rngs(0))
    for i, layer in enumerate((model.conv1, model.conv2, model.conv3, model.dense1, model.dense2)):
        layer.bias[...] = normal(*layer.bias.shape, seed=i) / 4  # zero would hide it
    x = normal(3, 32, 32, 3)
    logits = np.asarray(model(x))
    np.testing.assert_allclose(logits, reference(model, x, np.tanh), atol=2e-5)
    assert not np.allclose(logits.sum(axis=-1), 1)


@pytest.mark.parametrize(
    "activation",
    [
        "leaky_relu(negative_slope=0.2)",
        {"name": "leaky_relu", "config": {"negative_slope": 0.2}},
        lambda x: jnp.where(x < 0, 0.2 * x, x),
    ],
    ids=["name", "config", "callable"],
)
def test_activation_is_anything_that_get_takes(activation):
    model = LeNet5(activation, rngs=nnx.Rngs(0))
    x = normal(2, 32, 32, 3)
    expected = reference(model, x, lambda x: np.where(x < 0, 0.2 * x, x))
    np.testing.assert_allclose(model(x), expected, atol=2e-5)


# --- formulations -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "activation",
    ["relu", "tanh", "gelu", "leaky_relu(negative_slope=-0.5)", wavy, SwishBeta()],
    ids=["relu", "tanh", "gelu", "leaky_relu falling", "a callable", "learned"],
)
def test_formulations_agree(activation):
    x = normal(2, 32, 32, 3)

    def value_and_gradients(formulation):
        model = LeNet5(activation, formulation=formulation, rngs=nnx.Rngs(1))
        graphdef, params = nnx.split(model)
        (_, logits), grads = jax.value_and_grad(
            lambda params, x: ((logits := nnx.merge(graphdef, params)(x)).std(), logits),
            argnums=(0, 1),
            has_aux=True,
        )(params, x)
        return jax.tree.leaves((logits, grads))

    for plain, spectral in zip(value_and_gradients("plain"), value_and_gradients("spectral"), strict=True):
        np.testing.assert_allclose(spectral, plain, rtol=1e-4, atol=1e-5 * max(1e-3, np.abs(plain).max()))


@pytest.mark.parametrize("formulation", ["plain", "spectral"])
def test_bfloat16_computes_with_float32_parameters(formulation):
    model = LeNet5("gelu", formulation=formulation, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    exact = LeNet5("gelu", formulation=formulation, rngs=nnx.Rngs(0))
    x = normal(4, 32, 32, 3)
    logits, expected = model(x), np.asarray(exact(x))
    assert logits.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(model))} == {jnp.dtype("float32")}
    assert 0 < np.abs(np.float32(logits) - expected).max() < 0.03 * np.abs(expected).max()


CONVOLUTIONS = {  # kernel, channels, features, height, width, strides: side of the tiles
    ((1, 1), 2, 3, 4, 4, (1, 1)): 4,
    ((3, 3), 1, 1, 10, 10, (1, 1)): 10,
    ((3, 3), 3, 4, 8, 24, (1, 1)): 8,
    ((5, 5), 16, 4, 8, 8, (1, 1)): 8,
    ((5, 5), 6, 4, 16, 16, (1, 1)): 8,
    ((5, 5), 2, 3, 14, 14, (1, 1)): 14,
    ((5, 5), 3, 6, 32, 32, (1, 1)): 8,
    ((5, 5), 1, 2, 2, 2, (1, 1)): 2,  # smaller than the kernel
    ((7, 7), 2, 3, 24, 16, (1, 1)): 8,
    ((11, 11), 1, 2, 16, 24, (1, 1)): 8,  # a halo of more than half a tile
    ((3, 3), 2, 3, 9, 9, (1, 1)): None,
    ((3, 3), 2, 3, 20, 24, (1, 1)): None,
    ((4, 4), 2, 3, 8, 8, (1, 1)): None,
    ((5, 3), 2, 3, 8, 8, (1, 1)): None,
    ((5, 5), 2, 3, 16, 16, (2, 2)): None,
    ((3, 3), 2, 3, 16, 24, (2, 1)): None,
}


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolution_is_that_of_xla(case):
    shape, channels, features, height, width, strides = case
    x, kernel = normal(2, height, width, channels), normal(*shape, channels, features, seed=1)
    assert tile_side(height, width, kernel.shape, strides) == CONVOLUTIONS[case]

    def plain(x, kernel):
        return lax.conv_general_dilated(x, kernel, strides, "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def ours(x, kernel, **options):
        y = convolve(x.transpose(1, 2, 3, 0), kernel, strides=strides, **options)
        return y.transpose(3, 0, 1, 2)

    expected, transpose = jax.vjp(plain, x, kernel)
    cotangent = normal(*expected.shape, seed=2)
    y, ours_transpose = jax.vjp(jax.jit(ours), x, kernel)
    for got, due in zip((y, *ours_transpose(cotangent)), (expected, *transpose(cotangent)), strict=True):
        np.testing.assert_allclose(got, due, atol=2e-6 * np.abs(due).max())

    pooled = ours(x, kernel, finish=max_of_corners, corners=True)
    np.testing.assert_allclose(pooled, nnx.max_pool(y, (2, 2), (2, 2)), atol=2e-6 * np.abs(y).max())


def test_transforms_do_a_third_of_the_arithmetic():
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((8, 8, 16, 128), (5, 5, 16, 120))]
    directly = 2 * 128 * 8 * 8 * 25 * 16 * 120
    assert 0.1 * directly < jax.jit(convolve).lower(*shapes).cost_analysis()["flops"] < 0.35 * directly


def test_transforms_keep_float64():
    with jax.enable_x64(True):
        x, kernel = (np.random.default_rng(0).normal(size=shape) for shape in ((16, 16, 2, 3), (5, 5, 2, 4)))
        expected = lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("HWCN", "HWIO", "HWCN"))
        np.testing.assert_allclose(convolve(jnp.asarray(x), jnp.asarray(kernel)), expected, atol=1e-13)


def test_equal_corners_give_the_gradient_to_the_first():
    y = jnp.asarray([[1.0, 0, 2, 5, 0], [1, 3, 2, 5, 0], [1, 3, 2, 6, 0], [0, 3, 2, 6, 7]])
    grad = jax.grad(lambda y: max_of_corners(y).sum())(y)
    np.testing.assert_array_equal(grad, [[1, 0, 1, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]])
    _, tangent = jax.jvp(max_of_corners, (y,), (jnp.arange(20.0).reshape(4, 5),))
    np.testing.assert_array_equal(tangent, [0, 6, 2, 13, 19])


def pooled_plainly(activation):
    return lambda x, bias: max_of_corners(activation(x + bias[None]))


@pytest.mark.parametrize("name", ["golu", "gcu", "xielu", wavy], ids=["golu", "gcu", "xielu", "wavy"])
def test_pooling_after_an_activation_is_that_of_its_values(name):
    activation = jaxact.get(name)
    x, bias = 3 * normal(4, 5, 3, 7), normal(1, 3, 1, seed=3)
    directions, cotangent = (normal(4, 5, 3, 7, seed=1), normal(1, 3, 1, seed=4)), normal(5, 3, 7, seed=2)

    def results(pooled):
        value, transpose = jax.vjp(pooled, x, bias)
        return value, jax.jvp(pooled, (x, bias), directions)[1], *transpose(cotangent)

    ours = jax.jit(lambda: results(activated_max_of_corners(activation)))()
    for got, due in zip(ours, results(pooled_plainly(activation)), strict=True):
        np.testing.assert_allclose(got, due, rtol=1e-6, atol=1e-7)


def test_pooling_after_an_activation_gives_the_gradient_to_the_first_of_equal_values():
    x = jnp.asarray([[1.0, 2, 2, -1], [-1, 0.5, 2, 3], [1, -0.5, 0.25, 1], [-1, 0.5, -0.25, 1]])
    for dtype in (jnp.float32, jnp.bfloat16):
        ours, plain = (
            jax.grad(lambda x, bias, f=f: f(x, bias).sum())(x.astype(dtype), jnp.zeros(1, dtype))
            for f in (activated_max_of_corners(jaxact.cos), pooled_plainly(jaxact.cos))
        )
        assert ours.dtype == dtype
        np.testing.assert_array_equal(ours, plain)
        np.testing.assert_array_equal(jnp.argmax(ours != 0, axis=0), [0, 1, 2, 0])


def test_no_loop_evaluates_the_activation_for_each_comparison():
    def gradient(x):
        return jax.value_and_grad(lambda x: activated_max_of_corners(jnp.sin)(x, jnp.ones((1, 6, 1))).sum())(x)

    program = jax.jit(gradient).lower(jax.ShapeDtypeStruct((4, 16, 6, 128), jnp.float32)).compile().as_text()
    computing = [part for part in program.split("\n\n") if " sine(" in part or " cosine(" in part]
    assert len(computing) == 2  # its values and its slopes
    for part in computing:
        assert " maximum(" not in part
        assert " compare(" not in part


def test_no_loop_finds_the_maximum_and_its_corner_again():
    def loss(x, kernel):
        return (convolve(x, kernel, max_of_corners, corners=True) ** 2).sum()

    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((32, 32, 3, 16), (5, 5, 3, 6))]
    parts = jax.jit(jax.grad(loss, argnums=1)).lower(*shapes).compile().as_text().split("\n\n")
    comparing = [part for part in parts if " compare(" in part]
    assert len(comparing) >= 2  # which corner it is, and where its gradient goes
    assert not any(" maximum(" in part for part in comparing)


# --- mistakes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(32, 32, 3), (1, 28, 28, 3), (1, 32, 32, 1), (1, 3, 32, 32), (2, 2, 32, 32, 3)])
def test_images_of_another_shape(model, shape):
    with pytest.raises(InputError) as caught:
        model(jnp.zeros(shape))
    assert str(caught.value) == f"images must have the shape [n, 32, 32, 3], got {list(shape)}"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"activation": "rleu"}, "did you mean relu"),
        ({"formulation": "tile"}, "'plain' or 'spectral', got 'tile'"),
    ],
)
def test_options_that_are_unknown(options, words):
    with pytest.raises(InputError, match=words):
        LeNet5(**options, rngs=nnx.Rngs(0))


def test_one_name():
    assert jaxact.LeNet5 is jaxact.training.LeNet5
