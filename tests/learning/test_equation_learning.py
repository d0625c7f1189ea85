"""Operators trained on an equation without data: hard constraints by one solve and by experts, and the soft one."""

import dataclasses

import numpy as np
import pytest

from operators import FNO, PDECL, PIHCMoE
from pdesolve import solve
from pdesolve.config import DataConfig, NetworkConfig, StageConfig
from pdesolve.equation_learning import PDECLTraining, PIHCMoETraining, SoftConstraint
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.solution import Solution
from problems import BurgersFamily, DiffusionSorption

OPTIONS = {"basis": 3, "points": 10, "max_steps": 4}
METHODS = {
    "pihcmoe": (PIHCMoE, {**OPTIONS, "experts": 2}),
    "pde_cl": (PDECL, OPTIONS),
    "soft_constraint": (FNO, {}),
}


def family():
    return DiffusionSorption(intervals=5)


def recipe(method, **changes):
    return dataclasses.replace(
        family().recipe(),
        method=method,
        method_options=METHODS[method][1],
        network=NetworkConfig("fno", 2, 1, "gelu", {"modes": 2}),
        data=DataConfig(train=2, test=1, resolution=8, batch=1),
        stages=(StageConfig("adam", steps=2, options={"learning_rate": 1e-3}),),
        **changes,
    )


@pytest.mark.parametrize(
    "method", ["soft_constraint", *(pytest.param(name, marks=pytest.mark.slow) for name in ("pde_cl", "pihcmoe"))]
)
def test_training_without_data(method, tmp_path):
    """The terms are those of the equation; the model takes physical functions, and comes back from its file."""
    solution = solve(family(), recipe(method), out=tmp_path, classical=False)
    record = solution.history[-1]
    losses = {name.removeprefix("loss/") for name in record if name.startswith("loss/")}
    assert losses == {"equation", "initial", "left", "right"}
    assert type(solution.model.operator) is METHODS[method][0]
    hard = method != "soft_constraint"
    assert bool(np.all(np.asarray(solution.model.inputs.scale) == 1.0)) >= hard
    assert np.isfinite(solution.summary["relative_l2"]) and solution.summary["steps"] == 2
    loaded = Solution.load(tmp_path / "diffusion_sorption.h5") if solution.status != "diverged" else solution
    given = np.full((1, 6, 8), 0.1)
    np.testing.assert_array_equal(loaded.model(given), solution.model(given))
    assert f'method = "{method}"' in (tmp_path / "run.toml").read_text()


def test_recipe_of_the_family():
    """By default it is the mixture, on an operator for the basis functions."""
    default = DiffusionSorption().recipe()
    inner = PIHCMoETraining().inner(family(), default)
    assert (default.method, default.network.name, inner.method, inner.network.name) == (
        "pihcmoe",
        "fno",
        "operator",
        "pihcmoe",
    )
    assert inner.network.options["operator"] == "fno" and inner.network.options["experts"] == 4
    assert inner.weights["data"] == 0.0
    assert SoftConstraint().inner(family(), default).network == default.network
    with_data = dataclasses.replace(default, weights={"data": 2.0})
    assert PDECLTraining().inner(family(), with_data).weights == {"data": 2.0}


def test_bad_input():
    with pytest.raises(PdesolveError, match="needs a family that knows its residuals on a grid; BurgersFamily does"):
        solve(BurgersFamily(), recipe("pihcmoe"))
    nested = dataclasses.replace(recipe("pde_cl"), network=NetworkConfig("pde_cl"))
    with pytest.raises(PdesolveError, match="`network` of method 'pde_cl' is the operator below, such as fno"):
        solve(family(), nested)
    with pytest.raises(UnknownNameError, match="unknown option of method 'pde_cl' 'experts'"):
        solve(family(), dataclasses.replace(recipe("pde_cl"), method_options={"experts": 2}))
