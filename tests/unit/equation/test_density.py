"""Initial densities: normalisation, agreement of both estimates, failure paths."""

import numpy as np
import pytest

from crosskrylov.equation.density import (
    density_options,
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


def pixels(n=4, size=8, channels=3):
    return np.random.default_rng(5).random((n, channels, size, size))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: (255 * x).astype(np.uint8), "dtype uint8.* divide by 255"),
        (lambda x: (65535 * x).astype(np.uint16), "dtype uint16.* divide by 65535"),
        (lambda x: (x > 0.5).astype(int), "dtype int64.* divide by 255 .* mask"),
        (lambda x: 255 * x, r"number 0 has .* maximum 25\d, .* divide by 255"),
        (lambda x: 65535 * x, "divide by 65535"),
        (lambda x: 2 * x - 1, r"map \[-1, 1\] to \[0, 1\]"),
        (lambda x: x + 1j, "dtype complex128"),
        (lambda x: x.astype(object), "dtype object"),
        (lambda x: x.astype(str), "dtype <U"),
        (lambda x: [x[0], x[1, :, :4]], "cannot be read as an array"),
        (lambda x: np.ma.masked_less(x, 0.1), "masked pixels"),
        (
            lambda x: np.where(np.arange(4)[:, None, None, None] == 2, 1e300, x),
            "number 2 .* 1e.300",
        ),
        (lambda x: np.where(x == x[3, 0, 0, 0], np.inf, x), "number 3 .* not finite"),
    ],
)
def test_wrong_numbers_are_refused_with_the_mend(make, message):
    with np.errstate(over="ignore"), pytest.raises(DataError, match=message):
        initial_log_density(make(pixels()))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 8, 8, 3), "channels are last, transpose"),
        ((2, 8, 8, 1), "channels are last, transpose"),
        ((2, 8, 8, 4), "channels are last, transpose"),
        ((2, 4, 4, 3), "channels are last, transpose"),
        ((2, 4, 8, 8), "transparent"),
        ((2, 5, 8, 8), "axis 1 has to count the channels"),
        ((3, 8, 8), "add an axis"),
        ((0, 3, 8, 8), "N, C, H, W"),
    ],
)
def test_wrong_axes_are_refused_with_the_mend(shape, message):
    with pytest.raises(ShapeError, match=message):
        initial_log_density(np.full(shape, 0.5))


@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (2, 3, 8, 3), (2, 1, 3, 3), (2, 3, 3, 8)])
def test_axis_1_counts_the_channels_whatever_the_other_axes_are(shape):
    assert initial_log_density(np.full(shape, 0.5)).shape == (2, *shape[2:])


def test_grey_with_three_channels_black_and_white_and_rounding_are_fine():
    grey = pixels(channels=1)
    colour = np.repeat(grey, 3, axis=1)
    np.testing.assert_allclose(initial_log_density(colour), initial_log_density(grey), atol=1e-14)
    assert np.isfinite(initial_log_density(grey > 0.5)).all()
    assert np.isfinite(initial_log_density(grey.astype(np.float32) * np.float32(1 + 5e-7))).all()


@pytest.mark.parametrize("method", ["smoothed", "kde"])
def test_a_black_image_without_offset_is_a_sentence(method):
    images = pixels()
    images[1] = 0
    with pytest.raises(DataError, match=r"black, and density\.intensity_offset is 0"):
        initial_log_density(images, method=method, intensity_offset=0, seed=1)


def test_a_single_bright_pixel_without_spread_is_a_sentence():
    image = np.zeros((1, 1, 8, 8))
    image[0, 0, 3, 3] = 1
    with pytest.raises(DataError, match="in one point"):
        initial_log_density(image, method="kde", intensity_offset=0, jitter=0, seed=1)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"methd": "kde"}, "density.methd is no option"),
        ({"jitter": -1}, "density.jitter is -1"),
        ({"jitter": np.nan}, "density.jitter is nan"),
        ({"floor": 0}, "density.floor is 0"),
        ({"n_samples": 2.5}, "whole"),
        ({"bandwidth": np.inf}, "density.bandwidth is inf"),
        ({"n_samples": "many"}, "density.n_samples is 'many'"),
    ],
)
def test_impossible_options_are_refused_by_name(section, message):
    with pytest.raises(ConfigError, match=message):
        density_options(section)


def test_options_have_their_defaults():
    options = density_options({"method": "kde"})
    assert options["method"] == "kde"
    assert options["jitter"] == 0.01
    assert "seed" not in options
