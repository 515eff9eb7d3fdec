"""The shape of an image in a few numbers that are made before its pixels, and pixels that keep to them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hepgen.errors import ConfigError
from hepgen.physics.binning import Binning

_MARGIN = 1e-6  # a pixel at the threshold must not fall below it when it is rounded to float32
_FAINTEST = 0.02  # thresholds above the threshold, of a pixel that has to be hit and was made below it
_NARROWEST = 1e-2  # of the finest pixel
_EDGE = 1e-4
_NEVER = 1e-6  # occupancy that is as good as none
_RIDGE = 1e-7
_STEPS, _HALVINGS = 40, 12
_ACCURATE = 1e-6


class ImageShapes:
    """How many pixels of an image are hit, and the centre and widths of its energy: with the energy, what analyses look at.

    These are few numbers, which a density learns better than a network makes hundreds of pixels agree on them. Pixels
    that were made then keep to them: the hottest are hit, as many as there shall be; what each has above the threshold is
    multiplied by exp(a x + b y + c x^2 + d y^2 + e r), the least change (in relative entropy) of their shares by which the
    means of x, y, x^2, y^2 and r are right. a to e are found by Newton's method for each image. Where no such shares are
    (a centre outside of all hits), they come as near as they can.

    Args:
        binning: one layer of pixels, or of rings with angular bins.

    Raises:
        ConfigError: for any other readout.

    Example:
        >>> axis = {"bins": 5, "low": -2.5, "high": 2.5}
        >>> shapes = ImageShapes(Binning.from_dict({"pixels": {"x_edges": axis, "y_edges": axis}}))
        >>> image = torch.zeros(1, 25)
        >>> image[0, [7, 12, 13]] = torch.tensor([1.0, 4.0, 3.0])
        >>> [round(float(value), 2) for value in shapes.measure(image)[0]]  # hits, x, y, their widths, mean r
        [3.0, -0.12, 0.38, 0.33, 0.48, 0.5]
    """

    count = 6

    def __init__(self, binning: Binning) -> None:
        if binning.num_layers != 1 or not binning.layers[0].resolves_directions:
            raise ConfigError(
                "only an image, one layer that resolves directions, has its shape made first",
                where="representation.shape_first", hint="leave it out",
            )  # fmt: skip
        x, y = torch.from_numpy(binning.eta), torch.from_numpy(binning.phi)
        self._reach = float(binning.layers[0].reach)
        self._narrowest = _NARROWEST * float(binning.layers[0].finest_area) ** 0.5
        self._places = torch.stack([x, y, x * x, y * y, torch.hypot(x, y)], 1)

    def measure(self, pixels: Tensor) -> Tensor:
        """Hits, mean x and y, their widths, and mean r, in the unit of the binning, (events, 6), of pixels (events, pixels)."""
        total = pixels.sum(1, keepdim=True)
        x, y, xx, yy, r = ((pixels / total.clamp(min=1e-30)).double() @ self._places.to(pixels.device)).T
        widths = [(square - mean * mean).clamp(min=0).sqrt() for square, mean in ((xx, x), (yy, y))]
        return torch.stack([(pixels > 0).sum(1).double(), x, y, *widths, r], 1).to(pixels.dtype)

    def to_features(self, shape: Tensor, noise: Tensor) -> Tensor:
        """Unbounded numbers (events, 6) of what ``measure`` gives; ``noise`` (events,), uniform, spreads the hits."""
        hits, x, y, wide_x, wide_y, _, share = self._parts(shape, noise)
        return torch.stack([hits.log(), x, y, wide_x.log(), wide_y.log(), share.logit()], 1)

    def _parts(self, shape: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        """Spread hits, x, y, widths of at least a trace, the largest mean r that these allow, and r as a share of it."""
        hits, x, y, *widths, r = shape.T
        wide_x, wide_y = (one.clamp(min=self._narrowest) for one in widths)
        most = _largest_mean_r(x, y, wide_x, wide_y)
        return hits.clamp(min=1) - 0.5 + noise, x, y, wide_x, wide_y, most, (r / most).clamp(_EDGE, 1 - _EDGE)

    def from_features(self, features: Tensor) -> Tensor:
        """The inverse: a shape that an image could have."""
        hits, x, y, wide_x, wide_y, share = features.T
        x, y = (one.clamp(-self._reach, self._reach) for one in (x, y))
        wide_x, wide_y = (one.exp().clamp(max=self._reach) for one in (wide_x, wide_y))
        r = share.sigmoid() * _largest_mean_r(x, y, wide_x, wide_y)
        return torch.stack([hits.exp().round().clamp(1, len(self._places)), x, y, wide_x, wide_y, r], 1)

    def log_abs_det(self, shape: Tensor, noise: Tensor) -> Tensor:
        """log of the derivative of the features by the numbers of a shape, (events,)."""
        hits, _, _, wide_x, wide_y, most, share = self._parts(shape, noise)
        bounded = (share * (1 - share) * most).log()
        spread: Tensor = hits.log() + wide_x.log() + wide_y.log() + bounded
        return -spread

    def place(
        self, logs: Tensor, energies: Tensor, shape: Tensor, threshold: float, occupancy: Tensor | None = None
    ) -> Tensor:
        """Pixels of these energies (events,) and shapes (events, 6).

        Args:
            logs: (events, pixels), logarithms of what was made, over the threshold.
            threshold: energy of the faintest pixel that is read out.
            occupancy: share of true images in which a pixel is hit, (pixels,): where more have to be hit than were made,
                those that are likely are.

        Returns:
            (events, pixels); each image sums to its energy, or to 0 where that is below the threshold.
        """
        cut = threshold * (1 + _MARGIN)
        total = energies.double()
        most = (total / cut).floor().clamp(min=1)
        hits = torch.minimum(shape[:, 0].double(), most)
        likely = 0.0 if occupancy is None else (occupancy.to(logs).double() + _NEVER).log()
        order = torch.where(logs > 0, logs.double() - math.log(_NEVER), logs.double() + likely)
        indices = order.topk(int(hits.max()), dim=1).indices
        values = logs.double().gather(1, indices)
        there = torch.arange(values.shape[1], device=logs.device) < hits[:, None]
        above = (values.exp() - 1).clamp(min=_FAINTEST).log().masked_fill(~there, -torch.inf)
        scale = torch.tensor([1, 1, 1 / self._reach, 1 / self._reach, 1], dtype=torch.float64, device=logs.device)
        places = (self._places.to(logs.device) * scale / self._reach)[indices]
        x, y, wide_x, wide_y, r = shape[:, 1:].double().T
        means = torch.stack([x, y, x * x + wide_x**2, y * y + wide_y**2, r], 1) * scale / self._reach
        room = (total - hits * cut).clamp(min=0)
        wanted = total[:, None] * means - cut * (places * there[:, :, None]).sum(1)
        shares = tilted(above, places, wanted / room.clamp(min=1e-30)[:, None])
        pixels = (cut + shares * room[:, None]) * there
        made = torch.zeros(logs.shape, dtype=torch.float64, device=logs.device).scatter_(1, indices, pixels)
        found_pixels: Tensor = made * (total >= cut)[:, None]
        return found_pixels.to(logs.dtype)


def _largest_mean_r(x: Tensor, y: Tensor, wide_x: Tensor, wide_y: Tensor) -> Tensor:
    """The root of the mean r^2, which no mean r exceeds."""
    return (x.square() + wide_x.square() + y.square() + wide_y.square()).sqrt()


def tilted(logs: Tensor, places: Tensor, wanted: Tensor) -> Tensor:
    """Shares (events, points) nearest to exp(logs), normalised, in relative entropy whose mean place is the wanted one.

    They are exp(logs + t . place) over their sum; t minimises a convex function, with a small ridge that keeps it finite
    where no shares have that mean.

    Args:
        logs: (events, points), float64; -inf where there is no point.
        places: (events, points, numbers), of order 1.
        wanted: (events, numbers).

    Example:
        >>> logs = torch.zeros(1, 3, dtype=torch.float64)
        >>> places = torch.tensor([[[-1.0], [0.0], [1.0]]], dtype=torch.float64)
        >>> shares = tilted(logs, places, torch.tensor([[0.5]], dtype=torch.float64))
        >>> round(float((shares @ places[0]).item()), 4)
        0.5
    """
    tilt = torch.zeros_like(wanted)
    ridge = _RIDGE * torch.eye(wanted.shape[1], dtype=wanted.dtype, device=wanted.device)
    at = _above(logs, places, wanted, tilt)
    left = torch.arange(len(logs), device=logs.device)  # images that are not done
    for _ in range(_STEPS):
        own = logs[left], places[left], wanted[left]
        here, before = tilt[left], at[left]
        shares = _shares(*own[:2], here)
        mean = torch.bmm(shares[:, None], own[1])[:, 0]
        slope = mean - own[2] + _RIDGE * here
        spread = torch.bmm((shares[:, :, None] * own[1]).mT, own[1]) - mean[:, :, None] * mean[:, None, :]
        step = -torch.linalg.solve(spread + ridge, slope)
        down = (slope * step).sum(1)
        length = torch.ones_like(down)
        for _ in range(_HALVINGS):
            after = _above(*own, here + length[:, None] * step)
            short = after <= before + 1e-4 * length * down
            if bool(short.all()):
                break
            length = torch.where(short, length, length / 2)
        better = after < before
        tilt[left] = torch.where(better[:, None], here + length[:, None] * step, here)
        at[left] = torch.where(better, after, before)
        left = left[better & (slope.abs().max(1).values > _ACCURATE)]
        if not len(left):
            break
    return _shares(logs, places, tilt)


def _shares(logs: Tensor, places: Tensor, tilt: Tensor) -> Tensor:
    return (logs + torch.bmm(places, tilt[:, :, None])[:, :, 0]).softmax(1)


def _above(logs: Tensor, places: Tensor, wanted: Tensor, tilt: Tensor) -> Tensor:
    """The convex function that the tilt minimises, (events,)."""
    exponent = logs + torch.bmm(places, tilt[:, :, None])[:, :, 0]
    return exponent.logsumexp(1) - (tilt * wanted).sum(1) + 0.5 * _RIDGE * tilt.square().sum(1)
