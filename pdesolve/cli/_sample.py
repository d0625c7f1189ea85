"""`pdesolve sample`: an ensemble of new fields from a trained generative model."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import registry, toml
from ..config import Recipe
from ..errors import PdesolveError
from ._exit import EXIT_CODES, OK
from ._files import _solution_file
from ._jax import select_device, set_precision
from ._parser import Parser, integer

__all__ = ["sample"]


def sample(words: Sequence[str]) -> int:
    """Draw fields and write them."""
    parser = Parser(
        prog="pdesolve sample",
        description="Draw fields from the generative model that a solution file stores, and write them to HDF5.\n"
        "Sample k of a seed is the same however many are drawn.",
        epilog=f"example:\n  pdesolve sample runs/darcy_1d -n 1024\n\n{EXIT_CODES}",
    )
    parser.add_argument("file", metavar="FILE", help="a solution (.h5), or a run directory that holds one")
    parser.add_argument("-n", "--samples", type=integer, default=1024, metavar="N", help="how many; default: 1024")
    parser.add_argument("--seed", type=integer, default=0, metavar="N", help="equal seeds, equal fields; default: 0")
    parser.add_argument("--out", metavar="FILE", help="file to write; default: samples/NAME.h5 beside FILE")
    parser.add_argument("--device", metavar="NAME", help="cpu, gpu, tpu, or one of several: gpu:1")
    parser.add_argument("--quiet", action="store_true", help="print nothing")
    arguments = parser.parse(words)
    if arguments.samples < 1 or arguments.seed < 0:
        raise PdesolveError(
            f"`--samples` must be at least 1 and `--seed` at least 0; got {arguments.samples}, {arguments.seed}."
        )
    file = _solution_file(arguments.file)
    out = Path(arguments.out) if arguments.out else file.parent / "samples" / file.name
    if out.resolve() == file.resolve():
        raise PdesolveError(f"{file} holds the model; give another file to write by --out.")
    select_device(arguments.device)
    dataset, line = _drawn(file, arguments.samples, arguments.seed, out)
    if not arguments.quiet:
        print(f"{out}: {dataset.sizes['sample']} samples; {line}")
    return OK


def _drawn(file: Path, num_samples: int, seed: int, out: Path) -> tuple[Any, str]:
    """Draw, write and return the ensemble, and what it cost."""
    from .. import io

    _, header = io.read_model(file)  # says so if there is none
    recipe = toml.merge(Recipe(), tomllib.loads(header["config"]), str(file))
    set_precision(recipe.precision)  # before the model's arrays are made

    import time

    import jax
    import numpy as np
    import xarray as xr

    from ..method import build_method
    from ..solution import Solution

    method: Any = build_method(recipe)
    if not hasattr(method, "sample"):
        raise PdesolveError(f"{file} holds a solution by method {recipe.method!r}, which draws no samples.")
    solution = Solution.load(file)
    if solution.model is None:
        raise PdesolveError(f"the model in {file} is of a problem that is not registered here: {header['class']}.")
    names = _field_names(header["class"])
    first = solution.dataset[names[0]].isel(sample=0)
    began = time.perf_counter()
    values, evaluations = method.sample(
        solution.model, jax.random.key(seed), num_samples, (len(names), *map(int, first.shape))
    )
    values = np.asarray(values)
    seconds = time.perf_counter() - began
    dataset = xr.Dataset(
        {
            name: (("sample", *first.dims), values[:, channel], {"units": "1", "role": "solution"})
            for channel, name in enumerate(names)
        },
        coords={name: solution.dataset[name] for name in map(str, first.dims)},
    )
    cost = float(np.mean(np.asarray(evaluations)))
    out.parent.mkdir(parents=True, exist_ok=True)
    io.write(
        out,
        dataset,
        name=solution.name,
        provenance={
            **solution.provenance,
            "status": solution.status,
            "model": str(file),
            "sampling_seed": seed,
            "function_evaluations": cost,
        },
        parameters=solution.parameters,
    )
    return dataset, f"{cost:g} evaluations each, {seconds:.3g} s with compilation"


def _field_names(target: str) -> tuple[str, ...]:
    """Return the fields of the registered problem whose class is given."""
    name = next(name for name in registry.names("problems") if registry.target("problems", name) == target)
    return registry.load("problems", name).field_names
