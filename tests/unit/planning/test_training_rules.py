"""Keys of the training sections that do not fit together: one clear sentence each."""

import copy

import pytest

from crosskrylov.errors import ConfigError
from crosskrylov.planning.config import check_config


@pytest.fixture
def config():
    """A small valid configuration in which every experiment runs, not yet checked."""
    return {
        "image_sets": {
            "a": {"source": "photos", "image_size": 16},
            "b": {"source": "digits", "image_size": 16},
        },
        "training": {
            "single_image": {"image_sets": ["a"]},
            "budget": {"image_sets": ["b"], "models": ["ddpm", "score_embedding"]},
            "ablation": {
                "single_image": {"image_sets": ["a"]},
                "budget": {"image_sets": ["b"], "variants": []},
                "variants": {"sum": {"variant": "sum"}},
            },
            "samplers": {"image_sets": ["b"], "models": ["ddpm"]},
        },
    }


MISTAKES = [
    # (path of the key, value, what the sentence must say)
    ("unet.norm_groups", 7, r"image_sets\.a\.image_size does not fit|unet\.norm_groups is 7"),
    ("image_sets.a.image_size", 18, r"image_sets\.a\.image_size does not fit"),
    ("embedding.scores", "spsolv", r"embedding\.scores is 'spsolv', which is neither 'exact',"),
    ("equation.drift.kind", "linear", r"'exact', which needs equation\.drift\.kind zero"),
    ("embedding.scores", "on_the_flight", r"neither 'exact', 'on_the_fly' nor an entry of solvers"),
    ("training.single_image.images", [99], r"asks for image 99, but image_sets\.a\.n_images is"),
    ("training.single_image.images", [0, [1, 99]], r"asks for image 99, but image_sets\.a"),
    ("training.single_image.images", [3, [3]], r"images names the run on 3 twice: remove one of"),
    (
        "training.single_image.images",
        [[]],
        r"images\[0\] is \[\], but must be a whole number",
    ),
    ("training.samplers.image_sets", ["a"], r"samplers\.image_sets names 'a', which training\.bud"),
    ("training.samplers.models", ["dsm"], r"samplers\.models names 'dsm', which training\.budget"),
    ("training.ablation.target", 0.5, r"target is 0\.5, which is none of .*\(0\.9, 0\.95\)"),
    (
        "training.ablation.single_image.variants",
        ["sum", "som"],
        r"ablation\.single_image\.variants names 'som', which is none of .*\(sum\)",
    ),
    ("training.ablation.budget.variants", ["x"], r"ablation\.budget\.variants names 'x'"),
    (
        "training.ablation.variants.sum.scores",
        "gmres",
        r"variants\.sum\.scores is 'gmres', which is neither 'exact', 'on_the_fly' nor an entry",
    ),
    (
        "training.single_image.learning_rates",
        {"scaled_scores": 0.002},
        r"names 'scaled_scores', which is the family of no model \(did you mean 'scaled_score'\?\)",
    ),
    ("training.sigma_min", 30.0, r"sigma_min is 30, which is not below sigma_max 20"),
    (
        "training.budget.models",
        ["dsm_scaled"],
        r"budget\.models names 'dsm_scaled', which is the same as 'dsm' over a schedule of levels: "
        r"remove it there \(it belongs in training\.single_image\.models\)",
    ),
    (
        "training.single_image.models",
        ["dsm", "exact_target"],
        r"names 'exact_target', which is the same as 'dsm' for a single image.*"
        r"\(it belongs in training\.budget\.models\)",
    ),
    (
        "training.samplers.models",
        ["ddpm_from_noise"],
        r"training\.samplers\.models names 'ddpm_from_noise', which is the same as 'ddpm'",
    ),
    (
        "training.single_image.models",
        ["dsm_scald"],
        r"models names 'dsm_scald', which is no model \(did you mean 'dsm_scaled'\?\): allowed are",
    ),
]


def test_experiments_that_fit_together_are_accepted(config):
    check_config(config)
    assert config["training"]["ablation"]["single_image"]["variants"] is None


@pytest.mark.parametrize(("path", "value", "sentence"), MISTAKES)
def test_mistake_gives_one_sentence(config, path, value, sentence):
    *parents, last = path.split(".")
    section = config
    for key in parents:
        section = section.setdefault(key, {})
    section[last] = value
    with pytest.raises(ConfigError, match=sentence) as caught:
        check_config(config)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500 and message.endswith(".")


@pytest.mark.parametrize(
    ("embedding", "variant", "key"),
    [
        ({"scores": "on_the_fly"}, {}, r"embedding\.scores"),
        ({}, {"scores": "on_the_fly"}, r"training\.ablation\.variants\.sum\.scores"),
    ],
)
def test_scores_on_the_fly_need_an_exact_solution_and_a_smoothed_density(
    config, embedding, variant, key
):
    config["embedding"] = embedding
    config["training"]["ablation"]["variants"]["sum"] |= variant
    check_config(copy.deepcopy(config))
    kde = copy.deepcopy(config) | {"density": {"method": "kde"}}
    with pytest.raises(ConfigError, match=rf"^{key} is 'on_the_fly', but density\.method is 'kde'"):
        check_config(kde)
    drifting = copy.deepcopy(config) | {"equation": {"drift": {"kind": "linear"}}}
    drifting["embedding"].setdefault("scores", "spsolve")
    with pytest.raises(ConfigError, match=rf"^{key} is 'on_the_fly', which needs equation\.drift"):
        check_config(drifting)
