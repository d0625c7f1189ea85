"""Spectra of the Hermitian square, where they are known; and the steps that gradient descent takes, against them."""

import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.cli import main
from pdesolve.conditioning import spectrum
from pdesolve.objective import Objective, PointwiseBlock, Term, linearise
from pdesolve.samplers import FixedSamples


def block(name, function, points, weight):
    return PointwiseBlock(function, FixedSamples(jnp.asarray(points)), (Term(name, weight=weight),))


def fourier(largest, scale=None):
    """Poisson's equation with a Fourier series on (-pi, pi) and Dirichlet points: integrals by trapezoids, exactly."""
    k = np.arange(1, largest + 1)
    scale = np.ones(2 * largest + 1) if scale is None else scale

    def basis(x, order):
        waves = jnp.concatenate([jnp.cos(k * x), jnp.sin(k * x)]) / np.sqrt(np.pi)
        return scale * jnp.concatenate([jnp.array([order == 0]) / np.sqrt(2 * np.pi), waves * np.tile(k**order, 2)])

    inside = -np.pi + 2 * np.pi * np.arange(4 * largest) / (4 * largest)
    blocks = (
        block("equation", lambda p, x, key, c: {"equation": basis(x, 2) @ p - 1.0}, inside, 2 * np.pi),
        block("ends", lambda p, x, key, c: {"ends": basis(x, 0) @ p}, [-np.pi, np.pi], 2.0),
    )
    return linearise(Objective(blocks), jnp.ones(2 * largest + 1))


@pytest.mark.parametrize(("largest", "plain", "scaled"), [(5, 3.6e3, 10.55), (20, 9.2e5, 10.56)])
def test_condition_numbers_of_a_fourier_series(largest, plain, scaled):
    """They grow as the fourth power of the frequency, and do not once coefficients are divided by k^2."""
    assert spectrum(fourier(largest)).condition_number == pytest.approx(plain, rel=0.02)
    weights = np.concatenate([[1.0], np.tile(1.0 / np.arange(1, largest + 1) ** 2, 2)])
    assert spectrum(fourier(largest, weights)).condition_number == pytest.approx(scaled, rel=1e-3)


def test_the_diagonal_is_scaled_to_one():
    """What is diagonal becomes the identity; half the sum of the eigenvalues is known to be half the number."""

    def residual(p, x, key, c):
        return {"a": p[0] * jnp.cos(x) + 100.0 * p[1] * jnp.sin(x)}

    model = linearise(Objective((block("a", residual, 2 * np.pi * np.arange(8) / 8, 2.0),)), jnp.ones(2))
    assert spectrum(model).condition_number == pytest.approx(1e4, rel=1e-12)
    assert spectrum(model, diagonal=True).condition_number == pytest.approx(1.0, rel=1e-12)


def test_gradient_descent_leaves_what_is_said():
    """By iteration: the residual after so many steps with the largest stable rate, and what no parameter can change."""
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((12, 5)) * 10.0 ** np.arange(0, -5, -1)
    target = rng.standard_normal(12)
    rows = jnp.asarray(matrix)
    index = jnp.arange(12)
    objective = Objective((block("a", lambda p, i, key, c: {"a": rows[i] @ p - jnp.asarray(target)[i]}, index, 12.0),))
    found = spectrum(linearise(objective, jnp.zeros(5)))
    rate, p = 1.0 / np.linalg.norm(matrix, 2) ** 2, np.zeros(5)
    for step in range(1, 1001):
        p = p - rate * matrix.T @ (matrix @ p - target)
        if step in (1, 10, 1000):
            left = np.linalg.norm(matrix @ p - target) / np.linalg.norm(target)
            assert found.left(step) == pytest.approx(left, rel=1e-9)
    assert found.directions(1.0) == 0 and found.directions(1e12) == 5
    fixed = np.linalg.norm(matrix @ np.linalg.lstsq(matrix, target)[0] - target) / np.linalg.norm(target)
    assert found.left(1e14) == pytest.approx(fixed, rel=1e-6)


@pytest.mark.slow
def test_a_named_problem_is_diagnosed(capsys):
    """By the command: the recipe and its remedies, each with its number of parameters."""
    words = ["diagnose", "heat_1d", "--network", "mlp", "--spectrum-points", "64", "--width", "6", "--depth", "2"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    for line in ("as the recipe says", "conditions as loss terms", "Fourier features", "twice as wide"):
        assert line in printed
    assert " 67 " in printed  # 2 x 6 + 6 + 6 x 6 + 6 + 6 + 1
    assert main([*words, "--soft"]) == 0
    assert "conditions met exactly" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["haet_1d"], "Did you mean 'heat_1d'"),
        (["heat_1d", "--spectrum-points", "2"], "at least 4"),
        (["burgers_family"], "is a family of problems"),
        (["heat_1d", "--network", "mpl"], "Did you mean 'mlp'"),
    ],
)
def test_bad_words_are_named(words, message, capsys):
    """Exit code 2, and what is wrong."""
    assert main(["diagnose", *words]) == 2
    assert message in capsys.readouterr().err
