"""Known distortions of true jets, as those of ``distortions.py``: the strength is a share of the jets, or of a value."""

from __future__ import annotations

import awkward as ak
import numpy as np
from distortions import Stock, some, swapped

from hepgen.events.source import record

CONSTITUENTS = ("part_pt", "part_eta", "part_phi", "part_energy", "part_charge", "part_pdgid")
ENERGIES = ("jet_pt", "jet_mass", "part_pt", "part_energy")
RADIUS = 0.8


def with_columns(jets: ak.Array, **columns: ak.Array) -> ak.Array:
    return record({name: columns.get(name, jets[name]) for name in jets.fields}, len(jets))


def scaled_energies(jets: ak.Array, _: Stock, strength: float) -> ak.Array:
    """All momenta times 1 + strength."""
    return with_columns(jets, **{name: jets[name] * np.float32(1 + strength) for name in ENERGIES})


def smeared_directions(jets: ak.Array, stock: Stock, strength: float) -> ak.Array:
    """The eta of every constituent is off by a normal number of that share of the jets' radius."""
    counts = ak.num(jets["part_eta"])
    off = stock.rng.normal(0, strength * RADIUS, int(ak.sum(counts))).astype(np.float32)
    return with_columns(jets, part_eta=jets["part_eta"] + ak.unflatten(off, counts))


def half_lost(jets: ak.Array, stock: Stock, strength: float) -> ak.Array:
    """Every second constituent is lost; the jets' own columns stay."""
    chosen = np.zeros(len(jets), dtype=bool)
    chosen[some(jets, strength, stock.rng)] = True
    kept = (ak.local_index(jets["part_pt"]) % 2 == 0) | ~chosen
    return with_columns(jets, **{name: jets[name][kept] for name in CONSTITUENTS})


def soft_lost(jets: ak.Array, stock: Stock, strength: float) -> ak.Array:
    """Constituents of less than 1 GeV are lost, and the jet is the sum of the others."""
    chosen = np.zeros(len(jets), dtype=bool)
    chosen[some(jets, strength, stock.rng)] = True
    kept = (jets["part_pt"] > 1) | ~chosen
    lists = {name: jets[name][kept] for name in CONSTITUENTS}
    pt, eta, phi, energy = (ak.values_astype(lists[name], np.float64) for name in CONSTITUENTS[:4])
    x, y, z = (ak.sum(one, axis=1) for one in (pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)))
    total = np.hypot(x, y)
    mass = np.sqrt(np.maximum(ak.sum(energy, axis=1) ** 2 - total**2 - z**2, 0))
    jet = {"jet_pt": total, "jet_eta": np.arcsinh(z / total), "jet_phi": np.arctan2(y, x), "jet_mass": mass}
    return with_columns(jets, **lists, **{name: ak.values_astype(one, np.float32) for name, one in jet.items()})


def shared_shape(jets: ak.Array, stock: Stock, strength: float) -> ak.Array:
    """The directions of the constituents are dealt out anew within the jet."""
    rows = set(some(jets, strength, stock.rng).tolist())
    counts = ak.to_numpy(ak.num(jets["part_pt"]))
    order = np.concatenate([stock.rng.permutation(n) if row in rows else np.arange(n) for row, n in enumerate(counts)])
    dealt = ak.unflatten(order, counts)
    return with_columns(jets, part_eta=jets["part_eta"][dealt], part_phi=jets["part_phi"][dealt])


def broken_jets(jets: ak.Array, stock: Stock, strength: float) -> ak.Array:
    """A constituent is not a number."""
    flat = np.array(ak.to_numpy(ak.flatten(jets["part_pt"])))
    counts = ak.to_numpy(ak.num(jets["part_pt"]))
    flat[(np.cumsum(counts) - counts)[some(jets, strength, stock.rng)]] = np.nan
    return with_columns(jets, part_pt=ak.unflatten(flat, counts))


def other_jets(jets: ak.Array, stock: Stock, strength: float, *, others: ak.Array) -> ak.Array:
    """Jets of another kind."""
    rows = some(jets, strength, stock.rng)
    return swapped(jets, rows, others[stock.rng.choice(len(others), size=len(rows), replace=False)])
