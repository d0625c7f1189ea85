"""What is measured at a time, and what a suite of it must say."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

__all__ = ["AbstractSuite", "Cell", "Failed", "Options", "Skipped"]


@dataclasses.dataclass(frozen=True)
class Options:
    """What was asked for."""

    smoke: bool = False
    """Tiny sizes: shows that the harness works, and nothing else."""
    seeds: int | None = None
    """Seeds of every cell that has them; each suite's own number if None."""
    peers: tuple[str, ...] | None = None
    """Peers to compare with; all if None."""
    problems: tuple[str, ...] | None = None
    """Problems to solve; all that a network solves by its residual if None."""
    seconds: float | None = None
    """Budget of a solve in place of the recipe's."""
    precision: str | None = None
    """Precision of the peers in place of their recipe's."""
    repetitions: int | None = None
    """Repetitions where a cell repeats itself; each suite's own number if None."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One measurement: a key that is unique in its suite, and all that decides what is measured."""

    key: str
    parameters: Mapping[str, Any]


class Failed(Exception):
    """A cell that could not be measured: the reason, and where its output is."""

    def __init__(self, reason: str, log: str | None = None):
        super().__init__(reason)
        self.log = log


class Skipped(Exception):
    """A cell that was not tried, and why."""


class AbstractSuite(abc.ABC):
    """A set of cells, how to measure one, and how to show them."""

    name: ClassVar[str]
    """On the command line, and of the JSON file."""
    title: ClassVar[str]
    """Heading in the document."""
    about: ClassVar[str]
    """What was measured and how, in the document."""

    @abc.abstractmethod
    def cells(self, options: Options) -> Sequence[Cell]:
        """Return the cells in the order of measuring."""

    @abc.abstractmethod
    def measure(self, cell: Cell, workspace: Any, done: Mapping[str, Any]) -> dict[str, Any]:
        """Return the result of a cell as JSON values, with every raw repetition.

        Args:
            cell: The cell.
            workspace: Runs processes (`workspace.Workspace`).
            done: Results measured before, by key.

        Raises:
            Failed: If there is none.
            Skipped: If there is nothing to measure here.
        """

    @abc.abstractmethod
    def table(self, records: Mapping[str, Mapping[str, Any]]) -> str:
        """Return the records of the JSON file, each with its `machine`, as a Markdown table."""
