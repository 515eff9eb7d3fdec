"""Jets with constituents: which columns of a file hold them.

An event is one jet. Constituents stand in lists or in arrays of a fixed size, with pt, eta, phi or px, py, pz in the frame of
the detector, or with etarel, phirel, ptrel relative to the jet (JetNet, arXiv:2106.11535). Files with several objects an
event, such as NanoAOD, are tables of events and not jets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

from hepgen.events.hdf5 import JETS, PARTICLES
from hepgen.events.schema import Column, Schema

#: Lists of these names hold the constituents of a jet, whatever else stands in the file.
_CONSTITUENTS = re.compile(
    r"(jet_?)?(part(icle)?|constituent|const|cand(idate)?|pf_?cand(idate)?)s?[_.]?", re.IGNORECASE
)
#: Lists whose names end so do where the jet itself has columns.
_LIKELY = re.compile(
    r"(part(icle)?|constit(uent)?|const|cand(idate)?|track|trk|tower|cluster|pf)s?[_.]?$", re.IGNORECASE
)
#: Columns of these names hold codes of particles, of a constituent or, as its type, of a jet.
PARTICLE_CODE = re.compile(r"(^|_)(pdg_?id|pid)$", re.IGNORECASE)
#: Numbers of a jet of these names count its constituents, or some of them.
MULTIPLICITY = re.compile(
    r"([a-z]*jet_?)?(n|mult(iplicity)?|n_?(um_?)?(of_?)?(const(ituent)?|part(icle)?|cand(idate)?|track|trk|pf)s?)(_?jets?)?",
    re.IGNORECASE,
)
_JETS = ("jet_", "fjet_", "fatjet_", "j_", "jet.", "jet")
_FRAMES = (("pt", "eta", "phi"), ("ptrel", "etarel", "phirel"), ("pt_rel", "eta_rel", "phi_rel"), ("px", "py", "pz"))


@dataclass(frozen=True)
class JetColumns:
    """The names of the columns of a jet; empty where there is no such column.

    Attributes:
        pt, eta, phi: of the constituents, lists or arrays of a fixed size.
        px, py, pz: instead of these.
        energy, mass: of the constituents; massless where both are empty.
        mask: 1 for a constituent, 0 for padding.
        jet_pt, jet_eta, jet_phi, jet_mass, jet_energy: of the jet.
        particles, features: the datasets of JetNet, which hold all of the above.
        relative: whether pt, eta and phi of the constituents are relative to the jet.
    """

    pt: str = ""
    eta: str = ""
    phi: str = ""
    px: str = ""
    py: str = ""
    pz: str = ""
    energy: str = ""
    mass: str = ""
    mask: str = ""
    jet_pt: str = ""
    jet_eta: str = ""
    jet_phi: str = ""
    jet_mass: str = ""
    jet_energy: str = ""
    particles: str = ""
    features: str = ""
    relative: bool = False

    def with_roles(self, **roles: str) -> JetColumns:
        """The same with other columns for some roles, which are names of fields."""
        return JetColumns(**{**vars(self), **roles})

    @property
    def constituents(self) -> tuple[str, ...]:
        """The columns of the constituents; their lengths agree."""
        names = (
            self.particles,
            self.pt,
            self.eta,
            self.phi,
            self.px,
            self.py,
            self.pz,
            self.energy,
            self.mass,
            self.mask,
        )
        return tuple(name for name in names if name)

    @property
    def names(self) -> tuple[str, ...]:
        """All columns."""
        found = [getattr(self, field.name) for field in fields(self) if field.name != "relative"]
        return tuple(name for name in found if name)


def find_jets(schema: Schema) -> JetColumns | None:
    """The columns of a schema that hold jets with constituents, None where it is no such file or more than one guess fits.

    Example:
        >>> lists = [Column(f"part_{name}", "float32", jagged=True) for name in ("pt", "eta", "phi", "energy")]
        >>> found = find_jets(Schema((Column("jet_pt", "float32"), *lists)))
        >>> found.constituents, found.jet_pt
        (('part_pt', 'part_eta', 'part_phi', 'part_energy'), 'jet_pt')
    """
    if PARTICLES in schema and len(schema[PARTICLES].shape) == 2 and schema[PARTICLES].shape[1] in {3, 4}:
        features = JETS if JETS in schema and schema[JETS].shape == (4,) else ""
        return JetColumns(particles=PARTICLES, features=features, relative=True)
    if schema.convention == "nanoaod" or any(_is_list_of_jets(column) for column in schema):
        return None
    jet = _jet_columns(schema)
    groups = _groups(schema)
    sure = [prefix for prefix in groups if _CONSTITUENTS.fullmatch(prefix)]
    likely = [prefix for prefix in groups if _LIKELY.search(prefix)] if jet else []
    chosen = sure or likely
    if len(chosen) != 1:
        return None
    return JetColumns(**groups[chosen[0]], **jet)


def _is_list_of_jets(column: Column) -> bool:
    """``Jet_pt`` of a list: several jets an event."""
    return column.jagged and re.fullmatch(r"(\w*_)?(fat)?jets?[_.]?pt", column.name, re.IGNORECASE) is not None


def _groups(schema: Schema) -> dict[str, dict[str, Any]]:
    """Lists that make four-momenta, by what their names have in common."""
    lists = {
        column.name.lower(): column.name
        for column in schema
        if (column.jagged and not column.shape) or (not column.jagged and len(column.shape) == 1)
    }
    found: dict[str, dict[str, Any]] = {}
    for first, *others in _FRAMES:
        for name in [name for name in lists if name.endswith(first)]:
            prefix = name.removesuffix(first)
            if prefix in found or not all(prefix + other in lists for other in others):
                continue
            roles = ("px", "py", "pz") if first == "px" else ("pt", "eta", "phi")
            group: dict[str, Any] = {
                role: lists[prefix + suffix] for role, suffix in zip(roles, (first, *others), strict=True)
            }
            group["relative"] = first not in {"pt", "px"}
            energy = next((lists[prefix + suffix] for suffix in ("energy", "e") if prefix + suffix in lists), "")
            mass = next((lists[prefix + suffix] for suffix in ("mass", "m") if prefix + suffix in lists), "")
            if not group["relative"]:
                group.update({"energy": energy} if energy else {"mass": mass})
            found[prefix] = {**group, "mask": lists.get(f"{prefix}mask", "")}
    return found


def _jet_columns(schema: Schema) -> dict[str, Any]:
    """The columns of the jet itself by their roles, empty without its pt."""
    scalars = {column.name.lower(): column.name for column in schema if not column.jagged and not column.shape}
    prefix = next((prefix for prefix in _JETS if f"{prefix}pt" in scalars), None)
    if prefix is None:
        return {}
    roles = {"jet_pt": ("pt",), "jet_eta": ("eta",), "jet_phi": ("phi",), "jet_mass": ("mass", "m")}
    roles["jet_energy"] = ("energy", "e")
    return {
        role: next((scalars[prefix + suffix] for suffix in suffixes if prefix + suffix in scalars), "")
        for role, suffixes in roles.items()
    }


def unit_of_pt(schema: Schema, columns: JetColumns) -> str:
    """The unit of the jets' pt, empty where the file does not say it."""
    known = [name for name in (columns.jet_pt, columns.pt, columns.px) if name]
    return "" if columns.relative and not columns.jet_pt else next((schema[name].unit for name in known), "")
