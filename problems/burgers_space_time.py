"""Burgers equation on a circle: states of all times as one random field."""

from pdesolve.problem import parameter

from ._space_time import AbstractSpaceTimeFamily

__all__ = ["BurgersSpaceTime"]


class BurgersSpaceTime(AbstractSpaceTimeFamily):
    r"""Burgers equation on a circle from a random state, as a field in space and time.

    $$u_t + \left(\tfrac12 u^2\right)_x = d\,u_{xx} \text{ on } (0, 1) \text{, periodic}, \quad 0 \le t \le T,$$

    by the implicit midpoint rule, which the field obeys from each time to the next, and conservative differences.
    Initial states are Gaussian; what becomes of them is not. All quantities are nondimensional.
    """

    diffusivity: float = parameter(0.02, "viscosity", above=0.0)
    duration: float = parameter(0.5, "last time", above=0.0)
    length: float = parameter(0.2, "correlation length of initial states", above=0.0, at_most=1.0)
    deviation: float = parameter(0.5, "standard deviation of initial states", above=0.0)

    def flux(self, u):
        """Half the square."""
        return 0.5 * u**2

    def speed(self, u):
        """The state itself."""
        return u
