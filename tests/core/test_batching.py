"""Samples last: the same numbers as `jax.vmap`, another order in memory."""

import jax
import jax.numpy as jnp
import pytest

from pdesolve.batching import add_constant, batched_one, map_samples
from pdesolve.calculus.jets import derivatives
from pdesolve.nets import MLP, FourierFeatures, ModifiedMLP, PirateNet

POINTS = jax.random.uniform(jax.random.key(1), (7, 2))
KEYS = ((0, 0), (1, 0), (0, 1), (2, 0))


def jets(network):
    return lambda point: derivatives(network, point, KEYS)


@pytest.mark.parametrize("constructor", [MLP, FourierFeatures, ModifiedMLP, PirateNet])
def test_derivatives_are_those_of_vmap(constructor):
    """Values, derivatives, and gradients by parameters."""
    network = constructor(2, 1, width=8, depth=2, key=jax.random.key(0))

    def loss(network, mapped):
        return sum(jnp.sum(jnp.square(value)) for value in mapped(jets(network))(POINTS).values())

    for one, other in zip(
        jax.tree.leaves(jax.grad(loss, allow_int=True)(network, map_samples)),
        jax.tree.leaves(jax.grad(loss, allow_int=True)(network, jax.vmap)),
        strict=True,
    ):
        assert jnp.allclose(one, other, rtol=1e-10, atol=1e-12)
    expected = jax.vmap(jets(network))(POINTS)
    for key, value in map_samples(jets(network))(POINTS).items():
        assert jnp.allclose(value, expected[key], rtol=1e-12, atol=1e-14)


def shapes(mapped):
    network = MLP(2, 1, width=5, depth=3, key=jax.random.key(0))
    jaxpr = jax.make_jaxpr(mapped(jets(network)))(POINTS)
    return {eqn.outvars[0].aval.shape for eqn in jaxpr.eqns if eqn.primitive.name in ("tanh", "mul", "add")}


def test_samples_come_last_in_every_hidden_layer():
    """Elementwise work on 5 units and 7 points runs along the points; by `jax.vmap` it does not."""
    assert (5, 7) in shapes(map_samples)
    assert (7, 5) not in shapes(map_samples)
    assert (7, 5) in shapes(jax.vmap)


def test_outside_nothing_is_batched():
    """A single sample, or another map, sees an ordinary sum."""
    assert batched_one(jnp.float32) is None
    assert jnp.array_equal(add_constant(jnp.ones(3), jnp.arange(3.0)), jnp.array([1.0, 2.0, 3.0]))
    assert jax.vmap(lambda x: jnp.asarray(batched_one(x.dtype) is None))(POINTS).all()
