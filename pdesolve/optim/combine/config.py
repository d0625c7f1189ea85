"""ConFIG: the update that reduces all losses at the same rate."""

import equinox as eqx
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float

from ...errors import PdesolveError, UnknownNameError
from .rule import AbstractSpanRule
from .unit_rows import UnitRows
from .upgrad import upgrad_weights

__all__ = ["LENGTHS", "ConFIG", "least_norm"]

LENGTHS = ("projection", "minimum", "maximum", "arithmetic", "geometric", "harmonic", "first")
"""Rules for the length of the update."""

_UNSOLVABLE = 1e-3
"""Residual of the equal-rate equations above which they count as unsolvable: rows are dependent."""
_INDEPENDENT = 1e-2
"""Smallest eigenvalue of the cosines with which they determine the weights well enough, in single precision too."""


class ConFIG(AbstractSpanRule):
    r"""Conflict-free inverse gradients: the same angle to every gradient.

    $$\hat U x = w, \qquad A = \ell\, \frac{x}{|x|}, \qquad \ell = \sum_i g_i \cdot \frac{x}{|x|},$$

    with x of least norm and equal weights w by default: then $\cos(g_i, A) = 1 / |x|$ for all i; in general
    $\cos_i / \cos_j = w_i / w_j$. The direction does not depend on the lengths of the gradients.

    Two gradients have the closed form $A = \tfrac12 (|g_1| + |g_2|)(u_1 + u_2)$. More are solved by the factors of a QR
    decomposition, with a cutoff for singular values that depends on m alone. (Library pseudo-inverses cut at machine
    epsilon times the number of *parameters*: for 10^6 of them in single precision they drop the conflict itself, and
    return zero, or an update that raises a loss.)

    Absent terms (zero or not finite) are left out. Where rows are dependent and the equations have no solution,
    ConFIG's guarantee ends, and the update is that of `UPGrad`, which keeps it; where the common cosine would be below
    `tolerance`, as for opposite gradients, it is zero. Metrics: `degenerate` says that one of the two happened,
    `cosine` the common cosine.

    Args:
        length: Length of the update: `projection`, the sum of the projections of the gradients (the default: linear
            under a common scaling, and as large as the largest gradient makes it); or the `minimum`, `maximum`,
            `arithmetic`, `geometric` or `harmonic` mean of their norms, or the norm of the `first`, times the sum of
            cosines.
        direction: w, one number for each term; equal if None.
        tolerance: Smallest common cosine.

    Raises:
        UnknownNameError: If there is no such rule for the length.
        PdesolveError: If the direction weights are not positive, or not as many as the terms.

    References:
        Liu, Chu, Thuerey, ConFIG: towards conflict-free training of physics informed neural networks, ICLR (2025).
    """

    length: str = eqx.field(static=True, default="projection")
    direction: tuple[float, ...] | None = eqx.field(static=True, default=None)
    tolerance: float | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if self.length not in LENGTHS:
            raise UnknownNameError("length of ConFIG", self.length, LENGTHS)
        if self.direction is not None and not all(weight > 0 for weight in self.direction):
            raise PdesolveError(f"`direction` needs positive weights, got {self.direction}.")

    def weights(self, rows):
        """The closed form, or the factored equations with a fallback."""
        m = rows.lengths.shape[0]
        if self.direction is not None and len(self.direction) != m:
            raise PdesolveError(f"`direction` has {len(self.direction)} weights for {m} terms.")
        dtype = rows.lengths.dtype
        wanted = jnp.asarray(self.direction or (1.0,) * m, dtype) * rows.present
        smallest = (1e-6 if dtype == jnp.float64 else 1e-3) if self.tolerance is None else self.tolerance
        if m == 2 and self.direction is None:
            return self._bisector(rows, smallest)
        a, norm, gap = least_norm(rows, wanted)
        solvable = gap <= _UNSOLVABLE * jnp.maximum(jnp.max(wanted), 1e-30)
        # 1 / |x| is the common cosine for equal weights, and that of the largest weight at most otherwise.
        visible = norm * smallest < jnp.max(wanted)
        direction = a / jnp.where(norm > 0, norm, 1.0)
        cosines = wanted / jnp.where(norm > 0, norm, 1.0)
        ordinary = self._length(rows, cosines) * direction
        fallback = upgrad_weights(rows.cosines(), rows.lengths)
        weights = jnp.where(solvable, jnp.where(visible, ordinary, 0.0), fallback)
        return weights, {"degenerate": ~(solvable & visible) & jnp.any(rows.present), "cosine": jnp.max(cosines)}

    def _bisector(self, rows: UnitRows, smallest: float) -> tuple[Float[Array, " m"], dict[str, Array]]:
        """Two terms: the sum of the unit rows, without a division but by the norms."""
        both = jnp.all(rows.present)
        total = rows.sum(jnp.ones(2, rows.lengths.dtype))
        common = 0.5 * optax.tree.norm(total)  # sqrt((1 + c) / 2)
        # Rounding of the lengths tilts the sum where the rows are nearly opposed: of (1 + t) u_1 + (1 - t) u_2 that is
        # sought whose products with both are equal.
        first, second = rows.products(total)
        apart = 4.0 - 4.0 * common**2  # |u_1 - u_2|^2
        tilt = jnp.where(both & (apart > 1.0), (second - first) / jnp.where(apart > 1.0, apart, 1.0), 0.0)
        visible = ~both | (common > smallest)
        both_cosines = jnp.where(both, common, 1.0) * rows.present
        length = self._length(rows, both_cosines)
        scale = jnp.where(both, 1.0 / (2.0 * jnp.where(common > 0, common, 1.0)), 1.0)
        turned = jnp.stack([1.0 + tilt, 1.0 - tilt])
        weights = jnp.where(visible, length * scale, 0.0) * turned * rows.present
        return weights, {"degenerate": ~visible, "cosine": jnp.where(both, common, 1.0)}

    def _length(self, rows: UnitRows, cosines: Float[Array, " m"]) -> Float[Array, ""]:
        """The length of the update, given the cosines that it makes with the rows."""
        lengths, present = rows.lengths, rows.present
        if self.length == "projection":
            return jnp.sum(lengths * cosines)
        count = jnp.maximum(jnp.sum(present), 1)
        safe = jnp.where(present, lengths, 1.0)
        tracked = {
            "minimum": lambda: jnp.min(jnp.where(present, lengths, jnp.inf)),
            "maximum": lambda: jnp.max(lengths),
            "arithmetic": lambda: jnp.sum(lengths) / count,
            "geometric": lambda: jnp.exp(jnp.sum(jnp.where(present, jnp.log(safe), 0.0)) / count),
            "harmonic": lambda: count / jnp.sum(jnp.where(present, 1.0 / safe, 0.0)),
            "first": lambda: lengths[0],
        }[self.length]()
        return jnp.where(jnp.any(present), tracked, 0.0) * jnp.sum(cosines)


def least_norm(rows: UnitRows, wanted: Float[Array, " m"]) -> tuple[Array, Array, Array]:
    r"""Solve $\hat U x = w$, $x = \hat U^\top a$ of least norm.

    Returns:
        a, |x|, and the largest residual $|u_i \cdot x - w_i|$.
    """
    cosines = rows.cosines() + jnp.diag(~rows.present).astype(wanted.dtype)
    values, vectors = jnp.linalg.eigh(cosines)
    a = vectors @ ((vectors.T @ wanted) / values)
    # Cosines lose the digits of nearly dependent rows. Where they have not, no gradient needs to be read again.
    return lax.cond(
        values[0] > _INDEPENDENT,
        lambda: (a, jnp.sqrt(wanted @ a), jnp.max(jnp.abs(cosines @ a - wanted))),
        lambda: _factored(rows, wanted),
    )


def _factored(rows: UnitRows, wanted: Float[Array, " m"]) -> tuple[Array, Array, Array]:
    """The same by a QR factorisation of the rows and a refinement."""
    _, singular, v = jnp.linalg.svd(rows.factor())
    kept = singular > 8 * len(wanted) * jnp.finfo(singular.dtype).eps * singular[0]
    inverse = jnp.where(kept, 1.0 / jnp.where(kept, singular, 1.0), 0.0)

    def solve(right):
        return v.T @ (inverse**2 * (v @ right))

    # One refinement: a is as large as the conflict, and its rounding is what the rows' products show.
    a = solve(wanted)
    residual = wanted - rows.products(rows.sum(a))
    a = a + solve(residual)
    x = rows.sum(a)
    gap = jnp.max(jnp.abs(rows.products(x) - wanted) * rows.present, initial=0.0)
    return a, jnp.linalg.norm(inverse * (v @ wanted)), gap
