"""What a macroscopic solve asks of a material at a point: stresses and tangents for many strains at once."""

from typing import Protocol, runtime_checkable

import equinox as eqx
import numpy as np
from jaxtyping import Float

from ..errors import PdesolveError

__all__ = ["LinearElastic", "MicroModel", "SaturatingElastic"]

Strains = Float[np.ndarray, "n 3"]
Stresses = Float[np.ndarray, "n 3"]
Tangents = Float[np.ndarray, "n 3 3"]


@runtime_checkable
class MicroModel(Protocol):
    """The interface between the scales: anything with this method, a material, an RVE or a network, will do.

    A model trained on strains inside a box says so by an attribute `box`, shape `(3, 2)`, lowest and highest value of
    each component; the macroscopic solver warns outside it. A model with fields of its own may offer
    `fields(strain) -> xarray.Dataset` in the layout of `pdesolve.io.write_points_dataset`.
    """

    def respond(self, strains: Strains) -> tuple[Stresses, Tangents]:
        """Return homogenised stresses and consistent tangents of all strains.

        Args:
            strains: Components xx, yy and xy, the last one the *engineering* shear strain, shape `(n, 3)`.

        Returns:
            Stresses xx, yy, xy in MPa, shape `(n, 3)`, and their derivatives with respect to the strains,
            `(n, 3, 3)`, stress component first.
        """
        ...


class LinearElastic(eqx.Module):
    r"""A homogeneous isotropic material in plane strain: $\sigma = K \, \mathrm{tr} \varepsilon \, I + 2 G \, e$.

    $e = \varepsilon - \frac13 \mathrm{tr} \varepsilon \, I$ is the deviator. Moduli are in MPa.
    """

    bulk: float = 4.78e3
    shear: float = 25e3 / 60

    def __check_init__(self):
        for name in ("bulk", "shear"):
            if not getattr(self, name) > 0:
                raise PdesolveError(f"`{name}` must be positive, got {getattr(self, name)}.")

    def stiffness(self) -> Float[np.ndarray, "3 3"]:
        """Return the matrix from strains to stresses."""
        along, across = self.bulk + 4 * self.shear / 3, self.bulk - 2 * self.shear / 3
        return np.array([[along, across, 0.0], [across, along, 0.0], [0.0, 0.0, self.shear]])

    def respond(self, strains: Strains) -> tuple[Stresses, Tangents]:
        """Multiply by one matrix."""
        c = self.stiffness()
        return strains @ c.T, np.broadcast_to(c[None], (len(strains), 3, 3)).copy()


class SaturatingElastic(eqx.Module):
    r"""A homogeneous material whose deviatoric stress saturates, in plane strain.

    $$\sigma = K \, \mathrm{tr} \varepsilon \, I + \frac{\alpha_1}{\alpha_2 + \|e\|} e, \quad
    e = \varepsilon - \tfrac13 \mathrm{tr} \varepsilon \, I.$$

    With `out_of_plane` the norm has the deviator's third diagonal entry, $-\frac13 \mathrm{tr} \varepsilon$, in it.
    There is a stored energy then, and the tangent is symmetric. Without, which is how the law was released with
    EquiNO, it is not. Moduli are in MPa.

    References:
        Eivazi, Tröger, Wittek, Hartmann and Rausch, EquiNO, J. Comput. Phys. 554 (2026) 114745, and the program
        published with it, for the law and its numbers.
    """

    bulk: float = 4.78e3
    strength: float = 50.0
    strain: float = 0.06
    out_of_plane: bool = True

    def __check_init__(self):
        for name in ("bulk", "strength", "strain"):
            if not getattr(self, name) > 0:
                raise PdesolveError(f"`{name}` must be positive, got {getattr(self, name)}.")

    def respond(self, strains: Strains) -> tuple[Stresses, Tangents]:
        """Evaluate the law and its derivative, both in closed form."""
        trace = strains[:, 0] + strains[:, 1]
        volumetric = np.array([1.0, 1.0, 0.0])
        # From (xx, yy, engineering xy) to the deviator (xx, yy, tensor xy).
        deviatoric = np.array([[2.0, -1.0, 0.0], [-1.0, 2.0, 0.0], [0.0, 0.0, 1.5]]) / 3
        e = strains @ deviatoric.T
        square = e[:, 0] ** 2 + e[:, 1] ** 2 + 2 * e[:, 2] ** 2 + self.out_of_plane * trace**2 / 9
        norm = np.sqrt(square)
        secant = self.strength / (self.strain + norm)
        stresses = self.bulk * trace[:, None] * volumetric + secant[:, None] * e
        # Half the derivative of the squared norm with respect to the strains.
        slope = (e * np.array([1.0, 1.0, 2.0])) @ deviatoric + self.out_of_plane * trace[:, None] * volumetric / 9
        # At zero strain the last term vanishes, being quadratic over linear.
        decline = secant**2 / self.strength / np.where(norm > 0, norm, 1.0)
        tangents = (
            self.bulk * np.outer(volumetric, volumetric)[None]
            + secant[:, None, None] * deviatoric[None]
            - decline[:, None, None] * e[:, :, None] * slope[:, None, :]
        )
        return stresses, tangents
