"""What a study may need of a run: the file that holds it, and the module that reads it."""

#: Files of results/{images}/seed{seed}/.
FILES = {
    "images": "images.npz",
    "log_density": "log_density.npz",
    "seeds": "seeds.json",
    "bank": "systems.npz",
    "exact": "exact_scores.npz",
    "trajectories": "trajectories/{solver}.npz",
    "embedded": "embedded.npz",
}

#: Sections of the configuration.
SECTIONS = ("equation", "march", "solvers", "density", "random_seeds")

#: A study that needs nothing else runs once.
COMMON = frozenset({"random_seeds"})

#: Modules that are imported where a study needs them: only then does it depend on them.
READERS = {"bank": "crosskrylov.studies.bank", "seeds": "crosskrylov.scores.seeds"}
