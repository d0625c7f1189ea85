"""A named problem by pdesolve's own recipe; see `race`. Its clock, so that set-up counts as it does for the others."""

import dataclasses

import jax
from race import Race, arguments

from pdesolve import registry
from pdesolve.fit import fit
from pdesolve.pinn import PINN, build_stages, check_finite, initial_ansatz


class Over(Exception):
    """The time is over."""


def main():
    """Train for the time given."""
    given = arguments(__doc__)
    jax.config.update("jax_enable_x64", given.precision == "float64")
    race = Race(given)
    problem = registry.load("problems", given.problem)()
    recipe = dataclasses.replace(problem.recipe(), seed=given.seed)
    *first, last = recipe.stages
    recipe = dataclasses.replace(recipe, stages=(*first, dataclasses.replace(last, seconds=10.0**6)))
    steps = 0

    def measure(ansatz):
        nonlocal steps
        steps += recipe.points.refresh
        evaluate = PINN().evaluator(problem, recipe, ansatz)

        def predict(points):
            values = evaluate(points)
            return race.columns([values[field] for field in race.fields])

        race.measure("levenberg_marquardt", steps, predict, always=True)
        if race.over():
            raise Over
        return {}

    ansatz, stages = initial_ansatz(problem, recipe), build_stages(problem, recipe)
    check_finite(stages[0].objective, ansatz)
    try:
        fit(stages, ansatz, seed=recipe.seed, evaluate=measure)
    except Over:
        pass


if __name__ == "__main__":
    main()
