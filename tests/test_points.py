"""Samplers of the unit cube, and residual-adaptive selection."""

import numpy as np
import pytest
from scipy import stats

from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.points import SAMPLERS, rad, unit_points


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("dimension", [0, 1, 2, 5])
def test_shape_range_and_determinism(sampler, dimension):
    """Points are in [0, 1]^d, the same for a seed and others for another; counts are no powers of anything."""
    points = unit_points(37, dimension, sampler, seed=3)
    assert points.shape == (37, dimension) and points.dtype == np.float64
    assert np.all((points >= 0) & (points <= 1))
    np.testing.assert_array_equal(points, unit_points(37, dimension, sampler, seed=3))
    if dimension:
        assert not np.array_equal(points, unit_points(37, dimension, sampler, seed=4))
    assert unit_points(0, dimension, sampler).shape == (0, dimension)


def cells_statistic(points: np.ndarray, cells: int) -> float:
    """Pearson's chi-square of the counts in cells^2 squares."""
    counts, _, _ = np.histogram2d(*points.T, bins=cells, range=[(0, 1), (0, 1)])
    return stats.chisquare(counts.ravel()).statistic


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("part", [1.0, 0.5])
def test_uniform_in_the_square(sampler, part):
    """Chi-square of 64 cells is below its 1 - 1e-4 quantile, also for the first half of the points."""
    points = unit_points(4096, 2, sampler, seed=0)
    assert cells_statistic(points[: int(part * 4096)], 8) < stats.chi2.ppf(1 - 1e-4, 63)


@pytest.mark.parametrize("sampler", ["sobol", "halton", "latin_hypercube", "grid"])
def test_more_even_than_random(sampler):
    """The star discrepancy of the even samplers is below that of independent points."""
    discrepancy = stats.qmc.discrepancy
    even = discrepancy(unit_points(256, 2, sampler), method="L2-star")
    random = np.mean([discrepancy(unit_points(256, 2, "uniform", seed), method="L2-star") for seed in range(20)])
    assert even < 0.8 * random


def test_sobol_is_a_net():
    """Of 2^m points of a scrambled Sobol sequence in the plane, each dyadic square of area 2^-m holds one."""
    points = unit_points(256, 2, "sobol", seed=1)
    assert cells_statistic(points, 16) == 0
    np.testing.assert_array_equal(unit_points(100, 2, "sobol", seed=1), points[:100])


def test_latin_hypercube_is_stratified():
    """Each of n intervals of each axis holds one of n points."""
    points = unit_points(50, 3, "latin_hypercube")
    np.testing.assert_array_equal(np.sort((points * 50).astype(int), axis=0), np.tile(np.arange(50)[:, None], 3))


def test_grid_is_a_lattice():
    """For n = 5^2 the points are the centres of the 5 x 5 cells."""
    points = unit_points(25, 2, "grid")
    centres = (np.arange(5) + 0.5) / 5
    expected = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).reshape(-1, 2)
    np.testing.assert_allclose(points[np.lexsort(points.T[::-1])], expected, rtol=1e-15)


@pytest.mark.parametrize("exponent, offset", [(1.0, 1.0), (2.0, 0.0), (0.0, 0.0)])
def test_rad_draws_with_its_density(exponent, offset):
    """The first draw has probability p_i ~ s_i^k / mean(s^k) + c: chi-square over 4000 seeds."""
    scores = np.array([0.1, -0.5, 1.0, 2.0, 0.3])
    powers = np.abs(scores) ** exponent
    density = powers / powers.mean() + offset
    first = [rad(scores[:, None], scores, 1, seed, exponent, offset)[0] for seed in range(4000)]
    statistic = stats.chisquare(np.bincount(first, minlength=5), 4000 * density / density.sum()).statistic
    assert statistic < stats.chi2.ppf(1 - 1e-4, 4)


def test_rad_is_without_replacement_and_deterministic():
    """Indices are distinct; choosing all of them is a permutation."""
    scores = np.random.default_rng(0).random(100) ** 4
    chosen = rad(np.zeros((100, 2)), scores, 60, seed=1)
    assert len(set(chosen.tolist())) == 60
    np.testing.assert_array_equal(chosen, rad(np.zeros((100, 2)), scores, 60, seed=1))
    np.testing.assert_array_equal(np.sort(rad(np.zeros((100, 2)), scores, 100, seed=1)), np.arange(100))


def test_rad_survives_extreme_scores():
    """Powers that overflow, and scores that are all zero, still give a choice."""
    scores = np.array([1e300, 1e-300, 1e300, 0.0])
    assert set(rad(np.zeros((4, 1)), scores, 2, seed=0, exponent=2.0, offset=0.0).tolist()) == {0, 2}
    assert len(rad(np.zeros((4, 1)), np.zeros(4), 3, seed=0, exponent=2.0, offset=0.0)) == 3


def test_errors():
    """Each says what was given and what is accepted."""
    with pytest.raises(UnknownNameError, match=r"unknown sampler 'sobl'. Did you mean 'sobol'"):
        unit_points(3, 2, "sobl")
    with pytest.raises(PdesolveError, match="must not be negative, got -1 and 2"):
        unit_points(-1, 2)
    with pytest.raises(PdesolveError, match=r"3\^100 in all"):
        unit_points(2**101, 100, "grid")
    with pytest.raises(PdesolveError, match="1 of 3 scores are not finite"):
        rad(np.zeros((3, 1)), np.array([1.0, np.nan, 2.0]), 1, seed=0)
    with pytest.raises(PdesolveError, match="one score for each of the 3 candidates"):
        rad(np.zeros((3, 1)), np.zeros((3, 1)), 1, seed=0)
    with pytest.raises(PdesolveError, match="cannot choose 4 of 3 candidates"):
        rad(np.zeros((3, 1)), np.ones(3), 4, seed=0)
    with pytest.raises(PdesolveError, match=r"got -1.0 and 1.0"):
        rad(np.zeros((3, 1)), np.ones(3), 2, seed=0, exponent=-1.0)
