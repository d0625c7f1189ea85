"""Representative volume elements of fibre composites: from a mean strain to stress fields and their mean."""

import abc
import functools
import time
from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import numpy as np
import skfem
import xarray as xr
from jaxtyping import Bool, Float
from scipy.stats import qmc

from pdesolve.config import DataConfig, Recipe
from pdesolve.errors import PdesolveError
from pdesolve.family import AbstractFamily, FamilyData
from pdesolve.multiscale import RVE, LinearElastic, SaturatingElastic
from pdesolve.multiscale.inclusions import Inclusion, around, box, core_and_rings, joined, rectangle
from pdesolve.problem import parameter

__all__ = ["RVE1", "RVE2", "RVE3"]

Mesh = tuple[skfem.MeshQuad2, Bool[np.ndarray, " element"]]


class _AbstractRVE(AbstractFamily):
    r"""What the three cells share: materials, solver, strains of the samples, recipe.

    In the matrix the deviatoric stress saturates, in the inclusions Hooke's law holds:

    $$\sigma_m = K \, \mathrm{tr} \varepsilon \, I + \frac{\alpha_1}{\alpha_2 + \|e\|} e, \quad
    \sigma_i = K_i \, \mathrm{tr} \varepsilon \, I + 2 G_i e, \quad
    e = \varepsilon - \tfrac13 \mathrm{tr} \varepsilon \, I,$$

    K = 4780, $\alpha_1$ = 50, $K_i$ = 43452.381, $G_i$ = 29918.0328 in MPa, $\alpha_2$ = 0.06. By default the norm
    leaves out the deviator's third diagonal entry, as in the released program; then there is no stored energy, and
    tangents are not quite symmetric. `out_of_plane` 1 puts it in.
    """

    input_names: ClassVar[tuple[str, ...]] = ("mean_strain",)
    field_names: ClassVar[tuple[str, ...]] = ("mean_stress",)
    coordinates: ClassVar[tuple[str, ...]] = ("entry",)
    periodic: ClassVar[bool] = False
    block: ClassVar[int] = 16
    parameter_groups: ClassVar[Mapping[str, tuple[str, ...]]] = {"strain": ("strain_xx", "strain_yy", "strain_xy")}

    strain_xx: eqx.AbstractVar[float]
    strain_yy: eqx.AbstractVar[float]
    strain_xy: eqx.AbstractVar[float]
    bound: eqx.AbstractVar[float]
    out_of_plane: eqx.AbstractVar[float]
    cells: eqx.AbstractVar[int]

    @abc.abstractmethod
    def mesh(self, cells: int) -> Mesh:
        """Return the mesh with about so many elements along a side, and which elements are inclusion."""

    def rve(self, cells: int | None = None) -> RVE:
        """Return the unit cell in finite elements: with `cells` elements along a side, or the problem's own number.

        Raises:
            PdesolveError: If the number is no multiple of 4.
        """
        return _built(self, self.cells if cells is None else cells)

    @property
    def box(self) -> Float[np.ndarray, "3 2"]:
        """Lowest and highest mean strain of samples."""
        return self.bound * np.array([[-1.0, 1.0]] * 3)

    def respond(self, strains: Float[np.ndarray, "n 3"]) -> tuple[np.ndarray, np.ndarray]:
        """Return mean stresses and tangents, a solve for each strain: the cell is a `MicroModel`."""
        return self.rve().respond(strains)

    def fields(self, strain: Float[np.ndarray, " 3"]) -> xr.Dataset:
        """Return displacements and stresses in the cell under a mean strain."""
        return self.rve().fields(strain)

    def strain(self) -> Float[np.ndarray, " 3"]:
        """Return the mean strain of the parameters: xx, yy, engineering xy."""
        return np.array([getattr(self, name) for name in self.parameter_groups["strain"]], dtype=float)

    def strains(self, num_samples: int, seed: int) -> Float[np.ndarray, "sample 3"]:
        """Draw mean strains uniformly in the box, a Latin hypercube for each block: spread evenly along each axis."""
        draws = -(-num_samples // self.block)
        rng = np.random.default_rng(seed)
        units = [qmc.LatinHypercube(3, rng=rng).random(self.block) for _ in range(draws)]
        return self.bound * (2.0 * np.concatenate(units)[:num_samples] - 1.0)

    def generate(self, num_samples: int, resolution: int, seed: int) -> FamilyData:
        """Solve for drawn strains with `resolution` elements along a side.

        Inputs and outputs are mean strains and stresses, entries xx, yy and xy; fields are in `arrays`. The error bound
        is the change of the first sample's mean stress from a mesh half as fine, which is more than the error left.
        """
        if resolution < 8:
            raise PdesolveError(f"`resolution`, elements along a side, must be at least 8, got {resolution}.")
        rve, states, seconds = self.rve(resolution), [], []
        strains = self.strains(num_samples, seed)
        for strain in strains:
            began = time.perf_counter()
            states.append(rve.solve(strain))
            seconds.append(time.perf_counter() - began)
        coarse = self.rve(4 * (resolution // 8)).solve(strains[0]).stress
        stresses = np.array([state.stress for state in states])
        return FamilyData(
            inputs=strains[:, None],
            outputs=stresses[:, None],
            coordinates={"entry": np.arange(3.0)},
            error_bound=float(np.linalg.norm(coarse - stresses[0]) / np.linalg.norm(stresses[0])),
            seconds=float(np.median(seconds)),
            arrays={
                "fluctuation": np.array([state.fluctuation for state in states]),
                "stress": np.array([state.stresses for state in states]),
                "tangent": np.array([state.tangent for state in states]),
            },
        )

    def recipe(self) -> Recipe:
        """Solve by finite elements; 100 samples to train, 25 to validate, 100 to test."""
        cells = type(self)().cells
        return Recipe(method="finite_elements", data=DataConfig(train=225, test=100, resolution=cells, batch=10))


@functools.lru_cache(maxsize=4)
def _built(problem: _AbstractRVE, cells: int) -> RVE:
    if cells < 4 or cells % 4:
        raise PdesolveError(f"elements along a side of a unit cell must be a multiple of 4, got {cells}.")
    if problem.out_of_plane not in (0, 1):
        raise PdesolveError(f"`out_of_plane` must be 0 or 1, got {problem.out_of_plane:g}.")
    matrix = SaturatingElastic(out_of_plane=bool(problem.out_of_plane))
    return RVE(*problem.mesh(cells), matrix, LinearElastic(bulk=4.34523810e4, shear=2.99180328e4))


class RVE1(_AbstractRVE):
    """A unit cell of hexagonal packing, in plane strain: a fibre and a quarter of one in each corner.

    Fibres have the radius 0.29586 of the cell's edge and fill 55 % of it.

    References:
        Eivazi, Tröger, Wittek, Hartmann and Rausch, EquiNO, J. Comput. Phys. 554 (2026) 114745, and the program
        published with it, for geometry and materials.
    """

    strain_xx: float = parameter(0.04, "mean strain along x (all three: --strain XX YY XY)")
    strain_yy: float = parameter(-0.03, "mean strain along y")
    strain_xy: float = parameter(0.035, "mean engineering shear strain")
    bound: float = parameter(0.04, "size of the mean strains of samples, each component", above=0.0, at_most=0.2)
    out_of_plane: float = parameter(0.0, "1: the deviator's third entry counts in the norm", at_least=0.0, at_most=1.0)
    cells: int = parameter(48, "elements along a side, a multiple of 4", at_least=8)

    def mesh(self, cells: int) -> Mesh:
        """Around each fibre a diamond, to the middle between the two; that of the corners is cut in four."""
        middle = Inclusion.circle(0.0, 0.0, 0.29586)
        n, layers = cells // 2, (max(1, round(5 * cells / 48)), max(1, round(7 * cells / 48)))
        angles = 2 * np.pi * (np.arange(4 * n) / (4 * n)) - np.pi / 4
        inner = 0.29586 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        # Both begin at -45 degrees, where the core has a corner: axes then run along edges of elements.
        corners = np.array([[0.5, 0.0], [0.0, 0.5], [-0.5, 0.0], [0.0, -0.5]])
        outer = np.roll(around(corners, n), n // 2, axis=0)
        quads, inside = core_and_rings(middle, inner, outer, layers)
        # A quarter with both coordinates positive belongs to the fibre in the lower left corner.
        quarters = -0.5 * np.sign(quads.mean(axis=1))[:, None, :]
        inclusions = (middle, *(Inclusion.circle(x, y, 0.29586) for x in (-0.5, 0.5) for y in (-0.5, 0.5)))
        both = np.concatenate([inside, inside])
        return joined(np.concatenate([quads, quads + quarters]), both, inclusions), both


class RVE2(_AbstractRVE):
    """A unit cell with one elliptic inclusion, its long axis at 30 degrees, in plane strain.

    Semi-axes are 0.350 and 0.175 of the cell's edge; the ellipse fills 19 % of it.

    References:
        Eivazi, Tröger, Wittek, Hartmann and Rausch, EquiNO, J. Comput. Phys. 554 (2026) 114745, and the program
        published with it, for geometry and materials.
    """

    strain_xx: float = parameter(0.04, "mean strain along x (all three: --strain XX YY XY)")
    strain_yy: float = parameter(-0.03, "mean strain along y")
    strain_xy: float = parameter(0.035, "mean engineering shear strain")
    bound: float = parameter(0.04, "size of the mean strains of samples, each component", above=0.0, at_most=0.2)
    out_of_plane: float = parameter(0.0, "1: the deviator's third entry counts in the norm", at_least=0.0, at_most=1.0)
    cells: int = parameter(24, "elements along a side, a multiple of 4", at_least=8)

    def mesh(self, cells: int) -> Mesh:
        """Rings from the ellipse to the square."""
        ellipse = Inclusion((0.0, 0.0), (14.241, -10.504, 26.370))
        outer = box((-0.5, 0.5), (-0.5, 0.5), cells)
        layers = (max(1, round(5 * cells / 24)), max(1, round(11 * cells / 24)))
        quads, inside = core_and_rings(ellipse, ellipse.onto_boundary(outer), outer, layers)
        return joined(quads, inside, (ellipse,)), inside


class RVE3(_AbstractRVE):
    """A unit cell with three round inclusions of two sizes, in plane strain.

    Radii are 0.10, 0.15 and 0.10 of the cell's edge; the circles fill 13 % of it.

    References:
        Eivazi, Tröger, Wittek, Hartmann and Rausch, EquiNO, J. Comput. Phys. 554 (2026) 114745, and the program
        published with it, for geometry and materials.
    """

    strain_xx: float = parameter(0.04, "mean strain along x (all three: --strain XX YY XY)")
    strain_yy: float = parameter(-0.03, "mean strain along y")
    strain_xy: float = parameter(0.035, "mean engineering shear strain")
    bound: float = parameter(0.04, "size of the mean strains of samples, each component", above=0.0, at_most=0.2)
    out_of_plane: float = parameter(0.0, "1: the deviator's third entry counts in the norm", at_least=0.0, at_most=1.0)
    cells: int = parameter(24, "elements along a side, a multiple of 4", at_least=8)

    def mesh(self, cells: int) -> Mesh:
        """A rectangle around each circle, and one on either side of the lowest."""
        circles = (
            Inclusion.circle(-0.25, 0.25, 0.10),
            Inclusion.circle(0.25, 0.15, 0.15),
            Inclusion.circle(0.0, -0.25, 0.10),
        )
        # The second circle touches y = 0; this level leaves as much room below it as above the third.
        n, level = cells // 2, -0.075
        boxes = (((-0.5, 0.0), (level, 0.5)), ((0.0, 0.5), (level, 0.5)), ((-0.25, 0.25), (-0.5, level)))
        layers = (max(1, cells // 8), max(1, cells // 4))
        parts = []
        for circle, (x, y) in zip(circles, boxes, strict=True):
            outer = box(x, y, n)
            parts.append(core_and_rings(circle, circle.onto_boundary(outer), outer, layers))
        for x in ((-0.5, -0.25), (0.25, 0.5)):
            quads = rectangle(x, (-0.5, level), (n // 2, n))
            parts.append((quads, np.zeros(len(quads), bool)))
        quads, inside = (np.concatenate(part) for part in zip(*parts, strict=True))
        return joined(quads, inside, circles), inside
