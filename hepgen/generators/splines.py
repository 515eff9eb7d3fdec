"""Monotone rational-quadratic splines, arXiv:1906.04032, laid out for speed.

Events run fastest: values stand as (features, events) and the parameters of their splines as (3 bins - 1, features,
events), so that all operations for one bin are vector operations on contiguous memory. Bins are found by comparing and
counting, the discriminant is clamped, and outside [-bound, bound] the map is the identity on safe inputs: there is no
branch on data and no assertion that can stop a long job.

Both directions share one gradient, written by hand. For float32 on a CPU all of it is one compiled pass over the values
(`hepgen.generators.spline_kernel`); each value is computed by itself, so that the number of threads changes no bit of it.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from functools import cache, cached_property
from types import ModuleType
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from hepgen.generators.tiles import for_each_tile

MIN_BIN = 1e-3
MIN_SLOPE = 1e-3
# softplus(SLOPE_SHIFT) + MIN_SLOPE == 1: a network that gives zeros gives the identity, and 0 is a slope of 1.
SLOPE_SHIFT = math.log(math.expm1(1 - MIN_SLOPE))

# One row of the state for each thing that the gradient has to know of a value: the number of its bin, the edges and sizes
# of the bin as shares of the softmax, the slopes at its ends, the place in it from 0 to 1, and 1 inside the bound.
_NUMBER, _LEFT, _WIDTH, _BOTTOM, _HEIGHT, _SLOPE_LEFT, _SLOPE_RIGHT, _PLACE, _INSIDE = range(9)
_ROWS = 9


def num_parameters(bins: int) -> int:
    """Parameters of one spline: widths, heights and inner slopes."""
    return 3 * bins - 1


def spline(x: Tensor, raw: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """Forward map, arXiv:1906.04032 eq. 4 and 5.

    Args:
        x: (features, events).
        raw: (3 bins - 1, features, events), unconstrained.
        bound: the spline acts on [-bound, bound], outside the map is the identity.

    Returns:
        y of shape (features, events) and log(dy/dx) of the same shape.
    """
    return _apply(x, raw, bound, inverse=False)


def inverse_spline(y: Tensor, raw: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """Inverse map, arXiv:1906.04032 eq. 29 to 31, by the root that does not cancel; arguments as for ``spline``.

    Returns:
        x of shape (features, events) and log(dx/dy) of the same shape.
    """
    return _apply(y, raw, bound, inverse=True)


def _apply(x: Tensor, raw: Tensor, bound: float, *, inverse: bool) -> tuple[Tensor, Tensor]:
    # autocast may have given the parameters another type than the values
    function = _CompiledSpline if _can_compile(x) else _Spline
    mapped: tuple[Tensor, Tensor] = function.apply(x, raw.to(x.dtype), bound, inverse)  # type: ignore[no-untyped-call]
    return mapped


def _can_compile(x: Tensor) -> bool:
    plain = x.device.type == "cpu" and x.dtype == torch.float32
    return plain and not torch.compiler.is_compiling() and _kernel() is not None


@cache
def _kernel() -> ModuleType | None:
    """The compiled splines, where numba goes with the numpy and the Python that are here."""
    try:
        return importlib.import_module("hepgen.generators.spline_kernel")
    except ImportError:
        return None


def _compiled(raw: Tensor) -> Callable[..., None]:
    compiled: Callable[..., None] = cast("ModuleType", _kernel()).kernel((len(raw) + 1) // 3)
    return compiled


class _CompiledSpline(torch.autograd.Function):
    """Both maps for float32 on a CPU, see `hepgen.generators.spline_kernel`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, raw: Tensor, bound: float, inverse: bool) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, raw)
        ctx.numbers = (np.float32(bound), np.float32(MIN_BIN), np.float32(SLOPE_SHIFT), inverse)
        values, flat = _flat(x), _flat(raw, len(raw))
        mapped, slope = torch.empty_like(x), torch.empty_like(x)
        arguments = (*ctx.numbers, False, values, values, _flat(mapped), _flat(slope, 1))
        compiled = _compiled(raw)
        for_each_tile(lambda part: compiled(values, flat, part.start, part.stop, *arguments), x.numel())
        log_slope = slope.log_()
        return mapped, log_slope.neg_() if inverse else log_slope

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_mapped: Tensor, to_log_slope: Tensor) -> tuple[Tensor | None, ...]:
        x, raw = ctx.saved_tensors
        grad_x, grad_raw = torch.empty_like(x), torch.empty_like(raw)
        values, flat = _flat(x), _flat(raw, len(raw))
        results = _flat(grad_x), _flat(grad_raw, len(raw))
        arguments = (*ctx.numbers, True, _flat(to_mapped), _flat(to_log_slope), *results)
        compiled = _compiled(raw)
        for_each_tile(lambda part: compiled(values, flat, part.start, part.stop, *arguments), x.numel())
        return grad_x, grad_raw, None, None


def _flat(tensor: Tensor, rows: int | None = None) -> NDArray[np.float32]:
    """The numbers of a tensor, all in one row, or in ``rows`` rows."""
    shape = (-1,) if rows is None else (rows, -1)
    array: NDArray[np.float32] = tensor.detach().contiguous().view(shape).numpy()
    return array


class _Spline(torch.autograd.Function):
    """Both maps for any type and device."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, raw: Tensor, bound: float, inverse: bool) -> tuple[Tensor, Tensor]:
        bins = (len(raw) + 1) // 3
        exps = [(part - part.amax(0)).exp_() for part in (raw[:bins], raw[bins : 2 * bins])]
        totals = [exp.sum(0) for exp in exps]
        state = x.new_zeros(_ROWS, *x.shape)
        held = x.clamp(-bound, bound)
        torch.eq(held, x, out=state[_INSIDE])
        unit = (held + bound).mul_(0.5 / bound)
        _pick_bin(unit, exps, totals, raw[2 * bins :], state, inverse)
        left, width, bottom, height = _edges(state, bins)
        t, d0, d1 = state[_PLACE], state[_SLOPE_LEFT], state[_SLOPE_RIGHT]
        if inverse:
            torch.clamp(_solve(unit.sub_(bottom), height, width, d0, d1), 0, 1, out=t)
        else:
            torch.clamp(unit.sub_(left).div_(width), 0, 1, out=t)
        curve = _Curve(t, width, height, d0, d1)
        result = torch.addcmul(left, t, width) if inverse else torch.addcmul(bottom, curve.rise, height)
        mapped = (x - held).add_(result, alpha=2 * bound).sub_(bound)
        log_slope = curve.slope.log().mul_(state[_INSIDE])
        ctx.save_for_backward(*exps, *totals, state)
        ctx.bound, ctx.inverse = bound, inverse
        return mapped, log_slope.neg_() if inverse else log_slope

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_mapped: Tensor, to_log_slope: Tensor) -> tuple[Tensor | None, ...]:
        exp_w, exp_h, total_w, total_h, state = ctx.saved_tensors
        bins, bound = len(exp_w), ctx.bound
        grad = exp_w.new_empty(num_parameters(bins), *exp_w.shape[1:])
        _, width, _, height = _edges(state, bins)
        t, d0, d1 = state[_PLACE], state[_SLOPE_LEFT], state[_SLOPE_RIGHT]
        curve = _Curve(t, width, height, d0, d1)
        # Gradients with respect to the value and the log slope of the forward map at the same point: the inverse is the
        # forward map read from the other side.
        to_value = to_mapped * state[_INSIDE]
        tail = to_mapped - to_value
        to_value.mul_(2 * bound)
        to_log = to_log_slope * state[_INSIDE]
        log_rate = curve.log_slope_rate()
        if ctx.inverse:
            to_log.neg_()
            to_place = (to_value * width).neg_()
            to_input = torch.addcdiv(to_value, to_log.mul(log_rate), width).div_(curve.slope)
            to_value = -to_input
        else:
            to_place = (to_value * width).mul_(curve.slope).addcmul_(to_log, log_rate)
            to_input = to_place / width
        grad_x = torch.add(tail, to_input, alpha=0.5 / bound)
        to_s, to_d0, to_d1 = curve.gradients(to_value, to_log)
        per_width = to_place.div_(width)
        to_s.div_(width)
        to_height = torch.addcmul(to_s, to_value, curve.rise)
        to_width = (t * per_width).addcmul_(curve.s, to_s).neg_()
        # the derivative of softplus, from its value
        to_d0.mul_((MIN_SLOPE - d0).expm1_().neg_())
        to_d1.mul_((MIN_SLOPE - d1).expm1_().neg_())
        to_edges = ((per_width.neg_(), to_width), (to_value, to_height))
        _spread((exp_w, exp_h), (total_w, total_h), state, to_edges, (to_d0, to_d1), grad)
        return grad_x, grad, None, None


class _Curve:
    """The rational-quadratic curve of one bin at the place t, with slopes d0 and d1 at its ends."""

    def __init__(self, t: Tensor, width: Tensor, height: Tensor, d0: Tensor, d1: Tensor) -> None:
        self.t, self.height, self.d0, self.d1 = t, height, d0, d1
        self.s = height / width
        self.cross = torch.addcmul(t, t, t, value=-1)
        self.bend = (d0 + d1).sub_(self.s, alpha=2)
        self.over = torch.addcmul(self.s, self.bend, self.cross).reciprocal_()

    @cached_property
    def rise(self) -> Tensor:
        """How much of the height lies below the value, arXiv:1906.04032 eq. 4."""
        return (self.t * self.t).mul_(self.s).addcmul_(self.d0, self.cross).mul_(self.over)

    @cached_property
    def _numerator(self) -> Tensor:
        rest = 1 - self.t
        right = (self.t * self.t).mul_(self.d1).addcmul_(self.s, self.cross, value=2)
        return right.addcmul_(self.d0, rest.mul_(rest))

    @cached_property
    def slope(self) -> Tensor:
        """dy/dx, arXiv:1906.04032 eq. 5."""
        ratio = self.s * self.over
        return ratio.mul_(ratio).mul_(self._numerator)

    def log_slope_rate(self) -> Tensor:
        """d(log slope)/dt."""
        rest = 1 - self.t
        turn = rest - self.t
        rate = (self.d1 * self.t).addcmul_(self.s, turn).addcmul_(self.d0, rest, value=-1).div_(self._numerator)
        return rate.sub_(turn.mul_(self.bend).mul_(self.over)).mul_(2)

    def gradients(self, to_value: Tensor, to_log: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What s, d0 and d1 get of the gradients of the value and of the log slope."""
        t, over = self.t, self.over
        before = (to_value * self.height).mul_(over)
        flat = torch.add(self.cross.mul(-2), 1)
        # s: its part in the rise and in the denominator
        to_s = (t * t).addcmul_(self.rise, flat, value=-1).mul_(before)
        log_s = self.s.reciprocal().addcdiv_(self.cross, self._numerator).addcmul_(flat, over, value=-1)
        to_s.addcmul_(to_log, log_s, value=2)
        # d0 and d1: the denominator is the same for both
        per_log = to_log / self._numerator
        shared = (to_log * self.cross).mul_(over).mul_(-2)
        before.mul_(self.cross)
        both = torch.addcmul(shared, before, self.rise, value=-1)
        rest = 1 - t
        to_d0 = (rest.mul_(rest)).mul_(per_log).add_(both).add_(before)
        to_d1 = (t * t).mul_(per_log).add_(both)
        return to_s, to_d0, to_d1


def _pick_bin(
    unit: Tensor, exps: list[Tensor], totals: list[Tensor], slopes: Tensor, state: Tensor, by_height: bool
) -> None:
    """Find the bin of each value in [0, 1]: all rows of ``state`` from the number to the slopes.

    One walk over the bins, instead of cumulative sums and gathers over (bins, values); masks are numbers, because a
    product is far cheaper than a choice on a CPU.
    """
    exp_w, exp_h = exps
    bins = len(exp_w)
    scale = 1 - bins * MIN_BIN
    searched, total = exps[by_height], totals[by_height]
    number, left, width, bottom, height, slope_left, slope_right = state[:_PLACE]
    # The value in the units of the running sum: bin k begins where sum(exp[:k]) + k * margin reaches it.
    target, margin = (unit * total).mul_(1 / scale), total * (MIN_BIN / scale)
    running = searched[0].clone()
    reached, beyond, inside = torch.ones_like(unit), torch.empty_like(unit), torch.empty_like(unit)
    for k in range(bins):
        last = k == bins - 1
        if last:
            inside = reached
        else:
            target -= margin
            torch.ge(target, running, out=beyond).mul_(reached)  # the value lies in bin k + 1 or later
            torch.sub(reached, beyond, out=inside)
            left.addcmul_(beyond, exp_w[k])
            bottom.addcmul_(beyond, exp_h[k])
            number += beyond
            running += searched[k + 1]
            reached, beyond = beyond, reached
            slope_right.addcmul_(inside, slopes[k])
        width.addcmul_(inside, exp_w[k])
        height.addcmul_(inside, exp_h[k])
        if k > 0:
            slope_left.addcmul_(inside, slopes[k - 1])
    for share, all_bins in ((left, totals[0]), (width, totals[0]), (bottom, totals[1]), (height, totals[1])):
        share.div_(all_bins)
    for slope in (slope_left, slope_right):
        slope.copy_(functional.softplus(slope + SLOPE_SHIFT)).add_(MIN_SLOPE)


def _edges(state: Tensor, bins: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Left, width, bottom and height of the bins on [0, 1]."""
    scale = 1 - bins * MIN_BIN
    low = state[_NUMBER] * MIN_BIN
    return (
        torch.add(low, state[_LEFT], alpha=scale), state[_WIDTH].mul(scale).add_(MIN_BIN),
        torch.add(low, state[_BOTTOM], alpha=scale), state[_HEIGHT].mul(scale).add_(MIN_BIN),
    )  # fmt: skip


def _solve(above: Tensor, height: Tensor, width: Tensor, d0: Tensor, d1: Tensor) -> Tensor:
    """The place in the bin where the curve is ``above`` its bottom: the root that does not cancel."""
    rise = above.clamp_(min=0).minimum(height)
    s = height / width
    curve = (d0 + d1).sub_(s, alpha=2).mul_(rise)
    a = (s - d0).mul_(height).add_(curve)
    b = (height * d0).sub_(curve)
    c = s.mul_(rise).neg_()
    root = (b * b).addcmul_(a, c, value=-4).clamp_(min=0).sqrt_()
    return c.mul_(2).div_(b.add_(root).neg_())


def _spread(
    exps: tuple[Tensor, Tensor], totals: tuple[Tensor, Tensor], state: Tensor,
    to_edges: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]], to_slopes: tuple[Tensor, Tensor], grad: Tensor,
) -> None:  # fmt: skip
    """Write the gradient of all parameters: of those before the bin and those of the bin, no other enters but by the sum.

    d/d exp_j of the edges is (to_low [j before] + to_size [j inside] - mean) / total, with one mean for all bins.
    """
    bins = len(exps[0])
    scale = 1 - bins * MIN_BIN
    rates = []
    for total, low, size, (to_low, to_size) in zip(
        totals, (state[_LEFT], state[_BOTTOM]), (state[_WIDTH], state[_HEIGHT]), to_edges, strict=True
    ):
        share = torch.reciprocal(total).mul_(scale)
        mean = (to_low * low).addcmul_(to_size, size).mul_(share)
        rates.append((to_low * share, to_size * share, mean))
    number = state[_NUMBER]
    before, inside, rate = (torch.empty_like(number) for _ in range(3))
    reached = torch.ones_like(number)
    for k in range(bins):
        torch.gt(number, k, out=before)
        torch.sub(reached, before, out=inside)
        for place, (exp, (to_low, to_size, mean)) in enumerate(zip(exps, rates, strict=True)):
            torch.mul(before, to_low, out=rate).addcmul_(inside, to_size).sub_(mean)
            torch.mul(exp[k], rate, out=grad[place * bins + k])
        if k < bins - 1:
            torch.mul(inside, to_slopes[1], out=grad[2 * bins + k])
        if k > 0:
            grad[2 * bins + k - 1].addcmul_(inside, to_slopes[0])
        reached, before = before, reached
