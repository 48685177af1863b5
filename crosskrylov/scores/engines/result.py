"""What every engine returns for a block of images."""

from dataclasses import dataclass, field

import numpy as np
import torch

#: Why an image whose log-density holds NaN or infinity is left out.
NOT_FINITE = "its initial log-density is not finite"


@dataclass
class BlockResult:
    """Log-densities of a block of images and how they came about.

    Attributes
    ----------
    log_density : Tensor, shape (B, S, H, W)
        Log-density in nats at the stored steps; NaN for images that failed.
    iterations : ndarray of int, shape (B,)
        Applications of P^-1 over the whole march (0 for methods without iteration).
    fallbacks : ndarray of int, shape (B,)
        Time steps that needed Newton's iteration.
    max_residual : ndarray, shape (B,)
        Largest true relative residual of any step (NaN for methods without systems).
    failures : dict of int to str
        Position in the block of every failed image, and one sentence why.
    """

    log_density: torch.Tensor
    iterations: np.ndarray
    fallbacks: np.ndarray
    max_residual: np.ndarray
    failures: dict[int, str] = field(default_factory=dict)
