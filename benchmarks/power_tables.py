"""Tables of ``evaluation_power.py``: which kind of score sees a distortion, and from which strength on."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

SIGMA = 3.0
FAMILIES = {
    "1-d": (
        "separation",
        "ks",
        "w1",
        "chi2ndf",
        "mean",
        "width",
        "tail_low",
        "tail_high",
        "chi2ndf_2d",
        "outliers",
        "response",
        "profile",
    ),
    "Frechet": ("fpd", "fpd_intercept", "fpd_extrapolated", "kpd"),
    "distances": ("energy_distance", "sliced_w1", "correlation"),
    "neighbours": ("precision", "recall", "density", "coverage"),
    "classifiers": ("auc", "jsd", "kl", "chi2", "hellinger"),
    "global": ("global",),
    "memorisation": ("memorisation",),
    "sanity": ("sanity",),
}


def family(name: str) -> str:
    word = re.split("[.@]", name, maxsplit=1)[0]
    return next(
        (one for one, words in FAMILIES.items() if any(word == x or word.startswith(f"{x}_") for x in words)), "other"
    )


def beyond(found: Mapping[str, float], at_zero: Mapping[str, float]) -> dict[str, float]:
    """Scores beyond three standard deviations that were not so, in the same direction, without a distortion."""
    return {x: z for x, z in found.items() if abs(z) > SIGMA and math.copysign(1, z) * at_zero.get(x, 0.0) <= SIGMA}


def first_seen(cells: Mapping[float, Mapping[str, float]], at_zero: Mapping[str, float]) -> dict[str, float]:
    """By score, the smallest strength from which on it is beyond three standard deviations, in one direction."""
    strengths = sorted(cells, reverse=True)
    seen: dict[str, float] = {}
    for name, last in beyond(cells[strengths[0]], at_zero).items():
        for strength in strengths:
            if math.copysign(1, last) * cells[strength].get(name, 0.0) <= SIGMA:
                break
            seen[name] = strength
    return seen


def print_power(
    name: str, results: Mapping[str, Mapping[float, Mapping[str, float]]], at_zero: Mapping[str, float]
) -> None:
    for distortion, cells in results.items():
        print(f"\n{name}, {distortion}")
        for strength, found in sorted(cells.items()):
            off = beyond(found, at_zero)
            top = sorted(off, key=lambda x: -abs(off[x]))[:5]
            words = ", ".join(f"{x} {off[x]:+.1f}" for x in top) or "nothing"
            print(f"  {strength:6.1%}  {len(off):3d} scores: {words}")
    print(f"\n{name}: the smallest strength that each kind of score sees")
    print(f"{'':<34}" + "".join(f"{one:>14}" for one in FAMILIES))
    for distortion, cells in results.items():
        seen = first_seen(cells, at_zero)
        least = {one: min((s for x, s in seen.items() if family(x) == one), default=None) for one in FAMILIES}
        row = "".join(f"{'-' if s is None else f'{s:.1%}':>14}" for s in least.values())
        print(f"{distortion:<34}{row}" + ("" if seen and min(seen.values()) <= 0.01 else "   not at 1 %"))
    noisy = sorted(x for x, z in at_zero.items() if abs(z) > SIGMA)
    print(f"{len(noisy)} of {len(at_zero)} scores are beyond three at strength 0: {', '.join(noisy)}")


def print_pairs(name: str, found: list[dict[str, Any]]) -> None:
    print(f"{name}: {len(found)} pairs of true samples")
    for which, words in enumerate(("generated, which is true", "floor")):
        p_values = np.array([one["global.p"][which] for one in found], dtype=float)
        for limit in (0.05, 0.1):
            share = float(np.mean(p_values < limit))
            error = math.sqrt(max(share, 1 / len(found)) * (1 - share) / len(found))
            print(f"  global.p of {words}: below {limit} in {share:.1%} +- {error:.1%}")
    families = sorted({family for one in found for family, _, _ in one["tests"].values()})
    for one in families:
        alone = [
            min((p * factor for x, p, factor in pair["tests"].values() if x == one), default=1.0) for pair in found
        ]
        print(f"  {one}: alone below 0.05 in {float(np.mean(np.array(alone) < 0.05)):.1%}")
