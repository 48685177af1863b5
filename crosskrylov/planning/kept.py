"""Which runs are taken from kept records instead of being made, and which are kept.

Records are kept by `make snapshot` in docs/results/records, so that a study goes on where another
machine left it.  A record stands for a run only if its fingerprint is today's.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from crosskrylov.errors import DataError
from crosskrylov.planning import training
from crosskrylov.planning.fingerprints import (
    NEEDS,
    Step,
    coefficient_files,
    march_row_steps,
    steps_fingerprint,
    study_steps,
    training_steps,
)
from crosskrylov.planning.runs import equation, image_set, runs
from crosskrylov.planning.samplers import sampler_files, samplers_of
from crosskrylov.planning.solvers import baseline_solver
from crosskrylov.planning.sources import frechet_features, source_file
from crosskrylov.planning.studies import (
    StudyRule,
    studies_on,
    study_rules,
    study_sets,
    study_solvers,
)


@dataclass(frozen=True)
class PlannedRun:
    """A run that is expensive and ends in a small result.

    Attributes
    ----------
    path : str
        Its result.
    steps : callable
        Returns the steps up to it; only asked where the fingerprint is needed.
    beside : tuple of str
        Names of further files beside the result that belong to it.
    row : mapping
        If the result is a row of results/tables/solvers_by_seed.tsv: the columns that find it.
    """

    path: str
    steps: Callable[[], Iterable[Step]]
    beside: tuple[str, ...] = ()
    row: Mapping[str, Any] = field(default_factory=dict)

    @property
    def files(self) -> list[str]:
        """Every file of the run, its result first."""
        return [self.path, *(str(Path(self.path).with_name(name)) for name in self.beside)]

    @cached_property
    def fingerprint(self) -> str:
        """Digest of all that the run depends on."""
        return steps_fingerprint(self.steps())


def record_name(path: str) -> str:
    """Return a record's path inside its folder, from the path of the run's result."""
    return f"{path.removeprefix('results/')}.json"


def kept_or_made(config: Mapping, path: str, fingerprint: str | Callable[[], str]) -> str:
    """Return the path of a run's kept record if it may stand for it, else that of its result.

    Parameters
    ----------
    config : mapping
        The configuration; its section ``records`` says whether and where records are taken.
    path : str
        The run's result.
    fingerprint : str or callable
        The run's fingerprint; a function is called only where there is a record to compare.

    Raises
    ------
    DataError
        If the record cannot be read.
    """
    if not config["records"]["take"]:
        return path
    record = Path(config["records"]["folder"], record_name(path))
    if not record.is_file():
        return path
    try:
        kept = json.loads(record.read_text(encoding="utf-8"))["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{record} is no record of a run ({error!r}): restore it, or delete it to run this "
            "again."
        ) from None
    wanted = fingerprint if isinstance(fingerprint, str) else fingerprint()
    return record.as_posix() if kept == wanted else path


def is_kept(config: Mapping, run: PlannedRun) -> bool:
    """Return whether a run is taken from its record."""
    return kept_or_made(config, run.path, lambda: run.fingerprint) != run.path


def march_runs(config: Mapping) -> list[PlannedRun]:
    """Return the marches of the table of solvers and the exact solutions, its rows per seed."""
    sets, solvers = study_sets(config, "trajectory"), study_solvers(config, "trajectory")
    planned = []
    for images, seed in runs(config, sets):
        folder = f"results/{images}/seed{seed}"
        row = {"dataset": images, "seed": seed, "study": "trajectory"}
        exact = {"family": "exact"}  # it goes by the name of its method, which is not known here
        for name in (*solvers, None):
            stem = f"trajectories/{name}" if name else "exact_scores"
            planned.append(
                PlannedRun(
                    f"{folder}/{stem}.json",
                    partial(march_row_steps, config, images, seed, name, solvers),
                    row=row | ({"solver": name} if name else exact),
                )
            )
    return planned


def study_runs(config: Mapping) -> list[PlannedRun]:
    """Return the studies' tables of every image set and random seed, of every solver if so made."""
    planned = []
    for rule in study_rules(config):
        study = rule.study
        if not study.runs:
            continue
        names = study_solvers(config, study.name) if study.per else [None]
        for images, seed in runs(config, study_sets(config, study.name)):
            for solver in names:
                if solver is not None and not re.fullmatch(rule.solver, solver):
                    continue
                at = SimpleNamespace(images=images, seed=str(seed), solver=solver)
                path, *others = [table.format(**vars(at)) for table in rule.tables]
                planned.append(
                    PlannedRun(
                        path,
                        partial(_study_steps, config, rule, at),
                        beside=tuple(Path(other).name for other in others),
                    )
                )
    return planned


def _study_steps(config: Mapping, rule: StudyRule, at: SimpleNamespace) -> list[Step]:
    """Return the steps up to the tables of one study; its baseline's arrays are not among them.

    They are compared with only, and another edition of the baseline re-runs no other solver.
    """
    study, run = rule.study, (config, at.images, int(at.seed))
    before: list[Step] = []
    for other in studies_on(config):
        if at.images in study_sets(config, other.name) and set(other.tables) & set(study.reads):
            for planned in (r for r in study_rules(config) if r.study.name == other.name):
                names = study_solvers(config, other.name) if other.per else [None]
                for name in names:
                    if name is None or re.fullmatch(planned.solver, name):
                        where = SimpleNamespace(images=at.images, seed=at.seed, solver=name)
                        before += _study_steps(config, planned, where)
    parameters = {k: v(at) if callable(v) else v for k, v in rule.params.items()}
    parameters["equation"] = equation(*run[:2]) if "equation" in study.needs else None
    files = rule.files(at) if callable(rule.files) else rule.files
    own = Step("run_study.py", parameters, (*files, *coefficient_files(config)))
    needs = [need for need in dict.fromkeys((*study.needs, *rule.inputs)) if need in NEEDS]
    marches = study_solvers(config, "trajectory") if "trajectories" in study.needs else []
    return [*before, *study_steps(*run, [own], needs, marches)]


def training_runs(config: Mapping) -> list[PlannedRun]:
    """Return every training run, every comparison of samplers and every calibration."""
    return (
        [
            PlannedRun(path, partial(_calibration_steps, config, *Path(path).parts[-2:]))
            for path in training.calibrations(config)
        ]
        + [
            PlannedRun(
                path,
                partial(_training_steps, config, **training.run_of(path)),
                beside=() if training.judges(experiment) else ("curve.tsv",),
            )
            for experiment in training.EXPERIMENTS
            for path in training.results_of(config, experiment)
        ]
        + [
            PlannedRun(path, partial(_floor_steps, config, path))
            for path in training.floors_of(config)
        ]
    )


def _floor_steps(config: Mapping, path: str) -> list[Step]:
    run = training.run_of(path)
    images, seed = run["images"], run["seed"]
    given = {
        "run": training.floor_columns(config, images, seed),
        "options": training.floor_options(config),
    }
    own = [_held_out_step(config, images, int(seed)), Step("judge_real_images.py", given)]
    return training_steps(config, images, int(seed), own)


def _held_out_step(config: Mapping, images: str, seed: int) -> Step:
    most = config["training"]["quality"]["held_out"]
    given = {"image_set": image_set(config, images), "seed": seed, "most": most}
    return Step("hold_out_images.py", given, (source_file(config, images),))


def _calibration_steps(config: Mapping, images: str, file: str) -> list[Step]:
    together = Path(file).stem.removeprefix("together")
    given = training.calibration_params(config, images, together)
    given |= {"equation": equation(config, images)}
    files = tuple(training.calibration_files(config, images))
    own = Step("calibrate_training.py", given, files)
    return training_steps(config, images, given["seed"], [own])


def _training_steps(
    config: Mapping, experiment: str, images: str, model: str, seed: str, image: str | None = None
) -> list[Step]:
    run = {"images": images, "model": model, "seed": seed}
    if experiment == "samplers":
        # of the trained network only: not of its samples and their evaluation
        before = _training_steps(config, "budget", **run)[:-2]
        return [*before, _training_step(config, "compare_samplers", experiment, **run)]
    if training.base_experiment(experiment) == "quality":
        before = _training_steps(config, training.training_of(experiment), **run)[:-2]
        judged = _training_step(config, "judge_quality", experiment, **run)
        return [*before, _held_out_step(config, images, int(seed)), judged]
    scripts = {
        "single_image": ("train_single_image", "denoise", "evaluate_single_image"),
        "budget": ("train_budget", "sample", "evaluate_budget"),
    }[training.base_experiment(experiment)]
    if "denoise" in scripts and not training.is_shown(experiment):
        scripts = (scripts[0], scripts[2])  # it shows no denoised images
    embedding = None
    if training.embedded_images(config, experiment, images, model, seed):
        variant = training.variant_of(config, experiment, model)
        embedding = training.embedding_section(config, variant)
    own = [_training_step(config, name, experiment, image=image, **run) for name in scripts]
    before = []
    if image and training.method_result(config, experiment, images, model, image, seed):
        method = run | {"model": training.ablated_model(False), "image": image}
        before = _training_steps(config, experiment, **method)
    return [*before, *training_steps(config, images, int(seed), own, embedding)]


def _training_step(
    config: Mapping,
    script: str,
    experiment: str,
    images: str,
    model: str,
    seed: str,
    image: str | None = None,
) -> Step:
    """Return one step of a training run, with what its rule in train.smk or evaluate.smk gets."""
    run = {"experiment": experiment, "images": images, "model": model, "image": image, "seed": seed}
    folder = training.run_folder(experiment).format(**run)
    section = training.training_section(config, experiment, model, image)
    values = {
        "objective": lambda: training.trained_model(config, experiment, model),
        "training": lambda: section,
        "final_time": lambda: config["equation"]["final_time"],
        "run": lambda: training.run_columns(config, **run),
        "stop_multiples": lambda: training.stop_multiples(config, experiment, images, model, image),
        "targets": lambda: training.targets_of(config, experiment, model),
        "n_images": lambda: len(training.image_indices(image)),
        "sampler": lambda: config["training"]["budget"]["sampler"],
        "features": lambda: frechet_features(config, images),
        "metrics": lambda: config["metrics"],
        "state": lambda: f"{folder}state",
        "embedded_steps": lambda: training.embedded_steps(config, experiment, model),
        "equation": lambda: equation(config, images),
        "unet": lambda: config["unet"],
    }
    given = {name: values[name]() for name in TRAINING_PARAMETERS[script].split()}
    modules = (
        training.model_file(config, experiment, model),
        *sampler_files(samplers_of(config, script)),
    )
    return Step(f"{script}.py", given, modules)


#: Names of the parameters of every rule of a training run; a test compares them with the rules.
TRAINING_PARAMETERS = {
    "calibrate_training": "run models embedded_steps equation unet training seed",
    "train_single_image": "state objective embedded_steps equation unet training stop_multiples",
    "train_budget": "state objective features unet training",
    "denoise": "objective training final_time",
    "evaluate_single_image": "run targets n_images",
    "sample": "objective training",
    "evaluate_budget": "run objective sampler features training metrics",
    "compare_samplers": "run objective features training metrics",
    "judge_quality": "run objective training metrics",
}


def march_files(config: Mapping, is_made: Callable[[str], bool]) -> dict[str, list]:
    """Return what the table of solvers reads beside the summaries: of marches that are not kept.

    Parameters
    ----------
    config : mapping
        The configuration.
    is_made : callable
        Whether the run with a result is made, not taken from its record.

    Returns
    -------
    dict
        Files ``histories`` and ``trajectories`` of every march that is made, in the order of the
        marches; ``references`` (SpSolve's march) and ``exact_scores`` of every run of which
        anything is made; ``reference_runs`` and ``exact_runs``, their image sets and random seeds.
    """
    names = ("histories", "trajectories", "references", "exact_scores")
    found: dict[str, list] = {name: [] for name in (*names, "reference_runs", "exact_runs")}
    solvers = study_solvers(config, "trajectory")
    baseline = baseline_solver(config, solvers)
    for images, seed in runs(config, study_sets(config, "trajectory")):
        folder = f"results/{images}/seed{seed}"
        made = [s for s in solvers if is_made(f"{folder}/trajectories/{s}.json")]
        found["histories"] += [f"{folder}/trajectories/{s}.tsv" for s in made]
        found["trajectories"] += [f"{folder}/trajectories/{s}.npz" for s in made]
        if made or is_made(f"{folder}/exact_scores.json"):
            found["exact_scores"].append(f"{folder}/exact_scores.npz")
            found["exact_runs"].append([images, seed])
            if baseline:
                found["references"].append(f"{folder}/trajectories/{baseline}.npz")
                found["reference_runs"].append([images, seed])
    return found


def withheld_figures(config: Mapping) -> list[str]:
    """Return the figures that show pixels of image sets that are not published."""
    shown = training.image_figures(config)
    return sorted(name for name, figure in shown.items() if not figure.publish)


def figures_of_kept_runs(config: Mapping, is_made: Callable[[str], bool]) -> list[str]:
    """Return the figures that cannot be drawn: a record holds no pixels of the run behind them."""
    found = []
    for name, figure in training.image_figures(config).items():
        files = figure.inputs.get("denoised", figure.inputs.get("samples", []))
        if not all(is_made(str(Path(file).with_name("result.json"))) for file in files):
            found.append(name)
    return found


def described(planned: Iterable[PlannedRun]) -> list[dict]:
    """Return what `keep_records` is told of every run, as plain values."""
    return [
        {
            "path": run.path,
            "record": record_name(run.path),
            "fingerprint": run.fingerprint,
            "beside": list(run.beside),
            "row": dict(run.row),
        }
        for run in planned
    ]


def manifest(
    config: Mapping,
    targets: Iterable[str],
    captions: Mapping[str, str] | None = None,
    retained: Iterable[str] = (),
) -> dict:
    """Return what a snapshot is told of a configuration.

    Parameters
    ----------
    config : mapping
        The configuration.
    targets : iterable of str
        Every file that it asks for.
    captions : mapping of str to str, optional
        Captions of tables and figures, by name without suffix.
    retained : iterable of str
        Figures that cannot be drawn anew, since the runs that they show are taken from records; the
        snapshot leaves them as they are.

    Returns
    -------
    dict
        ``tables`` and ``figures`` (names of files), ``withheld`` (figures that show pixels of sets
        that are not published), ``retained`` (both without suffix), ``captions``.
    """
    paths = [Path(path) for path in targets]
    tables = {p.name for p in paths if p.parent.name == "tables" and p.suffix == ".tsv"}
    figures = {p.name for p in paths if p.parent.name == "figures"}
    return {
        "tables": sorted(tables),
        "figures": sorted(figures),
        "withheld": withheld_figures(config),
        "retained": sorted(retained),
        "captions": dict(captions or {}),
    }
