"""Darcy flow in a square: pressure and random permeability as one random field, by the published recipe."""

import functools
import itertools
import time
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from jaxtyping import Array, Float

from pdesolve.config import DataConfig, NetworkConfig, Recipe, StageConfig
from pdesolve.errors import PdesolveError
from pdesolve.family import FamilyData
from pdesolve.flow.physics import AbstractPhysicalFamily
from pdesolve.problem import parameter

__all__ = ["DarcyFlow2D"]

_CORNER = 0.125
"""Side of the squares in two corners, in which there are source and sink."""
_MODES = 64
_COARSEST = 16


class DarcyFlow2D(AbstractPhysicalFamily):
    r"""Darcy flow in a square from corner to corner, through random permeability.

    $$-\nabla \cdot (K \nabla p) = f \text{ in } (0, 1)^2, \quad \partial_n p = 0 \text{ on the boundary}, \quad
    \int p = 0,$$

    with f = s in the corner $x, y \le 1/8$, -s in the corner $x, y \ge 7/8$, and 0 elsewhere. $K = \exp G$, where G is
    the sum of the 64 leading modes of a Gaussian field of mean zero and covariance $\exp(-|x - y| / \ell)$, which are
    eigenvectors of the covariance matrix of all points of the grid. The field is the pair (p, K) at the n x n points
    i / (n - 1).

    The published data are no solution of a difference scheme but the least-squares solution of too many equations, all
    of weight one: at every point, those of the boundary included, the equation written out,

    $$-K p_{xx} - K_x p_x - K p_{yy} - K_y p_y = f,$$

    by differences of second order, one-sided at the ends, and at points of the boundary the normal derivative, zero.
    The mean is that of the trapezoidal rule. So the residual of data is small, and not zero; no flow can be asked for
    less. The permeability is rough: the pressure itself is off by some per cent on 64 x 64 points and worthless on few.
    Take fewer than 64 only with a longer correlation. All quantities are nondimensional.

    References:
        Bastek, Sun, Kochmann, Physics-informed diffusion models, ICLR (2025), and the program published with it.
        Baldan, Liu, Guardone, Thuerey, arXiv:2506.08604 (2025), who use the same data.
    """

    input_names: ClassVar[tuple[str, ...]] = ()
    field_names: ClassVar[tuple[str, ...]] = ("p", "K")
    dependent_names: ClassVar[tuple[str, ...]] = ("p",)
    coordinates: ClassVar[tuple[str, ...]] = ("x", "y")
    periodic: ClassVar[bool] = False

    length: float = parameter(0.1, "correlation length of the logarithm of the permeability", above=0.0, at_most=10.0)
    strength: float = parameter(10.0, "source in one corner, sink in the other", above=0.0)

    def residual(self, field: Float[Array, "2 n n"]) -> Float[Array, "3 n n"]:
        """Return what the equation leaves over, and the outward normal derivatives at edges of x and of y, else 0."""
        p, permeability = field
        left, normal_x, normal_y = _left_side(p, permeability)
        source = jnp.asarray(self._source(len(p)), p.dtype)
        return jnp.stack([left - source, normal_x, normal_y])

    def constraint(self, field: Float[Array, "2 n n"]) -> Float[Array, " m"]:
        r"""Return the normal equations of the least squares, $h^2 A^\top (A p - b)$, plus the mean pressure.

        A has no kernel but the constants, and rows of the first part sum to zero, so that both vanish together only.
        """
        p, permeability = field
        n = len(p)
        _, pullback = jax.vjp(lambda p: jnp.stack(_left_side(p, permeability)), p)
        (normal,) = pullback(self.residual(field))
        return (normal / (n - 1) ** 2 + _mean(p)).reshape(-1)

    def corrected(self, field: Float[Array, "2 n n"]) -> Float[Array, "2 n n"]:
        """Shift the pressure to mean zero, the one constraint that is linear."""
        return field.at[0].add(-_mean(field[0]))

    def resolved(self, fields: Float[np.ndarray, "sample 2 n n"]) -> Float[np.ndarray, "sample 2 n n"]:
        """Compute p from K; NaN where K is not positive at all points."""
        return np.stack([np.stack([self._pressure(permeability), permeability]) for permeability in fields[:, 1]])

    def generate(self, num_samples: int, resolution: int, seed: int) -> FamilyData:
        """Draw K by its modes, and solve the least squares; the error bound is that of this solution.

        Raises:
            PdesolveError: If there are fewer than 16 points along an edge: source and sink would be of one or two.
        """
        if resolution < _COARSEST:
            raise PdesolveError(
                f"`resolution` must be at least {_COARSEST} for source and sink to be seen, got {resolution}."
            )
        values, modes = covariance_modes(resolution, self.length)
        amplitudes = np.random.default_rng(seed).standard_normal((num_samples, len(values)))
        permeability = np.exp(np.einsum("sk,kij->sij", np.sqrt(values) * amplitudes, modes))
        start = time.perf_counter()
        pressure = np.stack([self._pressure(k) for k in permeability])
        seconds = (time.perf_counter() - start) / num_samples
        points = np.linspace(0.0, 1.0, resolution)
        fields = np.stack([pressure, permeability], axis=1)
        return FamilyData(None, fields, {"x": points, "y": points}, 1e-7, seconds)

    def recipe(self) -> Recipe:
        """Flow matching with the equation by a small transformer of large patches; published ones are far larger."""
        adam = StageConfig("adam", steps=600, options={"learning_rate": 1e-3, "schedule": "cosine"})
        return Recipe(
            method="pbfm",
            network=NetworkConfig(
                "dit", width=64, depth=4, activation="gelu", options={"heads": 4, "patch": 8, "expansion": 2}
            ),
            data=DataConfig(train=512, test=128, resolution=64, batch=16),
            stages=(adam,),
            precision="float32",
        )

    def _source(self, n: int) -> Float[np.ndarray, "n n"]:
        x = np.linspace(0.0, 1.0, n)
        low, high = (inside.astype(float) for inside in (x <= _CORNER, x >= 1.0 - _CORNER))
        return self.strength * (np.outer(low, low) - np.outer(high, high))

    def _pressure(self, permeability: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
        """Solve the normal equations with p = 0 at the first point, refine once, and shift to mean zero."""
        n = len(permeability)
        if not permeability.min() > 0:
            return np.full((n, n), np.nan)
        first, _ = differences(n)
        x_part, y_part, laplacian, normals = _matrices(n)
        k_x, k_y = first @ permeability, permeability @ first.T
        parts = zip((permeability, k_x, k_y), (laplacian, x_part, y_part), strict=True)
        equation = -sum(scipy.sparse.diags_array(factor.ravel()) @ part for factor, part in parts)
        matrix = scipy.sparse.vstack([equation, normals]).tocsc()[:, 1:]
        wanted = np.concatenate([self._source(n).ravel(), np.zeros(normals.shape[0])])
        factors = scipy.sparse.linalg.splu(
            (matrix.T @ matrix).tocsc(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
        p = factors.solve(matrix.T @ wanted)
        p += factors.solve(matrix.T @ (wanted - matrix @ p))  # squaring the condition number costs half the digits
        pressure = np.concatenate([[0.0], p]).reshape(n, n)
        return pressure - np.sum(_trapezoid(n) * pressure)


@functools.lru_cache(maxsize=4)
def covariance_modes(n: int, length: float) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "k n n"]]:
    r"""Return the 64 largest eigenvalues of the matrix $\exp(-|x_i - x_j| / \ell)$ of n x n points, and eigenvectors.

    The matrix commutes with reflections, so that its eigenvectors are even or odd along each axis: four matrices of a
    quarter of the size.

    Args:
        n: Points along an edge of the unit square, its ends included.
        length: $\ell$.
    """
    x = np.linspace(0.0, 1.0, n)
    squares = (x[:, None] - x[None]) ** 2
    covariance = np.exp(-np.sqrt(squares[:, None, :, None] + squares[None, :, None, :]) / length)
    values, modes = [], []
    for along_x, along_y in itertools.product(_parities(n), repeat=2):
        half = np.tensordot(np.tensordot(covariance, along_x, (0, 0)), along_y, (0, 0))  # axes x', y', a, b
        quarter = np.tensordot(np.tensordot(half, along_x, (0, 0)), along_y, (0, 0))  # axes a, b, a', b'
        size = along_x.shape[1] * along_y.shape[1]
        some, vectors = np.linalg.eigh(quarter.reshape(size, size))
        values.append(some[-_MODES:])
        vectors = vectors[:, -_MODES:].T.reshape(-1, along_x.shape[1], along_y.shape[1])
        modes.append(along_x @ vectors @ along_y.T)
    order = np.argsort(np.concatenate(values))[::-1][:_MODES]
    return np.concatenate(values)[order], np.concatenate(modes)[order]


@functools.cache
def differences(n: int) -> tuple[Float[np.ndarray, "n n"], Float[np.ndarray, "n n"]]:
    """Return the matrices of the first and second derivative at n points of the unit interval, both of second order."""
    h = 1.0 / (n - 1)
    first = (np.eye(n, k=1) - np.eye(n, k=-1)) / (2 * h)
    second = (np.eye(n, k=1) - 2 * np.eye(n) + np.eye(n, k=-1)) / h**2
    first[0, :3], second[0, :4] = np.array([-3, 4, -1]) / (2 * h), np.array([2, -5, 4, -1]) / h**2
    first[-1], second[-1] = -first[0, ::-1], second[0, ::-1]
    return first, second


def _left_side(
    p: Float[Array, "n n"], permeability: Float[Array, "n n"]
) -> tuple[Float[Array, "n n"], Float[Array, "n n"], Float[Array, "n n"]]:
    """Return the divergence of the flow, and the outward normal derivatives at the edges of x and of y."""
    n = len(p)
    first, second = (jnp.asarray(matrix, p.dtype) for matrix in differences(n))

    def along(matrix, values):
        # A residual of a rough field loses all digits to the short mantissa of an accelerator's products.
        return jnp.matmul(matrix, values, precision="highest")

    p_x, p_y = along(first, p), along(first, p.T).T
    k_x, k_y = along(first, permeability), along(first, permeability.T).T
    laplacian = along(second, p) + along(second, p.T).T
    outward = jnp.zeros((n, 1), p.dtype).at[0, 0].set(-1.0).at[-1, 0].set(1.0)
    return -permeability * laplacian - k_x * p_x - k_y * p_y, outward * p_x, outward.T * p_y


@functools.cache
def _matrices(n: int) -> tuple[scipy.sparse.sparray, ...]:
    """Return the matrices of p_x, p_y, the Laplacian, and the normal derivatives at edges, of points in one row."""
    first, second = map(scipy.sparse.csr_array, differences(n))
    one = scipy.sparse.eye_array(n, format="csr")
    along_x, along_y = scipy.sparse.kron(first, one, "csr"), scipy.sparse.kron(one, first, "csr")
    laplacian = scipy.sparse.kron(second, one, "csr") + scipy.sparse.kron(one, second, "csr")
    edges = scipy.sparse.csr_array(np.vstack([first[[0]].toarray(), first[[-1]].toarray()]))
    normals = scipy.sparse.vstack([scipy.sparse.kron(edges, one), scipy.sparse.kron(one, edges)])
    return along_x, along_y, laplacian, normals


def _trapezoid(n: int) -> Float[np.ndarray, "n n"]:
    weights = np.ones(n) / (n - 1)
    weights[[0, -1]] /= 2
    return np.outer(weights, weights)


def _mean(p: Float[Array, "n n"]) -> Float[Array, ""]:
    return jnp.sum(jnp.asarray(_trapezoid(len(p)), p.dtype) * p)


def _parities(n: int) -> tuple[Float[np.ndarray, "n even"], Float[np.ndarray, "n odd"]]:
    """Return orthonormal bases of the even and of the odd vectors of n numbers."""
    half = n // 2
    one, turned = np.eye(n)[:, :half], np.eye(n)[:, ::-1][:, :half]
    middle = np.eye(n)[:, half : half + n % 2]
    return np.hstack([(one + turned) / np.sqrt(2), middle]), (one - turned) / np.sqrt(2)
