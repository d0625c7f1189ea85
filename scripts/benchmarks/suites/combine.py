"""Rules that combine gradients, beside the packages of their authors: right, and how fast."""

import statistics
from collections.abc import Mapping
from typing import Any

from .. import markdown
from ..cell import AbstractSuite, Cell
from ..contenders import COMBINERS, CONTENDERS, OURS, chosen
from ..machine import cores
from ..scripted import run_script

__all__ = ["Combine", "correct", "floor"]

TERMS = (2, 3, 5)
SIZES = (10_000, 1_000_000, 10_000_000)
REPETITIONS = 3
TOLERANCE = 1e-3
"""Of cosines in float32."""


class Combine(AbstractSuite):
    """One combination of a stack of gradients."""

    name = "combine"
    title = "Combining gradients"
    about = (
        "Seconds to make one gradient of m, each of so many float32 numbers; rows in conflict with each other, lengths "
        "1, 10, 100, ... The same stacks for all, already in each package's memory; compilation is left out. Packages "
        "with OpenMP threads get one or all cores, whichever is faster. *Floor*: each number read twice, for inner "
        "products and for the sum, and the result written, at the measured copy rate. ✗: the result does not have the "
        f"rule's own property to {TOLERANCE:g}: equal positive cosines with all rows (ConFIG), equal projections "
        "(IMTL-G), no negative cosine (UPGrad, DualProj); PCGrad claims none. Medians over processes."
    )

    def cells(self, options):
        """Return one process for each package and number of threads, in turns, again and again."""
        terms, sizes = (TERMS[:1], SIZES[:1]) if options.smoke else (TERMS, SIZES)
        given = {"terms": list(terms), "sizes": list(sizes), "seconds": 0.02 if options.smoke else 0.5}
        return [
            Cell(f"{name}/{threads}/{k}", {**given, "contender": name, "threads": threads})
            for k in range(1 if options.smoke else options.repetitions or REPETITIONS)
            for name in chosen(options.peers, COMBINERS)
            for threads in (sorted({1, cores()}) if CONTENDERS[name].threaded else [cores()])
        ]

    def measure(self, cell, workspace, done):
        """Return a record for each rule and stack."""
        given = cell.parameters
        words = {key: given[key] for key in ("terms", "sizes", "seconds", "threads")}
        lines, facts = run_script(
            workspace,
            given["contender"],
            f"{given['contender']}_stacks.py",
            words,
            name=f"combine/{cell.key.replace('/', '-')}",
            threads=given["threads"],
        )
        return {"records": lines, **facts}

    def table(self, records: Mapping[str, Mapping[str, Any]]) -> str:
        """Return one row for each rule and stack."""
        groups: dict[tuple[str, int, int], dict[str, dict[int, list[Any]]]] = {}
        rate = None
        for record in records.values():
            if record["status"] != "measured":
                continue
            given, rate = record["parameters"], record["machine"]["rates"]["copy"]
            for line in record["result"]["records"]:
                group = groups.setdefault((line["rule"], line["terms"], line["size"]), {})
                group.setdefault(given["contender"], {}).setdefault(given["threads"], []).append(line)
        names = [name for name in (OURS, *COMBINERS) if any(name in group for group in groups.values())]
        rows = [_row(stack, group, names, rate) for stack, group in groups.items() if rate is not None]
        return markdown.table(["rule, m, size", *names, "fastest peer / ours", "floor / ours"], rows)


def floor(terms: int, size: int, rate: float) -> float:
    """Return the seconds to read float32 rows twice and write one, at a rate in bytes per second."""
    return 4 * size * (2 * terms + 1) / rate


def correct(line: Mapping[str, Any]) -> bool:
    """Say whether a result has the property that its rule claims."""
    if "error" in line or line["cosines"] is None:
        return False
    cosines, rule = line["cosines"], line["rule"]
    if rule in ("config", "imtlg"):  # equal projections on unit rows are equal cosines; a sign is claimed by one
        return max(cosines) - min(cosines) <= TOLERANCE and (rule == "imtlg" or min(cosines) > 0)
    return rule == "pcgrad" or min(cosines) >= -TOLERANCE


def _row(stack: tuple[str, int, int], group: Mapping[str, Mapping[int, Any]], names, rate: float) -> list[str]:
    rule, terms, size = stack
    paces, cells = {}, []
    for name in names:
        lines = [line for lines in group.get(name, {}).values() for line in lines]
        timed = [[line["seconds"] for line in lines if "seconds" in line] for lines in group.get(name, {}).values()]
        timed = [times for times in timed if times]
        if not lines:
            cells.append("")
            continue
        right = all(map(correct, lines))
        if timed:
            times = min(timed, key=statistics.median)
            paces[name] = statistics.median(times)
            cells.append(markdown.spread(times, markdown.seconds) + ("" if right else " ✗"))
        else:
            cells.append("✗")
    ours, peers = paces.get(OURS), [pace for name, pace in paces.items() if name != OURS]
    ratio = f"{min(peers) / ours:.2g}" if ours and peers else ""
    share = f"{floor(terms, size, rate) / ours:.0%}" if ours else ""
    return [f"{rule}, {terms}, {size:,}", *cells, ratio, share]
