r"""A representative volume element: a unit cell of two materials under a given mean strain, by finite elements.

With the mean strain $\hat e$ = (xx, yy, engineering xy) and a periodic displacement $\tilde u$,

$$\int \sigma(\varepsilon) : \nabla^s v = 0 \text{ for all periodic } v, \quad
\varepsilon = \hat e + \nabla^s \tilde u, \quad \hat\sigma = \int \sigma, \quad
\hat C = \frac{d \hat\sigma}{d \hat e} = \int C - \Big(\int C B\Big) K^{-1} \Big(\int B^T C\Big).$$
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import skfem
import xarray as xr
from jaxtyping import Bool, Float, Int

from ..errors import PdesolveError
from .micro import MicroModel

__all__ = ["RVE", "RVEState"]

_LARGEST = 1.0
"""A strain beyond which a solution is a run-away: the stress of a saturating material does not call it back."""


@dataclasses.dataclass(frozen=True)
class RVEState:
    """The equilibrium of an RVE under a mean strain.

    Attributes:
        strain: Mean strain, xx, yy and engineering xy.
        fluctuation: Periodic part of the displacement at the nodes, `(node, 2)`, zero at the node in the corner.
        strains: At the Gauss points, xx, yy and engineering xy, `(point, 3)`.
        stresses: At the Gauss points, xx, yy, xy, in MPa.
        stress: Mean stress, xx, yy, xy, in MPa.
        tangent: Derivative of the mean stress with respect to the mean strain, `(3, 3)`, in MPa.
        iterations: Newton iterations.
        residual: Norm of the unbalanced forces relative to that of the forces of all elements, added as numbers
            without sign.
    """

    strain: Float[np.ndarray, " 3"]
    fluctuation: Float[np.ndarray, "node 2"]
    strains: Float[np.ndarray, "point 3"]
    stresses: Float[np.ndarray, "point 3"]
    stress: Float[np.ndarray, " 3"]
    tangent: Float[np.ndarray, "3 3"]
    iterations: int
    residual: float


class RVE:
    r"""A unit cell in plane strain and small strains, with periodic displacement fluctuations; a `MicroModel`.

    Elements are serendipity quadrilaterals with curved edges and 3 x 3 Gauss points; those of an element follow each
    other. Opposite sides must carry the same nodes. The rigid translation is fixed at the corner.

    Args:
        mesh: The cell $[-\frac12, \frac12]^2$.
        inside: Which elements are inclusion.
        matrix: Material outside the inclusions, a `MicroModel` of the strain at a point.
        inclusion: Material inside.
        tolerance: Largest unbalance of forces; see `RVEState.residual`.
        max_iterations: Newton iterations, from a zero fluctuation.

    Raises:
        PdesolveError: If nodes of opposite sides do not match.
    """

    def __init__(
        self,
        mesh: skfem.MeshQuad2,
        inside: Bool[np.ndarray, " element"],
        matrix: MicroModel,
        inclusion: MicroModel,
        *,
        tolerance: float = 1e-12,
        max_iterations: int = 20,
    ):
        basis = skfem.CellBasis(mesh, skfem.ElementVector(skfem.ElementQuadS2()), intorder=5)
        self.materials, self.tolerance, self.max_iterations = (matrix, inclusion), tolerance, max_iterations
        self.inside = np.repeat(np.asarray(inside, bool), basis.dx.shape[1])
        self.weights: Float[np.ndarray, " point"] = basis.dx.reshape(-1)
        self.gauss_points = np.asarray(basis.global_coordinates()).reshape(2, -1).T
        first, second = (
            np.concatenate([np.asarray(table)[c::2].ravel() for table in (basis.nodal_dofs, basis.facet_dofs)])
            for c in (0, 1)
        )
        self.nodes: Float[np.ndarray, "node 2"] = np.asarray(basis.doflocs)[:, first].T
        # Displacements in the order of `(node, 2)`, flattened.
        number = np.empty(basis.N, int)
        number[first], number[second] = 2 * np.arange(len(first)), 2 * np.arange(len(first)) + 1
        self.dofs: Int[np.ndarray, "element 16"] = number[np.asarray(basis.element_dofs)].T
        self.cells: Int[np.ndarray, "element 4"] = mesh.t.T
        self.vertices = np.asarray(basis.nodal_dofs).shape[1]
        columns = [np.asarray(function.grad) for (function,) in basis.basis]
        gradients = np.stack([np.stack([g[0, 0], g[1, 1], g[0, 1] + g[1, 0]]) for g in columns])
        self.gradients: Float[np.ndarray, "element row 16"] = gradients.transpose(2, 3, 1, 0).reshape(
            *self.dofs.shape[:1], -1, 16
        )
        self.images = _images(self.nodes)
        unknown = 2 * self.images[:, None] + np.arange(2)[None]
        corner = self.images[np.argmin(self.nodes.sum(axis=1))]
        # Unknowns are numbered without the two of the corner, which are -1.
        self.unknowns = np.where(
            self.images[:, None] == corner, -1, unknown - 2 * (self.images > corner)[:, None]
        ).reshape(-1)
        self.size = int(self.unknowns.max()) + 1

    @property
    def fraction(self) -> float:
        """Share of the inclusions in the area."""
        return float(self.weights[self.inside].sum() / self.weights.sum())

    def strain_of(self, fluctuation: Float[np.ndarray, "node 2"]) -> Float[np.ndarray, "point 3"]:
        """Return the strains at the Gauss points of a displacement at the nodes."""
        local = np.asarray(fluctuation).reshape(-1)[self.dofs]
        return (self.gradients @ local[..., None]).reshape(-1, 3)

    def law(self, strains: Float[np.ndarray, "point 3"]) -> tuple[np.ndarray, np.ndarray]:
        """Return stresses and tangents of the materials at the Gauss points."""
        stresses, tangents = np.empty((len(strains), 3)), np.empty((len(strains), 3, 3))
        for material, chosen in zip(self.materials, (~self.inside, self.inside), strict=True):
            stresses[chosen], tangents[chosen] = material.respond(strains[chosen])
        return stresses, tangents

    def mean(self, values: Float[np.ndarray, "point ..."]) -> Float[np.ndarray, "..."]:
        """Return the mean over the cell of values at the Gauss points."""
        return np.tensordot(self.weights, values, axes=1) / self.weights.sum()

    def unbalance(self, stresses: Float[np.ndarray, "point 3"]) -> tuple[Float[np.ndarray, " unknown"], float]:
        """Return the forces that stresses leave unbalanced, and the norm of the elements' forces without sign."""
        weighted = (self.weights[:, None] * stresses).reshape(len(self.dofs), 1, -1)
        local = weighted @ self.gradients
        forces = self._assembled(local[:, 0])
        return forces, float(np.linalg.norm(self._assembled(np.abs(local[:, 0]))))

    def solve(self, strain: Sequence[float] | Float[np.ndarray, " 3"]) -> RVEState:
        """Solve by Newton's method from a zero fluctuation.

        Args:
            strain: Mean strain, xx, yy and engineering xy.

        Raises:
            PdesolveError: If the strain is not three finite numbers, or Newton's method fails or runs away.
        """
        mean = np.asarray(strain, dtype=float)
        if mean.shape != (3,) or not np.isfinite(mean).all():
            raise PdesolveError(f"a mean strain is three finite numbers, xx, yy and engineering xy; got {strain}.")
        u = np.zeros(self.size)
        strains, stresses, tangents = self._state(mean, u)
        for iteration in range(self.max_iterations):
            forces, scale = self.unbalance(stresses)
            done = np.linalg.norm(forces) <= self.tolerance * scale
            factors = self._factors(tangents)
            # The factors are needed for the tangent anyhow: the last step costs next to nothing.
            u = u - factors.solve(forces)
            strains, stresses, new = self._state(mean, u)
            if done:
                forces, scale = self.unbalance(stresses)
                return RVEState(
                    strain=mean,
                    fluctuation=self._expanded(u),
                    strains=strains,
                    stresses=stresses,
                    stress=self.mean(stresses),
                    tangent=self._condensed(tangents, factors),
                    iterations=iteration,
                    residual=float(np.linalg.norm(forces) / scale) if scale > 0 else 0.0,
                )
            tangents = new
        raise PdesolveError(
            f"Newton's method did not reach {self.tolerance:g} in {self.max_iterations} iterations under the mean "
            f"strain {mean.tolist()}; take a smaller strain."
        )

    def respond(self, strains: Float[np.ndarray, "n 3"]) -> tuple[np.ndarray, np.ndarray]:
        """Return homogenised stresses `(n, 3)` and tangents `(n, 3, 3)`: one solve for each strain."""
        states = [self.solve(strain) for strain in strains]
        stresses = np.array([state.stress for state in states]).reshape(-1, 3)
        return stresses, np.array([state.tangent for state in states]).reshape(-1, 3, 3)

    def fields(self, strain: Float[np.ndarray, " 3"]) -> xr.Dataset:
        """Return displacements and stresses at the corners of the elements, as `pdesolve.io` writes fields on points.

        A stress at a corner is the mean of the elements around it, which blurs its jumps between the materials.
        """
        return self.dataset(self.solve(strain))

    def dataset(self, state: RVEState) -> xr.Dataset:
        """Return the fields of a state; see `fields`."""
        points = self.nodes[: self.vertices]
        shear = 0.5 * np.array([[0.0, 1.0], [1.0, 0.0]]) * state.strain[2]
        u = state.fluctuation[: self.vertices] + points @ (np.diag(state.strain[:2]) + shear)
        per_element = self.weights.reshape(len(self.cells), -1)
        means = np.einsum("eg,egk->ek", per_element, state.stresses.reshape(*per_element.shape, 3))
        counts = np.bincount(self.cells.ravel(), np.repeat(per_element.sum(axis=1), 4), self.vertices)
        names = ("stress_xx", "stress_yy", "stress_xy")
        fields = {"u_x": u[:, 0], "u_y": u[:, 1]} | {
            name: np.bincount(self.cells.ravel(), np.repeat(column, 4), self.vertices) / counts
            for name, column in zip(names, means.T, strict=True)
        }
        units = {name: {"units": "MPa"} if name in names else {} for name in fields}
        variables = {name: (("point",), values, units[name]) for name, values in fields.items()}
        return xr.Dataset(
            {
                "points": (("point", "axis"), points),
                "cells": (("cell", "vertex"), self.cells, {"cell_type": "quad"}),
                **variables,
            }
        )

    def _state(self, mean: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        strains = mean[None] + self.strain_of(self._expanded(u))
        if not np.abs(strains).max() <= _LARGEST:
            raise PdesolveError(
                f"Newton's method ran away under the mean strain {mean.tolist()}: a strain is larger than "
                f"{_LARGEST:g}; take a smaller mean strain."
            )
        return strains, *self.law(strains)

    def _expanded(self, u: np.ndarray) -> Float[np.ndarray, "node 2"]:
        """Return displacements of all nodes; the last entry stands for the corner, -1."""
        return np.append(u, 0.0)[self.unknowns].reshape(-1, 2)

    def _assembled(self, local: Float[np.ndarray, "element 16"]) -> Float[np.ndarray, " unknown"]:
        slots = self.unknowns[self.dofs]
        return np.bincount(slots.ravel() + 1, local.ravel(), self.size + 1)[1:]

    def _factors(self, tangents: Float[np.ndarray, "point 3 3"]) -> scipy.sparse.linalg.SuperLU:
        count = len(self.dofs)
        weighted = (self.weights[:, None, None] * tangents).reshape(count, -1, 3, 3)
        b = self.gradients.reshape(count, -1, 3, 16)
        local = self.gradients.transpose(0, 2, 1) @ (weighted @ b).reshape(count, -1, 16)
        slots = self.unknowns[self.dofs]
        rows, columns = np.broadcast_arrays(slots[:, :, None], slots[:, None, :])
        kept = (rows >= 0) & (columns >= 0)
        matrix = scipy.sparse.coo_array((local[kept], (rows[kept], columns[kept])), shape=(self.size, self.size))
        try:
            # Its pattern is symmetric and the matrix nearly so, and definite: no pivoting saves time and memory.
            return scipy.sparse.linalg.splu(
                matrix.tocsc(),
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
        except RuntimeError as error:
            raise PdesolveError("the stiffness of the RVE is singular; take a smaller mean strain.") from error

    def _condensed(
        self, tangents: Float[np.ndarray, "point 3 3"], factors: scipy.sparse.linalg.SuperLU
    ) -> Float[np.ndarray, "3 3"]:
        r"""Return $\bar C - H K^{-1} G$; for an unsymmetric law H is not the transpose of G."""
        weighted = self.weights[:, None, None] * tangents
        g = np.stack([self._forces(weighted[:, :, k]) for k in range(3)], axis=1)
        h = np.stack([self._forces(weighted[:, k, :]) for k in range(3)])
        return (weighted.sum(axis=0) - h @ factors.solve(g)) / self.weights.sum()

    def _forces(self, weighted: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, " unknown"]:
        return self._assembled((weighted.reshape(len(self.dofs), 1, -1) @ self.gradients)[:, 0])


def _images(nodes: Float[np.ndarray, "node 2"]) -> Int[np.ndarray, " node"]:
    """Number nodes so that those which periodicity makes one have one number."""
    wrapped = np.where(np.abs(nodes - 0.5) < 1e-9, -0.5, nodes)
    _, images, counts = np.unique(np.round(wrapped, 8) + 0.0, axis=0, return_inverse=True, return_counts=True)
    images = images.reshape(-1)
    on_side = (np.abs(np.abs(nodes) - 0.5) < 1e-9).any(axis=1)
    if (counts[images][on_side] < 2).any():
        raise PdesolveError("nodes on opposite sides of the unit cell do not match; periodicity needs them to.")
    return images
