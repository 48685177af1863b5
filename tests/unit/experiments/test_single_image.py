"""What a model declares of its single-image runs is what happens in them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from crosskrylov.experiments import single_image
from crosskrylov.experiments.single_image import denoise, single_image_objective

TRAINING = {
    "diffusion": 0.5,
    "noise_levels": 1000,
    "sigma_min": 0.02,
    "sigma_max": 20.0,
    "single_image": {
        "images_per_batch": 1,
        "noise": 0.1,
        "start_noise": 0.506,
        "denoising_steps": 50,
        "denoising_noise": 0.1,
    },
}


class Recorder(torch.nn.Module):
    """A network that predicts nothing and notes the levels that it is asked for."""

    def __init__(self):
        super().__init__()
        self.levels = set()

    def forward(self, x, t):
        self.levels |= set(t.tolist())
        return SimpleNamespace(sample=torch.zeros_like(x))


def trained_levels(model):
    images = np.random.default_rng(1).random((1, 1, 4, 4), dtype=np.float32)
    objective = single_image_objective(model, images, None, np.arange(1, 11) / 10, TRAINING, 1.0)
    network, generator = Recorder(), torch.Generator().manual_seed(2)
    for _ in range(60):
        objective.loss(network, generator)
    return network.levels


def test_a_restricted_model_is_trained_on_the_levels_that_its_denoising_visits():
    visited = Recorder()
    denoise(visited, "ddpm_restricted", torch.rand(1, 1, 4, 4), TRAINING, 1.0, seed=3)
    assert trained_levels("ddpm_restricted") == visited.levels and len(visited.levels) == 50
    assert max(trained_levels("ddpm")) > max(visited.levels) + 100


@pytest.mark.parametrize(
    ("model", "clipped"), [("ddpm", False), ("ddpm_clipped", True), ("ddpm_restricted", True)]
)
def test_the_start_is_clipped_where_the_model_says_so(monkeypatch, model, clipped):
    seen = []

    def noted(network, start, *args, **options):
        seen.append(start)
        return start, start[None]

    monkeypatch.setattr(single_image, "denoise_from_level", noted)
    denoise(Recorder(), model, torch.rand(1, 1, 8, 8), TRAINING, 1.0, seed=3)
    beyond = bool(((seen[0] < 0) | (seen[0] > 1)).any())
    assert beyond is not clipped
