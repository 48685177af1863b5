"""What the repeated clocks say of every solver: medians, intervals and paired ratios."""

import numpy as np
import pandas as pd

from crosskrylov.metrics.intervals import Interval, median_interval, ratio_interval
from crosskrylov.scores.march import PHASES

#: A set of images of one size: what solvers are compared on.
SET = ["dataset", "image_size"]

SECONDS = [f"{phase}_seconds" for phase in PHASES]
_NOTHING = Interval(float("nan"), float("nan"), float("nan"))


def clocked_rows(clocks: pd.DataFrame) -> pd.DataFrame:
    """Return a row per image set and solver, with the columns of solvers.tsv that clocks fill.

    A repeat's seconds are the sum over its windows and the mean over random seeds.  The medians and
    intervals are those of the repeats, so that an interval is about the clock, not about other
    images; ratios are taken within each repeat.  Seconds by phase are those of the repeat with the
    median total (with an even number of repeats the mean of the two in the middle), so that they
    add up to it.

    Parameters
    ----------
    clocks : DataFrame
        Rows of `crosskrylov.studies.clocks.time_solvers` with ``dataset``, ``image_size`` and
        ``seed``.

    Returns
    -------
    DataFrame
        Times per image in seconds, of the timed steps.
    """
    rows = []
    for (dataset, size), group in clocks.groupby(SET, sort=False):
        windows = group[group.part == "window"]
        repeats = {name: _by_repeat(windows[windows.solver == name]) for name in _in_order(windows)}
        totals = {name: table.sum(axis=1) for name, table in repeats.items()}
        family = windows.groupby("solver").family.first()
        baseline = next(iter(windows.solver[windows.baseline]), None)
        direct = best_direct({n: t.median() for n, t in totals.items()}, family)
        whole = _whole_marches(group[group.part == "march"], baseline)
        for name, table in repeats.items():
            own = windows[windows.solver == name]
            rows.append(
                {
                    "dataset": dataset,
                    "image_size": size,
                    "study": "trajectory",
                    "solver": name,
                    **_facts(own),
                    **_times(table, int(own.n_images.iloc[0])),
                    "best_direct": direct,
                    **_named("speedup_vs_spsolve", _ratio(totals, baseline, name)),
                    **_named("speedup_vs_best_direct", _ratio(totals, direct, name)),
                    **whole.get(name, {}),
                }
            )
    return pd.DataFrame(rows)


def best_direct(seconds: dict[str, float], family: pd.Series) -> str | None:
    """Return the fastest of the solvers whose family is direct, None without one."""
    found = {name: value for name, value in seconds.items() if family[name] == "direct"}
    return min(found, key=found.__getitem__, default=None)


def _in_order(windows: pd.DataFrame) -> list[str]:
    """Return the solvers, the published baseline first: they ran in random order."""
    names = sorted(windows.solver.unique())
    baseline = set(windows.solver[windows.baseline])
    return sorted(names, key=lambda name: name not in baseline)


def _by_repeat(own: pd.DataFrame) -> pd.DataFrame:
    """Return the seconds of one solver by phase, a row per repeat that all random seeds have."""
    per_seed = own.groupby(["seed", "repeat"])[SECONDS].sum()
    table = per_seed.groupby("repeat").mean()
    return table[per_seed.groupby("repeat").size() == own.seed.nunique()]


def _times(table: pd.DataFrame, n_images: int) -> dict:
    totals = table.sum(axis=1)
    middle = totals.sort_values(kind="stable").index[(len(totals) - 1) // 2 : len(totals) // 2 + 1]
    phases = table.loc[middle].mean()
    return {
        "repeats": len(table),
        **phases.to_dict(),
        **_named("seconds_per_image", median_interval(totals / n_images)),
        "solve_seconds_per_image": (phases.setup_seconds + phases.solve_seconds) / n_images,
    }


def _ratio(totals: dict[str, pd.Series], reference: str | None, name: str) -> Interval:
    """Return the reference's seconds over a solver's, repeat by repeat."""
    if reference is None:
        return _NOTHING
    both = pd.concat([totals[reference], totals[name]], axis=1, join="inner").to_numpy()
    return ratio_interval(both[:, 0], both[:, 1])


def _named(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.median, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _facts(own: pd.DataFrame) -> dict:
    """Return what the windows of one solver took, which no clock changes."""
    once = own[own.repeat == own.repeat.min()]
    first = once.iloc[0]
    steps = once[once.seed == first.seed].n_steps.sum()
    return {
        "method": first.method,
        "family": first.family,
        "tolerance": first.tolerance,
        "n_images": first.n_images,
        "n_unknowns": first.image_size**2,
        "time_steps": steps,
        "mean_iterations": once.iterations.sum() / once.systems.sum(),
        "max_iterations": once.max_iterations.max(),
        "mean_picard": np.average(once.mean_picard, weights=once.n_steps),
        "fallbacks": once.fallbacks.sum(),
        "max_relative_residual": once.max_relative_residual.max(),
        "score_error_vs_spsolve": once.score_error_vs_spsolve.max(),
        "score_error_vs_exact": once.score_error_vs_exact.max(),
    }


def _whole_marches(checks: pd.DataFrame, baseline: str | None) -> dict[str, dict]:
    """Return what the whole march of few images took, by solver."""
    if checks.empty:
        return {}
    seconds = checks[SECONDS].sum(axis=1).groupby(checks.solver).mean()
    n_images, n_steps = int(checks.n_images.iloc[0]), int(checks.n_steps.iloc[0])
    return {
        name: {
            "march_images": n_images,
            "march_time_steps": n_steps,
            "march_seconds_per_image": value / n_images,
            "march_time_reduction_vs_spsolve": (
                np.nan if baseline is None else 1.0 - value / seconds[baseline]
            ),
        }
        for name, value in seconds.items()
    }
