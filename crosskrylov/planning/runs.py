"""Which runs a configuration asks for, and what each gets of the configuration.

Snakemake re-runs a job when its parameters change; what a run gets is therefore reduced here to
what it uses.
"""

from collections.abc import Iterable, Mapping
from itertools import product

#: The parameters that each kind of coefficient uses; the others may be set but play no part.
PARAMETERS_OF_KIND = {
    "diffusion": {
        "constant": ("g",),
        "exponential": ("sigma",),
        "vp": ("beta_min", "beta_max"),
        "path": ("path",),
    },
    "drift": {
        "zero": (),
        "linear": ("rate", "center"),
        "vp": ("beta_min", "beta_max", "center"),
        "path": ("path",),
    },
}

#: Keys of an image set that say how it is run and shown, not which images it holds.
RUN_KEYS = ("random_seeds", "time_steps", "publish")


def runs(config: Mapping, image_sets: Iterable[str] | None = None) -> list[tuple[str, int]]:
    """Return (image set, random seed) of everything configured, or of the named image sets."""
    names = config["image_sets"] if image_sets is None else image_sets
    return [
        (name, seed)
        for name in names
        for seed in config["image_sets"][name]["random_seeds"] or config["random_seeds"]
    ]


def expand_runs(
    config: Mapping, pattern: str, image_sets: Iterable[str] | None = None, **more
) -> list[str]:
    """Fill {images} and {seed} of a path with every run, and other names with every given value.

    Parameters
    ----------
    config : mapping
        The configuration.
    pattern : str
        Path with names in braces.
    image_sets : iterable of str, optional
        Image sets; default all.
    **more
        Lists of values of further names; the last one varies fastest.
    """
    return [
        pattern.format(images=name, seed=seed, **dict(zip(more, values)))
        for name, seed in runs(config, image_sets)
        for values in product(*more.values())
    ]


def run_labels(config: Mapping, image_sets: Iterable[str] | None = None) -> list[dict]:
    """Return what tables say about each run, in the order of `expand_runs`."""
    return [
        {"dataset": name, "image_size": config["image_sets"][name]["image_size"], "seed": seed}
        for name, seed in runs(config, image_sets)
    ]


def image_set(config: Mapping, name: str) -> dict:
    """Return which images a set holds, as arguments of `load_images`: its entry and its options."""
    entry = config["image_sets"][name]
    kept = {key: value for key, value in entry.items() if key not in (*RUN_KEYS, "options")}
    return kept | entry["options"]


def equation(config: Mapping, name: str) -> dict:
    """Return the section ``equation`` for an image set, reduced to what its coefficients use.

    An image set may have its own number of time steps.
    """
    section = relevant_parameters(config["equation"])
    own_steps = config["image_sets"][name]["time_steps"]
    return section | ({"time_steps": own_steps} if own_steps else {})


def relevant_parameters(equation: Mapping) -> dict:
    """Return the section ``equation`` without the coefficients' unused parameters."""
    reduced = dict(equation)
    for name, kinds in PARAMETERS_OF_KIND.items():
        entry = equation[name]
        keys = ("kind", *kinds[entry["kind"]])
        reduced[name] = {key: entry[key] for key in keys if key in entry}
    return reduced
