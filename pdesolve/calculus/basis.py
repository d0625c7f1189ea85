r"""Equations evaluated on fields that are linear in weights, $u(x) = \sum_k w_k \varphi_k(x)$.

The derivatives of the basis functions at given points are computed once (`BasisTerms`); for any weights an equation
then costs products of matrices and vectors, and a linear equation is linear in the weights.
"""

from collections.abc import Callable, Iterable, Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ..errors import PdesolveError
from ._algebra import Key, Laplacian, MultiIndex
from .fields import AbstractRepresentation, At, Fields
from .jets import derivatives
from .record import Equation, evaluate, requested

__all__ = ["BasisTerms", "basis_fields", "basis_terms", "on_basis"]

Basis = Callable[[Float[Array, " d"]], Float[Array, " terms"]]
Weights = Mapping[str, Float[Array, " terms"]]


class BasisTerms(eqx.Module):
    r"""Derivatives $D^\alpha \varphi_k(x_i)$ of basis functions at points.

    Args:
        points: $x_i$, shape `(n, d)`.
        tensors: From key to the derivatives, each of shape `(n, number of terms)`.
        coordinates: Names of the coordinates, in the order of the points.
    """

    points: Float[Array, "n d"]
    tensors: dict[Key, Float[Array, "n terms"]]
    coordinates: tuple[str, ...] = eqx.field(static=True)


def basis_terms(
    basis: Basis, points: Float[Array, "n d"], coordinates: Iterable[str], keys: Iterable[Key]
) -> BasisTerms:
    """Compute the derivatives named by `keys` (see `derivatives`, `requested`) of a basis at points, in one sweep."""
    points, coordinates, keys = jnp.asarray(points), tuple(coordinates), tuple(keys)
    if points.ndim != 2 or points.shape[1] != len(coordinates):
        raise PdesolveError(
            f"expected points of shape (n, {len(coordinates)}), one column each for {', '.join(coordinates)}; "
            f"got {points.shape}."
        )
    return BasisTerms(points, jax.vmap(lambda point: derivatives(basis, point, keys))(points), coordinates)


def basis_fields(terms: BasisTerms, weights: Weights) -> tuple[Fields, At]:
    """Return fields and coordinates at the points of `terms`, what an equation takes.

    Args:
        terms: The basis and its derivatives at the points.
        weights: Field name to weights, shape `(number of terms,)`.

    Raises:
        PdesolveError: If the weights do not fit the basis; when evaluated, if a derivative was not computed.
    """
    representation = _Basis(terms, weights)
    return Fields(representation, weights), At(representation)


def on_basis(
    equation: Equation, basis: Basis, points: Float[Array, "n d"], coordinates: Iterable[str], names: Iterable[str]
) -> Callable[[Weights], dict[str, Float[Array, " n"]]]:
    """Return the residuals of an equation as a function of the weights, the basis differentiated beforehand.

    Args:
        equation: `equation(fields, at) -> {name: scalar}`, the same that `pointwise` takes.
        basis: From a point `(d,)` to the values of the basis functions, shared by all fields.
        points: Where the equation is evaluated.
        coordinates: Names of the coordinates, in the order of the points; time is named `"t"`.
        names: Names of the fields.

    Returns:
        A function from weights, `{name: (number of terms,)}`, to `{name of the equation: (n,)}`. Where the equation is
        linear its matrix is `jax.jacfwd` of this function at zero weights.

    Raises:
        PdesolveError: If a result is not a scalar at a point.
        UnknownNameError: If the equation uses an unknown field or coordinate.
    """
    coordinates = tuple(coordinates)
    keys = requested(equation, coordinates, tuple(names), dtype=jnp.result_type(points))
    terms = basis_terms(basis, points, coordinates, keys)

    def residuals(weights: Weights) -> dict[str, Float[Array, " n"]]:
        return evaluate(equation, *basis_fields(terms, weights), shape=terms.points.shape[:1])

    return residuals


class _Basis(AbstractRepresentation):
    """Products of the tensors with the weights, kept once formed."""

    def __init__(self, terms: BasisTerms, weights: Weights):
        self.coordinates = terms.coordinates
        self._terms, self._weights = terms, weights
        self._table: dict[tuple[str, Key], Array] = {}
        count = next(iter(terms.tensors.values())).shape[1:]
        for name, weight in weights.items():
            if jnp.shape(weight) != count:
                raise PdesolveError(f"expected weights of {name!r} of shape {count}, got {jnp.shape(weight)}.")

    def derivative(self, name: str, index: MultiIndex) -> Array:
        return self._product(name, index)

    def laplacian(self, name: str) -> Array:
        key = Laplacian(self.spatial_axes)
        return self._product(name, key) if key in self._terms.tensors else super().laplacian(name)

    def coordinate(self, name: str) -> Array:
        return self._terms.points[:, self.coordinates.index(name)]

    def _product(self, name: str, key: Key) -> Array:
        if key not in self._terms.tensors:
            raise PdesolveError(
                f"the derivative {key} of the basis was not computed; known: {sorted(self._terms.tensors)}. "
                "Pass `requested(equation, ...)` as the keys of `basis_terms`."
            )
        if (name, key) not in self._table:
            tensor = self._terms.tensors[key]
            self._table[name, key] = jnp.matmul(tensor, self._weights[name], precision=lax.Precision.HIGHEST)
        return self._table[name, key]
