"""Post-training fake quantisation: a trained network on the few values that b bits can tell apart.

Weights lie on a uniform symmetric grid per output channel, inputs of layers on a uniform one per
layer whose ends are calibrated on given inputs, as in Q-Diffusion (Li et al. 2023, 2302.04304).
Rounded values are kept in float32, so that this shows what quantisation does to samples, and
nothing of its speed.  Biases and norms stay as they are.
"""

import copy
from functools import partial

import torch

#: What the largest weight of a channel is multiplied by to give the end of its grid; 1 is max-abs.
CLIPPING = torch.linspace(1.0, 0.2, 81).tolist()
_LAYERS = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


def quantised(
    network: torch.nn.Module,
    weight_bits: int | None = None,
    activation_bits: int | None = None,
    inputs: tuple[torch.Tensor, ...] = (),
) -> torch.nn.Module:
    """Return a copy of a network with quantised linear and convolutional layers.

    Parameters
    ----------
    network : Module
        Stays as it is.
    weight_bits : int, optional
        Bits of their weights; None leaves these as they are.
    activation_bits : int, optional
        Bits of their inputs; None leaves these as they are.
    inputs : tuple of tensor
        Arguments of one call of the network: the smallest and the largest input of a layer in it,
        and zero, are the ends of the layer's grid.  Needed with ``activation_bits``.
    """
    found = copy.deepcopy(network).eval().requires_grad_(False)
    layers = [module for module in found.modules() if isinstance(module, _LAYERS)]
    if weight_bits is not None:
        for layer in layers:
            layer.weight.copy_(rounded_weight(layer.weight, weight_bits))
    if activation_bits is not None:
        for layer, (low, high) in _input_ranges(found, layers, inputs).items():
            hook = partial(_round_input, low=low, high=high, bits=activation_bits)
            layer.register_forward_pre_hook(hook)
    return found


def rounded_weight(weight: torch.Tensor, bits: int) -> torch.Tensor:
    """Return a weight (n_out, ...) on the grid of each of its output channels."""
    scale = channel_scales(weight, bits)
    return _on_grid(weight.flatten(1), scale, bits).reshape(weight.shape)


def channel_scales(weight: torch.Tensor, bits: int) -> torch.Tensor:
    """Return the grid spacing (n_out, 1) of each output channel of a weight (n_out, ...).

    The values of a channel are k s, |k| <= 2^(bits - 1) - 1; s is the one with the least squared
    error among those of which the largest value is a factor of `CLIPPING` of the largest weight.
    """
    rows = weight.flatten(1)
    largest = rows.abs().amax(1, keepdim=True) / _last(bits)
    largest = torch.where(largest > 0, largest, 1.0)
    best, least = largest, torch.full_like(largest, torch.inf)
    for factor in CLIPPING:
        error = (rows - _on_grid(rows, factor * largest, bits)).square().sum(1, keepdim=True)
        best = torch.where(error < least, factor * largest, best)
        least = torch.minimum(error, least)
    return best


def _last(bits: int) -> int:
    return 2 ** (bits - 1) - 1


def _on_grid(rows: torch.Tensor, scale: torch.Tensor, bits: int) -> torch.Tensor:
    return (rows / scale).round().clamp(-_last(bits), _last(bits)) * scale


@torch.no_grad()
def _input_ranges(
    network: torch.nn.Module, layers: list[torch.nn.Module], inputs: tuple[torch.Tensor, ...]
) -> dict[torch.nn.Module, tuple[float, float]]:
    ranges = {}

    def note(layer, given):
        low, high = ranges.get(layer, (0.0, 0.0))
        ranges[layer] = (min(low, float(given[0].min())), max(high, float(given[0].max())))

    handles = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        network(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return ranges


def _round_input(layer, given, low: float, high: float, bits: int) -> tuple[torch.Tensor, ...]:
    """Round the first input of a layer to 2^bits values from ``low`` to ``high``, 0 among them."""
    last = 2**bits - 1
    scale = (high - low) / last or 1.0
    zero = round(-low / scale)
    steps = ((given[0] / scale).round() + zero).clamp(0, last)
    return ((steps - zero) * scale, *given[1:])
