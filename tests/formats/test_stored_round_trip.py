"""Logs come back as they were sent from the real ClickHouse, not only from our own columns."""

import json
from typing import Any

import numpy as np
import pyarrow as pa

from core.log_batch import Received
from formats.json_logs import FAST_WAY_FROM, parse_logs
from formats.restore import restore_json
from query.answers import stored_rows
from query.render import LOG_COLUMNS
from storage.clickhouse import ClickHouse
from storage.log_table import SEQ, insert_logs
from tests.formats.test_json_logs import AWKWARD, METADATA

RECEIVED = Received(1_700_000_000_123_456_789, "2001:db8::1", "http")
SENT: list[dict[str, Any]] = [
    {
        "timestamp": "2024-01-15T10:00:00.123456789Z",
        "level": "error",
        "service": "sürvice",
        "message": "m\0 🎉\n",
        **AWKWARD,
    },
    {"timestamp": "1970-01-01T00:00:00Z", "level": "trace", "message": ""},
    {
        "timestamp": "2199-12-31T23:59:59.999999999Z",
        "level": "fatal",
        "message": "m",
        "a": {"b": 1, "c": {"d": []}},
    },
    {
        "timestamp": "2024-01-15T10:00:00Z",
        "level": "info",
        "message": "m",
        "a": {"b": 1},
        "a.b": 2,
        "b": 1,
        "a.c": 3,
    },
    {
        "timestamp": "2024-01-15T10:00:00Z",
        "level": "info",
        "message": "m",
        "big": 10**40,
        "z": "",
        "y": "0",
        "x": 0,
    },
    *[
        {
            "timestamp": "2024-01-15T10:00:00Z",
            "level": "warn",
            "message": f"m{n}",
            f"field{n % 7}": [n],
            "n": {"n": n},
        }
        for n in range(FAST_WAY_FROM)
    ],
]


def test_every_log_comes_back_from_clickhouse(clickhouse: ClickHouse) -> None:
    batch = parse_logs(json.dumps(SENT).encode(), None, RECEIVED).batch
    assert batch.dead_letters.num_rows == 0
    seqs = pa.array(np.arange(len(SENT), dtype=np.uint64))
    insert_logs(clickhouse, pa.Table.from_batches([batch.logs]).append_column(SEQ, seqs), "token")
    answer = clickhouse.query(f"SELECT {', '.join(LOG_COLUMNS)} FROM logs ORDER BY seq")
    found = [json.loads(restore_json(row)) for row in stored_rows(answer.rows)]
    assert [{name: value for name, value in log.items() if name not in METADATA} for log in found] == SENT
    assert [list(log)[: -len(METADATA)] for log in found] == [list(log) for log in SENT]
    assert {log["_ingested_at"] for log in found} == {"2023-11-14T22:13:20.123456789Z"}
    assert {log["_source_ip"] for log in found} == {"2001:db8::1"}
    assert [int(log["_id"][17:], 16) for log in found] == list(range(len(SENT)))
