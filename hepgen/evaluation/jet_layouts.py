"""Jets of files whose layouts differ: each is read by its own columns, and compared by what all of them know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from hepgen.errors import InputFileError, UsageError
from hepgen.evaluation.jet_reading import common_width
from hepgen.events.constituents import Jets, read_jets
from hepgen.events.jet_units import check_units
from hepgen.events.jets import JetColumns, find_jets, unit_of_pt
from hepgen.events.schema import Schema
from hepgen.events.source import EventSource, pieces

OF_JETS = ("jet_pt", "jet_eta", "jet_phi", "jet_mass")


@dataclass(frozen=True)
class CommonJets:
    """What the jets of all samples have in common.

    Attributes:
        reference: the columns of the reference.
        width: constituents of the arrays.
        most: constituents that a file of padded arrays holds of a jet; softer ones count in no sample. None: all count.
        roles: what is known of the jets in all samples, of ``jet_pt``, ``jet_eta``, ``jet_phi`` and ``jet_mass``.
        masses: whether those of the constituents are known in all samples.
        notes: sentences on what is compared how, and on what is left out.
    """

    reference: JetColumns
    width: int = 1
    most: int | None = None
    roles: tuple[str, ...] = OF_JETS
    masses: bool = True
    notes: tuple[str, ...] = field(default=(), compare=False)

    def columns_of(self, schema: Schema) -> JetColumns:
        """Where the jets of a file are: in the columns of the reference, if it has all of them.

        Raises:
            UsageError: if there are none.
        """
        if all(name in schema for name in self.reference.names):
            return self.reference
        return columns_of_jets(schema)

    def share(self, jets: Jets) -> Jets:
        """The jets without what some sample does not know: masses 0, pt 1, eta 0."""
        if not self.masses:
            jets = replace(jets, mass=np.zeros_like(jets.mass))
        if {"jet_pt", "jet_eta"} <= set(self.roles):
            return jets
        inside, jet = jets.in_jets(), jets.jet
        if "jet_pt" not in self.roles:
            scale = np.where(jet.pt > 0, jet.pt, 1.0)
            jet = replace(jet, pt=np.where(jet.pt > 0, 1.0, jet.pt), mass=jet.mass / scale)
        return replace(inside, jet=replace(jet, eta=np.where(np.isfinite(jet.eta), 0.0, jet.eta)))


def columns_of_jets(schema: Schema) -> JetColumns:
    """The columns of jets and their constituents, by their names.

    Raises:
        UsageError: if there are none.
    """
    found = find_jets(schema)
    if found is None:
        raise UsageError(
            "no jets with constituents are found by the names of the columns",
            where=f"tree '{schema.tree}'",
            hint="expected are jet_pt, jet_eta, jet_phi and lists such as part_pt, part_eta, part_phi, part_energy",
        )
    return found


def known_roles(columns: JetColumns) -> tuple[str, ...]:
    """What a file says of its jets, by columns of the jets or by constituents that are not relative to them.

    Example:
        >>> known_roles(JetColumns(particles="particle_features", features="jet_features", relative=True))
        ('jet_pt', 'jet_eta', 'jet_mass')
    """
    if columns.features:
        return tuple(role for role in OF_JETS if role != "jet_phi")
    return tuple(role for role in OF_JETS if getattr(columns, role) or not columns.relative)


def common_jets(
    samples: Mapping[str, EventSource], columns: JetColumns | None = None, further: Sequence[str] = ()
) -> CommonJets:
    """What the jets of several samples have in common; by a pass over one column of each.

    Args:
        samples: by their names, the reference first.
        columns: of the reference, found by their names where None.
        further: columns that are used beside those of the jets: conditions and weights.

    Raises:
        UsageError: if a sample has no jets.
        InputFileError: if the same quantity stands in different units.
    """
    sources = list(samples.values())
    first = CommonJets(columns or columns_of_jets(sources[0].schema))
    found = {name: first.columns_of(source.schema) for name, source in samples.items()}
    for name, source in samples.items():
        check_units(source.schema, found[name])
        _check_units(name, source.schema, found[name], sources[0].schema, first.reference)
    width, longest = common_width(sources, list(found.values()))
    held = [_padded_width(source, one) for source, one in zip(sources, found.values(), strict=True)]
    limits = [
        size
        for source, one, size in zip(sources, found.values(), held, strict=True)
        if size is not None and size < max(longest) and _fills(source, one, size)
    ]
    most = min(limits, default=None)
    known = [known_roles(one) for one in found.values()]
    common = replace(
        first,
        width=width if most is None else min(width, most),
        most=most,
        roles=tuple(role for role in OF_JETS if all(role in one for one in known)),
        masses=len({_has_masses(one) for one in found.values()}) == 1,
    )
    notes = [*_layout_notes(samples, found, common, further), *_length_notes(samples, held, longest, common)]
    usual = max(longest) if most is None else most
    if common.width < usual:
        notes.append(
            f"Jets of more than {common.width} constituents, twice as many as those of the reference usually have, are judged"
            f" by their {common.width} hardest; the longest has {max(longest)}."
        )
    return replace(common, notes=tuple(notes))


def _padded_width(source: EventSource, columns: JetColumns) -> int | None:
    """The size of the arrays of constituents, None for lists of any length."""
    column = source.schema[columns.constituents[0]]
    return None if column.jagged else column.shape[0]


def _fills(source: EventSource, columns: JetColumns, size: int) -> bool:
    """Whether any jet has as many constituents as the arrays hold, so that there may have been more."""
    for batch in source.batches(columns.names):
        if any((read_jets(piece, columns).multiplicity >= size).any() for piece in pieces(batch)):
            return True
    return False


def _has_masses(columns: JetColumns) -> bool:
    return bool(columns.energy or columns.mass)


def _check_units(which: str, schema: Schema, columns: JetColumns, wanted: Schema, reference: JetColumns) -> None:
    """Refuse columns of one role in two units.

    Raises:
        InputFileError: naming both columns.
    """
    pairs = [(getattr(columns, one.name), getattr(reference, one.name)) for one in fields(JetColumns)]
    units = [(f"'{a}'", f"'{b}'", schema[a].unit, wanted[b].unit) for a, b in pairs if isinstance(a, str) and a and b]
    units.append(("pt", "pt", unit_of_pt(schema, columns), unit_of_pt(wanted, reference)))
    for name, other, here, there in units:
        if here and there and here != there:
            raise InputFileError(
                f"column {name} of the {which} sample has the unit {here}, {other} of the reference has {there}",
                where=f"tree '{schema.tree}'",
                hint="compare samples of the same kind",
            )


def _layout_notes(
    samples: Mapping[str, EventSource], found: Mapping[str, JetColumns], common: CommonJets, further: Sequence[str]
) -> list[str]:
    """Sentences on columns of other names, and on what not all samples have."""
    if len(set(found.values())) == 1:
        return []
    notes = []
    listed = [f"{', '.join(columns.names)} in the {name} sample" for name, columns in found.items()]
    notes.append(
        f"The layouts of the samples differ: columns are compared by what they hold. They are {_join(listed)}."
    )
    relative = [name for name, columns in found.items() if columns.relative]
    if relative and len(relative) < len(found):
        notes.append(
            f"The {_join(relative)} sample holds constituents relative to the jet only: all samples are compared in"
            " ptrel, etarel and phirel, each relative to the jet of its own file."
        )
    missing = [
        role for role in OF_JETS if role not in common.roles and any(role in known_roles(x) for x in found.values())
    ]
    if missing:
        notes.append(f"Left out, because not every sample has it: {', '.join(missing)}.")
    if "jet_pt" not in common.roles:
        notes.append("The pt of the jets is not known in every sample: pt and masses are given relative to it.")
    if "jet_eta" not in common.roles:
        notes.append(
            "The eta of the jets is not known in every sample: eta is that of the constituents' sum relative to the jet."
        )
    if not common.masses:
        lack = [name for name, columns in found.items() if not _has_masses(columns)]
        notes.append(
            f"The {_join(lack)} sample has no masses of constituents: in all samples constituents count as massless, and"
            " 'mass' is that of their sum."
        )
    summed = [
        f"{role} in the {name} sample"
        for role in common.roles
        for name, columns in found.items()
        if not (columns.features or getattr(columns, role) or (role == "jet_mass" and columns.jet_energy))
        and any(x.features or getattr(x, role) for x in found.values())
    ]
    if summed:
        notes.append(f"Taken from the sum of the constituents, because the file does not say it: {', '.join(summed)}.")
    others = [
        f"{', '.join(left)} of the {name} sample"
        for name, source in samples.items()
        if (left := [one for one in _left_over(source.schema, found[name]) if one not in further])
    ]
    if others:
        notes.append(f"Columns that are not compared: {_join(others)}.")
    return notes


def _left_over(schema: Schema, columns: JetColumns) -> list[str]:
    """The columns that are not compared; counters of lists are no columns of their own."""
    counters = {column.counter for column in schema}
    return [name for name in schema.names if name not in columns.names and name not in counters]


def _length_notes(
    samples: Mapping[str, EventSource], held: Sequence[int | None], longest: Sequence[int], common: CommonJets
) -> list[str]:
    """A sentence where a file holds the hardest constituents only."""
    if common.most is None:
        return []
    short = [name for name, size in zip(samples, held, strict=True) if size == common.most]
    sentence = (
        f"The {_join(short)} sample holds the {common.most} hardest constituents of a jet at most, and some jets have as"
        f" many; others have up to {max(longest)}: the {common.most} hardest of every jet are compared, and the"
        " multiplicity counts these."
    )
    return [sentence]


def _join(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else list(words))
