r"""The odd trend of EquiNO's coefficients in the mean strain: one linear solve, under the networks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float

from pdesolve.errors import PdesolveError
from pdesolve.nets import Fixed

from .equino_modes import Modes
from .equino_oracle import Optimum
from .materials import deviator_squares

__all__ = ["POWERS", "OddTrend", "blank_trend", "fit_trend", "num_features", "toward_zero"]

POWERS = 3
"""Highest power of the saturating length."""

_RIDGE = 1e-12
"""Added to the diagonal of normal equations of unit columns."""


class OddTrend(eqx.Module):
    r"""Odd functions of a mean strain that saturate along each ray as the material does.

    $$y(x) = A_0 x + \sum_{d=1}^{3} |x| \, s^d A_d \, p_L(x / |x|), \quad s = \frac{|x|}{1 + |x|},$$

    $p_L$ the monomials of odd degree L in three variables and $|x|$ the length of a metric. The stresses of isotropic
    materials are odd in the strain, and so is all that follows from them. That of a saturating one is, along a ray, a
    function of s of low degree, which no polynomial in the strain is: it has a kink at zero. Lower odd degrees of the
    direction are contained, its own length being one.
    """

    metric: Fixed
    """Symmetric, `(3, 3)`."""
    weights: Fixed
    """$A_0, A_1, \\dots$ side by side, `(2, mode, feature)`."""
    degree: int = eqx.field(static=True)

    def __call__(self, x: Float[Array, " 3"]) -> Float[Array, "2 mode"]:
        """Return the trend at a mean strain in units of the bound."""
        return self.weights.value @ features(x, self.metric.value, self.degree)


def features(x: Float[Array, " 3"], metric: Float[Array, "3 3"], degree: int) -> Float[Array, " feature"]:
    """Return the odd functions of a mean strain; at zero they are zero and have a derivative."""
    if degree == 1:
        return x
    square = x @ metric @ x
    # The root of zero has no derivative, and not even an unused branch may have a NaN for one.
    length = jnp.sqrt(jnp.where(square > 0, square, 1.0))
    powers = [jnp.concatenate([jnp.ones(1, x.dtype), jnp.cumprod(jnp.full(degree, u))]) for u in x / length]
    grid = [(i, j, degree - i - j) for i in range(degree + 1) for j in range(degree + 1 - i)]
    directions = jnp.stack([powers[0][i] * powers[1][j] * powers[2][k] for i, j, k in grid])
    length = jnp.where(square > 0, length, 0.0)
    lengths = length * (length / (1.0 + length)) ** jnp.arange(1, POWERS + 1)
    return jnp.concatenate([x, (lengths[:, None] * directions[None]).reshape(-1)])


def num_features(degree: int) -> int:
    """Return the number of functions.

    Raises:
        PdesolveError: If the degree is not odd.
    """
    if degree < 1 or degree % 2 == 0:
        raise PdesolveError(f"the degree of an odd trend must be 1, 3, 5, ...; got {degree}.")
    return 3 if degree == 1 else 3 + POWERS * (degree + 1) * (degree + 2) // 2


def blank_trend(rank: int, degree: int) -> OddTrend:
    """Return a trend of zero, to be filled from a file."""
    return OddTrend(Fixed(jnp.eye(3)), Fixed(jnp.zeros((2, rank, num_features(degree)))), degree)


def fit_trend(modes: Modes, strains: Float[Array, "n 3"], optimum: Optimum, *, degree: int = 7) -> OddTrend:
    r"""Return the trend that makes the mean of $|U (y - y^*)|^2 / |x|^2$ least: small strains count as large ones do.

    To second order the numerator is the published loss less its optimum. The length $|x|$ is the root mean square, over
    the cell, of the strain's deviator in a linear trend. Strains near zero (`toward_zero`) make stiffnesses accurate
    there; a box has few of its points near its centre.

    Args:
        modes: The modes.
        strains: Mean strains, none of them zero.
        optimum: Their optima (`equino_solve`).
        degree: L, odd; 1 for a linear trend.

    Raises:
        PdesolveError: If the degree is not odd, or the strains are fewer than the functions.
    """
    count = num_features(degree)
    if len(strains) < count:
        raise PdesolveError(
            f"a trend of degree {degree} has {count} functions and needs as many strains, got {len(strains)}: draw "
            "more, or lower the degree."
        )
    x = strains / modes.bound.value
    linear = _solve(np.asarray(x), optimum)
    metric = jnp.asarray(_metric(modes, linear[0]))
    table = jax.vmap(lambda x: features(x, metric, degree))(x)
    lengths = jnp.sqrt(jnp.einsum("ni,ij,nj->n", x, metric, x))
    relative = optimum._replace(roots=optimum.roots / lengths[:, None, None])
    weights = _solve(np.asarray(table), relative)
    return OddTrend(Fixed(metric), Fixed(jnp.asarray(weights)), degree)


def toward_zero(strains: Float[Array, "n 3"], *, least: float = 0.02, most: float = 0.4) -> Float[Array, "n 3"]:
    """Return the strains shortened, each to another share of its length."""
    return strains * jnp.linspace(least, most, len(strains))[:, None]


def _solve(table: np.ndarray, optimum: Optimum) -> np.ndarray:
    """Return the weights of functions whose values are given, `(2, mode, feature)`, by the normal equations."""
    roots = np.asarray(optimum.roots)
    n, both, features = *roots.shape[:2], table.shape[1]
    curvature = np.einsum("nij,nik->njk", roots, roots)
    pairs = (table[:, :, None] * table[:, None]).reshape(n, -1)
    matrix = (curvature.reshape(n, -1).T @ pairs).reshape(both, both, features, features)
    matrix = matrix.transpose(0, 2, 1, 3).reshape(both * features, both * features)
    target = np.asarray(optimum.outputs).reshape(n, both)
    right = (np.einsum("njk,nk->nj", curvature, target).T @ table).reshape(-1)
    lengths = np.sqrt(np.diagonal(matrix))
    lengths = np.where(lengths > 0, lengths, 1.0)
    matrix = matrix / lengths[:, None] / lengths[None] + _RIDGE * np.eye(len(lengths))
    weights = scipy.linalg.solve(matrix, right / lengths, assume_a="pos") / lengths
    return weights.reshape(2, both // 2, features)


def _metric(modes: Modes, linear: np.ndarray) -> np.ndarray:
    """Return the mean square of the deviator as a quadratic form of the mean strain, in units of the bound."""
    bound, scales = float(modes.bound.value), np.asarray(modes.scales.value)[0]

    def square(x: np.ndarray) -> float:
        strains = modes.strains(jnp.asarray(bound * x), jnp.asarray(scales * (linear @ x)))
        return float(jnp.mean(deviator_squares(modes.materials, strains)))

    units = np.eye(3)
    form = np.array([[square(a + b) - square(a) - square(b) for b in units] for a in units]) / 2
    return form / np.trace(form)
