"""Training steps of DeepXDE, by `Model.train` as its examples call it; see `pace`."""

import deepxde as dde
import numpy as np
from deepxde.backend import backend_name
from deepxde_burgers import residual
from pace import CONDITION, LEARNING_RATE, arguments, clocked, measure


def build(given, points):
    """Return training and residual."""
    domain = dde.geometry.GeometryXTime(dde.geometry.Interval(-1, 1), dde.geometry.TimeDomain(0, 1))
    ends = dde.icbc.DirichletBC(domain, lambda x: 0, lambda _, on_boundary: on_boundary)
    start = dde.icbc.IC(domain, lambda x: -np.sin(np.pi * x[:, 0:1]), lambda _, on_initial: on_initial)
    numbers = {"num_domain": points, "num_boundary": 2 * CONDITION, "num_initial": CONDITION}
    data = dde.data.TimePDE(domain, residual, [ends, start], train_distribution="pseudo", **numbers)
    network = dde.nn.FNN([2] + [given.width] * given.depth + [1], "tanh", "Glorot normal")
    model = dde.Model(data, network)
    model.compile("adam", lr=LEARNING_RATE)

    def train(steps):
        model.train(iterations=steps, display_every=10**9, verbose=0)
        if backend_name == "jax":  # steps may still be under way
            import jax

            jax.block_until_ready(model.params)

    inside = data.train_x_all[:points]
    return lambda steps: clocked(lambda: train(steps)), lambda: model.predict(inside, operator=residual)


def choose_threads(count):
    """Set PyTorch's threads."""
    import torch

    torch.set_num_threads(count)


if __name__ == "__main__":
    dde.config.set_default_float("float32")
    dde.config.set_random_seed(0)
    measure(arguments(__doc__), build, choose_threads if backend_name == "pytorch" else None)
