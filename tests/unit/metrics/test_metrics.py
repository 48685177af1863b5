import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import crosskrylov.runtime.torchvision_compat  # noqa: F401
from crosskrylov.errors import ConfigError, DataError, ShapeError
from crosskrylov.experiments.quality import mean_score_errors
from crosskrylov.learning.sampling.exact_model import ExactNetwork
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.metrics.distances import (
    energy_distance,
    frechet_distance,
    kernel_distance,
    wasserstein_distance,
)
from crosskrylov.metrics.features import extract_features
from crosskrylov.metrics.neighbours import nearest_training_images
from crosskrylov.metrics.score_error import embedded_at, score_matching_error, sigma_grid
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
    sigmas = sigma_grid(0.05, 0.4, 3)
    for shift in (0.0, 0.3):
        rows = score_matching_error(
            Shifted(images, levels, shift), images, levels, sigmas, n_draws=8
        )
        assert [row["sigma"] for row in rows] == sigmas
        np.testing.assert_allclose([row["error"] for row in rows], shift**2, atol=1e-6)


class Shifted(ExactNetwork):
    """The exact prediction plus a constant; it keeps what it was asked."""

    def __init__(self, images, levels, shift, factor=1.0):
        super().__init__(images, levels)
        self.shift, self.factor, self.seen = shift, factor, []

    def forward(self, x, t):
        self.seen.append(x)
        return SimpleNamespace(sample=self.factor * super().forward(x, t).sample + self.shift)


def test_score_error_normalised_is_relative_to_the_exact_score():
    """Three quarters of the score is an error of a sixteenth of its mean square, at every level."""
    images = torch.rand((4, 1, 4, 4)) * 2 - 1
    levels = NoiseLevels.geometric(50)
    network = Shifted(images, levels, 0.0, factor=0.75)
    for row in score_matching_error(network, images, levels, sigma_grid(0.02, 20, 5), n_draws=8):
        assert row["error_normalised"] == pytest.approx(1 / 16, rel=1e-4)


def test_score_error_asks_every_schedule_about_the_same_noised_images():
    """DDPM's schedule and the geometric one see the same x, and one sigma stands for one level."""
    images = torch.rand((4, 1, 4, 4)) * 2 - 1
    sigmas = sigma_grid(0.02, 20, 6)
    networks = [
        Shifted(images, levels, 0.3) for levels in (NoiseLevels.linear(), NoiseLevels.geometric())
    ]
    found = [
        score_matching_error(network, images, network.levels, sigmas, n_draws=8)
        for network in networks
    ]
    for of_linear, of_geometric in zip(*(network.seen for network in networks), strict=True):
        assert torch.equal(of_linear, of_geometric)
    for rows in found:
        np.testing.assert_allclose([row["error"] for row in rows], 0.09, atol=1e-4)


def test_own_error_vanishes_for_the_exact_score_of_the_embedded_images():
    """A network that is exact on what it was trained on errs only against the images."""
    levels, sigmas = NoiseLevels.geometric(50), [0.05, 0.5, 5.0]
    images, embedded = torch.rand((4, 1, 4, 4)) * 2 - 1, torch.rand((4, 3, 1, 4, 4)) * 2 - 1
    for step, sigma in enumerate(sigmas):
        network = Shifted(embedded[:, step], levels, 0.0)
        arguments = (network, images, levels, [sigma])
        (row,) = score_matching_error(*arguments, n_draws=8, embedded=embedded)
        assert row["own_error"] < 1e-6 < 1e-3 < row["error"]
        (plain,) = score_matching_error(*arguments, n_draws=8)
        assert plain["own_error"] == plain["error"] == row["error"]
    for level in range(len(levels)):
        found = embedded_at(embedded, levels, float(levels.sigmas[level]))
        assert torch.equal(found, embedded[:, level * 3 // 50])


def test_score_error_is_empty_where_the_schedule_does_not_train():
    """A level outside the schedule has no error, and changes nothing at the others."""
    images = torch.rand((4, 1, 4, 4)) * 2 - 1
    wide, narrow = NoiseLevels.geometric(50, 0.01, 100), NoiseLevels.geometric(50, 0.1, 2)
    sigmas = [0.05, 0.1, 1.0, 2.0, 5.0]
    here, there = (
        score_matching_error(Shifted(images, levels, 0.3), images, levels, sigmas, n_draws=8)
        for levels in (narrow, wide)
    )
    assert [row["error"] is None for row in here] == [True, False, False, False, True]
    for row, other in zip(here[1:4], there[1:4], strict=True):
        assert row["error_normalised"] == pytest.approx(other["error_normalised"], rel=1e-3)
    assert mean_score_errors(here) == {}
    assert mean_score_errors(here[1:4])["score_error_mean_over_sigma"] == pytest.approx(
        0.09, abs=1e-4
    )


# --- random convolutions -------------------------------------------------------------------


def test_random_features_are_the_same_everywhere_and_more_than_48():
    images = RNG.random((5, 1, 16, 16))
    features = extract_features("random_conv", images)
    assert features.shape == (5, 224)
    np.testing.assert_array_equal(features, extract_features("random_conv", images))
    in_colour = extract_features("random_conv", np.repeat(images, 3, axis=1))
    np.testing.assert_allclose(features, in_colour, atol=1e-6)
    np.testing.assert_allclose(features[:2], extract_features("random_conv", images[:2]), atol=1e-6)


def test_random_features_see_noise_blur_and_what_is_missing():
    """The distance grows with every fault, whatever it is."""
    from scipy.ndimage import gaussian_filter
    from sklearn.datasets import load_digits

    data = load_digits()
    images = np.kron(data.images[:, None] / 16, np.ones((2, 2)))
    rng = np.random.default_rng(1)
    order = rng.permutation(len(images))
    images, labels = images[order], data.target[order]
    reference = extract_features("random_conv", images[:900])
    rest, rest_labels = images[900:], labels[900:]

    def distance(faulty):
        return frechet_distance(extract_features("random_conv", faulty), reference)

    floor = distance(rest)
    for faults in (
        [np.clip(rest + s * rng.standard_normal(rest.shape), 0, 1) for s in (0.1, 0.3)],
        [gaussian_filter(rest, (0, 0, s, s)) for s in (0.7, 1.5)],
        [rest[rest_labels < k] for k in (8, 5)],
    ):
        assert floor < distance(faults[0]) < distance(faults[1])


def test_kernel_distance_in_blocks_is_that_of_the_whole_matrix(monkeypatch):
    x, y = RNG.random((7, 3)), RNG.random((5, 3))
    whole = kernel_distance(x, y)
    monkeypatch.setattr("crosskrylov.metrics.distances._ROWS", 2)
    assert kernel_distance(x, y) == pytest.approx(whole, rel=1e-12)
    k = (x @ y.T / 3 + 1) ** 3
    within = [(a @ a.T / 3 + 1) ** 3 for a in (x, y)]
    means = [(m.sum() - np.trace(m)) / (len(m) * (len(m) - 1)) for m in within]
    assert whole == pytest.approx(sum(means) - 2 * k.mean(), rel=1e-10)


def test_wasserstein_distance_is_the_best_assignment_and_of_equal_sets_zero():
    x = np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 0.0]])
    assert wasserstein_distance(x, x[::-1]) == 0
    # by hand: 0 -> 1, 1 -> 2 and 5 -> 4 move by one each; nearest neighbours would move less
    assert wasserstein_distance(x, [[2.0, 0.0], [4.0, 0.0], [1.0, 0.0]]) == pytest.approx(1)
    shifted = RNG.normal(size=(50, 2))
    assert wasserstein_distance(shifted, shifted + np.array([3.0, 4.0])) == pytest.approx(5)
    with pytest.raises(ShapeError, match="sets of one size, found 3 and 2"):
        wasserstein_distance(x, x[:2])
    with pytest.raises(DataError, match="NaN"):
        wasserstein_distance(x, x * np.nan)


def test_energy_distance_is_known_on_a_line_and_zero_on_average_for_equal_laws():
    # E|x - y| = 3, inside either set 1
    assert energy_distance([[0.0], [1.0]], [[3.0], [4.0]]) == pytest.approx(2 * 3 - 1 - 1)
    rng = np.random.default_rng(0)
    same = [energy_distance(rng.normal(size=(60, 2)), rng.normal(size=(50, 2))) for _ in range(200)]
    assert abs(np.mean(same)) < 4 * np.std(same) / np.sqrt(len(same)) and min(same) < 0
    apart = [
        energy_distance(rng.normal(size=(60, 2)), 0.5 + rng.normal(size=(50, 2))) for _ in range(20)
    ]
    assert min(apart) > np.mean(same) + 3 * np.std(same) / np.sqrt(len(same))
    with pytest.raises(DataError, match="at least 2"):
        energy_distance([[0.0]], [[1.0], [2.0]])
