"""M-ConFIG and MultiAdam: trajectories of their authors' programs, special cases, invariances."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pdesolve.errors import PdesolveError
from pdesolve.fit import Stage, fit
from pdesolve.objective import Objective, PointwiseBlock, Term
from pdesolve.optim import FirstOrder, MomentumConFIG, MultiAdam
from pdesolve.samplers import FixedSamples

ORACLES = dict(np.load(Path(__file__).parents[1] / "data/multi_loss.npz"))


def gradients(a, c, x):
    """Of the losses (x - c_i) A_i (x - c_i) / 2."""
    return jnp.einsum("mij,mj->mi", a, x[None] - c)


def descend(rule, a, c, x, rate, steps=20, index=None):
    """Return the parameters of plain descent along a rule's updates."""
    state, path = rule.init(x, len(a)), [x]
    step = jax.jit(lambda x, state, fresh: rule.combine(gradients(a, c, x), state, fresh=fresh)[:2])
    for k in range(steps):
        fresh = jnp.ones(len(a), bool) if index is None or index[k] < 0 else jnp.arange(len(a)) == index[k]
        update, state = step(x, state, fresh)
        x = x - rate * update
        path.append(x)
    return np.stack(path)


@pytest.mark.parametrize("group", ["mconfig_m1", "mconfig_m2", "mconfig_m3", "mconfig_m5", "mconfig_m3_all"])
def test_momentum_config_follows_its_authors(group):
    """Twenty steps, one term renewed at each or all of them, to 1e-10 of the parameters' size."""
    a, c, x, index, rate = (jnp.asarray(ORACLES[f"{group}__{name}"]) for name in ("A", "c", "x0", "index", "lr"))
    path = descend(MomentumConFIG(), a, c, x, float(rate), index=np.asarray(index))
    np.testing.assert_allclose(path, ORACLES[f"{group}__params"], rtol=0, atol=1e-10 * np.abs(x).max())


CASES = {
    "multiadam_m2": {},
    "multiadam_m2_scaled": {},
    "multiadam_m2_biglr": {},
    "multiadam_m2_amsgrad": {"amsgrad": True},
    "multiadam_m3_weighted": {"weights": (0.5, 0.3, 0.2)},
    "multiadam_m3_two_groups": {"groups": (0, 1, 1)},
    "multiadam_one_group": {"groups": (0, 0)},
}


@pytest.mark.parametrize("group", CASES)
def test_multiadam_follows_its_authors(group):
    """Twenty steps with groups, weights and the running maximum, to 1e-10."""
    a, c, x, hyper = (jnp.asarray(ORACLES[f"{group}__{name}"]) for name in ("A", "c", "x0", "hyper"))
    path = descend(MultiAdam(**CASES[group]), a, c, x, float(hyper[0]))
    np.testing.assert_allclose(path, ORACLES[f"{group}__params"], rtol=0, atol=1e-10 * np.abs(x).max())


@pytest.mark.parametrize(("rule", "betas"), [(MomentumConFIG(), (0.9, 0.999)), (MultiAdam(), (0.99, 0.99))])
def test_one_term_is_adam(rule, betas):
    """To rounding, against optax."""
    a, c, x = jnp.diag(jnp.array([1.0, 5.0, 0.1]))[None], jnp.ones((1, 3)), jnp.array([2.0, -1.0, 0.5])
    path = descend(rule, a, c, x, 1e-2)
    adam = optax.adam(1e-2, *betas)
    state = adam.init(x)
    for point in path:
        np.testing.assert_allclose(x, point, rtol=1e-12)
        update, state = adam.update(gradients(a, c, x)[0], state)
        x = optax.apply_updates(x, update)


def test_scales_of_single_losses_do_not_matter_where_it_is_claimed():
    """MultiAdam: factors of 1e4 and 1e-3 change nothing but what eps does. M-ConFIG: so with geometric lengths."""
    a, c, x = (jnp.asarray(ORACLES[f"mconfig_m3__{name}"]) for name in ("A", "c", "x0"))
    scaled = jnp.array([1e4, 1e-3, 10.0])[:, None, None] * a
    for rule, tolerance in ((MultiAdam(eps=1e-16), 1e-9), (MomentumConFIG(length="geometric", eps=1e-16), 1e-7)):
        np.testing.assert_allclose(descend(rule, scaled, c, x, 1e-2), descend(rule, a, c, x, 1e-2), atol=tolerance)
    moved = descend(MomentumConFIG(), scaled, c, x, 1e-2) - descend(MomentumConFIG(), a, c, x, 1e-2)
    assert np.abs(moved).max() > 1e-3


def test_nothing_moves_before_every_term_was_seen():
    """Two zero updates for three terms in turn, then a step of one in every coordinate."""
    a, c, x = (jnp.asarray(ORACLES[f"mconfig_m3__{name}"]) for name in ("A", "c", "x0"))
    path = descend(MomentumConFIG(), a, c, x, 1.0, steps=3, index=[0, 1, 2])
    np.testing.assert_array_equal(path[2], path[0])
    np.testing.assert_allclose(np.abs(path[3] - path[2]), 1.0, rtol=1e-6)


@pytest.mark.parametrize("rule", [MomentumConFIG(), MultiAdam()])
def test_a_gradient_that_is_not_finite_enters_no_average(rule):
    """The state after it is as good as before; it is counted."""
    g = jnp.asarray(ORACLES["m3_n10_random__G"])
    _, state, _ = rule.combine(g, rule.init(g[0], 3))
    update, after, metrics = rule.combine(g.at[1, 2].set(jnp.nan), state)
    assert metrics["non_finite_terms"] == 1 and np.isfinite(update).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after))
    np.testing.assert_array_equal(jax.tree.leaves(after)[0][1], jax.tree.leaves(state)[0][1])


def test_turns_run_one_backward_pass(monkeypatch):
    """In training, three terms in turn: what a step computes is the gradient of one, and the losses of all."""

    def residual(params, sample, key, context):
        x = params - sample["c"]
        return {"a": x[:1], "b": 10.0 * x[1:2], "c": x[2:] + 0.1 * x[0]}

    samples = FixedSamples({"c": jnp.ones((4, 3))})
    objective = Objective((PointwiseBlock(residual, samples, (Term("a"), Term("b"), Term("c"))),))
    method = FirstOrder(optax.sgd(1e-2), MomentumConFIG(turns=1))
    result = fit([Stage(objective, method, steps=300, chunk=50)], jnp.zeros(3))
    assert result.status == "completed"
    np.testing.assert_allclose(result.trainables, 1.0, atol=0.05)
    slow = fit([Stage(objective, method, steps=2, chunk=1)], jnp.zeros(3))
    np.testing.assert_array_equal(slow.trainables, 0.0)


def test_errors():
    with pytest.raises(PdesolveError, match="`turns` must be at least 1"):
        MomentumConFIG(turns=0)
    with pytest.raises(PdesolveError, match="must be at least 0 and below 1"):
        MultiAdam(beta1=1.0)
    with pytest.raises(PdesolveError, match="without a gap"):
        MultiAdam(groups=(0, 2))
    with pytest.raises(PdesolveError, match="`groups` has 2 entries for 3 terms"):
        MultiAdam(groups=(0, 1)).init(jnp.zeros(2), 3)
    with pytest.raises(PdesolveError, match="use `init` and `combine`, or `transformation`"):
        MultiAdam()(jnp.ones((2, 3)))
