"""Tables of logs and dead letters to insert."""

import pyarrow as pa

from core.log_batch import DEAD_LETTER_SCHEMA
from core.packed_fields import pack_fields
from storage.log_table import LOGS_SCHEMA

TIME_NS = 1_705_312_800_000_000_000  # 2024-01-15T10:00:00Z
DAY_NS = 86_400_000_000_000


def logs(count: int, first_seq: int = 0, days: int = 1, message: str = "hello") -> pa.Table:
    """That many logs, one a second, spread over the days in turn; the message ends with the seq."""
    seqs = range(first_seq, first_seq + count)
    return pa.Table.from_pydict(
        {
            "timestamp": [TIME_NS + seq % days * DAY_NS + seq * 1_000_000_000 + 7 for seq in seqs],
            "level": ["error" if seq % 10 == 0 else "info" for seq in seqs],
            "service": [f"service-{seq % 3}" for seq in seqs],
            "message": [f"{message} {seq}" for seq in seqs],
            "fields": [pack_fields(["n", "s"], [str(seq), '"x"']).fields for seq in seqs],
            "long_fields": [""] * count,
            "shape": [""] * count,
            "ingested_at": [TIME_NS] * count,
            "source_ip": ["127.0.0.1"] * count,
            "method": ["http"] * count,
            "seq": list(seqs),
        },
        LOGS_SCHEMA,
    )


def dead_letters(count: int) -> pa.Table:
    return pa.Table.from_pydict(
        {
            "received_at": [TIME_NS] * count,
            "reason": ["message: missing"] * count,
            "raw": [f"raw {n}\xff".encode("latin-1") for n in range(count)],
            "raw_bytes": [5] * count,
            "source_ip": ["127.0.0.1"] * count,
            "method": ["tcp"] * count,
        },
        DEAD_LETTER_SCHEMA,
    )
