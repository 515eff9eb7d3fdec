"""The voxels of a cylindrical calorimeter readout: layers, radial edges, angular bins.

Voxels are numbered as in the CaloChallenge files: layer, then angle, then radius, the radius running fastest.
"""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepgen.errors import ConfigError, suggest

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Layer:
    """One layer of a readout.

    Attributes:
        id: number of the layer in the detector.
        r_edges: radial bin edges in mm, ascending.
        num_alpha: number of equal angular bins over the full circle.
    """

    id: int
    r_edges: tuple[float, ...]
    num_alpha: int

    def __post_init__(self) -> None:
        if len(self.r_edges) < 2 or any(b <= a for a, b in itertools.pairwise(self.r_edges)):
            raise ConfigError("radial edges must ascend", where=f"layer {self.id}: {list(self.r_edges)}")
        if self.num_alpha < 1:
            raise ConfigError(f"a layer needs at least one angular bin, not {self.num_alpha}", where=f"layer {self.id}")

    @property
    def num_r(self) -> int:
        return len(self.r_edges) - 1

    @property
    def num_voxels(self) -> int:
        return self.num_r * self.num_alpha


@dataclass(frozen=True)
class Binning:
    """A readout geometry: its layers in the order of the file, and the place of every voxel.

    Arrays over voxels have shape (num_voxels,); lengths are in mm, angles in rad.

    Example:
        >>> binning = Binning((Layer(0, (0.0, 5.0, 10.0), 1), Layer(1, (0.0, 2.0), 4)))
        >>> binning.num_voxels, binning.layer_of_voxel.tolist()
        (6, [0, 0, 1, 1, 1, 1])
    """

    layers: tuple[Layer, ...]
    particle: str = ""

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
        """The inverse of ``to_dict``; also what a YAML file may say: ``layers: [{r_edges: [...], num_alpha: 10}, ...]``.

        ``id`` may be left out, the layers are then numbered.

        Raises:
            ConfigError: if a key is missing or unknown.
        """
        known = {"id", "r_edges", "num_alpha"}
        layers = []
        if not isinstance(state.get("layers"), list):
            raise ConfigError("a binning needs a list 'layers'", where=where)
        for number, entry in enumerate(state["layers"]):
            place = f"{where}: layer {number}"
            if not isinstance(entry, Mapping):
                raise ConfigError("a layer is a mapping with r_edges and num_alpha", where=place)
            for key in entry:
                if key not in known:
                    raise ConfigError(f"unknown key '{key}'", where=place, hint=suggest(str(key), known))
            if "r_edges" not in entry:
                raise ConfigError("no 'r_edges'", where=place, hint="list the radial bin edges in mm")
            try:
                edges = tuple(float(edge) for edge in entry["r_edges"])
                layers.append(Layer(int(entry.get("id", number)), edges, int(entry.get("num_alpha", 1))))
            except (TypeError, ValueError) as error:
                raise ConfigError(f"a bad number: {error}", where=place) from error
        return cls(tuple(layers), particle=str(state.get("particle", "")))

    def to_dict(self) -> dict[str, Any]:
        layers = [{"id": x.id, "r_edges": list(x.r_edges), "num_alpha": x.num_alpha} for x in self.layers]
        return {"particle": self.particle, "layers": layers}

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
    def r_index(self) -> IntArray:
        return np.concatenate([np.tile(np.arange(layer.num_r), layer.num_alpha) for layer in self.layers])

    @cached_property
    def alpha_index(self) -> IntArray:
        return np.concatenate([np.repeat(np.arange(layer.num_alpha), layer.num_r) for layer in self.layers])

    @cached_property
    def r_mid(self) -> FloatArray:
        """Middle of the radial bin of each voxel, mm."""
        mids = [(np.array(x.r_edges)[1:] + np.array(x.r_edges)[:-1]) / 2 for x in self.layers]
        return np.concatenate([np.tile(mid, x.num_alpha) for mid, x in zip(mids, self.layers, strict=True)])

    @cached_property
    def alpha_mid(self) -> FloatArray:
        """Middle of the angular bin of each voxel, rad in (-pi, pi)."""
        parts = []
        for layer in self.layers:
            edges = np.linspace(-np.pi, np.pi, layer.num_alpha + 1)
            parts.append(np.repeat((edges[1:] + edges[:-1]) / 2, layer.num_r))
        return np.concatenate(parts)

    @cached_property
    def eta(self) -> FloatArray:
        """r cos(alpha) of each voxel, mm: what the CaloChallenge calls eta."""
        return self.r_mid * np.cos(self.alpha_mid)

    @cached_property
    def phi(self) -> FloatArray:
        """r sin(alpha) of each voxel, mm: what the CaloChallenge calls phi."""
        return self.r_mid * np.sin(self.alpha_mid)

    def rotation(self, steps: int, *, reflect: bool = False) -> IntArray:
        """Indices that turn every layer by steps/num_alpha of the circle times its own number of bins.

        ``voxels[:, binning.rotation(k)]`` is the shower turned by k bins of the layer with the fewest angular bins above
        one; with ``reflect`` it is mirrored first. All angular bins must be multiples of that number.

        Raises:
            ConfigError: if the layers have no common rotation.
        """
        orders = [layer.num_alpha for layer in self.layers if layer.num_alpha > 1]
        smallest = min(orders, default=1)
        if any(order % smallest for order in orders):
            raise ConfigError(f"layers with {orders} angular bins share no rotation", hint="leave 'augment' empty")
        parts = []
        for layer, part in zip(self.layers, self.layer_slices, strict=True):
            index = np.arange(part.start, part.stop).reshape(layer.num_alpha, layer.num_r)
            if reflect:
                index = index[::-1]
            if layer.num_alpha > 1:
                index = np.roll(index, steps * layer.num_alpha // smallest, axis=0)
            parts.append(index.ravel())
        return np.concatenate(parts)

    @property
    def rotation_order(self) -> int:
        """Number of distinct rotations that ``rotation`` knows."""
        return min((layer.num_alpha for layer in self.layers if layer.num_alpha > 1), default=1)
