"""The kinds of events that can be judged, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hepgen.errors import InputFileError, UsageError, suggest
from hepgen.evaluation.columns import TableDomain
from hepgen.evaluation.domain import Domain
from hepgen.evaluation.jet_layouts import CommonJets, columns_of_jets
from hepgen.evaluation.jets import JetDomain
from hepgen.evaluation.protocols import Protocol
from hepgen.evaluation.showers import ShowerDomain
from hepgen.events.jets import JetColumns
from hepgen.events.schema import Schema
from hepgen.events.showers import energy_unit as unit_of_energies
from hepgen.physics.binning import Binning

KINDS = ("calorimeter", "jets", "table")


def kind_of(representation: str) -> str:
    """What the events of a representation are here.

    Example:
        >>> kind_of("particle_cloud"), kind_of("table")
        ('jets', 'table')
    """
    return "jets" if representation == "particle_cloud" else representation


def domain_of_kind(
    kind: str,
    schema: Schema,
    work: Protocol,
    *,
    binning: Binning | None = None,
    energy: str | None = "incident_energy",
    voxels: str = "voxel_energy",
    conditions: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    weight: str | None = None,
    threshold: float | None = None,
    laws: Mapping[str, str] | None = None,
    jets: JetColumns | None = None,
    common: CommonJets | None = None,
    energy_unit: str | None = None,
    device: str = "cpu",
) -> Domain:
    """The domain of a kind of events; the arguments are those of `hepgen.evaluation.run.evaluate`.

    Args:
        common: what the jets of all samples have in common.

    Raises:
        UsageError: for an unknown kind, or a calorimeter without a binning, or jets whose columns are not found.
        InputFileError: if a column is missing or cannot be judged.
    """
    if weight is not None and (schema[weight].jagged or schema[weight].shape):
        raise InputFileError(f"the weights '{weight}' are no scalars", hint="name a column with one number an event")
    if kind == "calorimeter":
        if binning is None:
            raise UsageError("a calorimeter is judged on its binning", hint="give --model, --recipe or --binning")
        return ShowerDomain(
            binning,
            energy=energy,
            voxels=voxels,
            conditions=tuple(conditions),
            weight=weight,
            threshold=threshold or 0.0,
            unit=unit_of_energies(schema, voxels, energy, energy_unit),
            official=work.official,
            network=replace(work.network, device=device),
            trees=work.trees,
        )
    if kind == "jets":
        return JetDomain(
            schema,
            common or CommonJets(jets or columns_of_jets(schema)),
            conditions=tuple(conditions) or None,
            weight=weight,
            trees=work.trees,
            sets=replace(work.sets, device=device),
            matches=work.matches,
        )
    if kind == "table":
        chosen = None if columns is None else tuple(columns)
        return TableDomain(
            schema, columns=chosen, conditions=tuple(conditions), weight=weight, laws=laws, trees=work.trees
        )
    raise UsageError(f"no kind '{kind}'", hint=suggest(kind, KINDS) or " or ".join(KINDS))
