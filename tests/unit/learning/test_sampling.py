from types import SimpleNamespace

import numpy as np
import pytest
import torch

from crosskrylov.errors import ConfigError, DataError
from crosskrylov.learning.sampling.denoise import (
    denoise_from_level,
    denoise_published,
    noised_start,
    visited_levels,
)
from crosskrylov.learning.sampling.exact_model import ExactNetwork
from crosskrylov.learning.sampling.generate import SAMPLERS, draw_samples
from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.sampling.pds import Preconditioner, preconditioner_from_images
from crosskrylov.learning.sampling.registry import declared_samplers
from crosskrylov.learning.sampling.sde import langevin_step
from crosskrylov.learning.schedule import NoiseLevels

SHAPE = (1, 4, 4)
DATA = torch.sign(torch.randn((3, *SHAPE), generator=torch.Generator().manual_seed(4))) * 0.7


class Counted(ExactNetwork):
    """The best possible noise predictor for three images, counting its calls."""

    def __init__(self, levels):
        super().__init__(DATA, levels)
        self.calls = 0

    def forward(self, x, t):
        self.calls += 1
        return super().forward(x, t)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(
    "levels", [NoiseLevels.linear(), NoiseLevels.geometric()], ids=["linear", "geometric"]
)
def test_every_sampler_draws_from_the_data_with_the_exact_score(sampler, levels):
    network = Counted(levels)
    filters = preconditioner_from_images(DATA)
    searching = {"population": 5, "epochs": 1, "noises": 16}
    quick = {
        "dc_solver": {"iterations": 1, "fine_steps": 49},
        "autodiffusion": searching,
        "usf": searching,
    }.get(sampler, {})
    drawn = draw_samples(
        network,
        levels,
        {"method": sampler, "options": quick},
        50,
        60,
        SHAPE,
        9,
        preconditioner=filters,
        training_images=DATA,
    )
    assert drawn.images.shape == (60, *SHAPE) and 0 <= drawn.images.min() <= drawn.images.max() <= 1
    distance = ((drawn.images * 2 - 1)[:, None] - DATA[None]).square().mean((2, 3, 4)).sqrt()
    assert distance.min(1).values.median() < 0.05
    counts = torch.bincount(distance.argmin(1), minlength=3)
    assert counts.min() >= 8  # expected 20 each; 3.3 standard deviations
    if sampler != "denoising_mcmc":  # whose calls serve the images of one round each
        assert drawn.function_evaluations + drawn.setup_evaluations == network.calls
    if not declared_samplers()[sampler].facts.get("adaptive"):
        assert 47 <= drawn.function_evaluations <= 50


def test_samples_depend_on_the_seed_alone():
    levels = NoiseLevels.linear(100)
    a, b, c = (
        draw_samples(Counted(levels), levels, "ddpm", 10, 8, SHAPE, seed).images
        for seed in (1, 1, 2)
    )
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_clipping_keeps_the_implied_image_in_range():
    levels = NoiseLevels.linear(100)
    wild = NoiseModel(lambda x, t: SimpleNamespace(sample=50 + 0 * x), levels)
    x = torch.zeros(2, *SHAPE)
    eps = wild.at_level(x, 60)
    a = levels.alphas_cumprod[60]
    clean = (x - np.sqrt(1 - a) * eps) / np.sqrt(a)
    torch.testing.assert_close(clean, torch.full_like(clean, -1), atol=1e-4, rtol=0)


def test_published_denoiser_is_the_iteration_written_out():
    image = torch.rand((1, *SHAPE), generator=torch.Generator().manual_seed(3))
    times = []

    def network(x, t):
        times.append(float(t[0]))
        return SimpleNamespace(sample=(image - x) / 0.5**2)

    start = noised_start(image, 0.506, seed=1)
    options = {"steps": 4, "final_time": 1.0, "diffusion": 0.5}
    result, path = denoise_published(network, start, **options, noise_scale=0.0, keep=5)
    x = start.clamp(0, 1)
    for k in range(4):
        torch.testing.assert_close(path[k], x)
        x = (x + 0.25 * 0.25 * (image - x) / 0.25).clamp(0, 1)
    torch.testing.assert_close(result, x)
    torch.testing.assert_close(path[-1], result)
    assert times == [1000.0, 750.0, 500.0, 250.0]

    def scaled_network(x, t):
        return SimpleNamespace(sample=0.3 * network(x, t).sample)

    scaled, _ = denoise_published(
        scaled_network, start, **options, noise_scale=0.0, output_noise=0.3
    )
    torch.testing.assert_close(scaled, result)
    noisy, _ = denoise_published(network, start, **options, noise_scale=0.1)
    assert 0 < (noisy - result).abs().max() < 0.3


def test_ddim_denoiser_finds_the_image_behind_the_noise():
    levels = NoiseLevels.linear()
    clean = (DATA + 1) / 2
    start = noised_start(clean, 0.3, seed=1)
    result, path = denoise_from_level(Counted(levels), start, levels, noise=0.3, steps=20, keep=3)
    torch.testing.assert_close(result, clean, atol=1e-3, rtol=0)
    assert path.shape == (3, *clean.shape)
    torch.testing.assert_close(path[-1], result)


def test_visited_levels_are_those_that_the_denoiser_asks_the_network_for():
    levels = NoiseLevels.linear()
    asked = []

    def network(x, t):
        asked.append(int(t[0]))
        return SimpleNamespace(sample=torch.zeros_like(x))

    denoise_from_level(network, torch.zeros(1, *SHAPE), levels, noise=0.506, steps=50)
    visited = visited_levels(levels, noise=0.506, steps=50)
    assert asked[::-1] == visited.tolist() and len(visited) == 50
    assert abs(levels.sigmas[visited[-1]] / (2 * 0.506) - 1) < 0.01


def test_noise_of_a_seed_is_the_same_for_every_model():
    a, b = (noised_start(torch.zeros(1, *SHAPE), 0.5, seed=8) for _ in range(2))
    assert torch.equal(a, b)


# --- PDS -------------------------------------------------------------------------------------


def as_matrix(operator, size=16):
    basis = torch.eye(size).reshape(size, *SHAPE)
    return operator(basis).reshape(size, size).T.double().numpy()


@pytest.fixture
def filters():
    images = torch.randn((40, *SHAPE), generator=torch.Generator().manual_seed(6)).cumsum(-1)
    return preconditioner_from_images(images, alpha=1.2)


def test_squared_operator_is_m_times_its_transpose(filters):
    m = as_matrix(filters.apply)
    np.testing.assert_allclose(as_matrix(filters.apply_squared), m @ m.T, atol=1e-5)
    assert np.abs(m - m.T).max() > 1e-3  # otherwise the order of the filters is not tested


def test_switched_off_filters_are_the_identity():
    off = preconditioner_from_images(DATA, frequency=False, pixel=False)
    x = torch.randn((2, *SHAPE), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(off.apply(x), x, atol=1e-6, rtol=0)
    torch.testing.assert_close(off.apply_squared(x), x, atol=1e-6, rtol=0)


def test_filters_follow_their_formula():
    images = torch.rand((5, *SHAPE), generator=torch.Generator().manual_seed(1))
    q = images.double().square().mean(0)
    expected = 1 / ((q / q.max() + 4) / 5)
    found = preconditioner_from_images(images, alpha=5.0, frequency=False).pixel_filter
    torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=0)
    with pytest.raises(ConfigError, match="alpha is 1"):
        preconditioner_from_images(images, alpha=1)
    with pytest.raises(DataError, match="at least one"):
        preconditioner_from_images(images[:0])


def stationary_covariance(target, filters, step, precondition_noise=True):
    """Covariance of the Langevin chain for N(0, target), exactly, from the code's own step."""
    size = len(target)
    precision = np.linalg.inv(target)

    def one(x, z, pre):
        score = torch.as_tensor(-(x.reshape(len(x), -1).numpy() @ precision))
        return langevin_step(x, score.reshape(x.shape).float(), step, z, pre)

    zero = torch.zeros((size, *SHAPE))
    basis = torch.eye(size).reshape(size, *SHAPE)
    transition = one(basis, zero, filters).reshape(size, size).T.double().numpy()
    noise = one(zero, basis, filters if precondition_noise else None)
    noise = noise.reshape(size, size).T.double().numpy()
    covariance = np.zeros((size, size))
    # doubling: C_2k = C_k + A^k C_k A^kT
    term, power = noise @ noise.T, transition
    covariance = term
    for _ in range(40):
        covariance = covariance + power @ covariance @ power.T
        power = power @ power
    return covariance


def test_pds_leaves_the_stationary_distribution_of_langevin_dynamics_unchanged(filters):
    rng = np.random.default_rng(2)
    root = rng.standard_normal((16, 16)) / 4 + np.eye(16)
    target = root @ root.T + 0.5 * np.eye(16)

    def error(step, **options):
        found = stationary_covariance(target, filters, step, **options)
        return np.linalg.norm(found - target) / np.linalg.norm(target)

    coarse, fine = error(0.01), error(0.005)
    # only the bias of a finite step is left, and it is of first order in the step
    assert fine < 0.01
    assert coarse / fine == pytest.approx(2.0, rel=0.1)
    # preconditioning the drift alone is a different distribution, whatever the step
    assert error(0.005, precondition_noise=False) > 0.03


def test_pds_needs_filters_and_samplers_need_names():
    levels = NoiseLevels.linear(20)
    with pytest.raises(ConfigError, match="needs PDS filters"):
        draw_samples(Counted(levels), levels, "pds_langevin", 5, 2, SHAPE, 0)
    with pytest.raises(ConfigError, match=r"'euler'.*ddim"):
        draw_samples(Counted(levels), levels, "euler", 5, 2, SHAPE, 0)
    with pytest.raises(ValueError, match=r"\(1, 4, 4\).*\(1, 4, 5\)"):
        Preconditioner(torch.ones(1, 4, 4), torch.ones(1, 4, 5))
