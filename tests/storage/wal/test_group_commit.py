"""Calls that wait share a write and an fsync; bounds are answered; segments end by rows, bytes and age."""

import asyncio
import errno
import os
import resource
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.errors import Overloaded, WalError
from core.limits import MIB
from core.metric_names import WAL_FSYNCS
from core.metrics import Metrics
from core.settings import WalSettings
from storage.wal.group_commit import GroupCommit
from storage.wal.partition_wal import PartitionWal
from storage.wal.payload import encode
from storage.wal.read_back import build_tables
from storage.wal.segment import SealedSegment
from tests.conditions import until
from tests.storage.wal.batches import batch

NO_FLUSH = WalSettings(flush_interval_s=60, free_disk_bytes_min=0)


class Bench:
    """A group commit on a WAL of its own; `disk` is called for each fsync."""

    def __init__(self, data_dir: Path, settings: WalSettings = NO_FLUSH) -> None:
        clock = SystemClock()
        self.metrics = Metrics(clock)
        self.sealed: list[SealedSegment] = []
        self.backlog = 0
        self.failures: list[int] = []
        self.disk = threading.Event()
        self.disk.set()
        self.wal = PartitionWal(data_dir, 0, clock, self.sync)
        self.commits = GroupCommit(
            self.wal, settings, self.metrics, clock, backlog=lambda: self.backlog, sealed=self.sealed.extend
        )

    def sync(self, fd: int) -> None:
        assert self.disk.wait(30)
        if self.failures:
            raise OSError(self.failures.pop(0), "from the device")
        os.fdatasync(fd)

    @property
    def fsyncs(self) -> float:
        return self.metrics.snapshot().values.get(WAL_FSYNCS.name, {}).get(("0",), 0)

    async def append(self, number: int, *messages: str) -> None:
        await self.commits.append(number.to_bytes(16, "big"), [encode(batch(*messages))])

    def messages(self) -> list[str]:
        self.sealed += self.wal.seal()
        tables = [build_tables(self.wal.read(segment), pytest.fail) for segment in self.sealed]
        return [message for table in tables for message in table.logs["message"].to_pylist()]


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[Bench]:
    task = asyncio.create_task(bench.commits.run())
    try:
        yield bench
    finally:
        bench.disk.set()
        bench.commits.stop()
        await task
        bench.commits.close()
        bench.wal.close()


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Files of this process cannot grow past `size`, as on a disk without room (EFBIG for ENOSPC)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_calls_that_wait_share_an_fsync(tmp_path: Path) -> None:
    async with running(Bench(tmp_path)) as bench:
        await bench.append(0, "first")
        bench.disk.clear()
        calls = [asyncio.create_task(bench.append(number, str(number))) for number in range(1, 101)]
        await until(lambda: bench.commits.waiting == 100)
        assert not any(call.done() for call in calls)  # nobody is answered before the fsync
        bench.disk.set()
        await asyncio.gather(*calls)
        assert bench.fsyncs <= 3
        assert sorted(bench.messages()) == sorted(["first", *map(str, range(1, 101))])


async def test_a_repeated_call_is_stored_once_and_answered(tmp_path: Path) -> None:
    async with running(Bench(tmp_path)) as bench:
        await asyncio.gather(*(bench.append(1, "once") for _ in range(5)))
        await bench.append(1, "once")
        assert bench.messages() == ["once"]


async def test_a_caller_that_goes_away_takes_nobody_with_it(tmp_path: Path) -> None:
    async with running(Bench(tmp_path)) as bench:
        bench.disk.clear()
        impatient = asyncio.create_task(bench.append(1, "a"))
        patient = [asyncio.create_task(bench.append(number, "b")) for number in (1, 2)]
        await until(lambda: bench.commits.waiting == 2)
        impatient.cancel()
        await asyncio.sleep(0)
        bench.disk.set()
        await asyncio.gather(*patient)
        assert sorted(bench.messages()) == ["a", "b"]


@pytest.mark.parametrize(
    ("settings", "bound"),
    [
        (NO_FLUSH.model_copy(update={"bytes_max": 100}), "wal_full"),
        (NO_FLUSH.model_copy(update={"free_disk_bytes_min": 1 << 60}), "disk_low"),
    ],
    ids=["wal", "disk"],
)
async def test_a_bound_is_answered_before_anything_is_written(
    tmp_path: Path, settings: WalSettings, bound: str
) -> None:
    async with running(Bench(tmp_path, settings)) as bench:
        with pytest.raises(Overloaded) as refusal:
            await bench.append(1, "a")
        assert refusal.value.bound == bound
        assert refusal.value.retry_after_s > 0
        assert bench.messages() == []


async def test_a_slow_disk_makes_callers_come_back_later(tmp_path: Path) -> None:
    async with running(Bench(tmp_path)) as bench:
        bench.disk.clear()
        large = "x" * (20 * MIB)
        calls = [asyncio.create_task(bench.append(number, large)) for number in range(3)]
        await until(lambda: bench.commits.waiting == 3)
        with pytest.raises(Overloaded) as refusal:
            await bench.append(9, large)
        assert refusal.value.bound == "queue_full"
        bench.disk.set()
        await asyncio.gather(*calls)
        await bench.append(9, large)


async def test_a_full_disk_refuses_and_later_goes_on(tmp_path: Path) -> None:
    async with running(Bench(tmp_path)) as bench:
        await bench.append(1, "before")
        with file_size_limit(MIB):
            for number in (2, 3):
                with pytest.raises(Overloaded) as refusal:
                    await bench.append(number, "x" * 2 * MIB)
                assert refusal.value.bound == "disk_low"
            await bench.append(4, "small")  # what fits is still taken
        await bench.append(2, "after")
        assert bench.messages() == ["before", "small", "after"]


@pytest.mark.parametrize(
    ("code", "expected"), [(errno.EIO, WalError), (errno.ENOSPC, Overloaded), (errno.EDQUOT, Overloaded)]
)
async def test_a_failed_fsync_is_answered_and_the_next_call_succeeds(
    tmp_path: Path, code: int, expected: type[Exception]
) -> None:
    async with running(Bench(tmp_path)) as bench:
        await bench.append(1, "before")
        bench.failures.append(code)
        with pytest.raises(expected):
            await bench.append(2, "lost")
        await bench.append(2, "again")
        assert bench.messages() == ["before", "again"]


async def test_a_segment_ends_when_it_has_enough_rows(tmp_path: Path) -> None:
    async with running(Bench(tmp_path, NO_FLUSH.model_copy(update={"flush_rows": 10}))) as bench:
        for number in range(5):
            await bench.append(number, *"abc")
        await until(lambda: bench.sealed)
        assert bench.sealed[0].logs == 12


async def test_a_segment_ends_when_it_has_enough_bytes(tmp_path: Path) -> None:
    async with running(Bench(tmp_path, NO_FLUSH.model_copy(update={"flush_bytes": MIB}))) as bench:
        for number in range(3):
            await bench.append(number, "x" * 700_000)
        await until(lambda: bench.sealed)
        assert bench.sealed[0].logs == 2


async def test_a_segment_ends_with_age_unless_the_store_is_behind(tmp_path: Path) -> None:
    async with running(Bench(tmp_path, NO_FLUSH.model_copy(update={"flush_interval_s": 0.05}))) as bench:
        bench.backlog = 1
        await bench.append(1, "a")
        await asyncio.sleep(0.2)
        assert bench.sealed == []
        bench.backlog = 0
        bench.commits.wake()
        await until(lambda: len(bench.sealed) == 1)
        await bench.append(2, "b")
        await until(lambda: len(bench.sealed) == 2)


async def test_sealing_at_will_waits_for_what_was_appended_before(tmp_path: Path) -> None:
    async with running(Bench(tmp_path)) as bench:
        bench.disk.clear()
        call = asyncio.create_task(bench.append(1, "a"))
        await until(lambda: bench.commits.waiting == 1)
        sealing = asyncio.create_task(bench.commits.seal())
        await asyncio.sleep(0.01)
        bench.disk.set()
        await asyncio.gather(call, sealing)
        assert [segment.logs for segment in bench.sealed] == [1]
        await bench.commits.seal()
        assert len(bench.sealed) == 1  # nothing new: no segment


@pytest.mark.parametrize(
    ("call_id", "payloads"),
    [(b"short", [encode(batch("a"))]), (b"c" * 16, []), (b"c" * 16, [b"garbage"]), (b"c" * 16, [b""])],
)
async def test_a_malformed_call_is_refused(tmp_path: Path, call_id: bytes, payloads: list[bytes]) -> None:
    async with running(Bench(tmp_path)) as bench:
        with pytest.raises(WalError):
            await bench.commits.append(call_id, payloads)


async def test_stopping_answers_what_is_under_way_and_refuses_the_rest(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with running(bench):
        bench.disk.clear()
        under_way = asyncio.create_task(bench.append(1, "a"))
        await until(lambda: bench.wal.active is not None)
        waiting = asyncio.create_task(bench.append(2, "b"))
        await until(lambda: bench.commits.waiting == 2)
    await under_way
    with pytest.raises(WalError, match="stopping"):
        await waiting
    with pytest.raises(WalError, match="stopping"):
        await bench.append(3, "c")
    again = PartitionWal(tmp_path, 0, SystemClock())
    assert [segment.logs for segment in again.recovered] == [1]
    again.close()
