"""What an optimiser step of each model costs, measured apart from training and side by side.

A time to target is steps times these seconds.  The steps of a run are the same at every repetition
with the same number of threads, bit for bit, so that what the machine did while a model trained
does not move its time, and runs may share the cores.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from crosskrylov.experiments.common import loop_options, make_network, stream_seed
from crosskrylov.experiments.single_image import single_image_objective
from crosskrylov.learning.objectives.index import model_entry
from crosskrylov.learning.training.loop import OptimiserSteps


def calibrate(
    models: Sequence[str],
    images: np.ndarray,
    times: np.ndarray,
    unet: Mapping,
    training: Mapping,
    final_time: float,
    seed: int,
) -> pd.DataFrame:
    """Time the optimiser steps of every model of the single-image experiment, in turns.

    Every model gets a network, an optimiser and averaged weights of its own, as in its run.  In
    each repeat every model takes a few steps; the order is drawn anew for each.  A first repeat is
    left out: it fills caches and the optimisers' states.  Scores are not needed: images stand in
    for the embedded images, which have the same shape.

    Parameters
    ----------
    models : sequence of str
        Models of the experiment.
    images : ndarray, shape (N, C, H, W)
        The chosen image or images, in [0, 1].
    times : ndarray, shape (S,)
        Embedded times; their number is the batch size per image of every model.
    unet, training : mapping
        Config sections; ``training.calibration`` says how many repeats of how many steps.
    final_time : float
        T.
    seed : int
        Of the weights, the batches and the order.

    Returns
    -------
    DataFrame
        A row per model and repeat: model, repeat (from 1), position (place in the repeat's order,
        from 0), steps, seconds (of one step, the mean over ``steps``), threads.

    Raises
    ------
    TrainingError
        If a loss or gradient stops being finite.
    """
    options = training["calibration"]
    stand_in = np.repeat(images[:, None], len(times), axis=1)
    clocks = {name: _clock(name, images, stand_in, times, unet, training, final_time, seed)
              for name in models}  # fmt: skip
    rng = np.random.default_rng(seed)
    rows = []
    done = 0
    for repeat in range(options["repeats"] + 1):
        for position, name in enumerate(rng.permutation(list(models)).tolist()):
            seconds = [clocks[name].take(done + k)[1] for k in range(options["steps"])]
            if repeat > 0:  # the first round warms up
                rows.append(
                    {
                        "model": name,
                        "repeat": repeat,
                        "position": position,
                        "steps": options["steps"],
                        "seconds": float(np.mean(seconds)),
                        "threads": torch.get_num_threads(),
                    }
                )
        done += options["steps"]
    return pd.DataFrame(rows).sort_values(["repeat", "position"], ignore_index=True)


def _clock(name, images, stand_in, times, unet, training, final_time, seed) -> OptimiserSteps:
    entry = model_entry(name, "single_image")
    recipe = entry.recipe_in("single_image")
    embedded = stand_in if entry.scores else None
    steps = OptimiserSteps(
        make_network(recipe, unet, images.shape[1:], training, seed),
        single_image_objective(name, images, embedded, times, training, final_time),
        loop_options(recipe.training(training), budget_seconds=math.inf),
        stream_seed(seed, "training"),
    )
    steps.warm_up()
    return steps
