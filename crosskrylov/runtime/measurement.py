"""Fair measurement: the same number of threads for everyone, peak memory, repeats."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from threadpoolctl import threadpool_limits

from crosskrylov.errors import ConfigError


def available_cores() -> int:
    """Return the cores that this process may use (fewer than the machine's in a container)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def pinned_threads(count: int) -> Iterator[None]:
    """Limit BLAS, OpenMP and torch to ``count`` threads inside the context.

    Only libraries that are already loaded can be limited, so warm the code up first.
    """
    if count < 1:
        raise ConfigError(f"studies.blas_threads is {count}; give at least 1.")
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else None
    with threadpool_limits(limits=count):
        if torch is not None:
            torch.set_num_threads(count)
        try:
            yield
        finally:
            if torch is not None:
                torch.set_num_threads(before)


class PeakMemory:
    """Peak resident memory of this process since the object was made.

    Linux only, where the kernel's high-water mark can be reset; elsewhere nothing is measured.
    """

    def __init__(self):
        try:
            Path("/proc/self/clear_refs").write_text("5")
            self._measurable = True
        except OSError:
            self._measurable = False

    def megabytes(self) -> float | None:
        """Return the peak in MB (10^6 bytes), None where it cannot be measured."""
        if not self._measurable:
            return None
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
        return None
