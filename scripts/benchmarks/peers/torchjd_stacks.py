"""Rules of torchjd on stacks of gradients; see `stacks`."""

import torch
from stacks import arguments, measure
from torchjd.aggregation import IMTLG, ConFIG, DualProj, PCGrad, UPGrad

if __name__ == "__main__":
    given = arguments(__doc__)
    torch.set_num_threads(given.threads or torch.get_num_threads())
    torch.manual_seed(0)
    rules = {"config": ConFIG(), "upgrad": UPGrad(), "dualproj": DualProj(), "pcgrad": PCGrad(), "imtlg": IMTLG()}
    with torch.no_grad():
        measure(given, rules, torch.from_numpy, lambda result: result.numpy())
