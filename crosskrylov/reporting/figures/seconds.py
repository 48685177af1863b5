"""Where the seconds of a run went, rule by rule."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import counted, enumerated, headline
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import BLUE, PAGE_WIDTH, figure_style, readable

#: Rules with a bar of their own; the others share the last one.
N_SHOWN = 15


@register(
    "seconds",
    question="run",
    table="seconds",
    caption="Where the seconds of this run went: wall-clock time of every rule, summed over its "
    "jobs.",
)
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
        figure, axes = plt.subplots(figsize=(PAGE_WIDTH, 1.3 + 0.22 * len(names)))
        bars = axes.barh(names, seconds, color=BLUE)
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
        headline(
            figure,
            finding(table),
            "Jobs that ran side by side count one by one. One run, all sets.",
        )
    return figure


def finding(table: pd.DataFrame) -> str:
    """Return the rules that half of the time went to."""
    total = table.seconds.sum()
    if not total > 0:
        return "No rule took any time"
    longest = table.sort_values("seconds", ascending=False)
    n = int((longest.seconds.cumsum() < total / 2).sum()) + 1
    share = longest.seconds[:n].sum() / total
    rules = enumerated(readable(rule) for rule in longest.rule[:n])
    return f"{share:.0%} of the time went to {counted(n, 'rule')} of {len(table)}: {rules}"
