r"""Quadratic finite elements of a body: strains from displacements, forces from stresses.

With $B$ from the displacements of an element to the strains (xx, yy, engineering xy) at its Gauss points of weight
$w$, $f_{int} = \sum_g w_g B_g^T \sigma_g$ and $K = \sum_g w_g B_g^T C_g B_g$.
"""

import functools

import numpy as np
import scipy.sparse
import skfem
from jaxtyping import Float, Int

from ..errors import PdesolveError, UnknownNameError
from .body import Body

__all__ = ["ELEMENTS", "Discretisation"]

ELEMENTS = {"quad8": skfem.ElementQuadS2, "triangle6": skfem.ElementTriP2}
"""Serendipity quadrilaterals with 2 x 2 Gauss points, quadratic triangles with 3."""

_GAUSS_ORDER = {"quad8": 3, "triangle6": 2}


class Discretisation:
    """A body in finite elements.

    Args:
        body: The body. Its mesh of quadrilaterals is cut into triangles for `triangle6`.
        element: `quad8` or `triangle6`; by default what the mesh consists of.

    Raises:
        PdesolveError: If the element is unknown or does not suit the mesh, or a support or traction selects nothing.
    """

    def __init__(self, body: Body, element: str | None = None):
        quads = isinstance(body.mesh, skfem.MeshQuad)
        element = element or ("quad8" if quads else "triangle6")
        if element not in ELEMENTS:
            raise UnknownNameError("element", element, ELEMENTS)
        if element == "quad8" and not quads:
            raise PdesolveError("element 'quad8' needs a mesh of quadrilaterals; this one has triangles.")
        self.body, self.element = body, element
        self.mesh = body.mesh.to_meshtri() if quads and element == "triangle6" else body.mesh
        vector = skfem.ElementVector(ELEMENTS[element]())
        self.basis = skfem.CellBasis(self.mesh, vector, intorder=_GAUSS_ORDER[element])
        self.size: int = self.basis.N
        self.fixed, self.values = self._supports()
        self.free = np.setdiff1d(np.arange(self.size), self.fixed)
        self.forces = self._forces()

    @functools.cached_property
    def gradients(self) -> Float[np.ndarray, "dof 3 element point"]:
        """The matrices B, one column for each displacement of an element."""
        columns = []
        for (function,) in self.basis.basis:
            g = np.asarray(function.grad)
            columns.append(np.stack([g[0, 0], g[1, 1], g[0, 1] + g[1, 0]]))
        return np.stack(columns)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of elements, and of Gauss points in each."""
        return self.basis.dx.shape

    @functools.cached_property
    def gauss_points(self) -> Float[np.ndarray, "n 2"]:
        """Where stresses are known: those of an element follow each other."""
        return np.asarray(self.basis.global_coordinates()).reshape(2, -1).T

    def strains(self, u: Float[np.ndarray, " dof"]) -> Float[np.ndarray, "n 3"]:
        """Return the strains at all Gauss points."""
        return np.einsum("iaeq,ie->eqa", self.gradients, u[self.basis.element_dofs]).reshape(-1, 3)

    def internal_forces(self, stresses: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " dof"]:
        """Return the nodal forces that stresses at the Gauss points stand for."""
        stresses = stresses.reshape(*self.shape, 3)
        local = np.einsum("iaeq,eqa,eq->ie", self.gradients, stresses, self.basis.dx)
        return np.bincount(self.basis.element_dofs.ravel(), local.ravel(), minlength=self.size)

    def stiffness(self, tangents: Float[np.ndarray, "n 3 3"]) -> scipy.sparse.csc_array:
        """Return the derivative of the internal forces with respect to the displacements; not symmetrised."""
        weighted = tangents.reshape(*self.shape, 3, 3) * self.basis.dx[..., None, None]
        left = np.einsum("iaeq,eqab->ibeq", self.gradients, weighted)
        local = np.einsum("ibeq,jbeq->ije", left, self.gradients)
        dofs = self.basis.element_dofs
        rows = np.broadcast_to(dofs[:, None, :], local.shape)
        columns = np.broadcast_to(dofs[None, :, :], local.shape)
        matrix = scipy.sparse.coo_array((local.ravel(), (rows.ravel(), columns.ravel())), shape=(self.size, self.size))
        return matrix.tocsc()

    def displacements(self, u: Float[np.ndarray, " dof"], points: Float[np.ndarray, "n 2"]) -> np.ndarray:
        """Return the displacements at points, shape `(n, 2)`.

        Raises:
            PdesolveError: If a point is outside the body.
        """
        try:
            probes = self.basis.probes(np.asarray(points, dtype=float).T)
        except ValueError as error:
            raise PdesolveError(f"a point is not in the body: {error}.") from error
        return (probes @ u).reshape(2, -1).T

    def at_vertices(self, u: Float[np.ndarray, " dof"]) -> Float[np.ndarray, "vertex 2"]:
        """Return the displacements of the mesh's vertices."""
        return u[np.asarray(self.basis.nodal_dofs)].T

    def smoothed(self, values: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "vertex k"]:
        """Return values at the vertices: the piecewise (bi)linear function nearest to those at the Gauss points."""
        scalar = skfem.ElementTriP1() if self.element == "triangle6" else skfem.ElementQuad1()
        basis = skfem.CellBasis(self.mesh, scalar, intorder=_GAUSS_ORDER[self.element])
        fields = values.reshape(*self.shape, -1)
        return np.stack([basis.project(fields[..., k]) for k in range(fields.shape[-1])], axis=-1)

    def nodes(self, where) -> Int[np.ndarray, " n"]:
        """Return both degrees of freedom of all nodes that `where` selects, shape `(2, n)`."""
        first = self._component(0)
        chosen = where(self.basis.doflocs[:, first])
        return np.stack([first[chosen], self._component(1)[chosen]])

    def _component(self, component: int) -> Int[np.ndarray, " n"]:
        """Return the degrees of freedom of one component, in the same order of nodes for both."""
        tables = (np.asarray(self.basis.nodal_dofs), np.asarray(self.basis.facet_dofs))
        return np.concatenate([table[component::2].ravel() for table in tables])

    def _supports(self) -> tuple[Int[np.ndarray, " fixed"], Float[np.ndarray, " fixed"]]:
        """Return the degrees of freedom that are prescribed and their values under full load."""
        values = np.full(self.size, np.nan)
        for number, support in enumerate(self.body.supports):
            dofs = self.nodes(support.where)[support.component]
            if not len(dofs):
                raise PdesolveError(f"support {number} of the body selects no node.")
            points = self.basis.doflocs[:, dofs]
            values[dofs] = 0.0 if support.value is None else support.value(points)
        fixed = np.flatnonzero(~np.isnan(values))
        return fixed, values[fixed]

    def _forces(self) -> Float[np.ndarray, " dof"]:
        """Return the nodal forces of tractions and body forces under full load."""
        forces = np.zeros(self.size)
        for number, traction in enumerate(self.body.tractions):
            facets = self.mesh.facets_satisfying(traction.where, boundaries_only=True)
            if not len(facets):
                raise PdesolveError(f"traction {number} of the body selects no facet of the boundary.")
            boundary = skfem.FacetBasis(self.mesh, self.basis.elem, facets=facets, intorder=4)
            for i, (function,) in enumerate(boundary.basis):
                local = np.einsum("ceq,c,eq->e", np.asarray(function), np.asarray(traction.vector, float), boundary.dx)
                np.add.at(forces, boundary.element_dofs[i], local)
        if self.body.body_force is not None:
            # More points than for stresses: the force may be any function.
            fine = skfem.CellBasis(self.mesh, self.basis.elem, intorder=6)
            values = self.body.body_force(np.asarray(fine.global_coordinates()))
            for i, (function,) in enumerate(fine.basis):
                local = np.einsum("ceq,ceq,eq->e", np.asarray(function), values, fine.dx)
                np.add.at(forces, fine.element_dofs[i], local)
        return forces
