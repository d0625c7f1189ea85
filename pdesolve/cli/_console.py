"""Standard output by rich, imported when something is to be shown."""

from typing import Any

__all__ = ["show"]


def show(*renderables: Any) -> None:
    """Print tables and lines; names in them are not taken for markup.

    Raises:
        BrokenPipeError: If the reader has gone. Rich itself would end the process with exit code 1.
    """
    from rich.console import Console

    class _Console(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    console = _Console(highlight=False, markup=False)
    for renderable in renderables:
        console.print(renderable)
