r"""The reduced bases of EquiNO: displacement modes that are admissible, stress modes that are in equilibrium."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float, Int

from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.multiscale import RVE
from pdesolve.nets import Fixed

from .materials import Materials, materials_of
from .materials import stresses as stresses_of

__all__ = ["Modes", "blank_modes", "magic_points", "pod_modes"]

_SCALINGS = ("per_mode", "scalar")
_SMALL = 1e-7
"""A strain at which the materials are linear to rounding."""
_NOTHING = 1e-7
"""What is below this share of a field has lost the digits that put it in equilibrium."""


class Modes(eqx.Module):
    r"""Modes of displacement fluctuations and of stresses, at points of a unit cell, with its materials.

    $\varepsilon = \hat e + \sum_k b_k B \varphi_k$, $\sigma_{eq} = \sum_k c_k \psi_k$, $\hat\sigma = c^T H$. Every
    $\varphi_k$ is periodic, every $\psi_k$ a combination of stress fields in equilibrium: so is every expansion. Shear
    strains are engineering ones.
    """

    displacement: Fixed
    """$\\varphi$ at the nodes, `(node, 2, mode)`."""
    strain: Fixed
    """$B \\varphi$, `(point, 3, mode)`."""
    stress: Fixed
    """$\\psi$, `(point, 3, mode)`, in MPa."""
    materials: Materials
    """Numbers of the materials, `(point, 5)`."""
    mean_stress: Fixed
    """H, the mean over the cell of the stress modes, `(mode, 3)`."""
    scales: Fixed
    """Typical sizes of the coefficients of both expansions, `(2, mode)`."""
    shifts: Fixed
    """Typical values, `(2, mode)`."""
    bound: Fixed
    """Largest component of the mean strains, by which they are divided, `()`."""

    @property
    def rank(self) -> int:
        """Modes of each kind."""
        return self.strain.value.shape[-1]

    def law(self, strains: Float[Array, "point 3"]) -> Float[Array, "point 3"]:
        """Return the stresses of the materials, with a finite derivative at zero strain too."""
        return stresses_of(self.materials, strains)

    def strains(self, mean: Float[Array, " 3"], b: Float[Array, " mode"]) -> Float[Array, "point 3"]:
        """Return the strain field of displacement coefficients."""
        return mean[None] + self.strain.value @ b

    def stresses(self, c: Float[Array, " mode"]) -> Float[Array, "point 3"]:
        """Return the stress field of stress coefficients; it is in equilibrium."""
        return self.stress.value @ c

    def gap(
        self, mean: Float[Array, " 3"], b: Float[Array, " mode"], c: Float[Array, " mode"]
    ) -> Float[Array, "point 3"]:
        """Return what is left unsatisfied: the stress of the strains less that in equilibrium."""
        return self.law(self.strains(mean, b)) - self.stresses(c)

    def at(self, points: Int[np.ndarray, " few"]) -> "Modes":
        """Return the modes at some of the points: a reduced loss. Mean stresses stay those of the whole cell."""
        fields = ("strain", "stress", "materials")
        chosen = [Fixed(getattr(self, name).value[np.asarray(points)]) for name in fields]
        return eqx.tree_at(lambda modes: [getattr(modes, name) for name in fields], self, chosen)


def pod_modes(
    rve: RVE,
    fluctuations: Float[np.ndarray, "sample node 2"],
    stresses: Float[np.ndarray, "sample point 3"],
    *,
    rank: int = 16,
    bound: float = 0.04,
    scaling: str = "per_mode",
    linear: bool = False,
) -> Modes:
    r"""Return the leading left singular vectors of snapshots: no mean is subtracted, the product is Euclidean.

    A stress mode is unbalanced by the snapshots' own residual times the ratio of the first singular value to its own.

    Snapshots of a few per cent strain say little about small strains, where the materials are linear and which
    structures mostly have. With `linear` three more modes of each kind add to the span the cell's answers to
    infinitesimal strains, so that the tangent at zero strain is exact.

    Args:
        rve: The unit cell, of materials `SaturatingElastic` or `LinearElastic`.
        fluctuations: Periodic displacements at the nodes.
        stresses: At the Gauss points.
        rank: Modes of each kind, without those of `linear`.
        bound: Largest component of the mean strains.
        scaling: `per_mode` ($s_k / \sqrt{n}$ for mode k), or `scalar` (one mean and one standard deviation of all
            coefficients), as published.
        linear: Whether there are three more modes, of infinitesimal strains, which takes three more solves of the cell.

    Raises:
        PdesolveError: If shapes do not fit, there are fewer samples than modes, or materials are others.
        UnknownNameError: If there is no such scaling.
    """
    if scaling not in _SCALINGS:
        raise UnknownNameError("scaling", scaling, _SCALINGS)
    n = len(fluctuations)
    expected = ((n, *rve.nodes.shape), (n, len(rve.weights), 3))
    if (fluctuations.shape, stresses.shape) != expected:
        raise PdesolveError(
            f"expected snapshots of shapes {expected[0]} and {expected[1]} for this cell; got {fluctuations.shape} and "
            f"{stresses.shape}."
        )
    if not 1 <= rank <= n:
        raise PdesolveError(f"`rank` must be from 1 to the number of snapshots, {n}; got {rank}.")
    further = _infinitesimal(rve) if linear else (None, None)
    parts = [
        _svd(fields.reshape(n, -1).T, rank, scaling, added)
        for fields, added in zip((fluctuations, stresses), further, strict=True)
    ]
    (phi, *_), (psi, *_) = parts
    count = phi.shape[1]
    phi, psi = phi.reshape(-1, 2, count), psi.reshape(-1, 3, count)
    strain = np.stack([rve.strain_of(phi[..., k]) for k in range(count)], axis=-1)
    return Modes(
        displacement=_fixed(phi),
        strain=_fixed(strain),
        stress=_fixed(psi),
        materials=materials_of(rve),
        mean_stress=_fixed(np.asarray(rve.mean(psi)).T),
        scales=_fixed([scale for _, scale, _ in parts]),
        shifts=_fixed([shift for _, _, shift in parts]),
        bound=_fixed(bound),
    )


def magic_points(modes: Modes, count: int | None = None) -> Int[np.ndarray, " count"]:
    """Choose points by a QR factorisation with column pivoting of the transposed stress modes (Q-DEIM).

    Points come whole, with three stresses each.

    Args:
        modes: The modes.
        count: Number of points; as many as there are modes if None.

    Raises:
        PdesolveError: If there are not so many points, or the equations are fewer than the coefficients.

    References:
        Drmač and Gugercin, SIAM J. Sci. Comput. 38 (2016) A631-A648, for Q-DEIM.
    """
    points, _, rank = modes.stress.value.shape
    count = rank if count is None else count
    if not -(-2 * rank // 3) <= count <= points:
        raise PdesolveError(f"`count` must be from {-(-2 * rank // 3)} to {points}, got {count}.")
    chosen: list[int] = []
    rows = np.asarray(modes.stress.value).reshape(-1, rank)
    left = np.arange(points)
    while len(chosen) < count:  # a factorisation gives as many pivots as there are modes
        table = rows.reshape(points, 3, rank)[left].reshape(-1, rank)
        pivots = scipy.linalg.qr(table.T, mode="r", pivoting=True)[-1]
        new = list(dict.fromkeys(left[pivots[:rank] // 3].tolist()))[: count - len(chosen)]
        chosen += new
        left = np.setdiff1d(left, new)
    return np.array(sorted(chosen))


def _infinitesimal(rve: RVE) -> tuple[np.ndarray, np.ndarray]:
    """Return fluctuations and stresses per strain of the three mean strains, one in each column."""
    states = [rve.solve(_SMALL * unit) for unit in np.eye(3)]
    fields = ([getattr(state, name).reshape(-1) / _SMALL for state in states] for name in ("fluctuation", "stresses"))
    fluctuations, stresses = (np.stack(columns, axis=1) for columns in fields)
    return fluctuations, stresses


def _svd(
    snapshots: np.ndarray, rank: int, scaling: str, further: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return modes, and scales and shifts of their coefficients; the last modes are what `further` adds to the span."""
    modes = np.linalg.svd(snapshots, full_matrices=False)[0][:, :rank]
    if further is not None:
        added, sizes, _ = np.linalg.svd(further - modes @ (modes.T @ further), full_matrices=False)
        # What is in the span but for rounding would be a mode of noise, in no equilibrium: it is a mode of zero.
        modes = np.concatenate([modes, added * (sizes > _NOTHING * np.linalg.norm(further))[None]], axis=1)
    coefficients = modes.T @ snapshots
    if scaling == "scalar":
        return modes, np.full(modes.shape[1], coefficients.std()), np.full(modes.shape[1], coefficients.mean())
    # Without spread a mode would be switched off: rounding bounds its scale from below.
    spread = np.linalg.norm(coefficients, axis=1)
    least = 1e-12 * spread[0] if spread[0] > 0 else 1.0
    return modes, np.maximum(spread, least) / np.sqrt(snapshots.shape[1]), np.zeros(modes.shape[1])


def _fixed(values: Sequence | np.ndarray | float) -> Fixed:
    return Fixed(jnp.asarray(np.asarray(values, dtype=float)))


def blank_modes(rve: RVE, rank: int, bound: float) -> Modes:
    """Return modes of zero that have the shapes of those of a unit cell, to be filled from a file."""

    def zeros(*shape: int) -> Fixed:
        return Fixed(jnp.zeros(shape))

    return Modes(
        displacement=zeros(*rve.nodes.shape, rank),
        strain=zeros(len(rve.weights), 3, rank),
        stress=zeros(len(rve.weights), 3, rank),
        materials=materials_of(rve),
        mean_stress=zeros(rank, 3),
        scales=zeros(2, rank),
        shifts=zeros(2, rank),
        bound=_fixed(bound),
    )
