"""The writer as a whole: what it acknowledged is in ClickHouse exactly once, whatever dies in between."""

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from actors.partition_writer import PartitionWriter
from core.clock import SystemClock
from core.errors import WalError
from core.metric_names import BUFFERED_ROWS, INSERTED_ROWS, INSERTS, WAL_BYTES
from core.metrics import Metrics
from core.settings import WalSettings
from storage.clickhouse import ClickHouse
from storage.log_table import LogTables
from storage.migrations import migrate
from storage.wal.payload import encode
from tests.actors.writer_process import LOGS_PER_CALL, append_for_ever, start
from tests.conditions import until
from tests.conftest import EmbeddedProcess
from tests.storage.wal.batches import batch

AT_ONCE = WalSettings(flush_interval_s=0.02, free_disk_bytes_min=0)
LATER = WalSettings(flush_interval_s=60, free_disk_bytes_min=0)


@asynccontextmanager
async def writing(
    data_dir: Path, clickhouse: ClickHouse, settings: WalSettings = AT_ONCE
) -> AsyncIterator[PartitionWriter]:
    clock = SystemClock()
    writer = PartitionWriter(0, settings, data_dir, LogTables(clickhouse), Metrics(clock), clock)
    try:
        yield writer
    finally:
        await writer.close()


async def append(writer: PartitionWriter, number: int, *messages: str, dead: tuple[str, ...] = ()) -> None:
    await writer.append(number.to_bytes(16, "big"), [encode(batch(*messages, dead=dead))])


def stored(clickhouse: ClickHouse) -> list[str]:
    return [row["message"] for row in clickhouse.rows("SELECT message FROM logs ORDER BY seq")]


async def test_what_is_appended_is_soon_in_clickhouse(tmp_path: Path, clickhouse: ClickHouse) -> None:
    async with writing(tmp_path, clickhouse) as writer:
        await append(writer, 1, "a", "b", dead=("x",))
        await until(lambda: stored(clickhouse) == ["a", "b"])
        await until(lambda: writer.observe().buffered_rows == 0)
        assert clickhouse.rows("SELECT count() AS n FROM dead_letters") == [{"n": 1}]
        values = writer.snapshot().values
        assert values[INSERTED_ROWS.name][("0",)] == 3
        assert values[INSERTS.name][("0",)] == 1
        assert values[BUFFERED_ROWS.name][("0",)] == 0
        await until(lambda: writer.observe().wal_bytes == 0)
        assert writer.snapshot().values[WAL_BYTES.name][("0",)] == 0


async def test_draining_inserts_all_at_once(tmp_path: Path, clickhouse: ClickHouse) -> None:
    async with writing(tmp_path, clickhouse, LATER) as writer:
        for number in range(5):
            await append(writer, number, str(number))
        assert writer.observe().buffered_rows == 5
        assert await writer.drain(20)
        assert stored(clickhouse) == list("01234")
        assert await writer.drain(1)


async def test_draining_into_a_store_that_is_away_gives_up_and_keeps_all(
    tmp_path: Path, empty_clickhouse: ClickHouse
) -> None:
    async with writing(tmp_path, empty_clickhouse, LATER) as writer:
        await append(writer, 1, "a")
        assert not await writer.drain(0.3)
        assert writer.observe().last_error
    await asyncio.to_thread(migrate, empty_clickhouse)
    async with writing(tmp_path, empty_clickhouse) as again:
        assert await again.drain(20)
        assert stored(empty_clickhouse) == ["a"]


async def test_closing_keeps_what_is_not_inserted(tmp_path: Path, clickhouse: ClickHouse) -> None:
    async with writing(tmp_path, clickhouse, LATER) as writer:
        await append(writer, 1, "a")
    with pytest.raises(WalError, match="stopp"):
        await append(writer, 2, "b")
    async with writing(tmp_path, clickhouse, LATER) as again:
        assert again.observe().buffered_rows == 1
        await append(again, 1, "a")  # repeated: its answer may have been lost
        assert await again.drain(20)
        assert stored(clickhouse) == ["a"]


async def test_a_call_whose_answer_was_lost_is_stored_once_even_when_it_was_inserted(
    tmp_path: Path, clickhouse: ClickHouse
) -> None:
    async with writing(tmp_path, clickhouse) as writer:
        await append(writer, 1, "a")
        assert await writer.drain(20)
    async with writing(tmp_path, clickhouse) as again:
        await append(again, 1, "a")
        assert await again.drain(20)
        assert stored(clickhouse) == ["a"]


async def test_many_appends_at_once_are_all_stored(tmp_path: Path, clickhouse: ClickHouse) -> None:
    async with writing(tmp_path, clickhouse) as writer:
        await asyncio.gather(*(append(writer, number, f"m{number}") for number in range(500)))
        assert await writer.drain(30)
        assert sorted(stored(clickhouse)) == sorted(f"m{number}" for number in range(500))


async def test_clickhouse_may_die_while_logs_come_in(tmp_path: Path) -> None:
    process = EmbeddedProcess(tmp_path)
    clickhouse = ClickHouse(process.url)
    await asyncio.to_thread(migrate, clickhouse)
    async with writing(tmp_path, clickhouse) as writer:
        number = 0

        async def append_some() -> None:
            nonlocal number
            for _ in range(30):
                await append(writer, number, str(number))
                number += 1
                await asyncio.sleep(0.002)

        for _ in range(2):
            await append_some()
            process.kill()
            await append_some()  # acknowledged without a store
            await until(lambda: writer.observe().last_error)
            await asyncio.to_thread(process.start)
        assert await writer.drain(30)
        assert sorted(map(int, stored(clickhouse))) == list(range(number))
        counted = clickhouse.rows("SELECT sum(rows) AS n FROM logs_per_minute")
        assert counted == [{"n": number}]
    clickhouse.close()
    process.stop()


async def test_after_kills_of_the_writer_every_acknowledged_log_is_there_once(tmp_path: Path) -> None:
    """Ten times: a writer takes logs and inserts them, is killed, and another goes on."""
    process = EmbeddedProcess(tmp_path)
    clickhouse = ClickHouse(process.url)
    migrate(clickhouse)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.actors.writer_process"])
    acknowledged: set[int] = set()
    for round_number in range(10):
        first = round_number * 1_000_000
        receiver, sender = processes.Pipe(duplex=False)
        writer = processes.Process(target=append_for_ever, args=(tmp_path, first, sender))
        writer.start()
        sender.close()
        while max(acknowledged, default=-1) < first + 7 + 30 * round_number:
            acknowledged.add(receiver.recv())
        writer.kill()
        with suppress(EOFError):
            while True:
                acknowledged.add(receiver.recv())
        receiver.close()
        writer.join()
    last = start(tmp_path)
    assert await last.drain(60)
    await last.close()
    found = Counter(int(message.split("-")[0]) for message in stored(clickhouse))
    assert acknowledged <= found.keys()
    assert set(found.values()) == {LOGS_PER_CALL}  # also of calls that were on disk but not yet answered
    counts = "SELECT count() AS n, uniqExact(message) AS messages, uniqExact(seq) AS seqs FROM logs"
    logs = len(found) * LOGS_PER_CALL
    assert clickhouse.rows(counts) == [{"n": logs, "messages": logs, "seqs": logs}]
    assert clickhouse.rows("SELECT sum(rows) AS n FROM logs_per_minute") == [{"n": logs}]
    clickhouse.close()
    process.stop()
