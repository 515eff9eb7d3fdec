"""Jets as images: the pt of the constituents on a grid of eta and phi about the axis of the jet (arXiv:1701.05927)."""

from __future__ import annotations

from collections import Counter

import numpy as np

from hepgen.errors import UsageError
from hepgen.events.constituents import Jets, read_jets
from hepgen.events.conversion import Conversion, Converted, energy_factor, in_order, left_out, refuse
from hepgen.events.jetnet import empty_jets, sound_jets
from hepgen.events.jets import find_jets, unit_of_pt
from hepgen.events.schema import Column, Schema
from hepgen.events.source import Array, NumberedBatch
from hepgen.physics.binning import Binning, PixelLayer

IMAGE = "image"
_HALF = 12.5
PIXELS = PixelLayer(0, *((tuple(np.round((np.arange(26) - _HALF) / 10, 12).tolist()),) * 2))
"""The grid where none is given: 25 x 25 pixels of 0.1 x 0.1, as in the paper."""


def to_images(schema: Schema, binning: Binning | None, format: str, unit: str = "") -> Conversion:
    """Jets with constituents as images, beside the numbers of the jet.

    ``image`` is an array (eta, phi) of the summed pt in each pixel, in the unit of the file, GeV for JetNet; eta and phi are relative to the
    axis of the jet, which is not turned. Lists do not come along.

    Args:
        schema: of the input; `find_jets` finds the columns.
        binning: one layer of pixels, x for eta and y for phi; `PIXELS` where None.
        format: ``ttree``, ``rntuple`` or ``hdf5``.
        unit: of pt, where the file does not say it; GeV where nothing does.

    Raises:
        InputFileError: if there are no jets with constituents.
        UsageError: if the binning is not one layer of pixels.

    Example:
        >>> lists = [Column(f"part_{name}", "float32", jagged=True) for name in ("pt", "eta", "phi")]
        >>> conversion = to_images(Schema((Column("jet_pt", "float32", unit="GeV"), *lists)), None, "ttree")
        >>> [(column.name, column.shape, column.unit) for column in conversion.schema]
        [('jet_pt', (), 'GeV'), ('image', (25, 25), 'GeV')]
    """
    columns = find_jets(schema)
    if columns is None or IMAGE in schema:
        raise refuse(schema, "an image of jets", f"jets with constituents, and no column '{IMAGE}' yet")
    layer = PIXELS if binning is None else binning.layers[0]
    if not isinstance(layer, PixelLayer) or (binning is not None and binning.num_layers > 1):
        raise UsageError(
            "an image is one layer of pixels", where="--binning",
            hint="give a YAML with pixels: {x_edges: ..., y_edges: ...}, x for eta and y for phi",
        )  # fmt: skip
    lists = {column.counter for column in schema if column.counter}
    kept = [c for c in schema if not c.jagged and c.name not in {*lists, *columns.constituents, columns.features}]
    features = ("jet_pt", "jet_eta", "jet_mass") if columns.features else ()
    stated = "GeV" if columns.features else unit_of_pt(schema, columns)
    _, notes = energy_factor(stated, unit, "GeV", columns.jet_pt or columns.pt or columns.px)
    known = stated or unit or "GeV"
    of_jet = [Column(name, "float32", unit="" if name == "jet_eta" else "GeV") for name in features]
    written = Schema(
        (*kept, *of_jet, Column(IMAGE, "float32", layer.shape, unit=known)), tree=schema.tree, format=format
    )

    def apply(batch: NumberedBatch) -> Converted:
        jets = sound_jets(read_jets(batch.events, columns))
        images, outside = jet_images(jets, layer)
        found = {column.name: batch.events[column.name] for column in kept}
        found |= {name: getattr(jets.jet, name.removeprefix("jet_")).astype(np.float32) for name in features}
        lost = Counter({"constituents outside of the image": outside}) + empty_jets(jets)
        return Converted(in_order(written, {**found, IMAGE: images}, batch), lost)

    dropped = left_out(schema, {column.name for column in kept} | set(columns.constituents) | {columns.features})
    needed = dict.fromkeys((*columns.names, *(column.name for column in kept)))
    notes = (
        *notes,
        f"{layer.shape[0]} x {layer.shape[1]} pixels of the pt of constituents in eta and phi about the jet",
    )
    return Conversion(written, tuple(needed), apply, dropped, "an image holds pt alone", notes)


def jet_images(jets: Jets, layer: PixelLayer) -> tuple[Array, int]:
    """The summed pt of the constituents in each pixel, (jets, eta, phi), float32, and how many constituents lie outside.

    Example:
        >>> import awkward as ak
        >>> from hepgen.events.jets import JetColumns
        >>> events = ak.Array({"pt": [[30.0, 10.0, 5.0]], "eta": [[1.0, 1.1, 3.0]], "phi": [[3.1, -3.1, 3.1]]})
        >>> jets = read_jets(events, JetColumns(pt="pt", eta="eta", phi="phi"))
        >>> images, outside = jet_images(jets, PixelLayer(0, (-1.0, 0.0, 1.0), (-0.5, 0.5)))
        >>> images.tolist(), outside
        ([[[40.0], [0.0]]], 1)
    """
    inside = jets.in_jets()
    scale = jets.jet.pt[:, None] if jets.relative else 1.0
    x = np.searchsorted(layer.x_edges, inside.eta, side="right") - 1
    y = np.searchsorted(layer.y_edges, inside.phi, side="right") - 1
    there = jets.pt > 0
    seen = there & (x >= 0) & (x < layer.shape[0]) & (y >= 0) & (y < layer.shape[1])
    jet = np.broadcast_to(np.arange(len(jets))[:, None], seen.shape)
    place = np.ravel_multi_index((jet[seen], x[seen], y[seen]), (len(jets), *layer.shape))
    pt = np.broadcast_to(jets.pt * scale, seen.shape)[seen]
    sums = np.bincount(place, weights=pt, minlength=len(jets) * layer.num_voxels)
    return sums.reshape(len(jets), *layer.shape).astype(np.float32), int(np.count_nonzero(there & ~seen))
