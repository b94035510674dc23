"""Partitions of the write-ahead log: found on disk, or claimed so that no two nodes ever have the same."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors import StorageError
from storage import partitions
from storage.clickhouse import ClickHouse
from storage.partitions import claim_partitions, partitions_on_disk


def test_what_is_on_disk_is_found_in_order(tmp_path: Path) -> None:
    assert partitions_on_disk(tmp_path) == []
    for name in ("partition-010", "partition-002", "partition-1000", "lost+found"):
        (tmp_path / "wal" / name).mkdir(parents=True)
    (tmp_path / "wal" / "partition-003").write_text("no directory")
    assert partitions_on_disk(tmp_path) == [2, 10, 1000]


def test_claims_are_the_next_free_numbers(clickhouse: ClickHouse) -> None:
    assert claim_partitions(clickhouse, "a", 2) == [0, 1]
    assert claim_partitions(clickhouse, "b", 1) == [2]
    assert claim_partitions(clickhouse, "a", 0) == []


def test_claims_at_the_same_moment_are_different(clickhouse: ClickHouse) -> None:
    with ThreadPoolExecutor(4) as threads:
        claimed = list(threads.map(lambda node: claim_partitions(clickhouse, node, 3), "abcd"))
    numbers = [number for one in claimed for number in one]
    assert len(numbers) == len(set(numbers)) == 12


def test_no_more_numbers_is_an_error(clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "PARTITIONS_MAX", 2)
    with pytest.raises(StorageError, match="all 2 are taken"):
        claim_partitions(clickhouse, "a", 3)
