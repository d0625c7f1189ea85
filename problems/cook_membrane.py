"""Cook's membrane: a tapered panel, clamped at one end and sheared at the other."""

import numpy as np

from pdesolve.multiscale import AbstractStructure, Body, MacroAnswer, Support, Traction
from pdesolve.multiscale.body import patches
from pdesolve.problem import parameter

__all__ = ["CookMembrane"]


class CookMembrane(AbstractStructure):
    r"""Cook's membrane in plane strain, its material a micro model (`--micro`).

    $$\nabla \cdot \sigma = 0, \quad \sigma = \hat\sigma(\varepsilon(\mathbf u))$$

    on the quadrilateral with corners (0, 0), (48, 44), (48, 60), (0, 44) mm; the left edge is clamped, the right one
    carries a uniform traction along y, the others are free. Strains are infinite at the two clamped corners, so that
    displacements converge with about the first power of the mesh size only, and the largest strain grows with
    refinement.

    References:
        Cook, J. Struct. Div. ASCE 100 (1974) 1851-1863, for the geometry.
    """

    traction: float = parameter(5.0, "shear traction on the right edge", unit="MPa")
    cells: int = parameter(8, "elements along each edge", at_least=1)

    def body(self, refinement: int = 1) -> Body:
        """A mesh of n x n quadrilaterals."""
        n = self.cells * refinement
        return Body(
            patches((lambda s, t: (48 * s, 44 * s + t * (44 - 28 * s)),), (n, n)),
            (Support(_left, 0), Support(_left, 1)),
            (Traction(lambda x: np.isclose(x[0], 48.0), (0.0, self.traction)),),
        )

    def quantities(self, answer: MacroAnswer) -> dict[str, float]:
        """Displacement of the upper right corner, and the reaction of the clamped edge."""
        tip, reaction = answer.displacement_at((48.0, 60.0)), answer.reaction(_left)
        return {
            "tip_u_mm": float(tip[0]),
            "tip_v_mm": float(tip[1]),
            "reaction_x_n_per_mm": float(reaction[0]),
            "reaction_y_n_per_mm": float(reaction[1]),
        }


def _left(x: np.ndarray) -> np.ndarray:
    return np.isclose(x[0], 0.0)
