"""The whole way with the options of the method: from a file to a summary, and back from the stored solution."""

import dataclasses
import json

import equinox as eqx
import numpy as np
import pytest

from pdesolve import solve
from pdesolve.config import DataConfig, NetworkConfig, StageConfig
from pdesolve.data_family import data_family
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.learning import mean_relative_l2, predict
from pdesolve.learning.samples import DataWarning
from pdesolve.learning.trajectories import free_rollouts
from pdesolve.operator_learning import OperatorLearning
from pdesolve.solution import Solution

from .families import Integral, heat, heat_file, integral_file

NETWORK = NetworkConfig("fno", 8, 1, "gelu", {"modes": 5, "positions": False, "lifting": 0, "projection": 0})


def stages(steps):
    return (StageConfig("adam", steps=steps, options={"learning_rate": 2e-2}),)


def linear(steps=40, **options):
    """The linear family in seconds, by an operator that can be exact."""
    return dataclasses.replace(Integral().recipe(), network=NETWORK, method_options=options, stages=stages(steps))


def stepping(path, steps=60, train=15, test=6, **options):
    data = DataConfig(train=train, test=test, batch=train // 2, file=str(path))
    recipe = data_family(path)().recipe()
    return dataclasses.replace(
        recipe, data=data, network=NETWORK, method_options=options, stages=stages(steps), precision="float64"
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return heat_file(tmp_path_factory.mktemp("data") / "heat.hdf5")


@pytest.fixture(scope="module")
def run(path, tmp_path_factory):
    """Two frames given, two returned, two calls unrolled; averaged weights, the best of them, another loss."""
    out = tmp_path_factory.mktemp("run")
    options = {"stepping": "unrolled", "history": 2, "bundle": 2, "calls": 2}
    options |= {"ema": 0.9, "select": "best", "loss": "relative_h1"}
    return solve(data_family(path)(), stepping(path, steps=300, **options), name="heat", out=out), out


def test_error_of_the_free_rollout(run, path):
    """The summary's errors are those of rollouts from the first two frames, frame by frame, without the true ones."""
    solution, out = run
    summary = json.loads((out / "summary.json").read_text())
    frames = heat(24, 7, 16, 0)[18:24, :, None]  # behind 15 for training and 3 for validation
    steps = OperatorLearning(stepping="unrolled", history=2, bundle=2, calls=2).steps(data_family(path)())
    answers = free_rollouts(solution.model, steps, np.zeros((len(frames), 0, 16)), frames)
    assert len(summary["rollout"]["relative_l2"]) == 5
    assert summary["relative_l2"] < 0.2 < summary["trivial_error"]["persistence"]
    np.testing.assert_allclose(summary["rollout"]["time"], [0.2, 0.3, 0.4, 0.5, 0.6], rtol=1e-12)
    each = [mean_relative_l2(answers[:, i], frames[:, 2 + i]) for i in range(5)]
    np.testing.assert_allclose(summary["rollout"]["relative_l2"], each, rtol=1e-9)
    assert summary["measures"]["last_frame_relative_l2"] == summary["rollout"]["relative_l2"][-1]
    assert summary["relative_l2"] < 6 * min(record["relative_l2"] for record in solution.history)
    assert summary["reference_error"] is None and summary["classical"] is None


def test_stored_rollouts(run):
    """The file holds answers and references of all frames behind the given ones, and comes back with the model."""
    solution, out = run
    loaded = Solution.load(out / "heat.h5")
    assert loaded.source == "grid" and eqx.tree_equal(loaded.model, solution.model)
    dataset = loaded.dataset
    assert dataset["u"].dims == ("sample", "time", "x") and dataset["u"].shape == (6, 5, 16)
    assert dataset["u_given"].attrs["role"] == "input"
    error = mean_relative_l2(dataset["u"].values, dataset["u_reference"].values)
    np.testing.assert_allclose(error, solution.summary["relative_l2"], rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one_step", "pushforward"])
def test_other_ways_of_stepping_learn(path, kind):
    """Each beats the frame that stays."""
    calls = 1 if kind == "one_step" else 2
    solution = solve(data_family(path)(), stepping(path, 120, stepping=kind, calls=calls), classical=False)
    assert solution.summary["relative_l2"] < 0.5 * solution.summary["trivial_error"]["persistence"]


@pytest.mark.slow
def test_streamed_training(tmp_path):
    """A buffer of a third of the samples learns as well, and a resumed run equals an uninterrupted one."""
    path = integral_file(tmp_path / "p.npz", samples=40)
    data = DataConfig(train=30, test=6, batch=5, file=str(path), buffer=10)
    recipe = dataclasses.replace(linear(120), data=data)
    family = data_family(path)
    whole = solve(family(), recipe, classical=False)
    assert whole.summary["relative_l2"] < 0.1
    half = dataclasses.replace(recipe, stages=stages(60))
    solve(family(), half, name="p", out=tmp_path / "run", classical=False)
    resumed = solve(family(), recipe, name="p", out=tmp_path / "run", resume=True, classical=False)
    assert eqx.tree_equal(resumed.model, whole.model)


@pytest.mark.slow
def test_overlap_is_in_the_summary(tmp_path):
    path = integral_file(tmp_path / "p.npz", samples=12)
    stored = dict(np.load(path))
    stored["a"][11] = stored["a"][0]
    np.savez(path, **stored)
    data = DataConfig(train=8, test=3, batch=4, file=str(path))
    with pytest.warns(DataWarning):
        solution = solve(data_family(path)(), dataclasses.replace(linear(2), data=data), classical=False)
    assert "1 of 3 test samples" in solution.summary["warnings"][0]


@pytest.mark.slow
def test_options_together(tmp_path):
    """Averaged weights, the best of them, another loss: the file gives back the model whose errors are told.

    An operator of five modes has nearly the same error at 16 and 32 points; the spectrum's error is the error's.
    """
    recipe = linear(80, loss="relative_h1", ema=0.9, select="best", resolutions=(16, 32))
    solution = solve(Integral(), recipe, name="integral", out=tmp_path, classical=False)
    assert solution.summary["relative_l2"] < 0.1
    assert solution.summary["relative_l2"] < 2 * min(record["relative_l2"] for record in solution.history)
    found = solution.summary["resolutions"]
    np.testing.assert_allclose(found["16"], solution.summary["relative_l2"], rtol=1e-12)
    np.testing.assert_allclose(found["32"], found["16"], rtol=0.2)
    spectrum = solution.summary["spectrum"]
    test = Integral().generate(6, 16, int(np.random.SeedSequence(0).generate_state(3)[2]))
    error = predict(solution.model, test.inputs) - test.outputs
    np.testing.assert_allclose(sum(spectrum["error"]), np.mean(error**2), rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"loss": "relative_h2"}, UnknownNameError, "unknown loss 'relative_h2'. Did you mean 'relative_l2'"),
        ({"select": "better"}, UnknownNameError, "unknown selection 'better'"),
        ({"stepping": "two_step"}, UnknownNameError, "unknown stepping 'two_step'. Did you mean 'one_step'"),
        ({"ema": 1.0}, PdesolveError, "`ema` must be at least 0 and below 1, got 1"),
        ({"history": 2}, PdesolveError, "belong to an operator that steps"),
        ({"stepping": "one_step", "resolutions": (8,)}, PdesolveError, "an operator that steps has no `physics`"),
        ({"physics": "spectrl"}, UnknownNameError, "Did you mean 'spectral'"),
        ({"anchor": -1.0}, PdesolveError, "`anchor` must not be negative"),
        ({"test_time_steps": 1, "test_time_samples": 0}, PdesolveError, "`test_time_samples` must be at least 1"),
        ({"lss": "x"}, UnknownNameError, "unknown option of method 'operator' 'lss'. Did you mean 'loss'"),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        solve(Integral(), linear(1, **options))
