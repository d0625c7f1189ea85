"""The problem's classical solver as a method: no training, the same files and the same checks."""

from .comparison import Comparison
from .errors import PdesolveError
from .method import AbstractMethod, Outcome
from .problem import AbstractProblem, evaluation_grid

__all__ = ["ClassicalSolver"]


class ClassicalSolver(AbstractMethod):
    """The problem's own classical solver, refined until the relative L2 error is at most the target (1e-6)."""

    def run(self, problem, recipe, monitor):
        """Solve to the last stage's `target`, or to 1e-6."""
        if not isinstance(problem, AbstractProblem):
            raise PdesolveError(f"method 'classical' solves single problems; {type(problem).__name__} is a family.")
        comparison = Comparison(problem, evaluation_grid(problem, recipe))
        targets = [stage.target for stage in recipe.stages if stage.target is not None]
        answer = problem.classical(min(targets, default=1e-6))
        return Outcome(
            dataset=comparison.dataset(answer.evaluate),
            verdict=comparison.verdict(answer.evaluate(comparison.points)),
            recipe=recipe,
            verified=comparison.expected is not None,
            evaluate=answer.evaluate,
        )

    def skeleton(self, problem, recipe):
        """There is no model."""
        raise PdesolveError("the classical solver stores no model.")

    def evaluator(self, problem, recipe, model):
        """There is no model."""
        return None
