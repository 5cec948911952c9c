"""Inputs at which a function was once over its bar, and has not to be again."""

import math

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import jaxact
from jaxact.activations._roots import ROOTS
from jaxact.testing import measure, ulp
from jaxact.testing.reference import truth

F32, F64 = np.float32, np.float64

INPUTS = [  # activation, dtype, order of the derivative, input
    ("tanh_shrink", F32, 1, -0.36149999499320984),
    ("tanh_shrink", F32, 2, 44.58536148071289),  # flushed
    ("tanh_shrink", F64, 1, 0.1752),
    ("logcosh", F32, 0, 0.7229999899864197),
    ("logcosh", F64, 0, 0.7036),
    ("snake", F64, 1, -3.537195401636867e307),
    ("erf", F32, 0, -3.107193946838379),
    ("erf", F32, 0, -3.030538621165686e38),
    ("soft_clipping", F32, 0, -3.4310998916625977),
    ("soft_clipping(alpha=100)", F32, 0, 0.25),  # overflowed, as it did from alpha = 89
    ("soft_clipping(alpha=100)", F32, 0, -0.5),
    ("soft_clipping(alpha=100)", F32, 0, 2.0),
    ("soft_clipping(alpha=30)", F32, 2, -2.932499885559082),  # flushed
    ("soft_clipping", F32, 0, -175.3),  # flushed
    ("swish_beta", F64, 1, -10.615228303058082),
    ("acon_c", F32, 1, -1.6411800384521484),
    ("acon_c", F64, 1, -1.6283543717762363),
    ("acon_c(p1=1.2,p2=-.3,beta=.7)", F32, 0, -3.9118603088540735e-38),
    ("acon_c(p1=1.2,p2=-.3,beta=.7)", F32, 2, 87.46411895751953),  # flushed
    ("hard_elish", F32, 1, -0.32332155108451843),
    ("clipped_gelu", F64, 1, -0.5166424046152819),
    ("gelu(approximate=False)", F64, 1, -0.5166424046152819),
    ("serf", F32, 1, -0.8669999837875366),
    ("serf", F32, 1, -0.29712000489234924),
    ("telu", F32, 1, -1.721364974975586),
    ("telu", F64, 1, -0.8069225883866212),
    ("phish", F64, 0, -0.42955),
    ("phish", F32, 0, 0.1195250004529953),
    ("phish", F64, 2, -0.4346203382759444),
    ("phish", F32, 2, 3.650254249572754),
    ("mish", F32, 1, -0.23437747359275818),
    ("mish", F32, 1, -0.1556490063667297),
    ("mish", F32, 1, -0.9975382),
    ("exp", F32, 0, 88.71968841552734),
    ("sigmoid", F32, 1, 6.235855579376221),
    ("sigmoid", F32, 1, 3.4150643348693848),
    ("serf", F32, 0, 0.04414655640721321),
    ("serf", F32, 0, 0.08866825699806213),
    ("serf", F32, 2, -2.509705066680908),
    ("serf", F32, 2, 1.348462700843811),
    ("smish", F32, 1, -0.4955698549747467),
    ("smish", F32, 1, -5.88759183883667),
    ("logish", F32, 1, -0.4830910861492157),
    ("phish", F32, 0, 0.11551275849342346),
    ("phish", F32, 1, 0.11065614223480225),
    ("telu", F32, 0, -0.08515571802854538),
    ("ft_swish", F32, 0, 0.42865660786628723),
    ("ft_swish", F64, 0, 0.4284058512054001),
    ("xielu(alpha_p=1.3,alpha_n=1.1,beta=0.5)", F32, 0, -0.8370752334594727),
    ("xielu(alpha_p=1.3,alpha_n=1.1,beta=0.5)", F64, 0, -0.9477484738096957),
    ("xielu(alpha_p=0.3,alpha_n=2.5,beta=0.2)", F32, 0, -0.12287654727697372),
    ("xielu(alpha_p=0.3,alpha_n=2.5,beta=0.2)", F32, 0, -0.3340560495853424),
    ("soft_exponential(alpha=0.5)", F32, 0, -0.7471967935562134),
    ("soft_exponential(alpha=0.5)", F32, 2, 177.65504455566406),  # overflowed
    ("soft_exponential(alpha=1.5)", F32, 0, 38.00087356567383),
    ("soft_exponential(alpha=1.5)", F32, 1, 259936848.0),  # -inf
    ("soft_exponential(alpha=-1)", F32, 0, 1.4519409704359767e-38),  # -inf
    ("soft_exponential(alpha=-0.5)", F32, 0, 1.0120341160030926e30),
    ("soft_exponential(alpha=-0.5)", F32, 1, 2.755978481898398e38),
    ("soft_exponential(alpha=-0.5)", F64, 0, -0.3282943578029445),
    ("soft_exponential(alpha=-0.5)", F64, 1, 4.0228189746359e39),
    ("nlrelu(beta=2)", F32, 0, 2.755978481898398e38),  # overflowed
    ("nlrelu(beta=2)", F32, 1, 4.888274693901371e37),  # flushed
    ("nlrelu(beta=2)", F32, 2, 5.564805369546408e18),  # flushed
    ("aria2(alpha=1.5,beta=2)", F64, 2, 0.21712925429547614),
    ("aria2(alpha=1.5,beta=2)", F64, 1, -0.12514641505565943),
    ("aria2(alpha=1.5,beta=2)", F32, 1, -0.12600599229335785),
]


def truth_of(spec, xs):
    row = jaxact.ACTIVATIONS[spec.partition("(")[0]]
    wide = F64 if xs.dtype == F64 else F32
    parameters = row.parameters | dict(getattr(jaxact.get(spec), "config", ()))
    parameters = {k: v if isinstance(v, bool) else float(wide(v)) for k, v in parameters.items()}
    return truth(row.formula, parameters, xs, float(ml_dtypes.finfo(xs.dtype).smallest_normal))


def errors(spec, xs, order):
    exact, fn = truth_of(spec, xs), jaxact.get(spec)
    with measure.precision(xs.dtype):
        got = np.asarray(jax.jit(jaxact.derivative(fn, order) if order else fn)(jnp.asarray(xs)))
    return ulp.errors(got, exact, order, xs.dtype), exact


@pytest.mark.parametrize(("spec", "dtype", "order", "x"), INPUTS, ids=lambda v: getattr(v, "__name__", str(v)))
def test_right_now(spec, dtype, order, x):
    xs = np.array([x]).astype(dtype)
    off, exact = errors(spec, xs, order)
    slack = ulp.root_slack(xs, exact, order, dtype, measure.INPUT_ULP)
    assert off <= max(measure.BARS[np.dtype(dtype).name].ulp[order], slack.item())


@pytest.mark.parametrize("name", jaxact.ACTIVATIONS)
def test_arrays_of_any_size_are_as_exact(name):
    # XLA has several programs for a function, of which it takes one by the size of the array.
    points = np.array([0.00097, 0.0009, 0.0731, 0.83, 1.37, 2.9, 88.71], F32)
    arrays = [np.resize(points, size) for size in (1, 2, 7, 31, 33)]
    fn = jaxact.get(name)
    program = jax.jit(lambda arrays: [[f(xs) for xs in arrays] for f in (fn, jaxact.derivative(fn))])
    for order, results in enumerate(program(arrays)):
        for xs, got in zip(arrays, results, strict=True):
            exact = truth_of(name, xs)
            bar = np.maximum(4, ulp.root_slack(xs, exact, order, F32, measure.INPUT_ULP))
            assert (ulp.errors(np.asarray(got), exact, order, F32) <= bar).all()


@pytest.mark.parametrize(("name", "order"), ROOTS, ids=str)
@pytest.mark.parametrize("dtype", [F32, F64])
def test_no_digit_is_lost_next_to_a_tabled_root(name, order, dtype):
    root = ROOTS[name, order].high
    away = np.array([sign * 10.0**-k for k in range(1, 7 if dtype == F32 else 15) for sign in (-1, 1)])
    off, _ = errors(name, (root + away).astype(dtype), order)
    assert off.max() <= 4


def test_slack_may_be_infinite():
    xs = np.array([-3.537195401636867e307])
    exact = truth("x + sin(x)**2", {}, xs)
    assert ulp.root_slack(xs, exact, 1, F64, measure.INPUT_ULP) == math.inf


def test_soft_clipping_far_out():
    x = jnp.array([-jnp.inf, -1e30, 0.5, 1e30, jnp.inf])
    for alpha in (0.5, 100.0, 1000.0):
        np.testing.assert_allclose(jaxact.soft_clipping(x, alpha), [0, 0, 0.5, 1, 1], rtol=1e-6)
