"""Exponential moving average of network weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class WeightAverage:
    """Average of the weights with decay min(decay, (1 + k) / (10 + k)) after k updates.

    The warm-up makes early averages follow the weights instead of the random start.

    Parameters
    ----------
    network : Module
        Network whose parameters are averaged; kept by reference.
    decay : float
        Final decay in [0, 1); 0 means no averaging.
    """

    def __init__(self, network: torch.nn.Module, decay: float):
        self.parameters = list(network.parameters())
        self.average = [p.detach().clone() for p in self.parameters]
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take the current weights into the average."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the averaged weights into the network for the length of a ``with`` block."""
        trained = [p.detach().clone() for p in self.parameters]
        self._assign(self.average)
        try:
            yield
        finally:
            self._assign(trained)

    @torch.no_grad()
    def _assign(self, values: list[torch.Tensor]) -> None:
        for parameter, value in zip(self.parameters, values):
            parameter.copy_(value)
