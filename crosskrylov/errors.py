"""Exceptions of the project; every message says what was found and what to do about it."""


class CrosskrylovError(Exception):
    """Base class: catching it catches every error that this project raises on purpose."""


class ConfigError(CrosskrylovError):
    """A configuration key is unknown, mistyped or impossible; the message names the key."""


class DataError(CrosskrylovError):
    """A file, folder or download is missing, damaged or unusable; the message names it."""


class ShapeError(CrosskrylovError, ValueError):
    """Array shapes do not fit together; the message gives both shapes."""


class ConvergenceError(CrosskrylovError):
    """An iteration missed its tolerance.

    Parameters
    ----------
    message : str
        One sentence with the tolerance, the value reached and what to change.
    residual_history : sequence of float
        Relative residuals, first to last (empty if the method keeps none).
    iterations : int
        Iterations performed.
    best : array or None
        Best approximation found, for inspection only.
    """

    def __init__(self, message, residual_history=(), iterations=0, best=None):
        super().__init__(message)
        self.residual_history = list(residual_history)
        self.iterations = iterations
        self.best = best


class AccuracyError(CrosskrylovError):
    """A computed quantity violates a property that it must have (a failed postcondition)."""


class DeviceError(CrosskrylovError):
    """The compute device that was asked for is not available."""


class TrainingError(CrosskrylovError):
    """Training cannot go on (for example a loss that is not finite)."""


class CodeError(CrosskrylovError):
    """The code is no longer what a job began with: its results would belong to neither version."""
