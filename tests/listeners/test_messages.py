"""Every message becomes a log or a dead letter, whatever its dialect and its neighbours."""

import json
import time
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.limits import MIB
from core.log_batch import LogBatch
from core.packed_fields import unpack_fields
from formats.timestamps import format_timestamp
from listeners.messages import NEITHER, UNREADABLE, Lines, MessageReader, readable

NOW = datetime(2024, 1, 20, 12, 0, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9
AT = "2024-01-15T10:00:00Z"


def read(*messages: bytes, **options: Any) -> LogBatch:
    lines = Lines(list(messages), ["10.0.0.1"] * len(messages))
    return MessageReader("tcp", **options).read(lines, NOW_NS)


def rows(batch: LogBatch) -> list[dict[str, Any]]:
    """The logs as they were sent: attributes beside the columns, times as text."""
    found = []
    for row in batch.logs.drop_columns(["timestamp", "ingested_at"]).to_pylist():
        packed = unpack_fields(row.pop("fields") + row.pop("long_fields"))
        attributes = {name: json.loads(value) for name, value in packed.items()}
        found.append({**row, **attributes})
    times = batch.logs.column("timestamp").cast("int64").to_pylist()
    return [{"time": format_timestamp(at), **row} for at, row in zip(times, found, strict=True)]


# RFC 5424 section 6.5 and RFC 3164 section 5.4, word for word; then what devices and tools send.
LOGS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "RFC 5424 example 1": (
        b"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - "
        b"\xef\xbb\xbf'su root' failed for lonvick on /dev/pts/8",
        {
            "time": "2003-10-11T22:14:15.003Z",
            "level": "fatal",
            "service": "su",
            "hostname": "mymachine.example.com",
            "facility": "auth",
            "severity": "crit",
            "msgid": "ID47",
            "message": "'su root' failed for lonvick on /dev/pts/8",
        },
    ),
    "RFC 5424 example 2": (
        b"<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - "
        b"%% It's time to make the do-nuts.",
        {
            "time": "2003-08-24T12:14:15.000003Z",
            "level": "info",
            "service": "myproc",
            "procid": "8710",
            "facility": "local4",
            "severity": "notice",
            "message": "%% It's time to make the do-nuts.",
        },
    ),
    "RFC 5424 example 3": (
        b"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 "
        b'[exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"] '
        b"\xef\xbb\xbfAn application event log entry...",
        {
            "exampleSDID@32473.iut": "3",
            "exampleSDID@32473.eventSource": "Application",
            "exampleSDID@32473.eventID": "1011",
            "message": "An application event log entry...",
        },
    ),
    "RFC 5424 example 4": (
        b"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 "
        b'[exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"]'
        b'[examplePriority@32473 class="high"]',
        {"exampleSDID@32473.iut": "3", "examplePriority@32473.class": "high", "message": ""},
    ),
    "RFC 3164 example 1": (
        b"<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
        {
            "time": "2023-10-11T22:14:15Z",
            "level": "fatal",
            "service": "su",
            "hostname": "mymachine",
            "message": "'su root' failed for lonvick on /dev/pts/8",
        },
    ),
    "RFC 3164 example 3": (
        b"<165>Aug 24 05:34:00 CST 1987 mymachine myproc[10]: %% It's time to make the do-nuts.  %%  "
        b"Ingredients: Mix=OK, Jelly=OK #",
        {"time": "1987-08-24T11:34:00Z", "hostname": "mymachine", "service": "myproc", "procid": "10"},
    ),
    "RFC 3164 example 4": (
        b"<0>1990 Oct 22 10:52:01 TZ-6 scapegoat.dmz.example.org 10.1.2.3 sched[0]: That's All Folks!",
        {"time": "1990-10-22T10:52:01Z", "level": "fatal", "facility": "kern"},
    ),
    "escapes in structured data": (
        rb'<14>1 2024-01-15T10:00:00Z h a - - [x@1 q="say \"hi\"" b="a\\b" c="\]"] m',
        {"x@1.q": 'say "hi"', "x@1.b": "a\\b", "x@1.c": "]", "message": "m"},
    ),
    "no time": (b"<14>1 - - - - - - m", {"time": "2024-01-20T12:00:00Z", "message": "m"}),
    "no message": (b"<14>1 2024-01-15T10:00:00Z h a 1 2 -", {"message": "", "procid": "1"}),
    "a PRI alone": (b"<14>", {"message": "", "level": "info"}),
    "not UTF-8": (
        b"<14>1 2024-01-15T10:00:00Z h a - - - gr\xfc\xdfe aus M\xfcnchen",
        {"message": "grüße aus München"},
    ),
    "a BOM and blanks before the PRI": (
        b"\xef\xbb\xbf <14>1 2024-01-15T10:00:00Z h a - - - m",
        {"message": "m", "hostname": "h"},
    ),
    "logger": (
        b'<13>1 2024-01-15T10:00:00.123456+01:00 host root - - [timeQuality tzKnown="1" isSynced="0"] hi',
        {
            "time": "2024-01-15T09:00:00.123456Z",
            "service": "root",
            "timeQuality.tzKnown": "1",
            "message": "hi",
        },
    ),
    "a time alone says syslog": (
        b"Jan 15 10:00:00 host app[7]: up",
        {"service": "app", "procid": "7", "message": "up"},
    ),
    "JSON": (
        b'{"timestamp": "2024-01-15T10:00:00Z", "level": "WARNING", "message": "Hello", '
        b'"service": "api", "n": 1}',
        {"time": AT, "level": "warn", "message": "Hello", "service": "api", "n": 1},
    ),
    "JSON after blanks": (
        b'  {"timestamp": 1705312800, "message": "Hello"}\r',
        {"time": AT, "message": "Hello"},
    ),
    "JSON after a BOM": (b'\xef\xbb\xbf{"timestamp": 1705312800, "message": "Hello"}', {"message": "Hello"}),
}


@pytest.mark.parametrize(("message", "expected"), LOGS.values(), ids=LOGS.keys())
def test_a_message_becomes_a_log(message: bytes, expected: dict[str, Any]) -> None:
    batch = read(message)
    assert batch.dead_letters.num_rows == 0
    (row,) = rows(batch)
    assert {name: row.get(name) for name in expected} == expected
    assert (row["source_ip"], row["method"]) == ("10.0.0.1", "tcp")


BROKEN = {
    "RFC 3164 example 2": (b"Use the BFG!", NEITHER),
    "no PRI": (b"hello world", NEITHER),
    "an open PRI": (b"<14 hello", NEITHER),
    "a PRI that is no number": (b"<ab>hello", NEITHER),
    "blanks": (b"   ", NEITHER),
    "binary": (bytes(range(1, 10)) + b"\xff\xfe", NEITHER),
    "half an object": (b'{"timestamp": "2024-01-15T10:00:00Z", "mess', "record: not valid JSON"),
    "not JSON after all": (b"{message} hello", "record: not valid JSON"),
    "an object that is not UTF-8": (b'{"timestamp": 1, "message": "\xff"}', "record: not valid UTF-8"),
    "no message": (b'{"timestamp": "2024-01-15T10:00:00Z"}', "message: missing"),
    "no time": (b'{"message": "hello"}', "timestamp: missing"),
    "no object": (b"[1, 2]", NEITHER),
}


@pytest.mark.parametrize(("message", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_neither_is_kept_with_its_bytes_and_the_reason(message: bytes, reason: str) -> None:
    batch = read(message)
    assert batch.logs.num_rows == 0
    (letter,) = batch.dead_letters.to_pylist()
    assert (letter["raw"], letter["reason"]) == (message, reason)
    assert (letter["source_ip"], letter["method"]) == ("10.0.0.1", "tcp")


def test_plain_lines_are_logs_where_the_settings_say_so() -> None:
    batch = read(b"hello world", b"{half", b'{"message": "no time"}', b"caf\xe9", plain_lines=True)
    assert [row["message"] for row in rows(batch)] == ["hello world", "{half", "café"]
    assert {(row["time"], row["level"], row["service"]) for row in rows(batch)} == {
        ("2024-01-20T12:00:00Z", "info", "")
    }
    # It is JSON, but no log: its sender must hear of that.
    assert batch.dead_letters.column("reason").to_pylist() == ["timestamp: missing"]


def test_dialects_and_senders_may_alternate_and_the_order_stays() -> None:
    dialects = [
        b"<14>1 2024-01-15T10:00:00Z h a - - - %d",
        b"<14>Jan 15 10:00:00 h a: %d",
        b"\xef\xbb\xbf<14>h: %d",
    ]
    dialects += [b'{"timestamp": "2024-01-15T10:00:00Z", "message": "%d"}', b"rubbish %d", b'{"message": %d}']
    messages = [dialects[number % 6] % number for number in range(600)]
    sources = [f"10.0.0.{number * 7 % 5}" for number in range(600)]
    batch = MessageReader("tcp").read(Lines(messages, sources), NOW_NS)
    expected = [number for number in range(600) if number % 6 < 4]
    assert [int(row["message"]) for row in rows(batch)] == expected
    assert [row["source_ip"] for row in rows(batch)] == [sources[number] for number in expected]
    letters = batch.dead_letters.to_pylist()
    assert sorted((letter["raw"], letter["source_ip"]) for letter in letters) == sorted(
        (messages[number], sources[number]) for number in range(600) if number % 6 >= 4
    )


def test_a_message_that_we_stumble_over_costs_no_other_one() -> None:
    messages = [b"<14>m%d" % number for number in range(50)]
    messages[31] = b""  # the framing never gives one: whatever reads it trips
    batch = read(*messages)
    assert [row["message"] for row in rows(batch)] == [f"m{number}" for number in range(50) if number != 31]
    assert batch.dead_letters.column("reason").to_pylist() == [UNREADABLE]


def test_times_without_a_zone_are_of_the_zone_of_the_settings() -> None:
    batch = read(b"<14>Jan 15 10:00:00 h a: m", zone=ZoneInfo("America/New_York"))
    assert rows(batch)[0]["time"] == "2024-01-15T15:00:00Z"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain", "plain"),
        ("naïve 日本 🎉".encode(), "naïve 日本 🎉"),
        (b"caf\xe9", "café"),
        (b"\x80 5 \x93quoted\x94", "€ 5 “quoted”"),
        ("ü".encode() + b"\xfc", "üü"),
        (b"\x81", "\\x81"),
        ("日".encode()[:2], "æ—"),
    ],
)
def test_bytes_stay_readable(raw: bytes, text: str) -> None:
    assert readable(raw) == text


TRICKY = st.sampled_from(
    [
        b"<14>",
        b"<14>1 ",
        b"2024-01-15T10:00:00Z ",
        b"Jan 15 10:00:00 ",
        b"- ",
        b'[a b="',
        b'"]',
        b"{",
        b'"message":',
        b'"x",',
        b'"timestamp":1,',
        b"}",
        b":",
        b" ",
        b"h ",
        b"a[1]: ",
        b"\\",
        b"\xef\xbb\xbf",
        b"\xff",
        b"%ASA-6-1: ",
        b"\0",
        b"\n",
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.lists(TRICKY | st.binary(max_size=8), min_size=1, max_size=12).map(b"".join).filter(bool),
        max_size=20,
    )
)
def test_any_messages_are_all_kept(messages: list[bytes]) -> None:
    batch = read(*messages) if messages else read(b"<14>")
    assert batch.rows == max(len(messages), 1)
    batch.logs.validate(full=True)
    batch.dead_letters.validate(full=True)
    assert set(batch.dead_letters.column("raw").to_pylist()) <= set(messages)
    assert UNREADABLE not in batch.dead_letters.column("reason").to_pylist()


@pytest.mark.parametrize(
    "piece",
    [
        b" ",
        b"a",
        b"a ",
        b"[",
        b"[a",
        b'[a b="c"]',
        b'"',
        b"\\",
        b"<",
        b"{",
        b'{"a":',
        b"[[",
        b"%A-1-",
        b":",
        b"a:",
        b"1 ",
        b"\xff",
    ],
)
@pytest.mark.parametrize(
    "head", [b"<14>", b"<14>1 ", b"<14>1 - - - - - ", b"<14>Jan 15 10:00:00 ", b'{"a":', b""]
)
def test_no_message_takes_long(head: bytes, piece: bytes) -> None:
    message = head + piece * (MIB // len(piece))
    began_s = time.process_time()
    assert read(message).rows == 1
    assert time.process_time() - began_s < 2.0
