"""Energy-flow polynomials (arXiv:1712.07124): sums over constituents of products of energies and angles, by graph.

A polynomial has a vertex for every sum over constituents and an edge for every angle between two of them. Vertices are
summed one after the other, so that a polynomial of many vertices costs as much as the widest step on the way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import combinations, permutations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepgen.errors import UsageError

FloatArray = NDArray[np.float64]
Graph = tuple[tuple[int, int], ...]
"""Edges between vertices 0, 1, ...; an edge may stand several times, and no edge at all is one vertex."""

_CHUNK = 200_000  # angles at a time: what a core keeps near it, twice as fast as ten times as many


@cache
def graphs(max_degree: int = 4) -> tuple[Graph, ...]:
    """Every multigraph without loops and single vertices of up to ``max_degree`` edges, connected or not, by degree.

    The 36 graphs of up to 4 edges are the features of FPD and KPD (arXiv:2211.10295); the first is the sum of energies.

    Example:
        >>> len(graphs(4)), graphs(2)
        (36, ((), ((0, 1),), ((0, 1), (0, 1)), ((0, 1), (0, 2)), ((0, 1), (2, 3))))
    """
    found: list[tuple[Graph, ...]] = [((),)]
    for _ in range(max_degree):
        # one more edge, between any vertices that are there or up to two new ones
        grown = {
            _canonical((*graph, edge)) for graph in found[-1] for edge in combinations(range(_order(graph) + 2), 2)
        }
        found.append(tuple(sorted(grown, key=lambda graph: (_order(graph), graph))))
    return tuple(graph for level in found for graph in level)


def _order(graph: Graph) -> int:
    return 1 + max((max(edge) for edge in graph), default=0)


def is_prime(graph: Graph) -> bool:
    """Whether the polynomial is no product of others: the graph is in one piece.

    Example:
        >>> is_prime(((0, 1), (0, 2))), is_prime(((0, 1), (2, 3)))
        (True, False)
    """
    return len(_connected(graph)) == 1


def _canonical(graph: Graph) -> Graph:
    """The smallest of the same graph under all names of its vertices."""
    vertices = sorted({vertex for edge in graph for vertex in edge})
    best: Graph | None = None
    for names in permutations(range(len(vertices))):
        name = dict(zip(vertices, names, strict=True))
        a_b = ((name[a], name[b]) for a, b in graph)
        renamed = tuple(sorted((min(edge), max(edge)) for edge in a_b))
        best = renamed if best is None or renamed < best else best
    return best or ()


def angles(eta: ArrayLike, phi: ArrayLike) -> FloatArray:
    """Distances sqrt(d_eta^2 + d_phi^2) between constituents, phi around the circle: (..., n) to (..., n, n).

    Example:
        >>> angles([0.0, 3.0], [0.0, 4.0]).round(3).tolist()
        [[0.0, 3.77], [3.77, 0.0]]
    """
    rapidity, azimuth = np.asarray(eta, dtype=np.float64), np.asarray(phi, dtype=np.float64)
    differences = (one[..., :, None] - one[..., None, :] for one in (rapidity, azimuth))
    return delta_r(*differences)


def delta_r(d_eta: FloatArray, d_phi: FloatArray) -> FloatArray:
    """sqrt(d_eta^2 + d_phi^2), d_phi the shorter way around the circle; any shape."""
    around = d_phi - 2 * np.pi * np.rint(d_phi / (2 * np.pi))
    return np.asarray(np.sqrt(d_eta * d_eta + around * around))


def energy_flow_polynomials(
    pt: ArrayLike,
    eta: ArrayLike,
    phi: ArrayLike,
    which: Sequence[Graph] | None = None,
    *,
    beta: float = 1.0,
    threads: int = 1,
) -> FloatArray:
    """Energy-flow polynomials of jets, with pt as energy and distances in (eta, phi) as angles (measure "hadr").

    Args:
        pt, eta, phi: (jets, constituents); a constituent of pt 0 does not count, which is how shorter jets are padded.
        which: graphs; the 36 of up to 4 edges where None.
        beta: power of the angles.
        threads: that share the jets; numpy lets them run at the same time.

    Returns:
        (jets, graphs).

    Raises:
        UsageError: for a graph that cannot be summed with matrices of constituents (four vertices, all joined).

    Example:
        >>> energy_flow_polynomials([[1.0, 2.0]], [[0.0, 0.5]], [[0.0, 0.0]], [(), ((0, 1),)]).tolist()
        [[3.0, 2.0]]
    """
    energies = np.asarray(pt, dtype=np.float64)
    places = [np.asarray(values, dtype=np.float64) for values in (eta, phi)]
    chosen = graphs() if which is None else tuple(which)
    result = np.empty((len(energies), len(chosen)))
    step = max(1, _CHUNK // max(1, energies.shape[1] ** 2))

    def fill(start: int) -> None:
        part = slice(start, start + step)
        theta = angles(places[0][part], places[1][part]) ** beta
        result[part] = _polynomials(energies[part], theta, chosen)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, range(0, len(energies), step)))  # the list waits, and raises what a thread raised
    return result


def _polynomials(energies: FloatArray, theta: FloatArray, chosen: Sequence[Graph]) -> FloatArray:
    terms = _Terms(energies, theta)
    known = {piece: _summed(piece, terms) for graph in chosen for piece in _connected(graph)}
    columns = [np.prod([known[piece] for piece in _connected(graph)], axis=0) for graph in chosen]
    return np.stack(columns, axis=1)


Name = tuple[Any, ...]
"""How a vector or a matrix came to be, from energies and angles."""


class _Terms:
    """Vectors (jets, n) and matrices (jets, n, n) that graphs share, each calculated once."""

    ENERGIES: Name = ("energies",)

    def __init__(self, energies: FloatArray, theta: FloatArray) -> None:
        self._values: dict[Name, FloatArray] = {self.ENERGIES: energies, ("power", 1): theta}

    def __getitem__(self, name: Name) -> FloatArray:
        return self._values[name]

    def power(self, number: int) -> Name:
        """Angles to a power."""
        if number > 1:
            self._keep(("power", number), lambda: self[self.power(number - 1)] * self["power", 1])
        return "power", number

    def product(self, *factors: Name) -> Name:
        """Element by element; the order of the factors makes no difference."""
        one, other = sorted(factors, key=repr)
        return self._keep(("times", one, other), lambda: self[one] * self[other])

    def turned(self, matrix: Name) -> Name:
        """With rows for columns; powers of the angles are symmetric."""
        if matrix[0] == "power":
            return matrix
        return self._keep(("turned", matrix), lambda: self[matrix].swapaxes(1, 2))

    def along(self, matrix: Name, vector: Name) -> Name:
        """A vertex with one neighbour summed away: a vector for that neighbour."""
        name = ("along", matrix, vector)
        return self._keep(name, lambda: np.matmul(self[matrix], self[vector][:, :, None])[:, :, 0])

    def through(self, one: Name, vector: Name, other: Name) -> Name:
        """A vertex between two neighbours summed away: a matrix for them."""
        name = ("through", one, vector, other)
        return self._keep(name, lambda: np.matmul(self[one] * self[vector][:, None, :], self[other]))

    def _keep(self, name: Name, make: Callable[[], FloatArray]) -> Name:
        if name not in self._values:
            self._values[name] = make()
        return name


def _multiplicities(graph: Graph) -> Counter[tuple[int, int]]:
    return Counter((min(edge), max(edge)) for edge in graph)


@cache
def _connected(graph: Graph) -> tuple[Graph, ...]:
    """The connected pieces, each under its smallest name."""
    groups: list[set[int]] = []
    for edge in graph:
        touched = [group for group in groups if group & set(edge)]
        groups = [group for group in groups if not group & set(edge)] + [set(edge).union(*touched)]
    pieces = (tuple(edge for edge in graph if edge[0] in group) for group in groups)
    return tuple(sorted(_canonical(piece) for piece in pieces)) or ((),)


def _summed(graph: Graph, terms: _Terms) -> FloatArray:
    """One connected polynomial, (jets,): vertices are summed away, those of fewest neighbours first."""
    edges = {edge: terms.power(times) for edge, times in _multiplicities(graph).items()}
    at = dict.fromkeys({vertex for edge in edges for vertex in edge} or {0}, terms.ENERGIES)
    while True:
        neighbours = {v: sorted({a + b - v for a, b in edges if v in (a, b)}) for v in at}
        vertex = min(at, key=lambda v: (len(neighbours[v]), v))
        near = neighbours[vertex]
        own = at.pop(vertex)
        if not near:
            return np.asarray(terms[own].sum(axis=1))
        # rows for the neighbour, columns for the vertex
        links = [edges.pop((o, vertex)) if o < vertex else terms.turned(edges.pop((vertex, o))) for o in near]
        if len(near) == 1:
            at[near[0]] = terms.product(at[near[0]], terms.along(links[0], own))
        elif len(near) == 2:
            joined = terms.through(links[0], own, terms.turned(links[1]))
            edge = (near[0], near[1])
            edges[edge] = terms.product(edges[edge], joined) if edge in edges else joined
        else:
            raise UsageError(f"the graph {graph} cannot be summed with matrices of constituents")
