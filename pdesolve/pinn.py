"""Physics-informed networks: a problem's equations and conditions as an objective for a coordinate network."""

import dataclasses
import functools
import inspect
import itertools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from . import registry
from .batching import map_samples
from .calculus import field_at, pointwise
from .comparison import Comparison
from .config import DataConfig, NetworkConfig, PointsConfig, Recipe, StageConfig
from .errors import PdesolveError, UnknownNameError
from .fit import FitResult, Stage, fit
from .geometry import AbstractDomain, SpaceTime
from .identification import standard_errors
from .method import AbstractMethod, Monitor, Outcome, identity, resolved
from .nets import AbstractNetwork, PeriodicEmbedding, ScaledNetwork
from .objective import Objective, PointwiseBlock, Term
from .optim import AbstractOptimiser, build_stage_optimiser
from .problem import AbstractProblem, Condition, Points, Values, evaluation_grid
from .rows import AbstractRowRule, build_row_rule
from .samplers import AbstractSampler, AdaptivePoints, FixedSamples, RedrawnPoints

__all__ = ["PINN", "Ansatz", "build_network", "build_objective"]

CONTINUITY_WEIGHT = 100.0
"""Weight, unless the recipe gives another, of the jump of a field between two time windows: it stands in for an initial
condition, which other windows meet exactly, and what it misses is carried through all later ones."""


class Ansatz(eqx.Module):
    """Trainables of a physics-informed network: one network for each time window, and unknown coefficients."""

    networks: tuple[eqx.Module, ...]
    unknowns: dict[str, Float[Array, ""]]

    def problem(self, problem: AbstractProblem) -> AbstractProblem:
        """Return the problem with the unknown coefficients in place."""
        return dataclasses.replace(problem, **self.unknowns) if self.unknowns else problem


class Fields(eqx.Module):
    """The fields of one window at a point, `(d,) -> (number of fields,)`: network, then the problem's transform."""

    network: Callable[[Array], Array]
    problem: AbstractProblem
    exact: bool = eqx.field(static=True)

    def __call__(self, point: Float[Array, " d"]) -> Float[Array, " fields"]:
        """Return the values of all fields, in the order of `problem.field_names`."""
        raw = self.network(point)
        if not self.exact:
            return raw
        names = self.problem.field_names
        at = _At(dict(zip(self.problem.domain().coordinates, point, strict=True)))
        values = self.problem.transform(dict(zip(names, raw, strict=True)), at)
        return jnp.stack([jnp.asarray(values[name]) for name in names])


class _At:
    """Coordinates at a point by name, with whatever else belongs to the point (`normal`, `data`)."""

    def __init__(self, values: dict[str, Any]):
        self.__dict__.update(values)


class _Equations(eqx.Module):
    """Residuals of the equations at a point."""

    problem: AbstractProblem
    exact: bool = eqx.field(static=True)
    window: int = eqx.field(static=True, default=0)

    def __call__(self, ansatz: Ansatz, point, key, context):
        problem = ansatz.problem(self.problem)
        function = Fields(ansatz.networks[self.window], problem, self.exact)
        return pointwise(problem.equations, function, problem.domain().coordinates, problem.field_names)(point)


class _Condition(eqx.Module):
    """Residuals of a condition at a point with its normal, at a datum, or at a pair of points."""

    problem: AbstractProblem
    condition: Condition
    exact: bool = eqx.field(static=True)
    window: int = eqx.field(static=True, default=0)

    def __call__(self, ansatz: Ansatz, sample, key, context):
        problem = ansatz.problem(self.problem)
        function = Fields(ansatz.networks[self.window], problem, self.exact)
        coordinates, names = problem.domain().coordinates, problem.field_names
        point, extra = sample["point"], {k: v for k, v in sample.items() if k not in ("point", "far")}
        condition = self.condition
        if ansatz.unknowns:  # the residual of the problem with the coefficients as they are now
            condition = next(each for each in problem.conditions() if each.name == condition.name)

        def residual(fields, at):
            at = _At({name: getattr(at, name) for name in coordinates} | extra)
            far = [field_at(function, sample["far"], coordinates, names)] if "far" in sample else []
            return condition.residual(fields, at, *far)

        values = pointwise(residual, function, coordinates, names)(point)
        return {term_name(self.condition, label): value for label, value in values.items()}


class _Continuity(eqx.Module):
    """Fields, and time derivatives where two initial values are prescribed, equal those of the window before."""

    problem: AbstractProblem
    orders: tuple[tuple[str, int], ...] = eqx.field(static=True)
    exact: bool = eqx.field(static=True)
    window: int = eqx.field(static=True)

    def __call__(self, ansatz: Ansatz, point, key, context):
        problem = ansatz.problem(self.problem)
        before = Fields(jax.lax.stop_gradient(ansatz.networks[self.window - 1]), problem, self.exact)
        after = Fields(ansatz.networks[self.window], problem, self.exact)
        time = jnp.zeros(len(point)).at[-1].set(1.0)
        result = {}
        for field, order in self.orders:
            index = problem.field_names.index(field)
            old, new = before, after
            for _ in range(order):
                old, new = _along(old, time), _along(new, time)
            result[f"continuity_{field}" + "_t" * order] = new(point)[index] - old(point)[index]
        return result


def _along(function: Callable, direction: Array) -> Callable:
    """Return the directional derivative of a function of a point."""
    return lambda point: jax.jvp(function, (point,), (direction,))[1]


def term_name(condition: Condition, label: str) -> str:
    """Return the name of a condition's loss term, e.g. `x_min_u`."""
    return f"{condition.name}_{label}"


def build_network(problem: AbstractProblem, config: NetworkConfig, domain: AbstractDomain, key: Array) -> eqx.Module:
    """Return the named network, scaled from the domain's box to [-1, 1] and to the problem's field ranges.

    The option `periodic = "x"` (or `"x,y"`) makes it exactly periodic along those coordinates; with `harmonics = 3`
    it sees three waves and not one, and with `repeats = 4` the pattern repeats four times from end to end.

    Raises:
        UnknownNameError: If there is no such network, option or coordinate.
    """
    options, axes = dict(config.options), periodic_axes(config)
    options.pop("periodic", None)
    for option in ("harmonics", "repeats"):
        if option in options and not axes:
            raise PdesolveError(f"the network option `{option}` belongs to `periodic`, which names the coordinates.")
    harmonics, repeats = int(options.pop("harmonics", 1)), int(options.pop("repeats", 1))
    if repeats < 1:
        raise PdesolveError(f"the network option `repeats` must be at least 1, got {repeats}.")
    constructor = registry.load("networks", config.name)
    fixed = {"in_size", "out_size", "key", "width", "depth", "activation"}
    accepted = {*inspect.signature(constructor).parameters, "periodic", "harmonics", "repeats"} - fixed
    for option in options:
        if option not in accepted:
            raise UnknownNameError(f"option of network {config.name!r}", option, accepted)
    sizes = {"width": config.width, "depth": config.depth, "activation": config.activation}
    ranges = [problem.field_scales().get(name, (-1.0, 1.0)) for name in problem.field_names]

    def build(in_size: int) -> AbstractNetwork:
        return constructor(in_size, len(ranges), key=key, **sizes, **options)

    if axes:  # the box is mapped to [-1, 1] first, so that a whole side is 2
        periods = dict.fromkeys(axes, 2.0 / repeats)
        network: AbstractNetwork = PeriodicEmbedding(
            build, coordinates=domain.coordinates, periods=periods, harmonics=harmonics
        )
    else:
        network = build(domain.dimension)
    scale, shift = [(high - low) / 2 for low, high in ranges], [(high + low) / 2 for low, high in ranges]
    return ScaledNetwork(network, domain.bounds, scale=scale, shift=shift)


def periodic_axes(config: NetworkConfig) -> tuple[str, ...]:
    """Return the coordinates along which the network is periodic by construction: its option `periodic`."""
    return tuple(axis.strip() for axis in str(config.options.get("periodic", "")).split(",") if axis.strip())


def build_sampler(domain: AbstractDomain, points: PointsConfig, seed: int) -> AbstractSampler:
    """Return the sampler of interior points that the configuration names."""
    draw = functools.partial(_interior, domain, points.sampler)
    if points.adaptive == "none":
        return FixedSamples(jnp.asarray(draw(points.interior, seed)))
    if points.adaptive == "redraw":
        return RedrawnPoints(draw, points.interior, points.refresh)
    if points.adaptive not in ("rad", "rar_d"):
        raise UnknownNameError("adaptive method", points.adaptive, ("rad", "rar_d", "redraw", "none"))
    return AdaptivePoints(draw, points.interior, points.adaptive, points.candidates)


def _interior(domain: AbstractDomain, sampler: str, num_points: int, seed: int) -> np.ndarray:
    return domain.sample_interior(num_points, sampler, seed)


def _condition_samples(
    condition: Condition, domain: AbstractDomain, points: PointsConfig, seed: int
) -> dict[str, Any] | None:
    """Return the samples of a condition, or None if none of its given points lies in this domain."""
    if condition.points is not None:
        keep = domain.contains(condition.points)
        if not keep.any():
            return None
        data = {name: value[keep] for name, value in (condition.data or {}).items()}
        return {"point": condition.points[keep]} | ({"data": _Data(data)} if data else {})
    if condition.periodic_axis is not None:
        near, far = domain.sample_pairs(condition.periodic_axis, points.boundary, points.sampler, seed)
        return {"point": near, "far": far}
    single = condition.part in domain.boundary_parts and domain.boundary_axes(condition.part) == 0
    count = 1 if single else points.boundary
    place, normal = domain.sample_boundary(condition.part, count, points.sampler, seed)
    spatial = [i for i, name in enumerate(domain.coordinates) if name != "t"]
    return {"point": place, "normal": tuple(normal[:, i] for i in spatial)}


class _Data(eqx.Module):
    """Measured values at a point, by field: `at.data["u"]` or `at.data.u`."""

    values: dict[str, Any]

    def __getitem__(self, name):
        return self.values[name]


def build_objective(
    problem: AbstractProblem, recipe: Recipe, domain: AbstractDomain, window: int = 0, *, constrained: bool = False
) -> Objective:
    """Return the objective of one time window: a block for the equations, one for each condition that is not exact.

    If `constrained`, the terms that `recipe.constraints` names are equality constraints, those of all conditions if it
    names none.

    Raises:
        PdesolveError: If a condition selects no point, or a residual is not a scalar at a point.
    """
    exact = recipe.exact
    met = problem.exact_conditions() if exact else ()
    points, seeds = recipe.points, iter(np.random.SeedSequence([recipe.seed, window]).generate_state(64))
    equations = _Equations(problem, exact, window)
    parts: list[tuple[Callable, AbstractSampler]] = [(equations, build_sampler(domain, points, int(next(seeds))))]
    for condition in problem.conditions():
        elsewhere = (condition.part == "initial" and window > 0) or (
            condition.part == "final" and window < recipe.windows - 1
        )
        if condition.name in met or elsewhere:
            continue
        samples = _condition_samples(condition, domain, points, int(next(seeds)))
        if samples is None:
            continue
        part = _Condition(problem, condition, exact, window), _fixed(samples)
        if condition.periodic_axis not in periodic_axes(recipe.network) or not _vanishes(problem, recipe, *part):
            parts.append(part)
    heavy: dict[str, float] = {}
    if window > 0:
        orders = _initial_orders(problem)
        heavy = {f"continuity_{field}": CONTINUITY_WEIGHT for field, order in orders if order == 0}
        place, _ = domain.sample_boundary("initial", points.boundary, points.sampler, int(next(seeds)))
        parts.append((_Continuity(problem, orders, exact, window), FixedSamples(jnp.asarray(place))))
    times = (domain.start, domain.end) if isinstance(domain, SpaceTime) else None
    rule = build_row_rule(points.weighting, points.weighting_options, times)
    recipe = dataclasses.replace(recipe, weights={**heavy, **recipe.weights})
    return _objective(problem, recipe, parts, constrained, rule)


def _vanishes(problem: AbstractProblem, recipe: Recipe, residual: Callable, sampler: FixedSamples) -> bool:
    """Say whether the untrained ansatz meets a condition to round-off: then it does so by its construction.

    A network that is periodic is not enough: the problem's transform may undo it, and the condition may ask for more.
    """
    ansatz = initial_ansatz(problem, recipe)
    few = jax.tree.map(lambda leaf: leaf[:16], sampler.samples)
    values = eqx.filter_jit(jax.vmap(lambda sample: residual(ansatz, sample, jax.random.key(0), None)))(few)
    largest = max(float(jnp.abs(value).max()) for value in values.values())
    return largest < float(jnp.finfo(jnp.zeros(0).dtype).eps) ** (1 / 3)  # of the type that is computed in


def _fixed(samples: dict[str, Any]) -> FixedSamples:
    return FixedSamples(jax.tree.map(jnp.asarray, samples))


def _initial_orders(problem: AbstractProblem) -> tuple[tuple[str, int], ...]:
    """Return (field, order of the time derivative) for every prescribed initial value."""
    found = tuple((f, c.time_order or 0) for c in problem.conditions() if c.part == "initial" for f in c.fields)
    return found or tuple((field, 0) for field in problem.field_names)


def _objective(
    problem: AbstractProblem,
    recipe: Recipe,
    parts: list[tuple[Callable, AbstractSampler]],
    constrained: bool,
    rule: AbstractRowRule | None,
) -> Objective:
    """Name the terms of each part by evaluating it once in the abstract, and weigh them."""
    ansatz = eqx.filter_eval_shape(initial_ansatz, problem, recipe)
    blocks = []
    for residual, sampler in parts:
        batch = sampler.draw(sampler.init(0), jax.random.key(0), jnp.asarray(0))
        sample = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), batch.samples)
        shapes = eqx.filter_eval_shape(residual, ansatz, sample, jax.random.key(0), None)
        for name, shape in shapes.items():
            if shape.shape != ():
                raise PdesolveError(f"residual {name!r} must be a scalar at a point; got shape {shape.shape}.")
        met = recipe.constraints or (() if isinstance(residual, _Equations) else tuple(shapes))
        kinds = {name: "equality" if constrained and name in met else "loss" for name in shapes}
        single = rule if isinstance(residual, _Equations) else None
        terms = tuple(
            Term(name, float(recipe.weights.get(name, 1.0)), kind=kind, row_rule=single) for name, kind in kinds.items()
        )
        blocks.append(PointwiseBlock(residual, sampler, terms, recipe.points.chunk))
    return Objective(tuple(blocks))


def initial_ansatz(problem: AbstractProblem, recipe: Recipe) -> Ansatz:
    """Return untrained networks, one for each window, and the unknowns' first values."""
    keys = jax.random.split(jax.random.key(recipe.seed), recipe.windows)
    domains = windows_of(problem.domain(), recipe.windows)
    networks = tuple(build_network(problem, recipe.network, d, k) for d, k in zip(domains, keys, strict=True))
    return Ansatz(networks, {name: jnp.asarray(value, dtype=float) for name, value in problem.unknowns().items()})


def windows_of(domain: AbstractDomain, count: int) -> tuple[AbstractDomain, ...]:
    """Split a domain in time.

    Raises:
        PdesolveError: If there is more than one window and the problem has no time.
    """
    if count == 1:
        return (domain,)
    if not isinstance(domain, SpaceTime) or count < 1:
        raise PdesolveError(f"{count} time windows need a problem with time; this domain has {domain.coordinates}.")
    times = np.linspace(domain.start, domain.end, count + 1)
    return tuple(domain.window(float(a), float(b)) for a, b in itertools.pairwise(times))


class PINN(AbstractMethod):
    """Physics-informed network: equations and conditions as residuals at collocation points (Raissi et al. 2019)."""

    def run(self, problem, recipe, monitor):
        """Train, compare with the reference, or with a second seed where there is none."""
        if not isinstance(problem, AbstractProblem):
            raise PdesolveError(f"method 'pinn' solves single problems; {type(problem).__name__} is a family.")
        if recipe.data != DataConfig():
            raise PdesolveError("method 'pinn' generates no data: leave out the table `data`.")
        comparison = Comparison(problem, evaluation_grid(problem, recipe))
        if comparison.expected is None and any(stage.target is not None for stage in recipe.stages):
            raise PdesolveError("`target` is an error against a reference, and this problem has none.")
        result, resolved_recipe = self._train(problem, recipe, comparison, monitor)
        evaluate = self.evaluator(problem, recipe, result.trainables)
        values = evaluate(comparison.points)
        verdict = comparison.verdict(values)
        if comparison.expected is None and result.status not in ("diverged", "interrupted"):
            verdict |= self._residuals(problem, recipe, result)
            second, difference = self._second_seed(problem, resolved_recipe, comparison, values, monitor.mesh)
            verdict["seed_difference"] = difference
            if second.status == "interrupted":
                result = dataclasses.replace(result, status=second.status, reason=second.reason)
            elif second.status == "diverged":
                verdict["doubt"] = f"a second seed diverged: {second.reason}"
        if problem.unknowns():
            verdict["identified"] = {name: float(value) for name, value in result.trainables.unknowns.items()}
            if recipe.windows == 1 and result.status not in ("diverged", "interrupted"):
                verdict |= self._standard_errors(problem, recipe, result.trainables)
        return Outcome(
            dataset=comparison.dataset(evaluate),
            verdict=verdict,
            recipe=resolved_recipe,
            verified=comparison.expected is not None,
            fit=result,
            model=result.trainables,
            evaluate=evaluate,
        )

    def skeleton(self, problem, recipe):
        """Return untrained networks of the recipe's shape."""
        return initial_ansatz(problem, recipe)

    def evaluator(self, problem, recipe, model):
        """Return the fields at points `(n, d)`, each point by its window's network."""
        domains = windows_of(problem.domain(), recipe.windows)
        edges = np.array([d.start for d in domains[1:]]) if recipe.windows > 1 else np.empty(0)

        def evaluate(points: Points) -> Values:
            points = np.asarray(points, dtype=float)
            window = np.searchsorted(edges, points[:, -1], side="right") if len(edges) else np.zeros(len(points), int)
            values = np.empty((len(points), len(problem.field_names)), jnp.zeros(0).dtype)
            for index in np.unique(window):
                chosen = window == index
                values[chosen] = np.asarray(_evaluate(model, problem, recipe.exact, int(index), points[chosen]))
            return {name: values[:, i] for i, name in enumerate(problem.field_names)}

        return evaluate

    def _standard_errors(self, problem: AbstractProblem, recipe: Recipe, ansatz: Ansatz) -> dict[str, Any]:
        """Return how far errors of observations can have moved the unknown coefficients, if there are observations."""
        noise = {
            term_name(condition, field): condition.noise
            for condition in problem.conditions()
            for field in condition.fields
            if condition.kind == "observations"
        }
        if not noise:
            return {}
        objective = build_objective(problem, recipe, problem.domain())
        return {"standard_error": standard_errors(objective, ansatz, noise, tuple(ansatz.unknowns))}

    def _train(
        self, problem: AbstractProblem, recipe: Recipe, comparison: Comparison, monitor: Monitor
    ) -> tuple[FitResult, Recipe]:
        ansatz = initial_ansatz(problem, recipe)
        stages = build_stages(problem, recipe)
        check_finite(stages[0].objective, ansatz)

        def measure(ansatz: Ansatz) -> dict[str, float]:
            return comparison.errors(self.evaluator(problem, recipe, ansatz)(comparison.points))

        result = fit(
            stages,
            ansatz,
            seed=recipe.seed,
            evaluate=measure,
            callbacks=monitor.callbacks,
            checkpoint=monitor.checkpoint,
            resume=monitor.resume,
            identity=identity(problem, recipe),
            mesh=monitor.mesh,
        )
        return result, resolved(recipe, result.steps, windows=recipe.windows)

    def _second_seed(self, problem, recipe, comparison, values, mesh) -> tuple[FitResult, float | None]:
        """Train once more with another seed; return the fit, and the relative difference of the two answers."""
        recipe = dataclasses.replace(recipe, seed=recipe.seed + 1)
        other, _ = self._train(problem, recipe, comparison, Monitor(mesh=mesh))
        if other.status in ("diverged", "interrupted"):
            return other, None
        second = self.evaluator(problem, recipe, other.trainables)(comparison.points)
        first, second = ({n: _centred(problem, n, v) for n, v in answer.items()} for answer in (values, second))
        difference = sum(np.sum((first[n] - second[n]) ** 2) for n in problem.field_names)
        norm = sum(np.sum(first[n] ** 2) for n in problem.field_names)
        return other, float(np.sqrt(difference / max(norm, 1e-300)))

    def _residuals(self, problem, recipe, result) -> dict[str, Any]:
        """Return the residuals at points which training has not seen: uniform ones, as a lattice has no others."""
        points = dataclasses.replace(recipe.points, sampler="uniform")
        fresh = dataclasses.replace(recipe, seed=recipe.seed + 1, points=points)
        residuals: dict[str, float] = {}
        for window, domain in enumerate(windows_of(problem.domain(), recipe.windows)):
            here = independent_residuals(build_objective(problem, fresh, domain, window), result.trainables)
            residuals |= {name: max(value, residuals.get(name, 0.0)) for name, value in here.items()}
        return {"residuals": residuals}


def _centred(problem: AbstractProblem, name: str, values: np.ndarray) -> np.ndarray:
    """Return a field without its mean where it is determined up to a constant only."""
    return values - values.mean() if name in problem.up_to_constant() else values


def build_stages(problem: AbstractProblem, recipe: Recipe) -> list[Stage]:
    """Return the stages of a fit: those of the recipe, for each time window in turn.

    Raises:
        UnknownNameError: If a weight names no term, an exact condition no condition, or a condition no boundary part.
        PdesolveError: If points of a condition lie outside the domain, or unknown coefficients meet time windows.
    """
    _check_conditions(problem, recipe)
    parts = []
    for window, domain in enumerate(windows_of(problem.domain(), recipe.windows)):
        chosen = [config for config in recipe.stages if config.window in (None, window)]
        if not chosen:
            raise PdesolveError(f"no stage trains time window {window}; `stages` name others only.")
        objectives: dict[tuple[int, bool], Objective] = {}
        for config in chosen:
            count, optimiser = config.interior or recipe.points.interior, build_stage_optimiser(config)
            key = count, optimiser.meets_constraints
            if key not in objectives:
                objectives[key] = build_objective(
                    problem, _with_interior(recipe, count), domain, window, constrained=optimiser.meets_constraints
                )
            parts.append((config, optimiser, objectives[key], recipe, window, config is chosen[0]))
    terms = {term.name for _, _, objective, *_ in parts for term in objective.terms}
    for label, names in (("loss term in `weights`", recipe.weights), ("term in `constraints`", recipe.constraints)):
        for name in names:
            if name not in terms:
                raise UnknownNameError(label, name, terms)
    return [_stage(*part) for part in parts]


def _with_interior(recipe: Recipe, count: int) -> Recipe:
    return dataclasses.replace(recipe, points=dataclasses.replace(recipe.points, interior=count))


def _check_conditions(problem: AbstractProblem, recipe: Recipe) -> None:
    names = [condition.name for condition in problem.conditions()]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise PdesolveError(f"several conditions are named {', '.join(map(repr, twice))}. Tell them apart by `name=`.")
    conditions = {condition.name: condition for condition in problem.conditions()}
    for name in problem.exact_conditions():
        if name not in conditions:
            raise UnknownNameError("condition in `exact_conditions`", name, conditions)
    if recipe.windows > 1 and problem.unknowns():
        raise PdesolveError("unknown coefficients belong to all times; use `windows = 1`.")
    for condition in conditions.values():
        if condition.part not in (None, "boundary"):  # those that are met exactly draw no points, which would tell
            problem.domain().check_part(condition.part)
        if condition.points is not None and not (inside := problem.domain().contains(condition.points)).all():
            index = int(np.argmin(inside))
            raise PdesolveError(
                f"condition {condition.name!r}: point {index}, {condition.points[index].tolist()}, lies outside the "
                f"domain; coordinates are {problem.domain().coordinates}."
            )


def _stage(
    config: StageConfig, optimiser: AbstractOptimiser, objective: Objective, recipe: Recipe, window: int, first: bool
) -> Stage:
    return Stage(
        objective,
        optimiser,
        steps=config.steps,
        seconds=config.seconds,
        target=config.target,
        chunk=recipe.points.refresh,
        trainable=functools.partial(_only_window, window) if recipe.windows > 1 else None,
        # A stage that was never reached is replayed with 0 steps, and leaves its window as it was.
        prepare=functools.partial(_warm_start, window) if window > 0 and first and config.steps != 0 else None,
        name=config.optimiser if recipe.windows == 1 else f"{config.optimiser}, window {window + 1}",
    )


def _only_window(window: int, ansatz: Ansatz) -> PyTree:
    return Ansatz(tuple(i == window for i in range(len(ansatz.networks))), dict.fromkeys(ansatz.unknowns, True))


def _warm_start(window: int, ansatz: Ansatz) -> Ansatz:
    """Begin a window with the parameters of the one before; its own input scaling stays."""
    before, own = ansatz.networks[window - 1], ansatz.networks[window]
    started = eqx.tree_at(lambda n: n.network, own, before.network)
    return eqx.tree_at(lambda a: a.networks[window], ansatz, started)


@eqx.filter_jit
def _evaluate(ansatz: Ansatz, problem: AbstractProblem, exact: bool, window: int, points: Array) -> Array:
    function = Fields(ansatz.networks[window], ansatz.problem(problem), exact)
    return jax.lax.map(function, points, batch_size=2**16) if len(points) > 2**16 else map_samples(function)(points)


def check_finite(objective: Objective, ansatz: Ansatz) -> None:
    """Raise a `PdesolveError` naming term and point if a residual of the untrained model is not finite."""
    for block in objective.blocks:
        batch = block.sampler.draw(block.sampler.init(0), jax.random.key(0), jnp.asarray(0))
        z, _ = eqx.filter_jit(block.evaluate)(ansatz, batch.samples, jax.random.key(0), None)
        for name, values in z.items():
            bad = ~np.isfinite(np.asarray(values))
            if bad.any():
                places = batch.samples["point"] if isinstance(batch.samples, dict) else batch.samples
                point = np.asarray(places)[int(np.argmax(bad))]
                raise PdesolveError(
                    f"residual {name!r} is {np.asarray(values)[int(np.argmax(bad))]} at the point "
                    f"({', '.join(f'{x:.6g}' for x in point)}), with the untrained network. Look for a division by "
                    "zero, or a square root or logarithm of a negative number."
                )


def independent_residuals(objective: Objective, ansatz: Ansatz) -> dict[str, float]:
    """Return the root mean square of every term at other points than those of training (given points excepted)."""
    result = {}
    for block in objective.blocks:
        batch = block.sampler.draw(block.sampler.init(987654321), jax.random.key(0), jnp.asarray(0))
        z, _ = eqx.filter_jit(block.evaluate)(ansatz, batch.samples, jax.random.key(0), None)
        result.update({name: float(jnp.sqrt(jnp.mean(jnp.square(values)))) for name, values in z.items()})
    return result
