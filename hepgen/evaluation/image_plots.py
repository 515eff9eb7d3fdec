"""Pictures of average showers: reference, generated and their ratio side by side.

Both samples share one logarithmic colour scale. The ratio has a diverging one from 0.5 to 2, logarithmic too, so that
half and twice as much stand out alike.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from hepgen.evaluation.domain import FloatArray
from hepgen.evaluation.plots import save_figure
from hepgen.evaluation.report_parts import ImageRow, ShowerImage

RATIO_LIMIT = 2.0
MAX_ERROR = 0.5
DECADES = 6.0
WIDE_RANGE = 30.0
EMPTY_COLOR = "#d6d6d6"
LABEL_BOX = {"facecolor": "white", "edgecolor": "none", "alpha": 0.65, "boxstyle": "round,pad=0.1"}
FINEST_ANGLE = np.pi / 60
"""Wider cells are drawn in pieces: a mesh has straight edges, a ring has not."""


def draw_image(image: ShowerImage, folder: Path) -> bytes:
    """Draw one image into ``<name>.png`` and ``<name>.pdf`` of a folder; the PNG is returned as well.

    Cells without energy are grey, and so are ratios that are uncertain by more than 50 %.
    """
    import matplotlib as mpl
    import mplhep
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    low, high = color_range(image)
    style = {**mplhep.style.CMS, "savefig.bbox": None, "font.size": 20, "axes.grid": False}
    with mpl.rc_context(style):
        figure = Figure(figsize=(20.0, 6.6 if image.polar else 7.4))
        FigureCanvasAgg(figure)
        # panels, the scale of the first two, room for its numbers, the ratio and its scale
        grid = figure.add_gridspec(1, 6, width_ratios=(10, 10, 0.5, 2.0, 10, 0.5), wspace=0.22 if image.polar else 0.12)
        grid.update(left=0.05, right=0.965, top=0.91, bottom=0.09 if image.polar else 0.12)
        kind = {"projection": "polar"} if image.polar else {}
        panels = [figure.add_subplot(grid[0, place], **kind) for place in (0, 1, 4)]
        shown = {
            "reference": [_positive(row.reference) for row in image.rows],
            "generated": [_positive(row.generated) for row in image.rows],
            # far below the scale, but positive: a logarithmic scale has no place for 0
            "generated / reference": [np.maximum(ratio(row), 1e-3) for row in image.rows],
        }
        energies, ratios = LogNorm(low, high), LogNorm(1 / RATIO_LIMIT, RATIO_LIMIT)
        viridis, diverging = (mpl.colormaps[name].with_extremes(bad=EMPTY_COLOR) for name in ("viridis", "RdBu_r"))
        scales = [{"norm": energies, "cmap": viridis}] * 2 + [{"norm": ratios, "cmap": diverging}]
        meshes = []
        for panel, (title, rows), scale in zip(panels, shown.items(), scales, strict=True):
            meshes.append(_fill(panel, image, rows, **scale))
            panel.set_title(title, fontsize="medium", pad=14)
            (_polar_axes if image.polar else _pixel_axes if image.pixels else _layer_axes)(panel, image)
        left = figure.colorbar(meshes[0], cax=figure.add_subplot(grid[0, 2]))
        words = "mean energy of a pixel" if image.pixels else "mean energy density"
        left.set_label(f"{words} [{image.unit}]", fontsize="small", loc="center")
        ticks = [0.5, 0.7, 1.0, 1.4, 2.0]
        right = figure.colorbar(meshes[2], cax=figure.add_subplot(grid[0, 5]), extend="both", ticks=ticks)
        right.ax.set_yticklabels([f"{tick:g}" for tick in ticks])
        right.ax.minorticks_off()
        return save_figure(figure, folder, image.name)


def color_range(image: ShowerImage) -> tuple[float, float]:
    """Limits of the colours of both samples, at most six decades below the largest density.

    Example:
        >>> row = ImageRow(0, 1, (0, 1, 2, 3), (0.0, 100.0, 1e-9), (0, 0, 0), (0.0, 5.0, 1.0), (0, 0, 0))
        >>> color_range(ShowerImage("x", "x", (row,)))
        (0.0001, 100.0)
    """
    values = np.concatenate([(*row.reference, *row.generated) for row in image.rows])
    positive = values[values > 0]
    if not len(positive):
        return 0.1, 1.0
    high = float(positive.max())
    low = max(float(positive.min()), high * 10**-DECADES)
    return (low if low < high else high / 10), high


def ratio(row: ImageRow) -> FloatArray:
    """Generated over reference in each ring, nan where the reference is empty or either is too uncertain to say.

    Example:
        >>> ratio(ImageRow(0, 1, (0, 1, 2, 3), (0.0, 2.0, 2.0), (0.0, 0.1, 1.5), (1.0, 1.0, 1.0), (0.1, 0.1, 0.1)))
        array([nan, 0.5, nan])
    """
    true, made = np.array(row.reference), np.array(row.generated)
    base = np.where(true > 0, true, np.nan)
    error = np.maximum(np.array(row.reference_error) / base, np.array(row.generated_error) / np.maximum(base, made))
    return np.where(error < MAX_ERROR, made / base, np.nan)


def _positive(values: tuple[float, ...]) -> FloatArray:
    """Densities, nan (grey) where there is no energy."""
    found = np.array(values)
    return np.where(found > 0, found, np.nan)


def _fill(panel: Any, image: ShowerImage, shown: list[FloatArray], **colors: Any) -> Any:
    """Draw the rows, those with the same rings as one mesh; the last mesh stands for all in a colour bar."""
    mesh = None
    for r_edges, group in groupby(zip(image.rows, shown, strict=True), key=lambda pair: pair[0].r_edges):
        rows = list(group)
        width = rows[0][0].high - rows[0][0].low
        pieces = max(int(np.ceil(width / FINEST_ANGLE)), 1) if image.polar else 1
        spans = np.linspace(rows[0][0].low, rows[-1][0].high, len(rows) * pieces + 1)
        if image.pixels:
            spans = np.array([*(row.low for row, _ in rows), rows[-1][0].high])
        cells = np.repeat(np.stack([values for _, values in rows], axis=1), pieces, axis=1)
        # in polar images all rings are equally wide on paper, else the core of the shower would be a dot
        places = np.arange(len(r_edges)) if image.polar else np.array(r_edges)
        mesh = panel.pcolormesh(spans, places, cells, rasterized=True, **colors)
    return mesh


def _polar_axes(panel: Any, image: ShowerImage) -> None:
    """Radii in mm at some of the edges, angles at the quarters."""
    edges = image.rows[0].r_edges
    step = max(int(np.ceil((len(edges) - 1) / 5)), 1)
    places = np.arange(len(edges) - 1, 0, -step)
    panel.set_rgrids(places, [f"{edges[place]:g}" for place in places], angle=65.0, fontsize="x-small", bbox=LABEL_BOX)
    panel.set_thetagrids([0, 90, 180, 270], ["0", r"$\pi/2$", r"$\pi$", r"$-\pi/2$"], fontsize="x-small")
    panel.grid(visible=False)
    panel.set_xlabel(f"radius in {image.length_unit}, rings drawn equally wide", fontsize="x-small", loc="center")


def _pixel_axes(panel: Any, image: ShowerImage) -> None:
    """x to the right, y upwards, as far as the pixels go."""
    unit = f" [{image.length_unit}]" if image.length_unit else ""
    panel.set_xlim(image.rows[0].low, image.rows[-1].high)
    panel.set_ylim(image.rows[0].r_edges[0], image.rows[0].r_edges[-1])
    panel.set_xlabel(f"x{unit}", fontsize="small", loc="center")
    if panel.get_subplotspec().is_first_col():
        panel.set_ylabel(f"y{unit}", fontsize="small", loc="center")
    else:
        panel.tick_params(labelleft=False)


def _layer_axes(panel: Any, image: ShowerImage) -> None:
    """Layers to the right, radius upwards: logarithmic beyond the first ring where rings differ much in width."""
    last = len(image.rows) - 1
    step = max(int(np.ceil(len(image.rows) / 10)), 1)
    places = list(range(0, last + 1, step))
    panel.set_xticks(places, [image.labels[place] for place in places], fontsize="small")
    panel.minorticks_off()
    panel.set_xlabel("layer", fontsize="small", loc="center")
    inner = min(row.r_edges[1] for row in image.rows)
    outer = max(row.r_edges[-1] for row in image.rows)
    if outer > WIDE_RANGE * inner:
        panel.set_yscale("symlog", linthresh=inner)
        decades = 10.0 ** np.arange(np.ceil(np.log10(inner)), np.floor(np.log10(outer)) + 1)
        panel.set_yticks([0.0, *decades], ["0", *(f"{value:g}" for value in decades)])
    panel.set_ylim(0.0 if min(row.r_edges[0] for row in image.rows) >= 0 else None, outer)
    if panel.get_subplotspec().is_first_col():
        panel.set_ylabel(f"radius [{image.length_unit}]", fontsize="small", loc="center")
    else:
        panel.tick_params(labelleft=False)
