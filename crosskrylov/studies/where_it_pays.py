"""Where work that is shared between similar matrices pays, and where it does not.

Families of systems (`crosskrylov.studies.families`) are solved by every method of `solve_many`,
timed side by side: the likeness of the matrices and their condition against the gain of the methods
that share over the best that does not.
"""

import time
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from crosskrylov.errors import ConfigError, DataError
from crosskrylov.metrics.intervals import median_interval, ratio_interval
from crosskrylov.runtime.declared import did_you_mean
from crosskrylov.runtime.measurement import pinned_threads
from crosskrylov.solvers.many import DIRECT, METHODS, UNSHARED, solve_many
from crosskrylov.studies.families import (
    FAMILIES,
    Family,
    condition_number,
    distance_to_mean,
)
from crosskrylov.studies.register import register

WARM = "warm_bicgstab"
#: What sharing has to beat: methods that treat every system alone, and the start value from the
#: system before, which any program has without knowing about the others.
BASELINES = (*UNSHARED, WARM)
#: Systems that the condition number is taken of.
_N_CONDITIONED = 3


def where_it_pays(
    families: Mapping[str, Mapping],
    *,
    n_systems: int,
    tolerance: float,
    max_products: int,
    repeats: int,
    seed: int,
    methods: Sequence[str] | None = None,
    n_threads: int = 1,
) -> pd.DataFrame:
    """Solve every family at every size and parameter by every method, timed.

    Parameters
    ----------
    families : mapping
        Name in `FAMILIES` to {"sizes", "parameters"}: nodes per side, and what sets how far the
        members lie apart.
    n_systems : int
        Systems per family, at least 2.
    tolerance : float
        True relative residual to reach.
    max_products : int
        Most products with A per system and method; a system that needs more counts as unsolved.
    repeats : int
        Timed repetitions of each method, interleaved, their order drawn anew in each.
    seed : int
        Of the random fields and the order.
    methods : sequence of str, optional
        Keys of `crosskrylov.solvers.many.METHODS`; default all.
    n_threads : int
        Threads of BLAS.

    Returns
    -------
    DataFrame
        A row per family, size, parameter and method.  ``similarity`` is 1 / (1 + delta) (Eq. 22d),
        ``condition`` the median 2-norm condition number of three matrices.  ``seconds`` per
        system, setup, checks and all; empty, as products and gains, where ``unsolved`` systems are
        left.
        ``gain_vs_baseline`` is against the fastest of `BASELINES`, named in ``baseline``, paired by
        repeat, with its 95 % interval.

    Raises
    ------
    ConfigError
        If a family or a method is unknown.
    """
    for name in families:
        _check("families", name, FAMILIES)
    methods = list(METHODS if methods is None else methods)
    for name in methods:
        _check("methods", name, METHODS)
    rng = np.random.default_rng(seed)
    rows = []
    for name, entry in families.items():
        for size in entry["sizes"]:
            for parameter in entry["parameters"]:
                family = FAMILIES[name](n_systems, size, parameter, seed)
                delta = distance_to_mean(family.matrices)
                place = {
                    "family": name,
                    "size": size,
                    "similarity": 1 / (1 + delta),
                    "condition": _condition(family.matrices),
                }
                facts = {"parameter": parameter, "n_systems": n_systems, "tolerance": tolerance}
                with pinned_threads(n_threads):
                    measured = _measure(
                        family, methods, repeats, rng, tol=tolerance, max_products=max_products
                    )
                rows += [place | row | facts for row in measured]
    return pd.DataFrame(rows)


def _check(key, name, known):
    if name not in known:
        raise ConfigError(
            f"studies.where_it_pays.{key} names {name!r}{did_you_mean(name, known)}; available are "
            f"{', '.join(known)}."
        )


def _condition(matrices) -> float:
    places = np.linspace(0, len(matrices) - 1, _N_CONDITIONED).round().astype(int)
    return float(np.median([condition_number(matrices[i]) for i in np.unique(places)]))


def _measure(family: Family, methods, repeats, rng, **options) -> list[dict]:
    """Return a row per method; one that leaves a system unsolved is not run again."""
    n_systems = len(family.matrices)
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    products, unsolved = {}, dict.fromkeys(methods, 0)
    for repeat in range(repeats + 1):
        for name in rng.permutation(methods):
            if unsolved[name]:
                continue
            used = 2 if repeat == 0 else n_systems  # the first round warms up
            started = time.perf_counter()
            try:
                found = solve_many(
                    family.matrices[:used], family.rhs[:used], method=name, on_miss="keep",
                    **options,
                )  # fmt: skip
            except DataError:  # nothing to factorise
                unsolved[name] = n_systems
                continue
            elapsed = time.perf_counter() - started
            if repeat == 0:
                continue
            unsolved[name] = int((~found.converged).sum())
            products[name] = float(found.products.mean())
            seconds[name].append(elapsed / n_systems)
    times = {name: seconds[name] for name in methods if not unsolved[name]}
    direct = _fastest(times, DIRECT)
    baseline = _fastest(times, BASELINES)
    rows = []
    for name in methods:
        row = {"solver": name, "products": products[name] if name in times else np.nan}
        row |= dict.fromkeys(("seconds", "low", "high"), np.nan)
        row |= dict.fromkeys(("gain_vs_best_direct", "gain_vs_warm_bicgstab"), np.nan)
        row |= {"baseline": baseline or ""}
        row |= dict.fromkeys(("gain_vs_baseline", "gain_low", "gain_high"), np.nan)
        if name in times:
            own = times[name]
            row |= dict(zip(("seconds", "low", "high"), median_interval(own), strict=True))
            if direct:
                row["gain_vs_best_direct"] = ratio_interval(times[direct], own).median
            if WARM in times:
                row["gain_vs_warm_bicgstab"] = ratio_interval(times[WARM], own).median
            if baseline:
                gain = ratio_interval(times[baseline], own)
                names = ("gain_vs_baseline", "gain_low", "gain_high")
                row |= dict(zip(names, gain, strict=True))
        rows.append(
            row
            | {"shares": name not in BASELINES, "unsolved": unsolved[name], "repeats": repeats}
        )  # fmt: skip
    return rows


def _fastest(times, names) -> str | None:
    """Return the method of ``names`` with the least median time, None if none solved all."""
    there = [name for name in names if name in times]
    return min(there, key=lambda name: np.median(times[name])) if there else None


@register(
    "where_it_pays",
    timed=True,
    solvers=["transform_bicgstab"],
    tables={
        "where_it_pays": "Time per system of every method on families of similar matrices, with "
        "the likeness of the matrices, their condition, and the gain over the best direct solver, "
        "over Bi-CGSTAB started from the system before, and over the fastest method that shares "
        "nothing but a start value. Empty times: the method left systems unsolved."
    },
    figures={
        "where_it_pays": {
            "table": "where_it_pays",
            "caption": "Where sharing pays: time of the fastest method that shares nothing but a "
            "start value, over that of the fastest method that shares, by the matrices' distance "
            "from their mean and their condition (a mark per family and parameter; hollow: the "
            "95 % interval holds 1), and the same by kind of sharing (no mark where systems were "
            "left unsolved).",
        }
    },
)
def study_where_it_pays(
    data, families, n_systems, tolerance, max_products, repeats, random_seed, methods
):
    """Map where sharing between matrices pays."""
    table = where_it_pays(
        {name: entry for name, entry in families.items() if entry},
        n_systems=n_systems,
        tolerance=tolerance,
        max_products=max_products,
        repeats=repeats,
        seed=random_seed,
        methods=methods,
        n_threads=data.n_threads,
    )
    return {"where_it_pays": table}
