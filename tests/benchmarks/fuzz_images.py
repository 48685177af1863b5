"""Damaged image files by the ten thousand: each gives pixels or a DataError, in time and memory.

    PYTHONPATH=. python tests/benchmarks/fuzz_images.py [--count 50000] [--seed 1] [--seconds 5]

Stops at the first file that raises anything else, takes longer than --seconds or more memory than
the budget that decoding was given, writes it to mutant.bin and exits with 1.
"""

import argparse
import faulthandler
import resource
import signal
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np

from crosskrylov.datasets.pixels import DecodingMemory, decoding_within, read_square
from crosskrylov.errors import DataError

sys.path.insert(0, str(Path(__file__).parents[1]))
from mutants import mutants, whole_files

BUDGET_MB = 64


def outcome(path: Path) -> str:
    """Return "pixels" or the reason of a DataError; any other exception is the caller's."""
    try:
        with decoding_within(DecodingMemory(BUDGET_MB * 10**6)):
            pixels = read_square(path, 16, upscale=True)
    except DataError as error:
        reason = str(error).rpartition(".bin ")[2]
        known = ("cannot be read", "is too large", "has values", "has pixels", "is a link")
        return next((start for start in known if reason.startswith(start)), reason)
    if pixels.shape[:2] != (16, 16) or not (pixels.min() >= 0 and pixels.max() <= 1):
        raise AssertionError(f"pixels of shape {pixels.shape} are out of range")
    return "pixels"


def _too_long(signum, frame):
    raise TimeoutError("the file takes too long")


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    faulthandler.enable()
    signal.signal(signal.SIGALRM, _too_long)
    folder = tempfile.TemporaryDirectory()
    path, outcomes, slowest = Path(folder.name) / "mutant.bin", {}, 0.0
    for content in whole_files():  # so that all decoders are loaded
        path.write_bytes(content)
        assert outcome(path) == "pixels"
    before, started = peak_mb(), time.perf_counter()
    for number, content in enumerate(islice(mutants(given.seed), given.count)):
        path.write_bytes(content)
        began = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, given.seconds)
        try:
            found = outcome(path)
            assert peak_mb() - before < BUDGET_MB, "more memory than the budget"
        except BaseException:
            Path("mutant.bin").write_bytes(content)
            print(f"file {number} of seed {given.seed} is kept as mutant.bin", file=sys.stderr)
            raise
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        slowest = max(slowest, time.perf_counter() - began)
        outcomes[found] = outcomes.get(found, 0) + 1
    seconds = time.perf_counter() - started
    print(f"{given.count} files in {seconds:.0f} s, the slowest in {slowest:.2f} s")
    print(f"memory grew by {peak_mb() - before:.0f} MB of {BUDGET_MB}")
    for reason in sorted(outcomes, key=outcomes.get, reverse=True):
        print(f"{outcomes[reason]:8d}  {reason}")
    return 0


if __name__ == "__main__":
    np.seterr(all="raise")
    sys.exit(main())
