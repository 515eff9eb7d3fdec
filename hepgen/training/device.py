"""Which device computes."""

from __future__ import annotations

import torch

from hepgen.errors import UsageError


def pick_device(name: str) -> str:
    """``auto`` is a GPU where there is one; a named device must be there.

    Raises:
        UsageError: if the device is not there.

    Example:
        >>> pick_device("cpu")
        'cpu'
    """
    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
    kind = name.partition(":")[0]
    if kind not in {"cpu", "cuda", "mps"}:
        raise UsageError(f"no device '{name}'", where="--device", hint="auto, cpu, cuda or mps")
    if (kind == "cuda" and not torch.cuda.is_available()) or (kind == "mps" and not has_mps):
        raise UsageError(f"there is no {kind} device here", where="--device", hint="use --device auto")
    return name
