"""What the workflow asks of a source goes by what the source declares."""

import pytest

from crosskrylov.errors import ConfigError
from crosskrylov.planning.config import check_config
from crosskrylov.planning.publishing import is_published
from crosskrylov.planning.runs import image_set
from crosskrylov.planning.solvers import engine_solvers
from crosskrylov.planning.sources import frechet_features, source_file, watched_files


def checked(**entry):
    return check_config({"image_sets": {"a": {"source": "photos", **entry}}})


def test_features_go_by_the_source_unless_configured():
    assert frechet_features(checked(), "a") == "haar"
    digits = checked(source="digits")
    assert frechet_features(digits, "a") == "digit_classifier"
    digits["metrics"]["frechet_features"] = "haar"
    assert frechet_features(digits, "a") == "haar"


def test_only_the_own_module_counts():
    assert source_file(checked(), "a").name == "photographs.py"
    assert source_file(checked(source="digits"), "a").name == "small.py"


def test_only_a_folder_of_the_users_is_watched(tmp_path):
    folder = checked(source="folder", root=str(tmp_path))
    before = watched_files(folder, "a")
    (tmp_path / "a.png").write_bytes(b"")
    assert watched_files(folder, "a") != before
    assert watched_files(checked(source="cifar10", root=str(tmp_path)), "a") == ""
    assert watched_files(checked(), "a") == ""


def test_options_reach_the_source_as_its_keywords():
    config = checked(options={"jitter": 0.2})
    assert image_set(config, "a")["jitter"] == 0.2
    assert "options" not in image_set(config, "a")
    assert "publish" not in image_set(config, "a")


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"source": "photo"}, r"image_sets\.a\.source is 'photo', .*did you mean 'photos'"),
        ({"options": {"jiter": 1}}, r"image_sets\.a: source 'photos' has no option 'jiter' .did"),
        ({"options": {"classes": ["x"]}}, r"image_sets\.a\.classes"),
        ({"options": {"seed": 1}}, r"image_sets\.a\.random_seeds"),
        ({"classes": ["x"]}, r"image_sets\.a: source 'photos' has no option 'classes'"),
        ({"source": "noise", "root": "x"}, r"source noise reads no folder"),
        ({"source": "folder"}, r"image_sets\.a\.root is missing"),
    ],
)
def test_what_does_not_fit_the_source_is_refused(entry, sentence):
    with pytest.raises(ConfigError, match=sentence):
        checked(**entry)


@pytest.mark.parametrize(
    ("entry", "published"),
    [
        ({"source": "photos"}, True),
        ({"source": "digits"}, True),
        ({"source": "noise"}, True),
        ({"source": "cifar10"}, False),
        ({"source": "celeba"}, False),
        ({"source": "faces"}, False),
        ({"source": "folder", "root": "x"}, False),
        ({"source": "folder", "root": "x", "publish": True}, True),
        ({"source": "photos", "publish": False}, False),
    ],
)
def test_pixels_are_published_where_the_set_or_else_its_source_says_so(entry, published):
    assert is_published(checked(**entry), "a") is published


def test_the_engine_depends_on_a_solver_only_where_it_marches_with_one():
    config = checked()
    assert engine_solvers(config) == []
    config["engine"]["method"] = "solver"
    assert engine_solvers(config) == [{"method": "batched_bicgstab", "options": {}}]
