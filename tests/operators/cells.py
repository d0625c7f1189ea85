"""Small unit cells, solved, for the tests of their reduced models."""

import functools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from operators import pod_modes
from pdesolve.multiscale import RVE, LinearElastic, SaturatingElastic
from pdesolve.multiscale.inclusions import Inclusion, box, core_and_rings, joined
from pdesolve.objective import Context, Evaluation
from problems.rve import RVE2

STIFF = LinearElastic(4.34523810e4, 2.99180328e4)
STRAIN = np.array([0.03, -0.02, 0.035])


class Solved(NamedTuple):
    """A cell and its states under some strains."""

    rve: RVE
    strains: np.ndarray
    fluctuations: np.ndarray
    stresses: np.ndarray
    mean: np.ndarray
    tangents: np.ndarray

    def modes(self, rank, count=None, **options):
        chosen = slice(count)
        return pod_modes(self.rve, self.fluctuations[chosen], self.stresses[chosen], rank=rank, **options)


def cell(matrix, inclusion):
    """One circle off the centre, 8 elements along a side."""
    circle = Inclusion.circle(0.05, 0.02, 0.3)
    outer = box((-0.5, 0.5), (-0.5, 0.5), 8)
    quads, inside = core_and_rings(circle, circle.onto_boundary(outer), outer, (2, 3))
    return RVE(joined(quads, inside, (circle,)), inside, matrix, inclusion)


@functools.cache
def solved(kind="released", count=16):
    """Return `released`, `corrected` (with stored energy), `linear` or `one_material`."""
    soft = LinearElastic()
    materials = {
        "released": (SaturatingElastic(out_of_plane=False), STIFF),
        "corrected": (SaturatingElastic(), STIFF),
        "linear": (soft, STIFF),
        "one_material": (STIFF, STIFF),
    }
    rve = cell(*materials[kind])
    strains = RVE2().strains(count, 0)
    states = [rve.solve(strain) for strain in strains]
    return Solved(
        rve,
        strains,
        *(np.array([getattr(s, n) for s in states]) for n in ("fluctuation", "stresses", "stress", "tangent")),
    )


def losses_of(objective, model):
    """Losses by term, as an optimiser sees them at its first step."""
    key, zero = jax.random.key(0), jnp.asarray(0)
    batches = tuple(block.sampler.draw((), key, zero) for block in objective.blocks)
    params, frozen = eqx.partition(model, eqx.is_inexact_array)
    evaluation = Evaluation(objective, batches, {}, key, Context(zero, jnp.asarray(0.0)), frozen)
    return {name: float(value) for name, value in evaluation.term_losses(params)[0].items()}
