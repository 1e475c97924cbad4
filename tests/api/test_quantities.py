"""Durations, byte sizes and times, as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis.strategies import datetimes, integers, just, timedeltas

from anomaly_operator.api.quantities import (
    MIB,
    format_byte_size,
    format_duration,
    format_time,
    parse_byte_size,
    parse_duration,
    parse_time,
)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("15m", timedelta(minutes=15)),
        ("1h30m", timedelta(minutes=90)),
        ("30d", timedelta(days=30)),
        ("0s", timedelta(0)),
        ("90s", timedelta(seconds=90)),
        ("1500ms", timedelta(seconds=1.5)),
        ("7micros", timedelta(microseconds=7)),
    ],
)
def test_durations_in_elastic_s_and_go_s_units(text: str, span: timedelta) -> None:
    assert parse_duration(text) == span


@pytest.mark.parametrize(
    "text", ["", "15", "m", "15 m", "1.5h", "-1h", "15x", "1h30", "1w", "PT1H"]
)
def test_what_is_no_duration_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; use numbers with d, h, m or s"):
        parse_duration(text)


def test_a_duration_beyond_all_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="is longer than any duration can be"):
        parse_duration("9999999999999d")


@given(timedeltas(min_value=timedelta(0)))
def test_a_duration_that_was_written_reads_the_same(span: timedelta) -> None:
    assert parse_duration(format_duration(span)) == span


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (11, 11 * MIB),
        ("11mb", 11 * MIB),
        ("11MB", 11 * MIB),
        ("1kb", 1024),
        ("7b", 7),
        ("2gb", 2**31),
        ("1tb", 2**40),
        ("11Mi", 11 * MIB),
        ("1Ki", 1024),
        ("1Gi", 2**30),
        ("11M", 11_000_000),
        ("1k", 1000),
        ("1G", 10**9),
        ("1T", 10**12),
    ],
)
def test_byte_sizes_in_elastic_s_and_kubernetes_units(value: str | int, size: int) -> None:
    assert parse_byte_size(value) == size


@pytest.mark.parametrize(
    "value", ["1024", "1m", "1K", "1.5gb", "mb", "-1mb", "1 mb", "1e3", True, None, 1.5]
)
def test_what_is_no_byte_size_is_refused_with_what_would_be(value: object) -> None:
    with pytest.raises(ValueError, match="is not a byte size; write it such as 1024mb or 1Gi"):
        parse_byte_size(value)  # type: ignore[arg-type]


@given(integers(min_value=0, max_value=2**40))
def test_a_byte_size_that_was_written_reads_the_same(size: int) -> None:
    assert parse_byte_size(format_byte_size(size)) == size


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-05-01T10:00:00Z", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        ("2024-05-01t12:00:00+02:00", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        ("2024-05-01T10:00:00.5Z", datetime(2024, 5, 1, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("2024-05-01T10:00:00.123456789Z", datetime(2024, 5, 1, 10, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_times_as_rfc_3339_has_them(text: str, moment: datetime) -> None:
    assert parse_time(text) == moment


@pytest.mark.parametrize(
    "text",
    ["2024-05-01", "2024-05-01T10:00:00", "2024-13-01T10:00:00Z", "now", "2024-05-01 10:00:00Z"],
)
def test_what_is_no_time_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(ValueError, match="is not an RFC 3339 time; write it such as"):
        parse_time(text)


@given(datetimes(min_value=datetime(1000, 1, 2), timezones=just(UTC)))  # noqa: DTZ001 - Hypothesis wants naive bounds
def test_a_time_that_was_written_reads_the_same(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment
