"""The histograms of a report as ``TH1D`` in a ROOT file, for plots and fits of one's own.

Every observable stands there twice, with its weights summed and not normalised: ``reference/NAME`` and
``generated/NAME``, NAME as in the names of the pictures. uproot is imported when a file is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hepgen.evaluation.domain import FloatArray
from hepgen.evaluation.histograms import Histogram, HistogramPair, Observable
from hepgen.evaluation.tables import file_stem

SAMPLES = ("reference", "generated")
"""The folders of the file."""


def write_histograms(pairs: Sequence[HistogramPair], path: Path) -> None:
    """Write all histograms of both samples, whole or not at all; an earlier file is replaced.

    Raises:
        OSError: if the file cannot be written.
    """
    import uproot

    names = histogram_names([pair.observable for pair in pairs])
    part = path.with_name(f"{path.name}.part")
    # a stream of our own: uproot would read a colon in the path of a folder as the name of an object
    with part.open("w+b") as stream, uproot.recreate(stream) as file:
        for sample in SAMPLES:
            file.mkdir(sample)
            for name, pair in zip(names, pairs, strict=True):
                file[f"{sample}/{name}"] = _th1d(pair.observable, getattr(pair, sample))
    part.replace(path)


def histogram_names(observables: Sequence[Observable]) -> list[str]:
    """One name each that no other has, within a folder of the file.

    Example:
        >>> histogram_names([Observable("x[0]", "x"), Observable("x_0", "x"), Observable("y", "y")])
        ['x_0', 'x_0_2', 'y']
    """
    names: list[str] = []
    for observable in observables:
        stem = name = file_stem(observable.name)
        number = 1
        while name in names:
            number += 1
            name = f"{stem}_{number}"
        names.append(name)
    return names


def _th1d(observable: Observable, histogram: Histogram) -> Any:
    """A ``TH1D`` with sums of weights and of their squares, under- and overflow in the outermost bins."""
    from uproot.writing.identify import to_TH1x

    edges, counts, squares = histogram.axis.edges, histogram.counts, histogram.squares
    middle = (edges[1:] + edges[:-1]) / 2
    inside = counts[1:-1]  # ROOT's own mean and width leave under- and overflow out
    return to_TH1x(
        None,
        observable.label,
        np.asarray(counts, dtype=">f8"),
        _entries(counts, squares),
        float(inside.sum()),
        float(squares[1:-1].sum()),
        float(inside @ middle),
        float(inside @ middle**2),
        np.asarray(squares, dtype=">f8"),
        _axis(observable, edges),
    )


def _entries(counts: FloatArray, squares: FloatArray) -> float:
    """The events behind a histogram; with weights the effective number (sum w)^2 / sum w^2, as ROOT has it.

    Example:
        >>> _entries(np.array([0.0, 3.0, 1.0]), np.array([0.0, 3.0, 1.0]))
        4.0
    """
    spread = float(squares.sum())
    return float(counts.sum()) ** 2 / spread if spread > 0 else 0.0


def _axis(observable: Observable, edges: FloatArray) -> Any:
    """Equal bins by their number, others by their edges; the unit stands in the title."""
    from uproot.writing.identify import to_TAxis

    widths = np.diff(edges)
    equal = np.allclose(widths, widths[0], rtol=1e-9, atol=0.0)
    title = observable.label + (f" [{observable.unit}]" if observable.unit else "")
    bounds = len(edges) - 1, float(edges[0]), float(edges[-1])
    return to_TAxis("xaxis", title, *bounds, fXbins=None if equal else np.asarray(edges, dtype=">f8"))
