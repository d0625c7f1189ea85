"""Families for tests of data sets: in a module of their own, which other processes import."""

import os
import time
from pathlib import Path
from typing import ClassVar

import numpy as np

from pdesolve.config import Recipe
from pdesolve.errors import UnknownNameError
from pdesolve.family import AbstractFamily, FamilyData
from pdesolve.problem import parameter


class Waves(AbstractFamily):
    """Random sines and their cubes; the numbers of a sample depend on its seed and place alone."""

    input_names: ClassVar[tuple[str, ...]] = ("a",)
    field_names: ClassVar[tuple[str, ...]] = ("u", "v")
    coordinates: ClassVar[tuple[str, ...]] = ("x", "t")

    power: float = parameter(3.0, "exponent", above=0.0)
    fault: int = parameter(0, "1: not finite, 2: an error, 3: the process ends", at_least=0)
    pause: float = parameter(0.0, "seconds that a block takes", at_least=0.0)

    def generate(self, num_samples, resolution, seed):
        """A file for each call, in the folder that the environment names, tells which process made what."""
        if folder := os.environ.get("FAMILIES_FOLDER"):
            threads = os.environ.get("OPENBLAS_NUM_THREADS")
            (Path(folder) / str(seed)).write_text(f"{os.getpid()} {threads} {num_samples}")
        time.sleep(self.pause)
        x, t = np.arange(resolution) / resolution, np.linspace(0.0, 1.0, 3)
        phases = np.array([np.random.default_rng([seed, i]).uniform() for i in range(num_samples)])
        a = np.sin(2 * np.pi * (x[:, None] + t + phases[:, None, None]))[:, None]
        if self.fault == 1:
            a[-1, 0, 0, 0] = np.nan
        if self.fault == 2:
            raise UnknownNameError("thing", "x", ["y"])
        if self.fault == 3:
            os._exit(1)
        outputs = np.concatenate([np.abs(a) ** self.power, -a], axis=1)
        return FamilyData(a, outputs, {"x": x, "t": t}, 1e-3 * phases.max(), 1e-6)

    def recipe(self):
        """Never trained."""
        return Recipe(method="operator")


class Fields(AbstractFamily):
    """Random numbers without input."""

    input_names: ClassVar[tuple[str, ...]] = ()
    field_names: ClassVar[tuple[str, ...]] = ("u",)

    def generate(self, num_samples, resolution, seed):
        """White noise."""
        draws = [np.random.default_rng([seed, i]).standard_normal((1, resolution)) for i in range(num_samples)]
        return FamilyData(None, np.array(draws), {"x": np.arange(resolution) / resolution}, 1e-3, 1e-6)

    def recipe(self):
        """Never trained."""
        return Recipe(method="flow_matching")
