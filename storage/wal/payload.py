"""A LogBatch as bytes: what a call carries to a partition writer and a WAL record holds.

A payload is a head (version, row counts, lengths) and up to two Arrow IPC streams of one record batch each.
"""

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

import pyarrow as pa
from isal import isal_zlib

from core.errors import WalError
from core.log_batch import DEAD_LETTER_SCHEMA, LOG_SCHEMA, LogBatch, no_rows

HEAD: Final = struct.Struct("<IIIIII")


def schema_version(logs: pa.Schema, dead_letters: pa.Schema) -> int:
    """A number that changes whenever a column of either schema does."""
    return isal_zlib.crc32(f"{logs}\n{dead_letters}".encode())


VERSION: Final = schema_version(LOG_SCHEMA, DEAD_LETTER_SCHEMA)
# A WAL outlives an upgrade: when a schema changes, the former pair stays here until no WAL can hold it.
SCHEMAS: Final[dict[int, tuple[pa.Schema, pa.Schema]]] = {VERSION: (LOG_SCHEMA, DEAD_LETTER_SCHEMA)}


class PayloadHead(NamedTuple):
    """The first bytes of a payload: row counts, and the lengths in bytes of the two streams."""

    version: int
    logs: int
    dead_letters: int
    logs_bytes: int
    dead_letters_bytes: int
    reserved: int = 0


def encode(batch: LogBatch) -> bytes:
    """Serialise a batch; a part without rows takes no bytes."""
    logs = _stream(batch.logs) if batch.logs.num_rows else b""
    dead_letters = _stream(batch.dead_letters) if batch.dead_letters.num_rows else b""
    head = HEAD.pack(
        VERSION, batch.logs.num_rows, batch.dead_letters.num_rows, len(logs), len(dead_letters), 0
    )
    return b"".join((head, logs, dead_letters))


def read_head(payload: bytes | memoryview) -> PayloadHead:
    """Read the counts without decoding; raises WalError when the lengths do not add up."""
    if len(payload) < HEAD.size:
        raise WalError(f"cannot read a payload of {len(payload)} bytes")
    head = PayloadHead(*HEAD.unpack_from(payload))
    if HEAD.size + head.logs_bytes + head.dead_letters_bytes != len(payload):
        raise WalError(f"cannot read a payload of {len(payload)} bytes: its parts have other lengths")
    return head


def decode(payload: bytes | memoryview) -> LogBatch:
    """The batch again, its columns pointing into `payload`; raises WalError for an unknown version."""
    head = read_head(payload)
    schemas = SCHEMAS.get(head.version)
    if schemas is None:
        raise WalError(f"cannot read a payload of version {head.version:08x}: this release does not know it")
    content = pa.py_buffer(payload)
    try:
        return LogBatch(
            _read(content.slice(HEAD.size, head.logs_bytes), schemas[0], head.logs),
            _read(
                content.slice(HEAD.size + head.logs_bytes, head.dead_letters_bytes),
                schemas[1],
                head.dead_letters,
            ),
        )
    except (pa.ArrowException, OSError) as error:
        raise WalError(f"cannot read a payload: {error}") from None


def merge(batches: Iterable[LogBatch]) -> LogBatch:
    """One batch of all rows, in order: many small payloads cost more than one."""
    batches = list(batches)
    if len(batches) == 1:
        return batches[0]
    logs = [batch.logs for batch in batches if batch.logs.num_rows]
    dead_letters = [batch.dead_letters for batch in batches if batch.dead_letters.num_rows]
    return LogBatch(
        _concatenate(logs) if logs else no_rows(LOG_SCHEMA),
        _concatenate(dead_letters) if dead_letters else no_rows(DEAD_LETTER_SCHEMA),
    )


def _concatenate(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def _stream(batch: pa.RecordBatch) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return sink.getvalue()


def _read(content: pa.Buffer, schema: pa.Schema, rows: int) -> pa.RecordBatch:
    if not rows:
        return no_rows(schema)
    with pa.ipc.open_stream(content) as stream:
        if stream.schema != schema:
            raise WalError("cannot read a payload: its columns are not those of its version")
        batch = stream.read_next_batch()
    if batch.num_rows != rows:
        raise WalError(f"cannot read a payload: {batch.num_rows} rows where its head says {rows}")
    return batch
