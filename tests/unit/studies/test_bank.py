import numpy as np
import pytest

from crosskrylov.equation.assembly import assemble_systems
from crosskrylov.equation.problem import evenly_spaced_steps
from crosskrylov.errors import ConfigError, DataError, ShapeError
from crosskrylov.runtime.files import load_npz, save_npz
from crosskrylov.scores.march import march
from crosskrylov.scores.march_options import BALANCED_TOLERANCE, march_options
from crosskrylov.solvers.kernels.residuals import relative_residuals
from crosskrylov.solvers.registry import make_solver
from crosskrylov.studies.bank import build_bank, load_bank, resolve_steps, save_bank
from tests.laboratory import EQUATION, bank, smooth_log_density


def test_solutions_solve_the_stored_systems():
    stored = bank()
    for position in range(len(stored.steps)):
        residuals = relative_residuals(
            stored.matrix.take(position), stored.rhs[position], stored.solution[position]
        )
        assert residuals.max() < 1e-10


def test_systems_are_those_of_the_last_iteration_of_a_march():
    stored = bank()
    log_density = smooth_log_density()
    trajectory = march(stored.problem, log_density, make_solver("splu"), march_options())
    position = 1  # step 4
    previous = trajectory.log_density[:, 3]
    np.testing.assert_allclose(stored.previous[position], previous, atol=1e-9)
    np.testing.assert_allclose(stored.older[position], trajectory.log_density[:, 2], atol=1e-9)
    np.testing.assert_allclose(stored.solution[position], trajectory.log_density[:, 4], atol=1e-6)
    matrix, rhs = assemble_systems(stored.problem, 4, previous, trajectory.log_density[:, 4])
    np.testing.assert_allclose(stored.rhs[position], rhs, atol=1e-7)
    # the matrix is frozen at the iterate before the last one, converged to the Picard tolerance
    for name in matrix.NAMES:
        difference = getattr(stored.matrix, name)[position] - getattr(matrix, name)
        assert np.abs(difference).max() < 1e-4 * np.abs(matrix.center).max()


def test_round_trip_through_a_file_is_exact(tmp_path):
    save_bank(tmp_path / "bank.npz", bank())
    read = load_bank(tmp_path / "bank.npz")
    assert read.equation == bank().equation
    np.testing.assert_array_equal(read.steps, bank().steps)
    for a, b in zip(read.matrix.arrays(), bank().matrix.arrays(), strict=True):
        np.testing.assert_array_equal(a, b)
    for name in ("rhs", "previous", "older", "solution", "log_density", "picard"):
        np.testing.assert_array_equal(getattr(read, name), getattr(bank(), name))


def test_starting_values():
    stored = bank()
    np.testing.assert_array_equal(stored.start(1), stored.previous[1])
    assert not stored.start(1, "zero").any()
    expected = 2 * stored.previous[2] - stored.older[2]
    np.testing.assert_array_equal(stored.start(2, "extrapolated"), expected)
    # at the first step there is nothing to extrapolate from
    np.testing.assert_array_equal(stored.start(0, "extrapolated"), stored.previous[0])
    with pytest.raises(ConfigError, match="'warm'"):
        stored.start(0, "warm")


def test_systems_of_chosen_images_are_copies():
    systems = bank().systems(0, 1e-6, images=[3, 1])
    assert systems.image_index.tolist() == [3, 1]
    assert systems.step == 1
    systems.start[:] = 7.0
    assert not np.any(bank().previous[0] == 7.0)


def test_damaged_bank_is_refused(tmp_path):
    save_bank(tmp_path / "bank.npz", bank())
    arrays = load_npz(tmp_path / "bank.npz")
    save_npz(tmp_path / "short.npz", **(arrays | {"rhs": arrays["rhs"][:, :2]}))
    with pytest.raises(DataError, match=r"rhs has shape \(3, 2, 10, 10\)"):
        load_bank(tmp_path / "short.npz")
    del arrays["north"]
    save_npz(tmp_path / "missing.npz", **arrays)
    with pytest.raises(DataError, match="north is missing"):
        load_bank(tmp_path / "missing.npz")


@pytest.mark.parametrize("steps", [[0], [9], []])
def test_steps_outside_the_march_are_refused(steps):
    with pytest.raises(ConfigError, match="between 1 and 8"):
        build_bank(EQUATION, smooth_log_density(), steps, make_solver("splu"))


def test_wrong_shape_is_refused():
    with pytest.raises(ShapeError, match=r"\(10, 10\)"):
        build_bank(EQUATION, smooth_log_density()[0], [1], make_solver("splu"))


def test_evenly_spaced_steps_contain_both_ends():
    assert evenly_spaced_steps(100, 10).tolist() == [1, 12, 23, 34, 45, 56, 67, 78, 89, 100]
    assert evenly_spaced_steps(4, 10).tolist() == [1, 2, 3, 4]
    assert evenly_spaced_steps(7, 1).tolist() == [7]
    with pytest.raises(ConfigError, match="stored_steps"):
        evenly_spaced_steps(7, 0)


def test_fractions_become_steps():
    assert resolve_steps(100, [0.8, 0.01, 0.2, 0.2]).tolist() == [1, 20, 80]
    assert resolve_steps(10, [0.0, 1.0]).tolist() == [1, 10]
    with pytest.raises(ConfigError, match="between 0 and 1"):
        resolve_steps(100, [5])


def test_balanced_tolerance_is_a_number_of_the_march():
    assert march_options({"tolerance": "balanced"}).tolerance == BALANCED_TOLERANCE
    with pytest.raises(ConfigError, match="'loose'"):
        march_options({"tolerance": "loose"})
    with pytest.raises(ConfigError, match="tolerence"):
        march_options({"tolerence": 1e-3})
