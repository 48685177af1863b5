"""The grid of panels that the figures about solvers share."""

import matplotlib.pyplot as plt
import pandas as pd

from crosskrylov.reporting.figures.style import PAGE_WIDTH

#: Subspaces that targets are projected on, in the order of their colours.
BASES = ("start only", "nearest seed", "all seeds", "POD of increments", "own")

_WIDTHS = {1: 4.4, 2: 5.8}  # inches, by number of columns; the page's width for more


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
