r"""EquiNO: a unit cell's answer to a mean strain, in equilibrium whatever the networks say."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pdesolve.nets import MLP

from .equino_modes import Modes
from .equino_trend import OddTrend
from .unit_cells import AbstractLearnedCell, stored_model

__all__ = ["EquiNO"]


class EquiNO(AbstractLearnedCell):
    r"""Two networks from a mean strain to the coefficients of displacement modes and of stress modes.

    $$\hat e \mapsto (b, c), \quad \varepsilon = \hat e + \sum_k b_k B \varphi_k, \quad
    \sigma_{eq} = \sum_k c_k \psi_k, \quad \hat\sigma = c^T H.$$

    Whatever the weights, displacement fluctuations are periodic, the mean strain is exact, and $\sigma_{eq}$ is in
    equilibrium in the sense of the finite elements that made the snapshots, as far as those are: not at every point.
    What training makes small is the gap between $\sigma_{eq}$ and the stress $\sigma_c$ that the materials give to
    $\varepsilon$. It needs no labels.

    Where a trend is given it lies under the networks: the odd part of what they say is added to it, and they begin at
    zero. Then the stress of no strain is zero.

    A trained model is a micro model of a two-scale solve (`respond`).

    Args:
        modes: The modes (`pod_modes`).
        width: Units of a hidden layer; 64 as published.
        depth: Hidden layers of each network; 4 as published.
        activation: As of `MLP`.
        trend: Trend of the coefficients (`fit_trend`), if any.
        key: Random key of the weights.

    References:
        Eivazi, Tröger, Wittek, Hartmann and Rausch, EquiNO: a physics-informed neural operator for multiscale
        simulations, J. Comput. Phys. 554 (2026) 114745.
    """

    modes: Modes
    displacement: MLP
    stress: MLP
    trend: OddTrend | None

    def __init__(
        self,
        modes: Modes,
        *,
        width: int = 12,
        depth: int = 2,
        activation: str = "swish",
        trend: OddTrend | None = None,
        key: PRNGKeyArray,
    ):
        first, second = jax.random.split(key)
        sizes = {"width": width, "depth": depth, "activation": activation}
        self.modes = modes
        networks = [MLP(3, modes.rank, **sizes, key=key) for key in (first, second)]
        self.displacement, self.stress = networks if trend is None else map(_from_zero, networks)
        self.trend = trend

    def coefficients(self, strain: Float[Array, " 3"]) -> tuple[Float[Array, " mode"], Float[Array, " mode"]]:
        """Return b and c for a mean strain: xx, yy, engineering xy."""
        b, c = self.modes.scales.value * self.outputs(strain) + self.modes.shifts.value
        return b, c

    def outputs(self, strain: Float[Array, " 3"]) -> Float[Array, "2 mode"]:
        """Return what trend and networks say: coefficients less their shifts, in units of their scales."""
        x = strain / self.modes.bound.value
        if self.trend is None:
            return self._said(x)
        return self.trend(x) + 0.5 * (self._said(x) - self._said(-x))

    def _said(self, x: Float[Array, " 3"]) -> Float[Array, "2 mode"]:
        return jnp.stack([self.displacement(x), self.stress(x)])

    def __call__(self, strain: Float[Array, " 3"]) -> Float[Array, " 3"]:
        """Return the mean stress, xx, yy, xy, in MPa: that of the field in equilibrium."""
        return self.coefficients(strain)[1] @ self.modes.mean_stress.value

    def micro_fields(self, strain: Float[Array, " 3"]) -> dict[str, Float[Array, "..."]]:
        """Return `fluctuation` at the nodes, and at the points `strain`, `stress` of the materials, `equilibrium`."""
        b, c = self.coefficients(strain)
        strains = self.modes.strains(strain, b)
        return {
            "fluctuation": self.modes.displacement.value @ b,
            "strain": strains,
            "stress": self.modes.law(strains),
            "equilibrium": self.modes.stresses(c),
        }

    def loss(self, strains: Float[Array, "n 3"]) -> Float[Array, ""]:
        r"""Return the mean of $(\sigma_c - \sigma_{eq})^2$ over strains, points and components."""

        def one(strain: Float[Array, " 3"]) -> Float[Array, ""]:
            return jnp.mean(jnp.square(self.modes.gap(strain, *self.coefficients(strain))))

        return jnp.mean(jax.lax.map(one, strains))

    @property
    def reach(self):
        """The bound of training."""
        return self.modes.bound.value

    @staticmethod
    def load(path: str | Path) -> "EquiNO":
        """Return the operator of a run's file, such as `runs/rve1/rve1.h5` of `pdesolve solve rve1 --method equino`.

        Raises:
            PdesolveError: If it is missing, damaged or something else.
        """
        return stored_model(path, EquiNO, "equino")


def _from_zero(network: MLP) -> MLP:
    """Return the network with a last layer of zeros."""
    return eqx.tree_at(lambda network: network.layers[-1], network, replace_fn=_zeros)


def _zeros(layer: eqx.Module) -> eqx.Module:
    return jax.tree.map(jnp.zeros_like, layer)
