"""The layers of a readout: rings cut into angles, or pixels on a Cartesian grid."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepgen.errors import ConfigError, suggest

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_REGULAR = ("bins", "low", "high")


@dataclass(frozen=True)
class Layer:
    """A layer of rings; its voxels are numbered by angle, then radius, the radius running fastest.

    Attributes:
        id: number of the layer in the detector.
        r_edges: radial bin edges, ascending, in the unit of length of the binning.
        num_alpha: number of equal angular bins over the full circle.
    """

    id: int
    r_edges: tuple[float, ...]
    num_alpha: int

    def __post_init__(self) -> None:
        _check_edges("radial edges", self.r_edges, self.id)
        if self.num_alpha < 1:
            raise ConfigError(f"a layer needs at least one angular bin, not {self.num_alpha}", where=f"layer {self.id}")

    @property
    def num_r(self) -> int:
        return len(self.r_edges) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of bins in angle and radius."""
        return self.num_alpha, self.num_r

    @property
    def num_voxels(self) -> int:
        return self.num_r * self.num_alpha

    @property
    def resolves_directions(self) -> bool:
        """Whether a centre in two directions means anything."""
        return self.num_alpha > 1

    @property
    def num_turns(self) -> int:
        """Number of rotations that map the layer onto itself."""
        return self.num_alpha

    @property
    def reach(self) -> float:
        """The outer radius."""
        return self.r_edges[-1]

    @property
    def finest_area(self) -> float:
        """What is small for a variance of positions: mm^2, whatever the rings."""
        return 1.0

    def centres(self) -> tuple[FloatArray, FloatArray]:
        """Radius, and angle in rad in (-pi, pi), of the middle of each voxel."""
        mids, edges = _mids(self.r_edges), np.linspace(-np.pi, np.pi, self.num_alpha + 1)
        return np.tile(mids, self.num_alpha), np.repeat(_mids(edges), self.num_r)

    def areas(self) -> FloatArray:
        """Area of each voxel, in the order of the voxels."""
        return np.tile(np.pi * np.diff(np.square(self.r_edges)) / self.num_alpha, self.num_alpha)

    def turned(self, steps: int, *, reflect: bool) -> IntArray:
        """Indices of the voxels after a rotation by ``steps`` angular bins, mirrored first where ``reflect``."""
        index = np.arange(self.num_voxels).reshape(self.shape)
        if reflect:
            index = index[::-1]
        return np.roll(index, steps, axis=0).ravel()

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.id, "r_edges": list(self.r_edges), "num_alpha": self.num_alpha}


@dataclass(frozen=True)
class PixelLayer:
    """A layer of pixels (x, y), such as a jet image in eta and phi; its voxels are numbered by x, then y, y running fastest.

    An image of shape (events, x, y) is its voxels (events, x * y) in their order.

    Attributes:
        id: number of the layer.
        x_edges, y_edges: bin edges, ascending, in the unit of length of the binning.

    Example:
        >>> pixels = PixelLayer(0, (-1.0, 0.0, 1.0), (0.0, 1.0, 3.0, 4.0))
        >>> pixels.shape, pixels.areas().tolist()
        ((2, 3), [1.0, 2.0, 1.0, 1.0, 2.0, 1.0])
    """

    id: int
    x_edges: tuple[float, ...]
    y_edges: tuple[float, ...]

    def __post_init__(self) -> None:
        _check_edges("edges in x", self.x_edges, self.id)
        _check_edges("edges in y", self.y_edges, self.id)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of bins in x and y."""
        return len(self.x_edges) - 1, len(self.y_edges) - 1

    @property
    def num_voxels(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def resolves_directions(self) -> bool:
        """Whether a centre in two directions means anything."""
        return self.num_voxels > 1

    @property
    def num_turns(self) -> int:
        """4 where quarter turns about the origin map the grid onto itself, 2 where half turns do, else 1."""
        if not (_mirrors(self.x_edges) and _mirrors(self.y_edges)):
            return 1
        return 4 if _alike(self.x_edges, self.y_edges) else 2

    @property
    def reach(self) -> float:
        """The largest distance from an axis through the origin."""
        return max(abs(edge) for edge in (*self.x_edges, *self.y_edges))

    @property
    def finest_area(self) -> float:
        """The area of the smallest pixel."""
        return float(self.areas().min())

    def centres(self) -> tuple[FloatArray, FloatArray]:
        """Distance from the origin, and angle in rad in (-pi, pi), of the middle of each pixel."""
        x, y = np.meshgrid(_mids(self.x_edges), _mids(self.y_edges), indexing="ij")
        return np.hypot(x, y).ravel(), np.arctan2(y, x).ravel()

    def areas(self) -> FloatArray:
        """Area of each pixel, in their order."""
        return np.outer(np.diff(self.x_edges), np.diff(self.y_edges)).ravel()

    def turned(self, steps: int, *, reflect: bool) -> IntArray:
        """Indices of the pixels after ``steps`` of the turns that the grid allows; ``reflect`` mirrors y first.

        Raises:
            ConfigError: to mirror a grid that is not symmetric in y.
        """
        index = np.arange(self.num_voxels).reshape(self.shape)
        if reflect:
            if not _mirrors(self.y_edges):
                raise ConfigError("pixels that are not symmetric about y = 0", hint="leave 'augment' empty")
            index = index[:, ::-1]
        return np.rot90(index, steps * 4 // self.num_turns).ravel()

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.id, "x_edges": list(self.x_edges), "y_edges": list(self.y_edges)}


AnyLayer = Layer | PixelLayer


def layer_from_dict(entry: Any, number: int, where: str) -> AnyLayer:
    """A layer as ``to_dict`` gives it or a YAML says it; edges are a list, or ``{bins: 25, low: -1, high: 1}``.

    Args:
        entry: the mapping.
        number: of the layer, where it names none.
        where: for messages.

    Raises:
        ConfigError: if a key is missing or unknown, or a number is none.

    Example:
        >>> layer_from_dict({"x_edges": {"bins": 2, "low": -1, "high": 1}, "y_edges": [0, 1]}, 0, "binning")
        PixelLayer(id=0, x_edges=(-1.0, 0.0, 1.0), y_edges=(0.0, 1.0))
    """
    if not isinstance(entry, Mapping):
        raise ConfigError("a layer is a mapping with r_edges and num_alpha, or x_edges and y_edges", where=where)
    pixels = "x_edges" in entry or "y_edges" in entry
    known = {"id", "x_edges", "y_edges"} if pixels else {"id", "r_edges", "num_alpha"}
    for key in entry:
        if key not in known:
            raise ConfigError(f"unknown key '{key}'", where=where, hint=suggest(str(key), known))
    for key in ("x_edges", "y_edges") if pixels else ("r_edges",):
        if key not in entry:
            raise ConfigError(f"no '{key}'", where=where, hint="list the bin edges, or give bins, low and high")
    try:
        identity = int(entry.get("id", number))
        if pixels:
            return PixelLayer(identity, _edges(entry["x_edges"], where), _edges(entry["y_edges"], where))
        return Layer(identity, _edges(entry["r_edges"], where), int(entry.get("num_alpha", 1)))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"a bad number: {error}", where=where) from error


def _edges(given: Any, where: str) -> tuple[float, ...]:
    if not isinstance(given, Mapping):
        return tuple(float(edge) for edge in given)
    for key in (*given, *_REGULAR):
        if key not in _REGULAR or key not in given:
            raise ConfigError(
                f"edges need {', '.join(_REGULAR)}, and there is {', '.join(map(str, given))}", where=where
            )
    low, high, bins = float(given["low"]), float(given["high"]), int(given["bins"])
    return tuple(np.linspace(low, high, bins + 1).round(12).tolist())


def _check_edges(words: str, edges: Sequence[float], layer: int) -> None:
    ascending = len(edges) > 1 and all(a < b for a, b in itertools.pairwise(edges))  # nan does not
    if not ascending or not np.isfinite(edges).all():
        raise ConfigError(f"{words} must ascend", where=f"layer {layer}: {list(edges)}")


def _mids(edges: Sequence[float] | FloatArray) -> FloatArray:
    array = np.asarray(edges, dtype=np.float64)
    return (array[1:] + array[:-1]) / 2


def _alike(one: Sequence[float], other: Sequence[float]) -> bool:
    return len(one) == len(other) and bool(np.allclose(one, other, rtol=0, atol=1e-9 * (1 + max(map(abs, one)))))


def _mirrors(edges: Sequence[float]) -> bool:
    return _alike(edges, [-edge for edge in reversed(edges)])
