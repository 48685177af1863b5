"""Counts of work against counts by hand, spaces that grow, and a joint space of one seed."""

import numpy as np
import pytest

from crosskrylov.equation.likeness import feature_distances, likeness_chain, mean_free
from crosskrylov.scores.seeds import SeedAssignment, select_seeds
from crosskrylov.solvers.kernels.residuals import relative_residuals
from crosskrylov.solvers.kernels.subspace import arnoldi
from crosskrylov.solvers.kernels.work import Work, count, counted_work
from crosskrylov.solvers.registry import make_solver
from tests.laboratory import SIZE, bank, smooth_log_density


def solved(method, options, n_seeds=2, tolerance=1e-8, position=0):
    systems = bank().systems(position, tolerance)
    solver = make_solver(method, options)
    solver.prepare(
        bank().problem, smooth_log_density(), select_seeds(smooth_log_density(), n_seeds)
    )
    with counted_work() as work:
        solution = solver.solve(systems)
    return systems, solution, work, solver


def test_nothing_is_counted_unless_somebody_asks():
    count(products=3)
    with counted_work() as work:
        count(products=2, vectors=5)
        with counted_work() as inner:
            count(preconditioned=1)
    count(products=3)
    assert work == Work(2, 0, 5) and inner == Work(0, 1, 0)


def test_equivalents_weigh_by_arithmetic_operations():
    assert Work(7, 0, 0).equivalents(8, 8) == 7
    # an inner product takes a fifth of a product, four dense products of 8 x 8 fields 6.4
    assert Work(0, 2, 5).equivalents(8, 8) == pytest.approx(2 * 0.4 * 16 + 1)


def test_bicgstab_counts_two_products_an_iteration():
    systems, solution, work, _ = solved("cross_matrix_galerkin", {"dimension": 0})
    # at the start and at the end of every system a true residual; a last half iteration takes one
    bounds = 2 * solution.iterations.sum() + 2 * len(systems)
    assert bounds - len(systems) <= work.products <= bounds
    assert work.vectors == 10 * solution.iterations.sum()
    assert work.preconditioned == 0


def test_transform_is_counted_once_per_product_of_the_iteration():
    systems, _, work, _ = solved("transform_bicgstab", {})
    assert work.preconditioned == work.products - 2 * len(systems)


def test_arnoldi_counts_its_products_and_its_orthogonalisation():
    systems = bank().systems(0, 1e-8)
    with counted_work() as work:
        arnoldi(systems.matrix.apply, systems.rhs, 3)
    # against 1, 2 and 3 vectors, twice an inner product and an addition
    assert work == Work(5 * 3, 0, 5 * 4 * (1 + 2 + 3))


def test_a_projection_counts_seeds_start_and_rounds():
    systems = bank().systems(0, 0.999)  # so loose that nothing is left to refine
    solver = make_solver("cross_matrix_galerkin", {"dimension": 3, "inner_tolerance": None})
    seeds = SeedAssignment(np.array([0]), np.zeros(5, dtype=int), np.zeros(5))
    systems.tolerance = 1e-2
    solver.prepare(bank().problem, smooth_log_density(), seeds)
    with counted_work() as refined:
        solution = solver.solve(systems)
    plain = 2 * solution.iterations.sum() + 2 * 5
    # Arnoldi 3 and the seed's residual 1; a start and a projected residual for each system
    extra = 3 + 1 + 5 + 5
    assert extra + plain - 2 * 5 <= refined.products <= extra + plain


def test_scipy_solvers_count_what_they_multiply():
    systems, solution, work, _ = solved("gmres", {})
    assert work.products >= solution.iterations.sum() + 2 * len(systems)
    again = make_solver("gmres")
    again.prepare(bank().problem, smooth_log_density())
    np.testing.assert_array_equal(again.solve(bank().systems(0, 1e-8)).x, solution.x)


def test_scipy_solvers_with_the_transform_take_fewer_products():
    systems, solution, with_p, _ = solved("bicgstab", {"preconditioner": "transform"})
    without = solved("bicgstab", {})[2]
    assert with_p.preconditioned > 0 and without.preconditioned == 0
    assert with_p.products < without.products
    assert (relative_residuals(systems.matrix, systems.rhs, solution.x) <= 1e-8).all()


def test_recycled_directions_cost_their_products():
    fresh = solved("recycled_gcrot", {"recycle": "none"})
    carried = solved("recycled_gcrot", {"k": 3})
    assert fresh[2].products == fresh[1].iterations.sum() + 2 * 5
    assert carried[2].products == carried[1].iterations.sum() + 2 * 5


def test_joint_space_of_one_seed_is_the_nearest_seeds():
    nearest = solved("cross_matrix_unrefined", {"dimension": 5}, n_seeds=1)[1].x
    joint = solved("cross_matrix_unrefined", {"dimension": 5, "space": "joint"}, n_seeds=1)[1].x
    np.testing.assert_allclose(joint, nearest, atol=1e-8 * np.abs(nearest).max())


def test_a_grown_space_solves_its_seed_without_refinement():
    options = {"dimension": SIZE**2, "grow": True}
    systems, solution, _, solver = solved("cross_matrix_unrefined", options, tolerance=1e-6)
    residuals = relative_residuals(systems.matrix, systems.rhs, solution.x)
    chosen = select_seeds(smooth_log_density(), 2).seeds
    assert (residuals[chosen] <= 1e-6).all()
    assert residuals.max() > 1e-6
    assert len(solver.dimensions) == 2 and max(solver.dimensions) < SIZE**2


def test_a_grown_space_stops_at_its_dimension():
    _, _, _, solver = solved("cross_matrix_galerkin", {"dimension": 3, "grow": True})
    assert solver.dimensions == [3, 3]


def test_the_chain_is_a_permutation_and_shortens_the_way():
    rng = np.random.default_rng(5)
    line = np.cumsum(rng.uniform(0.5, 1.5, 12))
    features = np.stack([np.sin(np.arange(30) * 0.1 + place) for place in line])
    features = features[rng.permutation(12)]
    chain = likeness_chain(features)
    assert sorted(chain) == list(range(12))
    rows = mean_free(features)
    distance = feature_distances(rows, rows)

    def way(order):
        return distance[order[:-1], order[1:]].sum()

    assert way(chain) < way(np.arange(12))
