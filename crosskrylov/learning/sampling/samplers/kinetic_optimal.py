"""Kinetic-optimal Gaussian paths (Shaul et al., 2023): a clock and a scale for Euler's method."""

from dataclasses import dataclass

import numpy as np
import torch

from crosskrylov.learning.objectives.mixture import posterior_mean
from crosskrylov.learning.sampling.registry import register, require_evaluations, require_option

PATHS = ("kinetic_optimal", "linear", "vp")


@dataclass(frozen=True)
class GaussianPath:
    """A path x(t) = a(t) x_1 + s(t) z, tabulated for t from 0 (noise) to 1 (data).

    Attributes
    ----------
    times, signal, noise : ndarray, shape (K,)
        t (from 0 to 1), a and s, for data of unit mean square.
    """

    times: np.ndarray
    signal: np.ndarray
    noise: np.ndarray

    def at(self, times) -> tuple[np.ndarray, np.ndarray]:
        """Return a and s."""
        return np.interp(times, self.times, self.signal), np.interp(times, self.times, self.noise)

    def velocity(self, times) -> tuple[np.ndarray, np.ndarray]:
        """Return a' and s'."""
        return tuple(
            np.interp(times, self.times, np.gradient(values, self.times))
            for values in (self.signal, self.noise)
        )

    def kinetic_energy(self, angles: np.ndarray, separation: np.ndarray) -> float:
        """Return the integral of E|u|^2 / d, u the velocity of the marginals (Eq. 29o).

        Parameters
        ----------
        angles, separation : ndarray
            theta = atan(a / s), and the data separation lambda there.
        """
        rho, theta = np.hypot(self.signal, self.noise), np.arctan2(self.signal, self.noise)
        weight = metric((theta[1:] + theta[:-1]) / 2, angles, separation)
        turned = (rho[1:] + rho[:-1]) / 2 * weight * np.diff(theta)
        return float(np.sum((np.diff(rho) ** 2 + turned**2) / np.diff(self.times)))


def metric(theta: np.ndarray, angles: np.ndarray, separation: np.ndarray) -> np.ndarray:
    """Return w at theta: w^2 = 1 - (1 - lambda) / cos^2 theta, lambda interpolated, in [0, 1]."""
    lost = 1 - np.interp(theta, angles, separation)
    return np.sqrt(np.clip(1 - lost / np.cos(theta) ** 2, 0, 1))


def data_separation(
    images: torch.Tensor, angles: np.ndarray, probes: int = 256, seed: int = 0
) -> np.ndarray:
    """Return lambda(theta) = E|E[x_1 | x]|^2 / E|x_1|^2 of a data set at tan theta = a / s.

    By Monte Carlo over ``probes`` noised images, the same noise at every angle.

    Parameters
    ----------
    images : tensor, shape (N, C, H, W)
        The data set.
    angles : ndarray
        In (0, pi/2), for data of unit mean square.
    probes : int
        Number of noised images.
    seed : int
        Seed of their choice and noise.
    """
    images = images.double()
    generator = torch.Generator().manual_seed(seed)
    chosen = images[torch.randint(len(images), (probes,), generator=generator).to(images.device)]
    z = torch.randn(chosen.shape, generator=generator, dtype=torch.float64).to(images.device)
    scale = float(images.square().mean().sqrt())
    ones = torch.ones((probes, 1, 1, 1), dtype=torch.float64, device=images.device)
    found = []
    for angle in angles:
        sigma = scale / np.tan(angle)
        mean = posterior_mean(chosen + sigma * z, images, ones, sigma * ones)
        # E|x_1|^2 - E|E[x_1|x]|^2 = E|x_1 - E[x_1|x]|^2: so divided, there is no noise at both ends
        found.append(1 - float((chosen - mean).square().mean() / chosen.square().mean()))
    return np.array(found)


def kinetic_optimal_path(
    angles: np.ndarray, separation: np.ndarray, least: float = 0.1
) -> GaussianPath:
    """Return the path of least kinetic energy between the first and the last angle.

    In polar coordinates a = rho sin theta, s = rho cos theta the energy is rho'^2 + rho^2 psi'^2
    with d psi = w d theta, w^2 = 1 - (1 - lambda) / cos^2 theta: flat in (rho, psi), so that the
    optimum is the straight chord between two points of the unit circle at angle Psi, and its
    energy 2 - 2 cos Psi.

    Parameters
    ----------
    angles, separation : ndarray
        theta, increasing, and lambda there.
    least : float
        Lower bound of w: the optimum crosses angles where w = 0 in no time, which no number of
        Euler steps can follow.
    """
    theta = np.linspace(angles[0], angles[-1], 4001)
    weight = np.maximum(metric(theta, angles, separation), least)
    psi = np.concatenate([[0], np.cumsum((weight[1:] + weight[:-1]) / 2 * np.diff(theta))])
    total = psi[-1]
    # where the ray of angle psi meets the chord from angle 0 to angle Psi
    across = np.sin(psi) * (1 - np.cos(total)) + np.cos(psi) * np.sin(total)
    rho = np.sin(total) / across
    return GaussianPath(np.sin(psi) / across, rho * np.sin(theta), rho * np.cos(theta))


def named_path(name: str, angles: np.ndarray, separation: np.ndarray | None) -> GaussianPath:
    """Return the path of a name between the first and the last angle, each at its own clock."""
    if name == "kinetic_optimal":
        return kinetic_optimal_path(angles, separation)
    times = np.linspace(0, 1, 2001)
    if name == "vp":  # the arc, at constant speed
        theta = angles[0] + times * (angles[-1] - angles[0])
        return GaussianPath(times, np.sin(theta), np.cos(theta))
    ends = np.tan(angles[[0, -1]])
    signal = np.interp(times, [0, 1], ends / (1 + ends))
    return GaussianPath(times, signal, 1 - signal)  # Cond-OT: a = t, s = 1 - t


@register(
    "kinetic_optimal",
    about="Euler's method on the Gaussian path of least kinetic energy",
    order=1,
    evaluations_per_step=1,
    stochastic=False,
    needs=["images"],
    fewest=2,
)
class KineticOptimal:
    """Euler steps of x' = a' x_1 + s' z, with the posterior means of image and noise.

    The network is used as it is: a path is a clock and a scale for it. Its closed form is derived
    here, after the paper's statement that Cond-OT is optimal for well separated data (lambda = 1).

    Parameters
    ----------
    path : {"kinetic_optimal", "linear", "vp"}
        The optimum, Cond-OT (1 - t, t), or the arc of variance-preserving diffusion.
    probes : int
        Noised images that estimate the data separation, by the exact posterior mean.
    """

    def __init__(self, path: str = "kinetic_optimal", probes: int = 256):
        require_option("kinetic_optimal", "path", path, path in PATHS, f"one of {', '.join(PATHS)}")
        require_option("kinetic_optimal", "probes", probes, probes >= 1, "at least 1")
        self.path, self.probes = path, probes
        self._path = None

    def __call__(self, model, start, evaluations, generator, images):
        """Sample."""
        require_evaluations("kinetic_optimal", evaluations, 2, "one step and the last denoising")
        scale = float(images.double().square().mean().sqrt())
        if self._path is None:
            sigmas = model.levels.sigmas
            angles = np.arctan(scale / np.geomspace(sigmas[-1], sigmas[0], 200))
            wanted = self.path == "kinetic_optimal"
            separation = data_separation(images, angles, self.probes) if wanted else None
            self._path = named_path(self.path, angles, separation)
        grid = np.linspace(0, 1, evaluations)
        a, s = self._path.at(grid)
        da, ds = self._path.velocity(grid)
        # a and s are those of x / scale: y = x / a has the noise sigma = scale s / a
        x = scale * s[0] * start
        for k in range(evaluations - 1):
            clean, eps = self._split(model, x / a[k], scale * s[k] / a[k])
            x = x + (grid[k + 1] - grid[k]) * (da[k] * clean + scale * ds[k] * eps)
        return self._split(model, x / a[-1], scale * s[-1] / a[-1])[0]

    @staticmethod
    def _split(model, y, sigma):
        eps = model.at_sigma(y, sigma)
        return y - sigma * eps, eps
