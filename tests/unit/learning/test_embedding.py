import numpy as np
import pytest

from crosskrylov.equation.problem import evenly_spaced_steps, problem_from_config
from crosskrylov.errors import ConfigError, DataError, ShapeError
from crosskrylov.learning.embedding import (
    EMBEDDING_FIELDS,
    drift_at_steps,
    embed_images,
    embedded_times,
    other_images,
    random_phases,
    select_embedded_steps,
)


@pytest.fixture
def problem():
    rng = np.random.default_rng(3)
    images = rng.random((2, 3, 5, 5), dtype=np.float32)
    scores = rng.standard_normal((2, 4, 2, 5, 5)).astype(np.float32)
    return images, scores, np.array([0.1, 0.4, 0.5, 1.0])


def test_sum_variant_is_the_euler_flow_written_out(problem):
    images, scores, times = problem
    result = embed_images(images, scores, times, variant="sum", diffusion=0.5, steps=4)
    x = images.astype(float)
    left = [0, 0, 1, 2]
    for s, dt in enumerate([0.1, 0.3, 0.1, 0.5]):
        x = x - 0.125 * scores[:, left[s]].sum(axis=1)[:, None] * dt
        np.testing.assert_allclose(result.images[:, s], x, atol=1e-6)
    rms = np.sqrt(((result.images - images[:, None]) ** 2).mean(axis=(2, 3, 4)))
    np.testing.assert_allclose(result.displacement_rms, rms, atol=1e-6)


def test_row_variant_uses_the_row_derivative_only_and_stays_in_range(problem):
    images, scores, times = problem
    other_columns = scores.copy()
    other_columns[:, :, 1] = 7.0
    a, b = (
        embed_images(images, s, times, variant="row", diffusion=3.0, seed=5).images
        for s in (scores, other_columns)
    )
    np.testing.assert_array_equal(a, b)
    assert a.min() == 0 and a.max() == 1
    quiet = embed_images(
        images, scores, times, variant="row", noise_scale=0.0, diffusion=0.5
    ).images
    noisy = embed_images(
        images, scores, times, variant="row", noise_scale=0.1, diffusion=0.5
    ).images
    assert 0 < np.abs(quiet - noisy).max() < 0.5


@pytest.mark.parametrize(("variant", "directions"), [("row", 1), ("sum", 2)])
def test_drift_moves_the_image_where_there_is_no_score(problem, variant, directions):
    """Eq. 24 with S = 0 and a constant f: x + f t, f combined as the score is."""
    images, scores, times = problem
    drift = np.zeros((4, 2, 5, 5))
    drift[:, 0], drift[:, 1] = 0.02, 0.03
    options = {"variant": variant, "diffusion": 0.5, "steps": 4, "noise_scale": 0.0}
    moved = embed_images(0.5 * images, 0 * scores, times, drift=drift, **options).images
    f = (0.02, 0.05)[directions - 1]
    expected = 0.5 * images[:, None] + f * times[:, None, None, None]
    np.testing.assert_allclose(moved, expected, atol=1e-6)


def test_drift_of_a_problem_at_its_stored_steps():
    entry = {"kind": "vp", "beta_min": 1.0, "beta_max": 3.0, "center": 0.0}
    flow = problem_from_config({"time_steps": 4, "drift": entry}, 5, 5)
    found = drift_at_steps(flow, [2, 4])
    nodes = np.indices((5, 5)) / 4
    np.testing.assert_allclose(found, [-1.0 * nodes, -1.5 * nodes])  # -beta(t) / 2 at t = 1/2, 1
    assert drift_at_steps(problem_from_config({}, 5, 5), [1]) is None


def test_none_keeps_images_and_a_zero_score_moves_nothing(problem):
    images, scores, times = problem
    for s, variant in ((scores, "none"), (0 * scores, "sum")):
        result = embed_images(images, s, times, variant=variant, diffusion=0.5)
        np.testing.assert_array_equal(result.images, np.repeat(images[:, None], 4, axis=1))
        assert result.displacement_rms.max() == 0


def test_scores_per_channel_move_channels_differently(problem):
    images, _, times = problem
    scores = np.zeros((6, 4, 2, 5, 5))
    scores[1] = 1.0  # image 0, channel 1
    moved = embed_images(images, scores, times, variant="sum", diffusion=0.5).displacement_rms
    assert moved[0].min() > 0 and moved[1].max() == 0
    change = (
        embed_images(images, scores, times, variant="sum", diffusion=0.5).images[0, -1] - images[0]
    )
    assert np.abs(change[1]).min() > 0 and np.abs(change[[0, 2]]).max() == 0


def test_selected_steps_include_both_ends():
    assert list(select_embedded_steps(100, 10)[[0, -1]]) == [0, 99]
    assert list(select_embedded_steps(3, 10)) == [0, 1, 2]


@pytest.mark.parametrize("time_steps, stored", [(100, 10), (20, 7), (5, 9), (8, 1)])
def test_embedded_times_follow_the_stored_steps(time_steps, stored):
    times = embedded_times(2.0, time_steps, stored, steps=stored)
    np.testing.assert_allclose(times, evenly_spaced_steps(time_steps, stored) * 2.0 / time_steps)


def test_absent_scores_leave_the_noise_of_the_row_variant_and_nothing_else(problem):
    """0.5 * image, so that no value is clipped: what is left of `row` does not know the scores."""
    images, scores, times = problem
    options = {"variant": "row", "diffusion": 0.2, "steps": 4, "seed": 5}
    found = embed_images(0.5 * images + 0.25, scores, times, field="absent", **options).images
    same = embed_images(0.5 * images + 0.25, 0 * scores, times, **options).images
    np.testing.assert_array_equal(found, same)
    steps = np.diff(found, axis=1, prepend=(0.5 * images + 0.25)[:, None])
    expected = 0.1 * 0.2 * np.sqrt([0.1, 0.3, 0.1, 0.5])
    np.testing.assert_allclose(steps.std(axis=(0, 2, 3, 4)), expected, rtol=0.2)
    still = embed_images(images, scores, times, field="absent", **options | {"noise_scale": 0.0})
    assert still.displacement_rms.max() == 0


def test_every_field_sees_the_same_noise_and_repeats_itself(problem):
    """What a control changes is the field alone, so that runs on it can be paired."""
    images, scores, times = problem
    options = {"diffusion": 0.1, "steps": 4, "seed": 5}  # too weak to be clipped
    images = 0.5 * images + 0.25
    noise = []
    for field in EMBEDDING_FIELDS:
        noisy, again = (
            embed_images(images, scores, times, variant="row", field=field, **options).images
            for _ in range(2)
        )
        np.testing.assert_array_equal(noisy, again)
        quiet = embed_images(
            images, scores, times, variant="row", field=field, noise_scale=0.0, **options
        ).images
        noise.append(noisy - quiet)
    for other in noise[1:]:
        np.testing.assert_allclose(other, noise[0], atol=1e-6)


def test_shuffled_scores_are_those_of_another_image_each_once(problem):
    images, scores, times = problem
    options = {"variant": "sum", "diffusion": 0.5, "steps": 4}
    shuffled = embed_images(images, scores, times, field="shuffled", **options).images
    swapped = embed_images(images, scores[::-1], times, **options).images
    np.testing.assert_array_equal(shuffled, swapped)  # of two images: the other
    for seed in range(5):
        others = other_images(7, np.random.default_rng(seed))
        assert sorted(others) == list(range(7)) and (others != np.arange(7)).all()
    with pytest.raises(ConfigError, match="n_images to 2"):
        embed_images(images[:1], scores[:1], times, field="shuffled", **options)


@pytest.mark.parametrize("shape", [(8, 8), (7, 5), (6, 9)])
def test_random_field_has_size_and_spectrum_of_the_scores_and_not_their_shape(shape):
    rng = np.random.default_rng(2)
    # smooth, with a mean, and a second component that is the periodic difference of the first
    row = np.cumsum(np.cumsum(rng.standard_normal((3, *shape)), axis=-1), axis=-2) + 2.0
    fields = np.stack([row, np.roll(row, -1, axis=-1) - row], axis=1)
    found = random_phases(fields, np.random.default_rng(4))
    np.testing.assert_allclose(np.abs(np.fft.fft2(found)), np.abs(np.fft.fft2(fields)), atol=1e-9)
    rms = [np.sqrt((field**2).mean(axis=(-2, -1))) for field in (found, fields)]
    np.testing.assert_allclose(*rms)
    np.testing.assert_allclose(found.mean(axis=(-2, -1)), fields.mean(axis=(-2, -1)), atol=1e-9)
    difference = np.roll(found[:, 0], -1, axis=-1) - found[:, 0]
    np.testing.assert_allclose(found[:, 1], difference, atol=1e-9)
    assert np.abs(found - fields).max() > 0.1 * np.abs(fields).max()


def test_images_of_a_set_get_different_random_fields(problem):
    images, scores, times = problem
    scores[1] = scores[0]
    options = {"variant": "sum", "diffusion": 0.5, "field": "random"}
    moved = embed_images(0 * images, scores, times, **options).images
    assert np.abs(moved[0] - moved[1]).max() > 0.01


def test_bad_input_is_named(problem):
    images, scores, times = problem
    with pytest.raises(ConfigError, match=r"'other'.*own, absent, shuffled, random"):
        embed_images(images, scores, times, field="other", diffusion=0.5)
    with pytest.raises(ConfigError, match=r"'both'.*row, sum, none"):
        embed_images(images, scores, times, variant="both", diffusion=0.5)
    with pytest.raises(ShapeError, match=r"\(2, 4, 2, 5, 4\)"):
        embed_images(images, scores[..., :4], times, diffusion=0.5)
    with pytest.raises(ShapeError, match="2 images of 3 channels"):
        embed_images(images, np.concatenate([scores, scores]), times, diffusion=0.5)
    with pytest.raises(ShapeError, match=r"drift has shape \(2, 5, 5\)"):
        embed_images(images, scores, times, diffusion=0.5, drift=np.zeros((2, 5, 5)))
    scores[0, 0] = np.nan
    with pytest.raises(DataError, match="NaN"):
        embed_images(images, scores, times, diffusion=0.5)
