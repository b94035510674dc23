"""Flattened, a log can be much larger than it was: how far that may go, and without any memory beyond."""

import json
import tracemalloc

import pytest

from core.errors import TooLarge
from core.limits import (
    RECORD_FIELDS_MAX,
    REQUEST_BODY_BYTES_MAX,
    REQUEST_FLATTENED_BYTES_MAX,
    REQUEST_LOGS_MAX,
)
from core.log_batch import Received
from formats.json_logs import FAST_WAY_FROM, ParsedLogs, parse_logs

RECEIVED = Received(1_700_000_000_000_000_000, "192.0.2.1", "http")
LOG = {"timestamp": "2024-01-15T10:00:00Z", "message": "m"}


def parse(*records: bytes) -> ParsedLogs:
    return parse_logs(b"[" + b",".join(records) + b"]", None, RECEIVED)


def within(name: str, leaves: int) -> bytes:
    """A log with so many leaves below one name."""
    return json.dumps({**LOG, name: {f"{leaf:x}": 1 for leaf in range(leaves)}}).encode()


LONG_PATHS = {
    "one path for all": [within("p" * 120, 990)] * 400,
    "a path for each": [within(f"{number:0120d}", 990) for number in range(400)],
    "longer than the fast way reads": [within("p" * 500, 990)] * 100,
}


@pytest.mark.parametrize("records", LONG_PATHS.values(), ids=LONG_PATHS.keys())
def test_an_array_that_is_too_long_once_flattened_is_refused(records: list[bytes]) -> None:
    with pytest.raises(TooLarge, match=f"more than {REQUEST_FLATTENED_BYTES_MAX} bytes once"):
        parse(*records)


@pytest.mark.parametrize("records", LONG_PATHS.values(), ids=LONG_PATHS.keys())
def test_lines_that_are_too_long_once_flattened_are_refused(records: list[bytes]) -> None:
    with pytest.raises(TooLarge, match=f"more than {REQUEST_FLATTENED_BYTES_MAX} bytes once"):
        parse_logs(b"\n".join(records), None, RECEIVED)


def test_a_body_without_nested_fields_is_never_too_long_once_flattened() -> None:
    small = json.dumps({**LOG, **{f"{leaf:x}": 1 for leaf in range(RECORD_FIELDS_MAX)}}).replace(" ", "")
    assert REQUEST_BODY_BYTES_MAX * 0.7 < len(small) * REQUEST_LOGS_MAX < REQUEST_BODY_BYTES_MAX
    assert parse(*[small.encode()] * REQUEST_LOGS_MAX).accepted == REQUEST_LOGS_MAX


def test_paths_past_their_limit_are_refused_before_they_are_put_together() -> None:
    records = [within("p" * 20_000, 5000), *[json.dumps(LOG).encode()] * FAST_WAY_FROM]  # the paths: 100 MB
    tracemalloc.start()
    parsed = parse(*records)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert parsed.errors == [(0, "field name: too long")]
    assert peak_bytes < 20_000_000
