"""Run one study on one image set and random seed, or once: the function that its rule names."""

from pathlib import Path
from typing import TYPE_CHECKING

from crosskrylov.errors import ConfigError
from crosskrylov.reporting.tables.writing import write_table
from crosskrylov.runtime.declared import imported
from crosskrylov.runtime.files import save_npz, write_tsv
from crosskrylov.runtime.jobs import run_job
from crosskrylov.studies.data import StudyData

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    function: str,
    options: dict,
    tables: list,
    table_paths: list,
    arrays_path=None,
    images_path=None,
    log_density_path=None,
    seeds_path=None,
    bank_path=None,
    exact_path=None,
    trajectories_paths=(),
    embedded_path=None,
    reads_paths=(),
    reference_path=None,
    equation: dict | None = None,
    march: dict | None = None,
    solvers: dict | None = None,
    density: dict | None = None,
    solver: dict | None = None,
    baseline: str | None = None,
    random_seeds: list | None = None,
    seed: int = 0,
    n_threads: int = 1,
) -> None:
    """Write the study's tables (.tsv) and, where the rule names a file, its arrays (.npz).

    Parameters
    ----------
    function : str
        ``package.module:function``, called with a `StudyData` and ``options``.
    options : dict
        Keys of the study's section that the function asks for.
    tables : list of str
        Names of the tables that it must return; a job per solver returns one, that solver's rows.
    table_paths : list of path-like
    arrays_path : path-like, optional
        Gets what the function returns as ``"reference"``.

    The rest is what the study needs, see `crosskrylov.studies.needs`.
    """
    data = StudyData(
        paths={
            "images": images_path,
            "log_density": log_density_path,
            "seeds": seeds_path,
            "bank": bank_path,
            "exact": exact_path,
            "trajectories": trajectories_paths or None,
            "embedded": embedded_path,
            "reads": reads_paths,
            "reference": reference_path,
        },
        settings={
            "equation": equation,
            "march": march,
            "solvers": solvers,
            "density": density,
            "solver": solver,
            "baseline": baseline,
            "random_seeds": random_seeds,
        },
        seed=seed,
        n_threads=n_threads,
    )
    results = imported(function)(data, **options)
    reference = results.pop("reference", {})
    if set(results) != set(tables):
        raise ConfigError(
            f"{function} returned the tables {', '.join(sorted(results)) or 'none'}, but its "
            f"declaration says {', '.join(tables)}: correct the one or the other."
        )
    for name, path in zip(tables, table_paths, strict=True):
        # parts are joined, and computed from, before they are a result table
        write = write_table if Path(path).parent.name == "tables" else write_tsv
        write(path, results[name])
    if arrays_path is not None:
        save_npz(arrays_path, **reference)


if __name__ == "__main__":
    run_job(main, snakemake)
