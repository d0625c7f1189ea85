"""What came of operator learning: fields for the file, errors and what they are to be held against."""

import math
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from ..family import AbstractFamily, FamilyData
from .errors import error_by_frame, mean_relative_l2, median_relative_l1, relative_mse, spectra
from .model import BATCH, LearnedOperator, apply, predict
from .trajectories import Steps, free_rollouts

__all__ = ["linear_error", "map_results", "step_results"]

STORED = 32
"""Test samples written to the file."""

Results = tuple[xr.Dataset, dict[str, Any]]


def map_results(problem: AbstractFamily, model: LearnedOperator, known: FamilyData, test: FamilyData) -> Results:
    """Return dataset and verdict of a map: the test error and the model's time beside what they are to be held against.

    `linear_regression_error` is that of linear regression on the training samples: where it is small, no learned
    operator is needed. `classical_seconds` is the time of the solver that made the data, at its own accuracy; a
    family's `classical` gives the time at the accuracy of the model, and takes precedence.

    Args:
        problem: The family.
        model: The trained operator.
        known: Training samples.
        test: Test samples.
    """
    assert test.inputs is not None
    answers = predict(model, test.inputs)
    mean = np.broadcast_to(known.outputs.mean(axis=0), test.outputs.shape)
    trivial = {"zero": 1.0, "mean": mean_relative_l2(mean, test.outputs)}
    verdict = _verdict(answers, test.outputs, test, trivial)
    verdict["measures"] |= {
        "linear_regression_error": linear_error(known, test),
        "inference_seconds": _seconds_each(model, test.inputs),
        "data_seconds": _known(test.seconds),
    }
    if "t" not in test.coordinates:
        verdict["spectrum"] = spectra(answers, test.outputs)
    fields = {name: test.inputs[:, i] for i, name in enumerate(problem.input_names)}
    for index, name in enumerate(problem.field_names):
        fields |= {name: answers[:, index], f"{name}_reference": test.outputs[:, index]}
    return _dataset(fields, test.coordinates, inputs=problem.input_names), verdict | {"functions": _functions(problem)}


def step_results(problem: AbstractFamily, model: LearnedOperator, steps: Steps, test: FamilyData) -> Results:
    """Return dataset and verdict of an operator that steps: errors of free rollouts, frame by frame.

    `rollout` holds times and the mean relative L2 error of each frame. The error of the frame given last, had nothing
    changed since, stands as `persistence` among the trivial ones.

    Args:
        problem: The family.
        model: The trained operator.
        steps: How it steps.
        test: Trajectories `(sample, field, time, *space)`.
    """
    assert test.inputs is not None
    frames = np.moveaxis(test.outputs, 2, 1)
    answers = free_rollouts(model, steps, test.inputs, frames)
    expected = frames[:, steps.history :]
    still = np.broadcast_to(frames[:, steps.history - 1 : steps.history], expected.shape)
    trivial = {"zero": 1.0, "persistence": mean_relative_l2(still, expected)}
    times = test.coordinates["t"][steps.history :]
    first = np.concatenate(
        [frames[:, : steps.history].reshape(len(frames), -1, *frames.shape[3:]), test.inputs], axis=1
    )
    verdict = _verdict(answers, expected, test, trivial) | {
        "rollout": {"time": [float(t) for t in times], "relative_l2": error_by_frame(answers, expected)},
        "spectrum": spectra(answers[:, -1], expected[:, -1]),
        "functions": _functions(problem),
    }
    verdict["measures"] |= {
        "first_frame_relative_l2": verdict["rollout"]["relative_l2"][0],
        "last_frame_relative_l2": verdict["rollout"]["relative_l2"][-1],
        "inference_seconds": _seconds_each(model, first),
    }
    fields: dict[str, np.ndarray] = {}
    for index, name in enumerate(problem.field_names):
        fields |= {name: answers[:, :, index], f"{name}_reference": expected[:, :, index]}
    constants = {name: test.inputs[:, i] for i, name in enumerate(problem.constant_names)}
    start = {f"{name}_given": frames[:, steps.history - 1, i] for i, name in enumerate(problem.field_names)}
    coordinates = {**test.coordinates, "t": times}
    return _dataset(fields | start | constants, coordinates, inputs=(*start, *constants)), verdict


def _functions(problem: AbstractFamily) -> dict[str, list[str]]:
    """Return the names from which the shape of the operator follows, where the family is a file's."""
    return {
        "inputs": list(problem.input_names),
        "outputs": list(problem.field_names),
        "constants": list(problem.constant_names),
        "axes": list(problem.coordinates),
    }


def _verdict(answers: np.ndarray, expected: np.ndarray, test: FamilyData, trivial: dict[str, float]) -> dict[str, Any]:
    """Return what maps and steps have in common."""
    bound, made_by = _known(test.error_bound), "the solver that made the data"
    return {
        "relative_l2": mean_relative_l2(answers, expected),
        "max_error": float(np.abs(answers - expected).max()),
        "reference_error": bound,
        "reference": made_by,
        "trivial_error": trivial,
        "classical_seconds": _known(test.seconds),
        "classical": None if math.isnan(test.seconds) else {"method": made_by, "relative_l2": bound},
        "measures": {
            "relative_mse": relative_mse(answers, expected),
            "median_relative_l1": median_relative_l1(answers, expected),
        },
    }


def _known(value: float) -> float | None:
    """Return a number, or None where a file does not say."""
    return None if math.isnan(value) else value


def linear_error(train: FamilyData, test: FamilyData) -> float:
    """Return the test error of the affine map with least squares (and least norm) on the training samples."""
    given, expected, new = (
        np.reshape(a, (len(a), -1)).astype(float) for a in map(np.asarray, (train.inputs, train.outputs, test.inputs))
    )
    centre, mean = given.mean(axis=0), expected.mean(axis=0)
    kernel = (given - centre) @ (given - centre).T  # dual form: as large as there are samples, whatever the grid
    weights = np.linalg.pinv(kernel, rcond=1e-12, hermitian=True) @ (expected - mean)
    answers = mean + (new - centre) @ (given - centre).T @ weights
    return mean_relative_l2(answers, test.outputs.reshape(len(new), -1))


def _seconds_each(model: LearnedOperator, inputs: np.ndarray) -> float:
    """Return the wall time of the model for one sample, in a batch, compilation left out."""
    batch = jnp.asarray(inputs, dtype=float)[:BATCH]
    times = []
    for _ in range(6):
        start = time.perf_counter()
        jax.block_until_ready(apply(model, batch))
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:])) / len(batch)


def _dataset(fields: dict[str, np.ndarray], coordinates: dict[str, np.ndarray], inputs: Sequence[str]) -> xr.Dataset:
    """Return the first test samples, dims `(sample, time?, *space)`."""
    names = ["time" if axis == "t" else axis for axis in coordinates]
    space = [name for name in names if name != "time"]
    order = ("sample", *["time"] * ("time" in names), *space)
    arrays = {}
    for name, values in fields.items():
        dims = ("sample", *(names if values.ndim == 1 + len(names) else space))
        arrays[name] = xr.DataArray(values[:STORED], dims=dims, attrs={"units": "1"})
        arrays[name] = arrays[name].transpose(*[dim for dim in order if dim in dims])
    for name in inputs:
        arrays[name].attrs["role"] = "input"
    coords = dict(zip(names, coordinates.values(), strict=True))
    count = min(STORED, len(next(iter(fields.values()))))
    return xr.Dataset(arrays, coords=coords | {"sample": np.arange(count)})
