"""A command line without the rest: registered names, a problem in a file, and an engine that records its arguments."""

import sys
import textwrap
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import jax
import pytest

from pdesolve import registry
from pdesolve.cli import main

ROD = textwrap.dedent(
    '''
    from typing import ClassVar

    from pdesolve import AbstractProblem, NetworkConfig, Recipe, StageConfig, parameter, switch
    from pdesolve.geometry import Box


    class Rod(AbstractProblem):
        """Steady conduction of heat in a rod."""

        field_names: ClassVar[tuple[str, ...]] = ("u",)
        conductivity: float = parameter(1.5, "thermal conductivity", unit="W/(m K)", above=0)
        wave_number: float = parameter(2.0, "wave number of the source")
        width: float = parameter(1.0, "thickness, 5% of the length", above=0, at_most=10)
        modes: int = parameter(3, "number of modes", at_least=1)
        steady: int = switch("without the rate")

        def domain(self):
            return Box({"x": (0.0, 1.0)})

        def equations(self, fields, at):
            return {"heat": fields.u}

        def recipe(self):
            return Recipe(
                network=NetworkConfig(width=13, options={"periodic": "x"}),
                stages=(StageConfig("adam", steps=5), StageConfig(seconds=7.0, options={"damping": 1e-3})),
            )
    '''
)


@pytest.fixture(autouse=True)
def _settings():
    """Put back what a command sets for the whole process."""
    names = ("jax_enable_x64", "jax_default_matmul_precision", "jax_default_device", "jax_platforms")
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory with `rod.py`, also registered as `rod`, and a broken third party's entry."""
    (tmp_path / "rod.py").write_text(ROD)
    entries = {
        "problems": {"rod": "rod:Rod", "broken": "no_such_package.module:Thing"},
        "methods": {"pinn": "pdesolve.config:Recipe"},
    }
    known = {
        group: {n: EntryPoint(n, v, f"pdesolve.{group}") for n, v in entries.get(group, {}).items()}
        for group in registry.GROUPS
    }
    monkeypatch.setattr(registry, "_entries", known.__getitem__)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("rod", "helper", "_pdesolve_user_rod", "_pdesolve_user_mine"):
        sys.modules.pop(name, None)


@pytest.fixture
def run(capsys, here):
    """Run a command line: `run("solve", "rod")` gives exit code, standard output and standard error."""

    def call(*words):
        code = main(list(words))
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def engine(monkeypatch):
    """Replace the engine: it records what it is asked, and answers with `engine.status`."""
    stub = SimpleNamespace(status="solved", raises=None, calls=[])

    def solve(problem, recipe, **options):
        stub.calls.append(SimpleNamespace(problem=problem, recipe=recipe, **options))
        stub.x64 = jax.config.jax_enable_x64
        stub.matmul = jax.config.jax_default_matmul_precision
        if stub.raises is not None:
            raise stub.raises
        return SimpleNamespace(status=stub.status, table=lambda: "THE TABLE")

    monkeypatch.setitem(sys.modules, "pdesolve.solving", SimpleNamespace(solve=solve))
    return stub
