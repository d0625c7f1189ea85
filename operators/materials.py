r"""The materials of a unit cell at its points, differentiable by JAX: stresses, and the energy where there is one."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pdesolve.errors import PdesolveError
from pdesolve.multiscale import RVE, LinearElastic, SaturatingElastic
from pdesolve.nets import Fixed

__all__ = ["Materials", "deviator_squares", "energies", "has_energy", "materials_of", "stresses"]

Materials = Fixed
"""Bulk modulus, strength, strain, whether it saturates, whether its norm has the third entry; `(point, 5)`."""


def materials_of(rve: RVE) -> Materials:
    """Return the numbers of the materials at the Gauss points.

    Raises:
        PdesolveError: If a material is neither `SaturatingElastic` nor `LinearElastic`.
    """
    table = np.array([_constants(material) for material in rve.materials])
    return Fixed(jnp.asarray(table[rve.inside.astype(int)]))


def stresses(materials: Materials, strains: Float[Array, "point 3"]) -> Float[Array, "point 3"]:
    """Return the stresses, with a finite derivative at zero strain too; shear strains are engineering ones."""
    bulk, strength, strain, saturates, _ = materials.value.T
    trace, e, norm = _parts(materials, strains)
    secant, pressure = strength / (strain + saturates * norm), bulk * trace
    return jnp.stack([pressure + secant * e[0], pressure + secant * e[1], secant * e[2]], axis=-1)


def energies(materials: Materials, strains: Float[Array, "point 3"]) -> Float[Array, " point"]:
    r"""Return the stored energy per volume, whose derivative is the stress.

    $\frac12 K \, \mathrm{tr}^2 + \alpha_1 [n - \alpha_2 \ln(1 + n / \alpha_2)]$ of a saturating material, n the norm of
    the deviator with its third entry; $\frac12 K \, \mathrm{tr}^2 + G n^2$ of a linear one.
    """
    bulk, strength, strain, saturates, _ = materials.value.T
    trace, _, norm = _parts(materials, strains)
    saturating = strength * (norm - strain * jnp.log1p(norm / strain))
    return 0.5 * bulk * trace**2 + jnp.where(saturates > 0, saturating, 0.5 * strength / strain * norm**2)


def deviator_squares(materials: Materials, strains: Float[Array, "point 3"]) -> Float[Array, " point"]:
    """Return the squares of the deviators' norms, as the laws take them."""
    return _parts(materials, strains)[2] ** 2


def has_energy(rve: RVE) -> bool:
    """Say whether every material has a stored energy."""
    return all(getattr(material, "out_of_plane", True) for material in rve.materials)


def _parts(
    materials: Materials, strains: Float[Array, "point 3"]
) -> tuple[Float[Array, " point"], Float[Array, "3 point"], Float[Array, " point"]]:
    """Return the trace, the deviator (xx, yy, tensor xy) and its norm."""
    trace = strains[:, 0] + strains[:, 1]
    e = jnp.stack([strains[:, 0] - trace / 3, strains[:, 1] - trace / 3, strains[:, 2] / 2])
    square = e[0] ** 2 + e[1] ** 2 + 2 * e[2] ** 2 + materials.value[:, 4] * trace**2 / 9
    # The root of zero has no derivative, and not even an unused branch may have a NaN for one.
    return trace, e, jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)


def _constants(material: object) -> list[float]:
    """Return the numbers of a material, for one formula of both kinds."""
    if isinstance(material, SaturatingElastic):
        return [material.bulk, material.strength, material.strain, 1.0, float(material.out_of_plane)]
    if isinstance(material, LinearElastic):
        return [material.bulk, 2 * material.shear, 1.0, 0.0, 1.0]
    raise PdesolveError(
        f"a learned unit cell knows materials SaturatingElastic and LinearElastic; got {type(material).__name__}."
    )
