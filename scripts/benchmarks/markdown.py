"""Tables and numbers in Markdown."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["failures", "number", "seconds", "spread", "table"]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, or nothing if it has no rows; the first column is text, the others are numbers."""
    rows = list(rows)
    if not rows:
        return ""
    rule = [":--", *["--:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(_cell(word) for word in row)} |" for row in (header, rule, *rows))


def number(value: float | None) -> str:
    """Return an error or a ratio with two digits."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.1e}"


def seconds(value: float | None) -> str:
    """Return a time in seconds with three digits."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.3g}"


def spread(values: Iterable[float | None], show: Any = number) -> str:
    """Return the median, and the smallest and largest value where there are several."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return "-"
    text = show(statistics.median(known))
    return text if len(known) == 1 else f"{text} ({show(min(known))} to {show(max(known))})"


def failures(records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a line for each cell without a result: what happened, and where its log is."""
    lines = []
    for key, record in records.items():
        if record["status"] != "measured":
            log = f" (log: `{record['log']}`)" if record.get("log") else ""
            lines.append(f"- `{key}` {record['status']}: {record['reason']}{log}")
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
