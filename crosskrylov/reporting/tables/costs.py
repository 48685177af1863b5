"""The calibrated seconds per step, looked up for single runs."""

from collections.abc import Callable, Iterable, Mapping

import pandas as pd

from crosskrylov.reporting.tables.training import seconds_per_step


def step_costs(calibrations: Iterable[pd.DataFrame]) -> Callable[[Mapping, str], float | None]:
    """Return what gives the seconds of a step: of a run's result and the model that it trained.

    Parameters
    ----------
    calibrations : iterable of DataFrame
        See `crosskrylov.experiments.calibration.calibrate`; batches are of one image where they say
        nothing. None where nothing was calibrated on the run's data set with its batches.
    """
    known = {
        (row["dataset"], row["model"], int(row["images_per_batch"])): row["seconds_per_step"]
        for row in seconds_per_step(calibrations).to_dict("records")
    }

    def cost(result: Mapping, model: str) -> float | None:
        of_steps = {"images_per_batch": 1, **result}  # of which old records say nothing
        return known.get((result["dataset"], model, int(of_steps["images_per_batch"])))

    return cost
