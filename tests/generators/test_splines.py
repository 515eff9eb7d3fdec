from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hepgen.generators import spline_kernel
from hepgen.generators.splines import MIN_BIN, MIN_SLOPE, SLOPE_SHIFT, inverse_spline, num_parameters, spline


def parameters(seed: int, events: int, bins: int, features: int, scale: float) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return scale * torch.randn(num_parameters(bins), features, events, generator=random, dtype=torch.float64)


def naive(x: float, raw: torch.Tensor, bound: float) -> tuple[float, float]:
    """arXiv:1906.04032 eq. 4 and 5 for one value, spelled out."""
    bins = (len(raw) + 1) // 3
    if abs(x) >= bound:
        return x, 0.0
    widths = 2 * bound * (MIN_BIN + (1 - bins * MIN_BIN) * torch.softmax(raw[:bins], 0))
    heights = 2 * bound * (MIN_BIN + (1 - bins * MIN_BIN) * torch.softmax(raw[bins : 2 * bins], 0))
    inner = MIN_SLOPE + torch.nn.functional.softplus(raw[2 * bins :] + SLOPE_SHIFT)
    slopes = torch.cat([torch.ones(1), inner, torch.ones(1)])
    xs = torch.cat([torch.zeros(1), widths.cumsum(0)]) - bound
    ys = torch.cat([torch.zeros(1), heights.cumsum(0)]) - bound
    k = max(i for i in range(bins) if xs[i] <= x)
    t, s = (x - xs[k]) / widths[k], heights[k] / widths[k]
    below = s + (slopes[k + 1] + slopes[k] - 2 * s) * t * (1 - t)
    y = ys[k] + heights[k] * (s * t**2 + slopes[k] * t * (1 - t)) / below
    slope = s**2 * (slopes[k + 1] * t**2 + 2 * s * t * (1 - t) + slopes[k] * (1 - t) ** 2) / below**2
    return float(y), float(torch.log(slope))


@given(st.integers(0, 10**6), st.integers(2, 12), st.floats(-7, 7), st.sampled_from([0.0, 0.3, 1.0, 3.0]))
@settings(max_examples=60, deadline=None)
def test_the_spline_is_that_of_the_paper(seed: int, bins: int, x: float, scale: float) -> None:
    raw = parameters(seed, 1, bins, 1, scale)
    y, log_slope = spline(torch.tensor([[x]], dtype=torch.float64), raw, 5.0)
    expected, expected_slope = naive(x, raw[:, 0, 0], 5.0)
    assert float(y) == pytest.approx(expected, abs=1e-9)
    assert float(log_slope) == pytest.approx(expected_slope, abs=1e-7)


@given(st.integers(0, 10**6), st.integers(2, 12), st.sampled_from([0.1, 1.0, 3.0, 10.0]))
@settings(max_examples=40, deadline=None)
def test_the_inverse_undoes_the_spline(seed: int, bins: int, scale: float) -> None:
    raw = parameters(seed, 200, bins, 3, scale)
    x = 4 * torch.randn(3, 200, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    y, log_slope = spline(x, raw, 5.0)
    back, log_inverse = inverse_spline(y, raw, 5.0)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-6)
    torch.testing.assert_close(log_inverse, -log_slope, rtol=0, atol=1e-4)


def test_single_precision_round_trip_of_a_trained_size_of_parameters() -> None:
    raw = parameters(1, 20_000, 8, 3, 1.0).float()
    x = 3 * torch.randn(3, 20_000, generator=torch.Generator().manual_seed(2))
    back, _ = inverse_spline(spline(x, raw, 6.0)[0], raw, 6.0)
    assert float((back - x).abs().max()) < 2e-2
    assert float((back - x).abs().median()) < 1e-5


@pytest.mark.parametrize("direction", [spline, inverse_spline])
def test_hand_written_gradients_are_those_of_finite_differences(direction: object) -> None:
    raw = parameters(3, 6, 5, 2, 1.0).requires_grad_()
    x = (2 * torch.randn(2, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: direction(a, b, 3.0), (x, raw))  # type: ignore[operator]


@pytest.mark.parametrize("direction", [spline, inverse_spline])
@pytest.mark.parametrize("bins", [2, 5, 8])
@pytest.mark.parametrize("events", [1, 127, 400])
def test_the_compiled_splines_are_those_of_the_tensors(direction: object, bins: int, events: int) -> None:
    assert spline_kernel.kernel(bins) is not None, "numba is there: nothing falls back unseen"
    raw = parameters(bins, events, bins, 3, 2.0)
    x = 4 * torch.randn(3, events, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    weights = torch.randn(2, 3, events, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    results = []
    for dtype in (torch.float64, torch.float32):  # only float32 is compiled
        a, b = (one.detach().to(dtype, copy=True).requires_grad_() for one in (x, raw))
        y, log_slope = direction(a, b, 5.0)  # type: ignore[operator]
        (y * weights[0] + log_slope * weights[1]).sum().backward()
        results.append([one.double() for one in (y.detach(), log_slope.detach(), a.grad, b.grad) if one is not None])
    for exact, single in zip(*results, strict=True):
        far = (single - exact).abs() / (1 + exact.abs())
        # where the slope is steep, single precision cannot be better
        assert float(far.median()) < 1e-5
        assert float(far.quantile(0.99)) < 2e-3


def test_zero_parameters_are_the_identity() -> None:
    x = torch.linspace(-8, 8, 101, dtype=torch.float64)[None]
    y, log_slope = spline(x, torch.zeros(num_parameters(8), 1, 101, dtype=torch.float64), 6.0)
    torch.testing.assert_close(y, x, rtol=0, atol=1e-9)
    torch.testing.assert_close(log_slope, torch.zeros_like(x), rtol=0, atol=1e-9)
    assert MIN_SLOPE + torch.nn.functional.softplus(torch.tensor(SLOPE_SHIFT)) == pytest.approx(1.0)


@pytest.mark.parametrize("direction", [spline, inverse_spline])
@pytest.mark.parametrize("value", [-1e30, -6.0, -0.0, 5.999999, 6.0, 1e30])
def test_no_value_and_no_parameters_give_nan(direction: object, value: float) -> None:
    raw = torch.randn(num_parameters(8), 2, 50, generator=torch.Generator().manual_seed(4)) * 1e3
    raw.requires_grad_()
    y, log_slope = direction(torch.full((2, 50), value), raw, 6.0)  # type: ignore[operator]
    (y.clamp(-10, 10).sum() + log_slope.sum()).backward()
    assert torch.isfinite(y).all()
    assert torch.isfinite(log_slope).all()
    assert raw.grad is not None
    assert torch.isfinite(raw.grad).all()
