"""The subcommands ``precompute`` and ``info``: scores of a user's images without the workflow."""

import argparse
import sys
from itertools import islice
from pathlib import Path

import yaml

from crosskrylov.errors import ConfigError
from crosskrylov.planning.config import load_config
from crosskrylov.runtime.files import printable
from crosskrylov.scores.engine_options import EngineOptions
from crosskrylov.scores.march_options import march_options
from crosskrylov.scores.store import ScoreStore
from crosskrylov.scores.stream import precompute_scores

#: Stands for the images of a configuration that says none: every number of seeds is allowed.
NO_IMAGES = {"source": "noise", "n_images": 10**9}


def precompute(given: argparse.Namespace) -> int:
    """Compute the scores of images and store them in a folder; return the exit status."""
    config = {} if given.config is None else read_sections(given.config)
    equation = dict(config.get("equation", {}))
    for key in ("stored_steps", "time_steps"):
        if getattr(given, key) is not None:
            equation[key] = getattr(given, key)
    engine = EngineOptions.known(config.get("engine", {}))
    flags = ("tolerance", "dtype", "device", "storage", "quantity", "memory_mb", "workers")
    for key in (*flags, "chunk_images"):
        if getattr(given, key) is not None:
            engine[key] = getattr(given, key)
    if given.engine is not None:
        engine["method"] = given.engine
    images = given.images
    if given.source:
        images = {
            "source": given.source,
            "image_size": given.size,
            "n_images": given.n_images,
            "color": given.color,
            "seed": given.seed,
            "jitter": given.jitter,
            "root": given.root,
        }
    store = precompute_scores(
        images,
        given.output,
        size=given.size,
        color=given.color,
        equation=equation,
        density=config.get("density"),
        march=march_options(config["march"]) if config else None,
        seed=given.seed,
        overwrite=given.overwrite,
        progress=not given.quiet,
        **engine,
    )
    return _report(store)


def read_sections(path: Path) -> dict:
    """Return a checked configuration that need not say any images; it never runs code.

    Raises
    ------
    ConfigError, DataError
        As `load_config` does, and for a name of code outside the package.
    """
    _refuse_imports(path)
    return load_config(path, base={"image_sets": {"images": NO_IMAGES}})


def _refuse_imports(path: Path) -> None:
    """Raise `ConfigError` if a config names code of its own: this command runs none.

    Found before the config is checked, which imports what it names.
    """
    try:
        entries = list(_entries(yaml.safe_load(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return  # whoever reads it next says so
    for keys, value in entries:
        names_code = isinstance(value, str) and ":" in value and keys[-1:] != ("root",)
        if names_code and keys[-1] in ("path", "method", "name"):
            raise ConfigError(
                f"{'.'.join(keys)} in {printable(path)} is {value!r}, which names code outside the "
                "package; this command imports none: use a registered name."
            )


def _entries(value, keys: tuple = (), depth: int = 0):
    """Yield keys and value of every entry of a config that is no mapping."""
    if isinstance(value, dict) and depth < 50:
        for key, inner in value.items():
            yield from _entries(inner, (*keys, str(key)), depth + 1)
    else:
        yield keys, value


def info(given: argparse.Namespace) -> int:
    """Say what is in a folder of scores, and check its files; return the exit status."""
    store = ScoreStore.open(given.scores)
    steps = ", ".join(str(step) for step in store.manifest["steps"])
    print(f"{store.manifest['quantity']}, {store.manifest['dtype']}, shape {store.shape}")
    print(f"time steps {steps} of dt = {store.times[-1] / store.manifest['steps'][-1]:.6g}")
    intact = {chunk for chunk in store.present() if store.is_intact(chunk)}
    n_bad = store.n_chunks - len(intact)
    if n_bad:
        bad = (chunk for chunk in range(store.n_chunks) if chunk not in intact)
        listed = ", ".join(store.array_path(chunk).name for chunk in islice(bad, 5))
        print(
            f"error: {n_bad} of {store.n_chunks} chunks are missing or damaged ({listed}); "
            "run precompute again.",
            file=sys.stderr,
        )
        return 1
    return _report(store)


def _report(store: ScoreStore) -> int:
    """Print what ran; return 1 if images failed."""
    summary = store.summary()
    line = f"{summary['images']} images by {summary['method']} in {summary['seconds']:.1f} s"
    if summary["max_relative_residual"] is not None:
        line += f", largest relative residual {summary['max_relative_residual']:.1e}"
    print(f"{line}: {printable(store.path)}")
    failures = store.failures
    for failure in failures[:10]:
        print(f"no scores for {failure['name']}: {failure['reason']}", file=sys.stderr)
    if failures:
        print(
            f"error: {len(failures)} of {len(store)} images have no scores (NaN in "
            f"{printable(store.path)}, listed in its chunk-*.json); the others are complete.",
            file=sys.stderr,
        )
    return 1 if failures else 0
