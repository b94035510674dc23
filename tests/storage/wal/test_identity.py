"""Numbers and tokens are never given twice, also when the WAL is empty and the clock is set back."""

from pathlib import Path

import pytest

from storage.wal.directory import IDENTITY, WalDirectory
from storage.wal.identity import RESERVED_SEQS, Identity
from storage.wal.partition_wal import PartitionWal
from storage.wal.read_back import build_tables
from tests.clocks import ManualClock
from tests.storage.wal.batches import batch, records

NOW_NS = 1_705_312_800_000_000_000


def store_one(data_dir: Path, now_ns: int) -> tuple[list[int], str]:
    """Write three logs, delete the segment as after its insert; their seqs and the insert's token."""
    wal = PartitionWal(data_dir, 0, ManualClock(now_ns))
    wal.commit(records(b"c" * 16, batch(*"abc")))
    (segment,) = wal.seal()
    seqs = build_tables(wal.read(segment), unreadable=pytest.fail).logs["seq"].to_pylist()
    token = wal.token(segment)
    wal.remove(segment)
    wal.close()
    return seqs, token


def test_a_clock_that_is_set_back_repeats_nothing(tmp_path: Path) -> None:
    seqs, tokens = [], []
    for hours_back in (0, 5, 5, 100, 0):
        found, token = store_one(tmp_path, NOW_NS - hours_back * 3_600_000_000_000)
        seqs += found
        tokens.append(token)
    assert seqs == sorted(set(seqs))
    assert len(set(tokens)) == 5


def test_two_wals_of_the_same_number_have_different_tokens(tmp_path: Path) -> None:
    assert store_one(tmp_path / "a", NOW_NS)[1] != store_one(tmp_path / "b", NOW_NS)[1]


def test_numbers_are_reserved_before_they_are_used_and_seldom(tmp_path: Path) -> None:
    directory = WalDirectory(tmp_path, 0)
    identity = Identity(directory)
    identity.reserve(100)
    assert identity.reserved_until == 100 + RESERVED_SEQS
    written = (directory.path / IDENTITY).stat().st_mtime_ns
    identity.reserve(100 + RESERVED_SEQS)
    assert (directory.path / IDENTITY).stat().st_mtime_ns == written
    again = Identity(directory)
    assert (again.name, again.reserved_until) == (identity.name, identity.reserved_until)
    directory.close()


@pytest.mark.parametrize("content", [b"", b"x", b"0123456789abcdef 12 00000000\n"])
def test_a_damaged_file_does_not_stop_the_start(tmp_path: Path, content: bytes) -> None:
    directory = WalDirectory(tmp_path, 0)
    (directory.path / IDENTITY).write_bytes(content)
    identity = Identity(directory)
    assert len(identity.name) == 16
    assert identity.reserved_until == 0
    directory.close()
