"""The command line: scores of a user's images without the workflow."""

import argparse
import sys
from itertools import islice
from pathlib import Path

import crosskrylov
from crosskrylov.datasets.index import declared_sources
from crosskrylov.datasets.pixels import CHANNELS, COLOR
from crosskrylov.equation.problem import DEFAULTS
from crosskrylov.errors import ConfigError, CrosskrylovError
from crosskrylov.runtime.declared import listed
from crosskrylov.runtime.files import printable
from crosskrylov.scores.engine_options import METHODS, EngineOptions
from crosskrylov.scores.images import SEED
from crosskrylov.scores.store import ScoreStore
from crosskrylov.scores.stream import MAX_CHUNK_IMAGES, precompute_scores
from crosskrylov.solvers.index import declared_solvers

_EXAMPLES = """examples:
  python -m crosskrylov precompute photographs/ --size 64 -o scores/
  python -m crosskrylov precompute a.png b.jpg --size 128 --engine batched -o scores/
  python -m crosskrylov precompute --source photos --n-images 50000 --size 32 -o scores/
  python -m crosskrylov info scores/
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``python -m crosskrylov``."""
    parser = argparse.ArgumentParser(
        prog="python -m crosskrylov",
        description="Pre-compute the scores of images for diffusion models.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=crosskrylov.__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_precompute(commands)
    info = commands.add_parser(
        "info", help="say what is in a folder of scores, and check its files"
    )
    info.add_argument("scores", type=Path, help="folder written by precompute")
    commands.add_parser("solvers", help="list the linear solvers that a configuration may name")
    commands.add_parser("sources", help="list the sources of images that a configuration may name")
    return parser


def _add_precompute(commands) -> None:
    parser = commands.add_parser(
        "precompute",
        help="compute scores and store them in a folder; run again to resume",
        description="Compute the scores of images and store them in a folder. An interrupted run, "
        "started again with the same options, goes on where it stopped.",
    )
    parser.add_argument("images", nargs="*", metavar="IMAGES", help="image files and folders")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the scores")
    parser.add_argument("--size", type=int, required=True, help="side of the images in pixels")
    parser.add_argument("--color", choices=tuple(CHANNELS), default=COLOR)
    parser.add_argument("--source", help=f"instead of files: {listed(declared_sources())}")
    parser.add_argument("--n-images", type=int, help="number of images (sources only)")
    parser.add_argument("--jitter", type=float, help="random mirroring and colour (photos only)")
    parser.add_argument("--root", help="folder of the source's files, where it reads one")
    parser.add_argument(
        "--seed", type=int, default=SEED, help="of every random draw (default %(default)s)"
    )
    parser.add_argument(
        "--config", type=Path, help="YAML file with sections equation, density, march, engine"
    )
    engine = parser.add_argument_group("engine (these override --config)")
    engine.add_argument("--engine", choices=METHODS, help="default auto: exact where f = 0")
    for key, meaning in (
        ("stored_steps", "evenly spaced steps kept"),
        ("time_steps", "time steps"),
    ):
        engine.add_argument(
            f"--{key.replace('_', '-')}", type=int, help=f"{meaning} (default {DEFAULTS[key]})"
        )
    engine.add_argument("--tolerance", type=float, help="relative residual of engine batched")
    engine.add_argument("--dtype", choices=("float64", "float32"), help="arithmetic")
    engine.add_argument("--device", choices=("auto", "cpu", "cuda"))
    engine.add_argument("--storage", choices=("float16", "float32", "float64"), help="on disk")
    engine.add_argument("--quantity", choices=("score", "log_density"))
    engine.add_argument(
        "--memory-mb", type=float, help=f"budget for arrays (default {EngineOptions.memory_mb})"
    )
    engine.add_argument("--workers", type=int, help="threads (default: all cores)")
    engine.add_argument(
        "--chunk-images", type=int, help=f"images per file (default up to {MAX_CHUNK_IMAGES})"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace scores made from something else"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0, or 1 with one sentence on stderr.

    Parameters
    ----------
    arguments : list of str, optional
        Default ``sys.argv[1:]``.
    """
    parser = build_parser()
    given = parser.parse_args(arguments)
    try:
        if given.command == "info":
            return _info(given.scores)
        if given.command == "solvers":
            return _list(declared_solvers())
        if given.command == "sources":
            return _list(declared_sources())
        if bool(given.images) == bool(given.source):
            parser.error("give either image files and folders or --source")
        return _precompute(given)
    except CrosskrylovError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        name = f" ({printable(error.filename)})" if isinstance(error.filename, str) else ""
        print(f"error: {error.strerror or error}{name}", file=sys.stderr)
    except MemoryError:
        print("error: there is not enough memory; ask for fewer or smaller images", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on", file=sys.stderr)
    return 1


def _precompute(given: argparse.Namespace) -> int:
    config = {}
    if given.config is not None:
        from crosskrylov.planning.config import load_config

        _refuse_imports(given.config)
        config = load_config(given.config)
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
        march=_march(config.get("march")),
        seed=given.seed,
        overwrite=given.overwrite,
        progress=not given.quiet,
        **engine,
    )
    return _report(store)


def _refuse_imports(path: Path) -> None:
    """Raise `ConfigError` if a config names code of its own: this command runs none.

    Found before the config is checked, which imports what it names.
    """
    import yaml

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


def _march(section):
    from crosskrylov.scores.march_options import march_options

    return None if section is None else march_options(section)


def _list(declared) -> int:
    """Print the names of what is declared, and what each is."""
    width = max(map(len, declared))
    for name, entry in sorted(declared.items()):
        print(f"{name:{width}}  {entry.summary}.")
    return 0


def _info(path: Path) -> int:
    store = ScoreStore.open(path)
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


if __name__ == "__main__":
    sys.exit(main())
