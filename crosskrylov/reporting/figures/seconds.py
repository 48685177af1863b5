"""Where the seconds of a run went, rule by rule."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.style import PAGE_WIDTH, figure_style, palette_for, readable

#: Rules with a bar of their own; the others share the last one.
N_SHOWN = 15


def plot_seconds(table: pd.DataFrame) -> plt.Figure:
    """Return a bar per rule with its number of jobs and its share of the time.

    Parameters
    ----------
    table : DataFrame
        seconds.tsv, the longest rule first.
    """
    names = [readable(rule) for rule in table.rule[:N_SHOWN]]
    seconds = list(table.seconds[:N_SHOWN])
    jobs = list(table.jobs[:N_SHOWN])
    if len(table) > N_SHOWN:
        names.append(f"{len(table) - N_SHOWN} other rules")
        seconds.append(table.seconds[N_SHOWN:].sum())
        jobs.append(table.jobs[N_SHOWN:].sum())
    total = sum(seconds) or 1.0
    with figure_style():
        figure, axes = plt.subplots(figsize=(PAGE_WIDTH, 0.9 + 0.22 * len(names)))
        bars = axes.barh(names, seconds, color=palette_for(["seconds"])["seconds"])
        axes.bar_label(
            bars,
            [
                f"{share / total:.1%} in {n} {'job' if n == 1 else 'jobs'}"
                for share, n in zip(seconds, jobs, strict=True)
            ],
            padding=3,
            fontsize="small",
        )
        axes.margins(x=0.2)
        axes.invert_yaxis()
        axes.set_xlabel(f"wall-clock time of the jobs, s ({total:,.0f} s in all)")
    return figure
