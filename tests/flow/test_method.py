import dataclasses
import json
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve import registry, solve
from pdesolve.config import DataConfig, NetworkConfig, StageConfig
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.flow import FlowMatchingMethod
from pdesolve.flow.flow_map import generate
from pdesolve.flow.method import why_failed
from pdesolve.flow.statistics import MEASURES
from pdesolve.solution import Solution
from problems import Poisson1D, RandomField1D


def small_recipe(steps=30, **changes):
    return dataclasses.replace(
        RandomField1D().recipe(),
        network=NetworkConfig("spectral_velocity", width=8, depth=1, activation="gelu", options={"modes": 8}),
        data=DataConfig(train=128, test=64, resolution=16, batch=32),
        stages=(StageConfig("adam", steps=steps, options={"learning_rate": 5e-3}),),
        precision="float64",
        **changes,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("flow")
    recipe = small_recipe(method_options={"solver": "euler", "num_steps": 7})
    return solve(RandomField1D(deviation=3.0), recipe, name="random_field_1d", out=out), out


def test_every_measure_has_its_floor(run):
    """Measured numbers are finite, in the file as in the summary; errors of single fields have no meaning.

    `method_options` choose the sampler: seven steps of Euler's method.
    """
    solution, out = run
    assert solution.status == "solved" and solution.summary["relative_l2"] is None
    measures = solution.summary["measures"]
    names = {name + suffix for name in MEASURES for suffix in ("", "_floor", "_noise")}
    assert set(measures) == names | {"function_evaluations"}
    assert np.isfinite(list(measures.values())).all()
    assert measures["function_evaluations"] == 7
    assert json.loads((out / "summary.json").read_text())["measures"] == measures


def test_fields_are_stored_beside_data(run):
    """32 generated fields and 32 of the data, with the grid; the standard deviation, 3, is that of the data."""
    solution, out = run
    stored = Solution.load(out / "random_field_1d.h5").dataset
    for name in ("u", "u_data"):
        assert stored[name].dims == ("sample", "x") and stored[name].shape == (32, 16)
        assert 1.5 < float(stored[name].std()) < 6
        np.testing.assert_array_equal(stored[name], solution.dataset[name])
    np.testing.assert_array_equal(stored["x"], np.arange(16) / 16)


def test_model_comes_back(run, key):
    """The loaded model is a flow map that gives the same fields, to the last bit."""
    if "random_field_1d" not in registry.names("problems"):
        pytest.skip("this installation does not register the problem")
    solution, out = run
    loaded = Solution.load(out / "random_field_1d.h5")
    assert loaded.source == "grid" and loaded.evaluate is None
    noise = jax.random.normal(key, (3, 1, 16))
    draw = eqx.filter_jit(lambda model: (jax.vmap(model)(noise), model.velocity(noise[0], jnp.asarray(0.5))))
    for ours, theirs in zip(draw(loaded.model), draw(solution.model), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_same_seed_same_fields(run):
    """Two runs agree to the last bit."""
    again = solve(RandomField1D(deviation=3.0), small_recipe(method_options={"solver": "euler", "num_steps": 7}))
    np.testing.assert_array_equal(again.dataset["u"], run[0].dataset["u"])


def test_fields_do_not_depend_on_their_number(run):
    """Generated field k is the same however many are generated."""
    solution, _ = run
    first = generate(solution.model, jax.random.key(0), 3, (1, 16)).value
    np.testing.assert_array_equal(generate(solution.model, jax.random.key(0), 2, (1, 16)).value, first[:2])


def test_what_counts_as_failed():
    """A law no better than that of noise, a mean that is off by a deviation, numbers that are none."""
    good = {"covariance_error": 0.5, "covariance_error_noise": 1.0, "wasserstein": 0.1, "wasserstein_noise": 0.2}
    good["mean_error"] = 0.3
    fields = np.zeros((4, 1, 8))
    assert why_failed(fields, good) == {}
    for changes, words in (
        ({"covariance_error": 1.0}, "covariance error"),
        ({"wasserstein": 0.3}, "wasserstein"),
        ({"mean_error": 1.0}, "mean of the generated fields"),
    ):
        assert words in why_failed(fields, good | changes)["failed"]
    assert "not finite" in why_failed(fields + np.nan, good)["failed"]


@pytest.mark.slow
def test_no_better_than_noise_is_a_failure():
    """A learning rate of 100 leaves something no better than white noise, and the status says so."""
    recipe = small_recipe(steps=5)
    stage = dataclasses.replace(recipe.stages[0], options={"learning_rate": 100.0})
    solution = solve(RandomField1D(), dataclasses.replace(recipe, stages=(stage,)))
    assert solution.status == "failed"
    assert "train longer" in solution.reason


def test_messages():
    method = FlowMatchingMethod()
    with pytest.raises(PdesolveError, match="needs a family of fields without inputs; Poisson1D is none"):
        method.skeleton(Poisson1D(), small_recipe())
    with pytest.raises(UnknownNameError, match=r"unknown velocity field 'mlp'.*mlp_velocity, .*spectral_velocity"):
        method.skeleton(RandomField1D(), dataclasses.replace(small_recipe(), network=NetworkConfig()))
    options = NetworkConfig("spectral_velocity", options={"mode": 3})
    with pytest.raises(UnknownNameError, match=r"unknown option of velocity field.*Did you mean 'modes'"):
        method.skeleton(RandomField1D(), dataclasses.replace(small_recipe(), network=options))
    recipe = dataclasses.replace(small_recipe(), stages=(StageConfig("adam", steps=1, target=0.1),))
    with pytest.raises(PdesolveError, match="no relative L2 error that could fall to `target`"):
        solve(RandomField1D(), recipe)
    for options, words in (({"solver": "heum"}, "Did you mean 'heun'"), ({"sigma_min": 1.5}, "got 1.5")):
        with pytest.raises(PdesolveError, match=words):
            solve(RandomField1D(), small_recipe(method_options=options))
    with pytest.raises(PdesolveError, match="method 'flow_matching' has no time windows"):
        solve(RandomField1D(), small_recipe(windows=2))
    with pytest.raises(UnknownNameError, match="loss term in `weights`"):
        solve(RandomField1D(), small_recipe(weights={"flow": 2.0}))


@pytest.mark.slow
def test_resume_refuses_another_recipe(tmp_path):
    """The checkpoint of another batch size, whose arrays would all fit, is refused."""
    solve(RandomField1D(), small_recipe(steps=2), out=tmp_path)
    data = dataclasses.replace(small_recipe().data, batch=64)
    with pytest.raises(PdesolveError, match="made by another configuration"):
        solve(RandomField1D(), dataclasses.replace(small_recipe(steps=4), data=data), out=tmp_path, resume=True)


@pytest.mark.slow
def test_default_recipe(tmp_path):
    """The registered name alone gives fields that differ from data by little more than two sets of data differ.

    In a process of its own, as the recipe asks for float32.
    """
    subprocess.run(
        [sys.executable, "-m", "pdesolve", "solve", "random_field_1d", "--quiet", "--out", str(tmp_path)], check=True
    )
    measures = json.loads((tmp_path / "summary.json").read_text())["measures"]
    for name in MEASURES:
        assert measures[name] < 3 * measures[f"{name}_floor"], name
    assert measures["spectrum_error"] < 0.1 * measures["spectrum_error_noise"]
