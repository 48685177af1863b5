"""A model that sets network and steps for itself: its scalings, its loss, its steps."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

# isort: off
import crosskrylov.runtime.torchvision_compat  # noqa: F401  (must come before diffusers)
from diffusers.models.unets.unet_2d import UNet2DOutput

# isort: on
from crosskrylov.errors import ConfigError
from crosskrylov.learning.objectives.best import WeightedLevels
from crosskrylov.learning.objectives.best_generation import (
    LOG_SIGMA,
    LOG_SIGMA_KARRAS,
    LogNormalLevels,
)
from crosskrylov.learning.objectives.index import registered_models
from crosskrylov.learning.objectives.levels import LevelObjective
from crosskrylov.learning.objectives.mixture import mixture_noise
from crosskrylov.learning.preconditioned import (
    DATA_STD,
    coefficients,
    loss_weight,
    position_waves,
)
from crosskrylov.learning.recipe import Recipe
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.learning.training.checkpoint import Progress, load_network
from crosskrylov.learning.training.loop import (
    OptimiserSteps,
    TrainingOptions,
    part_done,
    train,
)
from crosskrylov.learning.unet import build_unet

TINY = {"channels": [8], "layers_per_block": 1, "attention_resolution": 0, "norm_groups": 4}
SCHEDULE = {"sigma_min": 0.05, "sigma_max": 2.0, "noise_levels": 12}
LEVELS = NoiseLevels.geometric(12, 0.05, 2.0)


def generator(seed=11):
    return torch.Generator().manual_seed(seed)


def network(parametrisation, waves=6):
    recipe = Recipe(parametrisation=parametrisation, position_features=waves)
    return build_unet(TINY, 8, 1, 3, recipe.preconditioning(SCHEDULE))


def images():
    return torch.rand((3, 1, 8, 8), generator=generator(1)) * 2 - 1


def test_input_and_target_of_edm_have_unit_variance_and_errors_are_amplified_least():
    sigma = torch.tensor([1e-3, 0.1, 1.0, 30.0], dtype=torch.float64)
    skip, out, scale = coefficients(sigma, "edm")
    # Var(y) = sigma^2 + DATA_STD^2; x_0 - c_skip y = (1 - c_skip) x_0 - c_skip sigma z
    torch.testing.assert_close(scale**2 * (sigma**2 + DATA_STD**2), torch.ones_like(sigma))
    torch.testing.assert_close(out**2, (1 - skip) ** 2 * DATA_STD**2 + (skip * sigma) ** 2)
    for nearby in (skip - 1e-3, skip + 1e-3):
        assert ((1 - nearby) ** 2 * DATA_STD**2 + (nearby * sigma) ** 2 > out**2).all()


def test_limits_of_the_skip_connection():
    skip, out, _ = coefficients(torch.tensor([1e-6, 1e6], dtype=torch.float64), "edm")
    torch.testing.assert_close(skip, torch.tensor([1.0, 0.0]).double())
    torch.testing.assert_close(out, torch.tensor([0.0, DATA_STD]).double(), atol=2e-6, rtol=0)
    skip, out, _ = coefficients(torch.tensor([1e-6, 1e6]), "image")
    assert not skip.any() and (out == DATA_STD).all()


@pytest.mark.parametrize("parametrisation", ["edm", "image"])
def test_the_noise_predictor_is_exact_where_the_denoiser_is(parametrisation):
    net = network(parametrisation, waves=0)
    clean, t = images(), torch.tensor([0, 5, 11])
    signal, noise = LEVELS.signal_and_noise(t)
    z = torch.randn(clean.shape, generator=generator())
    sigma = noise / signal
    skip, out, _ = coefficients(sigma, parametrisation)
    net._network = lambda x, _: (clean - skip * (clean + sigma * z)) / out
    torch.testing.assert_close(net(signal * clean + noise * z, t).sample, z, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("parametrisation", ["noise", "edm", "image"])
def test_at_one_level_the_loss_is_that_of_score_matching_times_its_weight(parametrisation):
    one = NoiseLevels(LEVELS.alphas_cumprod[7:8])
    predict = SimpleNamespace()

    def net(x, t):
        return SimpleNamespace(sample=0.3 * x + 0.1)

    predict.own = WeightedLevels(images(), one, 4, parametrisation).loss(net, generator())
    predict.dsm = LevelObjective(images(), one, 4).loss(net, generator())
    weight = loss_weight(torch.as_tensor(one.sigmas), parametrisation).float()[0]
    torch.testing.assert_close(predict.own, predict.dsm * weight)


@pytest.mark.parametrize("parametrisation", ["edm", "image"])
def test_the_loss_is_the_squared_error_of_the_network_inside(parametrisation):
    net, clean = network(parametrisation), images()
    loss = WeightedLevels(clean, LEVELS, 5, parametrisation).loss(net, generator())
    draws = generator()
    index = torch.randint(3, (5,), generator=draws)
    t = torch.randint(12, (5,), generator=draws)
    z = torch.randn((5, 1, 8, 8), generator=draws)
    sigma = torch.as_tensor(LEVELS.sigmas)[t].float()[:, None, None, None]
    skip, out, scale = coefficients(sigma, parametrisation)
    y = clean[index] + sigma * z
    error = net._network(scale * y, sigma) - (clean[index] - skip * y) / out
    torch.testing.assert_close(loss, error.square().mean(), rtol=1e-4, atol=0)


def test_waves_tell_every_pixel_from_every_other():
    waves = position_waves(32, 64)[0].flatten(1).T  # (pixels, features)
    # of unit mean square, and nearly orthogonal but for neighbours
    torch.testing.assert_close(waves.square().mean(), torch.tensor(1.0), atol=0.05, rtol=0)
    similarity = waves @ waves.T / 64
    assert (similarity - 2 * torch.eye(1024)).max() < 0.95
    assert position_waves(32, 0).shape == (1, 0, 32, 32)


def run(folder, steps, resume=None):
    return train(
        network("edm"),
        WeightedLevels(images(), LEVELS, 2, "edm"),
        TrainingOptions(
            budget_seconds=1000, max_steps=steps, first_evaluation=1, device="cpu", warm_up_steps=3
        ),
        7,
        lambda _: {"ssim": 0.5},
        checkpoint=folder,
        resume_from=resume,
    )


def test_a_resumed_run_repeats_itself_and_its_checkpoint_is_its_network(tmp_path):
    through = run(tmp_path / "through", 4)
    run(tmp_path / "parts", 2)
    parts = run(tmp_path / "parts", 4, resume=tmp_path / "parts")
    x, t = images(), torch.tensor([0, 5, 11])
    expected = through.network(x, t).sample
    assert torch.equal(parts.network(x, t).sample, expected)
    loaded = load_network(tmp_path / "parts")
    assert torch.equal(loaded(x, t).sample, expected)
    assert (loaded.config.sample_size, loaded.config.in_channels) == (8, 1)


def test_the_learning_rate_grows_to_its_value_and_stays():
    options = TrainingOptions(
        budget_seconds=1, learning_rate=0.3, warm_up_steps=3, device="cpu", gradient_clip=1e-6
    )
    steps = OptimiserSteps(network("edm"), WeightedLevels(images(), LEVELS, 1, "edm"), options, 7)
    rates = []
    for number in range(5):
        steps.take(number)
        rates.append(steps.optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.3, 0.3])


@pytest.mark.parametrize("warm_up", [0, 2])
def test_an_annealed_learning_rate_falls_to_zero_over_the_nearer_bound(warm_up, monkeypatch):
    options = TrainingOptions(
        budget_seconds=1000,
        max_steps=4,
        learning_rate=0.3,
        warm_up_steps=warm_up,
        annealed=True,
        device="cpu",
    )
    rates = []
    take = OptimiserSteps.take

    def recorded(steps, *arguments):
        found = take(steps, *arguments)
        rates.append(steps.optimiser.param_groups[0]["lr"])
        return found

    monkeypatch.setattr(OptimiserSteps, "take", recorded)
    train(network("edm"), WeightedLevels(images(), LEVELS, 1, "edm"), options, 7)
    cosine = 0.15 * (1 + np.cos(np.pi * np.arange(4) / 4))
    assert rates == pytest.approx(cosine * ([0.5, 1, 1, 1] if warm_up else 1))
    progress = Progress(step=1, train_seconds=750.0)  # the seconds are nearer their end
    assert part_done(progress, options) == pytest.approx(0.75)
    assert part_done(Progress(step=1, train_seconds=1001.0), options) == 1
    assert part_done(Progress(step=3), options) == pytest.approx(0.75)


class ExactNoise(torch.nn.Module):
    """The network that Eq. 28f asks for; it remembers the levels that it saw."""

    def __init__(self, clean):
        super().__init__()
        self.clean, self.seen = clean, []

    def forward(self, x, t):
        self.seen.append(t)
        return UNet2DOutput(sample=mixture_noise(x, self.clean, *LEVELS.signal_and_noise(t)))


def test_generations_loss_has_the_exact_score_for_its_minimum():
    clean = 0.05 * images()  # alike, so that noise hides which one it is
    losses = {}
    for exact in (True, False):
        objective = LogNormalLevels(clean, LEVELS, 64, "edm", exact_target=exact)
        losses[exact] = objective.loss(ExactNoise(clean), generator()).item()
    assert losses[True] == pytest.approx(0, abs=1e-10)
    assert losses[False] > 1e-3  # what no network can predict


@pytest.mark.parametrize("log_sigma", [LOG_SIGMA, LOG_SIGMA_KARRAS, None])
def test_levels_of_generation_are_drawn_log_normally_or_alike(log_sigma):
    clean, n = images(), 20_000
    log_sigmas = torch.as_tensor(LEVELS.sigmas).log()
    net = ExactNoise(clean)
    LogNormalLevels(clean, LEVELS, n, "edm", log_sigma=log_sigma).loss(net, generator())
    found = torch.bincount(net.seen[0], minlength=len(LEVELS)).double() / n
    expected = torch.ones_like(log_sigmas)
    if log_sigma is not None:
        mean, std = log_sigma
        expected = torch.exp(-((log_sigmas - mean) ** 2) / (2 * std**2))
    expected = expected / expected.sum()
    # four standard deviations of a share of n draws
    assert ((found - expected).abs() < 4 * (expected / n).sqrt()).all()


def test_a_recipe_sets_what_it_says_and_nothing_else():
    training = {
        "learning_rate": 1,
        "sigma_min": 0,
        "sigma_max": 20,
        "single_image": {"start_noise": 0.5},
    }
    assert Recipe().training(training) == training
    assert Recipe().unet(TINY) == TINY and Recipe().preconditioning(training) is None
    set_ = Recipe(learning_rate=2, sigma_range=(0.1, 1), channels=(4, 8), attention=False)
    changed = {"learning_rate": 2, "sigma_min": 0.1, "sigma_max": 1}
    assert set_.training(training) == training | changed
    changed = {"channels": [4, 8], "attention_resolution": 0, "middle_attention": False}
    assert set_.unet(TINY) == TINY | changed


def test_without_attention_there_is_none():
    options = Recipe(attention=False).unet(TINY)
    names = [name for name, _ in build_unet(options, 8, 1, 3).named_modules()]
    assert not any("attention" in name and "to_q" in name for name in names)
    assert any("to_q" in name for name, _ in build_unet(TINY, 8, 1, 3).named_modules())


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("experiments={'budget': 'geometric'}, recipe={'budget': {'rate': 1}}", "'rate'"),
        ("experiments={'budget': 'geometric'}, recipe={'single_image': {}}", "not trained"),
        (
            "experiments={'budget': 'linear'}, recipe={'budget': {'parametrisation': 'edm'}}",
            "geometric schedule",
        ),
        (
            "experiments={'budget': 'geometric'}, recipe={'budget': {'parametrisation': 'v'}}",
            "recipe.parametrisation is 'v'",
        ),
    ],
)
def test_declarations_that_say_what_is_no_recipe(tmp_path, said, words):
    (tmp_path / "models.py").write_text(
        f"@register('a', baseline=True, {said})\ndef build(setting):\n    pass\n"
    )
    with pytest.raises(ConfigError, match=words):
        registered_models(tmp_path)


@pytest.mark.parametrize(
    ("best", "experiment"), [("best", "single_image"), ("best_generation", "budget")]
)
def test_one_ingredient_less_is_one_change(best, experiment):
    """The ablation's rows are the recipe but for what their names say."""
    models = registered_models()
    whole = vars(models[best].recipe_in(experiment))
    variants = [model for model in models.values() if model.varies == best]
    assert len(variants) >= 6
    for model in variants:
        own = vars(model.recipe_in(experiment))
        changed = [key for key in whole if own[key] != whole[key]]
        # of the recipe, or of the loss, which is then another function's
        assert len(changed) == int(model.is_same_training_as(models[best])), model.name


def test_best_is_trained_up_to_the_noise_that_it_denoises():
    training = {"noise_levels": 50, "sigma_min": 0.02, "sigma_max": 20.0}
    training["single_image"] = {"start_noise": 0.506}
    recipe = registered_models()["best"].recipe_in("single_image")
    levels = NoiseLevels.from_config("geometric", recipe.training(training))
    assert levels.nearest_level(2 * 0.506) == 49
    np.testing.assert_allclose(levels.sigmas[-1], 1.012)
