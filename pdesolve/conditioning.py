r"""How well a problem and a network suit gradient descent: the spectrum of the Hermitian square of the operator.

Linearised at the parameters, the loss of residuals $r$ with Jacobian $J$ is $\tfrac12 |r + J p|^2$, and gradient
descent with the largest stable step multiplies the part of r along a left singular vector of J by
$1 - \lambda_i / \lambda_{max}$ at every step, with the eigenvalues $\lambda_i$ of $A = J^\top J$:

$$A_{ij} = \sum_m w_m \langle D_m \partial_i u, D_m \partial_j u \rangle.$$

So the eigenvalues tell how many steps a first-order method will need, before any is made.

References:
    De Ryck, Bonnet, Mishra, de Bézenac, An operator preconditioning perspective on training in physics-informed machine
    learning, ICLR (2024).
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from .config import NetworkConfig, Recipe
from .objective import GaussNewton, linearise
from .pinn import build_objective, initial_ansatz
from .problem import AbstractProblem

__all__ = ["Spectrum", "diagnose", "spectrum"]

CUTOFF = 1e-14
"""Eigenvalues below this share of the largest are round-off."""


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of the Hermitian square, and how much of the residual belongs to each.

    Attributes:
        eigenvalues: Descending.
        shares: Parts of |r|^2 along the left singular vectors; what is missing to 1 no parameter can change.
    """

    eigenvalues: Float[np.ndarray, " p"]
    shares: Float[np.ndarray, " p"]

    @property
    def condition_number(self) -> float:
        """The largest eigenvalue over the smallest above round-off."""
        kept = self.eigenvalues[self.eigenvalues > CUTOFF * self.eigenvalues[0]]
        return float(kept[0] / kept[-1])

    def directions(self, steps: float) -> int:
        """Return the number of directions that so many steps of gradient descent reduce by a factor e or more."""
        return int(np.sum(self.eigenvalues > self.eigenvalues[0] / steps))

    def left(self, steps: float) -> float:
        r"""Return $|r| / |r_0|$ after so many steps, if the problem were linear."""
        rates = 1.0 - np.clip(self.eigenvalues / self.eigenvalues[0], 0.0, 1.0)
        with np.errstate(divide="ignore"):
            decay = np.exp(2.0 * steps * np.log(rates))
        fixed = max(0.0, 1.0 - float(self.shares.sum()))
        return float(np.sqrt(fixed + np.sum(decay * self.shares)))


def spectrum(model: GaussNewton, *, diagonal: bool = False) -> Spectrum:
    """Return the spectrum of a Gauss-Newton model.

    Args:
        model: Its rows are the Jacobian.
        diagonal: Whether parameters are scaled first so that the diagonal of A is 1, as Adam does in the long run.
    """
    rows = np.concatenate([np.asarray(part, dtype=float) for part in model.rows])
    residual = np.concatenate([np.asarray(part, dtype=float) for part in model.residuals])
    if diagonal:
        lengths = np.linalg.norm(rows, axis=0)
        rows = rows / np.where(lengths > 0, lengths, 1.0)
    eigenvalues, vectors = np.linalg.eigh(rows.T @ rows)
    eigenvalues, vectors = np.maximum(eigenvalues[::-1], 0.0), vectors[:, ::-1]
    kept = eigenvalues > CUTOFF * eigenvalues[0]
    along = (vectors.T @ (rows.T @ residual)) ** 2 / np.where(kept, eigenvalues, 1.0)
    return Spectrum(eigenvalues, np.where(kept, along, 0.0) / max(float(residual @ residual), 1e-300))


def diagnose(problem: AbstractProblem, recipe: Recipe, points: int = 1024) -> dict[str, Spectrum]:
    """Return the spectrum by the recipe, and by remedies, each changing one thing.

    Args:
        problem: The problem.
        recipe: Its network, points and conditions count; its stages do not.
        points: Most points inside the domain, and a quarter of it for each condition: enough for a spectrum.
    """
    config = dataclasses.replace(
        recipe.points, interior=min(points, recipe.points.interior), boundary=min(points // 4, recipe.points.boundary)
    )
    recipe = dataclasses.replace(recipe, points=config, windows=1)
    model = _model(problem, recipe)
    found = {"as the recipe says": spectrum(model), "... scaled by its diagonal": spectrum(model, diagonal=True)}
    for name, changed in _remedies(recipe, bool(problem.exact_conditions())):
        found[name] = spectrum(_model(problem, changed))
    return found


def _remedies(recipe: Recipe, can_be_exact: bool) -> Sequence[tuple[str, Recipe]]:
    changes = []
    if can_be_exact:
        name = "conditions as loss terms" if recipe.exact else "conditions met exactly"
        changes.append((name, dataclasses.replace(recipe, exact=not recipe.exact)))
    network = recipe.network
    if network.name != "fourier_features":
        features = NetworkConfig("fourier_features", network.width, network.depth, network.activation)
        changes.append(("Fourier features", dataclasses.replace(recipe, network=features)))
    if network.name == "mlp" and not network.options.get("factorised"):
        factorised = dataclasses.replace(network, options={**network.options, "factorised": True})
        changes.append(("factorised weights", dataclasses.replace(recipe, network=factorised)))
    wider = dataclasses.replace(network, width=2 * network.width)
    return [*changes, ("twice as wide", dataclasses.replace(recipe, network=wider))]


def _model(problem: AbstractProblem, recipe: Recipe) -> GaussNewton:
    return linearise(build_objective(problem, recipe, problem.domain()), initial_ansatz(problem, recipe))
