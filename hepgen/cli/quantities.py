"""Numbers as people type them on a command line, and as they like to read them: sizes, durations, counts."""

from __future__ import annotations

import re

_SIZES = {
    "": 1,
    "B": 1,
    "K": 10**3,
    "KB": 10**3,
    "M": 10**6,
    "MB": 10**6,
    "G": 10**9,
    "GB": 10**9,
    "T": 10**12,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_DURATION = re.compile(
    r"(?:(?P<d>[\d.]+)d)?(?:(?P<h>[\d.]+)h)?(?:(?P<m>[\d.]+)m(?:in)?)?(?:(?P<s>[\d.]+)s)?", re.IGNORECASE
)


def parse_size(text: str) -> int:
    """Bytes of ``1GB`` (decimal), ``2GiB`` (binary), ``300M`` or a plain number.

    Raises:
        ValueError: if the text is not a size of at least one byte.

    Example:
        >>> parse_size("1GB"), parse_size("1.5 GiB")
        (1000000000, 1610612736)
    """
    match = re.fullmatch(r"([\d.]+(?:e\d+)?)\s*([A-Za-z]*)", text.strip(), re.IGNORECASE)
    unit = _SIZES.get(match[2].upper()) if match else None
    number = _number(match[1]) if match else None
    if unit is None or number is None or number * unit < 1:
        raise ValueError(f"'{text}' is not a size; write for instance 500MB, 1GB or 2GiB")
    return round(number * unit)


def parse_duration(text: str) -> float:
    """Seconds of ``30m``, ``4h``, ``3h50m``, ``90s`` or ``1d12h``; a number without a unit is refused.

    Raises:
        ValueError: if the text is not a duration above zero.

    Example:
        >>> parse_duration("3h50m")
        13800.0
    """
    match = _DURATION.fullmatch(text.replace(" ", ""))
    numbers = {unit: _number(value) for unit, value in match.groupdict().items() if value} if match else {}
    seconds = sum(_SECONDS[unit] * (number or 0.0) for unit, number in numbers.items())
    if seconds <= 0.0 or None in numbers.values():
        raise ValueError(f"'{text}' is not a duration; write for instance 90s, 30m, 4h or 3h50m")
    return seconds


def parse_count(text: str) -> int:
    """A whole number of at least one, also as ``1e6``, ``2.5e4`` or ``20_000``.

    Raises:
        ValueError: if the text is not a whole number above zero.

    Example:
        >>> parse_count("1e6")
        1000000
    """
    value = int(text) if re.fullmatch(r"\d[\d_]*", text.strip()) else _number(text.replace("_", "").strip())
    if value is None or not 1 <= value < 2**63 or value != int(value):
        raise ValueError(f"'{text}' is not a whole number above zero; write for instance 20000 or 1e6")
    return int(value)


def format_duration(seconds: float) -> str:
    """
    Example:
        >>> format_duration(13800), format_duration(338), format_duration(4.25)
        ('3h 50m', '5m 38s', '4.2s')
    """
    if seconds < 10:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02d}m"
    return f"{minutes}m {rest:02d}s" if minutes else f"{rest}s"


def format_size(size: float) -> str:
    """
    Example:
        >>> format_size(1_250_000_000)
        '1.25 GB'
    """
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size:.0f} B"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
