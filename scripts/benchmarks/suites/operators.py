"""A Fourier neural operator here and in the package of its authors, on the same samples."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import markdown
from ..cell import AbstractSuite, Cell
from ..contenders import CONTENDERS, OURS, chosen
from ..machine import cores
from ..scripted import run_script
from ..solving import solve
from ..workspace import Workspace

__all__ = ["Operators"]

FAMILY = "burgers_family"
STEPS = 1000
PEERS = ("neuraloperator",)


class Operators(AbstractSuite):
    """Time of a training step, and the error after the same number of steps."""

    name = "operators"
    title = "Operators"
    about = (
        f"A Fourier neural operator on `{FAMILY}` by the recipe's sizes, float32, {STEPS} steps of Adam with a "
        "cosine schedule on the same samples, batches of the same size, the same loss. Mean relative L2 error of "
        "the test samples, which training never sees. The package's own blocks have a small network for the "
        "channels besides, which ours have not. A package with OpenMP threads gets one or all cores, the faster "
        "counts."
    )

    def cells(self, options):
        """Return theirs and ours in turn, seed by seed."""
        steps = 2 if options.smoke else STEPS
        return [
            Cell(f"{name}/{threads}/{seed}", {"contender": name, "seed": seed, "steps": steps, "threads": threads})
            for seed in range(1 if options.smoke else options.seeds or 3)
            for name in chosen(options.peers, PEERS)
            for threads in (sorted({1, cores()}) if CONTENDERS[name].threaded else [cores()])
        ]

    def measure(self, cell, workspace, done):
        """Train once."""
        given, name = dict(cell.parameters), f"operators/{cell.key.replace('/', '-')}"
        if given["contender"] == OURS:
            run = solve(workspace, FAMILY, name=name, seed=given["seed"], steps=given["steps"])
            summary = run["summary"]
            return {
                "relative_l2": summary["relative_l2"],
                "seconds_per_step": summary["seconds"]["train"] / given["steps"],
                "first_seconds": summary["seconds"]["compile"],
            }
        words = {"seed": given["seed"], "steps": given["steps"], "threads": given["threads"]}
        (line,), facts = run_script(
            workspace,
            given["contender"],
            f"{given['contender']}_train.py",
            words | _words(workspace, given["seed"]),
            name=name,
            threads=given["threads"],
        )
        pace = (line["seconds"] - line["first"]) / max(given["steps"] - 1, 1)
        return {
            "relative_l2": line["relative_l2"],
            "seconds_per_step": pace,
            "first_seconds": line["first"],
            "parameters": line["parameters"],
            **facts,
        }

    def table(self, records: Mapping[str, Mapping[str, Any]]) -> str:
        """Return one row for each package and number of threads."""
        groups: dict[str, list[Any]] = {}
        for key, record in records.items():
            if record["status"] == "measured":
                groups.setdefault(key.rpartition("/")[0], []).append(record["result"])
        rows = [
            [
                group.replace("/", ", "),
                str(len(runs)),
                markdown.spread(run["relative_l2"] for run in runs),
                markdown.spread((run["seconds_per_step"] for run in runs), markdown.seconds),
                markdown.spread((run["first_seconds"] for run in runs), markdown.seconds),
            ]
            for group, runs in groups.items()
        ]
        header = ["package, threads", "seeds", "relative L2", "a step [s]", "compilation, or first step [s]"]
        return markdown.table(header, rows)


def _words(workspace: Workspace, seed: int) -> dict[str, Any]:
    """Return the recipe's sizes, and a file of the same samples that `pdesolve` draws for this seed."""
    import dataclasses

    import numpy as np

    from pdesolve import registry
    from pdesolve.operator_learning import draw_samples

    family = registry.load("problems", FAMILY)()
    recipe = dataclasses.replace(family.recipe(), seed=seed)
    path: Path = workspace.work / "samples" / f"{FAMILY}-{seed}.npz"
    if not path.is_file():
        train, _, test = draw_samples(family, recipe)
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = {"train": train, "test": test}
        arrays = {f"{n}_{k}": getattr(data, k) for n, data in samples.items() for k in ("inputs", "outputs")}
        np.savez(path, **arrays)
    network, (stage,) = recipe.network, recipe.stages
    sizes = {"modes": network.options["modes"], "width": network.width, "depth": network.depth}
    return {"data": path, "batch": recipe.data.batch, "rate": stage.options["learning_rate"], **sizes}
