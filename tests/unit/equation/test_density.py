"""Initial densities: normalisation, agreement of both estimates, failure paths."""

import numpy as np
import pytest

from crosskrylov.equation.density import (
    initial_log_density,
    intensity,
    scott_bandwidth,
    unit_spacing,
)
from crosskrylov.errors import ConfigError, DataError, ShapeError


def blob(n=24):
    r, c = np.indices((n, n)) / (n - 1)
    image = np.exp(-((r - 0.4) ** 2 + (c - 0.6) ** 2) / 0.05)
    return np.stack([image, 0.5 * image, image**2])[None]


@pytest.mark.parametrize("method", ["smoothed", "kde"])
def test_density_integrates_to_one_and_is_finite(method):
    m = initial_log_density(blob(), method=method, seed=5)
    assert m.shape == (1, 24, 24)
    assert np.isfinite(m).all()
    assert np.exp(m).sum() * unit_spacing(24, 24) ** 2 == pytest.approx(1.0, rel=1e-12)


def test_smoothed_density_is_the_mean_of_the_sampled_one():
    # same bandwidth, so that the mean over draws isolates the sampling noise
    smooth = np.exp(initial_log_density(blob(), n_samples=500))[0]
    draws = np.exp(
        [initial_log_density(blob(), method="kde", n_samples=500, seed=s)[0] for s in range(40)]
    )
    single = np.linalg.norm(draws[0] - smooth) / np.linalg.norm(smooth)
    mean = np.linalg.norm(draws.mean(axis=0) - smooth) / np.linalg.norm(smooth)
    assert mean < 0.03
    assert mean < 0.5 * single


def test_draws_are_seeded_and_independent_of_the_other_images():
    images = np.concatenate([blob(), 1 - blob()])
    m = initial_log_density(images, method="kde", seed=9)
    np.testing.assert_array_equal(m, initial_log_density(images, method="kde", seed=9))
    np.testing.assert_array_equal(m[:1], initial_log_density(images[:1], method="kde", seed=9))
    assert (m != initial_log_density(images, method="kde", seed=10)).any()


def test_channels_each_gives_one_field_per_channel():
    fields = intensity(np.concatenate([blob(), 1 - blob()]), "each")
    assert fields.shape == (6, 24, 24)
    np.testing.assert_array_equal(fields[4], 1 - blob()[0, 1])
    assert initial_log_density(blob(), channels="each").shape == (3, 24, 24)


def test_constant_image_is_nearly_uniform_and_symmetric():
    m = initial_log_density(np.full((1, 1, 16, 16), 0.3))
    np.testing.assert_allclose(m[0], m[0].T, atol=1e-13)
    np.testing.assert_allclose(m[0], m[0][::-1, ::-1], atol=1e-13)
    assert np.ptp(m[0, 6:10, 6:10]) < 1e-2


def test_scott_bandwidth_is_the_two_dimensional_factor():
    assert scott_bandwidth(2000) == pytest.approx(2000 ** (-1 / 6))


def test_bad_input_has_clear_errors():
    images = blob()
    images[0, 0, 1, 1] = np.nan
    with pytest.raises(DataError, match="Image number 0"):
        initial_log_density(images)
    with pytest.raises(DataError, match="minimum"):
        initial_log_density(blob() - 1)
    with pytest.raises(ShapeError, match="N, C, H, W"):
        initial_log_density(np.zeros((4, 4)))
    with pytest.raises(ConfigError, match="seed"):
        initial_log_density(blob(), method="kde")
    with pytest.raises(ConfigError, match="smoothed"):
        initial_log_density(blob(), method="histogram")
