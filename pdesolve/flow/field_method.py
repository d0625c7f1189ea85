"""What all methods share that learn fields with an equation: data, training, generation, comparison."""

import abc
import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..config import Recipe
from ..errors import PdesolveError, UnknownNameError
from ..fit import fit
from ..method import AbstractMethod, Outcome, identity, refuse_points, refuse_pointwise_settings, resolved
from ..objective import Objective, PointwiseBlock
from .field_generator import FieldGenerator, generate_fields
from .method import build_velocity, family_data, fields_dataset, flow_stage, why_failed
from .physics import AbstractPhysicalFamily, Equations
from .physics_measures import law_errors, physics_errors
from .sampling import Integral
from .samplings import AbstractSampling

__all__ = ["HEADLINE", "AbstractFieldMethod"]

HEADLINE = ("residual", "residual_of_data", "wasserstein", "jensen_shannon", "function_evaluations")
"""What tells a result in short: how far from the equation, how far from the law, and at what cost."""


class AbstractFieldMethod(AbstractMethod):
    """A generative model of the fields of a family, judged by their law and by their equation.

    In `verdict["measures"]` stand the residual beside that of the data, and the distance of the laws beside
    `NAME_floor`, its value between two sets of data, and `NAME_noise`, its value for white noise; `HEADLINE` of them
    stand in the verdict itself too.
    """

    combine: eqx.AbstractClassVar[str | None]
    """Rule for the gradients of the terms where the recipe names none; None for their sum."""

    @abc.abstractmethod
    def block(
        self, fields: Float[Array, "sample channel *grid"], equations: Equations, recipe: Recipe
    ) -> PointwiseBlock:
        """Return what is trained on normalised fields."""

    @abc.abstractmethod
    def sampling(self) -> AbstractSampling:
        """Return how fields are drawn from the trained network."""

    def run(self, problem, recipe, monitor):
        """Draw the data, train, generate, and compare."""
        refuse_pointwise_settings(recipe)
        refuse_points(recipe)
        if recipe.weights:
            raise UnknownNameError("loss term in `weights`", next(iter(recipe.weights)), [])
        skeleton = self.skeleton(problem, recipe)
        train, held_out, further = family_data(problem, recipe)
        model = _normalised_to(skeleton, train.outputs)
        fields = jax.vmap(model.equations.normalise)(jnp.asarray(train.outputs, dtype=model.equations.mean.dtype))
        objective = Objective((self.block(fields, model.equations, recipe),))
        stages = [flow_stage(self._combined(config), objective) for config in recipe.stages]
        result = fit(
            stages,
            model.network,
            seed=recipe.seed,
            callbacks=monitor.callbacks,
            checkpoint=monitor.checkpoint,
            resume=monitor.resume,
            identity=identity(problem, recipe),
            mesh=monitor.mesh,
        )
        model = eqx.tree_at(lambda m: m.network, model, result.trainables)
        key = jax.random.fold_in(jax.random.key(recipe.seed), 1)
        generated, evaluations = self.sample(model, key, recipe.data.test, train.outputs.shape[1:])
        generated = np.asarray(generated)
        measures = _measures(model.equations, generated, held_out.outputs, further.outputs, recipe.seed)
        measures["function_evaluations"] = float(np.mean(evaluations))
        return Outcome(
            dataset=fields_dataset(problem.field_names, generated, held_out),
            verdict={
                "relative_l2": None,  # fields drawn at random have no partner to be compared with
                "reference_error": held_out.error_bound,
                **{name: measures[name] for name in HEADLINE},
                "measures": measures,
                **why_failed(generated, measures),
            },
            recipe=resolved(recipe, result.steps),
            verified=True,
            fit=result,
            model=model,
        )

    def sample(self, model: FieldGenerator, key: PRNGKeyArray, num_samples: int, shape: tuple[int, ...]) -> Integral:
        """Return fields of a trained model and the evaluations of each; `shape` is that of one field."""
        return generate_fields(model, key, num_samples, shape)

    def skeleton(self, problem, recipe):
        """Return an untrained generator which leaves fields as they are scaled."""
        if not isinstance(problem, AbstractPhysicalFamily):
            raise PdesolveError(
                f"method {recipe.method!r} needs a family of fields with an equation; {type(problem).__name__} is "
                "none. A family of fields without one can be learned by method 'flow_matching'."
            )
        channels = len(problem.field_names)
        dtype = jax.dtypes.canonicalize_dtype(recipe.precision)
        equations = Equations(problem, jnp.zeros(channels, dtype), jnp.ones(channels, dtype))
        return FieldGenerator(build_velocity(recipe, channels, len(problem.coordinates)), equations, self.sampling())

    def evaluator(self, problem, recipe, model):
        """None: a sample is no function of points. `model(noise, key=key)` generates a field."""
        return None

    def _combined(self, config):
        return dataclasses.replace(config, combine=config.combine or self.combine)


def _normalised_to(model: FieldGenerator, fields: Float[np.ndarray, "sample channel *grid"]) -> FieldGenerator:
    """Return the generator with mean and standard deviation of the data, by channel."""
    axes, like = (0, *range(2, fields.ndim)), model.equations.mean.dtype
    mean, scale = fields.mean(axes), fields.std(axes)
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise PdesolveError(f"the data of a channel are constant or not finite: standard deviations {scale}.")
    moments = jnp.asarray(mean, dtype=like), jnp.asarray(scale, dtype=like)
    return eqx.tree_at(lambda m: (m.equations.mean, m.equations.scale), model, moments)


def _measures(
    equations: Equations, generated: np.ndarray, held_out: np.ndarray, further: np.ndarray, seed: int
) -> dict[str, float]:
    """Return the measures of equation and law, those of the law with their floor and their value for noise."""
    noise = np.random.default_rng(seed).standard_normal(held_out.shape)
    noise = np.asarray(jax.vmap(equations.denormalise)(jnp.asarray(noise, dtype=equations.mean.dtype)))
    columns = {"": generated, "_floor": further, "_noise": noise}
    rows = {suffix: law_errors(fields, held_out) for suffix, fields in columns.items()}
    laws = {name + suffix: rows[suffix][name] for name in rows[""] for suffix in columns}
    return physics_errors(equations.family, generated, held_out) | laws
