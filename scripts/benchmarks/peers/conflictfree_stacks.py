"""Rules of conflictfree, ConFIG's own package, on stacks of gradients; see `stacks`."""

import torch
from conflictfree.grad_operator import ConFIGOperator, IMTLGOperator, PCGradOperator
from stacks import arguments, measure

if __name__ == "__main__":
    given = arguments(__doc__)
    torch.set_num_threads(given.threads or torch.get_num_threads())
    operators = {"config": ConFIGOperator(), "pcgrad": PCGradOperator(), "imtlg": IMTLGOperator()}
    rules = {name: operator.calculate_gradient for name, operator in operators.items()}
    with torch.no_grad():
        measure(given, rules, torch.from_numpy, lambda result: result.numpy())
