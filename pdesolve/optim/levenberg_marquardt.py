"""Levenberg-Marquardt: damped Gauss-Newton on the residual rows of an objective."""

import equinox as eqx

from .control import RatioTarget
from .gauss_newton import AbstractGaussNewton

__all__ = ["LevenbergMarquardt"]


class LevenbergMarquardt(AbstractGaussNewton):
    r"""Solve $(J^\top H J + \lambda I)\,p = -g$ with the smallest damping whose step still keeps its promise.

    Smaller dampings are tried while the ratio $\rho$ of actual to predicted decrease stays above $\rho^*$, larger ones
    if the first fails (`damped_step`). A small target $\rho^*$ is essential: textbook values near 1/4 take steps that
    are far too short for networks. One Jacobian serves all trials; each costs a factorisation and a loss.

    Args:
        damping: First $\lambda$, in units of the mean-square loss.
        factor: $f > 1$.
        target_ratio: $\rho^*$.
        probes: Most trials of smaller dampings in one step.
        attempts: Most trials in one step; when all have failed the step is `stalled`.
        min_damping: Smallest $\lambda$.
        factorisation: `cholesky`, `dual` (fewer residuals than parameters), `eigen`, `svd` (the last digits) or
            `sketch` (very many residuals).

    References:
        Marquardt, J. Soc. Indust. Appl. Math. 11 (1963) 431-441; More, Lecture Notes in Math. 630 (1978) 105-116.
        Choosing the largest step above a small ratio follows the radius rule of Webb, Jerad and Cartis (2026).
    """

    on_mesh = True
    damping: float = 1.0
    factor: float = 3.0
    target_ratio: float = 0.03
    probes: int = eqx.field(static=True, default=3)
    attempts: int = eqx.field(static=True, default=12)
    min_damping: float = 1e-16
    factorisation: str = eqx.field(static=True, default="cholesky")

    def rule(self):
        """The ratio rule."""
        return RatioTarget(self.damping, self.factor, self.target_ratio, self.probes, self.attempts, self.min_damping)
