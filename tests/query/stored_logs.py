"""Puts logs into the tables as the service does: parsed as a request's body, inserted with sequence numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from core.log_batch import Received
from formats.json_logs import parse_records
from storage.clickhouse import ClickHouse
from storage.log_table import insert_logs

RECEIVED = Received(1_705_314_700_000_000_000, "10.1.2.3", "http")


def store(clickhouse: ClickHouse, logs: Sequence[dict[str, Any] | bytes], first_seq: int = 0) -> None:
    """One insert; the log at place n has the sequence number `first_seq + n`."""
    raws = [log if isinstance(log, bytes) else orjson.dumps(log) for log in logs]
    parsed = parse_records(raws, RECEIVED)
    assert not parsed.errors, parsed.errors
    seqs = pa.array(np.arange(first_seq, first_seq + len(raws), dtype=np.uint64))
    table = pa.Table.from_batches([parsed.batch.logs]).append_column(pa.field("seq", pa.uint64()), seqs)
    insert_logs(clickhouse, table, f"test-{first_seq}-{len(raws)}")


def at(second: float) -> str:
    """A time on 2024-01-15, some seconds after ten o'clock."""
    whole = int(second)
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"2024-01-15T{10 + hours:02d}:{minutes:02d}:{seconds:02d}.{round((second - whole) * 1e9):09d}Z"


def log(
    second: float, message: str, level: str = "info", service: str = "api", **fields: Any
) -> dict[str, Any]:
    """One log of that day."""
    return {"timestamp": at(second), "level": level, "service": service, "message": message, **fields}
