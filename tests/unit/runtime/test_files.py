"""Atomic writers, readers and job logging."""

import errno
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crosskrylov.errors import ConfigError, DataError
from crosskrylov.runtime import files, jobs


def folder_listing(folder):
    return sorted(path.name for path in folder.iterdir())


# --- logged ------------------------------------------------------------------------------------


def test_logged_writes_records_to_file_and_stderr(tmp_path, capsys):
    with jobs.logged(tmp_path / "logs" / "job.log"):
        logging.getLogger("crosskrylov.anything").info("solved 3 systems")
    assert "solved 3 systems" in (tmp_path / "logs" / "job.log").read_text()
    assert "solved 3 systems" in capsys.readouterr().err


def test_expected_error_is_one_sentence_on_stderr_and_traceback_in_file(tmp_path, capsys):
    log = tmp_path / "job.log"
    with pytest.raises(SystemExit) as exit_info, jobs.logged(log):
        raise ConfigError("march.tolerance is -1: use a number above 0.")
    assert exit_info.value.code == 1
    assert capsys.readouterr().err == "ERROR: march.tolerance is -1: use a number above 0.\n"
    assert "Traceback" in log.read_text()
    assert "march.tolerance is -1" in log.read_text()


def test_unexpected_error_keeps_its_traceback_everywhere(tmp_path, capsys):
    log = tmp_path / "job.log"
    with pytest.raises(SystemExit) as exit_info, jobs.logged(log):
        raise ZeroDivisionError("a bug")
    assert exit_info.value.code == 1
    assert "Traceback" in capsys.readouterr().err
    assert "ZeroDivisionError: a bug" in log.read_text()


def test_logged_leaves_the_root_logger_as_it_was(tmp_path):
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    with pytest.raises(SystemExit), jobs.logged(tmp_path / "job.log"):
        raise DataError("x")
    assert (root.level, list(root.handlers)) == before


def test_logged_catches_warnings(tmp_path):
    import warnings

    with jobs.logged(tmp_path / "job.log"):
        warnings.warn("nearly singular", UserWarning, stacklevel=1)
    assert "nearly singular" in (tmp_path / "job.log").read_text()


# --- atomic writing ----------------------------------------------------------------------------


def test_atomic_path_appears_only_when_complete(tmp_path):
    target = tmp_path / "sub" / "figure.svg"
    with files.atomic_path(target) as partial:
        assert partial.suffix == ".svg"  # writers that go by the suffix still work
        partial.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert folder_listing(target.parent) == ["figure.svg"]


def test_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "table.tsv"
    target.write_text("old")
    with pytest.raises(KeyError), files.atomic_path(target) as partial:
        partial.write_text("half")
        raise KeyError("interrupted")
    assert target.read_text() == "old"
    assert folder_listing(tmp_path) == ["table.tsv"]


def test_body_that_writes_nothing_is_an_error(tmp_path):
    with (
        pytest.raises(DataError, match=r"Nothing was written to .*x\.npz"),
        files.atomic_path(tmp_path / "x.npz"),
    ):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_one_sentence_and_leaves_nothing(tmp_path):
    with pytest.raises(DataError, match=r"disk is full: .*scores\.npz.* free some space"):
        with files.atomic_path(tmp_path / "scores.npz") as partial:
            partial.write_bytes(b"half")
            with open("/dev/full", "wb") as full:
                full.write(b"x" * 100_000)
    assert folder_listing(tmp_path) == []


def test_full_disk_reported_as_text_by_a_library(tmp_path):
    with pytest.raises(DataError, match="disk is full"):
        with files.atomic_path(tmp_path / "m.safetensors"):
            raise RuntimeError("I/O error: No space left on device (os error 28)")


def test_other_system_errors_of_the_body_pass_unchanged(tmp_path):
    with pytest.raises(FileNotFoundError), files.atomic_path(tmp_path / "x"):
        raise FileNotFoundError(errno.ENOENT, "No such file", "some/input.png")


def test_folder_that_is_a_file_gives_a_sentence(tmp_path):
    (tmp_path / "results").write_text("in the way")
    with pytest.raises(DataError, match=r"Cannot write .*x\.json"):
        files.write_json(tmp_path / "results" / "x.json", {})


def test_killed_writer_leaves_the_old_file_and_the_next_one_cleans_up(tmp_path):
    target = tmp_path / "scores [1].npz"
    target.write_text("old")
    script = (
        "import os, signal, sys\n"
        "from crosskrylov.runtime.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as partial:\n"
        "    partial.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    project = Path(files.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script, str(target)], cwd=project)
    assert done.returncode == -signal.SIGKILL
    assert target.read_text() == "old"
    assert len(folder_listing(tmp_path)) == 2
    with files.atomic_path(target) as partial:
        partial.write_text("new")
    assert folder_listing(tmp_path) == [target.name]
    assert target.read_text() == "new"


def test_two_writers_at_a_time_do_not_disturb_each_other(tmp_path):
    with files.atomic_path(tmp_path / "x") as first:
        first.write_text("1")
        with files.atomic_path(tmp_path / "x") as second:
            second.write_text("2")
        assert (tmp_path / "x").read_text() == "2"
    assert (tmp_path / "x").read_text() == "1"


def test_atomic_folder_replaces_as_a_whole(tmp_path):
    target = tmp_path / "checkpoint"
    with files.atomic_folder(target) as partial:
        (partial / "a").write_text("1")
    with files.atomic_folder(target) as partial:
        (partial / "b").write_text("2")
    assert folder_listing(target) == ["b"]
    with pytest.raises(ValueError, match="no"), files.atomic_folder(target) as partial:
        (partial / "c").write_text("3")
        raise ValueError("no")
    assert folder_listing(target) == ["b"]
    assert folder_listing(tmp_path) == ["checkpoint"]


# --- arrays ------------------------------------------------------------------------------------


@pytest.mark.parametrize("compressed", [False, True])
def test_npz_round_trip_is_exact_and_reproducible(tmp_path, compressed):
    arrays = {
        "field": np.linspace(0, 1, 12).reshape(3, 4),
        "image": np.ones((1, 3, 2, 2), dtype=np.float32),
        "label": "photos",
        "step": 7,
    }
    files.save_npz(tmp_path / "a.npz", compressed=compressed, **arrays)
    files.save_npz(tmp_path / "b.npz", compressed=compressed, **arrays)
    loaded = files.load_npz(tmp_path / "a.npz")
    assert loaded.keys() == arrays.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(loaded[name], value)
        assert loaded[name].dtype == np.asarray(value).dtype
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_npz_accepts_an_array_called_path(tmp_path):
    files.save_npz(tmp_path / "a.npz", path=np.arange(3))
    np.testing.assert_array_equal(files.load_npz(tmp_path / "a.npz")["path"], np.arange(3))


def test_objects_are_never_pickled(tmp_path):
    with pytest.raises(TypeError, match="'things' has dtype object"):
        files.save_npz(tmp_path / "a.npz", things=[{}, None])
    np.savez(tmp_path / "evil.npz", things=np.array([{}, None], dtype=object))
    with pytest.raises(DataError, match=r"evil\.npz cannot be read"):
        files.load_npz(tmp_path / "evil.npz")


def damaged_archives():
    return [
        pytest.param(lambda good: b"", id="empty"),
        pytest.param(lambda good: b"not an archive", id="text"),
        pytest.param(lambda good: good[: len(good) // 2], id="truncated"),
        pytest.param(lambda good: good[:200] + b"\0" * 50 + good[250:], id="bytes-overwritten"),
    ]


@pytest.mark.parametrize("damage", damaged_archives())
@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_npz_names_the_file(tmp_path, damage, compressed):
    path = tmp_path / "scores.npz"
    field = np.random.default_rng(7).normal(size=(16, 16))
    files.save_npz(path, compressed=compressed, field=field)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"scores\.npz cannot be read"):
        files.load_npz(path)


@pytest.mark.parametrize("read", [files.load_npz, files.read_json, files.read_tsv])
def test_missing_file_names_the_file(tmp_path, read):
    with pytest.raises(DataError, match=r"gone\.x does not exist"):
        read(tmp_path / "gone.x")


# --- JSON and tables ---------------------------------------------------------------------------


def test_json_round_trip_with_numpy_values(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"seed": np.int64(3), "x": np.arange(2.0), "at": tmp_path})
    assert files.read_json(path) == {"seed": 3, "x": [0.0, 1.0], "at": str(tmp_path)}


def test_json_refuses_numbers_that_are_not_finite(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert folder_listing(tmp_path) == []


def test_damaged_json_names_the_file(tmp_path):
    (tmp_path / "a.json").write_text('{"seed": ')
    with pytest.raises(DataError, match=r"a\.json cannot be read as JSON"):
        files.read_json(tmp_path / "a.json")


def test_table_round_trip_keeps_missing_cells_and_words(tmp_path):
    path = tmp_path / "t.tsv"
    table = pd.DataFrame({"solver": ["none", "NA"], "seconds": [0.1, np.nan], "n": [1, 2]})
    files.write_tsv(path, table)
    assert path.read_text() == "solver\tseconds\tn\nnone\t0.1\t1\nNA\t\t2\n"
    pd.testing.assert_frame_equal(files.read_tsv(path), table)


def test_empty_table_file_is_an_error(tmp_path):
    (tmp_path / "t.tsv").write_text("")
    with pytest.raises(DataError, match=r"t\.tsv cannot be read as a table"):
        files.read_tsv(tmp_path / "t.tsv")


# --- one writer at a time ------------------------------------------------------------------------

HOLDER = """
import sys, time
from crosskrylov.runtime.files import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_told_who_the_first_is(tmp_path):
    with files.locked(tmp_path):
        assert folder_listing(tmp_path) == [".lock"]
        with pytest.raises(DataError, match=rf"is being written by process {os.getpid()} on "):
            with files.locked(tmp_path):
                pass
    assert folder_listing(tmp_path) == []
    with files.locked(tmp_path):
        pass


def test_a_lock_taken_an_instant_ago_is_named_once_its_holder_has_written_its_name(tmp_path):
    if files.fcntl is None:
        pytest.skip("needs file locks")
    descriptor = os.open(tmp_path / ".lock", os.O_RDWR | os.O_CREAT)
    files.fcntl.flock(descriptor, files.fcntl.LOCK_EX)  # taken, and not yet named
    naming = threading.Timer(0.2, os.write, (descriptor, b"process 4242 on elsewhere"))
    naming.start()
    try:
        with pytest.raises(DataError, match="is being written by process 4242 on elsewhere: "):
            with files.locked(tmp_path):
                pass
    finally:
        naming.join()
        os.close(descriptor)


def test_a_lock_ends_with_its_process_however_that_ends(tmp_path):
    project = Path(files.__file__).parents[2]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], cwd=project, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(DataError, match=f"process {holder.pid}"), files.locked(tmp_path):
            pass
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert folder_listing(tmp_path) == [".lock"]  # left behind, and no obstacle
    with files.locked(tmp_path):
        pass
    assert folder_listing(tmp_path) == []


def test_one_of_many_threads_holds_a_lock_at_a_time(tmp_path):
    inside, most, refused = [], [], []

    def work(_):
        for _ in range(50):
            try:
                with files.locked(tmp_path):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
            except DataError:
                refused.append(1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert max(most) == 1
    assert len(most) + len(refused) == 200


def test_who_waits_for_a_folder_is_told_for_whom_once_and_has_it_next(tmp_path, monkeypatch):
    """The holder removes the folder when it has let go of it, as the first of two jobs does."""
    monkeypatch.setattr(files, "_PAUSE", 0.01)
    folder, told, order = tmp_path / "state", [], []

    def second():
        with files.locked_in_turn(folder, told.append):
            order.append("second")

    with files.locked_in_turn(folder, told.append):
        waiting = threading.Thread(target=second)
        waiting.start()
        while not told:
            time.sleep(0.01)
        time.sleep(0.1)  # several looks
        order.append("first")
    with suppress(OSError):
        folder.rmdir()
    waiting.join()
    assert order == ["first", "second"]
    (sentence,) = told
    assert re.search(
        rf"state is being written by process {os.getpid()} on .*: waiting for it\.$", sentence
    )
    assert folder_listing(folder) == []


def test_a_folder_removed_just_before_its_lock_is_made_again(tmp_path, monkeypatch):
    once, opened = [tmp_path / "state"], os.open

    def removed_first(path, *arguments):
        if once:
            once.pop().rmdir()
        return opened(path, *arguments)

    monkeypatch.setattr(files.os, "open", removed_first)
    with files.locked_in_turn(tmp_path / "state", pytest.fail):
        assert folder_listing(tmp_path / "state") == [".lock"]
    assert not once


def test_who_waits_for_a_folder_does_not_wait_for_permission(tmp_path):
    (tmp_path / "state").write_text("a file")
    with pytest.raises(DataError, match=r"Cannot write .*state: File exists"):
        with files.locked_in_turn(tmp_path / "state", pytest.fail):
            pass


def test_a_folder_that_cannot_hold_a_lock_gives_a_sentence(tmp_path):
    with pytest.raises(DataError, match=r"Cannot write .*nowhere/\.lock: No such file"):
        with files.locked(tmp_path / "nowhere"):
            pass


def test_where_there_are_no_locks_nothing_is_held(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", unsupported)
    with files.locked(tmp_path), files.locked(tmp_path):
        pass


# --- hostile places ------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_to_ends_a_run_before_it_starts(tmp_path, monkeypatch):
    files.check_writable_or_exit(tmp_path / "new" / "results")  # can be made
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match=r"Error: .*file cannot be written to"):
        files.check_writable_or_exit(tmp_path / "file" / "results")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(SystemExit, match="cannot be written to: give permission"):
        files.check_writable_or_exit(tmp_path)


def test_a_folder_that_a_killed_process_moved_aside_is_removed(tmp_path):
    gone = tmp_path / f".state.{files.HOST}.999999999-0a0a0a0a.partial.old.partial"
    gone.mkdir()
    with files.atomic_folder(tmp_path / "state"):
        pass
    assert folder_listing(tmp_path) == ["state"]


def test_numpy_s_short_write_is_a_full_disk(tmp_path):
    """np.save says neither errno nor words when a disk is full."""
    with pytest.raises(DataError, match="disk is full"), files.atomic_path(tmp_path / "a.npy"):
        raise OSError("262144 requested and 98304 written")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_really_full_is_one_sentence_and_leaves_nothing(small_disk):
    writers = {
        "a.npz": lambda path: files.save_npz(path, values=np.ones(10**6)),
        "a.json": lambda path: files.write_json(path, ["x" * 100] * 50_000),
        "a.tsv": lambda path: files.write_tsv(path, pd.DataFrame({"x": ["y" * 99] * 50_000})),
    }
    for name, write in writers.items():
        with pytest.raises(DataError, match=rf"disk is full: .*{name} could not be written"):
            write(small_disk / name)
        assert folder_listing(small_disk) == []


def test_a_name_that_is_too_long_gives_a_sentence(tmp_path):
    for path in (tmp_path / ("x" * 300), tmp_path / ("x" * 300) / "y" / "z.json"):
        with pytest.raises(DataError, match=r"Cannot write .*: File name too long"):
            files.write_json(path, {})


def test_a_folder_far_above_that_refuses_gives_a_sentence(tmp_path, monkeypatch):
    def refused(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(tmp_path / "locked"))

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(DataError, match=r"Cannot write .*: Permission denied; choose another"):
        files.write_json(tmp_path / "locked" / "a" / "b.json", {})


def test_names_that_are_no_text_survive_json_and_can_be_printed(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    files.write_json(tmp_path / "a.json", [name, "café"])
    assert files.read_json(tmp_path / "a.json") == [name, "café"]
    assert files.printable(name) == "caf\\udce9"
    assert files.printable(tmp_path / "a\nb") == f"{tmp_path}/a\\nb"
    assert files.printable("café") == "café"
