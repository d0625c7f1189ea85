"""What is solved: domain, parameters, equations, conditions, and an answer to compare with."""

import abc
import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float

from .config import Recipe
from .errors import PdesolveError, UnknownNameError
from .geometry import AbstractDomain
from .metrics import errors

__all__ = [
    "AbstractProblem",
    "Classical",
    "Condition",
    "Parameter",
    "Reference",
    "check_parameters",
    "dirichlet",
    "evaluation_grid",
    "grid_points",
    "initial",
    "neumann",
    "observations",
    "parameter",
    "parameters_of",
    "periodic",
    "reference_error",
    "refine",
    "robin",
    "switch",
    "with_parameters",
]

Points = Float[np.ndarray, "n d"]
Values = dict[str, np.ndarray]
"""Field name to values of shape `(n,)`, one for each point."""


@dataclasses.dataclass(frozen=True)
class Parameter:
    """Documentation and admissible range of a physical parameter; see `parameter`."""

    description: str
    unit: str = "1"
    above: float = -math.inf
    below: float = math.inf
    at_least: float = -math.inf
    at_most: float = math.inf
    switch: bool = False
    """Whether it is off (0) or on (1); see `switch`."""

    def check(self, name: str, value: float) -> None:
        """Raise `PdesolveError` if a concrete `value` is not finite or out of range."""
        if not math.isfinite(value):
            raise PdesolveError(f"`{name}` must be finite, got {value}.")
        if not (self.above < value < self.below and self.at_least <= value <= self.at_most):
            raise PdesolveError(f"`{name}` must be {self.range}, got {value:g}.")

    @property
    def range(self) -> str:
        """The admissible range in words, e.g. `"positive"` or `"above 0 and at most 1"`."""
        if self.switch:
            return "0 or 1"
        if (self.above, self.below, self.at_least, self.at_most) == (0.0, math.inf, -math.inf, math.inf):
            return "positive"
        limits = {
            "above": self.above,
            "at least": self.at_least,
            "below": self.below,
            "at most": self.at_most,
        }
        return " and ".join(f"{word} {limit:g}" for word, limit in limits.items() if math.isfinite(limit))


def parameter(default: float, description: str, *, unit: str = "1", **limits: float) -> Any:
    """Declare a physical parameter of a problem.

    Args:
        default: Value used unless the user gives one.
        description: What it is, in a few words; shown by `--help`.
        unit: Its unit, `"1"` if nondimensional.
        **limits: Any of `above`, `below` (strict), `at_least`, `at_most`.

    Example:
        `viscosity: float = parameter(0.01, "kinematic viscosity", above=0)`
    """
    return eqx.field(default=default, metadata={"parameter": Parameter(description, unit, **limits)})


def switch(description: str) -> Any:
    """Declare a variant of a problem, off (0) unless asked for (1); on the command line its option needs no value.

    Example:
        `as_published: int = switch("the source with the benchmark's error")`
    """
    declared = Parameter(description, at_least=0.0, at_most=1.0, switch=True)
    return eqx.field(default=0, metadata={"parameter": declared})


def parameters_of(problem: Any) -> dict[str, Parameter]:
    """Return the declared parameters of a problem (class or instance), by name."""
    return {f.name: f.metadata["parameter"] for f in dataclasses.fields(problem) if "parameter" in f.metadata}


def check_parameters(problem: Any) -> None:
    """Raise `PdesolveError` if a parameter is out of its range; traced values are taken as they are."""
    for name, declared in parameters_of(problem).items():
        value = getattr(problem, name)
        if isinstance(value, int | float | np.number):
            declared.check(name, float(value))


def with_parameters(problem: type, values: Mapping[str, float]) -> Any:
    """Build `problem` with some parameters set.

    Raises:
        UnknownNameError: If a name is not a parameter of the problem.
        PdesolveError: If a value is out of its range.
    """
    for name in values:
        if name not in parameters_of(problem):
            raise UnknownNameError(f"parameter of {problem.__name__}", name, parameters_of(problem))
    return problem(**values)


class Condition(eqx.Module):
    r"""A residual that must vanish on part of the boundary, at the initial time, or at given points.

    `residual(fields, at)` is pointwise like an equation and returns `{label: scalar}`; on a boundary `at.normal`
    is the outward unit normal. A periodic condition receives a second point: `residual(fields, at, fields_far)`.
    """

    name: str
    residual: Callable[..., dict[str, Any]]
    part: str | None = None
    """A named part of the domain's boundary; None if `points` are given."""
    points: Points | None = None
    """Given points, e.g. of observations or of a pinned pressure, shape `(n, d)`."""
    data: Values | None = None
    """Values that travel with `points`; the residual finds them as `at.data["u"]`."""
    periodic_axis: str | None = None
    """Coordinate whose two ends are compared."""
    time_order: int | None = None
    """0 or 1 for initial conditions: the time derivative that is prescribed."""
    fields: tuple[str, ...] = ()
    """Names of the fields it is about, for messages and files."""
    kind: str = "general"
    """dirichlet, neumann, robin, periodic, initial, observations or general."""
    noise: float = 0.0
    """Standard deviation of the errors of given values: on the true solution the residual is of this size."""

    def __check_init__(self):
        places = [self.part is not None, self.points is not None, self.periodic_axis is not None]
        if sum(places) != 1:
            raise PdesolveError(f"condition {self.name!r} needs exactly one of `part`, `points`, `periodic_axis`.")
        if self.points is not None and len(self.points) == 0:
            raise PdesolveError(f"condition {self.name!r} selects no point: `points` has shape {self.points.shape}.")


Prescribed = float | Callable[[Any], Any]
"""A number, or a pointwise function of `at`."""


def _value(prescribed: Prescribed, at: Any) -> Any:
    return prescribed(at) if callable(prescribed) else prescribed


def dirichlet(part: str, values: Mapping[str, Prescribed], *, name: str | None = None) -> Condition:
    """Prescribe fields on a boundary part: `u = value`. `values` maps field names to numbers or functions of `at`."""

    def residual(fields, at):
        return {field: getattr(fields, field) - _value(value, at) for field, value in values.items()}

    return Condition(name or part, residual, part=part, fields=tuple(values), kind="dirichlet")


def neumann(part: str, values: Mapping[str, Prescribed], *, name: str | None = None) -> Condition:
    """Prescribe outward normal derivatives on a boundary part: `du/dn = value`."""
    return dataclasses.replace(
        robin(part, {field: (0.0, 1.0, value) for field, value in values.items()}, name=name), kind="neumann"
    )


def robin(
    part: str, values: Mapping[str, tuple[Prescribed, Prescribed, Prescribed]], *, name: str | None = None
) -> Condition:
    """Prescribe `a u + b du/dn = c` on a boundary part; `values` maps field names to `(a, b, c)`."""
    from .calculus import directional_derivative

    def residual(fields, at):
        result = {}
        for field, (a, b, c) in values.items():
            u = getattr(fields, field)
            result[field] = _value(a, at) * u + _value(b, at) * directional_derivative(u, at.normal) - _value(c, at)
        return result

    return Condition(name or part, residual, part=part, fields=tuple(values), kind="robin")


def initial(values: Mapping[str, Prescribed], *, order: int = 0, name: str | None = None) -> Condition:
    """Prescribe fields (`order=0`) or their time derivatives (`order=1`) at the initial time."""
    from .calculus import partial

    def residual(fields, at):
        u = {field: getattr(fields, field) for field in values}
        return {
            field: (u[field] if order == 0 else partial(u[field], "t", order)) - _value(value, at)
            for field, value in values.items()
        }

    name = name or ("initial" if order == 0 else "initial_rate")
    return Condition(name, residual, part="initial", fields=tuple(values), kind="initial", time_order=order)


def periodic(
    axis: str, fields: tuple[str, ...], *, orders: Iterable[int] = (0, 1), name: str | None = None
) -> Condition:
    """Equate fields and their normal derivatives at the two ends of an axis: derivatives of all `orders`."""
    from .calculus import partial

    def residual(near, at, far):
        result = {}
        for field in fields:
            for order in orders:
                u, v = getattr(near, field), getattr(far, field)
                label = field + f"_{axis * order}" * (order > 0)
                result[label] = partial(u, axis, order) - partial(v, axis, order) if order else u - v
        return result

    return Condition(name or f"periodic_{axis}", residual, periodic_axis=axis, fields=fields, kind="periodic")


def observations(points: Points, values: Values, *, noise: float = 0.0, name: str = "observations") -> Condition:
    """Fit measured values: `u(x_i) = values["u"][i]`, `points` of shape `(n, d)`, each value of shape `(n,)`.

    `noise` is the standard deviation of their errors, where it is known; it is recorded and changes no weight.

    Raises:
        PdesolveError: If shapes do not agree, a value is not finite, or the noise is negative.
    """
    if not 0 <= noise < math.inf:
        raise PdesolveError(f"condition {name!r}: `noise` is a standard deviation, not negative; got {noise}.")
    points = np.asarray(points, dtype=float)
    values = {field: np.asarray(value, dtype=float) for field, value in values.items()}
    for field, value in values.items():
        if value.shape != points.shape[:1]:
            raise PdesolveError(
                f"condition {name!r}: expected values of {field!r} of shape {points.shape[:1]}, one for each point; "
                f"got {value.shape}."
            )
        if not np.isfinite(value).all():
            raise PdesolveError(
                f"condition {name!r}: value {int(np.argmin(np.isfinite(value)))} of {field!r} is not finite."
            )

    def residual(fields, at):
        return {field: getattr(fields, field) - at.data[field] for field in values}

    return Condition(name, residual, points=points, data=values, fields=tuple(values), kind="observations", noise=noise)


@dataclasses.dataclass(frozen=True)
class Reference:
    """An answer that no neural network produced.

    Attributes:
        evaluate: Points `(n, d)` in the domain's coordinate order to field values `(n,)`.
        error_bound: Measured bound on its own relative L2 error, pooled over fields.
        description: Closed form or solver, with resolution and source.
    """

    evaluate: Callable[[Points], Values]
    error_bound: float
    description: str


@dataclasses.dataclass(frozen=True)
class Classical:
    """A classical solver's answer at the accuracy asked for.

    Attributes:
        seconds: Wall time of the solve that reached the tolerance (the search for its resolution not counted).
        error: Its relative L2 error against the reference.
        resolution: The number that was refined.
        description: The method in a few words.
        evaluate: Points `(n, d)` to field values `(n,)`.
    """

    seconds: float
    error: float
    resolution: int
    description: str
    evaluate: Callable[[Points], Values]


def refine(
    solve: Callable[[int], Callable[[Points], Values]],
    resolutions: Iterable[int],
    *,
    error: Callable[[Callable[[Points], Values]], float],
    tolerance: float,
    description: str,
) -> Classical:
    """Run a classical solver at growing resolution until its error is at most `tolerance`.

    The successful solve is repeated once and its second time reported, so that one-off costs (imports,
    compilation) do not count against the classical solver.

    Raises:
        PdesolveError: If no resolution reaches the tolerance; the message gives the best error.
    """
    best = math.inf
    for resolution in resolutions:
        try:
            reached = error(solve(resolution))
        except (FloatingPointError, np.linalg.LinAlgError, RuntimeError):
            continue
        best = min(best, reached) if math.isfinite(reached) else best
        if reached <= tolerance:
            start = time.perf_counter()
            evaluate = solve(resolution)
            return Classical(time.perf_counter() - start, reached, resolution, description, evaluate)
    raise PdesolveError(f"the classical solver ({description}) reached {best:.1e}, not the tolerance {tolerance:.1e}.")


class AbstractProblem(eqx.Module):
    r"""A named problem: one subclass in one file.

    Required are `field_names`, `domain` and `equations`; whatever else a subclass defines makes it better. Physical
    parameters are fields declared by `parameter`. The first line of the docstring is what `pdesolve list` shows.
    """

    field_names: eqx.AbstractClassVar[tuple[str, ...]]

    def __check_init__(self):
        check_parameters(self)

    @abc.abstractmethod
    def domain(self) -> AbstractDomain:
        """The domain in space, or in space and time (`SpaceTime`)."""

    @abc.abstractmethod
    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Residuals of the equations at one point, by name: left side minus right side."""

    def conditions(self) -> tuple[Condition, ...]:
        """Initial, boundary and data conditions."""
        return ()

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """Fields from the network's raw outputs at a point, meeting the conditions named by `exact_conditions`."""
        return raw

    def exact_conditions(self) -> tuple[str, ...]:
        """Names of the conditions which `transform` meets exactly, whatever the raw outputs."""
        return ()

    def unknowns(self) -> dict[str, float]:
        """Parameters to be identified, by name, with the value training starts from (inverse problems)."""
        return {}

    def units(self) -> dict[str, str]:
        """Units of fields and coordinates; those not named are nondimensional (`"1"`)."""
        return {}

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """Expected `(low, high)` of each field; raw outputs are scaled to it. Default: (-1, 1)."""
        return {}

    def up_to_constant(self) -> tuple[str, ...]:
        """Fields determined up to a constant only, e.g. a pressure; errors ignore their mean."""
        return ()

    def error_regions(self) -> dict[str, Callable[[Points], Bool[np.ndarray, " n"]]]:
        """Parts of the domain whose errors are told besides, by name: points to whether they belong to it."""
        return {}

    def reference(self) -> Reference | None:
        """An independent answer to compare with, or None: then results are `unverified`."""
        return None

    def classical(self, tolerance: float) -> Classical:
        """Solve classically to a relative L2 error of at most `tolerance`.

        Raises:
            PdesolveError: If the problem has no classical solver (with the reason), or the tolerance is not reached.
        """
        raise PdesolveError(f"{type(self).__name__} has no classical solver.")

    def recipe(self) -> Recipe:
        """How this problem is solved when nothing else is said."""
        return Recipe()


def evaluation_grid(problem: AbstractProblem, recipe: Recipe | None = None) -> dict[str, np.ndarray]:
    """Return the grid on which a problem's solution is stored: coordinate name to values, uniform.

    The recipe's `grid` counts (the problem's own recipe if None), else 257 points along each axis in one or two
    dimensions, 33 in three. In more dimensions it is a section through the centre: along the axes that the recipe's
    grid names, or the first two, while the others have their middle alone.

    Raises:
        UnknownNameError: If the recipe's grid names something else than a coordinate.
    """
    domain = problem.domain()
    counts = (problem.recipe() if recipe is None else recipe).grid
    for name in counts:
        if name not in domain.coordinates:
            raise UnknownNameError("coordinate in `grid`", name, domain.coordinates)
    default = 33 if domain.dimension == 3 else 257
    grid = domain.grid({name: counts.get(name, default) for name in domain.coordinates})
    if domain.dimension <= 3:
        return grid
    shown = counts or domain.coordinates[:2]
    middle = dict(zip(domain.coordinates, domain.bounds.mean(axis=1, keepdims=True), strict=True))
    return {name: grid[name] if name in shown else middle[name] for name in grid}


def grid_points(grid: Mapping[str, np.ndarray]) -> Points:
    """Return all points of a grid, shape `(n, d)`, the last coordinate running fastest."""
    return np.stack(np.meshgrid(*grid.values(), indexing="ij"), -1).reshape(-1, len(grid))


def comparison_points(problem: AbstractProblem, grid: Mapping[str, np.ndarray]) -> Points:
    """Return the points at which a solution is compared with its reference.

    Those of the grid that are in the domain. In more than three dimensions, where any grid is hollow, 16,384 points
    of a Sobol sequence inside the domain.
    """
    domain = problem.domain()
    if domain.dimension > 3:
        return domain.sample_interior(2**14, "sobol", 0)
    points = grid_points(grid)
    return points[domain.contains(points)]


def reference_error(problem: AbstractProblem, evaluate: Callable[[Points], Values]) -> float:
    """Return the relative L2 error of `evaluate` against the problem's reference on the evaluation grid.

    Pooled over fields, `||u - u_ref|| / ||u_ref||`; fields known up to a constant are compared without their means.

    Raises:
        PdesolveError: If the problem has no reference.
    """
    reference = problem.reference()
    if reference is None:
        raise PdesolveError(f"{type(problem).__name__} has no reference to compare with.")
    points = comparison_points(problem, evaluation_grid(problem))
    table = errors(evaluate(points), reference.evaluate(points), up_to_constant=problem.up_to_constant())
    return table["pooled"]["relative_l2"]
