r"""How far errors of measurements can have moved what was identified from them.

Near its minimum a loss $\tfrac12 |r|^2$ with rows $r(x) = r_0 + R\,\delta$ answers a change of the data, which moves
its rows by $\xi$, with $\delta = -R^+ \xi$. Rows of measurements with independent errors of deviation $\sigma$ are
scaled by s like all rows of their term, so that an unknown coefficient $\theta = x_k$ has the variance

$$\operatorname{var} \theta = \sum_i (R^+)_{k i}^2 s_i^2 \sigma_i^2,$$

the sum over measurements. It is that of the trained answer under the loss as it is weighed: equations that weigh little
give way to errors of the data. What equations, conditions or networks have wrong is not in it.
"""

from collections.abc import Mapping

import numpy as np
import scipy.linalg
from jaxtyping import PyTree

from .objective import Objective, linearise

__all__ = ["standard_errors"]

CUTOFF = 1e-10
"""Directions of the parameters that move rows by less than this share of the largest are not determined by them."""


def standard_errors(
    objective: Objective, trainables: PyTree, noise: Mapping[str, float], names: tuple[str, ...]
) -> dict[str, float]:
    """Return the standard errors of unknown coefficients after training.

    Args:
        objective: Terms of sums of squares, among them those of measurements.
        trainables: Where training has ended; its attribute `unknowns` has the coefficients by name.
        noise: Terms of measurements, and the standard deviation of their errors. Zero if it is not known: then it is
            estimated from the residuals that are left, with as many degrees of freedom as the other parameters leave.
        names: Coefficients wanted.

    Returns:
        Standard error by name; infinite if there are fewer measurements than they need for an estimate of the noise.
    """
    model = linearise(objective, trainables)
    rows = np.concatenate([np.asarray(part, dtype=float) for part in model.rows])
    left, sizes, right = scipy.linalg.svd(rows, full_matrices=False, overwrite_a=True, check_finite=False)
    kept = sizes > CUTOFF * sizes[0]
    left, sizes, right = left[:, kept], sizes[kept], right[kept]
    numbered = model.unravel(np.arange(rows.shape[1], dtype=float))
    columns = [round(float(numbered.unknowns[name])) for name in names]
    answers = (right[:, columns] / sizes[:, None]).T @ left.T
    variance, start = np.zeros(len(names)), 0
    for term, part, residual in zip(objective.terms, model.rows, model.residuals, strict=True):
        place = slice(start, start + len(part))
        start += len(part)
        if term.name not in noise:
            continue
        # Of the scaled rows, with s sigma in place of sigma: estimated from scaled residuals it needs no s.
        spread = noise[term.name] ** 2 * float(term.weight) / len(part)
        if spread == 0:
            free = len(part) - float((left[place] ** 2).sum())
            spread = float(np.sum(np.asarray(residual) ** 2)) / free if free > 0.5 else np.inf
        variance = variance + spread * (answers[:, place] ** 2).sum(axis=1)
    return {name: float(value) for name, value in zip(names, np.sqrt(variance), strict=True)}
