"""Methods that learn fields with an equation: small runs to the end, their files, and ensembles drawn from those."""

import dataclasses
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve import io, registry, solve
from pdesolve.cli import main
from pdesolve.config import DataConfig, NetworkConfig, StageConfig
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.flow import (
    ECI,
    PCFM,
    PIDM,
    CoCoGen,
    DFlow,
    DiffusionPDE,
    FlowMatching,
    PhysicsFlowMatching,
    WeightedResidual,
)
from pdesolve.flow.field_methods import AS_CODED, AS_PUBLISHED
from pdesolve.method import Monitor
from pdesolve.solution import Solution
from problems import Darcy1D, HeatSpaceTime, Poisson1D

from .line import Parabola

METHODS = {
    "fm": FlowMatching,
    "pbfm": PhysicsFlowMatching,
    "weighted_residual": WeightedResidual,
    "pidm": PIDM,
    "pcfm": PCFM,
    "eci": ECI,
    "diffusion_pde": DiffusionPDE,
    "d_flow": DFlow,
    "cocogen": CoCoGen,
}
EVALUATIONS = {"pidm": 100, "d_flow": 420}


def small_recipe(method="pbfm", steps=8, **changes):
    return dataclasses.replace(
        Darcy1D().recipe(),
        method=method,
        network=NetworkConfig("mlp_velocity", width=16, depth=1, activation="gelu"),
        data=DataConfig(train=64, test=32, resolution=8, batch=16),
        stages=(StageConfig("adam", steps=steps, options={"learning_rate": 1e-3}),),
        precision="float64",
        **changes,
    )


@pytest.mark.parametrize("name", METHODS)
def test_terms_and_cost_of_a_field(name, key):
    """What each method trains, its rule for gradients, and that its way of drawing fits the network."""
    method, family = METHODS[name](), Parabola()
    recipe = dataclasses.replace(family.recipe(), method=name)
    model = method.skeleton(family, recipe)
    fields = jnp.asarray(family.generate(16, 4, 0).outputs)
    terms = [term.name for term in method.block(fields, model.equations, recipe).terms]
    assert terms == (["flow", "residual"] if name in ("pbfm", "weighted_residual", "pidm") else ["flow"])
    value, evaluations = eqx.filter_eval_shape(lambda: model.integrate(jnp.zeros((2, 4)), key=key))
    assert value.shape == (2, 4) and evaluations.shape == ()
    assert method._combined(recipe.stages[0]).combine == ("config" if name == "pbfm" else None)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_every_method_runs(name):
    """Finite measures, the data's own residual beside that of the fields, and the evaluations that a field costs."""
    recipe = dataclasses.replace(Parabola().recipe(), method=name)
    outcome = METHODS[name]().run(Parabola(), recipe, Monitor())
    measures = outcome.verdict["measures"]
    assert {"residual", "residual_of_data", "wasserstein", "jensen_shannon", "coverage_floor"} <= set(measures)
    assert np.isfinite(list(measures.values())).all()
    assert measures["residual_of_data"] < 1e-12
    assert measures["function_evaluations"] == EVALUATIONS.get(name, 20)
    if name == "pcfm":
        assert measures["residual"] < 1e-9
    elif name != "eci":
        assert measures["residual"] > 1e-6


def test_registered():
    """The names of the command line stand for these classes."""
    if "pbfm" not in registry.names("methods"):
        pytest.skip("this installation does not register the methods")
    for name, cls in METHODS.items():
        assert registry.load("methods", name) is cls


def test_config_is_the_rule_unless_another_is_named():
    """PBFM combines by ConFIG; a stage that names a rule keeps it; the others sum."""
    stage = StageConfig("adam", steps=1)
    assert PhysicsFlowMatching()._combined(stage).combine == "config"
    assert PhysicsFlowMatching()._combined(dataclasses.replace(stage, combine="upgrad")).combine == "upgrad"
    assert FlowMatching()._combined(stage).combine is None


def test_presets_are_options():
    """Paper and program differ in the law of times, the norm, and the residual's weight."""
    published, coded = PhysicsFlowMatching(**AS_PUBLISHED), PhysicsFlowMatching(**AS_CODED)
    assert (published.times, published.norm, published.time_power) == ("logit_normal", "l2", 1.0)
    assert (coded.time_weight, coded.norm, coded.time_power) == ("legacy", "l1", 0.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    if "pbfm" not in registry.names("methods") or "darcy_1d" not in registry.names("problems"):
        pytest.skip("this installation does not register the problem")
    out = tmp_path_factory.mktemp("darcy")
    recipe = small_recipe(method_options={"backtrack": 0.5, "unroll": (1,)})
    return solve(Darcy1D(), recipe, name="darcy_1d", out=out), out


def test_files_and_model_come_back(run, key):
    """The summary holds the measures; the loaded model gives the same field, to the last bit."""
    solution, out = run
    summary = json.loads((out / "summary.json").read_text())
    assert summary["function_evaluations"] == 20 and summary["residual_of_data"] < 1e-10
    for name in ("residual", "residual_of_data", "wasserstein", "jensen_shannon", "function_evaluations"):
        assert summary[name] == summary["measures"][name]
    assert {"wasserstein_floor", "jensen_shannon_floor"} <= set(summary["measures"])
    loaded = Solution.load(out / "darcy_1d.h5")
    noise = jax.random.normal(key, (2, 8))
    draw = eqx.filter_jit(lambda model: model(noise, key=key))
    np.testing.assert_array_equal(draw(loaded.model), draw(solution.model))
    assert solution.dataset["K_data"].dims == ("sample", "x")


def test_ensemble_of_a_file(run, tmp_path, capsys):
    """`pdesolve sample` writes as many fields as asked for; sample k does not depend on how many, but on the seed."""
    solution, out = run
    words = ["sample", str(out), "--out", str(tmp_path / "a.h5")]
    assert main([*words, "-n", "5"]) == 0
    assert "a.h5: 5 samples; 20 evaluations each" in capsys.readouterr().out
    dataset, header = io.read(tmp_path / "a.h5")
    assert dataset["p"].shape == dataset["K"].shape == (5, 8) and dataset["p"].dims == ("sample", "x")
    assert header["provenance"]["sampling_seed"] == 0 and header["name"] == "darcy_1d"
    np.testing.assert_array_equal(dataset["x"], solution.dataset["x"])
    expected = PhysicsFlowMatching(backtrack=0.5).sample(solution.model, jax.random.key(0), 3, (2, 8)).value
    np.testing.assert_allclose(np.stack([dataset["p"], dataset["K"]], axis=1)[:3], expected, rtol=1e-12)
    assert main([*words, "-n", "5", "--seed", "1", "--quiet"]) == 0
    assert not np.any(io.read(tmp_path / "a.h5")[0]["p"] == dataset["p"])
    assert main(["sample", str(out), "-n", "5", "--quiet"]) == 0
    assert io.read(out / "samples" / "darcy_1d.h5")[0].sizes["sample"] == 5


def test_what_sample_refuses(run, tmp_path, capsys):
    """A number of samples below 1, the model's own file as the one to write, a file without a model."""
    _, out = run
    fields = tmp_path / "fields.h5"
    assert main(["sample", str(out), "-n", "5", "--out", str(fields), "--quiet"]) == 0
    for words, message in (
        ([str(out), "-n", "0"], "`--samples` must be at least 1"),
        ([str(out), "--out", str(out / "darcy_1d.h5")], "give another file to write by --out"),
        ([str(fields)], "holds no model, only fields"),
    ):
        assert main(["sample", *words]) == 2
        assert message in capsys.readouterr().err


def test_messages():
    method = PhysicsFlowMatching()
    with pytest.raises(PdesolveError, match="'pbfm' needs a family of fields with an equation; Poisson1D is none"):
        method.skeleton(Poisson1D(), small_recipe())
    seconds = dataclasses.replace(small_recipe(), stages=(StageConfig("adam", seconds=1.0),))
    with pytest.raises(PdesolveError, match="a stage is limited by seconds alone"):
        method.block(jnp.zeros((64, 2, 8)), None, seconds)
    with pytest.raises(UnknownNameError, match="loss term in `weights`"):
        method.run(Darcy1D(), small_recipe(weights={"residual": 2.0}), Monitor())
    with pytest.raises(PdesolveError, match="`weight` must not be negative"):
        WeightedResidual(weight=-1.0)


def test_ensemble_given_observations(run, tmp_path, capsys):
    """The file has mean and deviation of the samples; fields agree with what is observed, exactly if projected."""
    _, out = run
    table, fields = tmp_path / "wells.csv", tmp_path / "a.h5"
    table.write_text("x, p, K\n0.2, 0.4, \n0.6, , 1.5\n0.8, -0.3,\n")
    words = ["sample", str(out), "--out", str(fields), "-n", "6", "--observe", str(table)]
    assert main([*words, "--conditioning", "projection", "--steps", "7"]) == 0
    assert "6 samples; 3 observations, projection; 7 evaluations each" in capsys.readouterr().out
    dataset, header = io.read(fields)
    np.testing.assert_allclose(dataset["p"].interp(x=[0.2, 0.8]), np.tile([0.4, -0.3], (6, 1)), atol=1e-9)
    np.testing.assert_allclose(dataset["K"].interp(x=0.6), 1.5, atol=1e-9)
    assert header["provenance"]["num_observations"] == 3 and header["provenance"]["conditioning"] == "projection"
    for name in ("p", "K"):
        assert dataset[name].dims == ("sample", "x") and dataset[f"{name}_mean"].dims == ("x",)
        np.testing.assert_allclose(dataset[f"{name}_mean"], dataset[name].mean("sample"), rtol=1e-12)
        np.testing.assert_allclose(dataset[f"{name}_deviation"], dataset[name].std("sample"), rtol=1e-12, atol=1e-12)
    assert main([*words, "--noise", "0.01", "--quiet"]) == 0
    given, _ = io.read(fields)
    assert given["p"].interp(x=0.2).std() < 0.1 * dataset["p"].isel(x=4).std()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--noise", "0.1"], "`--noise` is for observations: give a file of them by --observe"),
        (["--observe", "wells.txt"], "a table is read from .csv, .npz, .h5, .hdf5; got '.txt'"),
        (["--observe", "missing.csv"], "missing.csv: no such file"),
        (["--observe", "wells.csv", "--conditioning", "moment"], "Did you mean 'moments'"),
        (["--observe", "wells.csv", "--conditioning", "projection", "--noise", "1"], "meets observations exactly"),
    ],
)
def test_what_observations_must_be(run, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wells.csv").write_text("x,p\n0.2,0.4\n")
    assert main(["sample", str(run[1]), "-n", "2", "--quiet", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_axes_of_space_and_time(tmp_path):
    """A family whose fields have time behind space keeps that order in an ensemble, whatever the file's."""
    if "heat_space_time" not in registry.names("problems"):
        pytest.skip("this installation does not register the problem")
    recipe = dataclasses.replace(small_recipe(method="fm", steps=1), seed=0)
    solution = solve(HeatSpaceTime(duration=3.0), recipe, name="heat_space_time", out=tmp_path)
    assert main(["sample", str(tmp_path), "-n", "3", "--quiet"]) == 0
    dataset, _ = io.read(tmp_path / "samples" / "heat_space_time.h5")
    expected = FlowMatching().sample(solution.model, jax.random.key(0), 3, (1, 8, 8)).value[:, 0]
    np.testing.assert_allclose(dataset["u"].transpose("sample", "x", "time"), expected, rtol=1e-12)
