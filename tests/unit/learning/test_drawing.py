import json

import numpy as np
import pytest

from crosskrylov.errors import ConfigError, DataError
from crosskrylov.learning.schedule import NoiseLevels
from crosskrylov.learning.training.drawing import DRAWING, Drawing, drawing_from, read_drawing

TRAINING = {"noise_levels": 50, "sigma_min": 0.03, "sigma_max": 12.0}
BUDGET = {"sampler": "heun", "function_evaluations": 20}


@pytest.mark.parametrize("kind", ["linear", "geometric"])
def test_levels_come_back_as_they_were_trained_on(tmp_path, kind):
    drawing = Drawing.of_training("a", kind, TRAINING, BUDGET)
    (tmp_path / DRAWING).write_text(json.dumps(drawing.as_json()))
    found = read_drawing(tmp_path)
    assert found == drawing
    expected = NoiseLevels.from_config(kind, TRAINING)
    np.testing.assert_allclose(found.levels().sigmas, expected.sigmas, rtol=1e-9)
    assert (found.sampler, found.function_evaluations) == ("heun", 20)
    assert found.data_range == (-1.0, 1.0)


def test_a_network_of_one_noise_level_cannot_draw():
    drawing = Drawing.of_training("score_embedding", None, TRAINING, {})
    assert drawing_from(drawing.as_json(), "x") == drawing
    with pytest.raises(ConfigError, match="single noise level"):
        drawing.levels()


def test_a_folder_that_says_nothing(tmp_path):
    assert read_drawing(tmp_path) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sampler": "huen"}, "did you mean 'heun'"),
        ({"sigma_max": 3.0}, "in this version runs from"),
        ({"noise_levels": 10**12}, "noise_levels"),
        ({"noise_levels": "many"}, "many"),
        ({"data_range": None}, "data_range|not iterable"),
        ({"more": 1}, "has to say exactly"),
    ],
)
def test_a_wrong_description_is_one_sentence(change, words):
    said = Drawing.of_training("a", "linear", TRAINING, BUDGET).as_json() | change
    with pytest.raises(DataError, match=words) as caught:
        drawing_from(said, "drawing.json")
    assert "\n" not in str(caught.value) and "drawing.json" in str(caught.value)
