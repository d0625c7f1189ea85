"""Exit codes, and what they say about a solve."""

__all__ = ["BAD_INPUT", "EXIT_CODES", "FAILED", "INTERRUPTED", "OK", "exit_code"]

OK = 0
FAILED = 1
BAD_INPUT = 2
INTERRUPTED = 130

EXIT_CODES = """exit codes:
  0    done; a solve ended with status solved or unverified
  1    a solve diverged, failed or missed its target; `doctor` or `data check` found something wrong
  2    bad input: an unknown name or option, a value out of range, a file that cannot be read or written
  130  interrupted; `pdesolve solve ... --resume` continues, and so does the same `pdesolve data make`"""


def exit_code(status: str) -> int:
    """Return the exit code for the status of a solution."""
    return {"solved": OK, "unverified": OK, "interrupted": INTERRUPTED}.get(status, FAILED)
