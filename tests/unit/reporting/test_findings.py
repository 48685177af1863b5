"""The sentence above each figure follows from its table: other numbers, another sentence."""

import pandas as pd
import pytest

from crosskrylov.reporting.figures import controls, generation, seconds, survival, training
from crosskrylov.reporting.figures.studies import (
    companion_stencil,
    convergence,
    diversity,
    downstream,
    engine_speed,
    error_budget,
    frontier,
    image_orders,
    inverse_problems,
    likeness,
    loader,
    network_samplers,
    potential_gap,
    projection_residuals,
    recycling,
    sampler_orders,
    scaling,
    seconds_per_image,
    seed_choice,
    subspace_dimension,
    system_summary,
    theory,
    time_to_residual,
    training_objectives,
    unrefined,
    warm_start,
    where_it_pays,
)
from crosskrylov.reporting.tables.learning_rates import rates_sentence

ORIGIN = {"dataset": "toy", "image_size": 8, "seed": 0}


def rows(columns, *values, **constant):
    table = pd.DataFrame(values, columns=columns.split())
    return table.assign(**{k: v for k, v in (ORIGIN | constant).items() if k not in table})


def orders(time, space):
    return rows(
        "varied step_size order",
        *[("time_step", 0.1, None), ("time_step", 0.05, time)],
        *[("spacing", 0.1, None), ("spacing", 0.05, space)],
        boundary="zero_padding",
    )


def effects(*verdicts):
    table = rows(
        "verdict ratio",
        *((verdict, 0.5 + k) for k, verdict in enumerate(verdicts)),
        reference="row",
        scaled=False,
        reference_scaled=False,
    )
    return table.assign(control=["quiet", "noise_only"][: len(verdicts)])


def arrived(**counts):
    return rows(
        "control reached",
        *((name, k < count) for name, count in counts.items() for k in range(2)),
        scaled=False,
    )


def swept(best, at_the_end):
    return rows(
        "learning_rate chosen at_the_end",
        *((rate, rate == best, rate == best and at_the_end) for rate in (0.001, 0.002)),
        family="score",
        metric="ssim_global",
        target=0.99,
        n_reached=3,
    )


def sets(*left):
    table = rows("dataset basis residual_median image_distance_mean", step=1)
    for k, value in enumerate(left):
        for basis, residual in (("start only", 1.0), ("nearest seed", value)):
            table.loc[len(table)] = {
                **ORIGIN,
                "dataset": f"set{k}",
                "basis": basis,
                "residual_median": residual,
                "image_distance_mean": k,
                "step": 1,
            }
    return table


def solvers_seconds(spsolve, fast):
    names = [("spsolve", "direct", spsolve), ("fast_one", "krylov", fast)]
    table = rows("solver family solve_seconds", *names, setup_seconds=0.0, n_images=1)
    return table.assign(method=table.solver, tolerance=1e-6)


def starts(first, second):
    return rows(
        "basis iterations_with", ("a", first), ("b", second), iterations_without=10.0, start="zero"
    )


def errors(coarse, fine, loose):
    return rows(
        "source setting score_error_mean",
        *[("time_step", 10, coarse), ("time_step", 20, fine)],
        *[("linear", 1e-2, loose), ("linear", 1e-6, fine)],
    )


def projected(target):
    values = [("target", "start", 1.0), ("target", "projected", target)]
    return rows("role stage residual_median", *values, step=1)


def chosen(one, many, worst):
    values = [("a", 1, one), ("a", 8, many), ("b", 1, one), ("b", 8, worst)]
    return rows("selection n_seeds residual_median", *values, basis="joint", step=1)


def dimensions(last):
    values = [(2, 1.0), (8, last)]
    constant = {"basis": "nearest seed", "projection": "galerkin", "step": 1}
    return rows("dimension residual_median", *values, **constant)


def conditions(early, late):
    return rows("step condition_2", (1, early), (9, late))


def reached(*models):
    return rows("model reached total_seconds", *models, experiment="single_image", target_ssim=0.9)


def sampled(first, second):
    values = [("heun", first), ("ddim", second)]
    return rows(
        "sampler value",
        *values,
        experiment="samplers",
        metric="frechet_x",
        function_evaluations=10,
        model="ddpm",
    )


def scored(**errors):
    """Return a table of score errors: a seed per value, the same at both levels."""
    return pd.DataFrame(
        [
            {"experiment": "budget", "dataset": "toy", "image_size": 8, "model": model}
            | {"seed": seed, "sigma": sigma, "error_normalised": value}
            | {"trained_sigma_min": 0.02, "trained_sigma_max": 20.0}
            for model, values in errors.items()
            for seed, value in enumerate(values)
            for sigma in (0.1, 1.0)
        ]
    ).astype({"error_normalised": float})


def judged(*rows):
    """Return a table of quality of models at numbers of samples, to the held-out images."""
    return pd.DataFrame(
        [
            {"experiment": "quality", "dataset": "toy", "image_size": 8, "seed": 1}
            | {"reference": "held_out", "metric": "frechet_haar"}
            | {"model": model, "n_samples": n, "value": value}
            for model, n, value in rows
        ]
    )


def trained(*ends):
    return rows("model seed train_seconds frechet_x", *ends, step=1)


def varied(beyond):
    return rows(
        "variant outcome n_runs n_seeds beyond_seed_spread",
        ("published", "steps_to_ssim", 3, 3, None),
        ("lambda_0.2", "steps_to_ssim", 3, 3, beyond),
    )


def between(name, value, spread):
    """Return a value and its interval under the names of a table's columns."""
    return {name: value, f"{name}_low": value / spread, f"{name}_high": value * spread}


def marches(spread, **speedups):
    rest = {"study": "trajectory", "family": "krylov", "image_size": 8, "dataset": "toy"}
    return pd.DataFrame(
        {"solver": name, **rest, **between("speedup_vs_spsolve", value, spread)}
        for name, value in ({"spsolve": 1.0} | speedups).items()
    )


def grid_points(*ratios, spread=1.1):
    found = pd.DataFrame(between("seconds_vs_unprojected", ratio, spread) for ratio in ratios)
    return found.assign(varied="grid")


def recycled(products, seconds, spread):
    table = pd.DataFrame([between("seconds_vs_warm_bicgstab", seconds, spread)])
    way = {"recycle": "images", "solver": "a", "preconditioner": "none", "start": "zero"}
    return table.assign(products_vs_warm_bicgstab=products, **ORIGIN, **way)


def ends(alone):
    values = [("solved", True, None, 0.1), ("alone", False, 3.0, alone)]
    return rows("solver states_tolerance n_seeds score_error", *values, step=9)


def floors(*held):
    values = [(m, share) for m, share in zip((4, 8), held)]
    constant = {"statement": "floor", "predicted": 0.1, "measured": 0.2, "n_targets": 3}
    return rows("dimension holds", *values, **constant)


def spectra(start, projected):
    values = [("start", start), ("start", 1 - start), ("projected", projected)]
    return rows("stage energy", *values, ("projected", 1 - projected), step=9)


def counts(*largest):
    values = [(f"toy{n}", n, value) for n, value in zip((8, 16), largest)]
    constant = {"statement": "gmres", "predicted": 9.0, "holds": 1.0, "n_targets": 3}
    return rows("dataset image_size measured", *values, **constant)


def companion(difference, finite=True):
    values = [(1, difference), (9, 2 * difference)]
    constant = {"variant": "wrapped_rows", "region": "all", "finite": finite}
    return rows("step difference_mean", *values, **constant)


def image_pairs(cell, node):
    values = [("cell", cell, cell - 0.1, cell + 0.1), ("node", node, node - 0.1, node + 0.1)]
    constant = {"varied": "h", "quantity": "solution", "region": "all", "setting": 1}
    return rows("pixel order low high", *values, boundary="reflecting", **constant)


def rates(fly, cached, spread=1.1):
    values = [("on_the_fly", fly), ("stored_cached", cached)]
    table = rows("scores images_per_second", *values, workers=1, size=8)
    rate = table.images_per_second
    return table.assign(low=rate / spread, high=rate * spread)


def engines(spread, **speedups):
    values = [(name, value, value / spread, value * spread) for name, value in speedups.items()]
    columns = "engine speedup_vs_spsolve speedup_low speedup_high"
    return rows(columns, *values, size=8, workers=1, n_images=2)


def costs(*residuals):
    return pd.DataFrame({"engine": "exact", "residual": residuals})


def sharing(gain, spread=1.1):
    table = pd.DataFrame([{"gain_vs_baseline": gain, "gain_low": gain / spread}])
    place = {"family": "darcy", "size": 8, "parameter": 1, "condition": 10.0, "similarity": 0.5}
    return table.assign(gain_high=gain * spread, solver="lu_of_one", shares=True, **place)


def at_ten(**errors):
    """Errors that fall like 1/n, by sampler, known on both sides of ten evaluations."""
    values = [(name, n, error / n) for name, error in errors.items() for n in (8, 12)]
    return rows("sampler function_evaluations error", *values)


def drawn(**distances):
    """Fréchet distances of one network and the floor, known on both sides of ten evaluations."""
    values = [("dsm", "f", name, n, d) for name, d in distances.items() for n in (8, 12)]
    values += [("exact", "f", name, 8, 0.1) for name in distances]
    values.append(("images", "floor", "other half", 0, 0.5))
    return rows("model family sampler function_evaluations frechet", *values)


def ended(**values):
    """Objectives with their last Fréchet distance, or error; the first one is the reference."""
    pairs = [(name, value, value, name == "own") for name, value in values.items()]
    first = next(iter(values))
    return rows("model frechet error own_noise", *pairs, steps=9, against=first)


def left_over(**values):
    """Residual and score error of networks, and the exact model, which is not one of them."""
    pairs = [("exact", 0.0, 0.0), *((name, *both) for name, both in values.items())]
    return rows("model residual error", *pairs, sigma=1.0)


def gaps_by_weight(**seeds):
    """Gaps of the exact model, of weight 0 and of weight 10, of every random seed."""
    found = [
        (seed, name, weight, gap)
        for seed, gaps in seeds.items()
        for (name, weight), gap in zip((("exact", None), ("weight 0", 0), ("weight 10", 10)), gaps)
    ]
    rest = dict.fromkeys(
        ("floor", "ode_data", "sde_data", "ode_outside", "sde_outside", "score_residual"), 0.1
    )
    return rows("seed network weight gap", *found, dataset="nine_gaussians", **rest)


def by_sampler(**values):
    """Fréchet distances of objectives by two samplers."""
    pairs = [(k, name, v) for k, both in values.items() for name, v in zip(("s1", "s2"), both)]
    return rows("model sampler error", *pairs, quantity="frechet", function_evaluations=99)


def lost(**errors):
    """Round trips of 50 steps in single precision."""
    values = [(name, error) for name, error in errors.items()]
    return rows("sampler error", *values, steps=50, precision="float32", direction="noise")


def restored(**errors):
    """Restorations for two operators, in units of a posterior draw's error."""
    values = [
        (operator, name, 0 if name == "exact_sample" else 50, error)
        for operator in "ab"
        for name, error in {"exact_sample": 1.0, **errors}.items()
    ]
    return rows("operator method function_evaluations posterior_error", *values, noise=1.0)


def inner(**ends):
    """Residuals of three iterations, without noise."""
    values = [(name, n, end if n == 3 else 1.0) for name, end in ends.items() for n in range(4)]
    return rows("operator iteration residual", *values, system="projection")


CASES = {
    "seconds_per_image": (
        seconds_per_image.finding,
        (marches(1.1, fast_one=10.0), "fast one, 90 % below SpSolve"),
        (marches(1.1, slow_one=0.5), "Nothing is faster"),
    ),
    "seconds_per_image undecided": (
        seconds_per_image.finding,
        (marches(1.5, a=10.0, b=9.0), "a, 90 % below SpSolve; intervals overlap with b"),
        (marches(20.0, a=10.0), "undecided by its interval on toy"),
    ),
    "frontier": (
        frontier.finding,
        (grid_points(0.5, 0.6, 1.05), "Of 3 choices of seeds and dimension 2 take less time"),
        (grid_points(2.0, 3.0, 1.05), "none takes less time than the same refinement"),
    ),
    "recycling": (
        recycling.finding,
        (recycled(2.0, 2.0, 1.1), "1 takes fewer products than warm-started Bi-CGSTAB; in time 1"),
        (recycled(0.5, 0.5, 3.0), "none takes fewer"),
    ),
    "recycling undecided": (
        recycling.finding,
        (recycled(0.5, 0.5, 3.0), "none take less, 0 more, 1 undecided"),
        (recycled(0.5, 0.5, 1.1), "none take less, 1 more, 0 undecided"),
    ),
    "unrefined": (
        unrefined.finding,
        (ends(12.0), "error is 120 (alone) times"),
        (ends(0.1), "within 5 % of a solved"),
    ),
    "theory_floor": (
        theory.floor_finding,
        (floors(1.0, 1.0), "No residual is below the floor"),
        (floors(1.0, 0.5), "not below the floor that holds where A = P: 100.0% at m = 4 and 50.0%"),
    ),
    "theory_spectra": (
        theory.spectra_finding,
        (spectra(0.9, 0.6), "wider on 1 of 1 set: energy outside its fullest interval 10% before"),
        (spectra(0.6, 0.9), "narrower on 1 of 1 set"),
    ),
    "theory_iterations": (
        theory.iterations_finding,
        (counts(4.0, 4.0), "do not change with the size: 4 at 8² and 4 at 16²"),
        (counts(4.0, 6.0), "grow from the smallest to the largest size"),
    ),
    "companion_stencil": (
        companion_stencil.finding,
        (companion(0.5), "moves the scores at steps 1 and 9 by 50% and 100% (wrapped rows)"),
        (companion(0.5, finite=False), "leaves no finite scores with wrapped rows"),
    ),
    "image_orders": (
        image_orders.finding,
        (image_pairs(2.0, 1.0), "depends on what a pixel is: 2.00 with a pixel as cell, 1.00"),
        (image_pairs(1.05, 1.0), "does not clearly depend"),
    ),
    "loader": (
        loader.finding,
        (rates(1.0, 2.0), "faster than those on the fly in 1 of 1 cases (slower in 0)"),
        (rates(2.0, 1.0), "in 0 of 1 cases (slower in 1)"),
    ),
    "engine_speed": (
        engine_speed.finding,
        (engines(1.1, exact=50.0, batched=5.0), "exact 50, batched 5"),
        (engines(1.1, exact=5.0, batched=50.0), "batched 50, exact 5"),
    ),
    "engine_speed undecided": (
        engine_speed.finding,
        (engines(3.0, batched=2.0), "undecided somewhere for batched"),
        (engines(1.1, batched=2.0), "batched 2"),
    ),
    "scaling": (
        scaling.finding,
        (costs(0.1, -0.1, 0.3), "exact 10% (at most 30%)"),
        (costs(0.2, -0.2, 0.2), "exact 20% (at most 20%)"),
    ),
    "where_it_pays": (
        where_it_pays.advice,
        (sharing(2.0), "pays in 1 of 1 cases"),
        (sharing(0.5), "pays in 0 of 1 cases; it loses in 1"),
    ),
    "convergence": (
        convergence.finding,
        (orders(0.9, 2.0), "as expected"),
        (orders(0.9, 1.1), "less than expected in the grid spacing"),
    ),
    "diversity": (
        diversity.finding,
        (sets(0.1, 0.2, 0.3), "smaller a set's distance d, the more"),
        (sets(0.3, 0.2, 0.1), "larger a set's distance d, the more"),
    ),
    "no order in diversity": (
        diversity.finding,
        (sets(0.1, 0.3, 0.2), "does not follow"),
        (sets(0.1), "Too few sets"),
    ),
    "downstream": (
        downstream.finding,
        (rows("rms_vs_spsolve_max rms_vs_exact_max", (1e-6, 1e-2)), "hardly matters"),
        (rows("rms_vs_spsolve_max rms_vs_exact_max", (1e-1, 1e-2)), "the scores matters"),
    ),
    "error_budget": (
        error_budget.finding,
        (errors(1.0, 0.5, 0.5), "more time steps 2.0-fold, not with linear tolerances below 0.01"),
        (errors(0.5, 0.5, 0.9), "Neither time steps nor grids"),
    ),
    "likeness": (
        likeness.finding,
        (rows("step spearman", (1, 0.7), distance="log_density_distance"), "clearly"),
        (rows("step spearman", (1, 0.05), distance="log_density_distance"), "not at all"),
    ),
    "projection_residuals": (
        projection_residuals.finding,
        (projected(0.25), "leaves 25%"),
        (projected(1.5), "does not lower: 150%"),
    ),
    "seed_choice": (
        seed_choice.finding,
        (chosen(1.0, 0.1, 0.11), "number of seeds matters more"),
        (chosen(1.0, 0.1, 0.9), "choice of seeds matters more"),
    ),
    "subspace_dimension": (
        subspace_dimension.finding,
        (dimensions(0.9), "hardly helps"),
        (dimensions(0.01), "space of the seed's helps"),
    ),
    "system_summary": (
        system_summary.finding,
        (conditions(10.0, 10.1), "hardly changes with time"),
        (conditions(10.0, 30.0), "changes 3.0-fold with time"),
    ),
    "time_to_residual": (
        time_to_residual.finding,
        (solvers_seconds(2.0, 1.0), "Fast one is fastest to a residual of 1e-06, 2 times as fast"),
        (solvers_seconds(1.0, 2.0), "SpSolve is fastest"),
    ),
    "warm_start": (
        warm_start.finding,
        (starts(5.0, 6.0), "saves iterations: -50% on a and -40% on b"),
        (starts(15.0, 16.0), "costs iterations"),
    ),
    "warm_start of both kinds": (
        warm_start.finding,
        (starts(5.0, 15.0), "depends on the space"),
        (starts(10.0, 10.1), "changes the iterations little"),
    ),
    "time_to_ssim": (
        training.time_finding,
        (
            reached(("dsm", True, 5.0), ("ddpm", False, 9.0)),
            "DSM in 1 of 1 run (median 5 s), by DD",
        ),
        (reached(("dsm", False, 9.0), ("ddpm", False, 9.0)), "No model reaches SSIM 0.9 within 9"),
    ),
    "survival": (
        survival.survival_finding,
        (
            reached(("dsm", True, 5.0), ("ddpm", False, 9.0)),
            "Half of the runs on toy reach SSIM 0.9: DDPM not before they were stopped",
        ),
        (reached(("dsm", False, 9.0), ("ddpm", True, 7.0)), "DDPM after 7 s"),
    ),
    "ssim_against_seconds": (
        training.ssim_finding,
        (
            rows("model ssim", ("dsm", 0.9), ("ddpm", 0.8), total_seconds=1, image="0"),
            "DSM falls short",
        ),
        (
            rows("model ssim", ("dsm", 0.7), ("ddpm", 0.8), total_seconds=1, image="0"),
            "DDPM falls short",
        ),
    ),
    "frechet_against_seconds": (
        training.frechet_finding,
        (trained(("dsm", 0, 1, 1.0), ("dsm", 1, 1, 1.2), ("ddpm", 0, 1, 2.0)), "apart from DDPM"),
        (trained(("dsm", 0, 1, 1.0), ("dsm", 1, 1, 2.2), ("ddpm", 0, 1, 2.0)), "overlapping"),
    ),
    "quality_against_evaluations": (
        training.quality_finding,
        (sampled(1.0, 2.0), "Heun with few"),
        (sampled(2.0, 1.0), "DDIM with few"),
    ),
    "score_error": (
        generation.score_error_finding,
        (scored(dsm=[0.1, 0.2], ddpm=[0.3, 0.4]), "DSM on toy (0.15), apart from DDPM (0.35)"),
        (scored(dsm=[0.1, 0.4], ddpm=[0.3, 0.1]), "DDPM on toy (0.2), within the seeds' range of"),
    ),
    "score_error of a part of the grid": (
        generation.score_error_finding,
        (scored(dsm=[0.1], ddpm=[None]), "DSM on toy (0.1)"),
        (scored(dsm=[None], ddpm=[None]), "No schedule trains the whole grid"),
    ),
    "distance_against_samples": (
        generation.final_finding,
        (judged(("dsm", 70, 3.0), ("ddpm", 70, 5.0), ("real", 70, 2.0)), "DSM on toy, 1.5 times"),
        (judged(("dsm", 70, 6.0), ("ddpm", 70, 5.0), ("real", 70, 2.0)), "DDPM on toy, 2.5 times"),
    ),
    "distance_against_samples of other numbers": (
        generation.final_finding,
        # 90 samples are nearer than 70, and there are no 90 real images
        (judged(("dsm", 70, 3.0), ("dsm", 90, 1.0), ("real", 70, 2.0)), "1.5 times that of real"),
        (judged(("dsm", 90, 1.0), ("real", 70, 2.0)), "No model was judged beside real images"),
    ),
    "ablation": (
        training.ablation_finding,
        (varied(False), "None of the 1 other variants"),
        (varied(True), "lambda = 0.2 (steps to the target SSIM)"),
    ),
    "control_effects": (
        controls.effects_finding,
        (effects("better", "undecided"), "quiet is better than row; 1 of 2 comparisons are"),
        (effects("undecided", "undecided"), "None of 2 comparisons"),
        (
            effects("worse", "better"),
            "2 of 2 comparisons are decided; the largest: quiet against row",
        ),
    ),
    "controls": (
        controls.controls_finding,
        (arrived(row=2, quiet=1), "row arrives in 2 of 2 runs, quiet in 1 of 2"),
        (arrived(row=0, quiet=2), "quiet arrives in 2 of 2 runs, row in 0 of 2"),
        (arrived(row=1, quiet=1), "50% of the runs arrive, whatever"),
    ),
    "learning_rates": (
        rates_sentence,
        (swept(0.001, False), "score at 0.001"),
        (swept(0.002, True), "score at 0.002 (the end of the range)"),
    ),
    "sampler_orders": (
        sampler_orders.sampler_finding,
        (
            at_ten(a=1.0, b=4.0, c=9.0),
            "At 10 evaluations a ends nearest to the flow; the median of 3",
        ),
        (at_ten(a=1.0, b=1.1, c=9.0), "a and b end nearest"),
    ),
    "inverse_problems": (
        inverse_problems.restoration_finding,
        (
            restored(dds=1.0, dps=2.0),
            "noise 1, nearest to the posterior mean: DDS for a and b; 1",
        ),
        (restored(dds=3.0, dps=2.0), "DPS for a and b; 2 times as far as a posterior draw"),
    ),
    "inverse_residuals": (
        inverse_problems.residual_finding,
        (inner(a=0.001, b=0.05), "no noise in the measurement: 3 iterations, more than 3 for 1 op"),
        (inner(a=0.001, b=0.001), "To a residual of 0.01, no noise in the measurement: 3 iterat"),
    ),
    "inversion": (
        sampler_orders.inversion_finding,
        (lost(a=1e-6, b=1e3), "a has lost least (1e-06, in its worse direction); more than 0.1: b"),
        (lost(a=1e-6, b=1e-7), "b has lost least (1e-07, in its worse direction)"),
    ),
    "objective_curves": (
        training_objectives.curves_finding,
        (ended(a=2.0, b=1.0), "b ends nearest to the images, at 1; a at 2"),
        (ended(a=1.0, b=2.0), "a ends nearest to the images, at 1"),
    ),
    "objective_scores": (
        training_objectives.scores_finding,
        (ended(a=2.0, b=1.0), "Against the exact noise a errs most, 2 times as much as b"),
        (ended(a=2.0, own=9.0, b=8.0), "noise b errs most, 4 times as much as a"),
    ),
    "objective_residuals": (
        training_objectives.residuals_finding,
        (
            left_over(a=(3.0, 3.0), b=(2.0, 2.0), c=(1.0, 1.0)),
            "a leaves the largest Fokker-Planck residual; over 3 networks residual and score "
            "error have a rank correlation of 1.00",
        ),
        (left_over(a=(1.0, 3.0), b=(2.0, 2.0), c=(3.0, 1.0)), "c leaves the largest"),
        (left_over(a=(1.0, 3.0), b=(2.0, 2.0), c=(3.0, 1.0)), "rank correlation of -1.00"),
    ),
    "objective_samplers": (
        training_objectives.samplers_finding,
        (by_sampler(a=(1.0, 3.0), b=(2.0, 2.2)), "for a, where s2 ends 3 times as far as s1"),
        (
            by_sampler(a=(1.0, 1.1), b=(9.0, 2.0)),
            "for b, where s1 ends 4.5 times as far as s2",
        ),
    ),
    "potential_gap": (
        potential_gap.finding,
        (
            gaps_by_weight(a=(0.2, 0.5, 0.3), b=(0.2, 0.7, 0.5)),
            "10 are nearer than with weight 0: 0.4 against 0.6; the exact model's are 0.2 apart",
        ),
        (
            gaps_by_weight(a=(0.3, 0.25, 0.2), b=(0.1, 0.2, 0.1)),
            "0.23 apart with weight 0 and 0.15 with weight 10: no more than the exact model's can",
        ),
        (gaps_by_weight(a=(0.2, 0.5, 0.7), b=(0.2, 0.5, 0.6)), "are further apart than with"),
        (gaps_by_weight(a=(0.2, 0.5, 0.7), b=(0.2, 0.5, 0.4)), "are not told apart from those"),
        (gaps_by_weight(a=(0.2, 0.7, 0.5)), "are not told apart from those"),
        (gaps_by_weight(a=(0.2, None, 0.7)), "with weight 10 are 0.7 apart, those of the exact"),
        (gaps_by_weight(a=(0.2, None, None)), "Too few samples of the networks end inside"),
    ),
    "network_samplers": (
        network_samplers.samplers_finding,
        (drawn(a=1.0, b=4.0, c=9.0), "of DSM, samples of a are nearest to the images, 2 times"),
        (drawn(a=9.0, b=4.0, c=4.1), "samples of b and c are nearest to the images, 8 times"),
    ),
    "denoising_strip": (
        training.strip_finding,
        ([{"model": "dsm", "ssim": 0.9}, {"model": "ddpm", "ssim": 0.8}], "DSM ends nearest"),
        ([{"model": "dsm", "ssim": 0.7}, {"model": "ddpm", "ssim": 0.8}], "DDPM ends nearest"),
    ),
    "seconds": (
        seconds.finding,
        (rows("rule seconds", ("a", 9.0), ("b", 1.0)), "90% of the time went to 1 rule of 2: a"),
        (rows("rule seconds", ("a", 1.0), ("b", 9.0)), "1 rule of 2: b"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_opposite_tables_give_opposite_sentences(name):
    finding, *cases = CASES[name]
    for table, words in cases:
        assert words in finding(table)
    assert finding(cases[0][0]) != finding(cases[1][0])


def test_a_single_seed_is_not_said_to_be_apart_from_another():
    sentence = training.frechet_finding(trained(("dsm", 0, 1, 1.0), ("ddpm", 0, 1, 2.0)))
    assert "DSM on toy (1), then DDPM (2)" in sentence


def test_means_over_some_seeds_are_hollow_and_counted():
    table = varied(False).assign(mean=1.0, smallest=0.5, largest=2.0)
    table["n_seeds"] = [3, 2]
    (axis,) = training.plot_ablation(table).axes[:1]
    hollow = [line.get_markerfacecolor() for line in axis.get_lines() if line.get_marker() == "o"]
    assert hollow.count("white") == 1
    assert [text.get_text() for text in axis.texts if len(text.get_text()) == 3] == ["3/3", "2/3"]


def test_rows_of_old_snapshots_do_not_count_runs():
    table = varied(False).assign(mean=1.0, smallest=0.5, largest=2.0)
    table["n_seeds"], table["n_runs"] = [3, 2], [float("nan"), 4.0]
    (axis,) = training.plot_ablation(table).axes[:1]
    assert [text.get_text() for text in axis.texts if len(text.get_text()) == 3] == ["3/3", "2/4"]


def test_times_are_those_to_windowed_targets_by_the_calibrated_clock():
    table = reached(("dsm", True, 5.0), ("ddpm", True, 9.0)).drop(columns="total_seconds")
    table = table.assign(precompute_seconds=1.0, steps=[10, 20], wall_seconds=99.0)
    calibrated = table.assign(metric="ssim", seconds_per_step=[0.3, float("nan")])
    published = calibrated.assign(metric="ssim_global", steps=1)
    found = training.time_finding(pd.concat([calibrated, published]))
    # what was not calibrated goes by the clock on the wall
    assert "DSM in 1 of 1 run (median 4 s), by DDPM in 1 of 1 run (median 100 s)" in found


def test_the_finding_on_times_counts_runs_of_one_set_only():
    compared = reached(("dsm", True, 5.0), ("ddpm", True, 9.0)).assign(dataset="b")
    elsewhere = reached(("ddpm", False, 1.0)).assign(dataset="a")
    found = training.time_finding(pd.concat([compared, elsewhere]))
    assert "on b by DSM in 1 of 1 run (median 5 s), by DDPM in 1 of 1 run" in found


def test_runs_that_were_stopped_are_hollow_and_counted():
    table = reached(("dsm", True, 5.0), ("dsm", False, 9.0), ("ddpm", True, 6.0))
    axis = training.plot_time_to_ssim(table).axes[0]
    faces = [line.get_mfc() for line in axis.get_lines() if line.get_marker() == ">"]
    assert faces == ["none"]
    assert "1/2" in [text.get_text() for text in axis.texts]


def test_bars_below_the_score_errors_are_what_a_schedule_trains():
    table = scored(dsm=[0.1, 0.2], ddpm=[0.3, None])
    table.loc[table["model"] == "ddpm", "trained_sigma_max"] = 157.0
    (axis,) = generation.plot_score_error(table).axes
    bars = [line for line in axis.get_lines() if line.get_linewidth() == 2.5]
    assert sorted(tuple(line.get_xdata()) for line in bars) == [(0.02, 20.0), (0.02, 157.0)]
    assert axis.get_xlim()[1] > 157


def test_the_floor_is_drawn_in_black_beside_the_models():
    table = judged(("dsm", 70, 3.0), ("dsm", 90, 1.0), ("real", 70, 2.0), ("real", 60, 2.1))
    other = table.assign(reference="training", value=99.0)
    (axis,) = generation.plot_distance_against_samples(pd.concat([table, other])).axes
    (floor,) = (line for line in axis.get_lines() if line.get_color() == "black")
    assert list(floor.get_xdata()) == [60, 70] and list(floor.get_ydata()) == [2.1, 2.0]
    assert max(max(line.get_ydata()) for line in axis.get_lines()) == 3.0
