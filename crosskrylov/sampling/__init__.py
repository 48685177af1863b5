"""From a trained network to images: published denoiser, diffusers' samplers, ODE, SDE and PDS."""

from crosskrylov.sampling.denoise import denoise_from_level, denoise_published, noised_start
from crosskrylov.sampling.generate import SAMPLERS, Samples, draw_samples
from crosskrylov.sampling.model import NoiseModel
from crosskrylov.sampling.pds import Preconditioner, preconditioner_from_images
from crosskrylov.sampling.sde import sample_langevin, sample_probability_flow, sample_reverse_sde

__all__ = [
    "SAMPLERS",
    "NoiseModel",
    "Preconditioner",
    "Samples",
    "denoise_from_level",
    "denoise_published",
    "draw_samples",
    "noised_start",
    "preconditioner_from_images",
    "sample_langevin",
    "sample_probability_flow",
    "sample_reverse_sde",
]
