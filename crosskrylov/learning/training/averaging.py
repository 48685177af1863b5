"""Exponential moving average of network weights: diffusers' `EMAModel`, warmed up."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

import crosskrylov.runtime.torchvision_compat  # noqa: F401  (must come before diffusers)

if TYPE_CHECKING:
    from diffusers.training_utils import EMAModel


def weight_average(network: torch.nn.Module, decay: float) -> "EMAModel":
    """Return the average of a network's weights, of decay min(decay, (1 + k) / (10 + k)) at step k.

    The warm-up makes early averages follow the weights instead of the random start.

    Parameters
    ----------
    network : Module
        Network whose parameters are averaged.
    decay : float
        Final decay in [0, 1); 0 means no averaging.
    """
    from diffusers.training_utils import EMAModel

    # by default the first step would copy the weights and the warm-up start at the second
    return EMAModel(network.parameters(), decay=decay, update_after_step=-1, foreach=True)


@contextmanager
def averaged(network: torch.nn.Module, average: "EMAModel") -> Iterator[None]:
    """Put the averaged weights into the network for the length of a ``with`` block."""
    average.store(network.parameters())
    average.copy_to(network.parameters())
    try:
        yield
    finally:
        average.restore(network.parameters())
