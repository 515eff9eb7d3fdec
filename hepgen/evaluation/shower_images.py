"""The average shower of both samples: over layers and radius, angle and radius where a layer has angles, or pixels."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hepgen.evaluation.domain import Array, FloatArray
from hepgen.evaluation.report_parts import ImageRow, ShowerImage
from hepgen.physics.binning import Binning, Layer, PixelLayer
from hepgen.physics.observables import angular_layers

MAX_POLAR = 4
"""Layers that are shown in angle and radius at most, those that hold most energy."""


def shower_images(
    reference: Array, generated: Array, binning: Binning, energy_unit: str = "MeV"
) -> tuple[ShowerImage, ...]:
    """Mean energy densities over the readout, in MeV/mm^2 a shower, or the mean energy of each pixel.

    The first image has a row for each layer, with the radial edges of that layer and summed over the angle; it is left
    out where there is one layer only, or one of pixels. One image follows for each of the angular layers that hold most of the reference's
    energy, at most 4, in the order of the binning. Parts without energy in the reference have no image.

    Args:
        reference, generated: (events, voxels), cut at the threshold.
        binning: the readout.
        energy_unit: of the voxels.
    """
    parts = [
        [sample[:, part].reshape(len(sample), *layer.shape) for sample in (reference, generated)]
        for layer, part in zip(binning.layers, binning.layer_slices, strict=True)
    ]
    totals = np.array([float(true.sum(dtype=np.float64)) for true, _ in parts])
    images = []
    rounds = [layer for layer in binning.layers if isinstance(layer, Layer)]
    density = f"{energy_unit}/{binning.length_unit}$^2$"
    if len(rounds) == binning.num_layers > 1 and totals.any():
        rings = [[sample.sum(axis=1, dtype=np.float64) for sample in part] for part in parts]
        rows = [
            _row((index - 0.5, index + 0.5), layer.r_edges, _ring_areas(layer), ring)
            for index, (layer, ring) in enumerate(zip(rounds, rings, strict=True))
        ]
        numbers = tuple(str(layer.id) for layer in rounds)
        images.append(
            ShowerImage(
                "shower_layers", "mean shower, all layers", tuple(rows),
                labels=numbers, unit=density, length_unit=binning.length_unit,
            )
        )  # fmt: skip
    strongest = sorted(angular_layers(binning), key=lambda index: -totals[index])[:MAX_POLAR]
    for index in sorted(strongest):
        if totals[index] > 0:
            layer = binning.layers[index]
            if isinstance(layer, PixelLayer):
                one = _pixels(layer, parts[index])
                images.append(replace(one, unit=energy_unit, length_unit=binning.length_unit))
            else:
                images.append(replace(_polar(layer, parts[index]), unit=density, length_unit=binning.length_unit))
    return tuple(images)


def _pixels(layer: PixelLayer, samples: Sequence[Array]) -> ShowerImage:
    """A row for each bin in x of a layer, of samples (events, x, y)."""
    one = np.ones(layer.shape[1])
    rows = [
        _row((low, high), layer.y_edges, one, [sample[:, index] for sample in samples])
        for index, (low, high) in enumerate(itertools.pairwise(layer.x_edges))
    ]
    return ShowerImage(f"image_{layer.id}", "mean image", tuple(rows))


def _polar(layer: Layer, samples: Sequence[Array]) -> ShowerImage:
    """A row for each angular bin of a layer, of samples (events, angles, rings)."""
    edges = np.linspace(-np.pi, np.pi, layer.num_alpha + 1).tolist()
    areas = _ring_areas(layer) / layer.num_alpha
    rows = [
        _row((edges[index], edges[index + 1]), layer.r_edges, areas, [sample[:, index] for sample in samples])
        for index in range(layer.num_alpha)
    ]
    return ShowerImage(f"shower_layer_{layer.id}", f"mean shower in layer {layer.id}", tuple(rows), polar=True)


def _ring_areas(layer: Layer) -> FloatArray:
    """Areas of the whole rings of a layer, (rings,), mm^2."""
    return np.pi * np.diff(np.square(layer.r_edges))


def _row(
    span: tuple[float, float], r_edges: tuple[float, ...], areas: FloatArray, samples: Sequence[Array]
) -> ImageRow:
    """Mean densities of both samples, each (events, rings) in MeV."""
    (true, true_error), (made, made_error) = (_mean_and_error(sample, areas) for sample in samples)
    return ImageRow(*span, r_edges, true, true_error, made, made_error)


def _mean_and_error(energies: Array, areas: FloatArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean over the events per area, and its statistical error.

    Example:
        >>> _mean_and_error(np.array([[1.0], [3.0]]), np.array([2.0]))
        ((1.0,), (0.353553,))
    """
    count = len(energies)
    mean = energies.mean(axis=0, dtype=np.float64)
    square = np.einsum("er,er->r", energies, energies, dtype=np.float64) / count
    error = np.sqrt(np.clip(square - mean**2, 0.0, None) / count)
    return tuple((mean / areas).tolist()), tuple((error / areas).tolist())
