"""Batches to write: each log's message says which one it is."""

import pyarrow as pa

from core.log_batch import DEAD_LETTER_SCHEMA, LOG_SCHEMA, LogBatch
from core.packed_fields import pack_fields
from storage.wal.payload import encode, read_head
from storage.wal.segment import NewRecord

TIME_NS = 1_705_312_800_000_000_000


def batch(*messages: str, dead: tuple[str, ...] = ()) -> LogBatch:
    logs = [
        {
            "timestamp": TIME_NS,
            "level": "info",
            "service": "api",
            "message": message,
            **pack_fields(["request_id", "duration_ms"], ['"abc"', "5000"])._asdict(),
            "shape": "",
            "ingested_at": TIME_NS,
            "source_ip": "127.0.0.1",
            "method": "http",
        }
        for message in messages
    ]
    letters = [
        {
            "received_at": TIME_NS,
            "reason": "message: missing",
            "raw": raw.encode(),
            "raw_bytes": len(raw),
            "source_ip": "127.0.0.1",
            "method": "http",
        }
        for raw in dead
    ]
    return LogBatch(
        pa.RecordBatch.from_pylist(logs, LOG_SCHEMA), pa.RecordBatch.from_pylist(letters, DEAD_LETTER_SCHEMA)
    )


def records(call_id: bytes, *batches: LogBatch) -> list[NewRecord]:
    payloads = [encode(each) for each in batches]
    return [
        NewRecord(call_id, part, len(payloads), head.logs, head.dead_letters, payload)
        for part, payload in enumerate(payloads)
        for head in [read_head(payload)]
    ]
