"""Training steps of pdesolve; see `pace`."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from pace import CONDITION, LEARNING_RATE, arguments, measure

from pdesolve.config import NetworkConfig, PointsConfig
from pdesolve.fit import Stage, fit
from pdesolve.optim import FirstOrder
from pdesolve.pinn import build_objective, initial_ansatz
from problems import Burgers

CHUNK = 100
"""Steps of one dispatch, as by default."""


def build(given, points):
    """Return training and residual by the package's own loop and calculus."""
    problem = Burgers()
    recipe = dataclasses.replace(
        problem.recipe(),
        network=NetworkConfig(width=given.width, depth=given.depth),
        points=PointsConfig(interior=points, boundary=CONDITION, adaptive="none", chunk=given.chunk),
        exact=False,
        precision="float32",
    )
    objective = build_objective(problem, recipe, problem.domain())
    ansatz = initial_ansatz(problem, recipe)
    stage = Stage(objective, FirstOrder(optax.adam(LEARNING_RATE)), steps=2**30, chunk=CHUNK)
    interior = objective.blocks[0]
    batch = interior.sampler.draw(interior.sampler.init(0), jax.random.key(0), jnp.asarray(0))
    evaluate = eqx.filter_jit(lambda ansatz, samples: interior.evaluate(ansatz, samples, jax.random.key(0), None)[0])

    def run(steps):
        """Training alone; compilation is counted apart by `fit` itself."""
        return fit([dataclasses.replace(stage, steps=steps)], ansatz).seconds["train"]

    return run, lambda: jax.block_until_ready(evaluate(ansatz, batch.samples))


if __name__ == "__main__":
    measure(arguments(__doc__), build)
