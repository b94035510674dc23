"""The client joins batches while a call is under way, and repeats a call until it is known to be stored."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from actors.partition_writer import PartitionWriter
from actors.writer_client import QUEUE_BYTES_MAX, WriterClient, WriterGone
from core.clock import SystemClock
from core.errors import LograyError, Overloaded, WalError
from core.limits import REQUEST_FLATTENED_BYTES_MAX
from core.log_batch import LogBatch
from core.metrics import Metrics
from core.settings import WalSettings
from storage.clickhouse import ClickHouse
from storage.log_table import LogTables
from storage.wal.payload import read_head
from tests.conditions import until
from tests.storage.wal.batches import batch

SETTINGS = WalSettings(flush_interval_s=60, free_disk_bytes_min=0)


class Wire:
    """What lies between the client and a real writer: holds calls up, loses calls or answers, keeps count."""

    def __init__(self, writer: PartitionWriter) -> None:
        self.writer = writer
        self.rows: list[int] = []
        self.open = asyncio.Event()
        self.open.set()
        self.lost_calls = self.lost_answers = 0

    async def append(self, call_id: bytes, payloads: list[bytes]) -> None:
        heads = [read_head(payload) for payload in payloads]
        self.rows.append(sum(head.logs + head.dead_letters for head in heads))
        await self.open.wait()
        if self.lost_calls:
            self.lost_calls -= 1
            raise WriterGone("before the call")
        await self.writer.append(call_id, list(payloads))
        if self.lost_answers:
            self.lost_answers -= 1
            raise WriterGone("before the answer")


class Bench:
    """Some partitions with real WALs behind wires, and a client of them."""

    def __init__(self, data_dir: Path, clickhouse: ClickHouse, partitions: int, deadline_s: float) -> None:
        clock = SystemClock()
        tables = LogTables(clickhouse)
        self.writers = [
            PartitionWriter(partition, SETTINGS, data_dir, tables, Metrics(clock), clock)
            for partition in range(partitions)
        ]
        self.wires = [Wire(writer) for writer in self.writers]
        numbers = itertools.count()
        self.client = WriterClient(
            self.wires, clock, lambda size: next(numbers).to_bytes(size, "big"), deadline_s
        )
        self.clickhouse = clickhouse

    async def stored(self) -> list[str]:
        for writer in self.writers:
            assert await writer.drain(20)
        rows = await asyncio.to_thread(self.clickhouse.rows, "SELECT message FROM logs")
        return sorted(row["message"] for row in rows)


@asynccontextmanager
async def bench(
    data_dir: Path, clickhouse: ClickHouse, partitions: int = 1, deadline_s: float = 10.0
) -> AsyncIterator[Bench]:
    bench = Bench(data_dir, clickhouse, partitions, deadline_s)
    try:
        yield bench
    finally:
        await bench.client.close()
        for writer in bench.writers:
            await writer.close()


def numbered(count: int) -> list[LogBatch]:
    return [batch(f"{number:04d}") for number in range(count)]


async def test_a_lone_batch_is_sent_at_once(tmp_path: Path, clickhouse: ClickHouse) -> None:
    async with bench(tmp_path, clickhouse) as b:
        await b.client.send(batch("a", dead=("x",)))
        assert b.wires[0].rows == [2]
        assert b.writers[0].observe().buffered_rows == 2


async def test_batches_that_come_meanwhile_join_the_next_call(tmp_path: Path, clickhouse: ClickHouse) -> None:
    async with bench(tmp_path, clickhouse) as b:
        b.wires[0].open.clear()
        sends = [asyncio.create_task(b.client.send(each)) for each in numbered(300)]
        await until(lambda: b.wires[0].rows)
        assert not any(send.done() for send in sends)
        b.wires[0].open.set()
        await asyncio.gather(*sends)
        assert b.wires[0].rows == [1, 299]
        assert await b.stored() == [f"{number:04d}" for number in range(300)]


async def test_large_calls_go_two_at_a_time_up_to_2_mb(tmp_path: Path, clickhouse: ClickHouse) -> None:
    async with bench(tmp_path, clickhouse) as b:
        b.wires[0].open.clear()
        sends = [asyncio.create_task(b.client.send(batch("x" * 700_000))) for _ in range(9)]
        await until(lambda: len(b.wires[0].rows) == 2)
        b.wires[0].open.set()
        await asyncio.gather(*sends)
        assert max(b.wires[0].rows) == 2
        assert sum(b.wires[0].rows) == 9


async def test_an_empty_batch_costs_no_call(tmp_path: Path, clickhouse: ClickHouse) -> None:
    async with bench(tmp_path, clickhouse) as b:
        await b.client.send(batch())
        assert b.wires[0].rows == []


@pytest.mark.parametrize("lost", ["lost_calls", "lost_answers"])
async def test_a_writer_that_died_in_mid_call_stores_once(
    tmp_path: Path, clickhouse: ClickHouse, lost: str
) -> None:
    async with bench(tmp_path, clickhouse) as b:
        setattr(b.wires[0], lost, 3)
        await b.client.send(batch("a", "b"))
        assert b.wires[0].rows == [2, 2, 2, 2]
        assert await b.stored() == ["a", "b"]


async def test_a_writer_that_stays_away_is_an_error_in_time(tmp_path: Path, clickhouse: ClickHouse) -> None:
    async with bench(tmp_path, clickhouse, deadline_s=0.3) as b:
        b.wires[0].lost_calls = 1000
        with pytest.raises(WalError, match="away"):
            await b.client.send(batch("a"))
        b.wires[0].lost_calls = 0
        b.wires[0].open.clear()
        with pytest.raises(WalError, match="does not answer"):
            await b.client.send(batch("b"))
        b.wires[0].open.set()
        await b.client.send(batch("c"))
        assert await b.stored() == ["c"]


async def test_partitions_share_the_load_and_one_in_trouble_is_avoided(
    tmp_path: Path, clickhouse: ClickHouse
) -> None:
    async with bench(tmp_path, clickhouse, partitions=3, deadline_s=0.3) as b:
        for each in numbered(30):
            await b.client.send(each)
        assert [sum(wire.rows) for wire in b.wires] == [10, 10, 10]
        b.wires[1].lost_calls = 1000
        refused = 0
        for each in numbered(20):
            try:
                await b.client.send(each)
            except WalError:
                refused += 1
        assert refused == 1


async def test_too_much_at_once_is_refused_before_it_is_queued(
    tmp_path: Path, clickhouse: ClickHouse
) -> None:
    async with bench(tmp_path, clickhouse) as b:
        b.wires[0].open.clear()
        large = batch("x" * 4_000_000)
        sends = [asyncio.create_task(b.client.send(large)) for _ in range(QUEUE_BYTES_MAX // 4_000_000 + 4)]
        await until(lambda: any(send.done() for send in sends))
        refused = [send for send in sends if send.done()]
        assert all(isinstance(send.exception(), Overloaded) for send in refused)
        b.wires[0].open.set()
        answers = await asyncio.gather(*sends, return_exceptions=True)
        assert sum(answer is None for answer in answers) == len(sends) - len(refused)


async def test_the_largest_batch_of_a_request_is_stored(tmp_path: Path, clickhouse: ClickHouse) -> None:
    async with bench(tmp_path, clickhouse) as b:
        largest = batch("x" * (REQUEST_FLATTENED_BYTES_MAX - 4096))
        assert largest.logs.nbytes > REQUEST_FLATTENED_BYTES_MAX - 4096
        await b.client.send(largest)
        assert b.writers[0].observe().buffered_rows == 1


async def test_a_refusal_of_the_writer_reaches_everyone_in_the_call(
    tmp_path: Path, clickhouse: ClickHouse
) -> None:
    async with bench(tmp_path, clickhouse) as b:
        await b.writers[0].close()
        answers = await asyncio.gather(*(b.client.send(each) for each in numbered(5)), return_exceptions=True)
        assert all(isinstance(answer, LograyError) for answer in answers)


async def test_a_sender_that_goes_away_takes_nobody_with_it(tmp_path: Path, clickhouse: ClickHouse) -> None:
    async with bench(tmp_path, clickhouse) as b:
        b.wires[0].open.clear()
        sends = [asyncio.create_task(b.client.send(each)) for each in numbered(5)]
        await until(lambda: b.wires[0].rows)
        sends[0].cancel()
        sends[3].cancel()
        await asyncio.sleep(0)
        b.wires[0].open.set()
        answers = await asyncio.gather(*sends, return_exceptions=True)
        assert [answer is None for answer in answers] == [False, True, True, False, True]


async def test_closing_answers_all_who_wait(tmp_path: Path, clickhouse: ClickHouse) -> None:
    async with bench(tmp_path, clickhouse) as b:
        b.wires[0].open.clear()
        sends = [asyncio.create_task(b.client.send(each)) for each in numbered(5)]
        await until(lambda: b.wires[0].rows)
        await b.client.close()
        answers = await asyncio.gather(*sends, return_exceptions=True)
        assert all(isinstance(answer, WalError) for answer in answers)
        with pytest.raises(WalError, match="stopping"):
            await b.client.send(batch("late"))
