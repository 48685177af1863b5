"""The decorator by which a module says which figure it draws."""

from collections.abc import Callable


def register(name: str) -> Callable:
    """Declare ``function(table)`` as what draws the figure called ``name``.

    The workflow reads the declaration without running it; a figure's table and caption stand with
    the study that makes the table.
    """
    return lambda function: function
