from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from crosskrylov.equation.exact import exact_log_density
from crosskrylov.learning.sampling.reference import ExactReference
from crosskrylov.planning.studies import FIGURES_FOLDER
from crosskrylov.reporting.figures.layout import grid, headline, label_ends, spread
from crosskrylov.reporting.figures.studies.engine_speed import finding
from crosskrylov.reporting.figures.studies.potential_gap import plot_potential_gap
from crosskrylov.reporting.figures.studies.where_it_pays import advice
from crosskrylov.reporting.figures.style import (
    FAINT,
    FAMILIES,
    figure_style,
    model_styles,
    palette_for,
    save_figure,
)
from crosskrylov.reporting.tables.solvers import solver_table
from crosskrylov.runtime.declared import declared_in
from crosskrylov.solvers.base import FAMILIES as SOLVER_FAMILIES
from crosskrylov.studies.clocks import time_solvers
from crosskrylov.studies.companion_stencil import companion_stencil
from crosskrylov.studies.convergence import convergence
from crosskrylov.studies.diversity import diversity
from crosskrylov.studies.downstream import downstream
from crosskrylov.studies.error_budget import error_budget
from crosskrylov.studies.frontier import (
    CONVERGED,
    Laboratory,
    grid_cases,
    measure,
    reference_cases,
    tabulate,
)
from crosskrylov.studies.image_orders import image_orders, observed_orders
from crosskrylov.studies.inverse_problems import (
    inner_residuals,
    restoration_errors,
    restoration_table,
)
from crosskrylov.studies.likeness import likeness_correlation, likeness_pairs, seed_choice
from crosskrylov.studies.loader import loader_rates
from crosskrylov.studies.projection_residuals import projection_residuals
from crosskrylov.studies.recycling import recycling
from crosskrylov.studies.sampler_orders import (
    inversion_errors,
    inversion_table,
    order_table,
    sampler_errors,
)
from crosskrylov.studies.subspace_dimension import subspace_dimension
from crosskrylov.studies.system_summary import system_summary
from crosskrylov.studies.theory import theory
from crosskrylov.studies.time_to_residual import time_to_residual
from crosskrylov.studies.unrefined import unrefined
from crosskrylov.studies.warm_start import warm_start
from tests.laboratory import EQUATION, bank, seeds, smooth_log_density

SOLVERS = {"spsolve": {"method": "spsolve"}, "fast": {"method": "transform_bicgstab"}}


def seconds_per_image():
    clocks = time_solvers(EQUATION, smooth_log_density(), SOLVERS, {}, seeds(), [[1, 2]], 2, 0)
    return solver_table(pd.DataFrame(), clocks.assign(dataset="toy", image_size=10, seed=0))


def downstream_table():
    stored = bank()
    exact = stored.log_density[:, None]
    images = np.random.default_rng(0).random((5, 1, 10, 10), dtype=np.float32)
    moved = exact + 0.1 * np.linspace(0, 1, 10)[:, None]
    trajectories = {"a": exact, "b": moved}
    return downstream(
        images, stored.problem, np.array([4]), exact, trajectories, ["row", "sum"], "a"
    )


def frontier_table():
    projection = "cross_matrix_galerkin"
    solvers = SOLVERS | {
        "plain": {"method": projection, "options": {"dimension": 0}},
        "nearest": {"method": projection, "grid": True},
    }
    fields = smooth_log_density()
    laboratory = Laboratory(bank().problem, {"smoothed": lambda: fields}, [0.0], 2, {})
    cases = reference_cases(solvers) + grid_cases(solvers, [1], [4, CONVERGED], 40, len(fields))
    setting = {"tolerance": 1e-6, "start": "previous", "density": "smoothed"}
    cases = [replace(case, **setting) for case in cases]
    counts, seconds = measure(laboratory, cases, 2, np.random.default_rng(0))
    return tabulate(cases, counts, seconds, len(fields))


def recycling_table():
    solvers = {name: {"method": name} for name in ("gmres", "bicgstab", "recycled_gcrot")}
    sequence = (1e-6, [0.0], 2, 2)
    return recycling(
        *(bank().problem, smooth_log_density(), {}, solvers, "gmres", "bicgstab", ["none"]),
        *sequence,
    )


def unrefined_table():
    stored, steps = bank(), np.array([1, 4, 8])
    solvers = {
        "solved": {"method": "transform_bicgstab"},
        "alone": {"method": "cross_matrix_unrefined", "n_seeds": 2, "options": {"dimension": 4}},
    }
    exact = exact_log_density(stored.problem, stored.log_density, steps * stored.problem.time_step)
    images = np.random.default_rng(0).random((5, 1, 10, 10), dtype=np.float32)
    return unrefined(
        images, stored.log_density, stored.problem, steps, exact, solvers, {}, 1e-6, "row"
    )


def theory_table(name):
    options = {"dimensions": [4, 8], "tolerance": 1e-6, "n_norms": 1, "n_bins": 12}
    return theory(bank(), seeds(), **options)[name]


def engine_speed_table():
    """Two engines at two sizes, and a streamed run."""
    rows = [
        ("spsolve", 16, 400.0, 1.0, 2),
        ("spsolve", 32, 2000.0, 1.0, 2),
        ("exact", 16, 2.0, 200.0, 8),
        ("exact", 32, 1.0, 2000.0, 8),
        ("exact", 32, 0.5, 4000.0, 500),
    ]
    names = ["engine", "size", "ms_per_image", "speedup_vs_spsolve", "n_images"]
    table = pd.DataFrame(rows, columns=names).assign(workers=1)
    for name, of in (("low", "ms_per_image"), ("speedup_low", "speedup_vs_spsolve")):
        table[name] = 0.9 * table[of]
    for name, of in (("high", "ms_per_image"), ("speedup_high", "speedup_vs_spsolve")):
        table[name] = 1.1 * table[of]
    return table


def scaling_table():
    """Two engines at two sizes, whole runs and what a model says of them."""
    rows = [("exact", 16, 0.1, 0.1), ("exact", 32, 0.4, -0.2), ("batched", 16, 2.0, 0.05)]
    table = pd.DataFrame(rows, columns=["engine", "size", "seconds", "residual"])
    table["seconds_fitted"] = table.seconds * (1 + table.residual)
    return table.assign(n_images=8, stored_steps=10)


def map_table(gains=((4.0, 0.5), (2.0, 0.6), (0.5, 0.7)), spread=1.1):
    """Gains of a factorisation and of recycling at three distances, with a place left unsolved."""
    rows = []
    for number, (factor, recycled) in enumerate(gains):
        place = {"family": "darcy", "size": 8, "parameter": number, "condition": 10.0**number}
        place |= {"similarity": 1 / (1 + 10.0**number / 10), "n_systems": 3, "tolerance": 1e-6}
        for solver, gain, shares in (
            ("superlu", 1.0, False),
            ("lu_of_mean", factor, True),
            ("recycled_gcrot", recycled, True),
            ("pod", np.nan, True),
        ):
            interval = {"gain_low": gain / spread, "gain_high": gain * spread}
            rows.append(
                place | interval | {"solver": solver, "gain_vs_baseline": gain, "shares": shares}
            )
    return pd.DataFrame(rows)


def sampler_table(name):
    """A sampler of every family, and one of them run backwards."""
    images = torch.sign(torch.randn((4, 1, 4, 4), generator=torch.Generator().manual_seed(1)))
    if name == "inversion":
        trips = inversion_errors(images, ["o_belm"], [3, 6], 2, (0.02, 20.0), 0)
        return inversion_table(trips)
    reference = ExactReference(images, n_samples=4)
    samplers = ["ddim", "o_belm", {"method": "kinetic_optimal", "options": {"path": "vp"}}, "ghvb"]
    return order_table(sampler_errors(reference, samplers, [5, 9], 2), 4)


def restored_table(name):
    """Two operators, two methods and the references, or the residuals inside one of them."""
    images = torch.sign(torch.randn((4, 1, 8, 8), generator=torch.Generator().manual_seed(1)))
    shared = {"noises": [0.0, 0.5], "n_problems": 2, "groups": 2, "seed": 0}
    operators = ["super_resolution", "blur"]
    if name == "inverse_residuals":
        return inner_residuals(images, operators, [0.5, 2.0], gamma=1.0, steps=3, **shared)
    methods = ["exact_sample", "pseudo_inverse", "dds", "red_diff"]
    return restoration_table(
        restoration_errors(images, operators, methods, [3, 6], draws=2, **shared)
    )


def objective_table(name):
    """Two seeds of three objectives, one of which is compared with itself."""
    rows = [
        {
            "dataset": "digits8",
            "image_size": 8,
            "seed": seed,
            "model": model,
            "against": "dsm_512" if model == "dsm_512" else "dsm",
            "quantity": "frechet",
            "sampler": sampler,
            "function_evaluations": 99,
            "steps": steps,
            "sigma": 0.1 * steps,
            "own_noise": False,
            "frechet": size * seed / steps,
            "error": size * seed / steps,
            "residual": 0.3 * size * seed / steps,
        }
        for seed in (1, 2)
        for size, model in enumerate(("dsm", "immiscible", "dsm_512"), 1)
        for sampler in ("heun", "reverse_sde")
        for steps in (10, 20, 40)
    ]
    return pd.DataFrame(rows)


def potential_table():
    """Two seeds of the exact model and two weights."""
    rows = [
        {
            "dataset": "nine_gaussians",
            "seed": seed,
            "network": network,
            "weight": weight,
            "group": 0,
            "samples": 50,
            "gap": 0.2 + 0.1 * k * seed,
            "floor": 0.2,
            "ode_data": 0.2 + 0.2 * k,
            "sde_data": 0.2 + 0.1 * k,
            "ode_outside": 0.02,
            "sde_outside": 0.0,
            "score_residual": 1e-15 if k == 0 else 0.1 * k * seed,
        }
        for seed in (1, 2)
        for k, (network, weight) in enumerate(
            (("exact", np.nan), ("weight 1", 1.0), ("weight 0", 0.0))
        )
    ]
    return pd.DataFrame(rows)


def network_table():
    """Two seeds of a network and the exact model by samplers of two families, and the floor."""
    floor = {"model": "images", "family": "floor", "sampler": "other half", "frechet": 0.4}
    rows = [
        {"model": model, "family": family, "sampler": sampler, "frechet": (size + 5 / made) * seed}
        | {"seed": seed, "function_evaluations": made}
        for seed in (1, 2)
        for size, model in enumerate(("exact", "dsm"), 1)
        for family, sampler in (("others", "sada"), ("others", "lml"), ("interpolants", "kappa 1"))
        for made in (5, 10, 20)
    ]
    rows += [floor | {"seed": seed, "function_evaluations": 0} for seed in (1, 2)]
    return pd.DataFrame(rows).assign(dataset="digits8", image_size=8)


TABLES = {
    "network_samplers": network_table,
    "potential_gap": potential_table,
    "inverse_problems": lambda: restored_table("inverse_problems"),
    "inverse_residuals": lambda: restored_table("inverse_residuals"),
    "objective_curves": lambda: objective_table("objective_curves"),
    "objective_scores": lambda: objective_table("objective_scores"),
    "objective_residuals": lambda: objective_table("objective_residuals"),
    "objective_samplers": lambda: objective_table("objective_samplers"),
    "sampler_orders": lambda: sampler_table("sampler_orders"),
    "inversion": lambda: sampler_table("inversion"),
    "frontier": frontier_table,
    "recycling": recycling_table,
    "unrefined": unrefined_table,
    "companion_stencil": lambda: companion_stencil(
        EQUATION, smooth_log_density()[:1], 3, 1e-6, ["wrapped_rows", "both"]
    ),
    "image_orders": lambda: observed_orders(
        image_orders(
            EQUATION,
            smooth_log_density()[:2],
            [1, 3, 5],
            [2, 4, 8],
            method="transform_bicgstab",
        )
    ),
    "theory_floor": lambda: theory_table("theory"),
    "theory_iterations": lambda: theory_table("theory"),
    "theory_spectra": lambda: theory_table("theory_spectra"),
    "seconds_per_image": seconds_per_image,
    "projection_residuals": lambda: projection_residuals(
        EQUATION, smooth_log_density(), seeds(), 4, method="transform_bicgstab"
    ),
    "time_to_residual": lambda: time_to_residual(bank(), SOLVERS, [1e-4, 1e-8], seeds(), 1),
    "subspace_dimension": lambda: subspace_dimension(bank(), seeds(), [2, 4]),
    "likeness": lambda: likeness_correlation(likeness_pairs(bank(), 4), permutations=19),
    "seed_choice": lambda: seed_choice(bank(), 4, [1, 2], random_draws=2),
    "diversity": lambda: diversity(bank(), seeds(), 4),
    "warm_start": lambda: warm_start(
        bank(), seeds(), {"b": {"method": "bicgstab"}}, ["previous"], [1e-6], 4
    ),
    "error_budget": lambda: error_budget(
        EQUATION,
        smooth_log_density()[:1],
        {"method": "splu"},
        {},
        [1e-2, 1e-6],
        [1e-6],
        [4, 8],
        [1, 2],
    ),
    "loader": lambda: loader_rates([8, 12], 8, **LOADER),
    "system_summary": lambda: system_summary(bank(), 1),
    "downstream": downstream_table,
    "engine_speed": engine_speed_table,
    "scaling": scaling_table,
    "where_it_pays": map_table,
    "convergence": lambda: convergence([2, 4], [9, 17], fine_size=17, method="transform_bicgstab"),
}


LOADER = {
    "workers": [1, 2],
    "repeats": 1,
    "batch_size": 4,
    "store_mb": 10,
    "source": "photos",
    "file_size": 16,
    "random_seed": 0,
}


def labelled(name):
    table = TABLES[name]()
    if "dataset" in table:  # made of all runs already
        return table
    origin = {"dataset": "toy", "image_size": 10, "seed": 0}
    second = {"dataset": "toy", "image_size": 10, "seed": 1}
    return pd.concat([table.assign(**origin), table.assign(**second)], ignore_index=True)


def test_every_figure_is_tested():
    assert set(TABLES) == set(declared_in(FIGURES_FOLDER))


@pytest.mark.parametrize("name", TABLES)
def test_figure_is_drawn_the_same_twice(name, tmp_path):
    table = labelled(name)
    plot = declared_in(FIGURES_FOLDER)[name].load("crosskrylov.reporting.figures.studies")
    for copy in ("first", "second"):
        save_figure(plot(table), tmp_path / f"{copy}.svg", tmp_path / f"{copy}.png")
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()
    pixels = np.asarray(Image.open(tmp_path / "first.png").convert("L"))
    assert (pixels < 128).mean() > 0.001  # something is drawn
    assert (pixels == 255).mean() > 0.5


def test_a_panel_has_seven_colours_and_faint_lines_beyond():
    colours = palette_for(map(str, range(12)))
    assert len(set(list(colours.values())[:7])) == 7
    assert set(list(colours.values())[7:]) == {FAINT}


def test_models_keep_their_looks_whoever_is_beside_them():
    alone, beside = model_styles(["dsm"]), model_styles(["score_embedding", "ddpm", "dsm", "new"])
    assert alone["dsm"] == beside["dsm"]
    assert len({style["color"] for style in beside.values()}) == 4
    assert list(beside)[-1] == "new"


def test_networks_whose_samples_left_the_square_leave_a_figure(tmp_path):
    table = potential_table()
    table.loc[table.weight.notna(), ["gap", "floor", "ode_data", "sde_data"]] = np.nan
    save_figure(plot_potential_gap(table), tmp_path / "f.svg", tmp_path / "f.png")
    assert "Too few samples" in (tmp_path / "f.svg").read_text()


def test_models_of_one_objective_share_a_colour_and_differ_by_dashes():
    first, second = model_styles(["dsm", "dsm_scaled"]).values()
    assert first["color"] == second["color"]
    assert first["linestyle"] != second["linestyle"]


def test_every_family_of_solvers_has_a_colour():
    assert set(SOLVER_FAMILIES) == set(FAMILIES)


# --- headline and labels ------------------------------------------------------------------------


def test_the_finding_is_the_title_of_both_files(tmp_path):
    finding = "Everything " * 20 + "is <found> & said."
    with figure_style():
        figure, _ = grid(1, 1)
        headline(figure, finding, "toy, one seed")
    save_figure(figure, tmp_path / "f.svg", tmp_path / "f.png")
    assert Image.open(tmp_path / "f.png").text["Title"] == finding
    assert "is &lt;found&gt; &amp; said.</dc:title>" in (tmp_path / "f.svg").read_text()


def test_headline_stays_inside_the_figure_and_above_the_panels():
    with figure_style():
        figure, axes = grid(1, 1)
        headline(figure, "A finding " * 15, "a subtitle " * 20)
        figure.draw_without_rendering()
        title, subtitle = figure._suptitle.get_window_extent(), figure.axes[0].texts[0]
        below = subtitle.get_window_extent()
        assert max(title.x1, below.x1) <= figure.bbox.x1
        assert below.y0 >= axes[0][0].get_window_extent().y1
        assert below.y1 < title.y1 - 20  # under the finding's lines


def test_labels_are_moved_apart_as_little_as_it_takes():
    assert spread([0.0, 10.0], 5, 0, 100) == pytest.approx([0, 10])
    assert spread([50.0, 51.0], 5, 0, 100) == pytest.approx([48, 53])
    assert np.diff(spread([1.0, 1.0, 2.0, 99.0, 99.0], 5, 0, 100)).min() >= 5 - 1e-9
    assert spread([0.0, 0.0, 0.0], 5, 0, 100)[0] >= 0
    assert spread([100.0, 100.0], 5, 0, 100)[-1] <= 100


def test_labels_at_the_ends_of_lines_do_not_overlap():
    with figure_style():
        figure, axes = grid(1, 1)
        for k in range(6):
            axes[0][0].plot([1, 2], [1, 1 + 1e-3 * k], label=f"line {k}")
        headline(figure, "Six lines.", "")
        label_ends(axes[0][0])
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in axes[0][0].texts if text.get_text()]
    assert len(boxes) == 6
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])


def test_the_advice_says_what_the_table_holds():
    assert advice(map_table()) == (
        "Sharing pays in 2 of 3 cases (median gain 3; best by a factorisation in 2), in all 2 with "
        "δ ≤ 1 and condition ≥ 1; it loses in 1, in all with δ ≥ 10"
    )
    # intervals that hold 1 are no gain and no loss
    assert advice(map_table(spread=5.0)) == "Sharing pays in 0 of 3 cases; 3 undecided"
    # the first case loses, at the smallest distance and condition
    mixed = advice(map_table(gains=((0.5, 0.5), (2.0, 0.6), (0.5, 3.0))))
    assert "in 2 of 3 cases" in mixed and "in all 2 with δ ≤ 10 and condition ≥ 10" in mixed
    assert "loses in 1" in mixed and "δ ≥" not in mixed
    nothing = map_table().assign(gain_vs_baseline=np.nan)
    assert advice(nothing) == "No method that shares solved every system of a family."


def test_the_speeds_of_a_title_are_those_of_the_table():
    assert (
        finding(engine_speed_table()) == "Times as fast as assembly + SpSolve: exact 200 to 2,000"
    )
