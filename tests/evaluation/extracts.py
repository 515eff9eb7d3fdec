"""Real extracts and their known distortions, and settings that keep the tests fast."""

from functools import cache
from pathlib import Path

import awkward as ak
import numpy as np

from hepgen.classifiers.network import NetworkOptions
from hepgen.classifiers.trees import TreeOptions
from hepgen.evaluation.protocols import Protocol
from hepgen.events.reader import open_events
from hepgen.events.source import MemorySource
from hepgen.physics.binning import Binning

DATA = Path(__file__).parents[1] / "data"
SMALL = Protocol(
    "fast",
    network=NetworkOptions(learning_rate=1e-3, hidden=(32, 32), epochs=12, patience=4, batch_size=100),
    trees=TreeOptions(rounds=25, leaves=8),
    splits=2,
    dear_splits=1,
    parts=5,
    folds=2,
    max_events=500,
    neighbours=300,
    nearest=200,
    plots=2,
)


@cache
def binning():
    return Binning.from_xml((DATA / "binning_photons.xml").read_text())


@cache
def photons():
    """(events, schema) of the bundled showers."""
    source = open_events(DATA / "photons.hdf5")
    return ak.concatenate(list(source.batches())), source.schema


@cache
def ttbar():
    source = open_events(DATA / "ttbar.root")
    return ak.concatenate(list(source.batches())), source.schema


def rows_of(sample, rows):
    events, schema = sample
    return MemorySource(events[rows], schema, batch_size=300)


def halves(sample):
    """Two sources without a common event."""
    order = np.random.default_rng(9).permutation(len(sample[0]))
    return rows_of(sample, order[::2]), rows_of(sample, order[1::2])


def showers(source, change):
    """The same showers after ``change(voxels, energies)``, which gives both back."""
    batch = ak.concatenate(list(source.batches()))
    voxels, energy = ak.to_numpy(batch["voxel_energy"]).copy(), ak.to_numpy(batch["incident_energy"]).copy()
    voxels, energy = change(voxels, energy)
    events = ak.zip(
        {"incident_energy": energy, "voxel_energy": ak.from_numpy(voxels, regulararray=True)}, depth_limit=1
    )
    return MemorySource(events, source.schema, batch_size=300)


def table(source, **changes):
    """The same table with columns replaced by ``change(values)``."""
    batch = ak.concatenate(list(source.batches()))
    columns = {name: ak.to_numpy(batch[name]) for name in source.schema.names}
    columns.update({name: change(columns[name].copy()) for name, change in changes.items()})
    return MemorySource(ak.zip(columns, depth_limit=1), source.schema, batch_size=300)
