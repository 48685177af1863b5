"""Studies are found by reading what their modules declare."""

import subprocess
import sys

import pytest

from crosskrylov.errors import ConfigError
from crosskrylov.studies.index import declared_studies
from tests.conftest import PROJECT

DROPPED = '''
from crosskrylov.studies.register import register

raise RuntimeError("imported")


@register("dropped", {facts})
def study_dropped(data, dimension, repeats):
    """Do nothing."""
'''
FACTS = 'tables={"dropped": "Nothing."}, needs=["bank"]'


def dropped(folder, facts=FACTS, name="dropped"):
    (folder / f"{name}.py").write_text(DROPPED.replace("{facts}", facts))
    return declared_studies(folder)["dropped"]


def test_a_dropped_file_is_found_without_importing_it(tmp_path):
    study = dropped(tmp_path)
    assert study.options == ("dimension", "repeats")
    assert (study.module, study.function) == ("crosskrylov.studies.dropped", "study_dropped")
    assert study.runs and not study.timed
    assert study.file == tmp_path / "dropped.py"


def test_a_study_that_needs_nothing_runs_once(tmp_path):
    assert not dropped(tmp_path, 'tables={"dropped": "Nothing."}').runs


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (f"{FACTS}, tabels={{}}", r"dropped.py declares .*'dropped'.* do not fit .*tabels"),
        ('needs=["bank"]', r"do not fit .*tables"),
        ('tables={"dropped": "x"}, needs=["bnak"]', r"needs 'bnak' \(did you mean 'bank'\?\)"),
        (f'{FACTS}, figures={{"f": {{"table": "dropped"}}}}', r"figure 'f' .* must say 'caption'"),
        (
            f'{FACTS}, figures={{"f": {{"table": "other", "caption": "x"}}}}',
            r"figure 'f' .*'table', one of dropped",
        ),
    ],
)
def test_a_declaration_that_does_not_fit_names_its_file(tmp_path, facts, sentence):
    with pytest.raises(ConfigError, match=sentence):
        dropped(tmp_path, facts)


def test_two_studies_cannot_make_one_table(tmp_path):
    text = DROPPED.replace("{facts}", FACTS).replace('"dropped", t', '"second", t')
    (tmp_path / "second.py").write_text(text)
    with pytest.raises(ConfigError, match=r"second.py and .*dropped.py both declare the table dro"):
        dropped(tmp_path)


def test_the_decorator_takes_what_the_index_reads():
    import inspect

    from crosskrylov.studies.register import register

    declared = set(inspect.signature(register).parameters)
    fields = set(declared_studies()["likeness"].__dataclass_fields__)
    assert fields - declared == {"module", "function", "file", "options"}
    assert declared <= fields


def test_a_study_says_whether_it_needs_torch():
    """The environment of the solvers has no torch; such a study runs in the training's."""
    code = (
        "import importlib, sys\n"
        "class Without:  # as where it is not installed\n"
        "    def find_spec(name, *_):\n"
        "        if name == 'torch':\n"
        "            raise ModuleNotFoundError('no torch', name=name)\n"
        "sys.meta_path.insert(0, Without)\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n"
        "        importlib.import_module(name)\n"
        "    except ModuleNotFoundError as error:\n"
        "        assert error.name == 'torch', error\n"
        "        print(name)\n"
    )
    studies = declared_studies().values()
    modules = [study.module for study in studies]
    done = subprocess.run(
        [sys.executable, "-c", code, *modules], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {study.module for study in studies if study.torch}
