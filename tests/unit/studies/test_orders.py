from dataclasses import replace

import numpy as np
import pytest

from crosskrylov.equation.assembly import assemble_systems
from crosskrylov.equation.exact import exact_log_density
from crosskrylov.equation.problem import problem_from_config
from crosskrylov.errors import ConfigError
from crosskrylov.studies.common import regions
from crosskrylov.studies.companion_stencil import VARIANTS, Variant, assembled, companion_stencil
from crosskrylov.studies.convergence import closed_form
from crosskrylov.studies.image_orders import (
    GRIDS,
    first_residual,
    grid_scores,
    image_orders,
    observed_orders,
    refined_log_density,
    semi_discrete,
)
from tests.laboratory import EQUATION, smooth_log_density


def test_regions_divide_the_image():
    masks = regions((4, 6))
    assert masks["border"].sum() == 16 and masks["interior"].sum() == 8
    assert (masks["border"] ^ masks["interior"]).all() and masks["all"].all()


@pytest.mark.parametrize("boundary", ["zero_padding", "reflecting"])
def test_the_unrefined_grid_is_the_exact_engine(boundary):
    problem = replace(problem_from_config(EQUATION, 10, 10), boundary=boundary)
    field = smooth_log_density()[0]
    expected = exact_log_density(problem, field[None], [0.02, 0.08])[0]
    taus = [problem.diffusion.tau(t) for t in (0.02, 0.08)]
    for kind, pixel in GRIDS:
        if kind == boundary:
            found = semi_discrete(field, problem.spacing, taus, kind, pixel)
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


def test_density_1_is_held_on_the_edge_of_the_cells():
    # u = p - 1 odd about the edge: sin(pi (i + 1/2) / n) is a mode, and decays as it should
    n, h, tau = 12, 0.1, 0.03
    mode = 0.5 * np.sin(np.pi * (np.arange(n) + 0.5) / n)
    field = np.log(1 + mode[:, None] * mode[None, :])
    rate = (2 * np.cos(np.pi / n) - 2) / h**2
    expected = np.log(1 + np.exp(2 * tau * rate) * mode[:, None] * mode[None, :])
    found = semi_discrete(field, h, [tau], "density_1_at_edge", "cell")[0]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("pixel", ["node", "cell"])
def test_refined_grids_keep_the_pixels_values(pixel):
    field = smooth_log_density()[0]
    fine = refined_log_density(field, 3, pixel)
    first = 0 if pixel == "node" else 1
    assert fine.shape == ((28, 28) if pixel == "node" else (30, 30))
    np.testing.assert_allclose(fine[first::3, first::3], field, atol=1e-9)


def test_order_two_on_a_smooth_closed_form_that_no_boundary_touches():
    # every boundary is met by the closed form, so that where it stands makes no difference
    n = 33
    problem = replace(problem_from_config(EQUATION, n, n), spacing=1 / (n - 1))
    field, _ = closed_form(n, 0.0)
    tau = [problem.diffusion.tau(0.02)]
    for boundary, pixel in GRIDS:
        s = [grid_scores(problem, field, tau, r, boundary, pixel)["solution"] for r in (1, 3, 9)]
        order = np.log(np.linalg.norm(s[0] - s[1]) / np.linalg.norm(s[1] - s[2])) / np.log(3)
        assert order == pytest.approx(2, abs=0.1), (boundary, pixel)


def test_where_the_boundary_moves_with_the_grid_the_order_is_one():
    table = image_orders(
        EQUATION, smooth_log_density()[:2], [1, 3, 9], [4, 8, 16], method="transform_bicgstab"
    )
    orders = observed_orders(table)
    h = orders[(orders.varied == "h") & (orders.quantity == "solution") & (orders.region == "all")]
    assert (h[h.pixel == "node"].order < 1.4).all()
    assert (h[h.pixel == "cell"].order > 1.7).all()
    assert (orders.low <= orders.order).all() and (orders.order <= orders.high).all()
    parts = table[table.region != "all"].groupby(
        ["boundary", "pixel", "varied", "quantity", "setting", "image"]
    )
    np.testing.assert_allclose(parts.share.sum(), 1.0)


@pytest.mark.parametrize(
    ("refinements", "time_steps", "message"),
    [
        ([1, 2, 4], [4, 8, 16], "all odd"),
        ([1, 3], [4, 8, 16], "at least three"),
        ([1, 3, 5], [4, 6, 16], "multiples of the smallest"),
    ],
)
def test_settings_that_give_no_order_are_refused(refinements, time_steps, message):
    with pytest.raises(ConfigError, match=message):
        image_orders(
            EQUATION, smooth_log_density(), refinements, time_steps, method="transform_bicgstab"
        )


def test_the_border_s_share_of_the_first_residual():
    table = first_residual(EQUATION, smooth_log_density()).set_index("boundary")
    problem = problem_from_config(EQUATION, 10, 10)
    field = smooth_log_density()[:1]
    matrix, rhs = assemble_systems(problem, 1, field, field)
    squared = (rhs - matrix.apply(field))[0] ** 2
    share = 1 - squared[1:-1, 1:-1].sum() / squared.sum()
    found = table.loc["zero_padding"]
    assert found.border_share_min <= share <= 1 and found.border_pixels == pytest.approx(0.36)


def test_assembly_without_a_defect_is_that_of_equation_4():
    problem = problem_from_config(EQUATION, 6, 5)
    iterate = np.random.default_rng(0).standard_normal((6, 5))
    matrix, _ = assemble_systems(problem, 1, iterate[None], iterate[None])
    expected = matrix.take(0).to_csr().toarray()
    found = {name: assembled(problem, 1, iterate, v).toarray() for name, v in VARIANTS.items()}
    np.testing.assert_allclose(found["equation_4"], expected, atol=1e-9)
    wrapped = found["wrapped_rows"] - expected
    # nothing but (end of a row, start of the next) and back
    places = {(p, q) for p, q in zip(*np.nonzero(np.abs(wrapped) > 1e-9))}
    ends = [(5 * k + 4, 5 * k + 5) for k in range(5)]
    assert places == {*ends, *((q, p) for p, q in ends)}
    # the entry (p, p + 1) has the neighbour's advective coefficient
    moved = found["neighbours_drift"]
    assert moved[0, 1] == pytest.approx(expected[1, 2])
    assert moved[1, 0] == pytest.approx(expected[2, 1], rel=1) and moved[1, 0] != expected[1, 0]
    assert moved[7, 12] == pytest.approx(expected[12, 17])
    np.testing.assert_allclose(np.diag(moved), np.diag(expected))
    signed = assembled(problem, 1, iterate, Variant(forward_sign=True)).toarray()
    diffusion = problem.half_g2(1) / problem.spacing**2
    np.testing.assert_allclose(np.triu(signed - expected, 1).max(), 2 * diffusion)
    np.testing.assert_allclose(np.tril(signed), np.tril(expected), atol=1e-9)


def test_the_defects_move_the_scores_and_the_border_first():
    table = companion_stencil(
        EQUATION, smooth_log_density()[:1], 5, 1e-6, ["wrapped_rows", "neighbours_drift"]
    )
    none = table[table.variant == "equation_4"]
    assert (none.difference_mean == 0).all() and none.error_mean.min() > 0
    first = table[(table.step == 1) & (table.variant == "wrapped_rows")].set_index("region")
    assert first.difference_mean["border"] > first.difference_mean["interior"] > 0
    assert set(table.variant) == {"equation_4", "wrapped_rows", "neighbours_drift"}
