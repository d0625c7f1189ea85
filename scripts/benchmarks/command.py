"""The command line: measure the cells of suites that are not measured yet, then write the document."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pdesolve.errors import PdesolveError, UnknownNameError

from .cell import AbstractSuite, Cell, Failed, Options, Skipped
from .contenders import PEERS
from .document import write_document
from .machine import Watch, commit, cores, machine, versions
from .store import Store
from .suites.combine import Combine
from .suites.experts import Experts
from .suites.factorisations import Factorisations
from .suites.flow import Flow
from .suites.honest import Honest
from .suites.latency import Latency
from .suites.memory import Memory
from .suites.methods import Methods
from .suites.multiscale import Multiscale
from .suites.operators import Operators
from .suites.peers import Peers
from .suites.problems import Problems
from .suites.residual import Residual
from .suites.rules import Rules
from .suites.scaling import Scaling
from .suites.solve import Solve
from .suites.step import Step
from .workspace import ROOT, Workspace, cache_directory, private

__all__ = ["SUITES", "main"]

SUITES: dict[str, AbstractSuite] = {
    suite.name: suite
    for suite in (
        *(Latency(), Residual(), Step(), Memory(), Scaling(), Factorisations(), Combine()),
        *(Operators(), Experts(), Multiscale(), Flow(), Problems(), Methods(), Rules(), Honest(), Peers(), Solve()),
    )
}
"""In the order of the document; quick ones first."""


def main(argv: Sequence[str] | None = None, suites: Mapping[str, AbstractSuite] = SUITES) -> int:
    """Measure what was asked for; return 1 if a cell failed, 2 for bad input."""
    words = list(sys.argv[1:] if argv is None else argv)
    given = _parser(suites).parse_args(words)
    try:
        chosen = _chosen(given.suites, suites)
        options = _options(given)
    except PdesolveError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    _pin(given.cores)
    workspace = Workspace(cache_directory(), given.threads or cores(), given.device, given.smoke)
    results = (
        Path(given.out) if given.out else (workspace.work / "results" if given.smoke else ROOT / "docs/performance")
    )
    failed = 0
    try:
        for suite in [] if given.tables else chosen:
            session = _Session(workspace, words)
            failed += _measure(
                suite, options, workspace, Store(results / f"{suite.name}.json", suite.name), session, given
            )
        results.mkdir(parents=True, exist_ok=True)
        print(write_document(results, suites))
    except PdesolveError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command continues", file=sys.stderr)
        return 130
    return 1 if failed else 0


def _measure(suite, options, workspace, store: Store, session: "_Session", given) -> int:
    """Measure the cells of a suite that are not finished; return how many failed."""
    failed = 0
    for cell in suite.cells(options):
        if store.finished(cell) and not (given.again or given.smoke):
            print(f"{suite.name}: {cell.key}: kept", flush=True)
            continue
        print(f"{suite.name}: {cell.key} ...", flush=True)
        about = session.facts()  # before the watch: it measures rates when it is first asked
        record = _record(suite, cell, workspace, store)
        store.put(cell, record, about)
        failed += record["status"] == "failed"
        print(f"    {record['status']} {record.get('reason', '')}".rstrip(), flush=True)
        if record.get("log"):
            print(f"    log: {record['log']}".replace("CACHE", str(cache_directory())), flush=True)
    return failed


def _record(suite: AbstractSuite, cell: Cell, workspace: Workspace, store: Store) -> dict[str, Any]:
    """Measure a cell, whatever comes of it."""
    outcome: dict[str, Any]
    with Watch() as watch:
        try:
            outcome = {"status": "measured", "result": suite.measure(cell, workspace, store.results)}
        except (Failed, PdesolveError) as error:
            log = getattr(error, "log", None)
            outcome = {"status": "failed", "reason": private(str(error))} | ({"log": private(log)} if log else {})
        except Skipped as error:
            outcome = {"status": "skipped", "reason": str(error)}
    return {"date": _now(), **outcome, **(watch.record() if outcome["status"] == "measured" else {})}


class _Session:
    """When, where and by which command; measured when the first cell needs it."""

    def __init__(self, workspace: Workspace, words: Sequence[str]):
        self.workspace, self.words, self.known = workspace, words, None

    def facts(self) -> dict[str, Any]:
        if self.known is None:
            self.known = {
                "date": _now(),
                "command": private(" ".join(["python scripts/benchmark.py", *self.words])),
                "smoke": self.workspace.smoke,
                "commit": commit(),
                "versions": versions(),
                "machine": machine(self.workspace),
            }
        return self.known


def _parser(suites: Mapping[str, AbstractSuite]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, epilog="An interrupted run continues by the same command.")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(suites)}; default: all")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, about a minute, results kept apart")
    parser.add_argument("--tables", action="store_true", help="measure nothing; write the document from the results")
    parser.add_argument("--again", action="store_true", help="measure finished cells again")
    parser.add_argument("--out", metavar="DIR", help="results; the document is DIR.md. Default: docs/performance")
    parser.add_argument("--seeds", type=int, metavar="N", help="seeds of each cell; default: the suite's own number")
    parser.add_argument("--repetitions", type=int, metavar="N", help="of a command that is timed as a whole")
    parser.add_argument("--problems", metavar="LIST", help="comma-separated; default: all that have a residual")
    parser.add_argument("--seconds", type=float, help="budget of a solve in place of the recipe's; cells of its own")
    parser.add_argument("--peers", metavar="LIST", help=f"comma-separated, of {', '.join(PEERS)}; default: all")
    parser.add_argument("--precision", choices=("float32", "float64"), help="of peers; default: their recipe's")
    parser.add_argument("--cores", type=int, metavar="N", help="cores to use, where the system can bind; default: all")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="threads of BLAS and OpenMP; default: as cores (peers: see the page)"
    )
    parser.add_argument("--device", choices=("cpu", "any"), default="cpu", help="default: cpu, for peers as well")
    return parser


def _chosen(names: Sequence[str], suites: Mapping[str, AbstractSuite]) -> list[AbstractSuite]:
    for name in names:
        if name not in suites:
            raise UnknownNameError("suite", name, suites)
    return [suites[name] for name in names or suites]


def _options(given: argparse.Namespace) -> Options:
    peers, problems = (tuple(text.split(",")) if text else None for text in (given.peers, given.problems))
    for name in peers or ():
        if name not in PEERS:
            raise UnknownNameError("peer", name, PEERS)
    for name in ("seeds", "repetitions", "cores", "threads", "seconds"):
        value = getattr(given, name)
        if value is not None and not value > 0:
            raise PdesolveError(f"`--{name}` must be positive, got {value:g}.")
    return Options(given.smoke, given.seeds, peers, problems, given.seconds, given.precision, given.repetitions)


def _pin(count: int | None) -> None:
    """Bind this process, and thereby all it starts, to the first cores it may use."""
    if count is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
