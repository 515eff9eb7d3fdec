"""Functions compiled for the processor with numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

FAST: dict[str, Any] = {"fastmath": {"contract", "arcp", "nsz", "reassoc"}, "error_model": "numpy"}
"""Options of ``compiled``: arithmetic that may be reordered, but knows NaN."""


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """numba without the interpreter's lock; what was compiled is kept, unless there is no folder for it.

    Args:
        options: further ones of ``numba.njit``.

    Example:
        >>> twice = compiled()(lambda x: 2 * x)
        >>> twice(1.5)
        3.0
    """

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:
            return njit(nogil=True, **options)(function)

    return decorate
