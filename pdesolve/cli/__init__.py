"""The command line: `pdesolve solve burgers`. Nothing is imported before a command needs it."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from ._main import main as main

__getattr__, __dir__, __all__ = attach(__name__, {"main": "._main"})
