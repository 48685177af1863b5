"""Time per image of the engines, and how much faster than SpSolve that is."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.layout import enumerated, grid, headline, label_ends
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import figure_style, palette_for, readable

_BASELINE = "spsolve"


def finding(table: pd.DataFrame) -> str:
    """Return each engine's range of speed-ups over the sizes as a sentence, fastest first."""
    repeated = _repeated(table[table.engine != _BASELINE])
    parts = {}
    for engine, group in repeated.groupby("engine"):
        # one engine by two names is said once
        if engine == "auto" and repeated.engine.nunique() > 1:
            continue
        low, high = group.speedup_vs_spsolve.min(), group.speedup_vs_spsolve.max()
        text = _times(high) if len(group) == 1 else f"{_times(low)} to {_times(high)}"
        parts[f"{readable(engine)} {text}"] = high
    ordered = sorted(parts, key=parts.get, reverse=True)
    words = f"Times as fast as assembly + SpSolve: {', '.join(ordered)}"
    unclear = repeated.engine[(repeated.speedup_low <= 1) & (repeated.speedup_high >= 1)].unique()
    if len(unclear):
        words += f"; undecided somewhere for {enumerated(readable(name) for name in unclear)}"
    return words


def _times(value: float) -> str:
    """Return a ratio with two digits, and in full from 100 on."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _repeated(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that are no streamed runs: the fewest images of each engine and size."""
    keys = ["size", "engine", "workers"]
    return table[table.n_images == table.groupby(keys).n_images.transform("min")]


@register("engine_speed", question="engine")
def plot_engine_speed(table: pd.DataFrame) -> plt.Figure:
    """Milliseconds per image and speed-up against the image size, a line per engine."""
    engines = list(dict.fromkeys(table.engine))
    colours = palette_for(engines)
    repeated = _repeated(table)
    streamed = table.drop(repeated.index)
    with figure_style():
        figure, axes = grid(1, 2, height=2.9)
        columns = (
            ("ms_per_image", "low", "high"),
            ("speedup_vs_spsolve", "speedup_low", "speedup_high"),
        )
        for axis, (value, low, high) in zip(axes[0], columns):
            for (engine, workers), group in repeated.groupby(["engine", "workers"], sort=False):
                if engine == _BASELINE and value == "speedup_vs_spsolve":
                    continue
                group = group.drop_duplicates("size").sort_values("size")
                y = group[value]
                reach = np.nan_to_num([y - group[low], group[high] - y])
                label = (
                    readable(engine) if workers == 1 else f"{readable(engine)}, {workers} workers"
                )
                colour, form = colours[engine], "o-" if workers == 1 else "s--"
                reach = np.maximum(reach, 0)
                axis.plot(group["size"], y, form, color=colour, mfc="none", lw=1.2, label=label)
                axis.errorbar(group["size"], y, reach, fmt="none", ecolor=colour, capsize=2)
            for row in streamed.itertuples():
                axis.plot(
                    row.size, getattr(row, value), "*", ms=8, color=colours[row.engine],
                    label="_",
                )  # fmt: skip
            sizes = sorted(set(table["size"]))
            axis.set(xscale="log", yscale="log", xlabel="image side (pixels)")
            axis.set_xticks(sizes, [f"{size}²" for size in sizes])
            axis.minorticks_off()
        axes[0][0].set_ylabel("milliseconds per image, end to end")
        axes[0][1].set_ylabel("speed-up over assembly + SpSolve")
        stars = enumerated(f"{n:,}" for n in sorted(streamed.n_images.unique()))
        headline(
            figure,
            finding(table),
            "Photographs, from pixels to scores on disk, beside a march with SpSolve on the "
            "same clock. Medians, bars: 95 % intervals"
            + (f"; stars: streamed runs of {stars} images." if stars else "."),
        )
        for axis in axes[0]:
            label_ends(axis)
    return figure
