"""What the benchmark of morphing compares: recipes of each method, by a name of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hepgen.config.methods import METHODS

STEPS = {
    "flows_for_flows": 1600,
    "sinkhorn": 80,
    "matching": 3000,
    "noising": 3000,
    "classifier": 3000,
    "coupling": 2000,
}
"""Steps of the methods that are trained step by step: a quarter to half a minute of a quiet core."""


def training_of(method: str, budget: float | None) -> dict[str, Any]:
    """``training`` of a recipe: the steps of the method, so that what else the machine does changes nothing."""
    return {"steps": STEPS[method]} if budget is None and method in STEPS else {}


@dataclass(frozen=True)
class Variant:
    """A method with options.

    Attributes:
        method: name in ``hepgen.config.methods``.
        options: that differ from its defaults.
        conditional: whether it says something of problems with conditions only.
    """

    method: str
    options: dict[str, Any] = field(default_factory=dict)
    conditional: bool = False

    @property
    def there(self) -> bool:
        """Whether the method is one of this version."""
        return self.method in METHODS


VARIANTS: dict[str, Variant] = {
    "quantile": Variant("quantile"),
    "base transfer": Variant("flows_for_flows", {"variant": "base_transfer"}),
    "unidirectional": Variant("flows_for_flows", {"variant": "unidirectional"}),
    "flows for flows": Variant("flows_for_flows"),
    "flows for flows, no penalty": Variant("flows_for_flows", {"penalty": "none"}),
    "flows for flows, L2": Variant("flows_for_flows", {"penalty": "l2"}),
    "flows for flows, random start": Variant("flows_for_flows", {"identity": False, "penalty": "none"}),
    "flows for flows, delta": Variant("flows_for_flows", {"condition": "delta"}, conditional=True),
    "flows for flows, concatenated": Variant("flows_for_flows", {"condition": "concatenated"}, conditional=True),
    "sinkhorn": Variant("sinkhorn"),
    "matching": Variant("matching"),
    "matching, bridges": Variant("matching", {"bridge": 0.1}),
    "matching, independent pairs": Variant("matching", {"coupling": "independent"}),
    "optimal transport": Variant("optimal_transport"),
    "noising": Variant("noising"),
    "noising, half way": Variant("noising", {"start": 0.5}),
    "classifier": Variant("classifier"),
    "boosted": Variant("boosted"),
    "boosted, hep_ml": Variant("boosted", {"engine": "hep_ml"}),
}
