"""The table of score errors: every trained model on one grid of noise levels."""

from collections.abc import Iterable, Mapping

import pandas as pd

#: Columns of results/tables/score_error.tsv, in order.
COLUMNS = (
    "experiment",
    "dataset",
    "image_size",
    "model",
    "seed",
    "sigma",
    "error",
    "error_normalised",
    "own_error",
    "own_error_normalised",
    "n_draws",
    "trained_sigma_min",
    "trained_sigma_max",
)


def score_error_table(results: Iterable[Mapping]) -> pd.DataFrame:
    """Return a row per run and noise level (docs/method.md, Eq. 31).

    Parameters
    ----------
    results : iterable of mapping
        Contents of the ``result.json`` files of the budget experiment and its ablation; records
        from before there was one grid have no ``score_error`` and give no row.

    Returns
    -------
    DataFrame
        With `COLUMNS`; errors are empty where the schedule of the model does not train the level.
    """
    rows = []
    for result in results:
        found = result.get("score_error")
        if found is None:
            continue
        shared = {key: result[key] for key in COLUMNS[:5]}
        shared["n_draws"] = found["n_draws"]
        shared["trained_sigma_min"], shared["trained_sigma_max"] = found["trained_sigma"]
        rows += [shared | row for row in found["errors"]]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(list(COLUMNS[:6]), ignore_index=True)
