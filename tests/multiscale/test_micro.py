"""Closed-form materials: their tangents, their energy, their behaviour at zero strain."""

import numpy as np
import pytest

from pdesolve.errors import PdesolveError
from pdesolve.multiscale import InProcesses, LinearElastic, MicroModel, SaturatingElastic

from .laminate import Laminate

MATERIALS = [LinearElastic(), SaturatingElastic(), SaturatingElastic(out_of_plane=False)]
STRAINS = np.random.default_rng(0).uniform(-0.04, 0.04, (20, 3))


@pytest.mark.parametrize("material", [*MATERIALS, Laminate(SaturatingElastic(), LinearElastic(2e4, 1e4))])
def test_tangent_is_the_derivative(material):
    assert isinstance(material, MicroModel)
    _, tangents = material.respond(STRAINS)
    step = 1e-6
    for component in range(3):
        shift = step * np.eye(3)[component][None]
        high, low = material.respond(STRAINS + shift)[0], material.respond(STRAINS - shift)[0]
        np.testing.assert_allclose(tangents[:, :, component], (high - low) / (2 * step), rtol=1e-7, atol=1e-4)


def test_energy_of_the_saturating_law():
    """The stress is the derivative of K tr^2 / 2 + alpha_1 (n - alpha_2 log(1 + n / alpha_2)), in three dimensions."""

    def energy(strain):
        xx, yy, xy = strain[0], strain[1], strain[2] / 2
        full = np.array([[xx, xy, 0.0], [xy, yy, 0.0], [0.0, 0.0, 0.0]])
        trace = np.trace(full)
        n = np.linalg.norm(full - trace / 3 * np.eye(3))
        return 4.78e3 * trace**2 / 2 + 50.0 * (n - 0.06 * np.log(1 + n / 0.06))

    stresses, tangents = SaturatingElastic().respond(STRAINS)
    step = 1e-6
    for strain, stress in zip(STRAINS, stresses, strict=True):
        slope = [(energy(strain + step * d) - energy(strain - step * d)) / (2 * step) for d in np.eye(3)]
        np.testing.assert_allclose(stress, slope, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(tangents, np.swapaxes(tangents, 1, 2), atol=1e-11)


def test_the_released_law_has_no_energy():
    """Its tangent is unsymmetric, by at most about one per cent of its largest entry."""
    _, tangents = SaturatingElastic(out_of_plane=False).respond(STRAINS)
    gap = np.abs(tangents - np.swapaxes(tangents, 1, 2)).max(axis=(1, 2)) / np.abs(tangents).max(axis=(1, 2))
    assert 1e-4 < gap.max() < 2e-2


def test_both_laws_agree_at_zero_strain():
    """The norm has no derivative there, the stress has: that of the linear law of shear modulus alpha_1 / 2 alpha_2."""
    for material in MATERIALS[1:]:
        stresses, tangents = material.respond(np.zeros((1, 3)))
        assert not stresses.any()
        np.testing.assert_allclose(tangents[0], LinearElastic().stiffness(), rtol=1e-12, atol=1e-9)


def test_arguments():
    with pytest.raises(PdesolveError, match="`bulk` must be positive, got -1"):
        LinearElastic(bulk=-1.0)
    with pytest.raises(PdesolveError, match="`strain` must be positive"):
        SaturatingElastic(strain=0.0)
    with pytest.raises(PdesolveError, match="`processes` must be at least 1, got 0"):
        InProcesses(LinearElastic(), 0)
    with pytest.raises(PdesolveError, match="not running"):
        InProcesses(LinearElastic(), 1).respond(STRAINS)
