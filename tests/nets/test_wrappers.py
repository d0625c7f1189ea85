"""Periodic embedding and scaling, around any network."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.geometry import Box
from pdesolve.nets import MLP, PeriodicEmbedding, PirateNet, ScaledNetwork


@pytest.mark.parametrize("network, harmonics", [(MLP, 1), (MLP, 3), (PirateNet, 1)])
def test_periodic_with_all_derivatives(network, harmonics, key):
    """N(x + P, t) = N(x, t), with first and second derivatives; not so in t. To round-off of cos and sin."""
    net = PeriodicEmbedding(
        lambda n: network(n, 2, width=6, depth=2, key=key),
        coordinates=("x", "t"),
        periods={"x": 1.5},
        harmonics=harmonics,
    )
    assert (net.in_size, net.out_size) == (2, 2) and net.network.in_size == 2 * harmonics + 1
    point, shift = jnp.array([0.2, 0.3]), jnp.array([1.5, 0.0])
    jet = jax.jit(lambda at: (net(at), jax.jacfwd(net)(at), jax.hessian(net)(at)))
    for here, there in zip(jet(point), jet(point + shift), strict=True):
        # Relative to the largest entry: a derivative of order k multiplies the round-off by (2 pi k / P)^k.
        np.testing.assert_allclose(there, here, atol=1e-12 * float(jnp.abs(here).max()))
    assert jnp.abs(net(point + shift[::-1]) - net(point)).max() > 1e-3
    assert jnp.abs(net(point + shift / 2) - net(point)).max() > 1e-3


def test_harmonics(key):
    """Features are cos(2 pi k x / P), sin(2 pi k x / P) for each k, and the other coordinates as they are."""
    embedding = PeriodicEmbedding(
        lambda n: MLP(n, 1, width=6, key=key), coordinates=("x", "y", "t"), periods={"x": 2.0, "y": 3.0}, harmonics=2
    )
    seen = eqx.tree_at(lambda net: net.network, embedding, _Identity(9, 9))
    x, y, t = 0.4, 0.7, 0.9
    angles = [2 * np.pi * k * value / period for value, period in ((x, 2), (y, 3)) for k in (1, 2)]
    expected = [f(angle) for angle in angles for f in (np.cos, np.sin)] + [t]
    np.testing.assert_allclose(seen(jnp.array([x, y, t])), expected, rtol=1e-14)


class _Identity(eqx.Module):
    in_size: int = eqx.field(static=True)
    out_size: int = eqx.field(static=True)

    def __call__(self, point):
        return point


def test_scaling(key):
    """The network sees -1 and 1 at the ends of the box, 0 in the middle; values are scaled and shifted."""
    box = Box({"x": (10, 30), "t": (0, 0.5)})
    net = ScaledNetwork(_Identity(2, 2), box.bounds, scale=(5.0, 2.0), shift=(100.0, 0.0))
    np.testing.assert_array_equal(net(jnp.array([10.0, 0.5])), [95, 2])
    np.testing.assert_array_equal(net(jnp.array([20.0, 0.25])), [100, 0])
    np.testing.assert_array_equal(net(jnp.array([30.0, 0.0])), [105, -2])
    mlp = MLP(2, 1, width=6, key=key)
    plain = ScaledNetwork(mlp, [(-1, 1), (-1, 1)])
    np.testing.assert_allclose(plain(jnp.array([0.3, -0.4])), mlp(jnp.array([0.3, -0.4])), atol=1e-15)


def test_scaling_is_not_trained_and_keeps_the_type(key):
    """The leaves are those of the network; float32 in, float32 out."""
    mlp = MLP(1, 1, width=6, dtype=jnp.float32, key=key)
    net = ScaledNetwork(mlp, [(0, 2)], scale=(3.0,))
    assert len(jax.tree.leaves(net)) == len(jax.tree.leaves(mlp))
    assert net(jnp.zeros(1, jnp.float32)).dtype == jnp.float32


def test_scaling_around_periodic(key):
    """In scaled coordinates a whole side has length 2: period 2 there is the side of the box outside."""
    periodic = PeriodicEmbedding(lambda n: MLP(n, 1, width=6, key=key), coordinates=("x", "t"), periods={"x": 2.0})
    net = ScaledNetwork(periodic, [(3.0, 7.5), (0.0, 1.0)])
    left, right = jnp.array([3.0, 0.2]), jnp.array([7.5, 0.2])
    np.testing.assert_allclose(net(left), net(right), atol=1e-14)
    np.testing.assert_allclose(jax.jacfwd(net)(left), jax.jacfwd(net)(right), atol=1e-14)


def test_errors(key):
    """Each says what was given and what is accepted."""
    make = lambda n: MLP(n, 2, width=6, key=key)  # noqa: E731
    with pytest.raises(UnknownNameError, match="unknown coordinate 'z'"):
        PeriodicEmbedding(make, coordinates=("x", "t"), periods={"z": 1.0})
    with pytest.raises(PdesolveError, match="period of 'x' must be positive and finite, got 0"):
        PeriodicEmbedding(make, coordinates=("x", "t"), periods={"x": 0.0})
    with pytest.raises(PdesolveError, match="at least one coordinate"):
        PeriodicEmbedding(make, coordinates=("x", "t"), periods={})
    with pytest.raises(PdesolveError, match="`harmonics` must be at least 1"):
        PeriodicEmbedding(make, coordinates=("x", "t"), periods={"x": 1.0}, harmonics=0)
    with pytest.raises(PdesolveError, match="expected 2 bounds, one for each entry of a point; got 1"):
        ScaledNetwork(make(2), [(0, 1)])
    with pytest.raises(PdesolveError, match="expected `scale` of 2 numbers, one for each value; got 1"):
        ScaledNetwork(make(1), [(0, 1)], scale=(1.0,))
    with pytest.raises(PdesolveError, match="low < high, got"):
        ScaledNetwork(make(1), [(1, 0)])
    with pytest.raises(PdesolveError, match="`scale` must be positive and finite"):
        ScaledNetwork(make(1), [(0, 1)], scale=(1.0, 0.0))
