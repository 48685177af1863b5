"""The decorator by which a study says what it needs and makes."""

from collections.abc import Callable, Mapping, Sequence


def register(
    name: str,
    *,
    tables: Mapping[str, str],
    figures: Mapping[str, Mapping[str, str]] | None = None,
    needs: Sequence[str] = (),
    reads: Sequence[str] = (),
    timed: bool = False,
    torch: bool = False,
    solvers: Sequence[str] = (),
    solvers_from: str | None = None,
    samplers_from: Sequence[str] = (),
    objectives_from: str | None = None,
    per: str | None = None,
    join: str | None = None,
    baseline: bool = False,
) -> Callable:
    """Declare a study: ``function(data, ...)``, which returns its tables by name.

    The workflow reads the declaration without running it (`crosskrylov.studies.index`), so that
    every argument must be a literal; here nothing is done with it.  After ``data``, a
    `crosskrylov.studies.data.StudyData`, the function names the keys of its section under
    ``studies`` in the configuration; a key that it does not name re-runs nothing.

    Parameters
    ----------
    name : str
        Also the study's section under ``studies``; without that section the study is off.
    tables : mapping
        Every table that the function returns, with its caption.
    figures : mapping, optional
        Figure name to {"table", "caption"}; the function that draws it stands in
        crosskrylov/reporting/figures/studies/.
    needs : sequence of str
        What ``data`` has to offer: images, log_density, seeds, bank, exact, trajectories (of the
        solvers of ``studies.trajectory``); equation, march, solvers, density (sections of the
        configuration).  A study that needs nothing, or only random_seeds (all of the
        configuration), runs once, not per image set and random seed.
    reads : sequence of str
        Tables of other studies on the same images, where these are on.
    timed : bool
        The study takes times: it runs alone, with ``studies.blas_threads`` threads.
    torch : bool
        The study needs torch: its job runs in the environment of the training.
    solvers : sequence of str
        Methods that it always solves with.
    solvers_from : str, optional
        Key of its section that names solvers: "method" (beside "options"), a mapping of
        {"method", "options"} by name, or a list of names among the configured ones, null for all
        of them (the study then needs "solvers", and gets these).
    samplers_from : sequence of str
        Keys of its section that list samplers, null for all of them: their modules re-run it.
    objectives_from : str, optional
        Key of its section that lists training objectives, names or mappings with ``model``;
        ``data`` offers ``embedded`` (embedded images) where one of them needs scores.
    per : {"solver"}, optional
        One job per solver of the key ``solvers`` of its section, null for all that are configured.
    join : str, optional
        Function of the same module that makes the tables of all solvers' rows.
    baseline : bool
        With ``per="solver"``: the published baseline's job also returns ``"reference"``, a mapping
        of arrays that the other solvers' jobs find as ``data.reference``.
    """
    return lambda function: function
