"""Let torchvision be imported when its compiled operators do not fit the installed torch.

A torchvision wheel built for CUDA beside a CPU-only torch (a common pair: an index serves one, the
user asked for the other) cannot load its extension ``_C``. Its Python side then stops with
"operator torchvision::nms does not exist", because it attaches shape functions to two operators
that only the extension declares. Data sets, transforms and Inception weights need neither
operator, so declaring the two schemas is enough to import them.

Importing this module does that, and nothing where the extension loads. Every module that imports
torchvision, or a package that does (diffusers, torch_fidelity), imports this one first::

    import crosskrylov.runtime.torchvision_compat  # noqa: F401  # isort: skip
    import torchvision

The operators themselves stay unavailable then: calling ``torchvision.ops.nms`` still raises.
"""

import importlib.machinery
import importlib.util

import torch

#: Operators whose schema ``import torchvision`` takes for granted, as the extension declares them.
SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}

# A torch Library takes its declarations back when it is garbage-collected: keep it.
_declared: list[torch.library.Library] = []


def extension_loads() -> bool:
    """Return whether torchvision's compiled extension fits the installed torch.

    Loading it here is harmless: torchvision loads the same file again, which does nothing. The
    extension has to be tried *before* anything is declared, since it would refuse to declare an
    operator twice.
    """
    package = importlib.util.find_spec("torchvision")  # finds the folder, imports nothing
    if package is None or not package.submodule_search_locations:
        return False
    loader = (
        importlib.machinery.ExtensionFileLoader,
        importlib.machinery.EXTENSION_SUFFIXES,
    )
    folder = package.submodule_search_locations[0]
    extension = importlib.machinery.FileFinder(folder, loader).find_spec("_C")
    if extension is None or extension.origin is None:
        return False
    try:
        torch.ops.load_library(extension.origin)
    except (ImportError, OSError):  # a missing CUDA library, an unknown symbol
        return False
    return True


def declare_missing_operators() -> list[str]:
    """Declare the schemas of ``SCHEMAS`` that no extension has declared.

    Returns
    -------
    declared : list of str
        Names declared by this call; empty where the extension loads or on a second call.
    """
    if extension_loads():
        return []
    missing = [name for name in SCHEMAS if not hasattr(torch.ops.torchvision, name)]
    if missing:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in missing:
            library.define(SCHEMAS[name])
        _declared.append(library)
    return missing


declare_missing_operators()
