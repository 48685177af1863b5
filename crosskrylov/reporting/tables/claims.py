"""The published claims, each with what was measured here and a verdict.

Claims are about ratios: seconds depend on the machine.  A claim about a data set is tested on that
data set; where other images were used the row says so in its column ``dataset``.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

COLUMNS = (
    "claim",
    "paper_value",
    "measured_value",
    "dataset",
    "image_size",
    "verdict",
    "evidence",
)
REPRODUCED, NOT_REPRODUCED, NOT_RUN = "reproduced", "not reproduced", "not run"
SOLVERS_PATH = "results/tables/solvers.tsv"
TRAINING_PATH = "results/tables/training.tsv"
QUALITY_PATH = "results/tables/quality.tsv"

#: Saving of the projection against SpSolve over the whole pre-computation, published range.
SAVING_RANGE = (0.158, 0.437)
PUBLISHED_METHOD = "cross_matrix_galerkin"
MODEL = "score_embedding"


@dataclass(frozen=True)
class SpeedupClaim:
    """A published time ratio of the DDPM baseline (or DDIM) to the method, at one target SSIM."""

    source: str
    image_size: int
    target_ssim: float
    baseline: str
    seconds: float
    baseline_seconds: float
    paper: str
    n_images: int = 1

    @property
    def speedup(self) -> float:
        """Published ratio."""
        return self.baseline_seconds / self.seconds

    @property
    def text(self) -> str:
        """The claim in words."""
        images = "one image" if self.n_images == 1 else f"{self.n_images} images"
        return (
            f"{self.paper}: {images} of {self.source} {self.image_size}x{self.image_size} to SSIM "
            f"{self.target_ssim:.2f}, time of {self.baseline.upper()} over time of the method"
        )


_CMK, _SE = "projection paper", "score embedding paper"
SPEEDUP_CLAIMS = (
    SpeedupClaim("cifar10", 32, 0.99, "ddpm", 60.27, 1634.93, _CMK),
    SpeedupClaim("celeba", 64, 0.99, "ddpm", 122.45, 14131.53, _CMK),
    SpeedupClaim("celeba", 128, 0.90, "ddpm", 186.09, 11319.86, _CMK),
    SpeedupClaim("cifar10", 32, 0.99, "ddpm", 26.98, 139.63, _SE),
    SpeedupClaim("cifar10", 32, 0.98, "ddpm", 16.07, 136.91, _SE),
    SpeedupClaim("cifar10", 32, 0.95, "ddpm", 9.75, 131.09, _SE),
    SpeedupClaim("cifar10", 32, 0.99, "ddim", 26.98, 182.53, _SE),
    SpeedupClaim("cifar10", 32, 0.98, "ddim", 16.07, 182.29, _SE),
    SpeedupClaim("cifar10", 32, 0.95, "ddim", 9.75, 181.57, _SE),
    SpeedupClaim("celeba", 64, 0.95, "ddpm", 105.41, 601.27, _SE),
    SpeedupClaim("celeba", 64, 0.90, "ddpm", 71.68, 342.61, _SE),
    SpeedupClaim("cifar10", 32, 0.95, "ddpm", 46.80, 155.16, _SE, n_images=3),
    SpeedupClaim("cifar10", 32, 0.90, "ddpm", 37.58, 149.72, _SE, n_images=3),
)


def claims_table(
    solvers: pd.DataFrame,
    training: pd.DataFrame | None = None,
    quality: pd.DataFrame | None = None,
    methods: dict[str, str] | None = None,
) -> pd.DataFrame:
    """Return a row per published claim and data set that it was tested on.

    Parameters
    ----------
    solvers : DataFrame
        solvers.tsv.
    training, quality : DataFrame, optional
        training.tsv and quality.tsv; without them their claims count as not run.
    methods : dict, optional
        Solver name to method, where names and methods differ.
    """
    rows = _saving_rows(solvers, methods or {})
    for claim in SPEEDUP_CLAIMS:
        rows += _speedup_rows(claim, training)
    rows.append(_budget_row(quality))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({"image_size": "Int64"})


def _saving_rows(solvers: pd.DataFrame, methods: dict[str, str]) -> list[dict]:
    low, high = SAVING_RANGE
    texts = (
        (f"projection saves at least {low:.1%} of SpSolve's time, pre-computation of scores", low),
        (f"projection saves up to {high:.1%} of SpSolve's time, pre-computation of scores", high),
    )
    names = solvers.solver.map(lambda name: methods.get(name, name))
    chosen = solvers[(solvers.study == "trajectory") & (names == PUBLISHED_METHOD)]
    chosen = chosen[chosen.time_reduction_vs_spsolve.notna()]
    rows = []
    for text, threshold in texts:
        if chosen.empty:
            rows.append(_row(text, f"{threshold:.1%}", None, None, None, NOT_RUN, None))
        for run in chosen.itertuples():
            saving = run.time_reduction_vs_spsolve
            verdict = REPRODUCED if saving >= threshold else NOT_REPRODUCED
            rows.append(
                _row(
                    text,
                    f"{threshold:.1%}",
                    f"{saving:.1%}",
                    run.dataset,
                    run.image_size,
                    verdict,
                    SOLVERS_PATH,
                )
            )
    return rows


def _speedup_rows(claim: SpeedupClaim, training: pd.DataFrame | None) -> list[dict]:
    paper_value = f"{claim.speedup:.2f}x"
    not_run = _row(claim.text, paper_value, None, claim.source, claim.image_size, NOT_RUN, None)
    # one image at a time is what was run, against the DDPM baseline
    if training is None or claim.n_images != 1 or claim.baseline != "ddpm":
        return [not_run]
    runs = training[
        (training.experiment == "single_image")
        & (training.image_size == claim.image_size)
        & np.isclose(training.target_ssim.astype(float), claim.target_ssim)
    ]
    rows = []
    for dataset, group in runs.groupby("dataset"):
        ours = group[group.model == MODEL]
        if ours.empty or not (group.model == "ddpm").any():
            continue
        rows.append(_speedup_row(claim, paper_value, dataset, ours, group[group.model == "ddpm"]))
    if not any(str(row["dataset"]).startswith(claim.source) for row in rows):
        rows.insert(0, not_run)
    return rows


def _speedup_row(claim, paper_value, dataset, ours: pd.DataFrame, ddpm: pd.DataFrame) -> dict:
    """Judge the mean over random seeds; a lower bound can confirm a claim, never refute it."""
    reached = ours.reached.astype(bool)
    if not reached.all():
        measured = f"target not reached in {int((~reached).sum())} of {len(ours)} runs"
        # in a budget too short for both nothing was compared; where DDPM got there, it was faster
        faster = set(ddpm.seed[ddpm.reached.astype(bool)]) & set(ours.seed[~reached])
        verdict = NOT_REPRODUCED if faster else NOT_RUN
    else:
        speedup = float(ours.speedup_vs_ddpm.mean())
        bound = ours.speedup_is_lower_bound.fillna(False).astype(bool).any()
        measured = f"{'at least ' if bound else ''}{speedup:.2f}x"
        verdict = REPRODUCED if speedup >= claim.speedup else NOT_REPRODUCED
        if bound and verdict == NOT_REPRODUCED:
            # DDPM was stopped before it got there: the run does not tell
            verdict = NOT_RUN
    return _row(
        claim.text, paper_value, measured, dataset, claim.image_size, verdict, TRAINING_PATH
    )


def _budget_row(quality: pd.DataFrame | None) -> dict:
    text = f"{_CMK}: under the same time budget the method's samples are better than DDPM's"
    paper_value = "recognisable against not recognisable"
    if quality is None or quality.empty:
        return _row(text, paper_value, None, None, None, NOT_RUN, None)
    budget = quality[(quality.experiment == "budget") & quality.model.isin([MODEL, "ddpm"])]
    distances = budget[budget.metric.astype(str).str.match(r"fid|kid|frechet")]
    both = distances.groupby("dataset").model.transform("nunique") == 2
    distances = distances[both]
    if distances.empty:
        return _row(text, paper_value, None, None, None, NOT_RUN, None)
    metric = sorted(distances.metric.unique(), key=lambda name: (name != "fid", name))[0]
    chosen = distances[distances.metric == metric]
    # each model with the sampler that suits it best
    mean = chosen.groupby(["dataset", "model", "sampler"]).value.mean()
    dataset = mean.index[0][0]
    ours, ddpm = (
        chosen[
            (chosen.dataset == dataset)
            & (chosen.model == model)
            & (chosen.sampler == mean[dataset][model].idxmin())
        ].value
        for model in (MODEL, "ddpm")
    )
    size = chosen[chosen.dataset == dataset].image_size.iloc[0]
    measured = f"{metric} {ours.mean():.4g} against {ddpm.mean():.4g}"
    if min(len(ours), len(ddpm)) < 2:
        # the difference of two runs says nothing without the spread over random seeds
        measured, verdict = f"{measured} (one random seed)", NOT_RUN
    else:
        verdict = REPRODUCED if ours.max() < ddpm.min() else NOT_REPRODUCED
    return _row(text, paper_value, measured, dataset, size, verdict, QUALITY_PATH)


def _row(claim, paper_value, measured, dataset, size, verdict, evidence) -> dict:
    return dict(
        zip(COLUMNS, (claim, paper_value, measured, dataset, size, verdict, evidence), strict=True)
    )
