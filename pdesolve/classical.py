"""The problem's classical solver as a method: no training, the same files and the same checks."""

from .comparison import Comparison
from .errors import PdesolveError
from .method import AbstractMethod, Outcome, refuse_pointwise_settings
from .problem import AbstractProblem, evaluation_grid

__all__ = ["ClassicalSolver"]


class ClassicalSolver(AbstractMethod):
    """The problem's own classical solver, refined until the relative L2 error is at most the target.

    Without a target: 1e-6, or twice the bound of the reference's own error if that is more.
    """

    def run(self, problem, recipe, monitor):
        """Solve to the smallest `target` of the stages."""
        if not isinstance(problem, AbstractProblem):
            raise PdesolveError(f"method 'classical' solves single problems; {type(problem).__name__} is a family.")
        refuse_pointwise_settings(recipe)
        comparison = Comparison(problem, evaluation_grid(problem, recipe))
        targets = [stage.target for stage in recipe.stages if stage.target is not None]
        bound = 0.0 if comparison.reference is None else 2.0 * comparison.reference.error_bound
        answer = problem.classical(min(targets, default=max(1e-6, bound)))
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
