"""The declarations of the models: what they say, and what is wrong with a bad one."""

import ast
import subprocess
import sys

import pytest

from crosskrylov.errors import ConfigError
from crosskrylov.learning.objectives.index import (
    OBJECTIVES_FOLDER,
    baseline_model,
    baseline_models,
    learning_families,
    model_entry,
    registered_models,
)


def declaring(folder, *declarations):
    """Return the models of a folder whose one module holds the declarations."""
    lines = [
        f"@register({text})\ndef build_{k}(setting):\n    pass\n"
        for k, text in enumerate(declarations)
    ]
    (folder / "models.py").write_text("\n".join(lines))
    return registered_models(folder)


def test_every_model_says_what_it_needs():
    models = registered_models()
    shared = {name: m for name, m in models.items() if not m.recipe}
    assert {m.name for m in shared.values() if "single_image" in m.experiments} == {
        "score_embedding",
        "score_embedding_scaled",
        "dsm",
        "dsm_scaled",
        "ddpm",
        "ddpm_from_noise",
        "ddpm_clipped",
        "ddpm_restricted",
    }
    assert {m.name for m in shared.values() if "budget" in m.experiments} == {
        "score_embedding",
        "dsm",
        "ddpm",
        "exact_target",
        "immiscible",
        "immiscible_knn",
        "dsm_fp",
        "score_embedding_linear",
    }
    assert {m.name for m in models.values() if set(m.experiments) == {"study"}} == {
        "dsm_continued",
        "pfgmpp",
        "flow_matching",
        "rectified",
        "distilled",
        "mmd",
        "diffuse_vae",
    }
    assert {m.name for m in models.values() if m.scores} == {
        "score_embedding",
        "score_embedding_scaled",
        "score_embedding_from_noise",
        "score_embedding_linear",
    }
    assert {m.name for m in models.values() if m.scaled} == {"score_embedding_scaled", "dsm_scaled"}
    assert baseline_model() == "ddpm"
    assert models["ddpm_from_noise"].is_same_training_as(models["ddpm"])
    assert {m.name for m in models.values() if m.start == "noise"} == {
        "ddpm_from_noise",
        "ddpm_warmed_up",
        "score_embedding_from_noise",
    }
    assert not models["dsm"].is_same_training_as(models["score_embedding"])
    # controls, not baselines: speed-ups are given against neither
    assert baseline_models() == ["ddpm", "ddpm_from_noise"]
    assert {m.name for m in models.values() if m.restricted} == {"ddpm_restricted"}
    assert {m.name for m in models.values() if m.clipped} == {"ddpm_clipped", "ddpm_restricted"}


def test_learning_rates_are_shared_by_six_families_at_most():
    models = registered_models().values()
    # a recipe says its own, or takes the general one
    assert all(m.family or m.recipe for m in models if "single_image" in m.experiments)
    assert 1 < len(learning_families()) <= 6


def test_declarations_are_read_without_torch():
    code = (
        "import sys; from crosskrylov.planning import training; "
        "from crosskrylov.learning.objectives.index import registered_models; registered_models(); "
        "print({'torch', 'numpy', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_model_of_another_experiment_is_told_where_it_belongs():
    assert model_entry("dsm", "budget").experiments["budget"] == "geometric"
    message = (
        r"^training\.single_image\.models names 'exact_target', which is the same as 'dsm' for a "
        r"single image.*: remove it there \(it belongs in training\.budget\.models\)\.$"
    )
    with pytest.raises(ConfigError, match=message):
        model_entry("exact_target", "single_image")
    with pytest.raises(ConfigError, match=r"'ddpn', which is no model \(did you mean 'ddpm'\?\)"):
        model_entry("ddpn", "budget")


GOOD = '"a", experiments={"budget": "linear"}, baseline=True'


@pytest.mark.parametrize(
    ("declaration", "sentence"),
    [
        ('"b"', "experiments is missing"),
        ('"b", experiments={"budgets": "linear"}', "names 'budgets'; allowed are 'single_image'"),
        ('"b", experiments={"budget": "cosine"}', "names 'cosine'; allowed are None, 'linear'"),
        ('"b", experiments={"budget": None}', "generation needs a noise schedule"),
        (
            '"b", experiments={"single_image": None}, start="noise"',
            "start is 'noise', which needs a noise schedule",
        ),
        (
            '"b", experiments={"single_image": None}, restricted=True',
            "restricted is True, which needs a noise schedule in single_image",
        ),
        (
            '"b", experiments={"budget": "linear"}, clipped=True',
            "clipped is True, which needs a noise schedule in single_image",
        ),
        (
            '"b", experiments={"single_image": "linear"}, start="noise", clipped=True',
            "no noised copy to clip",
        ),
        ('"b", experiments={"budget": "linear"}, score=True', "did you mean 'scores'"),
        ('"b", experiments={"budget": "linear"}, baseline=True', r"2 declare baseline=True \(a, b"),
        ('"b", experiments=dict(budget="linear")', "must be literals"),
    ],
)
def test_bad_declaration_is_named(tmp_path, declaration, sentence):
    with pytest.raises(ConfigError, match=sentence):
        declaring(tmp_path, GOOD, declaration)


def test_declarations_above_one_function_are_one_training(tmp_path):
    (tmp_path / "models.py").write_text(
        f'@register({GOOD})\n@register("b", experiments={{"single_image": "linear"}})\n'
        "def build(setting):\n    pass\n"
    )
    models = registered_models(tmp_path)
    assert models["a"].is_same_training_as(models["b"])


#: Files that name models as data: the published claims, the looks of objectives in figures with
#: the spelling of abbreviations, and the sampler that is called ddpm too.
NAMING = {
    "reporting/figures/style.py",
    "reporting/tables/claims.py",
    "reporting/tables/published.py",
    "learning/sampling/samplers/ddpm.py",
}


def test_no_code_asks_for_a_model_by_name(project):
    """Models say what they need: a name in the code would be a second place to add one."""
    names = set(registered_models())
    library = project / "crosskrylov"
    files = [
        file
        for file in library.rglob("*.py")
        if file.parent != OBJECTIVES_FOLDER and file.relative_to(library).as_posix() not in NAMING
    ]
    files += (project / "workflow" / "scripts").glob("*.py")
    found = {
        f"{file.relative_to(project)}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and node.value in names
    }
    for file in (project / "workflow" / "rules").glob("*.smk"):
        found |= {f"{file.name}: {name}" for name in names if f'"{name}"' in file.read_text()}
    assert found == set()
