"""What is distributed, what it depends on, and whether somebody else's package is found."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGES = ("pdesolve", "problems", "operators")


def distribution(requirement: str) -> str:
    """Return the name in a requirement, as in `jax` from `jax[cuda13]>=0.10.2`."""
    return re.split(r"[\[<>=!~ ;]", requirement)[0].lower()


def imported() -> set[str]:
    """Return the distributions that our packages import, inside functions too, other than Python's own."""
    modules = set()
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules.add(str(node.module).partition(".")[0])
    owners = packages_distributions()
    return {owners.get(m, [m])[0].lower() for m in modules - sys.stdlib_module_names - set(PACKAGES)}


def test_dependencies_are_what_is_imported():
    """Nothing is missing from the dependencies, and nothing is installed in vain.

    xarray imports h5netcdf by the name of an engine; what an extra brings is imported where it is needed.
    """
    declared = {distribution(r) for r in PROJECT["dependencies"]}
    optional = {
        distribution(r) for e in ("mesh", "symbolic", "tensorboard") for r in PROJECT["optional-dependencies"][e]
    }
    assert imported() | {"h5netcdf"} == declared | optional


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_say_that_they_are_typed(package):
    """PEP 561: without `py.typed` a user's type checker ignores our annotations."""
    assert (ROOT / package / "py.typed").is_file()


@pytest.fixture(scope="module")
def third_party(tmp_path_factory):
    """A folder into which pip has installed a package that registers a problem; nothing is fetched for it."""
    pytest.importorskip("hatchling")
    pytest.importorskip("pip")
    target = tmp_path_factory.mktemp("site")
    words = ["install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(target)]
    source = ROOT / "tests/fixtures/third_party_package"
    subprocess.run([sys.executable, "-m", "pip", *words, str(source)], check=True)
    return target


def command(third_party: Path, folder: Path, *words: str) -> str:
    """Run `pdesolve` in a process that sees the third party's package, and return what it prints."""
    path = os.pathsep.join([str(third_party), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        [sys.executable, "-m", "pdesolve", *words],
        check=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        text=True,
    )
    return result.stdout


def test_a_third_partys_problem_is_listed(third_party, tmp_path):
    """An entry point in another distribution is all it takes to be listed beside ours."""
    lines = command(third_party, tmp_path, "list", "problems").splitlines()
    assert ["cooling_fin", "Excess temperature of a cooling fin with an insulated tip."] in [
        line.split(maxsplit=1) for line in map(str.rstrip, lines)
    ]
    assert any(line.startswith("burgers ") for line in lines)


def test_a_third_partys_problem_is_solved(third_party, tmp_path):
    """Twenty steps of Levenberg-Marquardt on a linear problem give three digits."""
    words = ("--fin-parameter", "2.5", "--points", "128", "--steps", "20", "--quiet")
    command(third_party, tmp_path, "solve", "cooling_fin", *words)
    summary = json.loads((tmp_path / "runs/cooling_fin/summary.json").read_text())
    assert summary["status"] == "solved"
    assert summary["steps"] == 20
    assert summary["parameters"] == {"fin_parameter": 2.5}
    assert summary["relative_l2"] < 1e-3
