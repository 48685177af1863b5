"""The table of quality: every metric of every set of samples, in long form."""

from collections.abc import Iterable, Mapping

import pandas as pd

#: Columns of results/tables/quality.tsv, in order.
COLUMNS = (
    "experiment",
    "dataset",
    "model",
    "sampler",
    "function_evaluations",
    "n_samples",
    "seed",
    "metric",
    "value",
    "image_size",
)


def quality_table(results: Iterable[Mapping]) -> pd.DataFrame:
    """Return the table from the results of single runs.

    Parameters
    ----------
    results : iterable of mapping
        Contents of the ``result.json`` files of the experiments budget and samplers; each holds a
        list ``quality`` of sampler, function_evaluations, n_samples, metric and value.

    Returns
    -------
    DataFrame
        With `COLUMNS`.
    """
    rows = [
        {key: result[key] for key in ("experiment", "dataset", "image_size", "model", "seed")}
        | entry
        for result in results
        for entry in result["quality"]
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values([c for c in COLUMNS if c != "value"], ignore_index=True)
