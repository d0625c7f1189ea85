r"""The one noun between models and training methods: named terms over residual vectors.

An `Objective` is a tuple of blocks. A block owns one sampler and one function

    evaluate(trainables, samples, key, context) -> ({term: z}, aux)

whose terms share the batch and the forward pass. A term is the vector `z` (leading axis: samples) together with an
outer function, a weight and a kind. Training methods see an `Evaluation`: the objective at fixed samples, from which
they take whatever they need: a scalar, a gradient for each term, or the rows of a Gauss-Newton system.
"""

import abc
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from .batching import cached_samples, map_samples
from .distributed import num_shards, padded_to, summed
from .errors import PdesolveError
from .linalg import gram
from .rows import AbstractRowRule
from .samplers import AbstractSampler, Batch

__all__ = [
    "AbstractBlock",
    "AbstractOuter",
    "BatchBlock",
    "Context",
    "Density",
    "Evaluation",
    "Objective",
    "PointwiseBlock",
    "Rows",
    "Squares",
    "Term",
    "linearise",
]


class Context(eqx.Module):
    """What an evaluation may depend on besides parameters and samples."""

    step: Int[Array, ""]
    """Steps taken in this stage."""
    progress: Float[Array, ""]
    """The share of the stage's budget used, 0 to 1."""
    layer_state: PyTree = None
    """State of layers (running means, say); a block returns the new one as `aux["layer_state"]`."""
    settings: Mapping[str, Any] = eqx.field(static=True, default_factory=dict)
    """The stage's static settings, e.g. an unroll length."""


class AbstractOuter(eqx.Module):
    r"""The outer function of a term: the mean over samples of $w_i\,\ell(z_i + s_i)$."""

    @abc.abstractmethod
    def density(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        r"""$\ell(z_i)$ of one sample."""

    @property
    @abc.abstractmethod
    def has_curvature(self) -> bool:
        """Whether `curvature_root` is known, as Gauss-Newton methods need."""

    @abc.abstractmethod
    def curvature_root(self, z: Float[Array, " c"]) -> Float[Array, "k c"] | None:
        r"""$S$ with $S^\top S = H \succeq 0$ the curvature of $\ell$ at one flattened sample; None for the identity.

        Raises:
            PdesolveError: If no positive semi-definite curvature is known.
        """


class Squares(AbstractOuter):
    r"""$\ell(z) = \tfrac12 |z|^2$, the default: least squares."""

    def density(self, z):
        """Half the sum of squares."""
        return 0.5 * jnp.sum(jnp.square(z))

    @property
    def has_curvature(self):
        """Yes."""
        return True

    def curvature_root(self, z):
        """The identity."""
        return None


class Density(AbstractOuter):
    r"""Any density $\ell(z)$, e.g. an energy, with an optional positive semi-definite curvature root."""

    function: Callable[[Float[Array, "..."]], Float[Array, ""]]
    root: Callable[[Float[Array, " c"]], Float[Array, "k c"]] | None = None

    def density(self, z):
        """`function(z)`."""
        return self.function(z)

    @property
    def has_curvature(self):
        """Whether `root` was given."""
        return self.root is not None

    def curvature_root(self, z):
        """`root(z)`, if there is one."""
        if self.root is None:
            raise PdesolveError("this term's outer function has no curvature; give `Density(function, root=...)`.")
        return self.root(z)


class Term(eqx.Module):
    """A named residual vector and what is made of it."""

    name: str = eqx.field(static=True)
    weight: float | Float[Array, ""] = 1.0
    outer: AbstractOuter = Squares()
    kind: str = eqx.field(static=True, default="loss")
    """`loss` (made small), `equality` or `inequality` (then z is the constraint c, or c <= 0)."""
    row_rule: AbstractRowRule | None = None
    """Row weights and shifts with a state of their own, outside differentiation."""

    def __check_init__(self):
        if self.kind not in ("loss", "equality", "inequality"):
            raise PdesolveError(f"term {self.name!r}: kind must be loss, equality or inequality; got {self.kind!r}.")
        if isinstance(self.weight, int | float) and not self.weight >= 0:
            raise PdesolveError(f"term {self.name!r}: the weight must not be negative, got {self.weight}.")


class AbstractBlock(eqx.Module):
    """Terms that share samples and a forward pass."""

    terms: eqx.AbstractVar[tuple[Term, ...]]
    sampler: eqx.AbstractVar[AbstractSampler]
    separable: ClassVar[bool] = False
    """Whether samples do not see each other, so that each device of a mesh can evaluate its own."""

    @abc.abstractmethod
    def evaluate(
        self, trainables: PyTree, samples: PyTree, key: PRNGKeyArray, context: Context
    ) -> tuple[dict[str, Float[Array, "n ..."]], dict[str, Any]]:
        """Return the residual vectors by term, leading axis the samples, and `aux`.

        `aux` may hold `metrics` (name to scalar) and `layer_state`.
        """

    @abc.abstractmethod
    def jacobian(
        self, params: PyTree, unfilter: Callable, samples: PyTree, key: PRNGKeyArray, context: Context
    ) -> tuple[dict[str, Float[Array, "n ..."]], dict[str, PyTree]]:
        """Return the residual vectors and, by term, the pytree of their Jacobians, leaves `(n, c, *leaf)`."""

    def piece(self, trainables: PyTree, samples: PyTree, key: PRNGKeyArray, context: Context) -> int | None:
        """Return how many samples a gradient takes at a time; None if samples see each other, or all at once is best.

        A block that returns a number is evaluated on slices of its samples, with a key for each sample.
        """
        return None


class PointwiseBlock(AbstractBlock):
    """A block given by a function of one sample: `residual(trainables, sample, key, context) -> {term: z}`.

    Samples do not see each other, so the rows of the Jacobian cost one pullback a row.
    """

    residual: Callable[[PyTree, PyTree, PRNGKeyArray, Context], dict[str, Array]]
    sampler: AbstractSampler
    terms: tuple[Term, ...]
    separable = True
    chunk: int | None = eqx.field(static=True, default=None)
    """Samples evaluated at a time, to bound memory; if None all at once, and as many as suit the cache in gradients."""

    def evaluate(self, trainables, samples, key, context):
        """Map `residual` over the samples."""
        return self._map(
            lambda sample, key: self.residual(trainables, sample, key, context), samples, key, map_samples
        ), {}

    def jacobian(self, params, unfilter, samples, key, context):
        """Pull back each component of each term, sharing one forward pass a sample."""

        def rows(sample, key):
            def flat(params):
                z = self.residual(unfilter(params), sample, key, context)
                return jnp.concatenate([jnp.ravel(z[term.name]) for term in self.terms]), z

            values, pullback, z = jax.vjp(flat, params, has_aux=True)
            return z, jax.vmap(lambda cotangent: pullback(cotangent)[0])(jnp.eye(len(values), dtype=values.dtype))

        z, stacked = self._map(rows, samples, key, jax.vmap)
        jacobians, start = {}, 0
        for term in self.terms:
            size = z[term.name][0].size
            jacobians[term.name] = jax.tree.map(lambda leaf, a=start, b=start + size: leaf[:, a:b], stacked)
            start += size
        return z, jacobians

    def piece(self, trainables, samples, key, context):
        """`chunk`, or what suits the cache."""
        if self.chunk is not None:
            return self.chunk
        first = jax.tree.map(lambda leaf: leaf[0], samples)
        return cached_samples(lambda sample: self.residual(trainables, sample, key, context), first)

    def _map(self, function, samples, key, vmap):
        n = jax.tree.leaves(samples)[0].shape[0]
        keys = key if key.ndim else jax.random.split(key, n)
        if self.chunk is None or self.chunk >= n:
            return vmap(function)(samples, keys)
        # Without the checkpoint a gradient would keep the intermediate values of all chunks.
        return jax.lax.map(jax.checkpoint(lambda pair: function(*pair)), (samples, keys), batch_size=self.chunk)


class BatchBlock(AbstractBlock):
    """A block given by a function of the whole batch, for samples that see each other (normalisation, say)."""

    function: Callable[..., tuple[dict[str, Array], dict[str, Any]]]
    sampler: AbstractSampler
    terms: tuple[Term, ...]

    def evaluate(self, trainables, samples, key, context):
        """`function(trainables, samples, key, context)`."""
        return self.function(trainables, samples, key, context)

    def jacobian(self, params, unfilter, samples, key, context):
        """Pull back every row through the whole batch: exact, and as many reverse passes as there are rows."""
        names = [term.name for term in self.terms]

        def chosen(params):
            z, _ = self.function(unfilter(params), samples, key, context)
            return {name: z[name] for name in names}

        z, pullback = jax.vjp(chosen, params)
        jacobians = {}
        for name in names:
            n, c = z[name].shape[0], z[name][0].size
            zero = jax.tree.map(jnp.zeros_like, z)

            def row(unit, name=name, zero=zero):
                return pullback(zero | {name: unit.reshape(z[name].shape)})[0]

            rows = jax.vmap(row)(jnp.eye(n * c, dtype=z[name].dtype))
            jacobians[name] = jax.tree.map(lambda leaf, n=n, c=c: leaf.reshape(n, c, *leaf.shape[1:]), rows)
        return z, jacobians


class Objective(eqx.Module):
    """Blocks of terms.

    Raises:
        PdesolveError: If two terms share a name, or there is none.
    """

    blocks: tuple[AbstractBlock, ...]

    def __check_init__(self):
        names = [term.name for term in self.terms]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not names:
            given = f"{', '.join(twice)} occur twice" if twice else "there is none"
            raise PdesolveError(f"an objective needs terms with distinct names; {given}. Name conditions by `name=`.")

    @property
    def terms(self) -> tuple[Term, ...]:
        """All terms, in the order of the blocks."""
        return tuple(term for block in self.blocks for term in block.terms)


class Rows(eqx.Module):
    """Row weights and shifts of a term at the current samples; None stands for 1 and 0."""

    weights: Float[Array, " n"] | None = None
    shift: Float[Array, "n ..."] | None = None


class GaussNewton(eqx.Module):
    r"""The quadratic model $L + g^\top p + \tfrac12 p^\top G p$ of a loss, with $G = \sum_m R_m^\top R_m$."""

    losses: dict[str, Float[Array, ""]]
    gradient: Float[Array, " p"]
    rows: tuple[Float[Array, "rows p"], ...]
    """$R_m$ of each term: the rows of its Jacobian, scaled by weights and by the root of the outer curvature."""
    residuals: tuple[Float[Array, " rows"], ...]
    r"""$\ell'(z)$ of each term, scaled as the rows of its Jacobian: $g = \sum_m R_m^\top r_m$ for sums of squares."""
    unravel: Callable[[Float[Array, " p"]], PyTree]
    mesh: Mesh | None = eqx.field(static=True, default=None)
    """Devices over which the rows are divided."""

    @property
    def loss(self) -> Float[Array, ""]:
        """The sum of the terms."""
        return jnp.asarray(sum(self.losses.values()))

    def gram(self) -> Float[Array, "p p"]:
        """Return G."""
        return gram(*self.rows, mesh=self.mesh)


class Evaluation(eqx.Module):
    """An objective at fixed samples and row weights, as a function of the parameters being trained.

    `params` is the trained part of the trainables (`eqx.partition`); `frozen` the rest.
    """

    objective: Objective
    batches: tuple[Batch, ...]
    rows: dict[str, Rows]
    key: PRNGKeyArray
    context: Context
    frozen: PyTree
    mesh: Mesh | None = eqx.field(static=True, default=None)
    """Devices over which the samples are divided."""

    def _unfilter(self, params: PyTree) -> PyTree:
        return eqx.combine(params, self.frozen)

    def _block_losses(self, index: int, params: PyTree) -> tuple[dict[str, Array], dict[str, Any]]:
        block = self.objective.blocks[index]
        key = jax.random.fold_in(self.key, index)
        z, aux = block.evaluate(self._unfilter(params), self.batches[index].samples, key, self.context)
        rows = {term.name: self.rows.get(term.name, Rows()) for term in block.terms}
        return {term.name: outer_mean(term, z[term.name], rows[term.name]) for term in block.terms}, aux

    def _block_gradients(
        self, index: int, params: PyTree, directions: list[dict[str, float]]
    ) -> tuple[dict[str, Array], list[PyTree], dict[str, Any]]:
        """Return a block's losses, the gradient of each weighted sum of them, and aux; in pieces where that pays."""
        block, samples = self.objective.blocks[index], self.batches[index].samples
        n = jax.tree.leaves(samples)[0].shape[0]
        key = jax.random.fold_in(self.key, index)
        size = block.piece(self._unfilter(params), samples, key, self.context)

        def pulled(losses: Callable) -> tuple[dict[str, Array], list[PyTree], dict[str, Any]]:
            values, pullback, aux = jax.vjp(losses, params, has_aux=True)
            units = [{name: jnp.full_like(value, d[name]) for name, value in values.items()} for d in directions]
            return values, [pullback(unit)[0] for unit in units], aux

        shared = self.mesh is not None and block.separable
        if not shared and (size is None or size >= n):
            return pulled(lambda params: self._block_losses(index, params))
        each = -(-n // num_shards(self.mesh)) if shared else n
        count = -(-each // min(size or each, each))
        size = -(-each // count)

        def add(total, piece):
            samples, keys, rows = piece

            def losses(params):
                z, aux = block.evaluate(self._unfilter(params), samples, keys, self.context)
                return {t.name: outer_mean(t, z[t.name], rows[t.name], n) for t in block.terms}, aux

            values, gradients, _ = pulled(losses)
            return jax.tree.map(jnp.add, total, (values, gradients)), None

        shapes = jax.eval_shape(lambda: pulled(lambda params: self._block_losses(index, params))[:2])

        def total(samples, keys, rows):
            more = count * size - len(keys)
            pieces = samples, keys, {name: _padded_rows(row, len(keys), more) for name, row in rows.items()}
            pieces = jax.tree.map(
                lambda leaf: padded_to(leaf, count * size).reshape(count, size, *leaf.shape[1:]), pieces
            )
            start = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
            return jax.lax.scan(add, start, pieces)[0]

        everything = samples, jax.random.split(key, n), {t.name: self.rows.get(t.name, Rows()) for t in block.terms}
        if not shared:
            values, gradients = total(*everything)
            return values, gradients, {}
        samples, keys, rows = everything
        even = each * num_shards(self.mesh)
        rows = {name: _padded_rows(row, n, even - n) for name, row in rows.items()}
        everything = jax.tree.map(lambda leaf: padded_to(leaf, even), (samples, keys, rows))
        values, gradients = summed(total, self.mesh)(*everything)
        return values, gradients, {}

    def residuals(self, params: PyTree) -> dict[str, Float[Array, "n ..."]]:
        """Return the residual vector of every term."""
        result = {}
        for index, block in enumerate(self.objective.blocks):
            key = jax.random.fold_in(self.key, index)
            z, _ = block.evaluate(self._unfilter(params), self.batches[index].samples, key, self.context)
            result.update({term.name: z[term.name] for term in block.terms})
        return result

    def kernel_traces(self, params: PyTree, samples: int = 256) -> dict[str, Float[Array, ""]]:
        r"""Return the trace of the tangent kernel $J_i J_i^\top$ of every term, divided by its number of samples.

        J is the Jacobian of the residual vector itself, without weights; the trace is the mean squared length of its
        rows, which costs as many pullbacks as there are rows: it is taken over the first `samples` only.
        """
        result = {}
        for index, block in enumerate(self.objective.blocks):
            few = jax.tree.map(lambda leaf: leaf[:samples], self.batches[index].samples)
            key = jax.random.fold_in(self.key, index)
            z, jacobians = block.jacobian(params, self._unfilter, few, key, self.context)
            for term in block.terms:
                squares = sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(jacobians[term.name]))
                result[term.name] = jnp.asarray(squares) / z[term.name].shape[0]
        return result

    def term_losses(self, params: PyTree) -> tuple[dict[str, Float[Array, ""]], dict[str, Any]]:
        """Return the weighted loss of every term, and the blocks' `aux` merged."""
        losses, merged = {}, {}
        for index in range(len(self.objective.blocks)):
            block_losses, aux = self._block_losses(index, params)
            losses.update(block_losses)
            merged = _merge(merged, aux)
        return losses, merged

    def loss(self, params: PyTree) -> tuple[Float[Array, ""], tuple[dict[str, Float[Array, ""]], dict[str, Any]]]:
        """Return the sum of the loss terms, and `(term_losses, aux)`."""
        losses, aux = self.term_losses(params)
        total = sum(losses[term.name] for term in self.objective.terms if term.kind == "loss")
        return jnp.asarray(total), (losses, aux)

    def value_and_gradient(self, params: PyTree) -> tuple[tuple[Array, tuple[dict, dict]], PyTree]:
        """Return `loss(params)` and its gradient: as `jax.value_and_grad` does, but in pieces that suit the cache."""
        losses, gradients, merged = {}, [], {}
        for index, block in enumerate(self.objective.blocks):
            counted = {term.name: float(term.kind == "loss") for term in block.terms}
            values, (gradient,), aux = self._block_gradients(index, params, [counted])
            losses.update(values)
            gradients.append(gradient)
            merged = _merge(merged, aux)
        total = sum(losses[term.name] for term in self.objective.terms if term.kind == "loss")
        return (jnp.asarray(total), (losses, merged)), jax.tree.map(lambda *leaves: sum(leaves), *gradients)

    def term_gradients(self, params: PyTree, names: Iterable[str] | None = None) -> tuple[dict, dict, dict]:
        """Return term losses, gradients by term, and aux; for some terms only if `names` is given.

        Each block's forward pass is shared by the pullbacks of its terms; blocks without a named term are not run.
        """
        names = list(names) if names is not None else [term.name for term in self.objective.terms]
        losses, gradients, aux = self.group_gradients(params, [(name,) for name in names])
        return losses, dict(zip(names, gradients, strict=True)), aux

    def group_gradients(
        self, params: PyTree, groups: Sequence[Sequence[str]]
    ) -> tuple[dict[str, Array], list[PyTree], dict[str, Any]]:
        """Return the losses of the terms in some groups, the gradient of the sum of each group, and aux.

        A block is pulled back once for each group that has a term of it; blocks without any are not run.
        """
        losses, merged = {}, {}
        parts: list[list[PyTree]] = [[] for _ in groups]
        wanted = {name for group in groups for name in group}
        for index, block in enumerate(self.objective.blocks):
            names = [term.name for term in block.terms]
            here = [i for i, group in enumerate(groups) if set(group) & set(names)]
            if not here:
                continue
            directions = [{name: float(name in groups[i]) for name in names} for i in here]
            values, pulled, aux = self._block_gradients(index, params, directions)
            losses.update({name: values[name] for name in names if name in wanted})
            for i, gradient in zip(here, pulled, strict=True):
                parts[i].append(gradient)
            merged = _merge(merged, aux)
        return losses, [jax.tree.map(lambda *leaves: sum(leaves), *part) for part in parts], merged

    def gauss_newton(self, params: PyTree) -> GaussNewton:
        r"""Return the Gauss-Newton model of the sum of the loss terms, $G = J^\top H J$.

        Rows are scaled by $\sqrt{w_m w_i / n_m}$.
        """
        _, unravel = ravel_pytree(params)
        losses, gradients, rows, residuals = {}, [], [], []
        for index, block in enumerate(self.objective.blocks):
            if all(term.kind != "loss" for term in block.terms):
                continue
            key = jax.random.fold_in(self.key, index)
            samples = self.batches[index].samples
            z, jacobians = block.jacobian(params, self._unfilter, samples, key, self.context)
            for term in block.terms:
                if term.kind == "loss":
                    losses[term.name] = outer_mean(term, z[term.name], self.rows.get(term.name, Rows()))
                    gradient, scaled, residual = self._term_model(term, z[term.name], jacobians[term.name])
                    gradients.append(gradient)
                    rows.append(scaled)
                    residuals.append(residual)
        return GaussNewton(losses, sum(gradients), tuple(rows), tuple(residuals), unravel, self.mesh)  # type: ignore[arg-type]

    def row_residuals(self, params: PyTree) -> Float[Array, " rows"]:
        r"""Return $\sqrt{w_m w_i / n_m}\,(z_i + s_i)$ of all loss terms.

        Half its square is the loss, if that is a sum of squares.
        """
        parts = []
        for index, block in enumerate(self.objective.blocks):
            chosen = [term for term in block.terms if term.kind == "loss"]
            if chosen:
                key = jax.random.fold_in(self.key, index)
                z, _ = block.evaluate(self._unfilter(params), self.batches[index].samples, key, self.context)
                for term in chosen:
                    shift = self.rows.get(term.name, Rows()).shift
                    shifted = z[term.name] if shift is None else z[term.name] + shift
                    parts.append(self._scale(term, z[term.name]) * shifted.reshape(-1))
        return jnp.concatenate(parts)

    def constraints(self, params: PyTree, kind: str) -> Float[Array, " m"]:
        r"""Return the components of all terms of one kind, each times $\sqrt{w_m w_i / n_m}$; empty if there is none.

        Half the square of this vector is the loss that the terms would be.
        """
        parts = []
        for index, block in enumerate(self.objective.blocks):
            chosen = [term for term in block.terms if term.kind == kind]
            if chosen:
                key = jax.random.fold_in(self.key, index)
                z, _ = block.evaluate(self._unfilter(params), self.batches[index].samples, key, self.context)
                parts += [self._scale(term, z[term.name]) * z[term.name].reshape(-1) for term in chosen]
        return jnp.concatenate(parts) if parts else jnp.zeros(0, jax.tree.leaves(params)[0].dtype)

    def constraint_rows(self, params: PyTree, kind: str) -> tuple[Float[Array, " m"], Float[Array, "m p"]]:
        """Return `constraints` and their Jacobian by the flattened parameters."""
        flat, _ = ravel_pytree(params)
        values, rows = [jnp.zeros(0, flat.dtype)], [jnp.zeros((0, flat.size), flat.dtype)]
        for index, block in enumerate(self.objective.blocks):
            chosen = [term for term in block.terms if term.kind == kind]
            if not chosen:
                continue
            key = jax.random.fold_in(self.key, index)
            z, jacobians = block.jacobian(params, self._unfilter, self.batches[index].samples, key, self.context)
            for term in chosen:
                scale = self._scale(term, z[term.name])
                leaves = [leaf.reshape(len(scale), -1) for leaf in jax.tree.leaves(jacobians[term.name])]
                values.append(scale * z[term.name].reshape(-1))
                rows.append(scale[:, None] * jnp.concatenate(leaves, axis=1))
        return jnp.concatenate(values), jnp.concatenate(rows)

    def _scale(self, term: Term, z: Float[Array, "n ..."]) -> Float[Array, " rows"]:
        r"""Return $\sqrt{w_m w_i / n_m}$ of every component."""
        rows = self.rows.get(term.name, Rows())
        weights = jnp.full(z.shape[0], term.weight / z.shape[0], z.dtype)
        return jnp.repeat(jnp.sqrt(weights if rows.weights is None else weights * rows.weights), z[0].size)

    def _term_model(self, term: Term, z: Float[Array, "n ..."], jacobian: PyTree) -> tuple[Array, Array, Array]:
        """Return the gradient `(p,)`, the scaled rows `(rows, p)` and the scaled slopes of one term."""
        rows = self.rows.get(term.name, Rows())
        shifted = z if rows.shift is None else z + rows.shift
        n, c = z.shape[0], z[0].size
        scale = self._scale(term, z)
        scaled = jnp.concatenate([leaf.reshape(n * c, -1) for leaf in jax.tree.leaves(jacobian)], axis=1)
        # Without the barrier XLA fuses the assembly of the rows into each of their uses, and does it again there.
        scaled = jax.lax.optimization_barrier(scale[:, None] * scaled)
        slopes = jax.vmap(jax.grad(term.outer.density))(shifted)
        residual = scale * slopes.reshape(-1)
        gradient = residual @ scaled
        if term.outer.curvature_root(jnp.ravel(z[0])) is not None:
            root = jax.vmap(term.outer.curvature_root)(shifted.reshape(n, c))
            scaled = jnp.einsum("ncp,nkc->nkp", scaled.reshape(n, c, -1), root).reshape(-1, scaled.shape[1])
        return gradient, scaled, residual


def linearise(objective: Objective, trainables: PyTree) -> GaussNewton:
    """Return the Gauss-Newton model of an objective at its first samples."""
    params, frozen = eqx.partition(trainables, eqx.is_inexact_array)
    key, zero = jax.random.key(0), jnp.asarray(0)
    batches = tuple(block.sampler.draw(block.sampler.init(0), key, zero) for block in objective.blocks)
    evaluation = Evaluation(objective, batches, {}, key, Context(zero, jnp.asarray(0.0)), frozen)
    return eqx.filter_jit(lambda evaluation, params: evaluation.gauss_newton(params))(evaluation, params)


def outer_mean(term: Term, z: Float[Array, "n ..."], rows: Rows, n: int | None = None) -> Float[Array, ""]:
    """Return the weighted mean of a term's outer function over its samples, or their sum divided by a given `n`."""
    z = z if rows.shift is None else z + rows.shift
    densities = jax.vmap(term.outer.density)(z)
    densities = densities if rows.weights is None else rows.weights * densities
    return term.weight * (jnp.mean(densities) if n is None else jnp.sum(densities) / n)


def _padded_rows(rows: Rows, n: int, more: int) -> Rows:
    """Return row weights up to a length, so that repeated rows do not count."""
    if more == 0:
        return rows
    weights = jnp.ones(n, bool) if rows.weights is None else rows.weights  # a factor of any type
    return Rows(jnp.concatenate([weights, jnp.zeros(more, weights.dtype)]), rows.shift)


def _merge(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Merge the `aux` of two blocks: metrics are united, the later layer state counts."""
    merged = {**first, **second}
    if "metrics" in first and "metrics" in second:
        merged["metrics"] = {**first["metrics"], **second["metrics"]}
    return merged
