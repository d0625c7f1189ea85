"""What holds for every registered operator."""

import importlib
import pkgutil
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import operators
from operators import AbstractOperator
from pdesolve import registry

NAMES = registry.names("operators")


THREE = ("fno", "dymixop")
"""Tried on three axes as well."""


HEAVY = ("cno", "lsm", "uno")
"""Take half a minute to compile on two axes."""
CASES = [(name, d) for name in NAMES for d in (1, 2, 3) if d < 3 or name in THREE]


@pytest.fixture(
    params=[
        pytest.param(case, marks=pytest.mark.slow if case[0] in HEAVY and case[1] == 2 else (), id=str(case))
        for case in CASES
    ]
)
def case(request, key):
    """A small operator with two inputs and three outputs, and four samples."""
    name, dims = request.param
    model = registry.load("operators", name)(2, 3, num_dims=dims, width=4, depth=2, activation="gelu", key=key)
    grid = (8, 4, 12) if name in ("unet", "neural_stagger") else (9, 8, 10)  # grids are halved
    return model, jax.random.normal(key, (4, 2, *grid[:dims]))


def test_names_are_registered():
    assert {"fno", "tfno", "uno", "local_no", "dymixop", "deeponet", "unet", "resnet"} <= set(NAMES)
    assert {"cno", "lsm", "transolver", "gnot", "mppde", "neural_stagger"} <= set(NAMES)


def test_shapes_and_batches(case):
    """One sample in, one sample out on the same grid, all finite; vmap equals a loop."""
    model, samples = case
    assert isinstance(model, AbstractOperator)
    outputs = eqx.filter_jit(lambda model, samples: jax.vmap(model)(samples))(model, samples)
    assert outputs.shape == (4, 3, *samples.shape[2:]) and bool(jnp.isfinite(outputs).all())
    np.testing.assert_allclose(outputs, jnp.stack([model(s) for s in samples]), atol=1e-12)


def test_jit_compiles_once(case):
    """Jitted equals not jitted; a second sample of the same shape is not traced again."""
    model, samples = case
    traces = []

    @eqx.filter_jit
    def apply(model, sample):
        traces.append(None)
        return model(sample)

    np.testing.assert_allclose(apply(model, samples[0]), model(samples[0]), atol=1e-12)
    apply(model, samples[1])
    assert len(traces) == 1


def test_save_and_load(case, tmp_path):
    """Leaves read into an operator of another key give identical outputs."""
    model, samples = case
    eqx.tree_serialise_leaves(tmp_path / "model.eqx", model)
    other = jax.tree.map(lambda leaf: jnp.zeros_like(leaf) if eqx.is_array(leaf) else leaf, model)
    loaded = eqx.tree_deserialise_leaves(tmp_path / "model.eqx", other)
    np.testing.assert_array_equal(loaded(samples[0]), model(samples[0]))


@pytest.mark.parametrize("name", NAMES)
def test_types(name, key):
    """float32 parameters and input give float32; parameters are real, so that any optimiser can be used."""
    constructor = registry.load("operators", name)
    model = constructor(1, 1, num_dims=1, width=4, depth=1, activation="gelu", key=key, dtype=jnp.float32)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array)))
    assert model(jnp.ones((1, 8), jnp.float32)).dtype == jnp.float32


@pytest.mark.parametrize("name", NAMES)
def test_equal_keys_give_equal_parameters(name, key):
    first, second = (
        registry.load("operators", name)(1, 1, num_dims=1, width=4, depth=1, activation="gelu", key=key)
        for _ in range(2)
    )
    assert eqx.tree_equal(first, second)


@pytest.mark.parametrize("name", NAMES)
def test_one_line_says_what_it_is(name):
    line = registry.describe("operators", name)
    assert line and len(line) <= 100 and line.endswith(".")


def test_classes_are_abstract_or_final():
    """The name says whether a class is an interface, and no concrete class has subclasses."""
    for module in pkgutil.iter_modules(operators.__path__):
        for cls in vars(importlib.import_module(f"operators.{module.name}")).values():
            if isinstance(cls, type) and issubclass(cls, eqx.Module) and cls.__module__.startswith("operators."):
                abstract = bool(getattr(cls, "__abstractmethods__", ()) or getattr(cls, "__abstractvars__", ()))
                assert abstract == cls.__name__.startswith("Abstract")
                assert abstract or not cls.__subclasses__()


def test_import_is_lazy():
    """Importing the package does not import JAX."""
    code = "import sys, operators; assert 'jax' not in sys.modules; assert 'FNO' in dir(operators)"
    subprocess.run([sys.executable, "-c", code], check=True)
