"""Monotone rational-quadratic splines, arXiv:1906.04032, laid out for speed.

Events run fastest: values stand as (features, events) and the parameters of their splines as (3 bins - 1, features,
events), so that all operations for one bin are vector operations on contiguous memory. Bins are found by comparing and
counting, the discriminant is clamped, and outside [-bound, bound] the map is the identity on safe inputs: there is no
branch on data and no assertion that can stop a long job.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

MIN_BIN = 1e-3
MIN_SLOPE = 1e-3
# softplus(SLOPE_SHIFT) + MIN_SLOPE == 1: a network that gives zeros gives the identity, and 0 is a slope of 1.
SLOPE_SHIFT = math.log(math.expm1(1 - MIN_SLOPE))


def num_parameters(bins: int) -> int:
    """Parameters of one spline: widths, heights and inner slopes."""
    return 3 * bins - 1


class _PickBin(torch.autograd.Function):
    """Find the bin of each value and pick its edges and the raw slopes at its ends.

    One walk over the bins on (features, events) arrays that stay in the processor's cache, instead of cumulative sums and
    gathers over (bins, features, events); masks are numbers, because a product is far cheaper than a choice on a CPU.
    The gradient is written by hand: of all widths and heights only the sums up to the bin matter, and the sum over bins
    in the gradient of the softmax is known from them.
    """

    @staticmethod
    def forward(ctx: Any, unit: Tensor, raw: Tensor, bins: int, by_height: bool) -> tuple[Tensor, ...]:
        scale = 1 - bins * MIN_BIN
        part_w, part_h, slopes = raw[:bins], raw[bins : 2 * bins], raw[2 * bins :]
        exp_w = (part_w - part_w.amax(0)).exp_()
        exp_h = (part_h - part_h.amax(0)).exp_()
        total_w, total_h = exp_w.sum(0), exp_h.sum(0)
        # The value in the units of the running sum: bin k begins where sum(exp[:k]) + k * margin reaches it.
        total = total_h if by_height else total_w
        target, margin = (unit * total).mul_(1 / scale), total * (MIN_BIN / scale)
        running = (exp_h if by_height else exp_w)[0].clone()
        left, bottom, width, height, number, slope_left, slope_right = (torch.zeros_like(unit) for _ in range(7))
        reached, inside = torch.ones_like(unit), torch.empty_like(unit)  # reached: the value lies in bin k or later
        for k in range(bins):
            last = k == bins - 1
            if last:
                inside.copy_(reached)
            else:
                target -= margin
                beyond = torch.ge(target, running, out=torch.empty_like(unit)).mul_(reached)
                torch.sub(reached, beyond, out=inside)
                left.addcmul_(beyond, exp_w[k])
                bottom.addcmul_(beyond, exp_h[k])
                number += beyond
                running += (exp_h if by_height else exp_w)[k + 1]
                reached = beyond
                slope_right.addcmul_(inside, slopes[k])
            width.addcmul_(inside, exp_w[k])
            height.addcmul_(inside, exp_h[k])
            if k > 0:
                slope_left.addcmul_(inside, slopes[k - 1])
        left /= total_w
        width /= total_w
        bottom /= total_h
        height /= total_h
        ctx.save_for_backward(exp_w, exp_h, total_w, total_h, number, left, width, bottom, height)
        low = MIN_BIN * number
        return (
            torch.add(low, left, alpha=scale), width.mul(scale).add_(MIN_BIN),
            torch.add(low, bottom, alpha=scale), height.mul(scale).add_(MIN_BIN),
            slope_left, slope_right,
        )  # fmt: skip

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        exp_w, exp_h, total_w, total_h, number, left, width, bottom, height = ctx.saved_tensors
        bins = len(exp_w)
        scale = 1 - bins * MIN_BIN
        grad = exp_w.new_empty(num_parameters(bins), *exp_w.shape[1:])
        rates = []
        for total, low, size, to_low, to_size in (
            (total_w, left, width, grads[0], grads[1]), (total_h, bottom, height, grads[2], grads[3]),
        ):  # fmt: skip
            mean = (to_low * low).addcmul_(to_size, size)
            share = torch.reciprocal(total).mul_(scale)
            # d/d exp_j: (to_low [j before] + to_size [j inside] - mean) / total
            rates.append((to_low * share, to_size * share, mean.mul_(share)))
        before, inside, rate = (torch.empty_like(left) for _ in range(3))
        reached = torch.ones_like(left)
        for k in range(bins):
            torch.gt(number, k, out=before)
            torch.sub(reached, before, out=inside)
            for place, (exp, (to_low, to_size, mean)) in enumerate(zip((exp_w, exp_h), rates, strict=True)):
                torch.mul(before, to_low, out=rate).addcmul_(inside, to_size).sub_(mean)
                torch.mul(exp[k], rate, out=grad[place * bins + k])
            if k < bins - 1:
                torch.mul(inside, grads[5], out=grad[2 * bins + k])
            if k > 0:
                grad[2 * bins + k - 1].addcmul_(inside, grads[4])
            reached, before = before, reached
        return None, grad, None, None


def _bin_parameters(unit: Tensor, raw: Tensor, bins: int, *, by_height: bool) -> tuple[Tensor, ...]:
    picked: tuple[Tensor, ...] = _PickBin.apply(unit, raw, bins, by_height)  # type: ignore[no-untyped-call]
    left, width, bottom, height, raw_left, raw_right = picked
    slope_left = functional.softplus(raw_left + SLOPE_SHIFT) + MIN_SLOPE
    slope_right = functional.softplus(raw_right + SLOPE_SHIFT) + MIN_SLOPE
    return left, width, bottom, height, slope_left, slope_right


def spline(x: Tensor, raw: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """Forward map, arXiv:1906.04032 eq. 4 and 5.

    Args:
        x: (features, events).
        raw: (3 bins - 1, features, events), unconstrained.
        bound: the spline acts on [-bound, bound], outside the map is the identity.

    Returns:
        y of shape (features, events) and log(dy/dx) of the same shape.
    """
    bins = (len(raw) + 1) // 3
    held = x.clamp(-bound, bound)
    unit = (held + bound) / (2 * bound)
    left, width, bottom, height, d0, d1 = _bin_parameters(unit, raw, bins, by_height=False)
    t = ((unit - left) / width).clamp(0, 1)
    s = height / width
    cross = t * (1 - t)
    denominator = s + (d0 + d1 - 2 * s) * cross
    y = bottom + height * (s * t * t + d0 * cross) / denominator
    inside = (held == x).to(x.dtype)
    return y * (2 * bound) - bound + (x - held), _log_slope(t, cross, s, d0, d1, denominator) * inside


def inverse_spline(y: Tensor, raw: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """Inverse map, arXiv:1906.04032 eq. 29 to 31, by the root that does not cancel; arguments as for ``spline``.

    Returns:
        x of shape (features, events) and log(dx/dy) of the same shape.
    """
    bins = (len(raw) + 1) // 3
    held = y.clamp(-bound, bound)
    unit = (held + bound) / (2 * bound)
    left, width, bottom, height, d0, d1 = _bin_parameters(unit, raw, bins, by_height=True)
    rise = (unit - bottom).clamp(min=0).minimum(height)
    s = height / width
    curve = rise * (d0 + d1 - 2 * s)
    a = height * (s - d0) + curve
    b = height * d0 - curve
    c = -s * rise
    discriminant = (b * b - 4 * a * c).clamp(min=0)
    t = (2 * c / (-b - discriminant.sqrt())).clamp(0, 1)
    cross = t * (1 - t)
    denominator = s + (d0 + d1 - 2 * s) * cross
    inside = (held == y).to(y.dtype)
    x = (left + t * width) * (2 * bound) - bound + (y - held)
    return x, -_log_slope(t, cross, s, d0, d1, denominator) * inside


def _log_slope(t: Tensor, cross: Tensor, s: Tensor, d0: Tensor, d1: Tensor, denominator: Tensor) -> Tensor:
    """log(dy/dx), arXiv:1906.04032 eq. 5."""
    ratio = s / denominator
    return (ratio * ratio * (d1 * t * t + 2 * s * cross + d0 * (1 - t) * (1 - t))).log()
