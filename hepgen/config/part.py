"""What every part of a recipe has in common: no key that is not known, and a suggestion for one that is mistyped."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from hepgen.errors import suggest


class Part(BaseModel):
    """One mapping of a recipe.

    Example:
        >>> class Cut(Part):
        ...     threshold: float = 0.0
        >>> Cut(threshold="0.5")
        Cut(threshold=0.5)
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for key in value:
                if key not in cls.model_fields:
                    hint = suggest(str(key), cls.model_fields) or f"known here: {', '.join(cls.model_fields)}"
                    raise PydanticCustomError("unknown_key", "unknown key", {"key": str(key), "hint": hint})
        return value

    def explicit(self) -> dict[str, Any]:
        """The keys that were given, without the defaults, at every depth."""
        return self.model_dump(mode="json", exclude_unset=True)
