"""The training loop: one optimiser, one clock, one stopping rule for every model."""

from crosskrylov.training.averaging import WeightAverage
from crosskrylov.training.checkpoint import load_network, load_training_state, save_checkpoint
from crosskrylov.training.device import select_device
from crosskrylov.training.loop import TrainingOptions, TrainingResult, train

__all__ = [
    "TrainingOptions",
    "TrainingResult",
    "WeightAverage",
    "load_network",
    "load_training_state",
    "save_checkpoint",
    "select_device",
    "train",
]
