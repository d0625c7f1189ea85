"""Operator learning: a family's samples as an objective for a map between functions."""

import inspect
import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, PyTree

from . import registry
from .config import Recipe, StageConfig
from .data import ChannelNormaliser
from .errors import PdesolveError, UnknownNameError
from .family import AbstractFamily, FamilyData
from .fit import Stage, fit
from .method import AbstractMethod, Outcome, identity, refuse_points, refuse_pointwise_settings, resolved
from .objective import Density, Objective, PointwiseBlock, Term
from .optim import build_stage_optimiser
from .samplers import DataBatches

__all__ = ["LearnedOperator", "OperatorLearning", "build_operator", "mean_relative_l2", "predict"]

_STORED = 32
"""Test samples written to the file."""
_BATCH = 64
"""Samples evaluated at a time."""


class LearnedOperator(eqx.Module):
    """An operator between normalised functions, with the normalisers: physical functions in, physical functions out."""

    operator: Callable[[Array], Array]
    inputs: ChannelNormaliser
    outputs: ChannelNormaliser

    def __call__(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output functions of one sample."""
        return self.outputs.decode(self.operator(self.inputs.encode(sample)))


class _RelativeError(eqx.Module):
    """The error of one sample over the norm of its reference; its own norm is the relative L2 error."""

    def __call__(self, model: LearnedOperator, sample: tuple[Array, Array], key: Any, context: Any) -> dict[str, Array]:
        given, expected = sample
        return {"data": (model(given) - expected) / jnp.linalg.norm(expected)}


def _norm(z: Float[Array, "..."]) -> Float[Array, ""]:
    """The L2 norm; its gradient at zero is zero, not NaN."""
    squares = jnp.sum(jnp.square(z))
    return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1.0)), 0.0)


def build_operator(problem: AbstractFamily, recipe: Recipe) -> eqx.Module:
    """Return the untrained operator that the recipe's `network` names.

    Raises:
        UnknownNameError: If there is no such operator or option.
    """
    config = recipe.network
    constructor = registry.load("operators", config.name)
    own = {"in_channels", "out_channels", "num_dims", "width", "depth", "activation", "key"}
    parameters = inspect.signature(constructor).parameters.values()
    accepted = {parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD} - own
    # A constructor that takes any keyword hands it on, and refuses those that nobody knows.
    hands_on = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    for option in config.options:
        if option in own or (option not in accepted and not hands_on):
            raise UnknownNameError(f"option of operator {config.name!r}", option, accepted)
    return constructor(
        len(problem.input_names),
        len(problem.field_names),
        num_dims=len(problem.coordinates),
        width=config.width,
        depth=config.depth,
        activation=config.activation,
        key=jax.random.key(recipe.seed),
        **config.options,
    )


class OperatorLearning(AbstractMethod):
    """Operator learning: the map from input functions to solutions, trained on solved samples.

    Training, validation and test samples are drawn with seeds of their own. The loss is the mean over samples of the
    relative L2 error; normalisers are fitted to the training samples. Errors shown during training, and a stage's
    `target`, are those of the validation samples; the last model is taken, and meets the test samples once.
    """

    def run(self, problem, recipe, monitor):
        """Generate data, train, and compare with the solver that made the data."""
        if not isinstance(problem, AbstractFamily) or not problem.input_names:
            raise PdesolveError(
                f"operator learning needs a family of problems with input functions; {type(problem).__name__} is none."
            )
        refuse_pointwise_settings(recipe)
        refuse_points(recipe)
        train, validation, test = draw_samples(problem, recipe)
        model = LearnedOperator(
            build_operator(problem, recipe),
            ChannelNormaliser.fit(train.inputs),
            ChannelNormaliser.fit(train.outputs),
        )

        def measure(model: LearnedOperator) -> dict[str, float]:
            return {"relative_l2": mean_relative_l2(predict(model, validation.inputs), validation.outputs)}

        result = fit(
            build_stages(recipe, train),
            model,
            seed=recipe.seed,
            evaluate=measure,
            callbacks=monitor.callbacks,
            checkpoint=monitor.checkpoint,
            resume=monitor.resume,
            identity=identity(problem, recipe),
        )
        answers = predict(result.trainables, test.inputs)
        return Outcome(
            dataset=_dataset(problem, test, answers),
            verdict=_verdict(result.trainables, train, test, answers),
            recipe=resolved(recipe, result.steps),
            verified=True,
            fit=result,
            model=result.trainables,
        )

    def skeleton(self, problem, recipe):
        """Return an untrained operator of the recipe's shape, with normalisers that change nothing."""
        channels = len(problem.input_names), len(problem.field_names)
        return LearnedOperator(build_operator(problem, recipe), *map(ChannelNormaliser.identity, channels))

    def evaluator(self, problem, recipe, model):
        """Functions are mapped to functions: there is no value at a point alone."""
        return None


def draw_samples(problem: AbstractFamily, recipe: Recipe) -> tuple[FamilyData, FamilyData, FamilyData]:
    """Return training, validation and test samples; there are half as many for validation as for the test."""
    config = recipe.data
    counts = config.train, max(1, config.test // 2), config.test
    seeds = np.random.SeedSequence(recipe.seed).generate_state(3)
    drawn = [problem.generate(n, config.resolution, int(seed)) for n, seed in zip(counts, seeds, strict=True)]
    if tuple(drawn[0].coordinates) != tuple(problem.coordinates):
        raise PdesolveError(
            f"{type(problem).__name__} says its coordinates are {problem.coordinates}, "
            f"but its data have {tuple(drawn[0].coordinates)}."
        )
    return drawn[0], drawn[1], drawn[2]


def build_stages(recipe: Recipe, train: FamilyData) -> list[Stage]:
    """Return the stages of a fit, an epoch to the chunk."""
    if recipe.data.batch > recipe.data.train:
        raise PdesolveError(f"a batch of {recipe.data.batch} needs as many samples; `train` is {recipe.data.train}.")
    unknown = [name for name in recipe.weights if name != "data"]
    if unknown:
        raise UnknownNameError("loss term in `weights`", unknown[0], ["data"])
    data = jnp.asarray(train.inputs, dtype=float), jnp.asarray(train.outputs, dtype=float)
    term = Term("data", weight=float(recipe.weights.get("data", 1.0)), outer=Density(_norm))
    block = PointwiseBlock(_RelativeError(), DataBatches(data, recipe.data.batch), (term,))
    return [_stage(config, Objective((block,)), recipe) for config in recipe.stages]


def _stage(config: StageConfig, objective: Objective, recipe: Recipe) -> Stage:
    return Stage(
        objective,
        build_stage_optimiser(config),
        steps=config.steps,
        seconds=config.seconds,
        target=config.target,
        chunk=recipe.data.train // recipe.data.batch,
        trainable=_without_normalisers,
        name=config.optimiser,
    )


def _without_normalisers(model: LearnedOperator) -> PyTree:
    return LearnedOperator(True, False, False)  # type: ignore[arg-type]


def predict(model: LearnedOperator, inputs: Float[np.ndarray, "sample in *grid"]) -> np.ndarray:
    """Return the outputs of samples `(sample, out, *grid)`."""
    size = min(_BATCH, len(inputs))
    padded = np.concatenate([inputs, np.repeat(inputs[-1:], -len(inputs) % size, axis=0)])
    batches = padded.reshape(-1, size, *inputs.shape[1:])
    outputs = [np.asarray(_apply(model, jnp.asarray(batch, dtype=float))) for batch in batches]
    return np.concatenate(outputs)[: len(inputs)]


@eqx.filter_jit
def _apply(model: LearnedOperator, batch: Float[Array, "sample in *grid"]) -> Float[Array, "sample out *grid"]:
    return jax.vmap(model)(batch)


def mean_relative_l2(values: Float[np.ndarray, "sample ..."], expected: Float[np.ndarray, "sample ..."]) -> float:
    """Return the mean over samples of each sample's relative L2 error, over all its channels and points."""
    error = (values - expected).reshape(len(expected), -1)
    scale = np.linalg.norm(expected.reshape(len(expected), -1), axis=1)
    return float(np.mean(np.linalg.norm(error, axis=1) / scale))


def _verdict(model: LearnedOperator, train: FamilyData, test: FamilyData, answers: np.ndarray) -> dict[str, Any]:
    """Return the test error and the model's time beside what they are to be held against.

    `linear_regression_error` is that of linear regression on the training samples: where it is small, no learned
    operator is needed. `classical_seconds` is the time of the solver that made the data, at its own accuracy; a
    family's `classical` gives the time at the accuracy of the model, and takes precedence.
    """
    mean = np.broadcast_to(train.outputs.mean(axis=0), test.outputs.shape)
    return {
        "relative_l2": mean_relative_l2(answers, test.outputs),
        "max_error": float(np.abs(answers - test.outputs).max()),
        "reference_error": test.error_bound,
        "reference": "the solver that made the data",
        "trivial_error": {"zero": 1.0, "mean": mean_relative_l2(mean, test.outputs)},
        "classical_seconds": test.seconds,
        "classical": {"method": "the solver that made the data", "relative_l2": test.error_bound},
        "measures": {
            "linear_regression_error": _linear_error(train, test),
            "inference_seconds": _seconds_each(model, test),
            "data_seconds": test.seconds,
        },
    }


def _linear_error(train: FamilyData, test: FamilyData) -> float:
    """Return the test error of the affine map with least squares (and least norm) on the training samples."""
    given, expected, new = (
        np.reshape(a, (len(a), -1)) for a in map(np.asarray, (train.inputs, train.outputs, test.inputs))
    )
    centre, mean = given.mean(axis=0), expected.mean(axis=0)
    kernel = (given - centre) @ (given - centre).T  # dual form: as large as there are samples, whatever the grid
    weights = np.linalg.pinv(kernel, rcond=1e-12, hermitian=True) @ (expected - mean)
    answers = mean + (new - centre) @ (given - centre).T @ weights
    return mean_relative_l2(answers, test.outputs.reshape(len(new), -1))


def _seconds_each(model: LearnedOperator, test: FamilyData) -> float:
    """Return the wall time of the model for one sample, in a batch, compilation left out."""
    batch = jnp.asarray(test.inputs, dtype=float)[:_BATCH]
    times = []
    for _ in range(6):
        start = time.perf_counter()
        jax.block_until_ready(_apply(model, batch))
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:])) / len(batch)


def _dataset(problem: AbstractFamily, test: FamilyData, answers: np.ndarray) -> xr.Dataset:
    """Return the first test samples: inputs, answers and references, dims `(sample, time?, *space)`."""
    names = ["time" if axis == "t" else axis for axis in test.coordinates]
    dims = ("sample", *names)
    order = ("sample", *["time"] * ("time" in names), *[name for name in names if name != "time"])
    fields = dict(zip(problem.input_names, np.moveaxis(test.inputs, 1, 0), strict=True))
    for index, name in enumerate(problem.field_names):
        fields |= {name: answers[:, index], f"{name}_reference": test.outputs[:, index]}
    arrays = {
        name: xr.DataArray(values[:_STORED], dims=dims, attrs={"units": "1"}).transpose(*order)
        for name, values in fields.items()
    }
    for name in problem.input_names:
        arrays[name].attrs["role"] = "input"
    coords = dict(zip(names, test.coordinates.values(), strict=True))
    return xr.Dataset(arrays, coords=coords | {"sample": np.arange(min(_STORED, len(answers)))})
