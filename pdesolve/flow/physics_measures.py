r"""How far generated fields are from data, and from their equation.

Numbers of a law are over channels divided by the data's standard deviation each, so that all channels count alike.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .physics import AbstractPhysicalFamily
from .statistics import distribution_errors

__all__ = ["coverage", "jensen_shannon", "law_errors", "marginal_wasserstein", "physics_errors", "resolve_error"]

Fields = Float[np.ndarray, "sample channel *grid"]

_BINS = 100


def marginal_wasserstein(generated: Fields, data: Fields) -> float:
    """Return the Wasserstein-1 distance between all values of a channel, pooled over samples and points.

    In units of the data's standard deviation, averaged over channels. Both sets must have the same number of samples.
    """
    return float(np.mean([_quantile_distance(*pair) for pair in zip(*_pooled(generated, data), strict=True)]))


def jensen_shannon(generated: Fields, data: Fields) -> float:
    r"""Return the Jensen-Shannon divergence between all values of a channel, pooled; from 0 to $\ln 2$.

    $\tfrac12 D(P \| M) + \tfrac12 D(Q \| M)$, $M = (P + Q) / 2$, natural logarithm, P and Q histograms of 100 equal
    bins over the range of the data, to whose first and last what lies outside is added; averaged over channels.
    """

    def divergence(first, second):
        edges = np.linspace(second.min(), second.max(), _BINS + 1)
        p, q = (np.histogram(np.clip(v, edges[0], edges[-1]), edges)[0] / v.size for v in (first, second))
        m = 0.5 * (p + q)
        return 0.5 * sum(np.sum(v[v > 0] * np.log(v[v > 0] / m[v > 0])) for v in (p, q))

    return float(np.mean([divergence(*pair) for pair in zip(*_pooled(generated, data), strict=True)]))


def coverage(generated: Fields, data: Fields) -> float:
    """Return the share of the data's values between the 5 and 95 per cent quantiles of generated ones, point by point.

    It is near 0.9 for equal laws.
    """
    low, high = np.quantile(generated, [0.05, 0.95], axis=0)
    return float(np.mean((data >= low[None]) & (data <= high[None])))


def law_errors(generated: Fields, data: Fields) -> dict[str, float]:
    """Return the measures of `pdesolve.flow.statistics` of scaled channels, and those of this module, by name."""
    generated, data = np.asarray(generated, dtype=float), np.asarray(data, dtype=float)
    scale = data.std(axis=(0, *range(2, data.ndim)), keepdims=True)
    return {
        **distribution_errors(generated / scale, data / scale),
        "marginal_wasserstein": marginal_wasserstein(generated, data),
        "jensen_shannon": jensen_shannon(generated, data),
        "coverage": coverage(generated, data),
    }


def physics_errors(family: AbstractPhysicalFamily, generated: Fields, data: Fields) -> dict[str, float]:
    r"""Return `residual`, the mean of $|R|$ over entries and samples, and what shows how it came about.

    `residual_of_data` is its value for data: no flow can be asked for less. `deviation_NAME` is the standard deviation
    of generated values over that of the data: fields that are too flat have small residuals. `resolve_error` and
    `unresolved` are those of `resolve_error`.
    """
    error, unresolved = resolve_error(family, generated)
    deviations = {
        f"deviation_{name}": float(generated[:, channel].std() / data[:, channel].std())
        for channel, name in enumerate(family.field_names)
    }
    return {
        "residual": _mean_residual(family, generated),
        "residual_of_data": _mean_residual(family, data),
        "resolve_error": error,
        "unresolved": unresolved,
        **deviations,
    }


def resolve_error(family: AbstractPhysicalFamily, fields: Fields) -> tuple[float, float]:
    """Return the error of dependent fields against those solved for anew, and the share that has no solution.

    The first is the mean relative L2 distance over the samples that have a solution; NaN if there are none. It does not
    depend on how the residual is written, and no amplitude makes it small.
    """
    chosen = [name in family.dependent_names for name in family.field_names]
    given = np.asarray(fields, dtype=float)[:, chosen]
    solved = family.resolved(np.asarray(fields, dtype=float))[:, chosen]
    axes = tuple(range(1, given.ndim))
    possible = np.isfinite(solved).all(axis=axes)
    if not possible.any():
        return float("nan"), 1.0
    distance = np.sqrt(np.sum((given - solved)[possible] ** 2, axis=axes))
    size = np.sqrt(np.sum(solved[possible] ** 2, axis=axes))
    return float(np.mean(distance / size)), float(np.mean(~possible))


def _mean_residual(family: AbstractPhysicalFamily, fields: Fields) -> float:
    return float(jnp.mean(jnp.abs(jax.vmap(family.residual)(jnp.asarray(fields)))))


def _pooled(generated: Fields, data: Fields) -> tuple[np.ndarray, np.ndarray]:
    """Return all values by channel, `(channel, values)`."""
    first, second = (np.moveaxis(fields, 1, 0).reshape(fields.shape[1], -1) for fields in (generated, data))
    return first, second


def _quantile_distance(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]) -> float:
    return float(np.mean(np.abs(np.sort(first) - np.sort(second))) / second.std())
