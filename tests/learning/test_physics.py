"""Physics as terms of the objective: residuals that vanish on solutions, blocks that leave data alone, trunks."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from operators import DeepONet
from pdesolve import solve
from pdesolve.config import DataConfig, NetworkConfig, StageConfig
from pdesolve.data import ChannelNormaliser
from pdesolve.data_family import data_family
from pdesolve.errors import PdesolveError
from pdesolve.learning import LearnedOperator, draw_splits
from pdesolve.learning.model import apply
from pdesolve.learning.physics import Residuals, adapt, physics_terms
from pdesolve.learning.samples import Generated
from pdesolve.learning.training import prepare
from pdesolve.learning.trunk import TrunkResiduals
from pdesolve.operator_learning import OperatorLearning
from problems import BurgersTrajectories, Darcy2D
from problems.darcy_2d import _solve

from .families import Integral, integral_file

NETWORK = NetworkConfig("fno", 4, 1, "gelu", {"modes": 5, "positions": False, "lifting": 0, "projection": 0})


def recipe(steps=20, optimiser="adam", weights=None, combine=None, data=None, **options):
    given = {"learning_rate": 2e-2} if optimiser == "adam" else {}
    stages = (StageConfig(optimiser, steps=steps, options=given, combine=combine),)
    base = dataclasses.replace(
        Integral().recipe(), network=NETWORK, method_options=options, stages=stages, weights=weights or {}
    )
    return base if data is None else dataclasses.replace(base, data=data)


def blocks(family, given, samples=None):
    """Return the blocks of the objective of a recipe."""
    method = OperatorLearning(**given.method_options)
    samples = samples or Generated(family.generate(given.data.train, given.data.resolution, 0))
    return method.stages(family, given, prepare(samples, given.data), samples)[0].objective.blocks


# Residuals of the families


def test_darcy_flux_residual_is_that_of_the_solver():
    """The grid's own solution has no residual, though the coefficient jumps; that of another coefficient has."""
    family = Darcy2D()
    a = np.random.default_rng(0).choice([3.0, 12.0], (17, 17))
    coordinates = {"x": np.linspace(0, 1, 17), "y": np.linspace(0, 1, 17)}
    u = jnp.asarray(_solve(a))[None]
    found = family.residuals(jnp.asarray(a)[None], u, coordinates, "flux")
    assert found["equation"].shape == (15, 15) and found["boundary"].shape == (64,)
    np.testing.assert_allclose(found["equation"], 0, atol=1e-9)
    np.testing.assert_array_equal(found["boundary"], 0)
    central = family.residuals(jnp.asarray(a)[None], u, coordinates, "central")["equation"]
    assert central.shape == (13, 13) and jnp.abs(central).max() > 1


def test_published_darcy_residual_does_not_see_checkerboards():
    """The central form misses an oscillation from point to point, which the form of fluxes sees."""
    n = 17
    coordinates = {"x": np.linspace(0, 1, n), "y": np.linspace(0, 1, n)}
    a = jnp.full((1, n, n), 5.0)
    u = jnp.asarray(_solve(np.full((n, n), 5.0)))[None]
    board = 0.01 * (-1.0) ** np.add.outer(np.arange(n), np.arange(n))[None]
    change = {
        form: jnp.abs(
            Darcy2D().residuals(a, u + board, coordinates, form)["equation"]
            - Darcy2D().residuals(a, u, coordinates, form)["equation"]
        ).max()
        for form in ("flux", "central")
    }
    assert change["central"] < 1e-9 and change["flux"] > 10


@pytest.mark.slow
def test_darcy_residuals_converge_for_smooth_coefficients():
    """a = 1 + x y, u = sin(pi x) sin(pi y): both forms approach -div(a grad u) - 1 at second order."""
    for form, cut in (("flux", 1), ("central", 2)):
        errors = []
        for n in (17, 33, 65):
            x, y = np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, n), indexing="ij")
            a, u = 1 + x * y, np.sin(np.pi * x) * np.sin(np.pi * y)
            flow = y * np.pi * np.cos(np.pi * x) * np.sin(np.pi * y) + x * np.pi * np.sin(np.pi * x) * np.cos(np.pi * y)
            expected = 2 * np.pi**2 * a * u - flow - 1
            coordinates = {"x": x[:, 0], "y": y[0]}
            found = Darcy2D().residuals(jnp.asarray(a)[None], jnp.asarray(u)[None], coordinates, form)["equation"]
            errors.append(np.abs(found - expected[cut:-cut, cut:-cut]).max())
        assert errors[2] < 0.05 and 3.3 < errors[0] / errors[1] and 3.5 < errors[1] / errors[2] < 4.5


def test_darcy_inputs_are_those_of_the_samples():
    """Drawn without solving, the coefficients are the same to the last bit, on a finer grid too."""
    family = Darcy2D()
    drawn, made = family.draw_inputs(2, 21, seed=4), family.generate(2, 21, seed=4)
    np.testing.assert_array_equal(drawn.inputs, made.inputs)
    np.testing.assert_array_equal(family.draw_inputs(2, 41, seed=4).inputs[..., ::2, ::2], made.inputs)
    assert drawn.outputs.shape == (2, 0, 21, 21)


# The objective


def test_data_and_residuals_share_one_pass_on_one_grid():
    """Half the mean square of each residual, and the loss of the data, in one block."""
    given = recipe(physics="spectral", weights={"equation": 3.0})
    (block,) = blocks(Integral(), given)
    assert [(term.name, term.weight) for term in block.terms] == [("data", 1.0), ("equation", 3.0), ("mean", 1.0)]
    training = prepare(Generated(Integral().generate(20, 16, 0)), given.data)
    model = OperatorLearning().skeleton(Integral(), given)
    model = eqx.tree_at(lambda m: m.outputs.mean, model, jnp.asarray([0.3]))
    sample = jax.tree.map(lambda leaf: leaf[0], training.sampler.data)
    z = eqx.filter_jit(block.residual)(model, sample, None, None)
    answer = np.asarray(apply(model, sample[0][None])[0])
    second = np.fft.irfft(-((2 * np.pi * np.arange(9)) ** 2) * np.fft.rfft(answer[0]))
    np.testing.assert_allclose(
        0.5 * np.sum(z["equation"] ** 2), 0.5 * np.mean((-second - sample[0][0]) ** 2), rtol=1e-9
    )
    np.testing.assert_allclose(z["mean"] ** 2, answer.mean() ** 2, rtol=1e-9)


def test_residuals_on_a_finer_grid():
    """A block of its own, whose functions are those of the training samples at more points."""
    given = recipe(physics="spectral", physics_resolution=32)
    data, physics = blocks(Integral(), given)
    assert [term.name for term in data.terms] == ["data"] and [t.name for t in physics.terms] == ["equation", "mean"]
    seed = int(np.random.SeedSequence(0).generate_state(3)[0])
    np.testing.assert_array_equal(physics.sampler.data[0], Integral().generate(20, 32, seed).inputs)


def test_residuals_of_a_file_are_on_its_whole_grid(tmp_path):
    """Data at every second point, residuals at all."""
    path = integral_file(tmp_path / "p.npz", resolution=32)
    data = DataConfig(train=20, test=6, batch=10, file=str(path), stride=2)
    given = recipe(physics="spectral", data=data)
    splits = draw_splits(Integral(), given)
    supervised, physics = blocks(Integral(), given, splits.train)
    assert supervised.sampler.data[0].shape == (20, 1, 16) and physics.sampler.data[0].shape == (20, 1, 32)
    np.testing.assert_array_equal(physics.sampler.data[0][:, 0], np.load(path)["a"][:20])
    with pytest.raises(PdesolveError, match="are on its whole grid: leave out `physics_resolution`"):
        blocks(Integral(), recipe(physics="spectral", physics_resolution=64, data=data), splits.train)


def test_without_weight_nothing_changes():
    """Residuals of weight 0: the block of plain training on data; data of weight 0: no term of data."""
    nothing = recipe(3, physics="spectral", weights={"equation": 0.0, "mean": 0.0})
    assert [term.name for block in blocks(Integral(), nothing) for term in block.terms] == ["data"]
    assert blocks(Integral(), nothing)[0].residual.residuals is None
    only = recipe(physics="spectral", weights={"data": 0.0}, physics_resolution=32)
    assert [term.name for block in blocks(Integral(), only) for term in block.terms] == ["equation", "mean"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"steps": 6, "optimiser": "levenberg_marquardt", "loss": "relative_mse"},
        {"steps": 200, "combine": "config", "loss": "relative_l2"},
        {"steps": 300, "weights": {"data": 0.0}},
    ],
)
def test_gauss_newton_config_and_physics_alone(options):
    """Squares go to Gauss-Newton, gradients of the terms to ConFIG, and residuals alone determine the solution."""
    solution = solve(Integral(), recipe(physics="spectral", **options), classical=False)
    assert solution.summary["relative_l2"] < 0.1


@pytest.mark.slow
def test_adaptation_to_one_instance():
    """L-BFGS makes the residual fall by far, the error with it; normalisers stay; an anchor holds the answer back."""
    family = Integral()
    data = family.generate(4, 16, 0)
    model = OperatorLearning().skeleton(family, recipe())
    model = eqx.tree_at(lambda m: m.outputs, model, ChannelNormaliser.fit(data.outputs))
    terms = physics_terms(family, {})
    residuals = Residuals(family, data.coordinates, "spectral", ("equation", "mean"))
    stage = StageConfig("lbfgs", steps=20)
    free = adapt(model, residuals, data.inputs[0], terms, stage=stage)
    held = adapt(model, residuals, data.inputs[0], terms, stage=stage, anchor=1e3)
    assert free.after < 1e-2 * free.before and free.before == held.before
    assert eqx.tree_equal(free.model.outputs, model.outputs)
    first = np.asarray(model(jnp.asarray(data.inputs[0])))
    distances = [np.linalg.norm(found.answer - first) / np.linalg.norm(first) for found in (free, held)]
    assert distances[1] < 0.2 * distances[0]
    errors = [np.linalg.norm(u - data.outputs[0]) for u in (free.answer, first)]
    assert errors[0] < 0.1 * errors[1]


@pytest.mark.slow
def test_adaptation_in_the_summary():
    """Means over two samples, before and after."""
    solution = solve(Integral(), recipe(10, test_time_steps=20, test_time_samples=2), classical=False)
    found = solution.summary["test_time"]
    assert (found["samples"], found["steps"]) == (2, 20)
    assert found["residual"] < 0.1 * found["residual_before"]
    assert found["relative_l2"] < found["relative_l2_before"]


@pytest.mark.slow
def test_adaptation_changes_the_model_alone():
    """Adam on the residuals of one instance: they fall, normalisers and the given model stay."""
    family = Integral()
    data = family.generate(1, 16, 0)
    model = OperatorLearning().skeleton(family, recipe())
    residuals = Residuals(family, data.coordinates, "spectral", ("equation",))
    terms = physics_terms(family, {"mean": 0.0})
    stage = StageConfig("adam", steps=20, options={"learning_rate": 1e-3})
    found = adapt(model, residuals, data.inputs[0], terms, stage=stage)
    answer = np.asarray(model(jnp.asarray(data.inputs[0])))
    second = np.fft.irfft(-((2 * np.pi * np.arange(9)) ** 2) * np.fft.rfft(answer[0]))
    np.testing.assert_allclose(found.before, 0.5 * np.mean((-second - data.inputs[0, 0]) ** 2), rtol=1e-9)
    assert found.after < found.before and eqx.tree_equal(found.model.outputs, model.outputs)
    np.testing.assert_allclose(found.answer, found.model(jnp.asarray(data.inputs[0])), rtol=1e-10)


def test_errors(tmp_path):
    with pytest.raises(PdesolveError, match="knows no residuals of its equations: leave out `physics`"):
        path = integral_file(tmp_path / "p.npz")
        data = DataConfig(train=8, test=2, batch=4, file=str(path))
        solve(data_family(path)(), recipe(physics="spectral", data=data))
    with pytest.raises(PdesolveError, match="`physics = 'pointwise'` needs an operator with a trunk"):
        given = dataclasses.replace(recipe(physics="pointwise"), data=DataConfig(4, 1, 8, 2))
        OperatorLearning(physics="pointwise").skeleton(BurgersTrajectories(intervals=2), given)


# Trunks


def learned(key):
    """A DeepONet of two coordinates with normalisers that are not the identity."""
    operator = DeepONet(1, 1, num_dims=2, sensors=2, num_basis=3, width=4, depth=1, activation="tanh", key=key)
    operator = eqx.tree_at(lambda o: o.bias, operator, jnp.asarray([0.3]))
    inputs = ChannelNormaliser(jnp.asarray([0.5]), jnp.asarray([2.0]))
    return LearnedOperator(operator, inputs, ChannelNormaliser(jnp.asarray([-1.0]), jnp.asarray([3.0])))


def test_trunk_derivatives_are_those_of_the_whole_network(key):
    """u_t + u u_x - nu u_xx of the answer at every point of the grid, by differentiating the whole operator there."""
    family = BurgersTrajectories(viscosity=0.05, intervals=2)
    coordinates = {"t": np.linspace(0.0, 1.0, 3), "x": np.arange(4) / 4}
    model = learned(key)
    given = jnp.asarray(np.random.default_rng(0).normal(size=(2, 1, 3, 4)))
    block = TrunkResiduals(family, coordinates, ("equation", "initial"))
    found = eqx.filter_jit(lambda model, given: block(model, (given,), None, None)[0])(model, given)
    lengths = jnp.asarray([1.5, 1.0])  # three points of spacing 1/2 make 3/2 for the trunk

    def u(point, a):
        answer = model.operator.at(model.inputs.encode(a), (point / lengths)[None])
        return model.outputs.decode(answer)[0, 0]

    def equation(point, a):
        slope, second = jax.grad(u)(point, a), jax.hessian(u)(point, a)
        return slope[0] + u(point, a) * slope[1] - 0.05 * second[1, 1]

    points = jnp.stack(jnp.meshgrid(*map(jnp.asarray, coordinates.values()), indexing="ij"), -1).reshape(-1, 2)
    expected = jax.jit(jax.vmap(lambda a: jax.vmap(lambda point: equation(point, a))(points)))(given)
    np.testing.assert_allclose(found["equation"] * np.sqrt(12), expected, rtol=1e-9, atol=1e-11)
    answers = apply(model, given)
    np.testing.assert_allclose(found["initial"] * 2, answers[:, 0, 0] - given[:, 0, 0], rtol=1e-12)


@pytest.mark.slow
def test_physics_informed_deeponet_learns():
    """Without any data: the residuals fall, and the answer is better than zero."""
    family = BurgersTrajectories(viscosity=0.1, intervals=8)
    given = dataclasses.replace(
        family.recipe(),
        network=NetworkConfig("deeponet", 32, 2, "tanh", {"sensors": 8, "num_basis": 24}),
        data=DataConfig(40, 8, 16, 10),
        method_options={"physics": "pointwise"},
        weights={"data": 0.0, "initial": 20.0},
        stages=(StageConfig("adam", steps=1500, options={"learning_rate": 3e-3, "schedule": "cosine"}),),
        precision="float64",
    )
    solution = solve(family, given, classical=False)
    history = solution.history
    assert history[-1]["loss"] < 0.1 * history[0]["loss"]
    assert solution.summary["relative_l2"] < 0.7
