"""The published claims, each with what was measured here and a verdict.

Claims are about ratios: seconds depend on the machine.  A claim about a data set is tested on that
data set; where other images were used the row says so in its column ``dataset``.  How an interval
becomes a verdict: `crosskrylov.reporting.tables.verdicts`.
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from crosskrylov.metrics.intervals import Interval, ratio_interval
from crosskrylov.metrics.names import SSIM_METRICS
from crosskrylov.reporting.tables.first_steps import first_steps
from crosskrylov.reporting.tables.paired import Ratios, ratio_bounds, time_bounds
from crosskrylov.reporting.tables.published import (
    BASELINES,
    METHODS,
    PROJECTION,
    SPEEDUP_CLAIMS,
    STAND_INS,
    SpeedupClaim,
)
from crosskrylov.reporting.tables.quality import deciding_distance
from crosskrylov.reporting.tables.training import images_together
from crosskrylov.reporting.tables.verdicts import (
    NOT_REPRODUCED,
    UNDECIDED,
    WITHDRAWN,
    judge,
    published_range,
)
from crosskrylov.solvers.index import BASELINE_METHOD, controls, published_methods

COLUMNS = (
    "claim",
    "paper_value",
    "measured_value",
    "low",
    "high",
    "metric",
    "baseline",
    "dataset",
    "image_size",
    "verdict",
    "evidence",
)
#: What stands in ``evidence`` where nothing was measured.
NOT_RUN = "not run"
SOLVERS_PATH = "results/tables/solvers.tsv"
CLOCKS_PATH = "results/tables/clocks.tsv"
TRAINING_PATH = "results/tables/training.tsv"
QUALITY_PATH = "results/tables/quality.tsv"

#: Saving of the projection against SpSolve over the whole pre-computation, per cent, published.
SAVING_RANGE = (15.8, 43.7)
PUBLISHED_METHOD = "cross_matrix_galerkin"
MODEL = "score_embedding"
#: The method in generation: on its own noise levels, and on DDPM's.
GENERATING = (MODEL, "score_embedding_linear")
#: Random seeds without which nothing is said of generation.
FEWEST_SEEDS = 3
#: The phases of clocks.tsv that make a time end to end.
PHASES = ("assembly", "conversion", "setup", "solve", "check")

#: What is read of solvers.tsv in any case.
_SOLVER_COLUMNS = ("dataset", "image_size", "study", "solver", "time_reduction_vs_spsolve")

NO_INTERVAL = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Declared:
    """What a configuration says of the names that the tables use.

    Attributes
    ----------
    methods : dict
        Solver name to method, "" for a control; a name that is missing is a method itself.
    controls : dict
        Solver that projects to the solver that is the same without the projection.
    sources : dict
        Image set to its source; a name that is missing is a source itself.
    first_steps : dict
        Image set to the steps at which its runs were evaluated for the first time.
    """

    methods: Mapping[str, str] = field(default_factory=dict)
    controls: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    first_steps: Mapping[str, Iterable[int]] = field(default_factory=dict)


def declared_in_configs(configs: Iterable[Mapping]) -> Declared:
    """Return what configurations say together; of a name in several, what the last one says."""
    methods, without, sources = {}, {}, {}
    configs = list(configs)
    for config in configs:
        solvers = config.get("solvers", {})
        methods |= published_methods(solvers)
        without |= controls(solvers)
        sources |= {name: its["source"] for name, its in config.get("image_sets", {}).items()}
    return Declared(methods, without, sources, first_steps(configs))


SAVING_TEXT = f"{PROJECTION}: time that the projection saves, pre-computation of scores"
#: What no paper says, in the form of a claim, so that a verdict on it can be read.
MARGINAL_TEXT = (
    "asked here, not published: the projection itself saves time; time with it over time of the "
    "same refinement without it"
)
BEST_DIRECT_TEXT = (
    "asked here, not published: the projection saves time against the best direct solver too (the "
    "paper names SpSolve)"
)
BUDGET_TEXT = (
    f"{PROJECTION}: under the same time budget the method's samples are better than DDPM's"
)

#: Numbers that the authors took back themselves: claim, value, metric, baseline and where.
_COMPANION = "companion repository, not a claim of either paper"
_COMPANION_CHANGELOG = (
    "CHANGELOG.md of github.com/andrew-na-git/Score-Embedding-Fast-Diffusion, commit af17830"
)
WITHDRAWN_CLAIMS = (
    (
        f"{_COMPANION}: FID of its samples (removed there: from 1 to 3 images)",
        "0.65, 1.53, 4.30",
        "fid",
        None,
    ),
    (
        f"{_COMPANION}: its density estimate against the exact kernel estimate at 64x64 "
        "(corrected there: 6.2x, and slower below 48x48)",
        "250x",
        "time ratio",
        "exact kernel density estimate",
    ),
    (
        f"{_COMPANION}: its line relaxation against SpSolve (corrected there: 26.6x at 65,536 "
        "unknowns)",
        "187x",
        "time ratio",
        BASELINE_METHOD,
    ),
)


def claims_table(
    solvers: pd.DataFrame | None,
    training: pd.DataFrame | None = None,
    quality: pd.DataFrame | None = None,
    clocks: pd.DataFrame | None = None,
    declared: Declared | None = None,
) -> pd.DataFrame:
    """Return a row per published claim, data set, metric and baseline that it was tested with.

    Parameters
    ----------
    solvers : DataFrame or None
        solvers.tsv.
    training, quality : DataFrame, optional
        training.tsv and quality.tsv; without a table its claims are undecided, evidence "not run".
    clocks : DataFrame, optional
        clocks.tsv, the seconds of every repeat; without it the ratio of times with and without the
        projection has no interval.
    declared : Declared, optional
        What the configuration says of solvers and image sets.

    Returns
    -------
    DataFrame
        With `COLUMNS`; measured_value, low and high in the unit that ``metric`` and ``paper_value``
        have, and missing where nothing was measured.
    """
    declared = declared or Declared()
    if solvers is None:
        solvers = pd.DataFrame(columns=_SOLVER_COLUMNS)
    rows = _saving_rows(solvers, declared.methods)
    rows += _marginal_rows(solvers, clocks, declared)
    for claim in SPEEDUP_CLAIMS:
        rows += _speedup_rows(claim, training, declared)
    rows += _budget_rows(quality)
    rows += [
        _row(text, value, metric, baseline, verdict=WITHDRAWN, evidence=_COMPANION_CHANGELOG)
        for text, value, metric, baseline in WITHDRAWN_CLAIMS
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({"image_size": "Int64", "low": float, "high": float})


# --- solvers --------------------------------------------------------------------------------------


def _marches(solvers: pd.DataFrame) -> pd.DataFrame:
    return solvers[solvers.study == "trajectory"]


def _clock(table: pd.DataFrame) -> str:
    """Return what the seconds of a table hold; before they were end to end they left much out."""
    whole = "assembly_seconds" in table and table.assembly_seconds.notna().all()
    return "end to end" if whole else "setup and solve"


def _saving_rows(solvers: pd.DataFrame, methods: Mapping[str, str]) -> list[dict]:
    paper_value = f"{SAVING_RANGE[0]}% to {SAVING_RANGE[1]}%"
    marches = _marches(solvers)
    names = marches.solver.map(lambda name: methods.get(name, name))
    chosen = marches[(names == PUBLISHED_METHOD) & marches.time_reduction_vs_spsolve.notna()]
    if chosen.empty:
        return [_row(SAVING_TEXT, paper_value, "time saved, %", BASELINE_METHOD)]
    rows = []
    for run in chosen.to_dict("records"):
        about = {"dataset": run["dataset"], "image_size": run["image_size"]}
        metric = f"time saved by {run['solver']}, %, {_clock(chosen)}"
        saving = _percent(_read(run, "time_reduction_vs_spsolve"))
        rows.append(
            _row(
                *(SAVING_TEXT, paper_value, metric, BASELINE_METHOD),
                **about,
                measured=saving,
                verdict=judge(saving.low, saving.high, 0.0, SAVING_RANGE),
                evidence=SOLVERS_PATH,
            )
        )
        saving = _percent(_read(run, "time_reduction_vs_best_direct"))
        if not np.isnan(saving.median):
            rows.append(
                _row(
                    *(BEST_DIRECT_TEXT, None, metric, f"{run['best_direct']} (best direct solver)"),
                    **about,
                    measured=saving,
                    verdict=judge(saving.low, saving.high, 0.0),
                    evidence=SOLVERS_PATH,
                )
            )
    return rows


def _read(run: Mapping, name: str) -> Interval:
    """Return a measured value with its interval; an end that the table does not have is NaN."""
    values = (run.get(name + end, np.nan) for end in ("", "_low", "_high"))
    return Interval(*(float("nan") if pd.isna(value) else float(value) for value in values))


def _percent(fraction: Interval) -> Interval:
    return Interval(*(100 * value for value in fraction))


def _marginal_rows(
    solvers: pd.DataFrame, clocks: pd.DataFrame | None, declared: Declared
) -> list[dict]:
    """Return what the projection does to the time beyond what its refinement does alone."""
    marches = _marches(solvers)
    rows = []
    pairs = [
        (solver, control)
        for solver, control in declared.controls.items()
        if declared.methods.get(solver, solver) == PUBLISHED_METHOD
    ]
    for solver, control in pairs:
        clock = _clock(marches[marches.solver.isin([solver, control])])
        metric = f"time of {solver} over its baseline's, {clock}"
        both = marches[marches.solver == solver].merge(
            marches[marches.solver == control],
            on=["dataset", "image_size"],
            suffixes=("", "_without"),
        )
        for run in both.to_dict("records"):
            about = {"dataset": run["dataset"], "image_size": run["image_size"]}
            ratio = _clocked_ratio(clocks, solver, control, **about)
            evidence = CLOCKS_PATH
            if ratio is None:
                # through the savings, each of which pairs runs of one machine
                with_it, without = (
                    1 - run[f"time_reduction_vs_spsolve{end}"] for end in ("", "_without")
                )
                ratio, evidence = NO_INTERVAL._replace(median=with_it / without), SOLVERS_PATH
            if np.isnan(ratio.median):
                continue
            # less is better here: the verdict is on the reciprocal
            verdict = judge(1 / ratio.high, 1 / ratio.low, 1.0)
            rows.append(
                _row(
                    *(MARGINAL_TEXT, None, metric, control),
                    **about,
                    measured=ratio,
                    verdict=verdict,
                    evidence=evidence,
                )
            )
    return rows or [_row(MARGINAL_TEXT, None, f"time of {PUBLISHED_METHOD} over its baseline's")]


def _clocked_ratio(
    clocks: pd.DataFrame | None, solver: str, control: str, dataset: str, image_size: int
) -> Interval | None:
    """Return the ratio of two solvers' seconds, paired repeat by repeat; None if not clocked.

    The seconds of a repeat are the sum over its windows and all phases, the mean over random seeds;
    a window that only one of the two has is left out, and so are the whole marches that check them.
    """
    if clocks is None:
        return None
    chosen = (clocks.dataset == dataset) & (clocks.image_size == image_size)
    if "part" in clocks:
        chosen &= clocks.part == "window"
    table = clocks[chosen]
    table = table.assign(seconds=table[[f"{phase}_seconds" for phase in PHASES]].sum(axis=1))
    same = [key for key in ("seed", "repeat", "window", "first_step", "n_steps") if key in table]
    both = table[table.solver == solver].merge(
        table[table.solver == control], on=same, suffixes=("", "_without")
    )
    if both.empty:
        return None
    seconds = ["seconds", "seconds_without"]
    sums = both.groupby(["seed", "repeat"])[seconds].sum().groupby("repeat").mean()
    return ratio_interval(sums.seconds, sums.seconds_without)


# --- training -------------------------------------------------------------------------------------


def _speedup_rows(
    claim: SpeedupClaim, training: pd.DataFrame | None, declared: Declared
) -> list[dict]:
    sources = declared.sources
    not_run = _row(
        *(claim.text, f"{claim.speedup:.2f}x", SSIM_METRICS[0], claim.baseline),
        dataset=claim.source,
        image_size=claim.image_size,
    )
    if training is None:
        return [not_run]
    runs = training[
        (training.experiment == "single_image") & (training.image_size == claim.image_size)
    ]
    runs = runs.assign(ended=_ended_elsewhere(runs))
    runs = runs[np.isclose(runs.target_ssim.astype(float), claim.target_ssim)]
    # tables from before there was a choice have windowed targets, of one image
    runs = runs.assign(metric=_metric_names(runs))
    if "image" in runs:
        runs = runs[images_together(runs.image) == claim.n_images]
    elif claim.n_images > 1:
        return [not_run]
    rows = []
    for (dataset, metric), group in runs.groupby(["dataset", "metric"]):
        pairs = [(m, b) for b in BASELINES[claim.baseline] for m in METHODS[b]]
        for method, baseline in pairs:
            ours, its = (group[group.model == model] for model in (method, baseline))
            row = _speedup_row(claim, metric, ours, its, declared.first_steps.get(dataset, ()))
            if row:
                own = _is_of(dataset, claim.source, sources)
                rows.append(row | {"dataset": dataset if own else _in_place(dataset, claim)})
    if not any(_is_of(row["dataset"], claim.source, sources) for row in rows) and not (
        rows and claim.source in STAND_INS
    ):
        rows.insert(0, not_run)
    return rows


def _in_place(dataset: str, claim: SpeedupClaim) -> str:
    return f"{dataset} (in place of {claim.source})"


def _metric_names(runs: pd.DataFrame) -> pd.Series:
    if "metric" not in runs:
        return pd.Series(SSIM_METRICS[1], index=runs.index)
    return runs.metric.fillna(SSIM_METRICS[1]).astype(str).str.split().str[0]


def _is_of(dataset: str, source: str, sources: Mapping[str, str]) -> bool:
    return str(sources.get(dataset, dataset)).startswith(source)


def _ended_elsewhere(runs: pd.DataFrame) -> pd.Series:
    """Return which rows missed a target only since their run had ended at one in another metric."""
    if "steps" not in runs:
        return pd.Series(False, index=runs.index)
    reached = runs.reached.astype(str) == "True"
    ends = [runs[key] for key in ("dataset", "model", "image", "seed", "steps") if key in runs]
    arrivals, own = (
        reached.groupby(keys, dropna=False).transform("sum")
        for keys in (ends, [*ends, _metric_names(runs)])
    )
    return ~reached & (arrivals > own)


def _speedup_row(
    claim, metric, ours: pd.DataFrame, its: pd.DataFrame, first_steps: Iterable[int]
) -> dict | None:
    """Judge the median over images; None where the two were not compared.

    Of several random seeds of an image the median counts: they are no further images.  Where there
    is one image alone, the interval is that over its random seeds.  A ratio to a run that was
    stopped is a bound, and so is one to a run that was there at its first evaluation: the interval
    then has one end alone, or none, see `ratio_bounds`.  Where more than half of the method's runs
    missed a target that the baseline reached in no more time, the claim is not reproduced.
    """
    if ours.empty or its.empty:
        return None
    method, baseline = ours.model.iloc[0], its.model.iloc[0]
    column = f"speedup_vs_{baseline}"
    if column not in ours:
        return None
    run = [key for key in ("seed", "image") if key in ours]
    ours, its = (of.join(time_bounds(of, first_steps).add_suffix("_time")) for of in (ours, its))
    ours, its = (of.assign(reached=of.reached.astype(str) == "True") for of in (ours, its))
    kept = ["reached", "ended", "low_time", "high_time"]
    kept += ["wall_seconds"] * ("wall_seconds" in its)
    paired = ours.merge(its[[*run, *kept]], on=run, suffixes=("", "_of"))
    if paired.empty:
        return None
    missed = ~paired.reached
    if paired[column].isna().all() and not missed.any():
        return None
    # a run that was given less than the baseline took was not compared; where both were given
    # as much and the baseline got there, it won
    lost = missed & paired.reached_of & ~(paired.low_time < paired.high_time_of)
    ratios, unit = _ratios(paired, column)
    measured = ratio_bounds(ratios)
    verdict = judge(measured.low, measured.high, 1.0, published_range(claim.speedup))
    if lost.mean() > 0.5:
        verdict = NOT_REPRODUCED
    return _row(
        *(claim.text, f"{claim.speedup:.2f}x", metric),
        _named_baseline(claim, method, baseline),
        image_size=claim.image_size,
        measured=measured,
        said=_in_words(measured, ratios, unit, paired, baseline),
        verdict=verdict,
        evidence=TRAINING_PATH,
    )


def _ratios(paired: pd.DataFrame, column: str) -> tuple[Ratios, str]:
    """Return the ratios of images, or of the runs on one image alone, and which of them it is.

    Without calibrated seconds a ratio is what the table says or, where a run was stopped, that of
    the runs' own seconds.
    """
    both = paired.reached & paired.reached_of
    stated = paired[column]
    if "wall_seconds" in paired:
        stated = stated.fillna(paired.wall_seconds_of / paired.wall_seconds)
    low = (paired.low_time_of / paired.high_time).fillna(stated)
    high = (paired.high_time_of / paired.low_time).fillna(stated.where(both, np.inf))
    found = paired.assign(low=low.where(paired.reached, 0.0), high=high)
    found = found.dropna(subset=["low", "high"])
    unit = "runs"
    if "image" in found and found.image.nunique() > 1:
        found, unit = found.groupby("image")[["low", "high"]].median(), "images"
    return Ratios(found.low.to_numpy(), found.high.to_numpy()), unit


def _in_words(measured: Interval, ratios: Ratios, unit: str, paired, baseline: str) -> str | None:
    """Return what cannot be said by a number alone; None where a number can."""
    if (ratios.low == ratios.high).all():
        return None
    n = len(ratios.low)
    said = [
        f"the method faster on {(ratios.low > 1).sum()}, slower on {(ratios.high < 1).sum()} "
        f"of {n} {unit if n > 1 else unit.removesuffix('s')}"
    ]
    if not np.isnan(measured.median):
        least = (ratios.low > 0).all()
        said = [f"{'at least' if least else 'at most'} {measured.median:.4g}", *said]
    arrived = [int(paired[name].sum()) for name in ("reached", "reached_of")]
    if min(arrived) < len(paired):
        said.append(f"it arrived {arrived[0]}, {baseline} {arrived[1]} times in {len(paired)}")
    ended = int(paired.ended.sum() + paired.ended_of.sum())
    if ended:
        said.append(f"{ended} of {2 * len(paired)} runs ended before, at targets in another metric")
    return "; ".join(said)


def _named_baseline(claim: SpeedupClaim, method: str, baseline: str) -> str:
    """Return the baseline in words: what was trained, and where the two are not drawn alike."""
    name = baseline
    if claim.baseline != "ddpm":
        name = f"{claim.baseline} (which draws {baseline}: the same runs)"
    if method != MODEL:
        return f"{name}, against {method}"
    alike = baseline.endswith("_from_noise") == method.endswith("_from_noise")
    return name if alike else f"{name}, from pure noise; {method} denoises"


# --- generation -----------------------------------------------------------------------------------


def _budget_rows(quality: pd.DataFrame | None) -> list[dict]:
    """Compare Fréchet distances at the end of the budget, the best sampler of each model.

    Where the final models were judged by many samples (the experiment quality), those decide: by
    the most samples that there are, once against the training images and once against held-out
    ones, to which a model that returns its training images is not near.  Fewer than `FEWEST_SEEDS`
    decide nothing.
    """
    paper_value = "recognisable against not recognisable"
    not_run = [_row(BUDGET_TEXT, paper_value, None, "ddpm")]
    if quality is None or quality.empty:
        return not_run
    distances = quality[quality.metric.astype(str).str.match(r"fid|frechet")]
    rows = []
    sets = distances.groupby(["dataset", "image_size"])
    for ((dataset, size), of_set), method in itertools.product(sets, GENERATING):
        for judged, to in _judged_samples(of_set[of_set.model.isin([method, "ddpm"])]):
            if judged.model.nunique() < 2:
                continue
            metric = deciding_distance(judged.metric)
            chosen = judged[judged.metric == metric]
            best = [_best_sampler(chosen[chosen.model == model]) for model in (method, "ddpm")]
            if best[0].empty or best[1].empty:
                continue
            ours, ddpm = best[0].align(best[1], join="inner")
            name = "the method" if method == MODEL else method
            measured = NO_INTERVAL
            if len(ours) and (ours > 0).all() and (ddpm > 0).all():
                measured = ratio_interval(ddpm, ours)
            # the interval of two seeds is that of one difference, and may be narrow by chance
            ends = (measured.low, measured.high) if len(ours) >= FEWEST_SEEDS else (None, None)
            rows.append(
                _row(
                    *(BUDGET_TEXT, paper_value),
                    f"{metric}{to} of ddpm over {name}'s",
                    f"ddpm ({best[1].mean():.4g} against {best[0].mean():.4g})",
                    dataset=dataset,
                    image_size=size,
                    measured=measured,
                    verdict=judge(*ends, 1.0),
                    evidence=QUALITY_PATH,
                )
            )
    return rows or not_run


def _judged_samples(of_set: pd.DataFrame) -> list[tuple[pd.DataFrame, str]]:
    """Return what decides about a data set, and how the metric's name goes on."""
    final = of_set[of_set.experiment == "quality"]
    if final.model.nunique() < 2:
        return [(of_set[of_set.experiment == "budget"], "")]
    judged = []
    for reference in ("training", "held_out"):
        of_reference = final[final.reference == reference]
        if of_reference.model.nunique() < 2:
            continue
        # as many for both models
        most = of_reference.groupby("model").n_samples.max().min()
        to = f" to {reference.replace('_', '-')} images, {most:,} samples,"
        judged.append((of_reference[of_reference.n_samples == most], to))
    return judged


def _best_sampler(runs: pd.DataFrame) -> pd.Series:
    """Return a model's values by random seed, drawn by the sampler that suits it best."""
    if runs.empty:
        return pd.Series(dtype=float)
    if runs.experiment.iloc[0] == "quality":  # chosen by other samples, seed by seed
        return runs.groupby("seed").value.mean()
    best = runs.groupby("sampler").value.mean().idxmin()
    return runs[runs.sampler == best].groupby("seed").value.mean()


# --- a row ----------------------------------------------------------------------------------------


def _row(
    claim,
    paper_value,
    metric,
    baseline=None,
    *,
    dataset=None,
    image_size=None,
    measured: Interval = NO_INTERVAL,
    said: str | None = None,
    verdict=UNDECIDED,
    evidence=NOT_RUN,
) -> dict:
    """Return a row, numbers to four digits; ``said`` stands in place of the median."""
    median, low, high = (None if np.isnan(v) else float(f"{v:.4g}") for v in measured)
    cells = (claim, paper_value, said or median, low, high, metric, baseline, dataset, image_size)
    return dict(zip(COLUMNS, (*cells, verdict, evidence), strict=True))
