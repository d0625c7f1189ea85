r"""Differential operators of vector calculus on fields.

A vector is a tuple of fields, one for each spatial coordinate (all but `"t"`) in their order; a tensor is a tuple of
rows. Operators of a scalar act on a vector by component.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from ..errors import PdesolveError
from .fields import Field, partial, require_field

__all__ = [
    "curl",
    "directional_derivative",
    "divergence",
    "gradient",
    "hessian",
    "laplacian",
    "material_derivative",
]

Vector = tuple[Any, ...]


def gradient(u: Any) -> Vector:
    r"""Return $\nabla u$; of a vector, the rows $\nabla u_i$."""
    if _is_vector(u):
        return tuple(gradient(component) for component in u)
    return tuple(partial(u, name) for name in _spatial(u))


def divergence(v: Vector) -> Any:
    r"""Return $\nabla \cdot v$; of a tensor, the vector of the divergences of its rows.

    Raises:
        PdesolveError: If `v` has another number of components than there are spatial coordinates.
    """
    if _is_vector(v) and v and _is_vector(v[0]):
        return tuple(divergence(row) for row in v)
    names = _check_vector("divergence", v)
    return _sum([partial(component, name) for component, name in zip(v, names, strict=True)])


def curl(v: Vector) -> Any:
    r"""Return $\nabla \times v$: in two dimensions the scalar $\partial_x v_2 - \partial_y v_1$, in three a vector.

    Raises:
        PdesolveError: If `v` has another number of components than there are spatial coordinates, or neither 2 nor 3.
    """
    names = _check_vector("curl", v)
    if len(names) == 2:
        return partial(v[1], names[0]) - partial(v[0], names[1])
    if len(names) == 3:
        cyclic = ((1, 2), (2, 0), (0, 1))
        return tuple(partial(v[j], names[i]) - partial(v[i], names[j]) for i, j in cyclic)
    raise PdesolveError(f"`curl` is defined in 2 and 3 spatial dimensions, got {len(names)}: {', '.join(names)}.")


def laplacian(u: Any) -> Any:
    r"""Return $\Delta u$, the sum of the second derivatives along the spatial coordinates.

    At a point it is propagated as one coefficient (the forward Laplacian), unless the second derivatives are needed
    anyway.
    """
    if _is_vector(u):
        return tuple(laplacian(component) for component in u)
    _spatial(u)
    return u.laplacian()


def hessian(u: Field) -> tuple[Vector, ...]:
    r"""Return the rows of $\partial_i \partial_j u$."""
    return tuple(gradient(component) for component in gradient(u))


def directional_derivative(u: Any, v: Any) -> Any:
    r"""Return $v \cdot \nabla u$.

    Args:
        u: A field, or a vector.
        v: The direction, a tuple of fields, numbers or an array with one entry for each spatial coordinate.

    Raises:
        PdesolveError: If `v` has another number of components than there are spatial coordinates.
    """
    if _is_vector(u):
        return tuple(directional_derivative(component, v) for component in u)
    names = _spatial(u)
    count = len(v) if _is_vector(v) else jnp.shape(v)[0] if jnp.ndim(v) == 1 else None
    if count != len(names):
        raise PdesolveError(
            f"`directional_derivative` expected a direction with {len(names)} components, one each for "
            f"{', '.join(names)}; got {'a scalar' if count is None else count}."
        )
    # The derivative stands first: `array * field` would be a plain array.
    return _sum([partial(u, name) * v[i] for i, name in enumerate(names)])


def material_derivative(u: Any, v: Vector) -> Any:
    r"""Return $\partial_t u + v \cdot \nabla u$, the rate of change seen by a particle that moves with velocity $v$."""
    if _is_vector(u):
        return tuple(material_derivative(component, v) for component in u)
    return partial(u, "t") + directional_derivative(u, v)


def _is_vector(u: Any) -> bool:
    return isinstance(u, tuple | list)


def _spatial(u: Any) -> tuple[str, ...]:
    names = require_field(u).representation.spatial
    if not names:
        raise PdesolveError('there is no spatial coordinate to differentiate along, only "t". Use partial(u, "t").')
    return names


def _check_vector(operator: str, v: Any) -> tuple[str, ...]:
    if not _is_vector(v) or not v:
        raise PdesolveError(f"`{operator}` expected a tuple of fields, got {type(v).__name__}.")
    # A component may be constant: it counts, though it has no derivative of its own.
    names = _spatial(next((component for component in v if isinstance(component, Field)), v[0]))
    if len(v) != len(names):
        raise PdesolveError(
            f"`{operator}` expected {len(names)} components, one each for {', '.join(names)}; got {len(v)}."
        )
    return names


def _sum(fields: Sequence[Any]) -> Any:
    return sum(fields[1:], start=fields[0])
