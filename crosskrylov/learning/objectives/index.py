"""The models: names and declarations, found in this folder without importing torch or them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from crosskrylov.errors import ConfigError
from crosskrylov.runtime.declared import Declared, declared_in, did_you_mean

OBJECTIVES_FOLDER = Path(__file__).resolve().parent

#: The experiments that models are trained in; each is a section of ``training``, but for ``study``,
#: the study that compares objectives.  It takes the models of ``budget`` as well.
EXPERIMENTS = ("single_image", "budget", "study")

#: The keys that name the models of an experiment.
KEYS_OF_MODELS = {
    "single_image": "training.single_image.models",
    "budget": "training.budget.models",
    "study": "studies.training_objectives.models",
}

#: Noise schedules: those of `crosskrylov.learning.schedule`, and None, the single level lambda.
SCHEDULES = (None, "linear", "geometric")

#: The variant of the ablation that the others are compared with.
PUBLISHED = "published"


@dataclass(frozen=True)
class Model:
    """A training objective by name, and everything that the project has to know of it.

    Attributes
    ----------
    name : str
        Its name in the configuration and in every table.
    declared : Declared
        Its builder, a function from `crosskrylov.learning.objectives.base.Setting` to an objective.
    experiments : mapping
        The experiments that it belongs to, each with the noise schedule that it has there:
        ``linear`` (DDPM's), ``geometric`` (sigma_min to sigma_max), or None (the single level
        lambda of the published loss, without a schedule; single_image only).
    scores : bool
        It is trained on images embedded with pre-computed scores.
    scaled : bool
        Without a schedule: the network's output is lambda times the score, not the score.
    start : {"image", "noise"}
        How a single image is judged: denoised from its noised copy, or drawn from pure noise.
    restricted : bool
        With a schedule, on a single image: trained on the levels only that its denoising visits.
    clipped : bool
        With a schedule, on a single image: the noised copy is clipped to [0, 1] before it is
        denoised, as that of the models without a schedule always is.
    family : str
        The models whose loss and output have one size, and that therefore share a learning rate
        (``training.single_image.learning_rates``); empty: the general one.
    baseline : bool
        It is the model that speed-ups are given against; exactly one is.
    ablation : str
        The variant of the ablation that its runs of the main experiments stand for, if any.
    elsewhere : str
        What it would be in the experiments that it does not belong to.
    teacher : str
        The model whose trained network it starts from; empty for one that starts afresh.
    condition : bool
        Its network gets a second image beside the noised one.
    fits : str
        The samplers that fit it: all if empty, those that draw no noise on the way for ``flow``,
        else the one of that name.
    """

    name: str
    declared: Declared
    experiments: Mapping[str, str | None] = field(default_factory=dict)
    scores: bool = False
    scaled: bool = False
    start: str = "image"
    restricted: bool = False
    clipped: bool = False
    family: str = ""
    baseline: bool = False
    ablation: str = ""
    elsewhere: str = "not made for that experiment"
    teacher: str = ""
    condition: bool = False
    fits: str = ""

    def __post_init__(self):
        known = tuple(f.name for f in fields(self)[2:])
        for key, value, allowed in (
            *(("experiments", experiment, EXPERIMENTS) for experiment in self.experiments),
            *(("experiments", schedule, SCHEDULES) for schedule in self.experiments.values()),
            ("start", self.start, ("image", "noise")),
        ):
            if value not in allowed:
                self._reject(f"{key} names {value!r}; allowed are {', '.join(map(repr, allowed))}")
        if not self.experiments:
            self._reject(f"experiments is missing; a declaration may say {', '.join(known)}")
        if "budget" in self.experiments and self.experiments["budget"] is None:
            self._reject("experiments.budget is None; generation needs a noise schedule")
        if self.start == "noise" and self.experiments.get("single_image") is None:
            self._reject("start is 'noise', which needs a noise schedule in single_image")
        for key in ("restricted", "clipped"):
            if getattr(self, key) and self.experiments.get("single_image") is None:
                self._reject(f"{key} is True, which needs a noise schedule in single_image")
        if self.clipped and self.start == "noise":
            self._reject("clipped is True and start 'noise': there is no noised copy to clip")

    def _reject(self, problem: str) -> None:
        raise ConfigError(f"The declaration of model {self.name!r} in {self.file}: {problem}.")

    @property
    def file(self) -> Path:
        """The module that declares the model."""
        return self.declared.file

    def is_same_training_as(self, other: "Model") -> bool:
        """Return whether both stand above the same function."""
        return (self.file, self.declared.attribute) == (other.file, other.declared.attribute)

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options that its builder takes beside the `Setting`."""
        return self.declared.parameters[1:]

    def build(self, setting: Any, **options: Any) -> Any:
        """Import the model's module and return its objective for a `Setting`.

        Raises
        ------
        ConfigError
            If an option is unknown.
        """
        for key in options:
            if key not in self.options:
                raise ConfigError(
                    f"Model {self.name!r} has no option {key!r}{did_you_mean(key, self.options)}; "
                    f"it has {', '.join(self.options) or 'none'}."
                )
        return self.declared.load(__package__)(setting, **options)


def registered_models(folder: Path = OBJECTIVES_FOLDER) -> dict[str, Model]:
    """Return every model that a module of ``folder`` declares, by name.

    Raises
    ------
    ConfigError
        If a declaration says something that `Model` does not know or allow, or if not exactly one
        model is the baseline.
    """
    known = {f.name for f in fields(Model)[2:]}
    models = {}
    for name, entry in declared_in(Path(folder)).items():
        for fact in entry.facts:
            if fact not in known:
                raise ConfigError(
                    f"The declaration of model {name!r} in {entry.file} says {fact!r}, which is no "
                    f"attribute of a model{did_you_mean(fact, known)}: correct it."
                )
        models[name] = Model(name, entry, **entry.facts)
    baselines = [name for name, model in models.items() if model.baseline]
    if len(baselines) != 1:
        raise ConfigError(
            f"Of the models in {folder}, {len(baselines)} declare baseline=True "
            f"({', '.join(baselines) or 'none'}): exactly one has to."
        )
    return models


def baseline_model() -> str:
    """Return the name of the model that speed-ups are given against."""
    return next(name for name, model in registered_models().items() if model.baseline)


def baseline_models() -> list[str]:
    """Return the baseline and the models that are the same training, judged otherwise."""
    models = registered_models()
    first = models[baseline_model()]
    others = [n for n, m in models.items() if m.is_same_training_as(first) and n != first.name]
    return [first.name, *sorted(others)]


def learning_families() -> list[str]:
    """Return the families that share a learning rate, in alphabetical order."""
    return sorted({model.family for model in registered_models().values() if model.family})


def model_entry(name: str, experiment: str, key: str | None = None) -> Model:
    """Return a model of an experiment.

    Parameters
    ----------
    name : str
        The model's name.
    experiment : {"single_image", "budget", "study"}
        What it is to be trained in.
    key : str, optional
        The key of the configuration to name in an error; that of the experiment by default.

    Raises
    ------
    ConfigError
        If there is no such model, or if it does not belong to the experiment.
    """
    key = key or KEYS_OF_MODELS[experiment]
    models = registered_models()
    belong = {experiment, "budget"} if experiment == "study" else {experiment}
    if name not in models:
        belonging = [m.name for m in models.values() if belong & set(m.experiments)]
        raise ConfigError(
            f"{key} names {name!r}, which is no model{did_you_mean(name, belonging)}: allowed are "
            f"{', '.join(sorted(belonging))}."
        )
    model = models[name]
    if not belong & set(model.experiments):
        places = " and ".join(KEYS_OF_MODELS[place] for place in model.experiments)
        raise ConfigError(
            f"{key} names {name!r}, which is {model.elsewhere}: remove it there (it belongs in "
            f"{places})."
        )
    return model
