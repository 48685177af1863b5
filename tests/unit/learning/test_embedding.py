import numpy as np
import pytest

from crosskrylov.equation.problem import evenly_spaced_steps, problem_from_config
from crosskrylov.errors import ConfigError, DataError, ShapeError
from crosskrylov.learning.embedding import (
    drift_at_steps,
    embed_images,
    embedded_times,
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
    quiet = embed_images(images, scores, times, variant="row", noise_scale=0.0).images
    noisy = embed_images(images, scores, times, variant="row", noise_scale=0.1).images
    assert 0 < np.abs(quiet - noisy).max() < 0.5


@pytest.mark.parametrize(("variant", "directions"), [("row", 1), ("sum", 2)])
def test_drift_moves_the_image_where_there_is_no_score(problem, variant, directions):
    """Eq. 24 with S = 0 and a constant f: x + f t, f combined as the score is."""
    images, scores, times = problem
    drift = np.zeros((4, 2, 5, 5))
    drift[:, 0], drift[:, 1] = 0.02, 0.03
    options = {"variant": variant, "steps": 4, "noise_scale": 0.0}
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
        result = embed_images(images, s, times, variant=variant)
        np.testing.assert_array_equal(result.images, np.repeat(images[:, None], 4, axis=1))
        assert result.displacement_rms.max() == 0


def test_scores_per_channel_move_channels_differently(problem):
    images, _, times = problem
    scores = np.zeros((6, 4, 2, 5, 5))
    scores[1] = 1.0  # image 0, channel 1
    moved = embed_images(images, scores, times, variant="sum").displacement_rms
    assert moved[0].min() > 0 and moved[1].max() == 0
    change = embed_images(images, scores, times, variant="sum").images[0, -1] - images[0]
    assert np.abs(change[1]).min() > 0 and np.abs(change[[0, 2]]).max() == 0


def test_selected_steps_include_both_ends():
    assert list(select_embedded_steps(100, 10)[[0, -1]]) == [0, 99]
    assert list(select_embedded_steps(3, 10)) == [0, 1, 2]


@pytest.mark.parametrize("time_steps, stored", [(100, 10), (20, 7), (5, 9), (8, 1)])
def test_embedded_times_follow_the_stored_steps(time_steps, stored):
    times = embedded_times(2.0, time_steps, stored, steps=stored)
    np.testing.assert_allclose(times, evenly_spaced_steps(time_steps, stored) * 2.0 / time_steps)


def test_bad_input_is_named(problem):
    images, scores, times = problem
    with pytest.raises(ConfigError, match=r"'both'.*row, sum, none"):
        embed_images(images, scores, times, variant="both")
    with pytest.raises(ShapeError, match=r"\(2, 4, 2, 5, 4\)"):
        embed_images(images, scores[..., :4], times)
    with pytest.raises(ShapeError, match="2 images of 3 channels"):
        embed_images(images, np.concatenate([scores, scores]), times)
    with pytest.raises(ShapeError, match=r"drift has shape \(2, 5, 5\)"):
        embed_images(images, scores, times, drift=np.zeros((2, 5, 5)))
    scores[0, 0] = np.nan
    with pytest.raises(DataError, match="NaN"):
        embed_images(images, scores, times)
