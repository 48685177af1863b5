"""What the files about solvers share: families, studies and their runs; no rules here."""

from crosskrylov.planning.runs import run_labels
from crosskrylov.planning.solvers import baseline_solver, published_methods, solvers_of_family

# Studies on image sets, and the tables that each makes per image set and random seed.
STUDY_TABLES = {
    "projection_residuals": ["projection_residuals"],
    "time_to_residual": ["time_to_residual"],
    "subspace_dimension": ["subspace_dimension"],
    "likeness": ["likeness_pairs", "likeness", "seed_choice"],
    "diversity": ["diversity"],
    "warm_start": ["warm_start"],
    "error_budget": ["error_budget"],
    "system_summary": ["system_summary"],
    "downstream": ["downstream"],
}
STUDY_OF_TABLE = {table: name for name, tables in STUDY_TABLES.items() for table in tables}

# Figures and the tables that they show; a study without image sets has neither.
FIGURE_TABLES = {
    "seconds_per_image": "solvers_by_seed",
    "projection_residuals": "projection_residuals",
    "time_to_residual": "time_to_residual",
    "subspace_dimension": "subspace_dimension",
    "likeness": "likeness_pairs",
    "seed_choice": "seed_choice",
    "diversity": "diversity",
    "warm_start": "warm_start",
    "error_budget": "error_budget",
    "system_summary": "system_summary",
    "downstream": "downstream",
    "convergence": "convergence",
}


def study(name):
    """Return the section of one study."""
    return config["studies"][name]


def study_sets(name):
    """Return the image sets of a study."""
    chosen = study(name)["image_sets"]
    return list(config["image_sets"]) if chosen is None else chosen


def study_solvers(name):
    """Return the solvers of a study."""
    return study(name)["solvers"] or list(config["solvers"])


def made_table(name):
    """Return the path of a table of the other stages in a list, empty if nobody makes it."""
    path = f"results/tables/{name}.tsv"
    return [path] if path in all_targets() else []


def march_labels():
    """Return the labels of every march, in the order of `expand_runs` over solvers."""
    return [
        label | {"solver": solver}
        for label in run_labels(config, study_sets("trajectory"))
        for solver in study_solvers("trajectory")
    ]


def frozen_labels():
    """Return the labels of the frozen study, with the number of time steps in the bank."""
    n_steps = len(study("bank")["at"])
    return [
        label | {"time_steps": n_steps}
        for label in run_labels(config, study_sets("time_to_residual"))
    ]


def study_parts(wildcards):
    """Return a study's tables of all its image sets and random seeds."""
    return expand_runs(
        f"results/{{images}}/seed{{seed}}/studies/{wildcards.table}.tsv",
        study_sets(STUDY_OF_TABLE[wildcards.table]),
    )


def add_study(name):
    """Ask for the tables and figures of a study, unless it has no image set."""
    if study_sets(name):
        tables = STUDY_TABLES[name]
        add_targets("solvers", [f"results/tables/{table}.tsv" for table in tables])
        add_figures(figure for figure, table in FIGURE_TABLES.items() if table in tables)


def add_figures(names):
    """Ask for figures in both formats."""
    for name in names:
        add_targets("solvers", [f"results/figures/{name}.svg", f"results/figures/{name}.png"])
