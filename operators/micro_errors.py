"""How far a learned unit cell is from the finite elements of it, in the norms of the literature."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pdesolve.metrics import relative_l2
from pdesolve.multiscale import RVE

from .snapshots import Snapshots

__all__ = ["FieldErrors", "field_errors", "mean_stress_errors"]

_COMPONENTS = ("xx", "yy", "xy")


def mean_stress_errors(
    found: tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3 3"]], samples: Snapshots
) -> dict[str, float]:
    """Return relative L2 errors of mean stresses and tangents, pooled over samples and components, in percent."""
    stresses, tangents = found
    return {
        "mean_stress_percent": 100 * relative_l2(stresses, samples.stresses),
        "tangent_percent": 100 * relative_l2(tangents, samples.tangents),
    }


class FieldErrors:
    """Errors of fields, sample by sample: relative L2 of each component, in percent; squares for the pooled error."""

    def __init__(self):
        self.rows: list[np.ndarray] = []
        self.squares = np.zeros(2)

    def add(
        self,
        found: Float[np.ndarray, "point 3"],
        expected: Float[np.ndarray, "point 3"],
        moved: Float[np.ndarray, "node 2"],
        expected_moved: Float[np.ndarray, "node 2"],
    ) -> None:
        """Add a sample: stresses at the Gauss points and displacements at the nodes."""
        pairs = ((found, expected), (moved, expected_moved))
        self.rows.append(np.concatenate([np.linalg.norm(a - b, axis=0) / np.linalg.norm(b, axis=0) for a, b in pairs]))
        self.squares += np.array([np.sum((found - expected) ** 2), np.sum(expected**2)])

    @property
    def pooled(self) -> float:
        """Relative L2 error of all stress fields together."""
        return float(np.sqrt(self.squares[0] / self.squares[1]))

    def measures(self, prefix: str = "") -> dict[str, float]:
        """Return the means over samples, by component, in percent."""
        means = 100 * np.mean(self.rows, axis=0)
        names = [f"{prefix}stress_{c}_percent" for c in _COMPONENTS] + [f"{prefix}u_{axis}_percent" for axis in "xy"]
        return dict(zip(names, means.tolist(), strict=True))


def field_errors(model: Any, rve: RVE, samples: Snapshots) -> tuple[FieldErrors, dict[str, float]]:
    """Compare the fields of a model, stresses being those that the materials give to its strains.

    Returns:
        The errors, and the same as numbers by name with those of `equilibrium`, if the model has such a field, and of
        the mean of the materials' stresses.
    """
    errors, balanced, means = FieldErrors(), FieldErrors(), []
    for strain, fluctuation, field in zip(samples.strains, samples.fluctuations, samples.fields, strict=True):
        found = {name: np.asarray(values) for name, values in _fields(model, jnp.asarray(strain)).items()}
        along = rve.nodes @ np.array([[strain[0], strain[2] / 2], [strain[2] / 2, strain[1]]])
        moved = along + found["fluctuation"], along + fluctuation
        errors.add(found["stress"], field, *moved)
        if "equilibrium" in found:
            balanced.add(found["equilibrium"], field, *moved)
        means.append(rve.mean(found["stress"]))
    measures = errors.measures() | {"mean_of_stress_percent": 100 * relative_l2(np.array(means), samples.stresses)}
    if balanced.rows:
        measures |= {k: v for k, v in balanced.measures("equilibrium_").items() if "_u_" not in k}
    return errors, measures


@eqx.filter_jit
def _fields(model: Any, strain: jax.Array) -> dict[str, jax.Array]:
    return model.micro_fields(strain)
