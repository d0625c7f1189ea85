"""Training steps of jinns, by `jinns.solve`; see `pace`."""

import contextlib
import io
import re
import tempfile

import equinox as eqx
import jax
import jax.numpy as jnp
import jinns
import optax
from pace import CONDITION, LEARNING_RATE, VISCOSITY, arguments, measure


def build(given, points):
    """Return training and residual; jinns says itself how long it trained, compilation apart."""
    key = jax.random.key(0)
    layers = [(eqx.nn.Linear, 2, given.width), (jnp.tanh,)]
    for _ in range(given.depth - 1):
        layers += [(eqx.nn.Linear, given.width, given.width), (jnp.tanh,)]
    layers += [(eqx.nn.Linear, given.width, 1)]
    network, weights = jinns.nn.PINN_MLP.create(key=key, eqx_list=tuple(layers), eq_type="PDENonStatio")
    params = jinns.parameters.Params(nn_params=weights, eq_params={"nu": VISCOSITY})
    data = jinns.data.CubicMeshPDENonStatio(
        key=key,
        n=points,
        nb=2 * CONDITION,
        ni=CONDITION,
        dim=1,
        min_pts=(-1.0,),
        max_pts=(1.0,),
        tmin=0.0,
        tmax=1.0,
        method="uniform",
    )
    loss = jinns.loss.LossPDENonStatio(
        u=network,
        dynamic_loss=jinns.loss.BurgersEquation(Tmax=1.0),
        boundary_condition=jinns.loss.Dirichlet(),
        initial_condition_fun=lambda x: -jnp.sin(jnp.pi * x),
        loss_weights=jinns.loss.LossWeightsPDENonStatio(dyn_loss=1.0, initial_condition=1.0, boundary_loss=1.0),
        params=params,
    )
    optimiser = optax.adam(LEARNING_RATE)

    def run(steps):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            jinns.solve(
                init_params=params, data=data, optimizer=optimiser, loss=loss, n_iter=steps, print_loss_every=10**9
            )
        found = re.search(r"Training took\s+(\S+)", said.getvalue())
        if found is None:
            raise RuntimeError(f"jinns did not say how long it trained: {said.getvalue()[:200]}")
        return float(found[1])

    equation = loss.dynamic_loss[0]
    evaluate = jax.jit(jax.vmap(lambda point: equation.equation(point, network, params)))
    return run, lambda: jax.block_until_ready(evaluate(data.domain))


if __name__ == "__main__":
    # Each call of `jinns.solve` compiles anew what an earlier one has; that is not measured, but takes minutes.
    jax.config.update("jax_compilation_cache_dir", tempfile.mkdtemp())
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    measure(arguments(__doc__), build)
