"""What a person sees of a run: the meter while it trains, the table at its end."""

import math
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .fit import Report

__all__ = ["Meter", "table"]


class Meter:
    """A progress bar with loss terms and error, fed by `fit` after every chunk; a context manager."""

    def __init__(self, title: str, *, console: Console | None = None, quiet: bool = False):
        self.progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=console or Console(stderr=True),
            disable=quiet,
            transient=False,
        )
        self.task = self.progress.add_task(title, total=1.0, state="compiling")
        self.title = title

    def __enter__(self) -> "Meter":
        self.progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.progress.stop()

    def __call__(self, report: Report) -> None:
        """Show a report."""
        terms = [(name.partition("/")[2], value) for name, value in report.metrics.items() if name.startswith("loss/")]
        shown = " ".join(f"{name} {value:.1e}" for name, value in sorted(terms, key=lambda term: -term[1])[:3])
        error = report.metrics.get("relative_l2")
        state = f"step {report.step}  {shown}" + (f"  [green]rel. L2 {error:.1e}[/]" if error is not None else "")
        self.progress.update(
            self.task, completed=report.progress, description=f"{self.title} · {report.stage}", state=state
        )


def table(summary: dict[str, Any]) -> Table:
    """Return the table of results: errors beside what they are to be held against, times, the classical solver."""
    result = Table(title=f"{summary['problem']}: {summary['status']}", show_header=False, title_justify="left")
    result.add_column(style="bold")
    result.add_column(justify="right")
    for label, value in _rows(summary):
        result.add_row(label, value)
    result.caption = summary["reason"]
    return result


def _rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    trivial, seconds = summary["trivial_error"] or {}, summary["seconds"]
    rows = [
        ("relative L2 error", _number(summary["relative_l2"])),
        ("max error", _number(summary["max_error"])),
        *[(f"trivial predictor ({name})", _number(value)) for name, value in trivial.items()],
        ("reference's own error bound", _number(summary["reference_error"])),
        *[
            (f"residual {name} (new points, RMS)", _number(value))
            for name, value in summary.get("residuals", {}).items()
        ],
        *[("difference of two seeds", _number(summary[key])) for key in ("seed_difference",) if key in summary],
        *[
            (f"identified {name}", _measured(value, summary.get("standard_error", {}).get(name)))
            for name, value in summary.get("identified", {}).items()
        ],
        *[(name.replace("_", " "), _number(value)) for name, value in summary.get("measures", {}).items()],
        ("steps", "-" if summary["steps"] is None else str(summary["steps"])),
        *[(f"seconds to {verb}", f"{seconds[verb]:.2f}") for verb in ("compile", "train", "evaluate")],
    ]
    if summary["classical_seconds"] is not None:
        solver = summary.get("classical") or {}
        # Without a resolution that was searched for, the time is that of the solver at an accuracy of its own.
        same = "resolution" in solver
        label = "classical solver, same accuracy" if same else solver.get("method", "classical solver")
        rows.append((label, f"{summary['classical_seconds']:.4f} s"))
    elif summary.get("classical"):
        rows.append(("classical solver", str(summary["classical"])))
    return rows


def _measured(value: float, error: float | None) -> str:
    return f"{value:.6g}" if error is None or not math.isfinite(error) else f"{value:.6g} ± {error:.1g}"


def _number(value: float | None) -> str:
    return "-" if value is None else ("nan" if math.isnan(value) else f"{value:.2e}")
