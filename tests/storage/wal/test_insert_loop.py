"""Sealed segments go into ClickHouse once each, oldest first, whatever it answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.metric_names import INSERT_FAILURES, REFUSED_ROWS
from core.metrics import Metrics
from storage.clickhouse import ClickHouse
from storage.log_table import LogTables
from storage.migrations import migrate
from storage.wal.insert_loop import InsertLoop
from storage.wal.partition_wal import PartitionWal
from tests.clocks import ManualClock
from tests.conditions import until
from tests.storage.wal.batches import batch, records


class Bench:
    """An insert loop between a WAL of its own and a real ClickHouse."""

    def __init__(self, data_dir: Path, clickhouse: ClickHouse) -> None:
        self.clickhouse, self.clock = clickhouse, ManualClock()
        self.metrics = Metrics(self.clock)
        self.wal = PartitionWal(data_dir, 0, self.clock)
        self.changes = 0
        self.loop = InsertLoop(self.wal, LogTables(clickhouse), self.metrics, self.clock, self.changed)
        self._calls = 0

    def changed(self) -> None:
        self.changes += 1

    def seal(self, *messages: str, dead: tuple[str, ...] = ()) -> None:
        self._calls += 1
        self.wal.commit(records(self._calls.to_bytes(16, "big"), batch(*messages, dead=dead)))
        self.loop.add(self.wal.seal())

    def files(self) -> list[Path]:
        return sorted(self.wal.directory.path.glob("*.wal"))

    def stored(self) -> list[str]:
        return [row["message"] for row in self.clickhouse.rows("SELECT message FROM logs ORDER BY seq")]

    def dead_letters(self) -> list[tuple[str, str]]:
        rows = self.clickhouse.rows("SELECT reason, toString(raw) AS raw FROM dead_letters ORDER BY raw")
        return [(row["reason"], row["raw"]) for row in rows]

    def counted(self, name: str) -> float:
        return self.metrics.snapshot().values.get(name, {}).get(("0",), 0)


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[Bench]:
    task = asyncio.create_task(bench.loop.run())
    try:
        yield bench
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        bench.loop.close()
        bench.wal.close()


async def test_segments_are_inserted_in_order_and_their_files_deleted_later(
    tmp_path: Path, clickhouse: ClickHouse
) -> None:
    async with running(Bench(tmp_path, clickhouse)) as bench:
        bench.seal("a", "b", dead=("x",))
        bench.seal("c")
        await until(lambda: bench.changes == 2)
        assert bench.stored() == ["a", "b", "c"]
        assert bench.dead_letters() == [("message: missing", "x")]
        assert (bench.loop.rows, bench.loop.bytes, len(bench.loop)) == (0, 0, 0)
        assert len(bench.files()) == 2  # kept while a caller may repeat its call
        bench.clock.move(10)
        bench.seal("d")
        await until(lambda: len(bench.files()) == 1)


async def test_a_crash_between_insert_and_deletion_stores_nothing_twice(
    tmp_path: Path, clickhouse: ClickHouse
) -> None:
    async with running(Bench(tmp_path, clickhouse)) as bench:
        bench.seal("a", dead=("x",))
        await until(lambda: bench.changes == 1)
    for _ in range(2):
        async with running(Bench(tmp_path, clickhouse)) as again:
            assert again.loop.rows == 2
            await until(lambda again=again: again.changes == 1)
            assert again.stored() == ["a"]
            assert len(again.dead_letters()) == 1


async def test_a_store_that_is_not_ready_is_tried_until_it_is(
    tmp_path: Path, empty_clickhouse: ClickHouse
) -> None:
    async with running(Bench(tmp_path, empty_clickhouse)) as bench:
        bench.seal("a")
        bench.seal("b")
        await until(lambda: bench.counted(INSERT_FAILURES.name) >= 3)
        assert "UNKNOWN_TABLE" in bench.loop.last_error
        assert len(bench.files()) == 2
        await asyncio.to_thread(migrate, empty_clickhouse)
        await until(lambda: bench.changes == 2)
        assert bench.stored() == ["a", "b"]
        assert bench.loop.last_error == ""


async def test_a_log_that_clickhouse_refuses_becomes_a_dead_letter_and_costs_no_other(
    tmp_path: Path, clickhouse: ClickHouse
) -> None:
    clickhouse.command("ALTER TABLE logs ADD CONSTRAINT no_bad CHECK message != 'bad'")
    async with running(Bench(tmp_path, clickhouse)) as bench:
        bench.seal(*"abc", "bad", *"defgh", "bad")
        bench.seal("after")
        await until(lambda: bench.changes == 2)
        assert sorted(bench.stored()) == sorted([*"abcdefgh", "after"])
        reasons, raws = zip(*bench.dead_letters(), strict=True)
        assert all(
            reason.startswith("clickhouse: ") and "VIOLATED_CONSTRAINT" in reason for reason in reasons
        )
        assert all('"message":"bad"' in raw and '"duration_ms":5000' in raw for raw in raws)
        assert bench.counted(REFUSED_ROWS.name) == 2
    async with running(Bench(tmp_path, clickhouse)) as again:
        await until(lambda: again.changes == 2)  # after a crash the same rows are refused again
        assert len(again.stored()) == 9
        assert len(again.dead_letters()) == 2


async def test_a_refusal_that_does_not_speak_of_rows_gives_nothing_up(
    tmp_path: Path, clickhouse: ClickHouse
) -> None:
    clickhouse.command("ALTER TABLE logs DROP COLUMN method")
    async with running(Bench(tmp_path, clickhouse)) as bench:
        bench.seal("a")
        await until(lambda: bench.counted(INSERT_FAILURES.name) >= 8)
        assert bench.dead_letters() == []
        await asyncio.to_thread(
            clickhouse.command, "ALTER TABLE logs ADD COLUMN method LowCardinality(String)"
        )
        await until(lambda: bench.changes == 1)
        assert bench.stored() == ["a"]


async def test_a_deleted_file_stops_nothing(
    tmp_path: Path, empty_clickhouse: ClickHouse, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(Bench(tmp_path, empty_clickhouse)) as bench:
        bench.seal("a")
        bench.seal("b")
        bench.files()[0].unlink()
        await asyncio.to_thread(migrate, empty_clickhouse)
        await until(lambda: bench.changes == 2)
        assert bench.stored() == ["b"]
        assert "somebody deleted it" in caplog.text


async def test_damage_after_sealing_costs_only_the_damaged_records(
    tmp_path: Path, empty_clickhouse: ClickHouse
) -> None:
    async with running(Bench(tmp_path, empty_clickhouse)) as bench:
        bench.wal.commit(records(b"1" * 16, batch("a")))
        bench.wal.commit(records(b"2" * 16, batch("b")))
        (file,) = bench.files()
        content = bytearray(file.read_bytes())
        content[len(content) // 4] ^= 4
        file.write_bytes(content)
        bench.loop.add(bench.wal.seal())
        await asyncio.to_thread(migrate, empty_clickhouse)
        await until(lambda: bench.changes == 1)
        assert bench.stored() == ["b"]
        assert bench.wal.damaged_bytes > 0


async def test_a_backlog_is_held_on_disk_not_in_memory(tmp_path: Path, empty_clickhouse: ClickHouse) -> None:
    wal = PartitionWal(tmp_path, 0, SystemClock())
    for number in range(20):
        wal.commit(records(number.to_bytes(16, "big"), batch("x" * 1000)))
        wal.seal()
    wal.close()
    bench = Bench(tmp_path, empty_clickhouse)
    assert (bench.loop.rows, len(bench.loop)) == (20, 20)
    async with running(bench):
        await asyncio.to_thread(migrate, empty_clickhouse)
        await until(lambda: bench.changes == 20)
        assert len(bench.stored()) == 20
