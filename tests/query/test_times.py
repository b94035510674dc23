"""Times as they are written, and intervals and the edges of their buckets."""

import itertools
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.intervals import auto_interval, bucket_edges, even_width_ns, parse_interval
from query.iso import iso
from query.times import SECOND_NS, UNIT_NS, Span, is_time, read_time

NOW = 1_705_314_600_123_456_789  # 2024-01-15T10:30:00.123456789Z


def ns(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * SECOND_NS  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("text", "start", "lasts"),
    [
        ("2024", None, None),
        ("2024-01", ns(2024, 1, 1), 31 * UNIT_NS["d"]),
        ("2024-02-29", ns(2024, 2, 29), UNIT_NS["d"]),
        ("2024-01-15T10", ns(2024, 1, 15, 10), UNIT_NS["h"]),
        ("2024-01-15T10:30", ns(2024, 1, 15, 10, 30), UNIT_NS["m"]),
        ("2024-01-15 10:30:00", ns(2024, 1, 15, 10, 30), SECOND_NS),
        ("2024-01-15T10:30:00.5Z", ns(2024, 1, 15, 10, 30) + 500_000_000, 100_000_000),
        ("2024-01-15T10:30:00.123456789Z", NOW, 1),
        ("2024-01-15T12:30:00+02:00", ns(2024, 1, 15, 10, 30), SECOND_NS),
        ("1705314600", ns(2024, 1, 15, 10, 30), SECOND_NS),
        ("1705314600123", ns(2024, 1, 15, 10, 30) + 123_000_000, 1_000_000),
        ("1705314600123456789", NOW, 1),
        ("now", NOW, 1),
        ("now-15m", NOW - 15 * UNIT_NS["m"], 1),
        ("now-1d+2h", NOW - 22 * UNIT_NS["h"], 1),
        ("now/d", ns(2024, 1, 15), UNIT_NS["d"]),
        ("now-1w/w", ns(2024, 1, 8), UNIT_NS["w"]),
        ("2024-13-01", None, None),
        ("2024-02-30", None, None),
        ("1969-12-31", None, None),
        ("2200-01-01", None, None),
        ("12345", None, None),
        ("yesterday", None, None),
        ("now-", None, None),
        ("", None, None),
    ],
)
def test_a_text_names_a_span_of_time(text: str, start: int | None, lasts: int | None) -> None:
    expected = None if start is None or lasts is None else Span(start, start + lasts)
    assert read_time(text, NOW) == expected
    assert is_time(text) == (expected is not None)


@pytest.mark.parametrize(
    ("text", "printed"),
    [("15m", "15m"), ("1 hour", "1h"), ("month", "1M"), ("1M", "1M"), ("2W", "2w"), ("500us", "500us")],
)
def test_an_interval_is_a_number_and_a_unit(text: str, printed: str) -> None:
    assert str(parse_interval(text)) == printed


@pytest.mark.parametrize("text", ["", "h1", "0s", "-1h", "1 fortnight", "1h30m", "99999999999s"])
def test_anything_else_is_no_interval(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|is not an interval"):
        parse_interval(text)


def edges(begin: str, end: str, interval: str, zone: str = "UTC") -> list[str]:
    bounds = [read_time(each, 0) for each in (begin, end)]
    assert bounds[0] is not None and bounds[1] is not None
    found = bucket_edges(bounds[0].start_ns, bounds[1].start_ns, parse_interval(interval), ZoneInfo(zone))
    return [iso(edge, ZoneInfo(zone)) for edge in found]


def test_buckets_follow_the_calendar_of_their_zone() -> None:
    # The clocks went forward on 2024-03-31: that day had 23 hours.
    assert edges("2024-03-30T12:00", "2024-04-01T12:00", "1d", "Europe/Berlin") == [
        "2024-03-30T00:00:00+01:00",
        "2024-03-31T00:00:00+01:00",
        "2024-04-01T00:00:00+02:00",
        "2024-04-02T00:00:00+02:00",
    ]
    assert edges("2024-01-15", "2024-01-16", "1M") == ["2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z"]
    assert edges("2024-01-03", "2024-01-04", "1w") == ["2024-01-01T00:00:00Z", "2024-01-08T00:00:00Z"]
    assert edges("2024-01-15T10:40", "2024-01-15T11:10", "30m", "Asia/Kolkata") == [
        "2024-01-15T16:00:00+05:30",
        "2024-01-15T16:30:00+05:30",
        "2024-01-15T17:00:00+05:30",
    ]


@given(
    st.integers(0, 7 * 10**18),
    st.integers(1, 10**15),
    st.sampled_from(["1s", "7m", "1h", "1d", "1w", "1M", "1q", "1y"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns"]),
)
def test_buckets_cover_the_range_without_gap_and_lie_on_one_grid(
    begin: int, lasts: int, interval: str, zone: str
) -> None:
    if lasts // parse_interval(interval).shortest_ns >= 5000:
        return
    found = bucket_edges(begin, begin + lasts, parse_interval(interval), ZoneInfo(zone))
    assert found[0] <= begin < found[1]
    assert found[-2] < begin + lasts <= found[-1]
    assert list(found) == sorted(set(found))
    width = even_width_ns(found)
    assert width is None or all(b - a == width for a, b in itertools.pairwise(found))


@pytest.mark.parametrize(
    ("span_s", "interval"),
    [(1, "10ms"), (60, "1s"), (3600, "1m"), (86400, "30m"), (10 * 86400, "3h"), (10**9, "1y")],
)
def test_auto_gives_about_a_hundred_buckets(span_s: int, interval: str) -> None:
    assert str(auto_interval(span_s * SECOND_NS)) == interval
