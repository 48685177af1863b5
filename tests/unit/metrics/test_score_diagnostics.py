"""Fokker-Planck residual, symmetry and dimension: closed forms, and the exact model at zero."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.sampling.exact_model import ExactNetwork
from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.learning.unet import build_unet
from crosskrylov.metrics.score_diagnostics import diagnose, levels_between, noised, probes_for

SHAPE = (1, 3, 3)
DATA = torch.randn((5, *SHAPE), generator=torch.Generator().manual_seed(4)).double()
LEVELS = NoiseLevels.geometric(50, 0.05, 20.0)


def exact(data=DATA, levels=LEVELS):
    return NoiseModel(ExactNetwork(data, levels), levels, clip=False)


def states(sigma, data=DATA, count=6):
    return noised(data, sigma, count, torch.Generator().manual_seed(1))


class Linear(torch.nn.Module):
    """eps(y, sigma) = (S + a K) y f(sigma), S symmetric and K antisymmetric, at every level."""

    def __init__(self, matrix, of_sigma):
        super().__init__()
        self.matrix, self.of_sigma = matrix, of_sigma

    def forward(self, x, t):
        sigma = float(np.exp(np.interp(float(t[0]), np.arange(50), np.log(LEVELS.sigmas))))
        y = x.flatten(1) * np.sqrt(1 + sigma**2)
        return SimpleNamespace(sample=(y @ self.matrix.T * self.of_sigma(sigma)).reshape(x.shape))


@pytest.mark.parametrize("sigma", [0.3, 1.0, 5.0])
def test_exact_model_satisfies_the_equation_up_to_the_difference(sigma):
    y = states(sigma)
    probes = probes_for(y, None, None)
    errors = [diagnose(exact(), y, sigma, probes, step).residual for step in (0.02, 0.01)]
    assert errors[1] < 1e-2
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)  # of order two: nothing else is left
    assert diagnose(exact(), y, sigma, probes, 1e-4).residual < 1e-5


def test_exact_model_satisfies_the_equation_on_the_schedule_of_ddpm():
    levels = NoiseLevels.linear(1000)
    y = states(1.0)
    found = diagnose(exact(DATA, levels), y, 1.0, probes_for(y, None, None), 1e-4)
    assert found.residual < 1e-5 and found.curl < 1e-24


def test_exact_model_has_no_curl_and_a_noise_that_is_scaled_has_a_residual():
    y = states(1.0)
    probes = probes_for(y, None, None)
    assert diagnose(exact(), y, 1.0, probes).curl < 1e-24
    model = exact()
    network = model.network
    model.network = lambda x, t: SimpleNamespace(sample=1.1 * network(x, t).sample)
    found = diagnose(model, y, 1.0, probes, 1e-4)
    # R is quadratic in s: what is left is (1.1 - 1.1^2) times 2 sigma J'eps
    assert found.residual > 1e-3 and found.curl < 1e-24


def test_a_gaussian_has_the_dimension_of_its_closed_form():
    # p = N(0, 1 + sigma^2): eps = sigma y / (1 + sigma^2)
    model = NoiseModel(
        Linear(torch.eye(9, dtype=torch.float64), lambda s: s / (1 + s**2)), LEVELS, clip=False
    )
    y, sigma = 2 * torch.ones((2, *SHAPE), dtype=torch.float64), 0.5
    found = diagnose(model, y, sigma, probes_for(y, None, None), 1e-4)
    variance = 1 + sigma**2
    expected = 9 + sigma**2 * (-9 / variance + 9 * 4 / variance**2)
    torch.testing.assert_close(found.dimension, torch.full((2,), expected, dtype=torch.float64))
    assert found.residual < 1e-6


def test_dimension_is_the_slope_of_the_log_density_and_tends_to_that_of_points_and_planes():
    def log_density(y, sigma):
        squares = (y[:, None] - DATA[None]).square().flatten(2).sum(2)
        return torch.logsumexp(-squares / (2 * sigma**2), 1) - 9 * np.log(sigma)

    y, h = states(1.0), 1e-4
    found = diagnose(exact(), y, 1.0, probes_for(y, None, None)).dimension
    slope = (log_density(y, np.exp(h)) - log_density(y, np.exp(-h))) / (2 * h)
    torch.testing.assert_close(found, 9 + slope, atol=1e-6, rtol=0)
    # at an image itself: that of a point, 0
    found = diagnose(exact(), DATA, 0.06, probes_for(DATA, None, None)).dimension
    torch.testing.assert_close(found, torch.zeros_like(found), atol=1e-6, rtol=0)
    # a grid of points finer than sigma on a plane has two
    grid = torch.zeros((41**2, *SHAPE), dtype=torch.float64)
    grid[:, 0, 0, :2] = torch.cartesian_prod(*[torch.linspace(-2, 2, 41).double()] * 2)
    middle = grid[[41**2 // 2]]
    found = diagnose(exact(grid), middle, 0.2, probes_for(middle, None, None)).dimension
    assert float(found) == pytest.approx(2, abs=1e-3)


def test_dimension_of_noised_images_is_the_number_of_pixels_in_the_mean():
    # E div s = -E |s|^2 under p: this is why it is looked at in the images themselves
    y = states(0.5, count=4000)
    found = diagnose(exact(), y, 0.5, probes_for(y, None, None)).dimension
    assert float(found.mean()) == pytest.approx(9, abs=4 * float(found.std()) / 4000**0.5)


def test_curl_of_a_rotation_is_known():
    skew = torch.zeros((9, 9), dtype=torch.float64)
    skew[0, 1], skew[1, 0] = 1.0, -1.0
    y = states(1.0)
    for turn in (0.0, 0.5):
        matrix = torch.eye(9, dtype=torch.float64) + turn * skew
        model = NoiseModel(Linear(matrix, lambda s: 1.0), LEVELS, clip=False)
        found = diagnose(model, y, 1.0, probes_for(y, None, None))
        # |2 turn K|^2 / |2 I|^2
        assert found.curl == pytest.approx(turn**2 * 2 / 9)


def test_random_probes_estimate_what_unit_vectors_give():
    y = states(1.0)
    exactly = diagnose(exact(), y, 1.0, probes_for(y, None, None))
    drawn = probes_for(y, 4000, torch.Generator().manual_seed(0))
    assert drawn.square().sum(1).allclose(torch.ones_like(drawn[:, 0]))
    estimated = diagnose(exact(), y[:1], 1.0, drawn[:, :, :1])
    assert float(estimated.dimension[0]) == pytest.approx(float(exactly.dimension[0]), abs=0.2)
    assert estimated.curl < 1e-24


def test_random_probes_add_nothing_to_the_residual_in_the_mean():
    y = states(1.0, count=600)
    two = probes_for(y, 2, torch.Generator().manual_seed(0))
    squares = diagnose(exact(), y, 1.0, two, 1e-4).residual_squares
    assert float(squares.mean().abs()) < 4 * float(squares.std()) / 600**0.5
    # while that of a single set is the noise of the probes
    biased = diagnose(exact(), y, 1.0, two[:1].expand(2, *two.shape[1:]), 1e-4).residual_squares
    assert float(biased.mean()) > 10 * float(squares.mean().abs())


def test_an_untrained_network_is_no_score_and_is_differentiated_twice():
    unet = {"channels": [8, 8], "layers_per_block": 1, "attention_resolution": 4, "norm_groups": 4}
    network = build_unet(unet, 8, 1, 0)
    model = NoiseModel(network, LEVELS, clip=False)
    y = torch.randn((2, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    found = diagnose(model, y, 1.0, probes_for(y, 2, torch.Generator().manual_seed(1)))
    for values in (found.residual_squares, found.antisymmetric, found.symmetric, found.dimension):
        assert torch.isfinite(values).all() and values.shape == (2,)


def test_what_cannot_be_diagnosed_is_said():
    y = states(1.0)
    probes = probes_for(y, 2, None)
    clipping = NoiseModel(ExactNetwork(DATA, LEVELS), LEVELS)
    with pytest.raises(ConfigError, match="clip=False"):
        diagnose(clipping, y, 1.0, probes)
    with pytest.raises(ConfigError, match="sigma 20 need levels around it"):
        diagnose(exact(), y, 20.0, probes)
    with pytest.raises(ConfigError, match="even number of random probes; found 3"):
        probes_for(y, 3, None)
    assert 0.05 < next(levels_between(exact(), 3, 0.0001, 1.0)) < 0.052
