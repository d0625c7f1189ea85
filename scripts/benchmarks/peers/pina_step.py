"""Training steps of PINA, by its `Trainer`; see `pace`."""

import logging
import warnings

import torch
from pace import CONDITION, LEARNING_RATE, VISCOSITY, arguments, clocked, measure
from pina import Trainer
from pina.model import FeedForward
from pina.optim import TorchOptimizer
from pina.problem.zoo import BurgersProblem
from pina.solver import PhysicsInformedSingleModelSolver


def build(given, points):
    """Return training and residual."""
    torch.manual_seed(0)
    problem = BurgersProblem(nu=VISCOSITY)
    for domain, count in (("D", points), ("t0", CONDITION), ("boundary", 2 * CONDITION)):
        problem.discretise_domain(count, "random", domains=domain)
    network = FeedForward(2, 1, inner_size=given.width, n_layers=given.depth, func=torch.nn.Tanh)
    optimiser = TorchOptimizer(torch.optim.Adam, lr=LEARNING_RATE)
    solver = PhysicsInformedSingleModelSolver(problem, network, optimizer=optimiser)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}

    def train(steps):
        Trainer(solver, max_epochs=steps, accelerator="cpu", enable_model_summary=False, **quiet).train()

    def residual():
        inside = problem.discretised_domains["D"].requires_grad_(True)
        return problem.conditions["D"].equation.residual(inside, solver.forward(inside))

    return lambda steps: clocked(lambda: train(steps)), residual


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    measure(arguments(__doc__), build, torch.set_num_threads)
