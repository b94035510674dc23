"""What flattened messages may take is never told too small, and not much too large where it matters."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import RejectedRecord
from core.limits import (
    BATCH_FLATTENED_BYTES_MAX,
    FIELD_NAME_BYTES_MAX,
    RECORD_BYTES_MAX,
    RECORD_FIELDS_MAX,
)
from formats.flattened_size import flattened_bytes_max, how_many_fit
from formats.json_record import read_record
from formats.syslog_columns import read_syslog
from formats.syslog_time import Arrival
from listeners.messages import readable

ARRIVAL = Arrival(1_700_000_000_000_000_000)
SYSLOG_NAMES_BYTES = 64  # facility, severity and their like, of every message

NAMES = st.text(st.sampled_from('a"{}[]:,\\ .=\u00e9\u65e5\n'), max_size=12)
FIELDS: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([0, "", "{", 'x="', [], [{}], {}, None]),
    lambda inner: st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=30,
)
BLANKS = st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :\t")])
PARAMETERS = st.dictionaries(
    st.text("ab{.", min_size=1, max_size=6), st.text('a{,:= \\"]', max_size=4), max_size=6
)


def names_bytes(message: bytes) -> int:
    """Of all fields, as they are stored; 0 where they are not."""
    try:
        names = read_record(message).names
    except RejectedRecord:
        found = read_syslog(readable(message), ARRIVAL)
        names = found.header.names if found else []
    return sum(len(name.encode()) for name in names)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(NAMES, FIELDS, max_size=5), st.booleans(), BLANKS)
def test_the_fields_of_json_take_no_more_than_is_told(
    fields: dict[str, Any], ascii_only: bool, separators: tuple[str, str]
) -> None:
    log = {**fields, "timestamp": 1, "level": "info", "service": "", "message": ""}
    message = json.dumps(log, ensure_ascii=ascii_only, separators=separators).encode()
    assert names_bytes(message) <= flattened_bytes_max(message)
    assert names_bytes(message) <= len(message) + len(message) ** 2 // 20


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text("ab@{,\u00e9\udc81", min_size=1, max_size=40), PARAMETERS, max_size=4))
def test_structured_data_takes_no_more_than_is_told(elements: dict[str, dict[str, str]]) -> None:
    data = "".join(
        f"[{name}{''.join(f' {key}={json.dumps(value)}' for key, value in parameters.items())}]"
        for name, parameters in elements.items()
    )
    text = f"<14>1 2024-01-15T10:00:00Z h a - - {data or '-'} m"
    message = text.encode(errors="surrogateescape")
    growth = 1 if message.decode(errors="ignore") == text else 4
    assert names_bytes(message) <= flattened_bytes_max(message) + SYSLOG_NAMES_BYTES
    assert names_bytes(message) <= growth * (len(message) + len(message) ** 2 // 20) + SYSLOG_NAMES_BYTES


def json_line(path: int, leaves: int) -> bytes:
    fields = {f"{leaf:x}": 0 for leaf in range(leaves)}
    return json.dumps({"timestamp": 1, "message": "", "p" * path: fields}, separators=(",", ":")).encode()


def syslog_line(path: int, leaves: int) -> bytes:
    parameters = "".join(f' {leaf:x}=""' for leaf in range(leaves))
    return f"<14>1 2024-01-15T10:00:00Z h a - - [{'p' * path}{parameters}] m".encode()


def stray_line(path: int, leaves: int) -> bytes:
    """Bytes that are not UTF-8, each shown as four characters."""
    return syslog_line(path // 4, leaves).replace(b"p", b"\x81")


@pytest.mark.parametrize("line", [json_line, syslog_line, stray_line])
@pytest.mark.parametrize("path", [1, 10, 100, 250, 508])
@pytest.mark.parametrize("leaves", [1, 10, 100, 980])
def test_of_the_worst_messages_the_truth_is_told(line: Any, path: int, leaves: int) -> None:
    message = line(path, leaves)
    taken = len(message) + names_bytes(message)
    assert taken <= flattened_bytes_max(message) + leaves * 4 + SYSLOG_NAMES_BYTES
    assert how_many_fit([message] * 10, 5 * taken) <= 5
    if leaves >= 100 and path >= 100 and line is json_line:
        assert flattened_bytes_max(message) <= 1.3 * taken


def test_as_many_fit_as_the_bound_allows_and_at_least_one() -> None:
    large, small = json_line(500, 900), b'{"timestamp":1,"message":"m"}'
    bound = flattened_bytes_max(large)
    assert how_many_fit([large] * 10, 5 * bound) == 5
    assert how_many_fit([large] * 10, 5 * bound - 1) == 4
    assert how_many_fit([large] * 10, 1) == 1
    assert how_many_fit([small] * 1000 + [large, small], bound) == 1000
    assert how_many_fit([large] + [small] * 1000, bound + 1000 * 2 * len(small)) == 1001


def test_long_messages_without_nested_fields_all_fit() -> None:
    flat = json.dumps({"timestamp": 1, "message": "x" * 5000, "tags": ["a", "b"] * 100}).encode()
    assert how_many_fit([flat] * 200, 200 * len(flat)) == 200


def test_no_message_is_past_the_limit_of_a_batch_by_itself() -> None:
    assert RECORD_BYTES_MAX + RECORD_FIELDS_MAX * FIELD_NAME_BYTES_MAX < BATCH_FLATTENED_BYTES_MAX // 16
