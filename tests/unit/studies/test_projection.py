import numpy as np
import pytest

from crosskrylov.errors import ConfigError
from crosskrylov.scores.seeds import SeedAssignment, select_seeds
from crosskrylov.solvers.registry import make_solver
from crosskrylov.studies.bank import build_bank
from crosskrylov.studies.bases import (
    increment_basis,
    joint_seed_basis,
    nearest_seed_basis,
    own_basis,
    project,
)
from crosskrylov.studies.diversity import diversity
from crosskrylov.studies.likeness import (
    greedy_pairwise,
    likeness_correlation,
    likeness_pairs,
    matrix_distances,
    pairwise_residuals,
    seed_choice,
)
from crosskrylov.studies.projection_residuals import projection_residuals
from crosskrylov.studies.subspace_dimension import split_images, subspace_dimension
from crosskrylov.studies.warm_start import warm_start
from tests.laboratory import EQUATION, SIZE, bank, seeds, smooth_log_density


def test_own_space_of_full_dimension_solves_exactly():
    result = project(bank(), 1, range(5), own_basis(bank(), 1, SIZE**2), SIZE**2, start="previous")
    assert result.relative_residuals.max() < 1e-10
    assert result.score_errors.max() < 1e-8


def test_a_seed_that_equals_its_target_solves_it_exactly():
    twins = np.repeat(smooth_log_density()[:1], 2, axis=0)
    same = build_bank(EQUATION, twins, [1], make_solver("splu"))
    assignment = SeedAssignment(np.array([0]), np.zeros(2, dtype=int), np.zeros(2))
    basis_of = nearest_seed_basis(same, 0, assignment, SIZE**2)
    assert (
        project(same, 0, [1], basis_of, SIZE**2, start="previous").relative_residuals.max() < 1e-10
    )


def test_dimension_zero_leaves_the_start():
    result = project(bank(), 0, [0, 2], own_basis(bank(), 0, 4), 0, start="previous")
    np.testing.assert_array_equal(result.relative_residuals, result.start_residuals)
    np.testing.assert_array_equal(result.x, bank().previous[0][[0, 2]])


def test_least_squares_residuals_never_grow_with_the_dimension():
    basis_of = nearest_seed_basis(bank(), 0, seeds(), 16)
    residuals = [
        project(
            bank(), 0, range(5), basis_of, m, "least_squares", start="previous"
        ).relative_residuals
        for m in (0, 1, 2, 4, 8, 16)
    ]
    assert (np.diff(residuals, axis=0) <= 1e-12).all()


def test_increments_of_the_target_itself_contain_its_solution():
    basis_of = increment_basis(bank(), 1, [0, 1, 2], 3)
    assert project(bank(), 1, [1], basis_of, 3, start="previous").relative_residuals.max() < 1e-9


def test_joint_basis_shares_the_dimension_among_the_seeds():
    basis_of = joint_seed_basis(bank(), 0, [0, 1], 8)
    assert len(basis_of(3, 8)) == 8
    assert len(basis_of(3, 5)) == 4
    assert len(basis_of(3, 1)) == 0


def test_targets_are_neither_seeds_nor_sources():
    sources, targets = split_images(9, SeedAssignment(np.array([8]), np.zeros(9, int), np.ones(9)))
    assert sources.tolist() == [8, 0, 1, 2]
    assert targets.tolist() == [4 - 1, 4, 5, 6, 7]


def test_a_set_of_seeds_only_is_refused():
    single = select_seeds(smooth_log_density()[:1], 1)
    with pytest.raises(ConfigError, match="all 1 are"):
        split_images(1, single)


def test_subspace_dimension_table():
    table = subspace_dimension(bank(), seeds(), [2, 4])
    assert set(table.step) == {1, 4, 8}
    assert set(table.basis) == {"nearest seed", "all seeds", "POD of increments", "own"}
    own = table[(table.basis == "own") & (table.projection == "least_squares")]
    assert (own.groupby("step").residual_median.apply(lambda r: np.diff(r).max()) <= 1e-12).all()
    assert (table.residual_q25 <= table.residual_median).all()
    # two sources cannot span four dimensions: no such row, rather than a repeated one
    pod = table[table.basis == "POD of increments"]
    assert pod.dimension.max() <= 2 or pod.reached_dimension.max() > 2


def test_dimension_above_the_system_is_refused():
    with pytest.raises(ConfigError, match=r"holds 101.*100 unknowns"):
        subspace_dimension(bank(), seeds(), [4, 101])


def test_pairwise_residuals_have_the_own_projection_on_the_diagonal():
    residuals, start = pairwise_residuals(bank(), 0, 6, "galerkin")
    own = project(bank(), 0, range(5), own_basis(bank(), 0, 6), 6, start="previous")
    np.testing.assert_allclose(np.diag(residuals), own.relative_residuals, rtol=1e-6)
    np.testing.assert_allclose(start, own.start_residuals)


def test_matrix_distances():
    distance = matrix_distances(bank(), 0)
    rows = [
        np.stack(bank().matrix.take(0).take(k).arrays()).ravel() for k in range(bank().n_images)
    ]
    expected = np.linalg.norm(rows[1] - rows[3]) / np.linalg.norm(rows[3])
    assert distance[1, 3] == pytest.approx(expected, rel=1e-6)
    assert np.diag(distance).max() < 1e-6


def test_likeness_tables():
    pairs = likeness_pairs(bank(), 4)
    assert len(pairs) == 3 * 5 * 4
    assert (pairs.seed_image != pairs.target_image).all()
    perfect = pairs.assign(reduction=pairs.log_density_distance)
    table = likeness_correlation(perfect, permutations=39)
    chosen = table[table.distance == "log_density_distance"]
    np.testing.assert_allclose(chosen.spearman, 1.0)
    assert (chosen.mantel_p_value < 0.2).all()


def test_greedy_pairwise_takes_the_seed_that_serves_best():
    residuals = np.full((4, 4), 0.5)
    residuals[2] = 1e-6  # image 2 serves everyone
    residuals[1, 3] = 1e-9
    assert greedy_pairwise(residuals, 2).tolist() == [2, 1]


def test_seed_choice_covers_all_selections():
    table = seed_choice(bank(), 4, [1, 2, 9], random_draws=2)
    assert set(table.n_seeds) == {1, 2}  # nine seeds do not exist among five images
    assert table.groupby(["selection", "n_seeds", "step", "basis"]).size().max() == 2
    one = table[table.n_seeds == 1]
    nearest, joint = (one[one.basis == basis] for basis in ("nearest", "joint"))
    np.testing.assert_allclose(nearest.residual_median, joint.residual_median, rtol=1e-4)


def test_diversity_of_equal_images_is_zero():
    twins = np.repeat(smooth_log_density()[:1], 4, axis=0)
    same = build_bank(EQUATION, twins, [2], make_solver("splu"))
    table = diversity(same, select_seeds(twins, 1, "first"), 100).set_index("basis")
    assert table.image_distance_mean.max() < 1e-6
    assert table.residual_max["nearest seed"] < 1e-10
    assert table.residual_max["start only"] > 1e-3


def test_projection_residuals_of_a_march():
    table = projection_residuals(
        EQUATION, smooth_log_density(), seeds(), 20, method="transform_bicgstab"
    )
    assert set(table.step) == set(range(1, 9))
    middle = table.set_index(["role", "stage", "step"]).residual_max.sort_index()
    assert (middle["seed", "projected"] < 1e-3 * middle["seed", "start"]).all()
    assert (middle["target", "refined"] <= 1e-8).all()
    assert table[table.role == "target"].n_images.unique().tolist() == [3]


@pytest.mark.parametrize("start", ["previous", "zero", "extrapolated"])
def test_warm_start_compares_the_same_refinement(start):
    refiners = {"plain": {"method": "bicgstab"}}
    table = warm_start(bank(), seeds(), refiners, [start], [1e-6], 4)
    assert len(table) == 3 * 2
    difference = table.iterations_without - table.iterations_with
    np.testing.assert_allclose(difference, table.saved_mean)
    assert (table.seconds_with > 0).all()
    assert ((table.fraction_fewer + table.fraction_more) <= 1).all()


def test_warm_start_sees_a_projection_that_solves():
    twins = np.repeat(smooth_log_density()[:1], 3, axis=0)
    same = build_bank(EQUATION, twins, [2], make_solver("splu"))
    table = warm_start(
        same,
        select_seeds(twins, 1, "first"),
        {"plain": {"method": "bicgstab"}},
        ["previous"],
        [1e-6],
        60,
    ).set_index("basis")
    assert table.iterations_with["nearest seed"] == 0
    assert table.fraction_fewer["nearest seed"] == 1
