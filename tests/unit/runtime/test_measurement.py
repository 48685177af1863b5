import sys

import numpy as np
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
def test_peak_memory_sees_an_array_that_is_gone():
    memory = PeakMemory()
    before = memory.megabytes()
    np.ones(20_000_000)  # 160 MB
    assert memory.megabytes() - before > 100
    assert PeakMemory().megabytes() < memory.megabytes() + 100
