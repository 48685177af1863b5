"""Exact scores inside a training loop: images and times in, scores out, nothing stored.

The density of an image (Eq. 9) and its exact solution (Eqs. 11-13) are a handful of dense products
along the two axes, which a batch shares.  `crosskrylov.equation` holds the reference, image by
image in NumPy; tests compare the two.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import default_collate

from crosskrylov.equation.density import density_options
from crosskrylov.equation.problem import check_equation, problem_from_config
from crosskrylov.equation.stencil import gradient
from crosskrylov.equation.transforms import laplacian_symbol, transform_matrix
from crosskrylov.errors import ConfigError, DataError, ShapeError
from crosskrylov.scores.smoothed_density import SmoothedDensity

#: Nodes of the table of tau(t) where g(t) is a function without a known integral.
_TABLE_NODES = 1025
#: What a pixel may exceed 1 by: float32 rounds (x / 255 * 255) so.
_ROUNDING = 1e-6


class ExactScores(torch.nn.Module):
    """Scores or log-densities of a batch of images, each at a time of its own.

    Differentiable with respect to images and times, on the CPU and on CUDA, under `torch.compile`.
    It has buffers and no parameters.

    Parameters
    ----------
    size : int or (int, int)
        Height and width of the images in pixels; one number for square images.
    equation, density : mapping, optional
        Sections of a configuration; defaults as everywhere.  The drift has to be zero, which the
        exact solution needs, and the density "smoothed": the sampled estimate draws anew at every
        call, so that its scores belong into a store.
    output : {"score", "log_density"}
    dtype : torch.float32 or torch.float64
        Of the arithmetic and the result.  In float32, densities below about 1e-7 are known to that
        absolute accuracy only.
    check : bool
        Refuse images and times out of their range.  On CUDA this waits for the batch; compiled, it
        is left out.

    Raises
    ------
    ConfigError
        If the equation has a drift, the density is sampled, or an option is impossible.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        *,
        equation: Mapping[str, Any] | None = None,
        density: Mapping[str, Any] | None = None,
        output: Literal["score", "log_density"] = "score",
        dtype: torch.dtype = torch.float32,
        check: bool = True,
    ):
        super().__init__()
        height, width = (size, size) if isinstance(size, int) else map(int, size)
        check_equation(equation or {})
        problem = problem_from_config(equation or {}, height, width)
        options = density_options(density)
        if problem.drift is not None:
            raise ConfigError(
                "Scores on the fly are exact, which needs equation.drift.kind zero; with a drift, "
                "pre-compute them (crosskrylov precompute)."
            )
        if options["method"] != "smoothed":
            raise ConfigError(
                f"density.method is {options['method']!r}, which draws samples anew at every call; "
                "use 'smoothed' on the fly, or pre-compute the scores."
            )
        if output not in ("score", "log_density"):
            raise ConfigError(f"output is {output!r}; allowed are 'score' and 'log_density'.")
        if dtype not in (torch.float32, torch.float64):
            raise ConfigError(f"dtype is {dtype}; allowed are torch.float32 and torch.float64.")
        self.output, self.check, self._options = output, check, options
        self._spacing, self._final_time = problem.spacing, problem.final_time
        self._shape, self._dtype = (height, width), dtype
        self._shift = 1.0 if problem.boundary == "zero_padding" else 0.0
        self._tau = problem.diffusion.integral
        self.density = SmoothedDensity(height, width, problem.spacing, options, dtype)

        def keep(name: str, values) -> None:
            tensor = torch.as_tensor(np.array(values), dtype=dtype)
            self.register_buffer(name, tensor, persistent=False)

        keep("rows", transform_matrix(height, problem.boundary))
        keep("cols", transform_matrix(width, problem.boundary))
        keep("symbol", laplacian_symbol(height, width, problem.spacing, problem.boundary))
        if self._tau is None:
            node = np.linspace(0.0, problem.final_time, _TABLE_NODES)
            keep("tau_values", [problem.diffusion.tau(t) for t in node])
            keep("tau_slopes", [problem.diffusion.half_g2(t) for t in node])

    def __repr__(self) -> str:
        """Return one line, without the modules inside."""
        height, width = self._shape
        return f"ExactScores({height}x{width}, output={self.output}, dtype={self._dtype})"

    def forward(self, images: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """Return the scores of every image at its time.

        Parameters
        ----------
        images : tensor, shape (B, C, H, W)
            Pixels in [0, 1], floating point; 1 or 3 channels.
        times : tensor, shape (B,)
            Times in [0, T].

        Returns
        -------
        tensor, shape (B, 2, H, W), or (B, H, W) for log-densities
            d/drow and d/dcolumn of the log-density in nats per unit length.  With
            ``density.channels: each``, axis 1 counts the channels: (B, C, 2, H, W), (B, C, H, W).

        Raises
        ------
        ShapeError, DataError
            If images or times are of another kind, or (with ``check``) out of range.
        """
        self._check(images, times)
        images, times = images.to(self._dtype), times.to(self._dtype)
        channels = images.shape[1] if self._options["channels"] == "each" else None
        fields = images.mean(1) if channels is None else images.flatten(0, 1)
        if channels is not None:
            times = times.repeat_interleave(channels)
        result = self._log_density(self.density(fields), times)
        if self.output == "score":
            result = torch.stack(gradient(result, self._spacing), dim=-3)
        return result if channels is None else result.unflatten(0, (-1, channels))

    def uniform_times(self, count: int) -> torch.Tensor:
        """Return ``count`` times, uniform in [0, T], of torch's generator on the CPU."""
        return torch.rand(count, dtype=self._dtype) * self._final_time

    def _check(self, images: torch.Tensor, times: torch.Tensor) -> None:
        if images.ndim != 4 or images.shape[1] not in (1, 3) or images.shape[2:] != self._shape:
            raise ShapeError(
                f"Images need shape (B, C, {self._shape[0]}, {self._shape[1]}) with C = 1 or 3, "
                f"found {tuple(images.shape)}."
            )
        if times.shape != images.shape[:1]:
            raise ShapeError(
                f"Times need shape ({len(images)},), one for each image, found "
                f"{tuple(times.shape)}."
            )
        if not images.is_floating_point():
            raise DataError(
                f"Images have dtype {images.dtype}: divide by 255 for pixels in [0, 1]."
            )
        if not self.check or torch.compiler.is_compiling() or not len(images):
            return
        low, high = images.aminmax()
        if not (low >= 0 and high <= 1 + _ROUNDING):  # as written, not a number is refused too
            raise DataError(
                f"Images have minimum {float(low):.3g} and maximum {float(high):.3g}, but pixels "
                "are in [0, 1]."
            )
        first, last = times.aminmax()
        if not (first >= 0 and last <= self._final_time * (1 + 1e-6)):
            raise DataError(
                f"Times lie in {float(first):.3g} to {float(last):.3g}, but the equation runs from "
                f"0 to {self._final_time:g}."
            )

    def _log_density(self, density: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """Return the exact log-density at each field's time (Eqs. 11-13)."""
        spectrum = self.rows.T @ (density - self._shift) @ self.cols
        spectrum = spectrum * torch.exp(self._tau_at(times)[:, None, None] * self.symbol)
        later = self._shift + self.rows @ spectrum @ self.cols.T
        # the maximum principle, which holds exactly: what lies below is rounding
        least = density.amin((1, 2), keepdim=True)
        if self._shift:
            least = least.clamp_max(1.0)
        return torch.log(torch.maximum(later, least))

    def _tau_at(self, times: torch.Tensor) -> torch.Tensor:
        """Return 1/2 of the integral of g^2 from 0 to each time (Eq. 11)."""
        if self._tau is not None:
            return self._tau(times)
        # Hermite's cubic through values and slopes of the table
        step = self._final_time / (_TABLE_NODES - 1)
        left = (times / step).detach().long().clamp(0, _TABLE_NODES - 2)
        x = times / step - left
        value, slope = self.tau_values, self.tau_slopes * step
        return (
            value[left] * (1 + 2 * x) * (1 - x) ** 2
            + slope[left] * x * (1 - x) ** 2
            + value[left + 1] * x**2 * (3 - 2 * x)
            + slope[left + 1] * x**2 * (x - 1)
        )


class ScoreCollate:
    """Collate images into a batch with times and their scores: a `DataLoader`'s ``collate_fn``.

    A sample is an image [C, H, W] or a tuple that begins with one; a batch is (images, times,
    scores) and what else the samples held.  The loader's workers then compute the scores.

    Parameters
    ----------
    scores : ExactScores
        On the CPU, as collating is.
    draw : callable, optional
        Number of images to their times, shape (B,); default uniform in [0, T], drawn from torch's
        generator, which a `DataLoader` seeds in each worker.
    collate : callable, optional
        What makes a batch of the samples first.
    """

    def __init__(
        self,
        scores: ExactScores,
        draw: Callable[[int], torch.Tensor] | None = None,
        collate: Callable[[list], Any] = default_collate,
    ):
        self._scores, self._draw, self._collate = scores, draw, collate

    def __call__(self, samples: list) -> tuple:
        """Return the batch of ``samples``."""
        batch = self._collate(samples)
        images, *rest = batch if isinstance(batch, list | tuple) else [batch]
        times = self._draw(len(images)) if self._draw else self._scores.uniform_times(len(images))
        with torch.no_grad():
            return (images, times, self._scores(images, times), *rest)
