"""Finite elements of scikit-fem: quadratic triangles, refined until an error is reached. Stand-alone.

Both problems are -div grad u - k^2 u = f on a square, u = 0 on its boundary.
"""

import argparse
import json
import math
import statistics
import time

import numpy as np
import skfem
from skfem.helpers import dot, grad

PROBLEMS = {  # left, right end of both axes; k^2; waves of the solution sin(a pi x) sin(b pi y)
    "poisson_2d": ((0.0, 1.0), 0.0, (1, 1)),
    "helmholtz_2d": ((-1.0, 1.0), 1.0, (1, 4)),
}
REPETITIONS = 3
CELLS = (2, 4, 8, 16, 32, 64, 128, 256)


def solve(cells, ends, square, waves):
    """Return basis and coefficients: assembly and one sparse direct solve."""
    axis = np.linspace(*ends, cells + 1)
    basis = skfem.Basis(skfem.MeshTri.init_tensor(axis, axis), skfem.ElementTriP2())
    a, b = (math.pi * wave for wave in waves)

    @skfem.BilinearForm
    def form(u, v, _):
        return dot(grad(u), grad(v)) - square * u * v

    @skfem.LinearForm
    def load(v, w):
        return (a**2 + b**2 - square) * np.sin(a * w.x[0]) * np.sin(b * w.x[1]) * v

    system = skfem.condense(form.assemble(basis), load.assemble(basis), D=basis.get_dofs())
    return basis, skfem.solve(*system)


def main():
    """Write a line for each error."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--problem", choices=PROBLEMS, required=True)
    parser.add_argument("--levels", type=float, nargs="+", required=True)
    parser.add_argument("--records", required=True)
    given = parser.parse_args()
    case = PROBLEMS[given.problem]
    grid = np.linspace(*case[0], 101)  # no nodes of the meshes, where the error is smaller
    points = np.stack(np.meshgrid(grid, grid, indexing="ij")).reshape(2, -1)
    expected = np.sin(case[2][0] * np.pi * points[0]) * np.sin(case[2][1] * np.pi * points[1])
    levels = sorted(given.levels, reverse=True)
    with open(given.records, "w", encoding="utf-8") as file:
        for cells in CELLS:
            basis, coefficients = solve(cells, *case)
            error = np.linalg.norm(basis.probes(points) @ coefficients - expected) / np.linalg.norm(expected)
            if not levels or error > levels[0]:
                continue
            times = []
            for _ in range(REPETITIONS):
                start = time.perf_counter()
                solve(cells, *case)
                times.append(time.perf_counter() - start)
            while levels and error <= levels[0]:
                record = {"level": levels.pop(0), "seconds": statistics.median(times), "error": float(error)}
                file.write(json.dumps(record | {"method": f"quadratic triangles, {cells} x {cells}"}) + "\n")


if __name__ == "__main__":
    main()
