import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import crosskrylov.runtime.torchvision_compat  # noqa: F401
from crosskrylov.errors import ConfigError, DataError, ShapeError
from crosskrylov.learning.objectives.mixture import mixture_noise
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.metrics.distances import frechet_distance, kernel_distance
from crosskrylov.metrics.features import extract_features
from crosskrylov.metrics.neighbours import nearest_training_images
from crosskrylov.metrics.score_error import score_matching_error
from crosskrylov.metrics.similarity import compare_images, mse, psnr_db, ssim, ssim_global

RNG = np.random.default_rng(20)


# --- one image against its reference -------------------------------------------------------


def test_ssim_is_that_of_wang_computed_from_its_definition():
    """Gaussian-weighted moments by explicit summation over the 11 x 11 windows that fit."""
    x, y = RNG.random((2, 1, 14, 13))
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    values = []
    for i in range(5, 9):
        for j in range(5, 8):
            a, b = (v[0, i - 5 : i + 6, j - 5 : j + 6] for v in (x, y))
            ma, mb = (weights * a).sum(), (weights * b).sum()
            va, vb = (weights * a * a).sum() - ma**2, (weights * b * b).sum() - mb**2
            cov = (weights * a * b).sum() - ma * mb
            luminance = (2 * ma * mb + 1e-4) / (ma**2 + mb**2 + 1e-4)
            values.append(luminance * (2 * cov + 9e-4) / (va + vb + 9e-4))
    assert ssim(x, y) == pytest.approx(np.mean(values), abs=1e-12)


def test_ssim_of_channels_is_averaged():
    x, y = RNG.random((2, 3, 16, 16))
    each = [
        structural_similarity(
            a, b, data_range=1, gaussian_weights=True, use_sample_covariance=False
        )
        for a, b in zip(x, y)
    ]
    assert ssim(x, y) == pytest.approx(np.mean(each))


def test_similarities_are_perfect_for_equal_images_only():
    x = RNG.random((3, 8, 8))  # smaller than the window
    assert ssim(x, x) == pytest.approx(1) and ssim_global(x, x) == pytest.approx(1)
    assert mse(x, x) == 0 and psnr_db(x, x) == math.inf
    y = np.clip(x + 0.1 * RNG.standard_normal(x.shape), 0, 1)
    assert ssim(x, y) < 1 and ssim_global(x, y) < 1
    assert psnr_db(x, y) == pytest.approx(peak_signal_noise_ratio(x, y, data_range=1))


def test_global_ssim_uses_one_window():
    x = RNG.random((1, 16, 16))
    shuffled = RNG.permuted(x.reshape(1, -1), axis=1).reshape(x.shape)
    both = RNG.permutation(256)
    a, b = (v.reshape(-1)[both].reshape(x.shape) for v in (x, shuffled))
    assert ssim_global(x, shuffled) == pytest.approx(ssim_global(a, b))
    assert ssim(x, shuffled) != pytest.approx(ssim(a, b))


def test_comparison_averages_over_images():
    x, y = RNG.random((2, 3, 1, 12, 12))
    assert compare_images(x, y)["ssim"] == pytest.approx(
        np.mean([ssim(a, b) for a, b in zip(x, y)])
    )


def test_images_that_cannot_be_compared_are_refused():
    with pytest.raises(ShapeError, match=r"\(1, 8, 8\).*\(1, 8, 9\)"):
        ssim(np.zeros((1, 8, 8)), np.zeros((1, 8, 9)))
    with pytest.raises(DataError, match="NaN"):
        mse(np.full((1, 8, 8), np.nan), np.zeros((1, 8, 8)))
    with pytest.raises(ShapeError, match="too small"):
        ssim(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)))


# --- distributions --------------------------------------------------------------------------


def test_frechet_distance_of_known_gaussians():
    """Samples whose empirical moments are exact: the distance is a closed form."""
    base = RNG.standard_normal((200, 3))
    base = (base - base.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(base.T))).T
    scale, shift = np.array([2.0, 1.0, 0.5]), np.array([1.0, -2.0, 0.0])
    expected = (shift**2).sum() + ((scale - 1) ** 2).sum()
    assert frechet_distance(base * scale + shift, base) == pytest.approx(expected)
    assert frechet_distance(base, base) == pytest.approx(0, abs=1e-9)


def test_frechet_and_kernel_distances_agree_with_torchmetrics():
    from torchmetrics.image.fid import _compute_fid
    from torchmetrics.image.kid import poly_mmd

    x = RNG.standard_normal((60, 5)) @ RNG.standard_normal((5, 5))
    y = RNG.standard_normal((60, 5)) + 0.5
    moments = [torch.as_tensor(m) for a in (x, y) for m in (a.mean(0), np.cov(a.T))]
    assert frechet_distance(x, y) == pytest.approx(float(_compute_fid(*moments)), rel=1e-6)
    oracle = poly_mmd(torch.as_tensor(x), torch.as_tensor(y))
    assert kernel_distance(x, y) == pytest.approx(float(oracle), rel=1e-9)


def test_too_few_samples_are_refused_with_both_numbers():
    with pytest.raises(DataError, match=r"at least 6 samples, found 5.*n_samples"):
        frechet_distance(RNG.random((5, 5)), RNG.random((50, 5)))
    with pytest.raises(DataError, match=r"at least 100 reference images, found 50"):
        frechet_distance(RNG.random((150, 5)), RNG.random((50, 5)), minimum=100)
    with pytest.raises(DataError, match="at least 2"):
        kernel_distance(RNG.random((1, 5)), RNG.random((50, 5)))


@pytest.mark.parametrize("name, channels", [("digit_classifier", 1), ("haar", 3), ("haar", 1)])
def test_features_tell_images_from_noise_and_are_reproducible(name, channels):
    from sklearn.datasets import load_digits

    digits = load_digits().images[:, None].repeat(channels, axis=1) / 16
    images = digits.repeat(2, axis=-1).repeat(2, axis=-2)  # 16 x 16 pixels
    noise = RNG.random((200, channels, 16, 16))
    a, b, c = (extract_features(name, v) for v in (images[:900], images[900:], noise))
    np.testing.assert_array_equal(a, extract_features(name, images[:900]))
    assert frechet_distance(c, a) > 10 * frechet_distance(b, a)


def test_digit_features_do_not_depend_on_the_size():
    small = RNG.random((4, 1, 8, 8))
    large = small.repeat(4, axis=-1).repeat(4, axis=-2)
    np.testing.assert_allclose(
        extract_features("digit_classifier", small), extract_features("digit_classifier", large)
    )


def test_unknown_features_and_unsuitable_sizes_are_named():
    with pytest.raises(ConfigError, match=r"'vgg'.*digit_classifier, haar"):
        extract_features("vgg", np.zeros((1, 1, 8, 8)))
    with pytest.raises(ShapeError, match="12 x 12"):
        extract_features("digit_classifier", np.zeros((1, 1, 12, 12)))


# --- memorisation and scores ------------------------------------------------------------------


def test_nearest_training_image_is_found():
    training = RNG.random((6, 1, 4, 4))
    samples = training[[4, 1]] + np.array([0.0, 0.02])[:, None, None, None]
    found = nearest_training_images(samples, training)
    assert list(found.index) == [4, 1]
    np.testing.assert_allclose(found.distance, [0, 0.02], atol=1e-7)
    pairs = [
        min(np.sqrt(((a - b) ** 2).mean()) for j, b in enumerate(training) if j != i)
        for i, a in enumerate(training)
    ]
    assert found.data_distance == pytest.approx(np.median(pairs))
    with pytest.raises(DataError, match="found 1"):
        nearest_training_images(samples, training[:1])


def test_score_error_vanishes_for_the_exact_score_and_measures_a_shift():
    levels = NoiseLevels.linear(20)
    images = torch.rand((4, 1, 4, 4)) * 2 - 1

    class Shifted(torch.nn.Module):
        def __init__(self, shift):
            super().__init__()
            self.shift = torch.nn.Parameter(torch.tensor(shift))

        def forward(self, x, t):
            exact = mixture_noise(x, images, *levels.signal_and_noise(t))
            return SimpleNamespace(sample=exact + self.shift)

    for shift in (0.0, 0.3):
        errors = score_matching_error(Shifted(shift), images, levels, n_levels=3, n_draws=8)
        assert len(errors) == 3
        np.testing.assert_allclose(list(errors.values()), shift**2, atol=1e-6)
