"""Conjugate gradients on normal equations of images, with inner products of each image alone."""

from collections.abc import Callable

import torch


def conjugate_gradients(
    apply: Callable[[torch.Tensor], torch.Tensor],
    rhs: torch.Tensor,
    start: torch.Tensor,
    steps: int,
    tolerance: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Iterate on a symmetric positive semidefinite, consistent system, image by image.

    Parameters
    ----------
    apply : callable
        The matrix, (B, C, H, W) to the same shape.
    rhs, start : tensor, shape (B, C, H, W)
    steps : int
        Most iterations.
    tolerance : float
        An image stops where the 2-norm of its residual falls below it.

    Returns
    -------
    x : tensor, shape (B, C, H, W)
        On a singular system, the start moved within the range of the matrix alone: the solution
        that lies nearest to it, once converged.
    residuals : tensor, shape (steps + 1, B)
        2-norms of the residuals of the recurrence; those of an image that has stopped are repeated.
    """
    x = start
    residual = rhs - apply(x)
    direction = residual
    square = _dots(residual, residual)
    norms = [square.sqrt()]
    for _ in range(steps):
        product = apply(direction)
        curvature = _dots(direction, product)
        going = (square.sqrt() > tolerance) & (curvature > 0)
        length = torch.where(going, square / torch.where(going, curvature, 1), 0)
        x = x + _of(length) * direction
        residual = residual - _of(length) * product
        following = torch.where(going, _dots(residual, residual), square)
        turned = residual + _of(following / torch.where(going, square, 1)) * direction
        direction = torch.where(_of(going), turned, direction)
        square = following
        norms.append(square.sqrt())
    return x, torch.stack(norms)


def _dots(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a * b).flatten(1).sum(1)


def _of(values: torch.Tensor) -> torch.Tensor:
    """Return values (B,) so that they multiply images."""
    return values[:, None, None, None]
