"""The command line beside pre-computation (see scores/test_stream.py): what there is to name."""

import pytest

from crosskrylov.__main__ import build_parser, main
from crosskrylov.datasets.index import declared_sources
from crosskrylov.equation.problem import DEFAULTS
from crosskrylov.scores.engine_options import EngineOptions
from crosskrylov.solvers.index import registered_solvers


@pytest.mark.parametrize(
    ("command", "names"), [("solvers", registered_solvers()), ("sources", declared_sources())]
)
def test_lists_what_a_configuration_may_name(command, names, capsys):
    assert main([command]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(names)
    assert all(len(line.split()) > 2 for line in lines)  # and what each is


def test_help_shows_the_defaults_of_the_library(capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args(["precompute", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert f"time steps (default {DEFAULTS['time_steps']})" in text
    assert f"budget for arrays (default {EngineOptions.memory_mb})" in text
