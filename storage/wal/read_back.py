"""From the records of a segment to the two tables of its insert."""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from core.errors import WalError
from core.log_batch import DEAD_LETTER_SCHEMA, LOG_SCHEMA
from storage.wal.payload import decode
from storage.wal.scan import Record

STORED_LOG_SCHEMA: Final = LOG_SCHEMA.insert(1, pa.field("seq", pa.uint64(), nullable=False))
CHUNK_ROWS_MIN: Final = 256  # a client of ClickHouse pays per chunk: smaller ones are copied together


class Tables(NamedTuple):
    """The content of one insert: STORED_LOG_SCHEMA and DEAD_LETTER_SCHEMA."""

    logs: pa.Table
    dead_letters: pa.Table


def build_tables(records: list[Record], unreadable: Callable[[Record, WalError], None]) -> Tables:
    """Decode the records without copying; those of an unknown version go to `unreadable`."""
    logs: list[pa.RecordBatch] = []
    dead_letters: list[pa.RecordBatch] = []
    seqs: list[np.ndarray[tuple[int], np.dtype[np.uint64]]] = []
    for record in records:
        try:
            batch = decode(record.payload)
        except WalError as error:
            unreadable(record, error)
            continue
        if batch.logs.num_rows:
            first = record.header.base_seq
            logs.append(batch.logs)
            seqs.append(np.arange(first, first + batch.logs.num_rows, dtype=np.uint64))
        if batch.dead_letters.num_rows:
            dead_letters.append(batch.dead_letters)
    return Tables(_with_seq(_table(logs, LOG_SCHEMA), seqs), _table(dead_letters, DEAD_LETTER_SCHEMA))


def _table(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    table = pa.Table.from_batches(batches, schema)
    return table.combine_chunks() if table.num_rows < CHUNK_ROWS_MIN * len(batches) else table


def _with_seq(logs: pa.Table, seqs: list[np.ndarray[tuple[int], np.dtype[np.uint64]]]) -> pa.Table:
    seq = pa.array(np.concatenate(seqs) if seqs else np.empty(0, np.uint64), pa.uint64())
    return logs.add_column(1, STORED_LOG_SCHEMA.field("seq"), seq)
