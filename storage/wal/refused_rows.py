"""When ClickHouse refuses a block for good: find the rows it does not take, and keep them as dead letters.

The block is inserted in halves, and these in halves, down to single rows. Each slice has a token made from
the segment's and its bounds, so that a repetition after a crash splits alike and stores nothing twice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import StorageError
from core.limits import DEAD_LETTER_RAW_BYTES_MAX
from core.log_batch import DEAD_LETTER_SCHEMA
from core.packed_fields import unpack_fields
from storage.wal.store import ROW_CODES, will_pass

INSERTS_MAX: Final = 4096  # of one split: past it a refused slice is given up whole
HOPELESS_INSERTS: Final = 64  # with nothing accepted: the table is the trouble, not the rows
REASON_CHARS_MAX: Final = 500

Insert = Callable[[pa.Table, str], None]


@dataclass(frozen=True, slots=True)
class Refused:
    """A slice of rows that ClickHouse does not take: first row, row count, its reason."""

    start: int
    rows: int
    reason: str


def insert_in_slices(insert: Insert, table: pa.Table, token: str, refusal: StorageError) -> list[Refused]:
    """Insert all rows that can be; returns the others.

    Raises StorageError when the store goes away meanwhile, and `refusal` when it takes nothing at all for
    a reason that does not speak of the rows: then nothing may be given up.
    """
    refused: list[Refused] = []
    accepted = tries = 0
    waiting = [(0, table.num_rows, refusal)]
    while waiting:
        start, rows, reason = waiting.pop()
        if rows == 1 or tries >= INSERTS_MAX:
            refused.append(Refused(start, rows, str(reason)))
            continue
        half = rows // 2
        for first, count in ((start + half, rows - half), (start, half)):
            tries += 1
            try:
                insert(table.slice(first, count), f"{token}-{first}-{count}")
                accepted += count
            except StorageError as error:
                if will_pass(error):
                    raise
                waiting.append((first, count, error))
        if not accepted and tries >= HOPELESS_INSERTS and refusal.code not in ROW_CODES:
            raise refusal
    if not accepted and refusal.code not in ROW_CODES:
        raise refusal
    return refused


def as_dead_letters(table: pa.Table, refused: list[Refused]) -> pa.Table:
    """The refused rows of a logs table as dead letters: `raw` is the log as flat JSON, cut at the limit."""
    parts = []
    for piece in refused:
        rows = table.slice(piece.start, piece.rows)
        raws = _as_json(rows)
        reason = f"clickhouse: {piece.reason}"[:REASON_CHARS_MAX]
        parts.append(
            pa.table(
                [
                    rows.column("ingested_at"),
                    pa.array([reason] * len(raws)),
                    pa.array([raw[:DEAD_LETTER_RAW_BYTES_MAX] for raw in raws], pa.binary()),
                    pa.array([len(raw) for raw in raws], pa.uint64()),
                    rows.column("source_ip"),
                    rows.column("method"),
                ],
                schema=DEAD_LETTER_SCHEMA,
            )
        )
    return pa.concat_tables(parts)


def _as_json(rows: pa.Table) -> list[bytes]:
    # Nested fields stay flat (`user.id`): their shape is of no use to a reader of the dead letter.
    times = pc.cast(rows.column("timestamp"), pa.int64()).to_pylist()
    levels, services = rows.column("level").to_pylist(), rows.column("service").to_pylist()
    messages = rows.column("message").to_pylist()
    short, long = rows.column("fields").to_pylist(), rows.column("long_fields").to_pylist()
    return [
        orjson.dumps(
            {"timestamp": time, "level": level, "service": service, "message": message}
            | {name: orjson.Fragment(value) for name, value in unpack_fields(fields + long_fields).items()}
        )
        for time, level, service, message, fields, long_fields in zip(
            times, levels, services, messages, short, long, strict=True
        )
    ]
