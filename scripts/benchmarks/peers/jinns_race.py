"""A problem by jinns: Adam, then self-scaled Broyden; see `race`."""

import contextlib
import io
import re
import tempfile

import equinox as eqx
import jax
import jax.numpy as jnp
import jinns
import optax
from jinns.optimizers import scale_by_SSBroyden_family
from jinns.solver import GetJinnsVariableName
from race import ADAM_SHARE, LEARNING_RATE, Race, arguments

CALL = 5.0
"""Seconds of one call of `jinns.solve`, about."""


def equation(race):
    """Return the residual as a loss of jinns, time as a coordinate like any other."""

    class Residual(jinns.loss.PDEStatio):
        """The equation at one point."""

        def equation(self, x, u, params):
            """Return one number for each equation."""

            def f(field, by=""):
                function = _component(lambda x: u(x, params), race.fields.index(field))
                for axis in by:
                    function = _partial(function, race.coordinates.index(axis))
                return function(x)

            return jnp.stack(race.residuals(f, x[0], x[1], jnp))

    return Residual()


def _component(function, index):
    return lambda x: function(x)[index]


def _partial(function, axis):
    return lambda x: jax.jvp(function, (x,), (jnp.zeros_like(x).at[axis].set(1),))[1]


def build(race):
    """Return network, parameters, data and loss."""
    given, key = race.given, jax.random.key(race.given.seed)
    layers = [(eqx.nn.Linear, 2, given.width), (jnp.tanh,)]
    for _ in range(given.depth - 1):
        layers += [(eqx.nn.Linear, given.width, given.width), (jnp.tanh,)]
    layers += [(eqx.nn.Linear, given.width, len(race.fields))]
    network, weights = jinns.nn.PINN_MLP.create(key=key, eqx_list=tuple(layers), eq_type="PDEStatio")
    params = jinns.parameters.Params(nn_params=weights, eq_params={})
    low, high = race.points.min(axis=0), race.points.max(axis=0)
    data = jinns.data.CubicMeshPDEStatio(
        key=key, n=len(race.interior), dim=2, min_pts=tuple(low), max_pts=tuple(high), method="uniform"
    )
    data = eqx.tree_at(lambda d: d.omega, data, jnp.asarray(race.interior))
    conditions = [(1.0, *condition) for condition in race.conditions]
    if len(conditions) == 4:  # of which jinns 1.10 makes a mess: two halves of half the weight are the same loss
        _, field, points, values = conditions.pop()
        conditions += [(0.5, field, points[k::2], values[k::2]) for k in (0, 1)]
    observed = jinns.data.DataGeneratorObservations(
        observed_pinn_in=tuple(jnp.asarray(points) for _, _, points, _ in conditions),
        observed_values=tuple(jnp.asarray(values)[:, None] for *_, values in conditions),
        key=key,
    )
    slices = tuple(slice(race.fields.index(f), race.fields.index(f) + 1) for _, f, _, _ in conditions)
    loss = jinns.loss.LossPDEStatio(
        u=network,
        dynamic_loss=equation(race),
        loss_weights=jinns.loss.LossWeightsPDEStatio(
            dyn_loss=1.0, observations=tuple(weight for weight, *_ in conditions)
        ),
        obs_slice=slices,
        params=params,
    )
    return network, params, data, observed, loss


def main():
    """Train for the time given: `jinns.solve` again and again.

    Each call compiles; after the first of a stage that is not counted, as a single long call would not.
    """
    given = arguments(__doc__)
    jax.config.update("jax_enable_x64", given.precision == "float64")
    jax.config.update("jax_compilation_cache_dir", tempfile.mkdtemp())
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    race = Race(given)
    network, params, data, observed, loss = build(race)
    predict = jax.jit(lambda params, points: jax.vmap(lambda x: network(x, params))(points))

    def value(params, batch):
        return loss.evaluate_by_terms(params, batch)

    def get_value_function(loss, batch):
        return lambda params, **_: loss(params, batch)[0]

    def get_gradient_function(loss, batch):
        import jax  # the function loses its surroundings

        return jax.grad(lambda params, **_: loss(params, batch)[0])

    extra = {
        "value": GetJinnsVariableName("train_loss_value"),
        "grad_pt": GetJinnsVariableName("grads"),
        "value_fn": get_value_function,
        "grad_fn": get_gradient_function,
    }
    stages = [("adam", optax.adam(LEARNING_RATE), None, ADAM_SHARE), ("ssbroyden", None, extra, 1.0)]
    step = 0
    for name, optimiser, extra, share in stages:
        optimiser = scale_by_SSBroyden_family() if optimiser is None else optimiser
        state, count, calls = None, 50 if name == "adam" else 5, 0
        while not race.over(share):
            before = race.seconds()
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                params, _, _, data, loss, state, _, _, observed, *_ = jinns.solve(
                    init_params=params,
                    data=data,
                    obs_data=observed,
                    optimizer=optimiser,
                    opt_state=state,
                    loss=loss,
                    n_iter=count,
                    print_loss_every=10**9,
                    extra_optax_args_and_kwargs=extra,
                )
            found = re.search(r"Training took\s+(\S+)", said.getvalue())
            if found is None:
                raise RuntimeError(f"jinns did not say how long it trained: {said.getvalue()[:200]}")
            if calls:
                race.paused += race.seconds() - before - float(found[1])
            calls, step = calls + 1, step + count
            race.measure(name, step, lambda points: predict(params, jnp.asarray(points)), always=True)  # noqa: B023
            if calls == 1:  # from here on the same number, so that what was compiled is found again
                count = max(1, min(int(count * CALL / max(float(found[1]), 1e-3)), 100 * count))
            if not all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(eqx.filter(state, eqx.is_array))):
                state = None  # a step of length zero has divided by zero; it begins anew from the last parameters


if __name__ == "__main__":
    main()
