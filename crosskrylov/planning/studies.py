"""Which studies a configuration asks for, and the rule, tables and figures that each leads to.

A study says in one declaration what it needs and makes (`crosskrylov.studies.register`); everything
that the workflow does with it follows from that here.  It is on where its section stands under
``studies`` in the configuration.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from crosskrylov.errors import ConfigError
from crosskrylov.learning.objectives.index import Model, model_entry
from crosskrylov.learning.sampling.registry import sampler_names
from crosskrylov.planning.dependencies import FOLDER
from crosskrylov.planning.runs import expand_runs, run_labels, runs
from crosskrylov.planning.samplers import sampler_files
from crosskrylov.planning.solvers import baseline_solver, solver_files
from crosskrylov.runtime.declared import declared_in
from crosskrylov.studies.index import Study, declared_studies
from crosskrylov.studies.needs import FILES, READERS

FIGURES_FOLDER = FOLDER / "reporting" / "figures" / "studies"

_RUN = "results/{images}/seed{seed}"


# --- what is configured -------------------------------------------------------------------------


def section(config: Mapping, name: str) -> Mapping:
    """Return the section of a study, empty where it is off."""
    return config["studies"].get(name) or {}


def study_sets(config: Mapping, name: str) -> list[str]:
    """Return the image sets of a study, none where it is off."""
    if name not in config["studies"]:
        return []
    chosen = section(config, name).get("image_sets")
    return list(config["image_sets"]) if chosen is None else list(chosen)


def study_solvers(config: Mapping, name: str) -> list[str]:
    """Return the solvers of a study: those of its section, else all that are configured."""
    return list(section(config, name).get("solvers") or config["solvers"])


def studies_on(config: Mapping) -> list[Study]:
    """Return the declared studies that are on: configured, on one image set at least."""
    return [
        study
        for name, study in declared_studies().items()
        if name in config["studies"] and (study_sets(config, name) or not study.runs)
    ]


def march_labels(config: Mapping) -> list[dict]:
    """Return the labels of every march, in the order of `expand_runs` over solvers."""
    return [
        label | {"solver": solver}
        for label in run_labels(config, study_sets(config, "trajectory"))
        for solver in study_solvers(config, "trajectory")
    ]


def frozen_labels(config: Mapping) -> list[dict]:
    """Return the labels of the frozen study's files, with the number of time steps in the bank."""
    n_steps = len(section(config, "bank")["at"])
    return [
        label | {"time_steps": n_steps}
        for label in run_labels(config, study_sets(config, "time_to_residual"))
        for _ in study_solvers(config, "time_to_residual")
    ]


def frozen_parts(config: Mapping) -> list[str]:
    """Return the frozen study's files, one per run and solver, in the order of `frozen_labels`."""
    study = declared_studies()["time_to_residual"]
    return [
        part.format(images=name, seed=seed)
        for name, seed in runs(config, study_sets(config, study.name))
        for part in parts_by_solver(config, study)
    ]


# --- a study's rule -----------------------------------------------------------------------------


@dataclass(frozen=True)
class StudyRule:
    """What Snakemake has to know of a rule that runs a study.

    Attributes
    ----------
    name : str
        Name of the rule.
    study : Study
    run : str
        Part of the log's and the benchmark's path: {images}/seed{seed}/ or nothing.
    inputs : dict
        Input files by name, or functions of the wildcards.
    tables : list of str
        Files of the tables, in the order of the declaration.
    arrays : str or None
        File of the arrays that the baseline's job keeps for the others.
    reference : str or None
        The same file, as an input of the others.
    params : dict
        Parameters of the job; the section ``equation`` is left to the rule, which has one for
        each image set.
    files : callable
        Modules that the script finds by name, as a function of the wildcards.
    solver : str
        Regular expression for {solver}.
    """

    name: str
    study: Study
    run: str
    inputs: dict[str, Any]
    tables: list[str]
    params: dict[str, Any]
    files: Callable[[Any], list[Path]]
    arrays: str | None = None
    reference: str | None = None
    solver: str = "(?!)"

    @property
    def log(self) -> str:
        """Log and benchmark, without folder and suffix."""
        return f"{self.run}{self.name}" + ("-{solver}" if self.study.per else "")


def study_rules(config: Mapping) -> Iterator[StudyRule]:
    """Yield the rules of every study that is on.

    A study per solver has two, where the published baseline is among its solvers: one for the
    baseline, which keeps arrays, and one for the solvers that are compared with it.
    """
    for study in studies_on(config):
        plain = StudyRule(
            name=f"study_{study.name}",
            study=study,
            run="{images}/seed{seed}/" if study.runs else "",
            inputs=_inputs(config, study),
            tables=[table_file(study, table) for table in study.tables],
            params=_params(config, study),
            files=partial(_files, config, study),
        )
        if study.per is None:
            yield plain
        else:
            yield from _rules_per_solver(config, study, plain)


def table_file(study: Study, table: str) -> str:
    """Return the file of a table as the study writes it."""
    return f"{_RUN}/studies/{table}.tsv" if study.runs else f"results/tables/{table}.tsv"


def _rules_per_solver(config: Mapping, study: Study, plain: StudyRule) -> Iterator[StudyRule]:
    names = study_solvers(config, study.name)
    baseline = baseline_solver(config, names) if study.baseline else None
    folder = f"{_RUN}/studies/{study.name}"
    common = replace(
        plain,
        tables=[f"{folder}/{{solver}}.tsv"],
        # one solver's rows; the study's tables are made of all
        params=plain.params | {"tables": [study.name], "solver": partial(_solver, config)},
    )
    if baseline:
        yield replace(
            common,
            name=f"{plain.name}_baseline",
            solver=baseline,
            arrays=f"{folder}/{{solver}}.npz",
        )
    others = [name for name in config["solvers"] if name != baseline]
    if others:
        reference = f"{folder}/{baseline}.npz" if baseline else None
        yield replace(common, solver="|".join(others), reference=reference)


def parts_by_solver(config: Mapping, study: Study) -> list[str]:
    """Return the files that a study per solver is joined from, the baseline's rows first."""
    names = study_solvers(config, study.name)
    baseline = baseline_solver(config, names) if study.baseline else None
    ordered = sorted(names, key=lambda name: name != baseline)
    return [f"{_RUN}/studies/{study.name}/{name}.tsv" for name in ordered]


def _inputs(config: Mapping, study: Study) -> dict[str, Any]:
    inputs: dict[str, Any] = {
        need: f"{_RUN}/{FILES[need]}" for need in study.needs if need in FILES
    }
    if "trajectories" in inputs:
        pattern = inputs["trajectories"]
        names = study_solvers(config, "trajectory")
        inputs["trajectories"] = [pattern.replace("{solver}", name) for name in names]
    if any(model.scores for model in _objectives(config, study)):
        inputs["embedded"] = f"{_RUN}/{FILES['embedded']}"
    if study.reads:
        inputs["reads"] = partial(_tables_read, config, study)
    return inputs


def _tables_read(config: Mapping, study: Study, wildcards: Any) -> list[str]:
    """Return tables of other studies, of those that are on for the same images."""
    return [
        table_file(other, table).format(images=wildcards.images, seed=wildcards.seed)
        for other in studies_on(config)
        for table in other.tables
        if table in study.reads and wildcards.images in study_sets(config, other.name)
    ]


def _params(config: Mapping, study: Study) -> dict[str, Any]:
    params: dict[str, Any] = {
        "function": f"{study.module}:{study.function}",
        "tables": list(study.tables),
        "options": _options(config, study),
    }
    sections = ("march", "density", "random_seeds")
    params |= {name: config[name] for name in sections if name in study.needs}
    if "solvers" in study.needs:
        names = study_solvers(config, study.name)
        params["solvers"] = {name: config["solvers"][name] for name in names}
    if "trajectories" in study.needs:
        params["baseline"] = baseline_solver(config, study_solvers(config, "trajectory"))
    if study.timed:
        params["n_threads"] = config["studies"]["blas_threads"]
    if not study.runs:
        params["caption"] = " ".join(study.tables.values())
    return params


def _options(config: Mapping, study: Study) -> dict[str, Any]:
    """Return what the study's function asks for by the names of its parameters."""
    options = section(config, study.name)
    missing = [name for name in study.options if name not in options]
    if missing:
        raise ConfigError(
            f"{study.file}: {study.function} asks for {missing[0]!r}, which is no key of "
            f"studies.{study.name}: add it to the schema, with a default."
        )
    return {name: options[name] for name in study.options}


def _solver_entries(config: Mapping, study: Study, wildcards: Any) -> list[Mapping]:
    """Return the solvers of a job: its own, or those of the study's declaration and section."""
    if study.per == "solver":
        return [config["solvers"][wildcards.solver]]
    entries: list[Mapping] = [{"method": method} for method in study.solvers]
    options = section(config, study.name)
    if study.solvers_from == "method":
        entries.append(options)
    elif study.solvers_from and isinstance(options.get(study.solvers_from), Mapping):
        entries += options[study.solvers_from].values()
    elif study.solvers_from:
        entries += [config["solvers"][name] for name in study_solvers(config, study.name)]
    return entries


def _files(config: Mapping, study: Study, wildcards: Any) -> list[Path]:
    readers = [module_file(READERS[need]) for need in study.needs if need in READERS]
    solvers = solver_files(_solver_entries(config, study, wildcards))
    objectives = sorted({model.file for model in _objectives(config, study)})
    return [study.file, *readers, *solvers, *_sampler_files(config, study), *objectives]


def _sampler_files(config: Mapping, study: Study) -> list[Path]:
    """Return the modules of the samplers that a study's section lists."""
    lists = [section(config, study.name).get(key) for key in study.samplers_from]
    return sampler_files(
        given for named in lists for given in (sampler_names() if named is None else named)
    )


def _objectives(config: Mapping, study: Study) -> list[Model]:
    """Return the training objectives that a study's section lists."""
    key = study.objectives_from
    listed = section(config, study.name).get(key) if key else ()
    names = {given if isinstance(given, str) else given["model"] for given in listed}
    place = f"studies.{study.name}.{key}"
    return [model_entry(name, "study", place) for name in sorted(names)]


def _solver(config: Mapping, wildcards: Any) -> dict[str, Any]:
    return {"name": wildcards.solver, **config["solvers"][wildcards.solver]}


def module_file(name: str) -> Path:
    """Return the file of a module of the package."""
    return FOLDER.joinpath(*name.split(".")[1:]).with_suffix(".py")


# --- gathered tables and figures ----------------------------------------------------------------


@dataclass(frozen=True)
class StudyFigure:
    """A figure that is on: its table, its caption, and the function that draws it."""

    table: str
    caption: str
    function: str
    file: Path


@dataclass
class Products:
    """Gathered tables and figures that the configuration asks for.

    Attributes
    ----------
    studies : dict
        Table to the study that makes it per image set and random seed.
    figures : dict
        Figure name to `StudyFigure`.
    """

    studies: dict[str, Study] = field(default_factory=dict)
    figures: dict[str, StudyFigure] = field(default_factory=dict)

    def add_figure(self, name: str, table: str, caption: str) -> None:
        """Ask for a figure of a table, drawn by the function declared under its name."""
        drawn = declared_in(FIGURES_FOLDER)
        if name not in drawn:
            raise ConfigError(
                f"Nobody draws the figure {name!r}: declare a function by @register({name!r}) in a "
                f"module of {FIGURES_FOLDER}."
            )
        entry = drawn[name]
        module = f"crosskrylov.reporting.figures.studies.{entry.file.stem}"
        self.figures[name] = StudyFigure(table, caption, f"{module}:{entry.attribute}", entry.file)

    def parts(self, config: Mapping, table: str) -> list[str]:
        """Return the files of a table of every image set and random seed."""
        study = self.studies[table]
        return expand_runs(config, table_file(study, table), study_sets(config, study.name))

    def labels(self, config: Mapping, table: str) -> list[dict]:
        """Return what a gathered table says about each of its parts."""
        return run_labels(config, study_sets(config, self.studies[table].name))


def products(config: Mapping) -> Products:
    """Return the tables and figures of every study that is on."""
    found = Products()
    for study in studies_on(config):
        if study.runs:
            found.studies |= dict.fromkeys(study.tables, study)
        for name, figure in study.figures.items():
            found.add_figure(name, figure["table"], figure["caption"])
    return found


def study_captions(made: Products) -> dict[str, str]:
    """Return the captions of studies' tables and figures by name."""
    tables = {table: study.tables[table] for table, study in made.studies.items()}
    return tables | {name: figure.caption for name, figure in made.figures.items()}
