import mmap
import sys

import numpy  # noqa: F401  (its BLAS is what is pinned)
import pytest
from threadpoolctl import threadpool_info

from crosskrylov.errors import ConfigError
from crosskrylov.runtime.measurement import PeakMemory, pinned_threads


def blas_threads():
    return {entry["num_threads"] for entry in threadpool_info() if entry["user_api"] == "blas"}


def test_threads_are_pinned_inside_and_restored_after():
    before = blas_threads()
    with pinned_threads(1):
        assert blas_threads() == {1}
    assert blas_threads() == before
    with pytest.raises(ConfigError, match="blas_threads is 0"), pinned_threads(0):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's high-water mark is Linux's")
def test_peak_memory_sees_pages_that_are_gone():
    # Pages of the kernel's own, since an allocator may serve an array from memory that it kept.
    memory = PeakMemory()
    before = memory.megabytes()
    with mmap.mmap(-1, 160_000_000) as pages:
        pages.write(b"1" * 160_000_000)
    peak = memory.megabytes()
    assert peak - before > 150
    assert PeakMemory().megabytes() < peak - 150
