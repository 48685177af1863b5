"""Who is at work in a working directory."""

import os
import subprocess
import sys

from crosskrylov.runtime.presence import at_work, still_at_work, warnings_of_others

CHILD = """
import sys
from crosskrylov.runtime.presence import at_work
with at_work("a long job"):
    print("working", flush=True)
    sys.stdin.read()
"""


def test_a_process_is_seen_as_long_as_it_lives(tmp_path, project):
    (tmp_path / ".snakemake").mkdir()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(project)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "working\n"
    assert still_at_work(tmp_path) == {child.pid: "a long job"}
    assert f"kill {child.pid}" in warnings_of_others(tmp_path)[0]
    child.kill()
    child.communicate()
    assert still_at_work(tmp_path) == {}
    assert not list(tmp_path.glob(".snakemake/at-work/*/*"))


def test_nothing_is_left_after_the_work_or_written_outside_snakemakes_folder(tmp_path):
    with at_work("a job", tmp_path):
        assert list(tmp_path.iterdir()) == []
    (tmp_path / ".snakemake").mkdir()
    with at_work("a job", tmp_path):
        assert still_at_work(tmp_path) == {os.getpid(): "a job"}
    assert still_at_work(tmp_path) == {}
