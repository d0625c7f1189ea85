"""An L-profile: hung from its upper end, its free leg pressed down."""

import numpy as np

from pdesolve.multiscale import AbstractStructure, Body, MacroAnswer, Support
from pdesolve.multiscale.body import patches
from pdesolve.problem import parameter

__all__ = ["LProfile"]

_WIDTH = 50.0


class LProfile(AbstractStructure):
    r"""An L-profile in plane strain, its material a micro model (`--micro`).

    The square [0, 100] x [0, 100] mm without its upper right quarter. The upper end of the vertical leg, y = 100, is
    clamped; the end of the horizontal one, x = 100, moves down by a given distance and is free to move along x. The
    other edges are free. Strains are infinite at the corner (50, 50).
    """

    displacement: float = parameter(3.0, "downward displacement of the right end", unit="mm")
    cells: int = parameter(4, "elements along 50 mm", at_least=1)

    def body(self, refinement: int = 1) -> Body:
        """Three square patches."""
        n, w = self.cells * refinement, _WIDTH
        corners = ((0.0, 0.0), (w, 0.0), (0.0, w))
        maps = tuple(lambda s, t, x=x, y=y: (x + w * s, y + w * t) for x, y in corners)
        return Body(
            patches(maps, (n, n)),
            (
                Support(_top, 0),
                Support(_top, 1),
                Support(_right, 1, lambda x: np.full(x.shape[1], -self.displacement)),
            ),
        )

    def quantities(self, answer: MacroAnswer) -> dict[str, float]:
        """The force that presses the end down, and the displacement of the re-entrant corner."""
        corner = answer.displacement_at((_WIDTH, _WIDTH))
        return {
            "force_n_per_mm": -float(answer.reaction(_right)[1]),
            "corner_u_mm": float(corner[0]),
            "corner_v_mm": float(corner[1]),
        }


def _top(x: np.ndarray) -> np.ndarray:
    return np.isclose(x[1], 2 * _WIDTH)


def _right(x: np.ndarray) -> np.ndarray:
    return np.isclose(x[0], 2 * _WIDTH)
