"""Preconditioned diffusion sampling (PDS): a linear change of metric for Langevin-type samplers.

M[x] = F^-1(R_f * F(R_s * x)) with F the 2-D discrete Fourier transform of each channel; R_f filters
frequencies and R_s pixels (Eq. 29). Since F^-1 R_f F is real and symmetric,
M M^T [s] = F^-1(R_f * F(R_s^2 * F^-1(R_f * F(s)))).
"""

from dataclasses import dataclass

import torch

from crosskrylov.errors import ConfigError, DataError, ShapeError


@dataclass(frozen=True)
class Preconditioner:
    """The operator M.

    Attributes
    ----------
    frequency_filter : tensor, shape (C, H, W), float32
        R_f on the frequencies of `torch.fft.fft2`, real and even; ones switch it off.
    pixel_filter : tensor, shape (C, H, W), float32
        R_s; ones switch it off.
    """

    frequency_filter: torch.Tensor
    pixel_filter: torch.Tensor

    def __post_init__(self):
        if self.frequency_filter.shape != self.pixel_filter.shape:
            raise ShapeError(
                f"PDS filters have shapes {tuple(self.frequency_filter.shape)} (frequency) and "
                f"{tuple(self.pixel_filter.shape)} (pixel); both must be (C, H, W)."
            )

    def _filtered(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.ifft2(self.frequency_filter * torch.fft.fft2(x)).real

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """Return M[x] for x of shape (B, C, H, W)."""
        return self._filtered(self.pixel_filter * x)

    def apply_squared(self, x: torch.Tensor) -> torch.Tensor:
        """Return M M^T[x] for x of shape (B, C, H, W)."""
        return self._filtered(self.pixel_filter**2 * self._filtered(x))

    def to(self, device: torch.device) -> "Preconditioner":
        """Return the operator on ``device``."""
        return Preconditioner(self.frequency_filter.to(device), self.pixel_filter.to(device))


def preconditioner_from_images(
    images: torch.Tensor,
    *,
    alpha: float = 5.0,
    frequency: bool = True,
    pixel: bool = True,
    n_images: int = 200,
) -> Preconditioner:
    """Return the filters made from training images.

    With q_f = log(1 + mean |F(x)|^2) and q_s = mean x^2, each divided by its maximum, a filter is
    R = ((q + alpha - 1) / alpha)^-1 (Eq. 29d).

    Parameters
    ----------
    images : tensor, shape (N, C, H, W)
        Training images on the scale that is sampled, [-1, 1].
    alpha : float
        Strength, > 1; large values give R = 1.
    frequency, pixel : bool
        Which filters to use.
    n_images : int
        At most so many images are used.

    Raises
    ------
    ConfigError
        If alpha <= 1.
    DataError
        If there is no image.
    """
    if alpha <= 1:
        raise ConfigError(f"PDS alpha is {alpha}; it must be greater than 1.")
    if not len(images):
        raise DataError("PDS filters need at least one training image; found none.")
    images = images[:n_images].double()

    def filtered(q):
        return (alpha / (q / q.max() + alpha - 1)).float()

    ones = torch.ones(images.shape[1:], device=images.device)
    power = torch.fft.fft2(images).abs().square().mean(0)
    return Preconditioner(
        filtered(torch.log1p(power)) if frequency else ones,
        filtered(images.square().mean(0)) if pixel else ones,
    )
