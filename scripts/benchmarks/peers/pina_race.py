"""A problem by PINA: Adam, then L-BFGS; see `race`."""

import logging
import warnings

import torch
from lightning.pytorch.callbacks import Callback
from pina import Condition, LabelTensor, Trainer
from pina.equation import Equation
from pina.model import FeedForward
from pina.operator import grad
from pina.optim import TorchOptimizer
from pina.problem import AbstractProblem
from pina.solver import PhysicsInformedSingleModelSolver
from race import ADAM_SHARE, LEARNING_RATE, Race, arguments

INNER = 100
"""Iterations of L-BFGS in one epoch."""


def make_problem(race):
    """Return the problem: given points, conditions as equations at them."""
    coordinates, names = list(race.coordinates), list(race.fields)

    def residual(x, output):
        slopes = {}  # of a component along all axes: one backward pass each

        def f(field, by=""):
            value, component = output.extract([field]), field
            for axis in by:
                if component not in slopes:
                    slopes[component] = grad(value, x, components=[component], d=coordinates)
                value, component = slopes[component].extract([f"d{component}d{axis}"]), f"d{component}d{axis}"
            return value.tensor

        parts = race.residuals(f, *(x.extract([axis]).tensor for axis in coordinates), torch)
        # The mean square is over columns as well; the others add the equations.
        return len(parts) ** 0.5 * torch.cat(parts, dim=-1)

    def tensor(points):
        return LabelTensor(torch.as_tensor(points, dtype=torch.get_default_dtype()), coordinates)

    def value(field, values):
        wanted = torch.as_tensor(values, dtype=torch.get_default_dtype())[:, None]
        return Equation(lambda _, output: output.extract([field]).tensor - wanted)

    class Problem(AbstractProblem):
        """As PINA wants it: a class."""

        output_variables = names
        input_variables = coordinates
        conditions = {  # noqa: RUF012
            "inside": Condition(input=tensor(race.interior), equation=Equation(residual)),
            **{
                f"condition_{k}": Condition(input=tensor(points), equation=value(field, values))
                for k, (field, points, values) in enumerate(race.conditions)
            },
        }

    return Problem(), tensor


def main():
    """Train for the time given."""
    given = arguments(__doc__)
    torch.set_num_threads(given.threads)
    torch.set_default_dtype(getattr(torch, given.precision))
    torch.manual_seed(given.seed)
    race = Race(given)
    problem, tensor = make_problem(race)
    network = FeedForward(2, len(race.fields), inner_size=given.width, n_layers=given.depth, func=torch.nn.Tanh)

    def predict(points):
        with torch.no_grad():
            return network(tensor(points).tensor).numpy()

    class Clock(Callback):
        """Measure the error, and stop when the time is over."""

        def __init__(self, stage, share, steps):
            self.stage, self.share, self.steps = stage, share, steps

        def on_train_epoch_end(self, trainer, module):
            """Follow every epoch: the whole batch once."""
            self.steps += 1
            race.measure(self.stage, self.steps, predict)
            trainer.should_stop = race.over(self.share)

    # The values of conditions stand in the order of their points.
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False, "shuffle": False}
    options = {"max_iter": INNER, "max_eval": 2 * INNER, "history_size": 100, "line_search_fn": "strong_wolfe"}
    options |= {"tolerance_grad": 0.0, "tolerance_change": 0.0}
    stages = [
        ("adam", TorchOptimizer(torch.optim.Adam, lr=LEARNING_RATE), ADAM_SHARE),
        ("l-bfgs", TorchOptimizer(torch.optim.LBFGS, **options), 1.0),
    ]
    steps = 0
    for name, optimiser, share in stages:
        solver = PhysicsInformedSingleModelSolver(problem, network, optimizer=optimiser)
        clock = Clock(name, share, steps)
        Trainer(
            solver, max_epochs=10**9, accelerator="cpu", enable_model_summary=False, callbacks=[clock], **quiet
        ).train()
        steps = clock.steps
    race.measure("end", steps, predict, always=True)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    main()
