"""The distribution of one column as plain numbers: a cumulative function with jumps, piecewise linear in between."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

DistributionKind = Literal["continuous", "integer", "discrete"]


@dataclass(frozen=True)
class Distribution:
    """Cumulative distribution of one column, linear between knots in the stretched value t = asinh((x - centre) / scale).

    The stretch is a straight line where the scale is large against the range, and a logarithm far from the centre, so
    one formula serves bounded columns and heavy tails.

    A segment lies between two neighbouring knots. It is either a piece of the continuum or an *atom*: a single value
    that has a probability of its own. In a ``continuous`` distribution an atom is a spike; a ``discrete`` one has
    nothing but atoms, with knots half-way between them. Knots of an ``integer`` distribution are whole numbers and x
    stands for the interval from x to x + 1.

    Attributes:
        kind: ``continuous``, ``integer`` or ``discrete``.
        knots: values at the knots, ascending, in the unit of the column.
        probabilities: cumulative probability at each knot, ascending.
        atoms: for each segment its value if it is an atom, else None.
        centre: centre of the stretch.
        scale: scale of the stretch.
    """

    kind: DistributionKind
    knots: tuple[float, ...]
    probabilities: tuple[float, ...]
    atoms: tuple[float | None, ...]
    centre: float = 0.0
    scale: float = 1.0

    @property
    def noisy(self) -> bool:
        """Whether encoding takes noise: to spread an atom, or a whole number, over its interval of probability."""
        return self.kind == "integer" or any(atom is not None for atom in self.atoms)

    def to_dict(self) -> dict[str, Any]:
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Distribution:
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in state.items()}
        return cls(**fields)
