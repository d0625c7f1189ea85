"""Experts on devices of their own, tried on devices that `jax.vmap` plays, and what such meshes are refused for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from operators import FNO, PIHCMoE
from pdesolve.distributed import AXIS, EXPERT, check_experts, over_experts
from pdesolve.errors import PdesolveError

EXPERTS = 4


def loss(x):
    """Experts find (number * entry)^3; what follows takes all of their results, and x itself."""
    found = over_experts(jax.vmap(lambda number, entry: (number * entry) ** 3))(jnp.arange(1.0, 1 + EXPERTS), x)
    return jnp.sum(jnp.sin(found) * x[::-1])


@pytest.mark.parametrize("devices", [1, 2, 4])
def test_loss_and_gradient_over_devices(devices, key):
    """Each device has the whole loss; the mean of their gradients is the gradient, of which each has a part."""
    x = jax.random.uniform(key, (EXPERTS,))
    expected = jax.value_and_grad(loss)(x)
    each = jax.vmap(lambda _: jax.value_and_grad(loss)(x), axis_name=EXPERT)(jnp.arange(devices))
    np.testing.assert_allclose(each[0], np.full(devices, expected[0]), rtol=1e-14)
    np.testing.assert_allclose(jnp.mean(each[1], axis=0), expected[1], rtol=1e-12)
    assert devices == 1 or np.ptp(each[1], axis=0).min() > 1e-3


def test_device_solves_its_own_experts():
    """The function sees no more than these."""
    seen = []

    def spied(rows):
        seen.append(rows.shape[0])
        return rows

    everything = jax.vmap(lambda _: over_experts(spied)(jnp.arange(4.0)), axis_name=EXPERT)(jnp.arange(2))
    assert seen == [2]
    np.testing.assert_array_equal(everything, np.tile(np.arange(4.0), (2, 1)))


def test_bad_meshes(key):
    """An axis that the model does not know, or that does not divide its experts."""
    mesh = Mesh(np.array(jax.devices()[:1] * 3).reshape(1, 3), (AXIS, EXPERT))
    options = {"width": 2, "depth": 1, "modes": 1, "key": key}
    with pytest.raises(PdesolveError, match="has an axis 'expert', and what is trained has no experts"):
        check_experts(mesh, FNO(1, 1, **options))
    with pytest.raises(PdesolveError, match="'expert' must divide the number of experts, 4; got 3"):
        check_experts(mesh, (PIHCMoE(1, 1, basis=2, **options),))
    check_experts(mesh, PIHCMoE(1, 1, basis=2, experts=6, **options))
    check_experts(Mesh(np.array(jax.devices()[:1]), (AXIS,)), FNO(1, 1, **options))
