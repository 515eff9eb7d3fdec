"""A report on disk: ``report.json``, ``histograms.root``, ``report.html`` and pictures as PNG and PDF."""

from __future__ import annotations

from pathlib import Path

from hepgen.errors import error_of_writing
from hepgen.evaluation.html import page
from hepgen.evaluation.image_plots import draw_image
from hepgen.evaluation.plots import choose_histograms, draw
from hepgen.evaluation.report import Report
from hepgen.evaluation.root_histograms import write_histograms

DEFAULT_PLOTS = 24


def write_report(
    report: Report, out_dir: str | Path, *, plots: int = DEFAULT_PLOTS, title: str = "Generated against reference"
) -> Path:
    """Write everything into a folder, which is made where it does not exist, and give the path of the page.

    Args:
        report: of ``evaluate``.
        out_dir: the folder; files of an earlier report are replaced.
        plots: histograms that are drawn at most, the worst first where there are more.
        title: of the page.

    Raises:
        UsageError, OutputError: if a file cannot be written.
    """
    folder = Path(out_dir)
    try:
        pictures_folder = folder / "plots"
        pictures_folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "report.json", report.to_json())
        write_histograms(report.histograms, folder / "histograms.root")
        pictures = [(curve.y_label, draw(curve, pictures_folder)) for curve in report.curves]
        chosen = choose_histograms(report, plots)
        pictures += [(pair.observable.label, draw(pair, pictures_folder)) for pair in chosen]
        images = [(image.title, draw_image(image, pictures_folder)) for image in report.images]
        target = folder / "report.html"
        _write(target, page(report, pictures, title, images))
    except OSError as error:
        raise error_of_writing(error, folder) from error
    return target


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
