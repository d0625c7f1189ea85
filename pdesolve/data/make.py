"""Data sets of families of problems, made block by block in parallel processes, and continued where they stopped."""

import concurrent.futures.process
import contextlib
import importlib.util
import itertools
import json
import math
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import numpy as np
import xarray as xr

from .. import io
from ..errors import PdesolveError

if TYPE_CHECKING:
    from ..family import AbstractFamily

__all__ = ["BLOCK", "make_data"]

BLOCK = 64
"""Samples generated at a time, by one process, unless a family says otherwise."""

_ASKED = "asked.json"
_ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_X64": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}
"""Environment of the processes. Sums in other orders give other last digits, so none has more than one thread."""


class _Block(NamedTuple):
    """Consecutive samples, drawn with a seed of their own."""

    index: int
    count: int
    resolution: int
    seed: int
    first: int

    @property
    def name(self) -> str:
        """Its file, complete or not there."""
        return f"{self.index:06d}_{self.count}.npz"


def make_data(
    family: "AbstractFamily",
    path: str | os.PathLike,
    *,
    name: str,
    samples: int,
    resolution: int,
    seed: int = 0,
    processes: int = 1,
    parameters: Mapping[str, float] | None = None,
    provenance: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Generate samples of a family, and write them to one HDF5 file in The Well's layout.

    Samples come in blocks of `family.block`, as a rule 64. Block b is `family.generate` with a seed derived from `seed`
    and b, so that samples do not depend on the number of processes, and sample k not on how many there are. Each
    finished block is kept in the directory `PATH.parts`; the same call continues an interrupted one, with any number of
    processes, and numbers come out bit for bit as without the interruption (on the same machine and versions). The file
    appears when all blocks are there, complete; the directory is then removed. A complete file of the same request is
    left as it is.

    What a family gives beside its functions (`FamilyData.arrays`) is in the group `arrays`.

    Processes are started afresh (`spawn`), so that a script that calls this needs `if __name__ == "__main__":`.

    Args:
        family: An instance with its parameters set. Its class is found by its module's name; a module that cannot be
            imported is executed again from its file.
        path: The file, in an existing directory.
        name: Name of the family, for the file.
        samples: Number of samples.
        resolution: Grid points in each direction.
        seed: Equal seeds give equal samples.
        processes: Processes at a time, of one thread each.
        parameters: The family's parameters, for the file, and to tell requests apart.
        provenance: Where the data come from: versions, commit, date.
        progress: Called with the number of samples that are there and that of all, at the start and after each block.

    Returns:
        The path.

    Raises:
        PdesolveError: If a count is out of range, the file or blocks beside it belong to another request, a sample is
            not finite, or a file cannot be written.
    """
    for word, value, least in (("samples", samples, 1), ("resolution", resolution, 1), ("processes", processes, 1)):
        if value < least:
            raise PdesolveError(f"`{word}` must be at least {least}, got {value}.")
    if seed < 0:
        raise PdesolveError(f"`seed` must not be negative, got {seed}.")
    path = Path(path)
    asked = {
        "family": name,
        "class": f"{type(family).__module__}:{type(family).__qualname__}",
        "parameters": {key: float(value) for key, value in (parameters or {}).items()},
        "resolution": resolution,
        "seed": seed,
    }
    if path.exists():
        _same_file(path, asked | {"samples": samples})
        return path
    parts = _directory(path, asked)
    blocks = _blocks(samples, resolution, seed, family.block)
    _generate(family, blocks, parts, processes, progress or (lambda done, total: None))
    _write(path, family, [parts / block.name for block in blocks], asked | {"samples": samples}, dict(provenance or {}))
    shutil.rmtree(parts)
    return path


def _blocks(samples: int, resolution: int, seed: int, size: int = BLOCK) -> list[_Block]:
    """Split the samples; seeds have 63 bits, so that no two of them are equal by chance."""
    return [
        _Block(
            index=index,
            count=min(size, samples - size * index),
            resolution=resolution,
            seed=int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0] >> np.uint64(1)),
            first=size * index,
        )
        for index in range(math.ceil(samples / size))
    ]


def _directory(path: Path, asked: dict[str, Any]) -> Path:
    """Return the directory of blocks, new or of the same request."""
    parts = path.with_name(path.name + ".parts")
    if not path.parent.is_dir():
        raise PdesolveError(f"cannot write {path}: {path.parent} is not an existing directory.")
    parts.mkdir(exist_ok=True)
    record = parts / _ASKED
    if record.is_file():
        _compare(json.loads(record.read_text(encoding="utf-8")), asked, parts)
    elif any(parts.iterdir()):
        raise PdesolveError(f"{parts} holds something else than blocks of a data set; give another file to write.")
    else:
        with io.atomic(record) as temporary:
            temporary.write_text(json.dumps(asked, indent=2) + "\n", encoding="utf-8")
    return parts


def _same_file(path: Path, asked: dict[str, Any]) -> None:
    """Refuse to replace a file by other data."""
    try:
        found = json.loads(io.read(path)[1]["provenance"]["data"])
    except (PdesolveError, KeyError) as error:
        raise PdesolveError(f"{path} exists and is no data set; give another file to write.") from error
    _compare(found, asked, path)


def _compare(found: Mapping[str, Any], asked: Mapping[str, Any], where: Path) -> None:
    for key, value in asked.items():
        if found.get(key) != value:
            raise PdesolveError(
                f"{where} exists, with {key} = {found.get(key)}; asked for {value}. "
                "Remove it, or give another file to write."
            )


def _generate(
    family: "AbstractFamily", blocks: list[_Block], parts: Path, processes: int, progress: Callable[[int, int], None]
) -> None:
    """Make the blocks that are not there."""
    missing = [block for block in blocks if not (parts / block.name).is_file()]
    total = sum(block.count for block in blocks)
    done = total - sum(block.count for block in missing)
    progress(done, total)
    if not missing:
        return
    waiting = iter(missing)
    with _workers(family, min(processes, len(missing))) as pool:
        # As many at a time as there are processes: what is submitted is finished, also after an interruption.
        running = {pool.submit(_make_block, family, b, parts): b for b in itertools.islice(waiting, processes)}
        while running:
            for future in concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED).done:
                block = running.pop(future)
                future.result()
                running |= {pool.submit(_make_block, family, b, parts): b for b in itertools.islice(waiting, 1)}
                done += block.count
                progress(done, total)


@contextlib.contextmanager
def _workers(family: "AbstractFamily", processes: int) -> Iterator[concurrent.futures.ProcessPoolExecutor]:
    """Start processes that have one thread each, whatever their number: one too is a process of its own."""
    module = sys.modules[type(family).__module__]
    source = getattr(module, "__file__", None)
    context = multiprocessing.get_context("spawn")
    before = dict(os.environ)
    os.environ.update(_ONE_THREAD)
    try:
        with concurrent.futures.ProcessPoolExecutor(
            processes, context, initializer=_begin, initargs=(module.__name__, source)
        ) as pool:
            yield pool
    except concurrent.futures.process.BrokenProcessPool as error:
        raise PdesolveError(
            "a process ended while it generated samples, most likely for want of memory; use fewer `processes`."
        ) from error
    finally:
        os.environ.clear()
        os.environ.update(before)


def _begin(module: str, source: str | None) -> None:
    """Prepare a process: Ctrl-C is for the one that started it, and the family's module can be found by name."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if module in sys.modules or source is None or importlib.util.find_spec(module.partition(".")[0]) is not None:
        return
    spec = importlib.util.spec_from_file_location(module, source)
    assert spec is not None and spec.loader is not None
    sys.modules[module] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[module])


def _make_block(family: "AbstractFamily", block: _Block, parts: Path) -> None:
    """Generate a block and write it, whole or not at all."""
    where = f"samples {block.first} to {block.first + block.count - 1}"
    try:
        data = family.generate(block.count, block.resolution, block.seed)
    except (PdesolveError, ArithmeticError, np.linalg.LinAlgError, RuntimeError) as error:
        # In words: not every error can be sent to another process.
        raise PdesolveError(f"{where}: {error}") from None
    arrays = {"outputs": data.outputs} if data.inputs is None else {"inputs": data.inputs, "outputs": data.outputs}
    for word, values in (arrays | dict(data.arrays)).items():
        if not np.isfinite(values).all():
            raise PdesolveError(f"{where}: {word} are not finite; the solver does not suit these parameters.")
    numbers = {"error_bound": data.error_bound, "seconds": data.seconds}
    axes = {f"axis_{axis}": values for axis, values in data.coordinates.items()}
    beside = {f"beside_{key}": values for key, values in data.arrays.items()}
    with io.atomic(parts / block.name) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays, **numbers, **axes, **beside)  # pyright: ignore[reportArgumentType]


def _write(
    path: Path, family: "AbstractFamily", files: list[Path], asked: dict[str, Any], provenance: dict[str, Any]
) -> None:
    """Put the blocks together in one file."""
    parts = [_load(file) for file in files]
    axes = {key.removeprefix("axis_"): values for key, values in parts[0].items() if key.startswith("axis_")}
    dims = ("sample", *("time" if axis == "t" else axis for axis in axes))
    fields = {}
    for role, names in (("input", family.input_names), ("solution", family.field_names)):
        for channel, field in enumerate(names):
            values = np.concatenate([part[f"{'in' if role == 'input' else 'out'}puts"][:, channel] for part in parts])
            fields[field] = xr.DataArray(values, dims=dims, attrs={"role": role, "units": "1"})
    attributes = {
        "error_bound": float(max(part["error_bound"] for part in parts)),
        "seconds_per_sample": float(np.median([part["seconds"] for part in parts])),
    }
    dataset = xr.Dataset(fields, coords=dict(zip(dims[1:], axes.values(), strict=True)), attrs=attributes)
    # As text: the file's provenance is for any reader, and this is compared as a whole.
    provenance = provenance | {"data": json.dumps(asked)}
    with io.atomic(path) as temporary:
        io.write(temporary, dataset, name=asked["family"], provenance=provenance, parameters=asked["parameters"])
        beside = [key for key in parts[0] if key.startswith("beside_")]
        with h5py.File(temporary, "a") as file:
            for key in beside:
                values = np.concatenate([part[key] for part in parts])
                file.create_dataset(f"arrays/{key.removeprefix('beside_')}", data=values)


def _load(file: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(file) as stored:
            return dict(stored)
    except (OSError, ValueError, EOFError) as error:
        raise PdesolveError(f"{file} is damaged: remove it, and the same command makes it again.") from error
