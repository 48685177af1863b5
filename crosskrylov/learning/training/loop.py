"""The training loop."""

import logging
import math
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from crosskrylov.errors import TrainingError
from crosskrylov.learning.objectives.base import Objective
from crosskrylov.learning.training.averaging import averaged, weight_average
from crosskrylov.learning.training.checkpoint import (
    STATE_VALUES,
    Progress,
    load_training_state,
    read_fingerprint,
    save_checkpoint,
)
from crosskrylov.learning.training.drawing import Drawing
from crosskrylov.learning.training.interruption import between_steps
from crosskrylov.runtime.device import select_device

logger = logging.getLogger(__name__)

PROGRESS_FORMAT = (
    "{desc}: {percentage:3.0f}%|{bar:20}| {n:.0f}/{total:.0f} s, left {remaining}{postfix}"
)

#: Kinds of device that mixed precision is for.
MIXED_PRECISION_DEVICES = ("cuda",)

#: Called with the network (averaged weights, eval mode); returns metrics by name.
Evaluate = Callable[[torch.nn.Module], Mapping[str, float]]


@dataclass(frozen=True)
class Goal:
    """A value that training is to reach, and when it is given up.

    Attributes
    ----------
    metric : str
        Column of the curve.
    value : float
        Least value that counts as reached.
    max_steps : int or None
        Optimiser steps after which it is given up; None: never, only the budget ends the run.
    """

    metric: str
    value: float
    max_steps: int | None = None


@dataclass(frozen=True)
class TrainingOptions:
    """Settings that all models of a comparison share.

    Attributes
    ----------
    budget_seconds : float
        Training ends here: seconds of optimiser steps by the clock on the wall.
    max_steps : int or None
        Training also ends after so many steps.
    goals : tuple of Goal
        Training also ends once some evaluation has reached each of them, or those that are open are
        all given up.
    learning_rate : float
        Of Adam.
    warm_up_steps : int
        Steps over which the learning rate grows linearly to ``learning_rate``; 0: none.
    annealed : bool
        The learning rate falls to zero by half a cosine over the seconds of the budget or the
        largest number of steps, whichever is nearer its end.
    ema_decay : float
        Decay of the averaged weights, which are those evaluated and kept.
    gradient_clip : float
        Largest gradient norm.
    first_evaluation : int
        Step of the first evaluation; 0 switches evaluation by steps off.
    evaluation_growth : float
        Each next evaluation comes at this multiple of the step of the last (at least one step
        later), so that a time to target is resolved to the same relative accuracy early and late.
    evaluation_seconds : tuple of float
        Training seconds at which to evaluate as well.
    device : {"auto", "cpu", "cuda"}
        Where to train.
    mixed_precision : bool
        bfloat16 on CUDA; never on the CPU.
    checkpoint_seconds : float
        Seconds between two saved states of a resumable run.
    """

    budget_seconds: float
    max_steps: int | None = None
    goals: tuple[Goal, ...] = ()
    learning_rate: float = 1e-3
    warm_up_steps: int = 0
    annealed: bool = False
    ema_decay: float = 0.99
    gradient_clip: float = 1.0
    first_evaluation: int = 20
    evaluation_growth: float = 1.05
    evaluation_seconds: tuple[float, ...] = ()
    device: str = "auto"
    mixed_precision: bool = True
    checkpoint_seconds: float = 30.0


@dataclass(frozen=True)
class TrainingResult:
    """What a run leaves in memory.

    Attributes
    ----------
    network : Module
        Averaged weights, in eval mode.
    curve : list of dict
        Rows with step, train_seconds, seconds_with_evaluation, loss and the metrics.
    steps : int
        Optimiser steps.
    train_seconds, evaluation_seconds : float
        The two clocks.
    stopped_by : {"target", "bound", "budget", "max_steps"}
        Why training ended: every goal was reached, or those that were not are given up, or time or
        steps were over.
    """

    network: torch.nn.Module
    curve: list[dict[str, float]]
    steps: int
    train_seconds: float
    evaluation_seconds: float
    stopped_by: str


class OptimiserSteps:
    """A network with what its optimiser steps need; each step tells how long it took.

    Parameters
    ----------
    network : Module
        Changed in place.
    objective : Objective
        Loss and data.
    options : TrainingOptions
        Of which learning rate, averaging, clipping, device and precision are used.
    seed : int
        Seed of the training's only random stream.

    Raises
    ------
    DeviceError
        If the device is not there.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        objective: Objective,
        options: TrainingOptions,
        seed: int,
    ):
        self.options = options
        self.device = select_device(options.device)
        self.network = network.to(self.device, memory_format=torch.channels_last).train()
        self.objective = objective.to(self.device)
        self.optimiser = torch.optim.Adam(
            self.network.parameters(), lr=options.learning_rate, fused=True
        )
        self.average = weight_average(self.network, options.ema_decay)
        self.generator = torch.Generator().manual_seed(seed)

    def warm_up(self) -> None:
        """Do once, outside the clock, what is slow the first time: kernels, buffers, imports."""
        with self._precision():
            loss = self.objective.loss(self.network, torch.Generator().manual_seed(0))
        loss.backward()
        self.network.zero_grad(set_to_none=True)
        stand_in = torch.nn.Parameter(torch.zeros(1, device=self.device))
        stand_in.grad = torch.zeros(1, device=self.device)
        torch.optim.Adam([stand_in], fused=True).step()

    def take(self, number: int, done: float = 0.0) -> tuple[float, float]:
        """Do the optimiser step after step ``number``; return (loss, seconds).

        Parameters
        ----------
        number : int
            Steps that were made before.
        done : float
            The part of the training that is over, in [0, 1]; with ``annealed`` it counts.

        Raises
        ------
        TrainingError
            If loss or gradient are not finite.
        """
        start = time.perf_counter()
        self.optimiser.zero_grad(set_to_none=True)
        with self._precision():
            loss = self.objective.loss(self.network, self.generator)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.options.gradient_clip)
        # Checked before the update: weights, average and saved states therefore stay finite.
        values = loss.item(), norm.item()  # waits for the GPU
        if not all(map(math.isfinite, values)):
            raise TrainingError(
                f"Training diverged at step {number + 1}: loss {values[0]}, gradient norm "
                f"{values[1]}; lower training.learning_rate (now {self.options.learning_rate:g}) "
                f"or training.gradient_clip (now {self.options.gradient_clip:g})."
            )
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.options, number, done)
        self.optimiser.step()
        self.average.step(self.network.parameters())
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return values[0], time.perf_counter() - start

    def _precision(self):
        """Return the context that a loss is computed in."""
        if self.options.mixed_precision and self.device.type in MIXED_PRECISION_DEVICES:
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()


def train(
    network: torch.nn.Module,
    objective: Objective,
    options: TrainingOptions,
    seed: int,
    evaluate: Evaluate | None = None,
    checkpoint: str | Path | None = None,
    resume_from: str | Path | None = None,
    fingerprint: str = "",
    description: str = "training",
    drawing: Drawing | None = None,
) -> TrainingResult:
    """Train ``network`` until its goals, the time budget or the number of steps is reached.

    Parameters
    ----------
    network : Module
        Changed in place; holds the averaged weights afterwards.
    objective : Objective
        Loss and data.
    options : TrainingOptions
        Settings.
    seed : int
        Seed of the training's only random stream. Evaluations must draw from streams of their own,
        so that they do not change the training.
    evaluate : callable, optional
        Metrics of the averaged network.
    checkpoint : path, optional
        Folder of the final checkpoint.
    resume_from : path, optional
        Folder where the state is kept while training; a state found there with the same
        ``fingerprint`` is continued with the same random stream, any other is left behind with a
        line in the log. The folder stays until the caller removes it. Ctrl-C and SIGTERM wait for
        the end of the step, so that what is kept is the state between two steps and the resumed
        run takes the same steps, bit for bit at the same number of threads; a second one ends the
        run at once, with the state that was saved last.
    fingerprint : str
        Identifies settings and data of the run.
    description : str
        Label of the progress bar.
    drawing : Drawing, optional
        What drawing from the network needs, for its checkpoint.

    Returns
    -------
    TrainingResult

    Raises
    ------
    TrainingError
        If loss or gradient stop being finite; a state that was saved before stays as it is.
    DeviceError
        If the device is not there.
    DataError
        If the state to resume from is damaged.
    KeyboardInterrupt
        After Ctrl-C, once the step is done and the state saved.
    """
    steps = OptimiserSteps(network, objective, options, seed)
    network, average, device = steps.network, steps.average, steps.device
    resumable = (network, steps.optimiser, average, steps.generator)
    progress = Progress(next_evaluation=options.first_evaluation)

    def save(folder):
        save_checkpoint(folder, *resumable, progress, fingerprint, drawing)

    if resume_from is not None and (Path(resume_from) / STATE_VALUES).is_file():
        if read_fingerprint(resume_from) == fingerprint:
            progress = load_training_state(resume_from, *resumable)
            logger.info("resumed at step %d, %.1f s", progress.step, progress.train_seconds)
        else:
            logger.info("%s belongs to other settings or data: starting afresh", resume_from)
    bar = tqdm(
        total=round(options.budget_seconds, 1),
        initial=round(progress.train_seconds, 1),
        desc=description,
        mininterval=1.0 if sys.stderr.isatty() else 30.0,
        bar_format=PROGRESS_FORMAT,
    )
    steps.warm_up()
    last_saved = time.perf_counter()
    stopped_by = _finished(progress, options)
    try:
        with between_steps() as interruption:
            while not stopped_by:
                loss, seconds = steps.take(progress.step, part_done(progress, options))
                progress.step += 1
                progress.train_seconds += seconds
                progress.loss_sum += loss
                progress.loss_count += 1
                # a step may overshoot the budget, which tqdm would take for an unknown total
                bar.update(min(seconds, max(bar.total - bar.n, 0)))
                stopped_by = _finished(progress, options)
                if _evaluation_due(progress, options) or (stopped_by and evaluate is not None):
                    _evaluate(network, average, evaluate, progress, options, device)
                    judged = dict.fromkeys(goal.metric for goal in options.goals)
                    shown = {k: progress.curve[-1].get(k) for k in ("loss", *judged)}
                    bar.set_postfix(
                        {"step": progress.step, **{k: v for k, v in shown.items() if v is not None}}
                    )
                    stopped_by = _finished(progress, options)
                # Only here, where step, evaluation and bookkeeping are complete, is a state saved.
                due = time.perf_counter() - last_saved > options.checkpoint_seconds
                if resume_from is not None and (due or interruption.signal):
                    save(resume_from)
                    last_saved = time.perf_counter()
                if interruption.signal:
                    break
        if interruption.signal:
            logger.warning("interrupted after step %d", progress.step)
            interruption.obey()
    finally:
        bar.close()
    if checkpoint is not None:
        save(checkpoint)
    average.copy_to(network.parameters())
    return TrainingResult(
        network.eval(),
        progress.curve,
        progress.step,
        progress.train_seconds,
        progress.evaluation_seconds,
        stopped_by,
    )


def learning_rate(options: TrainingOptions, number: int, done: float) -> float:
    """Return the learning rate of the step after step ``number``, ``done`` of the training over."""
    rate = options.learning_rate
    if options.warm_up_steps:
        rate *= min(1.0, (number + 1) / options.warm_up_steps)
    if options.annealed:
        rate *= (1 + math.cos(math.pi * done)) / 2
    return rate


def part_done(progress: Progress, options: TrainingOptions) -> float:
    """Return the part of the training that is over by the bound that is nearer, in [0, 1]."""
    part = progress.train_seconds / options.budget_seconds
    if options.max_steps is not None:
        part = max(part, progress.step / options.max_steps)
    return min(part, 1.0)


def _evaluation_due(progress: Progress, options: TrainingOptions) -> bool:
    if options.first_evaluation and progress.step >= progress.next_evaluation:
        return True
    marks = options.evaluation_seconds
    return progress.marks_done < len(marks) and progress.train_seconds >= marks[progress.marks_done]


def _evaluate(network, average, evaluate, progress, options, device) -> None:
    """Append a row to the curve and schedule the next evaluation."""
    start = time.perf_counter()
    metrics = {}
    if evaluate is not None:
        network.eval()
        with averaged(network, average), torch.no_grad():
            metrics = {k: v for k, v in evaluate(network).items() if math.isfinite(v)}
        network.train()
        if device.type == "cuda":
            torch.cuda.synchronize()
    progress.evaluation_seconds += time.perf_counter() - start
    row = {
        "step": progress.step,
        "train_seconds": progress.train_seconds,
        "seconds_with_evaluation": progress.train_seconds + progress.evaluation_seconds,
        "loss": progress.loss_sum / max(progress.loss_count, 1),
        **metrics,
    }
    progress.curve.append(row)
    progress.loss_sum, progress.loss_count = 0.0, 0
    if options.first_evaluation and progress.step >= progress.next_evaluation:
        progress.next_evaluation = max(
            progress.step + 1, math.ceil(progress.step * options.evaluation_growth)
        )
    while (
        progress.marks_done < len(options.evaluation_seconds)
        and progress.train_seconds >= options.evaluation_seconds[progress.marks_done]
    ):
        progress.marks_done += 1


def _finished(progress: Progress, options: TrainingOptions) -> str:
    """Return why training is over, or the empty string."""
    open_goals = [goal for goal in options.goals if not _reached(goal, progress)]
    if options.goals and not open_goals:
        return "target"
    bounds = [goal.max_steps for goal in open_goals]
    if bounds and None not in bounds and progress.step >= max(bounds):
        return "bound"
    if progress.train_seconds >= options.budget_seconds:
        return "budget"
    if options.max_steps is not None and progress.step >= options.max_steps:
        return "max_steps"
    return ""


def _reached(goal: Goal, progress: Progress) -> bool:
    return any(row.get(goal.metric, -math.inf) >= goal.value for row in progress.curve)
