"""Objectives that are not plain least squares, each built in a few lines and trained for ten steps.

They are the test of the interface: none of them may need a change in the training loop or in an optimiser.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pdesolve.fit import Stage, fit
from pdesolve.nets import MLP
from pdesolve.objective import BatchBlock, Density, Objective, PointwiseBlock, Rows, Term
from pdesolve.optim import FirstOrder, LevenbergMarquardt, Mean
from pdesolve.rows import AbstractRowRule, CausalWeights, ResidualAttention
from pdesolve.samplers import AdaptivePoints, DataBatches, FixedSamples, FreshSamples

LINE = jnp.linspace(0.0, 1.0, 33)[:, None]
MIDPOINTS = (jnp.arange(64.0)[:, None] + 0.5) / 64  # equal weights are a rule of second order there
ADAM = FirstOrder(optax.adam(1e-3))


def network(key, inputs=1, outputs=1):
    return MLP(inputs, outputs, width=8, depth=2, key=key)


def train(objective, trainables, optimiser=ADAM, **stage):
    """Take ten steps, all of them, to a finite loss; return the first loss and the result."""
    result = fit([Stage(objective, optimiser, steps=10, chunk=5, **stage)], trainables)
    assert result.status in ("completed", "stalled") and result.steps == (10,)
    first = fit([Stage(objective, optimiser, steps=1, chunk=5, **stage)], trainables).history[0]["loss"]
    assert np.isfinite(result.history[-1]["loss"])
    return first, result


def test_deep_ritz_energy(key):
    """-u'' = 1, u(0) = u(1) = 0: z = (u, u'), density |u'|^2/2 - u, curvature diag(0, 1); minimum -1/24."""

    def residual(model, x, key, context):
        u, slope = jax.jvp(lambda x: x[0] * (1 - x[0]) * model(x)[0], (x,), (jnp.ones(1),))
        return {"energy": jnp.stack([u, slope])}

    outer = Density(lambda z: 0.5 * z[1] ** 2 - z[0], lambda z: jnp.array([[0.0, 1.0]]))
    term = Term("energy", outer=outer)
    objective = Objective((PointwiseBlock(residual, FixedSamples(MIDPOINTS), (term,)),))
    for optimiser in (ADAM, LevenbergMarquardt()):
        first, result = train(objective, network(key), optimiser)
        assert result.history[-1]["loss"] < first
    assert abs(result.history[-1]["loss"] + 1 / 24) < 1e-3


def test_material_tangent_as_curvature(key):
    """VPIONet's form: z = strain, density psi(strain) = strain^2/2 + strain^4/4, H = 1 + 3 strain^2 the tangent."""

    def residual(model, x, key, context):
        strain = jax.jvp(lambda x: x[0] + x[0] * (1 - x[0]) * model(x)[0], (x,), (jnp.ones(1),))[1]
        return {"strain": strain}

    outer = Density(lambda z: jnp.sum(z**2 / 2 + z**4 / 4), lambda z: jnp.sqrt(1 + 3 * z**2)[:, None] * jnp.eye(1))
    objective = Objective((PointwiseBlock(residual, FixedSamples(MIDPOINTS), (Term("strain", outer=outer),)),))
    first, result = train(objective, network(key), LevenbergMarquardt())
    assert result.history[-1]["loss"] < first
    assert abs(result.history[-1]["loss"] - 0.75) < 5e-3  # the stretch is uniform: strain 1, energy 1/2 + 1/4


def test_variational_rows(key):
    """VPINN: one row for each test function sin(k pi x), -u'' = pi^2 sin(pi x); a sample is k with its nodes."""
    nodes, weights = np.polynomial.legendre.leggauss(16)
    nodes, weights = jnp.asarray((nodes + 1) / 2), jnp.asarray(weights / 2)

    def residual(model, k, key, context):
        def u(x):
            return x * (1 - x) * model(x[None])[0]

        slopes = jax.vmap(jax.grad(u))(nodes)
        tests, derivatives = jnp.sin(k * jnp.pi * nodes), k * jnp.pi * jnp.cos(k * jnp.pi * nodes)
        return {"weak": weights @ (slopes * derivatives - jnp.pi**2 * jnp.sin(jnp.pi * nodes) * tests)}

    objective = Objective((PointwiseBlock(residual, FixedSamples(jnp.arange(1.0, 6.0)), (Term("weak"),)),))
    first, result = train(objective, network(key), LevenbergMarquardt())
    assert result.history[-1]["loss"] < 1e-3 * first


def test_projected_residual(key):
    """EquiNO's form: z = (I - Phi Phi^T) s, a residual after projection off given modes, several components a row."""
    modes = jnp.linalg.qr(jax.random.normal(key, (6, 2)))[0]
    strains = jax.random.normal(key, (12, 3))

    def residual(model, strain, key, context):
        stress = model(strain)
        return {"equilibrium": stress - modes @ (modes.T @ stress), "size": jnp.sum(stress**2) - 1.0}

    terms = (Term("equilibrium"), Term("size", weight=0.1))
    objective = Objective((PointwiseBlock(residual, FixedSamples(strains), terms),))
    first, result = train(objective, network(key, 3, 6), LevenbergMarquardt())
    assert result.history[-1]["loss"] < 0.1 * first


def test_action_matching(key):
    """z = (ds/dt, ds/dx) with density ds/dt + |ds/dx|^2/2, and linear end terms s(0) - s(1): three samplers.

    For data that move at unit speed, x = x0 + t, the best action is s = x - t/2 with value -1/2.
    """

    def draw(key):
        start, time = jax.random.split(key)
        t = jax.random.uniform(time, (64, 1))
        return jnp.concatenate([0.1 * jax.random.normal(start, (64, 1)) + t, t], axis=1)

    def inside(model, sample, key, context):
        ones = jnp.eye(2)
        return {"inside": jnp.stack([jax.jvp(lambda s: model(s)[0], (sample,), (d,))[1] for d in ones])}

    def end(name, sign):
        return lambda model, sample, key, context: {name: sign * model(sample)[0]}

    linear = Density(jnp.sum, lambda z: jnp.zeros((1, 1)))
    inner = Density(lambda z: z[1] + 0.5 * z[0] ** 2, lambda z: jnp.array([[1.0, 0.0]]))
    starts = jnp.stack([jnp.linspace(-0.2, 0.2, 16), jnp.zeros(16)], axis=1)
    blocks = (
        PointwiseBlock(inside, FreshSamples(draw, 64), (Term("inside", outer=inner),)),
        PointwiseBlock(end("start", 1.0), FixedSamples(starts), (Term("start", outer=linear),)),
        PointwiseBlock(end("end", -1.0), FixedSamples(starts + 1.0), (Term("end", outer=linear),)),
    )
    _, result = train(Objective(blocks), network(key, 2), LevenbergMarquardt(damping=1e-2))
    assert result.history[-1]["loss"] < -0.3


def test_pushforward_stops_the_gradient(key):
    """Pushforward: the first application of the model is input noise, not a path for the gradient."""
    fields = jax.random.normal(key, (8, 4))

    def objective(stop):
        def residual(model, field, key, context):
            pushed = field
            for _ in range(context.settings["unroll"] - 1):
                pushed = stop(model(pushed))
            return {"rollout": model(pushed) - 0.5 * field}

        return Objective((PointwiseBlock(residual, FixedSamples(fields), (Term("rollout"),)),))

    model = network(key, 4, 4)
    stopped = train(objective(jax.lax.stop_gradient), model, settings={"unroll": 2})[1]
    through = train(objective(lambda x: x), model, settings={"unroll": 2})[1]
    assert stopped.history[-1]["gradient_norm"] != through.history[-1]["gradient_norm"]


def test_two_terms_of_one_forward_pass(key):
    """PBFM's form: flow and physics terms of one block; one forward pass in the program, a pullback for each term."""
    calls = []

    def residual(model, sample, key, context):
        calls.append(1)
        prediction = model(sample["x"])
        return {"flow": prediction - sample["target"], "physics": prediction[1:] - prediction[:-1]}

    data = {"x": jax.random.normal(key, (16, 3)), "target": jnp.zeros((16, 3))}

    def prepare(key, sample):
        return sample | {"x": sample["x"] + 0.1 * jax.random.normal(key, (3,))}

    sampler = DataBatches(data, 8, prepare)
    objective = Objective((PointwiseBlock(residual, sampler, (Term("flow"), Term("physics"))),))
    combine = FirstOrder(optax.adam(1e-2), combine=Mean())
    first, result = train(objective, network(key, 3, 3), combine)
    assert result.history[-1]["loss"] < first
    assert len(calls) <= 2 * 4  # traced once or twice for each of the two fits' programs, not once for each term


def test_adversarial_weights_ascend(key):
    """Self-adaptive weights: descend in the model, ascend in the weights, in one stage."""

    def residual(trainables, sample, key, context):
        x, index = sample
        misfit = trainables["model"](x)[0] - jnp.sin(3 * x[0])
        return {"data": jax.nn.softplus(trainables["weights"][index]) * misfit}

    objective = Objective((PointwiseBlock(residual, FixedSamples((LINE, jnp.arange(33))), (Term("data"),)),))
    start = {"model": network(key), "weights": jnp.zeros(33)}
    result = train(objective, start, FirstOrder(optax.adam(1e-2), ascend={"model": False, "weights": True}))[1]
    assert jnp.all(result.trainables["weights"] >= start["weights"])


def test_layer_state_is_carried(key):
    """A running mean inside a batch block is layer state: it comes back through aux and lives in the checkpoint."""

    def evaluate(model, samples, key, context):
        values = jax.vmap(model)(samples)[:, 0]
        mean = 0.9 * context.layer_state + 0.1 * jnp.mean(samples)
        return {"data": values - mean}, {"layer_state": mean, "metrics": {"mean": mean}}

    objective = Objective((BatchBlock(evaluate, FixedSamples(LINE), (Term("data"),)),))
    result = fit([Stage(objective, ADAM, steps=10, chunk=5)], network(key), layer_state=jnp.asarray(0.0))
    assert abs(result.history[-1]["mean"] - 0.5 * (1 - 0.9**10)) < 1e-12


def test_batch_jacobian_equals_pointwise(key):
    """A batch block's Gauss-Newton step equals that of the same residual written pointwise."""

    def pointwise(model, x, key, context):
        return {"data": model(x)[0] - jnp.sin(2 * x[0])}

    def batch(model, samples, key, context):
        return {"data": jax.vmap(lambda x: pointwise(model, x, None, None)["data"])(samples)}, {}

    sampler = FixedSamples(LINE)
    results = [
        fit([Stage(Objective((block,)), LevenbergMarquardt(), steps=2, chunk=2)], network(key)).trainables
        for block in (PointwiseBlock(pointwise, sampler, (Term("data"),)), BatchBlock(batch, sampler, (Term("data"),)))
    ]
    for a, b in zip(*[jax.tree.leaves(eqx.filter(r, eqx.is_array)) for r in results], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


class Multipliers(AbstractRowRule):
    """Method of multipliers on rows: shift accumulates the residual, for the test of shifts and of carried state."""

    def init(self, batch):
        return jnp.zeros(batch.ids.shape)

    def update(self, state, z, batch):
        return None, state, state + z

    def refresh(self, state, old, new):
        from pdesolve.samplers import carry

        return carry(state, old, new, default=jnp.asarray(0.0))


@pytest.mark.parametrize("rule", [CausalWeights(0.0, 1.0), ResidualAttention(), Multipliers()])
def test_row_rules_survive_adaptive_points(rule, key):
    """Weights and shifts live on rows, outside differentiation, and are carried when points are redrawn."""

    def residual(model, x, key, context):
        return {"data": model(x)[0] - jnp.sin(3 * x[0])}

    sampler = AdaptivePoints(lambda n, seed: np.random.default_rng(seed).uniform(0, 1, (n, 1)), 32, "rar_d")
    objective = Objective((PointwiseBlock(residual, sampler, (Term("data", row_rule=rule),)),))
    for optimiser in (ADAM, LevenbergMarquardt()):
        train(objective, network(key), optimiser)


def test_shift_moves_the_minimum():
    """With shift s, half the mean of |z + s|^2 is least at z = -s: one undamped Gauss-Newton step on a linear row."""
    from pdesolve.objective import Context, Evaluation

    block = PointwiseBlock(
        lambda a, x, key, context: {"data": a * x[0]}, FixedSamples(jnp.ones((4, 1))), (Term("data"),)
    )
    batches = (block.sampler.draw((), jax.random.key(0), jnp.asarray(0)),)
    context = Context(jnp.asarray(0), jnp.asarray(0.0))
    rows = {"data": Rows(weights=jnp.array([1.0, 1.0, 2.0, 0.0]), shift=jnp.full(4, -3.0))}
    evaluation = Evaluation(Objective((block,)), batches, rows, jax.random.key(0), context, None)
    model = evaluation.gauss_newton(jnp.asarray(0.0))
    np.testing.assert_allclose(-model.gradient / model.gram()[0], 3.0, rtol=1e-12)
    np.testing.assert_allclose(model.loss, 0.5 * np.mean([1, 1, 2, 0]) * 9, rtol=1e-12)
