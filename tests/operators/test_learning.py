"""Operator learning through the same `fit` and `solve` as everything else."""

import dataclasses
import json
import subprocess
import sys
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve import solve
from pdesolve.config import DataConfig, NetworkConfig, Recipe, StageConfig
from pdesolve.data import ChannelNormaliser, fourier_values, periodic_gaussian_field
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.family import AbstractFamily, FamilyData
from pdesolve.learning.results import linear_error
from pdesolve.learning.samples import Generated
from pdesolve.learning.training import prepare
from pdesolve.operator_learning import LearnedOperator, OperatorLearning, mean_relative_l2, predict
from pdesolve.problem import parameter
from pdesolve.solution import Solution
from problems import BurgersFamily, Poisson1D


class HeatFamily(AbstractFamily):
    """Heat equation on a circle: initial function to solution, exact."""

    input_names: ClassVar[tuple[str, ...]] = ("u0",)
    field_names: ClassVar[tuple[str, ...]] = ("u",)
    diffusivity: float = parameter(0.01, "diffusivity", above=0)

    def generate(self, num_samples, resolution, seed):
        """Each mode decays by exp(-4 pi^2 k^2 kappa); scales far from 1 try the normalisers."""
        k = np.arange(6)
        c = periodic_gaussian_field(lambda k: 1 / (1 + k**2), num_samples=num_samples, num_modes=5, seed=seed)
        decayed = c * np.exp(-self.diffusivity * (2 * np.pi * k) ** 2)
        return FamilyData(
            inputs=1e3 * fourier_values(c, resolution)[:, None],
            outputs=5.0 + 1e-2 * fourier_values(decayed, resolution)[:, None],
            coordinates={"x": np.arange(resolution) / resolution},
            error_bound=1e-15,
            seconds=1e-6,
        )

    def recipe(self):
        """Seconds on a laptop."""
        return Recipe(
            method="operator",
            network=NetworkConfig("fno", 8, 2, "gelu", {"modes": 6, "positions": False, "lifting": 8, "projection": 8}),
            data=DataConfig(train=40, test=10, resolution=16, batch=10),
            stages=(StageConfig("adam", steps=40, options={"learning_rate": 1e-2}),),
        )


def burgers(**changes):
    """The Burgers family's recipe made tiny, in the precision of the tests."""
    base = BurgersFamily().recipe()
    network = NetworkConfig("fno", 12, 2, "gelu", {"modes": 6, "positions": False, "lifting": 16, "projection": 16})
    stages = (StageConfig("adam", steps=200, options={"learning_rate": 5e-3, "schedule": "cosine"}),)
    data = DataConfig(train=100, test=20, resolution=32, batch=10)
    return dataclasses.replace(
        base, **{"network": network, "stages": stages, "data": data, "precision": "float64", **changes}
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    return solve(BurgersFamily(), burgers(), out=out), out


def test_learns_burgers(run):
    """200 steps on 100 samples beat the best linear map, and the summary holds what errors are held against."""
    solution, out = run
    summary = json.loads((out / "summary.json").read_text())
    assert solution.status == "solved" and summary["problem"] == "burgers_family"
    assert summary["relative_l2"] < summary["measures"]["linear_regression_error"] < summary["trivial_error"]["zero"]
    assert summary["reference_error"] < 1e-6
    assert summary["classical_seconds"] > 0 and summary["measures"]["inference_seconds"] > 0
    assert summary["classical"]["relative_l2"] <= summary["relative_l2"]
    assert (out / "burgers_family.png").exists() and (out / "run.toml").exists()


def test_file_holds_the_test_samples(run):
    """The stored answers are the model's on the stored inputs, and their error is the one reported."""
    solution, out = run
    loaded = Solution.load(out / "burgers_family.h5")
    dataset = loaded.dataset
    assert dataset["u"].sizes["sample"] == 20
    inputs, answers, expected = (
        dataset[name].squeeze().transpose("sample", "x").values for name in ("u0", "u", "u_reference")
    )
    np.testing.assert_allclose(mean_relative_l2(answers, expected), solution.summary["relative_l2"], rtol=1e-10)
    np.testing.assert_array_equal(predict(solution.model, inputs[:, None])[:, 0], answers)


def test_loaded_model_is_the_trained_one(run):
    """`Solution.load(file).model` maps new functions, at another resolution too, exactly as the trained operator."""
    solution, out = run
    loaded = Solution.load(out / "burgers_family.h5")
    assert eqx.tree_equal(loaded.model, solution.model)
    new = BurgersFamily().generate(2, 64, seed=99)
    error = mean_relative_l2(predict(loaded.model, new.inputs), new.outputs)
    assert error < 2 * solution.summary["relative_l2"]
    assert loaded.evaluate is None and loaded.source == "grid"


def test_validation_and_test_samples_are_others(run):
    """Errors during training are those of validation samples: close to the test error, and not equal to it."""
    solution, _ = run
    last = solution.history[-1]["relative_l2"]
    assert last != solution.summary["relative_l2"]
    assert 0.3 < last / solution.summary["relative_l2"] < 3


def test_normalisers_are_fitted_to_training_samples_and_not_trained():
    """The trained model's mean and scale are those of the training inputs; scales of 1e3 and 1e-2 do not matter."""
    family = HeatFamily()
    recipe = family.recipe()
    train_seed = int(np.random.SeedSequence(recipe.seed).generate_state(3)[0])
    train = family.generate(40, 16, train_seed)
    solution = solve(family, recipe, classical=False)
    assert eqx.tree_equal(solution.model.inputs, ChannelNormaliser.fit(train.inputs))
    assert eqx.tree_equal(solution.model.outputs, ChannelNormaliser.fit(train.outputs))
    assert solution.summary["relative_l2"] < 1e-3
    assert solution.summary["classical_seconds"] == 1e-6  # the data's own time, for a family without `classical`


def test_linear_family_is_known_by_its_measure():
    """The heat equation is linear: regression is exact, up to the cut-off 1e-12 of squares in the pseudo-inverse."""
    train, test = HeatFamily().generate(40, 16, 0), HeatFamily().generate(10, 16, 1)
    assert linear_error(train, test) < 1e-6


def test_loss_is_the_mean_relative_error():
    """At the first step the loss is the mean of ||model(a) - u|| / ||u|| over the batch, here of all samples."""
    family = HeatFamily()
    recipe = dataclasses.replace(family.recipe(), data=DataConfig(train=10, test=1, resolution=16, batch=10))
    train = family.generate(10, 16, 0)
    model = OperatorLearning().skeleton(family, recipe)
    training = prepare(Generated(train), recipe.data)
    (block,) = OperatorLearning().stages(family, recipe, training)[0].objective.blocks
    z, _ = block.evaluate(model, block.sampler.data, jax.random.key(0), None)
    loss = jnp.mean(jax.vmap(block.terms[0].outer.density)(z["data"]))
    np.testing.assert_allclose(loss, mean_relative_l2(predict(model, train.inputs), train.outputs), rtol=1e-12)


def test_gradient_of_the_loss_at_a_perfect_fit():
    """Zero, not NaN."""
    family = HeatFamily()
    training = prepare(Generated(family.generate(10, 16, 0)), family.recipe().data)
    (block,) = OperatorLearning().stages(family, family.recipe(), training)[0].objective.blocks
    gradient = jax.grad(block.terms[0].outer.density)(jnp.zeros((1, 16)))
    np.testing.assert_array_equal(gradient, np.zeros((1, 16)))


def test_stop_and_resume_equals_one_run(tmp_path):
    """20 and 20 resumed steps give the parameters of 40, bit for bit."""
    family, whole = HeatFamily(), HeatFamily().recipe()
    half = dataclasses.replace(whole, stages=(StageConfig("adam", steps=20, options={"learning_rate": 1e-2}),))
    solve(family, half, out=tmp_path)
    resumed = solve(family, whole, out=tmp_path, resume=True)
    assert eqx.tree_equal(resumed.model, solve(family, whole).model)
    other = dataclasses.replace(whole, data=dataclasses.replace(whole.data, test=whole.data.test + 1))
    with pytest.raises(PdesolveError, match="made by another configuration"):
        solve(family, other, out=tmp_path, resume=True)


def test_errors():
    family, recipe = HeatFamily(), HeatFamily().recipe()
    with pytest.raises(PdesolveError, match="Poisson1D is none"):
        OperatorLearning().run(Poisson1D(), recipe, None)
    with pytest.raises(UnknownNameError, match=r"unknown operator 'fmo'\. Did you mean 'fno'"):
        solve(family, dataclasses.replace(recipe, network=NetworkConfig("fmo")))
    with pytest.raises(UnknownNameError, match=r"option of operator 'fno' 'mode'.*Did you mean 'modes'"):
        solve(family, dataclasses.replace(recipe, network=NetworkConfig("fno", 8, 2, "gelu", {"mode": 3})))
    with pytest.raises(PdesolveError, match="a batch of 10 needs as many samples; `train` is 4"):
        solve(family, dataclasses.replace(recipe, data=DataConfig(train=4, test=2, resolution=16, batch=10)))
    with pytest.raises(UnknownNameError, match="loss term in `weights`"):
        solve(family, dataclasses.replace(recipe, weights={"dat": 1.0}))
    with pytest.raises(PdesolveError, match="method 'operator' has no time windows"):
        solve(family, dataclasses.replace(recipe, windows=2))


def test_learned_operator_is_a_pytree_of_arrays():
    """Normalisers are leaves, and are stored."""
    model = OperatorLearning().skeleton(HeatFamily(), HeatFamily().recipe())
    assert isinstance(model, LearnedOperator)
    assert any(leaf is model.inputs.mean for leaf in jax.tree.leaves(model))


@pytest.mark.slow
def test_default_recipe(tmp_path):
    """`pdesolve solve burgers_family` ends below 2e-3 on samples it has not seen; seed 0 reached 3e-4."""
    command = [sys.executable, "-m", "pdesolve", "solve", "burgers_family", "--out", str(tmp_path)]
    subprocess.run(command, check=True)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["status"] == "solved" and summary["relative_l2"] < 2e-3
