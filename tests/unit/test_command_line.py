"""The command line against hostile input: one sentence and status 1, never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import crosskrylov
from crosskrylov.__main__ import main
from crosskrylov.scores.store import ScoreStore

PROJECT = Path(crosskrylov.__file__).parent.parent
QUICK = ["--size", "8", "--time-steps", "6", "--stored-steps", "2", "--quiet"]


@pytest.fixture
def folder(tmp_path):
    """A folder with three images."""
    path = tmp_path / "pictures"
    path.mkdir()
    rng = np.random.default_rng(3)
    for number in range(3):
        values = rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)
        Image.fromarray(values).save(path / f"{number}.png")
    return path


def run(*arguments):
    return main([str(argument) for argument in arguments])


def sentence(capsys):
    """Return what was said on stderr, which is one line."""
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert error.count("\n") == 1, error
    return error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--memory-mb", "nan"], "engine.memory_mb is nan"),
        (["--memory-mb", "inf"], "engine.memory_mb is inf"),
        (["--memory-mb", "-5"], "engine.memory_mb is -5"),
        (["--memory-mb", "0"], "raise it"),
        (["--stored-steps", "7"], "equation.stored_steps is 7, but equation.time_steps is only 6"),
        (["--stored-steps", "0"], "equation.stored_steps is 0"),
        (["--time-steps", "-1"], "equation.time_steps is -1"),
        (["--size", "1"], "image size is 1"),
        (["--size", "100000"], "raise it, or store fewer steps"),
        (["--size", "1" + 400 * "0"], "image size is 1000"),
        (["--time-steps", "1" + 400 * "0"], "equation.time_steps is 1000"),
        (["--chunk-images", "1" + 400 * "0"], "engine.chunk_images is 1000"),
        (["--seed", "-1"], "seed is -1"),
        (["--chunk-images", "0"], "engine.chunk_images is 0"),
        (["--workers", "-1"], "engine.workers is -1"),
        (["--tolerance", "nan"], "engine.tolerance is nan"),
        (["--config", "nowhere.yaml"], "nowhere.yaml cannot be read"),
    ],
)
def test_impossible_options_are_one_sentence(tmp_path, folder, capsys, arguments, message):
    assert run("precompute", folder, "-o", tmp_path / "scores", *QUICK, *arguments) == 1
    assert message in sentence(capsys)
    assert not (tmp_path / "scores").exists()


@pytest.mark.parametrize("n_images", [10**12, 10**400, 0, -4], ids=lambda n: f"{str(n)[:5]}")
def test_impossible_numbers_of_images_are_one_sentence(tmp_path, capsys, n_images):
    arguments = ["--source", "photos", "--n-images", n_images, "-o", tmp_path / "scores"]
    assert run("precompute", *arguments, *QUICK) == 1
    assert "n_images is" in sentence(capsys)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("x" * 300, "File name too long"),
        ("a/" * 3000, "File name too long"),
        ("a\0b", "null byte"),
        ("pictures/0.png", "holds no scores"),
        ("pictures/0.png/scores", "Not a directory"),
        ("pictures", "holds no scores"),
        ("/proc/nowhere/scores", "No such file or directory"),
    ],
)
def test_impossible_outputs_are_one_sentence(tmp_path, folder, capsys, output, message):
    assert run("precompute", folder, "-o", tmp_path / output, *QUICK) == 1
    assert message in sentence(capsys)
    assert run("info", tmp_path / output) == 1
    sentence(capsys)


@pytest.mark.skipif(os.name != "posix", reason="no permissions here")
def test_an_output_that_may_not_be_written_is_one_sentence(tmp_path, folder, capsys, monkeypatch):
    if os.getuid() == 0:  # permissions do not bind root
        made = Path.mkdir

        def refused(self, *arguments, **options):
            if "locked" in self.parts:
                raise PermissionError(13, "Permission denied", str(self))
            made(self, *arguments, **options)

        monkeypatch.setattr(Path, "mkdir", refused)
    else:
        (tmp_path / "locked").mkdir(mode=0o500)
    assert run("precompute", folder, "-o", tmp_path / "locked" / "a" / "b", *QUICK) == 1
    error = sentence(capsys)
    assert "Cannot write" in error
    assert "Permission denied" in error


def test_images_that_are_none_fail_alone(tmp_path, folder, capsys):
    """A pipe, links to nothing and in circles, a name that is no text, a drawing program."""
    os.mkfifo(folder / "pipe.png")
    (folder / "lost.png").symlink_to("nowhere")
    (folder / "round.png").symlink_to("round.png")
    (folder / "eps.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n")
    try:
        os.rename(folder / "0.png", os.fsencode(folder) + b"/caf\xe9.png")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    output = tmp_path / "scores"
    for _ in range(2):
        assert run("precompute", folder, "-o", output, *QUICK) == 1
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        assert "4 of 7 images have no scores" in said.err
        for name in ("pipe.png", "lost.png", "round.png", "eps.jpg"):
            assert f"no scores for {name}: image " in said.err
        (said.err + said.out).encode()  # can be printed
    store = ScoreStore.open(output)
    fine = [i for i, name in enumerate(store.names) if name in ("1.png", "2.png", "caf\\udce9.png")]
    assert len(fine) == 3
    assert np.isfinite(store[fine]).all()


def test_files_named_one_by_one_fail_alone_too(tmp_path, folder, capsys):
    (folder / "lost.png").symlink_to("nowhere")
    files = sorted(folder.iterdir())
    assert run("precompute", *files, "-o", tmp_path / "scores", *QUICK) == 1
    assert "1 of 4 images have no scores" in capsys.readouterr().err


def test_an_unreadable_folder_is_one_sentence(tmp_path, folder, capsys, monkeypatch):
    (folder / "below").mkdir()
    scandir = os.scandir

    def guarded(path):
        if os.fspath(path).endswith("below"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert run("precompute", folder, "-o", tmp_path / "scores", *QUICK) == 1
    assert "below cannot be read (Permission denied)" in sentence(capsys)


@pytest.mark.parametrize(
    "text",
    [
        'solvers: {mine: {method: "trap:Solver"}}',
        'engine: {method: solver, solver: {method: ":S"}}',
        'engine: {method: solver, solver: {method: ".trap:S"}}',
        'equation: {diffusion: {kind: path, path: "trap:g"}}',
        'equation: {drift: {kind: path, path: "trap:f"}}',
    ],
)
def test_a_config_never_runs_code(tmp_path, folder, capsys, monkeypatch, text):
    (tmp_path / "trap.py").write_text(
        f"open({str(tmp_path / 'sprung')!r}, 'w')\nraise SystemExit(0)"
    )
    (tmp_path / "c.yaml").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    arguments = ["-o", tmp_path / "scores", "--config", tmp_path / "c.yaml", *QUICK]
    assert run("precompute", folder, *arguments) == 1
    assert "names code outside the package" in sentence(capsys)
    assert not (tmp_path / "sprung").exists()


def test_an_unknown_solver_is_one_sentence(tmp_path, folder, capsys):
    (tmp_path / "c.yaml").write_text("engine: {method: solver, solver: {method: spslove}}\n")
    arguments = ["-o", tmp_path / "scores", "--config", tmp_path / "c.yaml", *QUICK]
    assert run("precompute", folder, *arguments) == 1
    assert "spslove" in sentence(capsys)
    assert not (tmp_path / "scores").exists()


def test_memory_and_system_errors_are_one_sentence(tmp_path, folder, capsys, monkeypatch):
    from crosskrylov.cli import precompute as command

    for error, words in (
        (MemoryError(), "not enough memory"),
        (OSError(5, "Input/output error", "scores/x"), "Input/output error (scores/x)"),
    ):

        def broken(*_, error=error, **__):
            raise error

        monkeypatch.setattr(command, "precompute_scores", broken)
        assert run("precompute", folder, "-o", tmp_path / "scores", *QUICK) == 1
        assert words in sentence(capsys)


def test_a_disk_that_is_really_full_keeps_what_is_complete(tmp_path, capsys):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        arguments = ["--source", "photos", "--n-images", 40, "--chunk-images", 4]
        arguments += ["-o", disk / "scores", "--size", 48, "--quiet"]
        assert run("precompute", *arguments) == 1
        error = sentence(capsys)
        assert "The disk is full" in error
        store = ScoreStore.open(disk / "scores")
        complete = store.present()
        assert 1 <= len(complete) < store.n_chunks
        assert all(store.is_intact(chunk) for chunk in complete)
        left = sorted(path.name for path in (disk / "scores").iterdir())
        expected = [f"chunk-{n:05d}.{end}" for n in complete for end in ("json", "npy")]
        assert left == sorted([*expected, "manifest.json"])
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.slow
def test_a_bomb_stays_within_the_memory_budget(tmp_path, folder):
    """A PNG of 700 kB with 13300 x 13300 pixels beside three others, under 200 MB."""
    Image.new("RGB", (13300, 13300)).save(folder / "bomb.png")
    code = (
        "import resource, sys\n"
        "from crosskrylov.__main__ import main\n"
        "def peak():\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3\n"
        "small = [*sys.argv[3:], '-o', sys.argv[2] + '0', sys.argv[1] + '/0.png']\n"
        "assert main(['precompute', *small]) == 0\n"
        "before = peak()\n"
        "code = main(['precompute', *sys.argv[3:], '-o', sys.argv[2], sys.argv[1]])\n"
        "assert peak() - before < 200, peak() - before\n"
        "sys.exit(code)\n"
    )
    arguments = [sys.executable, "-c", code, folder, tmp_path / "s", *QUICK, "--memory-mb", "200"]
    # through env: a forked child would begin with the peak memory of this process
    done = subprocess.run(
        ["env", *map(str, arguments)], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    assert "bomb.png is too large: its 13300 x 13300 pixels" in done.stderr
    assert "1 of 4 images have no scores" in done.stderr


# --- configurations of this command -------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("equation: {final_time: 0.5}", lambda m: m["equation"]["final_time"] == 0.5),
        ("density: {jitter: 0.03}", lambda m: m["density"]["jitter"] == 0.03),
        ("march: {max_picard: 3}\n", lambda m: m["engine"]["method"] == "exact"),
        ("engine: {method: batched}", lambda m: m["engine"]["method"] == "batched"),
        ("", lambda m: m["equation"]["final_time"] == 1.0),
    ],
    ids=["equation", "density", "march", "engine", "empty"],
)
def test_any_section_stands_alone(tmp_path, folder, capsys, text, found):
    (tmp_path / "c.yaml").write_text(text)
    arguments = ["-o", tmp_path / "scores", "--config", tmp_path / "c.yaml", *QUICK]
    assert run("precompute", folder, *arguments) == 0, capsys.readouterr().err
    assert found(ScoreStore.open(tmp_path / "scores").manifest["settings"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("equatoin: {final_time: 0.5}", "equatoin"),
        ("density: {jiter: 0.03}", "density.jiter"),
        ("march: {max_picard: 0}", "march.max_picard"),
        ("engine: {method: fast}", "engine.method"),
    ],
)
def test_a_mistake_in_a_section_alone_is_one_sentence(tmp_path, folder, capsys, text, message):
    (tmp_path / "c.yaml").write_text(text)
    arguments = ["-o", tmp_path / "scores", "--config", tmp_path / "c.yaml", *QUICK]
    assert run("precompute", folder, *arguments) == 1
    assert message in sentence(capsys)


# --- show, compare, sample: what cannot be done ---------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "nowhere.png"], "nowhere.png does not exist"),
        (["show", "."], "is a folder"),
        (["show", "0.png", "--size", "1"], "image size is 1"),
        (["show", "0.png", "--size", "5000"], "--size is 5000"),
        (["show", "0.png", "--times", "2"], "--times gives 2"),
        (["show", "0.png", "--times", "nan"], "--times gives nan"),
        (["sample", "nowhere"], "give --model or --schedule"),
        (["sample", "nowhere", "--schedule", "linear"], "holds no trained network"),
        (["sample", "nowhere", "--model", "dms"], "did you mean 'dsm'"),
        (["sample", "nowhere", "--model", "dsm_scaled"], "the same as 'dsm'"),
        (["sample", "nowhere", "--n-images", "0"], "--n-images is 0"),
        (["sample", "nowhere", "--schedule", "linear", "--noise-levels", "3"], "--noise-levels"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(
    tmp_path, folder, capsys, monkeypatch, arguments, message
):
    monkeypatch.chdir(folder)
    assert run(*arguments, "-o", tmp_path / "made" / "picture.png") == 1
    assert message in sentence(capsys)
    assert not (tmp_path / "made").exists()


def test_folders_of_other_sizes_are_not_compared(tmp_path, folder, capsys):
    other = tmp_path / "other"
    other.mkdir()
    Image.new("RGB", (16, 16)).save(other / "a.png")
    Image.new("RGB", (16, 24)).save(other / "b.png")
    assert run("compare", other, other) == 1
    assert "b.png is 16 x 24 pixels, but the first one is 16 x 16" in sentence(capsys)
    assert run("compare", other, folder, "--size", 12) == 1
    assert "multiple of 8" in sentence(capsys)
    assert run("compare", folder, other) == 1
    assert "give --size" in sentence(capsys)
    assert run("compare", other, folder, "--size", 16) == 1
    assert "holds 2 images, but a Fréchet distance between 51 features" in sentence(capsys)
    assert run("compare", other, folder / "0.png") == 1
    assert "is no folder" in sentence(capsys)
