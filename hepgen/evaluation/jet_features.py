"""What jets are compared by: pure functions of raw jets, one row each.

A row of raw values is float32: pt, eta and mass of the jet as the file gives them and its number of constituents, then
ptrel, etarel, phirel and massrel of the constituents relative to that jet, one block of all constituents after the other,
by falling pt, padded with zeros. Masses are -m where E^2 - p^2 is -m^2. From these, four-momenta follow exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepgen.evaluation.domain import Array, FloatArray
from hepgen.events.constituents import Jets
from hepgen.physics.energy_flow import Graph, energy_flow_polynomials, graphs, is_prime
from hepgen.physics.jets import SUBSTRUCTURE, jet_momentum, substructure

LEADING = 4
FEATURES = 4
HARDEST = (1, 2, 3, 5, 10)
"""The constituents, by rank in pt, whose share of the jet's pt is an observable."""

_ROWS = 5_000  # jets at a time
_SOFTEST = 1e-4  # ptrel where its logarithm begins


@dataclass(frozen=True)
class Blocks:
    """Views of raw values: pt, eta, mass, count are (jets,), the others (jets, constituents)."""

    pt: Array
    eta: Array
    mass: Array
    count: Array
    ptrel: Array
    etarel: Array
    phirel: Array
    massrel: Array


def raw_width(constituents: int) -> int:
    """Raw values of a jet of so many constituents."""
    return LEADING + FEATURES * constituents


def raw_jets(jets: Jets) -> NDArray[np.float32]:
    """Jets as raw values, (jets, 4 + 4 constituents)."""
    inside = jets.in_jets()
    leading = np.stack([jets.jet.pt, jets.jet.eta, jets.jet.mass, jets.multiplicity], axis=1)
    blocks = [leading, inside.pt, inside.eta, inside.phi, inside.mass]
    return np.concatenate(blocks, axis=1).astype(np.float32)


def blocks_of(raw: Array, hardest: int | None = None) -> Blocks:
    """The blocks of raw values, of the ``hardest`` constituents only where given.

    Example:
        >>> blocks_of(np.arange(12.0)[None, :], hardest=1).etarel.tolist()
        [[6.0]]
    """
    leading, parts = raw[:, :LEADING].T, np.split(raw[:, LEADING:], FEATURES, axis=1)
    return Blocks(*leading, *(part[:, :hardest] for part in parts))


def block_slice(name: str, constituents: int) -> slice:
    """The columns of a block of constituents in raw values.

    Example:
        >>> block_slice("etarel", 30)
        slice(34, 64, None)
    """
    start = LEADING + ("ptrel", "etarel", "phirel", "massrel").index(name) * constituents
    return slice(start, start + constituents)


def jet_observables(raw: Array) -> FloatArray:
    """pt, eta, mass, mass_rel, multiplicity, tau21, tau32, d2 and the ptrel of the hardest, (jets, 8 + 5).

    pt, eta and mass are of the sum of all constituents; mass_rel is that of massless constituents in relative coordinates,
    as jetnet calculates it; the multiplicity counts constituents beyond the width too. nan where a jet has none: ratios without a denominator, constituents that are not there.
    """
    parts = [_some_observables(blocks_of(part)) for part in _pieces(raw)]
    return np.concatenate(parts) if parts else np.empty((0, 8 + len(HARDEST)))


def _some_observables(jets: Blocks) -> FloatArray:
    pt, eta, phi = (one.astype(np.float64) for one in (jets.ptrel, jets.etarel, jets.phirel))
    count = (pt > 0).sum(axis=1)
    total = jet_momentum(pt, eta + jets.eta[:, None], phi, jets.massrel)
    scale = jets.pt.astype(np.float64)
    prongs = substructure(pt, eta, phi)
    columns = [
        total.pt * scale,
        np.where(count > 0, total.eta, np.nan),
        total.mass * scale,
        jet_momentum(pt, eta, phi).mass,
        jets.count.astype(np.float64),
        *(prongs[name] for name in SUBSTRUCTURE),
    ]
    columns += [np.where(count >= rank, pt[:, min(rank, pt.shape[1]) - 1], np.nan) for rank in HARDEST]
    return np.stack(columns, axis=1)


def polynomials(raw: Array, hardest: int, which: tuple[Graph, ...] | None = None) -> FloatArray:
    """Energy-flow polynomials of the hardest constituents, massless and relative: (jets, graphs); the 36 where None."""
    jets = blocks_of(raw, hardest)
    return energy_flow_polynomials(jets.ptrel, jets.etarel, jets.phirel, which)


def prime_graphs(edges: int, vertices: int | None = None, *, exactly: bool = False) -> tuple[Graph, ...]:
    """Graphs in one piece of up to, or of exactly, so many edges, and of so many vertices where given.

    Example:
        >>> len(prime_graphs(4, vertices=4, exactly=True)), len(prime_graphs(3))
        (5, 9)
    """
    chosen = (graph for graph in graphs(edges) if is_prime(graph) and (len(graph) == edges or not exactly))
    return tuple(graph for graph in chosen if vertices is None or _vertices(graph) == vertices)


def _vertices(graph: Graph) -> int:
    return len({vertex for edge in graph for vertex in edge} or {0})


def log_polynomials(raw: Array, hardest: int) -> FloatArray:
    """Logarithms of the prime polynomials of up to 3 edges, (jets, 9); nan where one is 0."""
    found = polynomials(raw, hardest, prime_graphs(3))
    return np.log(np.where(found > 0, found, np.nan))


def set_features(raw: Array, conditions: FloatArray, *, masses: bool = False) -> NDArray[np.float32]:
    """What a classifier of sets sees: the conditions, then the features of one constituent after the other.

    Features of a constituent are log(1 + ptrel / 1e-4), which is 0 for padding only, etarel and phirel, and with ``masses``
    massrel. Energies of a file that are rounded to a few digits make masses that tell it from all others, so that masses
    are no fair question to such files.

    Returns:
        (jets, conditions + constituents * (3 or 4)).

    Example:
        >>> jet = np.array([[500.0, 0.0, 50.0, 1.0, 1.0, 0.0, 0.1, 0.0, 0.2, 0.0, 0.0, 0.0]])
        >>> set_features(jet, np.array([[500.0]])).round(3).tolist()
        [[500.0, 9.21, 0.1, 0.2, 0.0, 0.0, 0.0]]
    """
    jets = blocks_of(raw)
    found = [np.log1p(np.maximum(jets.ptrel, 0.0) / _SOFTEST), jets.etarel, jets.phirel]
    if masses:
        found.append(jets.massrel)
    sets = np.stack(found, axis=-1).reshape(len(raw), -1)
    return np.concatenate([conditions, sets], axis=1).astype(np.float32)


def _pieces(raw: Array) -> Iterator[Array]:
    for start in range(0, len(raw), _ROWS):
        yield raw[start : start + _ROWS]
