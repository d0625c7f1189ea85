"""Compare one device with meshes of 8: run by `test_equality` in a process of its own, which emulates the devices.

The cases are the words of the command line. Prints a JSON object, case to numbers.
"""

import dataclasses
import json
import sys
import tempfile
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pdesolve import operator_learning, pinn
from pdesolve.communication import traffic
from pdesolve.config import DataConfig, NetworkConfig, PointsConfig, Recipe, StageConfig
from pdesolve.distributed import data_mesh, placed
from pdesolve.fit import Stage, _evaluation, _Run, fit, lowered_chunk
from pdesolve.flow import method as flow_method
from pdesolve.method import Monitor, build_method
from pdesolve.optim import LBFGS, LevenbergMarquardt
from problems import Burgers, BurgersFamily, DiffusionSorption, RandomField1D

# There are 5 points on the boundary: fewer than devices.
POINTS = PointsConfig(interior=64, boundary=5, refresh=4)
ADAM = StageConfig("adam", steps=10, options={"learning_rate": 1e-2})
SORPTION = DiffusionSorption(intervals=8)
EXPERTS = Recipe(
    method="pihcmoe",
    method_options={"experts": 4, "basis": 4},
    network=NetworkConfig("fno", width=4, depth=1, activation="gelu", options={"modes": 2}),
    data=DataConfig(train=8, test=2, resolution=16, batch=4),
    # Longer steps lead to weights where a solve's answer jumps, and round-off is no longer all that differs.
    stages=(StageConfig("adam", steps=10, options={"learning_rate": 1e-3}),),
)
LEARNED = dataclasses.replace(EXPERTS, method_options={**EXPERTS.method_options, "router": "learned"})
SMALL = Recipe(network=NetworkConfig(width=6, depth=2), points=POINTS, stages=(ADAM,), exact=False)
CASES = {
    "pinn": (Burgers(), dataclasses.replace(SMALL, points=dataclasses.replace(POINTS, interior=60)), 8),
    "pinn, even": (Burgers(), SMALL, 8),
    "pinn, in pieces": (Burgers(), dataclasses.replace(SMALL, points=dataclasses.replace(POINTS, chunk=5)), 2),
    "pinn, weights of points": (
        Burgers(),
        dataclasses.replace(SMALL, points=dataclasses.replace(POINTS, weighting="residual_attention")),
        8,
    ),
    "operator": (
        BurgersFamily(),
        Recipe(
            method="operator",
            network=NetworkConfig("fno", width=4, depth=1, activation="gelu", options={"modes": 4}),
            data=DataConfig(train=16, test=4, resolution=32, batch=8),
            stages=(ADAM,),
        ),
        8,
    ),
    "flow": (
        RandomField1D(),
        Recipe(
            method="flow_matching",
            network=NetworkConfig("spectral_velocity", width=4, depth=1, activation="gelu", options={"modes": 4}),
            data=DataConfig(train=64, test=16, resolution=16, batch=16),
            stages=(ADAM,),
        ),
        8,
    ),
    "experts": (SORPTION, EXPERTS, 1, 4),
    "experts, two each": (SORPTION, EXPERTS, 3, 2),
    "experts, learned router": (SORPTION, LEARNED, 2, 4),
}
"""Problem, recipe, and devices along `data` and along `expert`, if there is that axis."""


class Found(Exception):
    """Stages and first trainables, as a method hands them to `fit`."""


def found(problem, recipe):
    """Return what the method would train."""

    def record(stages, trainables, **options):
        raise Found(stages, trainables)

    for module in (pinn, operator_learning, flow_method):
        module.fit = record
    try:
        build_method(recipe).run(problem, recipe, Monitor())
    except Found as stop:
        return stop.args
    raise AssertionError("nothing was trained")


def first_step(stage, trainables, mesh):
    """Return the gradient of a stage's first step, and its loss by two ways."""
    state = _Run([stage], 0, None, (), None, 10.0, "")._begin(stage, trainables, None)
    stage, state, key = placed((stage, state, jax.random.key(0)), mesh)

    @eqx.filter_jit
    def evaluated(stage, state, key):
        params, frozen = stage.partition(state.trainables)
        evaluation, _ = _evaluation(stage, state, frozen, params, key, jnp.asarray(0), jnp.asarray(10.0), mesh)
        (loss, _), gradient = evaluation.value_and_gradient(params)
        return gradient, (loss, evaluation.loss(params)[0])

    return evaluated(stage, state, key)


def difference(first, second):
    """Return the largest difference between two trees, as a share of the largest entry of the first."""
    pairs = list(zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True))
    scale = max(float(np.abs(a).max()) for a, _ in pairs)
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs) / scale


def compared(problem, recipe, count, experts=None):
    """Return by how much a mesh differs from one device, at the first step and after all of them."""
    (stage, *_), trainables = found(problem, recipe)
    mesh = data_mesh(count, experts=experts)
    (gradient, losses), (other, others) = (first_step(stage, trainables, devices) for devices in (None, mesh))
    ends = [fit([stage], trainables, mesh=devices) for devices in (None, mesh)]
    assert all(len(leaf.sharding.device_set) == 1 for leaf in jax.tree.leaves(eqx.filter(ends[1], eqx.is_array)))
    return {
        "gradient": difference(gradient, other),
        "loss": difference(losses, others),
        "end": difference(*(end.history[-1]["loss"] for end in ends)),
        "trainables": difference(*(eqx.filter(end.trainables, eqx.is_inexact_array) for end in ends)),
    }


def second_order():
    """Return by how much losses after 3 steps differ on 8 devices, by optimiser."""
    (stage, *_), trainables = found(Burgers(), SMALL)
    optimisers = {name: LevenbergMarquardt(factorisation=name) for name in ("cholesky", "eigen")} | {"lbfgs": LBFGS()}
    ends = {}
    for name, optimiser in optimisers.items():
        short = Stage(stage.objective, optimiser, steps=3, chunk=3)
        results = [fit([short], trainables, mesh=mesh) for mesh in (None, data_mesh(8))]
        ends[name] = difference(*(result.history[-1]["loss"] for result in results))
    return ends


def sent():
    """Return what a step of four experts on 2 by 4 devices sends, kind to operations and bytes, and what there is."""
    (stage, *_), trainables = found(SORPTION, EXPERTS)
    program = lowered_chunk(stage, trainables, mesh=data_mesh(2, experts=4)).compile().compiled
    kinds = {each.kind: (each.count, each.size) for each in traffic(program.as_text())}
    parameters = sum(leaf.size for leaf in jax.tree.leaves(stage.partition(trainables)[0]))
    return {"kinds": kinds, "parameters": parameters, "losses": len(stage.objective.terms)}


def restarted():
    """Return by how much 8 steps on 8 devices and 4 more on 3, or on one, differ from 12 steps on one."""
    (stage, *_), trainables = found(Burgers(), SMALL)
    short, whole = (dataclasses.replace(stage, steps=steps) for steps in (8, 12))
    expected = fit([whole], trainables).history[-1]["loss"]
    ends = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, mesh in (("three", data_mesh(3)), ("one", None)):
            file = Path(folder) / name
            fit([short], trainables, checkpoint=file, mesh=data_mesh(8))
            result = fit([whole], trainables, checkpoint=file, resume=True, mesh=mesh)
            assert result.steps == (12,) and len(result.history) == 3
            ends[name] = difference(expected, result.history[-1]["loss"])
    return ends


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", 8)
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_numpy_rank_promotion", "raise")
    others = {"second order": second_order, "restarted": restarted, "sent": sent}
    print(json.dumps({name: others[name]() if name in others else compared(*CASES[name]) for name in sys.argv[1:]}))
