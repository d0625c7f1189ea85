"""The whole way on real problems: files, replay, resume after a kill, windows, inverse problems, honest failure."""

import dataclasses
import json
import signal
import subprocess
import sys
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from pdesolve import io, solve, toml
from pdesolve.calculus import partial
from pdesolve.config import NetworkConfig, PointsConfig, Recipe, StageConfig
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.geometry import Ball, Box, SpaceTime
from pdesolve.method import Monitor, identity
from pdesolve.pinn import PINN, build_network, build_stages
from pdesolve.problem import (
    AbstractProblem,
    Condition,
    Reference,
    dirichlet,
    initial,
    observations,
    parameter,
    periodic,
    robin,
)
from pdesolve.solution import Solution
from pdesolve.solving import _Log
from problems import Heat1D, Poisson1D, Poisson5D

SMALL = Recipe(
    network=NetworkConfig(width=8, depth=2),
    points=PointsConfig(interior=64, boundary=16, refresh=10),
    stages=(StageConfig(steps=20),),
)


class Decay(AbstractProblem):
    """u_t = -k u, u(0) = 1 on a line, k unknown if observed."""

    field_names: ClassVar[tuple[str, ...]] = ("u",)
    rate: float = parameter(1.5, "decay rate", above=0)
    observed: bool = False

    def domain(self):
        return SpaceTime(Box({"x": (0.0, 1.0)}), 0.0, 2.0)

    def equations(self, fields, at):
        return {"decay": partial(fields.u, "t") + self.rate * fields.u}

    def conditions(self):
        conditions = (initial({"u": 1.0}),)
        if self.observed:
            t = np.linspace(0, 2, 9)
            points = np.stack([np.full(9, 0.5), t], axis=1)
            conditions += (observations(points, {"u": np.exp(-0.7 * t)}),)
        return conditions

    def unknowns(self):
        return {"rate": 1.5} if self.observed else {}


def test_files_and_summary(tmp_path):
    """A run leaves every file; summary and data agree; the stored model is the model, bit for bit."""
    solution = solve(
        Poisson1D(), dataclasses.replace(Poisson1D().recipe(), stages=(StageConfig(steps=60),)), out=tmp_path
    )
    names = {path.name for path in tmp_path.iterdir()}
    expected = {
        "poisson_1d.h5",
        "poisson_1d.xdmf",
        "poisson_1d.png",
        "run.toml",
        "summary.json",
        "log.jsonl",
        "checkpoint",
    }
    assert expected <= names
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["status"] == "solved" and summary["steps"] == 60
    keys = ("relative_l2", "max_error", "reference_error", "trivial_error", "loss", "seconds", "classical_seconds")
    assert all(summary[key] is not None for key in keys)
    assert set(summary["seconds"]) == {"compile", "train", "evaluate"}
    data = xr.open_dataset(tmp_path / "poisson_1d.h5", engine="h5netcdf")
    error = data.u.values - data.u_reference.values
    assert abs(np.linalg.norm(error) / np.linalg.norm(data.u_reference) / summary["relative_l2"] - 1) < 1e-12
    loaded = Solution.load(tmp_path / "poisson_1d.h5")
    points = np.linspace(0, 1, 7)[:, None]
    assert loaded.source == "model"
    np.testing.assert_array_equal(loaded(points)["u"], solution(points)["u"])


def test_replay_is_bitwise(tmp_path):
    """A run limited in seconds, replayed from its own run.toml, gives the same fields bit for bit."""
    recipe = dataclasses.replace(SMALL, stages=(StageConfig(seconds=0.5),))
    first = solve(Heat1D(), recipe, out=tmp_path, classical=False)
    data = toml.load(tmp_path / "run.toml")
    again = toml.merge(Heat1D().recipe(), data, "run.toml")
    assert again.stages[0].seconds is None and again.stages[0].steps == first.summary["steps"]
    second = solve(Heat1D(), again, classical=False)
    np.testing.assert_array_equal(first.dataset.u.values, second.dataset.u.values)


def test_replay_of_a_missed_target_misses_it(tmp_path):
    """The status is part of what a run's file repeats."""
    recipe = dataclasses.replace(SMALL, stages=(StageConfig(steps=40, target=1e-12),))
    first = solve(Heat1D(), recipe, out=tmp_path, classical=False)
    again = toml.merge(Heat1D().recipe(), toml.load(tmp_path / "run.toml"), "run.toml")
    assert first.status == solve(Heat1D(), again, classical=False).status == "target_missed"


@pytest.mark.slow
def test_single_precision_network():
    """The same recipe in float32, in a process of its own: a model of that type, and an error that it allows."""
    code = (
        "import dataclasses, jax; from pdesolve import solve, StageConfig; from problems import Poisson1D; "
        "recipe = dataclasses.replace(Poisson1D().recipe(), precision='float32', stages=(StageConfig(steps=100),)); "
        "s = solve(Poisson1D(), recipe, classical=False); "
        "assert {leaf.dtype.name for leaf in jax.tree.leaves(s.model)} == {'float32'}; "
        "assert s.status == 'solved' and s.summary['relative_l2'] < 1e-3, s.summary"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_method_options_reach_the_method():
    """An option nobody has is an error with the nearest name; so is what a method has no use for."""
    recipe = dataclasses.replace(SMALL, method_options={"num_step": 3})
    with pytest.raises(UnknownNameError, match="unknown option of method 'pinn' 'num_step'"):
        solve(Heat1D(), recipe)
    for change, words in (({"windows": 3}, "has no time windows"), ({"exact": False}, "has no conditions")):
        with pytest.raises(PdesolveError, match=f"method 'classical' {words}"):
            solve(Heat1D(), dataclasses.replace(SMALL, method="classical", **change))


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(tmp_path):
    """SIGKILL in mid-training, then resume: the same parameters as a run that was left alone, bit for bit."""
    code = (
        "import jax; jax.config.update('jax_enable_x64', True)\n"
        "import functools, sys, time, pathlib, pdesolve.fit, pdesolve.pinn as pinn\n"
        "from tests.core.test_solve import SMALL, Heat1D, Monitor, dataclasses, PINN, StageConfig\n"
        "pinn.fit = functools.partial(pdesolve.fit.fit, checkpoint_seconds=0.0)\n"
        "slow = sys.argv[2] == 'slow'\n"
        "def report(r):\n"
        "    print(r.step, flush=True)\n"
        "    time.sleep(0.4 if slow else 0)\n"
        "recipe = dataclasses.replace(SMALL, stages=(StageConfig(steps=120),))\n"
        "PINN().run(Heat1D(), recipe, Monitor([report], pathlib.Path(sys.argv[1]), True))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "killed")]
    process = subprocess.Popen([*command, "slow"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while int(process.stdout.readline()) < 40:
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    resumed = subprocess.run([*command, "fast"], capture_output=True, text=True, check=True)
    steps = [int(line) for line in resumed.stdout.split()]
    assert 40 <= steps[0] <= 60 and steps[-1] == 120  # it went on, rather than beginning anew
    whole = subprocess.run([*command[:-1], str(tmp_path / "whole"), "fast"], capture_output=True, text=True, check=True)
    assert len(whole.stdout.split()) == 12
    left, right = [(tmp_path / name).read_bytes().partition(b"\n")[2] for name in ("killed", "whole")]
    assert left == right


def test_time_windows_are_continuous():
    """Three windows, each starting from the end of the one before: the jump is far below the solution's size."""
    recipe = dataclasses.replace(SMALL, windows=3, stages=(StageConfig(steps=30),))
    outcome = PINN().run(Decay(), recipe, Monitor())
    assert outcome.fit.steps == (30, 30, 30) and outcome.evaluate is not None
    for edge in (2 / 3, 4 / 3):
        points = np.array([[0.5, edge - 1e-9], [0.5, edge + 1e-9]])
        before, after = outcome.evaluate(points)["u"]
        assert abs(before - after) < 1e-4
    t = np.linspace(0, 2, 21)
    values = outcome.evaluate(np.stack([np.full(21, 0.3), t], axis=1))["u"]
    assert np.abs(values - np.exp(-1.5 * t)).max() < 1e-3
    assert [stage.window for stage in outcome.recipe.stages] == [0, 1, 2]
    weights = [
        {term.name: term.weight for stage in build_stages(Decay(), changed) for term in stage.objective.terms}
        for changed in (recipe, dataclasses.replace(recipe, weights={"continuity_u": 7.0}))
    ]
    assert [found["continuity_u"] for found in weights] == [100.0, 7.0]


def test_unknown_coefficient_is_identified():
    """u = exp(-0.7 t) observed at nine points: the rate comes out, starting from 1.5."""
    recipe = dataclasses.replace(SMALL, stages=(StageConfig(steps=60),))
    outcome = PINN().run(Decay(observed=True), recipe, Monitor())
    found = abs(outcome.verdict["identified"]["rate"] - 0.7)
    assert found < 1e-3
    # The measurements have no errors, and the residuals that are left say so.
    assert 0 < outcome.verdict["standard_error"]["rate"] < 1e-2


class Cooling(AbstractProblem):
    """u' = 0 in a rod that loses heat at one end; the coefficient of the loss is unknown, and stands in a condition."""

    field_names: ClassVar[tuple[str, ...]] = ("u",)
    loss: float = parameter(5.0, "coefficient of loss", above=0)

    def domain(self):
        return Box({"x": (0.0, 1.0)})

    def equations(self, fields, at):
        return {"rod": partial(fields.u, "x", 2)}

    def conditions(self):
        # u = 2 - x: the loss is 1 = h u(1), so that h = 1.
        seen = np.linspace(0.1, 0.9, 5)[:, None]
        return (
            robin("x_max", {"u": (self.loss, 1.0, 0.0)}),
            observations(seen, {"u": 2.0 - seen[:, 0]}),
        )

    def unknowns(self):
        return {"loss": 5.0}


def test_unknown_coefficient_of_a_condition_is_identified():
    """It is the trained coefficient that the condition sees, not the one it was written with."""
    recipe = dataclasses.replace(SMALL, stages=(StageConfig(steps=80),))
    outcome = PINN().run(Cooling(), recipe, Monitor())
    assert abs(outcome.verdict["identified"]["loss"] - 1.0) < 1e-3


def test_a_periodic_network_meets_only_what_is_periodic():
    """A jump across the period stays in the loss, and so does periodicity that the transform undoes."""

    class Circle(AbstractProblem):
        """A derivative on a circle."""

        field_names: ClassVar[tuple[str, ...]] = ("u",)
        jump: float = parameter(0.0, "difference of the two ends")
        tilted: float = parameter(0.0, "1 if the transform adds what is not periodic")

        def domain(self):
            return Box({"x": (-1.0, 1.0)})

        def equations(self, fields, at):
            return {"flat": partial(fields.u, "x")}

        def conditions(self):
            def residual(near, at, far):
                return {"u": far.u - near.u - self.jump}

            return (Condition("ends", residual, periodic_axis="x", kind="periodic"),)

        def transform(self, raw, at):
            return {"u": raw["u"] * (1.0 + self.tilted * at.x)}

    recipe = dataclasses.replace(SMALL, network=dataclasses.replace(SMALL.network, options={"periodic": "x"}))
    terms = {
        given: [term.name for term in build_stages(Circle(*given), recipe)[0].objective.terms]
        for given in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    }
    assert terms == {(0.0, 0.0): ["flat"], (1.0, 0.0): ["flat", "ends_u"], (0.0, 1.0): ["flat", "ends_u"]}
    for options, message in (
        ({"harmonics": 2}, "`harmonics` belongs to `periodic`"),
        ({"repeats": 2}, "`repeats` belongs to `periodic`"),
        ({"periodic": "x", "repeats": 0}, "`repeats` must be at least 1, got 0"),
    ):
        network = dataclasses.replace(SMALL.network, options=options)
        with pytest.raises(PdesolveError, match=message):
            build_stages(Circle(), dataclasses.replace(SMALL, network=network))


def test_a_pattern_that_repeats(key):
    """With `repeats = 4` the network has a quarter of the side as its period, and no shorter one."""
    config = dataclasses.replace(SMALL.network, options={"periodic": "x", "repeats": 4})
    network = build_network(Decay(), config, Box({"x": (-1.0, 3.0)}), key)
    values = [network(jnp.array([x])) for x in (0.3, 1.3, 0.8)]
    np.testing.assert_allclose(values[1], values[0], atol=1e-13)
    assert abs(values[2] - values[0]) > 1e-3


def test_without_a_reference_the_answer_is_unverified():
    """Residuals at new points and the difference of two seeds stand in for the error; the status says so."""
    solution = solve(Decay(), SMALL)
    assert solution.status == "unverified" and solution.summary["relative_l2"] is None
    assert set(solution.summary["residuals"]) == {"decay", "initial_u"}
    assert 0 < solution.summary["seed_difference"] < 1


def test_residuals_of_an_unverified_answer_survive_a_second_seed_that_diverges(monkeypatch):
    """What is known of the first answer is told, with the doubt; an interruption of the second training is one."""
    train = PINN._train

    def second_ends(status):
        def changed(self, problem, recipe, *others):
            result, resolved = train(self, problem, recipe, *others)
            return (dataclasses.replace(result, status=status, reason="so") if recipe.seed == 1 else result), resolved

        return changed

    monkeypatch.setattr(PINN, "_train", second_ends("diverged"))
    solution = solve(Decay(), SMALL)
    assert solution.status == "unverified" and "a second seed diverged: so" in solution.reason
    assert set(solution.summary["residuals"]) == {"decay", "initial_u"}
    monkeypatch.setattr(PINN, "_train", second_ends("interrupted"))
    assert solve(Decay(), SMALL).status == "interrupted"


def test_a_constant_solution_is_solved_and_zero_is_refused():
    """The mean of a constant is the constant: no predictor to beat. Relative to zero there is no error at all."""

    class Level(AbstractProblem):
        """A rod at one temperature."""

        field_names: ClassVar[tuple[str, ...]] = ("u",)
        level: float = parameter(1.0, "temperature of both ends")

        def domain(self):
            return Box({"x": (0.0, 1.0)})

        def equations(self, fields, at):
            return {"rod": partial(fields.u, "x", 2)}

        def conditions(self):
            return tuple(dirichlet(end, {"u": self.level}) for end in ("x_min", "x_max"))

        def reference(self):
            return Reference(lambda x: {"u": np.full(len(x), self.level)}, 1e-15, "closed form")

    solution = solve(Level(), SMALL, classical=False)
    assert solution.status == "solved" and solution.summary["relative_l2"] < 1e-3
    with pytest.raises(PdesolveError, match="the reference of Level is zero everywhere"):
        solve(Level(level=0.0), SMALL)


def test_what_lies_outside_the_domain_is_masked(tmp_path):
    """A disk in its square: the file has the mask, no value inside is missing, and a table leaves out the corners."""

    class Disk(AbstractProblem):
        """Torsion of a round bar."""

        field_names: ClassVar[tuple[str, ...]] = ("u",)

        def domain(self):
            return Ball((0.0, 0.0), 1.0)

        def equations(self, fields, at):
            return {"torsion": partial(fields.u, "x", 2) + partial(fields.u, "y", 2) + 4.0}

        def conditions(self):
            return (dirichlet("surface", {"u": 0.0}),)

        def reference(self):
            return Reference(lambda p: {"u": 1 - (p**2).sum(1)}, 1e-15, "closed form")

    recipe = dataclasses.replace(SMALL, grid={"x": 9, "y": 9})
    solution = solve(Disk(), recipe, name="disk", out=tmp_path, classical=False)
    inside = solution.dataset.x**2 + solution.dataset.y**2 <= 1
    np.testing.assert_array_equal(solution.dataset.mask, inside)
    (u,) = [f for n, f in io.describe(tmp_path / "disk.h5")["fields"].items() if n == "u"]
    assert u["not_finite"] == 0 and u["masked"] == int((~inside).sum()) > 0
    assert "u" in Solution.load(tmp_path / "disk.h5").dataset and solution([[0.0, 0.0]])["u"].shape == (1,)


def test_four_axes_of_space_have_no_companion(tmp_path):
    """ParaView shows three; the solution and its summary are written all the same."""

    class Tesseract(AbstractProblem):
        """A source in four dimensions."""

        field_names: ClassVar[tuple[str, ...]] = ("u",)

        def domain(self):
            return Box(dict.fromkeys("xyzw", (0.0, 1.0)))

        def equations(self, fields, at):
            return {"decay": partial(fields.u, "w") - 1.0}

        def reference(self):
            return Reference(lambda p: {"u": 1.0 + p[:, 3]}, 1e-15, "closed form")

    recipe = dataclasses.replace(SMALL, stages=(StageConfig(steps=1),), grid=dict.fromkeys("xyzw", 3))
    solve(Tesseract(), recipe, name="tesseract", out=tmp_path, classical=False)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"tesseract.h5", "summary.json"} <= names and "tesseract.xdmf" not in names


def test_no_better_than_a_constant_is_failed(tmp_path):
    """One step of a tiny network: the status is failed, and no picture is drawn."""
    recipe = dataclasses.replace(SMALL, stages=(StageConfig("sgd", steps=1, options={"learning_rate": 1e-9}),))
    solution = solve(Poisson1D(), recipe, out=tmp_path)
    assert solution.status == "failed" and "no better than" in solution.reason
    assert not (tmp_path / "poisson_1d.png").exists()


def test_divergence_has_a_status_and_no_picture(tmp_path):
    """A learning rate of 1e300 overflows: status diverged, the summary is written, no field and no picture."""
    recipe = dataclasses.replace(SMALL, stages=(StageConfig("sgd", steps=20, options={"learning_rate": 1e300}),))
    solution = solve(Heat1D(), recipe, out=tmp_path)
    assert solution.status == "diverged"
    assert json.loads((tmp_path / "summary.json").read_text())["status"] == "diverged"
    assert not list(tmp_path.glob("*.h5")) and not list(tmp_path.glob("*.png"))


def bad(equations=None, conditions=(), points=None):
    """A problem made wrong in one place."""

    class Bad(AbstractProblem):
        """Wrong on purpose."""

        field_names: ClassVar[tuple[str, ...]] = ("u",)

        def domain(self):
            return Box({"x": (-1.0, 1.0)})

        def equations(self, fields, at):
            return equations(fields, at) if equations else {"ok": partial(fields.u, "x")}

        def conditions(self):
            return conditions

    return Bad()


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (bad(lambda f, at: {"root": jnp.sqrt(at.x.value) * f.u}), r"'root' is nan at the point \(-"),
        (bad(lambda f, at: {"vector": jnp.stack([f.u.value, f.u.value])}), r"'vector'.*expected shape \(\).*\(2,\)"),
        (bad(lambda f, at: {"unsqueezed": f.u.value[None]}), r"'unsqueezed'.*got \(1,\)"),
        (bad(lambda f, at: {"typo": f.v}), "unknown field 'v'"),
        (bad(lambda f, at: {"typo": partial(f.u, "y")}), "unknown coordinate 'y'"),
        (bad(conditions=(dirichlet("x_mim", {"u": 0.0}),)), "x_mim.*Did you mean 'x_min'"),
        (bad(conditions=(dirichlet("x_min", {"u": lambda at: jnp.zeros(1)}),)), r"'u'.*got \(1,\)"),
        (bad(conditions=(periodic("y", ("u",)),)), "unknown coordinate 'y'"),
        (bad(conditions=(dirichlet("x_min", {"u": 0.0}),) * 2), "several conditions are named 'x_min'"),
    ],
)
def test_a_wrong_problem_is_told_what_is_wrong(problem, message):
    """The message names the equation or condition, and what is expected and given."""
    with pytest.raises(PdesolveError, match=f"(?s){message}"):
        PINN().run(problem, dataclasses.replace(SMALL, stages=(StageConfig(steps=1),)), Monitor())


def test_empty_and_misshapen_data_are_refused():
    """No points, a column of values for a list of points, a NaN among the data."""
    with pytest.raises(PdesolveError, match="selects no point"):
        observations(np.empty((0, 1)), {"u": np.empty(0)})
    with pytest.raises(PdesolveError, match=r"expected values of 'u' of shape \(3,\).*got \(3, 1\)"):
        observations(np.zeros((3, 1)), {"u": np.zeros((3, 1))})
    with pytest.raises(PdesolveError, match="value 1 of 'u' is not finite"):
        observations(np.zeros((2, 1)), {"u": np.array([0.0, np.nan])})


def test_unknown_weight_is_refused():
    """A weight that names no term tells the terms there are."""
    with pytest.raises(PdesolveError, match=r"'inital_u'. Did you mean 'initial_u'"):
        build_stages(Decay(), dataclasses.replace(SMALL, weights={"inital_u": 2.0}))


def test_a_restored_model_is_of_the_problem_that_made_it(tmp_path):
    """A user's class under a registered name gets an interpolant back, not its weights in the registered problem."""

    class Poisson(AbstractProblem):
        """A line under a name that is taken, with parameters and sizes that would fit."""

        field_names: ClassVar[tuple[str, ...]] = ("u",)
        half_waves: float = parameter(1.0, "number of half waves", above=0)

        def domain(self):
            return Box({"x": (0.0, 1.0)})

        def equations(self, fields, at):
            return {"line": partial(fields.u, "x", 2)}

    solve(Poisson(), dataclasses.replace(SMALL, stages=(StageConfig(steps=1),)), name="poisson_1d", out=tmp_path)
    assert Solution.load(tmp_path / "poisson_1d.h5").source == "interpolant"


def test_a_model_comes_back_under_any_file_name(tmp_path):
    """What it is restored as is told by its class, not by the name of the file."""
    recipe = dataclasses.replace(SMALL, stages=(StageConfig(steps=1),))
    solve(Poisson1D(), recipe, name="my_rod", out=tmp_path, classical=False)
    assert Solution.load(tmp_path / "my_rod.h5").source == "model"


def test_data_outside_the_domain_are_named():
    """Coordinates in the wrong order put points outside; the message says which."""

    class Swapped(Decay):
        """Observed at (t, x)."""

        def conditions(self):
            return (observations(np.array([[0.5, 0.5], [1.5, 0.5]]), {"u": np.ones(2)}),)

    with pytest.raises(PdesolveError, match=r"point 1, .*lies outside the domain"):
        build_stages(Swapped(), SMALL)


def test_a_condition_on_no_part_of_the_boundary_is_an_error():
    """Also where the transform meets it exactly, and no point is drawn on it."""

    class Left(Decay):
        """Exact on a part that the domain does not have."""

        def conditions(self):
            return (*super().conditions(), dirichlet("x_mn", {"u": 0.0}))

        def exact_conditions(self):
            return ("x_mn",)

    with pytest.raises(UnknownNameError, match=r"unknown boundary part of SpaceTime 'x_mn'. Did you mean 'x_min'\?"):
        build_stages(Left(), SMALL)


def test_a_fresh_run_forgets_the_old_checkpoint(tmp_path):
    """Without resume an earlier checkpoint is gone before the first step; with it, another problem's is refused."""
    recipe = dataclasses.replace(SMALL, stages=(StageConfig(steps=10),))
    PINN().run(Decay(), recipe, Monitor(checkpoint=tmp_path / "c"))
    with pytest.raises(PdesolveError, match="another configuration"):
        PINN().run(Decay(rate=2.0), recipe, Monitor(checkpoint=tmp_path / "c", resume=True))
    seen = []
    PINN().run(Decay(), recipe, Monitor([lambda report: seen.append((tmp_path / "c").exists())], tmp_path / "c"))
    assert seen == [False]


def test_a_default_read_from_a_file_is_the_same_problem():
    """Whether a parameter was left out or stated: a resumed run states all of them."""
    assert identity(Decay(), SMALL) == identity(Decay(rate=float(str(Decay().rate))), SMALL)
    assert identity(Decay(), SMALL) != identity(Decay(rate=2.0), SMALL)


def test_a_fresh_run_takes_away_what_an_earlier_one_left_once_it_runs(tmp_path):
    """Refused before its first step it leaves everything; diverging it leaves no answer of the earlier run."""
    recipe = dataclasses.replace(SMALL, stages=(StageConfig(steps=10),))
    solve(Decay(), recipe, name="decay", out=tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(UnknownNameError):
        solve(Decay(), dataclasses.replace(recipe, weights={"none": 1.0}), name="decay", out=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == left
    stopped = []

    def stop(report):
        stopped.append({path.name for path in tmp_path.iterdir()})

    directory_log = _Log(tmp_path, "decay", resume=False)
    PINN().run(Decay(), recipe, Monitor([directory_log, stop], tmp_path / "checkpoint"))
    assert stopped[0] == {"log.jsonl"}


def test_masked_outside_the_domain(tmp_path):
    """On a disk the grid is its bounding square: NaN outside, in memory and in the file."""
    from pdesolve.calculus import laplacian
    from pdesolve.geometry import Ball

    class Disk(AbstractProblem):
        """-Laplace u = 4 on the unit disk, u = 1 - r^2."""

        field_names: ClassVar[tuple[str, ...]] = ("u",)

        def domain(self):
            return Ball((0.0, 0.0), 1.0)

        def equations(self, fields, at):
            return {"poisson": laplacian(fields.u) + 4.0}

        def conditions(self):
            return (dirichlet("surface", {"u": 0.0}),)

        def reference(self):
            return Reference(lambda p: {"u": 1 - (p**2).sum(axis=1)}, 1e-15, "closed form")

    recipe = dataclasses.replace(SMALL, grid={"x": 21, "y": 21}, stages=(StageConfig(steps=60),))
    solution = solve(Disk(), recipe, name="disk", out=tmp_path, classical=False)
    x, y = np.meshgrid(solution.dataset.x, solution.dataset.y, indexing="ij")
    np.testing.assert_array_equal(np.isnan(solution.dataset.u.values), x**2 + y**2 > 1 + 1e-9)
    assert solution.summary["relative_l2"] < 1e-2
    stored = Solution.load(tmp_path / "disk.h5").dataset.u.values.squeeze()
    np.testing.assert_array_equal(stored, solution.dataset.u.values)


def test_a_stage_may_begin_with_few_points():
    """Each stage has its own number of points inside; the others are the recipe's."""
    stages = (StageConfig(steps=1, interior=16), StageConfig(steps=1))
    first, second = build_stages(Heat1D(), dataclasses.replace(SMALL, stages=stages))
    counts = [stage.objective.blocks[0].sampler.num_points for stage in (first, second)]
    assert counts == [16, SMALL.points.interior]


def test_five_dimensions_are_stored_as_a_section(tmp_path):
    """Compared inside, stored on the plane of two axes, with the walls that it shows."""
    recipe = dataclasses.replace(
        Poisson5D().recipe(),
        network=NetworkConfig(width=4, depth=1),
        points=PointsConfig(interior=32, boundary=4),
        stages=(StageConfig(steps=2),),
        grid={"x2": 5, "x4": 7},
    )
    solution = solve(Poisson5D(), recipe, name="five", out=tmp_path, classical=False)
    assert dict(solution.dataset.sizes) == {"x2": 5, "x4": 7} and solution.dataset.attrs["section_x1"] == 0.5
    assert {wall["dims"][0] for wall in solution.boundary} == {"x2", "x4"}
    stored = Solution.load(tmp_path / "five.h5")
    point = np.full((1, 5), 0.25)
    np.testing.assert_allclose(stored(point)["u"], solution(point)["u"], rtol=1e-12)
    assert (tmp_path / "five.png").exists() or solution.status == "failed"
