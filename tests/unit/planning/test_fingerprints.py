"""What a run depends on, as one text."""

import pytest

from crosskrylov.planning import fingerprints
from crosskrylov.planning.config import check_config
from crosskrylov.planning.fingerprints import Step, code_digest, fingerprint, steps_fingerprint

MODULE = '''"""A module."""

import json

FACTOR = 2


def double(x):
    """Return twice x."""
    return FACTOR * x  # a comment
'''


@pytest.fixture
def package(tmp_path):
    """A library of two modules and a script that imports one of them."""
    folder = tmp_path.resolve() / "crosskrylov"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "used.py").write_text(MODULE)
    (folder / "unused.py").write_text(MODULE)
    (tmp_path / "script.py").write_text("from crosskrylov.used import double\n\ndouble(1)\n")
    return folder


def of(package, parameters=None, modules=()):
    fingerprints.code_digest.cache_clear()
    return fingerprint([package.parent / "script.py"], modules, parameters or {}, package)


def replace(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # a comment", "  # another"),
        ("Return twice x.", "Double it."),
        ('    """Return twice x."""\n', ""),
        ("A module.", "The module."),
        ("FACTOR * x", "(FACTOR *\n            x)"),
        ("\n\n\ndef", "\n\ndef"),
    ],
)
def test_comments_docstrings_and_formatting_do_not_count(package, old, new):
    before = of(package)
    replace(package / "used.py", old, new)
    assert of(package) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FACTOR = 2", "FACTOR = 2.0"),
        ("FACTOR * x", "x * FACTOR"),
        ("return FACTOR", "return -FACTOR"),
        ("double(x)", "double(x=None)"),
        ("import json", "import json, os"),
    ],
)
def test_code_counts(package, old, new):
    before = of(package)
    replace(package / "used.py", old, new)
    assert of(package) != before


def test_the_script_counts(package):
    before = of(package)
    replace(package.parent / "script.py", "double(1)", "double(2)")
    assert of(package) != before


def test_modules_that_nobody_imports_count_only_if_they_are_named(package):
    before = of(package), of(package, modules=[package / "unused.py"])
    replace(package / "unused.py", "FACTOR = 2", "FACTOR = 3")
    assert of(package) == before[0]
    assert of(package, modules=[package / "unused.py"]) != before[1]


def test_a_users_module_outside_the_library_counts(package, tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text("x = 1\n")
    before = of(package, modules=[mine])
    mine.write_text("x = 2\n")
    assert of(package, modules=[mine]) != before


def test_parameters_count_but_not_their_order(package):
    before = of(package, {"a": 1, "b": {"c": 2, "d": 3}})
    assert of(package, {"b": {"d": 3, "c": 2}, "a": 1}) == before
    assert of(package, {"a": 1, "b": {"c": 2, "d": 4}}) != before


def test_the_folder_of_the_checkout_does_not_count(package, tmp_path):
    other = tmp_path.resolve() / "elsewhere"
    other.mkdir()
    (other / "script.py").write_text((tmp_path / "script.py").read_text())
    package.rename(other / "crosskrylov").resolve()
    (tmp_path / "crosskrylov").symlink_to(other / "crosskrylov")
    assert of(other / "crosskrylov") == fingerprint(
        [other / "script.py"], [], {}, other / "crosskrylov"
    )


def test_digest_tells_values_from_names(tmp_path):
    texts = ["x = None", "x = 0", "x = False", "x = ''", "x = y", "x = 'y'", "x = [None]", "x = []"]
    digests = set()
    for index, text in enumerate(texts):
        file = tmp_path / f"{index}.py"
        file.write_text(text)
        digests.add(code_digest(file))
    assert len(digests) == len(texts)


# --- the workflow's runs --------------------------------------------------------------------------


@pytest.fixture
def config():
    return check_config(
        {
            "image_sets": {"toy": {"source": "digits"}, "other": {"source": "noise"}},
            "solvers": {
                "spsolve": {"method": "spsolve"},
                "projected": {"method": "cross_matrix_galerkin", "options": {"dimension": 4}},
            },
        }
    )


def row(config, solver="spsolve", images="toy", seed=7):
    steps = fingerprints.march_row_steps(config, images, seed, solver, list(config["solvers"]))
    return steps_fingerprint(steps)


def test_a_march_depends_on_its_own_solver_only(config):
    before = row(config), row(config, "projected")
    config["solvers"]["projected"]["options"]["dimension"] = 8
    assert row(config) == before[0]
    assert row(config, "projected") != before[1]


def test_the_seeds_concern_the_solvers_that_project(config):
    before = row(config), row(config, "projected")
    config["seeds"]["n_seeds"] = 2
    assert row(config) == before[0]
    assert row(config, "projected") != before[1]


def test_runs_differ_by_image_set_and_random_seed(config):
    found = {
        row(config, s, i, n) for s in config["solvers"] for i in ("toy", "other") for n in (1, 2)
    }
    assert len(found) == 8


def test_an_image_sets_own_entry_counts_and_another_sets_does_not(config):
    before = row(config)
    config["image_sets"]["other"]["n_images"] = 99
    assert row(config) == before
    config["image_sets"]["toy"]["n_images"] = 99
    assert row(config) != before


def test_a_study_depends_on_what_it_needs(config):
    def study(needs):
        own = Step("export_study_systems.py", {"images": [0]})
        return steps_fingerprint(fingerprints.study_steps(config, "toy", 7, [own], needs))

    before = study(["bank"]), study(["exact"])
    config["studies"]["bank"]["at"] = [0.5]
    assert study(["bank"]) != before[0]
    assert study(["exact"]) == before[1]


def test_training_depends_on_the_scores_that_it_embeds(config):
    def run(embedding):
        own = Step("train_single_image.py", {"seconds": 1})
        steps = fingerprints.training_steps(config, "toy", 7, [own], embedding)
        return steps_fingerprint(steps)

    exact = config["embedding"]
    solver = exact | {"scores": "projected"}
    before = run(None), run(exact), run(solver)
    assert len(set(before)) == 3
    config["solvers"]["projected"]["options"]["dimension"] = 8
    assert (run(None), run(exact)) == before[:2]
    assert run(solver) != before[2]
