"""The files in `configs/` restate the registered problems."""

import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from pdesolve import registry, toml
from pdesolve.cli._restate import restate
from pdesolve.config import Recipe
from pdesolve.problem import parameters_of, with_parameters

CONFIGS = Path(__file__).parents[2] / "configs"


def test_one_for_each_problem():
    """Neither a problem without a file nor a file without a problem."""
    assert {path.stem for path in CONFIGS.glob("*.toml")} == set(registry.names("problems"))


@pytest.mark.parametrize("name", registry.names("problems"))
def test_agrees_with_the_problem(name):
    """The file gives the problem's own parameters and recipe, on whatever recipe it is read.

    After a change of a recipe: `python scripts/write_configs.py`.
    """
    path = CONFIGS / f"{name}.toml"
    data = toml.load(path)
    problem = registry.load("problems", name)()
    stated = toml.parameters(data, parameters_of(problem), str(path))
    assert data["problem"] == name
    assert {key: getattr(problem, key) for key in parameters_of(problem)} == stated
    assert with_parameters(type(problem), stated).recipe() == toml.merge(Recipe(), data, str(path)) == problem.recipe()
    assert path.read_text(encoding="utf-8") == restate(name, problem, problem.recipe())


def test_every_key_is_explained():
    """A commented file has a comment above every key, of parameters too."""
    for path in CONFIGS.glob("*.toml"):
        lines = path.read_text(encoding="utf-8").splitlines()
        stages = [i for i, line in enumerate(lines) if line == "[[stages]]"]
        # Stages after the first repeat keys that are explained there.
        lines = lines[: stages[1]] if len(stages) > 1 else lines
        for above, line in pairwise(lines):
            key = next(iter(tomllib.loads(line)), "problem") if " = " in line and line[0] != "#" else "problem"
            assert key == "problem" or above.startswith("# "), f"{path}: {line}"
