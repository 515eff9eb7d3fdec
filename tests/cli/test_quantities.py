from __future__ import annotations

import pytest

from hepgen.cli.quantities import format_duration, format_size, parse_count, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"), [("1GB", 10**9), ("300mb", 3 * 10**8), ("2GiB", 2**31), ("1.5 G", 15 * 10**8), ("4096", 4096)]
)
def test_sizes_are_decimal_unless_they_say_otherwise(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("4h", 14400), ("3h50m", 13800), ("90s", 90), ("1d12h", 129600), ("0.5h", 1800)],
)
def test_durations_may_mix_units(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(("text", "count"), [("20000", 20000), ("1e6", 10**6), ("2.5e4", 25000), ("1_000", 1000)])
def test_counts_may_be_written_with_an_exponent(text: str, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "many", "1.5", "0", "-3", "1e400", "nan", "inf", "1e19"])
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a whole number above zero"):
        parse_count(text)


@pytest.mark.parametrize("text", ["", "GB", "3Q", "-1GB", "0", "1..2GB", "0.1"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


@pytest.mark.parametrize("text", ["", "30", "m", "0s", "1h-5m", "1.2.3h", "5m2h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


def test_durations_and_sizes_are_written_as_people_read_them() -> None:
    assert [format_duration(value) for value in (0.25, 59.6, 61, 7260)] == ["0.2s", "1m 00s", "1m 01s", "2h 01m"]
    assert [format_size(value) for value in (12, 1500, 2.5e6, 1e9)] == ["12 B", "1.5 kB", "2.5 MB", "1 GB"]
