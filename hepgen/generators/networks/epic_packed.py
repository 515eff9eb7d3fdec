"""A stack of EPiC layers without gradients, float32 on a CPU: constituents of all events one behind the other, in tiles.

There is no padding, whatever the multiplicities are. What the event learns is a product for all events; what the
constituents learn is done a tile at a time, so that between two products of matrices it stays in the cache of a core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hepgen.generators.networks.epic_kernel import closed, event_step, pooled_rows, told
from hepgen.generators.tiles import for_each_tile

if TYPE_CHECKING:
    from hepgen.generators.networks.epic import EpicLayer

TILE_NUMBERS = 2**17
"""Numbers of a layer that a core has at a time."""
_FEW_EVENTS = 4
_MANY_ROWS = 256


def packed_layers(
    layers: Sequence[EpicLayer], start: Tensor, counts: Tensor, event: Tensor, context: Tensor | None, slope: float
) -> Tensor:
    """What the stack makes of the constituents.

    Args:
        layers: of the stack; the start is added to what comes out of each.
        start: (constituents of all events, hidden).
        counts: (events,), constituents of each event.
        event: (events, latent).
        context: (events, numbers), given to every layer, or None.
        slope: of the leaky rectification.

    Returns:
        As ``start``.
    """
    events, latent = event.shape
    hidden = start.shape[1]
    offsets = np.zeros(events + 1, np.int64)
    np.cumsum(counts.numpy(), out=offsets[1:])
    x, tells = start.clone(), start.new_empty(events, hidden)
    found = torch.cat([start.new_empty(events, 2 * hidden), event, *([] if context is None else [context])], 1)
    now, known = found[:, 2 * hidden : 2 * hidden + latent], found[:, 2 * hidden :]
    parts = list(_tiles(offsets, max(1, TILE_NUMBERS * torch.get_num_threads() // hidden)))
    near = start.new_empty(max((offsets[last] - offsets[first] for first, last in parts), default=0), hidden)
    x_, near_, start_, found_, tells_ = (one.numpy() for one in (x, near, start, found, tells))
    pooled_rows(start_, offsets, np.float32(layers[0].sum_scale), found_)
    steep = np.float32(slope)
    for layer in layers:
        weight, bias = layer.point_in.weight, layer.point_out.bias.detach().numpy()
        if events <= _FEW_EVENTS:
            event_step(
                found_, *_arrays(layer.event_in), *_arrays(layer.event_out), weight.detach().numpy()[:, hidden:],
                layer.point_in.bias.detach().numpy(), event.numpy(), steep, tells_,
            )  # fmt: skip
        else:
            inner = functional.leaky_relu_(functional.linear(found, layer.event_in.weight, layer.event_in.bias), slope)
            outer = functional.linear(inner, layer.event_out.weight, layer.event_out.bias)
            functional.leaky_relu_(now.add_(outer), slope)
            torch.addmm(layer.point_in.bias, known, weight[:, hidden:].t(), out=tells)
            now.add_(event)
        first_weight, second_weight = (_turned(one, len(near)) for one in (weight[:, :hidden], layer.point_out.weight))
        scale = np.float32(layer.sum_scale)
        for first, last in parts:
            begin, end = offsets[first], offsets[last]
            flat, close = x[begin:end], near[: end - begin]
            torch.mm(flat, first_weight, out=close)

            def tell(some: slice, base: Any = begin) -> None:
                rows = slice(offsets[some.start] - base, offsets[some.stop] - base)
                told(near_[rows], offsets[some.start : some.stop + 1], tells_[some], steep)

            def finish(some: slice, bias: Any = bias, scale: Any = scale) -> None:
                rows = slice(offsets[some.start], offsets[some.stop])
                closed(x_[rows], bias, start_[rows], offsets[some.start : some.stop + 1], steep, scale, found_[some])

            _for_events(tell, first, last, close.numel())
            flat.addmm_(close, second_weight)
            _for_events(finish, first, last, close.numel())
    return x


def _tiles(offsets: np.ndarray, rows: int) -> Iterator[tuple[int, int]]:
    """First and last event of each tile of about so many constituents, at least one event."""
    events, first = len(offsets) - 1, 0
    while first < events:
        last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + rows, "right")) - 1)
        yield first, last
        first = last


def _for_events(work: Callable[[slice], None], first: int, last: int, size: int) -> None:
    """``work`` for slices of the events of a tile with ``size`` numbers, shared out over the threads."""
    number = last - first

    def part(values: slice) -> None:
        work(slice(first + values.start * number // size, first + values.stop * number // size))

    if size:
        for_each_tile(part, size)
    else:
        work(slice(first, last))


def _turned(weight: Tensor, rows: int) -> Tensor:
    """The transposed weight; copied where so many rows are multiplied that a product by rows in order pays for it."""
    return weight.t().contiguous() if rows >= _MANY_ROWS else weight.t()


def _arrays(layer: nn.Linear) -> tuple[Any, Any]:
    """Weight and bias, for compiled functions."""
    return layer.weight.detach().numpy(), layer.bias.detach().numpy()
