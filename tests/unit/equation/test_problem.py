"""Schedules, drifts and their reading from the config."""

import numpy as np
import pytest
from scipy.integrate import quad

from crosskrylov.equation.problem import problem_from_config
from crosskrylov.errors import ConfigError, ShapeError


@pytest.mark.parametrize(
    "diffusion",
    [
        {"kind": "constant", "g": 0.5},
        {"kind": "exponential", "sigma": 5.0},
        {"kind": "exponential", "sigma": 1.0},
        {"kind": "vp", "beta_min": 0.1, "beta_max": 20.0},
    ],
)
def test_tau_is_half_the_integral_of_g_squared(diffusion):
    d = problem_from_config({"diffusion": diffusion, "final_time": 2.0}, 8, 8).diffusion
    for t in (0.3, 2.0):
        assert d.tau(t) == pytest.approx(quad(d.half_g2, 0, t)[0], rel=1e-9)


def test_vp_drift_is_minus_half_beta_times_the_centred_position():
    p = problem_from_config(
        {"drift": {"kind": "vp", "beta_min": 1.0, "beta_max": 3.0}, "time_steps": 4}, 5, 5
    )
    f_row, f_col, divergence = p.drift_field(2)
    rows = np.arange(5)[:, None] / 4 * np.ones((1, 5))
    np.testing.assert_allclose(f_row, -0.5 * 2.0 * (rows - 0.5), atol=1e-14)
    np.testing.assert_allclose(f_col, f_row.T, atol=1e-14)
    np.testing.assert_allclose(divergence, -2.0, atol=1e-12)


def test_user_functions_by_import_path(tmp_path, monkeypatch):
    (tmp_path / "my_process.py").write_text(
        "def g(t):\n    return 1.0 + t\n\ndef f(rows, cols, t):\n    return cols * t, 0.0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    p = problem_from_config(
        {
            "diffusion": {"kind": "path", "path": "my_process:g"},
            "drift": {"kind": "path", "path": "my_process:f"},
            "time_steps": 2,
        },
        4,
        4,
    )
    assert p.half_g2(2) == pytest.approx(2.0)
    assert p.diffusion.tau(1.0) == pytest.approx(0.5 * (8 - 1) / 3)
    f_row, f_col, _ = p.drift_field(2)
    assert f_row[0, -1] == pytest.approx(1.0)
    assert not f_col.any()


def test_clear_errors():
    with pytest.raises(ConfigError, match=r"equation\.diffusion\.kind is 'cosine'"):
        problem_from_config({"diffusion": {"kind": "cosine"}}, 8, 8)
    with pytest.raises(ConfigError, match=r"equation\.drift\.path is 'no_module:f'"):
        problem_from_config({"drift": {"kind": "path", "path": "no_module:f"}}, 8, 8)
    with pytest.raises(ConfigError, match="reflecting"):
        problem_from_config({"boundary": "periodic"}, 8, 8)
    with pytest.raises(ConfigError, match="final_time"):
        problem_from_config({"final_time": -1.0}, 8, 8)
    with pytest.raises(ShapeError, match="1 x 8"):
        problem_from_config({}, 1, 8)
