"""One partition's WAL: what was committed is there after a crash, cut where it was cut."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.errors import Overloaded, WalError
from storage.wal.partition_wal import PARTITION_SHIFT, PartitionWal
from storage.wal.read_back import STORED_LOG_SCHEMA, build_tables
from storage.wal.recent_calls import RETRY_WINDOW_S
from storage.wal.segment import SealedSegment
from tests.storage.wal.batches import batch, records


@pytest.fixture
def wal(tmp_path: Path) -> Iterator[PartitionWal]:
    wal = PartitionWal(tmp_path, 3, SystemClock())
    yield wal
    wal.close()


def crash_and_recover(wal: PartitionWal, data_dir: Path) -> PartitionWal:
    wal.directory.close()  # as a killed process: nothing is sealed, nothing flushed
    return PartitionWal(data_dir, wal.partition, SystemClock())


def messages(wal: PartitionWal, segments: list[SealedSegment]) -> list[str]:
    tables = [build_tables(wal.read(segment), unreadable=pytest.fail) for segment in segments]
    return [message for table in tables for message in table.logs["message"].to_pylist()]


def files(wal: PartitionWal) -> list[Path]:
    return sorted(wal.directory.path.glob("*.wal"))


def call(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_a_sealed_segment_reads_back_with_seqs(wal: PartitionWal) -> None:
    wal.commit(records(call(1), batch("a", "b", dead=("x",)), batch("c")))
    wal.commit(records(call(2), batch("d")))
    (segment,) = wal.seal()
    tables = build_tables(wal.read(segment), unreadable=pytest.fail)
    assert tables.logs.schema == STORED_LOG_SCHEMA
    assert tables.logs["message"].to_pylist() == ["a", "b", "c", "d"]
    seqs = tables.logs["seq"].to_pylist()
    assert seqs == list(range(seqs[0], seqs[0] + 4))
    assert seqs[0] >> PARTITION_SHIFT == 3
    assert tables.dead_letters["raw"].to_pylist() == [b"x"]
    assert (segment.logs, segment.dead_letters) == (4, 1)


def test_a_crash_keeps_the_cut_points_and_tokens(wal: PartitionWal, tmp_path: Path) -> None:
    wal.commit(records(call(1), batch("a")))
    sealed = wal.seal()
    wal.commit(records(call(2), batch("b")))
    wal.commit(records(call(3), batch("c")))
    again = crash_and_recover(wal, tmp_path)
    first, second = again.recovered
    assert wal.token(sealed[0]) == again.token(first)
    assert messages(again, [first]) == ["a"]
    assert messages(again, [second]) == ["b", "c"]
    again.commit(records(call(4), batch("d")))
    assert len(files(again)) == 3  # nothing is appended to a segment met at start
    again.close()


def test_seqs_never_repeat_over_crashes(wal: PartitionWal, tmp_path: Path) -> None:
    seen: list[int] = []
    for round_number in range(5):
        wal.commit(records(call(round_number), batch(*"abc")))
        wal = crash_and_recover(wal, tmp_path)
    for segment in wal.recovered:
        seen += build_tables(wal.read(segment), unreadable=pytest.fail).logs["seq"].to_pylist()
    assert len(seen) == len(set(seen)) == 15
    wal.close()


def test_segments_of_dead_letters_alone_have_names_of_their_own(wal: PartitionWal) -> None:
    tokens = []
    for number in range(3):
        wal.commit(records(call(number), batch(dead=("x",))))
        tokens += [wal.token(segment) for segment in wal.seal()]
    assert len(set(tokens)) == 3


def test_a_torn_last_record_is_cut_off_with_a_message(
    wal: PartitionWal, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wal.commit(records(call(1), batch("a")))
    wal.commit(records(call(2), batch("b")))
    (path,) = files(wal)
    os.truncate(path, path.stat().st_size - 7)
    again = crash_and_recover(wal, tmp_path)
    assert messages(again, again.recovered) == ["a"]
    assert path.stat().st_size == again.recovered[0].size
    assert "last record is torn" in caplog.text
    again.close()


def test_damage_is_set_aside_and_counted_once(wal: PartitionWal, tmp_path: Path) -> None:
    for number, name in enumerate("abc"):
        wal.commit(records(call(number), batch(name)))
    (path,) = files(wal)
    content = bytearray(path.read_bytes())
    size = len(content) // 3
    content[size + 100] ^= 1
    path.write_bytes(content)
    again = crash_and_recover(wal, tmp_path)
    assert messages(again, again.recovered) == ["a", "c"]
    assert again.damaged_bytes == size
    (kept,) = (again.directory.path / "damaged").iterdir()
    assert kept.read_bytes() == content[size : 2 * size]
    once_more = crash_and_recover(again, tmp_path)
    assert once_more.damaged_bytes == 0
    once_more.close()


def test_a_segment_without_a_valid_record_is_removed(wal: PartitionWal, tmp_path: Path) -> None:
    wal.commit(records(call(1), batch("a")))
    (path,) = files(wal)
    path.write_bytes(b"x" * 1000)
    path.with_name(f"{1:016x}.wal").touch()
    again = crash_and_recover(wal, tmp_path)
    assert (files(again), again.recovered, again.damaged_bytes) == ([], [], 1000)
    again.close()


def test_foreign_files_are_left_alone(
    wal: PartitionWal, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    foreign = wal.directory.path / "notes.txt"
    foreign.write_text("mine")
    again = crash_and_recover(wal, tmp_path)
    assert foreign.read_text() == "mine"
    assert "notes.txt: not a WAL segment" in caplog.text
    again.close()


def test_files_are_private(wal: PartitionWal) -> None:
    wal.commit(records(call(1), batch("a")))
    for path, mode in (
        (wal.directory.path, 0o700),
        (wal.directory.path.parent, 0o700),
        (files(wal)[0], 0o600),
    ):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_directory_has_one_writer(wal: PartitionWal, tmp_path: Path) -> None:
    from storage.wal.directory import WalDirectory

    with pytest.raises(WalError, match="another process"):
        WalDirectory(tmp_path, 3, lock_wait_s=0)


def test_a_path_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "wal").write_text("a file")
    with pytest.raises(WalError, match=r"cannot use the WAL directory .*partition-000"):
        PartitionWal(tmp_path, 0, SystemClock())


def test_stored_calls_are_known_after_a_crash(wal: PartitionWal, tmp_path: Path) -> None:
    wal.commit(records(call(1), batch("a"), batch("b")))
    (path,) = files(wal)
    os.truncate(path, path.stat().st_size - 1)  # the second part was never whole on disk
    again = crash_and_recover(wal, tmp_path)
    assert again.calls.missing(call(1), 2) == [1]
    assert again.calls.missing(call(2), 2) == [0, 1]
    again.close()


def test_recovered_segments_are_kept_for_the_retry_window(wal: PartitionWal, tmp_path: Path) -> None:
    wal.commit(records(call(1), batch("a")))
    wal.seal()
    wal.commit(records(call(2), batch("b")))
    old, _ = files(wal)
    past_s = old.stat().st_mtime - RETRY_WINDOW_S - 1
    os.utime(old, (past_s, past_s))
    again = crash_and_recover(wal, tmp_path)
    assert [segment.keep_until_s > 0 for segment in again.recovered] == [False, True]
    again.close()


def test_after_a_failed_fsync_a_new_segment_is_begun(tmp_path: Path) -> None:
    failing: list[int] = []

    def sync(fd: int) -> None:
        if failing:
            raise OSError(failing.pop(), "from the device")
        os.fdatasync(fd)

    wal = PartitionWal(tmp_path, 0, SystemClock(), sync)
    wal.commit(records(call(1), batch("a")))
    failing.append(errno.EIO)
    with pytest.raises(WalError, match="cannot fsync"):
        wal.commit(records(call(2), batch("lost")))
    wal.commit(records(call(2), batch("b")))
    assert len(files(wal)) == 2
    assert messages(wal, wal.seal()) == ["a", "b"]
    failing.append(errno.ENOSPC)
    with pytest.raises(Overloaded) as refusal:
        wal.commit(records(call(3), batch("c")))
    assert refusal.value.bound == "disk_low"
    again = crash_and_recover(wal, tmp_path)
    assert messages(again, again.recovered) == ["a", "b"]
    again.close()


def test_what_is_damaged_after_sealing_is_set_aside_too(wal: PartitionWal) -> None:
    wal.commit(records(call(1), batch("a"), batch("b")))
    (segment,) = wal.seal()
    content = bytearray(segment.path.read_bytes())
    content[-1] ^= 1
    segment.path.write_bytes(content)
    assert messages(wal, [segment]) == ["a"]
    assert wal.damaged_bytes > 0
