"""Equations written in SymPy."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from .calculus import Field, apply, partial
from .errors import PdesolveError, UnknownNameError

__all__ = ["from_sympy"]

FUNCTIONS = {
    **{name: name for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "sign")},
    **{"log": "log", "Abs": "abs", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2"},
}
"""SymPy's name of a function to JAX's."""


def from_sympy(
    equations: Mapping[str, Any], fields: Any, at: Any, parameters: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    r"""Return residuals of equations written in SymPy, evaluated on fields: the body of a problem's `equations`.

    An unknown is a function of the coordinates, `u = Function("u")(x, t)`; `u.diff(t)` and derivatives of whole
    expressions, `(u**2 / 2).diff(x)` or `Derivative(k * u.diff(x), x)`, are evaluated as `partial` does. `Eq(a, b)` is
    the residual a - b.

    Args:
        equations: Expression by name; each is to be zero.
        fields: The unknown fields, found by the names of the functions.
        at: The coordinates, found by the names of symbols.
        parameters: Values of all other symbols.

    Raises:
        UnknownNameError: If a symbol or a function has no meaning here.
        PdesolveError: If SymPy is not installed, or an expression has no counterpart.
    """
    try:
        import sympy
    except ImportError as error:
        raise PdesolveError("equations in SymPy need it: pip install 'pdesolve[symbolic]'.") from error
    translate = _Translation(fields, at, dict(parameters or {}))
    residuals = {}
    for name, expression in equations.items():
        if isinstance(expression, sympy.Equality):
            left, right = map(translate, expression.args)
            residuals[name] = left - right
        else:
            residuals[name] = translate(sympy.sympify(expression))
    return residuals


class _Translation:
    """From SymPy's tree to arithmetic of fields."""

    def __init__(self, fields: Any, at: Any, parameters: dict[str, Any]):
        self.fields, self.at, self.parameters = fields, at, parameters

    def __call__(self, node: Any) -> Any:
        import sympy

        if isinstance(node, sympy.Symbol):
            return self._symbol(node.name)
        if node.is_number:
            return float(node)
        if isinstance(node, sympy.core.function.AppliedUndef):
            return self._unknown(node)
        if isinstance(node, sympy.Derivative):
            counts: Any = node.variable_count
            directions = [part for symbol, order in counts for part in (symbol.name, int(order))]
            return partial(self(node.expr), *directions)
        operands = [self(argument) for argument in node.args]
        if isinstance(node, sympy.Add):
            return sum(operands[1:], start=operands[0])
        if isinstance(node, sympy.Mul):
            product = operands[0]
            for operand in operands[1:]:
                product = product * operand
            return product
        if isinstance(node, sympy.Pow):
            exponent = node.exp
            return operands[0] ** (int(exponent) if exponent.is_Integer else operands[1])
        function = FUNCTIONS.get(type(node).__name__)
        if function is None:
            raise UnknownNameError("function", type(node).__name__, FUNCTIONS)
        carried = getattr(jnp, function)
        return apply(carried, *operands) if any(isinstance(o, Field) for o in operands) else carried(*operands)

    def _symbol(self, name: str) -> Any:
        if name in self.parameters:
            return self.parameters[name]
        if name in dir(self.at):
            return getattr(self.at, name)
        raise UnknownNameError("symbol", name, [*self.parameters, *dir(self.at)])

    def _unknown(self, node: Any) -> Any:
        names, given = dir(self.at), [str(argument) for argument in node.args]
        if not set(given) <= set(names):
            raise PdesolveError(
                f"{node}: an unknown is a function of coordinates, of which there are {', '.join(names)}."
            )
        return getattr(self.fields, type(node).__name__)
