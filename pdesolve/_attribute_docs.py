"""Docstrings of a dataclass's attributes: one text for the help, commented configurations and readers of the code."""

import ast
import functools
import inspect
from itertools import pairwise

__all__ = ["attribute_docs"]


@functools.cache
def attribute_docs(cls: type) -> dict[str, str]:
    """Return the string literal after each annotated attribute of a top-level class, by name, on one line.

    Python keeps no docstrings of attributes, so they are read from the source.
    """
    body = ast.parse(inspect.getsource(cls)).body[0].body  # pyright: ignore[reportAttributeAccessIssue]
    return {
        node.target.id: " ".join(text.value.value.split())
        for node, text in pairwise(body)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
