"""What the command line understands, and which function each subcommand is.

Showing the help imports no numerics: defaults are read from the library's source, and a
subcommand's module is imported when it runs.
"""

import argparse
from pathlib import Path

import crosskrylov
from crosskrylov.datasets.index import declared_sources
from crosskrylov.planning.defaults import stated_default
from crosskrylov.runtime.declared import listed

_EXAMPLES = """examples:
  crosskrylov precompute photographs/ --size 64 -o scores/
  crosskrylov precompute a.png b.jpg --size 128 --engine batched -o scores/
  crosskrylov precompute --source photos --n-images 50000 --size 32 -o scores/
  crosskrylov info scores/
  crosskrylov show a.png --size 64 -o picture.png
  crosskrylov sample digits -o grid.png
  crosskrylov sample results/training/budget/digits16/dsm/seed17/checkpoint -o grid.png
  crosskrylov demo -o demo.png
  crosskrylov compare photographs/ drawn/ --size 32
  crosskrylov solve systems/ --method lu_of_mean warm_bicgstab
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``crosskrylov``; what it parses has the subcommand's function, ``run``.

    ``run`` is an import path for `crosskrylov.runtime.declared.imported`; the function takes the
    parsed arguments and returns the exit status.
    """
    parser = argparse.ArgumentParser(
        prog="crosskrylov",
        description="Pre-compute the scores of images for diffusion models.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=crosskrylov.__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_precompute(commands)
    info = _add(
        commands,
        "info",
        "precompute:info",
        "say what is in a folder of scores, and check its files",
    )
    info.add_argument("scores", type=Path, help="folder written by precompute")
    _add_show(commands)
    for name, what in (
        ("solvers", "linear solvers"),
        ("sources", "sources of images"),
        ("objectives", "models, by what they are trained on,"),
        ("samplers", "samplers"),
    ):
        _add(commands, name, f"lists:{name}", f"list the {what} that a configuration may name")
    _add_sample(commands)
    _add_compare(commands)
    _add_demo(commands)
    _add_solve(commands)
    return parser


def _add(commands, name: str, run: str, summary: str, **options) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, **options)
    parser.set_defaults(run=f"crosskrylov.cli.{run}")
    return parser


def _stated(place: str):
    return stated_default(f"crosskrylov/{place}")


def _add_color(parser: argparse.ArgumentParser) -> None:
    channels = tuple(_stated("datasets/pixels.py:CHANNELS"))
    parser.add_argument("--color", choices=channels, default=_stated("datasets/pixels.py:COLOR"))


def _add_seed(parser: argparse.ArgumentParser) -> None:
    seed = _stated("scores/images.py:SEED")
    parser.add_argument(
        "--seed", type=int, default=seed, help="of every random draw (default %(default)s)"
    )


def _add_precompute(commands) -> None:
    parser = _add(
        commands,
        "precompute",
        "precompute:precompute",
        "compute scores and store them in a folder; run again to resume",
        description="Compute the scores of images and store them in a folder. An interrupted run, "
        "started again with the same options, goes on where it stopped.",
    )
    parser.add_argument("images", nargs="*", metavar="IMAGES", help="image files and folders")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the scores")
    parser.add_argument("--size", type=int, required=True, help="side of the images in pixels")
    _add_color(parser)
    parser.add_argument("--source", help=f"instead of files: {listed(declared_sources())}")
    parser.add_argument("--n-images", type=int, help="number of images (sources only)")
    parser.add_argument("--jitter", type=float, help="random mirroring and colour (photos only)")
    parser.add_argument("--root", help="folder of the source's files, where it reads one")
    _add_seed(parser)
    parser.add_argument(
        "--config",
        type=Path,
        help="YAML file with any of sections equation, density, march, engine",
    )
    engine = parser.add_argument_group("engine (these override --config)")
    engine.add_argument(
        "--engine",
        choices=_stated("scores/engine_options.py:METHODS"),
        help="default auto: exact where f = 0",
    )
    equation = _stated("equation/problem.py:DEFAULTS")
    for key, meaning in (
        ("stored_steps", "evenly spaced steps kept"),
        ("time_steps", "time steps"),
    ):
        engine.add_argument(
            f"--{key.replace('_', '-')}", type=int, help=f"{meaning} (default {equation[key]})"
        )
    engine.add_argument("--tolerance", type=float, help="relative residual of engine batched")
    engine.add_argument("--dtype", choices=("float64", "float32"), help="arithmetic")
    engine.add_argument("--device", choices=("auto", "cpu", "cuda"))
    engine.add_argument("--storage", choices=("float16", "float32", "float64"), help="on disk")
    engine.add_argument("--quantity", choices=("score", "log_density"))
    memory = _stated("scores/engine_options.py:EngineOptions.memory_mb")
    engine.add_argument("--memory-mb", type=float, help=f"budget for arrays (default {memory})")
    engine.add_argument("--workers", type=int, help="threads (default: all cores)")
    most = _stated("scores/stream.py:MAX_CHUNK_IMAGES")
    engine.add_argument("--chunk-images", type=int, help=f"images per file (default up to {most})")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace scores made from something else"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_show(commands) -> None:
    parser = _add(
        commands,
        "show",
        "show:show",
        "draw an image with its log-density and score at several times",
        description="Draw an image with the log-density of its pixel positions, and arrows of the "
        "score, at several times of the exact solution (authors' setting).",
    )
    parser.add_argument("image", type=Path, help="image file")
    parser.add_argument("-o", "--output", type=Path, required=True, help="PNG file to write")
    parser.add_argument("--size", type=int, default=64, help="side in pixels (default %(default)s)")
    parser.add_argument(
        "--times",
        type=float,
        nargs="+",
        default=[0, 0.01, 0.1, 1],
        metavar="T",
        help="from 0 to 1 (default 0 0.01 0.1 1)",
    )


def _add_sample(commands) -> None:
    parser = _add(
        commands,
        "sample",
        "sample:sample",
        "draw images from a ready-made network or a checkpoint folder",
        description="Draw images from a ready-made network or from the checkpoint folder of a "
        "training experiment. Both say how they are drawn from; an older folder takes model and "
        "noise schedule from result.json beside it, or from --model or --schedule.",
    )
    parser.add_argument(
        "checkpoint", nargs="?", metavar="NETWORK", help="ready-made name, or checkpoint folder"
    )
    parser.add_argument("-o", "--output", type=Path, help="PNG file of the grid")
    parser.add_argument("--list", action="store_true", help="list the ready-made networks")
    parser.add_argument("--n-images", type=int, default=16, help="default %(default)s")
    parser.add_argument("--sampler", help="default: as the network says; see: samplers")
    parser.add_argument("--evaluations", type=int, help="network evaluations per image")
    _add_seed(parser)
    parser.add_argument("--model", help="what it was trained on; see: objectives")
    parser.add_argument("--schedule", choices=("linear", "geometric"), help="noise schedule")
    parser.add_argument("--noise-levels", type=int, help="levels of the schedule")
    parser.add_argument("--sigma-min", type=float, help="smallest noise of a geometric schedule")
    parser.add_argument("--sigma-max", type=float, help="largest noise of a geometric schedule")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def _add_compare(commands) -> None:
    parser = _add(
        commands,
        "compare",
        "compare:compare",
        "Fréchet and kernel distance of the images in two folders",
        description="Print the Fréchet and the kernel distance between features of the images in "
        "two folders. The features need no download: these distances are no FID or KID.",
    )
    parser.add_argument("folders", type=Path, nargs=2, metavar="FOLDER", help="folder of images")
    parser.add_argument("--features", choices=("haar", "digit_classifier"), default="haar")
    parser.add_argument(
        "--size", type=int, help="crop and resize all images to this side (default: as they are)"
    )
    _add_color(parser)


def _add_demo(commands) -> None:
    parser = _add(
        commands,
        "demo",
        "demo:demo",
        "draw the whole idea on one picture",
        description="From photographs' crops to their scores by several solvers, to embedded "
        "images, and digits drawn by a ready-made network.",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="PNG file to write")
    # a smaller demo is for tests
    for name, default in (("size", 32), ("time-steps", 50), ("repeats", 5), ("n-images", 36)):
        parser.add_argument(f"--{name}", type=int, default=default, help=argparse.SUPPRESS)


def _add_solve(commands) -> None:
    options = "solvers/many.py:solve_many"
    parser = _add(
        commands,
        "solve",
        "solve:solve",
        "solve a folder of similar sparse systems and compare methods",
        description="Solve the sparse systems of a folder, work shared between them where a method "
        "does so: pairs NAME_A.mtx and NAME_b.mtx (or A-NAME.mtx and b-NAME.mtx) in Matrix Market "
        "format, or NAME.npz with data, indices, indptr, shape (CSR) and b. Writes solutions, true "
        "residuals, products and seconds, and prints a table of the methods.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of the systems")
    parser.add_argument(
        "-o", "--output", type=Path, help="folder of the results (default FOLDER/solutions)"
    )
    parser.add_argument(
        "--method",
        nargs="+",
        default=["all"],
        metavar="NAME",
        help=f"all (default), or some of {listed(_stated('solvers/many.py:METHODS'))}",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=_stated(f"{options}.tol"),
        help="true relative residual to reach (default %(default)g)",
    )
    parser.add_argument(
        "--max-products",
        type=int,
        default=_stated(f"{options}.max_products"),
        help="most products with a matrix per system (default %(default)s)",
    )
