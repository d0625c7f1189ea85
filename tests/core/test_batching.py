"""Samples last: the same numbers as `jax.vmap`, another order in memory."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from pdesolve import batching
from pdesolve.batching import add_constant, batched_one, map_samples
from pdesolve.calculus.jets import derivatives
from pdesolve.nets import MLP, FourierFeatures, ModifiedMLP, PirateNet, Separable
from pdesolve.objective import Context, Evaluation, Objective, PointwiseBlock, Rows, Term
from pdesolve.samplers import FixedSamples

POINTS = jax.random.uniform(jax.random.key(1), (7, 2))
KEYS = ((0, 0), (1, 0), (0, 1), (2, 0))


def jets(network):
    return lambda point: derivatives(network, point, KEYS)


@pytest.mark.parametrize("constructor", [MLP, FourierFeatures, ModifiedMLP, PirateNet, Separable])
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


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("points", [700, 768, 100])
def test_gradients_in_pieces(monkeypatch, points, weighted):
    """Pieces of 256 points, the last one filled up: losses and gradients are those of all points at once.

    Randomness belongs to the sample, so that it does not depend on the pieces either.
    """
    x = jax.random.normal(jax.random.key(1), (points, 2))

    def residual(network, point, key, context):
        u = network(point)[0]
        return {"one": u * jax.random.uniform(key), "two": jnp.stack([u**2, point[0] - u])}

    terms = (Term("one", weight=2.0), Term("two"))
    objective = Objective((PointwiseBlock(residual, FixedSamples(x), terms),))
    rows = {"one": Rows(jnp.linspace(0, 3, points), jnp.linspace(-1, 1, points))} if weighted else {}
    params, frozen = eqx.partition(MLP(2, 1, width=8, depth=2, key=jax.random.key(0)), eqx.is_inexact_array)
    batch = FixedSamples(x).draw((), jax.random.key(0), jnp.asarray(0))
    context = Context(step=jnp.asarray(0), progress=jnp.asarray(0.0))
    evaluation = Evaluation(objective, (batch,), rows, jax.random.key(3), context, frozen)
    (loss, (losses, _)), gradient = jax.value_and_grad(evaluation.loss, has_aux=True)(params)
    _, separate, _ = evaluation.term_gradients(params)
    monkeypatch.setattr(batching, "CACHED", 1)  # as small as pieces become
    assert objective.blocks[0].piece(eqx.combine(params, frozen), x, jax.random.key(0), context) == 256
    (pieced, (parts, _)), pieced_gradient = evaluation.value_and_gradient(params)
    _, pieced_separate, _ = evaluation.term_gradients(params)
    for expected, given in (
        (loss, pieced),
        (losses, parts),
        (gradient, pieced_gradient),
        (separate, pieced_separate),
    ):
        for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(given), strict=True):
            assert jnp.allclose(one, other, rtol=1e-10, atol=1e-13)


def test_pieces_are_smaller_for_larger_networks():
    """The number of samples follows from the values that the residual computes, inner functions included."""
    small, large = (MLP(2, 1, width=w, depth=3, key=jax.random.key(0)) for w in (100, 400))
    sizes = [batching.cached_samples(jax.jit(jets(network)), POINTS[0]) for network in (small, large)]
    assert 3 < sizes[0] / sizes[1] < 5
