"""The columns of a batch under construction, whatever format its records come in."""

from __future__ import annotations  # Arrow's classes are generic to the type checker alone

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.limits import DEAD_LETTER_RAW_BYTES_MAX
from core.log_batch import DEAD_LETTER_SCHEMA, LOG_SCHEMA, NANOSECONDS, LogBatch, Received, no_rows
from core.packed_fields import pack_fields


class LogColumns:
    """Logs and dead letters, column by column; `build` makes the LogBatch.

    It has no bound of its own: whoever fills it stops at its own limit.
    """

    def __init__(self) -> None:
        self._timestamps: list[int] = []
        self._levels: list[str] = []
        self._services: list[str] = []
        self._messages: list[str] = []
        self._fields: list[str] = []
        self._long_fields: list[str] = []
        self._shapes: list[str] = []
        self._reasons: list[str] = []
        self._raws: list[bytes] = []
        self._raw_bytes: list[int] = []

    @property
    def logs(self) -> int:
        """Logs appended so far."""
        return len(self._timestamps)

    @property
    def rejected(self) -> int:
        """Records rejected so far."""
        return len(self._reasons)

    def append(
        self,
        timestamp_ns: int,
        level: str,
        service: str,
        message: str,
        names: Sequence[str],
        values: Sequence[str],
        shape: str = "",
    ) -> None:
        """Add one log: attribute names as stored (formats.attributes), their values as JSON text."""
        packed = pack_fields(names, values)
        self._timestamps.append(timestamp_ns)
        self._levels.append(level)
        self._services.append(service)
        self._messages.append(message)
        self._fields.append(packed.fields)
        self._long_fields.append(packed.long_fields)
        self._shapes.append(shape)

    def reject(self, reason: str, raw: bytes) -> None:
        """Add a dead letter; its raw bytes are cut at the limit, their number is kept."""
        self._reasons.append(reason)
        self._raws.append(raw[:DEAD_LETTER_RAW_BYTES_MAX])
        self._raw_bytes.append(len(raw))

    def build(self, received: Received) -> LogBatch:
        """The batch of what was added, every row marked with where it came from."""
        return LogBatch(self.build_logs(received), self.build_dead_letters(received))

    def build_logs(self, received: Received) -> pa.RecordBatch:
        """The logs alone."""
        return log_rows(
            pa.array(self._timestamps, NANOSECONDS),
            pa.array(self._levels, pa.string()),
            pa.array(self._services, pa.string()),
            pa.array(self._messages, pa.string()),
            pa.array(self._fields, pa.string()),
            pa.array(self._long_fields, pa.string()),
            pa.array(self._shapes, pa.string()),
            received,
        )

    def build_dead_letters(self, received: Received) -> pa.RecordBatch:
        """The dead letters alone."""
        rows = len(self._reasons)
        if not rows:
            return no_rows(DEAD_LETTER_SCHEMA)
        return pa.RecordBatch.from_arrays(
            [
                pa.repeat(pa.scalar(received.at_ns, NANOSECONDS), rows),
                pa.array(self._reasons, pa.string()),
                pa.array(self._raws, pa.binary()),
                pa.array(self._raw_bytes, pa.uint64()),
                pa.repeat(pa.scalar(received.source_ip, pa.string()), rows),
                pa.repeat(pa.scalar(received.method, pa.string()), rows),
            ],
            schema=DEAD_LETTER_SCHEMA,
        )


def in_order(rows: list[pa.RecordBatch], places: NDArray[np.int64]) -> pa.RecordBatch:
    """The rows of several batches as one, each where its place says."""
    arrow: Any = pa  # its stubs lack concat_batches
    joined: pa.RecordBatch = arrow.concat_batches(rows).take(pa.array(np.argsort(places)))
    return joined


def log_rows(
    timestamps: pa.Array[Any],
    levels: pa.Array[Any],
    services: pa.Array[Any],
    messages: pa.Array[Any],
    fields: pa.Array[Any],
    long_fields: pa.Array[Any],
    shapes: pa.Array[Any],
    received: Received,
) -> pa.RecordBatch:
    """Log rows of finished columns, each marked with where it came from."""
    rows = len(timestamps)
    return pa.RecordBatch.from_arrays(
        [
            timestamps,
            levels,
            services,
            messages,
            fields,
            long_fields,
            shapes,
            pa.repeat(pa.scalar(received.at_ns, NANOSECONDS), rows),
            pa.repeat(pa.scalar(received.source_ip, pa.string()), rows),
            pa.repeat(pa.scalar(received.method, pa.string()), rows),
        ],
        schema=LOG_SCHEMA,
    )
