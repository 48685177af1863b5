import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosskrylov.errors import ConfigError, DataError, ShapeError
from crosskrylov.scores.seeds import (
    SELECTIONS,
    SeedAssignment,
    feature_distances,
    mean_free,
    select_seeds,
)


def features(n, seed=0, shape=(5, 6)):
    return np.random.default_rng(seed).standard_normal((n, *shape))


def clusters(n_each=5):
    rng = np.random.default_rng(3)
    centers = rng.standard_normal((3, 30)) * 10
    return np.concatenate([c + 0.1 * rng.standard_normal((n_each, 30)) for c in centers])


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(2, 20),
    seed=st.integers(0, 10**6),
    selection=st.sampled_from(SELECTIONS),
    data=st.data(),
)
def test_every_image_gets_its_nearest_seed(n, seed, selection, data):
    n_seeds = data.draw(st.integers(1, n - 1))
    f = features(n, seed)
    chosen = select_seeds(f, n_seeds, selection, seed)
    assert len(np.unique(chosen.seeds)) == n_seeds
    np.testing.assert_array_equal(chosen.assigned[chosen.seeds], np.arange(n_seeds))
    rows = mean_free(f)
    expected = np.array(
        [[np.linalg.norm(r - rows[s]) / np.linalg.norm(r) for s in chosen.seeds] for r in rows]
    )
    np.testing.assert_allclose(chosen.distances, expected.min(axis=1), atol=1e-7)
    np.testing.assert_array_equal(chosen.assigned, expected.argmin(axis=1))
    again = select_seeds(f, n_seeds, selection, seed)
    np.testing.assert_array_equal(again.seeds, chosen.seeds)


@pytest.mark.parametrize("selection", ["k_medoids", "farthest_point", "greedy_residual"])
def test_informed_selections_find_every_cluster(selection):
    seeds = select_seeds(clusters(), 3, selection).seeds
    assert sorted(seeds // 5) == [0, 1, 2]


def test_k_medoids_is_at_least_as_good_as_random_draws():
    f = features(30)
    cost = select_seeds(f, 4, "k_medoids").distances.sum()
    draws = [select_seeds(f, 4, "random", seed).distances.sum() for seed in range(50)]
    assert cost <= min(draws)


def test_random_selection_depends_on_the_seed_only():
    f = features(40)
    draws = {tuple(select_seeds(f, 3, "random", seed).seeds) for seed in range(10)}
    assert len(draws) > 5


def test_a_constant_shift_of_a_feature_changes_no_distance():
    f = features(6)
    shifted = f + 100.0 * np.arange(6)[:, None, None]
    a, b = select_seeds(f, 2), select_seeds(shifted, 2)
    np.testing.assert_array_equal(a.seeds, b.seeds)
    np.testing.assert_allclose(a.distances, b.distances, atol=1e-7)


def test_constant_images_are_alike_and_far_from_all_others():
    f = np.concatenate([np.full((2, 8, 8), [[[0.1]], [[0.7]]]), features(3, shape=(8, 8))])
    rows = mean_free(f)
    assert not rows[:2].any()
    d = feature_distances(rows, rows)
    assert d[0, 1] == 0.0 and d[0, 2] == 1.0 and d[2, 0] == pytest.approx(1.0)
    for selection in SELECTIONS:
        assert np.isfinite(select_seeds(f, 2, selection).distances).all()


def test_all_images_constant_or_equal_still_gives_distinct_seeds():
    for f in (np.ones((4, 3, 3)), np.repeat(features(1), 4, axis=0)):
        for selection in SELECTIONS:
            chosen = select_seeds(f, 3, selection)
            assert len(np.unique(chosen.seeds)) == 3
            assert not chosen.distances.any()


@pytest.mark.parametrize("selection", SELECTIONS)
def test_one_image_is_its_own_seed(selection):
    chosen = select_seeds(features(1), 1, selection)
    assert chosen.seeds.tolist() == [0] and chosen.assigned.tolist() == [0]
    assert chosen.distances.tolist() == [0.0]


@pytest.mark.parametrize(("n", "n_seeds"), [(5, 5), (5, 9), (5, 0), (1, 2)])
def test_number_of_seeds_must_leave_a_target(n, n_seeds):
    with pytest.raises(ConfigError, match=r"seeds\.n_seeds is"):
        select_seeds(features(n), n_seeds)


def test_unknown_selection_is_named():
    with pytest.raises(ConfigError, match="nearest"):
        select_seeds(features(3), 1, "nearest")


def test_features_that_are_not_finite_name_the_image():
    f = features(4)
    f[2, 0, 0] = np.nan
    with pytest.raises(DataError, match="image 2"):
        select_seeds(f, 1)
    with pytest.raises(ShapeError):
        select_seeds(np.zeros(3), 1)


def test_assignment_survives_json():
    chosen = select_seeds(features(7), 2)
    back = SeedAssignment.from_dict(json.loads(json.dumps(chosen.as_dict())))
    for name in ("seeds", "assigned", "distances"):
        np.testing.assert_array_equal(getattr(back, name), getattr(chosen, name))


@pytest.mark.parametrize(
    "change", [{"seeds": [0, 0]}, {"seeds": [0, 9]}, {"assigned": [0, 1, 2]}, {"seeds": []}]
)
def test_damaged_assignments_are_refused(change):
    entry = {"seeds": [0, 1], "assigned": [0, 1, 1], "distances": [0.0, 0.0, 0.5]} | change
    with pytest.raises(DataError):
        SeedAssignment.from_dict(entry)
    with pytest.raises(DataError, match="distances"):
        SeedAssignment.from_dict({"seeds": [0], "assigned": [0]})
