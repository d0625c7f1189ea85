"""Flow matching as a method: from a family of fields to a generative model compared with held-out data."""

import inspect
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, PRNGKeyArray

from .. import registry
from ..config import Recipe, StageConfig
from ..errors import PdesolveError, UnknownNameError
from ..family import AbstractFamily, FamilyData
from ..fit import Stage, fit
from ..method import AbstractMethod, Outcome, identity, refuse_points, refuse_pointwise_settings, resolved
from ..objective import Objective
from ..optim import build_stage_optimiser
from .dit import DiT
from .flow_map import FlowMap, generate
from .mlp_velocity import MLPVelocity
from .objective import VelocityField, flow_matching_block
from .operator_velocity import operator_velocity
from .paths import LinearPath
from .sampling import Integral, check_sampling
from .statistics import distribution_errors
from .velocity import SpectralVelocity

__all__ = [
    "NETWORKS",
    "FlowMatchingMethod",
    "build_velocity",
    "family_data",
    "fields_dataset",
    "flow_stage",
    "why_failed",
]

NETWORKS = {"dit": DiT, "mlp_velocity": MLPVelocity, "spectral_velocity": SpectralVelocity}
"""Velocity fields by the recipe's `network.name`, beside operators. Coordinate networks map points: not here."""
STORED = 32
"""Generated fields, and as many of the data, which are stored."""
CHUNK = 100
"""Steps of one dispatch."""


class FlowMatchingMethod(AbstractMethod):
    r"""Flow matching: learn the velocity that carries white noise to the fields of a family (Lipman et al. 2023).

    The generated fields are compared with held-out data, as many as `recipe.data.test`, by the measures of
    `pdesolve.flow.statistics`. In `verdict["measures"]` each stands beside `NAME_floor`, its value between the
    held-out data and further independent data of the same number, and `NAME_noise`, its value for white noise of the
    data's mean and standard deviation, with which the flow begins.
    """

    sigma_min: float = eqx.field(static=True, default=0.0)
    """Share of the noise left at the end of the path."""
    solver: str = eqx.field(static=True, default="heun")
    """`euler`, `heun`, `adams_bashforth` or `dopri5`."""
    num_steps: int = eqx.field(static=True, default=25)
    """Steps from noise to data."""

    def __check_init__(self):
        check_sampling(self.solver, self.num_steps)
        LinearPath(self.sigma_min)

    def run(self, problem, recipe, monitor):
        """Draw the data, train, generate, and compare."""
        refuse_pointwise_settings(recipe)
        refuse_points(recipe)
        if recipe.weights:
            raise UnknownNameError("loss term in `weights`", next(iter(recipe.weights)), [])
        skeleton = self.skeleton(problem, recipe)
        train, held_out, further = family_data(problem, recipe)
        model = _normalised_to(skeleton, train.outputs)
        fields = jax.vmap(model.normalise)(jnp.asarray(train.outputs, dtype=model.mean.dtype))
        result = fit(
            self._stages(recipe, fields),
            model.velocity,
            seed=recipe.seed,
            callbacks=monitor.callbacks,
            checkpoint=monitor.checkpoint,
            resume=monitor.resume,
            identity=identity(problem, recipe),
            mesh=monitor.mesh,
        )
        model = eqx.tree_at(lambda m: m.velocity, model, result.trainables)
        key, shape = jax.random.fold_in(jax.random.key(recipe.seed), 1), train.outputs.shape[1:]
        generated, evaluations = self.sample(model, key, recipe.data.test, shape)
        generated = np.asarray(generated)
        measures = _measures(model, generated, held_out.outputs, further.outputs, recipe.seed)
        return Outcome(
            dataset=fields_dataset(problem.field_names, generated, held_out),
            verdict={
                "relative_l2": None,  # fields drawn at random have no partner to be compared with
                "reference_error": held_out.error_bound,
                "measures": measures | {"function_evaluations": float(np.mean(evaluations))},
                **why_failed(generated, measures),
            },
            recipe=resolved(recipe, result.steps),
            verified=True,
            fit=result,
            model=model,
        )

    def sample(self, model: FlowMap, key: PRNGKeyArray, num_samples: int, shape: tuple[int, ...]) -> Integral:
        """Return fields of a trained model and the evaluations of each; `shape` is that of one field."""
        return generate(model, key, num_samples, shape, solver=self.solver, num_steps=self.num_steps)

    def skeleton(self, problem, recipe):
        """Return an untrained flow map which leaves fields as they are scaled."""
        if not isinstance(problem, AbstractFamily) or problem.input_names:
            raise PdesolveError(
                f"flow matching needs a family of fields without inputs; {type(problem).__name__} is none. "
                "For a single problem use method 'pinn'."
            )
        channels = len(problem.field_names)
        velocity = build_velocity(recipe, channels, len(problem.coordinates))
        dtype = jax.dtypes.canonicalize_dtype(recipe.precision)
        return FlowMap(velocity, jnp.zeros(channels, dtype), jnp.ones(channels, dtype))

    def evaluator(self, problem, recipe, model):
        """None: a sample is no function of points. `jax.vmap(model)(noise)` generates fields."""
        return None

    def _stages(self, recipe: Recipe, fields: Float[Array, "sample channel *grid"]) -> list[Stage]:
        block = flow_matching_block(fields, recipe.data.batch, LinearPath(self.sigma_min))
        return [flow_stage(config, Objective((block,))) for config in recipe.stages]


def flow_stage(config: StageConfig, objective: Objective) -> Stage:
    """Return a stage of training as the recipe describes it; a `PdesolveError` if it has a target error."""
    if config.target is not None:
        raise PdesolveError(
            f"a flow has no relative L2 error that could fall to `target` ({config.target:g}); "
            "give `steps` or `seconds` instead."
        )
    return Stage(
        objective,
        build_stage_optimiser(config),
        steps=config.steps,
        seconds=config.seconds,
        chunk=CHUNK,
        name=config.optimiser,
    )


def build_velocity(recipe: Recipe, channels: int, num_dims: int = 1) -> VelocityField:
    """Return the velocity field which the recipe names: one of `NETWORKS`, or an operator that is told the time.

    Raises:
        UnknownNameError: If there is none of that name, or it has no such option.
    """
    network, operators = recipe.network, registry.names("operators")
    if network.name not in (*NETWORKS, *operators):
        raise UnknownNameError("velocity field", network.name, [*NETWORKS, *operators])
    if network.name not in NETWORKS:
        return operator_velocity(network, channels, num_dims, key=jax.random.key(recipe.seed), dtype=recipe.precision)
    constructor = NETWORKS[network.name]
    options: dict[str, Any] = dict(network.options)
    sizes = {"width": network.width, "depth": network.depth, "activation": network.activation}
    parameters = inspect.signature(constructor).parameters
    grid = {"points": recipe.data.resolution**num_dims, "num_dims": num_dims}
    grid = {name: size for name, size in grid.items() if name in parameters}  # of a network bound to its grid
    accepted = {*parameters} - {"channels", "points", "num_dims", "key", "dtype", *sizes}
    for option in options:
        if option not in accepted:
            raise UnknownNameError(f"option of velocity field {network.name!r}", option, accepted)
    key = jax.random.key(recipe.seed)
    return constructor(channels, key=key, dtype=recipe.precision, **(grid | sizes | options))


def family_data(family: AbstractFamily, recipe: Recipe) -> tuple[FamilyData, FamilyData, FamilyData]:
    """Return training data, held-out data and further data of the same number, all independent."""
    data = recipe.data
    seeds = map(int, np.random.SeedSequence(recipe.seed).generate_state(3))
    train, held_out, further = (
        family.generate(n, data.resolution, seed)
        for n, seed in zip((data.train, data.test, data.test), seeds, strict=True)
    )
    return train, held_out, further


def _normalised_to(model: FlowMap, fields: Float[np.ndarray, "sample channel *grid"]) -> FlowMap:
    """Return the flow map with mean and standard deviation of the data, by channel."""
    axes = (0, *range(2, fields.ndim))
    mean, scale = fields.mean(axes), fields.std(axes)
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise PdesolveError(f"the data of a channel are constant or not finite: standard deviations {scale}.")
    like = model.mean.dtype
    return eqx.tree_at(
        lambda m: (m.mean, m.scale), model, (jnp.asarray(mean, dtype=like), jnp.asarray(scale, dtype=like))
    )


def _measures(
    model: FlowMap, generated: np.ndarray, held_out: np.ndarray, further: np.ndarray, seed: int
) -> dict[str, float]:
    """Return every measure with its floor and its value for noise."""
    noise = np.random.default_rng(seed).standard_normal(held_out.shape)
    noise = np.asarray(jax.vmap(model.denormalise)(jnp.asarray(noise, dtype=model.mean.dtype)))
    columns = {"": generated, "_floor": further, "_noise": noise}
    rows = {suffix: distribution_errors(fields, held_out) for suffix, fields in columns.items()}
    return {name + suffix: rows[suffix][name] for name in rows[""] for suffix in columns}


def why_failed(generated: np.ndarray, measures: dict[str, float]) -> dict[str, str]:
    """Return the reason why the result must not count as solved, if there is one."""
    if not np.isfinite(generated).all():
        return {"failed": "generated fields are not finite; train longer or with a lower learning rate"}
    for name in ("covariance_error", "wasserstein"):
        error, noise = measures[name], measures[f"{name}_noise"]
        if error >= noise:
            words = name.replace("_", " ")
            return {"failed": f"the {words}, {error:.1e}, is no better than that of white noise; train longer"}
    if measures["mean_error"] >= 1.0:  # noise has the data's mean, so that it cannot serve as a measure here
        return {"failed": "the mean of the generated fields is off by more than their deviation; train longer"}
    return {}


def fields_dataset(names: tuple[str, ...], generated: np.ndarray, held_out: FamilyData) -> xr.Dataset:
    """Return generated fields by name, and as many of the data as `NAME_data`."""
    rename = {"t": "time"}
    coordinates = {rename.get(name, name): values for name, values in held_out.coordinates.items()}
    dims, columns = ("sample", *coordinates), {"": generated, "_data": held_out.outputs}
    roles = {"": "solution", "_data": "input"}
    return xr.Dataset(
        {
            name + suffix: (
                dims,
                np.asarray(fields[:STORED, channel], generated.dtype),
                {"units": "1", "role": roles[suffix]},
            )
            for channel, name in enumerate(names)
            for suffix, fields in columns.items()
        },
        coords=coordinates,
    )
