"""The part of a recipe that says what kind of events these are."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from hepgen.config.data import Names
from hepgen.config.part import Part


class CalorimeterRecipe(Part):
    """Calorimeter showers and other images: voxels of any layered binning, rings or pixels."""

    kind: Literal["calorimeter"]
    """calorimeter"""
    binning: str | dict[str, Any]
    """Binning: an XML of the CaloChallenge schema or a YAML, relative to the recipe, or the binning itself."""
    particle: str | None = None
    """Name of the particle in the XML, where it holds several."""
    energy: str | None = "incident_energy"
    """Column of the incident energy, or of what stands for it (jet_pt); null: none, the sum of the voxels is learned."""
    voxels: str = "voxel_energy"
    """Column of the voxel energies, shape (events, voxels), or (events, x, y) for pixels."""
    energy_unit: Literal["eV", "keV", "MeV", "GeV", "TeV"] | None = None
    """Unit of the energies, where the file does not say it; MeV if not set."""
    conditions: Names = []
    """Further columns that a shower is conditioned on, besides the incident energy."""
    threshold: float = Field(0.0, ge=0)
    """A voxel below this energy, in the unit of the voxels, is 0."""
    layer_noise: float = Field(0.2, ge=0, le=1)
    """In training, the hit voxels of a layer are scaled up by a common factor of at most exp(layer_noise)."""
    empty: Literal["below", "apart"] = "below"
    """How an empty voxel is told to networks: as noise below the threshold that joins on to the hits, which densities need, or
    apart from them, so that a small error neither makes nor loses a hit, for voxels that are nearly always empty."""
    shape_first: bool = False
    """Of images: the number of hit pixels, centre and widths are made first, with the energy, and the pixels keep to them."""
    augment: list[Literal["rotation", "reflection"]] = []
    """Symmetries of the detector that the training may use."""


class ColumnOptions(Part):
    """How one column of a table is modelled, where the data alone does not say it."""

    kind: Literal["auto", "continuous", "integer", "cyclic", "constant"] = "auto"
    """Kind of the values; auto looks at the data."""
    period: float | None = Field(None, gt=0)
    """Period of a cyclic column, in its unit (2 pi for an angle in rad)."""
    low: float | None = None
    """Lowest value that may be generated, in the column's unit."""
    high: float | None = None
    """Highest value that may be generated, in the column's unit."""
    unit: str | None = None
    """Unit of the column, written to the output."""
    scale: Literal["normal", "affine"] = "normal"
    """How a column is told to the networks: normal, by its quantiles, a condition held at the ends of what the training saw;
    affine, shifted and scaled to mean 0 and width 1, which goes on beyond it, for a generated column as far as `low` and `high`."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.period is not None and self.kind not in {"auto", "cyclic"}:
            raise ValueError(f"a period needs kind cyclic, not {self.kind}")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        if self.scale == "affine" and (self.kind == "cyclic" or self.period is not None):
            raise ValueError("what is cyclic has no affine scale")
        return self


class TableRecipe(Part):
    """Tables: one row per event (or per object), continuous, integer, cyclic and constant columns."""

    kind: Literal["table"]
    """table"""
    conditions: Names = []
    """Columns that the others are conditioned on."""
    columns: dict[str, ColumnOptions] = {}
    """Overrides for single columns, by name."""
    mirror: list[Names] = Field([], max_length=8)
    """Symmetries of the data: columns (globs, too) that may change their sign together, such as all eta, or all phi."""


Role = Literal[
    "pt", "eta", "phi", "px", "py", "pz", "energy", "mass", "mask",
    "jet_pt", "jet_eta", "jet_phi", "jet_mass", "jet_energy",
]  # fmt: skip


class CloudRecipe(Part):
    """Jets with all their constituents, or any events that are clouds of particles."""

    kind: Literal["particle_cloud"]
    """particle_cloud"""
    conditions: Names = []
    """Numbers of the jet that all else is conditioned on: columns of the file, or multiplicity."""
    roles: dict[Role, str] = {}
    """Columns by what they hold, where their names do not tell: pt, eta, phi, energy of constituents, jet_pt, ..."""
    max_constituents: int | None = Field(None, ge=1)
    """Only so many of the hardest constituents are learned; all if not set."""
    columns: dict[str, ColumnOptions] = {}
    """Overrides for single columns, by name."""
    augment: list[Literal["reflection", "rotation"]] = []
    """Symmetries that the training may use: reflection in eta and in phi, rotation about the axis of the jet."""
    prongs: Literal[0, 2, 3, 4] = 0
    """How many prongs (exclusive kT subjets) are placed with the jet, for its constituents to gather around."""


RepresentationRecipe = Annotated[CalorimeterRecipe | CloudRecipe | TableRecipe, Field(discriminator="kind")]
KINDS = ("calorimeter", "particle_cloud", "table")
