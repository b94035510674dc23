"""Writing logs and dead letters: durable when it returns, and stored once however often it is repeated."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa

from core.log_batch import DEAD_LETTER_SCHEMA, LOG_SCHEMA
from storage.clickhouse import ClickHouse, Cost

SEQ: Final = pa.field("seq", pa.uint64(), nullable=False)
LOGS_SCHEMA: Final = pa.schema([*LOG_SCHEMA, SEQ])
DEAD_LETTERS_SCHEMA: Final = pa.schema([*DEAD_LETTER_SCHEMA, pa.field("id", pa.uint64(), nullable=False)])

# The token names the whole insert. ClickHouse numbers the blocks of an insert beneath it, so the rows must be
# cut into blocks in the same way each time: they are one block, whatever their number.
ROWS_MAX: Final = 10_000_000
DEAD_LETTER_PLACE: Final = (1 << 24) - 1  # the low bits of a dead letter's id: its place in the insert
INSERT_SETTINGS: Final[Mapping[str, Any]] = {
    "async_insert": 0,  # the answer comes when the rows are on disk
    "wait_for_async_insert": 1,
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "max_insert_threads": 1,
    "max_block_size": ROWS_MAX,
    "max_insert_block_size": ROWS_MAX,
    "min_insert_block_size_rows": ROWS_MAX,
    "min_insert_block_size_bytes": 0,
    "min_insert_block_size_rows_for_materialized_views": ROWS_MAX,
    "min_insert_block_size_bytes_for_materialized_views": 0,
    "max_partitions_per_insert_block": 0,  # one late client may send logs of any number of days
    "insert_quorum": "auto",  # replicas: most of them have the rows; ignored elsewhere
    "distributed_foreground_insert": 1,
    "insert_shard_id": 0,
}


def insert_logs(clickhouse: ClickHouse, table: pa.Table, token: str) -> Cost:
    """Insert logs (columns of LOGS_SCHEMA, in any order) into `logs`, and so into its rollups.

    A repetition with the same rows and token changes nothing, also when the first one broke off half way.
    Raises StorageError, StorageUnavailable.
    """
    return _insert(clickhouse, "logs", table, LOGS_SCHEMA, token)


def insert_dead_letters(clickhouse: ClickHouse, table: pa.Table, token: str) -> Cost:
    """Insert dead letters (columns of DEAD_LETTERS_SCHEMA, in any order), as insert_logs does."""
    return _insert(clickhouse, "dead_letters", table, DEAD_LETTERS_SCHEMA, token)


def _insert(clickhouse: ClickHouse, name: str, table: pa.Table, schema: pa.Schema, token: str) -> Cost:
    assert token, "an insert without a token could be stored twice"
    assert set(table.column_names) == set(schema.names), f"{name} need {schema.names}"
    assert 0 < table.num_rows <= ROWS_MAX
    return clickhouse.insert_arrow(
        name, table.combine_chunks(), {**INSERT_SETTINGS, "insert_deduplication_token": token}
    )


class LogTables:
    """Both tables of one ClickHouse, as the partition writers see them (storage.wal.store.Store)."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    def insert_logs(self, logs: pa.Table, token: str) -> None:
        """As insert_logs of this module."""
        insert_logs(self._clickhouse, logs, token)

    def insert_dead_letters(self, dead_letters: pa.Table, token: str) -> None:
        """As insert_dead_letters; takes DEAD_LETTER_SCHEMA and gives each row an id."""
        ids = dead_letter_ids(token, dead_letters.num_rows)
        insert_dead_letters(self._clickhouse, dead_letters.append_column("id", ids), token)


def dead_letter_ids(token: str, rows: int) -> "pa.Array[pa.UInt64Scalar]":
    """Ids made of the insert's token and the row's place, so that a repetition has the same ones."""
    assert rows <= ROWS_MAX
    base = int.from_bytes(hashlib.blake2b(token.encode(), digest_size=8).digest()) & ~DEAD_LETTER_PLACE
    return pa.array(np.arange(base, base + rows, dtype=np.uint64), pa.uint64())
