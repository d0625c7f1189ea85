"""Methods that learn a unit cell: `equino`, `vpionet` and `dnn`."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from pdesolve.config import NetworkConfig, StageConfig
from pdesolve.errors import PdesolveError
from pdesolve.metrics import relative_l2, trivial_errors
from pdesolve.optim import build_stage_optimiser

from .equino import EquiNO
from .equino_modes import blank_modes, magic_points, pod_modes
from .equino_oracle import equino_solve
from .equino_training import draw_strains, equino_stages, with_modes
from .equino_trend import blank_trend, fit_trend, num_features, toward_zero
from .micro_learning import AbstractMicroLearning, field_results, limited, mean_stresses, seen_stages, sizes
from .stress_network import StressNetwork, stress_objective
from .vpionet import VPIONet, energy_objective

__all__ = ["LearnedStresses", "LearnedUnitCell", "VariationalUnitCell"]


class LearnedUnitCell(AbstractMicroLearning):
    """EquiNO: modes of solved states, a trend and two networks trained so that the material law holds.

    The summary has the errors of stress fields, mean stresses and tangents on the test samples, beside those of the
    optimum of the loss (`optimum_...`), which no training can pass.

    Args:
        rank: Modes of each kind, without those of `linear_modes`.
        scaling: Of the coefficients, `per_mode`, or `scalar` as published.
        loss: `projected`, `published`, `magic` or `variable_projection`.
        collocation: Mean strains at which the law is imposed.
        trend: With `projected`, the odd degree of the trend under the networks (`OddTrend`); 0 for none.
        linear_modes: Whether there are three more modes of each kind, of infinitesimal strains; see `pod_modes`.
    """

    rank: int = eqx.field(static=True, default=16)
    scaling: str = eqx.field(static=True, default="per_mode")
    loss: str = eqx.field(static=True, default="projected")
    collocation: int = eqx.field(static=True, default=500)
    trend: int = eqx.field(static=True, default=7)
    linear_modes: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        if self.trend and self.loss == "projected" and self.collocation < (count := num_features(self.trend)):
            raise PdesolveError(
                f"`trend` of degree {self.trend} has {count} functions and needs as many strains; `collocation` is "
                f"{self.collocation}."
            )

    def own(self):
        """As published, but for the projected loss: small networks, and steps of Levenberg-Marquardt."""
        adam = StageConfig("adam", steps=1000, options={"learning_rate": 1e-3})
        lbfgs = StageConfig("lbfgs", steps=1000)
        if self.loss == "projected":
            steps = 10 if self.trend else 300  # without a trend all is left to learn
            newton = StageConfig("levenberg_marquardt", steps=steps, options={"damping": 1e-6})
            return NetworkConfig(width=12, depth=2, activation="swish"), (newton,)
        network = NetworkConfig(width=64, depth=4, activation="swish")
        return network, (adam, lbfgs, lbfgs) if self.loss == "variable_projection" else (adam, lbfgs)

    def model(self, problem, rve, train, recipe):
        """Return modes with networks of random weights, and a trend of zero if there is to be one."""
        if train is None:
            modes = blank_modes(rve, self.rank + 3 * self.linear_modes, problem.bound)
        else:
            modes = pod_modes(
                rve,
                train.fluctuations,
                train.fields,
                rank=self.rank,
                bound=problem.bound,
                scaling=self.scaling,
                linear=self.linear_modes,
            )
        trend = blank_trend(modes.rank, self.trend) if self.trend and self.loss == "projected" else None
        return EquiNO(modes, **sizes(recipe.network), trend=trend, key=jax.random.key(recipe.seed))

    def stages(self, model, problem, rve, train, recipe):
        """Return the loss at drawn strains, not those of the samples, from where the trend has been fitted."""
        strains = draw_strains(self.collocation, bound=problem.bound, seed=recipe.seed)
        optimum = None
        if model.trend is not None:
            few = draw_strains(-(-self.collocation // 5), bound=problem.bound, seed=recipe.seed + 1)
            more = jnp.concatenate([strains, toward_zero(few)])
            every = equino_solve(model.modes, more)
            model = eqx.tree_at(
                lambda model: model.trend, model, fit_trend(model.modes, more, every, degree=self.trend)
            )
            optimum = jax.tree.map(lambda values: values[: len(strains)], every)
        reduced = with_modes(model, model.modes.at(magic_points(model.modes))) if self.loss == "magic" else model
        optimisers = [build_stage_optimiser(stage) for stage in recipe.stages]
        steps = [0 if stage.steps is None else stage.steps for stage in recipe.stages]
        stages = equino_stages(reduced, strains, loss=self.loss, steps=steps, optimisers=optimisers, optimum=optimum)
        return reduced, [limited(stage, config) for stage, config in zip(stages, recipe.stages, strict=True)]

    def trained(self, trainables, model):
        """Put the modes of all points back."""
        return with_modes(trainables, model.modes)

    def results(self, model, problem, rve, test):
        """Return fields, errors, and the distance of the loss from its optimum."""
        dataset, verdict = field_results(model, problem, rve, test)
        strains = jnp.asarray(test.strains)
        optimum = equino_solve(model.modes, strains)
        least, loss = float(jnp.mean(optimum.loss)), float(model.loss(strains))
        best = 100 * relative_l2(np.asarray(optimum.mean_stress(model.modes)), test.stresses)
        measures = {"test_loss": loss, "optimum_loss": least, "optimum_mean_stress_percent": best}
        return dataset, verdict | {"measures": verdict["measures"] | measures}


class VariationalUnitCell(AbstractMicroLearning):
    """VPIONet: a DeepONet of displacements, trained to make the energy of the unit cell least.

    Args:
        rank: Products of branch and trunk.
        energy: `published`, half of stress times strain, or `true`, which needs `--out-of-plane 1`.
        collocation: Mean strains whose energies are summed.
        one_strain: Whether to train for the problem's own strain alone: a physics-informed network.
    """

    rank: int = eqx.field(static=True, default=16)
    energy: str = eqx.field(static=True, default="published")
    collocation: int = eqx.field(static=True, default=100)
    one_strain: bool = eqx.field(static=True, default=False)

    def own(self):
        """As published, with fewer steps."""
        adam = StageConfig("adam", steps=1000, options={"learning_rate": 1e-3})
        return NetworkConfig(width=64, depth=4, activation="swish"), (adam, StageConfig("lbfgs", steps=1000))

    def model(self, problem, rve, train, recipe):
        """Return networks of random weights; no samples are needed."""
        return VPIONet(
            rve,
            rank=self.rank,
            bound=problem.bound,
            **sizes(recipe.network),
            key=jax.random.key(recipe.seed),
        )

    def stages(self, model, problem, rve, train, recipe):
        """Return the energy at drawn strains, or at the problem's own."""
        strains = draw_strains(self.collocation, bound=problem.bound, seed=recipe.seed)
        if self.one_strain:
            strains = jnp.asarray(problem.strain())[None]
        few = min(recipe.data.batch, len(strains))
        objectives = [energy_objective(rve, strains, energy=self.energy, batch=batch) for batch in (few, None)]
        return model, seen_stages(objectives, recipe)

    def results(self, model, problem, rve, test):
        """Return fields and errors."""
        return field_results(model, problem, rve, test)


class LearnedStresses(AbstractMicroLearning):
    """DNN-FE2: a plain network from mean strains to mean stresses, trained on samples and their tangents.

    Args:
        tangent_weight: Weight of the tangents' errors.
    """

    tangent_weight: float = 1.0

    def own(self):
        """As published, but for batches of ten and a learning rate that falls smoothly by as much."""
        options = {"learning_rate": 1e-3, "schedule": "exponential", "final": 1e-3}
        return NetworkConfig(width=128, depth=8, activation="swish"), (
            StageConfig("adam", steps=20000, options=options),
        )

    def model(self, problem, rve, train, recipe):
        """Return a network of random weights."""
        stresses = np.zeros((1, 3)) if train is None else train.stresses
        return StressNetwork(stresses, bound=problem.bound, **sizes(recipe.network), key=jax.random.key(recipe.seed))

    def stages(self, model, problem, rve, train, recipe):
        """Return the errors of the training samples."""
        given = [jnp.asarray(values) for values in (train.strains, train.stresses, train.tangents)]
        few = min(recipe.data.batch, len(train.strains))
        objectives = [
            stress_objective(*given, tangent_weight=self.tangent_weight, batch=batch) for batch in (few, None)
        ]
        return model, seen_stages(objectives, recipe)

    def results(self, model, problem, rve, test):
        """Return mean stresses of the test samples and their errors."""
        stresses = np.asarray(mean_stresses(model, jnp.asarray(test.strains)))
        dims, units = ("sample", "entry"), {"units": "MPa"}
        fields = {"mean_stress": (dims, stresses, units), "mean_stress_reference": (dims, test.stresses, units)}
        verdict = {
            "relative_l2": relative_l2(stresses, test.stresses),
            "max_error": float(np.abs(stresses - test.stresses).max()),
            "trivial_error": trivial_errors({"stress": test.stresses}),
            "measures": {},
        }
        return xr.Dataset(fields, coords={"entry": np.arange(3.0)}), verdict
