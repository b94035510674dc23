"""Logs as the rows that a search reads back."""

from typing import Any

import pyarrow as pa

from core.packed_fields import unpack_fields


def stored_rows(logs: Any) -> list[dict[str, Any]]:
    """Each log as formats.restore takes it, `seq` counted from 0."""
    logs.validate(full=True)
    times = logs.column("timestamp").cast(pa.int64()).to_pylist()
    arrivals = logs.column("ingested_at").cast(pa.int64()).to_pylist()
    return [
        {
            **row,
            "attributes": unpack_fields(row["fields"] + row["long_fields"]),
            "timestamp_ns": time,
            "ingested_at_ns": arrival,
            "seq": seq,
        }
        for seq, (row, time, arrival) in enumerate(zip(logs.to_pylist(), times, arrivals, strict=True))
    ]
