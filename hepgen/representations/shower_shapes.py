"""What physics looks at in the voxels of a layer, as differentiable functions of their logarithms."""

from __future__ import annotations

import torch
from torch import Tensor

from hepgen.physics.binning import Binning

# How sharp the threshold is that a derivative goes through: a voxel counts from about 0.8 to 1.2 of it on.
_SHARPNESS = 6.0
_SMALLEST_AREA = 1e-2  # mm2, or of the smallest pixel
_SMALLEST_SHARE = 1e-6
_SMALLEST_SUM = 1e-3  # thresholds


class ShowerShapes:
    """Per layer the share of voxels that are hit, how concentrated the energy is, and its centre and width.

    A sum over hundreds of voxels is hard to see for a network that is told only their logarithms, and it is what analyses
    use. Layers of one voxel have only the first; layers with angular bins have centre and width in both directions too.

    Args:
        binning: the readout.

    Example:
        >>> from hepgen.physics.binning import Binning, Layer
        >>> shapes = ShowerShapes(Binning((Layer(0, (0.0, 1.0, 3.0), 1),)))
        >>> found = shapes(torch.tensor([[2.0, 2.0]]))[0]  # two voxels of one energy, at r = 0.5 and 2 mm
        >>> [round(float(value), 2) for value in found]
        [1.0, -0.69, 1.25, 0.75]
    """

    def __init__(self, binning: Binning) -> None:
        self._parts = binning.layer_slices
        places = {"r": binning.r_mid, "eta": binning.eta, "phi": binning.phi}
        self._places = {name: torch.from_numpy(values).float() for name, values in places.items()}
        self._axes = [("r", "eta", "phi") if layer.resolves_directions else ("r",) for layer in binning.layers]
        self._smallest = [_SMALLEST_AREA * layer.finest_area for layer in binning.layers]
        sizes = [part.stop - part.start for part in self._parts]
        self.count = sum(1 if size == 1 else 2 + 2 * len(axes) for size, axes in zip(sizes, self._axes, strict=True))

    def __call__(self, logs: Tensor) -> Tensor:
        """Logarithms of voxels over the threshold, (events, voxels), to (events, count).

        Energies count from the threshold on, smoothly, so that a derivative goes through it.
        """
        above = torch.nn.functional.softplus(logs.exp() - 1, beta=_SHARPNESS)
        found = []
        for part, axes, smallest in zip(self._parts, self._axes, self._smallest, strict=True):
            found.append((_SHARPNESS * logs[:, part]).sigmoid().mean(1))
            if part.stop - part.start == 1:
                continue
            share = above[:, part] / (above[:, part].sum(1, keepdim=True) + _SMALLEST_SUM)
            found.append((share * share).sum(1).clamp(min=_SMALLEST_SHARE).log())
            for axis in axes:
                place = self._places[axis][part].to(logs)
                centre = share @ place
                found += [centre, (share @ place.square() - centre * centre).clamp(min=smallest).sqrt()]
        return torch.stack(found, 1)
