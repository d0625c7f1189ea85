import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve import registry, solve
from pdesolve.config import DataConfig, NetworkConfig, StageConfig
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.flow.method import build_velocity
from pdesolve.flow.operator_velocity import OperatorVelocity, operator_velocity
from pdesolve.flow.velocity import time_features
from problems import RandomField1D


def test_preconditioning(key):
    """v = a x + b F(b x, code), F told the time by functions that are constant in space."""
    seen = []

    def operator(values):
        seen.append(values)
        return 3.0 * values[:2]

    x, t = jax.random.normal(key, (2, 4, 6)), jnp.asarray(0.3)
    v = OperatorVelocity(operator, 2, 2)(x, t)
    b = 1 / np.sqrt(0.3**2 + 0.7**2)
    np.testing.assert_allclose(v, (2 * 0.3 - 1) * b**2 * x + b * 3 * b * x, rtol=1e-13)
    np.testing.assert_allclose(seen[0][2:], np.broadcast_to(time_features(t, 16)[:, None, None], (16, 4, 6)))


def test_operator_by_name(key):
    """`network.name` may be an operator, with its options; v depends on the time and has the type asked for."""
    network = NetworkConfig("fno", width=4, depth=1, activation="gelu", options={"modes": 2})

    @jax.jit
    def values(x, times):
        model = operator_velocity(network, 1, 2, key=key, dtype="float32")
        return jax.vmap(model, (None, 0))(x, times)

    early, late = values(jax.random.normal(key, (1, 4, 8), "float32"), jnp.asarray([0.1, 0.11], "float32"))
    assert early.shape == (1, 4, 8) and early.dtype == "float32"
    assert jnp.abs(early - late).max() > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.names("operators"))
def test_all_operators(key, name):
    """Every registered operator, with its own sizes, is a velocity field of a batch, with a gradient."""
    network = NetworkConfig(name, width=8, depth=2, activation="gelu")
    model = operator_velocity(network, 1, 1, key=key)
    x, t = jax.random.normal(key, (2, 1, 64)), jnp.array([0.2, 0.8])

    @eqx.filter_jit
    @jax.value_and_grad
    def loss(x):
        return jnp.sum(jax.vmap(model)(x, t) ** 2)

    value, slope = loss(x)
    assert jnp.isfinite(value) and jnp.isfinite(slope).all() and jnp.abs(slope).max() > 0


def recipe(name, **network):
    return dataclasses.replace(
        RandomField1D().recipe(),
        network=NetworkConfig(name, activation="gelu", **network),
        data=DataConfig(train=64, test=32, resolution=16, batch=16),
        stages=(StageConfig("adam", steps=2, options={"learning_rate": 1e-3}),),
        precision="float64",
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dit", "unet"])
def test_solve(name):
    """`network.name` of a flow: a transformer or any operator, built for the family's axes."""
    options = {"dit": {"heads": 2, "patch": 4}, "unet": {"groups": 2}}[name]
    solution = solve(RandomField1D(), recipe(name, width=8, depth=1, options=options))
    assert solution.model is not None and np.isfinite(solution.dataset["u"]).all()


def test_messages(key):
    with pytest.raises(UnknownNameError, match=r"unknown velocity field 'unett'. Did you mean 'unet'"):
        build_velocity(recipe("unett"), 1)
    with pytest.raises(UnknownNameError, match=r"unknown option of operator 'fno' 'mode'. Did you mean 'modes'"):
        build_velocity(recipe("fno", options={"mode": 3}), 1)
    model = OperatorVelocity(lambda values: values[:1], 1, 2)
    with pytest.raises(PdesolveError, match=r"1 channels on a grid of 2 axes, got \(1, 16\)"):
        model(jnp.zeros((1, 16)), jnp.asarray(0.0))
