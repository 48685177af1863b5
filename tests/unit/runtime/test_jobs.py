"""A script's arguments come from its rule by name."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from crosskrylov.runtime.jobs import run_job


def job(tmp_path, **parts):
    empty = {"input": {}, "output": {}, "params": {}, "wildcards": {}}
    return SimpleNamespace(**(empty | parts), threads=2, log=[str(tmp_path / "job.log")])


def test_arguments_by_name(tmp_path):
    got = {}

    def main(images_path, result_paths, table_path, march: dict, seed: int, threads, logger):
        got.update(locals())

    run_job(
        main,
        job(
            tmp_path,
            input={"images": "a.npz", "results": ["b", "c"]},
            output={"table": "t.tsv"},
            params={"march": {"x": 1}},
            wildcards={"seed": "17"},
        ),
    )
    del got["got"], got["logger"]
    assert got == {
        "images_path": "a.npz",
        "result_paths": ["b", "c"],
        "table_path": "t.tsv",
        "march": {"x": 1},
        "seed": 17,
        "threads": 2,
    }


@pytest.mark.parametrize("given", [{}, {"frozen": []}])
def test_an_optional_input_that_is_left_out(tmp_path, given):
    got = []

    def main(frozen_path=None):
        got.append(frozen_path)

    run_job(main, job(tmp_path, input=given))
    assert got == [None]


def test_names_of_list_methods_are_no_trouble(tmp_path):
    from snakemake.iocontainers import Namedlist

    index = Namedlist(fromdict={"index": "i.npz"})
    got = []

    def main(index_path):
        got.append(index_path)

    run_job(main, job(tmp_path, input=index))
    assert got == ["i.npz"]


def test_a_parameter_without_a_value_is_named(tmp_path, capsys):
    def main(unheard_of):
        raise AssertionError

    with pytest.raises(SystemExit):
        run_job(main, job(tmp_path))
    assert "unheard_of" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["one.py", ["one.py", "two.py"]])
def test_code_that_changes_meanwhile_fails_the_job(tmp_path, monkeypatch, capsys, given):
    monkeypatch.chdir(tmp_path)
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text("value = 1\n")

    run_job(lambda: None, job(tmp_path, input={"library": given}))
    with pytest.raises(SystemExit):
        run_job(
            lambda: (tmp_path / "one.py").write_text("value = 2\n"),
            job(tmp_path, input={"library": given}),
        )
    said = capsys.readouterr().err.strip()
    assert said.startswith("ERROR: one.py changed while the job ran") and "\n" not in said
    with pytest.raises(SystemExit):
        run_job((tmp_path / "one.py").unlink, job(tmp_path, input={"library": given}))


def test_a_script_that_changes_meanwhile_fails_the_job(tmp_path, capsys):
    script = tmp_path / "script.py"
    script.write_text("def main():\n    open(__file__, 'a').write('# later')\n")
    scope = {"__file__": str(script)}
    exec(script.read_text(), scope)
    with pytest.raises(SystemExit):
        run_job(scope["main"], job(tmp_path))
    assert "script.py changed while the job ran" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_log_that_cannot_be_written_changes_nothing(tmp_path, capsys):
    done = []
    full = job(tmp_path)
    full.log = ["/dev/full"]
    run_job(lambda logger: done.append(logger.info("a line")), full)
    assert done == [None]
    assert "Traceback" not in capsys.readouterr().err


def test_a_place_without_a_log_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    nowhere = job(tmp_path)
    nowhere.log = [str(tmp_path / "file" / "job.log")]
    with pytest.raises(SystemExit, match=r"ERROR: Cannot write .*job\.log: ") as caught:
        run_job(lambda: None, nowhere)
    assert "\n" not in str(caught.value)
