"""Jets in the layout of JetNet (arXiv:2106.11535), and back to lists of constituents.

``particle_features`` (N, particles, 4) holds etarel, phirel, ptrel and mask of the hardest constituents, by falling pt and
padded with 0; ``jet_features`` (N, 4) pt, eta, mass in GeV and the number of particles that are there. One class of jets a
file, float32.
"""

from __future__ import annotations

import dataclasses
from collections import Counter

import awkward as ak
import numpy as np

from hepgen.errors import RowError, UsageError
from hepgen.events.constituents import Jets, read_jets
from hepgen.events.conversion import Conversion, Converted, as_root_tree, energy_factor, in_order, left_out, refuse
from hepgen.events.hdf5 import JETS, PARTICLES
from hepgen.events.jets import JetColumns, find_jets, unit_of_pt
from hepgen.events.schema import Column, Schema, is_identity, is_label
from hepgen.events.source import Array, NumberedBatch, record
from hepgen.physics.jets import wrapped

DEFAULT_PARTICLES = 30
_NEEDS = "jets: one entry each, with lists of constituents such as part_pt, part_eta, part_phi"
_NUMBER = "npart"
_CLASSES = {**dict.fromkeys(range(1, 6), "quark"), 6: "top", 21: "gluon", 23: "z", 24: "w", 25: "higgs"}
_BROKEN = (
    "constituents that are not finite",
    "constituents of negative pt",
    "constituents of negative energy",
    "jets that are not finite",
    "negative multiplicities",
    "azimuths beyond a turn, as of degrees",
)


def to_jetnet(schema: Schema, *, particles: int = DEFAULT_PARTICLES, unit: str = "") -> Conversion:
    """Jets with constituents in the layout of JetNet.

    What the file does not say of a jet is the sum of its constituents. The number of particles is that of those that are
    kept, as in the files of JetNet.

    Args:
        schema: of the input; `find_jets` finds the columns.
        particles: places for constituents; the hardest are kept.
        unit: of pt and mass, where the file does not say it; GeV where nothing does.

    Raises:
        InputFileError: if there are no jets, or only constituents relative to jets that are not there.
        UsageError: for fewer than one particle, or a unit that is none.

    Example:
        >>> lists = [Column(f"part_{name}", "float32", jagged=True) for name in ("pt", "eta", "phi", "energy")]
        >>> of_jet = [Column(f"jet_{name}", "float32") for name in ("pt", "eta", "phi", "mass")]
        >>> conversion = to_jetnet(Schema((*of_jet, *lists)))
        >>> conversion.dropped, conversion.schema["particle_features"].shape
        (('jet_phi', 'part_energy'), (30, 4))
    """
    if particles < 1:
        raise UsageError(
            f"{particles} particles", where="--particles", hint="30 and 150 are those of JetNet's own files"
        )
    columns = find_jets(schema)
    if columns is None:
        raise refuse(schema, "JetNet", _NEEDS)
    if columns.relative and not columns.features and not (columns.jet_pt and columns.jet_eta):
        raise refuse(schema, "JetNet", "the pt and eta of the jets to which the constituents are relative")
    factor, notes = (
        (1.0, ()) if columns.features else energy_factor(unit_of_pt(schema, columns), unit, "GeV", _pt(columns))
    )
    missing = (
        [] if columns.features else [name for name in ("pt", "eta", "mass") if not getattr(columns, f"jet_{name}")]
    )
    if missing:
        notes = (
            *notes,
            f"the file has no {', '.join(missing)} of the jets: those of the sum of the constituents are written",
        )

    def apply(batch: NumberedBatch) -> Converted:
        jets = sound_jets(read_jets(batch.events, columns))
        table, features = jetnet_arrays(jets, particles)
        features[:, [0, 2]] *= factor
        beyond = int(np.maximum(jets.multiplicity - particles, 0).sum())
        lost = Counter({f"constituents beyond the {particles} hardest of their jet": beyond})
        found = {JETS: features.astype(np.float32), PARTICLES: table.astype(np.float32)}
        return Converted(record(found, len(batch)), lost + _uncounted(jets))

    written = (Column(JETS, "float32", (4,)), Column(PARTICLES, "float32", (particles, 4)))
    kept = {columns.pt, columns.eta, columns.phi, columns.px, columns.py, columns.pz, columns.mask}
    kept |= {columns.jet_pt, columns.jet_eta, columns.jet_mass, columns.particles, columns.features}
    return Conversion(
        Schema(written, format="hdf5", convention="jetnet"),
        columns.names,
        apply,
        left_out(schema, kept),
        "JetNet has no place for them (its particles are massless, its jets without phi)",
        notes,
        _label(schema),
    )


def from_jetnet(schema: Schema, format: str) -> Conversion:
    """Jets of JetNet as a tree with a list of constituents each, in the frame of a detector in which they have phi 0.

    ``jet_pt, jet_eta, jet_phi, jet_mass`` and ``part_pt, part_eta, part_phi, part_energy``, float32, GeV and rad.

    Args:
        schema: of a file of JetNet.
        format: ``ttree`` or ``rntuple``.

    Example:
        >>> shapes = {"particle_features": (30, 4), "jet_features": (4,)}
        >>> columns = tuple(Column(name, "float32", shape) for name, shape in shapes.items())
        >>> from_jetnet(Schema(columns, format="hdf5", convention="jetnet"), "ttree").schema.names
        ('event', 'jet_pt', 'jet_eta', 'jet_phi', 'jet_mass', 'part_pt', 'part_eta', 'part_phi', 'part_energy')
    """
    units = {"pt": "GeV", "eta": "", "phi": "rad", "mass": "GeV", "energy": "GeV"}
    of_jet = [Column(f"jet_{name}", "float32", unit=units[name]) for name in ("pt", "eta", "phi", "mass")]
    names = ("pt", "eta", "phi", "energy")
    lists = [Column(f"part_{name}", "float32", (), True, units[name], _NUMBER) for name in names]
    further = [column for column in schema if column.name not in {PARTICLES, JETS}]
    taken = {*(column.name for column in (*of_jet, *lists)), _NUMBER}
    dropped = tuple(column.name for column in further if column.name in taken)
    further = [column for column in further if column.name not in taken]
    written = as_root_tree(schema.replace([*of_jet, *further, *lists]))
    where = JetColumns(particles=PARTICLES, features=JETS, relative=True)

    def apply(batch: NumberedBatch) -> Converted:
        jets = sound_jets(read_jets(batch.events, where))
        found = {column.name: batch.events[column.name] for column in further} | jet_lists(jets)
        numbers = ak.to_numpy(batch.events[JETS])[:, 3]
        words = "values of num_particles that are not the number of particles in the file"
        lost = Counter({words: int(np.count_nonzero(numbers != jets.multiplicity))})
        return Converted(in_order(written, found, batch), lost + _uncounted(jets))

    return Conversion(
        dataclasses.replace(written, tree="jets", format=format),
        (PARTICLES, JETS, *(column.name for column in further)),
        apply,
        dropped,
        "columns of the jets have these names",
        ("JetNet has no phi of the jets: jet_phi is 0",),
    )


def jetnet_arrays(jets: Jets, particles: int) -> tuple[Array, Array]:
    """Particle features (jets, particles, 4) and jet features (jets, 4), float64.

    Example:
        >>> events = ak.Array({"pt": [[30.0, 10.0]], "eta": [[1.0, 1.2]], "phi": [[3.1, -3.1]]})
        >>> table, features = jetnet_arrays(read_jets(events, JetColumns(pt="pt", eta="eta", phi="phi")), 3)
        >>> table[0, :, 3].tolist(), features[0, 3].tolist()
        ([1.0, 1.0, 0.0], 2.0)
    """
    inside = jets.in_jets()
    kept = min(particles, inside.pt.shape[1])
    table = np.zeros((len(jets), particles, 4))
    for place, values in enumerate((inside.eta, inside.phi, inside.pt, inside.pt > 0)):
        table[:, :kept, place] = values[:, :kept]
    numbers = np.minimum(jets.multiplicity, particles)
    return table, np.stack([jets.jet.pt, jets.jet.eta, jets.jet.mass, numbers], axis=1)


def jet_lists(jets: Jets) -> dict[str, Array | ak.Array]:
    """Columns of jets with relative, massless constituents, these as lists in the frame of the detector.

    Example:
        >>> table = np.zeros((1, 2, 4))
        >>> table[0, 0] = 0.1, 0.2, 0.5, 1.0
        >>> events = ak.Array({"p": table, "j": np.array([[100.0, -0.4, 9.0, 1.0]])})
        >>> found = jet_lists(read_jets(events, JetColumns(particles="p", features="j", relative=True)))
        >>> found["part_pt"].to_list(), found["part_eta"].to_list()
        ([[50.0]], [[-0.3]])
    """
    there = jets.pt > 0
    pt = jets.pt * jets.jet.pt[:, None]
    eta = jets.eta + jets.jet.eta[:, None]
    phi = jets.in_jets().phi + jets.jet.phi[:, None]
    phi = np.where(np.abs(phi) > np.pi, wrapped(phi), phi)
    lists = {"pt": pt, "eta": eta, "phi": phi, "energy": pt * np.cosh(eta)}
    found: dict[str, Array | ak.Array] = {
        f"jet_{name}": getattr(jets.jet, name).astype(np.float32) for name in ("pt", "eta", "phi", "mass")
    }
    for name, values in lists.items():
        found[f"part_{name}"] = ak.unflatten(values[there].astype(np.float32), jets.multiplicity)
    return found


def jet_classes(labels: Array, name: str) -> Counter[str]:
    """Jets by class: by the number in a column, particles and antiparticles together where it is one of the PDG.

    Example:
        >>> sorted(jet_classes(np.array([6, -6, 21, 1, -3]), "jet_pdgid").items())
        [('gluon', 1), ('quark', 2), ('top', 2)]
    """
    pdg = "pdg" in name.lower()
    values, counts = np.unique(np.abs(labels) if pdg else labels, return_counts=True)
    found: Counter[str] = Counter()
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        found[_CLASSES.get(value, str(value)) if pdg else str(value)] += count
    return found


def class_cut(name: str, chosen: str) -> str:
    """A cut that leaves one class of `jet_classes`.

    Example:
        >>> class_cut("jet_pdgid", "quark"), class_cut("jet_pdgid", "top"), class_cut("label", "2")
        ('abs(jet_pdgid) <= 5', 'abs(jet_pdgid) == 6', 'label == 2')
    """
    if chosen == "quark":
        return f"abs({name}) <= 5"
    number = next((str(number) for number, known in _CLASSES.items() if known == chosen), chosen)
    return f"abs({name}) == {number}" if "pdg" in name.lower() else f"{name} == {number}"


def _label(schema: Schema) -> str:
    """The column that says the class of a jet, empty where there is none."""
    labels = [c.name for c in schema if not c.jagged and not c.shape and is_label(c) and not is_identity(c)]
    return next(iter(labels), "")


def _pt(columns: JetColumns) -> str:
    return columns.jet_pt or columns.pt or columns.px


def sound_jets(jets: Jets) -> Jets:
    """The jets themselves.

    Raises:
        RowError: for one whose numbers are no jet.
    """
    flags = {name: jets.problems[name] for name in _BROKEN if name in jets.problems}
    flags["jets of constituents without a pt above 0"] = (jets.jet.pt <= 0) & (jets.multiplicity > 0)
    for name, broken in flags.items():
        if broken.any():
            row = int(np.flatnonzero(broken)[0])
            raise RowError(name, row, hint="leave such jets out with --cut")
    return jets


def _uncounted(jets: Jets) -> Counter[str]:
    words = "jets with constituents of pt 0, which are none"
    return Counter({words: int(jets.problems["constituents of pt 0"].sum())}) + empty_jets(jets)


def empty_jets(jets: Jets) -> Counter[str]:
    """How many jets have no constituents, and what becomes of them."""
    return Counter({"jets without constituents, written as such": int(jets.problems["no constituent"].sum())})
