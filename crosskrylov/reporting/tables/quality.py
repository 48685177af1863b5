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
    "steps",
    "seconds",
    "reference",
    "metric",
    "value",
    "image_size",
)

#: The distances by which generation is judged, the first that there is: learned features before
#: random ones, and those before a fixed transform.
DISTANCES = ("fid", "frechet_digit_classifier", "frechet_random_conv")


def deciding_distance(metrics: Iterable[str]) -> str:
    """Return the distance that generation is judged by: of `DISTANCES`, else the first by name."""
    there = sorted(set(metrics))
    return next((name for name in DISTANCES if name in there), there[0])


def quality_table(results: Iterable[Mapping]) -> pd.DataFrame:
    """Return the table from the results of single runs.

    Parameters
    ----------
    results : iterable of mapping
        Contents of the ``result.json`` files of the experiments budget, samplers and quality and of
        the ablations; each holds a list ``quality`` of sampler, function_evaluations, n_samples,
        metric and value, and where they differ from the run's also experiment and reference.

    Returns
    -------
    DataFrame
        With `COLUMNS`; ``steps`` and ``seconds`` are the training's, ``reference`` the images that
        a distance was taken to (training | held_out).
    """
    results = list(results)
    network = ("dataset", "model", "seed")
    trained = {
        tuple(result[key] for key in network): {
            "steps": result["steps"],
            "seconds": result["train_seconds"],
        }
        for result in results
        if "steps" in result
    }
    rows = [
        {key: result[key] for key in ("experiment", "dataset", "image_size", "model", "seed")}
        | trained.get(tuple(result[key] for key in network), {})
        | {"reference": "training"}
        | entry
        for result in results
        for entry in result["quality"]
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"steps": "Int64"})
    return table.sort_values([c for c in COLUMNS if c != "value"], ignore_index=True)
