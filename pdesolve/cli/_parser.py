"""argparse, with errors a user can act on."""

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from ..errors import PdesolveError, UnknownNameError

__all__ = ["Parser", "integer", "number"]


class Parser(argparse.ArgumentParser):
    """An argument parser which raises `PdesolveError`, and answers an unknown option with the nearest one."""

    def __init__(self, **kwargs: Any):
        kwargs.setdefault("formatter_class", _Formatter)
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing and leaving."""
        raise PdesolveError(f"{message.removeprefix('argument ')}. See `{self.prog} --help`.")

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse all of `words`.

        Raises:
            UnknownNameError: For an unknown option; the message gives the nearest one.
            PdesolveError: For anything else that does not parse.
        """
        arguments, unknown = self.parse_known_args(list(map(_normal, _joined(words))))
        options = [word for word in unknown if word.startswith("-")]
        if options:
            known = [s for s in self._option_string_actions if s.startswith("--")]
            raise UnknownNameError("option", options[0].partition("=")[0], known)
        if unknown:
            self.error(f"unexpected argument {unknown[0]!r}")
        return arguments


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Text of ours as it is, options in a column wide enough for most of them."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=30, width=100)


def _joined(words: Sequence[str]) -> list[str]:
    """Join an option with a negative number after it: argparse takes -1e-3 for an option."""
    joined: list[str] = []
    for word in words:
        if joined and re.fullmatch(r"--[\w-]+", joined[-1]) and re.fullmatch(r"-(\d|\.\d|inf).*", word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _normal(word: str) -> str:
    """`--learning_rate` is `--learning-rate`: parameters have underscores in Python and in TOML."""
    if not word.startswith("--"):
        return word
    option, equals, value = word.partition("=")
    return option.replace("_", "-") + equals + value


def integer(text: str) -> int:
    """Parse an integer; 1e4 is one too."""
    try:
        value = float(text)
        return int(text) if not value.is_integer() or "e" not in text.lower() else int(value)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"expected an integer, got {text!r}") from None


def number(text: str) -> float:
    """Parse a number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from None
