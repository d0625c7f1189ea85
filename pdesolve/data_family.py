"""A family that is known by a file of samples only."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from . import registry
from .config import DataConfig, NetworkConfig, Recipe, StageConfig
from .data.reading import read_splits
from .data.source import DataFile
from .errors import PdesolveError
from .family import AbstractFamily

__all__ = ["data_counts", "data_family", "data_name", "described_family"]


def data_name(path: str | os.PathLike) -> str:
    """Return what a problem given by a file is called: like the file, and `_data` if a problem has that name."""
    stem = re.sub(r"[^\w.-]", "_", Path(path).resolve().stem)
    return f"{stem}_data" if stem in registry.names("problems") else stem


def data_family(path: str | os.PathLike) -> type[AbstractFamily]:
    """Return the family whose functions are those of a file, or of a folder of files.

    Inputs are what the file calls so; where it holds trajectories and no inputs, the map is from the first frame, and
    what does not change in time, to the last one. Its recipe is a Fourier neural operator of moderate size on the file,
    split by `data_counts`.

    Raises:
        PdesolveError: As `pdesolve.data.read_splits`; or if there are fewer than three samples.
    """
    files = read_splits(path)
    file = files.get("all") or files["train"]
    fields, constants = file.named("solution"), file.named("constant")
    inputs = file.named("input") or tuple(f"{field}_0" for field in fields)
    train, test = data_counts(files)
    recipe = Recipe(
        method="operator",
        method_options=_stepping(file),
        network=NetworkConfig(name="fno", width=32, depth=4, activation="gelu", options=_network(file)),
        data=DataConfig(train=train, test=test, resolution=file.grid[0], batch=min(20, train), file=os.fspath(path)),
        stages=(StageConfig("adam", steps=2000, options={"learning_rate": 1e-3, "schedule": "cosine"}),),
        precision="float32",
    )
    words = {"inputs": (*inputs, *constants), "outputs": fields, "constants": constants, "axes": tuple(file.space)}
    return described_family(words, closed=file.periodic, default=recipe)


def described_family(
    functions: Mapping[str, Sequence[str]], *, closed: bool = False, default: Recipe | None = None
) -> type[AbstractFamily]:
    """Return a family of the functions named, of which no samples can be generated.

    Args:
        functions: Names of `inputs`, `outputs`, `constants` and `axes`.
        closed: Whether functions go around the ends of the grid.
        default: Its recipe; `Recipe(method="operator")` if None.
    """

    class DataFamily(AbstractFamily):
        """Functions of a data file."""

        input_names: ClassVar[tuple[str, ...]] = tuple(functions["inputs"])
        field_names: ClassVar[tuple[str, ...]] = tuple(functions["outputs"])
        constant_names: ClassVar[tuple[str, ...]] = tuple(functions.get("constants", ()))
        coordinates: ClassVar[tuple[str, ...]] = tuple(functions["axes"])
        periodic: ClassVar[bool] = closed

        def generate(self, num_samples: int, resolution: int, seed: int) -> Any:
            """Impossible."""
            raise PdesolveError("the family is known by its file only: give `data.file` (`--data FILE`).")

        def recipe(self) -> Recipe:
            """The one that suits the file."""
            return Recipe(method="operator") if default is None else default

    return DataFamily


def data_counts(files: Mapping[str, DataFile], tested: DataFile | None = None) -> tuple[int, int]:
    """Return how many samples are for training and for the test where nobody says: about an eighth for the test.

    The test takes all samples of a file of its own. Half as many as for the test are for validation, for which a folder
    may have files of its own.

    Raises:
        PdesolveError: If there are fewer than three samples in one file.
    """
    whole = files.get("all") or files["train"]
    tested = tested or files.get("test")
    if tested is not None:
        taken = 0 if "valid" in files else max(1, tested.samples // 2)
        return max(1, whole.samples - taken), tested.samples
    if whole.samples < 3:
        raise PdesolveError(
            f"{whole.path} holds {whole.samples} samples; one is needed each to train, to validate and to test."
        )
    test = max(1, whole.samples // 8)
    return whole.samples - test - max(1, test // 2), test


def _stepping(file: DataFile) -> dict[str, Any]:
    """Trajectories of more than two frames are learned step by step."""
    if len(file.times) > 2 and not file.named("input"):
        return {"stepping": "one_step"}
    return {}


def _network(file: DataFile) -> dict[str, Any]:
    """As many modes as the coarsest axis holds, at most 12; zeros behind functions that need not be periodic."""
    modes = max(1, min(12, min(file.grid) // 2))
    return {"modes": modes} if file.periodic else {"modes": modes, "padding": 0.1}
