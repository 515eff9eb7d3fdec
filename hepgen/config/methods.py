"""The registry of morphing methods: name, import path and options, without importing torch.

A new method is one module in ``hepgen/morphing/``, its options in ``hepgen.config.morph_options``, and one line in ``METHODS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model

from hepgen.config.families import OptionsByFamily
from hepgen.config.morph_options import (
    BoostedOptions,
    ClassifierOptions,
    FlowsForFlowsOptions,
    MatchingMorphOptions,
    NoisingOptions,
    OptimalTransportOptions,
    QuantileOptions,
    SinkhornOptions,
    TradeOptions,
)
from hepgen.config.part import Part
from hepgen.errors import ConfigError, suggest


@dataclass(frozen=True)
class MorphMethod:
    """A method of morphing.

    Attributes:
        name: what a recipe calls it.
        path: ``module:class``.
        options: the model of its options.
        description: one line for ``hepgen config families``.
        weights: whether it gives weights and moves nothing.
        clouds: ``module:class`` of what moves clouds of constituents; empty where the method moves none.
    """

    name: str
    path: str
    options: type[Part]
    description: str
    weights: bool = False
    clouds: str = ""


METHODS: dict[str, MorphMethod] = {
    method.name: method
    for method in (
        MorphMethod(
            "quantile",
            "hepgen.morphing.quantile:QuantileMorph",
            QuantileOptions,
            "quantile morph of each column by itself: seconds to fit, knows no correlations",
        ),
        MorphMethod(
            "classifier",
            "hepgen.morphing.classifier:ClassifierWeights",
            ClassifierOptions,
            "weights by a network that tells the samples apart (DCTR, arXiv 1907.08209); no event moves",
            weights=True,
        ),
        MorphMethod(
            "boosted",
            "hepgen.morphing.boosted:BoostedWeights",
            BoostedOptions,
            "weights by boosted trees (scikit-learn's, or hep_ml's reweighter): minutes to fit; no event moves",
            weights=True,
        ),
        MorphMethod(
            "flows_for_flows",
            "hepgen.morphing.flows_for_flows:FlowsForFlows",
            FlowsForFlowsOptions,
            "flows for flows: an invertible map trained by maximum likelihood under flows of the samples",
        ),
        MorphMethod(
            "sinkhorn",
            "hepgen.morphing.sinkhorn:SinkhornMap",
            SinkhornOptions,
            "invertible map trained by a transport distance between batches: no densities",
        ),
        MorphMethod(
            "matching",
            "hepgen.morphing.matching:MatchingMorph",
            MatchingMorphOptions,
            "flow matching between the samples, pairs of least movement: no likelihood needed, near the shortest way",
            clouds="hepgen.morphing.cloud_matching:CloudMatching",
        ),
        MorphMethod(
            "optimal_transport",
            "hepgen.morphing.optimal_transport:OptimalTransport",
            OptimalTransportOptions,
            "exact optimal transport of a few thousand events, neighbours move alike: seconds to fit, small samples",
        ),
        MorphMethod(
            "noising",
            "hepgen.morphing.noising:Noising",
            NoisingOptions,
            "events partly or wholly turned to noise, and back as events of the target at the condition asked for",
        ),
        MorphMethod(
            "trade",
            "hepgen.morphing.trade:Trade",
            TradeOptions,
            "events moved to a condition that no event had, where the derivative of the log density is known",
        ),
    )
}


def find_method(name: str) -> MorphMethod:
    """The method of this name.

    Raises:
        ConfigError: if there is none, with the closest name.

    Example:
        >>> find_method("quantiles")
        Traceback (most recent call last):
        hepgen.errors.ConfigError: no morphing method 'quantiles': did you mean 'quantile'?
    """
    if name not in METHODS:
        raise ConfigError(f"no morphing method '{name}'", hint=suggest(name, METHODS) or f"known: {', '.join(METHODS)}")
    return METHODS[name]


def find_clouds(name: str) -> str:
    """``module:class`` of what moves clouds of constituents by the method of this name.

    Raises:
        ConfigError: if the method moves none.

    Example:
        >>> find_clouds("matching")
        'hepgen.morphing.cloud_matching:CloudMatching'
    """
    found = find_method(name)
    if not found.clouds:
        able = ", ".join(one.name for one in METHODS.values() if one.clouds)
        raise ConfigError(
            f"the method '{name}' does not move the constituents of jets", where="method",
            hint=f"take method: {able}; or move the numbers of the jets: kind table with their columns",
        )  # fmt: skip
    return found.clouds


if TYPE_CHECKING:
    MethodOptions = OptionsByFamily
else:
    _FIELDS: dict[str, Any] = {
        name: (method.options | None, Field(None, description=method.description)) for name, method in METHODS.items()
    }
    MethodOptions = create_model(
        "MethodOptions", __base__=OptionsByFamily, __doc__="Options of the methods by name.", **_FIELDS
    )
