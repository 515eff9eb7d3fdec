"""The voxels of a readout: layers of rings with radial edges and angular bins, or of pixels with edges in x and y.

Voxels are numbered layer by layer: by angle, then radius, as in the CaloChallenge files; pixels by x, then y.
"""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hepgen.errors import ConfigError, suggest
from hepgen.physics.layers import AnyLayer, FloatArray, IntArray, Layer, PixelLayer, layer_from_dict

__all__ = ["Binning", "Layer", "PixelLayer"]

POSITION_SCALE = 100.0
"""mm; centres and widths are divided by it in the feature matrix of the classifiers."""


_KEYS = {"layers", "pixels", "particle", "length_unit"}


@dataclass(frozen=True)
class Binning:
    """A readout geometry: its layers in the order of the file, and the place of every voxel.

    Arrays over voxels have shape (num_voxels,); lengths are in ``length_unit``, angles in rad.

    Attributes:
        layers: in the order of the file.
        particle: that the binning is of, empty where that does not matter.
        length_unit: of the edges; empty for those that have none, such as eta and phi.

    Example:
        >>> binning = Binning((Layer(0, (0.0, 5.0, 10.0), 1), Layer(1, (0.0, 2.0), 4)))
        >>> binning.num_voxels, binning.layer_of_voxel.tolist()
        (6, [0, 0, 1, 1, 1, 1])
    """

    layers: tuple[AnyLayer, ...]
    particle: str = ""
    length_unit: str = "mm"

    def __post_init__(self) -> None:
        if not self.layers:
            raise ConfigError("a binning needs at least one layer")

    @classmethod
    def from_xml(cls, text: str, particle: str | None = None, *, where: str = "binning XML") -> Binning:
        """Parse the CaloChallenge schema: ``<Bins><Bin name=..><Layer id=.. r_edges=.. n_bin_alpha=../></Bin></Bins>``.

        Args:
            text: the XML document.
            particle: name of the ``Bin`` to take; may be left out where there is only one.
            where: name of the file, for messages.

        Raises:
            ConfigError: if the text is no such document, or the particle is not in it.
        """
        try:
            root = ET.fromstring(text)
        except ET.ParseError as error:
            raise ConfigError(f"not an XML document: {error}", where=where) from error
        bins = {str(node.get("name") or node.get("pid") or ""): node for node in root.iter("Bin")}
        if not bins:
            raise ConfigError("no <Bin> element", where=where, hint="expected the CaloChallenge binning schema")
        if particle is None and len(bins) > 1:
            raise ConfigError(f"several particles ({', '.join(bins)})", where=where, hint="name one as 'particle'")
        name = next(iter(bins)) if particle is None else particle
        if name not in bins:
            raise ConfigError(
                f"no particle '{name}'", where=where, hint=suggest(name, bins) or f"has {', '.join(bins)}"
            )
        layers = []
        for node in bins[name].iter("Layer"):
            try:
                edges = tuple(float(edge) for edge in str(node.attrib["r_edges"]).split(","))
                if len(edges) > 1:  # r_edges="0" marks a layer that this particle does not reach
                    layers.append(Layer(int(node.attrib["id"]), edges, int(node.attrib["n_bin_alpha"])))
            except KeyError as error:
                raise ConfigError(f"a <Layer> without {error}", where=where) from error
            except ValueError as error:
                raise ConfigError(f"a <Layer> with a bad number: {error}", where=where) from error
        return cls(tuple(layers), particle=name)

    @classmethod
    def from_dict(cls, state: Mapping[str, Any], *, where: str = "binning") -> Binning:
        """The inverse of ``to_dict``; also what a YAML file may say.

        ``layers: [{r_edges: [...], num_alpha: 10}, ...]`` are rings, ``layers: [{x_edges: [...], y_edges: [...]}, ...]``
        pixels, and ``pixels: {x_edges: ..., y_edges: ...}`` is one layer of these. Edges are a list, or
        ``{bins: 25, low: -1.25, high: 1.25}``. ``id`` may be left out, the layers are then numbered.

        Raises:
            ConfigError: if a key is missing or unknown.

        Example:
            >>> axis = {"bins": 25, "low": -1.25, "high": 1.25}
            >>> Binning.from_dict({"pixels": {"x_edges": axis, "y_edges": axis}, "length_unit": ""}).num_voxels
            625
        """
        for key in state:
            if key not in _KEYS:
                raise ConfigError(f"unknown key '{key}'", where=where, hint=suggest(str(key), _KEYS))
        if "pixels" in state and "layers" not in state:
            layers = [layer_from_dict(state["pixels"], 0, f"{where}: pixels")]
            if not isinstance(layers[0], PixelLayer):
                raise ConfigError("pixels have x_edges and y_edges", where=where)
        elif isinstance(state.get("layers"), list) and "pixels" not in state:
            layers = [layer_from_dict(entry, n, f"{where}: layer {n}") for n, entry in enumerate(state["layers"])]
        else:
            raise ConfigError("a binning needs a list 'layers', or 'pixels' for an image", where=where)
        unit = state.get("length_unit", "mm")
        return cls(tuple(layers), particle=str(state.get("particle", "")), length_unit=str(unit or ""))

    def to_dict(self) -> dict[str, Any]:
        state = {"particle": self.particle, "layers": [layer.to_dict() for layer in self.layers]}
        return state if self.length_unit == "mm" else {**state, "length_unit": self.length_unit}

    @property
    def num_layers(self) -> int:
        return len(self.layers)

    @property
    def num_voxels(self) -> int:
        return sum(layer.num_voxels for layer in self.layers)

    @cached_property
    def layer_slices(self) -> tuple[slice, ...]:
        """The voxels of each layer, contiguous."""
        ends = np.cumsum([0] + [layer.num_voxels for layer in self.layers]).tolist()
        return tuple(slice(a, b) for a, b in itertools.pairwise(ends))

    @cached_property
    def layer_of_voxel(self) -> IntArray:
        """Index (not id) of the layer of each voxel."""
        return np.repeat(np.arange(self.num_layers), [layer.num_voxels for layer in self.layers])

    @cached_property
    def r_mid(self) -> FloatArray:
        """Middle of the radial bin of each voxel, mm; of a pixel the distance of its middle from the origin."""
        return np.concatenate([layer.centres()[0] for layer in self.layers])

    @cached_property
    def alpha_mid(self) -> FloatArray:
        """Middle of the angular bin of each voxel, rad in (-pi, pi)."""
        return np.concatenate([layer.centres()[1] for layer in self.layers])

    @cached_property
    def eta(self) -> FloatArray:
        """r cos(alpha) of each voxel, mm: what the CaloChallenge calls eta; x of a pixel."""
        return self.r_mid * np.cos(self.alpha_mid)

    @cached_property
    def phi(self) -> FloatArray:
        """r sin(alpha) of each voxel, mm: what the CaloChallenge calls phi; y of a pixel."""
        return self.r_mid * np.sin(self.alpha_mid)

    @property
    def position_scale(self) -> float:
        """What centres and widths are divided by for a classifier: 100 mm, and the reach of the grid in other units."""
        return POSITION_SCALE if self.length_unit == "mm" else max(layer.reach for layer in self.layers)

    @property
    def has_pixels(self) -> bool:
        """Whether a layer is one of pixels."""
        return any(isinstance(layer, PixelLayer) for layer in self.layers)

    def rotation(self, steps: int, *, reflect: bool = False) -> IntArray:
        """Indices that turn every layer by steps/num_alpha of the circle times its own number of bins.

        ``voxels[:, binning.rotation(k)]`` is the shower turned by k bins of the layer with the fewest angular bins above
        one; with ``reflect`` it is mirrored first. All angular bins must be multiples of that number. Pixels have four of
        them where the grid is a square about the origin, two where it is symmetric only.

        Raises:
            ConfigError: if the layers have no common rotation, or pixels no reflection.
        """
        orders = [layer.num_turns for layer in self.layers if layer.resolves_directions]
        smallest = self.rotation_order
        if any(order % smallest for order in orders):
            raise ConfigError(f"layers with {orders} angular bins share no rotation", hint="leave 'augment' empty")
        parts = []
        for layer, part in zip(self.layers, self.layer_slices, strict=True):
            own = steps * layer.num_turns // smallest if layer.resolves_directions else 0
            parts.append(part.start + layer.turned(own, reflect=reflect))
        return np.concatenate(parts)

    @property
    def rotation_order(self) -> int:
        """Number of distinct rotations that ``rotation`` knows."""
        return min((layer.num_turns for layer in self.layers if layer.resolves_directions), default=1)
