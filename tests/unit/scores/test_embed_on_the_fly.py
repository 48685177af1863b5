"""Images embedded without stored scores, against those embedded with them."""

import numpy as np
import pytest

from crosskrylov.equation.density import initial_log_density
from crosskrylov.equation.exact import exact_log_density
from crosskrylov.equation.problem import evenly_spaced_steps, problem_from_config
from crosskrylov.equation.stencil import score
from crosskrylov.errors import ConfigError
from crosskrylov.learning.embedding import EMBEDDING_FIELDS, embed_images
from crosskrylov.scores import embed_on_the_fly as module
from crosskrylov.scores.embed_on_the_fly import embed_on_the_fly

EQUATION = {"time_steps": 12, "stored_steps": 5}


def embedded(images, **given):
    """Embed with the defaults of the configuration."""
    defaults = {"variant": "row", "field": "own", "steps": 10, "noise_scale": 0.1}
    return embed_on_the_fly(images, **{**defaults, **given})


def pixels(n=5, channels=1, height=10, width=12):
    return np.random.default_rng(3).random((n, channels, height, width), dtype=np.float32)


def stored(images, equation, density=None, **embedding):
    """Embed with scores as the rule exact_scores stores them."""
    problem = problem_from_config(equation, *images.shape[2:])
    steps = evenly_spaced_steps(problem.time_steps, equation["stored_steps"])
    times = steps * problem.time_step
    start = initial_log_density(images, **(density or {}))
    scores = score(exact_log_density(problem, start, times), problem.spacing).astype(np.float32)
    g = np.array([problem.diffusion.coefficient(t) for t in times], dtype=float)
    return embed_images(images, scores, times, diffusion=g, **embedding)


CASES = {
    "row": ({}, None, {}),
    "sum": ({}, None, {"variant": "sum"}),
    "none": ({}, None, {"variant": "none"}),
    "some_steps": ({}, None, {"steps": 3}),
    "one_step": ({"stored_steps": 1}, None, {"steps": 1}),
    "time_dependent": ({"diffusion": {"kind": "exponential", "sigma": 5.0}}, None, {}),
    "reflecting": ({"boundary": "reflecting"}, None, {"variant": "sum"}),
    "each_channel": ({}, {"channels": "each"}, {}),
    **{field: ({}, None, {"field": field}) for field in EMBEDDING_FIELDS},
    "random_each": ({}, {"channels": "each"}, {"field": "random", "variant": "sum"}),
    "shuffled_each": ({}, {"channels": "each"}, {"field": "shuffled"}),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_it_embeds_as_stored_scores_do(case, channels):
    more, density, embedding = CASES[case]
    equation, images = EQUATION | more, pixels(channels=channels)
    embedding = {"noise_scale": 0.1, "seed": 4} | embedding
    expected = stored(images, equation, density, **embedding)
    found = embedded(images, equation=equation, density=density, block=2, **embedding)
    assert found.images.dtype == np.float32
    np.testing.assert_array_equal(found.times, expected.times)
    # a unit of the last place of float32 in a score, carried over a time of 1
    np.testing.assert_allclose(found.images, expected.images, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.displacement_rms, expected.displacement_rms, atol=1e-6)


def test_scores_are_made_only_where_the_embedding_takes_them(monkeypatch):
    calls = []
    forward = module.ExactScores.forward
    monkeypatch.setattr(
        module.ExactScores,
        "forward",
        lambda self, images, times: calls.append(len(images)) or forward(self, images, times),
    )
    embedded(pixels(), equation=EQUATION, field="absent")
    embedded(pixels(), equation=EQUATION, variant="none")
    assert calls == []
    embedded(pixels(), equation=EQUATION, block=3)
    # the last of the five times begins no interval, and the first begins two
    assert calls == [3, 2] * 4


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"equation": EQUATION | {"drift": {"kind": "linear"}}}, "needs equation.drift.kind zero"),
        ({"density": {"method": "kde"}}, "draws samples anew at every call"),
        ({"variant": "column"}, "embedding.variant is 'column'; allowed are row, sum, none"),
        ({"field": "another"}, "embedding.field is 'another'; allowed are own, absent"),
        ({"steps": 0}, "embedding.steps is 0"),
    ],
)
def test_what_it_cannot_embed_is_refused(given, sentence):
    with pytest.raises(ConfigError, match=sentence):
        embedded(pixels(), **{"equation": EQUATION, **given})


def test_a_single_image_has_no_other_scores():
    with pytest.raises(ConfigError, match="raise image_sets"):
        embedded(pixels(1), equation=EQUATION, field="shuffled")
