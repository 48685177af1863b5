"""Figures of the studies: projections alone, likeness, seeds, diversity, warm start."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crosskrylov.reporting.figures.style import (
    FAMILY_ORDER,
    PAGE_WIDTH,
    figure_style,
    palette_for,
    readable,
    solver_styles,
)

_WIDTHS = {1: 4.4, 2: 5.8}  # inches, by number of columns; the page's width for more
_BASES = ("start only", "nearest seed", "all seeds", "POD of increments", "own")


def panels(table: pd.DataFrame, *columns: str) -> list[tuple]:
    """Return the distinct values of ``columns`` in ascending order: one panel each."""
    return sorted(set(table[list(columns)].itertuples(index=False, name=None)))


def grid(n_rows: int, n_columns: int, height: float = 2.3, **options):
    """Return a figure with a grid of axes across the page."""
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(_WIDTHS.get(n_columns, PAGE_WIDTH), height * n_rows + 0.5),
        squeeze=False,
        **options,
    )
    return figure, axes


def outside_legend(figure, axis, columns: int = 3) -> None:
    """Put the legend of ``axis`` below the figure."""
    handles, labels = axis.get_legend_handles_labels()
    unique = dict(zip(labels, handles))
    figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=columns)


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


def plot_subspace_dimension(table: pd.DataFrame) -> plt.Figure:
    """Residual and score error after projection against m; columns are time steps."""
    table = table[table.image_size == table.image_size.max()]
    steps = sorted(table.step.unique())
    colours = palette_for(_BASES)
    with figure_style():
        figure, axes = grid(2, len(steps), sharex=True, sharey="row")
        for row, quantity in enumerate(("residual", "score_error")):
            for axis, step in zip(axes[row], steps):
                for (basis, projection), group in table[table.step == step].groupby(
                    ["basis", "projection"], sort=False
                ):
                    mean = group.groupby("dimension")[
                        [f"{quantity}_{q}" for q in ("median", "q25", "q75")]
                    ].mean()
                    line = "-" if projection == "galerkin" else ":"
                    median, low, high = (mean[c] for c in mean)
                    label = f"{basis}, {readable(projection)}"
                    axis.plot(
                        mean.index, median, line, marker=".", color=colours[basis], label=label
                    )
                    if projection == "galerkin":
                        axis.fill_between(
                            mean.index, low, high, color=colours[basis], alpha=0.15, lw=0
                        )
                axis.set_yscale("log")
                axis.set_xscale("symlog", base=2, linthresh=2, linscale=0.5)
                axis.set_xlim(-0.2, table.dimension.max() * 1.1)
                ticks = sorted(table.dimension.unique())
                axis.set_xticks(ticks, [str(m) for m in ticks])
        for axis, step in zip(axes[0], steps):
            axis.set_title(f"step {step}, {table.image_size.iloc[0]}²")
        for axis in axes[1]:
            axis.set_xlabel("subspace dimension m")
        axes[0][0].set_ylabel("relative residual")
        axes[1][0].set_ylabel("score error")
        outside_legend(figure, axes[0][0], 2)
    return figure


def plot_likeness(table: pd.DataFrame) -> plt.Figure:
    """Reduction of the residual against two distances of seed and target, with rank correlation.

    Parameters
    ----------
    table : DataFrame
        likeness_pairs.tsv.
    """
    table = table[table.image_size == table.image_size.max()]
    steps = sorted(table.step.unique())
    distances = {
        "log_density_distance": "distance of log-densities",
        "matrix_distance": "distance of matrices",
    }
    with figure_style():
        figure, axes = grid(2, len(steps), sharey="col")
        for row, (distance, label) in enumerate(distances.items()):
            for axis, step in zip(axes[row], steps):
                chosen = table[table.step == step]
                axis.scatter(
                    chosen[distance], chosen.reduction, s=3, alpha=0.3, lw=0, rasterized=True
                )
                correlation = [
                    g[distance].corr(g.reduction, method="spearman")
                    for _, g in chosen.groupby("seed")
                ]
                spread = f" ± {np.std(correlation):.2f}" if len(correlation) > 1 else ""
                axis.set_title(rf"step {step}: $\rho$ = {np.mean(correlation):.2f}{spread}")
                axis.set(xscale="log", yscale="log", xlabel=label)
            axes[row][0].set_ylabel("residual / start residual")
    return figure


def plot_seed_choice(table: pd.DataFrame) -> plt.Figure:
    """Residual after projection against the number of seeds, by selection; columns are steps."""
    table = table[table.image_size == table.image_size.max()]
    steps = sorted(table.step.unique())
    colours = palette_for(table.selection)
    with figure_style():
        figure, axes = grid(2, len(steps), sharex=True, sharey="col")
        for row, basis in enumerate(("nearest", "joint")):
            for axis, step in zip(axes[row], steps):
                chosen = table[(table.step == step) & (table.basis == basis)]
                for selection, group in chosen.groupby("selection", sort=False):
                    by_draw = group.groupby("n_seeds").residual_median
                    mean, low, high = by_draw.mean(), by_draw.min(), by_draw.max()
                    colour, label = colours[selection], readable(selection)
                    axis.plot(mean.index, mean, "o-", color=colour, label=label)
                    axis.fill_between(mean.index, low, high, color=colour, alpha=0.15, lw=0)
                axis.set(xscale="log", yscale="log")
                counts = sorted(table.n_seeds.unique())
                axis.set_xticks(counts, [str(c) for c in counts])
                axis.minorticks_off()
                axis.set_title(f"step {step}: {basis} seed{'s' if basis == 'joint' else ''}")
            axes[row][0].set_ylabel("median residual of targets")
        for axis in axes[1]:
            axis.set_xlabel("number of seeds")
        outside_legend(figure, axes[0][0], 3)
    return figure


def plot_diversity(table: pd.DataFrame) -> plt.Figure:
    """Residual after projection on every image set, ordered by the set's mean image distance."""
    steps = sorted(table.step.unique())
    means = table.groupby("dataset").image_distance_mean.mean().sort_values()
    colours = palette_for(_BASES)
    with figure_style():
        figure, axes = grid(1, len(steps), height=0.45 * len(means) + 1.2, sharey=True)
        places = {dataset: k for k, dataset in enumerate(means.index)}
        for axis, step in zip(axes[0], steps):
            for basis in _BASES:
                group = table[(table.step == step) & (table.basis == basis)]
                if group.empty:
                    continue
                mean = group.groupby("dataset")[
                    ["residual_median", "residual_q25", "residual_q75"]
                ].mean()
                axis.errorbar(
                    mean.residual_median,
                    [places[dataset] for dataset in mean.index],
                    xerr=[
                        mean.residual_median - mean.residual_q25,
                        mean.residual_q75 - mean.residual_median,
                    ],
                    fmt="o",
                    color=colours[basis],
                    label=basis,
                )
            axis.set(xscale="log", xlabel="relative residual", title=f"step {step}")
        axes[0][0].set_yticks(
            range(len(means)), [f"{name}\n(d = {d:.2f})" for name, d in means.items()]
        )
        axes[0][0].set_ylim(-0.6, len(means) - 0.4)
        outside_legend(figure, axes[0][0], 4)
    return figure


def plot_warm_start(table: pd.DataFrame) -> plt.Figure:
    """Show iterations with and without projection, paired; below the diagonal it helps."""
    bases = list(dict.fromkeys(table.basis))
    colours = palette_for(dict.fromkeys(table.start))
    markers = dict(zip(sorted(table.step.unique()), "o^sDvPX"))
    with figure_style():
        figure, axes = grid(1, len(bases), height=3.0, sharex=True, sharey=True)
        largest = table[["iterations_with", "iterations_without"]].max().max() * 1.08
        for axis, basis in zip(axes[0], bases):
            for (start, step), group in table[table.basis == basis].groupby(["start", "step"]):
                axis.plot(
                    group.iterations_without,
                    group.iterations_with,
                    markers.get(step, "o"),
                    color=colours[start],
                    mfc="none" if step == table.step.min() else colours[start],
                    label=f"{start}, step {step}",
                )
            axis.plot([0, largest], [0, largest], color="0.6", lw=1, zorder=0)
            axis.text(0.97, 0.05, "projection helps", transform=axis.transAxes, ha="right", size=8)
            axis.text(0.03, 0.92, "projection hurts", transform=axis.transAxes, size=8)
            axis.set(
                xlim=(0, largest),
                ylim=(0, largest),
                xlabel="iterations without projection",
                title=f"basis: {basis}",
                aspect="equal",
            )
        axes[0][0].set_ylabel("iterations with projection")
        outside_legend(figure, axes[0][0], 3)
    return figure


def plot_system_summary(table: pd.DataFrame) -> plt.Figure:
    """Condition estimates and iterations by time step and image size."""
    sets = panels(table, "image_size", "dataset")
    with figure_style():
        figure, axes = grid(1, 3, height=2.6)
        colours = palette_for(str(size) for size, _ in sets)
        for quantity, axis, label in (
            ("condition_2", axes[0][0], "condition estimate (2-norm)"),
            ("asymmetry", axes[0][1], "asymmetry ‖A - Aᵀ‖ / ‖A‖"),
            ("start_residual_median", axes[0][2], "residual of the previous step"),
        ):
            for size, dataset in sets:
                chosen = table[table.dataset == dataset]
                n_steps = chosen.time_steps.iloc[0] if "time_steps" in chosen else 1
                mean = chosen.groupby("step")[quantity].mean()
                axis.plot(
                    mean.index / n_steps,
                    mean,
                    "o-",
                    color=colours[str(size)],
                    label=f"{dataset} ({size}²)",
                )
            axis.set(xscale="log", yscale="log", ylabel=label)
            axis.set_xlabel("time / T" if "time_steps" in table else "time step")
        outside_legend(figure, axes[0][0], 3)
    return figure


def plot_downstream(table: pd.DataFrame) -> plt.Figure:
    """RMS difference of the embedded images, against SpSolve and against the exact scores."""
    variants = list(dict.fromkeys(table.variant))
    names = list(dict.fromkeys(table.solver))[::-1]
    with figure_style():
        figure, axes = grid(1, len(variants), height=0.22 * len(names) + 1.2, sharey=True)
        for axis, variant in zip(axes[0], variants):
            chosen = table[table.variant == variant]
            looks = (
                ("rms_vs_exact_max", "exact scores", "C1"),
                ("rms_vs_spsolve_max", "SpSolve", "C0"),
            )
            for column, label, colour in looks:
                positive = chosen[chosen[column] > 0]
                heights = [names.index(name) for name in positive.solver]
                axis.plot(positive[column], heights, "o", color=colour, ms=4)
                axis.plot([], [], "o", color=colour, label=f"difference to {label}")
            moved = chosen.displacement_rms_mean.mean()
            axis.axvline(moved, color="0.5", ls=":", label="displacement by the embedding")
            axis.set(xscale="log", xlabel="RMS, intensity range 1", title=f"variant {variant}")
        axes[0][0].set_yticks(range(len(names)), [readable(name) for name in names])
        outside_legend(figure, axes[0][0], 3)
    return figure
