r"""VPIONet: a DeepONet of a unit cell's displacements, trained to make the energy of the cell least."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.multiscale import RVE
from pdesolve.nets import MLP, Fixed
from pdesolve.objective import BatchBlock, Density, Objective, Term
from pdesolve.samplers import DataBatches, FixedSamples

from .materials import Materials, energies, has_energy, materials_of, stresses
from .unit_cells import AbstractLearnedCell, stored_model

__all__ = ["VPIONet", "energy_objective"]

ENERGIES = ("published", "true")
"""Half of stress times strain, or what the materials store."""

_AMPLITUDE = 1e-4
"""Size of the fluctuations of a network whose outputs have the size 1, as published."""


class Trunk(eqx.Module):
    r"""Functions of the place that are periodic over the unit cell, and of the material there.

    The first layer is $\sum_i \tanh(A_i v_i + c_i)$ with $v = (\cos(2 \pi x + \varphi_1), \cos(2 \pi y + \varphi_2),
    m)$, one $\varphi$ for each unit; the others are a perceptron's.
    """

    phases: Float[Array, "2 unit"]
    slopes: Float[Array, "3 unit"]
    offsets: Float[Array, "3 unit"]
    layers: MLP

    def __init__(self, out_size: int, *, width: int = 64, depth: int = 5, key: PRNGKeyArray):
        first, second, third, fourth = jax.random.split(key, 4)
        self.phases = jax.random.normal(first, (2, width))
        self.slopes = jax.random.normal(second, (3, width))
        self.offsets = jax.random.normal(third, (3, width))
        self.layers = MLP(width, out_size, width=width, depth=depth, activation="tanh", key=fourth)

    def __call__(self, place: Float[Array, " 2"], mark: Float[Array, ""]) -> Float[Array, " out"]:
        """Return the functions at one place."""
        waves = jnp.cos(2 * jnp.pi * place[:, None] + self.phases)
        v = jnp.concatenate([waves, jnp.broadcast_to(mark, waves[:1].shape)])
        return self.layers(jnp.sum(jnp.tanh(self.slopes * v + self.offsets), axis=0))


class VPIONet(AbstractLearnedCell):
    r"""A branch of the mean strain and a trunk of the place give a unit cell's displacement, by a product.

    $$u(x) = D(x)^T \hat e + 10^{-4} \sum_k b_k(\hat e) \, (t_k(x) - t_k(x_0)).$$

    The fluctuation is periodic whatever the weights. Strains come from the finite elements of the cell, stresses from
    its materials; nothing but training brings them into equilibrium (`energy_objective`). Trained for a single strain
    this is a physics-informed network.

    A trained model is a micro model of a two-scale solve (`respond`); each strain costs the stresses of the whole cell.

    Args:
        rve: The unit cell.
        rank: Products of branch and trunk.
        width: Units of a hidden layer.
        depth: Hidden layers of the branch; the trunk has one more behind its first.
        activation: That of the branch, as of `MLP`.
        bound: Largest component of the mean strains.
        key: Random key of the weights.

    References:
        Eivazi, Tröger, Wittek, Hartmann and Rausch, EquiNO, J. Comput. Phys. 554 (2026) 114745, and the program
        published with it.
    """

    branch: MLP
    trunk: Trunk
    nodes: Fixed
    marks: Fixed
    corner: Fixed
    gradients: Fixed
    dofs: Fixed
    weights: Fixed
    materials: Materials
    bound: Fixed

    def __init__(
        self,
        rve: RVE,
        *,
        rank: int = 16,
        width: int = 64,
        depth: int = 4,
        activation: str = "swish",
        bound: float = 0.04,
        key: PRNGKeyArray,
    ):
        if rank < 1:
            raise PdesolveError(f"`rank` must be at least 1, got {rank}.")
        first, second = jax.random.split(key)
        self.branch = MLP(3, rank, width=width, depth=depth, activation=activation, key=first)
        self.trunk = Trunk(2 * rank, width=width, depth=depth + 1, key=second)
        self.nodes, self.marks = Fixed(jnp.asarray(rve.nodes)), Fixed(jnp.asarray(_marks(rve)))
        self.corner = Fixed(jnp.asarray(int(np.argmin(rve.nodes.sum(axis=1)))))
        self.gradients, self.dofs = Fixed(jnp.asarray(rve.gradients)), Fixed(jnp.asarray(rve.dofs))
        self.weights = Fixed(jnp.asarray(rve.weights / rve.weights.sum()))
        self.materials = materials_of(rve)
        self.bound = Fixed(jnp.asarray(float(bound)))

    def basis(self) -> tuple[Float[Array, "node 2 mode"], Float[Array, "point 3 mode"]]:
        """Return what the trunk says: displacements at the nodes, and their strains at the Gauss points."""
        values = jax.vmap(self.trunk)(self.nodes.value, self.marks.value)
        phi = _AMPLITUDE * (values - values[self.corner.value][None]).reshape(len(values), 2, -1)
        local = phi.reshape(-1, phi.shape[-1])[self.dofs.value]
        return phi, (self.gradients.value @ local).reshape(-1, 3, phi.shape[-1])

    def coefficients(self, strain: Float[Array, " 3"]) -> Float[Array, " mode"]:
        """Return b for a mean strain: xx, yy, engineering xy."""
        return self.branch(strain / self.bound.value)

    def __call__(self, strain: Float[Array, " 3"]) -> Float[Array, " 3"]:
        """Return the mean stress, xx, yy, xy, in MPa."""
        return self.weights.value @ self.micro_fields(strain)["stress"]

    def micro_fields(self, strain: Float[Array, " 3"]) -> dict[str, Float[Array, "..."]]:
        """Return `fluctuation` at the nodes, and `strain` and `stress` at the Gauss points."""
        phi, gradients = self.basis()
        b = self.coefficients(strain)
        strains = strain[None] + gradients @ b
        return {"fluctuation": phi @ b, "strain": strains, "stress": stresses(self.materials, strains)}

    @property
    def reach(self):
        """The bound of training."""
        return self.bound.value

    @staticmethod
    def load(path: str | Path) -> "VPIONet":
        """Return the operator of a run's file, `NAME.h5` of `pdesolve solve rve1 --method vpionet`.

        Raises:
            PdesolveError: If it is missing, damaged or something else.
        """
        return stored_model(path, VPIONet, "vpionet")


def energy_objective(
    rve: RVE, strains: Float[Array, "n 3"], *, energy: str = "published", batch: int | None = None
) -> Objective:
    r"""Return the mean over strains of the energy in the cell, as a function of a `VPIONet`.

    `published` is $\frac12 \int \sigma : \varepsilon$: the potential of linear materials only, whose least value is not
    the equilibrium of a saturating one. `true` is what the materials store; they must have an energy.

    Args:
        rve: The unit cell.
        strains: Mean strains.
        energy: `published` or `true`.
        batch: Strains of a step, in a new order in each epoch; all if None.

    Raises:
        UnknownNameError: If there is no such energy.
        PdesolveError: If `true` is asked for and a material has none.
    """
    if energy not in ENERGIES:
        raise UnknownNameError("energy", energy, ENERGIES)
    if energy == "true" and not has_energy(rve):
        raise PdesolveError(
            "a material of this cell has no stored energy: take the `published` one, or set `out_of_plane` to 1."
        )
    sampler = FixedSamples(strains) if batch is None else DataBatches(strains, batch)
    function = _stored if energy == "true" else _published
    return Objective((BatchBlock(function, sampler, (Term("energy", outer=Density(jnp.sum)),)),))


def _published(model: VPIONet, strains: Array, key: object, context: object) -> tuple[dict[str, Array], dict]:
    def density(strain: Array) -> Array:
        return 0.5 * jnp.sum(strain * stresses(model.materials, strain), axis=1)

    return _energies(model, strains, density)


def _stored(model: VPIONet, strains: Array, key: object, context: object) -> tuple[dict[str, Array], dict]:
    return _energies(model, strains, lambda strain: energies(model.materials, strain))


def _energies(model: VPIONet, strains: Array, density) -> tuple[dict[str, Array], dict]:
    """Return the energy of each strain; the trunk serves all."""
    _, gradients = model.basis()

    def one(strain: Array) -> Array:
        return model.weights.value @ density(strain[None] + gradients @ model.coefficients(strain))

    return {"energy": jax.lax.map(jax.checkpoint(one), strains)}, {}


def _marks(rve: RVE) -> np.ndarray:
    """Return -1 at nodes of the matrix, 1 of inclusions, 0 where they meet."""
    inside = rve.inside.reshape(len(rve.dofs), -1)[:, 0]
    touched = np.zeros((2, len(rve.nodes)))
    for kind, chosen in enumerate((~inside, inside)):
        touched[kind, np.unique(rve.dofs[chosen] // 2)] = 1.0
    # Both sides of the cell are one place.
    for kind in range(2):
        touched[kind] = np.bincount(rve.images, touched[kind])[rve.images] > 0
    return touched[1] - touched[0]
