"""The decorator by which a module says which figure it draws, and what the figure answers."""

from collections.abc import Callable

#: What docs/results/README.md asks, in its order; figures say which by the key.
QUESTIONS = {
    "speed": "Which solver is fastest?",
    "engine": "How fast can scores be had, and should they be stored?",
    "projection": "What does a projection on a seed's space gain?",
    "theory": "Why does the projection gain what it gains?",
    "likeness": "Do seed and target have to be alike?",
    "sharing": "Where does sharing work between matrices pay?",
    "accuracy": "How exact are the scores, and what limits them?",
    "training": "Does a network learn one image faster?",
    "samples": "Which network and which sampler draw better samples?",
    "run": "Where did the time go?",
}


def register(name: str, *, question: str = "", caption: str = "", table: str = "") -> Callable:
    """Declare ``function(table)`` as what draws the figure called ``name``.

    The workflow and the snapshot read the declaration without running it, so that every argument
    must be a literal.

    Parameters
    ----------
    name : str
        The figure's name; for figures of which there are several, what the names begin with.
    question : str
        The key in `QUESTIONS` of what the figure answers.
    caption, table : str
        Of figures that belong to no study; those of a study stand with the study.  ``table`` only
        where the figure is drawn from that alone, so that a snapshot can draw it again.
    """
    return lambda function: function
