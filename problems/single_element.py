"""One element under a prescribed strain: what a micro model answers, seen from the macroscopic scale."""

import numpy as np

from pdesolve.multiscale import AbstractStructure, Body, MacroAnswer, Support
from pdesolve.multiscale.body import patches
from pdesolve.problem import parameter

__all__ = ["SingleElement"]


class SingleElement(AbstractStructure):
    r"""A unit square strained uniformly along a straight path, its material a micro model (`--micro`).

    The displacement $u = \lambda (\varepsilon_{xx} x + \frac12 \gamma y)$, $v = \lambda (\varepsilon_{yy} y +
    \frac12 \gamma x)$ is prescribed on the boundary of the square, sides 1 mm, while the load factor $\lambda$ grows
    to 1. Inside it is the same: the stress is the micro model's own, exactly.
    """

    strain_xx: float = parameter(0.012, "strain along x at the end of the path")
    strain_yy: float = parameter(-0.007, "strain along y")
    strain_xy: float = parameter(0.015, "engineering shear strain")
    cells: int = parameter(1, "elements along each edge", at_least=1)

    def body(self, refinement: int = 1) -> Body:
        """The square, held on all of its boundary."""
        n = self.cells * refinement
        xx, yy, xy = self.strain_xx, self.strain_yy, self.strain_xy
        return Body(
            patches((lambda s, t: (s, t),), (n, n)),
            (
                Support(_boundary, 0, lambda x: xx * x[0] + xy / 2 * x[1]),
                Support(_boundary, 1, lambda x: yy * x[1] + xy / 2 * x[0]),
            ),
        )

    def quantities(self, answer: MacroAnswer) -> dict[str, float]:
        """Mean stresses."""
        weights = answer.discretisation.basis.dx.ravel()
        mean = weights @ answer.stresses / weights.sum()
        return {
            f"stress_{component}_mpa": float(value) for component, value in zip(("xx", "yy", "xy"), mean, strict=True)
        }


def _boundary(x: np.ndarray) -> np.ndarray:
    return np.any(np.isclose(x, 0.0) | np.isclose(x, 1.0), axis=0)
