"""Generative models of fields that obey an equation: how far from the equation, and how far from the law."""

import statistics
from collections.abc import Mapping
from typing import Any

from .. import markdown
from ..cell import AbstractSuite, Cell
from ..solving import solve

__all__ = ["Flow"]

PROBLEM = "darcy_1d"
SEEDS = 3
METHODS = {
    "FM": ("fm", ""),
    "FM, weighted residual": ("weighted_residual", "weight = 0.001"),
    "PBFM": ("pbfm", ""),
    "PBFM, one step": ("pbfm", "unroll = [1]"),
    "PBFM, t* = 0.2": ("pbfm", "backtrack = 0.2"),
    "PIDM, mean": ("pidm", ""),
    "PIDM, sample": ("pidm", 'estimate = "sample"'),
    "DiffusionPDE": ("diffusion_pde", ""),
    "CoCoGen": ("cocogen", ""),
    "D-Flow": ("d_flow", ""),
    "ECI": ("eci", ""),
    "PCFM": ("pcfm", ""),
}
"""Row of the table to method and options."""
SMALL = ("PBFM",)
"""Method of a smoke run."""
PAIR = ("residual", "wasserstein", "jensen_shannon")
FURTHER = ("resolve_error", "deviation_p", "function_evaluations")


class Flow(AbstractSuite):
    """`pdesolve solve darcy_1d` by every method that learns fields with an equation."""

    name = "flow"
    title = "Flows with an equation"
    about = (
        f"`pdesolve solve {PROBLEM} --method ...`: the recipe's data, network and steps for all, default options where "
        "none are named. *Residual*: mean of |R| over entries and 1,000 generated fields. *Wasserstein*: sliced W1 in "
        "deviations of the data; *Jensen-Shannon*: of pooled values; both by the definitions in `docs/flow.md`. "
        "Neither counts alone: the first row has the data's own residual, and the distance between two sets of data. "
        "*Resolve error*: of p against p solved for anew from K. *Deviation*: of p over that of the data. Medians over "
        "seeds."
    )

    def cells(self, options):
        """Return all methods of one seed, then the next."""
        small = {"steps": 3, "small": True} if options.smoke else {}
        return [
            Cell(f"{method}/{seed}", {"method": method, "seed": seed, **small})
            for seed in range(1 if options.smoke else options.seeds or SEEDS)
            for method in (SMALL if options.smoke else METHODS)
        ]

    def measure(self, cell, workspace, done):
        """Train and draw once."""
        given = dict(cell.parameters)
        method, chosen = METHODS[given.pop("method")]
        config = f'method = "{method}"\nmethod_options = {{ {chosen} }}\n'
        if given.pop("small", False):
            config += "[network]\nwidth = 16\ndepth = 1\n[data]\ntrain = 64\ntest = 32\nbatch = 16\nresolution = 16\n"
        name = "".join(letter if letter.isalnum() else "-" for letter in cell.key)
        return solve(workspace, PROBLEM, name=f"flow/{name}", config=config, **given)

    def table(self, records: Mapping[str, Mapping[str, Any]]) -> str:
        """Return one row for the data, and one for each method."""
        runs: dict[str, list[Mapping[str, Any]]] = {}
        for record in records.values():
            if record["status"] == "measured" and record["result"]["summary"].get("measures"):
                runs.setdefault(record["parameters"]["method"], []).append(record["result"]["summary"])
        if not runs:
            return ""
        rows = [_of_data([run for some in runs.values() for run in some])]
        rows += [_row(method, runs[method]) for method in METHODS if method in runs]
        words = [name.replace("_", " ").replace("jensen shannon", "Jensen-Shannon") for name in (*PAIR, *FURTHER)]
        return markdown.table(["method", "seeds", *words, "seconds of training"], rows)


def _of_data(runs: list[Mapping[str, Any]]) -> list[str]:
    """Return what data score: their residual, and the distance between two sets of them, each seed once."""
    seeds = {run["seed"]: run["measures"] for run in runs}.values()
    names = ("residual_of_data", "wasserstein_floor", "jensen_shannon_floor")
    numbers = [markdown.spread([measures[name] for measures in seeds]) for name in names]
    return ["data", str(len(seeds)), *numbers, *[""] * len(FURTHER), ""]


def _row(method: str, runs: list[Mapping[str, Any]]) -> list[str]:
    failed = sum(run["status"] != "solved" for run in runs)
    words = f"{method}; {failed} of {len(runs)} failed" if failed else method
    numbers = [markdown.spread([run["measures"][name] for run in runs]) for name in (*PAIR, *FURTHER[:-1])]
    evaluations = f"{statistics.median(run['measures'][FURTHER[-1]] for run in runs):g}"
    seconds = markdown.spread([run["seconds"]["train"] for run in runs], markdown.seconds)
    return [words, str(len(runs)), *numbers, evaluations, seconds]
