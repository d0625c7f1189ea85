"""One damped Gauss-Newton step by a factorisation, and the same by SciPy on the same matrix. Uses pdesolve."""

import argparse
import json

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from pace import repeated

from pdesolve.objective import GaussNewton
from pdesolve.optim.factorisation import damped_solver


def main():
    """Write a line for each number of parameters."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=int, nargs="+", required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--factorisation", required=True)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--records", required=True)
    given = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    with open(given.records, "w", encoding="utf-8") as file:
        for p in given.parameters:
            rng = np.random.default_rng(0)
            matrix = rng.standard_normal((given.rows, p)) * np.geomspace(1.0, 1e-3, p)
            residual = rng.standard_normal(given.rows)
            ours = jax.jit(lambda rows, r: _step(rows, r, given.factorisation))
            rows, r = jnp.asarray(matrix), jnp.asarray(residual)
            theirs = {"cholesky": _cholesky, "svd": _singular_values}[given.factorisation]
            error = np.linalg.norm(ours(rows, r) - theirs(matrix, residual))
            line = {
                "parameters": p,
                "seconds": repeated(lambda: jax.block_until_ready(ours(rows, r)), given.seconds),  # noqa: B023
                "scipy_seconds": repeated(lambda: theirs(matrix, residual), given.seconds),  # noqa: B023
                "difference": float(error / np.linalg.norm(theirs(matrix, residual))),
            }
            file.write(json.dumps(line) + "\n")
            file.flush()


DAMPING = 1e-2


def _step(rows, residual, factorisation):
    model = GaussNewton({}, rows.T @ residual, (rows,), (residual,), lambda flat: flat)
    return damped_solver(model, factorisation, jax.random.key(0))(jnp.asarray(DAMPING))


def _cholesky(rows, residual):
    matrix = rows.T @ rows
    matrix[np.diag_indices_from(matrix)] += DAMPING
    factor = scipy.linalg.cho_factor(matrix, overwrite_a=True, check_finite=False)
    return -scipy.linalg.cho_solve(factor, rows.T @ residual, check_finite=False)


def _singular_values(rows, residual):
    """The triangle of [J, r], so that Q is not formed, and the singular values of its J."""
    p = rows.shape[1]
    triangle = np.concatenate([rows, residual[:, None]], axis=1)
    (triangle,) = scipy.linalg.qr(triangle, mode="r", overwrite_a=True, check_finite=False)
    left, values, right = scipy.linalg.svd(triangle[:p, :p], check_finite=False)
    return -(right.T @ (values * (left.T @ triangle[:p, p]) / (values**2 + DAMPING)))


if __name__ == "__main__":
    main()
