"""The distributions along an axis with their oracles, which share no algorithm with the library."""

import doctest
import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np

from jaxact.activations.normalized import log_softmax, softmax, softmin, taylor_softmax
from jaxact.activations.sparse import entmax, entmax15, sparsemax

FLOAT = jnp.zeros(()).dtype
EPS = float(jnp.finfo(FLOAT).eps)
BIG = float(jnp.finfo(FLOAT).max)


def _shares(weights, extra=0):
    total = sum(weights) + extra
    return [w / total for w in weights]


def _softmax_oracle(x, temperature: float = 1, extra=0):
    return _shares([mpmath.exp(v / temperature) for v in x], extra)


def _log_softmax_oracle(x, **options):
    return [mpmath.log(p) for p in _softmax_oracle(x, **options)]


def _taylor_oracle(x, order):
    return _shares([sum(v**k / mpmath.factorial(k) for k in range(order + 1)) for v in x])


def entmax_oracle(x, alpha):
    """Plain bisection of the threshold of the definition."""
    if alpha == 1:
        return _softmax_oracle(x)
    a = mpmath.mpf(alpha) - 1

    def p_of(tau):
        return [max(a * v - tau, 0) ** (1 / a) for v in x]

    low, high = a * max(x) - 1, a * max(x)
    for _ in range(150):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(p_of(middle)) >= 1 else (low, middle)
    return p_of(low)


# Each distribution with its oracle, a function of a row of mpmath numbers.
CASES = {
    "softmax": (softmax, _softmax_oracle),
    "softmax, T=0.3": (
        functools.partial(softmax, temperature=0.3),
        lambda x: _softmax_oracle(x, float(np.asarray(0.3, FLOAT))),
    ),
    "softmax, off by one": (functools.partial(softmax, off_by_one=True), lambda x: _softmax_oracle(x, extra=1)),
    "log_softmax": (log_softmax, _log_softmax_oracle),
    "log_softmax, T=4": (
        functools.partial(log_softmax, temperature=4),
        lambda x: _log_softmax_oracle(x, temperature=4),
    ),
    "log_softmax, off by one": (
        functools.partial(log_softmax, off_by_one=True),
        lambda x: _log_softmax_oracle(x, extra=1),
    ),
    "softmin": (softmin, lambda x: _softmax_oracle([-v for v in x])),
    "taylor_softmax": (taylor_softmax, lambda x: _taylor_oracle(x, 2)),
    "taylor_softmax, 4": (functools.partial(taylor_softmax, order=4), lambda x: _taylor_oracle(x, 4)),
    "sparsemax": (sparsemax, lambda x: entmax_oracle(x, 2)),
    "entmax15": (entmax15, lambda x: entmax_oracle(x, 1.5)),
    "entmax, 1": (functools.partial(entmax, alpha=1), _softmax_oracle),
    "entmax, 1.25": (functools.partial(entmax, alpha=1.25), lambda x: entmax_oracle(x, 1.25)),
    "entmax, 2": (functools.partial(entmax, alpha=2), lambda x: entmax_oracle(x, 2)),
    "entmax, 2.5": (functools.partial(entmax, alpha=2.5), lambda x: entmax_oracle(x, 2.5)),
    "entmax, 4": (functools.partial(entmax, alpha=4), lambda x: entmax_oracle(x, 4)),
}

# Rows without a kink: no entry lies at a threshold.
ROWS = [
    [0.3, -0.2, 0.9, 0.4],
    [1.5, 1.25, -3.0, 0.1],
    [4.0, -2.0, -7.5, 3.9],
    [-0.7, -0.7, -0.7, -0.7],
    [20.0, 0.0, -20.0, -9.0],
    [-60.0, 7.0, 6.5, 1.0],
]


def exact(name, row):
    with mpmath.workdps(60):
        return np.array([float(v) for v in CASES[name][1]([mpmath.mpf(float(v)) for v in row])])


def exact_jacobian(name, row):
    """Central differences of the oracle, with 60 digits."""
    with mpmath.workdps(60):
        h = mpmath.mpf(10) ** -20
        row = [mpmath.mpf(float(v)) for v in row]
        columns = []
        for i in range(len(row)):
            high, low = (CASES[name][1]([v + s * h * (i == j) for j, v in enumerate(row)]) for s in (1, -1))
            columns.append([float((a - b) / (2 * h)) for a, b in zip(high, low, strict=True)])
    return np.array(columns).T


def random(*shape, scale=2.0, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(0, scale, shape), FLOAT)


def is_log(name):
    return name.startswith("log")


def is_sparse(name):
    return name.startswith(("sparse", "entmax")) and name != "entmax, 1"


def check_examples(module):
    """The examples in the docstrings of a module hold."""
    with jax.enable_x64(False):
        runner = doctest.DocTestRunner()
        for test in doctest.DocTestFinder().find(module, globs=vars(module) | {"jax": jax, "jnp": jnp}):
            runner.run(test)
    assert runner.tries > 0
    assert runner.failures == 0
