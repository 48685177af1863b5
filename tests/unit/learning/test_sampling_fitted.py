"""Samplers that fit or estimate something first: DC-Solver, kinetic-optimal paths, MCMC."""

import numpy as np
import pytest
import torch

from crosskrylov.learning.sampling.exact_model import ExactNetwork
from crosskrylov.learning.sampling.generate import draw_samples
from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.sampling.reference import ExactReference, discretisation_error
from crosskrylov.learning.sampling.samplers.dc_solver import DcSolver, compensated
from crosskrylov.learning.sampling.samplers.denoising_mcmc import (
    DenoisingMcmc,
    effective_samples,
    level_log_posterior,
)
from crosskrylov.learning.sampling.samplers.kinetic_optimal import (
    data_separation,
    kinetic_optimal_path,
    metric,
    named_path,
)
from crosskrylov.learning.sampling.schedulers import sample_with_scheduler
from crosskrylov.learning.schedule import NoiseLevels

SHAPE = (1, 4, 4)
DATA = torch.sign(torch.randn((6, *SHAPE), generator=torch.Generator().manual_seed(4))) * 0.7


@pytest.fixture(scope="module")
def reference():
    return ExactReference(DATA, n_samples=8)


# --- DC-Solver ------------------------------------------------------------------------------------


def test_dc_solver_with_ratios_of_one_is_unipc(reference):
    levels = NoiseLevels.geometric(12, reference.sigma_min, reference.sigma_max)
    model = NoiseModel(ExactNetwork(DATA, levels), levels, clip=False)
    scale = reference.sigma_max / np.sqrt(1 + reference.sigma_max**2)
    expected = sample_with_scheduler("unipc", model, reference.start * scale, 12)
    found = DcSolver(ratios=[1.0] * 12)(reference.model(), reference.start, 12, None)
    assert (found - expected).abs().max() < 2e-5


def test_dc_solver_is_nearer_to_the_flow_at_few_steps_and_declares_its_search(reference):
    plain, _ = discretisation_error(reference, "unipc", 7)
    model = reference.model()
    sampler = DcSolver()
    found = sampler(model, reference.start, 6, None)
    fitted = float((found - reference.solution()).square().mean().sqrt())
    assert fitted < 0.6 * plain
    assert sampler.ratios[:2] == [1.0, 1.0] and sampler.ratios[2] != 1.0
    assert model.evaluations == 6
    assert model.setup_evaluations == 5 * 40 + 1 + 6 + 3 * 20  # fine paths, own run, three searches
    bounded = DcSolver(bound=0.5)
    bounded(reference.model(), reference.start, 6, None)
    assert all(0.5 < ratio < 1.5 for ratio in bounded.ratios)


def test_compensation_interpolates():
    places = [9.0, 6.0, 2.0]
    outputs = [torch.tensor([p**2 - p]) for p in places]
    assert float(compensated(places, outputs, 1.0)) == pytest.approx(2.0)
    assert float(compensated(places, outputs, 0.5)) == pytest.approx(4.0**2 - 4)


# --- kinetic-optimal paths ------------------------------------------------------------------------

ANGLES = np.linspace(1e-3, np.pi / 2 - 1e-3, 400)


def test_separated_data_make_cond_ot_optimal():
    path = kinetic_optimal_path(ANGLES, np.ones_like(ANGLES))
    np.testing.assert_allclose(path.signal, path.times, atol=3e-3)
    np.testing.assert_allclose(path.noise, 1 - path.times, atol=3e-3)
    energy = path.kinetic_energy(ANGLES, np.ones_like(ANGLES))
    assert energy == pytest.approx(2.0, abs=0.01)  # 2 - 2 cos(pi / 2)


def test_normal_data_need_no_energy():
    separation = np.sin(ANGLES) ** 2
    path = kinetic_optimal_path(ANGLES, separation, least=1e-3)
    assert path.kinetic_energy(ANGLES, separation) == pytest.approx(0, abs=1e-4)
    # while the straight line pays for its change of scale
    assert named_path("linear", ANGLES, None).kinetic_energy(ANGLES, separation) > 0.3


def test_separation_and_energy_of_a_point_cloud():
    points = torch.randn((200, 1, 4, 4), generator=torch.Generator().manual_seed(3))
    separation = data_separation(points, ANGLES[::10], probes=400)
    assert (np.diff(separation) > -0.05).all()
    assert abs(separation[0]) < 0.1 and separation[-1] == pytest.approx(1, abs=0.15)
    fine = np.interp(ANGLES, ANGLES[::10], separation)
    energies = {
        name: named_path(name, ANGLES, fine).kinetic_energy(ANGLES, fine)
        for name in ("kinetic_optimal", "linear", "vp")
    }
    assert energies["kinetic_optimal"] < 0.9 * min(energies["linear"], energies["vp"])
    theta = np.linspace(ANGLES[0], ANGLES[-1], 4001)
    psi = np.trapezoid(metric(theta, ANGLES, fine), theta)
    optimum = kinetic_optimal_path(ANGLES, fine, least=1e-4)
    assert optimum.kinetic_energy(ANGLES, fine) == pytest.approx(2 - 2 * np.cos(psi), rel=0.01)


# --- denoising MCMC -------------------------------------------------------------------------------


def test_level_posterior_of_the_noised_data_set_is_exact():
    y = torch.tensor([[[[0.3, -0.2]]]])
    images = torch.tensor([[[[1.0, 0.0]]], [[[0.0, -1.0]]]])
    sigmas = np.array([0.5, 1.0, 2.0])
    found = level_log_posterior(y, images, sigmas)[0].numpy()
    squares = np.array([0.7**2 + 0.2**2, 0.3**2 + 0.8**2])
    density = [np.exp(-squares / (2 * s**2)).sum() / s**2 for s in sigmas]
    np.testing.assert_allclose(found - found[0], np.log(density) - np.log(density[0]), atol=1e-6)


def test_level_posterior_finds_the_level():
    images = torch.sign(torch.randn((5, 3, 16, 16), generator=torch.Generator().manual_seed(1)))
    grid = np.geomspace(0.05, 20, 100)
    for sigma in (0.1, 1.0, 10.0):
        z = torch.randn(images.shape, generator=torch.Generator().manual_seed(2))
        found = grid[level_log_posterior(images + sigma * z, images, grid).argmax(1)]
        np.testing.assert_allclose(found, sigma, rtol=0.15)


def test_effective_samples_of_independent_and_of_correlated_chains():
    rng = np.random.default_rng(1)
    independent = rng.standard_normal((500, 8))
    assert effective_samples(independent) == pytest.approx(4000, rel=0.25)
    chain = np.zeros((2000, 8))
    for k in range(1, 2000):
        chain[k] = 0.9 * chain[k - 1] + np.sqrt(1 - 0.81) * rng.standard_normal(8)
    assert effective_samples(chain) == pytest.approx(16000 / 19, rel=0.3)
    assert effective_samples(np.ones((10, 2))) == 1.0


@pytest.mark.parametrize("draw", [True, False])
def test_mcmc_visits_every_image_and_declares_what_starts_its_chains(draw):
    levels = NoiseLevels.geometric(100)
    network = ExactNetwork(DATA[:3], levels)
    given = {"method": "denoising_mcmc", "options": {"draw": draw, "chains": 10, "burn_in": 5}}
    drawn = draw_samples(network, levels, given, 12, 90, SHAPE, 1, training_images=DATA[:3])
    assert drawn.images.shape == (90, *SHAPE)
    assert drawn.function_evaluations == 12 and drawn.setup_evaluations == 10
    distance = (drawn.images[:, None] * 2 - 1 - DATA[None, :3]).square().mean((2, 3, 4))
    assert distance.min(1).values.sqrt().median() < 0.05
    assert torch.bincount(distance.argmin(1), minlength=3).min() >= 8


def test_images_of_different_levels_are_predicted_as_one_by_one():
    levels = NoiseLevels.geometric(100)
    for clip in (True, False):
        model = NoiseModel(ExactNetwork(DATA, levels), levels, clip=clip)
        y = torch.randn((2, *SHAPE), generator=torch.Generator().manual_seed(1)) * 3
        together = model.at_sigmas(y, torch.tensor([0.3, 5.0]))
        for k, sigma in enumerate((0.3, 5.0)):
            torch.testing.assert_close(
                together[k : k + 1], model.at_sigma(y[k : k + 1], sigma), atol=1e-4, rtol=0
            )


def test_mcmc_without_room_for_denoising_says_so():
    from crosskrylov.errors import ConfigError

    with pytest.raises(ConfigError, match=r"got 10 .* at least 12 \(10 chain steps, one denoising"):
        DenoisingMcmc(skip=10)(None, torch.zeros(4, *SHAPE), 10, None, DATA)
