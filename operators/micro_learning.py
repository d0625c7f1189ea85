"""How a unit cell is learned from solved states of it: samples, training, errors, files."""

import abc
import dataclasses
import time
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from pdesolve.config import NetworkConfig, Recipe, StageConfig
from pdesolve.errors import PdesolveError
from pdesolve.fit import Stage, fit
from pdesolve.method import AbstractMethod, Outcome, identity, refuse_pointwise_settings, resolved
from pdesolve.metrics import relative_l2, trivial_errors
from pdesolve.multiscale import RVE, RVEState
from pdesolve.objective import Objective
from pdesolve.optim import FirstOrder, build_stage_optimiser

from .equino import EquiNO
from .micro_errors import field_errors, mean_stress_errors
from .snapshots import Snapshots, is_unit_cell, make_snapshots, read_snapshots, split
from .stress_network import StressNetwork

__all__ = ["AbstractMicroLearning", "field_results", "limited", "mean_stresses", "seen_stages", "sizes"]

_TIMED = 256
"""Strains of one call when the trained model is timed."""


class AbstractMicroLearning(AbstractMethod):
    """What the methods share: samples, training, errors on test samples, the fields under the problem's own strain.

    Samples are those of `data.file`, or are solved for. The last `data.test` of `data.train` samples are for the test;
    of the others four fifths make modes or are trained on, one fifth is watched during training. The file of the run is
    a micro model of a two-scale solve, `--micro METHOD:FILE`.
    """

    reads_samples: ClassVar[bool] = True
    """Whether `data.file` is the method's own to read."""

    @abc.abstractmethod
    def own(self) -> tuple[NetworkConfig, tuple[StageConfig, ...]]:
        """Return network and stages where the recipe says nothing."""

    @abc.abstractmethod
    def model(self, problem: Any, rve: RVE, train: Snapshots | None, recipe: Recipe) -> Any:
        """Return the untrained model; without samples one of the same structure."""

    @abc.abstractmethod
    def stages(self, model: Any, problem: Any, rve: RVE, train: Snapshots, recipe: Recipe) -> tuple[Any, list[Stage]]:
        """Return what is trained, and how."""

    @abc.abstractmethod
    def results(self, model: Any, problem: Any, rve: RVE, test: Snapshots) -> tuple[xr.Dataset, dict[str, Any]]:
        """Return the fields to store, and the verdict."""

    def trained(self, trainables: Any, model: Any) -> Any:
        """Return the model from what was trained."""
        return trainables

    def run(self, problem, recipe, monitor):
        """Get samples, train, and compare with the finite elements."""
        if not is_unit_cell(problem):
            raise PdesolveError(
                f"method {recipe.method!r} learns unit cells, such as rve1; {type(problem).__name__} is none."
            )
        refuse_pointwise_settings(recipe)
        recipe = self.completed(recipe)
        directory = None if monitor.checkpoint is None else monitor.checkpoint.parent
        if recipe.data.file is None:
            samples, cells = make_snapshots(problem, recipe.data.train, recipe.seed, directory)
        else:
            samples, cells = read_snapshots(recipe.data.file, problem, recipe.data.train)
        recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, resolution=cells))
        train, validation, test = split(samples, recipe.data.test)
        rve = problem.rve(cells)
        model = self.model(problem, rve, train, recipe)
        began = time.perf_counter()
        trainables, stages = self.stages(model, problem, rve, train, recipe)
        prepared = time.perf_counter() - began
        result = fit(
            stages,
            trainables,
            seed=recipe.seed,
            evaluate=lambda trainables: self._measured(self.trained(trainables, model), validation),
            callbacks=monitor.callbacks,
            checkpoint=monitor.checkpoint,
            resume=monitor.resume,
            identity=identity(problem, recipe),
            mesh=monitor.mesh,
        )
        model = self.trained(result.trainables, model)
        dataset, verdict = self.results(model, problem, rve, test)
        found, seconds = _timed_answers(model, test.strains)
        verdict["measures"] = (
            mean_stress_errors(found, test)
            | verdict["measures"]
            | {"seconds_to_prepare": prepared, "seconds_per_strain": seconds, "solver_seconds": samples.seconds}
        )
        return Outcome(
            dataset=dataset,
            verdict=verdict
            | {
                "reference": "finite elements of the same mesh",
                # Newton's method ends there, and the modes pass it on.
                "reference_error": 1e-10,
                "classical_seconds": samples.seconds,
                "classical": {"method": "finite elements, one strain"},
            },
            recipe=resolved(recipe, result.steps),
            verified=True,
            fit=result,
            model=model,
        )

    def skeleton(self, problem, recipe):
        """Return an untrained model of the recipe's shape."""
        return self.model(problem, problem.rve(recipe.data.resolution), None, recipe)

    def evaluator(self, problem, recipe, model):
        """A mean strain is mapped to fields: there is no value at a point alone."""
        return None

    def completed(self, recipe: Recipe) -> Recipe:
        """Return the recipe with the method's own network and stages in place of a recipe's usual ones."""
        network, stages = self.own()
        if recipe.network == NetworkConfig():
            recipe = dataclasses.replace(recipe, network=network)
        usual = StageConfig(seconds=60.0)
        if len(recipe.stages) == 1 and recipe.stages[0].optimiser == usual.optimiser and not recipe.stages[0].options:
            (stage,) = recipe.stages
            last = stages[-1]
            if (stage.steps, stage.seconds) != (usual.steps, usual.seconds):
                last = dataclasses.replace(last, steps=stage.steps, seconds=stage.seconds)
            stages = tuple(dataclasses.replace(s, target=stage.target) for s in (*stages[:-1], last))
            recipe = dataclasses.replace(recipe, stages=stages)
        return recipe

    def _measured(self, model: Any, samples: Snapshots) -> dict[str, float]:
        stresses = np.asarray(mean_stresses(model, jnp.asarray(samples.strains)))
        return {"relative_l2": relative_l2(stresses, samples.stresses)}


def field_results(model: Any, problem: Any, rve: RVE, test: Snapshots) -> tuple[xr.Dataset, dict[str, Any]]:
    """Return the fields under the problem's strain beside those of finite elements, and errors of the test samples."""
    pooled, measures = field_errors(model, rve, test)
    strain = problem.strain()
    expected = rve.solve(strain)
    found = {name: np.asarray(values) for name, values in model.micro_fields(jnp.asarray(strain)).items()}
    stresses, tangents = model.respond(strain[None])
    state = RVEState(
        strain=strain,
        fluctuation=found["fluctuation"],
        strains=found["strain"],
        stresses=found["stress"],
        stress=stresses[0],
        tangent=tangents[0],
        iterations=0,
        residual=0.0,
    )
    dataset, reference = rve.dataset(state), rve.dataset(expected)
    beside = {f"{name}_reference": values for name, values in reference.items() if name not in ("points", "cells")}
    largest = np.abs(found["stress"] - expected.stresses).max()
    return dataset.assign(beside), {
        "relative_l2": pooled.pooled,
        "max_error": float(largest),
        "trivial_error": trivial_errors({"stress": test.fields}),
        "homogenised_stress": stresses[0].tolist(),
        "tangent": tangents[0].tolist(),
        "strain": strain.tolist(),
        "measures": measures,
    }


def sizes(network: NetworkConfig) -> dict[str, Any]:
    """Return the arguments of a perceptron."""
    return {"width": network.width, "depth": network.depth, "activation": network.activation}


def seen_stages(objectives: list[Objective], recipe: Recipe) -> list[Stage]:
    """Return the stages of a recipe: batches for first-order optimisers, all samples for others."""
    stages = []
    for config in recipe.stages:
        optimiser = build_stage_optimiser(config)
        batches = isinstance(optimiser, FirstOrder)
        stage = Stage(
            objectives[0] if batches else objectives[1],
            optimiser,
            steps=0,
            chunk=100 if batches else 10,
            name=config.optimiser,
        )
        stages.append(limited(stage, config))
    return stages


def limited(stage: Stage, config: StageConfig) -> Stage:
    """Return the stage with the limits of a configuration."""
    return dataclasses.replace(stage, steps=config.steps, seconds=config.seconds, target=config.target)


@eqx.filter_jit
def mean_stresses(model: Any, strains: jax.Array) -> jax.Array:
    """Return the mean stresses of strains."""
    return jax.lax.map(model, strains, batch_size=8)


def _timed_answers(model: Any, strains: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], float]:
    """Return stresses and tangents, and the seconds for each strain of a call that is compiled."""
    many = np.resize(strains, (_TIMED, 3)) if isinstance(model, EquiNO | StressNetwork) else strains
    model.respond(many)
    began = time.perf_counter()
    stresses, tangents = model.respond(many)
    seconds = (time.perf_counter() - began) / len(many)
    if len(many) != len(strains):
        stresses, tangents = model.respond(strains)
    return (stresses, tangents), seconds
