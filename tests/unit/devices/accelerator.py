"""A pretended accelerator, so that a tensor left on the CPU is found without a GPU.

Its tensors say that they are on the device ``meta`` and hold their values in a CPU tensor beside.
Every operation is computed with those values, and refused where a tensor of the accelerator meets
one that stayed on the CPU, as CUDA refuses it (numbers of no dimension may mix, and copies).
"""

from contextlib import contextmanager
from importlib import import_module

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _foreach_utils
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

ACCELERATOR = torch.device("meta")

#: Operations that carry values from one device to another, and are there to do so.
_TRANSFERS = ("aten._to_copy", "aten.copy_", "aten._foreach_copy_")


class DeviceMixError(AssertionError):
    """A tensor on the accelerator met one on the CPU."""


class OnAccelerator(torch.Tensor):
    """A tensor of the pretended accelerator."""

    @staticmethod
    def __new__(cls, values):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            values.size(),
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            layout=values.layout,
            device=ACCELERATOR,
            requires_grad=False,
        )

    def __init__(self, values):
        self.values_here = values.detach()

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


def _run(func, args, kwargs):
    leaves, layout = tree_flatten((args, kwargs))
    inside = {id(leaf.values_here): leaf for leaf in leaves if isinstance(leaf, OnAccelerator)}
    outside = [
        leaf
        for leaf in leaves
        if isinstance(leaf, torch.Tensor) and not isinstance(leaf, OnAccelerator)
    ]
    if any(leaf.device == ACCELERATOR for leaf in outside):
        raise DeviceMixError(f"{func} got a tensor of the accelerator that has no values")
    transfer = str(func).startswith(_TRANSFERS)
    if inside and not transfer and any(leaf.ndim for leaf in outside):
        shapes = [tuple(leaf.shape) for leaf in outside if leaf.ndim]
        raise DeviceMixError(f"{func} mixes the accelerator with CPU tensors of shapes {shapes}")
    leaves = [leaf.values_here if isinstance(leaf, OnAccelerator) else leaf for leaf in leaves]
    args, kwargs = tree_unflatten(leaves, layout)
    device = kwargs.get("device")
    if device is not None and torch.device(device).type == ACCELERATOR.type:
        kwargs["device"] = torch.device("cpu")
    if device is None:
        lands = bool(inside)
        if transfer and inside:  # a copy without a device stays where what is written to is
            lands = id(args[0]) in inside
    else:
        lands = torch.device(device).type == ACCELERATOR.type
    result = func(*args, **kwargs)

    def wrapped(value):
        if not isinstance(value, torch.Tensor) or isinstance(value, OnAccelerator) or not lands:
            return value
        return inside[id(value)] if id(value) in inside else OnAccelerator(value)

    return tree_map(wrapped, result)


class _Factories(TorchDispatchMode):
    """Operations without a tensor of the accelerator, among them those that make one."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class _Conversions(TorchFunctionMode):
    """Calls that make a tensor of Python's or NumPy's numbers before anything is dispatched."""

    MAKERS = (torch.tensor, torch.as_tensor, torch.asarray)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func in self.MAKERS and "device" in kwargs:
            device = kwargs.pop("device")
            made = func(*args, **kwargs)
            return made if device is None else made.to(device)
        if func is torch.Tensor.tolist and isinstance(args[0], OnAccelerator):
            return args[0].values_here.tolist()  # torch refuses it for subclasses
        if func is torch.Tensor.new_tensor and isinstance(args[0], OnAccelerator):
            return torch.tensor(*args[1:], dtype=args[0].dtype).to(args[0].device)
        return func(*args, **kwargs)


@contextmanager
def accelerator(monkeypatch):
    """Let the device ``meta`` compute inside a ``with`` block, with Adam's fused steps there."""
    supported = [*_foreach_utils._get_fused_kernels_supported_devices(), ACCELERATOR.type]
    optimiser = import_module("torch.optim.optimizer")
    monkeypatch.setattr(optimiser, "_get_fused_kernels_supported_devices", lambda: [*supported])
    with _Factories(), _Conversions():
        yield ACCELERATOR
