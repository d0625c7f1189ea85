"""Rules of pdesolve on stacks of gradients; see `stacks`."""

import jax
import jax.numpy as jnp
import numpy as np
from stacks import arguments, measure

from pdesolve.optim import IMTLG, ConFIG, DualProj, PCGrad, UPGrad


def compiled(rule):
    """Return the rule as a compiled function that waits for its end."""
    function = jax.jit(lambda rows: rule(rows))
    return lambda rows: jax.block_until_ready(function(rows))


if __name__ == "__main__":
    rules = {"config": ConFIG(), "upgrad": UPGrad(), "dualproj": DualProj(), "pcgrad": PCGrad(), "imtlg": IMTLG()}
    measure(arguments(__doc__), {name: compiled(rule) for name, rule in rules.items()}, jnp.asarray, np.asarray)
