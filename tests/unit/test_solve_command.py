"""The subcommand ``solve``: folders of systems, and what cannot be solved as one sentence."""

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from crosskrylov.__main__ import main
from crosskrylov.runtime.files import read_tsv
from crosskrylov.solvers.many import METHODS
from crosskrylov.solvers.system_files import read_systems
from crosskrylov.studies.export import export_systems
from tests.laboratory import bank

N, COUNT = 30, 4


def systems():
    rng = np.random.default_rng(4)
    line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(N, N))
    matrices = [sp.csr_array(line + sp.diags_array(rng.random(N))) for _ in range(COUNT)]
    return matrices, rng.normal(size=(COUNT, N))


@pytest.fixture
def folder(tmp_path):
    """A folder of pairs in Matrix Market format."""
    folder = tmp_path / "systems"
    folder.mkdir()
    for i, (matrix, b) in enumerate(zip(*systems(), strict=True)):
        scipy.io.mmwrite(folder / f"{i}_A.mtx", matrix, precision=17)
        scipy.io.mmwrite(folder / f"{i}_b.mtx", b[:, None], precision=17)
    return folder


def run(*arguments):
    return main(["solve", *map(str, arguments)])


def sentence(capsys):
    """Return what was said on stderr, which is one line."""
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1, error
    return error


def test_all_methods_solve_all_systems(folder, capsys):
    assert run(folder, "--tolerance", "1e-9") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "4 systems of 30 unknowns, tolerance 1e-09"
    assert {line.split()[0] for line in lines[2:-1]} == set(METHODS)
    solutions = read_tsv(folder / "solutions" / "solutions.tsv")
    assert len(solutions) == COUNT * len(METHODS)
    assert solutions.converged.all() and (solutions.seconds > 0).all()
    for method, group in solutions.groupby("method"):
        for (matrix, b), row in zip(zip(*systems(), strict=True), group.itertuples()):
            x = scipy.io.mmread(folder / "solutions" / method / f"{row.system}_x.mtx").ravel()
            residual = np.linalg.norm(b - matrix @ x) / np.linalg.norm(b)
            assert residual <= 1e-9
            assert residual == pytest.approx(row.relative_residual, rel=1e-3, abs=1e-15)


def test_chosen_methods_go_to_the_folder_that_is_named(folder, tmp_path):
    output = tmp_path / "new" / "out"
    assert run(folder, "-o", output, "--method", "superlu", "lu_of_mean", "superlu") == 0
    assert sorted(read_tsv(output / "methods.tsv").method) == ["lu_of_mean", "superlu"]
    assert not (folder / "solutions").exists()
    assert run(folder, "--method", "superlu") == 0  # an output inside is no system
    assert run(folder, "--method", "superlu") == 0


def test_other_names_and_arrays_are_read_too(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    matrices, rhs = systems()
    scipy.io.mmwrite(other / "A-first.mtx", matrices[0], precision=17)
    scipy.io.mmwrite(other / "b-first.mtx", sp.coo_array(rhs[:1].T), precision=17)
    csr = matrices[1]
    arrays = {"data": csr.data, "indices": csr.indices, "indptr": csr.indptr, "shape": csr.shape}
    np.savez(other / "second.npz", b=rhs[1], **arrays)
    scipy.io.mmwrite(other / "second_A.mtx", matrices[2])  # the archive goes first
    (other / "README.txt").write_text("not a system")
    found = read_systems(other)
    assert [system.name for system in found] == ["first", "second"]
    for system, matrix, b in zip(found, matrices, rhs):
        np.testing.assert_allclose(system.matrix.toarray(), matrix.toarray(), rtol=1e-15)
        np.testing.assert_allclose(system.rhs, b, rtol=1e-15)


def test_what_the_study_exports_can_be_solved(tmp_path, capsys):
    origin = {"images": "toy", "seed": 1, "version": "0"}
    names = export_systems(tmp_path / "systems", bank(), [0, 2], origin)
    assert run(tmp_path / "systems", "--method", "superlu") == 0
    table = read_tsv(tmp_path / "systems" / "solutions" / "solutions.tsv")
    assert sorted(table.system) == sorted(names)
    for name in names:
        x = scipy.io.mmread(tmp_path / "systems" / "solutions" / "superlu" / f"{name}_x.mtx")
        expected = scipy.io.mmread(tmp_path / "systems" / f"{name}_x.mtx")
        np.testing.assert_allclose(x, expected, rtol=1e-9, atol=1e-12)


def spoil(folder, kind):
    if kind == "empty":
        for path in folder.iterdir():
            path.unlink()
    elif kind == "side":
        (folder / "2_b.mtx").unlink()
    elif kind == "square":
        scipy.io.mmwrite(folder / "1_A.mtx", sp.coo_array(np.ones((30, 29))))
    elif kind == "length":
        scipy.io.mmwrite(folder / "1_b.mtx", np.ones((29, 1)))
    elif kind == "several":
        scipy.io.mmwrite(folder / "1_b.mtx", np.ones((15, 2)))
    elif kind == "size":
        scipy.io.mmwrite(folder / "3_A.mtx", sp.eye_array(5).tocoo())
        scipy.io.mmwrite(folder / "3_b.mtx", np.ones((5, 1)))
    elif kind == "text":
        (folder / "0_A.mtx").write_text("%%MatrixMarket matrix coordinate real general\n3 3\n")
    elif kind == "archive":
        np.savez(folder / "4.npz", data=np.ones(3))
    elif kind == "indices":
        arrays = {"data": np.ones(1), "indices": np.array([9]), "indptr": np.array([0, 1, 1])}
        np.savez(folder / "4.npz", shape=(2, 2), b=np.ones(2), **arrays)
    elif kind == "values":
        scipy.io.mmwrite(folder / "1_b.mtx", np.full((N, 1), np.nan))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", "holds no systems"),
        ("side", "2_A.mtx has no right-hand side: 2_b.mtx is missing"),
        ("square", "1_A.mtx is 30 x 29; it must be square"),
        ("length", "1_A.mtx is 29 x 1, but the matrix has 30 rows"),
        ("several", "1_A.mtx is 15 x 2"),
        ("size", "System 3 has 5 unknowns, but 0 has 30"),
        ("text", "0_A.mtx cannot be read as Matrix Market"),
        ("archive", "4.npz holds no system, since the array indices is missing"),
        ("indices", "4.npz holds no CSR matrix"),
        ("values", "Right-hand side 1 holds values that are not finite"),
    ],
)
def test_a_folder_that_cannot_be_solved_is_one_sentence(folder, capsys, kind, message):
    spoil(folder, kind)
    assert run(folder) == 1
    assert message in sentence(capsys)
    assert not (folder / "solutions").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "lu_of_mena"], "did you mean 'lu_of_mean'"),
        (["--method", "superlu", "al"], "did you mean 'all'"),
        (["--tolerance", "0"], "tol is 0.0"),
        (["--max-products", "0"], "max_products"),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(folder, capsys, arguments, message):
    assert run(folder, *arguments) == 1
    assert message in sentence(capsys)


def test_a_folder_that_is_none_is_one_sentence(tmp_path, capsys):
    assert run(tmp_path / "nowhere") == 1
    assert "nowhere is no folder" in sentence(capsys)


@pytest.mark.filterwarnings("error")
def test_a_singular_matrix_is_named_or_left_to_other_methods(folder, capsys):
    scipy.io.mmwrite(folder / "1_A.mtx", sp.coo_array((N, N)))
    assert run(folder, "--method", "superlu") == 1
    assert "Matrix 1 is singular" in sentence(capsys)
    # no method solves it: the table is written, and the sentence says so
    assert run(folder) == 1
    printed = capsys.readouterr()
    assert "No method solved all 4 systems" in printed.err and printed.err.count("\n") == 1
    table = read_tsv(folder / "solutions" / "methods.tsv").set_index("method")
    assert table.solved["superlu"] == 0 and np.isnan(table.seconds["superlu"])
    assert table.solved["bicgstab"] == 3


def test_a_method_that_misses_does_not_hide_one_that_solves(folder, capsys):
    options = ["--max-products", "4", "--tolerance", "1e-12"]
    assert run(folder, *options, "--method", "bicgstab", "superlu") == 0
    rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    assert rows["bicgstab"][2] == "0" and rows["superlu"][2] == "4"
    assert run(folder, *options, "--method", "bicgstab") == 1
    assert "bicgstab left 4" in sentence(capsys)
