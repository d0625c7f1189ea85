"""Learned unit cells beside their finite elements, and structures made of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import markdown
from ..cell import AbstractSuite, Cell, Failed
from ..solving import solve
from ..workspace import Workspace

__all__ = ["Multiscale"]

SAMPLES, SEEDS = 225, 3
UNIT_CELLS = ("rve3", "rve2", "rve1")
"""The quickest first."""
METHODS = {"EquiNO": "equino", "DNN": "dnn", "VPIONet": "vpionet"}
"""Row of the table to method; all seeds are for the first, one for the others."""
LIMIT = {"VPIONet": 240.0}
"""Seconds of the last stage, where a thousand steps of L-BFGS on all strains would take half an hour."""
STRUCTURES = {
    "single_element": "cells = 1",
    "cook_membrane": "cells = 4",
    "l_profile": "cells = 2",
    "plate_with_hole": "cells = 3",
}
"""Structure to its mesh; all of the quickest unit cell, Cook's membrane of the others."""
LOAD_STEPS = 2
ERRORS = ("mean_stress_percent", "stress_xx_percent", "stress_yy_percent", "stress_xy_percent")
UNITS = ("_n_per_mm", "_mm", "_mpa")
"""Ends of the names of a structure's quantities: what has the same unit is compared with the largest of its kind."""


class Multiscale(AbstractSuite):
    """`pdesolve data make`, `pdesolve solve rve1 --method ...`, then `pdesolve solve cook_membrane` by both."""

    name = "multiscale"
    title = "Unit cells and structures"
    about = (
        f"{SAMPLES} states of each unit cell by finite elements, of which 100 are the test; every method by its own "
        f"defaults, but that L-BFGS of VPIONet ends after {LIMIT['VPIONet']:g} s. Errors are relative L2 in percent: "
        "of mean stresses pooled over samples, of stress fields by component, the mean of the samples. *Loss / "
        "optimum*: the law's misfit on the strains of the test over the least that any coefficients of the same modes "
        f"reach. Then structures, on one mesh and in {LOAD_STEPS} increments of the load: EquiNO (seed 0) for every "
        "Gauss point, and the unit cell solved anew at each, in as many processes as there are threads. Seconds are "
        "of the solve; the first call of EquiNO, which compiles it, is left out of the ratio and stands apart. "
        "Medians over seeds."
    )

    def cells(self, options):
        """Return data, EquiNO and a structure of each unit cell, other structures of one, then the slower rivals."""
        if options.smoke:
            small = {"samples": 8, "cells": 8}
            return [
                Cell("rve3/data", {"unit_cell": "rve3", **small}),
                Cell("rve3/DNN/0", {"unit_cell": "rve3", "method": "DNN", "seed": 0, "steps": 3}),
            ]
        names = [name for name in UNIT_CELLS if options.problems is None or name in options.problems]
        cells = []
        for name in names:
            cells.append(Cell(f"{name}/data", {"unit_cell": name, "samples": SAMPLES}))
            cells += _trainings(name, "EquiNO", options.seeds or SEEDS)
            cells.append(_structure(name, "cook_membrane"))
        cells += [_structure(UNIT_CELLS[0], s) for s in STRUCTURES if s != "cook_membrane" and UNIT_CELLS[0] in names]
        rivals = [method for method in METHODS if method != "EquiNO"]
        return cells + [
            cell for method in rivals for name in names for cell in _trainings(name, method, options.seeds or 1)
        ]

    def measure(self, cell, workspace, done):
        """Make data, train, or solve a structure."""
        given = dict(cell.parameters)
        name = given.pop("unit_cell")
        if "method" in given:
            return self._train(workspace, name, **given)
        if "structure" in given:
            return self._structure(workspace, name, given["structure"])
        file = _data(workspace, name)
        existing = file.exists()
        words = ["--samples", str(given["samples"]), "--out", str(file), "--quiet"]
        if "cells" in given:
            words += ["--resolution", str(given["cells"])]
        if existing:
            file.unlink()
        run = workspace.ours("-m", "pdesolve", "data", "make", name, *words, name=f"multiscale/{name}-data")
        workspace.check(run)
        return {"process_seconds": run.seconds, "cpu_seconds": run.cpu_seconds}

    def _train(self, workspace: Workspace, name: str, method: str, seed: int, steps: int | None = None):
        file = _data(workspace, name)
        if not file.is_file():
            raise Failed(f"there are no data of {name}: measure its cell `{name}/data` again")
        config = f'method = "{METHODS[method]}"\n[data]\nfile = "{file}"\n'
        if steps is not None:
            config += "test = 3\ntrain = 8\n"
        seconds = LIMIT.get(method)
        run = _run(name, method, seed)
        return solve(workspace, name, name=run, config=config, seed=seed, steps=steps, seconds=seconds)

    def _structure(self, workspace: Workspace, name: str, structure: str):
        model = workspace.work / "runs" / _run(name, "EquiNO", 0) / f"{name}.h5"
        if not model.is_file():
            self._train(workspace, name, "EquiNO", 0)
        config = (
            f'method_options = {{ micro = "equino:{model}", against = "fe:{name}", '
            f"load_steps = {LOAD_STEPS}, processes = {workspace.threads} }}\n[parameters]\n{STRUCTURES[structure]}\n"
        )
        return solve(workspace, structure, name=f"multiscale/{name}-{structure}", config=config, seed=0, timeout=7200.0)

    def table(self, records: Mapping[str, Mapping[str, Any]]) -> str:
        """Return a table of the methods, and one of the structures."""
        measured = [record for record in records.values() if record["status"] == "measured"]
        methods: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        structures: list[list[str]] = []
        for record in measured:
            given, result = record["parameters"], record["result"]
            if "method" in given:
                methods.setdefault((given["unit_cell"], given["method"]), []).append(result["summary"])
            elif "structure" in given:
                structures.append(_structure_row(given, result["summary"], f"fe:{given['unit_cell']}"))
        rows = [_method_row(name, method, runs) for (name, method), runs in methods.items()]
        first = ["unit cell, method", "seeds", "mean stress", "xx", "yy", "xy", "tangent", "loss / optimum"]
        second = ["structure, unit cell", "Gauss points", "EquiNO [s]", "its first call [s]", "FE² [s]", "ratio"]
        tables = (
            markdown.table([*first, "preparation and training [s]"], rows),
            markdown.table([*second, "displacements", "stresses", "tip or reaction", "largest strain"], structures),
        )
        return "\n\n".join(table for table in tables if table)


def _structure(name: str, structure: str) -> Cell:
    return Cell(f"{name}/{structure}", {"unit_cell": name, "structure": structure})


def _trainings(name: str, method: str, seeds: int) -> list[Cell]:
    given = {"unit_cell": name, "method": method}
    return [Cell(f"{name}/{method}/{seed}", {**given, "seed": seed}) for seed in range(seeds)]


def _data(workspace: Workspace, name: str) -> Path:
    return workspace.work / "runs" / f"multiscale-{name}.h5"


def _run(name: str, method: str, seed: int) -> str:
    return f"multiscale/{name}-{method}-{seed}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g} %"


def _method_row(name: str, method: str, runs: list[Mapping[str, Any]]) -> list[str]:
    measures = [run["measures"] for run in runs]
    numbers = [markdown.spread([m.get(key) for m in measures], _percent) for key in (*ERRORS, "tangent_percent")]
    ratios = [m["test_loss"] / m["optimum_loss"] if "optimum_loss" in m else None for m in measures]
    times = [
        m["seconds_to_prepare"] + sum(run["seconds"].get(k, 0.0) for k in ("compile", "train", "evaluate"))
        for m, run in zip(measures, runs, strict=True)
    ]
    shown = markdown.spread(ratios, lambda value: f"{value:.4g}")
    return [f"{name}, {method}", str(len(runs)), *numbers, shown, markdown.spread(times, markdown.seconds)]


def _structure_row(given: Mapping[str, Any], summary: Mapping[str, Any], other: str) -> list[str]:
    title, measures = f"{given['structure']}, {given['unit_cell']}", summary["measures"]
    if summary["relative_l2"] is None:
        return [f"{title}: {summary['status']}", *[""] * 9]
    ours, first, theirs = measures["seconds"], measures["seconds_of_first_call"], measures[f"seconds ({other})"]
    worst = max(_deviation(measures, other, unit) for unit in UNITS)
    return [
        title,
        f"{measures['gauss_points']:g}",
        *(markdown.seconds(value) for value in (ours, first, theirs)),
        f"{theirs / (ours - first):,.0f}",
        *(_percent(100 * value) for value in (summary["relative_l2"], measures["macro_stress_error"], worst)),
        f"{measures['largest_strain']:.2g}",
    ]


def _deviation(measures: Mapping[str, float], other: str, unit: str) -> float:
    """Return the largest difference of the quantities of one unit, relative to the largest of them."""
    names = [name for name in measures if name.endswith(unit) and f"{name} ({other})" in measures]
    if unit == "_mm":
        names = [name for name in names if not name.endswith("_n_per_mm")]
    expected = {name: measures[f"{name} ({other})"] for name in names}
    size = max((abs(value) for value in expected.values()), default=0.0)
    return max((abs(measures[name] - value) / size for name, value in expected.items()), default=0.0) if size else 0.0
