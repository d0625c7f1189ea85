"""Families that are solved exactly, and files of their samples."""

from typing import ClassVar

import h5py
import jax.numpy as jnp
import numpy as np

from pdesolve.config import DataConfig, NetworkConfig, Recipe, StageConfig
from pdesolve.data import fourier_values, periodic_gaussian_field
from pdesolve.family import AbstractFamily, FamilyData

DECAY = 0.02


def modes(num_samples, seed):
    return periodic_gaussian_field(lambda k: 1 / (1 + k**2), num_samples=num_samples, num_modes=4, seed=seed)


def heat(num_samples, frames, resolution, seed):
    """Heat equation on a circle: `(sample, time, x)`, each mode times exp(-DECAY (2 pi k)^2) from frame to frame."""
    c = modes(num_samples, seed)
    factor = np.exp(-DECAY * (2 * np.pi * np.arange(5)) ** 2)
    return np.stack([fourier_values(c * factor**frame, resolution) for frame in range(frames)], axis=1)


class Integral(AbstractFamily):
    """-u'' = a on a circle: linear, and its residual is known on any grid."""

    input_names: ClassVar[tuple[str, ...]] = ("a",)
    field_names: ClassVar[tuple[str, ...]] = ("u",)
    residual_forms: ClassVar[tuple[str, ...]] = ("spectral",)
    residual_names: ClassVar[tuple[str, ...]] = ("equation", "mean")

    def generate(self, num_samples, resolution, seed):
        """Divide by the squares of the wave numbers."""
        c = modes(num_samples, seed)
        c[:, 0] = 0.0
        k = 2 * np.pi * np.arange(5.0)
        u = np.where(k == 0, 0.0, c / np.where(k == 0, 1.0, k**2))
        return FamilyData(
            inputs=fourier_values(c, resolution)[:, None],
            outputs=fourier_values(u, resolution)[:, None],
            coordinates={"x": np.arange(resolution) / resolution},
            error_bound=1e-14,
            seconds=1e-6,
        )

    def residuals(self, given, answer, coordinates, form):
        """By the discrete Fourier transform."""
        n = answer.shape[-1]
        k = 2 * jnp.pi * jnp.fft.rfftfreq(n, 1 / n)
        second = jnp.fft.irfft(-(k**2) * jnp.fft.rfft(answer[0]), n)
        return {"equation": -second - given[0], "mean": jnp.mean(answer, keepdims=True)[0, 0]}

    def recipe(self):
        """Seconds on a laptop."""
        return Recipe(
            method="operator",
            network=NetworkConfig("fno", 8, 2, "gelu", {"modes": 5, "positions": False, "lifting": 8, "projection": 8}),
            data=DataConfig(train=20, test=6, resolution=16, batch=10),
            stages=(StageConfig("adam", steps=20, options={"learning_rate": 1e-2}),),
        )


def heat_file(path, samples=24, frames=7, resolution=16, seed=0):
    """Trajectories of the heat equation in PDEBench's layout."""
    tensor = heat(samples, frames, resolution, seed)
    with h5py.File(path, "w") as file:
        file["tensor"] = tensor
        file["x-coordinate"] = np.arange(resolution) / resolution
        file["t-coordinate"] = 0.1 * np.arange(frames + 1)
    return path


def integral_file(path, samples=40, resolution=16, seed=0):
    """Pairs `a`, `u` of the linear family."""
    data = Integral().generate(samples, resolution, seed)
    np.savez(path, a=data.inputs[:, 0], u=data.outputs[:, 0])
    return path
