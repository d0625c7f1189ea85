"""What every file of the three packages keeps to, whoever writes it."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import equinox as eqx
import pytest

import operators
import pdesolve
import problems
from pdesolve import registry

PACKAGES = (pdesolve, problems, operators)


INNER = [m for p in PACKAGES for m in pkgutil.walk_packages(p.__path__, f"{p.__name__}.")]
LAZY = [package.__name__ for package in PACKAGES] + [m.name for m in INNER if m.ispkg]
MODULES = LAZY + [m.name for m in INNER if not m.ispkg and not m.name.endswith("__main__")]


def classes() -> Iterator[type]:
    """Every class that one of our modules defines."""
    for name in MODULES:
        for value in vars(importlib.import_module(name)).values():
            if inspect.isclass(value) and value.__module__ == name:
                yield value


def is_abstract(cls: type) -> bool:
    """Whether something is left for subclasses: a method, or one of equinox's abstract variables."""
    variables = getattr(cls, "__abstractvars__", None) or getattr(cls, "__abstractclassvars__", None)
    return inspect.isabstract(cls) or bool(variables)


def test_abstract_or_final():
    """A module class is an interface called `Abstract...`, or it is final: nothing inherits from a concrete class."""
    modules = [cls for cls in classes() if issubclass(cls, eqx.Module)]
    assert len(modules) > 50
    misnamed = [c for c in modules if is_abstract(c) != c.__name__.lstrip("_").startswith("Abstract")]
    inherited = [(c, b) for c in modules for b in c.__mro__[1:] if b in modules and not is_abstract(b)]
    assert (misnamed, inherited) == ([], [])


@pytest.mark.parametrize("package", LAZY)
def test_lazy_exports(package):
    """Every exported name resolves, none is hidden by a module of its name, and type checkers are told the same."""
    module = importlib.import_module(package)
    for inner in pkgutil.iter_modules(module.__path__):
        if inner.name != "__main__":
            importlib.import_module(f"{package}.{inner.name}")
    # Once a submodule is imported it is an attribute of its package, and `__getattr__` is no longer asked.
    hidden = [name for name in getattr(module, "__all__", ()) if inspect.ismodule(getattr(module, name))]
    assert hidden == []
    assert list(module.__all__) == sorted(module.__all__)
    stubs, attached = exports(Path(str(module.__file__)))
    assert stubs == attached
    assert sorted(attached) == module.__all__


def exports(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Name to submodule in a package's `__init__`, as imported for type checkers and as attached for Python."""
    stubs, attached = {}, {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module != "_lazy":
            stubs |= {alias.asname: f".{node.module}" for alias in node.names if alias.asname == alias.name}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "attach":
            attached = ast.literal_eval(node.args[1])
    return stubs, attached


def test_all_names_exist():
    """`__all__` of every module names what the module has."""
    missing = [
        (name, public)
        for name in MODULES
        for public in getattr(importlib.import_module(name), "__all__", ())
        if not hasattr(importlib.import_module(name), public)
    ]
    assert missing == []


@pytest.mark.parametrize("group", registry.GROUPS)
def test_entries_load(group):
    """Every name that `pyproject.toml` registers loads, and has a line for `pdesolve list`."""
    assert registry.names(group)
    for name in registry.names(group):
        assert callable(registry.load(group, name))
        assert registry.describe(group, name).endswith(".")


def test_importing_pdesolve_does_not_import_jax():
    """So that the command line can choose device and precision, and answer at once."""
    code = "import sys, pdesolve, problems, operators; assert not {'jax', 'numpy', 'equinox'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_modules_touches_nothing():
    """No module starts a device, makes an array or changes JAX's settings while it is imported."""
    code = f"""
import importlib, jax
from jax._src import xla_bridge

before = dict(jax.config.values)
for name in {MODULES}:
    importlib.import_module(name)
    assert not xla_bridge.backends_are_initialized(), f"{{name}} starts a device when imported"
assert dict(jax.config.values) == before
"""
    subprocess.run([sys.executable, "-c", code], check=True)
