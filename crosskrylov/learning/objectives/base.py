"""The protocol between the training loop and an objective."""

from typing import Protocol

import torch


class Objective(Protocol):
    """One training objective with the data that it needs.

    Attributes
    ----------
    name : str
        Registry name.
    """

    name: str

    def to(self, device: torch.device) -> "Objective":
        """Move the data to ``device`` and return the objective."""
        ...

    def loss(self, network: torch.nn.Module, generator: torch.Generator) -> torch.Tensor:
        """Return the scalar loss of one random batch; every draw comes from ``generator``.

        The generator lives on the CPU whatever the device, so that a run sees the same random
        numbers everywhere.
        """
        ...


def standard_normal(
    shape: tuple[int, ...], generator: torch.Generator, device: torch.device
) -> torch.Tensor:
    """Return N(0, 1) noise of ``shape``, drawn on the CPU and moved to ``device``."""
    return torch.randn(shape, generator=generator).to(device)
