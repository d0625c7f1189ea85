"""Training, validation and test samples: of a family's generator, or of a file."""

import abc
import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..config import Recipe
from ..data.reading import read_splits
from ..data.scan import not_finite, numbered, sample_digests
from ..data.source import DataFile
from ..errors import PdesolveError
from ..family import AbstractFamily, FamilyData

__all__ = [
    "BLOCK",
    "AbstractSamples",
    "DataWarning",
    "FileSamples",
    "Generated",
    "Splits",
    "draw_splits",
    "given_digests",
    "survey",
    "warn_of_overlap",
]

BLOCK = 64
"""Samples of a file that are looked through at a time."""


class DataWarning(UserWarning):
    """Data that can be learned from, but whose errors may say too little."""


class AbstractSamples(abc.ABC):
    """Samples that can be had in part."""

    @property
    @abc.abstractmethod
    def count(self) -> int:
        """How many there are."""

    @abc.abstractmethod
    def load(self, start: int, stop: int) -> FamilyData:
        """Return consecutive samples."""

    def blocks(self) -> Iterator[FamilyData]:
        """Return all samples, some at a time."""
        for start in range(0, self.count, BLOCK):
            yield self.load(start, min(start + BLOCK, self.count))


@dataclasses.dataclass(frozen=True)
class Generated(AbstractSamples):
    """Samples in memory."""

    data: FamilyData

    @property
    def count(self) -> int:
        """The length of the outputs."""
        return len(self.data.outputs)

    def load(self, start: int, stop: int) -> FamilyData:
        """A part of the arrays."""
        inputs = None if self.data.inputs is None else self.data.inputs[start:stop]
        return dataclasses.replace(self.data, inputs=inputs, outputs=self.data.outputs[start:stop])


@dataclasses.dataclass(frozen=True)
class FileSamples(AbstractSamples):
    """Samples of a file, read when they are asked for.

    Attributes:
        file: The file.
        first: Its first sample that belongs here.
        number: How many do.
        inputs: Variables that are inputs; where there are none, the first frame of each field is one.
        constants: Variables that do not change in time.
        fields: Variables that are sought.
        axes: The family's names of the axes; with `t` among them the answers are functions of time too.
        stepped: Whether whole trajectories are asked for; otherwise answers are the last frame.
        stride: Every so manieth point of the grid.
    """

    file: DataFile
    first: int
    number: int
    inputs: tuple[str, ...]
    constants: tuple[str, ...]
    fields: tuple[str, ...]
    axes: tuple[str, ...]
    stepped: bool = False
    stride: int = 1

    @property
    def count(self) -> int:
        """As said."""
        return self.number

    def load(self, start: int, stop: int) -> FamilyData:
        """Read them.

        Raises:
            PdesolveError: If the file cannot be read, or a number is not finite.
        """
        low, high = self.first + start, self.first + stop
        fields, constants = (self._read(names, low, high) for names in (self.fields, self.constants))
        in_time = fields.ndim == 3 + len(self.file.grid)
        space = dict(zip(self._space_axes(), self.file.space.values(), strict=True))
        coordinates = {axis: points[:: self.stride] for axis, points in space.items()}
        if self.stepped:
            inputs, outputs = constants, fields
            coordinates = {"t": self.file.times, **coordinates}
        else:
            first = fields[:, :, 0] if in_time else fields
            given = self._read(self.inputs, low, high) if self.inputs else first
            inputs = np.concatenate([given, constants], axis=1)
            outputs = fields[:, :, -1] if in_time else fields
            if "t" in self.axes:
                inputs, outputs, coordinates = self._with_time(inputs, fields, coordinates)
        return FamilyData(
            inputs=inputs,
            outputs=outputs,
            coordinates=coordinates,
            error_bound=np.nan if self.file.error_bound is None else self.file.error_bound,
            seconds=np.nan if self.file.seconds is None else self.file.seconds,
        )

    def _space_axes(self) -> tuple[str, ...]:
        return tuple(axis for axis in self.axes if axis != "t")

    def _read(self, names: Sequence[str], start: int, stop: int) -> np.ndarray:
        """Return variables side by side, thinned out; inputs that vary in time are those of the first time."""
        values = self.file.stacked(names, start, stop)
        if names != self.fields and values.ndim == 3 + len(self.file.grid):
            values = values[:, :, 0]
        for channel, name in enumerate(names):
            wrong = not_finite(values[:, channel])
            if len(wrong):
                raise PdesolveError(
                    f"{self.file.path}: {name} is not finite in samples {numbered((start + wrong).tolist())}. "
                    f"See `pdesolve data check {self.file.path}`."
                )
        return values[(..., *[slice(None, None, self.stride)] * len(self.file.grid))]

    def _with_time(self, inputs, fields, coordinates):
        """Return functions of space and time, axes in the family's order; inputs are the same at all times."""
        if fields.ndim == inputs.ndim:
            raise PdesolveError(f"{self.file.path}: the family's answers are functions of time; the file has no times.")
        place = 2 + self.axes.index("t")
        shape = [*inputs.shape]
        shape.insert(place, len(self.file.times))
        inputs = np.broadcast_to(np.expand_dims(inputs, place), shape)
        ordered = {axis: self.file.times if axis == "t" else coordinates[axis] for axis in self.axes}
        return inputs, np.moveaxis(fields, 2, place), ordered


class Splits(NamedTuple):
    """What a model is trained on, chosen by, and held against."""

    train: AbstractSamples
    validation: AbstractSamples
    test: AbstractSamples


def draw_splits(problem: AbstractFamily, recipe: Recipe, *, stepped: bool = False) -> Splits:
    """Return the samples that a recipe asks for; there are half as many for validation as for the test.

    Generated ones have seeds of their own. Of one file the first are for training, then come those for validation and
    for the test; with a test file the test has its first ones; in a folder each has its own.

    Args:
        problem: The family.
        recipe: Its `data` and `seed` count.
        stepped: Whether samples are trajectories, `(sample, field, time, *space)`, the axis `t` first.

    Raises:
        PdesolveError: If family and data do not fit, or there are fewer samples than asked for.
    """
    config = recipe.data
    counts = config.train, max(1, config.test // 2), config.test
    if config.file is not None:
        return _of_file(problem, recipe, counts, stepped)
    for name in ("test_file", "stride"):
        if getattr(config, name) is not None:
            raise PdesolveError(f"`data.{name}` belongs to `data.file`, which is not given.")
    seeds = np.random.SeedSequence(recipe.seed).generate_state(3)
    drawn = [problem.generate(n, config.resolution, int(seed)) for n, seed in zip(counts, seeds, strict=True)]
    if tuple(drawn[0].coordinates) != tuple(problem.coordinates):
        raise PdesolveError(
            f"{type(problem).__name__} says its coordinates are {problem.coordinates}, "
            f"but its data have {tuple(drawn[0].coordinates)}."
        )
    if stepped:
        drawn = [_trajectories(problem, data) for data in drawn]
    return Splits(*map(Generated, drawn))


def _trajectories(problem: AbstractFamily, data: FamilyData) -> FamilyData:
    """Return answers as trajectories; of the inputs the constants stay, the first frames take the place of others."""
    axes = list(data.coordinates)
    if "t" not in axes:
        raise PdesolveError(
            f"an operator that steps in time needs trajectories; {type(problem).__name__} generates none. Give a file "
            "of trajectories (`data.file`), or leave out `stepping`."
        )
    place = 2 + axes.index("t")
    outputs = np.moveaxis(data.outputs, place, 2)
    rest = {axis: points for axis, points in data.coordinates.items() if axis != "t"}
    assert data.inputs is not None
    constants = [problem.input_names.index(name) for name in problem.constant_names]
    inputs = np.moveaxis(data.inputs, place, 2)[:, constants, 0]
    return dataclasses.replace(data, inputs=inputs, outputs=outputs, coordinates={"t": data.coordinates["t"], **rest})


def _of_file(problem: AbstractFamily, recipe: Recipe, counts: tuple[int, int, int], stepped: bool) -> Splits:
    config = recipe.data
    files = read_splits(config.file)  # pyright: ignore[reportArgumentType]
    main = files.get("all") or files["train"]
    tested = main if "all" in files else files.get("test")
    if config.test_file is not None:
        others = read_splits(config.test_file)
        tested = others.get("test") or others.get("all")
    if tested is None:
        raise PdesolveError(f"{config.file}: has no folder 'test'; give `data.test_file`.")
    validated = files.get("valid")
    train, validation, test = counts
    if validated is not None:
        validation = min(validation, validated.samples)
    # Whatever shares a file comes one behind the other.
    first = {"validation": 0 if validated is not None else train, "test": 0}
    if tested is main:
        first["test"] = train + (0 if validated is not None else validation)
    places = [
        (main, 0, train),
        (validated or main, first["validation"], validation),
        (tested, first["test"], test),
    ]
    for file, begin, count in places:
        if begin + count > file.samples:
            raise PdesolveError(
                f"{file.path} holds {file.samples} samples; asked for are {train} for training, {validation} for "
                f"validation (half of the test) and {test} for the test. State fewer by `train` and `test` of [data]."
            )
    return Splits(*(_choose(problem, f, begin, n, stepped, config.stride or 1) for f, begin, n in places))


def _choose(
    problem: AbstractFamily, file: DataFile, first: int, number: int, stepped: bool, stride: int
) -> FileSamples:
    """Find the family's functions in a file: by name, else by their number."""
    name = type(problem).__name__
    axes = tuple(axis for axis in problem.coordinates if axis != "t")
    if len(axes) != len(file.grid):
        raise PdesolveError(
            f"{file.path} has {len(file.grid)} axes of space ({', '.join(file.space)}); {name} has {', '.join(axes)}."
        )
    fields = _matched(file, "solution", problem.field_names, name)
    inputs, constants = file.named("input"), file.named("constant")
    if stepped:
        if len(file.times) < 2:
            raise PdesolveError(f"{file.path} has no frames; an operator that steps in time needs trajectories.")
        constants = _matched(file, "constant", problem.constant_names, name)
        return FileSamples(file, first, number, (), constants, fields, problem.coordinates, True, stride)
    if not inputs and len(file.times) < 2:
        raise PdesolveError(f"{file.path} holds answers without inputs, at one time: there is nothing to map from.")
    wanted = problem.input_names
    given = len(inputs or fields) + len(constants)
    if given != len(wanted):
        found = ", ".join([*(inputs or [f"{field} at the first time" for field in fields]), *constants])
        raise PdesolveError(
            f"{file.path} has {given} inputs ({found}); {name} has {len(wanted)} ({', '.join(wanted)})."
        )
    if inputs and set(wanted) == {*inputs, *constants}:
        inputs, constants = tuple(wanted), ()  # in the family's order
    return FileSamples(file, first, number, inputs, constants, fields, problem.coordinates, False, stride)


def _matched(file: DataFile, role: str, wanted: Sequence[str], name: str) -> tuple[str, ...]:
    """Return the file's variables of a role that are the family's."""
    found = file.named(role)
    # A file that was made of a family has its constants among the inputs.
    if set(wanted) <= {*found, *(file.named("input") if role == "constant" else ())}:
        return tuple(wanted)
    if len(found) != len(wanted):
        raise PdesolveError(
            f"{file.path}: {name} has {len(wanted)} functions of the kind {role!r} ({', '.join(wanted) or 'none'}); "
            f"the file has {len(found)} ({', '.join(found) or 'none'})."
        )
    return found


class Survey(NamedTuple):
    """What one pass through training samples finds out."""

    input_moments: tuple[np.ndarray, np.ndarray]
    output_moments: tuple[np.ndarray, np.ndarray]
    digests: frozenset[bytes]


def survey(samples: AbstractSamples) -> Survey:
    """Look once through all samples: means and deviations by channel, and digests of what is given.

    Raises:
        PdesolveError: If a number is not finite.
    """
    digests: list[bytes] = []
    sums: list[_Moments] = [_Moments(), _Moments()]
    for block in samples.blocks():
        digests += given_digests(block)
        for moments, values in zip(sums, (block.inputs, block.outputs), strict=True):
            assert values is not None
            moments.add(values)
    return Survey(sums[0].result(), sums[1].result(), frozenset(digests))


def given_digests(data: FamilyData) -> list[bytes]:
    """Return a digest of what each sample gives: its inputs, and the first frame of a trajectory."""
    arrays = [data.inputs] if data.inputs is not None and data.inputs.shape[1] else []
    if next(iter(data.coordinates)) == "t":
        arrays.append(data.outputs[:, :, 0])
    return sample_digests(*arrays)


def warn_of_overlap(train: frozenset[bytes], test: AbstractSamples, path: str) -> str | None:
    """Warn if test samples are among the training samples; return the warning.

    Equal are samples that give the same: inputs, and first frames of trajectories, in single precision.
    """
    twice = [
        index * BLOCK + sample
        for index, block in enumerate(test.blocks())
        for sample, digest in enumerate(given_digests(block))
        if digest in train
    ]
    if not twice:
        return None
    text = (
        f"{len(twice)} of {test.count} test samples of {path} are training samples too ({numbered(twice)}): the test "
        "error says less than it seems to."
    )
    warnings.warn(text, DataWarning, stacklevel=2)
    return text


class _Moments:
    """Mean and deviation of each channel over samples and grid, from blocks.

    Chan, Golub, LeVeque, Algorithms for computing the sample variance, The American Statistician 37 (1983).
    """

    def __init__(self):
        self.count, self.mean, self.squares = 0, np.zeros(()), np.zeros(())

    def add(self, values: np.ndarray) -> None:
        """Count a block `(sample, channel, *grid)`."""
        channels = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1).astype(float)
        count = channels.shape[1]
        mean = channels.mean(axis=1)
        squares = np.sum((channels - mean[:, None]) ** 2, axis=1)
        total = self.count + count
        delta = mean - self.mean
        self.squares = self.squares + squares + delta**2 * (self.count * count / total)
        self.mean = self.mean + delta * (count / total)
        self.count = total

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Return means and standard deviations."""
        return self.mean, np.sqrt(self.squares / max(self.count, 1))
