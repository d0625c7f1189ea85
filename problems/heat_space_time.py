"""Heat on a circle: states of all times as one random field."""

from pdesolve.problem import parameter

from ._space_time import AbstractSpaceTimeFamily

__all__ = ["HeatSpaceTime"]


class HeatSpaceTime(AbstractSpaceTimeFamily):
    r"""Heat conduction on a circle from a random state, as a field in space and time.

    $$u_t = d\,u_{xx} \text{ on } (0, 1) \text{, periodic}, \quad 0 \le t \le T,$$

    by the implicit midpoint rule, which the field obeys from each time to the next. Initial states are Gaussian; so is
    the whole field. All quantities are nondimensional.
    """

    diffusivity: float = parameter(0.02, "thermal diffusivity", above=0.0)
    duration: float = parameter(1.0, "last time", above=0.0)
    length: float = parameter(0.2, "correlation length of initial states", above=0.0, at_most=1.0)
    deviation: float = parameter(1.0, "standard deviation of initial states", above=0.0)

    def flux(self, u):
        """Nothing is carried along."""
        return 0.0 * u

    def speed(self, u):
        """Zero."""
        return 0.0 * u
