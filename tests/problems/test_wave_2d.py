"""The membrane's family: its equation by differences, its law, its classical solver."""

import numpy as np

from problems.wave_2d import Wave2D


def values(family, resolution, at):
    """Return the first sample at another time."""
    return Wave2D(**{**vars(family), "duration": at}).generate(1, resolution, seed=2).outputs[0, 0]


def test_equation_and_conditions():
    """Second differences in space and time of smooth deflections; zero on the boundary; at rest at the start."""
    family, n, dt = Wave2D(modes=3, speed=0.5), 129, 1e-3
    before, now, after = (values(family, n, t) for t in (0.7 - dt, 0.7, 0.7 + dt))
    acceleration = (after - 2 * now + before)[1:-1, 1:-1] / dt**2
    inner = now[1:-1, 1:-1]
    around = now[2:, 1:-1] + now[:-2, 1:-1] + now[1:-1, 2:] + now[1:-1, :-2]
    tension = 0.25 * (around - 4 * inner) * (n - 1) ** 2
    assert np.abs(acceleration - tension).max() < 3e-3 * np.abs(tension).max()
    for edge in (now[0], now[-1], now[:, 0], now[:, -1]):
        assert np.abs(edge).max() < 1e-14
    early = values(family, n, dt) - family.generate(1, n, seed=2).inputs[0, 0]
    assert np.abs(early).max() < 2 * dt**2 * np.abs(tension).max()


def test_law_of_deflections():
    """Uniform amplitudes times the stated law; sample k does not depend on how many are drawn."""
    many = Wave2D().amplitudes(200, seed=0)
    i = np.arange(1, 25.0)
    scaled = many * 24**2 / np.pi * (i[:, None] ** 2 + i[None] ** 2)
    assert np.abs(scaled).max() <= 1 and abs(scaled.var() - 1 / 3) < 0.01
    np.testing.assert_array_equal(Wave2D().amplitudes(2, seed=0), many[:2])
    np.testing.assert_allclose(
        Wave2D().amplitudes(1, seed=0)[0, 1, 2] / Wave2D(smoothness=0.0).amplitudes(1, 0)[0, 1, 2], 1 / 13
    )


def test_shapes_and_resolutions():
    fine, coarse = (Wave2D().generate(2, n, seed=1) for n in (65, 33))
    assert fine.inputs.shape == fine.outputs.shape == (2, 1, 65, 65)
    np.testing.assert_allclose(fine.outputs[..., ::2, ::2], coarse.outputs, atol=1e-14)
    assert np.linalg.norm(fine.outputs - fine.inputs) > 0.3 * np.linalg.norm(fine.inputs)


def test_classical_solver_is_coarsened_to_the_tolerance():
    loose, tight = Wave2D().classical(0.3), Wave2D().classical(1e-10)
    assert loose.error <= 0.3 and tight.error <= 1e-10
    assert loose.resolution < tight.resolution == 25
    x = np.linspace(0, 1, 9)
    points = np.stack(np.meshgrid(x, x, indexing="ij"), -1).reshape(-1, 2)
    expected = Wave2D().generate(1, 9, seed=0).outputs[0, 0]
    np.testing.assert_allclose(tight.evaluate(points)["u"].reshape(9, 9), expected, atol=1e-13)
