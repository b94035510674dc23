"""Puts logs into the tables as the service does: parsed as they come in, inserted with sequence numbers."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from core.log_batch import Received
from core.packed_fields import unpack_fields
from formats.json_logs import parse_records
from storage.clickhouse import ClickHouse
from storage.log_table import insert_logs
from tests.query.evaluator import StoredLog

SOURCES = ("10.1.2.3", "192.168.0.7", "2001:db8::5")
RECEIVED = Received(1_705_314_700_000_000_000, "10.1.2.3", "http")


def store(
    clickhouse: ClickHouse,
    logs: Sequence[dict[str, Any] | bytes],
    first_seq: int = 0,
    received: Received = RECEIVED,
) -> None:
    """One insert; the log at place n has the sequence number `first_seq + n`."""
    raws = [log if isinstance(log, bytes) else orjson.dumps(log) for log in logs]
    parsed = parse_records(raws, received)
    assert not parsed.errors, parsed.errors
    seqs = pa.array(np.arange(first_seq, first_seq + len(raws), dtype=np.uint64))
    table = pa.Table.from_batches([parsed.batch.logs]).append_column(pa.field("seq", pa.uint64()), seqs)
    insert_logs(clickhouse, table, f"test-{first_seq}-{len(raws)}")


def at(second: float) -> str:
    """The time some seconds after ten o'clock on 2024-01-15."""
    ns = round(second * 1e9)
    moment = datetime(2024, 1, 15, 10, tzinfo=UTC) + timedelta(seconds=ns // 10**9)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns % 10**9:09d}Z"


def log(
    second: float, message: str, level: str = "info", service: str = "api", **fields: Any
) -> dict[str, Any]:
    """One log of that day."""
    return {"timestamp": at(second), "level": level, "service": service, "message": message, **fields}


def stored_logs(
    clickhouse: ClickHouse, logs: Sequence[dict[str, Any]], inserts: int = 3, first_seq: int = 0
) -> list[StoredLog]:
    """Store them in some inserts that came from different places, and give them as rows of the table."""
    size = -(-len(logs) // inserts)
    stored = []
    for number in range(inserts):
        received = Received(RECEIVED.at_ns + number * 3_600_000_000_000, SOURCES[number % 3], "http")
        part = logs[number * size : (number + 1) * size]
        store(clickhouse, part, first_seq + number * size, received)
        rows = parse_records([orjson.dumps(log) for log in part], received).batch.logs.to_pylist()
        for seq, row in enumerate(rows, first_seq + number * size):
            ns = {name: row[name].value for name in ("timestamp", "ingested_at")}
            stored.append(
                StoredLog(
                    ns["timestamp"],
                    seq,
                    row["level"],
                    row["service"],
                    row["message"],
                    unpack_fields(row["fields"] + row["long_fields"]),
                    ns["ingested_at"],
                    row["source_ip"],
                    row["method"],
                )
            )
    return stored
