"""The objectives of the list: the limits that each one has, and what does not fit it."""

import math
from dataclasses import replace
from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.learning.dense import DenseNetwork
from crosskrylov.learning.objectives.base import Setting, noise_predictor
from crosskrylov.learning.objectives.distillation import step_sigmas
from crosskrylov.learning.objectives.fokker_planck import fokker_planck_penalty
from crosskrylov.learning.objectives.immiscible import AssignedNoise
from crosskrylov.learning.objectives.index import model_entry, registered_models
from crosskrylov.learning.objectives.mixture import posterior_mean
from crosskrylov.learning.objectives.mmd import unbiased_mmd
from crosskrylov.learning.objectives.pfgmpp import student_mean
from crosskrylov.learning.sampling.exact_model import ExactNetwork
from crosskrylov.learning.sampling.fit import fits, require_fit
from crosskrylov.learning.sampling.generate import draw_samples
from crosskrylov.learning.sampling.model import NoiseModel
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.metrics.distances import kernel_distance

LEVELS = NoiseLevels.geometric(100, 0.02, 20.0)
IMAGES = torch.rand((5, 1, 4, 4), generator=torch.Generator().manual_seed(1))
SETTING = Setting(
    images=IMAGES,
    times=torch.zeros(0),
    embedded=None,
    levels=LEVELS,
    batch_size=8,
    noise=0.0,
    diffusion=0.5,
    final_time=1.0,
    scaled=False,
)


def generator(seed=3):
    return torch.Generator().manual_seed(seed)


def build(name, *, batch_size=8, flow=None, **options):
    setting = replace(SETTING, batch_size=batch_size, flow=flow)
    return model_entry(name, "study").build(setting, **options)


def network(inputs=1, seed=5):
    return DenseNetwork((1, 4, 4), 16, 1, seed, inputs)


def losses(objective, net, draws=3):
    """Return a few losses in a row: equal ones have drawn the same random numbers."""
    stream = generator()
    return torch.stack([objective.loss(net, stream) for _ in range(draws)]).detach()


class Given(torch.nn.Module):
    """A noise predictor that is a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x, t):
        return SimpleNamespace(sample=self.function(x, t))


# --- immiscible -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "batch_size", "options"),
    [
        ("immiscible", 1, {}),
        ("immiscible_knn", 8, {"candidates": 1}),
        ("pfgmpp", 8, {"extra": math.inf}),
        ("dsm_fp", 8, {"penalty": 0.0}),
    ],
)
def test_the_limit_is_denoising_score_matching_bit_for_bit(name, batch_size, options):
    net = network()
    plain = losses(build("dsm", batch_size=batch_size), net)
    assert torch.equal(losses(build(name, batch_size=batch_size, **options), net), plain)


def test_away_from_the_limit_the_objectives_differ():
    net = network()
    plain = losses(build("dsm"), net)
    for name in ("immiscible", "immiscible_knn", "pfgmpp", "dsm_fp"):
        assert not torch.allclose(losses(build(name), net), plain)


def test_assignment_is_the_best_permutation_and_keeps_the_noises():
    objective = build("immiscible", batch_size=3)
    clean = objective.images[:3]
    drawn = torch.randn(clean.shape, generator=generator())
    assigned = objective.noise(clean, generator())
    rows = [tuple(row.flatten().tolist()) for row in assigned]
    assert sorted(rows) == sorted(tuple(row.flatten().tolist()) for row in drawn)

    def cost(z):
        return float((clean - z).flatten(1).norm(dim=1).sum())

    best = min(cost(drawn[list(order)]) for order in permutations(range(3)))
    assert cost(assigned) == pytest.approx(best)


def test_nearest_noise_is_nearer_and_no_longer_of_unit_variance():
    objective = build("immiscible_knn", candidates=64)
    clean = objective.images[torch.zeros(500, dtype=torch.long)]
    z = objective.noise(clean, generator())
    direction = clean[0].flatten() / clean[0].norm()
    assert z.square().mean() < 0.95
    assert (z.flatten(1) @ direction).mean() > 0.5


def test_a_coupled_target_keeps_the_flow_and_biases_the_reverse_diffusion():
    # In one dimension assignment to infinite batches is monotone: with a quarter of the images at
    # -1 and the rest at 1, noises below the quartile go to -1.  y = x_0 + sigma z then tells x_0.
    quartile = -0.67448975
    levels = NoiseLevels.geometric(400, 0.02, 20.0)

    def coupled(x, t):
        sigma = torch.as_tensor(levels.sigmas[t.round().long()]).to(x)[:, None, None, None]
        y = x * (1 + sigma**2).sqrt()
        x0 = torch.where(y < sigma * quartile, -1.0, 1.0)
        return (y - x0) / sigma

    exact = ExactNetwork(torch.tensor([-1.0, 1.0, 1.0, 1.0])[:, None, None, None], levels)

    def below(net, sampler):
        found = draw_samples(
            net, levels, sampler, 150, 6000, (1, 1, 1), 5, batch_size=6000, clip=False
        )
        return float((found.images < 0.5).double().mean())

    assert below(Given(coupled), "ddim") == pytest.approx(0.25, abs=0.02)
    assert below(exact, "ddim") == pytest.approx(0.25, abs=0.02)
    assert below(exact, "reverse_sde") == pytest.approx(0.25, abs=0.02)
    assert abs(below(Given(coupled), "reverse_sde") - 0.25) > 0.03


# --- PFGM++ ---------------------------------------------------------------------------------------


def test_students_mixture_tends_to_the_gaussian_one_like_one_over_dimensions():
    data = (IMAGES * 2 - 1).double()
    sigma = 1.5
    y = data + sigma * torch.randn(data.shape, generator=generator(), dtype=torch.float64)
    gaussian = posterior_mean(y, data, torch.ones(1), torch.full((1,), sigma))
    assert torch.allclose(student_mean(y, data, sigma, math.inf), gaussian)
    gaps = [float((student_mean(y, data, sigma, d) - gaussian).norm()) for d in (1e3, 1e4)]
    assert gaps[0] / gaps[1] == pytest.approx(10, rel=0.1)


def test_students_noise_is_the_published_perturbation():
    # R^2 / (R^2 + r^2) of the published code is Beta(N/2, D/2), r = sigma sqrt(D)
    from scipy import stats

    objective = build("pfgmpp", extra=6)
    z = objective.start((4000, 1, 4, 4), generator())
    squares = z.flatten(1).square().sum(1).numpy() / 6
    beta = squares / (1 + squares)
    assert stats.kstest(beta, stats.beta(16 / 2, 6 / 2).cdf).pvalue > 1e-3
    assert stats.kstest(beta, stats.beta(16 / 2, 12 / 2).cdf).pvalue < 1e-6


# --- flow matching, rectified, distilled ----------------------------------------------------------


def test_the_velocity_of_the_exact_flow_is_the_exact_noise():
    data = (IMAGES * 2 - 1).double()
    exact = ExactNetwork(data, LEVELS)

    def velocity(x, times):
        sigma = (times / (1000 - times)).to(x)[:, None, None, None]
        y = x * (1 + sigma)
        mean = posterior_mean(y, data, torch.ones(1).to(x), sigma)
        return (y - mean) / sigma - mean

    predictor = noise_predictor(build("flow_matching"), Given(velocity))
    x = torch.randn((4, 1, 4, 4), generator=generator(), dtype=torch.float64)
    t = torch.tensor([3.0, 30.5, 60.0, 90.0], dtype=torch.float64)
    assert torch.allclose(predictor(x, t).sample, exact(x, t).sample)


def test_rectified_pairs_are_noises_and_the_ends_of_their_flow():
    objective = build("rectified", flow=lambda z: 0.5 * z, pairs=6)
    assert objective.images.shape == objective.noises.shape == (6, 1, 4, 4)
    clean, _, z = objective.draw(generator())
    assert torch.equal(clean, 0.5 * z) and len(torch.unique(z[:, 0, 0, 0])) > 1


def test_a_students_steps_are_pairs_of_its_teachers():
    fine, coarse = step_sigmas(LEVELS, 16), step_sigmas(LEVELS, 8)
    np.testing.assert_array_equal(fine[::2], coarse)


def test_nothing_is_to_be_distilled_where_a_step_does_what_two_do():
    # towards a single image the flow is straight in y, so that one step ends where two end
    setting = replace(SETTING, images=IMAGES[:1])
    objective = model_entry("distilled", "study").build(setting, first_steps=8, updates=2)
    assert objective.steps == 2
    image = IMAGES[0] * 2 - 1

    def velocity(x, times):
        t = (times / 1000).to(x)[:, None, None, None]
        return (x - (1 - t) * image) / t - image

    straight = Given(velocity)
    assert objective.loss(straight, generator()) < 1e-6
    assert objective.loss(Given(lambda x, t: velocity(x, t) + 1), generator()) > 0.1


# --- Fokker-Planck --------------------------------------------------------------------------------


def penalty(form):
    data = (IMAGES * 2 - 1).double()
    log_sigma = torch.linspace(-0.5, 1.5, 5, dtype=torch.float64)
    sigma = log_sigma.exp()[:, None, None, None]
    y = data + sigma * torch.randn(data.shape, generator=generator(), dtype=torch.float64)
    units = torch.eye(16, dtype=torch.float64).reshape(16, 1, 1, 4, 4).expand(-1, 5, -1, -1, -1)

    def predict(y, log_sigma):
        sigma = log_sigma.exp()[:, None, None, None]
        return (y - posterior_mean(y, data, torch.ones(1).to(y), sigma)) / sigma

    def scaled(y, log_sigma):
        return 1.2 * predict(y, log_sigma)

    return [
        float(fokker_planck_penalty(f, y, log_sigma, units, form).detach())
        for f in (predict, scaled)
    ]


def test_the_gradient_form_vanishes_for_a_score_and_the_scalar_one_does_not():
    exact, wrong = penalty("gradient")
    assert exact < 1e-6 < 1e-3 < wrong
    assert penalty("scalar")[0] > 1e-2


@pytest.mark.parametrize("form", ["gradient", "scalar"])
def test_a_penalty_moves_the_weights(form):
    net = network()
    plain, with_penalty = (
        torch.autograd.grad(build("dsm_fp", form=form, penalty=w).loss(net, generator()), w_of)
        for w, w_of in ((0.0, net.first.weight), (1.0, net.first.weight))
    )
    assert torch.isfinite(with_penalty[0]).all()
    assert not torch.allclose(plain[0], with_penalty[0])


# --- MMD, DiffuseVAE ------------------------------------------------------------------------------


def test_the_kernel_distance_is_that_of_the_metric_and_is_differentiated_through_the_chain():
    x, y = torch.randn((2, 20, 6), generator=generator(), dtype=torch.float64)
    assert float(unbiased_mmd(x, y)) == pytest.approx(kernel_distance(x.numpy(), y.numpy()))
    objective, net = build("mmd", chain=3), network()
    (slope,) = torch.autograd.grad(objective.loss(net, generator()), net.first.weight)
    assert slope.abs().max() > 0


def test_the_chain_is_what_ddim_draws():
    net = network()
    z = torch.randn((6, 1, 4, 4), generator=generator(9))
    drawn = draw_samples(net, LEVELS, "ddim", 4, 6, (1, 4, 4), 9, clip=False).images
    with torch.no_grad():
        chain = build("mmd", chain=4).sample(net, z)
    assert torch.allclose(((chain + 1) / 2).clamp(0, 1), drawn, atol=1e-3)


def test_a_network_that_ignores_the_condition_is_one_of_plain_diffusion():
    net = network()
    objective = build("diffuse_vae", updates=2, width=8)

    def without(both, t):
        x, v = both.chunk(2, dim=1)
        return net(x - v, t).sample

    found, plain = losses(objective, Given(without), 1), losses(build("dsm"), net, 1)
    assert torch.allclose(found, plain, rtol=1e-4)
    drawn = noise_predictor(objective, network(inputs=2), 3, generator())
    assert drawn(torch.zeros(3, 1, 4, 4), torch.zeros(3)).sample.shape == (3, 1, 4, 4)


def test_an_autoencoder_learns_to_reconstruct():
    errors = []
    for updates in (0, 150):
        coder = build("diffuse_vae", updates=updates, width=32).coder
        data = IMAGES * 2 - 1
        errors.append(float((coder.reconstructed(data, generator())[0] - data).square().mean()))
    assert errors[1] < 0.7 * errors[0]


# --- what does not fit ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "sampler", "sentence"),
    [
        ("pfgmpp", "reverse_sde", "'reverse_sde' does not fit model 'pfgmpp', which has learned"),
        ("rectified", "ddpm", "take a sampler that draws no noise"),
        ("distilled", "heun", "was made for the steps of 'ddim': take that"),
        ("mmd", "reverse_sde", "was made for the steps of 'ddim'"),
    ],
)
def test_a_sampler_that_does_not_fit_is_named(model, sampler, sentence):
    entry = model_entry(model, "study")
    assert not fits(entry, sampler)
    with pytest.raises(ConfigError, match=sentence):
        require_fit(entry, sampler)


def test_samplers_that_fit_are_let_through():
    require_fit(model_entry("pfgmpp", "study"), "heun")
    require_fit(model_entry("mmd", "study"), "ddim")
    require_fit(model_entry("immiscible", "study"), "reverse_sde")  # biased, which is measured


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("immiscible_knn", {"candidates": 0}, "candidates is 0; it must be at least 1"),
        ("pfgmpp", {"extra": 0}, "extra is 0; it must be positive"),
        ("dsm_fp", {"form": "vector"}, "form 'vector'.*one of gradient, scalar"),
        ("distilled", {"first_steps": 24, "last_steps": 5}, "times a power of two"),
        ("mmd", {"chain": 0}, "chain is 0"),
        ("immiscible", {"candidate": 4}, "'immiscible' has no option 'candidate'; it has none"),
        ("immiscible_knn", {"candidate": 4}, "did you mean 'candidates'"),
    ],
)
def test_impossible_options_are_named(name, options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build(name, **options)


def test_every_teacher_is_a_model_of_the_same_images():
    models = registered_models()
    for model in models.values():
        assert not model.teacher or model.teacher in models


def test_network_takes_fractional_times_and_repeats_itself():
    model = NoiseModel(network(), LEVELS)
    x = torch.randn((2, 1, 4, 4), generator=generator())
    assert torch.equal(model.at_level(x, 10.5), NoiseModel(network(), LEVELS).at_level(x, 10.5))
    assert not torch.equal(model.at_level(x, 10.5), model.at_level(x, 11.0))
    assert isinstance(build("immiscible"), AssignedNoise)
