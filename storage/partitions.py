"""Which partitions of the WAL a node writes: those on its disk, and numbers it claims in the store.

A partition's number is part of the ids of its logs and of its insert tokens, so no two nodes of one store may
ever have the same. What is on disk is known without the store; only a new partition needs it.
"""

import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

from core.errors import StorageError
from storage.clickhouse import ClickHouse

PARTITIONS_MAX: Final = 1023  # ten bits of a log's id
_NAME: Final = re.compile(r"partition-(\d{3,4})")
# Whoever sees his claim alone has the number: a later claim will see both. Where two see both, neither has
# it, and nobody ever will. The earlier of two clocks would not do: an earlier claim may be seen later.
_OWNERS: Final = """
SELECT partition, uniqExact(claim) = 1 AND any(claim) = {claim:UUID} AS mine
FROM wal_partitions GROUP BY partition
"""
_CLAIM: Final = """
INSERT INTO wal_partitions SELECT {partition:UInt16}, {node:String}, {claim:UUID}, now64(9, 'UTC')
"""


def partitions_on_disk(data_dir: Path) -> list[int]:
    """The partitions that have a directory here: also one that is no longer wanted may hold logs."""
    try:
        names = [entry.name for entry in (data_dir / "wal").iterdir() if entry.is_dir()]
    except FileNotFoundError:
        return []
    matches = (_NAME.fullmatch(name) for name in names)
    return sorted(int(match[1]) for match in matches if match)


def claim_partitions(
    clickhouse: ClickHouse, node: str, count: int, new_uuid: Callable[[], uuid.UUID] = uuid.uuid4
) -> list[int]:
    """That many numbers that nobody has; two that claim at once get different ones.

    Raises StorageError when there are no more, StorageUnavailable.
    """
    claimed: list[int] = []
    while len(claimed) < count:
        claim = new_uuid()
        taken = {int(partition) for partition, _ in clickhouse.query(_OWNERS, {"claim": claim}).rows}
        free = next((number for number in range(PARTITIONS_MAX) if number not in taken), None)
        if free is None:
            raise StorageError(f"cannot claim a WAL partition: all {PARTITIONS_MAX} are taken")
        clickhouse.command(_CLAIM, {"partition": free, "node": node, "claim": claim})
        owners = dict(clickhouse.query(_OWNERS, {"claim": claim}).rows)
        if owners.get(free):
            claimed.append(free)
    return claimed
