"""Time and iterations against the residual to reach."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.layout import grid, outside_legend, panels
from crosskrylov.reporting.figures.register import register
from crosskrylov.reporting.figures.style import FAMILY_ORDER, figure_style, readable, solver_styles


@register("time_to_residual")
def plot_time_to_residual(table: pd.DataFrame) -> plt.Figure:
    """Seconds and iterations per system against the residual reached, a column per image set."""
    sets = panels(table, "image_size", "dataset")
    table = table.sort_values("family", key=lambda f: f.map(FAMILY_ORDER.index), kind="stable")
    styles = solver_styles(dict(zip(table.solver, table.family)))
    table = table.assign(seconds=(table.setup_seconds + table.solve_seconds) / table.n_images)
    with figure_style():
        figure, axes = grid(2, len(sets), sharex=True)
        for column, (size, dataset) in enumerate(sets):
            chosen = table[table.dataset == dataset]
            for row, quantity in enumerate(("seconds", "mean_iterations")):
                axis = axes[row][column]
                for solver, group in chosen.groupby("solver", sort=False):
                    if quantity == "mean_iterations" and not group[quantity].any():
                        continue  # direct solvers do not iterate
                    by_seed = group.groupby(["seed", "tolerance"])[quantity].mean().unstack("seed")
                    mean = by_seed.mean(axis=1)
                    axis.plot(mean.index, mean, label=readable(solver), **styles[solver])
                    axis.fill_between(
                        mean.index,
                        by_seed.min(axis=1),
                        by_seed.max(axis=1),
                        color=styles[solver]["color"],
                        alpha=0.2,
                        lw=0,
                    )
                axis.set(xscale="log", yscale="log")
            axes[0][column].invert_xaxis()
            axes[0][column].set_title(f"{dataset}: {size}²")
            axes[1][column].set_xlabel("relative residual to reach")
        axes[0][0].set_ylabel("seconds per system\n(setup shared)")
        axes[1][0].set_ylabel("iterations")
        outside_legend(figure, axes[0][0], 4)
    return figure
