"""Steps at which runs on single images were looked at for the first time.

Apart from the tables that ask, since the workflow asks too and imports as little as it can.
"""

from collections.abc import Iterable, Mapping


def first_steps(configs: Iterable[Mapping]) -> dict[str, list[int]]:
    """Return the steps of first evaluations by image set: what is reached there was so by then.

    Several, where configurations that share an image set differ in it.

    Parameters
    ----------
    configs : iterable of mapping
        Whole configurations, or the section ``training.single_image`` in its place.
    """
    found: dict[str, list[int]] = {}
    for config in configs:
        section = config.get("training", {}).get("single_image", {})
        first = section.get("first_evaluation")
        for name in section.get("image_sets", ()):
            steps = found.setdefault(name, [])
            if first and first not in steps:
                steps.append(first)
    return found
