"""Points of the unit cube by several samplers, and residual-based adaptive selection among candidates.

Everything here is NumPy in float64 and deterministic by seed; nothing knows about domains or networks.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import qmc

from .errors import PdesolveError, UnknownNameError

__all__ = ["SAMPLERS", "rad", "unit_points"]


def unit_points(
    num_points: int, dimension: int, sampler: str = "sobol", seed: int = 0
) -> Float[np.ndarray, "num_points dimension"]:
    """Return points of the unit cube [0, 1]^d.

    The first rows of a longer draw also cover the cube, whichever the sampler, so that a caller may reject some
    points and keep the first of the rest.

    Args:
        num_points: Number of points, at least 0.
        dimension: d, at least 0 (a cube of dimension 0 is one point, repeated).
        sampler: `uniform` (independent), `sobol` and `halton` (scrambled low-discrepancy sequences),
            `latin_hypercube` (each axis stratified in `num_points` cells) or `grid` (centres of a lattice of
            ceil(num_points^(1/d)) cells per axis in random order; complete where `num_points` is a d-th power).
        seed: Seed; equal seeds give equal points.

    Raises:
        UnknownNameError: If there is no such sampler.
        PdesolveError: If `num_points` or `dimension` is negative.
    """
    if sampler not in SAMPLERS:
        raise UnknownNameError("sampler", sampler, SAMPLERS)
    if num_points < 0 or dimension < 0:
        raise PdesolveError(f"`num_points` and `dimension` must not be negative, got {num_points} and {dimension}.")
    if num_points == 0 or dimension == 0:
        return np.empty((num_points, dimension))
    return SAMPLERS[sampler](num_points, dimension, np.random.default_rng(seed))


def rad(
    candidates: Float[np.ndarray, "m d"],
    scores: Float[np.ndarray, " m"],
    num_points: int,
    seed: int,
    exponent: float = 1.0,
    offset: float = 1.0,
) -> Int[np.ndarray, " num_points"]:
    r"""Choose collocation points by their residuals: residual-based adaptive distribution (RAD).

    Point $i$ is drawn without replacement with probability

    $$p_i \propto \frac{|s_i|^k}{\frac1m \sum_j |s_j|^k} + c.$$

    Args:
        candidates: Candidate points, usually uniform in the domain.
        scores: $s$, e.g. the residual at each candidate; the sign is ignored.
        num_points: Number of points to choose, at most m.
        seed: Seed; equal seeds give equal choices.
        exponent: $k \ge 0$. Larger values concentrate points where the residual is large.
        offset: $c \ge 0$. Larger values approach uniform sampling.

    Returns:
        Distinct indices into `candidates`. Scores which are all zero are treated as all equal.

    Raises:
        PdesolveError: If a score is not finite, the lengths differ, or more points are asked than there are.

    References:
        Wu, Zhu, Tan, Kartha, Lu, Comput. Methods Appl. Mech. Engrg. 403 (2023) 115671, eq. (2).
    """
    candidates, scores = np.asarray(candidates), np.abs(np.asarray(scores, dtype=np.float64))
    _check_selection(candidates, scores, num_points, exponent, offset)
    # Scaled by the largest score first, because the power may overflow or underflow.
    powers = np.ones_like(scores) if not scores.any() else (scores / scores.max()) ** exponent
    density = powers / powers.mean() + offset
    # The largest of log p + Gumbel noise are a draw without replacement, and zero probabilities come last.
    with np.errstate(divide="ignore"):
        ranks = np.log(density) + np.random.default_rng(seed).gumbel(size=len(density))
    return np.argsort(-ranks, kind="stable")[:num_points]


def _uniform(num_points: int, dimension: int, rng: np.random.Generator) -> np.ndarray:
    return rng.random((num_points, dimension))


def _sobol(num_points: int, dimension: int, rng: np.random.Generator) -> np.ndarray:
    # Drawn by powers of two: the sequence is balanced only there, and scipy warns otherwise.
    exponent = (num_points - 1).bit_length()
    return qmc.Sobol(dimension, scramble=True, rng=rng).random_base2(exponent)[:num_points]


def _halton(num_points: int, dimension: int, rng: np.random.Generator) -> np.ndarray:
    return qmc.Halton(dimension, scramble=True, rng=rng).random(num_points)


def _latin_hypercube(num_points: int, dimension: int, rng: np.random.Generator) -> np.ndarray:
    return qmc.LatinHypercube(dimension, rng=rng).random(num_points)


def _grid(num_points: int, dimension: int, rng: np.random.Generator) -> np.ndarray:
    cells = 1
    while cells**dimension < num_points:
        cells += 1
    # Cells are chosen by number: the whole lattice would not fit in memory in many dimensions.
    total = cells**dimension
    if total <= 2**24:
        chosen = rng.permutation(total)[:num_points]
        return (np.stack(np.unravel_index(chosen, (cells,) * dimension), axis=1) + 0.5) / cells
    raise PdesolveError(
        f"sampler 'grid' needs {cells} cells per axis, {cells}^{dimension} in all, for {num_points} points. "
        "Use 'sobol' in many dimensions."
    )


SAMPLERS: dict[str, Callable[[int, int, np.random.Generator], np.ndarray]] = {
    "uniform": _uniform,
    "sobol": _sobol,
    "halton": _halton,
    "latin_hypercube": _latin_hypercube,
    "grid": _grid,
}
"""Samplers by name: `(num_points, dimension, rng) -> points`."""


def _check_selection(
    candidates: np.ndarray, scores: np.ndarray, num_points: int, exponent: float, offset: float
) -> None:
    if scores.shape != (len(candidates),):
        raise PdesolveError(
            f"expected one score for each of the {len(candidates)} candidates, shape ({len(candidates)},); "
            f"got scores of shape {scores.shape}."
        )
    if not np.isfinite(scores).all():
        raise PdesolveError(
            f"{np.sum(~np.isfinite(scores))} of {len(scores)} scores are not finite. "
            "The residual diverged at these candidates: stop, or restore the last good parameters."
        )
    if not 0 <= num_points <= len(candidates):
        raise PdesolveError(f"cannot choose {num_points} of {len(candidates)} candidates without replacement.")
    if exponent < 0 or offset < 0:
        raise PdesolveError(f"`exponent` and `offset` must not be negative, got {exponent} and {offset}.")
