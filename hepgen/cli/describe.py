"""Columns and binnings in words, for ``hepgen inspect``."""

from __future__ import annotations

import math

from hepgen.errors import InputFileError
from hepgen.events.schema import Column, Schema
from hepgen.events.summary import ColumnSummary
from hepgen.physics.binning import Binning


def type_text(column: Column, lengths: list[int]) -> str:
    """The type of a column as a reader of ROOT would put it.

    Example:
        >>> type_text(Column("voxel_energy", "float32", (368,)), [])
        'float32[368]'
        >>> type_text(Column("Muon_pt", "float32", jagged=True), [0, 5])
        'float32[0 to 5]'
    """
    fixed = "".join(f"[{size}]" for size in column.shape)
    if not column.jagged:
        return f"{column.dtype}{fixed}"
    return f"{column.dtype}[{lengths[0]} to {lengths[1]}]{fixed}" if lengths else f"{column.dtype}[]{fixed}"


def range_text(summary: ColumnSummary) -> str:
    """``low .. high``, integers in full, or a dash where no finite number was seen.

    Example:
        >>> range_text(ColumnSummary(Column("pt", "float32"), low=0.5, high=1234.5678))
        '0.5 .. 1234.6'
        >>> range_text(ColumnSummary(Column("event", "uint64"), low=1, high=657442930))
        '1 .. 657442930'
    """
    if summary.low > summary.high:
        return "-"
    return " .. ".join(str(x) if isinstance(x, int) else f"{x:.5g}" for x in (summary.low, summary.high))


def check_voxels(schema: Schema, geometry: Binning | None, where: str) -> None:
    """Refuse a binning that has another number of voxels than the showers.

    Raises:
        InputFileError: with both numbers.
    """
    if geometry is None or "voxel_energy" not in schema:
        return
    voxels = math.prod(schema["voxel_energy"].shape)
    if voxels != geometry.num_voxels:
        raise InputFileError(
            f"the showers have {voxels} voxels, the binning has {geometry.num_voxels}",
            where=where,
            hint="give the binning of this file",
        )
