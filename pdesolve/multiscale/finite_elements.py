"""The method `finite_elements`: one representative volume element under one mean strain, no training."""

import time

import numpy as np

from ..errors import PdesolveError
from ..method import AbstractMethod, Outcome, refuse_pointwise_settings

__all__ = ["FiniteElements"]


class FiniteElements(AbstractMethod):
    """Finite elements of a unit cell, for problems that have an `rve()` and a mean `strain()`.

    The summary has `homogenised_stress` (xx, yy, xy) and `tangent`, its derivative with respect to the mean strain
    with engineering shear, in MPa. There is no reference: the answer is unverified, and the summary tells the change
    from a mesh of half as many elements along a side.
    """

    def run(self, problem, recipe, monitor):
        """Solve once, and once more on a coarser mesh."""
        if not (hasattr(problem, "rve") and hasattr(problem, "strain")):
            raise PdesolveError(
                f"method 'finite_elements' solves unit cells, such as rve1; {type(problem).__name__} is none."
            )
        refuse_pointwise_settings(recipe)
        began = time.perf_counter()
        cell, strain = problem.rve(), problem.strain()
        state = cell.solve(strain)
        seconds = time.perf_counter() - began
        coarse = problem.rve(4 * (problem.cells // 8)).solve(strain).stress
        norm = np.linalg.norm(state.stress)
        change = float(np.linalg.norm(state.stress - coarse) / norm) if norm > 0 else 0.0
        verdict = {
            "homogenised_stress": state.stress.tolist(),
            "tangent": state.tangent.tolist(),
            "strain": strain.tolist(),
            "inclusion_fraction": cell.fraction,
            "newton_iterations": state.iterations,
            "unbalanced": state.residual,
            "coarse_mesh_change": change,
            "solve_seconds": seconds,
            "measures": {
                **dict(zip(("stress_xx", "stress_yy", "stress_xy"), state.stress.tolist(), strict=True)),
                "change_from_a_mesh_half_as_fine": change,
            },
            "doubt": f"a mesh half as fine changes the mean stress by {change:.1e}",
        }
        return Outcome(dataset=cell.dataset(state), verdict=verdict, recipe=recipe, verified=False)

    def skeleton(self, problem, recipe):
        """There is no model."""
        raise PdesolveError("finite elements store no model.")

    def evaluator(self, problem, recipe, model):
        """There is no model."""
        return None
