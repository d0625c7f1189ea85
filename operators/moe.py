"""PI-HC-MoE: hard constraints solved by a mixture of experts, each on its part of the domain."""

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pdesolve.constraints import stationarity
from pdesolve.distributed import over_experts
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.system import AbstractSystem

from .experts import assemble, centres, partition
from .operator import AbstractOperator, check_sample, check_sizes, grid_positions
from .pde_cl import Expansion, LocalSolve, build_basis, expand, flat, system_of
from .pointwise import PointwiseMLP

__all__ = ["ROUTERS", "PIHCMoE"]

ROUTERS = ("spatial", "learned")
"""Who answers where: `spatial`, one expert in each block; `learned`, all of them, in trained shares."""

_SHARPNESS = 8.0


class PIHCMoE(AbstractOperator):
    r"""Hard constraints by a mixture of experts: a solve of the equation in each block of the domain.

    $$u(x) = \sum_j w_{kj} B_j(x) \text{ in block } k, \quad w_k = \arg\min_w \tfrac12 |\rho_k(w)|^2.$$

    Of the equation an expert has the residuals in its own block only; conditions on the boundary of the whole domain
    are given to all. With one block it is `PDECL` (PI-HC). Experts exchange nothing, and are divided over
    the devices of a mesh axis `expert`; only their weights are sent. Nothing makes them agree at the borders of blocks
    either, where the answer jumps.

    With the learned router the shares $g_k(x)$ of the experts are a softmax of a perceptron, which begins near the
    blocks and sees inputs and place; $u = \sum_k g_k \sum_j w_{kj} B_j$ is continuous, and the residuals of expert k,
    at points of the whole grid, count with weight $g_k$.

    Arguments that are not listed are those of `PDECL`.

    Args:
        in_channels: Input functions.
        out_channels: Output functions.
        num_dims: Axes of the grid.
        experts: Blocks along each axis of the grid; one number for so many along the last.
        router: `spatial` or `learned`.
        family: As for `PDECL`.
        operator: As for `PDECL`.
        basis: As for `PDECL`.
        points: At how many points an expert imposes the equation; at all in its block if 0.
        ridge: As for `PDECL`.
        condition_weight: As for `PDECL`.
        tolerance: As for `PDECL`.
        max_steps: As for `PDECL`.
        width: Of the operator, and of the learned router.
        depth: Of the operator.
        activation: Of the operator, and of the learned router.
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.
        **options: Further arguments of the operator.

    Raises:
        UnknownNameError: If there is no such operator or router, or the operator has no such option.
        PdesolveError: If a number is out of range, or the family has no `system`.

    References:
        Chalapathi, Du, Krishnapriyan, Scaling physics-informed hard constraints with mixture-of-experts, ICLR (2024).
        The learned router is an addition.
    """

    physical: ClassVar[bool] = True
    """It takes and returns functions as the equation has them, not normalised."""
    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    blocks: tuple[int, ...] = eqx.field(static=True)
    """Along each axis."""
    system: AbstractSystem | None = eqx.field(static=True)
    solver: LocalSolve
    operator: AbstractOperator
    router: PointwiseMLP | None
    """None: each block is its expert's."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_dims: int = 1,
        experts: int | Sequence[int] = 4,
        router: str = "spatial",
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
        if router not in ROUTERS:
            raise UnknownNameError("router", router, ROUTERS)
        blocks = (*[1] * (num_dims - 1), experts) if isinstance(experts, int) else tuple(map(int, experts))
        if len(blocks) != num_dims:
            raise PdesolveError(f"`experts` must be one number or {num_dims}, one for each axis; got {blocks}.")
        check_sizes(1, experts=min(blocks))
        dtype = jax.dtypes.canonicalize_dtype(float if dtype is None else dtype)
        self.in_channels, self.out_channels, self.num_dims, self.blocks = in_channels, out_channels, num_dims, blocks
        self.system = system_of(family)
        self.solver = LocalSolve(points, ridge, condition_weight, tolerance, max_steps)
        sizes = {"num_dims": num_dims, "width": width, "depth": depth, "activation": activation}
        # The operator has the key that a single solver's would have, so that one expert is `PDECL` to the last bit.
        self.operator = build_basis(
            operator, in_channels, out_channels, basis, **sizes, key=key, dtype=dtype, options=options
        )
        router_key = jax.random.fold_in(key, 1)
        common = {"activation": activation, "key": router_key, "dtype": dtype}
        learned = router == "learned"
        self.router = PointwiseMLP(in_channels + num_dims, self.num_experts, width, **common) if learned else None

    def __call__(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output functions on the grid of the input."""
        check_sample(sample, self.in_channels, self.num_dims)
        basis = self._basis(sample)
        if self.system is None:
            return jnp.sum(basis, axis=0)
        expansion = expand(self.system, sample, basis)
        gates = self.gates(sample)
        weights, _ = self.solved(expansion, gates)
        return self.assembled(expansion, weights, gates).astype(sample.dtype)

    @property
    def num_experts(self) -> int:
        """K, the number of blocks."""
        return math.prod(self.blocks)

    def gates(self, sample: Float[Array, "in *grid"]) -> Float[Array, " expert *grid"] | None:
        """Return the shares of the experts, which sum to one; None where each has its block."""
        if self.router is None:
            return None
        grid = sample.shape[1:]
        place = grid_positions(grid, sample.dtype)
        near = -_SHARPNESS * jnp.max(jnp.abs(jnp.asarray(centres(grid, self.blocks), sample.dtype)), axis=1)
        return jax.nn.softmax(near + self.router(jnp.concatenate([sample, place])), axis=0)

    def weights(
        self, sample: Float[Array, "in *grid"]
    ) -> tuple[Float[Array, "expert weight"], Float[Array, " expert"]]:
        """Return the weights of all experts, and the largest cosine that is left to each.

        Raises:
            PdesolveError: If there is no equation.
        """
        if self.system is None:
            raise PdesolveError("there is no equation to solve: build the operator with `family`.")
        return self.solved(expand(self.system, sample, self._basis(sample)), self.gates(sample))

    def solved(
        self, expansion: Expansion, gates: Float[Array, " expert *grid"] | None = None
    ) -> tuple[Float[Array, "expert weight"], Float[Array, " expert"]]:
        """Return the weights of all experts from the terms of the basis functions, and the cosines that are left."""
        dims = self.num_dims

        def one(offset: Array, tensor: Array, data: Array, gate: Array | None = None) -> tuple[Array, Array]:
            assert self.system is not None
            problem = self.solver.problem(self.system, expansion, offset, tensor, data, gate)
            weights = self.solver.weights(problem)
            return weights, stationarity(problem, weights)

        if gates is None and self.num_experts > 1:
            own = [flat(partition(v, self.blocks), dims) for v in expansion.at_points]
            return over_experts(jax.vmap(one))(*own)
        whole = [flat(v, dims) for v in expansion.at_points]
        if self.num_experts == 1:  # nothing to map over: `PDECL` to the last bit
            weights, left = one(*whole)
            return weights[None], left[None]
        return over_experts(jax.vmap(lambda gate: one(*whole, gate)))(flat(gates, dims))

    def assembled(
        self,
        expansion: Expansion,
        weights: Float[Array, "expert weight"],
        gates: Float[Array, " expert *grid"] | None = None,
    ) -> Float[Array, " out *grid"]:
        """Return the answer of all experts together."""
        offset, functions = expansion.values
        if self.num_experts == 1:
            return expansion.answer(weights[0])
        if gates is None:
            parts = jax.vmap(lambda w, b: jnp.tensordot(w, b, 1))(weights, partition(functions, self.blocks))
            return offset + assemble(parts, self.blocks)
        shared = jnp.einsum("k...,kw->w...", gates.astype(weights.dtype), weights)
        return offset + jnp.sum(shared[:, None] * functions, axis=0)

    def _basis(self, sample: Float[Array, "in *grid"]) -> Float[Array, "weight out *grid"]:
        return self.operator(sample).reshape(-1, self.out_channels, *sample.shape[1:])
