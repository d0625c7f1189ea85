"""The method `two_scale`: a structure by finite elements, its material by a micro model."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import PdesolveError
from ..method import AbstractMethod, Outcome, refuse_pointwise_settings
from ..metrics import errors, trivial_errors
from .discretisation import Discretisation
from .fe2 import InProcesses
from .fields import gauss_fields, macro_fields, micro_fields
from .macro import MacroAnswer, solve_macro
from .micro import MicroModel
from .micro_names import CLOSED_FORMS, micro_model, unit_cell
from .structure import AbstractStructure

__all__ = ["TwoScale"]

_FINER = 4
"""By how much the elements of the reference are smaller than those of the answer."""


class TwoScale(AbstractMethod):
    """Finite elements whose material is a micro model: Newton's method in load steps, no training.

    A closed-form material's answer is compared with that on a mesh four times as fine. Any other answer is unverified,
    unless `against` names another micro model: then both are solved on the same mesh, and their displacements, their
    quantities and their times stand side by side. That is how a trained model is held against FE2.

    Args:
        micro: The material, e.g. `linear`, `fe:rve1`, `equino:FILE`; see `pdesolve.multiscale.micro_model`.
        against: Another one to compare with, if not empty.
        load_steps: Number of equal increments of the load.
        element: `quad8` or `triangle6`.
        tolerance: Of the unbalanced forces, relative to all nodal forces.
        processes: Among which the strains of a nested finite-element solve (`fe:`) are shared out; 0 for none.
        recover: Numbers of the Gauss points at which the fields of the micro model are stored.
        cell: For `recover` with a trained model: the unit cell it was trained on, e.g. `rve1`.
    """

    micro: str = "nonlinear"
    against: str = ""
    load_steps: int = 5
    element: str = "quad8"
    tolerance: float = 1e-10
    processes: int = 0
    recover: tuple[int, ...] = ()
    cell: str = ""

    def __check_init__(self):
        if self.processes < 0:
            raise PdesolveError(f"`processes` must not be negative, got {self.processes}.")

    def run(self, problem, recipe, monitor):
        """Solve the structure under full load; a failure is a verdict, with the last equilibrium's fields."""
        if not isinstance(problem, AbstractStructure):
            raise PdesolveError(
                f"method 'two_scale' solves structures, such as cook_membrane; {type(problem).__name__} is none."
            )
        refuse_pointwise_settings(recipe)
        micro = micro_model(self.micro)
        answer = self._solve(problem, micro, self.micro)
        dataset = macro_fields(answer)
        verdict = {"measures": _measures(problem, answer), **_history(answer)}
        if answer.status != "converged":
            verdict |= {"failed": answer.reason, "relative_l2": None, "reference_error": None}
        elif self.against:
            dataset, verdict = self._held_against(problem, answer, dataset, verdict)
        elif self.micro in CLOSED_FORMS:
            dataset, verdict = self._refined(problem, micro, answer, dataset, verdict)
        else:
            verdict["doubt"] = "give another micro model to compare with by `against`, e.g. `fe:rve1`"
        cell = unit_cell(self.cell).rve() if self.cell else None
        recovered = {f"micro_{index}": micro_fields(answer, micro, int(index), cell) for index in self.recover}
        return Outcome(
            dataset=dataset,
            verdict=verdict,
            recipe=recipe,
            verified=verdict.get("relative_l2") is not None,
            evaluate=lambda points: _values(answer, points),
            companions={"gauss_points": gauss_fields(answer), **recovered},
        )

    def skeleton(self, problem, recipe):
        """There is no model."""
        raise PdesolveError("a two-scale solve stores no model.")

    def evaluator(self, problem, recipe, model):
        """There is no model."""
        return None

    def _solve(self, problem: AbstractStructure, micro: MicroModel, name: str) -> MacroAnswer:
        body = Discretisation(problem.body(), self.element)
        with _shared_out(micro, self.processes if name.startswith("fe:") else 0) as material:
            return solve_macro(body, material, load_steps=self.load_steps, tolerance=self.tolerance)

    def _refined(self, problem, micro, answer, dataset, verdict):
        """Compare with the same material on finer meshes; the finest's change is the bound of its own error."""
        points = dataset["points"].values
        bodies = (Discretisation(problem.body(n), self.element) for n in (_FINER // 2, _FINER))
        # The materials are elastic: one load step, cut where that is too large, leads to the same answer.
        middle, fine = (solve_macro(body, micro, tolerance=self.tolerance) for body in bodies)
        if not middle.status == fine.status == "converged":
            return dataset, verdict | {"doubt": "the same material on a finer mesh has no equilibrium"}
        expected = _values(fine, points)
        bound = errors(_values(middle, points), expected)["pooled"]["relative_l2"]
        reference = f"the same material, elements {_FINER} times smaller"
        return _compared(dataset, verdict, expected, max(bound, 1e-14), reference)

    def _held_against(self, problem, answer, dataset, verdict):
        """Compare with another micro model on the same mesh."""
        other = self._solve(problem, micro_model(self.against), self.against)
        if other.status != "converged":
            return dataset, verdict | {"doubt": f"with {self.against} there is no equilibrium to compare with"}
        expected = _values(other, dataset["points"].values)
        # Both are solved on one mesh to this tolerance: what differs is the material.
        bound = max(self.tolerance, 1e-14)
        dataset, verdict = _compared(dataset, verdict, expected, bound, f"{self.against} on the same mesh")
        measures = verdict["measures"] | {
            **{f"{name} ({self.against})": value for name, value in problem.quantities(other).items()},
            "macro_stress_error": errors({"stress": answer.stresses}, {"stress": other.stresses})["pooled"][
                "relative_l2"
            ],
            f"seconds ({self.against})": other.seconds["total"],
        }
        seconds = {"classical_seconds": other.seconds["total"], "classical": {"method": f"{self.against}, same mesh"}}
        return dataset, verdict | {"measures": measures} | seconds


@contextlib.contextmanager
def _shared_out(micro: MicroModel, processes: int) -> Iterator[MicroModel]:
    if processes == 0:
        yield micro
        return
    with InProcesses(micro, processes) as shared:
        yield shared


def _values(answer: MacroAnswer, points: np.ndarray) -> dict[str, np.ndarray]:
    u = answer.discretisation.displacements(answer.displacements, points)
    return {"u": u[:, 0], "v": u[:, 1]}


def _measures(problem: AbstractStructure, answer: MacroAnswer) -> dict[str, float]:
    return {
        **problem.quantities(answer),
        "largest_strain": float(np.abs(answer.strains).max()),
        "load_reached": answer.load,
        "newton_iterations": answer.iterations,
        "micro_calls": answer.calls,
        "gauss_points": len(answer.strains),
        "points_outside_box": int(answer.outside.sum()),
        "seconds": answer.seconds["total"],
        "seconds_of_first_call": answer.seconds["first_call"],
    }


def _history(answer: MacroAnswer) -> dict[str, Any]:
    return {
        "load_steps": [{"load": step.load, "residuals": list(step.residuals)} for step in answer.steps],
        "solve_seconds": answer.seconds,
    }


def _compared(dataset, verdict, expected: dict[str, np.ndarray], bound: float, reference: str):
    """Return dataset and verdict with the reference in them."""
    values = {name: dataset[name].values for name in expected}
    norms = errors(values, expected)["pooled"]
    beside = {f"{name}_reference": ("point", field, {"units": "mm"}) for name, field in expected.items()}
    return dataset.assign(beside), verdict | {
        "relative_l2": norms["relative_l2"],
        "max_error": norms["max_error"],
        "reference_error": bound,
        "reference": reference,
        "trivial_error": trivial_errors(expected),
    }
