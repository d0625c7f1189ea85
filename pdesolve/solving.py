"""The whole way: a problem and a recipe in, a checked solution and its files out."""

import contextlib
import dataclasses
import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import jax
import xarray as xr
from jax.sharding import Mesh

from . import registry, toml
from .config import Recipe
from .distributed import is_writer
from .errors import PdesolveError
from .fit import Report
from .io import atomic, write_points_dataset, write_xdmf
from .method import Monitor, Outcome, build_method
from .problem import parameters_of
from .provenance import provenance
from .report import Meter
from .solution import Solution

__all__ = ["solve"]

log = logging.getLogger(__name__)


def solve(
    problem: Any,
    recipe: Recipe | None = None,
    *,
    name: str | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    quiet: bool = True,
    classical: bool = True,
    mesh: Mesh | None = None,
) -> Solution:
    """Solve a problem, compare the answer with its reference and with the classical solver, and write the files.

    Args:
        problem: A problem or a family of problems (an instance).
        recipe: How; the problem's own recipe if None.
        name: Name of the files; the registered name, else that of the class.
        out: Run directory: `NAME.h5`, `NAME.xdmf`, `NAME.png`, `run.toml`, `summary.json`, `log.jsonl`, `checkpoint`.
            Nothing is written if None.
        resume: Continue from the run directory's checkpoint.
        tensorboard: Also log for TensorBoard (extra `tensorboard`).
        quiet: No progress meter.
        classical: Whether to time the classical solver at the accuracy reached.
        mesh: Devices over which samples and experts are divided (`pdesolve.distributed.data_mesh`). If they belong to
            several processes, each calls this function, the first one writes, and all read the checkpoint.

    Returns:
        The solution; a failed or interrupted training is a status, not an exception.

    Raises:
        PdesolveError: If problem, recipe and files do not fit.
    """
    recipe = cast(Recipe, problem.recipe()) if recipe is None else recipe
    check_precision(recipe)
    if out is None and (resume or tensorboard):
        raise PdesolveError("`resume` and `tensorboard` need a run directory: give `out`.")
    name = name or _registered_name(problem)
    directory = None if out is None else _directory(Path(out))
    method = build_method(recipe)
    writes = mesh is None or is_writer()
    parameters = {key: float(getattr(problem, key)) for key in parameters_of(problem)}
    with contextlib.ExitStack() as stack:
        callbacks: list[Callable[[Report], None]] = [stack.enter_context(Meter(name, quiet=quiet))]
        if directory is not None and writes:
            callbacks.append(_Log(directory, name, resume))
        if tensorboard and directory is not None and writes:
            callbacks.append(stack.enter_context(_TensorBoard(directory / "tensorboard")))
        checkpoint = None if directory is None else directory / "checkpoint"
        outcome = method.run(problem, recipe, Monitor(callbacks, checkpoint, resume, mesh))
    solution = _solution(problem, name, parameters, recipe, outcome, classical and writes)
    if directory is not None and writes:
        _write(solution, outcome, directory)
    return solution


def check_precision(recipe: Recipe) -> None:
    """Raise a `PdesolveError` if float64 is asked for and JAX would silently use float32."""
    if recipe.precision not in ("float32", "float64"):
        raise PdesolveError(f"`precision` must be float64 or float32, got {recipe.precision!r}.")
    if (recipe.precision == "float64") != jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        flag = recipe.precision == "float64"
        raise PdesolveError(
            f"the recipe asks for {recipe.precision}. Add this line before any array is made: "
            f"jax.config.update('jax_enable_x64', {flag})"
        )


def _solution(
    problem: Any, name: str, parameters: dict[str, float], recipe: Recipe, outcome: Outcome, classical: bool
) -> Solution:
    """Judge the outcome, and time the classical solver at the same accuracy."""
    status, reason = _status(recipe, outcome)
    fit = outcome.fit
    verdict = outcome.verdict
    timed = _classical(problem, verdict) if classical and status in ("solved", "target_missed") else {}
    summary = {
        "problem": name,
        "class": f"{type(problem).__module__}:{type(problem).__qualname__}",
        "parameters": parameters,
        "method": recipe.method,
        "status": status,
        "reason": reason,
        **dict.fromkeys(("relative_l2", "max_error", "reference_error", "trivial_error", "classical_seconds")),
        **verdict,
        **timed,
        "loss": None if fit is None or not fit.history else fit.history[-1]["loss"],
        "steps": None if fit is None else sum(fit.steps),
        "seconds": {"compile": 0.0, "train": 0.0, "evaluate": 0.0} if fit is None else fit.seconds,
        "seed": recipe.seed,
        "precision": recipe.precision,
    }
    origin = provenance() | {"seed": recipe.seed, "config": toml.dumps(name, parameters, outcome.recipe)}
    return Solution(
        name=name,
        dataset=outcome.dataset,
        status=status,
        reason=reason,
        summary=summary,
        parameters=parameters,
        provenance=origin,
        evaluate=outcome.evaluate,
        source="grid" if outcome.evaluate is None else "model" if outcome.model is not None else "classical solver",
        model=outcome.model,
        history=() if fit is None else fit.history,
        boundary=_boundary(problem, outcome.dataset),
    )


def _status(recipe: Recipe, outcome: Outcome) -> tuple[str, str]:
    """Return status and reason: that of the training, unless the answer itself says worse."""
    fit, verdict = outcome.fit, outcome.verdict
    if fit is not None and fit.status in ("diverged", "interrupted"):
        return fit.status, fit.reason
    if verdict.get("failed"):
        return "failed", verdict["failed"]
    reason = "" if fit is None else fit.reason
    error = verdict.get("relative_l2")
    # A constant solution is no mean feat to miss: its own mean is no predictor that takes no work.
    exact = verdict.get("reference_error") or 0.0
    trivial = [value for value in (verdict.get("trivial_error") or {}).values() if value > max(exact, 1e-14)]
    if error is not None and not math.isfinite(error):
        return "diverged", "the solution is not finite"
    if error is not None and trivial and error >= min(trivial):
        return (
            "failed",
            f"the error {error:.1e} is no better than that of a constant; train longer or change the method",
        )
    targets = [stage.target for stage in recipe.stages if stage.target is not None]
    # An operator stops by validation samples: their target is met, whatever the test samples say.
    reached = fit is not None and fit.status == "target_reached"
    if targets and not reached and error is not None and error > min(targets):
        return "target_missed", f"the error {error:.1e} is above the target {min(targets):.1e}: {reason}"
    if not outcome.verified:
        doubt = verdict.get("doubt", "see residuals and the difference of two seeds")
        return "unverified", f"there is no reference to compare with; {doubt}"
    return "solved", reason


def _classical(problem: Any, verdict: dict[str, Any]) -> dict[str, Any]:
    """Return the classical solver's time for the error reached, or the reason why there is none."""
    error = verdict.get("relative_l2")
    if error is None or not hasattr(problem, "classical"):
        return {}
    try:
        answer = problem.classical(max(error, 2.0 * (verdict["reference_error"] or 0.0)))
    except Exception as reason:  # a fault in a user's own solver must not cost the finished training
        return {"classical": str(reason) or type(reason).__name__}
    return {
        "classical_seconds": answer.seconds,
        "classical": {"method": answer.description, "resolution": answer.resolution, "relative_l2": answer.error},
    }


def _boundary(problem: Any, stored: xr.Dataset) -> tuple[dict[str, Any], ...]:
    """Return the boundary conditions of stored axes as files state them: periodic, wall or open."""
    if not hasattr(problem, "conditions"):
        return ()
    entries = []
    for condition in problem.conditions():
        part = condition.part or ""
        axis, _, side = part.rpartition("_")
        if condition.periodic_axis is not None:
            entries.append({"kind": "periodic", "dims": [condition.periodic_axis]})
        elif side in ("min", "max") and axis in stored.dims:  # walls of a section are those it shows
            kind = "wall" if condition.kind == "dirichlet" else "open"
            entries.append({"kind": kind, "dims": [axis], "sides": {"min": "lower", "max": "upper"}[side]})
        else:
            continue
        entries[-1] |= {"name": condition.name, "fields": list(condition.fields)}
    return tuple(entries)


def _write(solution: Solution, outcome: Outcome, directory: Path) -> None:
    """Write the run's files; a diverged or failed run gets its summary and log, and no picture."""
    _text(directory / "run.toml", solution.provenance["config"])
    if solution.status != "diverged":
        solution.save(directory / f"{solution.name}.h5")
    _write_companions(solution, outcome, directory / "companions")
    unfit = {"diverged": (".h5", ".xdmf", ".png"), "failed": (".png",)}.get(solution.status, ())
    for suffix in unfit:  # an earlier run's would be taken for this one's
        (directory / f"{solution.name}{suffix}").unlink(missing_ok=True)
    _text(directory / "summary.json", json.dumps(_jsonable(solution.summary), indent=2) + "\n")
    if not unfit:
        solution.plot(directory / f"{solution.name}.png")


def _write_companions(solution: Solution, outcome: Outcome, directory: Path) -> None:
    """Write further fields, each to a file of its own; those of an earlier run would be taken for this one's."""
    for file in [*directory.glob("*.h5"), *directory.glob("*.xdmf")]:
        file.unlink()
    for name, dataset in outcome.companions.items():
        directory.mkdir(exist_ok=True)
        file = directory / f"{name}.h5"
        origin = solution.provenance | {"status": solution.status}
        write_points_dataset(file, dataset, name=name, provenance=origin, parameters=solution.parameters)
        write_xdmf(file)


def _text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _jsonable(value: Any) -> Any:
    """Replace numbers JSON does not know (NaN, infinity) by None."""
    if isinstance(value, dict):
        return {key: _jsonable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _directory(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise PdesolveError(f"cannot write into {out}: {error.strerror or error}.") from error
    return out


def _registered_name(problem: Any) -> str:
    """Return the name under which the problem's class is registered, else the class's own."""
    own = f"{type(problem).__module__}:{type(problem).__qualname__}"
    found = [name for name in registry.names("problems") if registry.target("problems", name) == own]
    return found[0] if found else type(problem).__name__.lower()


class _Log:
    """One JSON line for every chunk; a resumed run drops lines of steps that it takes again.

    With its first line a fresh run removes what an earlier one left: not sooner, as it may yet be refused.
    """

    def __init__(self, directory: Path, name: str, resume: bool):
        self.path, self.resume, self.first = directory / "log.jsonl", resume, True
        files = ("summary.json", "run.toml", f"{name}.h5", f"{name}.xdmf", f"{name}.png")
        self.earlier = [directory / file for file in files]

    def __call__(self, report: Report) -> None:
        if self.first:
            self.first = False
            lines = self.path.read_text(encoding="utf-8").splitlines() if self.resume and self.path.exists() else []
            _text(self.path, "".join(line + "\n" for line in lines if _before(line, report)))
            for file in [] if self.resume else self.earlier:
                file.unlink(missing_ok=True)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(_jsonable(dataclasses.asdict(report))) + "\n")


def _before(line: str, report: Report) -> bool:
    """Say whether a line of the log is whole, and of a step before this report's."""
    try:
        return json.loads(line)["total_steps"] < report.total_steps
    except (ValueError, KeyError, TypeError):
        return False


class _TensorBoard:
    """Scalars for TensorBoard."""

    def __init__(self, directory: Path):
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise PdesolveError("TensorBoard logs need an extra: pip install 'pdesolve[tensorboard]'.") from error
        self.writer = SummaryWriter(str(directory))

    def __enter__(self) -> "_TensorBoard":
        return self

    def __exit__(self, *_: Any) -> None:
        self.writer.close()

    def __call__(self, report: Report) -> None:
        for key, value in report.metrics.items():
            self.writer.add_scalar(key, value, report.total_steps)
