from types import SimpleNamespace

import numpy as np
import pytest
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.experiments.common import make_objective
from crosskrylov.learning.objectives.embedding_over_time import EmbeddingOverTime, noise_at
from crosskrylov.learning.objectives.index import model_entry
from crosskrylov.learning.objectives.levels import LevelObjective
from crosskrylov.learning.objectives.mixture import mixture_noise, posterior_mean
from crosskrylov.learning.objectives.single_level import SingleLevelObjective
from crosskrylov.learning.schedule import NoiseLevels

TRAINING = {"diffusion": 0.5, "noise_levels": 50, "sigma_min": 0.05, "sigma_max": 10.0}


def objective(name, experiment, images, embedded=None):
    """Return a model's objective as an experiment builds it."""
    options = {
        "budget": {"batch_size": 16, "times": ()},
        "single_image": {"batch_size": 1, "times": [1.0]},
    }
    return make_objective(
        model_entry(name, experiment),
        experiment,
        images,
        embedded,
        TRAINING,
        noise=0.1,
        final_time=1.0,
        **options[experiment],
    )


def single_level(embedded, times, **changes):
    """Return the single-level objective with g = 0.5, so that 1 / (2 g^2) = 2."""
    settings = {"final_time": 1.0, "noise": 0.2, "diffusion": 0.5}
    settings |= {"images_per_batch": 1, "scaled": False}
    return SingleLevelObjective(embedded, times, **(settings | changes))


class Oracle(torch.nn.Module):
    """Any function of (x, t) in the shape of a U-Net."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x, t):
        return SimpleNamespace(sample=self.function(x, t))


def generator(seed=11):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def images():
    return torch.rand((5, 1, 4, 4), generator=generator(1))


def test_levels_are_the_same_schedule_in_three_forms():
    for levels in (NoiseLevels.linear(), NoiseLevels.geometric(100, 0.02, 20)):
        np.testing.assert_allclose(np.cumprod(1 - levels.betas), levels.alphas_cumprod)
        assert np.all(np.diff(levels.sigmas) > 0)
        signal, noise = levels.signal_and_noise(torch.arange(len(levels)))
        np.testing.assert_allclose((noise / signal).ravel(), levels.sigmas, rtol=2e-3)
    geometric = NoiseLevels.geometric(100, 0.02, 20).sigmas
    np.testing.assert_allclose(geometric[[0, -1]], [0.02, 20])
    assert NoiseLevels.geometric(100, 0.02, 20).nearest_level(20.0) == 99


def test_linear_levels_are_those_of_diffusers():
    import crosskrylov.runtime.torchvision_compat  # noqa: F401  # isort: skip
    from diffusers import DDPMScheduler

    np.testing.assert_allclose(
        NoiseLevels.linear().alphas_cumprod, DDPMScheduler().alphas_cumprod, rtol=1e-4
    )


def test_published_loss_vanishes_for_the_exact_score_of_one_image(images):
    image = images[:1]
    objective = single_level(
        image[:, None].expand(-1, 3, -1, -1, -1), torch.tensor([0.1, 0.5, 1.0])
    )
    exact = Oracle(lambda x, t: (image - x) / 0.2**2)
    assert objective.loss(exact, generator()) < 1e-9
    # the zero score leaves E z^2 / (2 g^2) = 1 / (2 g^2)
    zero = [objective.loss(Oracle(lambda x, t: 0 * x), generator(k)) for k in range(100)]
    assert np.mean(zero) == pytest.approx(2.0, rel=0.1)


def test_scaled_output_is_the_same_loss_of_another_network(images):
    embedded, times = images[:, None], torch.ones(1)
    published = single_level(embedded, times)
    scaled = single_level(embedded, times, scaled=True)
    a_score = Oracle(lambda x, t: x.cos())
    expected = published.loss(a_score, generator(2))
    times_noise = Oracle(lambda x, t: 0.2 * x.cos())
    torch.testing.assert_close(scaled.loss(times_noise, generator(2)), expected)
    assert abs(scaled.loss(a_score, generator(2)) - expected) > 0.1


def test_published_times_are_scaled_to_the_network_range(images):
    seen = []
    objective = single_level(images[:1, None], torch.tensor([1.0]), final_time=2.0)
    objective.loss(Oracle(lambda x, t: seen.append(t) or x), generator())
    assert seen[0].tolist() == [500.0]


def test_score_matching_over_levels_is_noise_prediction(images):
    """With s = -eps / lambda the two losses differ by the constant 1 / (2 g^2) only."""
    levels = NoiseLevels.linear(50)
    network = Oracle(lambda x, t: torch.sin(3 * x))
    plain = LevelObjective(images, levels, 32).loss(network, generator())
    weighted = LevelObjective(images, levels, 32, weight=2.0).loss(network, generator())
    assert weighted == pytest.approx(2 * float(plain))


def test_exact_target_is_the_conditional_mean_of_the_noise(images):
    """The regression on drawn noise and on the exact target have the same minimiser."""
    levels = NoiseLevels.geometric(20, 0.3, 3.0)
    data = images * 2 - 1

    def exact(x, t):
        return mixture_noise(x, data, *levels.signal_and_noise(t))

    objective = LevelObjective(data, levels, 64, exact_target=True)
    assert objective.loss(Oracle(exact), generator()) < 1e-10
    noisy = LevelObjective(data, levels, 4000)
    at_minimum = noisy.loss(Oracle(exact), generator())
    for shift in (0.2, -0.2):
        shifted = Oracle(lambda x, t, shift=shift: exact(x, t) + shift)
        assert noisy.loss(shifted, generator()) > at_minimum + 0.03


def test_posterior_mean_agrees_with_bayes_rule(images):
    x = torch.randn((7, 1, 4, 4), generator=generator(2), dtype=torch.float64)
    data = images.double()
    signal = torch.linspace(0.2, 0.9, 7, dtype=torch.float64)[:, None, None, None]
    noise = torch.linspace(1.0, 0.4, 7, dtype=torch.float64)[:, None, None, None]
    density = torch.exp(
        -((x[:, None] - signal[:, None] * data[None]) ** 2).sum((2, 3, 4))
        / (2 * noise.reshape(-1, 1) ** 2)
    )
    weights = density / density.sum(1, keepdim=True)
    expected = torch.einsum("bn,nchw->bchw", weights, data)
    torch.testing.assert_close(posterior_mean(x, data, signal, noise), expected)


def test_embedded_step_follows_the_level(images):
    levels = NoiseLevels.geometric(50, 1e-4, 2e-4)  # almost no noise: inputs show their source
    embedded = torch.linspace(-1, 1, 5).reshape(1, 5, 1, 1, 1).expand(5, 5, 1, 4, 4)
    seen = []
    objective = LevelObjective(images, levels, 40, embedded=embedded)
    objective.loss(Oracle(lambda x, t: seen.append((x, t)) or x), generator())
    x, t = seen[0]
    torch.testing.assert_close(x.mean((1, 2, 3)), -1 + 0.5 * (t // 10).float(), atol=1e-3, rtol=0)


def test_what_is_wrong_is_named(images):
    for model in ("score_embedding", "score_embedding_scaled"):
        with pytest.raises(ConfigError, match=f"'{model}' needs embedded images; run embed_scores"):
            objective(model, "single_image", images)
    with pytest.raises(ConfigError, match="sigma_min"):
        NoiseLevels.geometric(10, 2.0, 1.0)
    with pytest.raises(ConfigError, match="'cosine'"):
        NoiseLevels.from_config("cosine", TRAINING)


def test_models_differ_only_where_they_should(images):
    embedded = images[:, None] + 0.05
    se = objective("score_embedding", "budget", images, embedded)
    dsm = objective("dsm", "budget", images, embedded)
    assert dsm.embedded is None and torch.equal(se.embedded, embedded * 2 - 1)
    assert np.array_equal(se.levels.alphas_cumprod, dsm.levels.alphas_cumprod)
    assert se.weight == dsm.weight == 2.0
    exact = objective("exact_target", "budget", images)
    assert exact.exact_target and not dsm.exact_target and exact.weight == 2.0
    ddpm = objective("ddpm", "budget", images)
    assert ddpm.weight == 1.0 and ddpm.levels.sigmas[0] != dsm.levels.sigmas[0]
    image, moved = images[:1], embedded[:1]
    single = objective("dsm", "single_image", image, moved)
    assert torch.equal(single.embedded, image[:, None]) and not single.scaled
    scaled = objective("dsm_scaled", "single_image", image, moved)
    assert torch.equal(scaled.embedded, single.embedded) and scaled.scaled
    both = objective("score_embedding_scaled", "single_image", image, moved)
    assert torch.equal(both.embedded, moved) and both.scaled
    ddpm = objective("ddpm", "single_image", image)
    assert ddpm.batch_size == 1 and ddpm.images.min() < 0


def test_a_batch_holds_every_step_of_so_many_images(images):
    built = make_objective(
        model_entry("dsm", "single_image"),
        "single_image",
        images,
        None,
        TRAINING,
        batch_size=6,
        times=[0.2, 0.6, 1.0],
        noise=0.1,
        final_time=1.0,
    )
    seen = []
    built.loss(Oracle(lambda x, t: seen.append(t) or x), generator())
    assert seen[0].tolist() == pytest.approx([200, 600, 1000] * 2)


def test_noise_over_time_is_that_of_the_published_process():
    """dx = 5^t dw from 0 has the variance of the integral of 5^2s."""
    times = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    variance = torch.cumulative_trapezoid(25**times, times)
    torch.testing.assert_close(noise_at(times)[1:], variance.sqrt(), rtol=1e-5, atol=0)


def over_time(embedded, batch_size, stretched=1.0):
    ends = 2 * stretched * noise_at(torch.tensor([0.001, 1.0])).numpy()
    return EmbeddingOverTime(embedded, NoiseLevels.geometric(1000, *ends), batch_size)


def test_the_loss_over_time_vanishes_where_the_noise_is_known_and_weighs_early_times_more():
    clean = torch.rand((1, 1, 1, 4, 4), generator=generator(1))
    ours = over_time(clean, 4096)

    def noise(x, t):
        signal, noise = ours.levels.signal_and_noise(t)
        return (x - signal * clean[0]) / noise

    assert ours.loss(Oracle(noise), generator()) < 1e-6  # float32, divided by the least noise
    # nothing predicted leaves E 5^(-2t) / 2 over uniform t
    nothing = over_time(clean, 50_000).loss(Oracle(lambda x, t: torch.zeros_like(x)), generator())
    assert nothing.item() == pytest.approx((1 - 1 / 25) / (4 * np.log(5)), rel=0.03)


def test_the_embedded_step_follows_the_time():
    dark_then_bright = torch.stack([-torch.ones((1, 64, 64)), torch.ones((1, 64, 64))])[None]
    ours, seen = over_time(dark_then_bright, 400), []

    def record(x, t):
        seen.append((x.mean(dim=(1, 2, 3)) > 0, t))
        return x

    ours.loss(Oracle(record), generator())
    ((bright, levels),) = seen
    middle = ours.levels.nearest_level(2 * noise_at(torch.tensor(0.5)).item())
    away = (levels - middle).abs() > 1
    assert torch.equal(bright[away], levels[away] > middle) and away.sum() > 350
    # times are spread: half of every batch is of either step
    assert bright.sum() == 200


def test_levels_that_are_not_those_of_the_process_are_named():
    with pytest.raises(
        ConfigError, match=r"noise of 2\.73, but its levels.* end at 4\.1: set train"
    ):
        over_time(torch.zeros((1, 1, 1, 4, 4)), 4, stretched=1.5)
