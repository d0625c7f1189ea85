"""The two Darcy families: their solver against other ones, its order, fluxes, error bounds, random coefficients."""

import numpy as np
import pytest
import scipy.fft

from pdesolve.errors import PdesolveError
from problems._fields import cosine_values
from problems.darcy_2d import Darcy2D, Darcy2DLognormal, _solve


@pytest.fixture(scope="module", params=[Darcy2D, Darcy2DLognormal])
def family(request):
    return request.param()


@pytest.fixture(scope="module")
def data(family):
    return family.generate(2, 41, seed=3)


def grid(n):
    x = np.linspace(0, 1, n)
    return np.meshgrid(x, x, indexing="ij")


def test_constant_coefficient_against_sine_transforms():
    """a = 5: the five-point Laplacian is diagonal in the sine basis, so the solution is known to round-off."""
    n = 33
    k = np.arange(1, n - 1)
    eigenvalues = (2 - 2 * np.cos(np.pi * k / (n - 1))) * (n - 1) ** 2
    f_hat = scipy.fft.dstn(np.ones((n - 2, n - 2)), type=1)
    expected = scipy.fft.idstn(f_hat / (5.0 * (eigenvalues[:, None] + eigenvalues)), type=1)
    np.testing.assert_allclose(_solve(np.full((n, n), 5.0))[1:-1, 1:-1], expected, rtol=1e-11)


def test_second_order_for_a_smooth_coefficient():
    """a = exp(sin(pi x) y), u = sin(pi x) sin(2 pi y), the source from -div(a grad u) by hand."""
    h, error = [], []
    for n in (17, 33, 65, 129):
        x, y = grid(n)
        a, u = np.exp(np.sin(np.pi * x) * y), np.sin(np.pi * x) * np.sin(2 * np.pi * y)
        a_x, a_y = a * y * np.pi * np.cos(np.pi * x), a * np.sin(np.pi * x)
        u_x = np.pi * np.cos(np.pi * x) * np.sin(2 * np.pi * y)
        u_y = 2 * np.pi * np.sin(np.pi * x) * np.cos(2 * np.pi * y)
        source = 5 * np.pi**2 * a * u - a_x * u_x - a_y * u_y
        h.append(1 / (n - 1))
        error.append(np.linalg.norm(_solve(a, source) - u) / np.linalg.norm(u))
    assert abs(np.polyfit(np.log(h), np.log(error), 1)[0] - 2) < 0.1
    assert error[-1] < 1e-3


def test_layers_in_series_need_the_harmonic_mean():
    """Two layers, halfway between points; a source for which u is linear in each layer, with the flux continuous.

    u = (x / a_1 in the first layer, and so on) y (1 - y): the flux along x is y (1 - y) everywhere, and the source
    that remains, 2 a (x / a_1, ...), is exact in differences because u is quadratic along y.
    """
    n, jump = 21, 0.475
    x, y = grid(n)
    first, second = 3.0, 12.0
    a = np.where(x < jump, first, second)
    along = np.where(x < jump, x / first, jump / first + (x - jump) / second)
    # It must vanish at x = 1 too: take off the same of a layer with a source at its points, by superposition.
    end = along[-1, 0]
    u = along * y * (1 - y)
    solved = _solve(a, 2 * a * along)  # with u = 0 at x = 1
    boundary = _solve_with_end(a, end * (y * (1 - y))[-1])
    np.testing.assert_allclose(solved + boundary, u, atol=1e-12)


def _solve_with_end(a, values):
    """The solution without sources and with given values at x = 1, as one with sources next to that end."""
    n = len(a)
    source = np.zeros_like(a)
    face = 2 * a[-2] * a[-1] / (a[-2] + a[-1])
    source[-2] = face * values * (n - 1) ** 2
    u = _solve(a, source)
    u[-1] = values
    return u


def test_what_flows_out_is_what_is_fed(family):
    """The fluxes through the faces next to the boundary sum to the source of all inner points, to round-off."""
    a = family.coefficient(cosine_values(family.gaussian(1, seed=3)[0], 65))
    u = _solve(a)
    outflow = 0.0
    for b, v in ((a, u), (a[::-1], u[::-1]), (a.T, u.T), (a.T[::-1], u.T[::-1])):
        outflow += np.sum(2 / (1 / b[0, 1:-1] + 1 / b[1, 1:-1]) * v[1, 1:-1])
    np.testing.assert_allclose(outflow, 63**2 / 64**2, rtol=1e-10)


def test_symmetry_and_scale(family):
    """The solution of the mirrored coefficient is the mirrored solution; that of 2 a is half of it; it is positive."""
    a = family.coefficient(cosine_values(family.gaussian(1, seed=1)[0], 49))
    u = _solve(a)
    np.testing.assert_allclose(_solve(a.T), u.T, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(_solve(a[::-1]), u[::-1], rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(_solve(2 * a), u / 2, rtol=1e-10, atol=1e-15)
    assert np.all(u[1:-1, 1:-1] > 0)


def test_against_finite_elements(family, data):
    """Bilinear elements on cells between the points of a finer grid, coefficient at the quadrature points."""
    skfem = pytest.importorskip("skfem")
    from skfem.helpers import dot, grad

    axis = np.linspace(0, 1, 241)
    mesh = skfem.MeshQuad.init_tensor(axis, axis)
    basis = skfem.Basis(mesh, skfem.ElementQuad1(), intorder=2)
    c = family.gaussian(1, seed=3)[0]
    k = np.arange(len(c))
    scale = np.where(k == 0, 1.0, np.sqrt(2.0))
    # The series at the quadrature points, one direction after the other: they lie on lines.
    shape = basis.global_coordinates().shape
    x, y = (np.asarray(values).ravel() for values in basis.global_coordinates())
    lines, where = np.unique(np.round(x, 12), return_inverse=True)
    rows, columns = np.unique(np.round(y, 12), return_inverse=True)
    first, second = (scale * np.cos(np.pi * np.outer(values, k)) for values in (lines, rows))
    a = family.coefficient((first @ c @ second.T)[where, columns]).reshape(shape[1:])

    @skfem.BilinearForm
    def stiffness(u, v, w):
        return w.a * dot(grad(u), grad(v))

    @skfem.LinearForm
    def load(v, w):
        return 1.0 * v

    matrix, vector = stiffness.assemble(basis, a=a), load.assemble(basis)
    nodal = skfem.solve(*skfem.condense(matrix, vector, D=mesh.boundary_nodes()))
    index = np.round(mesh.p * 240).astype(int)
    values = np.zeros((241, 241))
    values[index[0], index[1]] = nodal
    error = np.linalg.norm(values[::6, ::6] - data.outputs[0, 0]) / np.linalg.norm(values[::6, ::6])
    assert error < 2 * data.error_bound, "elements on jumping coefficients have an error of the same size"


def test_error_bound_and_shapes(family, data):
    """A bound below the error of a good network; points on the boundary, where u vanishes."""
    assert data.inputs.shape == data.outputs.shape == (2, 1, 41, 41)
    np.testing.assert_allclose(data.coordinates["y"], np.linspace(0, 1, 41))
    assert 0 < data.error_bound < 2e-2 and data.seconds > 0
    edges = [data.outputs[..., 0], data.outputs[..., -1], data.outputs[..., 0, :], data.outputs[..., -1, :]]
    assert not np.any(edges)


def test_sample_does_not_depend_on_how_many(family, data):
    """Nor on the resolution, where one grid contains the other: values at shared points are the same."""
    fewer = family.generate(1, 21, seed=3)
    np.testing.assert_array_equal(fewer.inputs, data.inputs[:1, :, ::2, ::2])
    np.testing.assert_array_equal(fewer.outputs, data.outputs[:1, :, ::2, ::2])
    assert not np.allclose(data.inputs[0], data.inputs[1])


def test_laws_of_the_coefficient():
    """Two values, half each on average; the logarithm is a Gaussian function of standard deviation about 0.3."""
    g = cosine_values(Darcy2D().gaussian(400, seed=0), 21)
    a = Darcy2D(low=2.0, high=5.0).coefficient(g)
    assert set(np.unique(a)) == {2.0, 5.0}
    assert abs(np.mean(a == 5.0) - 0.5) < 0.05
    smooth = Darcy2DLognormal(strength=0.5).coefficient(g)
    np.testing.assert_allclose(np.log(smooth), 0.5 * g, atol=1e-14)


def test_classical_solver_is_coarsened_to_the_tolerance():
    """The error it reports is at most the tolerance, and a coarser grid is chosen for a larger one."""
    family = Darcy2DLognormal()
    loose, tight = family.classical(1e-1), family.classical(1e-2)
    assert loose.error <= 1e-1 and tight.error <= 1e-2
    assert loose.resolution < tight.resolution
    x, y = grid(5)
    expected = family.generate(1, 5, seed=0).outputs[0, 0]
    values = tight.evaluate(np.stack([x.ravel(), y.ravel()], -1))["u"].reshape(5, 5)
    assert np.linalg.norm(values - expected) < 3e-2 * np.linalg.norm(expected)


def test_bad_input():
    with pytest.raises(PdesolveError, match="at least 3, got 2"):
        Darcy2D().generate(1, 2, seed=0)
    with pytest.raises(PdesolveError, match="`low` must be positive"):
        Darcy2D(low=0.0)
