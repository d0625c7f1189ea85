"""Gaussian random fields on a circle."""

import time
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from pdesolve.config import DataConfig, NetworkConfig, Recipe, StageConfig
from pdesolve.family import AbstractFamily, FamilyData
from pdesolve.problem import parameter

__all__ = ["RandomField1D"]


class RandomField1D(AbstractFamily):
    r"""Gaussian random fields on the periodic unit interval: an elliptic equation forced by white noise.

    $$u - \ell^2 u_{xx} = s\,W, \qquad \mathrm{E}\,u = 0, \qquad
    \mathrm{E}\,u(x)\,u(y) = C(x - y) = \sigma^2\,\frac{\sum_m \kappa(|x - y + m| / \ell)}{\sum_m \kappa(|m| / \ell)},
    \quad \kappa(r) = (1 + r)\,e^{-r},$$

    the Matern covariance of smoothness 3/2 made periodic; $s$ is such that u has standard deviation $\sigma$. Its
    Fourier coefficients are independent with variances proportional to $(1 + (2 \pi k \ell)^2)^{-2}$. Mean, covariance
    and spectrum are known, so generated fields can be judged against the law itself. All quantities are
    nondimensional: lengths by the period.

    References:
        Lindgren, Rue, Lindstrom, J. R. Stat. Soc. B 73 (2011) 423-498, section 2.
    """

    input_names: ClassVar[tuple[str, ...]] = ()
    field_names: ClassVar[tuple[str, ...]] = ("u",)

    length: float = parameter(0.1, "correlation length", above=0.0, at_most=1.0)
    deviation: float = parameter(1.0, "standard deviation of the field", above=0.0)

    def covariance(self, distance: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Return C of distances of any size, to round-off: images that add less than 1e-17 are left out."""
        images = np.arange(-int(np.ceil(45 * self.length)) - 1, int(np.ceil(45 * self.length)) + 2)

        def periodic(d):
            r = np.abs(d[..., None] + images) / self.length
            return np.sum((1 + r) * np.exp(-r), axis=-1)

        distance = np.mod(np.asarray(distance, dtype=float), 1.0)
        return self.deviation**2 * periodic(distance) / periodic(np.zeros(1))[0]

    def spectrum(self, resolution: int) -> Float[np.ndarray, " resolution"]:
        r"""Return $\mathrm{E}|\hat u_k|^2$ in the order of `numpy.fft.fft` (`norm="forward"`); the sum is $\sigma^2$.

        It is that of the restriction to the grid, aliases included: the eigenvalues of the covariance matrix of the
        values on the grid, divided by their number.
        """
        spectrum = np.fft.fft(self.covariance(np.arange(resolution) / resolution)).real / resolution
        return np.maximum(spectrum, 0.0)  # eigenvalues below round-off may come out negative

    def generate(self, num_samples: int, resolution: int, seed: int) -> FamilyData:
        """Draw exactly: white noise on the grid times the root of the spectrum."""
        start = time.perf_counter()
        noise = np.random.default_rng(seed).standard_normal((num_samples, resolution))
        root = np.sqrt(self.spectrum(resolution) * resolution)
        fields = np.fft.ifft(root * np.fft.fft(noise)).real
        seconds = (time.perf_counter() - start) / num_samples
        return FamilyData(None, fields[:, None], {"x": np.arange(resolution) / resolution}, 1e-13, seconds)

    def recipe(self) -> Recipe:
        """Flow matching with a network of spectral convolutions, some minutes on two cores.

        The energy of modes up to 16 comes out within ten per cent; modes beyond 24, a millionth of the energy each,
        up to three times too strong.
        """
        adam = StageConfig("adam", steps=4000, options={"learning_rate": 2e-3, "schedule": "cosine", "warmup": 200})
        return Recipe(
            method="flow_matching",
            network=NetworkConfig("spectral_velocity", width=32, depth=4, activation="gelu"),
            data=DataConfig(train=8192, test=1024, resolution=64, batch=64),
            stages=(adam,),
            precision="float32",
        )
