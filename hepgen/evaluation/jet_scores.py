"""The scores by which jets of JetNet are published (arXiv:2106.11535): W1M, W1P, W1EFP, coverage and MMD.

In the units of the publications: relative masses, ptrel and polynomials of relative constituents, none divided by a
deviation. Published values are means over samples drawn with replacement; here each has its floor on truth, and no event is
used twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hepgen.evaluation.domain import Array, FloatArray, Pool
from hepgen.evaluation.energy_movers import coverage_and_mmd, distance_matrix
from hepgen.evaluation.jet_features import blocks_of, polynomials, prime_graphs
from hepgen.evaluation.metrics import UNWEIGHTED, wasserstein_distance
from hepgen.evaluation.scores import Pair, ScoreBook
from hepgen.evaluation.splits import LARGEST_SIDE, Split
from hepgen.physics.jets import jet_momentum

MATCHED = 100
"""Jets on each side of coverage and MMD, which depend on their number."""


def add_jet_scores(
    book: ScoreBook,
    reference: Pool,
    generated: Pool,
    splits: Sequence[Split],
    parts: int,
    *,
    hardest: int = 30,
    repeats: int = 3,
    matched: int = MATCHED,
) -> None:
    """Add ``w1m``, ``w1p``, ``w1efp``, ``coverage_emd`` and ``mmd_emd``.

    Args:
        splits: rows of the raw values; 50,000 jets a side are taken at most.
        parts: disjoint parts of each that give the errors.
        hardest: constituents of polynomials and of energy mover's distances.
        repeats: disjoint groups of jets of the first split for coverage and MMD, which are the means over them.
        matched: jets of a group, or all where there are fewer; published values take a hundred.
    """
    splits = [split.first(LARGEST_SIDE) for split in splits]
    pools = reference, generated
    weights = [pool.weights[: len(pool.raw)] for pool in pools]
    five = prime_graphs(4, vertices=4, exactly=True)
    measures: dict[str, tuple[Callable[[Array], FloatArray], Columns]] = {
        "w1m": (_masses, _each_column),
        "w1p": (_constituents, _each_of_constituents),
        "w1efp": (lambda raw: polynomials(raw, hardest, five), _each_column),
    }
    for name, (values, columns) in measures.items():
        _add_distances(book, name, [values(pool.raw) for pool in pools], weights, splits, parts, columns)
    first, size = splits[0], min(split.size for split in splits)
    samples = reference.raw[first.a], reference.raw[first.b], generated.raw[first.generated]
    matched = min(matched, size)
    groups = [np.arange(start, start + matched) for start in range(0, size - matched + 1, matched)][:repeats]
    if not groups:
        return
    found = []
    for rows in groups:
        a, b, made = (blocks_of(x[rows], hardest) for x in samples)
        found.append([coverage_and_mmd(distance_matrix(other, a)) for other in (made, b)])
    for place, name in enumerate(("coverage_emd", "mmd_emd")):
        pairs = [(value[place], floor[place]) for value, floor in found]
        mean = float(np.mean([value for value, _ in pairs])), float(np.mean([floor for _, floor in pairs]))
        book.add_parts(name, [mean, *pairs], matched)
        book.comment(name, f"mean of {len(pairs)} x {matched} jets" if len(pairs) > 1 else f"of {matched} jets")
        if any((one != 1).any() for one in weights):
            book.comment(name, UNWEIGHTED)


Weighted = tuple[FloatArray, FloatArray]
Columns = Callable[[FloatArray, FloatArray], list[Weighted]]


def _add_distances(
    book: ScoreBook,
    name: str,
    values: Sequence[FloatArray],
    weights: Sequence[FloatArray],
    splits: Sequence[Split],
    parts: int,
    columns: Columns,
) -> None:
    """The mean over columns of their Wasserstein distances; values and weights of all true and of all generated jets."""
    sides = list(zip(values, weights, strict=True))
    true, made = sides
    found: list[list[Pair]] = []
    for split in splits:
        pairs: list[Pair] = []
        for one in (split, *split.parts(parts)):
            chosen = (true, one.a), (true, one.b), (made, one.generated)
            a, b, generated = (columns(x[rows], weight[rows]) for (x, weight), rows in chosen)
            pairs.append((_mean_distance(a, generated), _mean_distance(a, b)))
        found.append(pairs)
    book.add_splits(name, found, min(split.size for split in splits))


def _mean_distance(first: Sequence[Weighted], second: Sequence[Weighted]) -> float:
    pairs = zip(first, second, strict=True)
    return float(np.mean([wasserstein_distance(x, y, v, w) for (x, v), (y, w) in pairs]))


def _masses(raw: Array) -> FloatArray:
    """Masses of massless constituents in relative coordinates, (jets, 1)."""
    jets = blocks_of(raw)
    return jet_momentum(jets.ptrel, jets.etarel, jets.phirel).mass[:, None]


def _constituents(raw: Array) -> FloatArray:
    """etarel, phirel, ptrel, (jets, constituents, 3)."""
    jets = blocks_of(raw)
    return np.stack([jets.etarel, jets.phirel, jets.ptrel], axis=-1)


def _each_column(values: FloatArray, weights: FloatArray) -> list[Weighted]:
    return [(column, weights) for column in values.T]


def _each_of_constituents(values: FloatArray, weights: FloatArray) -> list[Weighted]:
    """The features of all constituents of all jets, with the weights of these, padding left out."""
    there = values[..., 2] > 0
    of_each = np.broadcast_to(weights[:, None], there.shape)[there]
    return [(column, of_each) for column in values[there].T]
