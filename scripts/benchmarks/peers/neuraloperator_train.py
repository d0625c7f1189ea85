"""A Fourier neural operator of the package neuraloperator, trained on given samples. Stand-alone.

As pdesolve trains its own: inputs and outputs normalised by mean and deviation of the training samples, the mean over a
batch of the relative L2 error as loss, Adam with a rate that falls as a cosine to a hundredth.
"""

import argparse
import json
import time

import numpy as np
import torch
from neuralop.models import FNO


def main():
    """Train once."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="NPZ file of train_inputs, train_outputs, test_inputs, ...")
    parser.add_argument("--records", required=True)
    for name in ("modes", "width", "depth", "batch", "steps", "seed", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    with np.load(given.data) as data:
        arrays = {name: torch.from_numpy(data[name].astype(np.float32)) for name in data}
    x, y = arrays["train_inputs"], arrays["train_outputs"]
    (x_mean, x_std), (y_mean, y_std) = ((a.mean(), a.std()) for a in (x, y))
    start = time.perf_counter()
    # It keeps half of its count of modes, and one more.
    model = FNO((2 * given.modes - 1,), 1, 1, given.width, n_layers=given.depth, positional_embedding=None)
    optimiser = torch.optim.Adam(model.parameters(), lr=given.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, given.steps, eta_min=given.rate / 100)

    def predict(inputs):
        return model((inputs - x_mean) / x_std) * y_std + y_mean

    order = np.random.default_rng(given.seed)
    chosen, first = np.empty(0, int), 0.0
    for step in range(given.steps):
        if len(chosen) < given.batch:
            chosen = order.permutation(len(x))
        batch, chosen = chosen[: given.batch], chosen[given.batch :]
        optimiser.zero_grad()
        loss = relative(predict(x[batch]), y[batch]).mean()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step == 0:
            first = time.perf_counter() - start
    seconds = time.perf_counter() - start
    with torch.no_grad():
        error = float(relative(predict(arrays["test_inputs"]), arrays["test_outputs"]).mean())
    size = sum(p.numel() * (2 if p.is_complex() else 1) for p in model.parameters())
    record = {"relative_l2": error, "seconds": seconds, "first": first, "steps": given.steps, "parameters": size}
    with open(given.records, "w", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def relative(values, expected):
    """Return the relative L2 error of each sample."""
    return torch.linalg.norm((values - expected).flatten(1), dim=1) / torch.linalg.norm(expected.flatten(1), dim=1)


if __name__ == "__main__":
    main()
