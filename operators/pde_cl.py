"""PDE-CL: an operator whose answer obeys the equation as nearly as its basis functions can."""

import inspect
import math
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pdesolve import registry
from pdesolve.constraints import PointwiseLeastSquares, stationarity, weights_of_least_squares
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.system import AbstractSystem

from .experts import chosen_points
from .operator import AbstractOperator, check_sample, check_sizes

__all__ = ["PDECL", "Expansion", "LocalSolve", "build_basis", "expand", "system_of"]


class PDECL(AbstractOperator):
    r"""PDE-constrained layer: an operator gives basis functions, a solve of the equation their weights.

    $$u = \sum_j w_j B_j(a), \quad w = \arg\min_w \tfrac12 |\rho(w)|^2,$$

    with $\rho$ the residual of the equation at points of the grid, what initial and boundary conditions leave over, and
    a ridge. The operator below gives B on the whole grid, of space and time. Terms of the equation, derivatives of B,
    are computed once; nothing is differentiated in the solve. Where the equation is linear the solve is a closed form,
    otherwise Levenberg and Marquardt's method. Gradients are those of the implicit function.

    It takes and returns physical functions. No solution is needed for training: the equation's residual over the whole
    grid is the loss (`physics` and a weight 0 of the data). The solve is in double precision where JAX has it enabled.

    Without a family there is no equation: the weights are 1.

    Args:
        in_channels: Input functions.
        out_channels: Output functions.
        num_dims: Axes of the grid.
        family: The family whose equation it is, with a method `system`; by name it is the problem that is solved.
        operator: Registered name (`pdesolve list operators`), or a constructor with the same arguments.
        basis: N, the number of basis functions; output functions have their weights in common.
        points: At how many points of the grid the equation is imposed; at all if 0. Drawn once.
        ridge: Weight of w itself among the residuals, which keeps dependent basis functions apart.
        condition_weight: Of the mean square of each condition, beside that of the equation.
        tolerance: Of the search: largest cosine between residual and a column of its Jacobian.
        max_steps: Most trial steps of the search.
        width: Of the operator.
        depth: Of the operator.
        activation: Of the operator.
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.
        **options: Further arguments of the operator.

    Raises:
        UnknownNameError: If there is no such operator, or it has no such option.
        PdesolveError: If a number is out of range, or the family has no `system`.

    References:
        Négiar, Mahoney, Krishnapriyan, Learning differentiable solvers for systems with hard constraints, ICLR (2023).
    """

    physical: ClassVar[bool] = True
    """It takes and returns functions as the equation has them, not normalised."""
    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    system: AbstractSystem | None = eqx.field(static=True)
    solver: "LocalSolve"
    operator: AbstractOperator

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_dims: int = 1,
        family: Any = None,
        operator: str | Callable[..., AbstractOperator] = "fno",
        basis: int = 16,
        points: int = 0,
        ridge: float = 1e-5,
        condition_weight: float = 1.0,
        tolerance: float = 1e-8,
        max_steps: int = 50,
        width: int = 64,
        depth: int = 4,
        activation: str = "gelu",
        key: PRNGKeyArray,
        dtype: Any = None,
        **options: Any,
    ):
        self.in_channels, self.out_channels, self.num_dims = in_channels, out_channels, num_dims
        self.system = system_of(family)
        self.solver = LocalSolve(points, ridge, condition_weight, tolerance, max_steps)
        sizes = {"num_dims": num_dims, "width": width, "depth": depth, "activation": activation}
        self.operator = build_basis(
            operator, in_channels, out_channels, basis, **sizes, key=key, dtype=dtype, options=options
        )

    def __call__(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output functions on the grid of the input."""
        check_sample(sample, self.in_channels, self.num_dims)
        basis = self.basis_functions(sample)
        if self.system is None:
            return jnp.sum(basis, axis=0)
        expansion = expand(self.system, sample, basis)
        return expansion.answer(self.solver.weights(self._problem(expansion))).astype(sample.dtype)

    def basis_functions(self, sample: Float[Array, "in *grid"]) -> Float[Array, "weight out *grid"]:
        """Return B."""
        return self.operator(sample).reshape(-1, self.out_channels, *sample.shape[1:])

    def weights(self, sample: Float[Array, "in *grid"]) -> tuple[Float[Array, " weight"], Float[Array, ""]]:
        """Return w, and the largest cosine that is left: see `pdesolve.constraints.stationarity`.

        Raises:
            PdesolveError: If there is no equation.
        """
        if self.system is None:
            raise PdesolveError("there is no equation to solve: build the operator with `family`.")
        problem = self._problem(expand(self.system, sample, self.basis_functions(sample)))
        weights = self.solver.weights(problem)
        return weights, stationarity(problem, weights)

    def _problem(self, expansion: "Expansion") -> PointwiseLeastSquares:
        assert self.system is not None
        dims = self.num_dims
        return self.solver.problem(self.system, expansion, *(flat(v, dims) for v in expansion.at_points))


class Expansion(eqx.Module):
    """An answer that is affine in weights, with the terms of its equation and its conditions.

    Each is a pair: the part that stays, and the one linear in the weights.
    """

    values: tuple[Float[Array, " out *grid"], Float[Array, "weight out *grid"]]
    terms: tuple[Float[Array, " term *grid"], Float[Array, "weight term *grid"]]
    conditions: tuple[Float[Array, " row"], Float[Array, "weight row"]]
    data: dict[str, Float[Array, "*grid"]]
    names: tuple[str, ...] = eqx.field(static=True)
    """Of the terms."""

    @property
    def at_points(self) -> tuple[Array, Array, Array]:
        """All that is known at every point of the grid and counts in the equation."""
        data = jnp.stack(list(self.data.values())) if self.data else jnp.zeros((0, *self.terms[0].shape[1:]))
        return *self.terms, data

    def answer(self, weights: Float[Array, " weight"]) -> Float[Array, " out *grid"]:
        """Return the answer."""
        return self.values[0] + jnp.tensordot(weights, self.values[1], 1)


class LocalSolve(eqx.Module):
    """How the weights of one expert are found; PDE-CL is the case of a single one for the whole domain."""

    points: int = eqx.field(static=True, default=0)
    ridge: float = eqx.field(static=True, default=1e-5)
    condition_weight: float = eqx.field(static=True, default=1.0)
    tolerance: float = eqx.field(static=True, default=1e-8)
    max_steps: int = eqx.field(static=True, default=50)

    def __check_init__(self):
        check_sizes(0, points=self.points, ridge=self.ridge, condition_weight=self.condition_weight)
        check_sizes(1, max_steps=self.max_steps)
        if not 0 < self.tolerance < 1:
            raise PdesolveError(f"`tolerance` must be above 0 and below 1, got {self.tolerance}.")

    def problem(
        self,
        system: AbstractSystem,
        expansion: Expansion,
        offset: Float[Array, "term point"],
        tensor: Float[Array, "weight term point"],
        data: Float[Array, "datum point"],
        gate: Float[Array, " point"] | None = None,
    ) -> PointwiseLeastSquares:
        """Return the rows of one expert: its own points, and the conditions in full.

        Args:
            system: The equation.
            expansion: Its names and conditions count.
            offset: The terms' part that stays, at the expert's points.
            tensor: The part linear in the weights.
            data: What the equation needs to know besides.
            gate: Share of the expert in the answer at the points; the same at all if None.
        """
        chosen = chosen_points(offset.shape[1], self.points)
        names, known = expansion.names, tuple(expansion.data)
        share = jnp.ones(len(chosen), offset.dtype) if gate is None else gate[chosen]
        shift, matrix = expansion.conditions
        strength = math.sqrt(self.condition_weight)

        def balance(terms: Array, data: Array) -> Array:
            found = system.balance(dict(zip(names, terms, strict=True)), dict(zip(known, data, strict=True)))
            return jnp.stack(list(found.values()))

        return PointwiseLeastSquares(
            tensor=jnp.moveaxis(tensor[:, :, chosen], 0, -1),
            offset=offset[:, chosen],
            data=data[:, chosen],
            scale=jnp.sqrt(share / jnp.sum(share)),
            matrix=jnp.concatenate([strength * matrix.T, self.ridge * jnp.eye(len(matrix), dtype=matrix.dtype)]),
            shift=jnp.concatenate([strength * shift, jnp.zeros(len(matrix), shift.dtype)]),
            function=balance,
            linear=system.linear,
        )

    def weights(self, problem: PointwiseLeastSquares) -> Float[Array, " weight"]:
        """Solve."""
        return weights_of_least_squares(problem, tolerance=self.tolerance, max_steps=self.max_steps)


def expand(
    system: AbstractSystem, given: Float[Array, "in *grid"], basis: Float[Array, "weight out *grid"]
) -> Expansion:
    """Compute the terms of all basis functions: the one time that anything is differentiated.

    In double precision where JAX has it enabled, because the solve squares condition numbers.
    """
    dtype = jnp.result_type(float)
    given, basis = given.astype(dtype), basis.astype(dtype)
    coordinates = system.coordinates(given.shape[1:])
    names: list[str] = []

    def affine(functions: Array) -> tuple[Array, Array, Array]:
        answer = system.answer(given, functions, coordinates)
        terms, conditions = (f(given, answer, coordinates) for f in (system.terms, system.conditions))
        names[:] = terms
        # Mean squares, whatever the grid.
        rows = [c.ravel() / math.sqrt(c.size) for c in conditions.values()]
        return answer, jnp.stack(list(terms.values())), jnp.concatenate(rows) if rows else jnp.zeros(0, dtype)

    offsets, linear = jax.linearize(affine, jnp.zeros_like(basis[0]))
    values, terms, conditions = zip(offsets, jax.vmap(linear)(basis), strict=True)
    return Expansion(values, terms, conditions, system.data(given, coordinates), tuple(names))


def flat(v: Float[Array, "*lead_and_grid"], dims: int) -> Float[Array, "*lead point"]:
    """Return an array with the axes of the grid as one, the last."""
    lead = v.shape[: v.ndim - dims]
    return v.reshape(*lead, int(np.prod(v.shape[v.ndim - dims :])))


def system_of(family: Any) -> AbstractSystem | None:
    """Return the equations of a family; None without one.

    Raises:
        PdesolveError: If the family has none in the form that a constrained solve takes.
    """
    if family is None:
        return None
    if not hasattr(family, "system"):
        raise PdesolveError(
            f"{type(family).__name__} has no `system`, the form of its equations that a constrained solve takes. Use "
            "another operator or family."
        )
    return family.system()


def build_basis(
    operator: str | Callable[..., AbstractOperator],
    in_channels: int,
    out_channels: int,
    basis: int,
    *,
    options: dict[str, Any],
    **sizes: Any,
) -> AbstractOperator:
    """Build the operator that gives the basis functions.

    Raises:
        UnknownNameError: If there is no such operator, or it has no such option.
        PdesolveError: If a number is out of range.
    """
    check_sizes(1, in_channels=in_channels, out_channels=out_channels, basis=basis)
    constructor = registry.load("operators", operator) if isinstance(operator, str) else operator
    parameters = inspect.signature(constructor).parameters.values()
    accepted = {p.name for p in parameters} - {"in_channels", "out_channels", *sizes}
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        for option in options:
            if option not in accepted:
                raise UnknownNameError(f"option of the basis operator {operator!r}", option, accepted)
    return constructor(in_channels, basis * out_channels, **sizes, **options)
