"""The only training loop: stages of an objective, an optimiser and a budget, run in chunks of fixed length."""

import dataclasses
import hashlib
import json
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, PRNGKeyArray, PyTree

from . import checkpoint as checkpoints
from .distributed import agreed, check_experts, copied, divided, is_writer, local, placed
from .errors import PdesolveError
from .nets import Fixed
from .objective import Context, Evaluation, Objective, Rows
from .optim import AbstractOptimiser
from .samplers import Batch

__all__ = ["FitResult", "Report", "Stage", "fit", "lowered_chunk"]

Evaluator = Callable[[PyTree], dict[str, float]]


class Stage(eqx.Module):
    """What is trained, how, and for how long; the first limit reached ends it.

    Args:
        objective: The terms.
        optimiser: The method.
        steps: Largest number of steps.
        seconds: Limit on the wall time of training and evaluation; compilation comes on top.
        target: Stop when the evaluator's `relative_l2` is at most this; where all stages to come would, the fit ends.
        chunk: Steps of one dispatch. Samples are refreshed, errors measured and checkpoints written between chunks.
        trainable: Trainables to a pytree prefix of booleans: what this stage changes; all inexact arrays if None.
        prepare: Optional change of the trainables when the stage begins, e.g. a warm start from another part.
        settings: Static settings that `evaluate` finds in its context.
        name: For messages and the log.
    """

    objective: Objective
    optimiser: AbstractOptimiser
    steps: int | None = eqx.field(static=True, default=None)
    seconds: float | None = eqx.field(static=True, default=None)
    target: float | None = eqx.field(static=True, default=None)
    chunk: int = eqx.field(static=True, default=100)
    trainable: Callable[[PyTree], PyTree] | None = None
    prepare: Callable[[PyTree], PyTree] | None = None
    settings: Mapping[str, Any] = eqx.field(static=True, default_factory=dict)
    name: str = eqx.field(static=True, default="train")

    def __check_init__(self):
        if self.steps is None and self.seconds is None:
            raise PdesolveError(f"stage {self.name!r} needs a budget: give `steps` or `seconds`.")
        for label, value, least in (("steps", self.steps, 0), ("seconds", self.seconds, 0.0), ("chunk", self.chunk, 1)):
            if value is not None and not (value >= least and math.isfinite(value)):
                raise PdesolveError(f"stage {self.name!r}: `{label}` must be at least {least}, got {value}.")
        self.optimiser.check(self.objective)

    def partition(self, trainables: PyTree) -> tuple[PyTree, PyTree]:
        """Split trainables into what this stage changes and what it does not."""
        inexact = jax.tree.map(_is_trained, trainables, is_leaf=_is_fixed)
        if self.trainable is None:
            return eqx.partition(trainables, inexact)
        spec = jax.tree.map(
            lambda chosen, branch: jax.tree.map(lambda trained: trained and chosen, branch),
            self.trainable(trainables),
            inexact,
        )
        return eqx.partition(trainables, spec)


@dataclasses.dataclass(frozen=True)
class Report:
    """What callbacks see after every chunk."""

    stage: str
    stage_index: int
    step: int
    """Steps of this stage."""
    total_steps: int
    """Steps of the whole fit."""
    progress: float
    """Share of the stage's budget used, 0 to 1."""
    metrics: dict[str, float]
    """Losses by term, the optimiser's metrics, the evaluator's errors."""
    seconds: dict[str, float]
    """Wall time so far: compile, train, evaluate."""


@dataclasses.dataclass(frozen=True)
class FitResult:
    """The outcome of a fit.

    Attributes:
        trainables: The last finite trainables.
        status: `completed` (budget used), `target_reached`, `stalled` (no step helps any more), `diverged` (a loss was
            not finite), or `interrupted`.
        reason: The same in a sentence, with the remedy where there is one.
        steps: Steps run in each stage, in the order of running; replaying them gives the same result.
        seconds: Wall time: compile, train, evaluate.
        history: One record for each chunk.
        best: The trainables with the smallest `relative_l2` of the evaluator, if they were asked for.
    """

    trainables: PyTree
    status: str
    reason: str
    steps: tuple[int, ...]
    seconds: dict[str, float]
    history: tuple[dict[str, Any], ...]
    best: PyTree = None


class _State(eqx.Module):
    """Everything a stage carries from step to step; what a checkpoint holds."""

    trainables: PyTree
    optimiser: PyTree
    samplers: tuple[PyTree, ...]
    rows: dict[str, PyTree]
    layers: PyTree


@dataclasses.dataclass
class _Ledger:
    """Counters that travel in the header of a checkpoint."""

    stage: int = 0
    step: int = 0
    stage_seconds: float = 0.0
    finished: list[int] = dataclasses.field(default_factory=list)
    seconds: dict[str, float] = dataclasses.field(
        default_factory=lambda: {"compile": 0.0, "train": 0.0, "evaluate": 0.0}
    )
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.finished) + self.step


def fit(
    stages: Sequence[Stage],
    trainables: PyTree,
    *,
    seed: int = 0,
    cycles: int = 1,
    evaluate: Evaluator | None = None,
    callbacks: Sequence[Callable[[Report], None]] = (),
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 10.0,
    resume: bool = False,
    layer_state: PyTree = None,
    identity: str = "",
    keep_best: bool = False,
    mesh: Mesh | None = None,
) -> FitResult:
    """Run stages in order, `cycles` times over.

    Everything random derives from `seed`, the stage and the step, so that a run replays, and a run resumed from a
    checkpoint equals one that was never stopped, bit for bit on the same machine and versions.

    Args:
        stages: Objective, optimiser and budget of each stage.
        trainables: One pytree: model, unknown coefficients, adversarial weights.
        seed: Seed of sampling and of stochastic evaluation.
        cycles: How often the sequence of stages is run (alternation).
        evaluate: Maps trainables to named errors; run between chunks, its time counted apart.
        callbacks: Called after every chunk.
        checkpoint: File written between chunks, at most every `checkpoint_seconds`, and at the end.
        checkpoint_seconds: See `checkpoint`.
        resume: Continue from `checkpoint` if it exists.
        layer_state: First state of layers, if there are any.
        identity: What a checkpoint must agree with besides seed, optimisers and chunks: problem and configuration.
        keep_best: Whether to keep the trainables of the smallest `relative_l2` that `evaluate` has returned.
        mesh: Devices over whose axis `data` samples are divided, and over `expert` the experts of each
            (`pdesolve.distributed.data_mesh`); one device if None. If they belong to several processes, each calls
            this function, and the first one writes the checkpoint.

    Returns:
        The trained trainables with status, steps and times. Never raises for a diverged or interrupted training.

    Raises:
        PdesolveError: If the checkpoint does not fit, a file cannot be written, or optimiser or model do not know
            the mesh.
    """
    sequence = list(stages) * cycles
    if not sequence:
        raise PdesolveError("a fit needs at least one stage and one cycle.")
    for stage in sequence if mesh is not None else ():
        stage.optimiser.check_mesh()
    check_experts(mesh, trainables)
    run = _Run(sequence, seed, evaluate, callbacks, checkpoint, checkpoint_seconds, identity)
    run.keep_best, run.mesh = keep_best, mesh
    with _Interrupt() as interrupt:
        return run.all(trainables, layer_state, resume, interrupt)


def lowered_chunk(stage: Stage, trainables: PyTree, *, mesh: Mesh | None = None, seed: int = 0) -> Any:
    """Return the program of a stage's first chunk of steps before it is compiled, to be looked into.

    `lowered_chunk(...).compile().compiled.as_text()` is what the devices run.
    """
    run = _Run([stage], seed, None, (), None, math.inf, "")
    run.mesh = mesh
    placements = placed((stage, run._begin(stage, trainables, None), jax.random.key(seed)), mesh)
    return _chunk.lower(*placements, *run._window(stage, 1), mesh)  # type: ignore[attr-defined]


class _Run:
    """One call of `fit`: holds what does not change, so that the loop below reads as a loop."""

    def __init__(self, stages, seed, evaluate, callbacks, checkpoint, checkpoint_seconds, identity):
        self.stages, self.seed, self.evaluate, self.callbacks = stages, seed, evaluate, callbacks
        self.identity = identity
        self.checkpoint, self.checkpoint_seconds = checkpoint, checkpoint_seconds
        self.ledger, self.saved_at = _Ledger(), time.perf_counter()
        self.errors: dict[str, float] = {}
        """As last measured."""
        self.keep_best, self.best, self.least = False, None, math.inf
        """What has had the smallest error so far, and that error."""
        self.mesh: Mesh | None = None

    def all(self, trainables, layers, resume, interrupt) -> FitResult:
        ledger, state = self.ledger, None
        if resume and self.checkpoint is not None and agreed(Path(self.checkpoint).exists(), self.mesh):
            state = self._restore(trainables, layers)
            ledger = self.ledger
        elif self.checkpoint is not None and self._writes:
            # An earlier run's would be taken for this one's if this one is killed.
            Path(self.checkpoint).unlink(missing_ok=True)
        while True:
            stage = self.stages[ledger.stage]
            if state is None:
                state = self._begin(stage, trainables if stage.prepare is None else stage.prepare(trainables), layers)
            state, status = self._stage(stage, state, interrupt)
            rest = self.stages[ledger.stage + 1 :]
            done = status == "target_reached" and all(_reached(later, self.errors) for later in rest)
            if status in ("diverged", "interrupted") or done or not rest:
                break
            ledger.finished.append(ledger.step)
            ledger.stage, ledger.step, ledger.stage_seconds = ledger.stage + 1, 0, 0.0
            (trainables, layers), state = local((state.trainables, state.layers)), None
        state = local(state)
        self._save(state, status)
        steps = (*ledger.finished, ledger.step)
        history = tuple(ledger.history)
        return FitResult(state.trainables, status, _REASONS[status], steps, dict(ledger.seconds), history, self.best)

    def _stage(self, stage, state, interrupt) -> tuple[_State, str]:
        """Run one stage to the end of its budget."""
        key = jax.random.fold_in(jax.random.key(self.seed), self.ledger.stage)
        stage, state, key = placed((stage, state, key), self.mesh)
        with _timed(self.ledger.seconds, "compile"):  # a chunk of no steps compiles, and does nothing else
            jax.block_until_ready(_chunk(stage, state, key, *self._window(stage, 0), self.mesh))
            refreshed = self._refresh(stage, state, key)
            jax.block_until_ready(None if refreshed is None else _arrays(refreshed))
            errors = self._measure(state.trainables)
        started = time.perf_counter() - self.ledger.stage_seconds
        while True:
            left = math.inf if stage.steps is None else stage.steps - self.ledger.step
            active = min(stage.chunk - self.ledger.step % stage.chunk, left)
            elapsed = time.perf_counter() - started
            self.ledger.stage_seconds, stop = agreed((elapsed, interrupt.requested), self.mesh)
            if active <= 0 or (stage.seconds is not None and self.ledger.stage_seconds >= stage.seconds):
                return state, "completed"
            if stop:
                return state, "interrupted"
            if self.ledger.step and _reached(stage, errors):
                return state, "target_reached"
            with _timed(self.ledger.seconds, "train"):
                new, records, finite = _chunk(stage, state, key, *self._window(stage, int(active)), self.mesh)
                records, finite = local((records, bool(finite)))
            if not finite:
                return state, "diverged"
            state = new
            self.ledger.step += int(active)
            with _timed(self.ledger.seconds, "evaluate"):
                errors = self._measure(state.trainables)
            self.ledger.stage_seconds = time.perf_counter() - started
            metrics = {name: float(values[int(active) - 1]) for name, values in records.items()} | errors
            self._tell(stage, metrics)
            if self.ledger.step % stage.chunk == 0:
                with _timed(self.ledger.seconds, "train"):
                    refreshed = self._refresh(stage, state, key)
                if refreshed is None:  # finite parameters, but so large that their residuals are not
                    return state, "diverged"
                state = refreshed
            if _reached(stage, errors):
                return state, "target_reached"
            if metrics.get("stalled", 0.0) and _unchanging(stage.objective):
                return state, "stalled"
            if self.checkpoint is not None and time.perf_counter() - self.saved_at > self.checkpoint_seconds:
                self._save(state, "running")

    def _window(self, stage, active: int) -> tuple[Array, Array, Array]:
        """Return first step, active steps and planned steps as arrays: numbers would be compiled in."""
        total = math.inf if stage.steps is None else stage.steps
        window = jnp.asarray(self.ledger.step), jnp.asarray(active), jnp.asarray(float(total))
        return placed(window, self.mesh)

    @property
    def _writes(self) -> bool:
        """Whether the checkpoint is this process's to write."""
        return self.mesh is None or is_writer()

    def _measure(self, trainables) -> dict[str, float]:
        trainables = local(trainables)
        errors = {} if self.evaluate is None else {k: float(v) for k, v in self.evaluate(trainables).items()}
        self.errors = agreed(errors, self.mesh)
        error = self.errors.get("relative_l2", math.inf)
        if self.keep_best and (self.best is None or error < self.least):
            self.best, self.least = trainables, error if math.isfinite(error) else math.inf
        return self.errors

    def _tell(self, stage, metrics) -> None:
        ledger = self.ledger
        shares = [ledger.step / stage.steps] if stage.steps else []
        shares += [ledger.stage_seconds / stage.seconds] if stage.seconds else []
        report = Report(
            stage.name, ledger.stage, ledger.step, ledger.total, min(1.0, max(shares)), metrics, dict(ledger.seconds)
        )
        record = {"stage": ledger.stage, "step": ledger.step, "total_steps": ledger.total}
        ledger.history.append(record | {"seconds": sum(ledger.seconds.values())} | metrics)
        for callback in self.callbacks:
            callback(report)

    def _begin(self, stage, trainables, layers) -> _State:
        """Return a stage's first state."""
        seeds = [_seed(self.seed, self.ledger.stage, index, 0) for index in range(len(stage.objective.blocks))]
        samplers = tuple(b.sampler.init(s) for b, s in zip(stage.objective.blocks, seeds, strict=True))
        state = _State(trainables, None, samplers, {}, layers)
        key = jax.random.key(self.seed)
        batches = _draw(stage.objective, samplers, key, jnp.asarray(0))
        rows = {
            term.name: term.row_rule.init(batch)
            for block, batch in zip(stage.objective.blocks, batches, strict=True)
            for term in block.terms
            if term.row_rule is not None
        }
        params, frozen = stage.partition(trainables)
        context = Context(jnp.asarray(0), jnp.asarray(0.0), layers, stage.settings)
        evaluation = Evaluation(stage.objective, batches, {}, key, context, frozen)
        optimiser = stage.optimiser.init(evaluation, params)
        return _strong(dataclasses.replace(state, optimiser=jax.tree.map(jnp.asarray, optimiser), rows=rows))

    def _refresh(self, stage, state, key) -> _State | None:
        """Let samplers change generation, and tell rules and optimiser; None if a residual is not finite."""
        samplers = []
        for index, (block, sampler) in enumerate(zip(stage.objective.blocks, state.samplers, strict=True)):
            seed = _seed(self.seed, self.ledger.stage, index, self.ledger.step)

            def score(samples, index=index):
                sizes = np.asarray(_score(stage, state, index, placed(samples, self.mesh), key, self.mesh))
                if not np.isfinite(sizes).all():
                    raise FloatingPointError("a residual is not finite")
                return sizes

            try:
                samplers.append(block.sampler.refresh(sampler, seed, score))
            except FloatingPointError:
                return None
        if all(new is old for new, old in zip(samplers, state.samplers, strict=True)):
            return state
        new = placed(tuple(samplers), self.mesh)
        return _renew(stage, dataclasses.replace(state, samplers=new), state.samplers, key, self.mesh)

    def _save(self, state, status) -> None:
        if self.checkpoint is None or not self._writes:
            return
        header = {"status": status, "fingerprint": self._fingerprint(), **dataclasses.asdict(self.ledger)}
        tree = _arrays(local(state))
        if self.keep_best:
            header, tree = header | {"least": self.least}, (tree, _arrays(self.best))
        checkpoints.save(self.checkpoint, header, tree)
        self.saved_at = time.perf_counter()

    def _restore(self, trainables, layers) -> _State:
        """Return the state of the stage in which the checkpoint was written, and take over its counters."""
        header = checkpoints.read_header(self.checkpoint)
        if header.get("fingerprint") != self._fingerprint():
            raise PdesolveError(
                f"checkpoint {self.checkpoint} was made by another configuration (method, points, stages or seed "
                "differ). Use the run's own configuration, or another --out directory."
            )
        self.ledger = _Ledger(**{field.name: header[field.name] for field in dataclasses.fields(_Ledger)})
        like = self._begin(self.stages[self.ledger.stage], trainables, layers)
        if not self.keep_best:
            return eqx.combine(checkpoints.restore(self.checkpoint, _arrays(like))[1], like)
        state, best = checkpoints.restore(self.checkpoint, (_arrays(like), _arrays(trainables)))[1]
        self.best, self.least = eqx.combine(best, trainables), header["least"]
        return eqx.combine(state, like)

    def _fingerprint(self) -> str:
        """Identify what must agree for a checkpoint to continue; budgets may differ."""
        parts = [(stage.name, type(stage.optimiser).__name__, stage.chunk) for stage in self.stages]
        return hashlib.sha256(json.dumps([self.seed, self.identity, parts]).encode()).hexdigest()[:16]


_REASONS = {
    "completed": "the budget is used",
    "target_reached": "the target error is reached",
    "stalled": "no further step reduces the loss on these points",
    "diverged": "a loss or parameter is not finite; lower the learning rate, or check the equations for divisions by "
    "zero",
    "interrupted": "interrupted; continue with --resume",
}


def _reached(stage: Stage, errors: dict[str, float]) -> bool:
    return stage.target is not None and errors.get("relative_l2", math.inf) <= stage.target


def _is_fixed(node: Any) -> bool:
    return isinstance(node, Fixed)


def _is_trained(node: Any) -> bool:
    return eqx.is_inexact_array(node) and not _is_fixed(node)


def _strong(state: _State) -> _State:
    """Return the state with types of its own: weak ones, of Python numbers, would change and compile all anew."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, leaf.dtype) if eqx.is_array(leaf) else leaf, state)


def _unchanging(objective: Objective) -> bool:
    """Say whether samples and row weights are the same for ever: only then does a stall last."""
    constant = all(block.sampler.fixed_rows and not block.sampler.adaptive for block in objective.blocks)
    return constant and all(term.row_rule is None for term in objective.terms)


def _arrays(state: _State) -> PyTree:
    return eqx.filter(state, eqx.is_array)


def _seed(*parts: int) -> int:
    """Return one seed from several, independent for different parts."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _draw(objective, samplers, key, step, mesh=None):
    keys = jax.random.split(jax.random.fold_in(key, 1), len(objective.blocks))
    batches = tuple(
        block.sampler.draw(state, k, step) for block, state, k in zip(objective.blocks, samplers, keys, strict=True)
    )
    return tuple(Batch(*divided((b.samples, b.ids), mesh), b.generation) for b in batches)


def _evaluation(
    stage: Stage, state: _State, frozen, params, key: PRNGKeyArray, step, total, mesh
) -> tuple[Evaluation, dict]:
    """Bind the objective to a step's samples and row weights; return it with the new states of the row rules."""
    progress = jnp.where(jnp.isfinite(total), step / total, 0.0)
    context = Context(step, progress, state.layers, stage.settings)
    step_key = jax.random.fold_in(key, step)
    batches = _draw(stage.objective, state.samplers, step_key, step, mesh)
    evaluation = Evaluation(stage.objective, batches, {}, jax.random.fold_in(step_key, 2), context, frozen, mesh)
    if not state.rows:
        return evaluation, {}
    residuals = jax.lax.stop_gradient(evaluation.residuals(params))
    rows, states = {}, {}
    for block, batch in zip(stage.objective.blocks, batches, strict=True):
        for term in block.terms:
            if term.row_rule is not None:
                weights, shift, states[term.name] = term.row_rule.update(
                    state.rows[term.name], residuals[term.name], batch
                )
                rows[term.name] = Rows(weights, shift)
    return dataclasses.replace(evaluation, rows=rows), states


@eqx.filter_jit
def _chunk(
    stage: Stage, state: _State, key: PRNGKeyArray, start, active, total, mesh: Mesh | None
) -> tuple[_State, dict[str, Array], Array]:
    """Take `active` steps out of a fixed number; return the state, stacked metrics, and whether all is finite."""
    params, frozen = stage.partition(state.trainables)
    arrays, static = eqx.partition(dataclasses.replace(state, trainables=params), eqx.is_array)

    def step(arrays, i):
        now = eqx.combine(arrays, static)
        evaluation, rows = _evaluation(stage, now, frozen, now.trainables, key, start + i, total, mesh)
        params, optimiser, metrics, layers = stage.optimiser.step(evaluation, now.trainables, now.optimiser)
        layers = now.layers if layers is None else layers
        params, optimiser, rows, layers = copied((params, optimiser, rows, layers), mesh)
        after = _State(params, optimiser, now.samplers, rows, layers)
        metrics = {name: jnp.asarray(value, dtype=float) for name, value in metrics.items()}
        return eqx.filter(after, eqx.is_array), copied(metrics, mesh)

    shapes = jax.eval_shape(lambda a: step(a, jnp.asarray(0))[1], arrays)

    def masked(arrays, i):
        idle = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        return jax.lax.cond(i < active, lambda a: step(a, i), lambda a: (a, idle), arrays)

    arrays, records = jax.lax.scan(masked, arrays, jnp.arange(stage.chunk))
    final = eqx.combine(arrays, static)
    if mesh is not None:  # within the loop each device holds the samples that it needs
        final = dataclasses.replace(final, samplers=state.samplers)
    finite = jnp.all(jnp.isfinite(records["loss"]))
    for leaf in jax.tree.leaves(final.trainables):
        finite &= jnp.all(jnp.isfinite(leaf))
    return dataclasses.replace(final, trainables=eqx.combine(final.trainables, frozen)), records, finite


@eqx.filter_jit
def _score(stage: Stage, state: _State, index: int, samples: PyTree, key: PRNGKeyArray, mesh: Mesh | None) -> Array:
    """Return the size of a block's residuals at other samples."""
    block = stage.objective.blocks[index]
    context = Context(jnp.asarray(0), jnp.asarray(0.0), state.layers, stage.settings)
    z, _ = block.evaluate(state.trainables, divided(samples, mesh), key, context)
    squares = (jnp.sum(jnp.square(z[t.name].reshape(z[t.name].shape[0], -1)), axis=1) for t in block.terms)
    return copied(jnp.sqrt(sum(squares)), mesh)


@eqx.filter_jit
def _renew(
    stage: Stage, state: _State, old_samplers: tuple[PyTree, ...], key: PRNGKeyArray, mesh: Mesh | None
) -> _State:
    """Carry row rules and optimiser over to new samples."""
    zero = jnp.asarray(0)
    old = _draw(stage.objective, old_samplers, key, zero, mesh)
    new = _draw(stage.objective, state.samplers, key, zero, mesh)
    rows = dict(state.rows)
    for block, before, after in zip(stage.objective.blocks, old, new, strict=True):
        for term in block.terms:
            if term.row_rule is not None:
                rows[term.name] = term.row_rule.refresh(state.rows[term.name], before, after)
    state = dataclasses.replace(state, rows=rows)
    params, frozen = stage.partition(state.trainables)
    evaluation, _ = _evaluation(stage, state, frozen, params, key, zero, jnp.asarray(jnp.inf), mesh)
    return copied(
        dataclasses.replace(state, optimiser=stage.optimiser.refresh(evaluation, params, state.optimiser)), mesh
    )


class _timed:
    """Add the wall time of a block to an entry of a dictionary."""

    def __init__(self, seconds: dict[str, float], name: str):
        self.seconds, self.name = seconds, name

    def __enter__(self):
        self.start = time.perf_counter()

    def __exit__(self, *_):
        self.seconds[self.name] += time.perf_counter() - self.start


class _Interrupt:
    """Turn the first Ctrl-C into a request to stop at the end of the chunk; the second one raises."""

    def __init__(self):
        self.requested = False

    def __enter__(self):
        self.main = threading.current_thread() is threading.main_thread()
        if self.main:
            self.previous = signal.signal(signal.SIGINT, self._request)
        return self

    def _request(self, number, frame):
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        print("\nstopping at the end of this chunk; press Ctrl-C again to stop at once", file=sys.stderr)

    def __exit__(self, *_):
        if self.main:
            signal.signal(signal.SIGINT, self.previous)
