"""PI-HC-MoE: blocks of grids, experts that do not know each other, one expert, and routers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from operators import PDECL, PIHCMoE
from operators.experts import assemble, partition
from operators.pde_cl import expand
from pdesolve.errors import PdesolveError, UnknownNameError

from .equations import POINTS, Family, Line, LinearLine, Waves, given

EXPERTS = 4


@eqx.filter_jit
def weights_of(model, sample):
    return model.weights(sample)


@eqx.filter_jit
def answer_of(model, sample):
    return model(sample)


@eqx.filter_jit
def expansion_of(model, sample):
    return expand(model.system, sample, model.operator(sample)[:, None])


def mixture(system, experts=EXPERTS, **options):
    options = {"operator": Waves, "basis": 4, "ridge": 1e-4, "tolerance": 1e-11, "key": jax.random.key(3), **options}
    return PIHCMoE(2, 1, family=Family(system), experts=experts, **options)


@pytest.mark.parametrize("blocks", [(1, 1), (3, 1), (1, 4), (3, 4), (6, 2)])
def test_blocks_and_back(blocks):
    """Every split is undone; block (i, j) is the part of the grid that slices take; leading axes stay together."""
    v = jnp.arange(2 * 6 * 8.0).reshape(2, 6, 8)
    parts = partition(v, blocks)
    np.testing.assert_array_equal(assemble(parts, blocks), v)
    rows, columns = 6 // blocks[0], 8 // blocks[1]
    for k in range(blocks[0] * blocks[1]):
        i, j = divmod(k, blocks[1])
        expected = v[:, i * rows : (i + 1) * rows, j * columns : (j + 1) * columns]
        np.testing.assert_array_equal(parts[k], expected)


@pytest.mark.parametrize(
    "system", [Line(3), pytest.param(LinearLine(), marks=pytest.mark.slow)], ids=["nonlinear", "linear"]
)
def test_one_expert_is_the_single_solve(system):
    """Equal keys give equal answers to the last bit."""
    options = {"operator": Waves, "basis": 4, "ridge": 1e-4, "tolerance": 1e-11, "key": jax.random.key(3)}
    single = PDECL(2, 1, family=Family(system), **options)
    np.testing.assert_array_equal(answer_of(mixture(system, experts=1), given()), answer_of(single, given()))


def test_experts_solve_their_blocks():
    """Each block has the weights of a least-squares solve by NumPy with its rows only, and the conditions."""
    model, sample = mixture(LinearLine()), given()
    weights, left = weights_of(model, sample)
    assert weights.shape == (EXPERTS, 4) and float(left.max()) < 1e-10
    expansion = expansion_of(model, sample)
    size, (shift, matrix) = POINTS // EXPERTS, expansion.conditions
    for k in range(EXPERTS):
        part = slice(k * size, (k + 1) * size)
        u, u_xx = np.moveaxis(np.asarray(expansion.terms[1])[:, :, part], 1, 0)
        rows = np.concatenate([(u_xx - u) / np.sqrt(size), matrix, 1e-4 * np.eye(4)], axis=1).T
        right = np.concatenate([np.asarray(sample[0, part]) / np.sqrt(size), -shift, np.zeros(4)])
        np.testing.assert_allclose(weights[k], np.linalg.lstsq(rows, right, rcond=None)[0], rtol=1e-7)
    answer = answer_of(model, sample)[0].reshape(EXPERTS, size)
    functions = np.asarray(model.operator(sample)).reshape(4, EXPERTS, size)
    np.testing.assert_allclose(answer, np.einsum("kj,jks->ks", weights, functions), rtol=1e-10)


def test_experts_of_a_nonlinear_equation_end_at_stationary_points():
    assert float(weights_of(mixture(Line(3)), given())[1].max()) < 1e-9


def test_experts_are_independent():
    """Other terms in one block change its expert's weights, and of the others not a bit; so the answer."""
    model, sample = mixture(Line(3)), given()
    expansion = expansion_of(model, sample)
    size = POINTS // EXPERTS

    @eqx.filter_jit
    def solve(expansion):
        weights, _ = model.solved(expansion)
        return weights, model.assembled(expansion, weights)

    before, first = solve(expansion)
    for k in range(EXPERTS):
        part = slice(k * size, (k + 1) * size)
        other = eqx.tree_at(lambda e: e.terms[1], expansion, expansion.terms[1].at[:, :, part].multiply(1.3))
        after, then = solve(other)
        changed = ~np.all(np.asarray(before == after), axis=1)
        assert changed.tolist() == [i == k for i in range(EXPERTS)]
        difference = np.asarray(then != first)[0]
        assert difference[part].any() and not np.delete(difference, np.arange(POINTS)[part]).any()


def test_data_of_one_block_reach_its_expert_only():
    """The source given in one block: basis functions that do not see it leave the other experts as they were."""
    model, sample = mixture(Line(3)), given()
    model = eqx.tree_at(lambda m: m.operator.numbers, model, model.operator.numbers.at[2].set(0.0))
    before, after = (weights_of(model, s)[0] for s in (sample, sample.at[0, POINTS // 2].add(1.0)))
    assert (~np.all(np.asarray(before == after), axis=1)).tolist() == [False, False, True, False]


@pytest.mark.slow
def test_gradient_through_all_experts(key):
    """Against central differences along a direction, with the learned router too."""
    sample = given()
    for router in ("spatial", "learned"):
        model = mixture(Line(3), experts=2, router=router, width=3, activation="tanh")
        params, static = eqx.partition(model, eqx.is_inexact_array)

        @jax.jit
        def value(params, static=static):
            return jnp.sum(eqx.combine(params, static)(sample) ** 3)

        direction = jax.tree.map(lambda leaf: jax.random.normal(key, leaf.shape), params)
        gradient = jax.jit(jax.grad(value))(params)
        assert all(float(jnp.abs(leaf).max()) > 0 for leaf in jax.tree.leaves(gradient))
        found = sum(jnp.vdot(g, d) for g, d in zip(*map(jax.tree.leaves, (gradient, direction)), strict=True))
        ends = [value(jax.tree.map(lambda p, d, s=s: p + s * 1e-5 * d, params, direction)) for s in (1, -1)]
        np.testing.assert_allclose((ends[0] - ends[1]) / 2e-5, found, rtol=1e-5)


def test_learned_router():
    """Shares are positive and sum to one; at the start each expert has most of its own block's middle."""
    model, sample = mixture(LinearLine(), router="learned", width=4), given()
    gates = model.gates(sample)
    assert gates.shape == (EXPERTS, POINTS) and float(gates.min()) > 0
    np.testing.assert_allclose(jnp.sum(gates, axis=0), 1.0, rtol=1e-12)
    middles = POINTS // EXPERTS * np.arange(EXPERTS) + POINTS // EXPERTS // 2
    assert jnp.argmax(gates[:, middles], axis=0).tolist() == list(range(EXPERTS))
    weights, _ = weights_of(model, sample)
    expected = jnp.einsum("kx,kj,jx->x", gates, weights, model.operator(sample))
    np.testing.assert_allclose(answer_of(model, sample)[0], expected, rtol=1e-10)


@pytest.mark.slow
def test_shares_of_blocks_are_the_spatial_router():
    """A router whose shares are 1 in the block and 0 elsewhere gives the same weights."""
    model, sample = mixture(LinearLine()), given()
    expansion = expansion_of(model, sample)
    gates = jnp.repeat(jnp.eye(EXPERTS), POINTS // EXPERTS, axis=1)
    np.testing.assert_allclose(*(eqx.filter_jit(model.solved)(expansion, g)[0] for g in (gates, None)), rtol=1e-8)


@pytest.mark.slow
def test_batches(key):
    """vmap equals a loop, though the searches of a batch end together."""
    model, samples = mixture(Line(3)), jnp.stack([given(1), given(2)])
    found = eqx.filter_jit(lambda m, s: jax.vmap(m)(s))(model, samples)
    np.testing.assert_allclose(found, jnp.stack([answer_of(model, s) for s in samples]), rtol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("operator", ["fno", "deeponet", "dymixop"])
def test_on_top_of_any_operator(operator):
    options = {"width": 4, "depth": 1, "basis": 3, "activation": "gelu"}
    model = mixture(LinearLine(), experts=2, operator=operator, **options)
    assert type(model.operator).__name__.lower() == operator
    answer = answer_of(model, given())
    assert answer.shape == (1, POINTS) and bool(jnp.isfinite(answer).all())


def test_bad_input(key):
    with pytest.raises(UnknownNameError, match=r"unknown router 'learnt'\. Did you mean 'learned'"):
        PIHCMoE(2, 1, operator=Waves, router="learnt", key=key)
    with pytest.raises(PdesolveError, match="`experts` must be one number or 1, one for each axis"):
        PIHCMoE(2, 1, operator=Waves, experts=(2, 2), key=key)
    with pytest.raises(PdesolveError, match="`experts` must be at least 1, got 0"):
        PIHCMoE(2, 1, operator=Waves, experts=0, key=key)
    with pytest.raises(PdesolveError, match=r"blocks need points that are multiples of \(5,\).*got \(24,\)"):
        mixture(LinearLine(), experts=5)(given())
