"""LogBatch: the one unit that travels from a connection to the write-ahead log.

Logs and dead letters are Arrow record batches with the columns of their tables, so that what is
written to the WAL is what ClickHouse is sent. `seq` is missing here: the partition writer assigns it.

`fields` and `long_fields` hold the additional fields (core.packed_fields). Their values are JSON text
(`"5000"` is a string, `5000` a number), names are flattened paths: `{"user": {"id": 7}}` becomes `user.id` →
`7`. `shape` is empty for a log without nested objects and without dots to tell apart; otherwise it is the
JSON skeleton from which formats.restore rebuilds the nesting.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import pyarrow as pa

NANOSECONDS: Final = pa.timestamp("ns", "UTC")

_LOG_FIELDS: list["pa.Field[Any]"] = [
    pa.field("timestamp", NANOSECONDS, nullable=False),
    pa.field("level", pa.string(), nullable=False),
    pa.field("service", pa.string(), nullable=False),
    pa.field("message", pa.string(), nullable=False),
    pa.field("fields", pa.string(), nullable=False),
    pa.field("long_fields", pa.string(), nullable=False),
    pa.field("shape", pa.string(), nullable=False),
    pa.field("ingested_at", NANOSECONDS, nullable=False),
    pa.field("source_ip", pa.string(), nullable=False),
    pa.field("method", pa.string(), nullable=False),
]
LOG_SCHEMA: Final = pa.schema(_LOG_FIELDS)

_DEAD_LETTER_FIELDS: list["pa.Field[Any]"] = [
    pa.field("received_at", NANOSECONDS, nullable=False),
    pa.field("reason", pa.string(), nullable=False),
    pa.field("raw", pa.binary(), nullable=False),
    pa.field("raw_bytes", pa.uint64(), nullable=False),  # its length before it was cut
    pa.field("source_ip", pa.string(), nullable=False),
    pa.field("method", pa.string(), nullable=False),
]
DEAD_LETTER_SCHEMA: Final = pa.schema(_DEAD_LETTER_FIELDS)


@cache
def no_rows(schema: pa.Schema) -> pa.RecordBatch:
    """A batch of this schema without rows: made once, as nearly every LogBatch has one."""
    return pa.RecordBatch.from_pylist([], schema)


@dataclass(frozen=True, slots=True)
class Received:
    """Where and when some bytes came in: nanoseconds since 1970, the peer's address, `http` or `tcp`…"""

    at_ns: int
    source_ip: str
    method: str


@dataclass(frozen=True, slots=True)
class LogBatch:
    """What one read or request held: logs to store, and the records that cannot be stored as logs."""

    logs: pa.RecordBatch
    dead_letters: pa.RecordBatch

    @property
    def rows(self) -> int:
        """Logs and dead letters together."""
        return int(self.logs.num_rows + self.dead_letters.num_rows)
