"""Pictures of a report: reference against generated, with the errors of both and a ratio panel.

matplotlib is imported when the first picture is drawn, without its global state: figures render on their own canvas.
"""

from __future__ import annotations

import io
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from hepgen.evaluation.density_ratio import LOG_WEIGHT
from hepgen.evaluation.domain import FloatArray
from hepgen.evaluation.histograms import HistogramPair
from hepgen.evaluation.report import Report
from hepgen.evaluation.report_parts import Curve
from hepgen.evaluation.tables import file_stem

REFERENCE_COLOR = "#3f3f3f"
GENERATED_COLOR = "#d1495b"
DPI = 60
_LINES = ((REFERENCE_COLOR, "--"), ("#5f7fa8", ":"), ("#2a7f62", "-"))


def choose_histograms(report: Report, limit: int) -> list[HistogramPair]:
    """The histograms to draw: all where they are few, else the response, the spectrum and the worst by separation."""
    if len(report.histograms) <= limit:
        return list(report.histograms)

    def urgency(pair: HistogramPair) -> float:
        if pair.observable.name in {"response", "voxel_energy"} or pair.observable.name.startswith(LOG_WEIGHT):
            return -np.inf
        score = report.scores.get(f"separation.{pair.observable.name}")
        return -(score.value or 0.0) if score is not None else 0.0

    return sorted(report.histograms, key=urgency)[:limit]


def draw(picture: HistogramPair | Curve, folder: Path) -> bytes:
    """Draw one picture into ``<name>.png`` and ``<name>.pdf`` of a folder; the PNG is returned as well."""
    import matplotlib as mpl
    import mplhep
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style = {
        **mplhep.style.CMS,
        "figure.figsize": (10.0, 10.0),
        "savefig.bbox": None,
        "font.size": 22,
        "axes.labelpad": 9,
        "xtick.minor.visible": False,  # half of the time of a picture
        "ytick.minor.visible": False,
    }
    with mpl.rc_context(style):
        figure = Figure()
        FigureCanvasAgg(figure)
        upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (3, 1), "hspace": 0.1})
        figure.subplots_adjust(left=0.18, right=0.96, top=0.96, bottom=0.11)
        if isinstance(picture, Curve):
            name = picture.name
            _draw_curve(picture, upper, lower)
        else:
            name = picture.observable.name
            _draw_histograms(picture, upper, lower)
        upper.legend(loc="best", fontsize="small")
        lower.axhline(1.0, color=REFERENCE_COLOR, linewidth=1)
        lower.set_ylabel("generated / ref.", fontsize="small", loc="center")
        figure.align_ylabels((upper, lower))
        return save_figure(figure, folder, name)


def save_figure(figure: Any, folder: Path, name: str) -> bytes:
    """Write a figure as PNG and as PDF, without dates or versions in them; the PNG is returned as well."""
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=DPI, metadata={"Software": None})
    stem = file_stem(name)
    (folder / f"{stem}.png").write_bytes(image.getvalue())
    figure.savefig(folder / f"{stem}.pdf", metadata={"CreationDate": None})
    return image.getvalue()


def _draw_histograms(pair: HistogramPair, upper: Any, lower: Any) -> None:
    import mplhep

    edges = pair.reference.axis.edges
    true, true_error = pair.reference.density()
    made, made_error = pair.generated.density()
    mplhep.histplot(true, edges, ax=upper, histtype="fill", color=REFERENCE_COLOR, alpha=0.25, label="reference")
    _band(upper, edges, true - true_error, true + true_error)
    mplhep.histplot(made, edges, yerr=made_error, ax=upper, color=GENERATED_COLOR, linewidth=2, label="generated")
    ratio, true_relative, made_relative = _ratio(true, true_error, made, made_error)
    _band(lower, edges, 1 - true_relative, 1 + true_relative)
    middle = np.sqrt(edges[1:] * edges[:-1]) if pair.reference.axis.log else (edges[1:] + edges[:-1]) / 2
    lower.errorbar(middle, ratio, yerr=made_relative, fmt="o", markersize=4, color=GENERATED_COLOR)
    lower.set_ylim(*_limits(ratio, made_relative))
    unit = f" [{pair.observable.unit}]" if pair.observable.unit else ""
    lower.set_xlabel(f"{_plain(pair.observable.label)}{unit}")
    upper.set_ylabel("fraction of events" if pair.observable.name != "voxel_energy" else "fraction of voxels")
    lower.set_xlim(edges[0], edges[-1])
    if pair.reference.axis.log:
        lower.set_xscale("log")
    positive = np.concatenate([true[true > 0], made[made > 0]])
    if len(positive) and positive.max() > 300 * np.median(positive):
        upper.set_yscale("log")
    else:
        upper.set_ylim(min(0.0, float(np.min(made, initial=0.0))), None)


def _draw_curve(curve: Curve, upper: Any, lower: Any) -> None:
    x = np.array(curve.x)
    true, true_error = np.array(curve.reference), np.array(curve.reference_error)
    made, made_error = np.array(curve.generated), np.array(curve.generated_error)
    dense = {"markersize": 4 if len(x) > 20 else 8, "capsize": 0}
    upper.errorbar(
        x, true, yerr=true_error, fmt="s", color=REFERENCE_COLOR, label="reference", fillstyle="none", **dense
    )
    upper.errorbar(x, made, yerr=made_error, fmt="o", color=GENERATED_COLOR, label="generated", **dense)
    for line, (color, style) in zip(curve.lines, cycle(_LINES), strict=False):
        upper.plot(line.x, line.y, style if len(line.x) > 1 else "*", color=color, label=line.label, markersize=20)
    ratio, true_relative, made_relative = _ratio(true, true_error, made, made_error)
    lower.errorbar(x, np.ones(len(x)), yerr=true_relative, fmt="none", color=REFERENCE_COLOR, elinewidth=6, alpha=0.3)
    lower.errorbar(x, ratio, yerr=made_relative, fmt="o", color=GENERATED_COLOR, **dense)
    lower.set_ylim(*_limits(ratio, made_relative))
    lower.set_xlabel(curve.x_label)
    upper.set_ylabel(_plain(curve.y_label))
    if curve.log_x:
        lower.set_xscale("log")
    if curve.log_y:
        upper.set_yscale("log")
        good = np.isfinite(ratio) & (ratio > 0)
        if good.any() and ratio[good].max() > 2:
            lower.set_yscale("log")
            lower.set_ylim(0.5 * min(1.0, ratio[good].min()), 2 * ratio[good].max())


def _band(axes: Any, edges: FloatArray, low: FloatArray, high: FloatArray) -> None:
    axes.fill_between(
        edges, np.append(low, low[-1]), np.append(high, high[-1]), step="post", color=REFERENCE_COLOR, alpha=0.3, lw=0
    )


def _ratio(
    true: FloatArray, true_error: FloatArray, made: FloatArray, made_error: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Generated over reference, and the relative errors of both, nan (not drawn) where the reference is empty."""
    base = np.where(true != 0, true, np.nan)
    return made / base, true_error / np.abs(base), made_error / np.abs(base)


def _limits(ratio: FloatArray, error: FloatArray) -> tuple[float, float]:
    """A symmetric range around 1 that shows the well-measured points."""
    good = np.isfinite(ratio) & (error < 0.5)
    reach = float(np.quantile(np.abs(ratio[good] - 1) + error[good], 0.95)) if good.any() else 0.5
    reach = min(max(1.2 * reach, 0.02), 1.0)
    return 1 - reach, 1 + reach


def _plain(label: str) -> str:
    """A label that matplotlib does not take for mathematics."""
    return label.replace("$", r"\$")
