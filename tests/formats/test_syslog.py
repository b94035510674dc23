"""Syslog as the RFCs give it in their examples, as devices really send it, and as it should not be."""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.log_batch import Received
from core.packed_fields import SEPARATOR, PackedFields
from formats.columns import LogColumns
from formats.restore import restore_json
from formats.syslog_columns import SyslogColumns, read_syslog
from formats.syslog_time import Arrival
from formats.timestamps import format_timestamp
from tests.formats.rows import stored_rows
from tests.formats.syslog_messages import NO_SYSLOG, TABLE, Log

ARRIVAL = Arrival(1_705_320_000 * 10**9)
RECEIVED = Received(ARRIVAL.at_ns, "192.0.2.1", "tcp")


def read(line: str, arrival: Arrival = ARRIVAL) -> Log | None:
    """The log of one line, by way of columns and back; None for what is no syslog."""
    columns = SyslogColumns(arrival)
    if columns.add([line]):
        return None
    (row,) = stored_rows(columns.build(RECEIVED))
    log = json.loads(restore_json(row))
    for metadata in ("_id", "_ingested_at", "_source_ip", "_method"):
        del log[metadata]
    return Log(log.pop("timestamp"), log.pop("level"), log.pop("message"), log)


@pytest.mark.parametrize(("line", "expected"), TABLE.values(), ids=TABLE.keys())
def test_a_message_is_read(line: str, expected: Log) -> None:
    assert read(line) == expected


@pytest.mark.parametrize("line", NO_SYSLOG)
def test_a_line_that_is_no_syslog_is_left_to_others(line: str) -> None:
    assert read(line) is None


@pytest.mark.parametrize(
    ("arrived", "stamp", "meant"),
    [
        ("2024-01-01T00:00:05Z", "Dec 31 23:59:59", "2023-12-31T23:59:59Z"),
        ("2023-12-31T23:59:58Z", "Jan  1 00:00:01", "2024-01-01T00:00:01Z"),
        ("2024-01-02T00:00:00Z", "Jul  1 00:00:00", "2023-07-01T00:00:00Z"),
        ("2024-03-01T00:00:00Z", "Feb 29 12:00:00", "2024-02-29T12:00:00Z"),
        ("2025-03-01T00:00:00Z", "Feb 29 12:00:00", "2024-02-29T12:00:00Z"),
        ("2024-01-02T00:00:00Z", "Jan 30 00:00:00", "2024-01-30T00:00:00Z"),
        ("2024-01-02T00:00:00Z", "Feb 15 00:00:00", "2023-02-15T00:00:00Z"),
        ("2024-06-15T00:00:00Z", "Jun 15 00:00:00", "2024-06-15T00:00:00Z"),
        ("1970-01-01T00:00:30Z", "Jan  1 00:00:00", "1970-01-01T00:00:00Z"),
    ],
)
def test_a_time_without_a_year_is_the_last_such_time(arrived: str, stamp: str, meant: str) -> None:
    at_ns = int(datetime.fromisoformat(arrived).timestamp()) * 10**9
    log = read(f"<14>{stamp} h t: m", Arrival(at_ns))
    assert log is not None
    assert log.timestamp == meant


@pytest.mark.parametrize(
    ("stamp", "meant"),
    [
        ("Jan 15 13:00:00", "2024-01-15T12:00:00Z"),
        ("Jul 15 14:00:00 2023", "2023-07-15T12:00:00Z"),
        ("2024-01-15T13:00:00", "2024-01-15T12:00:00Z"),
        ("2024-01-15T13:00:00Z", "2024-01-15T13:00:00Z"),
        ("Jan 15 13:00:00 UTC", "2024-01-15T13:00:00Z"),
        ("Jan 15 13:00:00 EST", "2024-01-15T18:00:00Z"),
    ],
)
def test_a_time_without_a_zone_is_of_the_settings_zone(stamp: str, meant: str) -> None:
    log = read(f"<14>{stamp} h t: m", Arrival(ARRIVAL.at_ns, ZoneInfo("Europe/Berlin")))
    assert log is not None
    assert log.timestamp == meant


PIECES = st.sampled_from(
    [
        *(
            "<14>",
            "<14>1 ",
            "<999>1 ",
            "1 ",
            "- ",
            "-",
            " ",
            ": ",
            "h ",
            "api ",
            "t[1]: ",
            '[x a="1"]',
            "[x",
            '"',
            "\\",
            "]",
        ),
        *(
            "Jan 15 10:00:00 ",
            "Feb 30 10:00:00 ",
            "2024-01-15T10:00:00Z ",
            "2024-01-15 10:00:00 ",
            "9999-01-01T00:00:00Z ",
        ),
        *(
            "\ufeff",
            "%ASA-6-302013: ",
            "45: ",
            "UTC ",
            "2024 ",
            "1705312800 ",
            "\n",
            "\0",
            "é",
            "x" * 300,
            "T",
            "2024-01-15T",
        ),
    ]
)
LINES = st.lists(PIECES | st.text(max_size=4), max_size=10).map("".join) | st.sampled_from(
    [line for line, _ in TABLE.values()]
)


@settings(max_examples=600, deadline=None)
@given(st.lists(LINES, max_size=12), st.sampled_from([UTC, ZoneInfo("America/New_York")]))
def test_many_at_once_are_read_as_each_by_itself(lines: list[str], zone: Any) -> None:
    arrival = Arrival(ARRIVAL.at_ns, zone)
    columns, expected, strangers = SyslogColumns(arrival), LogColumns(), []
    for place, line in enumerate(lines):
        message = read_syslog(line, arrival)
        if message is None:
            strangers.append(place)
            continue
        level, service, *attributes = message.header
        expected.append(message.timestamp_ns, level, service, message.text, *attributes)
    assert columns.add(lines) == strangers
    logs = columns.build(RECEIVED)
    logs.validate(full=True)
    assert [comparable(row) for row in logs.to_pylist()] == [
        comparable(row) for row in expected.build_logs(RECEIVED).to_pylist()
    ]


def comparable(row: dict[str, Any]) -> dict[str, Any]:
    """A row, whatever the order of its fields."""
    packed = {name: sorted(row[name].split(SEPARATOR)) for name in PackedFields._fields}
    return {**row, **packed, "shape": json.loads(row["shape"] or "{}")}


def test_the_times_of_a_batch_are_written_as_they_were_sent() -> None:
    stamps = [f"2024-01-15T10:00:00.{n:06d}Z" for n in range(1, 500, 7)]
    columns = SyslogColumns(ARRIVAL)
    assert columns.add([f"<14>1 {stamp} h a - - - m" for stamp in stamps]) == []
    logs: Any = columns.build(RECEIVED)
    times = logs.column("timestamp").cast(pa.int64()).to_pylist()
    assert list(map(format_timestamp, times)) == stamps
