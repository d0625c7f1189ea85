"""A problem by DeepXDE: Adam, then L-BFGS where the backend has it; see `race`."""

import sys

import deepxde as dde
import numpy as np
from deepxde.backend import backend_name
from race import ADAM_SHARE, LEARNING_RATE, Race, arguments

DISPATCH = 100
"""Iterations of L-BFGS between two looks at the clock."""


class Clock(dde.callbacks.Callback):
    """Measure the error, and stop when the time is over."""

    def __init__(self, race, stage, share):
        super().__init__()
        self.race, self.stage, self.share = race, stage, share

    def on_epoch_end(self):
        """Follow every iteration of Adam, and every dispatch of L-BFGS."""
        if backend_name == "jax" and self.race.due():  # steps may still be under way
            import jax

            jax.block_until_ready(self.model.params)
        self.race.measure(self.stage, self.model.train_state.step, self.model.predict)
        self.model.stop_training = self.race.over(self.share)


def build(race):
    """Return the model: given points, conditions as loss terms."""

    def residual(x, y):
        jax = backend_name == "jax"  # there, fields and derivatives come with the functions that give them

        def f(field, by=""):
            i, axes = race.fields.index(field), [race.coordinates.index(axis) for axis in by]
            if not axes:
                return (y[0] if jax else y)[..., i : i + 1]
            if len(axes) == 1:
                value = dde.grad.jacobian(y, x, i=i, j=axes[0])
            else:
                value = dde.grad.hessian(y, x, component=i, i=axes[0], j=axes[1])
            return value[0] if jax else value

        return race.residuals(f, x[..., 0:1], x[..., 1:2], dde.backend)

    conditions = [
        dde.icbc.PointSetBC(points.astype(dde.config.real(np)), values[:, None], component=race.fields.index(field))
        for field, points, values in race.conditions
    ]
    box = dde.geometry.Rectangle(race.points.min(axis=0), race.points.max(axis=0))
    anchors = race.interior.astype(dde.config.real(np))
    data = dde.data.PDE(box, residual, conditions, num_domain=0, num_boundary=0, anchors=anchors)
    sizes = [2] + [race.given.width] * race.given.depth + [len(race.fields)]
    return dde.Model(data, dde.nn.FNN(sizes, "tanh", "Glorot normal"))


def main():
    """Train for the time given."""
    given = arguments(__doc__)
    if backend_name == "jax" and given.precision == "float64":
        sys.exit("DeepXDE's JAX backend has no float64: its networks keep float32 parameters")
    if backend_name == "pytorch":
        import torch

        torch.set_num_threads(given.threads)
    race = Race(given)
    dde.config.set_default_float(given.precision)
    dde.config.set_random_seed(given.seed)
    model = build(race)
    share = 1.0 if backend_name == "jax" else ADAM_SHARE
    model.compile("adam", lr=LEARNING_RATE)
    quiet = {"display_every": 10**9, "verbose": 0}
    model.train(iterations=10**9, callbacks=[Clock(race, "adam", share)], **quiet)
    if backend_name == "pytorch":
        from deepxde.optimizers.config import LBFGS_options, set_LBFGS_options

        set_LBFGS_options(maxiter=10**6, ftol=0, gtol=0)
        LBFGS_options["iter_per_step"] = DISPATCH
        LBFGS_options["fun_per_step"] = 2 * DISPATCH
        model.compile("L-BFGS")
        model.train(callbacks=[Clock(race, "l-bfgs", 1.0)], **quiet)
    race.measure("end", model.train_state.step, model.predict, always=True)


if __name__ == "__main__":
    main()
