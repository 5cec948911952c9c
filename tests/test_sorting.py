"""The laws of the functions that compare or pair the entries along an axis."""

import functools
import inspect
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from axis_cases import FLOAT, check_examples, random
from jax.test_util import check_grads

from jaxact.activations import sorting
from jaxact.activations.sorting import crelu, groupsort, maxmin, top_k_relu
from jaxact.errors import InputError


@pytest.mark.parametrize("group_size", [1, 2, 3, 6, 8, 12, 24])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_groupsort(group_size, axis):
    x = jnp.asarray(np.random.default_rng(0).integers(0, 9, (24, 24, 24)), FLOAT)  # with ties
    shape = list(x.shape)
    shape[axis : axis + 1 or None] = [24 // group_size, group_size]
    expected = np.sort(np.asarray(x).reshape(shape), axis if axis < 0 else axis + 1).reshape(x.shape)
    np.testing.assert_array_equal(groupsort(x, group_size, axis), expected)


@pytest.mark.parametrize("group_size", [2, 3, 8, 12])
def test_groupsort_differentiates_to_a_permutation(group_size):
    for x in (random(24), jnp.zeros(24)):
        jacobian = jax.jacrev(functools.partial(groupsort, group_size=group_size))(x)
        np.testing.assert_array_equal(jacobian @ x, groupsort(x, group_size))
        for axis in (0, 1):
            np.testing.assert_array_equal(jacobian.sum(axis), 1)
            np.testing.assert_array_equal((jacobian == 1).sum(axis), 1)
    np.testing.assert_array_equal(jacobian, jnp.eye(24))  # ties are in order already


def test_maxmin():
    x = random(3, 8)
    np.testing.assert_array_equal(maxmin(x)[:, ::2], jnp.minimum(x[:, ::2], x[:, 1::2]))
    np.testing.assert_array_equal(maxmin(x)[:, 1::2], jnp.maximum(x[:, ::2], x[:, 1::2]))
    np.testing.assert_array_equal(maxmin(x.T, 0), maxmin(x).T)


@pytest.mark.parametrize("k", [1, 3, 6])
def test_top_k_relu(k):
    x = random(5, 6)
    threshold = np.sort(x, -1)[:, [6 - k]]
    kept = (x >= threshold) & (x > 0)
    np.testing.assert_array_equal(top_k_relu(x, k), jnp.where(kept, x, 0))
    np.testing.assert_array_equal(top_k_relu(x.T, k, 0), top_k_relu(x, k).T)
    np.testing.assert_array_equal(jax.grad(lambda x: top_k_relu(x, k).sum())(x), kept)
    ties = jnp.ones((2, 6))
    np.testing.assert_array_equal(top_k_relu(ties, k), np.tile(np.arange(6) < k, (2, 1)))


def test_crelu():
    x = jnp.array([[1.0, -2.0, 0.0]])
    np.testing.assert_array_equal(crelu(x), [[1, 0, 0, 0, 2, 0]])
    np.testing.assert_array_equal(crelu(x, 0), [[1, 0, 0], [0, 2, 0]])
    np.testing.assert_array_equal(jax.grad(lambda x: crelu(x).sum())(x), [[1, -1, 0]])


@pytest.mark.usefixtures("compiled_fast")
@pytest.mark.parametrize("fn", [groupsort, maxmin, crelu, functools.partial(top_k_relu, k=2)])
def test_they_transform_and_keep_the_dtype(fn):
    x = random(4, 6)
    for dtype in (jnp.bfloat16, jnp.float16):
        narrow = x.astype(dtype)
        assert fn(narrow).dtype == dtype
        np.testing.assert_array_equal(fn(narrow), fn(narrow.astype(jnp.float32)).astype(dtype))
    assert fn(jnp.arange(4)).dtype == FLOAT
    np.testing.assert_array_equal(jax.jit(fn)(x), fn(x))
    np.testing.assert_array_equal(jax.vmap(fn)(x), fn(x))
    np.testing.assert_array_equal(jax.vmap(jax.jacfwd(fn))(x), jax.vmap(jax.jacrev(fn))(x))
    np.testing.assert_array_equal(jax.hessian(lambda x: fn(x).sum())(x[0]), 0)
    with jax.enable_x64(True):
        check_grads(fn, (jnp.array([0.3, -0.2, 0.9, 0.4]),), order=2, modes=["fwd", "rev"], eps=1e-4)


X = jnp.ones((2, 4))
WRONG = {
    "group": (lambda: groupsort(X, 3), r"group_size 3 does not divide the length 4 of axis 1 of x"),
    "no group": (lambda: groupsort(X, 0), r"group_size must be an integer from 1 to 4, .*, got 0"),
    "axis": (lambda: crelu(X, 2), r"axis 2 is out of range for x of shape \(2, 4\)"),
    "odd": (lambda: maxmin(jnp.ones((2, 3))), r"group_size 2 does not divide the length 3 of axis 1 of x"),
    "k": (lambda: top_k_relu(X, 5), r"k must be an integer from 1 to 4, the length of the axis, got 5"),
    "no k": (lambda: top_k_relu(X, 0), r"k must be an integer from 1 to 4, the length of the axis, got 0"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_errors_are_one_line(wrong):
    call, message = WRONG[wrong]
    with pytest.raises(InputError, match=f"^{message}$") as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("fn", [groupsort, maxmin, top_k_relu, crelu], ids=lambda fn: fn.__name__)
def test_plain_function_with_a_full_docstring(fn):
    assert pickle.loads(pickle.dumps(fn)) is fn
    for section in (".. math::", "Args:", "Returns:", "Raises:", "Examples:"):
        assert section in fn.__doc__
    for parameter in inspect.signature(fn).parameters:
        assert f"      {parameter}: " in fn.__doc__


def test_examples_in_docstrings():
    check_examples(sorting)
