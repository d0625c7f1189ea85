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
from ._parser import Parser, integer, number

__all__ = ["sample"]


def sample(words: Sequence[str]) -> int:
    """Draw fields and write them."""
    parser = Parser(
        prog="pdesolve sample",
        description="Draw fields from the generative model that a solution file stores, and write them to HDF5, with\n"
        "their mean and standard deviation at every point. Sample k of a seed is the same however many\n"
        "are drawn. With observations, the fields are those that agree with them: an ensemble of the posterior.",
        epilog="examples:\n  pdesolve sample runs/darcy_1d -n 1024\n"
        f"  pdesolve sample runs/darcy_1d -n 256 --observe wells.csv --noise 0.01\n\n{EXIT_CODES}",
    )
    parser.add_argument("file", metavar="FILE", help="a solution (.h5), or a run directory that holds one")
    parser.add_argument("-n", "--samples", type=integer, default=1024, metavar="N", help="how many; default: 1024")
    parser.add_argument("--seed", type=integer, default=0, metavar="N", help="equal seeds, equal fields; default: 0")
    parser.add_argument("--out", metavar="FILE", help="file to write; default: samples/NAME.h5 beside FILE")
    parser.add_argument(
        "--observe", metavar="FILE", help="table (.csv, .npz, .h5) with a column for every coordinate and for fields"
    )
    parser.add_argument(
        "--noise", type=number, metavar="S", help="standard deviation of observations without a column `noise`; 0"
    )
    parser.add_argument(
        "--conditioning", metavar="NAME", help="moments (the default), misfit, or projection: exactly as observed"
    )
    parser.add_argument("--steps", type=integer, metavar="N", help="steps from noise to a field, of those; 100")
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
    for option in ("noise", "conditioning", "steps"):
        if arguments.observe is None and getattr(arguments, option) is not None:
            raise PdesolveError(f"`--{option}` is for observations: give a file of them by --observe.")
    select_device(arguments.device)
    dataset, line = _drawn(file, arguments, out)
    if not arguments.quiet:
        print(f"{out}: {dataset.sizes['sample']} samples; {line}")
    return OK


def _drawn(file: Path, arguments: Any, out: Path) -> tuple[Any, str]:
    """Draw, write and return the ensemble, and what it cost."""
    from .. import io

    _, header = io.read_model(file)  # says so if there is none
    recipe = toml.merge(Recipe(), tomllib.loads(header["config"]), str(file))
    set_precision(recipe.precision)  # before the model's arrays are made

    import time

    import jax
    import numpy as np

    from ..method import build_method
    from ..solution import Solution

    method: Any = build_method(recipe)
    if not hasattr(method, "sample"):
        raise PdesolveError(f"{file} holds a solution by method {recipe.method!r}, which draws no samples.")
    solution = Solution.load(file)
    if solution.model is None:
        raise PdesolveError(f"the model in {file} is of a problem that is not registered here: {header['class']}.")
    family = _family(header["class"])
    # Files have axes in an order of their own: those of a field are the family's.
    axes = ["time" if axis == "t" else axis for axis in family.coordinates]
    grid = {axis: solution.dataset[axis] for axis in axes}
    shape = (len(family.field_names), *(len(points) for points in grid.values()))
    model, line, given = solution.model, "", {}
    if arguments.observe is not None:
        model, line, given = _conditioned(model, family.field_names, grid, arguments, recipe.precision)
    began = time.perf_counter()
    values, evaluations = method.sample(model, jax.random.key(arguments.seed), arguments.samples, shape)
    values = np.asarray(values)
    seconds = time.perf_counter() - began
    dataset = _dataset(values, family.field_names, grid)
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
            "sampling_seed": arguments.seed,
            "function_evaluations": cost,
            **given,
        },
        parameters=solution.parameters,
    )
    return dataset, f"{line}{cost:g} evaluations each, {seconds:.3g} s with compilation"


def _conditioned(
    model: Any, names: tuple[str, ...], grid: dict[str, Any], arguments: Any, precision: str
) -> tuple[Any, str, dict[str, Any]]:
    """Return the model given the observations of a file, and what to tell of them: in a line, and in provenance."""
    from ..flow.conditioned import conditioned
    from ..flow.field_generator import FieldGenerator
    from ..flow.observations import observed
    from ..io.table import read_table

    if not isinstance(model, FieldGenerator):
        raise PdesolveError(
            "`--observe` needs a model of fields with an equation: one of `pdesolve solve NAME --method fm`, say."
        )
    points = {axis: values.to_numpy().astype(float) for axis, values in grid.items()}
    noise = arguments.noise or 0.0
    observations = observed(read_table(arguments.observe), names, points, noise=noise, dtype=precision)
    name, count = arguments.conditioning or "moments", len(observations.values)
    steps = 100 if arguments.steps is None else arguments.steps
    given = {"observations": str(arguments.observe), "num_observations": count, "conditioning": name}
    return conditioned(model, observations, name, num_steps=steps), f"{count} observations, {name}; ", given


def _dataset(values: Any, names: tuple[str, ...], grid: dict[str, Any]) -> Any:
    """Return the ensemble, `NAME_mean` and `NAME_deviation`."""
    import xarray as xr

    fields = {}
    for channel, name in enumerate(names):
        each = values[:, channel]
        fields[name] = (("sample", *grid), each, {"units": "1", "role": "solution"})
        for word, map_ in (("mean", each.mean(axis=0)), ("deviation", each.std(axis=0))):
            fields[f"{name}_{word}"] = (tuple(grid), map_, {"units": "1", "role": "solution"})
    return xr.Dataset(fields, coords=grid)


def _family(target: str) -> Any:
    """Return the class of the registered problem whose target is given."""
    name = next(name for name in registry.names("problems") if registry.target("problems", name) == target)
    return registry.load("problems", name)
