"""Symmetries of a table: columns whose common change of sign leaves the law of the data as it is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Sequence

from hepgen.errors import ConfigError
from hepgen.representations.column_kinds import ColumnFacts
from hepgen.representations.relations import CyclicDifference, OrderedShare, Relation

MIRROR = "representation.mirror"
"""Where a recipe names them."""
_KINDS = {"constant", "continuous", "cyclic"}


def mirrored_facts(facts: Sequence[ColumnFacts], mirrored: Collection[int]) -> list[ColumnFacts]:
    """The facts with the range of every mirrored column made symmetric.

    Raises:
        ConfigError: for a column of whole numbers or a few values, an angle whose period does not end at its mirror
            image, or set bounds that are not symmetric.
    """
    changed = list(facts)
    for index in mirrored:
        fact = facts[index]
        if fact.kind not in _KINDS:
            raise ConfigError(f"column '{fact.name}' is {fact.kind}: it cannot be mirrored", where=MIRROR)
        if fact.kind == "cyclic":
            if not any(math.isclose(fact.origin, at, abs_tol=1e-9) for at in (0.0, -fact.period / 2)):
                what = f"'{fact.name}' begins its period at {fact.origin:g}: its mirror image lies in another"
                raise ConfigError(what, where=MIRROR, hint="let it begin at 0 or at minus half a period")
        elif fact.bounded and fact.low != -fact.high:
            what = f"the bounds {fact.low:g} to {fact.high:g} of '{fact.name}' are not symmetric"
            raise ConfigError(what, where=MIRROR, hint=f"set representation.columns.{fact.name}.low and .high alike")
        elif fact.kind == "continuous":
            reach = max(fact.high, -fact.low)
            affine = None if fact.affine is None else (0.0, math.hypot(*fact.affine))
            changed[index] = dataclasses.replace(fact, low=-reach, high=reach, affine=affine)
    return changed


def mirrored_relations(
    relations: Sequence[Relation], facts: Sequence[ColumnFacts], mirrors: Sequence[Sequence[int]]
) -> list[Relation]:
    """The relations that a mirror leaves as they are: no order of a mirrored column survives a change of its sign.

    Raises:
        ConfigError: for angles that are known relative to each other, but are not mirrored together.
    """
    turning = {index for group in mirrors for index in group}
    kept = []
    for relation in relations:
        if isinstance(relation, OrderedShare) and turning & {relation.child, relation.parent}:
            continue
        if isinstance(relation, CyclicDifference):
            for group in mirrors:
                if (relation.child in group) != (relation.parent in group):
                    one, other = facts[relation.child].name, facts[relation.parent].name
                    what = f"the angles '{one}' and '{other}' depend on each other and are not mirrored together"
                    raise ConfigError(what, where=MIRROR, hint="put all angles into one group")
        kept.append(relation)
    return kept


def mirror_centre(fact: ColumnFacts, relation: Relation | None) -> float:
    """What a mirrored column, or what stands for it, is mirrored around."""
    if isinstance(relation, CyclicDifference):
        return relation.period / 2
    return fact.origin + fact.period / 2 if fact.kind == "cyclic" else 0.0
