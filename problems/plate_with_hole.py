"""A square plate with a circular hole, stretched: one quarter of it."""

import numpy as np

from pdesolve.multiscale import AbstractStructure, Body, MacroAnswer, Support
from pdesolve.multiscale.body import patches
from pdesolve.problem import parameter

__all__ = ["PlateWithHole"]

_HALF = 50.0


class PlateWithHole(AbstractStructure):
    r"""A plate with a hole in plane strain, its material a micro model (`--micro`); a quarter model.

    The quarter [0, 50] x [0, 50] mm of a square plate around a hole centred at the origin. By symmetry u = 0 on
    x = 0 and v = 0 on y = 0. The edge y = 50 moves up by a given distance and is free to move along x; hole and right
    edge are free. The hole is a polygon whose corners are on the circle.
    """

    displacement: float = parameter(0.4, "displacement of the upper edge", unit="mm")
    radius: float = parameter(15.0, "radius of the hole", unit="mm", above=0.0, below=_HALF)
    cells: int = parameter(8, "elements along the radius, and around each half of the hole", at_least=1)

    def body(self, refinement: int = 1) -> Body:
        """Two patches, which meet on the diagonal: from the hole to the right edge, and to the upper one."""
        n = self.cells * refinement
        return Body(
            patches((self._to_the_right, self._upwards), (n, n)),
            (
                Support(lambda x: np.isclose(x[0], 0.0), 0),
                Support(lambda x: np.isclose(x[1], 0.0), 1),
                Support(_top, 1, lambda x: np.full(x.shape[1], self.displacement)),
            ),
        )

    def quantities(self, answer: MacroAnswer) -> dict[str, float]:
        """The force on half the plate's upper edge, the largest stress along y, and how the hole deforms."""
        return {
            "force_n_per_mm": float(answer.reaction(_top)[1]),
            "largest_stress_yy_mpa": float(answer.stresses[:, 1].max()),
            "hole_side_u_mm": float(answer.displacement_at((self.radius, 0.0))[0]),
            "hole_top_v_mm": float(answer.displacement_at((0.0, self.radius))[1]),
        }

    def _to_the_right(self, s: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        angle = np.pi / 4 * t
        r, out = self.radius, _HALF
        return (1 - s) * r * np.cos(angle) + s * out, (1 - s) * r * np.sin(angle) + s * out * np.tan(angle)

    def _upwards(self, s: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # The mirror image, with t turned round to stay anticlockwise.
        y, x = self._to_the_right(s, 1 - t)
        return x, y


def _top(x: np.ndarray) -> np.ndarray:
    return np.isclose(x[1], _HALF)
