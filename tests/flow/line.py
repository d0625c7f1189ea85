"""A family of two numbers on a grid of points: the second is the square of the first."""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from pdesolve.config import DataConfig, NetworkConfig, Recipe, StageConfig
from pdesolve.family import FamilyData
from pdesolve.flow.physics import AbstractPhysicalFamily, Equations


class Parabola(AbstractPhysicalFamily):
    """u = 2 + 0.5 g, g normal, and w = u^2, at each of n points."""

    input_names: ClassVar[tuple[str, ...]] = ()
    field_names: ClassVar[tuple[str, ...]] = ("u", "w")
    dependent_names: ClassVar[tuple[str, ...]] = ("w",)

    def residual(self, field):
        return (field[1] - field[0] ** 2)[None]

    def constraint(self, field):
        return self.residual(field)[0]

    def corrected(self, field):
        return field.at[0, 0].set(2.0)

    def resolved(self, fields):
        return np.stack([fields[:, 0], fields[:, 0] ** 2], axis=1)

    def generate(self, num_samples, resolution, seed):
        u = 2.0 + 0.5 * np.random.default_rng(seed).standard_normal((num_samples, resolution))
        return FamilyData(None, np.stack([u, u**2], axis=1), {"x": np.arange(resolution) / resolution}, 1e-15, 1e-6)

    def recipe(self):
        return Recipe(
            method="fm",
            network=NetworkConfig("mlp_velocity", width=8, depth=1, activation="gelu"),
            data=DataConfig(train=64, test=32, resolution=4, batch=16),
            stages=(StageConfig("adam", steps=4, options={"learning_rate": 1e-3}),),
        )


def equations(mean=(2.0, 4.0), scale=(0.5, 2.0)):
    return Equations(Parabola(), jnp.asarray(mean), jnp.asarray(scale))
