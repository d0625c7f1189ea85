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
    """A problem without a file is missing; files under other names are examples of what can be changed."""
    assert set(registry.names("problems")) <= {path.stem for path in CONFIGS.glob("*.toml")}


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_file_is_accepted(path):
    """The file names its problem, and states nothing that the problem or a recipe does not know."""
    data = toml.load(path)
    cls = registry.load("problems", data["problem"])
    problem = with_parameters(cls, toml.parameters(data, parameters_of(cls), str(path)))
    assert isinstance(toml.merge(problem.recipe(), data, str(path)), Recipe)


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
    for name in registry.names("problems"):
        path = CONFIGS / f"{name}.toml"
        lines = path.read_text(encoding="utf-8").splitlines()
        stages = [i for i, line in enumerate(lines) if line == "[[stages]]"]
        # Stages after the first repeat keys that are explained there.
        lines = lines[: stages[1]] if len(stages) > 1 else lines
        for above, line in pairwise(lines):
            key = next(iter(tomllib.loads(line)), "problem") if " = " in line and line[0] != "#" else "problem"
            assert key == "problem" or above.startswith("# "), f"{path}: {line}"
