"""Linear measurements of small images, as matrices of spectral norm one (docs/method.md, 32a)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from inspect import signature
from typing import Any

import numpy as np
import torch

from crosskrylov.errors import ConfigError
from crosskrylov.runtime.declared import did_you_mean

#: Singular values below this share of the largest are left out of the pseudo-inverse.
SMALLEST_KEPT = 0.03


@dataclass(frozen=True)
class Measurement:
    """A linear operator H, the same for every channel of an image.

    Attributes
    ----------
    matrix : tensor, shape (M, H * W)
        H, of spectral norm one.
    """

    matrix: torch.Tensor

    @classmethod
    def scaled(cls, matrix: np.ndarray) -> "Measurement":
        """Return the operator of a matrix (M, H * W), divided by its spectral norm."""
        return cls(torch.as_tensor(matrix / np.linalg.norm(matrix, 2), dtype=torch.float64))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return H x of images (B, C, H, W), shape (B, C, M)."""
        return x.flatten(2) @ self.matrix.to(x).T

    def adjoint(self, b: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Return H' b of measurements (B, C, M) as images (B, C, H, W) of ``size`` (H, W)."""
        return (b @ self.matrix.to(b)).unflatten(2, size)

    def normal(self, x: torch.Tensor) -> torch.Tensor:
        """Return H' H x of images (B, C, H, W)."""
        return self.adjoint(self(x), tuple(x.shape[2:]))

    def pseudo_inverse(self, b: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Return the smallest image (B, C, H, W) that fits b best, without weak directions."""
        return (b @ self._pseudo.to(b).T).unflatten(2, size)

    @cached_property
    def _pseudo(self) -> torch.Tensor:
        return torch.linalg.pinv(self.matrix, rtol=SMALLEST_KEPT)


def super_resolution(size: tuple[int, int], factor: int = 4) -> np.ndarray:
    """Return the matrix of means over blocks of ``factor`` x ``factor`` pixels."""
    height, width = size
    if factor < 1 or height % factor or width % factor:
        raise ConfigError(
            f"Operator 'super_resolution': factor is {factor}; it must divide the image's "
            f"{height} x {width} pixels."
        )
    rows, columns = (np.kron(np.eye(n // factor), np.ones((1, factor))) for n in size)
    return np.kron(rows, columns) / factor**2


def inpainting(size: tuple[int, int], share: float = 0.25) -> np.ndarray:
    """Return the matrix that keeps pixels outside a central box of ``share`` of the image's area.

    The box's sides are rounded to whole pixels.
    """
    if not 0 < share < 1:
        raise ConfigError(f"Operator 'inpainting': share is {share}; it must lie between 0 and 1.")
    kept = np.ones(size, dtype=bool)
    box = []
    for n in size:
        side = max(1, round(n * share**0.5))
        box.append(slice((n - side) // 2, (n - side) // 2 + side))
    kept[tuple(box)] = False
    return np.eye(kept.size)[kept.ravel()]


def blur(size: tuple[int, int], width: float = 1.5) -> np.ndarray:
    """Return the matrix of a Gaussian blur of ``width`` pixels; weights in the image sum to one."""
    if not width > 0:
        raise ConfigError(f"Operator 'blur': width is {width}; it must be above 0.")
    factors = []
    for n in size:
        distance = np.arange(n)[:, None] - np.arange(n)
        weights = np.exp(-(distance**2) / (2 * width**2))
        factors.append(weights / weights.sum(1, keepdims=True))
    return np.kron(*factors)


def radon(size: tuple[int, int], views: int = 4) -> np.ndarray:
    """Return the matrix of parallel projections under ``views`` angles, equally spaced over pi.

    A pixel's value goes to the two detector cells next to its centre's shadow, in proportion; cells
    are as wide as pixels. View 0 sums the columns.
    """
    if views < 1:
        raise ConfigError(f"Operator 'radon': views is {views}; it must be at least 1.")
    height, width = size
    cells = int(np.ceil(np.hypot(height, width))) + 1
    cells += (cells - width) % 2  # so that view 0 meets the middle of its cells
    rows, columns = np.divmod(np.arange(height * width), width)
    down, right = rows - (height - 1) / 2, columns - (width - 1) / 2
    pixels = np.arange(height * width)
    matrix = np.zeros((views, cells, height * width))
    for view, angle in enumerate(np.pi * np.arange(views) / views):
        shadow = right * np.cos(angle) + down * np.sin(angle) + (cells - 1) / 2
        cell = np.clip(np.floor(shadow + 1e-9).astype(int), 0, cells - 2)
        beyond = np.clip(shadow - cell, 0, 1)
        matrix[view, cell, pixels] = 1 - beyond
        matrix[view, cell + 1, pixels] = beyond
    matrix = matrix.reshape(views * cells, -1)
    return matrix[matrix.any(1)]


#: Matrices by name; the keyword arguments after the size are options.
OPERATORS: dict[str, Callable[..., np.ndarray]] = {
    "super_resolution": super_resolution,
    "inpainting": inpainting,
    "blur": blur,
    "radon": radon,
}


@dataclass(frozen=True)
class Choice:
    """A configured operator or method: what tables call it, its name, its options."""

    label: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


def chosen(given: str | Mapping, known: Mapping[str, Callable], key: str) -> Choice:
    """Return what a configuration says, a name or {``key``, options, name}.

    Parameters
    ----------
    given : str or mapping
    known : mapping
        Functions by name; their arguments with a default are the options.
    key : str
        "operator" or "method".

    Raises
    ------
    ConfigError
        If the name or an option is unknown.
    """
    parts = {key: given} if isinstance(given, str) else dict(given)
    name, options = parts.get(key), dict(parts.get("options") or {})
    if name not in known:
        raise ConfigError(
            f"The {key} {name!r} of an inverse problem is unknown{did_you_mean(name, known)}; "
            f"allowed are {', '.join(known)}."
        )
    parameters = signature(known[name]).parameters.values()
    allowed = [p.name for p in parameters if p.default is not p.empty]
    for option in options:
        if option not in allowed:
            raise ConfigError(
                f"The {key} {name!r} has no option {option!r}{did_you_mean(option, allowed)}; it "
                f"has {', '.join(allowed) or 'none'}."
            )
    label = parts.get("name") or ", ".join([name, *(f"{k} {v}" for k, v in options.items())])
    return Choice(label, name, options)


def measurement(given: str | Mapping, size: tuple[int, int]) -> Measurement:
    """Return a configured operator on images of ``size`` (H, W)."""
    choice = chosen(given, OPERATORS, "operator")
    return Measurement.scaled(OPERATORS[choice.name](size, **choice.options))
