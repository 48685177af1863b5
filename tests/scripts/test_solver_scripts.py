"""The scripts of the solver laboratory, one after the other, on a small set of images."""

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

from crosskrylov.errors import ConfigError
from crosskrylov.reporting.tables.solvers import COLUMNS
from crosskrylov.runtime.files import load_npz, read_json, read_tsv, save_npz, write_json
from crosskrylov.scores.seeds import SeedAssignment
from crosskrylov.solvers import base
from crosskrylov.studies.bank import load_bank
from crosskrylov.studies.index import declared_studies
from crosskrylov.studies.time_to_residual import time_to_residual

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
EQUATION = {
    "final_time": 0.06,
    "time_steps": 6,
    "stored_steps": 3,
    "diffusion": {"kind": "constant", "g": 0.5},
    "drift": {"kind": "zero"},
    "boundary": "zero_padding",
}
MARCH = {"tolerance": 1e-8, "picard_tolerance": 1e-6, "max_picard": 5}
RUN = {"dataset": "toy", "image_size": 10, "seed": 7}
#: A solver of somebody else's, in a file of its own on the path.
FOREIGN = '''
import numpy as np
from crosskrylov.solvers.base import LinearSolver, Solution, register
from crosskrylov.solvers.registry import make_solver

@register("foreign", family="krylov")
class Foreign(LinearSolver):
    """SpSolve under another name."""

    def solve(self, systems):
        x = make_solver("spsolve").solve(systems).x
        return Solution(x, np.full(len(systems), 3))
'''


def script(name):
    return runpy.run_path(str(SCRIPTS / f"{name}.py"))["main"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with images, densities, seeds, a bank, exact scores and three marches."""
    path = tmp_path_factory.mktemp("laboratory")
    rng = np.random.default_rng(0)
    rows, cols = np.meshgrid(*[np.linspace(0, 1, 10)] * 2, indexing="ij")
    waves = [np.sin(a * rows + b * cols) for a, b in rng.uniform(1, 4, (5, 2))]
    images = (0.5 + 0.4 * np.array(waves)[:, None]).astype(np.float32)
    save_npz(path / "images.npz", images=images)
    density = {"method": "smoothed", "bandwidth": 0.2}
    script("estimate_density")(path / "images.npz", path / "density.npz", 7, density)
    script("select_seeds")(
        path / "density.npz", path / "seeds.json", 7, "log_density", 2, "k_medoids"
    )
    script("exact_scores")(
        path / "density.npz", path / "exact.npz", path / "exact.json", EQUATION, 1
    )
    bank = {"at": [0.2, 1.0], "method": "transform_bicgstab", "options": {}, "tolerance": 1e-10}
    script("assemble_systems")(path / "density.npz", path / "bank.npz", EQUATION, MARCH, bank)
    (path / "foreign_solver.py").write_text(FOREIGN)
    sys.path.insert(0, str(path))
    for name, method in (("spsolve", "spsolve"), ("foreign", "foreign_solver:Foreign")):
        script("march_images")(
            *(path / "density.npz", *march_files(path, name), EQUATION, MARCH),
            {"method": method, "options": {}},
            1,
        )
    script("march_images")(
        *(path / "density.npz", *march_files(path, "projected"), EQUATION, MARCH),
        {"method": "cross_matrix_galerkin", "options": {"dimension": 4}},
        1,
        path / "seeds.json",
    )
    yield path
    sys.path.remove(str(path))
    sys.modules.pop("foreign_solver", None)
    # other tests compare the registry with the files of the package
    base.REGISTERED.pop("foreign", None)


MARCHES = ("spsolve", "foreign", "projected")


def march_files(path, name):
    return [path / f"{name}.{kind}" for kind in ("npz", "tsv", "json")]


def test_exact_scores_keep_their_contract(folder):
    arrays = load_npz(folder / "exact.npz")
    assert arrays["score"].shape == (5, 3, 2, 10, 10)
    assert arrays["score"].dtype == np.float32
    assert arrays["log_density"].shape == (5, 3, 10, 10)
    assert arrays["steps"].tolist() == [1, 4, 6]
    np.testing.assert_allclose(arrays["times"], arrays["steps"] * 0.01)
    assert read_json(folder / "exact.json")["family"] == "exact"


def test_marches_agree_and_store_the_same_steps(folder):
    reference = load_npz(folder / "spsolve.npz")
    for name in MARCHES[1:]:
        arrays = load_npz(folder / f"{name}.npz")
        np.testing.assert_array_equal(arrays["steps"], reference["steps"])
        np.testing.assert_allclose(arrays["log_density"], reference["log_density"], atol=1e-6)
    assert len(read_tsv(folder / "projected.tsv")) == 6 * 5
    assert read_json(folder / "projected.json")["n_seeds"] == 2


SOLVERS = {
    "spsolve": {"method": "spsolve", "options": {}},
    "foreign": {"method": "foreign_solver:Foreign", "options": {}},
    "projected": {"method": "cross_matrix_galerkin", "options": {"dimension": 4}},
}


def run_study(name, options, tmp_path, **inputs):
    """Run a study as its rule would and return its tables by name."""
    study = declared_studies()[name]
    files = {table: tmp_path / f"{table}.tsv" for table in inputs.pop("tables", study.tables)}
    script("run_study")(
        f"{study.module}:{study.function}", options, list(files), list(files.values()), **inputs
    )
    return {table: read_tsv(file) for table, file in files.items()}


@pytest.fixture(scope="module")
def frozen(folder):
    """Rows of every solver on the bank, a job each and then joined."""
    bank = {"bank_path": folder / "bank.npz", "seeds_path": folder / "seeds.json"}
    options = {"tolerances": [1e-6], "repeats": 2}
    parts = []
    for name, entry in SOLVERS.items():
        part = folder / "frozen" / name
        part.mkdir(parents=True)
        arrays = {"arrays_path": folder / "reference.npz"} if name == "spsolve" else {}
        arrays = arrays or {"reference_path": folder / "reference.npz"}
        run_study(
            *("time_to_residual", options, part),
            **(bank | arrays | {"solver": {"name": name, **entry}, "tables": ["time_to_residual"]}),
        )
        parts.append(part / "time_to_residual.tsv")
    study = declared_studies()["time_to_residual"]
    tables = [folder / f"{name}.tsv" for name in study.tables]
    script("join_study")(parts, tables, list(study.tables), f"{study.module}:{study.join}")
    return tables


def test_jobs_per_solver_give_the_table_of_one_job(folder, frozen):
    seeds = SeedAssignment.from_dict(read_json(folder / "seeds.json"))
    together = time_to_residual(load_bank(folder / "bank.npz"), SOLVERS, [1e-6], seeds, 2)
    joined = read_tsv(frozen[0])
    times = [name for name in together if "seconds" in name or "memory" in name]
    assert_frame_equal(joined.drop(columns=times), together.drop(columns=times), check_exact=True)
    assert joined.score_error_vs_spsolve[joined.solver == "projected"].min() > 0
    assert read_tsv(frozen[1]).solver.tolist() == list(SOLVERS)


def test_solver_table_holds_every_solver_in_both_studies(folder, frozen, tmp_path):
    script("solver_table")(
        *([folder / f"{name}.{kind}" for name in MARCHES] for kind in ("json", "tsv", "npz")),
        *([folder / "spsolve.npz"], [folder / "exact.json"], [folder / "exact.npz"], [frozen[0]]),
        *(tmp_path / "solvers.tsv", tmp_path / "by_seed.tsv"),
        *([RUN | {"solver": name} for name in MARCHES], [RUN], [RUN | {"time_steps": 2}]),
        *([(RUN["dataset"], RUN["seed"])], [(RUN["dataset"], RUN["seed"])], 1e-6),
    )
    table = read_tsv(tmp_path / "solvers.tsv")
    assert list(table.columns) == list(COLUMNS)
    marches = table[table.study == "trajectory"].set_index("solver")
    assert set(marches.index) == {*MARCHES, "exact_transform"}
    assert set(table[table.study == "frozen"].solver) == set(MARCHES)
    assert marches.mean_iterations["foreign"] == 3
    assert marches.score_error_vs_spsolve["projected"] < 1e-5
    assert marches.score_error_vs_exact["exact_transform"] == 0
    assert (table.max_relative_residual.dropna() <= 1e-6).all()
    iterations = marches.mean_iterations
    assert np.isnan(iterations["exact_transform"])
    tables = (tmp_path / "solvers.tsv", None, None, None, tmp_path / "claims.tsv")
    projected = {"projected": {"method": "cross_matrix_galerkin", "options": {"dimension": 4}}}
    single_image = {"image_sets": ["photos"], "first_evaluation": 50}
    script("claims_table")(*tables, projected, {}, single_image)
    claims = read_tsv(tmp_path / "claims.tsv")
    assert set(claims.verdict[claims.evidence == "not run"]) == {"undecided"}
    saved = claims[claims.evidence == "results/tables/solvers.tsv"]
    assert saved.metric.iloc[0] == "time saved by projected, %, end to end"


STUDIES = {
    "clocks": {"windows": [[1, 2]], "repeats": 2, "march_images": 2, "largest_size": {}},
    "convergence": {"time_steps": [2, 4], "sizes": [9, 17], "fine_size": 17},
    "diversity": {"dimension": 4},
    "downstream": {"variants": ["row"]},
    "error_budget": {
        "n_images": 1,
        "method": "bicgstab",
        "options": {},
        "tolerances": [1e-2, 1e-6],
        "picard_tolerances": [1e-2, 1e-6],
        "time_steps": [3, 6],
        "refinements": [1, 2],
    },
    "engine_speed": {
        "sizes": [{"size": 8, "n_images": 2, "n_direct": 1}],
        "engines": ["exact"],
        "workers": [1],
        "repeats": 2,
        "streamed": None,
        "random_seed": 3,
    },
    "sampler_orders": {
        "samplers": ["ddim", "o_belm"],
        "evaluations": [5, 9],
        "order_from": 4,
        "n_images": 3,
        "n_starts": 2,
        "groups": 2,
        "sigma_min": 4.0,
        "sigma_max": 20.0,
        "inverters": ["o_belm"],
        "inversion_steps": [3],
        "inversion_sigmas": [0.02, 20.0],
    },
    "score_diagnostics": {
        "networks": ["exact"],
        "sigmas": [1.0],
        "n_images": 3,
        "n_states": 2,
        "groups": 2,
        "probes": 2,
    },
    "potential_gap": {
        "data_sets": ["nine_gaussians"],
        "weights": [0, 1.0],
        "units": 8,
        "sharpness": 100,
        "steps": [2, 1],
        "learning_rates": [1e-3, 1e-4],
        "batch_size": 8,
        "points": 8,
        "box": 3.5,
        "span": [1e-3, 4.0],
        "n_samples": 30,
        "groups": 2,
        "sampling_steps": 10,
        "truncation": 4.0,
        "times": [0.1, 1.0],
        "n_states": 10,
    },
    "scaling": {
        "runs": [{"engine": "exact", "size": 8, "n_images": [1, 4]}],
        "stored_steps": [2, 4],
        "repeats": 1,
        "workloads": [{"name": "some", "size": 8, "n_images": 100}],
        "part": {"start_seconds": 60.0, "deaths_per_hour": 0.01},
        "streamed": {"size": 8, "n_images": 20, "batch": 5, "samples": 2},
        "random_seed": 0,
    },
    "training_objectives": {
        "models": ["dsm", "immiscible"],
        "against": "dsm",
        "steps": 2,
        "fine_tuning_steps": 1,
        "batch_size": 2,
        "learning_rate": 1e-3,
        "fine_tuning_rate": 1e-4,
        "ema_decay": 0.9,
        "units": 8,
        "blocks": 1,
        "noise_levels": 50,
        "sigma_min": 0.02,
        "sigma_max": 20.0,
        "evaluate_at": [0.5, 1.0],
        "curve_evaluations": 3,
        "samplers": ["heun"],
        "function_evaluations": 3,
        "few_samplers": ["ddim"],
        "few_evaluations": [1, 2],
        "quantised": [{"model": "dsm", "weight_bits": 4, "activation_bits": 8}],
        "n_samples": 4,
        "frechet_features": "pixels",
        "sigmas": [1.0],
        "n_states": 2,
        "diagnosed_states": 2,
        "probes": 2,
        "gap_samplers": ["heun", "reverse_sde"],
        "gap_evaluations": 3,
        "repeats": 1,
        "timed_steps": 1,
        "sampled": ["dsm"],
        "sampled_with": ["ddim"],
        "sampled_evaluations": [3],
        "kappas": [0, 1],
    },
    "inverse_problems": {
        "operators": ["blur"],
        "methods": ["exact_sample", "dds"],
        "evaluations": [4],
        "noises": [0.5],
        "n_images": 3,
        "n_problems": 2,
        "draws": 2,
        "groups": 2,
        "cg_sigmas": [3.0],
        "cg_gamma": 1.0,
        "cg_iterations": 2,
    },
    "loader": {
        "sizes": [8],
        "n_images": 8,
        "workers": [1],
        "repeats": 1,
        "batch_size": 4,
        "store_mb": 10,
        "source": "photos",
        "file_size": 16,
        "random_seed": 0,
    },
    "likeness": {"dimension": 4, "n_seeds": [1, 2], "random_draws": 2, "permutations": 19},
    "frontier": {
        "n_images": 4,
        "solvers": {
            "spsolve": {"method": "spsolve"},
            "plain": {"method": "cross_matrix_galerkin", "options": {"dimension": 0}},
            "nearest": {"method": "cross_matrix_galerkin", "grid": True},
        },
        "n_seeds": [1],
        "dimensions": [4, "converged"],
        "max_basis": 40,
        "grid_up_to": 32,
        "points": [],
        "tolerance": 1e-6,
        "tolerances": [1e-3],
        "starts": ["zero"],
        "densities": ["kde"],
        "best": 1,
        "windows": [0.0],
        "window_steps": 2,
        "repeats": 2,
    },
    "recycling": {
        "solvers": {
            "gmres": {"method": "gmres"},
            "bicgstab": {"method": "bicgstab"},
            "sorted": {"method": "recycled_gcrot", "options": {"k": 3}},
        },
        "gmres": "gmres",
        "warm": "bicgstab",
        "preconditioners": ["none", "transform"],
        "tolerance": 1e-6,
        "windows": [0.0],
        "window_steps": 2,
        "n_images": 3,
        "repeats": 2,
    },
    "unrefined": {
        "n_images": 4,
        "solvers": {
            "solved": {"method": "transform_bicgstab"},
            "alone": {
                "method": "cross_matrix_unrefined",
                "options": {"dimension": 4},
                "n_seeds": 2,
            },
        },
        "tolerance": 1e-6,
        "variant": "row",
    },
    "projection_residuals": {"dimension": 4},
    "subspace_dimension": {"dimensions": [2]},
    "system_summary": {"n_conditioned": 1},
    "companion_stencil": {"n_images": 1, "variants": ["both"]},
    "image_orders": {"n_images": 1, "refinements": [1, 3, 5], "time_steps": [3, 6, 12]},
    "theory": {"dimensions": [4, 8], "tolerance": 1e-6, "n_norms": 1, "n_bins": 8},
    "where_it_pays": {
        "families": {"darcy": {"sizes": [8], "parameters": [0.1]}, "helmholtz": None},
        "n_systems": 3,
        "tolerance": 1e-6,
        "max_products": 200,
        "repeats": 2,
        "random_seed": 3,
        "methods": ["superlu", "lu_of_mean"],
    },
    "warm_start": {
        "refiners": {"bicgstab": {"method": "bicgstab"}},
        "starts": ["previous"],
        "tolerances": [1e-6],
        "dimension": 4,
    },
}


def test_every_study_is_run_here():
    assert {*STUDIES, "time_to_residual"} == set(declared_studies())


@pytest.mark.parametrize("name", STUDIES)
def test_study_writes_its_tables_from_what_it_declares_to_need(folder, tmp_path, name):
    offered = {
        "images": {"images_path": folder / "images.npz"},
        "log_density": {"log_density_path": folder / "density.npz"},
        "seeds": {"seeds_path": folder / "seeds.json"},
        "bank": {"bank_path": folder / "bank.npz"},
        "exact": {"exact_path": folder / "exact.npz"},
        "trajectories": {
            "trajectories_paths": [folder / f"{name}.npz" for name in MARCHES],
            "baseline": "spsolve",
        },
        "equation": {"equation": EQUATION},
        "march": {"march": MARCH},
        "solvers": {"solvers": SOLVERS},
        "random_seeds": {"random_seeds": [7, 8]},
        "density": {"density": {"method": "smoothed", "bandwidth": 0.2}},
    }
    study = declared_studies()[name]
    inputs = {key: value for need in study.needs for key, value in offered[need].items()}
    tables = run_study(name, STUDIES[name], tmp_path, seed=7, **inputs)
    assert [name for name, table in tables.items() if len(table) == 0] == []


def test_a_study_that_asks_for_more_than_it_declares_says_so(folder, tmp_path):
    with pytest.raises(ConfigError, match=r"asks for data.seeds, .* add 'seeds' to its needs"):
        run_study("diversity", {"dimension": 4}, tmp_path, bank_path=folder / "bank.npz")


def test_a_study_that_returns_other_tables_than_it_declares_says_so(tmp_path):
    with pytest.raises(ConfigError, match=r"returned the tables convergence, but .* says other"):
        run_study("convergence", STUDIES["convergence"], tmp_path, tables=["other"])


def test_gathered_parts_say_where_they_come_from(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.tsv").write_text(f"step\tname\n1\t{name}\n")
    runs = [RUN, RUN | {"seed": 8}]
    parts = [tmp_path / "a.tsv", tmp_path / "b.tsv"]
    script("gather_study")(parts, tmp_path / "all.tsv", "a", runs)
    table = read_tsv(tmp_path / "all.tsv")
    assert list(table.columns) == ["dataset", "image_size", "seed", "step", "name"]
    assert table.seed.tolist() == [7, 8]


def test_figure_of_a_gathered_table(frozen, tmp_path):
    runs = [RUN, RUN | {"seed": 8}]
    script("gather_study")([frozen[0]] * 2, tmp_path / "all.tsv", "time_to_residual", runs)
    figure = "crosskrylov.reporting.figures.studies.time_to_residual:plot_time_to_residual"
    script("plot_study")(tmp_path / "all.tsv", tmp_path / "f.svg", tmp_path / "f.png", figure)
    assert (tmp_path / "f.svg").read_text().startswith("<?xml")


def test_exported_folder(folder, tmp_path):
    script("export_study_systems")(folder / "bank.npz", tmp_path / "out", [1], "toy", 7)
    assert "image set toy, random seed 7" in (tmp_path / "out" / "README.txt").read_text()


def job(folder, **parts):
    """Return what Snakemake would hand to a script."""
    spaces = {name: SimpleNamespace(**values) for name, values in parts.items()}
    return SimpleNamespace(log=[str(folder / "job.log")], **spaces)


def test_guarded_block_passes_everything_on(folder, tmp_path):
    snakemake = job(
        tmp_path,
        input={"log_density": folder / "density.npz"},
        output={"bank": tmp_path / "bank.npz"},
        params={
            "equation": EQUATION,
            "march": MARCH,
            "bank": {"at": [0.5], "method": "splu", "options": {}, "tolerance": 1e-9},
        },
    )
    runpy.run_path(str(SCRIPTS / "assemble_systems.py"), {"snakemake": snakemake}, "__main__")
    assert load_bank(tmp_path / "bank.npz").steps.tolist() == [3]


def test_an_unknown_solver_leaves_one_sentence_and_nothing_else(folder, tmp_path, capsys):
    snakemake = job(
        tmp_path,
        input={"log_density": folder / "density.npz"},
        output=dict(zip(("trajectory", "history", "summary"), march_files(tmp_path, "x"))),
        params={
            "equation": EQUATION,
            "march": MARCH,
            "solver": {"method": "splove", "options": {}},
            "n_threads": 1,
        },
    )
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(SCRIPTS / "march_images.py"), {"snakemake": snakemake}, "__main__")
    assert caught.value.code == 1
    assert "'splove' is unknown" in (tmp_path / "job.log").read_text()
    assert "'splove' is unknown" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["job.log"]


def test_images_file_without_images_is_named(tmp_path):
    save_npz(tmp_path / "wrong.npz", pictures=np.zeros(3))
    snakemake = job(
        tmp_path,
        input={"images": tmp_path / "wrong.npz"},
        output={"log_density": tmp_path / "density.npz"},
        params={"density": {}},
        wildcards={"seed": "7"},
    )
    with pytest.raises(SystemExit):
        runpy.run_path(str(SCRIPTS / "estimate_density.py"), {"snakemake": snakemake}, "__main__")
    assert "holds no array 'images'" in (tmp_path / "job.log").read_text()


def test_seeds_file_is_plain_json(folder):
    entry = json.loads((folder / "seeds.json").read_text())
    assert entry["selection"] == "k_medoids"
    assert len(entry["seeds"]) == 2 and len(entry["assigned"]) == 5
    write_json(folder / "copy.json", entry)
