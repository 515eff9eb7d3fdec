"""The registry of morphing methods: name, import path and options, without importing torch.

A new method is one module in ``hepgen/morphing/``, its options below, and one line in ``METHODS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model

from hepgen.config.families import OptionsByFamily
from hepgen.config.part import Part
from hepgen.errors import ConfigError, suggest


class QuantileOptions(Part):
    """Each column moved by itself: its quantiles in the source onto those in the target."""

    knots: int = Field(200, ge=2)
    """Number of quantiles that are stored; between them the map is linear."""
    bins: int = Field(10, ge=1)
    """Number of bins of equal content of the first condition, each with a map of its own, interpolated between centres."""


@dataclass(frozen=True)
class MorphMethod:
    """A method of morphing.

    Attributes:
        name: what a recipe calls it.
        path: ``module:class``.
        options: the model of its options.
        description: one line for ``hepgen config families``.
        weights: whether it gives weights and moves nothing.
    """

    name: str
    path: str
    options: type[Part]
    description: str
    weights: bool = False


METHODS: dict[str, MorphMethod] = {
    method.name: method
    for method in (
        MorphMethod(
            "quantile",
            "hepgen.morphing.quantile:QuantileMorph",
            QuantileOptions,
            "quantile morph of each column by itself: seconds to fit, knows no correlations",
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


if TYPE_CHECKING:
    MethodOptions = OptionsByFamily
else:
    _FIELDS: dict[str, Any] = {
        name: (method.options | None, Field(None, description=method.description)) for name, method in METHODS.items()
    }
    MethodOptions = create_model(
        "MethodOptions", __base__=OptionsByFamily, __doc__="Options of the methods by name.", **_FIELDS
    )
