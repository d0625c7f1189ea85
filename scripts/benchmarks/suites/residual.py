"""What a residual costs, by `scripts/bench_residual.py`."""

import json
from collections.abc import Mapping
from typing import Any

from .. import markdown
from ..cell import AbstractSuite, Cell, Failed, Skipped
from ..workspace import ROOT

__all__ = ["Residual"]

PROGRAM = """
import json, sys
import jax, jax.numpy as jnp
from scripts import bench_residual
options = json.loads(sys.argv[1])
dtype = options.pop("dtype")
jax.config.update("jax_enable_x64", dtype == "float64")
print(json.dumps(bench_residual.measure(dtype=getattr(jnp, dtype), **options)))
"""

SMOKE = {"num_points": 16, "width": 8, "depth": 2, "repeats": 2}


class Residual(AbstractSuite):
    """Costs as multiples of the network's own."""

    name = "residual"
    title = "Cost of a residual"
    about = (
        "Time of a residual at 4096 points, and of the gradient of its mean square with respect to the weights, as "
        "multiples of those of the plain network (tanh, 4 x 64), which no residual can undercut. *Sweep*: the "
        "package's own derivatives; *nested*: repeated `jax.grad`. Medians in a process; median of processes."
    )

    def cells(self, options):
        """Return one cell for each precision and process."""
        types = ("float32",) if options.smoke else ("float32", "float64")
        repeats = 1 if options.smoke else options.seeds or 3
        sizes = SMOKE if options.smoke else {}
        return [Cell(f"{dtype}/{k}", {"dtype": dtype, **sizes}) for k in range(repeats) for dtype in types]

    def measure(self, cell, workspace, done):
        """Return the rows of one process."""
        if not (ROOT / "scripts" / "bench_residual.py").is_file():
            raise Skipped("scripts/bench_residual.py is not there")
        name = f"residual/{cell.key.replace('/', '-')}"
        run = workspace.check(workspace.ours("-c", PROGRAM, json.dumps(dict(cell.parameters)), name=name))
        try:
            return {"rows": json.loads(run.log.read_text().splitlines()[-1])}
        except (ValueError, IndexError) as error:
            raise Failed("the rows cannot be read", str(run.log)) from error

    def table(self, records: Mapping[str, Mapping[str, Any]]) -> str:
        """Return medians by equation and precision."""
        columns = ("sweep", "nested", "sweep_gradient", "nested_gradient", "sweep_compile_s", "nested_compile_s")
        groups: dict[tuple[str, str], list[Any]] = {}
        for record in records.values():
            if record["status"] == "measured":
                for row in record["result"]["rows"]:
                    groups.setdefault((row["equation"], record["parameters"]["dtype"]), []).append(row)
        rows = [
            [f"{equation}, {dtype}", *(markdown.spread([row[c] for row in group], _short) for c in columns)]
            for (equation, dtype), group in groups.items()
        ]
        header = ["equation", "sweep", "nested", "gradient, sweep", "gradient, nested", "compile sweep [s]"]
        return markdown.table([*header, "compile nested [s]"], rows)


def _short(value: float) -> str:
    return f"{value:.2g}"
