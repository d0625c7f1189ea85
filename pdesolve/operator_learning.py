"""Operator learning: a family's samples as an objective for a map between functions."""

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from .config import Recipe, StageConfig
from .data import ChannelNormaliser
from .distributed import check_experts
from .errors import PdesolveError, UnknownNameError
from .family import AbstractFamily, FamilyData
from .fit import Stage, fit
from .learning.errors import mean_relative_l2
from .learning.losses import LOSSES, AbstractLoss, build_loss
from .learning.model import LearnedOperator, build_operator, chosen_model, predict, trained_model
from .learning.physics import Residuals, check_physics, physics_terms
from .learning.results import Results, map_results, step_results
from .learning.samples import AbstractSamples, FileSamples, draw_splits, warn_of_overlap
from .learning.training import Training, prepare
from .learning.trajectories import STEPPINGS, Steps, Window, free_rollouts
from .learning.trials import adapted_errors, other_resolutions
from .learning.trunk import TrunkResiduals, check_trunk
from .method import AbstractMethod, Outcome, identity, refuse_points, refuse_pointwise_settings, resolved
from .objective import AbstractBlock, BatchBlock, Objective, PointwiseBlock, Term
from .optim import Averaged, Averaging, build_stage_optimiser
from .samplers import DataBatches

__all__ = ["LearnedOperator", "OperatorLearning", "build_operator", "draw_samples", "mean_relative_l2", "predict"]

SELECTIONS = ("last", "best")


class Answer(eqx.Module):
    """The error of one sample's answer, and the residuals of its equations where they are asked for."""

    loss: AbstractLoss
    residuals: Residuals | None = None

    def __call__(self, trainables: PyTree, sample: tuple[Array, Array], key: Any, context: Any) -> dict[str, Array]:
        given, expected = sample
        answer = trained_model(trainables)(given)
        z = {"data": self.loss.residual(answer, expected)}
        return z if self.residuals is None else z | self.residuals.of(given, answer)


class OperatorLearning(AbstractMethod):
    """Operator learning: the map from input functions to solutions, trained on solved samples.

    Samples are generated, those for training, validation and test with seeds of their own, or read from a file. The
    loss is relative; normalisers are fitted to the training samples. Errors shown during training, and a stage's
    `target`, are those of the validation samples; the chosen model meets the test samples once. Of trajectories an
    operator can learn to step in time; its errors are then those of free rollouts.
    """

    loss: str = eqx.field(static=True, default="relative_l2")
    """`relative_l2`, `relative_h1` (first derivatives count too) or `relative_mse` (pooled; a sum of squares)."""
    select: str = eqx.field(static=True, default="last")
    """The model that is taken: `last`, or `best` on the validation samples, which are seen once an epoch."""
    ema: float = eqx.field(static=True, default=0.0)
    """Decay of an exponential moving average of the weights, which is then the model that is taken; none if 0."""
    stepping: str = eqx.field(static=True, default="map")
    """`map` (from inputs to the end), or how to train an operator that steps: see `pdesolve.learning.Steps`."""
    history: int = eqx.field(static=True, default=1)
    """Frames given to an operator that steps."""
    bundle: int = eqx.field(static=True, default=1)
    """Frames that it returns at once."""
    calls: int = eqx.field(static=True, default=1)
    """Calls in a row in training, unrolled or pushed forward."""
    resolutions: tuple[int, ...] = eqx.field(static=True, default=())
    """Further resolutions at which the test samples are generated and the trained operator is tried."""
    physics: str = eqx.field(static=True, default="")
    """Form of the equations' residuals that are trained on beside the data: one of the family's `residual_forms`."""
    physics_resolution: int = eqx.field(static=True, default=0)
    """Grid points in each direction at which residuals are taken; those of the data if 0."""
    test_time_steps: int = eqx.field(static=True, default=0)
    """Steps on the residuals of single test samples with the trained operator; none if 0."""
    test_time_samples: int = eqx.field(static=True, default=1)
    """How many test samples are treated so."""
    test_time_optimiser: str = eqx.field(static=True, default="lbfgs")
    """The optimiser of these steps."""
    anchor: float = eqx.field(static=True, default=0.0)
    """Weight in these steps of the squared relative distance to the first answer."""

    def __check_init__(self):
        for word, value, known in (
            ("loss", self.loss, LOSSES),
            ("selection", self.select, SELECTIONS),
            ("stepping", self.stepping, STEPPINGS),
        ):
            if value not in known:
                raise UnknownNameError(word, value, known)
        if not 0 <= self.ema < 1:
            raise PdesolveError(f"`ema` must be at least 0 and below 1, got {self.ema}.")
        if self.stepping == "map" and (self.history, self.bundle, self.calls) != (1, 1, 1):
            raise PdesolveError(
                "`history`, `bundle` and `calls` belong to an operator that steps: give `stepping` too."
            )
        if self.stepping != "map" and (self.physics or self.resolutions or self.test_time_steps):
            raise PdesolveError("an operator that steps has no `physics`, `resolutions` or `test_time_steps`.")
        for name in ("physics_resolution", "test_time_steps", "anchor"):
            if getattr(self, name) < 0:
                raise PdesolveError(f"`{name}` must not be negative, got {getattr(self, name)}.")
        if self.test_time_samples < 1:
            raise PdesolveError(f"`test_time_samples` must be at least 1, got {self.test_time_samples}.")

    def run(self, problem, recipe, monitor):
        """Generate or read data, train, and compare with the solver that made the data."""
        if not isinstance(problem, AbstractFamily) or not problem.input_names:
            raise PdesolveError(
                f"operator learning needs a family of problems with input functions; {type(problem).__name__} is none."
            )
        refuse_pointwise_settings(recipe)
        refuse_points(recipe)
        if self.physics or self.test_time_steps:
            check_physics(problem, self.physics)
        steps, operator = self.steps(problem), self._operator(problem, recipe)
        check_experts(monitor.mesh, operator)
        splits = draw_splits(problem, recipe, stepped=steps is not None)
        training = prepare(splits.train, recipe.data, steps)
        overlap = warn_of_overlap(training.digests, splits.test, str(recipe.data.file)) if training.digests else None
        model = LearnedOperator.around(operator, training.inputs, training.outputs)
        result = fit(
            self.stages(problem, recipe, training, splits.train),
            Averaged(model, model) if self.ema else model,
            seed=recipe.seed,
            evaluate=self._measure(splits.validation, steps),
            callbacks=monitor.callbacks,
            checkpoint=monitor.checkpoint,
            resume=monitor.resume,
            identity=identity(problem, recipe),
            keep_best=self.select == "best",
            mesh=monitor.mesh,
        )
        model = chosen_model(result.trainables if result.best is None else result.best)
        dataset, verdict = self._results(problem, recipe, model, steps, training.known, splits.test)
        return Outcome(
            dataset=dataset,
            verdict=verdict if overlap is None else verdict | {"warnings": [overlap]},
            recipe=resolved(recipe, result.steps),
            verified=True,
            fit=result,
            model=model,
        )

    def skeleton(self, problem, recipe):
        """Return an untrained operator of the recipe's shape, with normalisers that change nothing."""
        steps = self.steps(problem)
        given, wanted = len(problem.input_names), len(problem.field_names)
        channels = (given, wanted) if steps is None else steps.channels(wanted)
        return LearnedOperator(self._operator(problem, recipe), *map(ChannelNormaliser.identity, channels))

    def evaluator(self, problem, recipe, model):
        """Functions are mapped to functions: there is no value at a point alone."""
        return None

    def steps(self, problem: AbstractFamily) -> Steps | None:
        """Return how the operator steps; None of a map."""
        if self.stepping == "map":
            return None
        return Steps(self.stepping, self.history, self.bundle, self.calls, len(problem.constant_names))

    def stages(
        self, problem: AbstractFamily, recipe: Recipe, training: Training, samples: AbstractSamples | None = None
    ) -> list[Stage]:
        """Return the stages of a fit, a pass through what is in memory to the chunk.

        Args:
            problem: The family.
            recipe: Its `weights`, `stages` and `seed` count.
            training: The training samples made ready.
            samples: The training samples themselves, where residuals are on another grid.

        Raises:
            UnknownNameError: If a weight is that of no term.
        """
        known = ["data", *(problem.residual_names if self.physics else ())]
        unknown = [name for name in recipe.weights if name not in known]
        if unknown:
            raise UnknownNameError("loss term in `weights`", unknown[0], known)
        objective = Objective(self._blocks(problem, recipe, training, samples))
        return [self._stage(config, objective, training.chunk) for config in recipe.stages]

    def _operator(self, problem: AbstractFamily, recipe: Recipe) -> eqx.Module:
        steps = self.steps(problem)
        operator = build_operator(problem, recipe, None if steps is None else steps.channels(len(problem.field_names)))
        if self.physics == "pointwise":
            check_trunk(problem, operator)
        return operator

    def _blocks(
        self, problem: AbstractFamily, recipe: Recipe, training: Training, samples: AbstractSamples | None
    ) -> tuple[AbstractBlock, ...]:
        """Return the block of the data and, on another grid or by derivatives of a trunk, that of the residuals."""
        steps, data = self.steps(problem), training.known
        coordinates = {axis: points for axis, points in data.coordinates.items() if steps is None or axis != "t"}
        loss = build_loss(
            self.loss, coordinates=coordinates, periodic=problem.periodic, mean_square=training.mean_square
        )
        weight = float(recipe.weights.get("data", 1.0))
        term = (Term("data", weight=weight, outer=loss.outer()),)
        if steps is not None:
            window = Window(steps, loss, recipe.seed, training.chunk)
            return (PointwiseBlock(window, training.sampler, term),)
        terms = physics_terms(problem, recipe.weights) if self.physics else ()
        # Without its weight the data has no part in training, and Gauss-Newton no rows of it.
        term = term if weight > 0 or not terms else ()
        if not terms:
            return (PointwiseBlock(Answer(loss), training.sampler, term),)
        names = tuple(each.name for each in terms)
        supervised = (PointwiseBlock(Answer(loss), training.sampler, term),) if term else ()
        if self.physics == "pointwise":
            inputs = DataBatches((_inputs(data),), recipe.data.batch)
            return (*supervised, BatchBlock(TrunkResiduals(problem, data.coordinates, names), inputs, terms))
        finer = self._finer(problem, recipe, samples)
        if finer is None:
            residuals = Residuals(problem, data.coordinates, self.physics, names)
            return (PointwiseBlock(Answer(loss, residuals), training.sampler, (*term, *terms)),)
        residuals = Residuals(problem, finer.coordinates, self.physics, names)
        inputs = DataBatches((_inputs(finer),), recipe.data.batch)
        return (*supervised, PointwiseBlock(residuals, inputs, terms))

    def _finer(self, problem: AbstractFamily, recipe: Recipe, samples: AbstractSamples | None) -> FamilyData | None:
        """Return the inputs on the grid of the residuals; None if it is that of the data."""
        config = recipe.data
        if config.file is not None:
            if self.physics_resolution:
                raise PdesolveError(
                    "residuals of a file's samples are on its whole grid: leave out `physics_resolution`."
                )
            if config.stride in (None, 1) or not isinstance(samples, FileSamples):
                return None
            return dataclasses.replace(samples, stride=1).load(0, samples.count)
        if self.physics_resolution in (0, config.resolution):
            return None
        seed = int(np.random.SeedSequence(recipe.seed).generate_state(3)[0])
        return problem.draw_inputs(config.train, self.physics_resolution, seed)

    def _stage(self, config: StageConfig, objective: Objective, chunk: int) -> Stage:
        optimiser = build_stage_optimiser(config)
        return Stage(
            objective,
            Averaging(optimiser, self.ema) if self.ema else optimiser,
            steps=config.steps,
            seconds=config.seconds,
            target=config.target,
            chunk=chunk,
            trainable=_without_normalisers,
            name=config.optimiser,
        )

    def _measure(self, validation: AbstractSamples, steps: Steps | None) -> Any:
        """Return the function that measures errors during training."""
        data = validation.load(0, validation.count)

        def measure(trainables: PyTree) -> dict[str, float]:
            model = chosen_model(trainables)
            if steps is None:
                return {"relative_l2": mean_relative_l2(predict(model, _given(data)), data.outputs)}
            frames = np.moveaxis(data.outputs, 2, 1)
            answers = free_rollouts(model, steps, _given(data), frames)
            return {"relative_l2": mean_relative_l2(answers, frames[:, steps.history :])}

        return measure

    def _results(
        self,
        problem: AbstractFamily,
        recipe: Recipe,
        model: LearnedOperator,
        steps: Steps | None,
        known: FamilyData,
        samples: AbstractSamples,
    ) -> Results:
        test = samples.load(0, samples.count)
        if steps is not None:
            return step_results(problem, model, steps, test)
        dataset, verdict = map_results(problem, model, known, test)
        if self.resolutions:
            verdict["resolutions"] = other_resolutions(problem, recipe, model, self.resolutions)
        if self.test_time_steps:
            form = next(f for f in (self.physics, *problem.residual_forms) if f not in ("", "pointwise"))
            stage = StageConfig(self.test_time_optimiser, steps=self.test_time_steps)
            options = {"form": form, "stage": stage, "samples": self.test_time_samples, "anchor": self.anchor}
            verdict["test_time"] = adapted_errors(problem, recipe, model, test, **options)
        return dataset, verdict


def draw_samples(problem: AbstractFamily, recipe: Recipe) -> tuple[FamilyData, FamilyData, FamilyData]:
    """Return training, validation and test samples; there are half as many for validation as for the test."""
    train, validation, test = (part.load(0, part.count) for part in draw_splits(problem, recipe))
    return train, validation, test


def _given(data: FamilyData) -> np.ndarray:
    assert data.inputs is not None
    return data.inputs


def _inputs(data: FamilyData) -> Array:
    return jnp.asarray(_given(data), dtype=float)


def _without_normalisers(trainables: PyTree) -> PyTree:
    spec = LearnedOperator(True, False, False)  # type: ignore[arg-type]
    return Averaged(spec, spec) if isinstance(trainables, Averaged) else spec
