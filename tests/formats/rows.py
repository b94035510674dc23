"""A batch's logs as the rows that a search reads back."""

from typing import Any

import pyarrow as pa

from core.log_batch import LogBatch


def stored_rows(batch: LogBatch) -> list[dict[str, Any]]:
    """Each log as formats.restore takes it, `seq` counted from 0."""
    batch.logs.validate(full=True)
    logs: Any = batch.logs
    times = logs.column("timestamp").cast(pa.int64()).to_pylist()
    arrivals = logs.column("ingested_at").cast(pa.int64()).to_pylist()
    return [
        {**row, "timestamp_ns": time, "ingested_at_ns": arrival, "seq": seq}
        for seq, (row, time, arrival) in enumerate(zip(logs.to_pylist(), times, arrivals, strict=True))
    ]
