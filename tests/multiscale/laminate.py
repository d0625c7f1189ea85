"""A small RVE of two layers across y, solved anew for every strain, and its stiffness in closed form."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Laminate:
    """Two layers: the strain xx is the same in both, the stresses yy and xy are continuous; Newton's method."""

    first: Any
    second: Any
    fraction: float = 0.4

    def respond(self, strains):
        answers = [self._one(strain) for strain in strains]
        return tuple(np.array(part) for part in zip(*answers, strict=True))

    def _one(self, strain):
        f, jump = self.fraction, np.zeros(2)
        s1, c1, s2, c2 = self._layers(strain, jump)
        for _ in range(30):
            slope = (1 - f) * c1[1:, 1:] + f * c2[1:, 1:]
            change = -np.linalg.solve(slope, (s1 - s2)[1:])
            jump = jump + change
            s1, c1, s2, c2 = self._layers(strain, jump)
            if np.abs(change).max() < 1e-15:
                break
        follow = np.zeros((3, 3))
        follow[1:] = -np.linalg.solve((1 - f) * c1[1:, 1:] + f * c2[1:, 1:], (c1 - c2)[1:])
        tangent = f * c1 @ (np.eye(3) + (1 - f) * follow) + (1 - f) * c2 @ (np.eye(3) - f * follow)
        return f * s1 + (1 - f) * s2, tangent

    def _layers(self, strain, jump):
        """Stress and tangent of both; the jumps yy and xy of the strain leave its mean as it is."""
        spread = np.array([0.0, *jump])
        s1, c1 = (part[0] for part in self.first.respond((strain + (1 - self.fraction) * spread)[None]))
        s2, c2 = (part[0] for part in self.second.respond((strain - self.fraction * spread)[None]))
        return s1, c1, s2, c2


def laminate_stiffness(c1, c2, f):
    """Backus' averages for two isotropic layers across y."""

    def mean(a, b):
        return f * a + (1 - f) * b

    normal = 1 / mean(1 / c1[1, 1], 1 / c2[1, 1])
    ratio = mean(c1[0, 1] / c1[1, 1], c2[0, 1] / c2[1, 1])
    along = mean(c1[0, 0] - c1[0, 1] ** 2 / c1[1, 1], c2[0, 0] - c2[0, 1] ** 2 / c2[1, 1])
    c = np.zeros((3, 3))
    c[0, 0], c[1, 1], c[2, 2] = along + ratio**2 * normal, normal, 1 / mean(1 / c1[2, 2], 1 / c2[2, 2])
    c[0, 1] = c[1, 0] = ratio * normal
    return c


class Matrix:
    """A given stiffness, as a micro model."""

    def __init__(self, c):
        self.c = c

    def respond(self, strains):
        return strains @ self.c.T, np.broadcast_to(self.c[None], (len(strains), 3, 3))
