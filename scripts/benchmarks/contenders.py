"""The packages that are measured side by side, and where each of them runs."""

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path

from .environments import Environment
from .workspace import ROOT, Workspace

__all__ = ["COMBINERS", "CONTENDERS", "OURS", "PEERS", "PINNS", "SCRIPTS", "Contender", "chosen"]

OURS = "pdesolve"
SCRIPTS = Path(__file__).with_name("peers")
"""What runs in the environments: nothing there imports from here."""

_NUMERICS = ("numpy==2.4.6", "scipy==1.17.1")
_JAX = ("jax==0.10.2", "jaxlib==0.10.2", "optax==0.2.8")
# Without an exact version pip may choose a build for GPUs of several gigabytes.
_TORCH = ("torch==2.13.0",)


@dataclasses.dataclass(frozen=True)
class Contender:
    """A package and the way to run a script with it."""

    environment: Environment | None = None
    """Where it runs; this interpreter and checkout if None."""
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Environment variables it needs."""
    threaded: bool = False
    """Whether it uses OpenMP, so that its number of threads has to be chosen; it gets the faster one."""

    def python(self, workspace: Workspace) -> Path:
        """Return its interpreter, after building the environment if need be."""
        return Path(sys.executable) if self.environment is None else self.environment.python(workspace)

    def ready(self, workspace: Workspace) -> bool:
        """Return whether nothing has to be installed first."""
        return self.environment is None or self.environment.ready(workspace)

    def versions(self, workspace: Workspace) -> list[str] | None:
        """Return what is installed in its environment; None for this interpreter, whose versions a session tells."""
        return None if self.environment is None else self.environment.versions(workspace)

    def settings(self) -> dict[str, str]:
        """Return the variables of its process."""
        return dict(self.variables) | ({"PYTHONPATH": str(ROOT)} if self.environment is None else {})


CONTENDERS = {
    OURS: Contender(variables={"OPENBLAS_THREAD_TIMEOUT": "16"}),
    "deepxde-jax": Contender(
        Environment("deepxde-jax", (*_NUMERICS, "deepxde==1.15.0", *_JAX, "flax==0.12.8")), {"DDE_BACKEND": "jax"}
    ),
    "deepxde-pytorch": Contender(
        Environment("deepxde-pytorch", (*_NUMERICS, "deepxde==1.15.0", *_TORCH)),
        {"DDE_BACKEND": "pytorch"},
        threaded=True,
    ),
    "jinns": Contender(Environment("jinns", (*_NUMERICS, *_JAX, "equinox==0.13.8", "jinns==1.10.2"))),
    "pina": Contender(
        Environment("pina", (*_NUMERICS, *_TORCH, "lightning==2.6.6", "pina-mathlab==0.3.2.post2610")), threaded=True
    ),
    "conflictfree": Contender(Environment("conflictfree", (*_NUMERICS, *_TORCH, "conflictfree==0.1.8")), threaded=True),
    "torchjd": Contender(
        Environment("torchjd", (*_NUMERICS, *_TORCH, "torchjd==0.18.0", "qpsolvers==4.13.0", "quadprog==0.1.14")),
        threaded=True,
    ),
    "neuraloperator": Contender(
        Environment("neuraloperator", (*_NUMERICS, *_TORCH, "neuraloperator==2.0.0")), threaded=True
    ),
    "scikit-fem": Contender(Environment("scikit-fem", (*_NUMERICS, "scikit-fem==12.0.2"))),
}
"""By the name on the command line."""

PINNS = ("deepxde-jax", "deepxde-pytorch", "jinns", "pina")
"""Peers that train physics-informed networks."""
COMBINERS = ("conflictfree", "torchjd")
"""Peers that combine gradients."""
PEERS = tuple(name for name in CONTENDERS if name != OURS)
"""All of them."""


def chosen(peers: tuple[str, ...] | None, among: tuple[str, ...]) -> tuple[str, ...]:
    """Return this package and the peers of a suite, those asked for if any are."""
    return (OURS, *(name for name in among if peers is None or name in peers))
